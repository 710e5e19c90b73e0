"""What sales and automation do in HubSpot, as the connector tells it: who, what, when; and what a quiet day costs."""

import threading
from datetime import timedelta

import msgspec
import pytest

from syncagent.connectors import hubspot
from syncagent.model import CrmRecord, CrmTask, CrmUser, Deleted, Done, FieldChange, Identity, Merged, Opportunity
from tests.contract.hubspot_portal import NOON, both


def begin(portal, crm=None):
    """Read all there is; the cursor behind it."""
    crm = crm or portal.crm
    return list(crm.pull(crm.begin(NOON - timedelta(days=1))))[-1].cursor


def news(portal, cursor, crm=None):
    """A round's facts, and the cursor behind them."""
    pages = list((crm or portal.crm).pull(cursor))
    return [fact for page in pages for fact in page.facts], pages[-1].cursor


def hear(portal, cursor, kind, rounds=6):
    """The facts of this kind of the first round that brings some: the rarer objects are asked every half minute."""
    for _ in range(rounds):
        portal.control.clock_advance(10)
        facts, cursor = news(portal, cursor)
        if found := [fact for fact in facts if isinstance(fact, kind)]:
            return found, cursor
    raise AssertionError(f"no {kind.__name__} in {rounds} rounds")


def one(facts, kind):
    [found] = [fact for fact in facts if isinstance(fact, kind)]
    return found


def changes(facts, field):
    return [(fact.old, fact.new, fact.by) for fact in facts if isinstance(fact, FieldChange) and fact.field == field]


def test_a_record_is_told_with_its_fields_in_our_words_and_types(portal):
    [contact] = portal.contacts(
        1,
        lead_score=41,
        mql_date=NOON.isoformat(),
        recycle_until="2027-01-31",
        hs_additional_emails="second@example.com",
    )
    fact = one(portal.crm.look([contact]).facts, CrmRecord)
    assert fact.identity == contact
    assert fact.emails == ("person0@example.com", "second@example.com")
    assert fact.fields["status"] == "Open"
    assert fact.fields["score"] == 41
    assert fact.fields["stage_date"] == "2026-11-23T12:00:00+00:00"
    assert fact.fields["recycle_until"] == "2027-01-31"
    assert fact.fields["owner"] is None


def test_a_person_automation_and_we_ourselves_are_told_apart(portal):
    [contact] = portal.contacts(1)
    cursor = begin(portal)
    portal.control.clock_advance(1)
    list(portal.crm.apply([portal.write(contact)]))
    portal.control.clock_advance(1)
    portal.act("set_status", contact=contact.id, status="Working", **{"as": portal.second})
    portal.control.clock_advance(1)
    portal.act("workflow_edit", object="contacts", ids=[contact.id], values={"hubspot_owner_id": portal.second})
    facts, _ = news(portal, cursor)
    assert changes(facts, "status")[-2:] == [("Open", "MQL", portal.crm.me()), ("MQL", "Working", portal.second)]
    assert changes(facts, "owner") == [
        (None, portal.rep, portal.crm.me()),
        (portal.rep, portal.second, "automation"),
    ]
    assert one(facts, CrmRecord).modified_by == "automation"


def test_another_app_is_automation_and_not_us(portal):
    [contact] = portal.contacts(1)
    cursor = begin(portal)
    portal.control.clock_advance(1)
    portal.act("set_settings", app_id=99)
    list(portal.connect(app_id="99").apply([portal.write(contact)]))
    facts, _ = news(portal, cursor)
    assert {by for _, _, by in changes(facts, "owner")} == {"automation"}


def test_what_a_person_changes_between_our_read_and_our_write_is_told(portal):
    """HubSpot has no compare-and-set: the history shows whom our write ran over."""
    [contact] = portal.contacts(1)
    cursor = begin(portal)
    portal.control.clock_advance(1)
    write = portal.write(contact)
    rows = portal.crm._reader.rows_of

    def then_somebody_acts(ids):
        found = rows(ids)
        portal.act("set_owner", contact=contact.id, to=portal.second, **{"as": portal.second})
        portal.control.clock_advance(0.5)
        return found

    portal.crm._reader.rows_of = then_somebody_acts
    receipt = dict(portal.crm.apply([write]))[write.key].receipt
    portal.crm._reader.rows_of = rows
    assert receipt.before["owner"] is None
    assert receipt.values["owner"] == portal.rep
    facts, _ = news(portal, cursor)
    assert changes(facts, "owner")[-2:] == [
        (None, portal.second, portal.second),
        (portal.second, portal.rep, portal.crm.me()),
    ]


