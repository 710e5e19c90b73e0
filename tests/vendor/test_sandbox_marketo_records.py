"""Leads, lists, campaigns and bulk extract of the simulated Marketo (marketing_automation.md 1.3 to 1.7)."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from syncagent.sandbox import Control, Sandbox
from tests.vendor.marketo_api import NOON, Api, ago, code, iso


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(["marketo"]) as running:
        running.clock.set(NOON)
        yield running


@pytest.fixture
def control(box: Sandbox) -> Iterator[Control]:
    with Control(box.url("marketo")) as made:
        made.act("set_limits", clock="off")
        yield made


@pytest.fixture
def api(box: Sandbox, control: Control) -> Iterator[Api]:
    made = Api(box.url("marketo"), box.credentials("marketo"))
    made.use_token()
    yield made
    made.session.close()


LEADS = "/rest/v1/leads.json"


def find(api: Api, kind: str, values: object, **more: Any) -> list[dict[str, Any]]:
    answer = api.get(LEADS, filterType=kind, filterValues=values, **more)
    assert answer["success"], answer
    return answer["result"]


# leads


def test_leads_come_with_six_fields_or_those_asked_for_null_where_empty(api: Api, control: Control) -> None:
    ada = control.seed(leads=[{"email": "Ada@example.com", "firstName": "Ada", "title": "CTO"}])["leads"][0]
    assert find(api, "id", ada) == [
        {
            "id": ada,
            "email": "Ada@example.com",
            "updatedAt": iso(NOON),
            "createdAt": iso(NOON),
            "firstName": "Ada",
            "lastName": None,
        }
    ]
    assert find(api, "email", "ada@EXAMPLE.com,nobody@example.com", fields="title,company") == [
        {"id": ada, "title": "CTO", "company": None}
    ]
    assert find(api, "id", "999") == []
    assert api.get(f"/rest/v1/lead/{ada}.json", fields="title")["result"] == [{"id": ada, "title": "CTO"}]
    assert code(api.get("/rest/v1/lead/999.json")) == "1004"


def test_leads_are_found_by_custom_fields_but_not_by_their_first_name(api: Api, control: Control) -> None:
    made = control.seed(
        fields=[{"name": "plan", "dataType": "string"}, {"name": "vip", "dataType": "boolean"}],
        leads=[{"email": "a@example.com", "plan": "gold"}, {"email": "b@example.com", "plan": "tin"}],
    )
    assert [lead["id"] for lead in find(api, "plan", "gold")] == made["leads"][:1]
    assert code(api.get(LEADS, filterType="firstName", filterValues="Ada")) == "1011"
    assert code(api.get(LEADS, filterType="vip", filterValues="true")) == "1011"
    assert code(api.get(LEADS, filterType="colour", filterValues="red")) == "1003"
    assert code(api.get(LEADS, filterType="id", filterValues="1", fields="colour")) == "1006"
    assert code(api.get(LEADS, filterType="id", filterValues=",".join(map(str, range(301))))) == "1003"


def test_more_than_a_thousand_matches_are_refused_and_fewer_are_paged(api: Api, control: Control) -> None:
    control.seed(leads=[{"email": f"p{n}@example.com", "plan": "gold" if n < 1000 else "tin"} for n in range(1001)])
    first = api.get(LEADS, filterType="plan", filterValues="gold")
    assert len(first["result"]) == 300
    ids, page = [lead["id"] for lead in first["result"]], first
    while "nextPageToken" in page:
        page = api.get(LEADS, filterType="plan", filterValues="gold", nextPageToken=page["nextPageToken"])
        ids += [lead["id"] for lead in page["result"]]
    assert len(set(ids)) == 1000
    refused = api.get(LEADS, filterType="plan", filterValues="gold,tin")
    assert refused["errors"] == [{"code": "1003", "message": "Too many results match the filter"}]


def test_describe_names_types_and_what_can_be_searched(api: Api, control: Control) -> None:
    control.act("add_field", name="plan")
    fields = {field["rest"]["name"]: field for field in api.get("/rest/v1/leads/describe.json")["result"]}
    assert fields["email"]["dataType"] == "email"
    assert fields["createdAt"]["rest"]["readOnly"] is True
    assert ["plan"] in api.get("/rest/v1/leads/describe2.json")["result"][0]["searchableFields"]
    page = api.get("/rest/v1/leads/schema/fields.json", batchSize=20)
    assert (len(page["result"]), page["moreResult"]) == (20, True)
    custom = api.get("/rest/v1/leads/schema/fields/plan.json")["result"][0]
    assert custom["isCustom"] is True


def test_sync_skips_bad_records_by_position_and_does_the_others(api: Api, control: Control) -> None:
    control.seed(leads=[{"email": "old@example.com"}, {"email": "two@example.com"}, {"email": "two@example.com"}])
    records = [
        {"email": "new@example.com", "leadScore": "7"},
        {"email": "bademail"},
        {"email": "old@example.com", "title": "CTO"},
        {"email": "two@example.com"},
        {"email": "x@example.com", "colour": "red"},
        {"email": "y@example.com", "leadScore": "many"},
        {"firstName": "Nobody"},
        {"id": 5, "email": "z@example.com"},
    ]
    results = api.post(LEADS, {"input": records})["result"]
    told = [(result["status"], result.get("reasons", [{"code": ""}])[0]["code"]) for result in results]
    assert told == [
        ("created", ""),
        ("skipped", "1003"),
        ("updated", ""),
        ("skipped", "1007"),
        ("skipped", "1006"),
        ("skipped", "1001"),
        ("skipped", "1002"),
        ("skipped", "1003"),
    ]
    assert ["id" in result for result in results] == [True, False, True, False, False, False, False, False]
    assert len(control.dump()["leads"]) == 4


def test_the_actions_of_sync(api: Api, control: Control) -> None:
    ada = control.seed(leads=[{"email": "ada@example.com"}])["leads"][0]

    def sync(action: str, record: dict[str, Any]) -> dict[str, Any]:
        return api.post(LEADS, {"action": action, "input": [record]})["result"][0]

    assert sync("createOnly", {"email": "ada@example.com"})["reasons"][0]["code"] == "1005"
    assert sync("updateOnly", {"email": "bob@example.com"})["reasons"][0]["code"] == "1004"
    assert sync("updateOnly", {"id": ada, "title": "CTO"}) == {"id": ada, "status": "updated"}
    assert sync("createDuplicate", {"email": "ada@example.com"})["id"] != ada
    assert code(api.post(LEADS, {"action": "upsert", "input": [{}]})) == "1003"
    assert code(api.post(LEADS, {"input": [{"email": f"{n}@example.com"} for n in range(301)]})) == "1003"


def test_our_own_writes_come_back_as_activities_that_name_their_source(api: Api, control: Control) -> None:
    token = api.mint()
    api.post(LEADS, {"input": [{"email": "ada@example.com", "leadScore": 5}]})
    api.post(LEADS, {"input": [{"email": "ada@example.com", "leadScore": 15, "title": "CTO"}]})
    api.post(LEADS, {"input": [{"email": "ada@example.com", "leadScore": 15, "title": "CTO"}]})
    control.act("edit_lead", email="ada@example.com", fields={"title": "CEO"})
    found, _ = api.pull(token, "12,13,22")
    rows = [(row["activityTypeId"], {each["name"]: each["value"] for each in row["attributes"]}) for row in found]
    assert [kind for kind, _ in rows] == [12, 22, 13, 13, 13]
    assert rows[1][1] == {"Change Value": "+10", "Old Value": 5, "New Value": 15, "Reason": "Web service API"}
    assert rows[2][1]["Source"] == "Web service API"
    assert rows[4][1] == {"New Value": "CEO", "Old Value": "CTO", "Reason": "Changed by user", "Source": "Marketo UI"}
    assert found[1]["primaryAttributeValue"] == "Lead Score"


def test_lead_changes_tell_only_the_fields_asked_for(api: Api, control: Control) -> None:
    token = api.mint()
    ada = control.act("new_lead", email="ada@example.com")["leadId"]
    control.act("edit_lead", leadId=ada, fields={"title": "CTO", "city": "Porto"})
    changes = api.get("/rest/v1/activities/leadchanges.json", nextPageToken=token, fields="title,email")
    kinds = [(row["activityTypeId"], row["fields"]) for row in changes["result"]]
    assert kinds == [(12, []), (13, [{"id": 54, "name": "title", "newValue": "CTO", "oldValue": None}])]
    assert {"name": "Lead ID", "value": ada} in changes["result"][1]["attributes"]
    assert changes["moreResult"] is False
    assert code(api.get("/rest/v1/activities/leadchanges.json", nextPageToken=token)) == "1002"


def test_push_needs_a_program_and_leaves_its_own_activity(api: Api) -> None:
    token = api.mint()
    assert code(api.post("/rest/v1/leads/push.json", {"input": [{"email": "ada@example.com"}]})) == "1002"
    pushed = api.post("/rest/v1/leads/push.json", {"programName": "Webinar", "input": [{"email": "ada@example.com"}]})
    assert pushed["result"][0]["status"] == "created"
    assert [row["activityTypeId"] for row in api.pull(token, "12,145")[0]] == [12, 145]


def test_a_merge_ends_the_loser_and_moves_what_it_did_and_will_do(api: Api, box: Sandbox, control: Control) -> None:
    made = control.seed(
        leads=[{"email": "ada@example.com"}, {"email": "ada@example.org", "title": "CTO"}],
    )["leads"]
    control.seed(
        lists=[{"id": 9, "name": "few", "members": made[1:]}],
        activities=[
            {"leadId": made[1], "type": "Visit Webpage", "at": ago(hours=1), "asset": "before"},
            {"leadId": made[1], "type": "Visit Webpage", "at": iso(NOON + timedelta(minutes=1)), "asset": "after"},
        ],
    )
    token = api.mint()
    answer = api.post(f"/rest/v1/leads/{made[0]}/merge.json", leadIds=made[1], mergeInCRM="false")
    assert set(answer) == {"requestId", "success"}
    assert find(api, "id", f"{made[0]},{made[1]}", fields="title") == [{"id": made[0], "title": "CTO"}]
    box.clock.advance(60)
    rows, _ = api.pull(token, "1,32")
    assert {row["leadId"] for row in rows} == {made[0]}
    merged = next(row for row in rows if row["activityTypeId"] == 32)
    assert {"name": "Merge IDs", "value": made[1:]} in merged["attributes"]
    dump = control.dump()
    assert dump["merged"] == {str(made[1]): made[0]}
    assert dump["lists"][0]["members"] == made[:1]
    assert code(api.post(f"/rest/v1/leads/{made[0]}/merge.json", leadId=made[1])) == "1004"


def test_a_deletion_is_told_by_deletedleads_only_and_for_two_weeks(api: Api, box: Sandbox, control: Control) -> None:
    made = control.seed(leads=[{"email": f"p{n}@example.com", "firstName": "Ada", "lastName": "L"} for n in range(4)])
    ids, token = made["leads"], api.mint()
    deleted = api.post("/rest/v1/leads/delete.json", {"input": [{"id": ids[0]}, {"id": 999}]})["result"]
    assert [(row["id"], row["status"]) for row in deleted] == [(ids[0], "deleted"), (999, "skipped")]
    assert api.raw("DELETE", f"{LEADS}?id={ids[1]}").json()["result"][0]["status"] == "deleted"
    assert api.post(f"{LEADS}?_method=DELETE", {"input": [{"id": ids[2]}]})["result"][0]["status"] == "deleted"
    assert [lead["id"] for lead in find(api, "id", ",".join(map(str, ids)))] == ids[3:]
    assert api.pull(token, "37,12")[0] == []
    rows = api.get("/rest/v1/activities/deletedleads.json", nextPageToken=token)["result"]
    assert [(row["leadId"], row["primaryAttributeValue"], row["activityTypeId"]) for row in rows] == [
        (number, "Ada L", 37) for number in ids[:3]
    ]
    box.clock.advance(15 * 86_400)
    api.use_token()
    assert "result" not in api.get("/rest/v1/activities/deletedleads.json", nextPageToken=token)


# giving leads back to marketing


def test_lists_add_remove_and_tell_members(api: Api, control: Control) -> None:
    made = control.seed(leads=[{"email": f"p{n}@example.com"} for n in range(3)], lists=[{"name": "Nurture"}])
    (number,), ids, token = made["lists"], made["leads"], api.mint()
    path = f"/rest/v1/lists/{number}/leads.json"
    assert [row["status"] for row in api.post(path, id=[ids[0], ids[1], 999])["result"]] == [
        "added",
        "added",
        "skipped",
    ]
    assert api.post(path, {"input": [{"id": ids[1]}]})["result"] == [{"id": ids[1], "status": "added"}]
    removed = api.raw("DELETE", path, params={"id": [ids[1], ids[2]]}).json()["result"]
    assert removed == [
        {"id": ids[1], "status": "removed"},
        {"id": ids[2], "status": "skipped", "reasons": [{"code": "1015", "message": "Lead not in list"}]},
    ]
    member = api.get(f"/rest/v1/lists/{number}/leads/ismember.json", id=[ids[0], ids[1], 999])["result"]
    assert [row["status"] for row in member] == ["memberof", "notmemberof", "skipped"]
    recorded = api.raw("POST", f"/rest/v1/list/{number}/leads.json", data={"listId": number, "_method": "GET"})
    assert [lead["id"] for lead in recorded.json()["result"]] == ids[:1]
    assert [row["activityTypeId"] for row in api.pull(token, "24,25")[0]] == [24, 24, 25]
    assert code(api.post("/rest/v1/lists/77/leads.json", id=ids[0])) == "1013"


def test_only_active_trigger_campaigns_take_requests(api: Api, control: Control) -> None:
    made = control.seed(
        leads=[{"email": f"p{n}@example.com"} for n in range(101)],
        campaigns=[{"name": "Recycle"}, {"name": "Newsletter", "type": "batch"}],
    )
    (recycle, batch), ids = made["campaigns"], made["leads"]

    def request(campaign: int, leads: list[int], **more: Any) -> dict[str, Any]:
        body = {"input": {"leads": [{"id": number} for number in leads], **more}}
        return api.post(f"/rest/v1/campaigns/{campaign}/trigger.json", body)

    token = api.mint()
    tokens = [{"name": "{{my.reason}}", "value": "no budget"}]
    assert request(recycle, ids[:2], tokens=tokens)["result"] == [{"id": recycle}]
    assert code(request(recycle, ids)) == "1003"
    assert code(request(batch, ids[:1])) == "1003"
    assert code(request(recycle, [999])) == "1004"
    control.act("set_campaign_active", id=recycle, active=False)
    assert code(request(recycle, ids[:1])) == "1003"
    assert control.dump()["requests"] == [
        {"campaignId": recycle, "at": iso(NOON), "leads": ids[:2], "tokens": tokens},
    ]
    assert [row["leadId"] for row in api.pull(token, "47")[0]] == ids[:2]


def test_campaigns_and_lists_as_assets_write_dates_twice_over(api: Api, control: Control) -> None:
    made = control.seed(campaigns=[{"name": "Recycle"}], lists=[{"name": "Nurture"}])
    campaign = api.get(f"/rest/asset/v1/smartCampaign/{made['campaigns'][0]}.json")
    assert (campaign["errors"], campaign["warnings"]) == ([], [])
    assert campaign["result"][0]["createdAt"] == "2026-03-02T12:00:00Z+0000"
    missing = api.get("/rest/asset/v1/staticList/byName.json", name="Nobody")
    assert "result" not in missing
    assert missing["warnings"] == ["No assets found for the given search criteria."]
    batch = control.seed(campaigns=[{"name": "Newsletter", "type": "batch"}])["campaigns"][0]
    soon = {"input": {"runAt": iso(NOON + timedelta(minutes=4))}}
    assert code(api.post(f"/rest/v1/campaigns/{batch}/schedule.json", soon)) == "1003"
    assert api.post(f"/rest/v1/campaigns/{batch}/schedule.json")["result"] == [{"id": batch}]


def test_a_program_keeps_statuses_and_tells_each_change_once(api: Api, control: Control) -> None:
    made = control.seed(leads=[{"email": "ada@example.com"}], programs=[{"name": "Webinar"}])
    (lead,), (program,), token = made["leads"], made["programs"], api.mint()
    body = {"statusName": "Attended", "input": [{"leadId": lead}, {"leadId": 999}]}
    for _ in range(2):
        results = api.post(f"/rest/v1/programs/{program}/members/status.json", body)["result"]
        assert [row["status"] for row in results] == ["updated", "skipped"]
    assert len(api.pull(token, "104")[0]) == 1
    members = api.get(f"/rest/v1/leads/programs/{program}.json")["result"]
    assert members[0]["membership"]["progressionStatus"] == "Attended"


# what people do


def test_a_form_fill_makes_a_lead_and_tells_its_fields(api: Api, control: Control) -> None:
    token = api.mint()
    filled = control.act("fill_form", email="ada@example.com", form="demo", fields={"firstName": "Ada", "company": "é"})
    rows, _ = api.pull(token, "2,12,13")
    assert [row["activityTypeId"] for row in rows] == [12, 2]
    fields = next(each["value"] for each in rows[1]["attributes"] if each["name"] == "Form Fields")
    assert fields.startswith('a:3:{s:9:"firstName";s:3:"Ada";s:7:"company";s:2:"é";')
    assert find(api, "id", filled["leadId"], fields="firstName,company")[0]["company"] == "é"
    control.act("fill_form", email="ada@example.com", form="demo", fields={"firstName": "Ada", "title": "CTO"})
    assert [row["activityTypeId"] for row in api.pull(token, "2,12,13")[0]] == [12, 2, 13, 2]


def test_a_scanners_click_is_marked_as_a_bots(api: Api, control: Control) -> None:
    control.act("new_lead", email="ada@example.com")
    control.act("click_email", email="ada@example.com", asset="News", link="https://www.example.com/demo", bot=True)
    control.act("open_email", email="ada@example.com", asset="News")
    rows, _ = api.pull(api.mint(), "10,11")
    bots = [each["value"] for row in rows for each in row["attributes"] if each["name"] == "Is Bot Activity"]
    assert bots == [True, False]


def test_unsubscribing_is_an_activity_and_a_field(api: Api, control: Control) -> None:
    ada = control.act("new_lead", email="ada@example.com")["leadId"]
    control.act("unsubscribe", leadId=ada)
    assert find(api, "id", ada, fields="unsubscribed")[0]["unsubscribed"] is True
    assert [row["activityTypeId"] for row in api.pull(api.mint(), "9,13")[0]] == [9, 13, 13]


# bulk extract

BULK = "/bulk/v1/activities/export"


def job(api: Api, kind: str = "activities", **more: Any) -> dict[str, Any]:
    body = {"filter": {"createdAt": {"startAt": ago(days=2), "endAt": iso(NOON)}}, **more}
    return api.post(f"/bulk/v1/{kind}/export/create.json", body)


def test_a_bulk_job_goes_its_way_a_minute_at_a_time(api: Api, box: Sandbox, control: Control) -> None:
    control.act("configure", bulk_seconds=30)
    attributes = {"Form Fields": 'with "quotes", and commas'}
    control.seed(
        activities=[
            {"leadId": 7, "type": 2, "at": ago(hours=2), "asset": "demo", "assetId": 71, "attributes": attributes},
            {"leadId": 7, "type": 1, "at": ago(hours=1), "asset": "p"},
        ]
    )
    made = job(api)["result"][0]
    assert made["status"] == "Created"
    number = made["exportId"]
    missing = api.raw("GET", f"{BULK}/{number}/file.json")
    assert (missing.status_code, missing.headers["Content-Type"]) == (404, "text/plain;charset=UTF-8")
    assert api.post(f"{BULK}/{number}/enqueue.json")["result"][0]["status"] == "Processing"
    assert api.post(f"{BULK}/{number}/enqueue.json")["errors"] == [{"code": "1029", "message": "Job already queued"}]
    box.clock.advance(59)
    assert api.get(f"{BULK}/{number}/status.json")["result"][0]["status"] == "Processing"
    box.clock.advance(1)
    done = api.get(f"{BULK}/{number}/status.json")["result"][0]
    assert (done["status"], done["numberOfRecords"]) == ("Completed", 2)
    whole = api.raw("GET", f"{BULK}/{number}/file.json").content
    assert done["fileChecksum"] == "sha256:" + hashlib.sha256(whole).hexdigest()
    rows = list(csv.DictReader(io.StringIO(whole.decode())))
    assert rows[0]["campaignId"] == "null"
    assert json.loads(rows[0]["attributes"]) == attributes
    assert (rows[0]["primaryAttributeValueId"], rows[0]["activityDate"]) == ("71", ago(hours=2))
    part = api.raw("GET", f"{BULK}/{number}/file.json", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(whole)}"
    rest = api.raw("GET", f"{BULK}/{number}/file.json", headers={"Range": "bytes=20-"})
    assert whole[:20] + rest.content == whole


def test_bulk_jobs_queue_up_and_are_refused_with_1029(api: Api, box: Sandbox, control: Control) -> None:
    numbers = [job(api)["result"][0]["exportId"] for _ in range(11)]
    answers = [api.post(f"{BULK}/{number}/enqueue.json") for number in numbers]
    assert [answer["result"][0]["status"] for answer in answers[:10]] == ["Processing"] * 2 + ["Queued"] * 8
    assert answers[10]["errors"][0] == {"code": "1029", "message": "Too many jobs in queue"}
    cancelled = api.post(f"{BULK}/{numbers[9]}/cancel.json")["result"][0]
    assert cancelled["status"] == "Cancelled"
    assert api.get(f"{BULK}/{numbers[9]}/status.json")["result"][0]["status"] == "Canceled"
    box.clock.advance(60)
    assert len(api.get(f"{BULK}.json", status="Completed")["result"]) == 2
    control.act("configure", bulk_daily_bytes=0)
    quota = api.post(f"{BULK}/{numbers[10]}/enqueue.json")
    assert quota["errors"][0] == {"code": "1029", "message": "Export daily quota 0MB exceeded"}


def test_bulk_filters_are_checked(api: Api, box: Sandbox, control: Control) -> None:
    control.seed(leads=[{"email": "ada@example.com", "unsubscribed": True}])
    too_long = {"createdAt": {"startAt": ago(days=32), "endAt": iso(NOON)}}
    assert code(job(api, filter=too_long)) == "1003"
    assert code(job(api, filter={})) == "1003"
    assert code(job(api, kind="leads", filter={"smartListId": 1}, fields=["email"])) == "1035"
    assert code(job(api, kind="leads")) == "1006"
    made = job(api, kind="leads", fields=["email", "unsubscribed", "city"], columnHeaderNames={"email": "Mail"})
    number = made["result"][0]["exportId"]
    api.post(f"/bulk/v1/leads/export/{number}/enqueue.json")
    box.clock.advance(60)
    text = api.raw("GET", f"/bulk/v1/leads/export/{number}/file.json").text
    control.act("configure", bulk_dirt=True)
    dirty = job(api, kind="leads", fields=["email"])["result"][0]["exportId"]
    api.post(f"/bulk/v1/leads/export/{dirty}/enqueue.json")
    box.clock.set(NOON + timedelta(seconds=120))
    content = api.raw("GET", f"/bulk/v1/leads/export/{dirty}/file.json").content
    assert content == b"email\r\n\0ada@example.com\n"
    assert text == "Mail,unsubscribed,city\nada@example.com,true,null\n"
