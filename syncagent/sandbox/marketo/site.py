"""The vendor as the server sees it: tokens, gate, routes, envelope, compression, planted errors.

Marketo has three planes of errors: HTTP statuses for very little (401 at identity, 413, 414, 404 for files), a 200
whose envelope says success false, and single records skipped inside a success. Source: marketing_automation.md 1.1 to
1.3.
"""

import gzip
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from syncagent.sandbox.clock import SandboxClock
from syncagent.sandbox.marketo import activities, bulk, leads, nurture, story
from syncagent.sandbox.marketo.gate import RefusedError
from syncagent.sandbox.marketo.instance import Handler, Instance, Reply, Request
from syncagent.sandbox.vendor import JSON, Answer, Call, json_answer, write_secret

MAX_BODY = 1_000_000
MAX_URI = 8_192
MIN_GZIP = 1_024
TOKEN_PATH = "/identity/oauth/token"  # noqa: S105 - a path

_ROUTES: list[tuple[str, re.Pattern[str], Handler]] = [
    (method, re.compile(path), handler)
    for module in (activities, leads, nurture, bulk)
    for method, path, handler in module.ROUTES
]


class Marketo:
    """A simulated Marketo Engage subscription (munchkin id 123-ABC-456)."""

    name = "marketo"
    fault_kinds = frozenset({"code", "empty_page"})

    def __init__(self, clock: SandboxClock) -> None:
        self.instance = Instance(clock)
        self._calls = 0

    def answer(self, call: Call) -> Answer:
        """Do the call, whole, now."""
        if call.path.startswith(TOKEN_PATH):
            return self._sign_in(Request.of(call))
        early = _too_large(call)
        if early is not None:
            return early
        site, now = self.instance, self.instance.clock.now()
        self._calls += 1
        try:
            request = self._let_in(call)
            reply = self._dispatch(request, call)
        except RefusedError as error:
            return self._refused(error)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # a body whose parts have other types than documented: "611, all unhandled exceptions"
            return self._refused(RefusedError("611", f"System error: {type(error).__name__} {error}"))
        site.gate.count(now)
        return reply if isinstance(reply, Answer) else _compressed(self._envelope(reply), call)

    def fault(self, kind: str, value: Any, call: Call) -> Answer | None:  # noqa: ANN401 - the vendor's own JSON
        """{"code": "602"}, {"code": {"code": "611", "message": "..", "execute": true}} or {"empty_page": true}."""
        if kind == "empty_page":
            try:
                page = activities.empty_page(self.instance, self._let_in(call))
                return _compressed(self._envelope(page), call)
            except RefusedError as error:
                return self._refused(error)
        wanted = value if isinstance(value, dict) else {"code": value}
        if wanted.get("execute"):
            self.answer(call)
        return self._refused(RefusedError(str(wanted["code"]), wanted.get("message", "")))

    def seed(self, data: dict[str, Any]) -> dict[str, Any]:
        """Put records in; see story.py for the shapes."""
        return story.seed(self.instance, data)

    def dump(self) -> dict[str, Any]:
        """Everything that the instance holds, as it stands."""
        return story.dump(self.instance)

    def act(self, do: str, args: dict[str, Any]) -> dict[str, Any]:
        """Do what a visitor, a marketer or an admin does; see story.py for the acts."""
        return story.act(self.instance, do, args)

    def credentials(self, base_url: str) -> dict[str, str]:
        """The client of the one custom service here."""
        gate = self.instance.gate
        return {
            "base_url": base_url,
            "client_id": gate.client_id,
            "client_secret": gate.client_secret,
            "munchkin_id": "123-ABC-456",
        }

    def config(self, base_url: str, folder: Path) -> str:
        """The `[sources.marketo]` table."""
        gate = self.instance.gate
        paths = {
            name: write_secret(folder, f"marketo_{name}", text)
            for name, text in (("client_id", gate.client_id), ("client_secret", gate.client_secret))
        }
        listed = ", ".join(f'"{theirs}" = "{ours}"' for theirs, ours in _ACTIVITIES.items())
        secrets = "".join(
            f"{name} = {{ file = {msgspec.json.encode(str(path)).decode()} }}\n" for name, path in paths.items()
        )
        head = f'[sources.marketo]\ntype = "marketo"\nbase_url = "{base_url}"\n'
        return f'{head}{secrets}poll = "1s"\nactivities = {{ {listed} }}\n'

    def _sign_in(self, request: Request) -> Answer:
        headers = {"Cache-Control": "no-store"}
        if request.one("grant_type", "client_credentials") != "client_credentials":
            told = {
                "error": "unsupported_grant_type",
                "error_description": f"Unsupported grant type: {request.one('grant_type')}",
            }
            return json_answer(told, 400, headers=headers, cost=0)
        client, secret = request.one("client_id"), request.one("client_secret")
        found = self.instance.gate.sign_in(client, secret, self.instance.clock.now())
        if found is not None:
            return json_answer(found, headers=headers, cost=0)
        if client == self.instance.gate.client_id:
            told = {"error": "unauthorized", "error_description": "Bad client credentials"}
        else:
            told = {"error": "invalid_client", "error_description": f"No client with requested id: {client}"}
        return json_answer(told, 401, headers=headers, cost=0)

    def _let_in(self, call: Call) -> Request:
        site, now = self.instance, self.instance.clock.now()
        site.feed.commit(site.now)
        request = Request.of(call)
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            token = request.one("access_token") if site.gate.query_token else ""
        site.gate.check_token(token.strip(), now)
        site.gate.check_limits(now, call.in_flight)
        return request

    def _dispatch(self, request: Request, call: Call) -> Reply:
        if "range" in call.headers:
            request.params["\0range"] = [call.headers["range"]]
        known = False
        for method, path, handler in _ROUTES:
            found = path.fullmatch(request.path)
            if found:
                known = True
                if method == request.method:
                    return handler(self.instance, request, list(found.groups()))
        raise RefusedError("605" if known else "610")

    def _request_id(self) -> str:
        # after the # stands the server's clock in milliseconds: undocumented, and so in every recording
        milliseconds = int(self.instance.clock.now().timestamp() * 1000)
        return f"{self._calls * 2654435761 % 0xFFFFF:x}#{milliseconds:x}"

    def _envelope(self, reply: dict[str, Any] | bytes) -> bytes:
        members = msgspec.json.encode(reply)[1:-1] if isinstance(reply, dict) else reply
        return b'{"requestId":"%b","success":true%b%b}' % (
            self._request_id().encode(),
            b"," if members else b"",
            members,
        )

    def _refused(self, error: RefusedError) -> Answer:
        self.instance.gate.count_error(error.code, self.instance.clock.now())
        told = {
            "requestId": self._request_id(),
            "success": False,
            "errors": [{"code": error.code, "message": error.message}],
        }
        return json_answer(told, cost=0)


_ACTIVITIES = {
    "Fill Out Form": "form.submitted",
    "Visit Webpage": "page.visited",
    "Click Link": "link.clicked",
    "Open Email": "email.opened",
    "Click Email": "email.clicked",
    "Unsubscribe Email": "email.unsubscribed",
}


def _too_large(call: Call) -> Answer | None:
    if len(call.body) > MAX_BODY:
        return Answer(413, b"Request Entity Too Large", {"Content-Type": "text/plain"}, 0)
    if len(call.raw_path or call.path) + len(urlencode(call.query)) + 1 > MAX_URI:
        return Answer(414, b"Request-URI Too Long", {"Content-Type": "text/plain"}, 0)
    return None


def _compressed(body: bytes, call: Call) -> Answer:
    headers = {"Content-Type": JSON}
    if len(body) >= MIN_GZIP and "gzip" in call.headers.get("accept-encoding", ""):
        return Answer(200, gzip.compress(body, 1, mtime=0), headers | {"Content-Encoding": "gzip"})
    return Answer(200, body, headers)
