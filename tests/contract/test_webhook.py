"""Every dialect keeps the promises of a webhook; and what is its own."""

import base64
import hmac
import json
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta

import pytest

from syncagent.config import Secret
from syncagent.connectors import signatures, webhook
from syncagent.connectors.base import Delivery
from syncagent.connectors.mapping import Field, Table
from syncagent.errors import ForgedDeliveryError, UnreadableDeliveryError
from syncagent.model import Activity, Deleted, Identity, Lead
from tests.contract.webhook import NOW, OTHER, SECRET, WebhookContract

AT = "2026-03-02T08:59:57+00:00"
MOMENT = datetime(2026, 3, 2, 8, 59, 57, tzinfo=UTC)
MAPPING = Table(
    each="data.items",
    id="id",
    email="email",
    kind="event",
    at="at",
    key="key",
    asset="form",
    attributes={"title": Field(path="title", lower=True), "country": "address.country"},
)
GOOD = {
    "data": {
        "items": [
            {
                "id": number,
                "email": f"p{number}@example.com",
                "event": "form.submitted",
                "at": AT,
                "key": f"k{number}",
                "form": "demo",
                "title": "CTO",
                "address": {"country": "Germany"},
            }
            for number in (1, 2, 3)
        ]
    }
}


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    monkeypatch.setenv("TEST_HOOK_SECRET", SECRET)
    monkeypatch.setenv("TEST_HOOK_OTHER", OTHER)


class World(ABC):
    name = "acme"
    signs_body = True
    records = 3
    good: object = GOOD
    dialect = ""
    options: dict = {"mapping": MAPPING}

    def __init__(self):
        places = (Secret(env="TEST_HOOK_SECRET"), Secret(env="TEST_HOOK_OTHER"))
        self.hook = webhook.open(
            self.name, webhook.Options(dialect=self.dialect, secret=places[0], secrets=places[1:], **self.options)
        )

    @abstractmethod
    def headers(self, body: bytes, secret: str) -> dict[str, str]:
        """What this dialect's sender puts beside the body."""

    def sign(self, body: bytes, secret: str = SECRET, **changes) -> Delivery:
        headers = {**self.headers(body, secret), **changes}
        return Delivery("POST", f"/hooks/{self.name}", {k: v for k, v in headers.items() if v is not None}, body)

    def spoil(self, body):
        body["data"]["items"][1] = {"id": 2, "event": "form.submitted", "at": "yesterday"}
        return body

    def take(self, body, **changes):
        delivery = self.sign(body if isinstance(body, bytes) else json.dumps(body).encode(), **changes)
        reply = self.hook.verify(delivery, NOW)
        return self.hook.read(Delivery("POST", delivery.url, reply.keep, delivery.body), NOW)


class JsonWorld(World):
    dialect, signs_body, signing = "json", False, ("authorization",)

    def headers(self, body, secret):
        return {"authorization": f"Bearer {secret}", "content-type": "application/json"}


class GithubWorld(World):
    dialect, signing = "github", ("x-hub-signature-256",)

    def headers(self, body, secret):
        signature = hmac.new(secret.encode(), body, "sha256").hexdigest()
        return {
            "x-hub-signature-256": f"sha256={signature}",
            "x-github-event": "lead",
            "x-github-delivery": "72d3162e-cc78-11e3",
        }


class StandardWorld(World):
    dialect, prefix = "standard", "webhook"

    @property
    def signing(self):
        return (f"{self.prefix}-signature", f"{self.prefix}-timestamp", f"{self.prefix}-id")

    def headers(self, body, secret):
        stamp = str(int(NOW.timestamp()))
        try:
            key = signatures.standard_key(secret)
        except ValueError:
            key = b"no key"
        signature = base64.b64encode(hmac.digest(key, f"msg_1.{stamp}.".encode() + body, "sha256")).decode()
        told = {"id": "msg_1", "timestamp": stamp, "signature": f"v1,{signature}"}
        return {f"{self.prefix}-{name}": value for name, value in told.items()}


class SvixWorld(StandardWorld):
    prefix = "svix"


