"""The simulated HubSpot over bare HTTP: crm.md, Part C (HubSpot), point by point; each test's name has its number."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from syncagent.sandbox import ControlError
from tests.vendor.hubspot_portal import Portal, serve_portal, task

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CONTACTS = "/crm/v3/objects/contacts"
TASKS = "/crm/v3/objects/tasks"


@pytest.fixture
def portal() -> Iterator[Portal]:
    with serve_portal() as served:
        yield served


def problems(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The list that stands as JSON in the message of a refusal."""
    return msgspec.json.decode(body["message"].removeprefix("Property values were not valid: "))


def test_1_errors_have_an_envelope_and_a_list_in_the_message(portal: Portal) -> None:
    wish = {"properties": {"missing": "x", "email": "no", "hs_lead_status": "odd", "createdate": "1", "mql_date": "?"}}
    reply = portal.call("POST", CONTACTS, wish)
    assert (reply.status_code, reply.json()["category"]) == (400, "VALIDATION_ERROR")
    assert {each["name"]: each["error"] for each in problems(reply.json())} == {
        "missing": "PROPERTY_DOESNT_EXIST",
        "email": "INVALID_EMAIL",
        "hs_lead_status": "INVALID_OPTION",
        "createdate": "READ_ONLY_VALUE",
        "mql_date": "INVALID_LONG",
    }
    assert reply.json()["errors"][0] == {
        "message": 'Property "missing" does not exist',
        "code": "PROPERTY_DOESNT_EXIST",
        "context": {"propertyName": ["missing"]},
    }
    assert set(reply.json()) == {"status", "message", "correlationId", "category", "errors"}
    missing = portal.call("GET", CONTACTS + "/999")
    assert (missing.status_code, missing.json()["category"]) == (404, "OBJECT_NOT_FOUND")
    assert portal.call("GET", "/crm/v3/objects/unicorns").status_code == 400
    assert portal.call("GET", "/crm/v3/nothing").status_code == 404
    [known] = portal.contacts()
    broken = portal.session.post(
        portal.url + CONTACTS, data="{", headers={"Authorization": f"Bearer {portal.known['token']}"}, timeout=5
    )
    assert broken.status_code == 400
    assert (
        portal.call("POST", CONTACTS + "/batch/read", {"inputs": [{"id": known}], "properties": 5}).status_code == 400
    )


def test_2_at_most_a_hundred_inputs(portal: Portal) -> None:
    rows = [{"properties": {"email": f"p{n}@example.com"}} for n in range(101)]
    assert portal.call("POST", CONTACTS + "/batch/create", {"inputs": rows}).status_code == 400
    assert portal.call("POST", CONTACTS + "/batch/create", {"inputs": rows[:100]}).status_code == 201
    assert portal.call("POST", CONTACTS + "/batch/create", {"inputs": []}).status_code == 400


def test_2_a_batch_is_whole_unless_every_input_has_a_trace(portal: Portal) -> None:
    good, bad = {"email": "good@example.com"}, {"email": "bad"}
    half = [{"properties": good, "objectWriteTraceId": "1"}, {"properties": bad}]
    reply = portal.call("POST", CONTACTS + "/batch/create", {"inputs": half})
    assert reply.status_code == 400
    assert portal.control.dump()["objects"]["contacts"] == []
    full = [{"properties": good, "objectWriteTraceId": "1"}, {"properties": bad, "objectWriteTraceId": "2"}]
    reply = portal.call("POST", CONTACTS + "/batch/create", {"inputs": full})
    assert (reply.status_code, reply.json()["status"], reply.json()["numErrors"]) == (207, "COMPLETE", 1)
    assert [row["objectWriteTraceId"] for row in reply.json()["results"]] == ["1"]
    error = reply.json()["errors"][0]
    assert (error["category"], error["context"]) == ("VALIDATION_ERROR", {"objectWriteTraceId": ["2"]})
    again = portal.call("POST", CONTACTS + "/batch/create", {"inputs": full[:1]}).json()
    held = portal.control.dump()["objects"]["contacts"][0]["id"]
    assert again["errors"][0]["category"] == "CONFLICT"
    assert again["errors"][0]["message"].endswith(f"Existing ID: {held}")


