"""A disk that is really full behind a running agent: nobody is promised anything, and nothing promised is lost."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGTERM

import pytest

from syncagent.state import open_store
from tests.crash.test_hooks import DOOR, SECRET, Run
from tests.story.theatre import CONFIG
from tests.web.doors import Client

ROOM = 8 << 20
SLACK = 400_000
"""More than the rows that come and go leave free inside the files."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes, of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid():
        pytest.skip("Only root may mount the small file system that this test fills.")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("A tmpfs cannot be mounted here (a container without that right).")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> None:
    """Until nothing at all fits any more."""
    with (place / "filler").open("ab", buffering=0) as filler:
        for size in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while filler.write(b"\0" * size):
                    pass


def post(client: Client, key: str, size: int = 100) -> int:
    body = {"who": f"p{key}", "event": "page.visited", "key": key, "rest": "x" * size}
    return client.ask(body=body, Authorization=f"Bearer {SECRET}")[0]


def inbox(state: Path) -> dict[str, int]:
    store = open_store(state, read_only=True)
    try:
        return dict(store.health(datetime.now(UTC)).inbox)
    finally:
        store.close()


def test_while_the_disk_is_full_everybody_is_told_503_and_nothing_acknowledged_is_lost(
    tmp_path: Path, disk: Path
) -> None:
    text = CONFIG.replace('[agent]\ntimezone = "UTC"\n', DOOR.replace("[agent]", f'[agent]\nstate = "{disk}/state.db"'))
    (tmp_path / "config.toml").write_text(text)
    run = Run(tmp_path)
    client = Client(run.port)
    answers: dict[str, int] = {}
    for number in range(20):
        answers[f"before{number}"] = post(client, f"before{number}")
    assert set(answers.values()) == {204}
    fill(disk)
    deadline = time.monotonic() + 20
    while 503 not in answers.values() and time.monotonic() < deadline:
        fill(disk)  # the ballast's room too
        key = f"filling{len(answers)}"
        answers[key] = post(client, key, size=SLACK)  # what the log has room for is kept
    assert 503 in answers.values(), "It never became full."
    full = []
    for number in range(30):
        fill(disk)
        full.append(post(client, f"full{number}", size=SLACK))
        assert client.headers["retry-after"]
    assert set(full) == {503}, full
    answers |= {f"full{number}": status for number, status in enumerate(full)}
    (disk / "filler").unlink()
    deadline = time.monotonic() + 20
    while (status := post(client, "after")) != 204 and time.monotonic() < deadline:
        assert status == 503
    answers["after"] = status
    assert status == 204, "It did not go on by itself."
    deadline = time.monotonic() + 30
    while inbox(disk / "state.db") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert inbox(disk / "state.db") == {}
    client.close()
    assert run.end(SIGTERM) == 0
    store = open_store(disk / "state.db", read_only=True)
    people = [store.dossier(person) for person in store.people(0, 1000)]
    store.close()
    keys = [done.key for person in people if person for done in person.activities]
    assert len(keys) == len(set(keys))
    assert {key for key, status in answers.items() if status == 204} <= set(keys), "What was acknowledged is there."
    assert not {key for key, status in answers.items() if status == 503} & set(keys), "What was refused is not."