class SegmentWorld(World):
    dialect, options, signing = "segment", {}, ("x-segment-signature",)
    good = [
        {
            "type": "identify",
            "messageId": "m-1",
            "userId": "u1",
            "anonymousId": "a1",
            "timestamp": AT,
            "traits": {"email": "ana@example.com", "firstName": "Ana", "company": {"name": "Acme"}, "plan": "pro"},
        },
        {
            "type": "track",
            "messageId": "m-2",
            "userId": "u1",
            "event": "Demo Requested",
            "timestamp": AT,
            "properties": {"form": "demo-request", "size": 12},
        },
        {"type": "page", "messageId": "m-3", "anonymousId": "a2", "timestamp": AT, "properties": {"path": "/pricing"}},
    ]

    def headers(self, body, secret):
        return {"x-segment-signature": hmac.new(secret.encode(), body, "sha1").hexdigest()}

    def spoil(self, body):
        del body[1]["timestamp"]
        return body


class OldSegmentWorld(SegmentWorld):
    signing, records = ("x-signature",), 0
    good = SegmentWorld.good[1]

    def headers(self, body, secret):
        return {"x-signature": hmac.new(secret.encode(), body, "sha1").hexdigest()}


CONTACT = {
    "id": 47,
    "points": 10,
    "dateModified": "2026-03-02T08:00:00+00:00",
    "fields": {
        "core": {
            "firstname": {"id": "2", "alias": "firstname", "value": "Ana"},
            "email": {"id": "6", "alias": "email", "value": "ana@example.com"},
            "position": {"id": "5", "alias": "position", "value": "CTO"},
            "country": {"id": "9", "alias": "country", "value": None},
        },
        "social": [],
        "all": {"firstname": "Ana"},
    },
}


class MauticWorld(World):
    dialect, options, signing = "mautic", {}, ("webhook-signature",)
    good = {
        "mautic.form_on_submit": [
            {
                "submission": {
                    "id": 7,
                    "form": {"id": 3, "name": "Demo", "alias": "demo-request"},
                    "lead": CONTACT,
                    "results": {"email": "ana@example.com"},
                    "dateSubmitted": AT,
                },
                "timestamp": "2026-03-02T08:59:59+00:00",
            }
        ],
        "mautic.page_on_hit": [
            {
                "hit": {"id": n, "dateHit": AT, "url": "https://www.example.com/pricing", "lead": CONTACT},
                "timestamp": AT,
            }
            for n in (11, 12)
        ],
        "mautic.lead_post_delete": [{"id": 48, "contact": {"id": None}, "timestamp": AT}],
    }

    def headers(self, body, secret):
        signature = base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()
        return {"webhook-signature": signature, "x-origin-base-url": "https://mautic.example.com"}

    def spoil(self, body):
        body["mautic.page_on_hit"][0] = {"hit": {"dateHit": "never", "lead": CONTACT}, "timestamp": "x"}
        return body


EVENT = {
    "specversion": "1.0",
    "type": "com.example.form",
    "source": "/forms",
    "time": AT,
    "datacontenttype": "application/json",
}


class CloudEventsWorld(World):
    dialect, signs_body, signing = "cloudevents", False, ("authorization",)
    options = {
        "mapping": Table(
            email="data.email", kinds={"com.example.form": "form.submitted"}, kind="type", asset="subject"
        ),
        "origins": ("eventgrid.example.com",),
    }
    kind = "application/cloudevents+json"
    good: object = {**EVENT, "id": "1", "subject": "demo", "data": {"email": "ana@example.com"}}
    records = 0

    def headers(self, body, secret):
        return {"authorization": f"Bearer {secret}", "content-type": self.kind}


class CloudBatchWorld(CloudEventsWorld):
    kind, records = "application/cloudevents-batch+json", 3
    good = [{**EVENT, "id": str(n), "subject": "demo", "data": {"email": f"p{n}@example.com"}} for n in (1, 2, 3)]

    def spoil(self, body):
        body[1]["data"] = {"email": "nobody"}
        return body


class CloudBinaryWorld(CloudEventsWorld):
    good = {"email": "ana@example.com"}

    def headers(self, body, secret):
        told = {f"ce-{name}": value for name, value in EVENT.items()}
        return {"authorization": f"Bearer {secret}", "content-type": "application/json", **told, "ce-id": "1"}


