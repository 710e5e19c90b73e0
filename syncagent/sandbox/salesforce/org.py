"""The simulated Salesforce: its HTTP front, quota, faults, credentials and config.

Own fault kinds (see faults.py for the frame); they strike only calls under /services/data/ unless `match.path` says
otherwise:

    {"expire_session": true}    the session of the call ends: 401 INVALID_SESSION_ID. With `times: 2` the retry with
                                the fresh token fails, too
    {"daily_limit": true}       403 REQUEST_LIMIT_EXCEEDED "TotalRequests Limit exceeded."
    {"concurrent_limit": true}  403 with the same code "ConcurrentRequests (Concurrent API Requests) Limit exceeded."

A real shortage: the setting `daily_limit`, or the act `use_quota`. Lasting conditions (rules, locks, hidden fields)
are acts: see acts.py.
"""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from syncagent.sandbox.clock import SandboxClock
from syncagent.sandbox.salesforce import acts, auth, seeding
from syncagent.sandbox.salesforce.batches import Batches
from syncagent.sandbox.salesforce.query import Queries
from syncagent.sandbox.salesforce.rest import VERSIONS, Reply, Request, Rest
from syncagent.sandbox.salesforce.world import RequestError, RowError, World
from syncagent.sandbox.vendor import JSON, Answer, Call, json_answer, write_secret

_DATA: Final = "/services/data"
_DAY: Final = timedelta(hours=24)
_EXPIRED: Final = ("Session expired or invalid", "INVALID_SESSION_ID")
_DAILY: Final = ("TotalRequests Limit exceeded.", "REQUEST_LIMIT_EXCEEDED")
_CONCURRENT: Final = ("ConcurrentRequests (Concurrent API Requests) Limit exceeded.", "REQUEST_LIMIT_EXCEEDED")


