"""While a deal is open its owner hears of what matters: once a matter, in their budget, never of history."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from syncagent.handoff import plan
from syncagent.handoff.deals import folded
from syncagent.model import (
    Alert,
    CloseTask,
    CrmRecord,
    CrmTask,
    Decision,
    Dossier,
    Identity,
    Noticed,
    Notify,
    Opportunity,
    Plan,
    Roster,
)
from syncagent.policy import AlertPolicy, Duration, InsightPolicy, MomentRule, Policy
from tests.unit.handoff.worlds import (
    ANA,
    BEN,
    BOSS,
    CONTACT,
    LIVE,
    MARKETO,
    NOW,
    accept,
    activity,
    apply,
    dossier,
    dossiers,
    lead,
    minutes,
    policy,
    roster_after,
)

DAY, BERLIN = timedelta(days=1), ZoneInfo("Europe/Berlin")
DEAL = Identity("crm", "Opportunity", "O1")
RULES = (
    MomentRule("page.visited", "Looked at {asset}", "/pricing*", deal=True),
    MomentRule("file.downloaded", "Downloaded {asset}", deal=True),
    MomentRule("page.visited", "Visited {asset}"),
)


def agreed(**changes: Any) -> Policy:
    return policy(insight=InsightPolicy(moments=RULES), **changes)


def deal(ident: str = "O1", **changes: Any) -> Opportunity:
    at = NOW - 20 * DAY
    return replace(Opportunity(Identity("crm", "Opportunity", ident), (CONTACT,), at, at, BEN, "Offer"), **changes)


def contact(*done: Any, deals: tuple[Opportunity, ...] = (deal(),), **changes: Any) -> Dossier:
    """A contact on an open deal who is too cold for a handoff."""
    record = CrmRecord(CONTACT, NOW - 9 * DAY, NOW - 30 * DAY, ANA, {"owner": ANA}, ("eva@example.com",))
    facts = dossier(
        identities=(MARKETO, CONTACT),
        leads=(lead(title=""),),
        records=(record,),
        activities=done,
        opportunities=deals,
    )
    return replace(facts, **changes)


def looks(key: str, at: datetime, asset: str = "/pricing") -> Any:
    return activity(key, at, "page.visited", asset)


def alerts(result: Plan) -> list[Alert]:
    return [one for one in result.commands if isinstance(one, Alert)]


def run(facts: Dossier, at: datetime = NOW, given: Policy | None = None, roster: Roster | None = None) -> Plan:
    return plan(replace(facts, crm_seen_until=at), given or agreed(), roster or Roster(), at)


def test_the_owner_is_told_in_the_crm_what_and_when() -> None:
    result = run(
        contact(looks("k1", NOW - minutes(9)), activity("k2", NOW - minutes(4), "file.downloaded", "ROI paper"))
    )
    (alert,) = alerts(result)
    assert (alert.to, alert.record, alert.remind_at) == (BEN, CONTACT, NOW)
    assert alert.subject == "Open deal: Eva Lang (Lang GmbH): Downloaded ROI paper"
    assert alert.body.split("\n") == [
        "While your deal is open (Offer), Eva Lang (Lang GmbH):",
        "- 2026-03-10 09:56 Downloaded ROI paper",
        "- 2026-03-10 09:51 Looked at /pricing",
    ]
    assert [one.why for one in result.events if one.kind == "insight"] == [
        "Ben, whose deal is open, was told: Downloaded ROI paper."
    ]


def test_our_own_result_is_silent_before_and_after_it_is_sent() -> None:
    facts = contact(looks("k1", NOW - minutes(9)))
    first = run(facts)
    for stored in (accept(first, facts), apply(first, facts)):
        again = run(stored)
        assert (alerts(again), again.events) == ([], ())


def test_one_alert_a_matter_and_again_after_its_time() -> None:
    facts = contact(looks("k1", NOW - minutes(9)))
    stored = apply(run(facts), facts)
    for days, told in ((1, 0), (6, 0), (7, 1), (8, 0)):
        at = NOW + days * DAY
        stored = replace(stored, activities=(*stored.activities, looks(f"d{days}", at - minutes(5), "/pricing/team")))
        result = run(stored, at)
        assert len(alerts(result)) == told, days
        stored = apply(result, stored, at)
    assert len({one.key for one in stored.outbox if one.verb == "Alert"}) == 2


def test_only_what_the_agreement_names_and_only_what_is_new() -> None:
    old = run(contact(looks("k1", NOW - 4 * DAY)))
    other = run(contact(looks("k1", NOW - minutes(5), "/team")))
    before_the_deal = run(contact(looks("k1", NOW - minutes(5)), deals=(deal(created_at=NOW - minutes(1)),)))
    history = run(contact(looks("k1", NOW - minutes(5))), given=agreed(live_from=NOW))
    split = run(contact(looks("k1", NOW - minutes(5)), fresh_from=NOW))
    ended = run(contact(looks("k1", NOW - minutes(5)), deals=(deal(closed=True),)))
    gone = run(contact(looks("k1", NOW - minutes(5)), deals=(deal(deleted=True),)))
    for result in (old, other, before_the_deal, history, split, ended, gone):
        assert alerts(result) == []
    assert LIVE < NOW - 4 * DAY


def test_never_on_a_stale_view() -> None:
    facts = contact(looks("k1", NOW - minutes(5)), crm_seen_until=NOW - minutes(6))
    result = plan(facts, agreed(), Roster(), NOW)
    assert alerts(result) == []
    assert "crm" in result.waits_on
    assert result.wake_at is not None and result.wake_at <= NOW + minutes(1)
    ended = replace(facts, opportunities=(deal(closed=True, won=True),), crm_seen_until=NOW)
    assert alerts(plan(ended, agreed(), Roster(), NOW)) == []


def test_whoever_has_just_read_it_in_a_brief_is_not_told_again() -> None:
    """Somebody on an open deal raises their hand: the deal's owner gets the task, and no alert beside it."""
    asked = activity("f", NOW - minutes(2), "form.submitted", "demo-request")
    result = run(contact(looks("k1", NOW - minutes(9)), asked))
    assert [one.to for one in alerts(result)] == []
    assert result.decision.handoff is not None
    assert result.decision.handoff.assignments[-1].owner == BEN
    stored = apply(result, contact(looks("k1", NOW - minutes(9)), asked))
    later = replace(stored, activities=(*stored.activities, looks("k3", NOW + minutes(20))))
    assert [one.to for one in alerts(run(later, NOW + minutes(21)))] == [BEN]