def test_2_results_come_in_any_order_and_misses_are_named(portal: Portal) -> None:
    ids = portal.contacts(30)
    read = portal.call("POST", CONTACTS + "/batch/read", {"inputs": [{"id": ident} for ident in [*ids, "7"]]})
    assert read.status_code == 207
    got = [row["id"] for row in read.json()["results"]]
    assert got != ids and sorted(got) == sorted(ids)
    assert [(error["category"], error["context"]) for error in read.json()["errors"]] == [
        ("OBJECT_NOT_FOUND", {"ids": ["7"]})
    ]
    changed = [{"id": ident, "properties": {"city": "Rome"}, "objectWriteTraceId": ident} for ident in [*ids, "7"]]
    wrote = portal.call("POST", CONTACTS + "/batch/update", {"inputs": changed})
    assert (wrote.status_code, len(wrote.json()["results"])) == (207, 30)
    assert wrote.json()["errors"][0]["context"] == {"ids": ["7"], "objectWriteTraceId": ["7"]}
    assert portal.values("contacts", ids[3])["city"] == "Rome"


def test_2_upsert_by_a_unique_property_tells_new(portal: Portal) -> None:
    portal.control.act("add_property", object="tasks", name="syncagent_key", hasUniqueValue=True)
    [contact] = portal.contacts()

    def upsert(*keys: str) -> Any:
        inputs = [task(contact, key) | {"idProperty": "syncagent_key", "id": key} for key in keys]
        return portal.call("POST", TASKS + "/batch/upsert", {"inputs": inputs})

    first = upsert("a", "b")
    assert (first.status_code, [row["new"] for row in first.json()["results"]]) == (200, [True, True])
    second = upsert("b", "c").json()["results"]
    assert {row["objectWriteTraceId"]: row["new"] for row in second} == {"b": False, "c": True}
    assert len(portal.control.dump()["objects"]["tasks"]) == 3
    assert len(portal.record("contacts", contact)["associations"]["tasks"]) == 3
    double = upsert("d", "d")
    assert (double.status_code, "Duplicate IDs" in double.json()["message"]) == (400, True)
    wish = {"inputs": [{"idProperty": "hs_object_id", "id": contact, "properties": {"city": "Rome"}}]}
    assert portal.call("POST", CONTACTS + "/batch/update", wish).status_code == 400
    wish = {"inputs": [task(contact) | {"idProperty": "hs_task_subject", "id": "x"}]}
    refused = portal.call("POST", TASKS + "/batch/upsert", wish).json()
    assert "non-unique 0-27 property hs_task_subject in portal ID 62515" in refused["message"]


def test_2_upsert_by_email_is_all_or_nothing(portal: Portal) -> None:
    inputs = [
        {"idProperty": "email", "id": email, "properties": values, "objectWriteTraceId": email}
        for email, values in (("a@example.com", {"city": "Rome"}), ("b@example.com", {"odd": "x"}))
    ]
    assert portal.call("POST", CONTACTS + "/batch/upsert", {"inputs": inputs}).status_code == 400
    assert portal.control.dump()["objects"]["contacts"] == []
    assert portal.call("POST", CONTACTS + "/batch/upsert", {"inputs": inputs[:1]}).json()["results"][0]["new"] is True


def test_2_a_unique_value_belongs_to_one(portal: Portal) -> None:
    portal.control.act("add_property", object="tasks", name="key", hasUniqueValue=True)
    assert portal.call("POST", TASKS, task(key="k")).status_code == 201
    again = portal.call("POST", TASKS, task(key="k"))
    assert (again.status_code, problems(again.json())[0]["error"]) == (400, "CONFLICTING_UNIQUE_VALUE")
    pair = [task(trace="1", key="n"), task(trace="2", key="n")]
    assert portal.call("POST", TASKS + "/batch/create", {"inputs": pair}).json()["numErrors"] == 1
    [held] = portal.control.act("find", object="tasks", where={"key": "k"})["records"]
    portal.control.act("delete_task", task=held["id"])
    assert portal.call("POST", TASKS, task(key="k")).status_code == 201


