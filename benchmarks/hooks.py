"""Posts to `/hooks/NAME`, each on the disk before it is answered, while the agent reads them: how many a second, how
long each waits, and how that compares with the same server when it stores nothing.
"""

import http.client
import json
import logging
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import world
from benchmarks.latency import EVERY, FEWEST, SlowCrm
from benchmarks.poster import SECRET, sign
from benchmarks.report import Figure, tell
from syncagent.agent import Agent
from syncagent.agent.daemon import Daemon
from syncagent.clock import SystemClock, monotonic
from syncagent.config import Secret
from syncagent.connectors import webhook
from syncagent.connectors.base import Delivery, Reply
from syncagent.connectors.mapping import Table
from syncagent.web import Listener

TARGET = 5000.0
TARGET_MS = 50.0
TARGET_LATE_MS = 100.0
LINES = 64
COUNT = 30_000
SECRET_NAME = "SYNCAGENT_BENCHMARK_SECRET"
MAPPING = Table(
    email="contact.email",
    kind="event",
    at="submitted",
    key="submission",
    asset="form.name",
    attributes={"title": "contact.title", "first_name": "contact.first_name"},
)


class Bare:
    """The ceiling: the same server and the same answer; nothing is verified, nothing stored."""

    name = "bare"
    methods = frozenset(("POST",))

    def verify(self, delivery: Delivery, now: datetime) -> Reply:
        return Reply(keep=None)

    def read(self, delivery: Delivery, arrived: datetime) -> Any:
        raise SystemExit("Something of the bare door was stored: this measures nothing.")


def run(people: Sequence[int], *, quick: bool) -> list[Figure]:
    logging.getLogger("syncagent").setLevel(logging.WARNING)
    os.environ[SECRET_NAME] = SECRET
    count = 500 if quick else COUNT
    with tempfile.TemporaryDirectory(prefix="bench-hooks-") as folder:
        site = webhook.open("site", webhook.Options(dialect="github", secret=Secret(env=SECRET_NAME), mapping=MAPPING))
        agent = world.agent(Path(folder), sources="", systems={"site": site})
        agent.store.set_meta("crm_read", world.NOW.isoformat())
        listener = Listener(
            {"site": site, "bare": Bare()}, agent.store.receive, lambda name: None, SystemClock(), "127.0.0.1:0"
        )
        listener.start()
        try:
            bare = [_post(listener.port, "bare", count)]
            alone = _post(listener.port, "site", count)
            bare.append(_post(listener.port, "bare", count))
        finally:
            listener.close()
        beside, spent, stored = _beside_the_agent(agent, site, Path(folder), count)
    with tempfile.TemporaryDirectory(prefix="bench-hooks-late-") as folder:
        late = _to_the_crm(site, Path(folder), seconds=1.0 if quick else 8.0)
    if stored != 2 * count:
        raise SystemExit(f"{2 * count} were answered and {stored} are activities: this measures nothing.")
    ceiling = sum(one["rate"] for one in bare) / len(bare)
    tell(f"bare {ceiling:,.0f}/s, alone {alone['rate']:,.0f}/s, beside the agent {beside['rate']:,.0f}/s")
    return [
        Figure("durable posts", alone["rate"], "posts/s", TARGET),
        Figure("    p99 from post to answer", alone["p99"], "ms", TARGET_MS, at_most=True),
        Figure("    p50", alone["p50"], "ms", note=f"{LINES} connections, each waits for its answer"),
        Figure("    of the same server, storing nothing", alone["rate"] / ceiling, "x", note=f"{ceiling:,.0f} posts/s"),
        Figure("post to the CRM's call: p95", _at(late, 95), "ms", TARGET_LATE_MS, at_most=True),
        Figure("    p50", _at(late, 50), "ms", note=f"{len(late)} posts, one at a time"),
        Figure("while the agent reads and decides them", beside["rate"], "posts/s", note=f"p99 {beside['p99']:.0f} ms"),
        Figure("    posts read, stored as facts and let go", 2 * count / spent, "posts/s", note=f"{spent:.1f} s"),
    ]