def test_an_owner_of_several_deals_hears_once_and_each_owner_of_theirs() -> None:
    deals = (deal("O1"), deal("O2", created_at=NOW - 5 * DAY), deal("O3", owner=ANA))
    result = run(contact(looks("k1", NOW - minutes(5)), deals=deals))
    assert sorted(one.to for one in alerts(result)) == [ANA, BEN]
    stored = apply(result, contact(looks("k1", NOW - minutes(5)), deals=deals))
    assert alerts(run(stored, NOW + minutes(1))) == []


def test_whoever_is_not_active_is_stood_in_for() -> None:
    facts = contact(looks("k1", NOW - minutes(5)))
    (alert,) = alerts(run(facts, roster=Roster(active={BEN: False})))
    assert alert.to == ANA
    assert alerts(run(facts, roster=Roster(active={BEN: False, ANA: False}))) == []


def test_an_alert_waits_for_the_end_of_the_quiet_hours_and_for_the_digest() -> None:
    facts = contact(looks("k1", NOW - minutes(5)))
    quiet = agreed(alerts=AlertPolicy(quiet=(9 * 60, 12 * 60), sinks={"post": (BEN,)}))
    made = run(facts, given=quiet)
    (alert,) = alerts(made)
    assert alert.remind_at == datetime.fromisoformat("2026-03-10T11:00:00Z")
    assert [one.not_before for one in made.commands if isinstance(one, Notify)] == [alert.remind_at]


def test_what_is_not_sent_when_the_deal_has_ended_is_taken_back() -> None:
    given = agreed(alerts=AlertPolicy(sinks={"post": (BEN,)}, digests=("post",)))
    facts = contact(looks("k1", NOW - minutes(5)))
    first = run(facts, given=given)
    (alert,) = alerts(first)
    lost = {"opportunities": (deal(closed=True),)}
    queued = run(replace(accept(first, facts), **lost), given=given)
    assert set(queued.withdraw) == {alert.key, f"{alert.key}:post"}
    stored = accept(first, facts)
    sent = replace(
        stored,
        outbox=tuple(replace(one, state="done") if one.key == alert.key else one for one in stored.outbox),
        **lost,
    )
    ended = run(sent, given=given)
    assert set(ended.withdraw) == {f"{alert.key}:post"}
    (closed,) = [one for one in ended.commands if isinstance(one, CloseTask)]
    assert (closed.task, closed.reason) == (alert.key, "The deal has ended.")
    assert run(accept(ended, sent), given=given).commands == ()
    left = run(replace(sent, opportunities=()), given=given)
    assert [one.task for one in left.commands if isinstance(one, CloseTask)] == [alert.key], "no longer a contact on it"
    forgotten = run(replace(sent, erased=True), given=given)
    assert [one.task for one in forgotten.commands if isinstance(one, CloseTask)] == [alert.key]
    assert run(accept(first, facts), given=given).withdraw == ()


