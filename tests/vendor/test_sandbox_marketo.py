"""The simulated Marketo over real HTTP, behaviour by behaviour (marketing_automation.md 1.9)."""

import threading
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from syncagent.sandbox import Control, ControlError, Sandbox
from tests.vendor.marketo_api import NOON, Api, ago, code, iso

FORM, VISIT, OPEN = 2, 1, 10


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


def visits(count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {"leadId": 1001, "type": "Visit Webpage", "at": ago(seconds=count - n), "asset": f"p{n}", **more}
        for n in range(count)
    ]


# access


def test_the_same_access_token_comes_again_with_less_life_left(api: Api, box: Sandbox) -> None:
    first = api.sign_in().json()
    box.clock.advance(600)
    second = api.sign_in().json()
    assert second["access_token"] == first["access_token"]
    assert (first["expires_in"], second["expires_in"]) == (3599, 3000)
    posted = requests.post(
        f"{api.url}/identity/oauth/token", data={"grant_type": "client_credentials", **api.credentials}, timeout=5
    )
    assert posted.json()["access_token"] == first["access_token"]


def test_bad_clients_are_the_only_http_401(api: Api) -> None:
    wrong = api.sign_in(client_secret="guessed")
    assert (wrong.status_code, wrong.json()["error"]) == (401, "unauthorized")
    assert api.sign_in(client_id="nobody").json()["error"] == "invalid_client"


def test_an_old_token_expires_with_602_and_an_invented_one_is_601(api: Api, box: Sandbox, control: Control) -> None:
    box.clock.advance(3600)
    assert code(api.get("/rest/v1/activities/types.json")) == "602"
    api.use_token()
    assert api.get("/rest/v1/activities/types.json")["success"]
    control.act("expire_access_token", code="601")
    assert code(api.get("/rest/v1/activities/types.json")) == "601"
    api.session.headers["Authorization"] = "Bearer invented"
    assert code(api.get("/rest/v1/activities/types.json")) == "601"


def test_a_token_in_the_query_is_refused_unless_allowed(api: Api, control: Control) -> None:
    token = api.session.headers.pop("Authorization").split()[1]
    assert code(api.get("/rest/v1/leads/describe.json", access_token=token)) == "601"
    control.act("configure", query_token=True)
    assert api.get("/rest/v1/leads/describe.json", access_token=token)["success"]


@pytest.mark.parametrize("planted", ["601", "602", "606", "607", "611", "615", "713", "502", "1029"])
def test_planted_errors_come_inside_http_200(api: Api, control: Control, planted: str) -> None:
    control.plant(code=planted, times=2, match={"path": "types"})
    assert [code(api.get("/rest/v1/activities/types.json")) for _ in range(2)] == [planted, planted]
    assert api.get("/rest/v1/activities/types.json")["success"]


def test_an_error_may_hide_that_the_call_was_done(api: Api, control: Control) -> None:
    control.plant(code={"code": "611", "execute": True}, match={"method": "POST"})
    assert code(api.post("/rest/v1/leads.json", {"input": [{"email": "ada@example.com"}]})) == "611"
    assert [lead["email"] for lead in control.dump()["leads"]] == ["ada@example.com"]


def test_606_over_the_rate_by_the_machines_time(api: Api, control: Control) -> None:
    control.act("set_limits", clock="real", window_calls=5)
    answers = [api.get("/rest/v1/activities/types.json") for _ in range(8)]
    assert [answer["success"] for answer in answers] == [True] * 5 + [False] * 3
    assert code(answers[5]) == "606"


def test_606_over_the_rate_by_the_sandboxs_time_and_refusals_are_not_counted(
    api: Api, box: Sandbox, control: Control
) -> None:
    control.act("set_limits", clock="sandbox")
    answers = [api.get("/rest/v1/activities/types.json") for _ in range(103)]
    assert sum(answer["success"] for answer in answers) == 100
    assert answers[102]["errors"][0]["message"] == "Max rate limit '100' exceeded with in '20' secs"
    box.clock.advance(20)
    assert api.get("/rest/v1/activities/types.json")["success"]


