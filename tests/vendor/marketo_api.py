"""A bare caller of the simulated Marketo, for the tests that look at its answers as they are."""

from datetime import UTC, datetime, timedelta
from typing import Any

import requests

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class Api:
    """A bare caller: what comes back is shown as it is."""

    def __init__(self, url: str, credentials: dict[str, str]) -> None:
        self.url, self.credentials = url, credentials
        self.session = requests.Session()

    def sign_in(self, **change: str) -> requests.Response:
        keys = {name: self.credentials[name] for name in ("client_id", "client_secret")}
        asked = {"grant_type": "client_credentials", **keys, **change}
        return self.session.get(f"{self.url}/identity/oauth/token", params=asked)

    def use_token(self) -> None:
        self.session.headers["Authorization"] = "Bearer " + self.sign_in().json()["access_token"]

    def raw(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, self.url + path, **options)

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        answer = self.raw("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, **params: Any) -> dict[str, Any]:
        answer = self.raw("POST", path, params=params, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def mint(self, since: datetime = NOON - timedelta(days=1)) -> str:
        return self.get("/rest/v1/activities/pagingtoken.json", sinceDatetime=since.isoformat())["nextPageToken"]

    def page(self, token: str, types: str = "1,2", **params: Any) -> dict[str, Any]:
        return self.get("/rest/v1/activities.json", nextPageToken=token, activityTypeIds=types, **params)

    def pull(self, token: str, types: str = "1,2", **params: Any) -> tuple[list[dict[str, Any]], str]:
        found: list[dict[str, Any]] = []
        while True:
            page = self.page(token, types, **params)
            found += page.get("result", [])
            assert page["nextPageToken"] != token or not page["moreResult"], "a page that does not move on"
            token = page["nextPageToken"]
            if not page["moreResult"]:
                return found, token

    def guids(self, token: str, types: str = "1,2") -> list[str]:
        return [row["marketoGUID"] for row in self.pull(token, types)[0]]


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def ago(**span: float) -> str:
    return iso(NOON - timedelta(**span))


def code(answer: dict[str, Any]) -> str:
    assert answer["success"] is False
    return answer["errors"][0]["code"]
