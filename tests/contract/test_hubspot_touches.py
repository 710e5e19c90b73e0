"""Calls, emails and meetings that reps log in HubSpot: acts of their owner, each told of everybody it is about."""

from datetime import timedelta

import pytest

from syncagent.model import CrmTask
from tests.contract.hubspot_portal import NOON
from tests.contract.test_hubspot_reading import begin, hear, news

LOGGED = [
    ("calls", {"hs_call_title": "First call", "hs_call_status": "COMPLETED"}, "Call"),
    ("calls", {"hs_call_title": "First call", "hs_call_status": "NO_ANSWER"}, "Call"),
    ("emails", {"hs_email_subject": "Hello", "hs_email_direction": "EMAIL", "hs_email_status": "SENT"}, "Email"),
    ("meetings", {"hs_meeting_title": "Demo", "hs_meeting_outcome": "SCHEDULED"}, "Meeting"),
]
NO_TOUCH = [
    ("calls", {"hs_call_status": "CANCELED"}),
    ("emails", {"hs_email_direction": "INCOMING_EMAIL"}),
    ("emails", {"hs_email_direction": "EMAIL", "hs_email_status": "BOUNCED"}),
    ("meetings", {"hs_meeting_outcome": "CANCELED"}),
]


@pytest.mark.parametrize(("kind", "values", "type_"), LOGGED)
def test_a_call_an_email_and_a_meeting_that_a_rep_logs_are_told_as_done(portal, kind, values, type_):
    [contact] = portal.contacts(1)
    cursor = begin(portal)
    portal.control.clock_advance(5)
    portal.act("log", object=kind, contact=contact.id, values=values, **{"as": portal.second})
    [fact], cursor = hear(portal, cursor, CrmTask)
    assert (fact.type, fact.closed, fact.deleted, fact.key, fact.record) == (type_, True, False, "", contact)
    assert (fact.owner, fact.created_by, fact.modified_by) == (portal.second,) * 3
    assert fact.created_at == fact.closed_at == NOON + timedelta(seconds=5)
    assert fact.subject in values.values()
    for _ in range(8):
        facts, cursor = news(portal, cursor)
        assert facts == []


@pytest.mark.parametrize(
    ("kind", "values", "outcome"),
    [
        ("calls", {"hs_call_disposition": "f240bbac-87c9-4f6e-bf70-924b57d47db7"}, "Connected"),
        (
            "calls",
            {"hs_call_disposition": "e448b440-6d4a-4830-9408-9504e32407e5"},
            "e448b440-6d4a-4830-9408-9504e32407e5",
        ),
        ("calls", {"hs_call_status": "COMPLETED"}, ""),
        ("meetings", {"hs_meeting_outcome": "COMPLETED"}, "COMPLETED"),
    ],
)
def test_what_came_of_a_call_or_a_meeting_is_told(portal, kind, values, outcome):
    [contact] = portal.contacts(1)
    cursor = begin(portal)
    portal.control.clock_advance(5)
    portal.act("log", object=kind, contact=contact.id, values=values, **{"as": portal.second})
    [fact], _ = hear(portal, cursor, CrmTask)
    assert fact.outcome == outcome


@pytest.mark.parametrize(("kind", "values"), NO_TOUCH)
def test_what_a_prospect_has_sent_or_what_came_to_nothing_is_no_touch(portal, kind, values):
    [contact] = portal.contacts(1)
    cursor = begin(portal)
    portal.control.clock_advance(5)
    portal.act("log", object=kind, contact=contact.id, values=values)
    [fact], _ = hear(portal, cursor, CrmTask)
    assert fact.deleted


def test_what_a_workflow_logs_is_automation_and_a_telephone_system_is_its_rep(portal):
    [contact] = portal.contacts(1)
    cursor = begin(portal)
    for source, by in (("AUTOMATION_PLATFORM", "automation"), ("INTEGRATION", portal.second)):
        portal.control.clock_advance(5)
        portal.act("log", object="calls", contact=contact.id, source=source, **{"as": portal.second})
        [fact], cursor = hear(portal, cursor, CrmTask)
        assert fact.created_by == by


def test_one_meeting_with_two_people_is_told_of_both_and_old_ones_of_nobody(portal):
    one_, other = portal.contacts(2)
    logged = {"hs_timestamp": NOON.isoformat(), "hubspot_owner_id": portal.rep}
    stamps = {name: (NOON - timedelta(hours=1)).isoformat() for name in ("hs_createdate", "hs_lastmodifieddate")}
    portal.control.seed(calls=[{**logged, **stamps, "associate": {"contacts": [one_.id]}}])
    pages = list(portal.crm.pull(portal.crm.begin(NOON - timedelta(days=365))))
    assert not [fact for page in pages for fact in page.facts if isinstance(fact, CrmTask)]
    assert not [path for path in portal.paths() if path.endswith("/calls/search")], "no call for what concerns nobody"
    portal.control.clock_advance(5)
    stamps = {name: (NOON + timedelta(seconds=4)).isoformat() for name in ("hs_createdate", "hs_lastmodifieddate")}
    portal.control.seed(meetings=[{**logged, **stamps, "associate": {"contacts": [one_.id, other.id]}}])
    found, _ = hear(portal, pages[-1].cursor, CrmTask)
    assert {fact.record for fact in found} == {one_, other}
    assert len({fact.identity for fact in found}) == 2


def test_promises_wait_for_what_may_have_been_logged(portal):
    """Law 12: seen until then means that a call logged by then would have been heard."""
    cursor = begin(portal)
    told = []
    for _ in range(5):
        portal.control.clock_advance(10)
        page = list(portal.crm.pull(cursor))[-1]
        cursor = page.cursor
        told.append(page.seen_until)
    assert told[0] == NOON - timedelta(seconds=30), "contacts and tasks were asked, the rarer objects not"
    assert told[-1] >= NOON, "they were"


def test_an_app_that_may_not_read_emails_goes_without_them(portal, caplog):
    portal.control.plant(missing_scopes=["sales-email-read"], times=None, match={"path": "/emails"})
    cursor = begin(portal)
    for _ in range(8):
        portal.control.clock_advance(10)
        page = list(portal.crm.pull(cursor))[-1]
        cursor = page.cursor
    assert page.seen_until >= NOON, "what may not be read holds up no promise"
    assert "emails are left out" in caplog.text
    [problem] = portal.crm.check()
    assert not problem.fatal
    assert "emails" in problem.message
