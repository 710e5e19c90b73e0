"""What every `Store` must keep. A store's own test module subclasses these and gives the `store` fixture.

Each test names the promise of `syncagent/state/store.py` that it holds the store to.
"""

import itertools
from datetime import timedelta

import pytest

from syncagent.model import (
    CrmUser,
    Decision,
    Deleted,
    Event,
    Hint,
    Identity,
    Lane,
    Merged,
    Nurture,
    Refused,
    Retry,
    Roster,
)
from syncagent.state.store import Held, Settlement
from tests.state.story_values import (
    T0,
    act,
    at,
    change,
    create_task,
    deal,
    done,
    handoff,
    lead,
    mk,
    notify,
    page,
    plan,
    record,
    settle,
    sf,
    task,
    write,
)


def only(store, minute=9):
    found = store.unsettled(at(minute), 100).dossiers
    assert len(found) == 1
    return found[0]


def take(store, *facts, stream="marketo/poll", minute=1, lane=Lane.HOT, **rest):
    return store.accept(page(*facts, **rest), stream, now=at(minute), lane=lane)


class FactsIn:
    def test_a_page_and_its_cursor_come_together(self, store):
        assert store.cursor("marketo/poll") is None
        told = take(store, lead(1), act(1, "a", 1), cursor="next")
        assert (told.new, len(told.people)) == (2, 1)
        assert store.cursor("marketo/poll") == "next"

    def test_an_empty_cursor_leaves_the_stored_one(self, store):
        store.set_cursor("marketo/poll", "start")
        take(store, lead(1))
        assert store.cursor("marketo/poll") == "start"

    def test_a_page_told_twice_is_one(self, store):
        facts = (lead(1, emails=["a@example.com"]), act(1, "a", 1), record(1, 1, status="New"), task("T", 1))
        take(store, *facts)
        settle(store)
        told = take(store, *facts)
        assert (told.new, told.people) == (0, ())
        assert store.unsettled(at(9), 10).dossiers == ()

    def test_half_a_page_told_twice_dirties_only_whom_the_rest_concerns(self, store):
        take(store, act(1, "a"), act(2, "b"))
        settle(store)
        assert take(store, act(1, "a"), act(2, "b"), act(2, "c")).new == 1
        assert only(store).identities == (mk(2),)

    def test_activities_come_oldest_first_in_any_order_of_telling(self, store):
        take(store, act(1, "c", 3), act(1, "a", 1, asset="x"))
        take(store, act(1, "b", 2))
        assert [a.key for a in only(store).activities] == ["a", "b", "c"]
        assert only(store).activities[0] == act(1, "a", 1, asset="x")

    def test_activities_of_one_moment_are_all_kept(self, store):
        take(store, *(act(1, f"k{n:04}", 0) for n in range(1201)))
        assert len(only(store).activities) == 1201

    def test_a_lead_s_newest_word_counts_and_the_older_fills_gaps(self, store):
        take(store, lead(1, 5, title="VP"))
        take(store, lead(1, 2, title="Intern", country="DE"))
        (told,) = only(store).leads
        assert told.attributes == {"title": "VP", "country": "DE"}
        assert told.seen_at == at(5)

    def test_an_unknown_identity_makes_a_person_who_is_wanted(self, store):
        take(store, act(7, "a"))
        assert store.wanted("marketo", 10) == (mk(7),)
        take(store, lead(7))
        assert store.wanted("marketo", 10) == ()

    def test_looked_up_is_no_longer_wanted_but_a_later_hint_is(self, store):
        take(store, lead(1), Hint(mk(1)), Hint(mk(2)), minute=1)
        assert set(store.wanted("marketo", 10)) == {mk(1), mk(2)}
        take(store, Hint(mk(1)), Hint(mk(2)), minute=2)
        store.looked([mk(1), mk(2)])
        assert set(store.wanted("marketo", 10)) == {mk(1), mk(2)}
        store.looked([mk(1), mk(2)])
        assert store.wanted("marketo", 10) == ()

    def test_wanted_is_bounded_and_by_system(self, store):
        take(store, *(Hint(mk(n)) for n in range(5)), act(9, "a"), lead(8, also=[sf(8)]))
        assert len(store.wanted("marketo", 3)) == 3
        assert len(store.wanted("marketo", 10)) == 6
        assert store.wanted("salesforce", 10) == (sf(8),)


