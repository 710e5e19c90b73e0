"""What people do in the simulated HubSpot, as it shows over the API."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.vendor.hubspot_portal import Portal, serve_portal, task

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def portal() -> Iterator[Portal]:
    with serve_portal() as served:
        served.control.clock_set(NOON)
        yield served


def open_task(portal: Portal, contact: str) -> str:
    """The id of a task that the API made for the rep."""
    wish = task(contact, hubspot_owner_id=portal.known["rep_owner_id"], hs_task_status="NOT_STARTED")
    return portal.call("POST", "/crm/v3/objects/tasks", wish).json()["id"]


def newest(portal: Portal, kind: str, ident: str, name: str) -> tuple[str, str, str]:
    """Value, source and source id of a property's last change."""
    path = f"/crm/v3/objects/{kind}/{ident}"
    read = portal.call("GET", path, propertiesWithHistory=name).json()["propertiesWithHistory"][name][0]
    return read["value"], read["sourceType"], read.get("sourceId", "")


def test_a_rep_completes_reopens_and_hands_a_task_on(portal: Portal) -> None:
    [contact] = portal.contacts()
    ident = open_task(portal, contact)
    user = f"userId:{portal.known['rep_user_id']}"
    portal.control.clock_advance(60)
    portal.control.act("complete_task", task=ident)
    assert newest(portal, "tasks", ident, "hs_task_status") == ("COMPLETED", "CRM_UI", user)
    assert portal.values("tasks", ident)["hs_task_completion_date"] == "2026-03-02T12:01:00.000Z"
    assert portal.values("tasks", ident)["hs_lastmodifieddate"] == "2026-03-02T12:01:00.000Z"
    portal.control.act("reopen_task", task=ident)
    assert "hs_task_completion_date" not in portal.values("tasks", ident)
    portal.control.act("reassign_task", task=ident, to=portal.known["second_rep_owner_id"])
    second = portal.known["second_rep_owner_id"]
    assert newest(portal, "tasks", ident, "hubspot_owner_id")[:2] == (second, "CRM_UI")


def test_a_task_is_deleted_unlinked_or_was_never_linked(portal: Portal) -> None:
    [contact] = portal.contacts()
    gone, loose = open_task(portal, contact), open_task(portal, contact)
    portal.control.act("delete_task", task=gone)
    portal.control.act("unlink_task", task=loose)
    near = portal.call("GET", f"/crm/v4/objects/contacts/{contact}/associations/tasks").json()["results"]
    assert near == []
    assert portal.call("GET", f"/crm/v3/objects/tasks/{gone}").status_code == 404
    assert portal.call("GET", f"/crm/v3/objects/tasks/{loose}").status_code == 200
    never = portal.control.act("loose_task", subject="Private")["id"]
    assert portal.record("tasks", never)["associations"] == {}


def test_status_owner_recycle_and_the_assigned_date(portal: Portal) -> None:
    [contact] = portal.contacts()
    portal.control.act("set_owner", contact=contact, to=portal.known["manager_owner_id"])
    assert portal.values("contacts", contact)["hubspot_owner_assigneddate"] == "2026-03-02T12:00:00.000Z"
    portal.control.act("recycle", contact=contact, reason="bad_timing", until="2026-04-01")
    values = portal.values("contacts", contact)
    assert (values["recycle_reason"], values["recycle_until"]) == ("bad_timing", "2026-04-01")
    assert newest(portal, "contacts", contact, "hs_lead_status") == (
        "BAD_TIMING",
        "CRM_UI",
        f"userId:{portal.known['manager_user_id']}",
    )


@pytest.mark.parametrize(("act", "won", "lost"), [("win_deal", "true", "false"), ("lose_deal", "false", "true")])
def test_deals_are_won_and_lost(portal: Portal, act: str, won: str, lost: str) -> None:
    portal.control.act("set_settings", won_makes_customer=True)
    [contact] = portal.contacts(lifecyclestage="opportunity")
    deal = portal.control.act("create_deal", contact=contact, name="Big", amount=100)["id"]
    assert portal.values("deals", deal)["dealstage"] == "appointmentscheduled"
    portal.control.act(act, deal=deal)
    values = portal.values("deals", deal)
    told = (values["hs_is_closed"], values["hs_is_closed_won"], values["hs_is_closed_lost"])
    assert told == ("true", won, lost)
    assert values["closedate"] == "2026-03-02T12:00:00.000Z"
    near = portal.call("GET", f"/crm/v4/objects/contacts/{contact}/associations/deals").json()["results"]
    assert [row["toObjectId"] for row in near] == [int(deal)]
    stage = portal.values("contacts", contact)["lifecyclestage"]
    assert stage == ("customer" if act == "win_deal" else "opportunity")


def test_a_merge_takes_tasks_and_lists_along(portal: Portal) -> None:
    one, two = portal.contacts(2)
    mine, theirs = open_task(portal, one), open_task(portal, two)
    [nurture] = portal.control.seed(lists=[{"name": "Nurture", "members": [two]}])["lists"]
    survivor = portal.control.act("merge_contacts", primary=one, loser=two)["id"]
    assert set(portal.record("contacts", survivor)["associations"]["tasks"]) == {mine, theirs}
    for ident in (mine, theirs):
        near = portal.call("GET", f"/crm/v4/objects/tasks/{ident}/associations/contacts").json()["results"]
        assert [row["toObjectId"] for row in near] == [int(survivor)]
    assert portal.control.dump()["lists"][nurture]["members"] == [survivor]


def test_workflows_and_imports_change_many_with_one_stamp(portal: Portal) -> None:
    ids = portal.contacts(5)
    portal.control.act("workflow_edit", object="contacts", ids=ids[:3], values={"city": "Rome"})
    portal.control.act("import_edit", object="contacts", ids=ids[3:], values={"city": "Oslo"})
    sources = [newest(portal, "contacts", ident, "city")[1] for ident in ids]
    assert sources == ["AUTOMATION_PLATFORM"] * 3 + ["IMPORT"] * 2
    assert len({portal.values("contacts", ident)["lastmodifieddate"] for ident in ids}) == 1


def test_notes_and_new_contacts(portal: Portal) -> None:
    contact = portal.control.act("new_contact", values={"email": "new@example.com", "lastname": "New"})["id"]
    note = portal.control.act("add_note", contact=contact, body="Met at the fair.")["id"]
    assert portal.record("notes", note)["associations"] == {"contacts": [contact]}
    assert newest(portal, "contacts", contact, "lastname")[1] == "CRM_UI"


def test_a_seed_may_be_old_and_is_found_at_once(portal: Portal) -> None:
    seeded = portal.control.seed(
        owners=[{"email": "gone@example.com", "archived": True}],
        options={"contacts.hs_lead_status": ["COLD", "WARM"]},
        pipelines={"deals": [{"id": "p", "stages": [{"id": "s1"}, {"id": "s2", "won": True}]}]},
        contacts=[{"email": "old@example.com", "hs_lead_status": "COLD", "createdate": "2020-01-01T00:00:00Z"}],
        tasks=[{"hs_task_subject": "Call", "associate": {"contacts": ["@contacts.0"]}}],
    )
    [contact] = seeded["contacts"]
    assert portal.values("contacts", contact)["createdate"] == "2020-01-01T00:00:00.000Z"
    assert portal.search()["total"] == 1
    assert portal.record("contacts", contact)["associations"] == {"tasks": seeded["tasks"]}
    deal = portal.control.act("create_deal", name="x")["id"]
    portal.control.act("win_deal", deal=deal)
    assert portal.values("deals", deal)["dealstage"] == "s2"
