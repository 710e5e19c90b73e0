"""The vendor as the server sees it: sign-in, gate, routes, error envelope, own faults, credentials and config.

Own fault kinds (see faults.py for the frame); they strike only calls of the API unless `match.path` says otherwise:

    {"expire_token": true}        the access token of the call ends: 401 EXPIRED_AUTHENTICATION (a private app's token
                                  answers 401 until the act `revive_token`)
    {"missing_scopes": ["..."]}   403 MISSING_SCOPES
    {"rate_limit": "burst" | "search" | "daily"}   429 with the body of that limit
    {"locked": true}              423; wait at least two seconds
    {"migration": seconds}        477 with Retry-After

A real shortage: the settings `burst_limit`, `search_limit` and `daily_limit`, or the act `use_quota`.
"""

import uuid
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec

from syncagent.sandbox.clock import SandboxClock
from syncagent.sandbox.hubspot import acts, associations, catalog, gate, lists, marketing, objects, seeding
from syncagent.sandbox.hubspot.gate import Gate
from syncagent.sandbox.hubspot.portal import Portal
from syncagent.sandbox.hubspot.refusal import RefusedError, invalid, missing_scopes
from syncagent.sandbox.hubspot.request import Handler, Reply, Request, place
from syncagent.sandbox.hubspot.webhooks import Webhooks
from syncagent.sandbox.vendor import JSON, Answer, Call, json_answer, write_secret

_ACTIVITIES: Final = {
    "form_submission": "form.submitted",
    "page_view": "page.visited",
    "email_open": "email.opened",
    "email_click": "email.clicked",
}
_KEY: Final = "syncagent_key"
_LOCKED: Final = "The record is locked by another operation. Wait two seconds or more and try again."


def _account(portal: Portal, request: Request) -> Reply | None:
    return Reply(200, catalog.details(portal)) if request.parts[1:] == ["details"] else None


_ROUTES: Final[list[tuple[tuple[str, ...], int, Handler]]] = [
    (("crm", "objects"), 3, objects.answer),
    (("crm", "associations"), 4, associations.batch),
    (("crm", "properties"), 3, catalog.properties),
    (("crm", "owners"), 2, catalog.owners),
    (("crm", "pipelines"), 3, catalog.pipelines),
    (("crm", "lists"), 2, lists.answer),
    (("marketing", "forms"), 2, marketing.forms),
    (("form-integrations",), 5, marketing.submissions),
    (("email", "public", "v1"), 4, marketing.emails),
    (("events",), 2, marketing.events),
    (("account-info",), 2, _account),
]


