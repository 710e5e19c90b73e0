"""The simulated Salesforce, driven by an unmodified simple-salesforce and by bare HTTP: crm.md, Part C, point by point.

Each test's name begins with the number of its point. People and their acts (point 11) and SOQL have files of their
own.
"""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise

import pytest
import requests
from simple_salesforce.exceptions import (
    SalesforceGeneralError,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceRefusedRequest,
    SalesforceResourceNotFound,
)

from tests.vendor.salesforce_org import VERSION, Org, serve_org

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def org() -> Iterator[Org]:
    with serve_org() as served:
        yield served


def test_00_rows_are_created_read_changed_deleted(org: Org) -> None:
    made = org.sf.Lead.create(
        {"LastName": " Doe ", "Company": "Acme", "Email": "Jo@Example.com", "MQL_Date__c": "2026-03-01T10:00:00+02:00"}
    )
    ident = made["id"]
    assert (made["success"], ident[:3], len(ident)) == (True, "00Q", 18)
    row = org.sf.Lead.get(ident)
    assert (row["Name"], row["Email"], row["Status"]) == ("Doe", "jo@example.com", "Open - Not Contacted")
    assert row["MQL_Date__c"] == "2026-03-01T08:00:00.000+0000"
    assert row["OwnerId"] == row["CreatedById"] == org.known["integration_user_id"]
    assert org.sf.Lead.update(ident[:15], {"Lead_Score__c": 71}) == 204
    assert org.row(ident)["Lead_Score__c"] == 71
    assert org.sf.Lead.delete(ident) == 204
    with pytest.raises(SalesforceResourceNotFound) as error:
        org.sf.Lead.delete(ident)
    assert error.value.content == [{"message": "entity is deleted", "errorCode": "ENTITY_IS_DELETED", "fields": []}]
    with pytest.raises(SalesforceResourceNotFound) as error:
        org.sf.Lead.get("00Q000000000009AAA")
    assert error.value.content[0]["errorCode"] == "NOT_FOUND"


def test_00_describe_tells_rights_keys_and_picklists(org: Org) -> None:
    fields = {field["name"]: field for field in org.sf.Task.describe()["fields"]}
    key = fields["SyncAgent_Key__c"]
    assert (key["externalId"], key["unique"], key["caseSensitive"], key["length"]) == (True, True, True, 80)
    assert (key["createable"], key["updateable"], fields["IsClosed"]["updateable"]) == (True, True, False)
    assert "In Progress" in [value["value"] for value in fields["Status"]["picklistValues"]]
    assert {"Lead", "Task"} <= {each["name"] for each in org.sf.describe()["sobjects"]}
    assert org.sf.limits()["DailyApiRequests"]["Max"] == 15_000


def test_01_errors_are_arrays_and_collections_answer_200_even_if_all_rows_fail(org: Org) -> None:
    reply = org.call("POST", "sobjects/Lead", {"Company": "Acme"})
    assert reply.status_code == 400
    assert reply.json() == [
        {
            "message": "Required fields are missing: [LastName]",
            "errorCode": "REQUIRED_FIELD_MISSING",
            "fields": ["LastName"],
        }
    ]
    results = org.collect("POST", [{"Company": "A"}, {"LastName": "B", "Company": "B", "Email": "bad"}])
    assert [result["success"] for result in results] == [False, False]
    assert all("id" not in result for result in results)
    assert results[1]["errors"] == [
        {"statusCode": "INVALID_EMAIL_ADDRESS", "message": "Email: invalid email address: bad", "fields": ["Email"]}
    ]


def test_02_caps_are_400(org: Org) -> None:
    record = {"attributes": {"type": "Lead"}, "LastName": "A", "Company": "A"}
    assert org.call("POST", "composite/sobjects", {"records": [record] * 201}).status_code == 400
    part = {"method": "GET", "url": f"/services/data/{VERSION}/limits"}
    parts = [{**part, "referenceId": f"r{n}"} for n in range(26)]
    assert org.call("POST", "composite", {"compositeRequest": parts}).status_code == 400
    assert org.call("POST", "composite", {"compositeRequest": parts[:25]}).status_code == 200
    asks = [{**each, "url": f"/services/data/{VERSION}/query?q=SELECT+Id+FROM+Lead"} for each in parts[:6]]
    assert org.call("POST", "composite", {"compositeRequest": asks}).status_code == 400
    assert org.call("POST", "composite", {"compositeRequest": asks[:5]}).status_code == 200
    node = {
        "method": "POST",
        "url": f"/services/data/{VERSION}/sobjects/Lead",
        "body": {"LastName": "A", "Company": "A"},
    }
    graph = {"graphId": "g", "compositeRequest": [{**node, "referenceId": f"r{n}"} for n in range(501)]}
    assert org.call("POST", "composite/graph", {"graphs": [graph]}).status_code == 400
    graph["compositeRequest"] = graph["compositeRequest"][:2]
    assert org.call("POST", "composite/graph", {"graphs": [graph]}).json()["graphs"][0]["isSuccessful"] is True