def test_who_completed_a_task_is_told_and_tasks_of_others_too(portal):
    [contact] = portal.contacts(1)
    list(portal.crm.apply(both(portal, contact)))
    cursor = begin(portal)
    portal.control.clock_advance(10)
    task = portal.tasks()[0]["id"]
    portal.act("complete_task", task=task, **{"as": portal.second})
    facts, cursor = news(portal, cursor)
    fact = one(facts, CrmTask)
    assert (fact.key, fact.closed, fact.modified_by, fact.record) == ("e1:1.1:task", True, portal.second, contact)
    assert fact.created_by == portal.crm.me()
    assert fact.closed_at == NOON + timedelta(seconds=10)
    call = {"hs_task_type": "CALL", "hs_task_status": "COMPLETED", "hs_timestamp": NOON.isoformat()}
    portal.control.seed(
        tasks=[{**call, "hubspot_owner_id": portal.rep, "associate": {"contacts": [contact.id]}}, {**call}]
    )
    facts, _ = news(portal, cursor)
    fact = one(facts, CrmTask)
    assert (fact.type, fact.owner, fact.closed, fact.key) == ("Call", portal.rep, True, "")


def test_a_deleted_contact_and_a_deleted_task_are_told_by_the_recycle_bin(portal):
    one_, other = portal.contacts(2)
    list(portal.crm.apply([portal.task(other)]))
    cursor = begin(portal)
    portal.control.clock_advance(5)
    portal.act("delete", object="contacts", id=one_.id)
    portal.act("delete_task", task=portal.tasks()[0]["id"])
    gone = set()
    for _ in range(400):
        portal.control.clock_advance(60)
        facts, cursor = news(portal, cursor)
        gone |= {fact.identity for fact in facts if isinstance(fact, Deleted)}
    assert gone == {one_, Identity("hubspot", "task", portal.tasks()[0]["id"])}


def test_what_was_deleted_while_nobody_looked_is_told_at_the_start(portal):
    [contact] = portal.contacts(1)
    cursor = begin(portal)
    portal.control.clock_advance(5)
    portal.act("delete", object="contacts", id=contact.id)
    facts, _ = news(portal, cursor, portal.connect())
    assert one(facts, Deleted).identity == contact


def test_a_forgotten_contact_is_gone(portal):
    [contact] = portal.contacts(1)
    portal.act("forget_contact", contact=contact.id)
    assert one(portal.crm.look([contact]).facts, Deleted).identity == contact


@pytest.mark.parametrize("merge_id", ["new", "primary"])
def test_a_merge_is_told_by_the_round_that_sees_the_survivor(portal, merge_id):
    portal.act("set_settings", merge_id=merge_id)
    winner, loser = portal.contacts(2)
    cursor = begin(portal)
    portal.control.clock_advance(5)
    made = portal.act("merge_contacts", primary=winner.id, loser=loser.id)["id"]
    facts, _ = news(portal, cursor)
    merged = one(facts, Merged)
    assert merged.winner.id == made
    assert set(merged.losers) == {winner, loser} - {Identity("hubspot", "contact", made)}
    assert set(one(facts, CrmRecord).emails) == {"person0@example.com", "person1@example.com"}


def test_deals_are_told_with_their_people_won_and_lost(portal):
    [contact] = portal.contacts(1)
    cursor = begin(portal)
    portal.control.clock_advance(5)
    deal = portal.act("create_deal", contact=contact.id, name="Big", amount=1200)["id"]
    [fact], cursor = hear(portal, cursor, Opportunity)
    assert (fact.people, fact.closed, fact.won, fact.amount) == ((contact,), False, False, 1200.0)
    portal.control.clock_advance(5)
    portal.act("win_deal", deal=deal, amount=1500)
    [fact], cursor = hear(portal, cursor, Opportunity)
    assert (fact.closed, fact.won, fact.amount, fact.closed_on) == (True, True, 1500.0, "2026-11-23")
    portal.control.clock_advance(5)
    portal.act("lose_deal", deal=deal, reason="price")
    [fact], _ = hear(portal, cursor, Opportunity)
    assert (fact.closed, fact.won) == (True, False)


def test_the_currency_of_a_deal_is_told(portal):
    [contact] = portal.contacts(1)
    cursor = begin(portal)
    portal.control.clock_advance(5)
    deal = portal.act("create_deal", contact=contact.id, name="Big", amount=1200)["id"]
    [fact], cursor = hear(portal, cursor, Opportunity)
    assert fact.currency == ""
    portal.control.clock_advance(5)
    portal.act("edit", object="deals", id=deal, values={"deal_currency_code": "usd"})
    [fact], _ = hear(portal, cursor, Opportunity)
    assert fact.currency == "USD"


