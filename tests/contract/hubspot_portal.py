"""A sandbox portal over real HTTP, and a connector that speaks to it."""

import re
from datetime import UTC, datetime, timedelta

import msgspec

from syncagent.clock import SystemClock
from syncagent.connectors import hubspot
from syncagent.connectors.hubspot import Options
from syncagent.errors import RetryableError
from syncagent.model import CreateTask, Done, Identity, Refused, WriteLead
from syncagent.sandbox import Control, Sandbox

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FIELDS = {
    "score": "lead_score",
    "grade": "lead_grade",
    "stage_date": "mql_date",
    "recycle_until": "recycle_until",
    "recycle_reason": "recycle_reason",
}
STATUSES = ["Open", "MQL", "Working", "Recycled", "Unqualified"]
KEY = {"name": "syncagent_key", "type": "string", "fieldType": "text"}


class BoxClock(SystemClock):
    """The machine that the connector runs on goes by the sandbox's time."""

    def __init__(self, control: Control) -> None:
        self.now = control.clock


class Portal:
    """One portal for one test: `crm` is the connector, `act` what people do. `unique`: whether tasks may have keys."""

    def __init__(self, box: Sandbox, *, unique: bool = True, lag: float = 0.0) -> None:
        self.control = Control(box.url("hubspot"))
        self.known = box.credentials("hubspot")
        self.url = self.known["base_url"]
        self.control.clock_set(NOON)
        self.control.act("set_settings", limits_clock="off", index_lag_min=lag, index_lag_max=lag)
        self.control.act("add_property", object="tasks", **KEY, hasUniqueValue=unique)
        self.control.act("set_options", object="contacts", name="hs_lead_status", values=STATUSES)
        self.waits: list[float] = []
        self.open: list[object] = []
        self.table = {
            "part": "crm",
            "base_url": self.url,
            "access_token": {"command": ["echo", self.known["token"]]},
            "app_id": self.known["app_id"],
            "fields": FIELDS,
            "index_lag": "30s",
            "searches": 0,
        }
        self.crm = self.connect()
        self.rep, self.second = self.known["rep_owner_id"], self.known["second_rep_owner_id"]

    def connect(self, **more: object):
        """A connector with these options on top; a fresh one knows nothing of earlier calls."""
        options = msgspec.convert({**self.table, **more}, Options)
        crm = hubspot.open("hubspot", options, clock=BoxClock(self.control), sleep=self.sleep)
        self.open.append(crm)
        return crm

    def sleep(self, seconds: float) -> bool:
        """Waiting costs the portal's time only."""
        self.waits.append(seconds)
        self.control.clock_advance(seconds)
        return False

    def close(self) -> None:
        for crm in self.open:
            crm.close()
        self.control.close()

    def act(self, do: str, **args: object) -> dict:
        return self.control.act(do, **args)

    def contacts(self, count: int, **values: object) -> list[Identity]:
        rows = [
            {"lastname": f"Person {n}", "email": f"person{n}@example.com", "hs_lead_status": "Open", **values}
            for n in range(count)
        ]
        return [Identity("hubspot", "contact", one) for one in self.control.seed(contacts=rows)["contacts"]]

    def row(self, identity: Identity | str, kind: str = "contacts") -> dict:
        """The properties as they stand."""
        ident = identity if isinstance(identity, str) else identity.id
        return self.act("get", object=kind, id=ident)["properties"]

    def rows(self, kind: str) -> list[dict]:
        return self.control.dump()["objects"][kind]

    def tasks(self) -> list[dict]:
        return [row for row in self.rows("tasks") if row["properties"].get("syncagent_key")]

    def paths(self) -> list[str]:
        """The calls so far, counted or refused, without their queries."""
        return [re.sub(r"\d{4,}", "N", call["path"].partition("?")[0]) for call in self.control.calls()]

    def write(self, contact: Identity | None, key: str = "e1:1.1:write", **more) -> WriteLead:
        values = {
            "status": "MQL",
            "owner": self.rep,
            "score": 72.0,
            "grade": "A1",
            "stage_date": "2026-11-23T12:00:00+00:00",
        }
        given = {"values": values, "expects": {"status": "Open"}, "revision": 1, **more}
        return WriteLead(key=key, target="hubspot", person=1, record=contact, **given)

    def task(self, contact: Identity | None, key: str = "e1:1.1:task", **more) -> CreateTask:
        given = {
            "owner": self.rep,
            "subject": "Call Ann",
            "body": "Asked for a demo.\nLikes <tea> & cake.",
            "due": NOON + timedelta(hours=1),
            **more,
        }
        return CreateTask(key=key, target="hubspot", person=1, record=contact, **given)


def again(command):
    """The same command, tried once more."""
    return msgspec.structs.replace(command, attempt=command.attempt + 1)


def both(portal, contact):
    return [portal.write(contact), portal.task(contact, depends_on=("e1:1.1:write",))]


def until_done(portal, batch, crm=None, rounds=8, wait=0.0):
    """As the agent does: what has no outcome or a `Retry` comes again, with one attempt more; `wait` passes between."""
    outcomes, errors = {}, []
    for _ in range(rounds):
        todo = [command for command in batch if not isinstance(outcomes.get(command.key), Done | Refused)]
        if not todo:
            break
        try:
            for key, outcome in (crm or portal.crm).apply(todo):
                outcomes[key] = outcome
        except RetryableError as error:
            errors.append(error)
        portal.control.clock_advance(wait)
        batch = [again(command) if command in todo else command for command in batch]
    return outcomes, errors


def stands(portal, contact):
    """One handoff is in the CRM, once."""
    row = portal.row(contact)
    assert (row["hs_lead_status"], row["hubspot_owner_id"], float(row["lead_score"])) == ("MQL", portal.rep, 72.0)
    [task] = portal.tasks()
    assert task["associations"]["contacts"] == [contact.id]