def test_5_lifecycle_moves_forward_only_unless_cleared_first(portal: Portal) -> None:
    [contact] = portal.contacts(lifecyclestage="salesqualifiedlead")
    portal.hs.crm.contacts.basic_api.update(contact, {"properties": {"lifecyclestage": "lead", "city": "Rome"}})
    assert portal.values("contacts", contact)["lifecyclestage"] == "salesqualifiedlead"
    assert portal.values("contacts", contact)["city"] == "Rome"
    for value in ("", "lead", "opportunity"):
        portal.hs.crm.contacts.basic_api.update(contact, {"properties": {"lifecyclestage": value}})
        assert portal.values("contacts", contact).get("lifecyclestage", "") == value
    portal.control.act("set_settings", lifecycle_backwards="refused")
    wish = {"properties": {"lifecyclestage": "lead"}}
    assert portal.call("PATCH", f"{CONTACTS}/{contact}", wish).status_code == 400


def test_5_what_must_be_there(portal: Portal) -> None:
    [contact] = portal.contacts()
    late = portal.call("POST", TASKS, {"properties": {"hs_task_subject": "x"}}).json()
    assert late["message"] == "Error creating TASK. Some required properties were not set."
    assert (late["category"], late["context"]) == ("VALIDATION_ERROR", {"properties": ["hs_timestamp"]})
    lead = {"properties": {"hs_lead_name": "Ann"}}
    assert portal.call("POST", "/crm/v3/objects/leads", lead).status_code == 400
    spec = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 578}
    lead["associations"] = [{"to": {"id": contact}, "types": [spec]}]
    made = portal.call("POST", "/crm/v3/objects/leads", lead)
    assert made.status_code == 201
    assert portal.record("leads", made.json()["id"])["associations"] == {"contacts": [contact]}
    lead["associations"][0]["to"]["id"] = "999"
    assert portal.call("POST", "/crm/v3/objects/leads", lead).status_code == 404


def test_5_rules_of_an_admin_hold_over_the_api_and_workflows_follow(portal: Portal) -> None:
    [contact] = portal.contacts()
    rule = {"object": "contacts", "property": "hs_lead_status"}
    portal.control.act("set_rule", kind="validation", matches="^OPEN$", message="Not yet.", **rule)
    portal.control.act("set_rule", kind="workflow", matches="CONNECTED", values={"city": "Rome"}, **rule)
    refused = portal.call("PATCH", f"{CONTACTS}/{contact}", {"properties": {"hs_lead_status": "OPEN"}})
    assert (refused.status_code, problems(refused.json())[0]["message"]) == (400, "Not yet.")
    portal.control.act("set_status", contact=contact, status="OPEN")
    assert portal.call("PATCH", f"{CONTACTS}/{contact}", {"properties": {"hs_lead_status": "CONNECTED"}}).ok
    read = portal.call("GET", f"{CONTACTS}/{contact}", propertiesWithHistory="city").json()
    assert [one["sourceType"] for one in read["propertiesWithHistory"]["city"]] == ["AUTOMATION_PLATFORM"]
    portal.control.act("clear_rule", name="validation")
    assert portal.call("PATCH", f"{CONTACTS}/{contact}", {"properties": {"hs_lead_status": "OPEN"}}).ok
    with pytest.raises(ControlError, match="needs matches"):
        portal.control.act("set_rule", kind="validation", **rule)


def test_5_an_owner_must_exist_and_be_active(portal: Portal) -> None:
    [contact] = portal.contacts()
    rep = portal.known["rep_owner_id"]

    def give(owner: str) -> int:
        wish = {"properties": {"hubspot_owner_id": owner}}
        return portal.call("PATCH", f"{CONTACTS}/{contact}", wish).status_code

    assert [give(rep), give(portal.known["rep_user_id"]), give("1"), give("")] == [200, 400, 400, 200]
    portal.control.act("archive_owner", owner=rep)
    assert give(rep) == 400
    gone = portal.call("GET", "/crm/v3/owners", archived="true").json()["results"]
    assert [(owner["id"], owner["userId"]) for owner in gone] == [(rep, None)]
    assert rep not in {owner["id"] for owner in portal.call("GET", "/crm/v3/owners").json()["results"]}
    portal.control.act("set_settings", archived_owner="accepted")
    assert give(rep) == 200


