"""What the tests of the listener share: a door, a listener on it, and a plain client."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from syncagent.clock import SystemClock
from syncagent.config import Secret
from syncagent.connectors import webhook
from syncagent.connectors.mapping import Table
from syncagent.web import Limits, Listener

SECRET = "a-long-token"
MAPPING = Table(email="email", kind="kind", at="at", key="key", asset="asset", attributes={"title": "title"})


def door(name: str = "site", **options) -> webhook.Hook:
    given = {"dialect": "json", "secret": Secret(env="TEST_HOOK_SECRET"), "mapping": MAPPING, **options}
    return webhook.open(name, webhook.Options(**given))


@contextmanager
def listening(store, doors=None, *, ring=lambda name: None, limits=None, receive=None) -> Iterator[Listener]:
    doors = {one.name: one for one in doors or [door()]}
    listener = Listener(doors, receive or store.receive, ring, SystemClock(), "127.0.0.1:0", limits or Limits())
    listener.start()
    try:
        yield listener
    finally:
        listener.close()


class Client:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def ask(self, method="POST", path="/hooks/site", body=b"", **headers) -> tuple[int, bytes]:
        if isinstance(body, dict | list):
            body = json.dumps(body).encode()
        given = {
            "Authorization": f"Bearer {SECRET}",
            **{name.replace("_", "-"): text for name, text in headers.items()},
        }
        self.http.request(method, path, body, {name: text for name, text in given.items() if text is not None})
        answer = self.http.getresponse()
        self.headers = answer.headers
        return answer.status, answer.read()

    def close(self) -> None:
        self.http.close()


@pytest.fixture
def secret(monkeypatch):
    monkeypatch.setenv("TEST_HOOK_SECRET", SECRET)