def test_607_over_the_days_quota_until_midnight_in_chicago(api: Api, box: Sandbox, control: Control) -> None:
    control.act("set_limits", daily_calls=2)
    answers = [api.get("/rest/v1/activities/types.json") for _ in range(3)]
    assert [answer["success"] for answer in answers] == [True, True, False]
    assert code(answers[2]) == "607"
    box.clock.set(datetime(2026, 3, 3, 5, 59, 59, tzinfo=UTC))
    api.use_token()
    assert code(api.get("/rest/v1/activities/types.json")) == "607"
    box.clock.set(datetime(2026, 3, 3, 6, 0, 0, tzinfo=UTC))
    assert api.get("/rest/v1/activities/types.json")["success"]


def test_615_when_an_eleventh_call_arrives_while_ten_are_in_flight(api: Api, control: Control) -> None:
    control.plant(delay=1.0, times=10, match={"path": "describe.json"})
    results: list[dict[str, Any]] = []

    def call() -> None:
        headers = {"Authorization": str(api.session.headers["Authorization"])}
        results.append(requests.get(f"{api.url}/rest/v1/leads/describe.json", headers=headers, timeout=10).json())

    threads = [threading.Thread(target=call) for _ in range(10)]
    for thread in threads:
        thread.start()
    while sum(fault["struck"] for fault in control.faults()) < 10:
        pass
    assert code(api.get("/rest/v1/activities/types.json")) == "615"
    for thread in threads:
        thread.join()
    assert [result["success"] for result in results] == [True] * 10
    assert api.get("/rest/v1/activities/types.json")["success"]


def test_usage_counts_what_succeeded_and_errors_count_the_rest(api: Api, control: Control) -> None:
    api.get("/rest/v1/activities/types.json")
    control.plant(code="713")
    api.get("/rest/v1/activities/types.json")
    usage = api.get("/rest/v1/stats/usage.json")["result"][0]
    assert usage == {"date": "2026-03-02", "total": 1, "users": [{"userId": "apis@example.com", "count": 1}]}
    assert api.get("/rest/v1/stats/errors.json")["result"][0]["errors"] == [{"errorCode": "713", "count": 1}]
    assert api.get("/rest/v1/stats/usage/last7days.json")["result"][0]["total"] == 3


def test_413_and_414_and_the_way_around_by_post(api: Api, control: Control) -> None:
    control.seed(leads=[{"email": "ada@example.com"}])
    assert api.raw("POST", "/rest/v1/leads.json", data=b" " * 1_000_001).status_code == 413
    asked = {"filterType": "email", "filterValues": ",".join(f"someone{n}@a-long-name.example.com" for n in range(280))}
    assert api.raw("GET", "/rest/v1/leads.json", params=asked).status_code == 414
    asked["filterValues"] += ",ada@example.com"
    posted = api.raw("POST", "/rest/v1/leads.json?_method=GET", data=asked)
    assert [lead["email"] for lead in posted.json()["result"]] == ["ada@example.com"]


def test_wrong_paths_methods_bodies_and_content_types(api: Api) -> None:
    assert code(api.get("/rest/v1/nothing.json")) == "610"
    assert code(api.get("//rest/v1/leads.json")) == "610"
    assert code(api.raw("DELETE", "/rest/v1/activities/types.json").json()) == "605"
    headers = {"Content-Type": "application/json"}
    assert code(api.raw("POST", "/rest/v1/leads.json", data=b"{no", headers=headers).json()) == "609"
    assert (
        code(api.raw("POST", "/rest/v1/leads.json", data=b"{}", headers={"Content-Type": "text/plain"}).json()) == "612"
    )


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/rest/v1/leads.json", {"input": "everybody"}),
        ("POST", "/rest/v1/leads.json", {"input": [{"email": ["ada"]}], "lookupField": 7}),
        ("POST", "/rest/v1/lists/1/leads.json", {"input": [{}]}),
        ("POST", "/rest/v1/lists/1/leads.json", {"input": {"id": "x"}}),
        ("POST", "/rest/v1/campaigns/1/trigger.json", {"input": []}),
        ("POST", "/rest/v1/campaigns/1/trigger.json", {"input": {"leads": [None]}}),
        ("POST", "/rest/v1/campaigns/1/schedule.json", {"input": {"runAt": 5}}),
        ("POST", "/bulk/v1/activities/export/create.json", {"filter": {"createdAt": 5}}),
        ("GET", "/rest/v1/activities.json?nextPageToken=x&activityTypeIds=one", None),
        ("GET", "/rest/asset/v1/smartCampaigns.json?offset=x", None),
        ("GET", "/rest/v1/leads.json?filterType=id&filterValues=1&nextPageToken=x", None),
    ],
)
def test_malformed_requests_are_refused_in_the_envelope(
    api: Api, control: Control, method: str, path: str, body: Any
) -> None:
    control.seed(lists=[{"id": 1, "name": "few"}], campaigns=[{"id": 1, "name": "Recycle"}])
    answer = api.raw(method, path, json=body)
    assert answer.status_code == 200
    assert code(answer.json())