class WhoIsWho:
    def test_also_and_email_join(self, store):
        take(store, record(1, status="New"))
        take(store, lead(1, also=[sf(1)]))
        take(store, record(2, emails=("ANA@example.com ",)))
        take(store, lead(1, 2, emails=["ana@example.com"], also=[sf(1)]))
        one = only(store)
        assert set(one.identities) == {mk(1), sf(1), sf(2)}
        assert one.emails == ("ana@example.com",)
        assert {r.identity for r in one.records} == {sf(1), sf(2)}

    def test_conversion_joins_the_contact(self, store):
        take(store, record("C", kind="Contact"), record(1, converted_to=sf("C", "Contact")))
        assert set(only(store).identities) == {sf(1), sf("C", "Contact")}

    def test_the_older_person_stays_and_histories_are_joined(self, store):
        (first,) = take(store, act("m1", "a", 1)).people
        (second,) = take(store, act("m2", "b", 2)).people
        take(store, Merged(mk("m2"), (mk("m1"),), at(3)))
        one = only(store)
        assert one.person == first < second
        assert [a.key for a in one.activities] == ["a", "b"]
        assert set(one.identities) == {mk("m1"), mk("m2")}
        assert take(store, act("m1", "c", 9)).people == (first,)

    def test_a_merge_moves_tasks_deals_outbox_and_handoffs(self, store):
        take(store, act(1, "a"))
        take(store, record(2, emails=("b@example.com",)), task("T", 2), deal("D", [2]))
        loser = store.find("2")[0]
        found = store.unsettled(at(1), 10)
        plans = [
            Settlement(
                d.person,
                d.revision,
                plan(commands=(write(d.person),), decision=Decision(handoffs=(handoff(d.person),))),
            )
            if d.person == loser
            else Settlement(d.person, d.revision, plan())
            for d in found.dossiers
        ]
        assert store.settle(plans, found.roster, now=at(1), config="c") == 2
        take(store, lead(1, emails=["b@example.com"]))
        one = only(store)
        assert one.person < loser
        assert [t.identity.id for t in one.tasks] == ["T"]
        assert [d.identity.id for d in one.opportunities] == ["D"]
        assert [entry.key for entry in one.outbox] == ["w1"]
        assert one.decision is not None
        assert one.decision.handoffs[0].id == f"{loser}.1"
        assert one.absorbed == ()
        take(store, task("T", 2, 5, closed=True))
        assert only(store).tasks[0].closed
        assert store.find(str(loser)) == (one.person,)
        assert store.dossier(loser) is None

    def test_two_with_handoffs_keep_both_until_they_are_folded_in(self, store):
        take(store, act(1, "a"), act(2, "b"))
        found = store.unsettled(at(1), 10)
        plans = [
            Settlement(d.person, d.revision, plan(decision=Decision(handoffs=(handoff(d.person),))))
            for d in found.dossiers
        ]
        store.settle(plans, found.roster, now=at(1), config="c")
        assert store.health(at(2)).with_sales == 2
        take(store, Merged(mk(1), (mk(2),), at(3)))
        one = only(store)
        first, second = sorted(d.person for d in found.dossiers)
        assert one.decision is not None
        assert [h.id for h in one.decision.handoffs] == [f"{first}.1"]
        assert [h.id for d in one.absorbed for h in d.handoffs] == [f"{second}.1"]
        settle(store, minute=9, decision=one.decision)
        assert store.dossier(one.person).absorbed == ()

    def test_ids_are_never_used_again(self, store):
        take(store, act(1, "a"))
        (last,) = take(store, act(2, "b")).people
        take(store, Merged(mk(1), (mk(2),), at(1)))
        assert take(store, act(3, "c")).people[0] > last

    def test_the_same_people_in_any_order_of_telling(self, store, other_store):
        facts = [
            lead(1, 1, emails=["a@example.com"], also=[sf(1)]),
            lead(2, 2, emails=["b@example.com"]),
            record(1, 3, emails=("b@example.com",), status="New"),
            act(1, "x", 1),
            act(2, "y", 2),
            task("T", 1, 4),
            deal("D", [1], 4),
            Merged(mk(1), (mk(2),), at(5)),
            change(1, "h", "status", "Open", "New", 3),
        ]
        take(store, *facts)
        expected = only(store)
        for fact in reversed(facts):
            take(other_store, fact)
        got = only(other_store)
        for field in ("identities", "emails", "leads", "activities", "records", "changes", "tasks", "opportunities"):
            assert getattr(got, field) == getattr(expected, field), field


