"""What people, admins and automations do in the simulated Salesforce (crm.md C, point 11); seeds, alerts, config."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from syncagent.sandbox import Control, ControlError
from tests.vendor.salesforce_org import Org, serve_org

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def org() -> Iterator[Org]:
    with serve_org() as served:
        yield served


def history(org: Org, lead: str) -> list[tuple[str, Any, Any, str]]:
    """Field, old, new and who, as the API tells them."""
    query = f"SELECT Field, OldValue, NewValue, CreatedById FROM LeadHistory WHERE LeadId = '{lead}' ORDER BY Id"
    rows = org.sf.query(query)["records"]
    return [(row["Field"], row["OldValue"], row["NewValue"], row["CreatedById"]) for row in rows]


def test_11_a_rep_completes_reopens_reassigns_and_deletes_a_task(org: Org) -> None:
    org.control.clock_set(NOON)
    lead = org.lead()
    rep, other = org.known["rep_user_id"], org.known["second_rep_user_id"]
    task = org.control.seed(tasks=[{"WhoId": lead, "OwnerId": rep, "SyncAgent_Key__c": "k"}])["tasks"][0]
    org.control.clock_advance(60)
    org.control.act("complete_task", task=task, description="Spoke to them")
    row = org.row(task)
    assert (row["IsClosed"], row["CompletedDateTime"]) == (True, "2026-03-02T12:01:00.000+0000")
    assert (row["LastModifiedById"], row["Description"]) == (rep, "Spoke to them")
    assert org.row(lead)["LastActivityDate"] == "2026-03-02"
    org.control.act("reopen_task", task=task)
    assert (org.row(task)["IsClosed"], "CompletedDateTime" in org.row(task)) == (False, False)
    org.control.act("reassign_task", task=task, to=other, **{"as": org.known["manager_user_id"]})
    assert (org.row(task)["OwnerId"], org.row(task)["LastModifiedById"]) == (other, org.known["manager_user_id"])
    org.control.act("delete_task", task=task)
    assert org.row(task)["IsDeleted"] is True
    org.control.act("undelete", id=task)
    assert org.row(task)["IsDeleted"] is False
    assert org.sf.Task.upsert("SyncAgent_Key__c/k", {"Subject": "Same"}) == 200


def test_11_closed_is_what_the_org_calls_closed(org: Org) -> None:
    org.control.seed(settings={"task_statuses": ["Offen", {"label": "Erledigt", "closed": True}]})
    task = org.sf.Task.create({"Subject": "Call"})["id"]
    assert org.row(task)["Status"] == "Offen"
    org.control.act("complete_task", task=task, status="Erledigt")
    assert org.row(task)["IsClosed"] is True
    found = org.sf.query("SELECT ApiName FROM TaskStatus WHERE IsClosed = true")["records"]
    assert [row["ApiName"] for row in found] == ["Erledigt"]


def test_11_owner_and_status_changes_leave_history_with_their_author(org: Org) -> None:
    rep, queue, us = org.known["rep_user_id"], org.known["queue_id"], org.known["integration_user_id"]
    lead = org.lead(OwnerId=queue)
    org.sf.Lead.update(lead, {"Status": "Sales Ready"}, headers={"Sforce-Auto-Assign": "FALSE"})
    org.control.act("take_from_queue", lead=lead, **{"as": rep})
    org.control.act(
        "edit_lead",
        lead=lead,
        fields={"Status": "Recycled", "Recycle_Until__c": "2026-06-01", "Recycle_Reason__c": "Bad timing"},
    )
    org.control.act("automation_edit", ids=[lead], fields={"Status": "Unqualified"})
    assert history(org, lead) == [
        ("Status", "Open - Not Contacted", "Sales Ready", us),
        ("Owner", "Inbound", "Ana Silva", rep),
        ("Owner", queue, rep, rep),
        ("Status", "Sales Ready", "Recycled", rep),
        ("Status", "Recycled", "Unqualified", org.known["automation_user_id"]),
    ]
    row = org.row(lead)
    assert (row["Recycle_Until__c"], row["LastModifiedById"]) == ("2026-06-01", org.known["automation_user_id"])


def test_11_conversion_is_one_transaction_seen_at_its_commit(org: Org) -> None:
    rep = org.known["rep_user_id"]
    lead = org.lead(OwnerId=rep, FirstName="Jo", Email="jo@example.com")
    task = org.control.seed(tasks=[{"WhoId": lead, "OwnerId": rep}])["tasks"][0]
    org.control.act("begin", name="conversion")
    made = org.control.act("convert_lead", lead=lead, opportunity="Acme deal", transaction="conversion")
    assert org.sf.query("SELECT COUNT() FROM Contact")["totalSize"] == 0
    assert org.row(lead)["IsConverted"] is False
    org.control.act("commit", transaction="conversion")
    row = org.sf.Lead.get(lead)
    assert (row["IsConverted"], row["Status"]) == (True, "Closed - Converted")
    assert (row["ConvertedContactId"], row["ConvertedAccountId"]) == (made["contact"], made["account"])
    assert row["ConvertedOpportunityId"] == made["opportunity"]
    roles = org.sf.query("SELECT ContactId, OpportunityId, IsPrimary FROM OpportunityContactRole")["records"]
    assert (roles[0]["ContactId"], roles[0]["OpportunityId"]) == (made["contact"], made["opportunity"])
    contact = org.sf.Contact.get(made["contact"])
    assert (contact["Name"], contact["Email"], contact["AccountId"]) == ("Jo Doe", "jo@example.com", made["account"])
    moved = org.row(task)
    assert (moved["WhoId"], moved["WhatId"]) == (made["contact"], made["opportunity"])
    assert [field for field, *_ in history(org, lead)] == ["Status", "leadConverted"]


def test_11_opportunities_are_made_won_and_lost(org: Org) -> None:
    contact = org.control.seed(accounts=[{"Name": "Acme"}], contacts=[{"LastName": "Doe", "AccountId": "@accounts.0"}])[
        "contacts"
    ][0]
    won = org.control.act("create_opportunity", contact=contact, name="One", amount=500)["id"]
    lost = org.control.act("create_opportunity", contact=contact, name="Two")["id"]
    assert (org.row(won)["IsClosed"], org.row(won)["AccountId"]) == (False, org.row(contact)["AccountId"])
    org.control.act("win_opportunity", opportunity=won, amount=900)
    org.control.act("lose_opportunity", opportunity=lost)
    rows = [org.row(each) for each in (won, lost)]
    assert [(row["IsClosed"], row["IsWon"], row["Probability"]) for row in rows] == [
        (True, True, 100),
        (True, False, 0),
    ]
    assert rows[0]["Amount"] == 900


def test_11_merged_leads_lose_to_their_master(org: Org) -> None:
    winner, loser = org.lead(), org.lead()
    task = org.control.seed(tasks=[{"WhoId": loser}])["tasks"][0]
    org.control.act("merge_leads", winner=winner, losers=[loser])
    row = org.sf.query(f"SELECT Id, IsDeleted, MasterRecordId FROM Lead WHERE Id = '{loser}'", include_deleted=True)[
        "records"
    ][0]
    assert (row["IsDeleted"], row["MasterRecordId"]) == (True, winner)
    assert org.row(task)["WhoId"] == winner
    now = org.control.clock()
    assert loser in [
        each["id"]
        for each in org.sf.Lead.deleted(now - timedelta(hours=1), now + timedelta(minutes=2))["deletedRecords"]
    ]


def test_11_calls_are_logged_and_new_leads_come_in(org: Org) -> None:
    lead = org.control.act("new_lead", fields={"LastName": "New"})["id"]
    call = org.control.act("log_call", lead=lead, description="No answer")["id"]
    row = org.row(call)
    assert (row["TaskSubtype"], row["IsClosed"], row["WhoId"], row["OwnerId"]) == (
        "Call",
        True,
        lead,
        org.known["rep_user_id"],
    )
    assert [field for field, *_ in history(org, lead)] == ["created"]


def test_11_a_deleted_lead_takes_its_tasks_along(org: Org) -> None:
    lead = org.lead()
    task = org.control.seed(tasks=[{"WhoId": lead}])["tasks"][0]
    org.control.act("delete_lead", lead=lead)
    assert org.row(task)["IsDeleted"] is True


def test_an_automation_gives_many_rows_one_stamp(org: Org) -> None:
    org.control.clock_set(NOON)
    ids = [org.lead() for _ in range(3)]
    org.control.act("begin", name="flow")
    org.control.act("automation_edit", ids=ids, fields={"City": "Rome"}, transaction="flow")
    org.control.clock_advance(120)
    org.control.act("commit", transaction="flow")
    assert {(org.row(each)["City"], org.row(each)["SystemModstamp"]) for each in ids} == {
        ("Rome", "2026-03-02T12:00:00.000+0000")
    }


def test_notifications_are_kept_with_everything_and_twice_when_sent_twice(org: Org) -> None:
    lead = org.lead()
    wish = {
        "customNotifTypeId": org.known["notification_type_id"],
        "recipientIds": [org.known["rep_user_id"]],
        "title": "New lead",
        "body": "Call now",
        "targetId": lead,
    }
    path = "actions/standard/customNotificationAction"
    for _ in range(2):
        reply = org.sf.restful(path, method="POST", json={"inputs": [wish]})
        assert reply[0]["isSuccess"] is True
    kept = org.control.dump()["notifications"]
    assert [{key: each[key] for key in wish} for each in kept] == [wish, wish]
    bad = org.call("POST", path, {"inputs": [{**wish, "customNotifTypeId": "0ML000000000009"}]})
    assert (bad.status_code, bad.json()[0]["isSuccess"]) == (400, False)
    assert len(org.control.dump()["notifications"]) == 2


def test_a_new_field_is_invisible_until_field_permissions_say_so(org: Org) -> None:
    org.control.act("remove_field", object="Task", field="SyncAgent_Key__c")
    metadata = {
        "label": "SyncAgent key",
        "type": "Text",
        "length": 80,
        "externalId": True,
        "unique": True,
        "caseSensitive": True,
    }
    wish = {"FullName": "Activity.SyncAgent_Key__c", "Metadata": metadata}
    assert org.sf.toolingexecute("sobjects/CustomField", method="POST", data=wish)["success"] is True
    assert org.call("POST", "tooling/sobjects/CustomField", wish).json()[0]["errorCode"] == "DUPLICATE_DEVELOPER_NAME"
    task = {"Subject": "Call", "SyncAgent_Key__c": "k"}
    assert org.call("POST", "sobjects/Task", task).json()[0]["errorCode"] == "INVALID_FIELD"
    wrong = {"ParentId": org.known["permission_set_id"], "SobjectType": "Task", "Field": "Task.Nope__c"}
    assert org.call("POST", "sobjects/FieldPermissions", wrong).status_code == 400
    rights = {"ParentId": org.known["permission_set_id"], "SobjectType": "Task", "Field": "Task.SyncAgent_Key__c"}
    org.sf.FieldPermissions.create({**rights, "PermissionsRead": True, "PermissionsEdit": True})
    assert org.call("POST", "sobjects/Task", task).status_code == 201
    assert org.call("POST", "sobjects/Task", task).json()[0]["errorCode"] == "DUPLICATE_VALUE"


def test_seeds_keep_stamps_resolve_aliases_and_refuse_what_they_do_not_know(org: Org) -> None:
    made = org.control.seed(
        users=[{"Name": "Zoe Roe", "Email": "zoe@example.com", "IsActive": False}],
        queues=[{"Name": "EMEA", "members": ["@users.0"]}],
        leads=[{"LastName": "A", "Company": "A", "OwnerId": "@queues.0", "CreatedDate": "2017-05-01T08:00:00Z"}],
        tasks=[{"WhoId": "@leads.0", "OwnerId": "@users.0"}],
        records={"Campaign": [{"Name": "Fair"}]},
    )
    row = org.row(made["leads"][0])
    assert (row["OwnerId"], row["SystemModstamp"]) == (made["queues"][0], "2017-05-01T08:00:00.000+0000")
    assert org.row(made["tasks"][0])["WhoId"] == made["leads"][0]
    assert org.row(made["users"][0])["IsActive"] is False
    member = org.sf.CampaignMember.create({"CampaignId": made["Campaign"][0], "LeadId": made["leads"][0]})
    assert member["success"] is True
    for wrong in (
        {"leeds": []},
        {"leads": [{"Nope": 1}]},
        {"leads": [{"LastName": "@leads.7"}]},
        {"settings": {"x": 1}},
    ):
        with pytest.raises(ControlError):
            org.control.seed(**wrong)
    for act in (
        {"do": "fly"},
        {"do": "get", "id": "00Q"},
        {"do": "commit", "transaction": "t"},
        {"do": "complete_task"},
    ):
        with pytest.raises(ControlError):
            org.control.act(**act)


def test_config_names_files_for_its_secrets(org: Org, tmp_path: Path) -> None:
    config = tomllib.loads(org.box.config(tmp_path))["crm"]
    assert (config["type"], config["login_url"]) == ("salesforce", org.url)
    key = Path(config["private_key"]["file"])
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_text() == org.known["private_key"]
    statuses = {row["ApiName"] for row in org.sf.query("SELECT ApiName FROM LeadStatus")["records"]}
    assert config["status"]["mql"] in statuses
    assert set(config["fields"].values()) <= {field["name"] for field in org.sf.Lead.describe()["fields"]}


def test_serve_prints_one_json_line_and_stops_at_sigterm(tmp_path: Path) -> None:
    config = tmp_path / "syncagent.toml"
    code = (
        "import pathlib, sys; from syncagent.sandbox import serve; "
        "serve(['salesforce'], json_line=True, write_config=pathlib.Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        place = json.loads(child.stdout.readline())["salesforce"]
        assert requests.get(place["base_url"] + "/services/data", timeout=5).json()[0]["version"] == "52.0"
        with Control(place["base_url"]) as control:
            assert control.quota() == {"calls": 1, "cost": 0}
        assert place["control_url"] == place["base_url"] + "/_sandbox/"
        assert place["credentials"]["integration_user_id"].startswith("005")
        assert tomllib.loads(config.read_text())["crm"]["login_url"] == place["base_url"]
        os.kill(child.pid, signal.SIGTERM)
        out, err = child.communicate(timeout=10)
    assert (out, err, child.returncode) == ("", "", 0)
