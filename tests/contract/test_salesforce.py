"""The Salesforce connector keeps every promise of a source and of a CRM, against the sandbox org over real HTTP."""

import itertools
from datetime import timedelta

import pytest

from syncagent.connectors.salesforce.options import LEAD
from syncagent.model import CrmRecord, Identity
from tests.contract.salesforce_org import FIELDS
from tests.contract.source import SourceContract
from tests.contract.target import CrmContract

WRITES = r"/composite/sobjects"
FAULTS = {
    "throttled": {"concurrent_limit": True},
    "quota": {"daily_limit": True},
    "broken": {"html": 503},
    "cut": {"cut": True},
}


class World:
    """The suites' view of the sandbox org."""

    can = frozenset(
        {
            "throttled",
            "quota",
            "broken",
            "cut",
            "credentials",
            "late",
            "merge",
            "delete",
            "lost",
            "unsent",
            "refused",
            "create",
        }
    )
    idle_calls = 1
    sweep = 301

    def __init__(self, org, *, reading):
        self.org = org
        self.reading = reading
        org.control.seed(settings={"page_size": 50})
        self.source = self.target = self.fresh()
        self.secrets = (org.known["client_secret"], org.known["private_key"][40:80], org.known["session_id"])
        self.user, self.other = org.control.seed(users=[{"Name": "Ana"}, {"Name": "Ben"}])["users"]
        self.numbers = itertools.count(1)

    def fresh(self):
        return self.org.connect(overlap="3600s")

    def now(self):
        return self.org.control.clock()

    def advance(self, seconds):
        self.org.control.clock_advance(seconds)

    def happen(self, count, at=None):
        stamp = {} if at is None else {"SystemModstamp": f"{at:%Y-%m-%dT%H:%M:%S.000+0000}"}
        rows = [{"LastName": "P", "Company": "Example", **stamp} for _ in range(count)]
        return set(self.org.control.seed(leads=rows)["leads"])

    def told(self, facts):
        return [fact.identity.id for fact in facts if isinstance(fact, CrmRecord)]

    def plant(self, fault):
        where = {"match": {"path": WRITES}} if not self.reading else {"match": {"path": "/services/data/"}}
        if fault in FAULTS:
            self.org.control.plant(**FAULTS[fault], **where)
        elif fault == "credentials":
            self.org.control.act("deactivate_user", user=self.org.known["integration_user_id"])
            self.org.act("expire_sessions")
        elif fault in ("lost", "unsent"):
            self.org.control.plant(drop="after" if fault == "lost" else "before", match={"path": WRITES})
        elif fault == "refused":
            self.org.act(
                "set_rule", kind="validation", object="Task", field="Subject", matches="^Call 3$", message="No."
            )

    def writes(self):
        return len([call for call in self.org.control.calls() if WRITES in call["path"]])

    def record(self, email="", **fields):
        names = LEAD | FIELDS
        given = {names[name]: value for name, value in {"owner": self.user, "email": email or None, **fields}.items()}
        row = {"LastName": "Person", "Company": "Example", **given}
        return Identity("salesforce", "Lead", self.org.control.seed(leads=[row])["leads"][0])

    def delete(self, identity):
        self.org.act("delete_lead", lead=identity.id)

    def merge(self, winner, loser):
        self.org.act("merge_leads", winner=winner.id, losers=[loser.id])

    def values(self, identity):
        names = LEAD | FIELDS
        row = self.org.row(identity)
        return {ours: row.get(theirs) for ours, theirs in names.items()}

    def find(self, email):
        rows = [row for row in self.org.rows("Lead") if row.get("Email") == email and not row["IsDeleted"]]
        return [Identity("salesforce", "Lead", row["Id"]) for row in rows]

    def tasks(self, key):
        rows = [row for row in self.org.rows("Task") if row.get("SyncAgent_Key__c") == key]
        return [
            {
                "owner": row["OwnerId"],
                "closed": row["IsClosed"],
                "deleted": row["IsDeleted"],
                "record": Identity("salesforce", {"00Q": "Lead", "003": "Contact"}[row["WhoId"][:3]], row["WhoId"]),
            }
            for row in rows
        ]

    def edit(self, identity, **fields):
        names = LEAD | FIELDS
        self.org.act("edit_lead", lead=identity.id, fields={names[name]: value for name, value in fields.items()})

    def _task(self, key):
        [row] = [row for row in self.org.rows("Task") if row.get("SyncAgent_Key__c") == key]
        return row["Id"]

    def complete(self, key):
        self.org.act("complete_task", task=self._task(key))

    def give(self, key, owner):
        self.org.act("reassign_task", task=self._task(key), to=owner)

    def remove(self, key):
        self.org.act("delete_task", task=self._task(key))

    def convert(self, identity):
        return Identity("salesforce", "Contact", self.org.act("convert_lead", lead=identity.id)["contact"])

    def command(self, key, attempt=0):
        number = next(self.numbers)
        return self.org.task(
            self.record(),
            key=key,
            owner=self.user,
            subject=f"Call {number}",
            due=self.now() + timedelta(days=1),
            attempt=attempt,
        )

    def effects(self, key):
        return len(self.tasks(key))


class TestSalesforceSource(SourceContract):
    @pytest.fixture
    def world(self, org):
        return World(org, reading=True)


class TestSalesforceTarget(CrmContract):
    @pytest.fixture
    def world(self, org):
        return World(org, reading=False)
