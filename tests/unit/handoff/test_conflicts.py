"""A write that met a moved record: told again by itself when the move went back unseen, but never for ever (law 5)."""

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from syncagent.handoff import plan
from syncagent.model import Alert, CrmTask, Dossier, Identity, Opportunity, OutboxEntry, Plan, Roster, WriteLead
from syncagent.policy import Rep, Route, RouteTarget
from tests.unit.handoff.worlds import (
    ANA,
    BEN,
    BOSS,
    LEAD,
    NOW,
    QUEUE,
    accept,
    answer,
    apply,
    dossier,
    kinds,
    minutes,
    policy,
    record,
    roster_after,
)


class Refusal:
    """A lead whose first write has met a record that had moved; nothing of it is seen in the CRM."""

    def __init__(self) -> None:
        self.roster, self.dossier = Roster(), dossier(records=(record(owner=QUEUE),))
        self.last = self.go(NOW)
        self.refuse()

    def go(self, now: datetime, seen: datetime | None = None) -> Plan:
        self.dossier = replace(self.dossier, crm_seen_until=seen or now)
        self.last = plan(self.dossier, policy(), self.roster, now)
        self.roster = roster_after(self.last, self.roster)
        self.dossier = accept(self.last, self.dossier)
        again = plan(self.dossier, policy(), self.roster, now)
        assert not (again.commands or again.events or again.withdraw)
        return self.last

    def refuse(self) -> None:
        self.comes_to("WriteLead", "conflict")

    def comes_to(self, verb: str, state: Any) -> None:
        entries = (replace(one, state=state) if one.verb == verb else one for one in self.dossier.outbox)
        self.dossier = replace(self.dossier, outbox=tuple(entries))


def rows(result: Plan) -> list[WriteLead]:
    return [one for one in result.commands if isinstance(one, WriteLead)]


def test_it_is_told_again_once_the_crm_was_read_after_the_conflict() -> None:
    life = Refusal()
    waits = life.go(NOW + minutes(1))
    assert not waits.commands
    assert waits.wake_at == NOW + minutes(2)
    blind = life.go(NOW + minutes(3), seen=NOW + minutes(1.5))  # that read may be older than the conflict
    assert not blind.commands
    assert "crm" in blind.waits_on
    again = life.go(NOW + minutes(3))
    (row,) = rows(again)
    assert (row.revision, row.expects) == (2, {"status": "Open", "owner": QUEUE})
    assert {"status", "owner", "stage_date"} <= set(row.values)
    life.dossier = apply(again, life.dossier, NOW + minutes(4))
    life.go(NOW + minutes(5))
    assert life.dossier.records[0].fields["owner"] == life.dossier.decision.handoff.assignments[-1].owner


def test_after_two_rounds_what_cannot_be_written_is_contested_and_the_rest_goes_on() -> None:
    life, told = Refusal(), []
    for minute in range(1, 60):
        result = life.go(NOW + minutes(minute))
        if rows(result):
            told.append((set(rows(result)[0].values) & {"status", "owner"}, kinds(result)))
            life.refuse()
    both = {"status", "owner"}
    assert told == [(both, []), (both, []), (set(), ["contested", "contested"])]
    assert life.dossier.decision.contested == ("owner", "status")
    assert life.dossier.decision.desired.rounds == 3


def test_the_rounds_begin_anew_with_what_went_through() -> None:
    life = Refusal()
    life.go(NOW + minutes(1))
    again = life.go(NOW + minutes(3))
    assert life.dossier.decision.desired.rounds == 1
    life.dossier = apply(again, life.dossier, NOW + minutes(4))
    life.comes_to("CreateTask", "done")
    life.go(NOW + minutes(5))
    assert rows(life.go(NOW + minutes(20)))  # nobody touched it in time: passed on
    assert life.dossier.decision.desired.rounds == 0


def test_what_has_moved_and_is_seen_is_an_answer_at_once() -> None:
    life = Refusal()
    life.go(NOW + minutes(1))
    life.dossier = answer(life.dossier, NOW + minutes(1), BEN, owner=BEN)
    (row,) = rows(life.go(NOW + minutes(1.5)))
    assert "owner" not in row.values
    assert row.expects["owner"] == BEN


