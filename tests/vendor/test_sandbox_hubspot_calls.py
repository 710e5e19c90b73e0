"""How the simulated HubSpot is called: paths, tokens, limits, pages, and bodies that make no sense."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from syncagent.sandbox.clock import SandboxClock
from syncagent.sandbox.hubspot import create
from syncagent.sandbox.vendor import Call
from tests.vendor.hubspot_portal import Portal, serve_portal, task

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CONTACTS = "/crm/v3/objects/contacts"
TASKS = "/crm/v3/objects/tasks"
NAMES = (
    "inputs id idProperty properties email filterGroups filters propertyName operator value values sorts limit after "
    "associations to types associationTypeId from name label type fieldType groupName options objectId query "
    "primaryObjectId objectWriteTraceId"
)


@pytest.fixture
def portal() -> Iterator[Portal]:
    with serve_portal() as served:
        yield served


@pytest.mark.parametrize(
    ("fault", "status", "category"),
    [
        ({"locked": True}, 423, "LOCKED"),
        ({"migration": 3600}, 477, "MIGRATION_IN_PROGRESS"),
        ({"missing_scopes": ["crm.objects.leads.read"]}, 403, "MISSING_SCOPES"),
        ({"rate_limit": "search"}, 429, "RATE_LIMITS"),
    ],
)
def test_1_planted_refusals(portal: Portal, fault: dict[str, Any], status: int, category: str) -> None:
    portal.control.plant(**fault)
    reply = portal.call("GET", CONTACTS)
    assert (reply.status_code, reply.json()["category"]) == (status, category)
    assert reply.headers.get("Retry-After") == ("3600" if status == 477 else None)
    assert portal.call("GET", CONTACTS).status_code == 200


def test_4_two_buckets_with_their_headers(portal: Portal) -> None:
    portal.control.clock_set(NOON)
    portal.control.act("set_settings", limits_clock="sandbox", burst_limit=3, search_limit=2)
    first = portal.call("GET", CONTACTS)
    told = {name: value for name, value in first.headers.items() if name.lower().startswith("x-hubspot-ratelimit")}
    assert told == {
        "x-hubspot-ratelimit-daily": "250000",
        "x-hubspot-ratelimit-daily-remaining": "249999",
        "x-hubspot-ratelimit-interval-milliseconds": "10000",
        "x-hubspot-ratelimit-max": "3",
        "x-hubspot-ratelimit-remaining": "2",
        "x-hubspot-ratelimit-secondly": "10",
        "x-hubspot-ratelimit-secondly-remaining": "9",
    }
    statuses = [portal.call("GET", CONTACTS).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    refused = portal.call("GET", CONTACTS)
    assert (refused.json()["policyName"], refused.json()["errorType"]) == ("TEN_SECONDLY_ROLLING", "RATE_LIMIT")
    assert "Retry-After" not in refused.headers
    searches = [portal.call("POST", CONTACTS + "/search", {}) for _ in range(3)]
    assert [each.status_code for each in searches] == [200, 200, 429]
    assert all("X-HubSpot-RateLimit-Max" not in each.headers for each in searches)
    assert searches[2].json()["message"] == "You have reached your secondly limit."
    assert "policyName" not in searches[2].json()
    portal.control.clock_advance(1)
    assert portal.call("POST", CONTACTS + "/search", {}).status_code == 200
    assert portal.call("GET", CONTACTS).status_code == 429
    portal.control.clock_advance(9)
    assert portal.call("GET", CONTACTS).status_code == 200


def test_4_the_day_begins_anew_at_the_midnight_of_the_portal(portal: Portal) -> None:
    portal.control.clock_set(datetime(2026, 3, 2, 22, 30, tzinfo=UTC))
    portal.control.act("set_settings", daily_limit=5, time_zone="Europe/Berlin")
    portal.control.act("use_quota", calls=5)
    portal.call("GET", CONTACTS)
    portal.control.act("use_quota", calls=5)
    refused = portal.call("GET", CONTACTS)
    assert (refused.status_code, refused.json()["policyName"]) == (429, "DAILY")
    portal.control.clock_advance(1800)
    assert portal.call("GET", CONTACTS).headers["X-HubSpot-RateLimit-Daily-Remaining"] == "4"
    usage = portal.call("GET", "/account-info/v3/api-usage/daily/private-apps").json()["results"][0]
    assert (usage["usageLimit"], usage["currentUsage"]) == (5, 2)


def test_both_forms_of_the_path_are_one_place(portal: Portal) -> None:
    [contact] = portal.contacts()
    [made] = [portal.call("POST", "/crm/objects/2026-03/0-27", task(contact)).json()["id"]]
    for path in (
        f"/crm/v4/objects/contact/{contact}/associations/task",
        f"/crm/objects/2026-09/contacts/{contact}/associations/tasks",
    ):
        assert [row["toObjectId"] for row in portal.call("GET", path).json()["results"]] == [int(made)]
    for path in ("/crm/v4/associations/contacts/tasks/batch/read", "/crm/associations/2026-03/0-1/0-27/batch/read"):
        read = portal.call("POST", path, {"inputs": [{"id": contact}]}).json()["results"]
        assert [each["toObjectId"] for each in read[0]["to"]] == [int(made)]
    assert made == contact, "ids are unique only within an object type"
    for path in (
        "/crm/owners/2026-03",
        "/crm/properties/2026-03/tasks",
        "/crm/pipelines/2026-03/deals",
        "/crm/lists/2026-03",
        "/events/event-occurrences/2026-09",
        "/account-info/2026-03/details",
        "/account-info/v3/details",
    ):
        assert portal.call("GET", path).status_code == 200
    assert portal.call("GET", "/crm/objects/2019-03/contacts").status_code == 404


def test_associations_come_in_pages_and_none_at_all_is_an_error_of_the_row(portal: Portal) -> None:
    one, two = portal.contacts(2)
    made = [portal.call("POST", TASKS, task(one)).json()["id"] for _ in range(5)]
    portal.control.act("set_settings", association_page=2)
    path, wish = "/crm/v4/associations/contacts/tasks/batch/read", {"inputs": [{"id": one}, {"id": two}]}
    read = portal.call("POST", path, wish)
    assert read.status_code == 207
    assert read.json()["errors"][0]["subCategory"] == "crm.associations.NO_ASSOCIATIONS_FOUND"
    assert read.json()["errors"][0]["context"] == {
        "fromObjectId": [two],
        "fromObjectType": ["contact"],
        "toObjectType": ["task"],
    }
    got, rows = [], read.json()["results"]
    while rows:
        got += [str(each["toObjectId"]) for each in rows[0]["to"]]
        after = rows[0].get("paging", {}).get("next", {}).get("after")
        wish = {"inputs": [{"id": one, "after": after}]}
        rows = portal.call("POST", path, wish).json()["results"] if after else []
    assert got == made


def test_batch_associations_are_made_and_taken_away(portal: Portal) -> None:
    [contact] = portal.contacts()
    [company] = portal.control.seed(companies=[{"name": "Acme", "domain": "example.com"}])["companies"]
    path = "/crm/v4/associations/contacts/companies/batch"
    ends = {"from": {"id": contact}, "to": {"id": company}}
    primary = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 1}
    made = portal.call("POST", path + "/create", {"inputs": [ends | {"types": [primary]}]})
    assert (made.status_code, made.json()["results"][0]["labels"]) == (201, ["Primary"])

    def types() -> list[int]:
        rows = portal.call("GET", f"/crm/v4/objects/contacts/{contact}/associations/companies").json()["results"]
        return [each["typeId"] for row in rows for each in row["associationTypes"]]

    assert types() == [1, 279]
    assert portal.call("POST", path + "/labels/archive", {"inputs": [ends | {"types": [primary]}]}).status_code == 204
    assert types() == [279]
    wish = {"inputs": [{"from": {"id": contact}, "to": [{"id": company}]}]}
    assert portal.call("POST", path + "/archive", wish).status_code == 204
    assert types() == []
    assert portal.record("companies", company)["associations"] == {}
    labels = portal.call("GET", "/crm/v4/associations/contacts/companies/labels").json()["results"]
    assert {each["typeId"] for each in labels} == {1, 279}
    bad = ends | {"types": [primary | {"associationTypeId": 204}]}
    assert portal.call("POST", path + "/create", {"inputs": [bad]}).status_code == 400


def test_tokens(portal: Portal) -> None:
    for token in ("wrong", "x" * 40):
        refused = portal.call("GET", CONTACTS, token=token)
        assert (refused.status_code, refused.json()["category"]) == (401, "INVALID_AUTHENTICATION")
    form = {name: portal.known[name] for name in ("client_id", "client_secret", "refresh_token")}
    form["grant_type"] = "refresh_token"
    portal.control.clock_set(NOON)
    for version in ("v1", "v3", "2026-03"):
        reply = portal.session.post(f"{portal.url}/oauth/{version}/token", data=form, timeout=5).json()
        assert (reply["expires_in"], reply["refresh_token"]) == (1800, portal.known["refresh_token"])
    token = reply["access_token"]
    answer = portal.call("GET", CONTACTS, token=token)
    assert answer.status_code == 200
    assert "X-HubSpot-RateLimit-Daily" not in answer.headers
    assert answer.headers["X-HubSpot-RateLimit-Max"] == "110"
    info = portal.session.get(f"{portal.url}/oauth/v1/access-tokens/{token}", timeout=5).json()
    assert (info["hub_id"], info["expires_in"]) == (62515, 1800)
    portal.control.clock_advance(1801)
    expired = portal.call("GET", CONTACTS, token=token)
    assert (expired.status_code, expired.json()["category"]) == (401, "EXPIRED_AUTHENTICATION")
    assert "expired 1 second(s) ago" in expired.json()["message"]
    path = f"{portal.url}/oauth/v2/private-apps/get/access-token-info"
    app = portal.session.post(path, json={"tokenKey": portal.known["token"]}, timeout=5).json()
    assert (app["hubId"], app["appId"]) == (62515, int(portal.known["app_id"]))
    assert portal.session.post(path, json={"tokenKey": token}, timeout=5).status_code == 404
    bad = portal.session.post(f"{portal.url}/oauth/v1/token", data=form | {"refresh_token": "x"}, timeout=5)
    assert (bad.status_code, bad.json()["status"]) == (400, "BAD_REFRESH_TOKEN")
    portal.control.plant(expire_token=True)
    assert [portal.call("GET", CONTACTS).status_code for _ in range(2)] == [401, 401]
    portal.control.act("revive_token")
    assert portal.call("GET", CONTACTS).status_code == 200


def test_lists_of_objects_page_by_id(portal: Portal) -> None:
    ids = portal.contacts(25)
    got, after = [], "0"
    while after:
        page = portal.call("GET", CONTACTS, limit=10, after=after, properties="email").json()
        got += [row["id"] for row in page["results"]]
        after = page.get("paging", {}).get("next", {}).get("after", "")
    assert got == ids
    assert portal.call("GET", CONTACTS, limit=101).status_code == 400
    assert portal.call("GET", CONTACTS, limit=51, propertiesWithHistory="email").status_code == 400


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["20101", "email", "EQ"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES.split()),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
paths = st.sampled_from(
    [
        *(f"/crm/v3/objects/contacts/batch/{verb}" for verb in ("create", "read", "update", "upsert", "archive")),
        *(f"/crm/v3/objects/deals{rest}" for rest in ("", "/search", "/merge", "/batch/create")),
        *(
            f"/crm/v4/associations/contacts/tasks/batch/{verb}"
            for verb in ("create", "read", "archive", "labels/archive")
        ),
        *("/crm/v3/properties/tasks", "/crm/v3/lists", "/crm/v3/lists/search", "/crm/v3/objects/contacts/gdpr-delete"),
        *("/crm/v3/objects/contacts/search", "/crm/v3/objects/tasks"),
    ]
)


@given(path=paths, body=json | st.builds(lambda inner: {"inputs": [inner]}, json))
def test_no_body_breaks_the_portal(path: str, body: Any) -> None:
    portal = create(SandboxClock())
    portal.seed({"contacts": [{"email": "a@example.com"}], "deals": [{"dealname": "x"}]})
    token = portal.credentials("")["token"]
    answer = portal.answer(
        Call("POST", path, headers={"authorization": f"Bearer {token}"}, body=msgspec.json.encode(body))
    )
    assert answer.status < 500
    assert portal.dump()


def test_4_by_default_the_windows_go_by_the_time_on_the_wall_and_each_app_has_its_own(portal: Portal) -> None:
    portal.control.clock_set(NOON)
    portal.control.act("set_settings", limits_clock="real", burst_limit=2, oauth_burst_limit=3)
    form = {name: portal.known[name] for name in ("client_id", "client_secret", "refresh_token")}
    reply = portal.session.post(portal.url + "/oauth/v1/token", data=form | {"grant_type": "refresh_token"}, timeout=5)
    token = reply.json()["access_token"]
    assert [portal.call("GET", CONTACTS).status_code for _ in range(3)] == [200, 200, 429]
    portal.control.clock_advance(60)
    assert portal.call("GET", CONTACTS).status_code == 429
    assert [portal.call("GET", CONTACTS, token=token).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert portal.control.quota() == {"calls": 9, "cost": 5}


def test_faults_of_the_frame_hold_here_too(portal: Portal) -> None:
    [contact] = portal.contacts()
    portal.control.plant(match={"path": "batch/create"}, drop="after")
    with pytest.raises(requests.ConnectionError):
        portal.call("POST", TASKS + "/batch/create", {"inputs": [task(contact, "a")]})
    assert len(portal.record("contacts", contact)["associations"]["tasks"]) == 1
    portal.control.plant(match={"path": "/search"}, html=503)
    assert portal.call("POST", TASKS + "/search", {}).status_code == 503
    assert portal.search("tasks")["results"] == []


def test_switches_for_what_the_documents_leave_open(portal: Portal) -> None:
    ids = portal.contacts(20)
    portal.control.act(
        "set_settings", shuffle=False, traces_in_results=False, sparse_errors=False, conversion_ids=False
    )
    portal.control.act("set_settings", archived_keys="held", retry_after=True)
    rows = [{"id": ident, "properties": {"city": "Rome"}, "objectWriteTraceId": ident} for ident in [*ids, "1"]]
    wrote = portal.call("POST", CONTACTS + "/batch/update", {"inputs": rows}).json()
    assert [row["id"] for row in wrote["results"]] == ids
    assert all("objectWriteTraceId" not in row for row in wrote["results"])
    assert (wrote["errors"][0]["links"], wrote["errors"][0]["errors"]) == ({}, [])
    portal.call("DELETE", f"{CONTACTS}/{ids[0]}")
    again = portal.call("POST", CONTACTS, {"properties": {"email": "person0@example.com"}})
    assert (again.status_code, again.json()["category"]) == (409, "CONFLICT")
    portal.control.act("submit_form", form="demo", email="person1@example.com")
    [form] = portal.control.dump()["forms"]
    sent = portal.call("GET", f"/form-integrations/v1/submissions/forms/{form}").json()["results"]
    assert "conversionId" not in sent[0]
    portal.control.plant(rate_limit="burst")
    assert portal.call("GET", CONTACTS).headers["Retry-After"] == "1"
