"""A day on which nothing happens, by the daemon's own loops against both vendors: what it costs in calls."""

import itertools
import re
import threading
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from syncagent.agent.daemon import Daemon
from syncagent.sandbox import Control
from tests.story.office import Office, office
from tests.story.vendors import Stage

MOST = 1440  # what an idle day may cost of a system's calls
WARM = timedelta(hours=1)
BETWEEN_LOOKS = 60.0


class Turns:
    """A clock for all threads of a daemon: when every one of them waits, time moves to the first who wants to go on."""

    def __init__(self, desk: Office, threads: int, end: datetime) -> None:
        assert desk.agent is not None
        self._desk = desk
        self._threads = threads
        self._end = end
        self._turns: dict[int, datetime] = {}
        self._numbers = itertools.count()
        self._meet = threading.Condition()
        self._stopping = desk.agent.stopping
        self._bells = {*desk.agent.outgoing.values()}

    def now(self) -> datetime:
        return self._desk.clock.now()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        if event in self._bells:  # an outbox that is empty is looked at without a call: not each second of a day
            seconds = max(seconds, BETWEEN_LOOKS)
        with self._meet:
            me = next(self._numbers)
            self._turns[me] = self.now() + timedelta(seconds=seconds)
            self._meet.notify_all()
            self._meet.wait_for(lambda: event.is_set() or self._stopping.is_set() or self._is_next(me))
            until = self._turns.pop(me)
            if not event.is_set() and not self._stopping.is_set():
                self._desk.move_to(until)
                if until >= self._end:
                    self._stopping.set()
                    self._meet.notify_all()
            return event.is_set()

    def _is_next(self, me: int) -> bool:
        return len(self._turns) == self._threads and min((at, n) for n, at in self._turns.items())[1] == me


def by_the_minute(desk: Office) -> str:
    """The vendors' tables as an admin has them; the sandbox's own are for the impatient."""
    return re.sub(r'poll = "\d+s"', 'poll = "60s"', Stage.tables(desk))


def live(desk: Office, until: datetime) -> None:
    """The daemon as it is, until then."""
    assert desk.agent is not None
    agent = desk.agent
    agent.stopping.clear()
    threads = len(agent.sources) + len(agent.webhooks) + 2 + 5 * len(agent.targets)
    with patch.object(agent, "clock", Turns(desk, threads, until)):
        Daemon(agent, desk.folder / "of-the-day").run()
    assert desk.clock.now() >= until


def day(control: Control, begin: datetime) -> list[dict[str, Any]]:
    """All calls from then on, logins too."""
    return [call for call in control.calls() if datetime.fromisoformat(call["at"]) >= begin]


def shape(call: dict[str, Any]) -> str:
    """What was called, without ids."""
    return f"{call['method']} {call['path']}"


@pytest.mark.slow
def test_an_idle_day_costs_at_most_1440_calls_a_system(tmp_path: Path) -> None:
    """Logins, catalogues, describes, sweeps and read-backs counted in; the hour of the connectors goes with the day."""
    with patch.object(Office, "tables", by_the_minute), office(tmp_path) as desk:
        assert desk.agent is not None
        assert set(desk.agent.settings.polls.values()) == {60.0}
        epoch = desk.clock.now()
        seconds = lambda: (desk.clock.now() - epoch).total_seconds()  # noqa: E731
        with (
            patch("syncagent.connectors.salesforce.org.monotonic", seconds),
            patch("syncagent.connectors.marketo.wire.monotonic", seconds),
        ):
            desk.ask(3)
            live(desk, epoch + WARM + timedelta(days=1))
        assert len(desk.tasks()) == 3
        told = {
            name: Counter(shape(call) for call in day(control, epoch + WARM)) for name, control in desk.controls.items()
        }
        assert all(1000 < made.total() <= MOST for made in told.values()), told
