"""marketorestpython, unmodified, works against the simulated Marketo: an independent reading of the same documents."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from syncagent.sandbox import Control, Sandbox

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:marketorestpython.*")

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SINCE = "2026-03-01T00:00:00Z"


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(["marketo"]) as running:
        running.clock.set(NOON)
        yield running


@pytest.fixture(scope="module")
def control(box: Sandbox) -> Iterator[Control]:
    with Control(box.url("marketo")) as made:
        yield made


@pytest.fixture(scope="module")
def client(box: Sandbox):
    from marketorestpython.client import MarketoClient

    keys = box.credentials("marketo")
    made = MarketoClient(keys["munchkin_id"], keys["client_id"], keys["client_secret"], max_retry_time=1)
    made.host = box.url("marketo")  # it can only make https addresses of mktorest.com by itself
    return made


def test_it_signs_in_and_reads_types_and_fields(client) -> None:
    types = client.execute(method="get_activity_types")
    assert {"Visit Webpage", "Fill Out Form", "Merge Leads"} <= {kind["name"] for kind in types}
    assert client.token_type == "bearer"
    fields = client.execute(method="describe")
    assert "email" in {field["rest"]["name"] for field in fields}


def test_it_says_why_a_bad_secret_is_refused(client, box: Sandbox) -> None:
    from marketorestpython.client import MarketoClient

    stranger = MarketoClient("123-ABC-456", client.client_id, "guessed", max_retry_time=1)
    stranger.host = box.url("marketo")
    with pytest.raises(Exception, match="Bad client credentials"):
        stranger.execute(method="get_activity_types")


def test_it_pages_through_activities(client, control: Control) -> None:
    control.act("generate", leads=20, activities=700, types=["Visit Webpage"], start="2026-03-02T09:00:00Z", every=1)
    found = client.execute(method="get_lead_activities", activityTypeIds=["1"], sinceDatetime=SINCE)
    assert (len(found), len({row["marketoGUID"] for row in found})) == (700, 700)
    control.plant(empty_page=True, match={"path": r"activities\.json"})
    pages = list(client.get_lead_activities_yield(activityTypeIds=["1"], sinceDatetime=SINCE, batchSize=200))
    assert sum(len(page) for page in pages) == 700


def test_it_creates_finds_changes_and_merges_leads(client) -> None:
    created = client.execute(
        method="create_update_leads",
        leads=[{"email": "ada@example.com", "firstName": "Ada"}, {"email": "ada@example.org"}, {"email": "nonsense"}],
        action="createOrUpdate",
    )
    assert [row["status"] for row in created] == ["created", "created", "skipped"]
    ada, other = created[0]["id"], created[1]["id"]
    client.execute(method="create_update_leads", leads=[{"email": "ada@example.com", "title": "CTO"}])
    by_email = {"filterType": "email", "filterValues": ["ada@example.com"], "fields": ["title", "email"]}
    found = client.execute(method="get_multiple_leads_by_filter_type", **by_email)
    assert found == [{"id": ada, "title": "CTO", "email": "ada@example.com"}]
    assert client.execute(method="get_lead_by_id", id=ada)[0]["firstName"] == "Ada"
    changes = client.execute(method="get_lead_changes", fields=["title"], sinceDatetime=SINCE)
    told = [(row["leadId"], row["fields"][0]["newValue"]) for row in changes if row["activityTypeId"] == 13]
    assert told == [(ada, "CTO")]
    assert client.execute(method="merge_lead", id=ada, leadIds=[other]) is True
    gone = {"filterType": "id", "filterValues": [str(other)]}
    assert client.execute(method="get_multiple_leads_by_filter_type", **gone) == []


def test_it_deletes_leads_and_hears_of_it(client, control: Control) -> None:
    number = control.act("new_lead", email="gone@example.com")["leadId"]
    assert client.execute(method="delete_lead", id=[number]) == [{"id": number, "status": "deleted"}]
    deleted = client.execute(method="get_deleted_leads", sinceDatetime=SINCE)
    assert [row["leadId"] for row in deleted] == [number]


def test_it_gives_leads_back_by_list_and_by_campaign(client, control: Control) -> None:
    number = control.act("new_lead", email="back@example.com")["leadId"]
    made = control.seed(lists=[{"name": "Nurture"}], campaigns=[{"name": "Recycle"}])
    (target,), (campaign,) = made["lists"], made["campaigns"]
    assert client.execute(method="get_multiple_lists", name=["Nurture"])[0]["id"] == target
    added = client.execute(method="add_leads_to_list", listId=target, id=[number])
    assert added == [{"id": number, "status": "added"}]
    assert client.execute(method="member_of_list", listId=target, id=[number])[0]["status"] == "memberof"
    members = client.execute(method="get_multiple_leads_by_list_id", listId=target, fields="email")
    assert [lead["email"] for lead in members] == ["back@example.com"]
    removed = client.execute(method="remove_leads_from_list", listId=target, id=[number])
    assert removed[0]["status"] == "removed"
    assert client.execute(method="get_multiple_campaigns", id=[campaign])[0]["active"] is True
    assert client.execute(method="request_campaign", id=campaign, leads=[number], tokens={"my.why": "budget"}) is True
    assert control.dump()["requests"][0]["tokens"] == [{"name": "{{my.why}}", "value": "budget"}]


def test_it_signs_in_again_after_an_expired_token_and_reads_usage(client, control: Control) -> None:
    control.act("expire_access_token")
    client.valid_until = None
    assert client.execute(method="get_daily_usage")[0]["total"] > 5
    with pytest.raises(Exception, match="1013"):
        client.execute(method="get_campaign_by_id", id=4711)
    assert {"errorCode": "1013", "count": 1} in client.execute(method="get_daily_errors")[0]["errors"]


def test_it_exports_in_bulk(client, box: Sandbox) -> None:
    filters = {"createdAt": {"startAt": SINCE, "endAt": "2026-03-02T12:00:00Z"}, "activityTypeIds": [1]}
    job = client.execute(method="create_activities_export_job", filters=filters)[0]["exportId"]
    client.execute(method="enqueue_activities_export_job", job_id=job)
    box.clock.advance(60)
    status = client.execute(method="get_activities_export_job_status", job_id=job)[0]
    assert (status["status"], status["numberOfRecords"]) == ("Completed", 700)
    file = client.execute(method="get_activities_export_job_file", job_id=job)
    assert len(file.splitlines()) == 701
