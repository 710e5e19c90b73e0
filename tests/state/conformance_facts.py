"""What every store must keep of facts: what is new, who is who, what records say."""

import itertools

import pytest
from msgspec.structs import replace

from syncagent.model import (
    CrmUser,
    Decision,
    Deleted,
    Hint,
    Identity,
    Merged,
    Roster,
)
from syncagent.state.store import Settlement
from tests.state.story_values import (
    act,
    at,
    change,
    deal,
    handoff,
    lead,
    mk,
    only,
    page,
    plan,
    record,
    settle,
    sf,
    take,
    task,
    write,
)


class FactsIn:
    def test_a_page_and_its_cursor_come_together(self, store):
        assert store.cursor("marketo/poll") is None
        told = take(store, lead(1), act(1, "a", 1), cursor="next")
        assert (told.new, len(told.people)) == (2, 1)
        assert store.cursor("marketo/poll") == "next"

    def test_soon_is_after_commit(self, store):
        futures = [store.accept_soon(page(act(n, "a")), "s", now=at(1)) for n in range(20)]
        assert [future.result(20).new for future in futures] == [1] * 20
        assert store.health(at(2)).people == 20

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

    def test_a_hint_that_nobody_answers_is_shown_and_asked_again_ever_more_seldom(self, store, clock):
        take(store, Hint(mk(1)), Hint(mk(2)), act(3, "a"))
        asked = []
        for minute in range(2000):
            clock.move_to(at(minute))
            if wanted := store.wanted("marketo", 10):
                asked.append((minute, {one.id for one in wanted}))
                store.looked(wanted, page(lead(2)))
        assert asked == [(0, {"1", "2", "3"}), *((minute, {"1"}) for minute in (1, 11, 71, 1511))]
        assert store.health(at(2000)).unanswered == {"marketo": 1}
        take(store, Hint(mk(1)))
        assert store.wanted("marketo", 10) == (mk(1),)
        store.looked([mk(1)], page(lead(1)))
        assert store.health(at(2000)).unanswered == {}

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

    def test_a_decision_that_stands_is_settled_without_being_told_again(self, store):
        take(store, act(1, "a"))
        (before,) = store.unsettled(at(1), 10).dossiers
        settle(store, decision=Decision(handoffs=(handoff(before.person),)))
        take(store, act(1, "b"))
        found = store.unsettled(at(2), 10)
        (one,) = found.dossiers
        told = plan(commands=(write(one.person),), decision=one.decision, wake_at=at(9))
        settlement = Settlement(one.person, one.revision, told, unchanged=True)
        assert store.settle([settlement], found.roster, now=at(2), config="c") == 1
        after = only(store)
        assert after.decision == one.decision
        assert [entry.key for entry in after.outbox] == ["w1"]
        assert store.next_wake() == at(9)
        assert store.unsettled(at(3), 10).dossiers == ()
        assert store.health(at(3)).with_sales == 1
        assert store.settle([settlement], found.roster, now=at(3), config="c") == 0

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

    def test_a_task_told_without_its_record_stays_where_it_hung(self, store):
        take(store, task("T", 1, 1))
        take(store, task("T", "", 2, closed=True))
        assert only(store).tasks[0].closed
        assert take(store, task("U", "", 2)).new == 0

    def test_a_deal_told_without_its_people_keeps_them(self, store):
        take(store, deal("D", [1], 1))
        take(store, deal("D", [], 2, won=True))
        assert only(store).opportunities[0].won

    def test_a_deleted_task_stays_deleted_when_an_older_read_comes_late(self, store):
        take(store, Deleted(sf("T", "Task"), at(5)))
        take(store, task("T", 1, 4))
        assert only(store).tasks[0].deleted

    def test_who_waits_for_an_account_is_planned_when_it_changes(self, store):
        take(store, record(1, 1, account="A", status="New"))
        settle(store, waits_on=("account:A",))
        take(store, deal("D", [2], 1, account="B"))
        settle(store, minute=2)
        take(store, deal("D", [2], 3, account="A"))
        assert {d.records[0].identity.id for d in store.unsettled(at(4), 10).dossiers if d.records} == {"1"}
        assert store.dossier(store.find("1")[0]).account.id == "A"

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
        assert store.roster() == Roster(active={"u1": False}, epoch="e1", names={"u1": "Ana"})

    def test_who_says_they_are_out_stands_in_the_roster_and_wakes_who_waits_for_them(self, store):
        ana = CrmUser(Identity("salesforce", "User", "u1"), "Ana")
        take(store, act(1, "a"), ana)
        settle(store, waits_on=("roster:pool",))
        take(store, replace(ana, away_from=at(5), away_until=at(9)))
        assert store.roster().absent == {"u1": (at(5), at(9))}
        settle(store, minute=2, waits_on=("roster:pool",))
        assert not store.unsettled(at(3), 10).dossiers
        take(store, ana)
        assert store.roster().absent == {}
        assert len(store.unsettled(at(3), 10).dossiers) == 1