WORLDS = (
    *(JsonWorld, GithubWorld, StandardWorld, SvixWorld, SegmentWorld, OldSegmentWorld, MauticWorld),
    *(CloudEventsWorld, CloudBatchWorld, CloudBinaryWorld),
)


class TestEveryDialect(WebhookContract):
    @pytest.fixture(params=WORLDS, ids=lambda world: world.__name__.removesuffix("World"))
    def world(self, request):
        return request.param()


class TestMapped:
    @pytest.mark.parametrize("world", [JsonWorld, GithubWorld, StandardWorld])
    def test_a_record_is_a_person_and_what_they_did(self, world):
        lead, done, *_ = world().take(GOOD).facts
        who = Identity("acme", "lead", "1")
        assert lead == Lead(who, MOMENT, {"title": "cto", "country": "Germany"}, ("p1@example.com",))
        assert done == Activity(who, "k1", MOMENT, "form.submitted", "demo")

    def test_github_tells_the_event_in_a_header_and_pings(self):
        class Bare(GithubWorld):
            options = {"mapping": Table(email="email")}

        world = Bare()
        _, done = world.take({"email": "a@example.com"}).facts
        assert (done.kind, done.key) == ("lead", "72d3162e-cc78-11e3.1")
        ping = world.sign(b'{"zen":"x"}', **{"x-github-event": "ping"})
        assert world.hook.verify(ping, NOW).keep is None

    def test_a_standard_webhook_is_named_by_its_id_and_has_type_and_timestamp(self):
        class Bare(StandardWorld):
            options = {"mapping": Table(email="data.email", kinds={"lead.created": "form.submitted"}, kind="type")}

        done = Bare().take({"type": "lead.created", "timestamp": AT, "data": {"email": "a@example.com"}}).facts[1]
        assert (done.kind, done.key, done.at) == ("form.submitted", "msg_1.1", MOMENT)
        assert Bare().take({"type": "other", "data": {}}).facts == ()

    def test_a_form_needs_no_json(self):
        class Form(JsonWorld):
            options = {"mapping": Table(email="Email Address", kind=Field(constant="form.submitted"), asset="form")}

        kind = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}
        found = Form().take(b"Email+Address=a%40example.com&form=demo&x=", **kind)
        assert [type(fact) for fact in found.facts] == [Lead, Activity]
        assert found.facts[0].emails == ("a@example.com",)
        assert found.undated
        with pytest.raises(UnreadableDeliveryError):
            Form().take(b"Email=%ff", **kind)

    def test_the_secret_may_stand_in_a_header_of_its_own(self):
        class Keyed(JsonWorld):
            options = {"mapping": MAPPING, "header": "X-Api-Key"}

            def headers(self, body, secret):
                return {"x-api-key": secret}

        assert Keyed().take(GOOD).facts
        with pytest.raises(ForgedDeliveryError):
            Keyed().hook.verify(JsonWorld().sign(b"{}"), NOW)


