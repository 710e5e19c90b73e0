"""The HubSpot connector keeps every promise of a source and of a CRM, against the sandbox portal over real HTTP."""

import itertools
from datetime import timedelta

import pytest

from syncagent.connectors.hubspot.options import CONTACT
from syncagent.model import CrmRecord, Identity
from tests.contract.hubspot_portal import FIELDS
from tests.contract.source import SourceContract
from tests.contract.target import CrmContract

WRITES = "/batch/(create|update)"
FAULTS = {
    "throttled": {"rate_limit": "burst"},
    "quota": {"rate_limit": "daily"},
    "broken": {"html": 503},
    "cut": {"cut": True},
}
NAMES = CONTACT | FIELDS


class World:
    """The suites' view of the sandbox portal."""

    can = frozenset(
        {"throttled", "quota", "broken", "cut", "credentials", "late", "merge", "delete", "lost", "unsent", "refused"}
        | {"create"}
    )
    idle_calls = 3  # while the agent asks more often than the config's pace; see test_hubspot_reading for a quiet day
    sweep = 601

    def __init__(self, portal, *, reading):
        self.portal = portal
        self.reading = reading
        self.source = self.target = self.fresh()
        self.secrets = (portal.known["token"], portal.known["client_secret"])
        self.user, self.other = portal.rep, portal.second
        [self.third] = portal.control.seed(owners=[{"email": "third@example.com", "first": "T", "last": "Third"}])[
            "owners"
        ]
        self.numbers = itertools.count(1)

    def fresh(self):
        return self.portal.connect(overlap="3600s")

    def now(self):
        return self.portal.control.clock()

    def advance(self, seconds):
        self.portal.control.clock_advance(seconds)

    def happen(self, count, at=None):
        at = at or self.now()
        stamp = {"lastmodifieddate": at.isoformat(), "createdate": at.isoformat()}
        rows = [{"lastname": "P", **stamp} for _ in range(count)]
        return set(self.portal.control.seed(contacts=rows)["contacts"])

    def told(self, facts):
        return [fact.identity.id for fact in facts if isinstance(fact, CrmRecord)]

    def plant(self, fault):
        where = {"match": {"path": "/crm/"}} if self.reading else {"match": {"path": WRITES}}
        if fault in FAULTS:
            self.portal.control.plant(**FAULTS[fault], **where)
        elif fault == "credentials":
            self.portal.control.plant(expire_token=True)
        elif fault in ("lost", "unsent"):
            self.portal.control.plant(drop="after" if fault == "lost" else "before", match={"path": WRITES})
        elif fault == "refused":
            self.portal.act("archive_owner", owner=self.third)

    def writes(self):
        reads = ("/batch/read", "/search")
        return len(
            [
                call
                for call in self.portal.control.calls()
                if call["method"] != "GET" and not call["path"].partition("?")[0].endswith(reads)
            ]
        )

    def record(self, email="", **fields):
        given = {NAMES[name]: value for name, value in {"owner": self.user, "email": email or None, **fields}.items()}
        row = {"lastname": "Person", **{name: value for name, value in given.items() if value is not None}}
        return Identity("hubspot", "contact", self.portal.control.seed(contacts=[row])["contacts"][0])

    def delete(self, identity):
        self.portal.act("delete", object="contacts", id=identity.id)

    def merge(self, winner, loser):
        self.portal.act("set_settings", merge_id="primary")
        self.portal.act("merge_contacts", primary=winner.id, loser=loser.id)

    def values(self, identity):
        row = self.portal.row(identity)
        return {ours: row.get(theirs) for ours, theirs in NAMES.items()}

    def find(self, email):
        rows = [
            row
            for row in self.portal.rows("contacts")
            if row["properties"].get("email") == email and not row["archived"] and not row["survivor"]
        ]
        return [Identity("hubspot", "contact", row["id"]) for row in rows]

    def tasks(self, key):
        return [
            {
                "owner": row["properties"].get("hubspot_owner_id"),
                "closed": row["properties"]["hs_task_status"] == "COMPLETED",
                "deleted": row["archived"],
                "record": Identity("hubspot", "contact", row["associations"]["contacts"][0]),
            }
            for row in self.portal.tasks()
            if row["properties"]["syncagent_key"] == key
        ]

    def edit(self, identity, **fields):
        values = {NAMES[name]: value for name, value in fields.items()}
        self.portal.act("edit", object="contacts", id=identity.id, values=values)

    def _task(self, key):
        [row] = [row for row in self.portal.tasks() if row["properties"]["syncagent_key"] == key]
        return row["id"]

    def complete(self, key):
        self.portal.act("complete_task", task=self._task(key))

    def give(self, key, owner):
        self.portal.act("reassign_task", task=self._task(key), to=owner)

    def remove(self, key):
        self.portal.act("delete_task", task=self._task(key))

    def convert(self, identity):
        """A contact is not converted: it becomes part of another one."""
        other = self.record()
        made = self.portal.act("merge_contacts", primary=other.id, loser=identity.id)["id"]
        return Identity("hubspot", "contact", made)

    def command(self, key, attempt=0):
        number = next(self.numbers)
        return self.portal.task(
            self.record(),
            key=key,
            owner=self.third if number == 3 else self.user,
            subject=f"Call {number}",
            due=self.now() + timedelta(days=1),
            attempt=attempt,
        )

    def effects(self, key):
        return len(self.tasks(key))


class TestHubSpotSource(SourceContract):
    @pytest.fixture
    def world(self, portal):
        return World(portal, reading=True)


class TestHubSpotTarget(CrmContract):
    @pytest.fixture
    def world(self, portal):
        return World(portal, reading=False)


class PlainWorld(World):
    """What never arrived is looked for twice, a minute apart, before it is sent again: see test_hubspot_tasks."""

    can = World.can - {"unsent"}


class TestHubSpotTargetWithoutUniqueKeys(CrmContract):
    """The portal does not keep our key unique: tasks are looked for before they are sent again."""

    @pytest.fixture
    def world(self, plain_portal):
        return PlainWorld(plain_portal, reading=False)