def test_owners_are_told_and_archived_ones_are_inactive(portal):
    portal.act("archive_owner", owner=portal.second)
    pages = list(portal.crm.pull(portal.crm.begin(NOON)))
    users = {fact.identity.id: fact for page in pages for fact in page.facts if isinstance(fact, CrmUser)}
    assert users[portal.rep].active
    assert not users[portal.second].active
    assert users[portal.known["queue_owner_id"]].queue


def test_a_user_id_in_the_history_is_told_as_the_owner_also_once_they_are_archived(portal):
    [contact] = portal.contacts(1)
    cursor = begin(portal)
    portal.control.clock_advance(1)
    portal.act("set_status", contact=contact.id, status="Working", **{"as": portal.second})
    portal.act("archive_owner", owner=portal.second)
    facts, _ = news(portal, cursor, portal.connect())
    assert changes(facts, "status")[-1][2] == portal.second


# -- the index


def test_a_change_that_search_learns_late_is_found_by_the_sweep(portal):
    [contact] = portal.contacts(1)
    cursor = begin(portal)
    portal.act("set_settings", index_lag_min=240, index_lag_max=240)
    portal.control.clock_advance(1)
    portal.act("set_status", contact=contact.id, status="Working", **{"as": portal.rep})
    found = []
    for _ in range(12):
        facts, cursor = news(portal, cursor)
        found += changes(facts, "status")
        portal.control.clock_advance(60)
    assert ("Open", "Working", portal.rep) in found


def test_seen_until_stays_behind_by_what_search_may_lag(portal):
    page = list(portal.crm.pull(portal.crm.begin(NOON - timedelta(hours=1))))[-1]
    assert page.seen_until == NOON - timedelta(seconds=30)


def test_rows_that_search_cannot_fill_any_more_do_not_end_the_walk(portal):
    contacts = portal.contacts(450, lastmodifieddate=(NOON - timedelta(hours=2)).isoformat())
    portal.act("set_settings", index_lag_min=3600, index_lag_max=3600)
    for contact in contacts[:210]:
        portal.act("delete", object="contacts", id=contact.id)
    pages = portal.crm.pull(portal.crm.begin(NOON - timedelta(days=1)))
    told = {fact.identity for page in pages for fact in page.facts if isinstance(fact, CrmRecord)}
    assert told == set(contacts[210:])


def test_a_record_that_moves_while_pages_are_walked_hides_nobody(portal):
    rows = portal.contacts(600)
    crm = portal.crm
    told, moved = set(), False
    for page in crm.pull(crm.begin(NOON - timedelta(days=1))):
        told |= {fact.identity for fact in page.facts if isinstance(fact, CrmRecord)}
        if told and not moved:
            moved = True
            portal.control.clock_advance(1)
            for row in rows[:50]:
                portal.act("edit", object="contacts", id=row.id, values={"city": "Bonn"})
    assert told == set(rows)


# -- what it costs


def test_a_quiet_day_costs_at_most_a_call_a_minute(portal):
    contacts = portal.contacts(20)
    list(portal.crm.apply(both(portal, contacts[0])))
    cursor = begin(portal)
    before = portal.crm.calls()["made"]
    for _ in range(400):
        portal.control.clock_advance(60)
        _, cursor = news(portal, cursor)
    assert portal.crm.calls()["made"] - before <= 400


def test_on_a_quiet_day_a_change_is_heard_within_three_minutes(portal):
    [contact] = portal.contacts(1)
    list(portal.crm.apply(both(portal, contact)))
    cursor = begin(portal)
    waits = []
    for n in range(12):
        portal.control.clock_advance(60)
        _, cursor = news(portal, cursor)
        if n < 3:
            continue
        portal.control.clock_advance(60)
        portal.act("set_status", contact=contact.id, status="Working" if n % 2 else "MQL", **{"as": portal.rep})
        portal.act("reopen_task" if n % 2 else "complete_task", task=portal.tasks()[0]["id"])
        for minutes in range(1, 6):
            facts, cursor = news(portal, cursor)
            portal.control.clock_advance(60)
            if any(isinstance(fact, CrmTask | CrmRecord) for fact in facts):
                waits.append(minutes)
                break
    assert max(waits) <= 3


def handoffs(portal, count):
    contacts = portal.contacts(count, lastmodifieddate=(NOON - timedelta(hours=1)).isoformat())
    batch = [portal.write(one, f"e1:{n}.1:write") for n, one in enumerate(contacts)]
    batch += [portal.task(one, f"e1:{n}.1:task", depends_on=(f"e1:{n}.1:write",)) for n, one in enumerate(contacts)]
    return contacts, batch


def ticking(portal, crm):
    """Each call takes the portal a twentieth of a second: a batch has one stamp, the next one another."""
    call, turn = crm.portal.http.call, threading.Lock()

    def slowly(*args, **more):
        with turn:
            portal.control.clock_advance(0.05)
            return call(*args, **more)

    crm.portal.http.call = slowly