def test_02_all_or_none_rolls_back_and_results_keep_their_order(org: Org) -> None:
    records = [{"LastName": "A", "Company": "A"}, {"Company": "B"}, {"LastName": "C", "Company": "C"}]
    codes = [each["errors"][0]["statusCode"] for each in org.collect("POST", records, allOrNone=True)]
    rolled = "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    assert codes == [rolled, "REQUIRED_FIELD_MISSING", rolled]
    assert org.sf.query("SELECT COUNT() FROM Lead")["totalSize"] == 0
    results = org.collect("POST", records)
    assert [each["success"] for each in results] == [True, False, True]
    names = [org.row(results[place]["id"])["LastName"] for place in (0, 2)]
    assert names == ["A", "C"]


def test_02_upsert_tells_created_and_keys_are_really_unique(org: Org) -> None:
    path = "/Task/SyncAgent_Key__c"
    task = {"SyncAgent_Key__c": "h1-task", "Subject": "Call"}
    first = org.collect("PATCH", [task, {"SyncAgent_Key__c": "h2-task"}], path, kind="Task")
    assert [each["created"] for each in first] == [True, True]
    again = org.collect("PATCH", [task, {**task, "SyncAgent_Key__c": "H1-task"}], path, kind="Task")
    assert [each["created"] for each in again] == [False, True]  # keys are case-sensitive
    assert again[0]["id"] == first[0]["id"]
    double = org.collect("PATCH", [task, task], path, kind="Task")
    assert {each["errors"][0]["statusCode"] for each in double} == {"DUPLICATE_VALUE"}
    inserted = org.collect("POST", [{"SyncAgent_Key__c": "n"}, {"SyncAgent_Key__c": "n"}, task], kind="Task")
    assert [each["success"] for each in inserted] == [True, False, False]
    twin, old = inserted[1]["errors"][0], inserted[2]["errors"][0]
    assert (
        twin["message"]
        == f"duplicate value found: SyncAgent_Key__c duplicates value on record with id: {inserted[0]['id'][:15]}"
    )
    assert (old["statusCode"], old["message"][-15:]) == ("DUPLICATE_VALUE", first[0]["id"][:15])


def test_02_recycle_bin_rows_do_not_hold_a_key(org: Org) -> None:
    assert org.sf.Task.upsert("SyncAgent_Key__c/a%2Fb", {"Subject": "1"}) == 201
    assert org.sf.Task.upsert("SyncAgent_Key__c/a%2Fb", {"Subject": "2"}) == 200
    task = org.sf.Task.get_by_custom_id("SyncAgent_Key__c", "a/b")
    org.control.act("delete_task", task=task["Id"])
    assert org.sf.Task.upsert("SyncAgent_Key__c/a%2Fb", {"Subject": "3"}) == 201
    with pytest.raises(SalesforceResourceNotFound) as error:
        org.sf.Task.upsert("Nope__c/1", {})
    assert "Provided external ID field does not exist" in error.value.content[0]["message"]


def test_02_double_external_id_is_300(org: Org) -> None:
    org.control.act("add_field", object="Lead", field="Legacy__c string(40) ext")
    ids = [org.lead(Legacy__c="x"), org.lead(Legacy__c="x")]
    with pytest.raises(SalesforceMoreThanOneRecord) as error:
        org.sf.Lead.upsert("Legacy__c/x", {"City": "Lisbon"})
    assert [url.rpartition("/")[2] for url in error.value.content] == ids


def test_02_concurrent_inserts_of_one_key_make_one_row(org: Org) -> None:
    statuses = []

    def insert() -> None:
        with requests.Session() as session:
            headers = {"Authorization": f"Bearer {org.known['session_id']}"}
            url = f"{org.url}/services/data/{VERSION}/sobjects/Task"
            statuses.append(
                session.post(url, json={"SyncAgent_Key__c": "one"}, headers=headers, timeout=10).status_code
            )

    threads = [threading.Thread(target=insert) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] + [400] * 7