def test_what_an_admin_has_set_by_hand_is_withdrawn_and_the_clock_starts_at_once() -> None:
    life = Refusal()
    owner = life.dossier.decision.handoff.assignments[-1].owner
    life.dossier = answer(life.dossier, NOW + minutes(1), ANA, **life.dossier.decision.desired.values)
    life.comes_to("CreateTask", "done")
    result = life.go(NOW + minutes(2))
    assert "clock.started" in kinds(result)
    assert result.withdraw == ("lead:crm:L1",)
    assert life.dossier.decision.handoff.assignments[-1].owner == owner


def conflicting(stored: Dossier, told: Alert) -> Dossier:
    """That alert was sent, and its record had moved on."""
    entries = (
        replace(one, state="conflict", alert=told) if one.key == told.key else replace(one, state="done")
        for one in stored.outbox
    )
    return replace(stored, outbox=tuple(entries))


def test_a_reminder_whose_record_was_merged_meanwhile_is_told_on_the_one_that_stayed() -> None:
    terms = policy(reps=(Rep("Ana", ANA, manager=BOSS),), routes=(Route("all", RouteTarget(pool=(ANA,))),))
    stored = apply(plan(dossier(), terms, Roster(), NOW), dossier())
    stored = accept(plan(stored, terms, Roster(), NOW + minutes(1)), stored)  # the clock starts
    stored = replace(stored, crm_seen_until=NOW + minutes(8))
    reminding = plan(stored, terms, Roster(), NOW + minutes(8))
    (reminder,) = [one for one in reminding.commands if isinstance(one, Alert)]
    elsewhere = Identity("crm", "Task", "T9")
    made = CrmTask(elsewhere, LEAD, ANA, NOW, "me", "me", NOW, f"e0:{reminder.key.partition(':')[2]}", type="Task")
    restored = replace(stored, tasks=(*stored.tasks, made))
    again = plan(restored, terms, Roster(), NOW + minutes(8))
    assert not [one for one in again.commands if isinstance(one, Alert)], "told after the backup that was restored"
    stored = conflicting(accept(reminding, stored), reminder)
    (old,) = stored.records
    winner = replace(old, identity=Identity("crm", "Lead", "L2"), modified_at=NOW + minutes(9))
    loser = replace(old, deleted=True, merged_into=winner.identity, modified_at=NOW + minutes(9))
    unread = replace(stored, records=(loser,), crm_seen_until=NOW + minutes(9))
    assert not [one for one in plan(unread, terms, Roster(), NOW + minutes(9)).commands if isinstance(one, Alert)]
    stored = replace(unread, records=(loser, winner))
    result = plan(stored, terms, Roster(), NOW + minutes(9))
    assert [one for one in result.commands if isinstance(one, Alert)] == [
        replace(reminder, record=winner.identity, depends_on=())
    ]
    again = plan(accept(result, stored), terms, Roster(), NOW + minutes(9))
    assert not (again.commands or again.events or again.withdraw)


def test_an_alert_about_somebody_who_is_gone_from_the_crm_is_given_up_and_the_journal_says_so() -> None:
    told = Alert(
        key="e1:17:deal.O1.1:alert",
        target="crm",
        person=17,
        record=LEAD,
        to=BEN,
        subject="Open deal: Eva",
        body="She asks.",
        remind_at=NOW,
    )
    deal = Opportunity(Identity("crm", "Opportunity", "O1"), (LEAD,), NOW - minutes(60), NOW - minutes(60), owner=BEN)
    entry = OutboxEntry(told.key, "Alert", "conflict", alert=told)
    gone = replace(record(), deleted=True)
    about_many = replace(told, key="e1:alarm:1f:alert")
    stored = dossier(
        records=(gone,),
        activities=(),
        opportunities=(deal,),
        outbox=(entry, OutboxEntry(about_many.key, "Alert", "conflict", alert=about_many)),
    )
    result = plan(stored, policy(), Roster(), NOW)
    assert result.withdraw == (told.key,), "what is about many leads finds another"
    (event,) = [one for one in result.events if one.kind == "untold"]
    assert event.why == "Ben was not told: Open deal: Eva. Its record in the CRM is gone."
    again = plan(accept(result, stored), policy(), Roster(), NOW)
    assert not (again.commands or again.events or again.withdraw)