class TestSegment:
    def test_the_published_vector(self, monkeypatch):
        monkeypatch.setenv("TEST_HOOK_SECRET", "teehee")
        body = (
            b'{"type":"track","event":"Clicked","userId":"019mr8mf4r","messageId":"m-1",'
            b'"timestamp":"2026-01-01T00:00:00.000Z"}'
        )
        header = {"x-signature": "06ff7adee5d2dd512bd4df1ff60d0af3222cdf4a"}
        world = OldSegmentWorld()
        world.hook.verify(Delivery("POST", "/hooks/acme", header, body), NOW)
        world.hook.verify(Delivery("POST", "/hooks/acme", header, b"[" + body + b"]"), NOW)
        with pytest.raises(ForgedDeliveryError):
            world.hook.verify(Delivery("POST", "/hooks/acme", header, b"[" + body + b"," + body + b"]"), NOW)
        with pytest.raises(ForgedDeliveryError):
            world.hook.verify(Delivery("POST", "/hooks/acme", header, body + b" "), NOW)

    def test_a_batch_that_the_old_signature_does_not_cover_is_refused(self):
        world = OldSegmentWorld()
        first, second = ({**OldSegmentWorld.good, "messageId": name} for name in ("a", "b"))
        covered = json.dumps(first, separators=(",", ":")).encode()
        header = world.headers(covered, SECRET)
        both = json.dumps([first, second], separators=(",", ":")).encode()
        with pytest.raises(ForgedDeliveryError, match="X-Segment-Signature"):
            world.hook.verify(Delivery("POST", "/hooks/acme", header, both), NOW)
        newer = {"x-segment-signature": header["x-signature"]}
        with pytest.raises(ForgedDeliveryError):
            world.hook.verify(Delivery("POST", "/hooks/acme", {**header, **newer}, both), NOW)

    def test_calls_become_people_and_what_they_did(self):
        lead, done, visit = SegmentWorld().take(SegmentWorld.good).facts
        user, anonymous = Identity("acme", "lead", "user:u1"), Identity("acme", "lead", "anonymous:a1")
        traits = {"email": "ana@example.com", "first_name": "Ana", "company": "Acme", "plan": "pro"}
        assert lead == Lead(user, MOMENT, traits, ("ana@example.com",), (anonymous,))
        assert done == Activity(
            user, "m-2", MOMENT, "track.demo_requested", "demo-request", {"form": "demo-request", "size": 12}
        )
        assert (visit.kind, visit.asset, visit.identity.id) == ("page.visited", "/pricing", "anonymous:a2")

    @pytest.mark.parametrize(
        ("context", "properties", "campaign"),
        [
            ({"campaign": {"name": "Spring Fair", "source": "mail"}}, {"url": "/a?utm_campaign=other"}, "Spring Fair"),
            ({}, {"search": "?utm_source=x&utm_campaign=winter+sale"}, "winter sale"),
            ({"campaign": "odd"}, {"url": "https://acme.example/a?utm_campaign=c1#top"}, "c1"),
            ({}, {"url": "/a"}, None),
        ],
    )
    def test_what_was_followed_is_the_campaign(self, context, properties, campaign):
        call = {**SegmentWorld.good[2], "context": context, "properties": properties}
        assert SegmentWorld().take(call).facts[-1].attributes.get("campaign") == campaign

    def test_events_have_our_words_by_the_config(self):
        class Named(SegmentWorld):
            options = {"events": {"Demo Requested": "form.submitted"}}

        assert Named().take(SegmentWorld.good[1]).facts[0].kind == "form.submitted"


class TestMautic:
    def test_events_become_people_and_what_they_did(self):
        found = MauticWorld().take(MauticWorld.good).facts
        who = Identity("acme", "lead", "47")
        lead = Lead(
            who,
            datetime(2026, 3, 2, 8, 0, tzinfo=UTC),
            {"first_name": "Ana", "email": "ana@example.com", "title": "CTO"},
            ("ana@example.com",),
        )
        assert found[:2] == (lead, Activity(who, "form.7", MOMENT, "form.submitted", "demo-request"))
        assert [fact.key for fact in found if isinstance(fact, Activity)] == ["form.7", "hit.11", "hit.12"]
        assert found[-1] == Deleted(Identity("acme", "lead", "48"), MOMENT)

    def test_the_test_button_is_answered_and_never_stored(self):
        sample = {**MauticWorld.good, "timestamp": "2026-03-02T09:00:00+00:00"}
        single = {"mautic.form_on_submit": MauticWorld.good["mautic.form_on_submit"][0], "timestamp": "x"}
        for body in (sample, single):
            reply = MauticWorld().hook.verify(MauticWorld().sign(json.dumps(body).encode()), NOW)
            assert (reply.status, reply.keep) == (200, None)
        with pytest.raises(ForgedDeliveryError):
            MauticWorld().hook.verify(MauticWorld().sign(json.dumps(sample).encode(), "whsec_c29tZWJvZHk="), NOW)

    def test_points_are_never_something_that_somebody_did(self):
        body = {"mautic.lead_points_change": [{"contact": CONTACT, "points": {"new_points": 9}, "timestamp": AT}]}
        assert [type(fact) for fact in MauticWorld().take(body).facts] == [Lead]

    def test_who_leaves_the_mails_has_unsubscribed(self):
        left = {"contact": CONTACT, "channel": "email", "old_status": "contactable", "new_status": "unsubscribed"}
        back = {**left, "old_status": "unsubscribed", "new_status": "contactable"}
        name = "mautic.lead_channel_subscription_changed"
        kinds = [getattr(f, "kind", "") for f in MauticWorld().take({name: [{**left, "timestamp": AT}]}).facts]
        assert kinds == ["", "email.unsubscribed"]
        assert [type(f) for f in MauticWorld().take({name: [{**back, "timestamp": AT}]}).facts] == [Lead]