def test_a_thousand_handoffs_cost_at_most_fifty_calls_with_everything_counted(portal):
    """The poll before, the reads before the writes, the writes, the reading back, and the next poll."""
    contacts, batch = handoffs(portal, 1000)
    cursor = begin(portal)
    ticking(portal, portal.crm)
    before = portal.crm.calls()["made"]
    portal.control.clock_advance(60)
    _, cursor = news(portal, cursor)
    assert all(isinstance(outcome, Done) for _, outcome in portal.crm.apply(batch))
    told, tasks = set(), set()
    for step in (5, 5, 60):
        portal.control.clock_advance(step)
        facts, cursor = news(portal, cursor)
        told |= {fact.identity for fact in facts if isinstance(fact, CrmRecord) and fact.fields["status"] == "MQL"}
        tasks |= {fact.record for fact in facts if isinstance(fact, CrmTask)}
    assert told == set(contacts)
    assert tasks == set(contacts)
    assert portal.crm.calls()["made"] - before <= 50


def test_the_hours_after_a_flood_cost_fifty_calls_more_than_quiet_ones(portal):
    _, batch = handoffs(portal, 1000)
    cursor = begin(portal)
    ticking(portal, portal.crm)
    before = portal.crm.calls()["made"]
    assert all(isinstance(outcome, Done) for _, outcome in portal.crm.apply(batch))
    for _ in range(180):
        portal.control.clock_advance(60)
        _, cursor = news(portal, cursor)
    assert portal.crm.calls()["made"] - before <= 180 + 50


@pytest.mark.parametrize("minutes", [0, 1], ids=["hot", "quiet"])
def test_whom_a_flood_of_writes_ran_over_is_told_within_some_rounds(portal, minutes):
    """Of a flood's first fifty the histories are read at once, of the others by and by: each is looked at."""
    contacts, batch = handoffs(portal, 300)
    cursor = begin(portal)
    portal.control.clock_advance(60)
    rows, late = portal.crm._reader.rows_of, sorted(contacts)[-1]

    def then_somebody_acts(ids):
        found = rows(ids)
        portal.act("set_owner", contact=late.id, to=portal.second, **{"as": portal.second})
        portal.control.clock_advance(0.5)
        return found

    portal.crm._reader.rows_of = then_somebody_acts
    assert all(isinstance(outcome, Done) for _, outcome in portal.crm.apply(batch))
    told = []
    for _ in range(25):
        portal.control.clock_advance(60 * minutes or 5)
        facts, cursor = news(portal, cursor)
        told += [(fact.record, fact.by) for fact in facts if isinstance(fact, FieldChange)]
    assert (late, portal.second) in told
    assert {record for record, _ in told} == set(contacts)


def test_after_a_flood_each_change_is_still_heard_in_the_next_round(portal):
    contacts, batch = handoffs(portal, 500)
    cursor = begin(portal)
    portal.control.clock_advance(60)
    ticking(portal, portal.crm)
    assert all(isinstance(outcome, Done) for _, outcome in portal.crm.apply(batch))
    portal.control.clock_advance(5)
    _, cursor = news(portal, cursor)
    for n, contact in enumerate((contacts[0], contacts[250], contacts[-1])):
        portal.control.clock_advance(5)
        portal.act("set_status", contact=contact.id, status="Working", **{"as": portal.rep})
        if n == 2:
            portal.control.clock_advance(1)
            portal.contacts(250, email=None)  # more than a page of others, so that the count does not fit
        facts, cursor = news(portal, cursor)
        assert ("MQL", "Working", portal.rep) in changes(facts, "status")
    portal.act("set_settings", index_lag_min=20, index_lag_max=20)
    portal.act("set_status", contact=contacts[9].id, status="Working", **{"as": portal.rep})
    for wait, heard in ((5, False), (20, True)):
        portal.control.clock_advance(wait)
        facts, cursor = news(portal, cursor)
        told = {fact.record for fact in facts if isinstance(fact, FieldChange) and fact.new == "Working"}
        assert (contacts[9] in told) is heard, "as soon as search knows it"


def test_searches_are_paced_before_hubspot_refuses_the_sixth(portal):
    portal.contacts(2000)
    portal.act("set_settings", limits_clock="real")
    options = msgspec.structs.replace(portal.crm.options, searches=4)
    with hubspot.open("hubspot", options) as crm:
        pages = list(crm.pull(crm.begin(NOON - timedelta(days=1))))
    assert len({fact.identity for page in pages for fact in page.facts if isinstance(fact, CrmRecord)}) == 2000
    assert {call["status"] for call in portal.control.calls()} == {200}
