"""Old org: a first start beside a Salesforce and a Marketo full of people who raised their hands long ago.

Nobody is handed off for it (law 11): their history gives scores, their first mass write waits for an admin, and
whoever raises a hand from now on is handed off as if nobody else were there.
"""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

from benchmarks import world
from benchmarks.report import Figure, peak_mb, tell
from benchmarks.vendors import sandbox
from syncagent.clock import SystemClock, monotonic
from syncagent.sandbox import Control

PAGE = 1000
LONGEST = 1800.0
OLD = timedelta(days=200)
MEMORY_MB = 300.0
IDLE_CALLS_A_DAY = 1440
SCORE = 30.0  # of a director who did nothing lately


def run(people: Sequence[int], *, quick: bool) -> list[Figure]:
    size = people[0] if people else 300 if quick else 100_000
    with tempfile.TemporaryDirectory(prefix="bench-old-org-") as name:
        config = Path(name) / "config.toml"
        with sandbox("marketo", "salesforce", config=config) as places:
            if not quick:
                _slow_polls(config)
            with (
                Control(places["marketo"]["base_url"], 600.0) as marketo,
                Control(places["salesforce"]["base_url"], 600.0) as salesforce,
            ):
                _seed(marketo, salesforce, places["salesforce"]["credentials"]["rep_user_id"], size)
                return _measure(_Org(config, marketo, salesforce, size))


def _slow_polls(config: Path) -> None:
    """As often as a real org is asked: a poll each ten seconds, not each second."""
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('poll = "1s"', 'poll = "10s"').replace('poll = "5s"', 'poll = "10s"'))


def _email(number: int) -> str:
    return f"person{number}@firm{number % 9000}.example.com"


def _seed(marketo: Control, salesforce: Control, owner: str, size: int) -> None:
    """Everybody stands in both, and asked to talk to sales in Marketo a while ago."""
    made = (world.NOW - OLD).isoformat()
    for start in range(0, size, PAGE):
        numbers = range(start, min(start + PAGE, size))
        salesforce.seed(
            leads=[
                {
                    "LastName": f"Old {n}",
                    "Company": f"Firm {n % 9000}",
                    "Email": _email(n),
                    "Status": "Open - Not Contacted",
                    "OwnerId": owner,
                    "CreatedDate": made,
                }
                for n in numbers
            ]
        )
        marketo.seed(
            leads=[
                {"email": _email(n), "lastName": f"Old {n}", "title": "Director", "createdAt": made} for n in numbers
            ],
            activities=[
                {
                    "email": _email(n),
                    "type": "Fill Out Form",
                    "asset": "contact-sales",
                    "at": (world.NOW - OLD / 4 + timedelta(seconds=n)).isoformat(),
                }
                for n in numbers
            ],
        )
    tell(f"{size:,} people stand in both systems")


class _Org:
    """Both systems, and the agent as an admin sees it: commands beside a running daemon."""

    def __init__(self, config: Path, marketo: Control, salesforce: Control, size: int) -> None:
        self.config, self.marketo, self.salesforce, self.size = config, marketo, salesforce, size
        self.complaint = ""
        self.asked_for = 0

    def ask(self, *words: str) -> str:
        """What a command prints; empty when it ended with anything but 0."""
        command = [sys.executable, "-m", "syncagent", *words, "--config", str(self.config)]
        done = subprocess.run(command, cwd=self.config.parent, capture_output=True, text=True, check=False)
        self.complaint = done.stdout[-500:] + done.stderr[-500:] if done.returncode else ""
        return "" if done.returncode else done.stdout

    def order(self, *words: str) -> None:
        """A command that must succeed."""
        self.ask(*words)
        if self.complaint:
            raise SystemExit(f"`syncagent {' '.join(words)}` failed: {self.complaint}")

    def until(self, what: str, holds: Callable[[dict[str, Any]], bool]) -> float:
        """Seconds until the agent's own status says so."""
        start = monotonic()
        while monotonic() - start < LONGEST:
            status = self.ask("status", "--json")
            if (tasks := self.tasks()) > self.asked_for:
                raise SystemExit(f"{tasks} tasks stand in the CRM, and {self.asked_for} were asked for.")
            if status and holds(json.loads(status)):
                tell(f"{what}: {monotonic() - start:.0f} s")
                return monotonic() - start
            SystemClock().wait(Event(), 1.0)
        raise SystemExit(f"It never came to this: {what}. The last status: {status}{self.complaint}.")

    @contextmanager
    def agent(self) -> Iterator[Path]:
        """`syncagent run` until the end of the block; yields its file of the process's own figures."""
        command = [sys.executable, "-m", "syncagent", "run", "--config", str(self.config)]
        with (
            self.config.with_name("agent.log").open("w") as log,
            subprocess.Popen(command, cwd=self.config.parent, stdout=log, stderr=log) as process,
        ):
            try:
                yield Path(f"/proc/{process.pid}/status")
            finally:
                process.send_signal(signal.SIGTERM)
                if process.wait(10.0) != 0:
                    raise SystemExit(f"The agent ended with {process.returncode}: {log.name}.")

    def cost(self) -> int:
        """Calls of both systems since they were last counted."""
        calls = [*self.marketo.calls(), *self.salesforce.calls()]
        self.marketo.clear_calls()
        self.salesforce.clear_calls()
        return sum(call["cost"] for call in calls)

    def tasks(self) -> int:
        return len(self.salesforce.act("find", object="Task", where={})["records"])

    def leads(self, score: float | None) -> int:
        """How many leads stand at this score in the CRM; None: at none."""
        return len(self.salesforce.act("find", object="Lead", where={"Lead_Score__c": score})["records"])


def _caught_up(now: dict[str, Any], size: int) -> bool:
    """Nobody is left to be read, joined or planned, and nothing to be sent."""
    return now["people"] == size and not now["dirty"] and not now["backfills"] and _quiet(now)


def _quiet(now: dict[str, Any]) -> bool:
    return not now["outbox"].get("queued") and not now["outbox"].get("sending")


def _measure(org: _Org) -> list[Figure]:
    size = org.size
    org.order("check")
    org.cost()
    with org.agent() as process:
        read = org.until("the CRM is read", lambda now: now["people"] >= size and not now["dirty"])
        calls_to_read = org.cost()
        org.order("backfill", "marketo", "--since", f"{world.NOW - OLD:%Y-%m-%d}", "--yes")
        history = org.until("its history is read", lambda now: _caught_up(now, size))
        calls_for_history = org.cost()
        by_themselves = org.leads(SCORE)
        org.order("release", "--scores")
        written = org.until("the scores are written", lambda now: _caught_up(now, size) and not org.leads(None))
        calls_to_write = org.cost()
        unasked, org.asked_for = org.tasks(), 1
        org.marketo.act("fill_form", email=_email(7), form="contact-sales")
        fresh = org.until("a hand raised now is a task", lambda _: org.tasks() == 1)
        peak = peak_mb(process)
    return [
        Figure(f"{size:,} old leads: tasks that nobody asked for", unasked, "tasks", 0.0, at_most=True),
        Figure("the CRM read whole", read, "s", note=f"{calls_to_read:,} calls"),
        Figure("marketing's history read and scored", history, "s", note=f"{calls_for_history:,} calls"),
        Figure("scores that went to the CRM before the release", by_themselves, "leads", note="the brake's share"),
        Figure("scores written after it", written, "s", note=f"{calls_to_write:,} calls"),
        Figure("then, from a raised hand to its task", fresh, "s", note="the poll waits longest"),
        Figure("most memory of the agent's process", peak, "MB", MEMORY_MB, at_most=True),
    ]