class TestCloudEvents:
    def test_the_three_ways_say_the_same(self):
        who = Identity("acme", "lead", "ana@example.com")
        done = Activity(who, "/forms 1.1", MOMENT, "form.submitted", "demo")
        assert CloudEventsWorld().take(CloudEventsWorld.good).facts[1] == done
        assert CloudBatchWorld().take([CloudEventsWorld.good]).facts[1] == done
        assert CloudBinaryWorld().take(CloudBinaryWorld.good, **{"ce-subject": "demo"}).facts[1] == done

    def test_data_in_base64_are_data(self):
        packed = base64.b64encode(b'{"email":"ana@example.com"}').decode()
        event = {**{k: v for k, v in CloudEventsWorld.good.items() if k != "data"}, "data_base64": packed}
        assert CloudEventsWorld().take(event).facts == CloudEventsWorld().take(CloudEventsWorld.good).facts

    @pytest.mark.parametrize(
        "change",
        [{"specversion": "0.3"}, {"id": ""}, {"id": 5}, {"type": None}, {"source": ""}, {"data_base64": "e30="}],
    )
    def test_what_is_no_event_of_1_0_is_unreadable(self, change):
        with pytest.raises(UnreadableDeliveryError):
            CloudEventsWorld().take({**CloudEventsWorld.good, **change})

    def test_without_a_time_it_is_undated_and_named_by_source_and_id(self):
        event = {name: value for name, value in CloudEventsWorld.good.items() if name != "time"}
        found = CloudEventsWorld().take(event)
        assert (found.undated, found.facts[1].at) == ("/forms 1", NOW)
        assert CloudEventsWorld().take(CloudEventsWorld.good).undated == ""

    def test_the_handshake_names_who_may_post_and_stores_nothing(self):
        def ask(hook, origin):
            headers = {"webhook-request-origin": origin} if origin else {}
            return hook.verify(Delivery("OPTIONS", "/hooks/acme", headers, b""), NOW)

        reply = ask(CloudEventsWorld().hook, "eventgrid.example.com")
        assert (reply.status, reply.keep) == (200, None)
        assert reply.headers["webhook-allowed-origin"] == "eventgrid.example.com"
        assert reply.headers["webhook-allowed-rate"] == "*"
        for origin in ("other.example.com", "", "a\r\nb"):
            reply = ask(CloudEventsWorld().hook, origin)
            assert "webhook-allowed-origin" not in reply.headers
            assert reply.keep is None


class TestConfig:
    def options(self, **given):
        return webhook.Options(**{"dialect": "json", "secret": Secret(env="TEST_HOOK_SECRET"), **given})

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ({"secret": None, "mapping": MAPPING}, "secret"),
            ({}, "mapping"),
            ({"dialect": "mautic", "mapping": MAPPING}, "mapping"),
            ({"mapping": MAPPING, "events": {"a": "b"}}, "events"),
            ({"dialect": "segment", "header": "X-Key"}, "header"),
        ],
    )
    def test_what_makes_no_sense_is_told(self, given, told):
        with pytest.raises(ValueError, match=told):
            self.options(**given)

    def test_a_secret_that_is_not_there_is_told_by_check(self, monkeypatch):
        monkeypatch.delenv("TEST_HOOK_SECRET")
        (problem,) = webhook.open("acme", self.options(mapping=MAPPING)).check()
        assert problem.path == "sources.acme.secret"
        monkeypatch.setenv("TEST_HOOK_SECRET", "no base64!")
        (problem,) = webhook.open("acme", self.options(dialect="standard", mapping=MAPPING)).check()
        assert "base64" in problem.message
        assert "no base64!" not in str(problem)

    def test_it_is_a_source_that_is_never_asked(self):
        hook = webhook.open("acme", self.options(mapping=MAPPING))
        assert list(hook.pull(hook.begin(NOW - timedelta(days=1)))) == []
        assert hook.look([Identity("acme", "lead", "1")]).facts == ()
        assert hook.check() == ()
        assert not hook.calls()
        hook.close()