def test_02_an_upsert_that_loses_a_race_is_duplicate_value(org: Org) -> None:
    org.control.act("begin", name="other")
    fields = {"SyncAgent_Key__c": "k", "Subject": "Theirs"}
    theirs = org.control.act("create", object="Task", fields=fields, transaction="other")["id"]
    lost = org.call("PATCH", "sobjects/Task/SyncAgent_Key__c/k", {"Subject": "Ours"})
    assert (lost.status_code, lost.json()[0]["errorCode"]) == (400, "DUPLICATE_VALUE")
    org.control.act("commit", transaction="other")
    assert org.call("PATCH", "sobjects/Task/SyncAgent_Key__c/k", {"Subject": "Ours"}).json()["id"] == theirs


def test_02_composite_substitutes_and_rolls_back(org: Org) -> None:
    base = f"/services/data/{VERSION}/sobjects"
    lead = {"method": "POST", "url": base + "/Lead", "referenceId": "lead", "body": {"LastName": "A", "Company": "A"}}
    task = {"method": "POST", "url": base + "/Task", "referenceId": "task", "body": {"WhoId": "@{lead.id}"}}
    look = {"method": "GET", "url": base + "/Task/@{task.id}?fields=WhoId", "referenceId": "look"}
    parts = org.call("POST", "composite", {"compositeRequest": [lead, task, look]}).json()["compositeResponse"]
    assert [part["httpStatusCode"] for part in parts] == [201, 201, 200]
    assert parts[2]["body"]["WhoId"] == parts[0]["body"]["id"]
    bad = {**task, "body": {"WhoId": "@{lead.id}", "Subject": "x" * 256}}
    parts = org.call("POST", "composite", {"allOrNone": True, "compositeRequest": [lead, bad, look]}).json()
    bodies = [part["body"][0]["errorCode"] for part in parts["compositeResponse"]]
    assert bodies == ["PROCESSING_HALTED", "STRING_TOO_LONG", "PROCESSING_HALTED"]
    assert org.sf.query("SELECT COUNT() FROM Lead")["totalSize"] == 1


def test_03_stamps_are_whole_seconds_and_if_unmodified_since_is_412(org: Org) -> None:
    org.control.clock_set(NOON + timedelta(milliseconds=700))
    ident = org.lead()
    reply = org.call("GET", f"sobjects/Lead/{ident}?fields=SystemModstamp")
    assert reply.json()["SystemModstamp"] == "2026-03-02T12:00:00.000+0000"
    seen = reply.headers["Last-Modified"]
    assert parsedate_to_datetime(seen) == NOON
    # two writes within one second cannot be told apart
    assert org.call("PATCH", f"sobjects/Lead/{ident}", {"City": "A"}, If_Unmodified_Since=seen).status_code == 204
    assert org.call("PATCH", f"sobjects/Lead/{ident}", {"City": "B"}, If_Unmodified_Since=seen).status_code == 204
    org.control.clock_advance(1)
    org.control.act("edit_lead", lead=ident, fields={"City": "C"})
    assert org.call("PATCH", f"sobjects/Lead/{ident}", {"City": "D"}, If_Unmodified_Since=seen).status_code == 412
    assert org.row(ident)["City"] == "C"
    assert org.call("PATCH", f"sobjects/Lead/{ident}", {"City": "D"}, If_Unmodified_Since="no date").status_code == 400
    with pytest.raises(SalesforceGeneralError) as error:
        org.sf.Lead.update(ident, {"City": "D"}, headers={"If-Unmodified-Since": seen})
    assert error.value.status == 412


def test_03_conditions_on_parts_of_a_composite_call_are_a_switch(org: Org) -> None:
    ident = org.lead()
    past = {"If-Unmodified-Since": "Mon, 02 Mar 2020 12:00:00 GMT"}
    url = f"/services/data/{VERSION}/sobjects/Lead/{ident}"
    part = {"method": "PATCH", "url": url, "referenceId": "a", "body": {"City": "A"}, "httpHeaders": past}
    for honoured, status in ((True, 412), (False, 204)):
        org.control.act("set_settings", composite_conditions=honoured)
        reply = org.call("POST", "composite", {"compositeRequest": [part]}).json()["compositeResponse"][0]
        assert reply["httpStatusCode"] == status