class Records:
    def test_an_older_read_never_replaces_a_newer(self, store):
        take(store, record(1, 5, status="Working"))
        settle(store)
        assert take(store, record(1, 4, status="New")).new == 0
        assert store.dossier(1).records[0].fields == {"status": "Working"}

    def test_the_same_stamp_with_other_content_replaces(self, store):
        take(store, record(1, 5, status="New"))
        take(store, record(1, 5, status="Working"))
        assert only(store).records[0].fields == {"status": "Working"}

    def test_a_field_that_was_not_read_keeps_its_value(self, store):
        take(store, record(1, 5, status="New", owner="ana"))
        take(store, record(1, 6, status="New"))
        assert only(store).records[0].fields == {"status": "New", "owner": "ana"}

    def test_an_untold_change_is_told_by_the_difference(self, store):
        take(store, record(1, 1, status="MQL", owner="ana", score=1, recycle_reason=""))
        take(store, record(1, 5, by="ben", status="Working", owner="ana", score=2, recycle_reason="later"))
        told = {(c.field, c.old, c.new, c.by, c.at) for c in only(store).changes}
        assert told == {("status", "MQL", "Working", "ben", at(5)), ("recycle_reason", "", "later", "ben", at(5))}

    @pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
    def test_a_told_change_is_not_told_again(self, store, order):
        take(store, record(1, 1, status="MQL"))
        facts = [record(1, 5, by="x", status="Working"), change(1, "h1", "status", "MQL", "Working", 4, by="ben")]
        for index in order:
            take(store, facts[index])
        assert [(c.key, c.by) for c in only(store).changes] == [("h1", "ben")]

    def test_changes_and_children_do_not_need_their_record(self, store):
        take(store, change(1, "h1", "status", "a", "b", 1), task("T", 2), deal("D", [3]))
        assert set(store.wanted("salesforce", 10)) == {sf(1), sf(2), sf(3)}
        assert len(store.unsettled(at(9), 10).dossiers) == 3
        take(store, record(2, emails=("a@example.com",)), lead(1, emails=["a@example.com"]))
        assert store.dossier(store.find("a@example.com")[0]).tasks[0].identity.id == "T"

    def test_a_task_that_moves_leaves_its_old_record(self, store):
        take(store, task("T", 1, 1))
        take(store, task("T", 2, 2))
        assert store.dossier(store.find("1")[0]).tasks == ()
        assert store.dossier(store.find("2")[0]).tasks[0].record == sf(2)

    def test_a_deal_follows_its_people(self, store):
        take(store, deal("D", [1, 2], 1))
        take(store, deal("D", [2, 3], 2, closed=True))
        assert store.dossier(store.find("1")[0]).opportunities == ()
        assert store.dossier(store.find("2")[0]).opportunities[0].closed
        assert store.dossier(store.find("3")[0]).opportunities[0].closed

    def test_deleted_before_or_after_its_record(self, store):
        take(store, record(1, 1), lead(1, 1), task("T", 1, 1))
        for gone in (sf(1), mk(1), sf("T", "Task")):
            take(store, Deleted(gone, at(2)))
        take(store, Deleted(sf(5), at(2)), Deleted(mk(5), at(2)))
        take(store, record(5, 1), lead(5, 1))
        found = store.unsettled(at(9), 10).dossiers
        assert all(r.deleted for d in found for r in d.records)
        assert sum(len(d.records) for d in found) == 2
        assert all(t.deleted for d in found for t in d.tasks)
        assert [d.leads for d in found if d.leads] == []

    def test_restored_after_deletion(self, store):
        take(store, Deleted(sf(1), at(2)), record(1, 3))
        assert not only(store).records[0].deleted

    def test_a_merged_away_record_says_into_what(self, store):
        take(store, record(1, 1), Merged(sf(2), (sf(1),), at(2)), record(2, 1))
        assert {r.identity.id: r.merged_into for r in only(store).records} == {"1": sf(2), "2": None}

    def test_seen_until_is_the_crm_poll_s(self, store):
        take(store, act(1, "a"), seen_until=at(50))
        assert only(store).crm_seen_until is None
        take(store, stream="crm/poll", seen_until=at(5))
        take(store, stream="crm/poll", seen_until=at(3))
        take(store, stream="crm/backfill/1", seen_until=at(70))
        assert only(store).crm_seen_until == at(5)

    def test_users_stand_in_the_roster(self, store):
        take(store, CrmUser(Identity("salesforce", "User", "u1"), "Ana", active=True))
        take(store, CrmUser(Identity("salesforce", "User", "u1"), "Ana", active=False))
        assert store.roster() == Roster(active={"u1": False}, epoch="e1")


