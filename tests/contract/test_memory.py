"""The reference connector keeps every promise."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from syncagent.clock import ManualClock
from syncagent.connectors.memory import Memory, Options
from syncagent.errors import ConnectorDownError, RetryableError
from syncagent.model import (
    Activity,
    Alert,
    CloseTask,
    CrmRecord,
    CrmUser,
    Deleted,
    FieldChange,
    Identity,
    Merged,
    Notify,
    Refused,
    WriteLead,
)
from tests.contract.source import SourceContract
from tests.contract.target import CrmContract, carry_out

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


class MemoryWorld:
    secrets = ("nothing-is-secret",)
    can = frozenset({"throttled", "quota", "merge", "delete", "late", "lost", "unsent", "refused", "create"})
    idle_calls = 1
    sweep = 86_400
    user, other = "U1", "U2"

    def __init__(self):
        self.clock = ManualClock(START)
        self.memory = Memory("crm", Options(page_size=50), self.clock.now)
        self.source = self.target = self.memory
        self.memory.feed([CrmUser(Identity("crm", "User", user), user) for user in (self.user, self.other)])
        self._numbers = itertools.count(1)

    def fresh(self):
        return self.memory

    def now(self):
        return self.clock.now()

    def advance(self, seconds):
        self.clock.advance(timedelta(seconds=seconds))

    def happen(self, count, at=None):
        names = [f"A{next(self._numbers)}" for _ in range(count)]
        one = Identity("crm", "lead", "1")
        self.memory.feed(Activity(one, name, at or self.now(), "page.visited") for name in names)
        return set(names)

    def told(self, facts):
        return [fact.key for fact in facts if isinstance(fact, Activity)]

    def plant(self, fault):
        verb = "pull" if fault in ("throttled", "quota") and not self._numbers_of_records() else ""
        how = {"throttled": "unsent", "quota": "down"}.get(fault, fault)
        self.memory.fail_next(how, verb, until=self.now() + timedelta(hours=3))

    def _numbers_of_records(self):
        return len(self.memory.records)

    def writes(self):
        return len(self.memory._log)

    def record(self, email="", **fields):
        identity = Identity("crm", "Lead", f"R{next(self._numbers)}")
        fields = {"owner": self.user, **fields}
        self.memory.feed([CrmRecord(identity, self.now(), self.now(), "U9", fields, (email,) if email else ())])
        return identity

    def delete(self, identity):
        self.memory.delete(identity, "U1", self.now())

    def merge(self, winner, loser):
        self.memory.merge(winner, [loser], "U1", self.now())

    def command(self, key, attempt=0):
        return Alert(
            key=key, target="crm", person=1, record=self.record(status="Open"), to=self.user, subject="Hot", body="Now",
            remind_at=self.now(), attempt=attempt,
        )  # fmt: skip

    def effects(self, key):
        return len(self.tasks(key))

    def values(self, identity):
        return self.memory.records[identity].fields

    def find(self, email):
        return [one for one, record in self.memory.records.items() if email in record.emails]

    def tasks(self, key):
        return [
            {"owner": task.owner, "closed": task.closed, "deleted": task.deleted, "record": task.record}
            for task in self.memory.tasks.values()
            if task.key == key
        ]

    def edit(self, identity, **fields):
        self.memory.edit(identity, "U1", self.now(), **fields)

    def complete(self, key):
        self.memory.complete(self.memory.keys[key], "U1", self.now())

    def give(self, key, owner):
        self.memory.reassign(self.memory.keys[key], owner, "U1", self.now())

    def remove(self, key):
        self.memory.delete(self.memory.keys[key], "U1", self.now())

    def convert(self, identity):
        return self.memory.convert(identity, "U1", self.now())


@pytest.fixture
def world():
    return MemoryWorld()


class TestMemorySource(SourceContract):
    pass


class TestMemoryTarget(CrmContract):
    pass


def test_what_people_do_is_pulled_with_who_did_it_and_when(world):
    record = world.record(status="Open")
    pages = list(world.memory.pull(world.memory.begin(START - timedelta(days=1))))
    later = START + timedelta(hours=2)
    world.memory.edit(record, "U2", later, status="Working")
    [page] = world.memory.pull(pages[-1].cursor)
    assert world.memory.records[record] in page.facts
    [change] = [fact for fact in page.facts if isinstance(fact, FieldChange)]
    assert (change.field, change.old, change.new, change.by, change.at) == ("status", "Open", "Working", "U2", later)


def test_an_edit_that_changes_nothing_tells_nothing(world):
    record = world.record(status="Open")
    before = world.writes()
    world.edit(record, status="Open")
    assert world.writes() == before


def test_looking_at_a_converted_lead_tells_its_contact_and_at_a_merged_one_its_winner(world):
    lead, winner, loser = world.record(status="Open"), world.record(), world.record()
    contact = world.convert(lead)
    world.merge(winner, loser)
    facts = world.memory.look([lead, loser]).facts
    told = {fact.identity: fact for fact in facts if isinstance(fact, CrmRecord)}
    assert told[lead].converted_to == contact
    assert contact in told
    assert winner in told
    assert any(isinstance(fact, Merged) and fact.losers == (loser,) for fact in facts)


def test_a_deleted_record_is_a_conflict_for_a_write(world):
    record = world.record(status="Open")
    world.delete(record)
    assert any(isinstance(fact, Deleted) for fact in world.memory.look([record]).facts)
    write = CrmContract().write(world, "e1/w", record, status="MQL")
    assert carry_out(world.memory, [write])["e1/w"].kind == "conflict"


def test_a_task_that_a_person_has_completed_stays_theirs_when_we_close_it(world):
    suite = CrmContract()
    carry_out(world.memory, [suite.task(world, "e1/t", world.record(status="Open"))])
    world.complete("e1/t")
    close = CloseTask(key="e1/c", target="crm", person=1, task="e1/t", reason="Given to another rep")
    assert carry_out(world.memory, [close])["e1/c"].receipt.adopted
    assert world.memory.tasks[world.memory.keys["e1/t"]].modified_by == "U1"


def test_a_push_whose_answer_was_lost_is_not_sent_again(world):
    push = Notify(key="e1/n", target="crm", person=1, record=None, to=("U1",), title="Hot lead", body="Call now")
    world.plant("lost")
    with pytest.raises(RetryableError):
        list(world.memory.apply([push]))
    again = Notify(key="e1/n", target="crm", person=1, record=None, to=("U1",), title="Hot", body="Now", attempt=1)
    outcome = carry_out(world.memory, [again])["e1/n"]
    assert isinstance(outcome, Refused)
    assert outcome.kind == "unknown"
    assert len(world.memory.notified) == 1


def test_an_inactive_owner_is_refused(world):
    world.memory.feed([CrmUser(Identity("crm", "User", "U3"), "Gone", active=False)])
    task = CrmContract().task(world, "e1/t", world.record(status="Open"), owner="U3")
    assert carry_out(world.memory, [task])["e1/t"].code == "inactive_owner"


def test_a_newer_revision_of_a_created_record_is_written(world):
    def write(revision, status):
        return WriteLead(
            key="e1/w", target="crm", person=1, record=None, revision=revision, emails=("a@example.com",),
            values={"status": status}, create={"last_name": "A"},
        )  # fmt: skip

    carry_out(world.memory, [write(1, "MQL")])
    carry_out(world.memory, [write(2, "Recycled")])
    [made] = world.find("a@example.com")
    assert world.values(made)["status"] == "Recycled"


def test_a_planted_fault_that_is_down_says_until_when(world):
    world.memory.fail_next("down", "look", until=START + timedelta(hours=1), why="maintenance")
    with pytest.raises(ConnectorDownError, match="maintenance") as caught:
        world.memory.look([])
    assert caught.value.until == START + timedelta(hours=1)
