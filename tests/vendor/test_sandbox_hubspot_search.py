"""Search in the simulated HubSpot: an index that lags, the wall, equal stamps, limits (crm.md B7, Part C 3)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from syncagent.sandbox.hubspot.values import millis
from tests.vendor.hubspot_portal import Portal, serve_portal

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CONTACTS = "/crm/v3/objects/contacts"


@pytest.fixture
def portal() -> Iterator[Portal]:
    with serve_portal() as served:
        served.control.clock_set(NOON)
        yield served


def by(name: str, operator: str = "EQ", value: Any = None, **more: Any) -> dict[str, Any]:
    """A body with one filter."""
    wish = {"propertyName": name, "operator": operator, **more}
    return {"filterGroups": [{"filters": [wish if value is None else wish | {"value": value}]}]}


def ids(answer: dict[str, Any]) -> list[str]:
    return [row["id"] for row in answer["results"]]


def test_3_the_index_lags_behind_creation_change_and_archiving(portal: Portal) -> None:
    portal.control.act("set_settings", index_lag_min=30, index_lag_max=30)
    made = portal.call("POST", CONTACTS, {"properties": {"email": "old@example.com"}}).json()["id"]
    assert portal.search(**by("email", value="old@example.com"))["total"] == 0
    assert portal.call("GET", f"{CONTACTS}/{made}").status_code == 200
    portal.control.clock_advance(31)
    assert ids(portal.search(**by("email", value="old@example.com"))) == [made]
    portal.call("PATCH", f"{CONTACTS}/{made}", {"properties": {"email": "new@example.com"}})
    assert portal.search(**by("email", value="new@example.com"))["total"] == 0
    stale = portal.search(**by("email", value="old@example.com"), properties=["email"])
    assert stale["results"][0]["properties"]["email"] == "old@example.com"
    portal.control.clock_advance(31)
    assert ids(portal.search(**by("email", value="new@example.com"))) == [made]
    portal.call("DELETE", f"{CONTACTS}/{made}")
    assert portal.search(**by("email", value="new@example.com")) == {"total": 1, "results": []}
    portal.control.clock_advance(31)
    assert portal.search(**by("email", value="new@example.com")) == {"total": 0, "results": []}


def test_3_writes_arrive_in_another_order_but_an_older_state_never_wins(portal: Portal) -> None:
    made = portal.contacts(40)
    portal.control.act("set_settings", index_lag_min=2, index_lag_max=30)
    for city in ("Rome", "Oslo"):
        portal.control.act("workflow_edit", object="contacts", ids=made, values={"city": city})
        portal.control.clock_advance(1)
    portal.control.clock_advance(14)
    known = {city: set(ids(portal.search(**by("city", value=city), limit=100))) for city in ("Rome", "Oslo")}
    assert known["Oslo"] and known["Oslo"] != set(made)
    portal.control.act("settle_index")
    assert set(ids(portal.search(**by("city", value="Oslo"), limit=100))) == set(made)
    assert portal.search(**by("city", value="Rome"))["total"] == 0


def test_3_pages_sorts_and_equal_stamps(portal: Portal) -> None:
    made = portal.contacts(50)
    portal.control.clock_advance(60)
    portal.control.act("set_settings", index_lag_max=0)
    portal.control.act("workflow_edit", object="contacts", ids=made[:30], values={"city": "Rome"})
    wish = by("lastmodifieddate", "GTE", str(millis(NOON))) | {
        "sorts": [{"propertyName": "lastmodifieddate", "direction": "ASCENDING"}],
        "limit": 20,
    }
    got, after = [], "0"
    while after:
        page = portal.search(**wish, after=after)
        assert page["total"] == 50
        got += ids(page)
        after = page.get("paging", {}).get("next", {}).get("after", "")
    assert sorted(got) == sorted(made)
    assert set(got[20:]) == set(made[:30])
    assert got[20:] != sorted(got[20:], key=int)
    late = portal.search(**by("lastmodifieddate", "GT", str(millis(NOON))), limit=1)
    assert late["total"] == 30
    down = portal.search(sorts=["-hs_object_id"], limit=50)
    assert ids(down) == sorted(made, key=int, reverse=True)


def test_3_ten_thousand_is_a_wall(portal: Portal) -> None:
    portal.contacts(5)
    assert portal.call("POST", CONTACTS + "/search", {"after": "9800", "limit": 200}).status_code == 200
    assert portal.call("POST", CONTACTS + "/search", {"after": "9801", "limit": 200}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 201},
        {"after": "abc"},
        {"filterGroups": [{"filters": []}] * 6},
        {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "HAS_PROPERTY"}] * 7}]},
        {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "HAS_PROPERTY"}] * 5}] * 4},
        {"sorts": ["email", "city"]},
        {"sorts": ["unheard"]},
        {"query": "x" * 3000},
        by("unheard", value="x"),
        by("email", "LIKE", "x"),
        by("createdate", "GT", "yesterday"),
    ],
)
def test_3_what_search_refuses(portal: Portal, body: dict[str, Any]) -> None:
    reply = portal.call("POST", CONTACTS + "/search", body)
    assert (reply.status_code, reply.json()["category"]) == (400, "VALIDATION_ERROR")


def test_operators(portal: Portal) -> None:
    rows = [
        {"email": "a@example.com", "city": "Rome", "lead_score": "9", "recycle_until": "2026-03-10"},
        {"email": "b@example.com", "city": "Oslo", "lead_score": "80", "hs_lead_status": "OPEN"},
        {"email": "c@example.com", "lead_score": "100"},
    ]
    a, b, c = portal.control.seed(contacts=rows)["contacts"]

    def found(*args: Any, **more: Any) -> set[str]:
        return set(ids(portal.search(**by(*args, **more))))

    assert found("lead_score", "GT", "9") == {b, c}
    assert found("lead_score", "BETWEEN", "9", highValue="80") == {a, b}
    assert found("city", "IN", values=["rome", "paris"]) == {a}
    assert found("city", "IN", values=["Rome"]) == set()
    assert found("hs_lead_status", "IN", values=["OPEN"]) == {b}
    assert found("city", "NOT_HAS_PROPERTY") == {c}
    assert found("city", "HAS_PROPERTY") == {a, b}
    assert found("city", "NEQ", "Rome") == {b, c}
    assert found("email", "CONTAINS_TOKEN", "*b@ex*") == {b}
    assert found("recycle_until", "LTE", str(millis(NOON + timedelta(days=8)))) == {a}
    assert set(ids(portal.search(query="oslo"))) == {b}
    either = {"filterGroups": [by("city", value=city)["filterGroups"][0] for city in ("Rome", "Oslo")]}
    assert set(ids(portal.search(**either))) == {a, b}
    [task] = portal.control.seed(tasks=[{"hs_task_subject": "Call", "associate": {"contacts": [b]}}])["tasks"]
    assert ids(portal.search("tasks", **by("associations.contact", value=b))) == [task]
    assert ids(portal.search("tasks", **by("associations.contact", value=a))) == []


def test_the_modified_stamp_has_another_name_for_contacts(portal: Portal) -> None:
    portal.contacts()
    assert portal.search(**by("lastmodifieddate", "GTE", "0"))["total"] == 1
    reply = portal.call("POST", "/crm/v3/objects/tasks/search", by("lastmodifieddate", "GTE", "0"))
    assert reply.status_code == 400
    assert portal.search("tasks", **by("hs_lastmodifieddate", "GTE", "0"))["total"] == 0