class Decisions:
    def test_lane_then_since_then_person(self, store):
        take(store, act(1, "a"), minute=5, lane=Lane.COLD)
        take(store, act(2, "a"), minute=4, lane=Lane.COLD)
        take(store, act(3, "a"), minute=7)
        assert [d.activities[0].identity.id for d in store.unsettled(at(9), 10).dossiers] == ["3", "2", "1"]
        assert len(store.unsettled(at(9), 10, lane=Lane.COLD).dossiers) == 2
        assert len(store.unsettled(at(9), 2).dossiers) == 2
        take(store, act(1, "b"), minute=8)
        assert [d.lane for d in store.unsettled(at(9), 10, lane=Lane.HOT).dossiers] == [Lane.HOT, Lane.HOT]

    def test_settled_is_silent_until_the_wake_up(self, store):
        take(store, act(1, "a"))
        settle(store, wake_at=at(30), decision=Decision(adopted=True))
        assert store.next_wake() == at(30)
        assert store.unsettled(at(29), 10).dossiers == ()
        woken = only(store, 30)
        assert woken.decision == Decision(adopted=True)
        settle(store, minute=30)
        assert store.next_wake() is None
        assert store.unsettled(at(99), 10).dossiers == ()

    def test_a_fact_between_read_and_settle_is_never_lost(self, store):
        take(store, act(1, "a"), act(2, "b"), act(3, "c"))
        found = store.unsettled(at(1), 10)
        take(store, act(2, "late", 2))
        turns = [Roster(day=f"turn {n}") for n in range(3)]
        plans = [
            Settlement(d.person, d.revision, plan(roster=turns[n], events=(Event("score", at(1), f"{n}"),)))
            for n, d in enumerate(found.dossiers)
        ]
        assert store.settle(plans, turns[-1], now=at(2), config="c") == 1
        assert store.roster().day == "turn 0"
        assert [entry.why for entry in store.journal()] == ["0"]
        left = store.unsettled(at(3), 10).dossiers
        assert {d.person for d in left} == {d.person for d in found.dossiers[1:]}
        assert any(a.key == "late" for d in left for a in d.activities)

    def test_a_plan_is_settled_once(self, store):
        take(store, act(1, "a"))
        found = store.unsettled(at(1), 10)
        plans = [Settlement(d.person, d.revision, plan()) for d in found.dossiers]
        assert store.settle(plans, found.roster, now=at(1), config="c") == 1
        assert store.settle(plans, found.roster, now=at(1), config="c") == 0

    def test_the_merged_away_can_no_longer_be_settled(self, store):
        take(store, act(1, "a"), act(2, "b"))
        found = store.unsettled(at(1), 10)
        take(store, Merged(mk(1), (mk(2),), at(1)))
        for d in found.dossiers:
            assert store.settle([Settlement(d.person, d.revision, plan())], found.roster, now=at(1), config="c") == 0

    def test_the_journal_tells_newest_first(self, store):
        take(store, act(1, "a"))
        settle(store, events=(Event("score", at(1), "55", data={"total": 55.0}), Event("stage", at(1), "mql", "1.1")))
        entries = store.journal()
        assert [(e.kind, e.why, e.handoff, e.config) for e in entries] == [
            ("stage", "mql", "1.1", "c1"),
            ("score", "55", "", "c1"),
        ]
        assert entries[1].data == {"total": 55.0}
        assert store.journal(entries[0].person, limit=1) == entries[:1]
        assert store.journal(entries[0].person + 1) == ()

    def test_the_held_wait_for_release(self, store):
        take(store, act(1, "a"), act(2, "b"))
        one = store.unsettled(at(1), 10).dossiers[0].person
        store.hold([Held(one, "handoff", "200 an hour", at(1))])
        take(store, act(1, "more", 2))
        assert one not in {d.person for d in store.unsettled(at(3), 10).dossiers}
        assert store.held() == (Held(one, "handoff", "200 an hour", at(1)),)
        assert store.health(at(3)).held == {"handoff": 1}
        assert store.release([one]) == 1
        assert store.release([one]) == 0
        (let,) = (d for d in store.unsettled(at(3), 10).dossiers if d.person == one)
        assert let.released
        settle(store, minute=3)
        assert not store.dossier(one).released

    def test_release_by_number_lets_the_longest_held_go(self, store):
        take(store, *(act(n, "a") for n in range(4)))
        people = [d.person for d in store.unsettled(at(1), 10).dossiers]
        store.hold([Held(person, "recycle", "", at(10 - n)) for n, person in enumerate(people)])
        assert store.release(limit=2) == 2
        assert {h.person for h in store.held()} == set(people[:2])
        assert store.release() == 2

    def test_the_brake_counts_a_sliding_hour(self, store):
        take(store, act(1, "a"))
        settle(store, minute=1, cause="handoff", owner="ana")
        take(store, act(1, "b"))
        settle(store, minute=5, cause="score")
        assert store.brake_counts(at(0)) == ({"handoff": 1, "score": 1}, {"ana": 1})
        assert store.brake_counts(at(2)) == ({"score": 1}, {})

    def test_who_waits_for_a_rep_is_planned_when_one_is_freer(self, store):
        take(store, act(1, "a"))
        full = Roster({"all": {"ana": 1.0}}, {"ana": 25})
        settle(store, roster=full, waits_on=("roster:all",))
        assert store.unsettled(at(9), 10).dossiers == ()
        take(store, act(2, "b"))
        settle(store, minute=2, roster=Roster({"all": {"ana": 1.0}}, {"ana": 24}))
        assert only(store).identities == (mk(1),)

    def test_the_roster_keeps_turns_but_not_who_is_active(self, store):
        take(store, act(1, "a"), CrmUser(Identity("salesforce", "User", "u1"), "Ana"))
        settle(store, roster=Roster({"p": {"ana": 0.5}}, {"ana": 3}, {"ana": 1}, "2026-01-05", {"u1": False}, "e9"))
        assert store.roster() == Roster({"p": {"ana": 0.5}}, {"ana": 3}, {"ana": 1}, "2026-01-05", {"u1": True}, "e1")


