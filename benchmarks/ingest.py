"""Ingest: Marketo's activities over HTTP into the state, beside a bare loop that does nothing but fetch and store."""

import logging
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import msgspec
import requests
from msgspec import Struct
from sqlite_utils.utils import sqlite3

from benchmarks import world
from benchmarks.report import Figure, tell
from benchmarks.vendors import sandbox
from syncagent.agent import Agent
from syncagent.clock import monotonic
from syncagent.compose import connectors
from syncagent.config import parse
from syncagent.model import Identity, Lane
from syncagent.sandbox import Control

TARGET = 0.8
PEERS = {"tap-marketo into JSONL": 9_400, "dlt into SQLite": 6_900}  # measured once on a 2-core machine, same work
TYPES = {
    "page.visited": "Visit Webpage",
    "email.opened": "Open Email",
    "email.clicked": "Click Email",
    "link.clicked": "Click Link",
    "form.submitted": "Fill Out Form",
}
FIRST = 1000  # the first lead's id
AGO = timedelta(days=30)

SOURCE = """
[sources.marketo]
type = "marketo"
base_url = "{base_url}"
client_id = {{ file = "{folder}/id" }}
client_secret = {{ file = "{folder}/secret" }}
activities = {{ {activities} }}
"""


def run(people: Sequence[int], *, quick: bool) -> list[Figure]:
    logging.getLogger("syncagent").setLevel(logging.WARNING)
    leads, turns = (60, 2) if quick else (3_000, 5)
    total = leads * world.ACTIVITIES
    with sandbox("marketo") as places, tempfile.TemporaryDirectory(prefix="bench-ingest-") as folder:
        place = places["marketo"]
        _seed_leads(place["base_url"], leads)
        source = _source_table(place, Path(folder))
        first = Path(folder) / "first"
        _prepare(first, source, leads)
        _seed_activities(place["base_url"], leads)
        tell(f"{total:,} activities seeded")
        bare: list[float] = []
        ours: list[float] = []
        for turn in range(turns):
            bare.append(total / _bare(place, Path(folder) / f"bare{turn}.db", total))
            ours.append(total / _ours(first, Path(folder) / f"ours{turn}", source, total))
            tell(f"bare loop {bare[-1]:,.0f}/s, agent {ours[-1]:,.0f}/s")
    ratio = statistics.median(mine / loop for mine, loop in zip(ours, bare, strict=True))
    mine, loop = statistics.median(ours), statistics.median(bare)
    peers = ", ".join(f"{name} {rate:,}/s" for name, rate in PEERS.items())
    return [
        Figure(
            "ceiling: bare loop (requests, msgspec, executemany, FULL)", loop, "activities/s", note="for comparison"
        ),
        Figure("agent: connector and state, a page a transaction", mine, "activities/s", note=f"peers: {peers}"),
        Figure(f"agent / bare loop (median of {turns})", ratio, "of the ceiling", TARGET),
    ]


