"""What is worked out beside the agent: in another process, once, kept with its time, and ended with the agent."""

import os
import time
from datetime import UTC, datetime

import pytest

from syncagent.clock import ManualClock
from syncagent.errors import UserError
from syncagent.web import prepared as prepared_module
from syncagent.web.prepared import Prepared

T0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def process_of(text: str) -> tuple[str, int]:
    return text, os.getpid()


def mistaken(_text: str) -> None:
    raise ZeroDivisionError("mia@example.com")


def refused(_text: str) -> None:
    raise UserError("It cannot be cut so.")


def endless(_text: str) -> None:
    time.sleep(600)


def gone(_text: str) -> None:
    os._exit(9)


@pytest.fixture
def clock():
    return ManualClock(T0)


@pytest.fixture
def prepared(clock):
    made = Prepared(clock)
    yield made
    made.close()


def ready(prepared, name, job, fresh=60.0):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = prepared.get(name, fresh, job, name)
        if not found.busy and (found.at is not None):
            return found
        time.sleep(0.02)
    raise AssertionError("It was not ready within a minute.")


def test_it_is_another_process_and_nobody_waits_long_for_it(prepared):
    begun = time.monotonic()
    first = prepared.get("a", 60.0, process_of, "a")
    assert time.monotonic() - begun < 2
    assert first.value is None or first.value[0] == "a"
    text, process = ready(prepared, "a", process_of).value
    assert text == "a"
    assert process != os.getpid()


def test_it_is_kept_while_it_is_fresh_and_made_anew_behind_the_old_one(prepared, clock):
    old = ready(prepared, "a", process_of)
    assert prepared.get("a", 60.0, process_of, "a").value == old.value
    clock.advance(clock.now() - T0 + (clock.now() - T0))
    clock.move_to(T0.replace(hour=10))
    stale = prepared.get("a", 60.0, process_of, "a")
    assert stale.value == old.value
    assert stale.at == T0
    new = ready(prepared, "a", process_of)
    assert new.at == T0.replace(hour=10)
    assert new.value[1] != old.value[1]


def test_failures_are_told_by_kind_and_not_by_what_they_say(prepared):
    assert ready(prepared, "a", mistaken).failed == "ZeroDivisionError while it was worked out."
    assert ready(prepared, "b", refused).failed == "It cannot be cut so."
    assert "ended early" in ready(prepared, "c", gone).failed


def test_a_failure_leaves_the_result_before(prepared, clock):
    old = ready(prepared, "a", process_of)
    clock.move_to(T0.replace(hour=10))
    until = time.monotonic() + 60
    while not (found := prepared.get("a", 60.0, mistaken, "a")).failed and time.monotonic() < until:
        time.sleep(0.02)
    assert found.value == old.value
    assert found.at == T0
    assert "ZeroDivisionError" in found.failed


def test_what_takes_too_long_is_given_up(clock):
    impatient = Prepared(clock, longest=0.5)
    try:
        assert "given up" in ready(impatient, "a", endless).failed
    finally:
        impatient.close()


def test_closing_ends_what_is_under_way_at_once(clock):
    made = Prepared(clock)
    made.get("a", 60.0, endless, "a")
    made.get("b", 60.0, endless, "b")
    until = time.monotonic() + 20
    while made._process is None and time.monotonic() < until:
        time.sleep(0.01)
    begun = time.monotonic()
    made.close()
    assert time.monotonic() - begun < 5
    assert made._process is None
    assert made.get("c", 60.0, process_of, "c").value is None


def test_only_so_many_are_kept_and_wait(prepared, monkeypatch):
    monkeypatch.setattr(prepared_module, "WAITING", 1)
    monkeypatch.setattr(prepared_module, "KEPT", 1)
    prepared.get("a", 60.0, endless, "a")
    assert "come again" in prepared.get("b", 60.0, process_of, "b").failed
