"""The shared part of the sandbox over real HTTP, with a toy vendor:

Serving, control API, clock, ledger, planted faults.
"""

import sys
import time
import types
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from syncagent.sandbox import Control, ControlError, Sandbox
from syncagent.sandbox import server as serving
from syncagent.sandbox.vendor import Answer, Call, json_answer, write_secret


class Counter:
    """Counts its calls: whether a call had an effect shows in `count`."""

    name = "counter"
    fault_kinds = frozenset({"refuse"})

    def __init__(self) -> None:
        self.count = 0

    def answer(self, call: Call) -> Answer:
        self.count += 1
        return json_answer({"count": self.count, "body": call.body.decode(), "padding": "x" * 2000}, cost=2)

    def fault(self, kind: str, value: Any, call: Call) -> Answer | None:
        return json_answer({"refused": value}, 403)

    def seed(self, data: dict[str, Any]) -> dict[str, Any]:
        self.count = data["count"]
        return {"ids": [1]}

    def dump(self) -> dict[str, Any]:
        return {"count": self.count}

    def act(self, do: str, args: dict[str, Any]) -> dict[str, Any]:
        raise LookupError(f"There is no act {do!r}.")

    def credentials(self, base_url: str) -> dict[str, str]:
        return {"token": "t"}

    def config(self, base_url: str, folder: Path) -> str:
        return f'[counter]\nkey = {{ file = "{write_secret(folder, "key", "s")}" }}\n'


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    module = types.ModuleType("syncagent.sandbox.counter")
    module.__dict__["create"] = lambda clock: Counter()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(serving, "KNOWN", ("counter",))
    with Sandbox(["counter"]) as served:
        yield served


@pytest.fixture
def control(box: Sandbox) -> Iterator[Control]:
    with Control(box.url("counter")) as client:
        yield client


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def test_answers_and_writes_down_calls_with_their_cost(box: Sandbox, control: Control, http: requests.Session) -> None:
    for _ in range(3):
        assert http.post(box.url("counter") + "/a/b?c=d", data="hello", timeout=5).json()["body"] == "hello"
    calls = control.calls()
    assert [(call["n"], call["method"], call["path"], call["query"]) for call in calls] == [
        (n, "POST", "/a/b", "c=d") for n in (1, 2, 3)
    ]
    assert {call["status"] for call in calls} == {200}
    assert control.quota() == {"calls": 3, "cost": 6}
    assert [call["n"] for call in control.calls(since=2)] == [3]
    control.clear_calls()
    assert control.calls() == []
    assert control.quota() == {"calls": 0, "cost": 0}


def test_seed_dump_act_and_errors_pass_through(control: Control) -> None:
    assert control.seed(count=7) == {"ids": [1]}
    assert control.dump() == {"count": 7}
    with pytest.raises(ControlError, match="no act 'dance'"):
        control.act("dance")
    with pytest.raises(ControlError, match="exactly one action"):
        control.plant(status=500, drop="after")
    with pytest.raises(ControlError, match="exactly one action"):
        control.plant(explode=True)
    with pytest.raises(ControlError, match="no GET /_sandbox/nothing; it has POST seed, GET dump"):
        control._call("GET", "nothing")


def test_clock_is_set_advanced_real_and_told_in_the_date_header(
    box: Sandbox, control: Control, http: requests.Session
) -> None:
    moment = datetime(2017, 6, 1, 12, tzinfo=UTC)
    control.clock_set(moment)
    control.clock_advance(90)
    assert control.clock() == datetime(2017, 6, 1, 12, 1, 30, tzinfo=UTC)
    reply = http.get(box.url("counter") + "/x", timeout=5)
    assert parsedate_to_datetime(reply.headers["Date"]) == datetime(2017, 6, 1, 12, 1, 30, tzinfo=UTC)
    control.clock_real()
    assert abs((control.clock() - datetime.now(UTC)).total_seconds()) < 5
    control.clock_advance(3600)
    assert abs((control.clock() - datetime.now(UTC)).total_seconds() - 3600) < 5
    with pytest.raises(ControlError, match="no time zone"):
        control.clock_set(datetime(2017, 6, 1))