class HubSpot:
    """One portal."""

    name = "hubspot"
    fault_kinds = frozenset({"expire_token", "missing_scopes", "rate_limit", "locked", "migration"})
    fault_path = "^/(?!oauth/)"

    def __init__(self, clock: SandboxClock) -> None:
        self.clock = clock
        self.portal = Portal(clock)
        self.known = seeding.found(self.portal)
        self.gate = Gate(self.portal)
        self.webhooks = Webhooks(self.portal, gate.CLIENT_SECRET)

    def answer(self, call: Call) -> Answer:
        """Answer one call; refused ones cost no quota."""
        if call.path.startswith("/oauth/"):
            return self._oauth(call)
        try:
            path = (call.raw_path or call.path).partition("?")[0]
            oauth = self.gate.check_token(_token(call))
            parts, version = place(path)
            parts = [unquote(piece) for piece in parts]
            headers = self.gate.count(oauth=oauth, search=parts[-1:] == ["search"] and parts[:2] == ["crm", "objects"])
        except RefusedError as error:
            return self._refused(error, cost=0)
        try:
            reply = self._dispatch(Request(call.method, parts, version, call, self.portal.integration()))
        except RefusedError as error:
            return self._refused(error, headers)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            # a body whose parts have other types than documented
            told = invalid(f"Invalid input JSON: {type(error).__name__} {error}")
            return self._refused(told, headers)
        if reply.value is None:
            return Answer(reply.status, b"", headers)
        return Answer(reply.status, msgspec.json.encode(reply.value), {"Content-Type": JSON, **headers})

    def _dispatch(self, request: Request) -> Reply:
        if request.parts[:1] == ["account-info"] and request.parts[1:] == ["api-usage", "daily", "private-apps"]:
            return Reply(200, self.gate.usage())
        if request.parts[:2] == ["crm", "objects"] and request.parts[4:5] == ["associations"]:
            reply = associations.of_object(self.portal, request)
            if reply is not None:
                return reply
        for head, least, handler in _ROUTES:
            if tuple(request.parts[: len(head)]) == head and len(request.parts) >= least:
                reply = handler(self.portal, request)
                if reply is not None:
                    return reply
        raise RefusedError(404, "", f"There is no resource {request.method} {request.call.path}.")

    def _oauth(self, call: Call) -> Answer:
        try:
            parts, _ = place(call.path)
        except RefusedError as error:
            return self._refused(error, cost=0)
        if call.method == "POST" and parts == ["oauth", "token"]:
            form = dict(parse_qsl(call.body.decode("utf-8", "replace")))
            status, told = self.gate.refresh(form)
            return json_answer(told, status, cost=0)
        if call.method == "GET" and parts[1:2] == ["access-tokens"] and len(parts) == 3:
            told = self.gate.describe(parts[2]) or {}
            return json_answer(told or {"status": "error", "message": "Unknown token"}, 200 if told else 404, cost=0)
        if call.method == "POST" and parts == ["oauth", "token", "introspect"]:
            told = self.gate.introspect(dict(parse_qsl(call.body.decode("utf-8", "replace"))))
            return json_answer(told, 200 if "active" in told else 400, cost=0)
        if call.method == "POST" and parts == ["oauth", "private-apps", "get", "access-token-info"]:
            info = self.gate.private_app(call.body)
            return json_answer(info or {"status": "error", "message": "Unknown token"}, 200 if info else 404, cost=0)
        return json_answer({"status": "error", "message": f"There is no {call.path}."}, 404, cost=0)

    def _refused(self, error: RefusedError, headers: dict[str, str] | None = None, cost: int = 1) -> Answer:
        correlation = str(uuid.UUID(int=self.portal.dice.getrandbits(128), version=4))
        whole = {**(headers or {}), **error.headers}
        return json_answer(error.envelope(correlation), error.status, headers=whole, cost=cost)

    def fault(self, kind: str, value: Any, call: Call) -> Answer | None:  # noqa: ANN401  the frame of all vendors
        """Play one of our own fault kinds."""
        if kind == "expire_token":
            self.gate.end(_token(call))
            told = "The OAuth token used to make this call expired 0 second(s) ago."
            return self._refused(RefusedError(401, "EXPIRED_AUTHENTICATION", told), cost=0)
        if kind == "missing_scopes":
            return self._refused(missing_scopes(*value), cost=0)
        if kind == "rate_limit":
            return self._refused(self.gate.refusal(str(value)), cost=0)
        if kind == "locked":
            return self._refused(RefusedError(423, "LOCKED", _LOCKED), cost=0)
        header = {"Retry-After": str(int(value))}
        told = "This portal is being migrated to another data centre."
        return self._refused(RefusedError(477, "MIGRATION_IN_PROGRESS", told, headers=header), cost=0)

    def seed(self, data: dict[str, Any]) -> dict[str, Any]:
        """Seed records; the JSON is described in seeding.py."""
        try:
            return seeding.seed(self.portal, data)
        except RefusedError as error:
            raise ValueError(f"{error.category}: {error.message}") from error

    def act(self, do: str, args: dict[str, Any]) -> dict[str, Any]:
        """Act as a person, as marketing or as an admin; the JSON is described in acts.py."""
        try:
            if do in ("expire_tokens", "revive_token", "use_quota", "set_webhooks"):
                return self._act_on_gate(do, args)
            return acts.act(self.portal, self.known, do, args)
        except RefusedError as error:
            raise ValueError(f"{error.category}: {error.message}") from error

    def _act_on_gate(self, do: str, args: dict[str, Any]) -> dict[str, Any]:
        if do == "expire_tokens":
            self.gate.end()
        elif do == "revive_token":
            self.gate.revive()
        elif do == "set_webhooks":
            self.webhooks.set(args)
        else:
            self.gate.used += int(args["calls"])
        return {}

    def dump(self) -> dict[str, Any]:
        """{"objects": {plural: [records, archived ones too]}, ..., "api_used", "webhooks"}; see seeding.dump."""
        return seeding.dump(self.portal) | {"api_used": self.gate.used, "webhooks": self.webhooks.view()}

    def credentials(self, base_url: str) -> dict[str, str]:
        """How to sign in, and the ids of the people that every portal here has."""
        return {
            "base_url": base_url,
            "token": gate.PRIVATE_TOKEN,
            "client_id": gate.CLIENT_ID,
            "client_secret": gate.CLIENT_SECRET,
            "refresh_token": gate.REFRESH_TOKEN,
            "portal_id": str(self.portal.settings.portal_id),
            "app_id": str(self.portal.settings.app_id),
            **self.known,
        }

    def config(self, base_url: str, folder: Path) -> str:
        """The [crm] table of a syncagent config that runs against this portal; the token goes into a file.

        The portal gets the property on tasks that an admin makes for syncagent's key.
        """
        tasks = self.portal.kinds["tasks"]
        if _KEY not in tasks.properties:
            text = {"label": "syncagent key", "type": "string", "fieldType": "text", "groupName": tasks.group}
            wanted = self.portal.settings.unique_task_properties == "yes"
            catalog.create(self.portal, tasks, {"name": _KEY, **text, "hasUniqueValue": wanted})
        return f"""[crm]
{self._sign_in(base_url, folder)}poll = "5s"
create = "when_missing"

[crm.fields]
score = "lead_score"
grade = "lead_grade"
stage_date = "mql_date"
insight = "lead_insight"
recycle_until = "recycle_until"
recycle_reason = "recycle_reason"

[crm.queues]
Inbound = "{self.known["queue_owner_id"]}"

[crm.status]
untouched = ["NEW"]
mql = "OPEN"
accepted = ["IN_PROGRESS", "ATTEMPTED_TO_CONTACT", "CONNECTED", "OPEN_DEAL"]
recycled = ["BAD_TIMING"]
disqualified = ["UNQUALIFIED"]
"""

    def source_config(self, base_url: str, folder: Path, name: str, *, crm: bool) -> str:
        """The [sources] table, in which no name may be the CRM's; `crm`: this very portal is that, too."""
        secret = _encoded(write_secret(folder, "hubspot_client_secret", gate.CLIENT_SECRET))
        listed = "\n".join(f'{theirs} = "{ours}"' for theirs, ours in _ACTIVITIES.items())
        same = 'crm_ids = { hs_object_id = "hubspot/contact" }\n' if crm else ""
        return f"""[sources.{name}]
{self._sign_in(base_url, folder)}signing_secret = {{ file = {secret} }}
poll = "5s"
{same}
[sources.{name}.activities]
{listed}
"""

    @staticmethod
    def _sign_in(base_url: str, folder: Path) -> str:
        token = _encoded(write_secret(folder, "hubspot_token", gate.PRIVATE_TOKEN))
        return f'type = "hubspot"\nbase_url = "{base_url}"\naccess_token = {{ file = {token} }}\n'


def _encoded(path: Path) -> str:
    return msgspec.json.encode(str(path)).decode()


def _token(call: Call) -> str:
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
