"""A simulated portal for a test: the server, its control API, an unmodified hubspot-api-client, and bare HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from hubspot import HubSpot

from syncagent.sandbox import Control, Sandbox

TASK_TO_CONTACT = 204


@dataclass
class Portal:
    """What a test holds in its hands."""

    box: Sandbox
    url: str
    control: Control
    known: dict[str, str]
    session: requests.Session
    hs: HubSpot

    def call(self, method: str, path: str, json: Any = None, token: str = "", **params: Any) -> requests.Response:
        """A bare call."""
        headers = {"Authorization": f"Bearer {token or self.known['token']}"}
        return self.session.request(method, self.url + path, json=json, params=params, headers=headers, timeout=10)

    def contacts(self, count: int = 1, **values: Any) -> list[str]:
        """The ids of new contacts, seeded."""
        rows = [{"email": f"person{n}@example.com", "lastname": f"Person {n}", **values} for n in range(count)]
        return self.control.seed(contacts=rows)["contacts"]

    def record(self, kind: str, ident: str) -> dict[str, Any]:
        """A record as it stands."""
        return self.control.act("get", object=kind, id=ident)

    def values(self, kind: str, ident: str) -> dict[str, str]:
        """The properties of a record that are set."""
        return self.record(kind, ident)["properties"]

    def search(self, kind: str = "contacts", **body: Any) -> dict[str, Any]:
        """The answer of a search that must succeed."""
        reply = self.call("POST", f"/crm/v3/objects/{kind}/search", body)
        assert reply.status_code == 200, reply.text
        return reply.json()


def task(contact: str | None = None, trace: str | None = None, **properties: Any) -> dict[str, Any]:
    """The input of a task's creation."""
    made: dict[str, Any] = {
        "properties": {"hs_timestamp": "2026-11-22T10:00:00Z", "hs_task_subject": "Call", **properties}
    }
    if contact is not None:
        spec = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": TASK_TO_CONTACT}
        made["associations"] = [{"to": {"id": contact}, "types": [spec]}]
    if trace is not None:
        made["objectWriteTraceId"] = trace
    return made


@contextmanager
def serve_portal() -> Iterator[Portal]:
    """A portal that lives as long as the block; the search limit sleeps."""
    with Sandbox(["hubspot"]) as box, requests.Session() as session, Control(box.url("hubspot")) as control:
        url, known = box.url("hubspot"), box.credentials("hubspot")
        control.act("set_settings", limits_clock="off")
        hs = HubSpot(access_token=known["token"], host=url, client_side_validation=False)
        yield Portal(box, url, control, known, session, hs)
