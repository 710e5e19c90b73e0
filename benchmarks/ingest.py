"""60,000 Marketo activities over HTTP from the sandbox: the connector's pull against a bare loop.

`python -m benchmarks.ingest` prints both in activities a second, and their ratio, measured in turns in one run. The
bare loop is the least that could work: requests, one call a page, msgspec into typed structs, no facts made.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import msgspec
import requests

from syncagent.config import Secret
from syncagent.connectors import marketo
from syncagent.model import Activity
from syncagent.sandbox import Control

ACTIVITIES = 60_000
ROUNDS = 5
CHILD = "from syncagent.sandbox import serve; serve(['marketo'], json_line=True)"


class Attribute(msgspec.Struct):
    name: str
    value: Any = None


class Row(msgspec.Struct):
    marketoGUID: str  # noqa: N815 - the vendor's name
    leadId: int  # noqa: N815
    activityDate: str  # noqa: N815
    activityTypeId: int  # noqa: N815
    primaryAttributeValue: str = ""  # noqa: N815
    attributes: list[Attribute] = []


class Rows(msgspec.Struct):
    nextPageToken: str  # noqa: N815
    moreResult: bool  # noqa: N815
    result: list[Row] = []


@contextmanager
def sandbox() -> Iterator[dict[str, str]]:
    """A sandbox in a process of its own, with the activities in it."""
    with subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            place = msgspec.json.decode(child.stdout.readline())["marketo"]
            with Control(place["base_url"]) as control:
                control.act("set_limits", clock="off", daily_calls=10_000_000)
                control.act("generate", leads=2_000, activities=ACTIVITIES, types=["Visit Webpage", "Fill Out Form"])
            yield place["credentials"]
        finally:
            child.terminate()
            child.wait()


def bare(found: dict[str, str]) -> int:
    """The least that could work; how many activities came."""
    base, count = found["base_url"], 0
    with requests.Session() as session:
        asked = {"grant_type": "client_credentials", **{name: found[name] for name in ("client_id", "client_secret")}}
        token = session.post(f"{base}/identity/oauth/token", data=asked).json()["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        minted = session.get(
            f"{base}/rest/v1/activities/pagingtoken.json", params={"sinceDatetime": "2020-01-01T00:00:00Z"}
        )
        token, more = minted.json()["nextPageToken"], True
        while more:
            asked = {"nextPageToken": token, "activityTypeIds": "1,2,12,13,32"}
            page = msgspec.json.decode(session.get(f"{base}/rest/v1/activities.json", params=asked).content, type=Rows)
            count += len(page.result)
            token, more = page.nextPageToken, page.moreResult
    return count


def ours(found: dict[str, str]) -> int:
    """The connector; how many activities came."""
    options = marketo.Options(
        base_url=found["base_url"],
        client_id=Secret(env="BENCH_MARKETO_ID"),
        client_secret=Secret(env="BENCH_MARKETO_SECRET"),
        activities={"Visit Webpage": "page.visited", "Fill Out Form": "form.submitted"},
    )
    source = marketo.open("marketo", options)
    with Control(found["base_url"]) as control:
        now = control.clock()
    try:
        pages = source.pull(source.begin(now - timedelta(days=365), now))
        return sum(isinstance(fact, Activity) for page in pages for fact in page.facts)
    finally:
        source.close()


def main() -> None:
    """Print both, and their ratio."""
    with sandbox() as found:
        os.environ["BENCH_MARKETO_ID"], os.environ["BENCH_MARKETO_SECRET"] = found["client_id"], found["client_secret"]
        speeds: dict[str, list[float]] = {"bare": [], "ours": []}
        for _ in range(ROUNDS):
            for name, run in (("bare", bare), ("ours", ours)):
                start = time.perf_counter()
                count = run(found)
                speeds[name].append(count / (time.perf_counter() - start))
                if count != ACTIVITIES:
                    sys.exit(f"{name} read {count:,} activities instead of {ACTIVITIES:,}.")
    ceiling, speed = statistics.median(speeds["bare"]), statistics.median(speeds["ours"])
    print(f"pull, bare loop of requests + msgspec   {ceiling:>9,.0f} activities/s")
    print(
        f"pull, syncagent's Marketo connector     {speed:>9,.0f} activities/s   {speed / ceiling:.2f} of the bare loop"
    )


if __name__ == "__main__":
    main()