def test_04_late_commits_are_invisible_and_hold_latest_date_covered_back(org: Org) -> None:
    org.control.clock_set(NOON)
    early, late = org.lead(), org.lead()
    org.control.clock_advance(60)
    org.control.act("begin", name="flow")
    org.control.clock_advance(30)
    org.control.act("edit_lead", lead=late, fields={"Status": "Recycled"}, transaction="flow")
    org.control.clock_advance(90)
    org.control.act("edit_lead", lead=early, fields={"City": "Lima"})
    org.control.clock_advance(45)
    assert org.row(late)["Status"] == "Open - Not Contacted"
    window = (NOON + timedelta(seconds=59), NOON + timedelta(minutes=10, seconds=30))
    covered = org.sf.Lead.updated(*window)
    assert covered["ids"] == [late, early]  # the minute of the start is whole: late's creation at 12:00:00 is inside
    assert covered["latestDateCovered"] == "2026-03-02T12:01:00.000+0000"
    locked = org.collect("PATCH", [{"id": late, "City": "Rome"}])[0]["errors"][0]
    assert locked["statusCode"] == "UNABLE_TO_LOCK_ROW"
    assert org.control.act("commit", transaction="flow") == {"rows": 3 - 1}
    row = org.row(late)
    assert (row["Status"], row["SystemModstamp"]) == ("Recycled", "2026-03-02T12:01:30.000+0000")
    covered = org.sf.Lead.updated(*window)
    assert covered["latestDateCovered"] == "2026-03-02T12:03:45.000+0000"
    assert covered["ids"] == [late, early]


def test_04_deleted_and_replication_limits(org: Org) -> None:
    org.control.clock_set(NOON)
    gone = org.lead()
    org.control.clock_advance(120)
    org.control.act("delete_lead", lead=gone)
    org.control.clock_advance(60)
    found = org.sf.Lead.deleted(NOON, NOON + timedelta(minutes=3))
    assert found["deletedRecords"] == [{"id": gone, "deletedDate": "2026-03-02T12:02:00.000+0000"}]
    assert org.sf.Lead.updated(NOON, NOON + timedelta(minutes=3))["ids"] == []
    for start in (NOON - timedelta(days=31), NOON + timedelta(minutes=3)):
        with pytest.raises(SalesforceMalformedRequest) as error:
            org.sf.Lead.updated(start, NOON + timedelta(minutes=3))
        assert error.value.content[0]["errorCode"] == "INVALID_REPLICATION_DATE"


def test_05_limit_info_jitters_and_the_two_limits_have_different_texts(org: Org) -> None:
    ident = org.lead()
    told = []
    for _ in range(60):
        text = org.call("GET", f"sobjects/Lead/{ident}?fields=Id").headers["Sforce-Limit-Info"]
        used, limit = text.removeprefix("api-usage=").split("/")
        assert limit == "15000"
        told.append(int(used))
    assert any(later < earlier for earlier, later in pairwise(told))
    assert 45 <= max(told) <= 60
    assert org.control.quota() == {"calls": 60, "cost": 60}
    org.control.plant(daily_limit=True)
    org.control.plant(concurrent_limit=True)
    bodies = [org.call("GET", "limits").json()[0] for _ in range(2)]
    assert {body["errorCode"] for body in bodies} == {"REQUEST_LIMIT_EXCEEDED"}
    assert bodies[0]["message"] == "TotalRequests Limit exceeded."
    assert bodies[1]["message"].startswith("ConcurrentRequests")


def test_05_a_spent_quota_refuses_until_the_next_day(org: Org) -> None:
    org.control.clock_set(NOON)
    known = org.box.credentials("salesforce")
    org.control.act("set_settings", daily_limit=3, session_seconds=10**6)
    org.sf.session_id = org.known["session_id"] = known["session_id"]
    assert [org.call("GET", "limits").status_code for _ in range(4)] == [200, 200, 200, 403]
    with pytest.raises(SalesforceRefusedRequest):
        org.sf.restful("limits")
    org.control.clock_advance(86_400)
    assert org.call("GET", "limits").json()["DailyApiRequests"]["Remaining"] == 2