def test_a_task_from_a_life_that_this_state_knows_nothing_of_stands_for_the_alert() -> None:
    """A restored backup: the decision is older than what stands in the CRM."""
    facts = contact(looks("k1", NOW - minutes(5)))
    (alert,) = alerts(run(facts))
    place = Identity("crm", "Task", "T1")
    task = CrmTask(place, CONTACT, BEN, NOW, "me", "me", NOW, alert.key.replace("e1:", "e0:"), type="Task")
    result = run(replace(facts, tasks=(task,)))
    assert alerts(result) == []
    assert result.decision.noticed


def test_people_who_turn_out_to_be_one_have_told_it_once() -> None:
    at = NOW - minutes(9)
    other = Decision(noticed=(Noticed("O1", 3, {RULES[0].says: at}),))
    facts = contact(looks("k1", at), absorbed=(other,))
    result = run(facts)
    assert alerts(result) == []
    assert result.decision.noticed == other.noticed
    later = run(contact(activity("k2", NOW, "file.downloaded", "x"), decision=result.decision))
    assert [one.key for one in alerts(later)] == ["e1:17:deal.O1.4:alert"]


def test_what_two_were_told_is_folded() -> None:
    one = Noticed("O1", 2, {"a": NOW, "b": NOW})
    two = Noticed("O1", 1, {"b": NOW + DAY, "c": NOW})
    assert folded((one, two, Noticed("O0"))) == (Noticed("O0"), Noticed("O1", 2, {"a": NOW, "b": NOW + DAY, "c": NOW}))


DONE = st.builds(
    activity,
    st.sampled_from([f"k{n}" for n in range(30)]),
    st.integers(0, 20 * 24 * 60).map(lambda count: NOW + minutes(count)),
    st.sampled_from(("page.visited", "file.downloaded", "form.submitted")),
    st.sampled_from(("/pricing", "/pricing/team", "guide", "demo-request")),
)


@settings(max_examples=60)
@given(
    st.lists(DONE, max_size=20, unique_by=lambda one: one.key),
    st.lists(st.sampled_from((BEN, ANA, "", BOSS)), min_size=1, max_size=3),
    st.integers(1, 4),
    st.booleans(),
)
def test_no_matter_is_told_twice_and_reminders_stay_in_the_budget(
    done: list[Any], owners: list[str], budget: int, sends: bool
) -> None:
    """Twenty days of one contact, planned at every activity and between, delivered at once or not at all."""
    given = agreed(alerts=AlertPolicy(budget=budget))
    deals = tuple(deal(f"O{n}", owner=owner) for n, owner in enumerate(owners))
    stored, roster = contact(deals=deals), Roster()
    told: list[tuple[datetime, Alert]] = []
    matters: dict[tuple[str, str], list[datetime]] = {}
    for one in sorted(done, key=lambda each: (each.at, each.key)):
        stored = replace(stored, activities=(*stored.activities, one))
        for at in (one.at, one.at + minutes(3)):
            stored = replace(stored, crm_seen_until=at + minutes(1))
            result = plan(stored, given, roster, at)
            roster = roster_after(result, roster)
            told += [(at, each) for each in alerts(result)]
            for noticed in result.decision.noticed:
                for says, last in noticed.last.items():
                    known = matters.setdefault((noticed.deal, says), [])
                    known += [last] if last not in known else []
            stored = apply(result, stored, at) if sends else accept(result, stored)
            again = plan(replace(stored, crm_seen_until=at + minutes(1)), given, roster, at)
            assert not [each for each in alerts(again) if ":deal." in each.key]
    keys = [alert.key for _, alert in told]
    assert len(keys) == len(set(keys))
    week = 7 * DAY - timedelta(hours=1)  # calendar days, and clocks go forward meanwhile
    assert all(after - before >= week for known in matters.values() for before, after in pairwise(known))
    by_day = Counter((alert.to, f"{at.astimezone(BERLIN):%Y-%m-%d}") for at, alert in told if alert.remind_at == at)
    assert all(count <= budget for count in by_day.values())


@given(dossiers(), st.lists(DONE, max_size=6, unique_by=lambda one: one.key), st.randoms(use_true_random=False))
def test_any_facts_in_any_order(facts: Dossier, done: list[Any], dice: Any) -> None:
    activities = [*facts.activities, *(replace(one, at=one.at - 20 * DAY) for one in done)]
    activities = list({one.key: one for one in activities}.values())
    facts = replace(facts, activities=tuple(activities))
    first = plan(facts, agreed(), Roster(), NOW)
    mixed = [*activities, *activities]
    dice.shuffle(mixed)
    assert plan(replace(facts, activities=tuple(mixed)), agreed(), Roster(), NOW) == first
    again = plan(accept(first, facts), agreed(), roster_after(first, Roster()), NOW)
    assert not [one for one in alerts(again) if ":deal." in one.key]
    shown = plan(facts, replace(agreed(), insight=InsightPolicy(moments=RULES, again=Duration(days=1))), Roster(), NOW)
    assert len(alerts(shown)) == len(alerts(first))
