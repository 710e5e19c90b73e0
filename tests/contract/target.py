"""What every target promises, as tests. `TargetContract` is for all, `CrmContract` for CRMs.

A connector's test file brings a `world`, as for the sources (see source.py), with these members:

    target                   the connector
    secrets, can             as for sources
    fresh()                  another connector on the same world
    command(key, attempt=0)  some *once* command that this target knows, about a new record each time
    effects(key)             how often that command has had its effect at the vendor
    plant(fault)             "lost": the next write is executed, its answer never arrives; "unsent": it never arrives
                             there; "throttled", "quota", "credentials": as for sources, for the next write;
                             "refused": the vendor refuses the next single command of a batch

    class TestAcmeTarget(TargetContract): `world` fixture; `CrmContract` if it holds records. A CRM adds:

    record(email="", **fields)    a new record with these fields (our names): its Identity
    values(identity)              its fields now (our names), or None when there is none
    find(email)                   the identities of records with that email
    tasks(key)                    [{"owner", "closed", "deleted", "record"}] of the tasks with that key
    edit(identity, **fields)      a person changes the record
    complete(key), give(key, owner), remove(key)    a person acts on the task with that key
    convert(identity)             a person converts the lead: the contact's Identity
    user, other                   ids of two active users
    now()                         the vendor's own time
"""

from datetime import timedelta

import pytest

from syncagent.connectors.base import Target
from syncagent.errors import ConnectorDownError, RetryableError
from syncagent.model import CloseTask, CreateTask, Done, Refused, Retry, WriteLead


def carry_out(target, batch):
    """The outcomes by key; every key comes once."""
    pairs = list(target.apply(batch))
    keys = [key for key, _ in pairs]
    assert sorted(keys) == sorted(command.key for command in batch)
    return dict(pairs)


def try_once(target, batch):
    """The outcomes that came before a call failed as a whole (a connector may also repeat a safe call by itself)."""
    outcomes = {}
    try:
        for key, outcome in target.apply(batch):
            outcomes[key] = outcome
    except RetryableError:
        return outcomes
    return outcomes


class TargetContract:
    """Subclass it with a `world` fixture: see the top of this file."""

    @staticmethod
    def needs(world, what):
        if what not in world.can:
            pytest.skip(f"This vendor knows no {what!r}.")

    def test_is_a_target(self, world):
        assert isinstance(world.target, Target)
        assert world.target.batch_size > 0
        assert isinstance(world.target.me(), str)

    def test_every_key_has_one_outcome_and_one_effect(self, world):
        batch = [world.command(f"e1/{n}") for n in range(25)]
        outcomes = carry_out(world.target, batch)
        assert all(isinstance(outcome, Done) for outcome in outcomes.values())
        assert all(outcome.receipt.key == key for key, outcome in outcomes.items())
        assert [world.effects(command.key) for command in batch] == [1] * 25

    def test_the_same_key_twice_has_one_effect(self, world):
        command = world.command("e1/1")
        carry_out(world.target, [command])
        again = carry_out(world.fresh(), [type(command)(**{**as_dict(command), "attempt": 1})])
        assert isinstance(again["e1/1"], Done)
        assert world.effects("e1/1") == 1

    def test_a_lost_answer_then_a_repeat_have_one_effect(self, world):
        self.needs(world, "lost")
        command = world.command("e1/1")
        world.plant("lost")
        try_once(world.target, [command])
        assert world.effects("e1/1") == 1
        again = carry_out(world.target, [type(command)(**{**as_dict(command), "attempt": 1})])
        assert isinstance(again["e1/1"], Done)
        assert world.effects("e1/1") == 1

    def test_what_never_arrived_arrives_with_the_repeat(self, world):
        self.needs(world, "unsent")
        command = world.command("e1/1")
        world.plant("unsent")
        arrived = try_once(world.target, [command])
        assert world.effects("e1/1") == len(arrived)
        carry_out(world.target, [type(command)(**{**as_dict(command), "attempt": 1})])
        assert world.effects("e1/1") == 1

    def test_one_bad_command_does_not_harm_the_others(self, world):
        self.needs(world, "refused")
        batch = [world.command(f"e1/{n}") for n in range(5)]
        world.plant("refused")
        outcomes = carry_out(world.target, batch)
        refused = [key for key, outcome in outcomes.items() if isinstance(outcome, Refused)]
        assert len(refused) == 1
        assert outcomes[refused[0]].why
        assert [world.effects(c.key) for c in batch] == [0 if c.key in refused else 1 for c in batch]

    @pytest.mark.parametrize("fault", ["throttled", "quota", "credentials"])
    def test_a_call_that_fails_as_a_whole_raises_what_the_agent_can_use(self, world, fault):
        self.needs(world, fault)
        command = world.command("e1/1")
        world.plant(fault)
        with pytest.raises(RetryableError if fault == "throttled" else ConnectorDownError) as caught:
            list(world.target.apply([command]))
        assert not any(secret in str(caught.value) for secret in world.secrets)
        assert "@" not in str(caught.value)


