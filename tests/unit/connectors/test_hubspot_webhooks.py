"""What HubSpot posts: signed by it or refused; hints, merges and deletions; one broken notification harms no other."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncagent.connectors import hubspot_webhooks as hooks
from syncagent.connectors.base import Delivery
from syncagent.errors import ForgedDeliveryError, UnreadableDeliveryError
from syncagent.model import Deleted, Hint, Identity, Merged

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SECRET = "app-secret"
OBJECTS = {"contact": "contact", "deal": "deal"}
AT = NOW - timedelta(seconds=3)
STAMP = int(AT.timestamp() * 1000)


def event(subscription: str, **rest) -> dict:
    return {
        "eventId": 1,
        "subscriptionId": 12345,
        "portalId": 62515,
        "appId": 54321,
        "occurredAt": STAMP,
        "subscriptionType": subscription,
        "attemptNumber": 0,
        **rest,
    }


def told(*events, **rest):
    return hooks.read(json.dumps(events).encode(), "hubspot", OBJECTS, NOW, **rest)


def who(number: int, kind: str = "contact") -> Identity:
    return Identity("hubspot", kind, str(number))


def signed(body: bytes, uri: str, *, url: str = "/hooks/hubspot?a=1", host: str = "inner:8474") -> Delivery:
    stamp = str(int(NOW.timestamp() * 1000))
    text = f"POST{uri}".encode() + body + stamp.encode()
    signature = base64.b64encode(hmac.digest(SECRET.encode(), text, "sha256")).decode()
    headers = {"host": host, "x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": stamp}
    return Delivery("POST", url, headers, body)


class TestVerify:
    @pytest.mark.parametrize("public", ["https://hooks.example.com", "https://hooks.example.com/hooks/hubspot"])
    def test_behind_a_proxy_the_public_address_counts(self, public):
        delivery = signed(b"[]", "https://hooks.example.com/hooks/hubspot?a=1")
        hooks.verify(delivery, (SECRET,), NOW, public_url=public)
        with pytest.raises(ForgedDeliveryError):
            hooks.verify(delivery, (SECRET,), NOW)

    def test_without_one_the_host_that_was_called_counts(self):
        delivery = signed(b"[]", "https://crm.example.com/hooks/hubspot?a=1", host="crm.example.com")
        hooks.verify(delivery, (SECRET,), NOW)

    def test_a_forged_one_is_forged_also_when_it_cannot_be_read(self):
        delivery = signed(b"{", "https://x.example.com")
        with pytest.raises(ForgedDeliveryError):
            hooks.verify(delivery, (SECRET,), NOW, public_url="https://y.example.com")

    @pytest.mark.parametrize("body", [b"", b"{", b"[1", b"null", b"7", b"{}", b'"text"', b"\xff"])
    def test_a_signed_one_that_is_no_batch_is_unreadable(self, body):
        uri = "https://x.example.com/hooks/hubspot?a=1"
        with pytest.raises(UnreadableDeliveryError):
            hooks.verify(signed(body, uri), (SECRET,), NOW, public_url="https://x.example.com")


class TestRead:
    def test_what_is_new_or_changed_is_to_be_looked_up_once(self):
        found = told(
            event("contact.creation", objectId=7),
            event("contact.propertyChange", objectId=7, propertyName="email", propertyValue="a@example.com"),
            event("contact.restore", objectId=8),
            event("contact.associationChange", fromObjectId=9, toObjectId=1),
            event("object.propertyChange", objectId=10, objectTypeId="0-3"),
        )
        assert found.facts == (*(Hint(who(n)) for n in (7, 8, 9)), Hint(who(10, "deal")))
        assert not found.refused

    def test_a_deletion_is_a_fact_at_its_own_time(self):
        found = told(event("contact.deletion", objectId=7), event("contact.privacyDeletion", objectId=8))
        assert found.facts == (Deleted(who(7), AT), Deleted(who(8), AT, privacy=True))

    def test_a_merge_may_make_a_new_record(self):
        merge = event("contact.merge", objectId=1, primaryObjectId=1, mergedObjectIds=[2, 3], newObjectId=4)
        assert told(merge).facts == (Merged(who(4), (who(1), who(2), who(3)), AT), Hint(who(4)))

    def test_a_merge_may_keep_the_primary(self):
        merge = event("contact.merge", objectId=1, primaryObjectId=1, mergedObjectIds=[2], newObjectId=1)
        assert told(merge).facts == (Merged(who(1), (who(2),), AT), Hint(who(1)))

    def test_objects_that_nobody_asked_for_pass(self):
        assert told(event("company.creation", objectId=7), event("object.creation", objectTypeId="2-9")).facts == ()

    def test_our_own_echo_passes(self):
        ours = event("contact.propertyChange", objectId=7, changeSource="INTEGRATION", sourceId="54321")
        human = event("contact.propertyChange", objectId=8, changeSource="CRM_UI", sourceId="userId:1")
        assert told(ours, human, own_source="54321").facts == (Hint(who(8)),)
        assert len(told(ours, human, own_source="99").facts) == 2
        assert told(ours, human).facts == (Hint(who(8)),), "the app that it was made for"

    def test_a_broken_notification_harms_no_other(self):
        found = told(event("contact.creation", objectId="x"), {}, event("contact.creation"), event("contact.merge"))
        assert len(found.refused) == 4
        found = told(event("contact.creation", objectId=None), 5, event("contact.creation", objectId=7))
        assert found.facts == (Hint(who(7)),)
        assert len(found.refused) == 2

    def test_a_workflow_tells_of_one_contact(self):
        body = json.dumps({"vid": 7, "properties": {"email": {"value": "a@example.com"}}}).encode()
        assert hooks.read(body, "hubspot", OBJECTS, NOW).facts == (Hint(who(7)),)

    def test_an_ending_that_nobody_knows_the_moment_of_is_looked_up(self):
        far = int((NOW + timedelta(days=2)).timestamp() * 1000)
        for nobody_knows in (0, far):
            gone = event("contact.deletion", objectId=7, occurredAt=nobody_knows)
            merged = event("contact.merge", objectId=1, mergedObjectIds=[2], newObjectId=4, occurredAt=nobody_knows)
            assert told(gone).facts == (Hint(who(7)),)
            assert told(merged).facts == (Hint(who(4)), Hint(who(2)))
            private = event("contact.privacyDeletion", objectId=7, occurredAt=nobody_knows)
            assert told(private).facts == (Deleted(who(7), NOW, privacy=True),)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    *("subscriptionType", "eventType", "objectTypeId", "objectId", "occurredAt", "sourceId"),
    *("primaryObjectId", "mergedObjectIds", "newObjectId", "fromObjectId", "vid"),
)
VERBS = ("creation", "merge", "deletion", "propertyChange", "associationChange", "")
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(FIELDS, JSON),
        "subscriptionType": st.builds("{}.{}".format, st.sampled_from(("contact", "object")), st.sampled_from(VERBS)),
        "objectId": st.integers(),
        "occurredAt": st.integers(),
    },
)


@given(st.lists(EVENTS | JSON, max_size=4).map(json.dumps).map(str.encode) | JSON.map(json.dumps).map(str.encode))
def test_any_json_is_read_or_refused(body):
    try:
        found = hooks.read(body, "hubspot", OBJECTS, NOW)
    except UnreadableDeliveryError:
        return
    assert {type(fact) for fact in found.facts} <= {Hint, Deleted, Merged}


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(body):
    try:
        hooks.read(body, "hubspot", OBJECTS, NOW)
    except UnreadableDeliveryError:
        return
