"""Somebody else is called as long as the agent lives, and notices when it does not."""

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from syncagent.agent.daemon import Daemon
from syncagent.agent.heartbeat import Heartbeat
from syncagent.clock import SystemClock
from syncagent.compose import compose
from syncagent.config import parse
from syncagent.errors import ConfigError
from syncagent.serving import heartbeat
from tests.story.theatre import CONFIG, Theatre


class Monitor:
    """A service that is called, and answers what it is told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.answer = 200
        self.heard = threading.Event()
        monitor = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                monitor.calls.append(self.path)
                self.send_response(monitor.answer)
                self.send_header("content-length", "0")
                self.end_headers()
                monitor.heard.set()

            def log_message(self, *_: object) -> None:
                """In silence."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def monitor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Monitor]:
    made = Monitor()
    monkeypatch.setenv("SYNCAGENT_TEST_HEARTBEAT", f"http://127.0.0.1:{made.server.server_port}/ping/secret-name")
    yield made
    made.close()


BEATING = CONFIG + '[heartbeat]\nurl = { env = "SYNCAGENT_TEST_HEARTBEAT" }\nevery = "5s"\n'


def made_of(stage: Theatre) -> Heartbeat:
    made = heartbeat(stage.config)
    assert made is not None and made.every == 5.0
    return made


def test_it_beats_while_what_is_decided_is_stored(tmp_path: Path, monitor: Monitor) -> None:
    with Theatre(tmp_path, BEATING) as stage:
        beat = made_of(stage)
        assert beat(stage.agent) and monitor.calls == ["/ping/secret-name"]
        stage.agent.outages.begin("the agent", "deciding", ValueError("a mistake"))
        assert not beat(stage.agent) and len(monitor.calls) == 1, "an agent that cannot decide is no living one"
        stage.after(minutes=5)
        assert beat(stage.agent)


def test_a_stored_nothing_is_no_life(tmp_path: Path, monitor: Monitor) -> None:
    stage = Theatre(tmp_path, BEATING)
    beat = made_of(stage)
    stage.agent.store.close()
    assert not beat(stage.agent) and monitor.calls == []


def test_who_does_not_hear_it_is_logged_once_without_the_address(
    tmp_path: Path, monitor: Monitor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "syncagent")
    with Theatre(tmp_path, BEATING) as stage:
        beat = made_of(stage)
        monitor.answer = 404
        assert [beat(stage.agent) for _ in range(3)] == [False] * 3
        assert caplog.text.count("The heartbeat was not heard") == 1
        assert "secret-name" not in caplog.text
        monitor.answer = 200
        assert beat(stage.agent) and "heard again" in caplog.text


def test_the_daemon_calls_by_itself(tmp_path: Path, monitor: Monitor) -> None:
    agent = compose(parse(BEATING.replace("[agent]", f'[agent]\nstate = "{tmp_path / "s.db"}"')), clock=SystemClock())
    try:
        running = threading.Thread(target=Daemon(agent, tmp_path / "s.db", heartbeat(parse(BEATING))).run)
        running.start()
        assert monitor.heard.wait(10)
        agent.stopping.set()
        running.join(15)
        assert not running.is_alive()
    finally:
        agent.close()


def test_a_mistake_in_the_config_is_told() -> None:
    with pytest.raises(ConfigError, match=r"heartbeat\.every"):
        parse(BEATING.replace('"5s"', '"1s"'))
    with pytest.raises(ConfigError, match=r"heartbeat\.url"):
        parse(CONFIG + '[heartbeat]\nurl = "http://127.0.0.1"\n')
    assert heartbeat(parse(CONFIG)) is None
