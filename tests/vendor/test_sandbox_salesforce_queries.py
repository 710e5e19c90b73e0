"""SOQL and cursors of the simulated Salesforce (crm.md A8, A10; Part C, point 10), through simple-salesforce."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from simple_salesforce import format_soql
from simple_salesforce.exceptions import SalesforceMalformedRequest

from tests.vendor.salesforce_org import Org, serve_org

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def org() -> Iterator[Org]:
    with serve_org() as served:
        yield served


@pytest.fixture
def five(org: Org) -> Org:
    """Five leads, one a minute from noon on: A to E."""
    rows = [
        ("A", 10, "Open - Not Contacted", None),
        ("B", 20, "Sales Ready", "b@example.com"),
        ("C", None, "Sales Ready", "c@example.org"),
        ("D", 40, "Recycled", "d@example.org"),
        ("E", 50, "It's 100% new", None),
    ]
    leads = [
        {
            "LastName": name,
            "Company": "Acme",
            "Lead_Score__c": score,
            "Status": status,
            "Email": email,
            "HasOptedOutOfEmail": name == "B",
            "Recycle_Until__c": f"2026-03-0{place + 1}",
            "CreatedDate": f"2026-03-02T12:0{place}:00Z",
        }
        for place, (name, score, status, email) in enumerate(rows)
    ]
    org.control.seed(leads=leads)
    return org


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("Lead_Score__c > 20", "DE"),
        ("Lead_Score__c >= 20 AND Lead_Score__c <= 40", "BD"),
        ("Lead_Score__c < 20 OR Lead_Score__c = 50", "AE"),
        ("NOT (Lead_Score__c = 10 OR Lead_Score__c = 20)", "CDE"),
        ("Lead_Score__c = null", "C"),
        ("Email != NULL AND (Status = 'recycled' OR HasOptedOutOfEmail = true)", "BD"),
        ("Status IN ('Sales Ready', 'Recycled')", "BCD"),
        ("Status NOT IN ('Sales Ready', 'Recycled')", "AE"),
        ("Status != 'Sales Ready'", "ADE"),
        ("Email LIKE '%@EXAMPLE.org'", "CD"),
        ("(NOT Email LIKE '_@example.com')", "ACDE"),
        (r"Status = 'It\'s 100% new'", "E"),
        ("Email = 'b@example.com' OR Email = 'D@example.org'", "BD"),
        ("CreatedDate > 2026-03-02T12:02:00Z", "DE"),
        ("CreatedDate >= 2026-03-02T13:02:00+01:00", "CDE"),
        ("SystemModstamp = 2026-03-02T12:01:00.999Z", "B"),
        ("SystemModstamp = 2026-03-02T12:01:00Z OR SystemModstamp > 2026-03-02T12:03:00Z", "BE"),
        ("SystemModstamp > 2026-03-02T12:03:00Z OR LastName = 'A'", "AE"),
        ("SystemModstamp > 2026-03-02T12:01:00Z AND SystemModstamp > 2026-03-02T12:02:00Z", "DE"),
        ("(NOT SystemModstamp > 2026-03-02T12:02:00Z)", "ABC"),
        ("Recycle_Until__c <= 2026-03-02", "AB"),
        ("Recycle_Until__c = TODAY", "B"),
        ("Recycle_Until__c > TODAY", "CDE"),
        ("Recycle_Until__c = LAST_N_DAYS:1", "AB"),
        ("CreatedDate = TODAY", "ABCDE"),
        ("CreatedDate < TODAY", ""),
        ("Owner.Name = 'Sync Agent' AND Owner.Type = 'User' AND Lead_Score__c < 30", "AB"),
        ("Id IN (SELECT WhoId FROM Task WHERE IsClosed = false)", "C"),
    ],
)
def test_where_selects(five: Org, where: str, names: str) -> None:
    five.control.clock_set(NOON)
    org_id = five.known["organization_id"]
    five.sf.session_id = five.box.credentials("salesforce")["session_id"]
    lead = five.sf.query("SELECT Id FROM Lead WHERE Name = 'C'")["records"][0]["Id"]
    five.control.seed(tasks=[{"WhoId": lead, "Subject": "Call"}])
    found = five.sf.query(f"SELECT Id, LastName FROM Lead WHERE {where} ORDER BY LastName")
    assert "".join(row["LastName"] for row in found["records"]) == names
    assert (found["totalSize"], found["done"], org_id[:3]) == (len(names), True, "00D")


@pytest.mark.parametrize(
    ("tail", "names"),
    [
        ("ORDER BY Lead_Score__c", "CABDE"),
        ("ORDER BY Lead_Score__c NULLS LAST", "ABDEC"),
        ("ORDER BY Lead_Score__c DESC", "EDBAC"),
        ("ORDER BY Lead_Score__c DESC NULLS FIRST", "CEDBA"),
        ("ORDER BY Status ASC, LastName DESC", "EADCB"),
        ("ORDER BY SystemModstamp, Id LIMIT 2", "AB"),
        ("ORDER BY SystemModstamp DESC LIMIT 2 OFFSET 1", "DC"),
        ("WHERE SystemModstamp > 2026-03-02T12:00:30Z ORDER BY SystemModstamp, Id LIMIT 2 OFFSET 1", "CD"),
    ],
)
def test_order_limit_offset(five: Org, tail: str, names: str) -> None:
    found = five.sf.query(f"SELECT LastName FROM Lead {tail}")["records"]
    assert "".join(row["LastName"] for row in found) == names


def test_relationships_come_nested_and_null_when_empty(org: Org) -> None:
    lead = org.lead(OwnerId=org.known["queue_id"])
    org.control.seed(tasks=[{"WhoId": lead, "OwnerId": org.known["rep_user_id"]}])
    row = org.sf.query("SELECT Id, Owner.Name, Owner.Type, ConvertedContact.Email FROM Lead")["records"][0]
    assert (row["Owner"]["Name"], row["Owner"]["Type"], row["ConvertedContact"]) == ("Inbound", "Group", None)
    row = org.sf.query(f"SELECT Who.Name, Who.Type, What.Name, Owner.IsActive FROM Task WHERE WhoId = '{lead[:15]}'")[
        "records"
    ][0]
    assert (row["Who"]["Type"], row["Who"]["Name"], row["What"], row["Owner"]["IsActive"]) == (
        "Lead",
        "Doe",
        None,
        True,
    )


@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        ("SELECT Id FORM Lead", "MALFORMED_QUERY", "unexpected token: 'FORM'"),
        ("SELECT Id FROM Lead WHERE", "MALFORMED_QUERY", "<EOF>"),
        ("SELECT Id FROM Lead WHERE Id = 'a' AND Id = 'b' OR Id = 'c'", "MALFORMED_QUERY", "unexpected token: 'OR'"),
        ('SELECT Id FROM Lead WHERE Status = "New"', "MALFORMED_QUERY", "unexpected token"),
        ("SELECT Id FROM Lead LIMIT 1.5", "MALFORMED_QUERY", "invalid number"),
        ("SELECT Id FROM Lead WHERE CreatedDate > 2026-13-01T00:00:00Z", "MALFORMED_QUERY", "no such day"),
        ("SELECT Id FROM Lead WHERE Name LIKE 5", "MALFORMED_QUERY", "unexpected token: '5'"),
        ("SELECT Id FROM XYZZY", "INVALID_TYPE", "sObject type 'XYZZY' is not supported"),
        (
            "SELECT Id, Foo__c FROM Lead",
            "INVALID_FIELD",
            "ERROR at Row:1:Column:12\nNo such column 'Foo__c' on entity 'Lead'",
        ),
        ("SELECT Id FROM LeadHistory WHERE SystemModstamp > 2026-01-01T00:00:00Z", "INVALID_FIELD", "'SystemModstamp'"),
        ("SELECT Who.Company FROM Task", "INVALID_FIELD", "entity 'Name'"),
        ("SELECT Boss.Name FROM Lead", "INVALID_FIELD", "relationship 'Boss'"),
        ("SELECT Id FROM Lead WHERE CreatedDate > '2026-01-01T00:00:00Z'", "INVALID_FIELD", "should not be enclosed"),
        ("SELECT Id FROM Lead WHERE Status = 5", "INVALID_FIELD", "should be enclosed in quotes"),
        ("SELECT Id FROM Lead WHERE Description = 'x'", "INVALID_FIELD", "can not be filtered"),
        ("SELECT Id FROM Lead WHERE OwnerId = 'Ana'", "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: Ana"),
        ("SELECT Id FROM Lead LIMIT 1 OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "2000"),
    ],
)
def test_bad_queries_are_told_as_salesforce_tells_them(org: Org, query: str, code: str, text: str) -> None:
    with pytest.raises(SalesforceMalformedRequest) as error:
        org.sf.query(query)
    assert error.value.content[0]["errorCode"] == code
    assert text in error.value.content[0]["message"]


def test_simple_salesforce_formats_moments_that_we_read(five: Org) -> None:
    query = format_soql("SELECT COUNT() FROM Lead WHERE CreatedDate >= {}", NOON + timedelta(minutes=3))
    assert five.sf.query(query) == {"totalSize": 2, "done": True, "records": []}


def test_10_pages_are_at_most_2000_and_may_be_smaller(org: Org) -> None:
    org.control.clock_set(NOON)
    org.sf.session_id = org.box.credentials("salesforce")["session_id"]
    ids = org.control.seed(leads=[{"LastName": f"L{n}", "Company": "A"} for n in range(2500)])["leads"]
    first = org.sf.query("SELECT Id FROM Lead")
    assert (len(first["records"]), first["totalSize"], first["done"]) == (2000, 2500, False)
    assert first["nextRecordsUrl"].endswith("-2000")
    rest = org.sf.query_more(first["nextRecordsUrl"], identifier_is_url=True)
    assert (len(rest["records"]), rest["done"]) == (500, True)
    small = org.call("GET", "query?q=SELECT+Id+FROM+Lead", Sforce_Query_Options="batchSize=300").json()
    assert len(small["records"]) == 300
    # all rows have one stamp: paging by (stamp, id) meets each once
    seen: list[str] = []
    last, stamp = "00Q000000000000", f"{NOON:%Y-%m-%dT%H:%M:%SZ}"
    while True:
        where = f"(SystemModstamp = {stamp} AND Id > '{last}') OR SystemModstamp > {stamp}"
        page = org.sf.query(f"SELECT Id FROM Lead WHERE {where} ORDER BY SystemModstamp, Id LIMIT 700")["records"]
        if not page:
            break
        seen += [row["Id"] for row in page]
        last = seen[-1]
    assert seen == ids


def test_10_rows_change_and_vanish_between_pages(org: Org) -> None:
    org.control.act("set_settings", page_size=2)
    ids = org.control.seed(leads=[{"LastName": f"L{n}", "Company": "A"} for n in range(5)])["leads"]
    first = org.sf.query("SELECT Id, LastName FROM Lead ORDER BY Id")
    org.control.act("edit_lead", lead=ids[2], fields={"LastName": "Changed"})
    org.control.act("delete_lead", lead=ids[3])
    second = org.sf.query_more(first["nextRecordsUrl"], identifier_is_url=True)
    assert [row["LastName"] for row in second["records"]] == ["Changed"]
    assert second["totalSize"] == 5
    third = org.sf.query_more(second["nextRecordsUrl"], identifier_is_url=True)
    assert ([row["Id"] for row in third["records"]], third["done"]) == ([ids[4]], True)


@pytest.mark.parametrize("how", ["act", "time"])
def test_10_a_locator_expires(org: Org, how: str) -> None:
    org.control.act("set_settings", page_size=1, session_seconds=10**7)
    org.lead()
    org.lead()
    url = org.sf.query("SELECT Id FROM Lead")["nextRecordsUrl"]
    assert len(org.sf.query_more(url, identifier_is_url=True)["records"]) == 1
    if how == "act":
        org.control.act("expire_locators")
    else:
        org.control.clock_advance(2 * 86_400 + 60)
    with pytest.raises(SalesforceMalformedRequest) as error:
        org.sf.query_more(url, identifier_is_url=True)
    assert error.value.content[0]["errorCode"] == "INVALID_QUERY_LOCATOR"


def test_query_all_shows_deleted_rows_and_archived_tasks(org: Org) -> None:
    gone = org.lead()
    org.control.act("delete_lead", lead=gone)
    old = {"Subject": "Old", "Status": "Completed", "ActivityDate": "2020-01-01"}
    org.control.seed(tasks=[old, {**old, "Status": "Not Started"}])
    assert org.sf.query("SELECT Id FROM Lead")["records"] == []
    found = org.sf.query("SELECT Id, IsDeleted FROM Lead WHERE IsDeleted = true", include_deleted=True)["records"]
    assert [(row["Id"], row["IsDeleted"]) for row in found] == [(gone, True)]
    assert org.sf.query("SELECT COUNT() FROM Task")["totalSize"] == 1
    assert org.sf.query("SELECT COUNT() FROM Task", include_deleted=True)["totalSize"] == 2


def test_index_and_scan_agree(org: Org) -> None:
    """The same question by an indexed field and by a scan gives the same rows, before and after changes."""
    ids = [org.lead(Email=f"{n % 3}@example.com") for n in range(9)]
    org.collect("PATCH", [{"id": ids[0], "Email": "1@example.com"}])
    org.control.act("delete_lead", lead=ids[1])
    by_index = org.sf.query("SELECT Id FROM Lead WHERE Email = '1@EXAMPLE.com'")["records"]
    by_scan = org.sf.query("SELECT Id FROM Lead WHERE Email LIKE '1@example.com'")["records"]
    assert [row["Id"] for row in by_index] == [row["Id"] for row in by_scan] == [ids[0], ids[4], ids[7]]
    everything = org.sf.query("SELECT Id FROM Lead WHERE Email = '1@example.com'", include_deleted=True)["records"]
    assert sorted(row["Id"] for row in everything) == [ids[0], ids[1], ids[4], ids[7]]