def test_07_assignment_rule_takes_the_lead_unless_told_not_to(org: Org) -> None:
    org.control.act("set_rule", kind="assignment", owner=org.known["queue_id"])
    rep = org.known["rep_user_id"]
    record = {"LastName": "A", "Company": "A", "OwnerId": rep}
    taken = org.sf.Lead.create(record)["id"]
    kept = org.sf.Lead.create(record, headers={"Sforce-Auto-Assign": "FALSE"})["id"]
    assert (org.row(taken)["OwnerId"], org.row(kept)["OwnerId"]) == (org.known["queue_id"], rep)
    org.sf.Lead.update(kept, {"City": "Rome"}, headers={"Sforce-Auto-Assign": "FALSE"})
    assert org.row(kept)["OwnerId"] == rep
    org.sf.Lead.update(kept, {"City": "Oslo"})
    assert org.row(kept)["OwnerId"] == org.known["queue_id"]
    url = f"/services/data/{VERSION}/sobjects/Lead"
    part = {"method": "POST", "url": url, "referenceId": "a", "body": record}
    inner = {**part, "referenceId": "b", "httpHeaders": {"Sforce-Auto-Assign": "FALSE"}}
    body = {"compositeRequest": [part, inner]}
    made = org.call("POST", "composite", body, Sforce_Auto_Assign="FALSE").json()["compositeResponse"]
    owners = [org.row(each["body"]["id"])["OwnerId"] for each in made]
    assert owners == [org.known["queue_id"], rep]  # a composite call's headers do not come down to its parts


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Recycle_Reason__c": "Bored"}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        ({"Company": "x" * 256}, "STRING_TOO_LONG"),
        ({"LastName": None}, "REQUIRED_FIELD_MISSING"),
        ({"OwnerId": "@second_rep_user_id"}, "INACTIVE_OWNER_OR_USER"),
        ({"OwnerId": "@organization_id"}, "FIELD_INTEGRITY_EXCEPTION"),
        ({"OwnerId": "005000000000009AAB"}, "MALFORMED_ID"),
        ({"OwnerId": "005000000000009"}, "INVALID_CROSS_REFERENCE_KEY"),
        ({"Shoe_Size__c": 44}, "INVALID_FIELD"),
        ({"Lead_Grade__c": "A1"}, "INVALID_FIELD"),
        ({"Lead_Score__c": 3}, "INVALID_FIELD_FOR_INSERT_UPDATE"),
        ({"IsConverted": True}, "INVALID_FIELD_FOR_INSERT_UPDATE"),
        ({"City": "Forbidden City"}, "FIELD_CUSTOM_VALIDATION_EXCEPTION"),
        ({"Email": "taken@example.com"}, "DUPLICATES_DETECTED"),
    ],
)
def test_08_a_refused_row_tells_why_and_does_not_harm_the_others(
    org: Org, changes: dict[str, object], code: str
) -> None:
    control, known = org.control, org.known
    control.act("deactivate_user", user=known["second_rep_user_id"])
    control.act("set_field_access", object="Lead", field="Lead_Grade__c", read=False, edit=False)
    control.act("set_field_access", object="Lead", field="Lead_Score__c", read=True, edit=False)
    control.act("set_rule", kind="validation", object="Lead", field="City", matches="^Forbidden", message="Not there.")
    control.act("set_rule", kind="duplicate", object="Lead", action="block")
    org.lead(Email="taken@example.com")
    bad, good = org.lead(), org.lead()
    resolved = {k: known[v[1:]] if isinstance(v, str) and v.startswith("@") else v for k, v in changes.items()}
    results = org.collect("PATCH", [{"id": bad, **resolved}, {"id": good, "City": "Rome"}])
    assert [each["success"] for each in results] == [False, True]
    assert results[0]["errors"][0]["statusCode"] == code
    assert "City" not in org.row(bad)
    single = org.call("PATCH", f"sobjects/Lead/{bad}", resolved)
    status = 404 if code == "INVALID_CROSS_REFERENCE_KEY" else 400
    assert (single.status_code, single.json()[0]["errorCode"]) == (status, code)


def test_08_duplicate_rule_alert_gives_way_to_allow_save(org: Org) -> None:
    org.control.act("set_rule", kind="duplicate", name="Standard_Lead_Duplicate_Rule", object="Lead")
    twin = org.lead(Email="a@example.com")
    record = {"LastName": "A", "Company": "A", "Email": "a@example.com"}
    refused = org.call(
        "POST", "sobjects/Lead", record, Sforce_Duplicate_Rule_Header="includeRecordDetails=true"
    ).json()[0]
    match = refused["duplicateResult"]["matchResults"][0]["matchRecords"][0]
    assert (refused["errorCode"], match["record"]["Id"]) == ("DUPLICATES_DETECTED", twin)
    assert org.call("POST", "sobjects/Lead", record, Sforce_Duplicate_Rule_Header="allowSave=true").status_code == 201


