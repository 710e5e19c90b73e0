"""The daemon as a service against the sandbox, as its own processes over real HTTP."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from syncagent.sandbox import Control
from tests.cli.test_daemon_process import until

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


class Service:
    """A sandbox process and what speaks to it; agents are started and stopped by the test."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "sandbox.toml"
        self.log = folder / "log.jsonl"
        command = ["sandbox", "marketo", "salesforce", "--json", "--write-config", str(self.config)]
        self.box = self._start(command, stdout=subprocess.PIPE)
        assert self.box.stdout is not None
        places = json.loads(self.box.stdout.readline())
        self.marketo = Control(places["marketo"]["base_url"])
        self.salesforce = Control(places["salesforce"]["base_url"])
        self.agents: list[subprocess.Popen[str]] = []

    def _start(self, command: list[str], **more: Any) -> "subprocess.Popen[str]":
        return subprocess.Popen([sys.executable, "-m", "syncagent", *command], text=True, env=ENVIRONMENT, **more)

    def agent(self) -> "subprocess.Popen[str]":
        with self.log.open("a") as log:
            started = self._start(["run", "--config", str(self.config), "--log-format", "json"], stderr=log)
        self.agents.append(started)
        return started

    def syncagent(self, *args: str) -> str:
        command = [sys.executable, "-m", "syncagent", *args, "--config", str(self.config)]
        return subprocess.run(command, text=True, capture_output=True, env=ENVIRONMENT, check=True).stdout

    def comes(self, name: str) -> None:
        email = f"{name}@acme.example"
        self.marketo.act(
            "new_lead", email=email, firstName=name.title(), lastName="Test", title="Director", country="Germany"
        )
        self.marketo.act("fill_form", email=email, form="demo-request")

    def tasks(self) -> list[dict[str, Any]]:
        return [task for task in self.salesforce.dump()["objects"]["Task"] if task.get("SyncAgent_Key__c")]

    def close(self) -> None:
        self.marketo.close()
        self.salesforce.close()
        for agent in self.agents:
            if agent.poll() is None:
                agent.kill()
            agent.wait()
        self.box.terminate()
        self.box.wait()
        assert self.box.stdout is not None
        self.box.stdout.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    it = Service(tmp_path)
    yield it
    it.close()


def started(service: Service) -> bool:
    return service.log.exists() and "The agent runs" in service.log.read_text()


def test_check_says_ready_and_a_form_becomes_a_task(service: Service) -> None:
    assert "Ready." in service.syncagent("check")
    agent = service.agent()
    assert until(lambda: started(service))
    assert until(lambda: len(json.loads(service.syncagent("status", "--json"))["seen_until"]) == 2)
    service.comes("mia")
    assert until(lambda: len(service.tasks()) == 1), service.log.read_text()
    assert "mia@" not in service.log.read_text()
    told = service.log.read_text() + service.syncagent("status") + service.syncagent("explain", "mia@acme.example")
    assert "BEGIN" not in told
    assert "Bearer" not in told
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(10) == 0


def test_a_stop_in_the_middle_of_a_slow_call_is_heard_and_nothing_is_doubled(service: Service) -> None:
    agent = service.agent()
    assert until(lambda: started(service))
    assert until(lambda: len(json.loads(service.syncagent("status", "--json"))["seen_until"]) == 2)
    fault = service.salesforce.plant(match={"method": "POST", "path": "composite/sobjects"}, delay=25.0)
    service.comes("mia")
    assert until(lambda: any(one["id"] == fault and one["struck"] for one in service.salesforce.faults()))
    began = time.monotonic()
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(15) == 0
    assert time.monotonic() - began < 10
    service.salesforce.clear_faults()
    service.agent()
    assert until(lambda: len(service.tasks()) == 1), service.log.read_text()
    time.sleep(1)
    assert len(service.tasks()) == 1
    leads = [lead for lead in service.salesforce.dump()["objects"]["Lead"] if not lead["IsDeleted"]]
    assert len(leads) == 1
