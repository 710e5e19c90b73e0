"""The simulated HubSpot as marketing source: forms, e-mails, pages, lists, and signed webhooks to a real listener."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest
from hubspot.utils.signature import Signature

from syncagent.sandbox import ControlError
from syncagent.sandbox.hubspot.values import millis
from syncagent.sandbox.hubspot.webhooks import sign
from tests.vendor.hubspot_portal import Portal, serve_portal

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def portal() -> Iterator[Portal]:
    with serve_portal() as served:
        served.control.clock_set(NOON)
        yield served


class Receiver:
    """A listener that keeps what it gets; `statuses` are its next answers, then 200."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.delay = 0.0
        keeper = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(keeper.delay)
                keeper.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(keeper.statuses.pop(0) if keeper.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks/hubspot?a=b%2Fc"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def events(self) -> list[dict[str, Any]]:
        return [event for _, body in self.got for event in msgspec.json.decode(body)]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline, "it did not happen within five seconds"
        time.sleep(0.01)


def settled(portal: Portal) -> dict[str, Any]:
    """What was sent, once nothing waits any more."""
    eventually(lambda: portal.control.dump()["webhooks"]["waiting"] == 0)
    time.sleep(0.05)
    return portal.control.dump()["webhooks"]


def test_form_submissions_come_newest_first_in_pages_of_fifty_that_new_ones_do_not_shift(portal: Portal) -> None:
    sent = [
        {"form": "demo-request", "email": f"p{n}@example.com", "at": (NOON - timedelta(hours=n)).isoformat()}
        for n in range(60)
    ]
    [form] = portal.control.seed(forms=[{"name": "demo-request"}], submissions=sent)["forms"]
    path = f"/form-integrations/v1/submissions/forms/{form}"
    first = portal.call("GET", path, limit=50).json()
    portal.control.act("submit_form", form=form, email="new@example.com", values={"firstname": "Newt"})
    second = portal.call("GET", path, limit=50, after=first["paging"]["next"]["after"]).json()
    rows = first["results"] + second["results"]
    stamps = [row["submittedAt"] for row in rows]
    assert stamps == sorted(stamps, reverse=True)
    assert len({row["conversionId"] for row in rows}) == 60
    assert "paging" not in second
    assert portal.call("GET", path, limit=51).status_code == 400
    assert portal.call("GET", "/form-integrations/v1/submissions/forms/none").status_code == 404
    assert [row["name"] for row in portal.call("GET", "/marketing/v3/forms").json()["results"]] == ["demo-request"]
    newest = portal.call("GET", path).json()["results"][0]
    assert {"name": "firstname", "value": "Newt", "objectTypeId": "0-1"} in newest["values"]


def test_a_form_makes_or_changes_the_contact_and_history_says_form(portal: Portal) -> None:
    [contact] = portal.contacts()
    told = portal.control.act("submit_form", form="demo", email="Person0@Example.com", values={"jobtitle": "CTO"})
    assert told["id"] == contact
    assert portal.values("contacts", contact)["num_conversion_events"] == "1"
    read = portal.hs.crm.contacts.basic_api.get_by_id(contact, properties_with_history=["jobtitle"])
    assert read.properties_with_history["jobtitle"][0].source_type == "FORM"
    fresh = portal.control.act("submit_form", form="demo", email="other@example.com")["id"]
    assert portal.values("contacts", fresh)["recent_conversion_event_name"] == "demo"


def test_email_events_are_one_only_by_id_and_created(portal: Portal) -> None:
    for hours in (3, 1):
        portal.control.act(
            "email_event", type="CLICK", email="p@example.com", id="e1", at=(NOON - timedelta(hours=hours)).isoformat()
        )
    portal.control.act("email_event", type="OPEN", email="p@example.com", campaign="Spring")
    path = "/email/public/v1/events"
    events = portal.call("GET", path).json()["events"]
    assert [(event["id"], event["type"]) for event in events[1:]] == [("e1", "CLICK"), ("e1", "CLICK")]
    assert len({(event["id"], event["created"]) for event in events}) == 3
    since = millis(NOON - timedelta(hours=2))
    assert len(portal.call("GET", path, startTimestamp=since).json()["events"]) == 2
    page = portal.call("GET", path, limit=2).json()
    assert (page["hasMore"], len(page["events"])) == (True, 2)
    rest = portal.call("GET", path, limit=2, offset=page["offset"]).json()
    assert (rest["hasMore"], len(rest["events"])) == (False, 1)
    campaign = events[0]["emailCampaignId"]
    assert portal.call("GET", f"/email/public/v1/campaigns/{campaign}").json()["name"] == "Spring"


def test_page_events_follow_a_merge_and_are_refused_where_the_portal_has_none(portal: Portal) -> None:
    one, two, three = portal.contacts(3)
    portal.control.act("page_view", contact=one, url="https://www.example.com/pricing")
    portal.control.act("page_view", contact=three, type="pe62515_demo", at=(NOON - timedelta(days=1)).isoformat())
    portal.control.act("page_view", contact=two, at=(NOON - timedelta(hours=1)).isoformat())
    survivor = portal.control.act("merge_contacts", primary=one, loser=two)["id"]
    path = "/events/v3/events"
    rows = portal.call("GET", path, objectType="contact", objectId=two).json()["results"]
    assert [row["objectId"] for row in rows] == [survivor, survivor]
    assert rows[0]["properties"]["hs_url"] == "https://www.example.com/pricing"
    found = portal.call("GET", path, eventType="e_visited_page", occurredBefore="2026-03-02T11:30:00Z", limit=1).json()
    assert len(found["results"]) == 1 and "paging" not in found
    by_email = portal.call("GET", path, **{"objectType": "contact", "objectProperty.email": "person0@example.com"})
    assert len(by_email.json()["results"]) == 2
    pricing = portal.call("GET", path, **{"property.hs_url": "https://www.example.com/pricing"}).json()["results"]
    assert [row["id"] for row in pricing] == [rows[0]["id"]]
    upwards = portal.call("GET", path, sort="ASCENDING").json()["results"]
    assert [row["objectId"] for row in upwards] == [three, survivor, survivor]
    assert [row["id"] for row in upwards[1:]] == [rows[1]["id"], rows[0]["id"]]
    assert portal.call("GET", path + "/event-types").json() == {"eventTypes": ["e_visited_page", "pe62515_demo"]}
    portal.control.act("set_settings", page_events=False)
    refused = portal.call("GET", path)
    assert (refused.status_code, refused.json()["category"]) == (403, "MISSING_SCOPES")


def test_lists_for_nurture(portal: Portal) -> None:
    one, two = portal.contacts(2)
    made = portal.hs.crm.lists.lists_api.create(
        {"name": "Nurture", "objectTypeId": "0-1", "processingType": "MANUAL"}
    ).list.list_id
    added = portal.call("PUT", f"/crm/v3/lists/{made}/memberships/add", [int(one), two, "999999"]).json()
    assert added == {"recordsIdsAdded": [one, two], "recordIdsRemoved": [], "recordIdsMissing": ["999999"]}
    portal.call("PUT", f"/crm/lists/2026-03/{made}/memberships/remove", [one])
    rows = portal.hs.crm.lists.memberships_api.get_page(made).results
    assert [row.record_id for row in rows] == [two]
    assert portal.call("GET", f"/crm/v3/lists/records/0-1/{two}/memberships").json()["results"][0]["listId"] == made
    [dynamic] = portal.control.seed(lists=[{"name": "Active", "processingType": "DYNAMIC"}])["lists"]
    assert portal.call("PUT", f"/crm/v3/lists/{dynamic}/memberships/add", [one]).status_code == 400


def test_published_signature_vectors() -> None:
    secret, body = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy", b"{'example_field':'example_value'}"
    uri, stamp = "https://www.example.com/webhook_uri", "15000000"
    v1 = sign(secret, body, uri, "POST", stamp, ["v1", "v3"])
    assert v1["X-HubSpot-Signature"] == "69fc6631a867edd4f9e9e627fc5c1148e3fbdd8b21837b6d2b8901c1fa57f750"
    assert v1["X-HubSpot-Signature-v3"] == "HPW73RUtKmcYoEDADG0s6MmGFWUzWJKAW07r8RDgcQw="
    v2 = sign(secret, body, uri, "POST", stamp, ["v2"])
    assert v2["X-HubSpot-Signature"] == "4fe4e3a7d3cf09db53be39d0a58130e2aaba074ec123a9e355b876a689a1c383"
    assert v2["X-HubSpot-Signature-Version"] == "v2"
    encoded = sign(secret, body, "https://www.example.com/a?b=c%2Fd%20e", "POST", stamp, ["v3"])
    assert encoded == sign(secret, body, "https://www.example.com/a?b=c/d%20e", "POST", stamp, ["v3"])


def test_webhooks_are_signed_in_batches_and_say_who_did_it(portal: Portal, receiver: Receiver) -> None:
    ids = portal.contacts(130)
    portal.control.act("set_webhooks", url=receiver.url, signed_uri="https://sync.example.com/hooks/hubspot?a=b%2Fc")
    portal.control.act("workflow_edit", object="contacts", ids=ids, values={"hs_lead_status": "OPEN"})
    settled(portal)
    sizes = sorted(len(msgspec.json.decode(body)) for _, body in receiver.got)
    assert sizes == [30, 100]
    for headers, body in receiver.got:
        assert headers["x-hubspot-signature-version"] == "v1"
        assert Signature.is_valid(
            headers["x-hubspot-signature"], portal.known["client_secret"], body.decode(), signature_version="v1"
        )
        expected = sign(
            portal.known["client_secret"],
            body,
            "https://sync.example.com/hooks/hubspot?a=b/c",
            "POST",
            str(millis(NOON)),
            ["v3"],
        )
        assert headers["x-hubspot-signature-v3"] == expected["X-HubSpot-Signature-v3"]
        assert headers["x-hubspot-request-timestamp"] == str(millis(NOON))
    events = receiver.events()
    assert {event["objectId"] for event in events} == {int(ident) for ident in ids}
    assert [event["objectId"] for event in events] != sorted(event["objectId"] for event in events)
    assert len({event["eventId"] for event in events}) < 130
    one = events[0]
    assert (one["subscriptionType"], one["propertyName"], one["propertyValue"], one["changeSource"]) == (
        "contact.propertyChange",
        "hs_lead_status",
        "OPEN",
        "AUTOMATION_PLATFORM",
    )
    assert (one["attemptNumber"], one["occurredAt"], one["portalId"]) == (0, millis(NOON), 62515)


def test_a_failed_webhook_comes_again_with_its_attempt_and_at_last_is_given_up(
    portal: Portal, receiver: Receiver
) -> None:
    [contact] = portal.contacts()
    receiver.statuses = [500, 429, 503]
    portal.control.act("set_webhooks", url=receiver.url, retry_after=[60, 180], twice=0.0)
    portal.control.act("set_status", contact=contact, status="OPEN")
    eventually(lambda: len(receiver.got) == 1)
    time.sleep(0.1)
    assert len(receiver.got) == 1
    for seconds, count in ((60, 2), (180, 3)):
        portal.control.clock_advance(seconds)
        eventually(lambda count=count: len(receiver.got) == count)
    view = settled(portal)
    assert [event["attemptNumber"] for event in receiver.events()] == [0, 1, 2]
    assert [one["status"] for one in view["sent"]] == [500, 429, 503]
    assert view["given_up"] == 1


def test_a_receiver_that_is_slow_or_gone_has_failed(portal: Portal, receiver: Receiver) -> None:
    [contact] = portal.contacts()
    receiver.delay = 1.0
    portal.control.act("set_webhooks", url=receiver.url, timeout=0.1, retry_after=[60])
    portal.control.act("set_status", contact=contact, status="OPEN")
    eventually(lambda: portal.control.dump()["webhooks"]["sent"] != [])
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{unused.getsockname()[1]}/"
    portal.control.act("set_webhooks", url=gone)
    portal.control.clock_advance(60)
    view = settled(portal)
    assert [(one["status"], one["attempts"]) for one in view["sent"]] == [(0, [0]), (0, [1])]
    assert view["given_up"] == 1


def test_merge_privacy_creation_association_and_generic_subscriptions(portal: Portal, receiver: Receiver) -> None:
    one, two, three = portal.contacts(3)
    wanted = ["contact.merge", "contact.privacyDeletion", "contact.deletion", "contact.associationChange"]
    generic = ["object.creation:0-27", "object.propertyChange:0-27:hs_task_status"]
    portal.control.act("set_webhooks", url=receiver.url, subscriptions=[*wanted, *generic], twice=1.0)
    survivor = portal.control.act("merge_contacts", primary=one, loser=two)["id"]
    portal.control.act("forget_contact", contact=three)
    task = portal.control.act("loose_task")["id"]
    settled(portal)
    events = receiver.events()
    kinds = [event["subscriptionType"] for event in events]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "contact.merge": 2,
        "contact.privacyDeletion": 2,
        "contact.deletion": 2,
        "object.creation": 2,
        "object.propertyChange": 2,
    }
    merge = next(event for event in events if event["subscriptionType"] == "contact.merge")
    assert (merge["primaryObjectId"], merge["mergedObjectIds"]) == (int(one), [int(two)])
    assert merge["newObjectId"] == int(survivor)
    made = next(event for event in events if event["subscriptionType"] == "object.creation")
    assert (made["objectId"], made["objectTypeId"], made["changeFlag"]) == (int(task), "0-27", "NEW")
    portal.call("PUT", f"/crm/v4/objects/contacts/{survivor}/associations/default/tasks/{task}")
    settled(portal)
    assert any(
        (event.get("fromObjectId"), event.get("toObjectId")) == (int(survivor), int(task))
        for event in receiver.events()
    )


def test_a_wrong_wish_is_told(portal: Portal) -> None:
    with pytest.raises(ControlError, match="Webhooks have no address"):
        portal.control.act("set_webhooks", address="x")
    with pytest.raises(ControlError, match="no e-mail event 'SMILE'"):
        portal.control.act("email_event", type="SMILE", email="p@example.com")