def _seed_leads(base_url: str, leads: int) -> None:
    with Control(base_url, timeout=300.0) as control:
        control.seed(settings={"limits": {"clock": "off"}})
        born = (world.NOW - AGO - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
        known = [world.lead(number) for number in range(leads)]
        control.seed(
            leads=[
                {"id": FIRST + n, "email": one.emails[0], "lastName": "Test", "createdAt": born, "leadSource": "Web"}
                for n, one in enumerate(known)
            ]
        )


def _seed_activities(base_url: str, leads: int) -> None:
    with Control(base_url, timeout=300.0) as control:
        told = [
            {
                "type": TYPES[one.kind],
                "leadId": FIRST + int(one.identity.id),
                "at": one.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "asset": one.asset,
                "attributes": one.attributes,
            }
            for one in world.doings(range(leads))
        ]
        for start in range(0, len(told), 5000):
            control.seed(activities=told[start : start + 5000])


def _source_table(place: dict[str, Any], folder: Path) -> str:
    credentials = place["credentials"]
    (folder / "id").write_text(credentials["client_id"], encoding="utf-8")
    (folder / "secret").write_text(credentials["client_secret"], encoding="utf-8")
    listed = ", ".join(f'"{theirs}" = "{ours}"' for ours, theirs in TYPES.items())
    return SOURCE.format(base_url=place["base_url"], folder=folder, activities=listed)


@contextmanager
def _agent(folder: Path, source: str) -> Iterator[Agent]:
    config = parse(world.CONFIG.format(sources=source), folder)
    marketo = connectors(config)["marketo"]
    agent = world.agent(folder, sources=source, systems={"marketo": marketo})
    try:
        yield agent
    finally:
        agent.store.close()
        marketo.close()  # type: ignore[attr-defined]


def _prepare(folder: Path, source: str, leads: int) -> None:
    """A state file that knows the leads and has polled before anything happened."""
    folder.mkdir()
    with _agent(folder, source) as agent:
        ids = [Identity("marketo", "lead", str(FIRST + n)) for n in range(leads)]
        marketo = agent.sources["marketo"]
        for start in range(0, leads, 300):
            agent.store.accept(marketo.look(ids[start : start + 300]), "", now=world.NOW, lane=Lane.COLD)
        agent.store.set_cursor("marketo/poll", marketo.begin(world.NOW - AGO))
        agent.gather("marketo")


def _ours(first: Path, folder: Path, source: str, total: int) -> float:
    """Seconds of a poll as the daemon does it, from the first call to the last commit."""
    shutil.copytree(first, folder)
    with _agent(folder, source) as agent:
        start = monotonic()
        new = 0
        for _ in range(5):  # a poll that pays for the calls of the one before does nothing
            if new := agent.gather("marketo"):
                break
        spent = monotonic() - start
    if new != total:
        raise SystemExit(f"The agent stored {new} facts instead of {total}: this measures something else.")
    return spent


class _Row(Struct):
    marketoGUID: str  # noqa: N815 - Marketo's own name
    leadId: int  # noqa: N815
    activityDate: str  # noqa: N815
    activityTypeId: int  # noqa: N815
    primaryAttributeValue: str = ""  # noqa: N815
    attributes: msgspec.Raw = msgspec.Raw(b"[]")


class _Page(Struct):
    success: bool
    nextPageToken: str  # noqa: N815
    moreResult: bool  # noqa: N815
    result: list[_Row] = []


def _bare(place: dict[str, Any], path: Path, total: int) -> float:
    """Seconds of the loop that the agent is compared with: fetch, decode, insert and cursor, commit, next."""
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(
        "pragma journal_mode = wal; pragma synchronous = full;"
        " create table activity (guid text primary key, lead integer, type integer, at text, asset text, body blob);"
        " create table cursor (name text primary key, token text)"
    )
    start = monotonic()
    count = 0
    for page in _pages(place):
        rows = [
            (r.marketoGUID, r.leadId, r.activityTypeId, r.activityDate, r.primaryAttributeValue, bytes(r.attributes))
            for r in page.result
        ]
        db.execute("begin")
        db.executemany("insert or ignore into activity values (?, ?, ?, ?, ?, ?)", rows)
        db.execute("insert or replace into cursor values ('poll', ?)", (page.nextPageToken,))
        db.execute("commit")
        count += len(rows)
    spent = monotonic() - start
    db.close()
    if count != total:
        raise SystemExit(f"The bare loop read {count} activities instead of {total}: this measures something else.")
    return spent


def _pages(place: dict[str, Any]) -> Iterator[_Page]:
    url, credentials = place["base_url"], place["credentials"]
    decode = msgspec.json.Decoder(_Page).decode
    with requests.Session() as session:
        keys = {name: credentials[name] for name in ("client_id", "client_secret")}
        signed = session.get(f"{url}/identity/oauth/token", params={"grant_type": "client_credentials", **keys})
        session.headers["Authorization"] = "Bearer " + signed.json()["access_token"]
        types = {one["name"]: one["id"] for one in session.get(f"{url}/rest/v1/activities/types.json").json()["result"]}
        since = (world.NOW - AGO).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        minted = session.get(f"{url}/rest/v1/activities/pagingtoken.json", params={"sinceDatetime": since})
        asked = {"batchSize": "300", "activityTypeIds": ",".join(str(types[name]) for name in TYPES.values())}
        token, more = minted.json()["nextPageToken"], True
        while more:
            answer = session.get(f"{url}/rest/v1/activities.json", params={**asked, "nextPageToken": token})
            page = decode(answer.content)
            if not page.success:
                raise SystemExit(f"The local Marketo refused: {answer.text[:200]}")
            token, more = page.nextPageToken, page.moreResult
            yield page