class Salesforce:
    """One org."""

    name = "salesforce"
    fault_kinds = frozenset({"expire_session", "daily_limit", "concurrent_limit"})
    fault_path = f"^{_DATA}/"

    def __init__(self, clock: SandboxClock) -> None:
        self.clock = clock
        self.world = World(clock)
        self.known = seeding.found(self.world)
        self.queries = Queries(self.world)
        self.rest = Rest(self.world, self.queries)
        self.rest.remaining = lambda: max(0, self.world.settings.daily_limit - self.used)
        self.batches = Batches(self.world, self.rest)
        self.sessions = auth.Sessions(
            self.world, lambda: self.known["integration_user_id"], lambda: self.known["organization_id"]
        )
        self.used = 0
        self._day_began: datetime = clock.now()
        self._dice = random.Random(7)

    def answer(self, call: Call) -> Answer:
        """Answer one call; only signed-in calls cost quota."""
        path = (call.raw_path or call.path).partition("?")[0]
        base = f"http://{call.headers.get('host', '127.0.0.1')}"
        parts = [unquote(piece) for piece in path.split("/") if piece]
        match parts:
            case ["services", "oauth2", "token"] if call.method == "POST":
                return _answer(self.sessions.token(call.body, dict(call.headers), base), cost=0)
            case ["services", "data"]:
                versions = [{"label": f"v{n}", "url": f"{_DATA}/v{n}.0", "version": f"{n}.0"} for n in VERSIONS]
                return json_answer(versions, cost=0)
            case ["services", "data", _, *_] | ["services", "oauth2", "userinfo" | "revoke"]:
                return self._signed_in(call, parts, base)
            case _:
                return Answer(
                    404, b"<html><body>The page was not found</body></html>", {"Content-Type": "text/html"}, 0
                )

    def _signed_in(self, call: Call, parts: list[str], base: str) -> Answer:
        token = self._token(call)
        user = self.sessions.user(token)
        if user is None:
            return _refused(401, *_EXPIRED)
        if parts[1] == "oauth2":
            if parts[2] == "revoke":
                self.sessions.close(token)
                return Answer(200, cost=0)
            row = self.world.tables["User"].rows[user]
            info = {
                "sub": self.sessions.identity(user, base),
                "user_id": user,
                "preferred_username": row.get("Username"),
            }
            return json_answer({**info, "organization_id": self.known["organization_id"]}, cost=0)
        if not timedelta() <= self.clock.now() - self._day_began < _DAY:  # the clock may have been set back
            self._day_began, self.used = self.clock.now(), 0
        if self.used >= self.world.settings.daily_limit:
            return _refused(403, *_DAILY)
        self.used += 1
        request = Request(call.method, parts[2], parts[3:], dict(call.query), call.headers, user, call.body)
        answer = _answer(self.rest.dispatch(request), cost=1)
        # the count that Salesforce tells lags by a few calls, and not always by the same number (crm.md A11)
        told = max(0, self.used - self._dice.randint(0, self.world.settings.jitter))
        answer.headers["Sforce-Limit-Info"] = f"api-usage={told}/{self.world.settings.daily_limit}"
        return answer

    @staticmethod
    def _token(call: Call) -> str:
        return call.headers.get("authorization", "").partition(" ")[2]

    def fault(self, kind: str, value: Any, call: Call) -> Answer | None:  # noqa: ANN401, ARG002  the frame of all vendors
        """Play one of our own fault kinds."""
        if kind == "expire_session":
            self.sessions.close(self._token(call))
            return _refused(401, *_EXPIRED)
        return _refused(403, *(_DAILY if kind == "daily_limit" else _CONCURRENT))

    def seed(self, data: dict[str, Any]) -> dict[str, Any]:
        """Seed records; the JSON is described in seeding.py."""
        if (key := data.get("settings", {}).get("public_key")) is not None:
            self.sessions.public_key = key
        try:
            return seeding.seed(self.world, data)
        except (RowError, RequestError) as error:
            raise ValueError(f"{error.code}: {error.message}") from error

    def act(self, do: str, args: dict[str, Any]) -> dict[str, Any]:
        """Act as a person or an admin; the JSON is described in acts.py."""
        admin: dict[str, Callable[[], None]] = {
            "expire_sessions": self.sessions.close,
            "expire_locators": self.queries.forget,
            "use_quota": lambda: self._use(int(args["calls"])),
        }
        if do in admin:
            admin[do]()
            return {}
        try:
            return acts.act(self.world, self.known, do, args)
        except (RowError, RequestError) as error:
            raise ValueError(f"{error.code}: {error.message}") from error

    def _use(self, calls: int) -> None:
        self.used += calls

    def dump(self) -> dict[str, Any]:
        """{"objects": {name: [rows, deleted ones too]}, "notifications", "rules", "open_transactions", "api_used"}."""
        return {
            "objects": {name: list(table.rows.values()) for name, table in self.world.tables.items()},
            "notifications": self.world.notifications,
            "rules": self.world.rules,
            "open_transactions": sorted(self.world.transactions),
            "api_used": self.used,
        }

    def credentials(self, base_url: str) -> dict[str, str]:
        """How to sign in, an open session, and the ids of the people and things that every org here has."""
        return {
            "login_url": base_url,
            "instance_url": base_url,
            "client_id": auth.CLIENT_ID,
            "client_secret": auth.CLIENT_SECRET,
            "username": auth.USERNAME,
            "private_key": auth.key_pair()[0],
            "session_id": self.sessions.open(self.known["integration_user_id"]),
            **self.known,
        }

    def config(self, base_url: str, folder: Path) -> str:
        """The [crm] table of a syncagent config that runs against this org; the private key goes into a file."""
        key = msgspec.json.encode(str(write_secret(folder, "salesforce.pem", auth.key_pair()[0]))).decode()
        client = msgspec.json.encode(str(write_secret(folder, "salesforce_client_id", auth.CLIENT_ID))).decode()
        return f"""[crm]
type = "salesforce"
login_url = "{base_url}"
client_id = {{ file = {client} }}
username = "{auth.USERNAME}"
private_key = {{ file = {key} }}
create = "when_missing"
notification_type = "SyncAgent"
poll = "5s"
automation_users = ["{self.known["automation_user_id"]}"]

[crm.fields]
score = "Lead_Score__c"
grade = "Lead_Grade__c"
stage_date = "MQL_Date__c"
insight = "Lead_Insight__c"
recycle_until = "Recycle_Until__c"
recycle_reason = "Recycle_Reason__c"

[crm.queues]
Inbound = "{self.known["queue_id"]}"

[crm.status]
untouched = ["Open - Not Contacted"]
mql = "Sales Ready"
accepted = ["Working - Contacted"]
recycled = ["Recycled"]
disqualified = ["Unqualified"]
"""


def _answer(reply: Reply, cost: int) -> Answer:
    if reply.value is None:
        return Answer(reply.status, b"", reply.headers, cost)
    return Answer(reply.status, msgspec.json.encode(reply.value), {"Content-Type": JSON, **reply.headers}, cost)


def _refused(status: int, message: str, code: str) -> Answer:
    return json_answer([{"message": message, "errorCode": code}], status, cost=0)