class CrmContract(TargetContract):
    """For targets that hold records and tasks."""

    def write(self, world, key, record, *, revision=1, **values):
        return WriteLead(key=key, target=world.target.name, person=1, record=record, values=values, revision=revision)

    def task(self, world, key, record=None, *, depends_on=(), owner=None, attempt=0):
        due = world.now() + timedelta(days=1)
        return CreateTask(
            key=key, target=world.target.name, person=1, record=record, owner=owner or world.user,
            subject="Call them", body="They asked.", due=due, depends_on=depends_on, attempt=attempt,
        )  # fmt: skip

    def test_writes_and_tells_what_stands_and_what_stood(self, world):
        record = world.record(status="Open")
        outcome = carry_out(world.target, [self.write(world, "e1/w", record, status="MQL", owner=world.other)])["e1/w"]
        assert world.values(record)["status"] == "MQL"
        assert world.values(record)["owner"] == world.other
        assert outcome.receipt.values["status"] == "MQL"
        assert outcome.receipt.before["status"] == "Open"
        assert outcome.receipt.record == record
        assert outcome.receipt.revision == 1
        assert outcome.receipt.at.utcoffset() == timedelta(0)

    def test_a_field_that_a_person_has_moved_is_a_conflict_and_nothing_is_written(self, world):
        record = world.record(status="Open")
        world.edit(record, status="Working")
        command = WriteLead(
            key="e1/w", target=world.target.name, person=1, record=record, revision=1,
            values={"status": "MQL", "owner": world.other}, expects={"status": "Open"},
        )  # fmt: skip
        outcome = carry_out(world.target, [command])["e1/w"]
        assert isinstance(outcome, Refused)
        assert outcome.kind == "conflict"
        assert world.values(record)["status"] == "Working"
        assert world.values(record)["owner"] != world.other

    def test_our_own_value_is_no_conflict(self, world):
        self.needs(world, "lost")
        record = world.record(status="Open")
        command = WriteLead(
            key="e1/w", target=world.target.name, person=1, record=record, revision=1,
            values={"status": "MQL"}, expects={"status": "Open"},
        )  # fmt: skip
        world.plant("lost")
        try_once(world.target, [command])
        again = WriteLead(**{**as_dict(command), "attempt": 1})
        assert isinstance(carry_out(world.target, [again])["e1/w"], Done)

    def test_a_task_goes_to_the_record_that_was_made_before_it(self, world):
        self.needs(world, "create")
        write = WriteLead(
            key="e1/w", target=world.target.name, person=1, record=None, revision=1, emails=("new@example.com",),
            values={"status": "MQL"}, create={"last_name": "New", "company": "Example"},
        )  # fmt: skip
        outcomes = carry_out(world.target, [self.task(world, "e1/t", depends_on=("e1/w",)), write])
        made = outcomes["e1/w"].receipt.record
        assert world.find("new@example.com") == [made]
        assert world.tasks("e1/t")[0]["record"] == made

    def test_creating_twice_makes_one_record_and_leaves_what_a_person_did(self, world):
        self.needs(world, "create")
        self.needs(world, "lost")
        write = WriteLead(
            key="e1/w", target=world.target.name, person=1, record=None, revision=1, emails=("new@example.com",),
            values={"status": "MQL"}, create={"last_name": "New", "company": "Example"},
        )  # fmt: skip
        world.plant("lost")
        try_once(world.target, [write])
        [made] = world.find("new@example.com")
        world.edit(made, status="Working")
        outcome = carry_out(world.fresh(), [WriteLead(**{**as_dict(write), "attempt": 1})])["e1/w"]
        assert isinstance(outcome, Done | Refused)
        assert world.find("new@example.com") == [made]
        assert world.values(made)["status"] == "Working"

    def test_what_depends_on_a_refusal_is_left_untried(self, world):
        record = world.record(status="Open")
        world.edit(record, status="Working")
        write = WriteLead(
            key="e1/w", target=world.target.name, person=1, record=record, revision=1,
            values={"status": "MQL"}, expects={"status": "Open"},
        )  # fmt: skip
        outcomes = carry_out(world.target, [write, self.task(world, "e1/t", record, depends_on=("e1/w",))])
        assert isinstance(outcomes["e1/t"], Retry)
        assert world.tasks("e1/t") == []

    @pytest.mark.parametrize("act", ["complete", "give", "remove"])
    def test_what_a_person_did_to_the_task_after_a_lost_answer_stands(self, world, act):
        self.needs(world, "lost")
        record = world.record(status="Open")
        command = self.task(world, "e1/t", record)
        world.plant("lost")
        try_once(world.target, [command])
        if act == "complete":
            world.complete("e1/t")
        elif act == "give":
            world.give("e1/t", world.other)
        else:
            world.remove("e1/t")
        before = world.tasks("e1/t")
        outcome = carry_out(world.fresh(), [self.task(world, "e1/t", record, attempt=1)])["e1/t"]
        assert isinstance(outcome, Done)
        assert outcome.receipt.gone == (act == "remove")
        assert world.tasks("e1/t") == before
        assert len(before) == 1

    def test_closing_a_task_twice_or_after_a_person_did_leaves_it_as_it_is(self, world):
        record = world.record(status="Open")
        carry_out(world.target, [self.task(world, "e1/t", record)])
        close = CloseTask(key="e1/c", target=world.target.name, person=1, task="e1/t", reason="Given to another rep")
        for _ in range(2):
            assert isinstance(carry_out(world.target, [close])["e1/c"], Done)
            assert [task["closed"] for task in world.tasks("e1/t")] == [True]

    def test_closing_a_task_that_a_person_has_deleted_is_done(self, world):
        record = world.record(status="Open")
        carry_out(world.target, [self.task(world, "e1/t", record)])
        world.remove("e1/t")
        close = CloseTask(key="e1/c", target=world.target.name, person=1, task="e1/t", reason="Given to another rep")
        outcome = carry_out(world.target, [close])["e1/c"]
        assert isinstance(outcome, Done)
        assert outcome.receipt.gone

    def test_a_converted_lead_is_not_written_and_its_task_goes_to_the_contact(self, world):
        record = world.record(status="Open")
        contact = world.convert(record)
        outcome = carry_out(world.target, [self.write(world, "e1/w", record, status="MQL")])["e1/w"]
        assert isinstance(outcome, Refused)
        assert outcome.kind == "conflict"
        outcome = carry_out(world.target, [self.task(world, "e1/t", record)])["e1/t"]
        assert isinstance(outcome, Done) == (len(world.tasks("e1/t")) == 1)
        assert all(task["record"] == contact for task in world.tasks("e1/t"))
        assert isinstance(outcome, Done) or outcome.kind == "conflict"


def as_dict(command):
    """The fields of a command, for a copy with another attempt."""
    return {name: getattr(command, name) for name in command.__struct_fields__}