def _beside_the_agent(
    agent: Agent, site: webhook.Hook, folder: Path, count: int
) -> tuple[dict[str, float], float, int]:
    """The same once more, with the whole agent at work on these posts and those of before."""

    def ring(name: str) -> None:
        agent.posted[name].set()

    listener = Listener({"site": site}, agent.store.receive, ring, SystemClock(), "127.0.0.1:0")
    daemon = threading.Thread(target=Daemon(agent, folder / "state.db").run)
    began = monotonic()
    listener.start()
    daemon.start()
    try:
        posted = _post(listener.port, "site", count, first=count)
        while agent.store.health(agent.clock.now()).inbox and monotonic() - began < 300:
            agent.clock.wait(agent.stopping, 0.05)
        spent = monotonic() - began
    finally:
        agent.stopping.set()
        daemon.join()
        listener.close()
    stored = 0
    for person in agent.store.people(0, 1 << 30):
        dossier = agent.store.dossier(person)
        stored += len(dossier.activities) if dossier else 0
    agent.store.close()
    return posted, spent, stored


def _to_the_crm(site: webhook.Hook, folder: Path, *, seconds: float) -> list[float]:
    """Milliseconds from sending a form that asks for sales to the CRM's call, on an agent with nothing else to do."""
    crm = SlowCrm()
    agent = world.agent(folder, sources="", systems={"site": site, "crm": crm})

    def ring(name: str) -> None:
        agent.posted[name].set()

    listener = Listener({"site": site}, agent.store.receive, ring, SystemClock(), "127.0.0.1:0")
    listener.start()
    daemon = threading.Thread(target=Daemon(agent, folder / "state.db").run)
    daemon.start()
    posted: dict[str, float] = {}
    line = http.client.HTTPConnection("127.0.0.1", listener.port)
    try:
        dice, until = random.Random(7), monotonic() + seconds
        while monotonic() < until or len(posted) < FEWEST:
            email = f"hot{len(posted)}@example.net"
            contact = {"email": email, "title": "Director", "first_name": "Mia"}
            told = {"event": "form.submitted", "submission": email, "form": {"name": "contact-sales"}}
            body = json.dumps({**told, "submitted": datetime.now(UTC).isoformat(), "contact": contact}).encode()
            posted[email] = monotonic()
            line.request("POST", "/hooks/site", body, {"X-Hub-Signature-256": sign(body)})
            answer = line.getresponse()
            answer.read()
            if answer.status != 204:
                raise SystemExit(f"A post was answered {answer.status}.")
            SystemClock().wait(agent.stopping, dice.expovariate(1 / EVERY))
        until = monotonic() + 10.0
        while posted.keys() - crm.issued.keys() and monotonic() < until:
            SystemClock().wait(agent.stopping, 0.02)
    finally:
        line.close()
        agent.stopping.set()
        daemon.join()
        listener.close()
        agent.store.close()
    if missing := posted.keys() - crm.issued.keys():
        raise SystemExit(f"{len(missing)} of {len(posted)} posts never reached the CRM: this measures nothing.")
    return [(crm.issued[email] - at) * 1000 for email, at in posted.items()]


def _at(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _post(port: int, name: str, count: int, first: int = 0) -> dict[str, float]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.poster",
        str(port),
        f"/hooks/{name}",
        str(count),
        str(LINES),
        str(first),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    told = json.loads(done.stdout)
    if told["answered"] != {"204": count}:
        raise SystemExit(f"Not every post was answered 204: {told['answered']}.")
    at = {percent: seconds * 1000 for percent, seconds in told["at"].items()}
    return {"rate": count / told["seconds"], "p50": at["50"], "p99": at["99"]}
