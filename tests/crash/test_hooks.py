"""A process under load is killed again and again: whatever was answered with 2xx is there afterwards, and once."""

import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from syncagent.state import open_store
from tests.story.theatre import CONFIG

SECRET = "a-token-for-the-crash-test"
DOOR = """
[agent]
listen = "127.0.0.1:0"
timezone = "UTC"
[sources.site]
type = "webhook"
dialect = "json"
secret = { env = "TEST_HOOK_SECRET" }
[sources.site.mapping]
id = "who"
kind = "event"
key = "key"
"""
LINES = 6
KILLS = 5


class Run:
    """`syncagent run`, and the port that it says it listens on."""

    def __init__(self, folder: Path) -> None:
        environment = {**os.environ, "TEST_HOOK_SECRET": SECRET}
        command = [sys.executable, "-m", "syncagent", "run", "--config", str(folder / "config.toml")]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment)
        assert self.process.stderr is not None
        self.port = 0
        for line in self.process.stderr:
            if found := re.search(rb"Listening on 127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                break
        assert self.port, "It did not start."
        self._log = threading.Thread(target=self.process.stderr.read)
        self._log.start()

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(20)
        self._log.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


class Senders:
    """Posts until the server is gone; `answered` are the keys of what was taken."""

    def __init__(self, port: int, life: int) -> None:
        self.answered: set[str] = set()
        self.refused: list[int] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._post, args=(port, life, line)) for line in range(LINES)]
        for thread in self._threads:
            thread.start()

    def _post(self, port: int, life: int, line: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        number = 0
        try:
            while not self._stop.is_set():
                key = f"{life}.{line}.{number}"
                body = json.dumps({"who": f"p{number % 7}", "event": "page.visited", "key": key})
                connection.request("POST", "/hooks/site", body, {"Authorization": f"Bearer {SECRET}"})
                answer = connection.getresponse()
                answer.read()
                if answer.status == 204:
                    self.answered.add(key)
                else:
                    self.refused.append(answer.status)
                number += 1
        except (OSError, http.client.HTTPException):
            pass  # it was killed: this one has no answer, and is nobody's promise
        finally:
            connection.close()

    def end(self) -> set[str]:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
        assert not self.refused
        return self.answered


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(CONFIG.replace('[agent]\ntimezone = "UTC"\n', DOOR))
    return tmp_path


def test_none_is_lost_after_its_2xx_and_none_counts_twice(folder: Path) -> None:
    dice = random.Random(20260302)
    answered: set[str] = set()
    for life in range(KILLS):
        run = Run(folder)
        senders = Senders(run.port, life)
        time.sleep(0.2 + dice.random() * 0.5)
        assert run.end(signal.SIGKILL) == -signal.SIGKILL
        answered |= senders.end()
    assert len(answered) > 50 * KILLS, "There was no load worth the name."
    run = Run(folder)
    store = open_store(folder / "syncagent.db", read_only=True)
    deadline = time.monotonic() + 60
    while store.health(datetime.now(UTC)).inbox and time.monotonic() < deadline:
        time.sleep(0.05)
    store.close()
    assert run.end(signal.SIGTERM) == 0
    store = open_store(folder / "syncagent.db", read_only=True)
    people = [store.dossier(person) for person in store.people(0, 1000)]
    health = store.health(datetime.now(UTC) + timedelta(seconds=1))
    store.close()
    keys = [done.key for person in people if person for done in person.activities]
    assert health.inbox == {}
    assert not answered - set(keys)
    assert len(keys) == len(set(keys))


def test_a_stop_answers_what_is_under_way_and_loses_nothing(folder: Path) -> None:
    run = Run(folder)
    senders = Senders(run.port, 0)
    time.sleep(0.4)
    assert run.end(signal.SIGTERM) == 0
    answered = senders.end()
    store = open_store(folder / "syncagent.db", read_only=True)
    people = [store.dossier(person) for person in store.people(0, 1000)]
    waiting = {json.loads(post.body)["key"] for post in store.inbox("site", 1 << 30)}
    store.close()
    keys = {done.key for person in people if person for done in person.activities}
    assert answered
    assert not answered - keys - waiting