class CommandsOut:
    def queue(self, store, *commands, minute=1):
        take(store, act(1, f"q{minute}", minute))
        settle(store, minute=minute, commands=commands)

    def keys(self, items):
        return [item.command.key for item in items]

    def test_due_in_order_once_each_and_counted(self, store):
        self.queue(store, write(1, "cold", lane=Lane.COLD), write(1, "hot"), create_task(1, depends_on=("hot",)))
        assert self.keys(store.due("salesforce", at(2), 10, lane=Lane.COLD)) == ["cold"]
        items = store.due("salesforce", at(2), 10)
        assert self.keys(items) == ["hot", "t1"]
        assert [i.command.attempt for i in items] == [0, 0]
        assert store.due("salesforce", at(2), 10) == ()
        assert store.due("other", at(2), 10) == ()
        store.postpone(["hot"], at(5), "down")
        assert store.due("salesforce", at(4), 10) == ()
        (again,) = store.due("salesforce", at(5), 10)
        assert (again.command.key, again.command.attempt) == ("hot", 1)

    def test_what_depends_waits_and_gets_the_record(self, store):
        self.queue(store, write(1, "w"), create_task(1, "t", depends_on=("w",)))
        assert self.keys(store.due("salesforce", at(2), 1)) == ["w"]
        assert store.due("salesforce", at(2), 10) == ()
        store.confirm([("w", 1, done("w", 3, sf("made")))], now=at(3))
        (item,) = store.due("salesforce", at(3), 10)
        assert item.command.record == sf("made")

    def test_what_depends_on_a_refusal_goes_on_after_retry(self, store):
        self.queue(store, write(1, "w"), create_task(1, "t", depends_on=("w",)))
        store.due("salesforce", at(2), 1)
        store.confirm([("w", 1, Refused("Bad value", code="INVALID", fields=("status",)))], now=at(3))
        assert store.due("salesforce", at(4), 10) == ()
        assert store.due("salesforce", at(4), 10) == ()
        (parked,) = store.outbox(["parked"])
        assert parked.why == "INVALID: Bad value"
        assert only(store).outbox[0].state == "parked"
        assert store.retry(["w", "t"]) == 1
        assert self.keys(store.due("salesforce", at(5), 10)) == ["w", "t"]

    def test_a_receipt_is_a_fact(self, store):
        take(store, record(1, 1, status="New", owner="q"), lead(1, also=[sf(1)]))
        settle(store, commands=(write(1, "w", of=sf(1)),))
        store.due("salesforce", at(2), 10)
        store.confirm([("w", 1, done("w", 3, sf(1), status="MQL"))], now=at(3))
        fresh = only(store)
        assert fresh.lane == Lane.HOT
        assert fresh.records[0].fields == {"status": "MQL", "owner": "q"}
        assert fresh.outbox[0].receipt.values == {"status": "MQL"}
        take(store, record(1, 3, by="us", status="MQL", owner="q"))
        assert store.dossier(1).changes == ()
        take(store, record(1, 2, status="New"))
        assert store.dossier(1).records[0].fields["status"] == "MQL"

    def test_a_made_record_belongs_to_the_person(self, store):
        self.queue(store, write(1, "w"), create_task(1))
        store.due("salesforce", at(2), 10)
        store.confirm(
            [("w", 1, done("w", 3, sf("new"), status="MQL")), ("t1", 0, done("t1", 3, sf("T", "Task")))], now=at(3)
        )
        one = only(store)
        assert sf("new") in one.identities
        assert sf("T", "Task") not in one.identities
        assert one.records[0].fields == {"status": "MQL"}

    def test_a_write_that_lands_on_somebody_else_joins_them(self, store):
        take(store, record("C", kind="Contact"))
        take(store, act("m1", "a"))
        settle(store)
        person = store.find("m1")[0]
        take(store, act("m1", "b"))
        settle(store, commands=(write(person, "w", of=sf(1)),))
        store.due("salesforce", at(2), 10)
        store.confirm([("w", 1, done("w", 3, sf("C", "Contact")))], now=at(3))
        assert set(only(store).identities) == {mk("m1"), sf("C", "Contact")}

    def test_the_newest_revision_replaces_what_is_unsent(self, store):
        self.queue(store, write(1, "w", 1))
        self.queue(store, write(1, "w", 2), minute=2)
        self.queue(store, write(1, "w", 1), minute=3)
        (item,) = store.due("salesforce", at(4), 10)
        assert (item.revision, item.command.values) == (2, {"status": "v2"})

    def test_a_confirmation_closes_only_what_was_sent(self, store):
        self.queue(store, write(1, "w", 1))
        store.due("salesforce", at(2), 10)
        self.queue(store, write(1, "w", 2), minute=2)
        assert store.due("salesforce", at(3), 10) == ()
        store.confirm([("w", 1, done("w", 3, status="v1"))], now=at(3))
        entry = only(store).outbox[0]
        assert (entry.state, entry.revision, entry.receipt.values) == ("queued", 2, {"status": "v1"})
        (item,) = store.due("salesforce", at(4), 10)
        assert (item.revision, item.command.attempt) == (2, 0)
        store.confirm([("w", 2, done("w", 5, status="v2"))], now=at(5))
        assert only(store).outbox[0].state == "done"

    @pytest.mark.parametrize("outcome", [Refused("no"), Retry(60, "later"), Refused("moved", "conflict")])
    def test_a_newer_revision_is_tried_whatever_became_of_the_older(self, store, outcome):
        self.queue(store, write(1, "w", 1))
        store.due("salesforce", at(2), 10)
        self.queue(store, write(1, "w", 2), minute=2)
        store.confirm([("w", 1, outcome)], now=at(3))
        (item,) = store.due("salesforce", at(9), 10)
        assert (item.revision, item.command.attempt) == (2, 1)

    def test_a_new_revision_reopens_what_was_done_or_parked(self, store):
        self.queue(store, write(1, "w", 1))
        store.due("salesforce", at(2), 10)
        store.confirm([("w", 1, Refused("moved", "conflict"))], now=at(3))
        assert only(store).outbox[0].state == "conflict"
        self.queue(store, write(1, "w", 2), minute=3)
        (item,) = store.due("salesforce", at(4), 10)
        store.confirm([("w", 2, done("w", 5))], now=at(5))
        self.queue(store, write(1, "w", 3), minute=6)
        (item,) = store.due("salesforce", at(7), 10)
        assert (item.revision, item.command.attempt) == (3, 0)

    def test_once_is_once(self, store):
        self.queue(store, create_task(1))
        store.due("salesforce", at(2), 10)
        store.confirm([("t1", 0, done("t1", 3, sf("T", "Task")))], now=at(3))
        self.queue(store, create_task(1), minute=4)
        assert store.due("salesforce", at(5), 10) == ()
        assert store.outbox() == ()
        assert [i.state for i in store.outbox(["done"])] == ["done"]

    def test_withdraw_stops_only_what_has_not_been_sent(self, store):
        self.queue(store, create_task(1, "a"), create_task(1, "b"))
        assert self.keys(store.due("salesforce", at(2), 1)) == ["a"]
        take(store, act(1, "x"))
        settle(store, withdraw=("a", "b"))
        assert {i.command.key: i.state for i in store.outbox()} == {"a": "sending", "b": "dropped"}

    def test_retry_outcome_comes_back_in_time(self, store):
        self.queue(store, write(1, "w"))
        store.due("salesforce", at(2), 10)
        store.confirm([("w", 1, Retry(120, "row lock"))], now=at(2))
        assert store.unsettled(at(3), 10).dossiers == ()
        assert store.due("salesforce", at(3.9), 10) == ()
        assert self.keys(store.due("salesforce", at(4), 10)) == ["w"]

    def test_at_most_once_is_unknown_after_a_failed_call_and_queued_after_a_known_retry(self, store):
        campaign = Nurture(key="c", target="salesforce", person=1, lead=mk(1), reason="r", campaign_id=3)
        listed = Nurture(key="l", target="salesforce", person=1, lead=mk(1), reason="r", list_id=3)
        self.queue(store, notify(1, "n1"), notify(1, "n2"), campaign, listed)
        assert len(store.due("salesforce", at(2), 10)) == 4
        store.confirm([("n2", 0, Retry(1, "429"))], now=at(2))
        store.postpone(["n1", "c", "l"], at(3), "timed out")
        assert {i.command.key: i.state for i in store.outbox()} == {
            "n1": "unknown",
            "n2": "queued",
            "c": "unknown",
            "l": "queued",
        }
        assert only(store).outbox[0].state in ("unknown", "queued")

    def test_drop_gives_up_and_plans_again(self, store):
        self.queue(store, write(1, "w"))
        store.due("salesforce", at(2), 10)
        assert store.drop(["w"], now=at(2)) == 0
        store.confirm([("w", 1, Refused("no"))], now=at(3))
        settle(store, minute=3)
        assert store.drop(["w", "nobody"], now=at(4)) == 1
        assert only(store).outbox[0].state == "dropped"

    def test_a_confirmation_told_twice_is_one(self, store):
        self.queue(store, write(1, "w"))
        store.due("salesforce", at(2), 10)
        store.confirm([("w", 1, done("w", 3))], now=at(3))
        settle(store, minute=3)
        store.confirm([("w", 1, done("w", 3)), ("nobody", 0, done("nobody", 3))], now=at(4))
        assert store.unsettled(at(5), 10).dossiers == ()

    def test_of_several_writes_done_the_last_one_stands_in_the_dossier(self, store):
        for minute, key in ((1, "w1"), (2, "w2")):
            self.queue(store, write(1, key), minute=minute)
            store.due("salesforce", at(minute), 10)
            store.confirm([(key, 1, done(key, minute))], now=at(minute))
        assert [entry.key for entry in only(store).outbox] == ["w2"]