def test_6_history_tells_who_newest_first_and_merged_ids_answer_with_the_survivor(portal: Portal) -> None:
    one, two = portal.contacts(2, city="Rome")
    portal.hs.crm.contacts.basic_api.update(one, {"properties": {"hs_lead_status": "OPEN"}})
    portal.control.act("set_status", contact=one, status="CONNECTED", **{"as": portal.known["manager_owner_id"]})
    wish = {"inputs": [{"id": one}], "propertiesWithHistory": ["hs_lead_status"], "properties": ["hs_lead_status"]}
    [row] = portal.call("POST", CONTACTS + "/batch/read", wish).json()["results"]
    newest, oldest = row["propertiesWithHistory"]["hs_lead_status"]
    user = int(portal.known["manager_user_id"])
    assert (newest["sourceType"], newest["sourceId"], newest["updatedByUserId"]) == ("CRM_UI", f"userId:{user}", user)
    assert (oldest["sourceType"], oldest["sourceId"]) == ("INTEGRATION", portal.known["app_id"])
    merged = portal.call("POST", CONTACTS + "/merge", {"primaryObjectId": one, "objectIdToMerge": two}).json()["id"]
    assert merged not in (one, two)
    for ident in (one, two):
        assert portal.call("GET", f"{CONTACTS}/{ident}").json()["id"] == merged
    assert portal.values("contacts", merged)["hs_additional_emails"] == "person1@example.com"
    read = portal.call("POST", CONTACTS + "/batch/read", {"inputs": [{"id": one}, {"id": two}]}).json()
    assert [row["id"] for row in read["results"]] == [merged]
    for address in ("person0@example.com", "person1@example.com"):
        assert portal.call("GET", f"{CONTACTS}/{address}", idProperty="email").json()["id"] == merged
    taken = portal.call("POST", CONTACTS, {"properties": {"email": "person1@example.com"}})
    assert (taken.status_code, taken.json()["message"]) == (409, f"Contact already exists. Existing ID: {merged}")
    assert portal.values("contacts", merged)["hs_merged_object_ids"] == f"{one};{two}"
    portal.control.act("set_settings", merge_id="primary")
    [third] = portal.control.seed(contacts=[{"email": "third@example.com"}])["contacts"]
    assert portal.control.act("merge_contacts", primary=third, loser=merged)["id"] == third
    assert portal.call("GET", f"{CONTACTS}/{two}").json()["id"] == third


@pytest.mark.parametrize(
    ("switch", "status", "unique"), [("yes", 201, True), ("refused", 400, None), ("ignored", 201, False)]
)
def test_7_unique_task_properties_are_a_switch(portal: Portal, switch: str, status: int, unique: bool | None) -> None:
    portal.control.act("set_settings", unique_task_properties=switch)
    wish = {"name": "k", "label": "K", "type": "string", "fieldType": "text", "groupName": "task_information"}
    made = portal.call("POST", "/crm/v3/properties/tasks", wish | {"hasUniqueValue": True})
    assert (made.status_code, made.json().get("hasUniqueValue")) == (status, unique)
    if status == 201:
        assert portal.call("GET", "/crm/v3/properties/tasks/k").json()["hasUniqueValue"] is unique
        assert portal.call("POST", "/crm/v3/properties/tasks", wish).status_code == 409
    assert portal.call("POST", "/crm/v3/properties/contacts", wish | {"hasUniqueValue": True}).status_code == 201


def test_7_unknown_properties_of_tasks_are_a_switch(portal: Portal) -> None:
    assert portal.call("POST", TASKS, task(unheard="x")).status_code == 400
    portal.control.act("set_settings", unknown_task_properties="ignored")
    assert portal.call("POST", TASKS, task(unheard="x")).status_code == 201