def test_08_converted_and_deleted_records(org: Org) -> None:
    lead, gone = org.lead(), org.lead()
    org.control.act("convert_lead", lead=lead)
    org.control.act("delete_lead", lead=gone)
    results = org.collect("PATCH", [{"id": lead, "City": "Rome"}, {"id": gone, "City": "Rome"}])
    errors = [(each["errors"][0]["statusCode"], each["errors"][0]["message"]) for each in results]
    assert errors == [
        ("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead"),
        ("ENTITY_IS_DELETED", "entity is deleted"),
    ]
    results = org.collect("POST", [{"WhoId": lead}, {"WhoId": gone}], kind="Task")
    assert [each["errors"][0]["statusCode"] for each in results] == [
        "CANNOT_UPDATE_CONVERTED_LEAD",
        "ENTITY_IS_DELETED",
    ]
    account = org.sf.Account.create({"Name": "Acme"})["id"]
    task = org.collect("POST", [{"WhoId": org.lead(), "WhatId": account}], kind="Task")[0]
    assert task["errors"][0]["fields"] == ["WhatId"]


def test_08_row_lock_on_the_first_tries(org: Org) -> None:
    org.control.act("set_rule", kind="row_lock", object="Lead", field="LastName", matches="^Slow$", times=2)
    slow, quick = org.lead(LastName="Slow"), org.lead()
    codes = [
        [each["errors"][0]["statusCode"] if each["errors"] else "ok" for each in results]
        for results in (org.collect("PATCH", [{"id": slow, "City": "A"}, {"id": quick, "City": "A"}]) for _ in range(3))
    ]
    assert codes == [["UNABLE_TO_LOCK_ROW", "ok"], ["UNABLE_TO_LOCK_ROW", "ok"], ["ok", "ok"]]


def test_08_a_hidden_field_is_gone_from_reading_describing_and_asking(org: Org) -> None:
    ident = org.lead(Lead_Grade__c="A1")
    org.control.act("set_field_access", object="Lead", field="Lead_Grade__c", read=False, edit=False)
    assert "Lead_Grade__c" not in org.sf.Lead.get(ident)
    assert "Lead_Grade__c" not in {field["name"] for field in org.sf.Lead.describe()["fields"]}
    with pytest.raises(SalesforceMalformedRequest) as error:
        org.sf.query("SELECT Lead_Grade__c FROM Lead")
    assert error.value.content[0]["errorCode"] == "INVALID_FIELD"
    org.control.act("remove_field", object="Task", field="SyncAgent_Key__c")
    with pytest.raises(SalesforceResourceNotFound):
        org.sf.Task.upsert("SyncAgent_Key__c/1", {"Subject": "x"})


@pytest.mark.parametrize("fault", [{"drop": "after"}, {"cut": True}, {"late": 0.3}])
def test_09_executed_but_the_answer_is_lost(org: Org, fault: dict[str, object]) -> None:
    org.control.plant(match={"method": "POST", "path": "composite/sobjects"}, **fault)
    body = {"records": [{"attributes": {"type": "Task"}, "SyncAgent_Key__c": "k", "Subject": "Call"}]}
    with pytest.raises((requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)):
        org.call("POST", "composite/sobjects", body, timeout=0.15)
    deadline = time.monotonic() + 5
    while not org.control.act("find", object="Task")["records"] and time.monotonic() < deadline:
        time.sleep(0.02)
    again = org.call("POST", "composite/sobjects", body).json()
    assert again[0]["errors"][0]["statusCode"] == "DUPLICATE_VALUE"
    assert len(org.control.act("find", object="Task")["records"]) == 1


@pytest.mark.parametrize(("fault", "status"), [({"empty": 500}, 500), ({"html": 503}, 503)])
def test_09_errors_that_are_not_json(org: Org, fault: dict[str, int], status: int) -> None:
    org.control.plant(match={"path": "/sobjects/Lead"}, **fault)
    reply = org.call("POST", "sobjects/Lead", {"LastName": "A", "Company": "A"})
    assert reply.status_code == status
    with pytest.raises(ValueError):
        reply.json()
    assert org.control.act("find", object="Lead") == {"records": []}
    assert org.control.calls()[-1]["fault"] in fault
