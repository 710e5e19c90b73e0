"""A simulated org for a test: the server, its control API, an unmodified simple-salesforce, and bare HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce

from syncagent.sandbox import Control, Sandbox

VERSION = "v60.0"


class Redirecting(HTTPAdapter):
    """Takes every https call to the local server: simple-salesforce knows only https (crm.md A19)."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._to = urlsplit(base_url)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.url = urlsplit(request.url)._replace(scheme=self._to.scheme, netloc=self._to.netloc).geturl()
        kwargs["timeout"] = kwargs.get("timeout") or 10
        return super().send(request, *args, **kwargs)


@dataclass
class Org:
    """What a test holds in its hands."""

    box: Sandbox
    url: str
    control: Control
    known: dict[str, str]
    session: requests.Session
    sf: Salesforce

    def call(self, method: str, path: str, json: Any = None, timeout: float = 10, **headers: str) -> requests.Response:
        """A bare call of a path below /services/data/v60.0; `If_Match` is sent as If-Match."""
        sent = {"Authorization": f"Bearer {self.known['session_id']}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{self.url}/services/data/{VERSION}/{path}"
        return self.session.request(method, url, json=json, headers=sent, timeout=timeout)

    def lead(self, **fields: Any) -> str:
        """The id of a new lead, seeded."""
        return self.control.seed(leads=[{"LastName": "Doe", "Company": "Acme", **fields}])["leads"][0]

    def row(self, ident: str) -> dict[str, Any]:
        """A row as it stands."""
        return self.control.act("get", id=ident)

    def collect(self, method: str, records: list[dict[str, Any]], path: str = "", **more: Any) -> list[dict[str, Any]]:
        """A collections call through simple-salesforce; `kind` is the records' type."""
        kind = more.pop("kind", "Lead")
        body = {"records": [{"attributes": {"type": kind}, **record} for record in records], **more}
        return self.sf.restful("composite/sobjects" + path, method=method, json=body)


@contextmanager
def serve_org() -> Iterator[Org]:
    """An org that lives as long as the block."""
    with Sandbox(["salesforce"]) as box, requests.Session() as session:
        url, known = box.url("salesforce"), box.credentials("salesforce")
        session.mount("https://", Redirecting(url))
        with Control(url) as control:
            sf = Salesforce(
                session_id=known["session_id"],
                instance_url="https://org.my.salesforce.com",
                session=session,
                version="60.0",
            )
            yield Org(box, url, control, known, session, sf)