def test_gzip_when_asked_and_the_request_id_tells_the_servers_clock(api: Api) -> None:
    plain = api.raw("GET", "/rest/v1/activities/types.json", headers={"Accept-Encoding": "identity"})
    packed = api.raw("GET", "/rest/v1/activities/types.json", headers={"Accept-Encoding": "gzip"})
    small = api.raw("GET", "/rest/v1/stats/usage.json", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert "Content-Encoding" not in small.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.json()["result"] == plain.json()["result"]
    assert int(plain.json()["requestId"].split("#")[1], 16) == NOON.timestamp() * 1000


# the feed


def test_a_token_always_comes_back_and_goes_on_from_there(api: Api, control: Control) -> None:
    control.seed(activities=visits(450))
    first = api.page(api.mint())
    assert (len(first["result"]), first["moreResult"]) == (300, True)
    second = api.page(first["nextPageToken"])
    assert (len(second["result"]), second["moreResult"]) == (150, False)
    idle = api.page(second["nextPageToken"])
    assert "result" not in idle
    assert idle["moreResult"] is False
    control.act("visit_page", leadId=control.act("new_lead", email="ada@example.com")["leadId"], url="/pricing")
    assert [row["primaryAttributeValue"] for row in api.page(idle["nextPageToken"])["result"]] == ["/pricing"]


def test_an_activity_has_the_vendors_shape(api: Api, control: Control) -> None:
    guid = control.seed(
        activities=[
            {"leadId": 7, "type": 2, "at": ago(hours=1), "asset": "demo", "assetId": 71, "campaignId": 5}
            | {"attributes": {"Webpage ID": 9, "Query Parameters": ""}}
        ]
    )["activities"][0]
    assert api.pull(api.mint())[0] == [
        {
            "id": int(guid),
            "marketoGUID": guid,
            "leadId": 7,
            "activityDate": ago(hours=1),
            "activityTypeId": 2,
            "campaignId": 5,
            "primaryAttributeValueId": 71,
            "primaryAttributeValue": "demo",
            "attributes": [{"name": "Webpage ID", "value": 9}],
        }
    ]


def test_only_activities_after_the_tokens_date(api: Api, control: Control) -> None:
    control.seed(activities=visits(3))
    assert [row["primaryAttributeValue"] for row in api.pull(api.mint(NOON - timedelta(seconds=2)))[0]] == ["p2"]


def test_a_late_commit_is_dated_before_what_was_served_and_a_token_that_goes_on_finds_it(
    api: Api, control: Control
) -> None:
    control.seed(activities=visits(3))
    _, token = api.pull(api.mint())
    control.act("late_activity", leadId=1001, type="Visit Webpage", at=ago(hours=2), asset="late")
    assert [row["primaryAttributeValue"] for row in api.pull(token)[0]] == ["late"]
    for _ in range(5):
        control.act("late_activity", leadId=1001, type="Visit Webpage", at=ago(hours=2), asset="late")
    found, _ = api.pull(api.mint(NOON - timedelta(hours=1)))
    assert [row["primaryAttributeValue"] for row in found] == ["p0", "p1", "p2"]


def test_a_lost_late_commit_is_found_only_by_a_fresh_token_with_an_earlier_date(api: Api, control: Control) -> None:
    control.seed(activities=visits(3))
    _, token = api.pull(api.mint())
    control.act("late_activity", leadId=1001, type="Visit Webpage", at=ago(hours=2), asset="late", lost=True)
    assert api.pull(token)[0] == []
    assert [row["primaryAttributeValue"] for row in api.pull(api.mint())[0]] == ["p0", "p1", "p2", "late"]


def test_what_is_seeded_for_the_future_comes_when_the_clock_gets_there(
    api: Api, box: Sandbox, control: Control
) -> None:
    control.seed(
        leads=[{"email": "ada@example.com", "createdAt": iso(NOON + timedelta(minutes=5))}],
        activities=[
            {"email": "ada@example.com", "type": "Fill Out Form", "at": iso(NOON + timedelta(minutes=5)), "asset": "f"},
            {"email": "ada@example.com", "type": "Send Email", "at": iso(NOON + timedelta(minutes=4)), "asset": "late"}
            | {"committed": iso(NOON + timedelta(minutes=6))},
        ],
    )
    found, token = api.pull(api.mint(), "2,6")
    assert found == []
    assert api.get("/rest/v1/leads.json", filterType="email", filterValues="ada@example.com")["result"] == []
    box.clock.advance(300)
    found, token = api.pull(token, "2,6")
    assert [row["primaryAttributeValue"] for row in found] == ["f"]
    assert len(api.get("/rest/v1/leads.json", filterType="email", filterValues="ADA@example.com")["result"]) == 1
    box.clock.advance(60)
    assert [row["activityDate"] for row in api.pull(token, "2,6")[0]] == [iso(NOON + timedelta(minutes=4))]


def test_seeded_leads_are_silent_unless_they_shall_announce_themselves(
    api: Api, box: Sandbox, control: Control
) -> None:
    token = api.mint()
    control.seed(leads=[{"email": "ada@example.com"}])
    soon = iso(NOON + timedelta(seconds=5))
    control.seed(settings={"announce_leads": True}, leads=[{"email": "bob@example.com", "createdAt": soon}])
    assert api.pull(token, "12")[0] == []
    box.clock.advance(5)
    assert [(row["primaryAttributeValue"], row["activityDate"]) for row in api.pull(token, "12")[0]] == [
        ("bob@example.com", soon)
    ]


def test_a_rare_type_gives_empty_pages_with_more_behind_them(api: Api, control: Control) -> None:
    rare = {"leadId": 1001, "type": "Fill Out Form", "at": ago(seconds=0), "asset": "demo"}
    control.seed(activities=[*visits(900), rare])
    pages = [api.page(api.mint(), "2")]
    while pages[-1]["moreResult"]:
        pages.append(api.page(pages[-1]["nextPageToken"], "2"))
    assert ["result" in page for page in pages] == [False, False, False, True]


def test_a_planted_empty_page_moves_the_token_but_loses_nothing(api: Api, control: Control) -> None:
    guids = control.seed(activities=visits(3))["activities"]
    control.plant(empty_page=True, times=2, match={"path": r"activities\.json"})
    token = api.mint()
    page = api.page(token)
    assert ("result" in page, page["moreResult"], page["nextPageToken"] != token) == (False, True, True)
    assert api.guids(page["nextPageToken"]) == guids
    control.seed(settings={"empty_every": 2, "omit_empty_result": False})
    chain = [api.page(token)]
    chain.append(api.page(chain[0]["nextPageToken"]))
    assert [] in [page["result"] for page in chain]
    assert api.guids(token) == guids


def test_twelve_thousand_activities_with_one_timestamp_are_all_served_once(api: Api, control: Control) -> None:
    control.act("generate", leads=10, activities=12_000, start=ago(hours=1), every=0)
    found, _ = api.pull(api.mint())
    assert {row["activityDate"] for row in found} == {ago(hours=1)}
    assert (len(found), len({row["marketoGUID"] for row in found})) == (12_000, 12_000)


def test_guids_need_not_follow_the_dates_and_may_be_told_twice(api: Api, control: Control) -> None:
    control.seed(activities=visits(5), settings={"swap_guids": True, "repeat_last": True})
    control.seed(activities=visits(6))
    found, token = api.pull(api.mint(), batchSize=4)
    guids = [row["marketoGUID"] for row in found]
    assert len(set(guids)) == 11
    assert len(guids) > 11
    assert guids != sorted(guids, key=int)
    assert api.page(token)["result"][0]["marketoGUID"] == guids[-1]


def test_the_old_integer_id_may_be_absent_and_dates_may_be_in_the_old_form(api: Api, control: Control) -> None:
    control.seed(activities=visits(1, guid="a-guid-of-its-own"), settings={"ids": False, "offset_dates": True})
    row = api.pull(api.mint())[0][0]
    assert "id" not in row
    assert row["marketoGUID"] == "a-guid-of-its-own"
    assert row["activityDate"] == "2026-03-02T11:59:59+0000"


def test_a_feed_can_be_narrowed_to_leads_a_list_or_an_asset(api: Api, control: Control) -> None:
    leads = control.seed(leads=[{"email": f"p{n}@example.com"} for n in range(3)])["leads"]
    number = control.seed(lists=[{"name": "few", "members": leads[:1]}])["lists"][0]
    for lead in leads:
        control.act("visit_page", leadId=lead, url=f"/{lead}")
    asked = {"leadIds": f"{leads[1]},{leads[2]}"}
    assert [row["leadId"] for row in api.pull(api.mint(), **asked)[0]] == leads[1:]
    assert [row["leadId"] for row in api.pull(api.mint(), listId=number)[0]] == leads[:1]
    asset = api.pull(api.mint())[0][2]["primaryAttributeValueId"]
    assert [row["leadId"] for row in api.pull(api.mint(), "1", assetIds=asset)[0]] == leads[2:]


def test_the_feed_refuses_too_much(api: Api, control: Control) -> None:
    number = control.seed(lists=[{"name": "big", "members": [1, 2, 3]}], settings={"list_limit": 3})["lists"][0]
    token = api.mint()
    assert code(api.page(token, ",".join(str(n) for n in range(1, 12)))) == "1003"
    assert code(api.page(token, leadIds=",".join(str(n) for n in range(31)))) == "1003"
    assert code(api.page(token, listId=number)) == "1003"
    assert code(api.page(token, "")) == "1002"
    assert code(api.page("")) == "1002"
    assert code(api.get("/rest/v1/activities/pagingtoken.json", sinceDatetime="yesterday")) == "704"
    # an unencoded plus sign arrives as a space
    assert (
        code(api.raw("GET", "/rest/v1/activities/pagingtoken.json?sinceDatetime=2026-03-01T00:00:00+01:00").json())
        == "704"
    )


def test_a_paging_token_may_stop_working(api: Api, control: Control) -> None:
    token = api.mint()
    assert code(api.page(("A" if token[0] != "A" else "B") + token[1:])) == "1003"
    control.act("expire_tokens")
    assert code(api.page(token)) == "1003"
    control.act("configure", bad_token_code="611")
    assert code(api.page(token)) == "611"
    assert api.page(api.mint())["success"]


def test_the_schema_may_drift(api: Api, control: Control) -> None:
    made = control.act("add_activity_type", name="Attend Webinar", attributes=["Minutes"])["id"]
    control.act("add_attribute", type="Visit Webpage", name="Scroll Depth", dataType="integer")
    types = {kind["id"]: kind for kind in api.get("/rest/v1/activities/types.json")["result"]}
    assert made > 100_000
    assert types[made]["attributes"] == [{"name": "Minutes", "dataType": "string"}]
    assert {"name": "Scroll Depth", "dataType": "integer"} in types[1]["attributes"]
    assert types[1]["primaryAttribute"] == {"name": "Webpage ID", "dataType": "integer"}
    control.act("activity", leadId=1, type="Attend Webinar", attributes={"Minutes": "45"})
    assert api.pull(api.mint(), str(made))[0][0]["attributes"] == [{"name": "Minutes", "value": "45"}]


def test_the_config_runs_against_it_and_holds_no_secret(box: Sandbox) -> None:
    text = box.config()
    table = tomllib.loads(text)["sources"]["marketo"]
    secret = box.credentials("marketo")["client_secret"]
    assert secret not in text
    assert Path(table["client_secret"]["file"]).read_text(encoding="utf-8") == secret
    assert (table["type"], table["base_url"]) == ("marketo", box.url("marketo"))
    assert table["activities"]["Fill Out Form"] == "form.submitted"


def test_unknown_acts_seeds_and_settings_are_told_in_sentences(control: Control) -> None:
    for told, wrong in (
        ("Known acts are", lambda: control.act("dance")),
        ("It may have", lambda: control.seed(people=[])),
        ("Known are", lambda: control.seed(settings={"colour": 1})),
        ("There is no activity type", lambda: control.act("activity", leadId=1, type="Dance")),
        ("needs 'url'", lambda: control.act("visit_page", email="ada@example.com")),
        ("No lead has the email", lambda: control.act("delete_lead", email="ada@example.com")),
    ):
        with pytest.raises(ControlError, match=told):
            wrong()