class Looking:
    def test_find(self, store):
        take(store, lead(17, emails=["Ana@Example.com"], also=[sf("00Q1")]), act(18, "a"))
        (ana,) = store.find("ana@example.com ")
        assert store.find("00Q1") == store.find("17") == (ana,)
        assert store.find(str(ana)) == (ana,)
        assert store.find("nobody@example.com") == ()
        assert store.dossier(999) is None

    def test_health(self, store):
        take(store, act(1, "a"), act(2, "b"), cursor="x", seen_until=at(4), minute=5)
        store.set_meta("down/salesforce", "quota spent until 10:00")
        store.set_meta("calls/salesforce", "12")
        told = store.health(at(6))
        assert (told.people, told.dirty, told.with_sales, told.disk_full) == (2, 2, 0, False)
        assert told.cursors == {"marketo/poll": at(5)}
        assert told.seen_until == {"marketo/poll": at(4)}
        assert told.down == {"salesforce": "quota spent until 10:00"}
        assert told.calls_today == {"salesforce": 12}

    def test_settings(self, store):
        assert store.meta("live_from") is None
        store.set_meta("live_from", T0.isoformat())
        assert store.meta("live_from") == T0.isoformat()
        assert store.meta("epoch") == "e1"

    def test_moments_keep_their_milliseconds(self, store):
        stamp = timedelta(milliseconds=123)
        take(store, act(1, "a"))
        settle(store, wake_at=at(30) + stamp)
        assert store.next_wake() == at(30) + stamp


class StoreConformance(FactsIn, WhoIsWho, Records, Decisions, CommandsOut, Looking):
    """All of it."""