def test_fault_matches_method_path_body_skips_and_ends(box: Sandbox, control: Control, http: requests.Session) -> None:
    control.plant(
        match={"method": "POST", "path": "/a.*q=1", "body": "bad", "after": 1}, times=2, status=503, body="no"
    )
    url = box.url("counter")
    statuses = [
        http.get(url + "/a?q=1", data="bad", timeout=5).status_code,
        http.post(url + "/b?q=1", data="bad", timeout=5).status_code,
        http.post(url + "/a?q=1", data="good", timeout=5).status_code,
        *(http.post(url + "/a?q=1", data="bad", timeout=5).status_code for _ in range(4)),
    ]
    assert statuses == [200, 200, 200, 200, 503, 503, 200]
    assert control.dump() == {"count": 5}
    assert control.faults()[0]["struck"] == 2
    assert [call["fault"] for call in control.calls()][4:6] == ["status", "status"]
    control.clear_faults()
    assert control.faults() == []


def test_short_forms_execute_and_vendor_kinds(box: Sandbox, control: Control, http: requests.Session) -> None:
    control.plant(empty=500)
    control.plant(html=503, execute=True)
    control.plant(refuse="you")
    first, second, third = (http.get(box.url("counter") + "/", timeout=5) for _ in range(3))
    assert (first.status_code, first.content) == (500, b"")
    assert second.status_code == 503
    assert "<html>" in second.text
    assert (third.status_code, third.json()) == (403, {"refused": "you"})
    assert control.dump() == {"count": 1}
    assert [call["executed"] for call in control.calls()] == [False, True, False]


@pytest.mark.parametrize(("when", "count"), [("before", 0), ("after", 1)])
def test_drop_closes_the_connection_before_or_after_the_effect(
    box: Sandbox, control: Control, http: requests.Session, when: str, count: int
) -> None:
    control.plant(drop=when)
    with pytest.raises(requests.ConnectionError):
        http.post(box.url("counter") + "/", timeout=5)
    assert control.dump() == {"count": count}
    call = control.calls()[-1]
    assert (call["status"], call["executed"], call["fault"]) == (None, bool(count), "drop")
    assert http.post(box.url("counter") + "/", timeout=5).status_code == 200


def test_late_is_executed_after_the_client_has_given_up(box: Sandbox, control: Control, http: requests.Session) -> None:
    control.plant(late=0.5)
    with pytest.raises(requests.Timeout):
        http.post(box.url("counter") + "/", timeout=0.1)
    assert control.dump() == {"count": 0}
    deadline = time.monotonic() + 5
    while control.dump() == {"count": 0} and time.monotonic() < deadline:
        time.sleep(0.02)
    assert control.dump() == {"count": 1}


def test_delay_is_answered_after_all(box: Sandbox, control: Control, http: requests.Session) -> None:
    control.plant(delay=0.2)
    began = time.monotonic()
    assert http.post(box.url("counter") + "/", timeout=5).json()["count"] == 1
    assert time.monotonic() - began >= 0.2


def test_cut_body_is_executed_and_breaks_off(box: Sandbox, control: Control, http: requests.Session) -> None:
    control.plant(cut=True)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        http.post(box.url("counter") + "/", timeout=5)
    assert control.dump() == {"count": 1}


def test_config_keeps_secrets_in_private_files(box: Sandbox, tmp_path: Path) -> None:
    assert str(tmp_path / "key") in box.config(tmp_path)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert box.describe()["counter"]["credentials"] == {"token": "t"}
    assert box.describe()["counter"]["control_url"] == box.url("counter") + "/_sandbox/"


def test_unknown_system_is_named() -> None:
    with pytest.raises(ValueError, match="no simulated 'sugar'"):
        Sandbox(["sugar"])


def test_a_taken_port_is_an_error_and_leaves_nothing_open(box: Sandbox) -> None:
    port = int(box.url("counter").rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        Sandbox(["counter"], {"counter": port}).__enter__()


@pytest.mark.parametrize("fault", [{"late": 30}, {"delay": 30}])
def test_stopping_does_not_wait_for_calls_that_a_fault_holds_back(
    box: Sandbox, control: Control, http: requests.Session, fault: dict[str, int], capfd: pytest.CaptureFixture[str]
) -> None:
    control.plant(**fault)
    with pytest.raises(requests.Timeout):
        http.get(box.url("counter") + "/", timeout=0.1)
    began = time.monotonic()
    box.close()
    assert time.monotonic() - began < 5
    assert capfd.readouterr() == ("", "")
    assert box.vendor("counter").count == 0