def test_archived_records_are_read_apart_and_privacy_deletion_leaves_nothing(portal: Portal) -> None:
    one, two, three = portal.contacts(3)
    portal.control.act("submit_form", form="demo", email="person2@example.com")
    assert portal.call("DELETE", f"{CONTACTS}/{one}").status_code == 204
    assert portal.call("DELETE", f"{CONTACTS}/{one}").status_code == 204
    assert portal.call("POST", CONTACTS + "/batch/archive", {"inputs": [{"id": two}]}).status_code == 204
    wish = {"objectId": "person2@example.com", "idProperty": "email"}
    assert portal.call("POST", CONTACTS + "/gdpr-delete", wish).status_code == 204
    assert portal.call("GET", CONTACTS).json()["results"] == []
    bin_ = portal.call("GET", CONTACTS, archived="true").json()["results"]
    assert [(row["id"], row["archived"], "archivedAt" in row) for row in bin_] == [(one, True, True), (two, True, True)]
    read = portal.call("POST", CONTACTS + "/batch/read", {"inputs": [{"id": one}, {"id": three}]}, archived="true")
    assert [row["id"] for row in read.json()["results"]] == [one]
    dump = portal.control.dump()
    assert {row["id"] for row in dump["objects"]["contacts"]} == {one, two}
    assert dump["submissions"] == 0
    portal.control.act("restore", object="contacts", id=one)
    assert portal.call("GET", f"{CONTACTS}/{one}").status_code == 200


def test_acts_of_people_name_what_is_wrong(portal: Portal) -> None:
    with pytest.raises(ControlError, match="There is no act 'dance'"):
        portal.control.act("dance")
    with pytest.raises(ControlError, match="There is no task '1'"):
        portal.control.act("complete_task", task="1")
    with pytest.raises(ControlError, match="needs 'task'"):
        portal.control.act("complete_task")
    with pytest.raises(ControlError, match="There is no setting 'x'"):
        portal.control.act("set_settings", x=1)
    with pytest.raises(ControlError, match="is one of yes, refused, ignored"):
        portal.control.act("set_settings", unique_task_properties="maybe")
    with pytest.raises(ControlError, match="PROPERTY_DOESNT_EXIST"):
        portal.control.seed(contacts=[{"odd": "x"}])
    with pytest.raises(ControlError, match=r"@contacts\.3 names no record"):
        portal.control.seed(tasks=[{"associate": {"contacts": ["@contacts.3"]}}])


@pytest.mark.parametrize(
    ("name", "sent", "kept"),
    [
        ("mql_date", "1772452800123", "2026-03-02T12:00:00.123Z"),
        ("mql_date", "2026-03-02T13:00:00+01:00", "2026-03-02T12:00:00.000Z"),
        ("recycle_until", "2026-03-02", "2026-03-02"),
        ("recycle_until", "1772409600000", "2026-03-02"),
        ("lead_score", 7, "7"),
        ("hs_email_optout", True, "true"),
        ("recycle_reason", "no_budget", "no_budget"),
        ("city", "", None),
        ("city", None, None),
        ("recycle_until", "1772452800000", "INVALID_DATE"),
        ("recycle_until", "soon", "INVALID_DATE"),
        ("lead_score", "many", "INVALID_LONG"),
        ("lead_score", "NaN", "INVALID_LONG"),
        ("hs_email_optout", "maybe", "INVALID_OPTION"),
        ("city", ["Rome"], "INVALID_STRING"),
    ],
)
def test_values_are_text_and_have_a_form(portal: Portal, name: str, sent: Any, kept: str | None) -> None:
    [contact] = portal.contacts(city="Oslo")
    reply = portal.call("PATCH", f"{CONTACTS}/{contact}", {"properties": {name: sent}})
    if kept is not None and kept.startswith("INVALID"):
        assert (reply.status_code, problems(reply.json())[0]["error"]) == (400, kept)
    else:
        assert reply.json()["properties"][name] == kept
