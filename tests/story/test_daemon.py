"""The daemon's threads on real time: facts find their way by themselves, a stop is heard, a full disk is survived."""

import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from msgspec import structs

from syncagent.agent import daemon
from syncagent.agent.daemon import Daemon
from syncagent.clock import SystemClock
from syncagent.compose import compose
from syncagent.config import parse
from syncagent.connectors.memory import Memory, Options
from syncagent.model import Activity, Identity, Lead
from syncagent.state import open_store
from tests.story.theatre import CONFIG


class Running:
    """A daemon in threads, between two memory systems, on real time."""

    def __init__(self, folder: Path) -> None:
        self.clock = SystemClock()
        self.web, self.crm = Memory("web", Options()), Memory("crm", Options())
        self.agent = compose(
            parse(CONFIG, folder), open_store(folder / "state.db"), systems={"web": self.web, "crm": self.crm}
        )
        self.agent.settings = structs.replace(self.agent.settings, polls={"web": 0.05, "crm": 0.05}, poll_fast=0.05)
        self._thread = threading.Thread(target=Daemon(self.agent, folder / "state.db").run)
        self._thread.start()

    def comes(self, name: str) -> None:
        who = Identity("web", "lead", name)
        now = self.clock.now()
        self.web.feed([Lead(who, now, {"title": "Director", "last_name": name}, (f"{name}@example.com",))])
        self.web.feed([Activity(who, f"k-{name}", now, "form.submitted", "demo-request")])

    def tasks(self) -> int:
        return len(self.crm.tasks)

    def stop(self) -> float:
        began = time.monotonic()
        self.agent.stopping.set()
        self._thread.join(12)
        assert not self._thread.is_alive()
        self.agent.store.close()
        return time.monotonic() - began


@contextmanager
def running(folder: Path) -> Iterator[Running]:
    agent = Running(folder)
    try:
        yield agent
    finally:
        if agent._thread.is_alive():
            agent.stop()


def until(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_facts_find_their_way_by_themselves_and_a_stop_is_heard(tmp_path: Path) -> None:
    with running(tmp_path) as it:
        for number in range(20):
            it.comes(f"p{number}")
        assert until(lambda: it.tasks() == 20)
        assert it.stop() < 10
        assert it.tasks() == 20


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    place = folder / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("Mounting a small disk needs root.")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True).returncode:
        pytest.skip("A tmpfs cannot be mounted here.")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=False, capture_output=True)


def test_a_full_disk_stops_acknowledging_says_so_and_goes_on_by_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "FULL_AGAIN", 0.1)
    with small_disk(tmp_path) as disk, caplog.at_level(logging.INFO, logger="syncagent"), running(disk) as it:
        it.comes("before")
        assert until(lambda: it.tasks() == 1)
        junk = disk / "junk"
        with junk.open("wb", buffering=0) as out, suppress(OSError):
            while True:
                out.write(b"x" * 4096)
        for number in range(3000):  # more than any slack in the files can hold
            it.comes(f"p{number}")
        assert until(lambda: "The disk that holds the state is full" in caplog.text)
        known = it.agent.store.health(it.clock.now()).people
        assert known < 3001
        junk.unlink()
        assert until(lambda: it.agent.store.health(it.clock.now()).people == 3001, 40)
        assert until(lambda: it.tasks() > 1, 40)
        assert "There is room on the disk again" in caplog.text
        assert not it.agent.store.health(it.clock.now()).disk_full
