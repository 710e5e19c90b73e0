"""A sandbox org over real HTTP, and a connector that speaks to it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from syncagent.clock import SystemClock
from syncagent.connectors import salesforce
from syncagent.connectors.salesforce import Options, Salesforce
from syncagent.errors import RetryableError
from syncagent.model import CreateTask, Done, Identity, Refused, WriteLead
from syncagent.sandbox import Control, Sandbox

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FIELDS = {
    "score": "Lead_Score__c",
    "grade": "Lead_Grade__c",
    "stage_date": "MQL_Date__c",
    "recycle_until": "Recycle_Until__c",
}


class BoxClock(SystemClock):
    """The machine that the connector runs on goes by the sandbox's time."""

    def __init__(self, control: Control) -> None:
        self.now = control.clock


class Org:
    """One org for one test: `crm` is the connector, `act` what people do, `made` the tasks that stand."""

    def __init__(self, box: Sandbox, folder: Path) -> None:
        self.control = Control(box.url("salesforce"))
        self.known = box.credentials("salesforce")
        key = folder / "key.pem"
        key.write_text(self.known["private_key"])
        self.url = self.known["login_url"]
        self.table = {
            "login_url": self.url,
            "client_id": self.known["client_id"],
            "username": self.known["username"],
            "private_key": {"file": str(key)},
            "fields": FIELDS,
            "contact_fields": {"status": "Contact_Status__c"},
        }
        self.control.clock_set(NOON)
        self.waits: list[float] = []
        self.open: list[Salesforce] = []
        self.crm = self.connect()
        self.rep = self.known["rep_user_id"]

    def connect(self, **more: object) -> Salesforce:
        """A connector with these options on top; a fresh one knows nothing of earlier calls."""
        options = msgspec.convert({**self.table, **more}, Options)
        crm = salesforce.open(
            "salesforce",
            options,
            clock=BoxClock(self.control),
            sleep=lambda seconds: bool(self.waits.append(seconds)),
        )
        self.open.append(crm)
        return crm

    def close(self) -> None:
        for crm in self.open:
            crm.close()
        self.control.close()

    def act(self, do: str, **args: object) -> dict:
        return self.control.act(do, **args)

    def leads(self, count: int, **fields: object) -> list[Identity]:
        rows = [
            {
                "LastName": f"Person {n}",
                "Company": "Example",
                "Email": f"person{n}@example.com",
                "Status": "Open - Not Contacted",
                "OwnerId": self.known["integration_user_id"],
                **fields,
            }
            for n in range(count)
        ]
        return [Identity("salesforce", "Lead", one) for one in self.control.seed(leads=rows)["leads"]]

    def row(self, identity: Identity | str) -> dict:
        return self.act("get", id=identity if isinstance(identity, str) else identity.id)

    def rows(self, kind: str) -> list[dict]:
        return self.control.dump()["objects"][kind]

    def tasks(self) -> list[dict]:
        return [row for row in self.rows("Task") if row.get("SyncAgent_Key__c")]

    def cost(self) -> int:
        return self.control.quota()["cost"]

    def write(self, lead: Identity | None, key: str = "e1:1.1:write", **more) -> WriteLead:
        values = {
            "status": "Sales Ready",
            "owner": self.rep,
            "score": 72.0,
            "grade": "A1",
            "stage_date": "2026-11-23T12:00:00+00:00",
        }
        given = {"values": values, "expects": {"status": "Open - Not Contacted"}, "revision": 1, **more}
        return WriteLead(key=key, target="salesforce", person=1, record=lead, **given)

    def task(self, lead: Identity | None, key: str = "e1:1.1:task", **more) -> CreateTask:
        given = {
            "owner": self.rep,
            "subject": "Call Ann",
            "body": "Asked for a demo.",
            "due": NOON + timedelta(hours=1),
            **more,
        }
        return CreateTask(key=key, target="salesforce", person=1, record=lead, **given)


def again(command):
    """The same command, tried once more."""
    return msgspec.structs.replace(command, attempt=command.attempt + 1)


def both(org, lead):
    return [org.write(lead), org.task(lead, depends_on=("e1:1.1:write",))]


def until_done(org, batch, crm=None, rounds=6):
    """As the agent does: what has no outcome or a `Retry` comes again, with one attempt more."""
    outcomes, errors = {}, []
    for _ in range(rounds):
        todo = [command for command in batch if not isinstance(outcomes.get(command.key), Done | Refused)]
        if not todo:
            break
        try:
            for key, outcome in (crm or org.crm).apply(todo):
                outcomes[key] = outcome
        except RetryableError as error:
            errors.append(error)
        batch = [again(command) if command in todo else command for command in batch]
    return outcomes, errors


def stands(org, lead):
    """One handoff is in the CRM, once."""
    row = org.row(lead)
    assert (row["Status"], row["OwnerId"], row["Lead_Score__c"]) == ("Sales Ready", org.rep, 72.0)
    assert len(org.tasks()) == 1
    assert org.tasks()[0]["WhoId"] == lead.id
