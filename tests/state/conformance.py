"""What every `Store` must keep. A store's own test module subclasses these and gives the `store` fixture.

Each test names the promise of `syncagent/state/store.py` that it holds the store to.
"""

from datetime import timedelta

import msgspec

from syncagent.model import (
    CrmUser,
    Decision,
    Event,
    Identity,
    Lane,
    Merged,
    Roster,
    Usage,
)
from syncagent.policy import Threshold
from syncagent.state.store import Held, Settlement
from tests.state.conformance_accounts import Accounts, Candidates, Waking
from tests.state.conformance_facts import FactsIn, Records, WhoIsWho
from tests.state.conformance_figures import Figures
from tests.state.conformance_inbox import Inbox
from tests.state.conformance_outbox import CommandsOut
from tests.state.conformance_people import Crowds, Forgotten, Joins, Splits
from tests.state.story_values import (
    T0,
    act,
    at,
    lead,
    mk,
    only,
    plan,
    settle,
    sf,
    take,
)
from tests.unit.handoff.worlds import policy


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

    def test_nobody_is_woken_a_part_of_a_millisecond_too_soon(self, store):
        """They would find nothing due, and have to be woken again."""
        take(store, act(1, "a"))
        due = at(30) + timedelta(microseconds=1234)
        settle(store, wake_at=due)
        assert due <= store.next_wake() < due + timedelta(milliseconds=1)
        assert store.unsettled(at(30) + timedelta(microseconds=1230), 10).dossiers == ()
        assert len(store.unsettled(at(30) + timedelta(milliseconds=2), 10).dossiers) == 1

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

    def test_of_many_only_the_first_are_read_at_once_and_the_rest_by_and_by(self, store):
        take(store, *(act(n, f"k{n}") for n in range(1, 6)))
        whole = store.unsettled(at(1), 10)
        some = store.unsettled(at(1), 4, at_once=2)
        assert whole.rest == () and len(whole.dossiers) == 5
        assert some.dossiers == whole.dossiers[:2]
        assert some.rest == tuple(one.person for one in whole.dossiers[2:4])
        assert store.dossiers(some.rest) == whole.dossiers[2:4]
        assert store.dossiers((99, some.rest[1], some.rest[0])) == (whole.dossiers[3], whole.dossiers[2])

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
        settle(
            store,
            events=(
                Event("score", at(1), "55", data={"total": 55.0}),
                Event("stage", at(1), "mql", "1.1", {"stage": "mql"}),
            ),
        )
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

    def test_who_has_changed_since_is_not_held(self, store):
        take(store, act(1, "a"), act(2, "b"))
        one, two = store.unsettled(at(1), 10).dossiers
        take(store, act(1, "more", 2))
        store.hold([Held(each.person, "handoff", "200 an hour", at(1), each.revision) for each in (one, two)])
        assert [held.person for held in store.held()] == [two.person]
        assert [d.person for d in store.unsettled(at(3), 10).dossiers] == [one.person]

    def test_release_by_number_lets_the_longest_held_go(self, store):
        take(store, *(act(n, "a") for n in range(4)))
        people = [d.person for d in store.unsettled(at(1), 10).dossiers]
        store.hold([Held(person, "recycle", "", at(10 - n)) for n, person in enumerate(people)])
        assert store.release(limit=2) == 2
        assert {h.person for h in store.held()} == set(people[:2])
        assert store.release() == 2

    def test_a_sweep_plans_everybody_in_the_cold_lane(self, store):
        take(store, *(act(n, "a") for n in range(5)))
        settle(store)
        first = store.sweep(0, 3, now=at(2))
        assert len(store.unsettled(at(2), 10, lane=Lane.COLD).dossiers) == 3
        last = store.sweep(first, 3, now=at(2))
        assert store.sweep(last, 3, now=at(2)) is None
        assert len(store.unsettled(at(2), 10, lane=Lane.COLD).dossiers) == 5

    def test_the_brake_counts_a_sliding_hour(self, store):
        take(store, act(1, "a"))
        settle(store, minute=1, cause="handoff", owner="ana")
        take(store, act(1, "b"))
        settle(store, minute=5, cause="score")
        assert store.brake_counts(at(0)) == ({"handoff": 1, "score": 1}, {"ana": 1})
        assert store.brake_counts(at(2)) == ({"score": 1}, {})

    def test_who_waits_for_the_crm_is_planned_once_it_was_read_further(self, store):
        """Law 12: a promise that is due waits for a fresh view, and for nothing else."""
        take(store, lead(1))
        settle(store, waits_on=("crm",))
        take(store, stream="marketo/poll", seen_until=at(5), minute=6)
        take(store, stream="crm/backfill/x", seen_until=at(5), minute=6, lane=Lane.COLD)
        assert not store.unsettled(at(6), 10).dossiers
        take(store, stream="crm/poll", seen_until=at(5), minute=6)
        assert [one.person for one in store.unsettled(at(6), 10).dossiers] == [1]
        settle(store, minute=6, waits_on=("crm",))
        take(store, stream="crm/poll", seen_until=at(5), minute=7)
        assert not store.unsettled(at(7), 10).dossiers, "it was read no further"

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
        assert store.roster() == Roster(
            {"p": {"ana": 0.5}}, {"ana": 3}, {"ana": 1}, "2026-01-05", {"u1": True}, "e1", {"u1": "Ana"}
        )


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
        take(store, act(1, "a"), stream="", seen_until=at(5), minute=5)  # looked at by itself: no stream
        store.set_meta("down/salesforce", "quota spent until 10:00")
        store.set_meta("calls/salesforce", "12")
        told = store.health(at(6))
        assert (told.people, told.dirty, told.with_sales, told.disk_full) == (2, 2, 0, False)
        assert told.cursors == {"marketo/poll": at(5)}
        assert told.seen_until == {"marketo/poll": at(4)}
        assert told.down == {"salesforce": "quota spent until 10:00"}
        assert told.calls_today == {"salesforce": 12}
        assert told.usage == {"salesforce": Usage(made=12)}
        usage = Usage(made=13, used=500, limit=1000, since=at(0), at=at(6), skew=-1500)
        store.set_meta("calls/salesforce", msgspec.json.encode(usage).decode())
        assert store.health(at(6)).usage == {"salesforce": usage}
        assert store.health(at(6)).calls_today == {"salesforce": 13}

    def test_our_last_decision_alone(self, store):
        take(store, act(1, "a"), act(2, "b"))
        assert store.decided([1, 2, 99]) == {}
        settle(store)
        decided = store.decided([1, 2, 99])
        assert decided == {one: store.dossier(one).decision for one in (1, 2) if store.dossier(one).decision}
        assert decided

    def test_the_policy_of_a_moment_is_the_one_that_was_in_use_then(self, store):
        first, second = policy(digest="a"), policy(digest="b", mql=Threshold(score=70))
        assert store.policy_at(at(0)) is None
        for minute, one in ((1, first), (2, first), (5, second), (9, first)):
            store.use_policy(one, now=at(minute))
        told = [store.policy_at(at(minute)) for minute in (0, 1, 4, 5, 8, 9, 99)]
        assert [one and (one.digest, one.since) for one in told] == [
            None,
            *[("a", at(1))] * 2,
            *[("b", at(5))] * 2,
            *[("a", at(9))] * 2,
        ]
        assert [one.policy for one in told[1:]] == [first, first, second, second, first, first]

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


class StoreConformance(
    FactsIn,
    Accounts,
    Candidates,
    Waking,
    Joins,
    Splits,
    Forgotten,
    Crowds,
    WhoIsWho,
    Records,
    Inbox,
    Figures,
    Decisions,
    CommandsOut,
    Looking,
):
    """All of it."""
