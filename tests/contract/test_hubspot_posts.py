"""HubSpot's webhooks keep the promises of every webhook, in both parts and by each of its three signatures."""

import pytest

from syncagent.connectors.base import Delivery
from syncagent.sandbox.hubspot.values import millis
from syncagent.sandbox.hubspot.webhooks import sign
from tests.contract.test_hubspot_marketing import connect
from tests.contract.webhook import NOW, OTHER, SECRET, WebhookContract

URI = "https://sync.example.com/hooks/hubspot?portal=a%2Fb"
COMMON = {"eventId": 1, "portalId": 62515, "appId": 7, "attemptNumber": 0, "occurredAt": millis(NOW)}
SIGNING = {
    "v1": ("x-hubspot-signature",),
    "v2": ("x-hubspot-signature", "x-hubspot-signature-version"),
    "v3": ("x-hubspot-signature-v3", "x-hubspot-request-timestamp"),
}


class HubSpotWorld:
    """One part, called with signatures of one version only."""

    signs_body = True
    records = 4
    good: object = [
        {**COMMON, "subscriptionType": "contact.creation", "objectId": 7, "changeFlag": "NEW"},
        {
            **COMMON,
            "subscriptionType": "object.propertyChange",
            "objectTypeId": "0-1",
            "objectId": 8,
            "sourceId": "u:1",
        },
        {**COMMON, "subscriptionType": "contact.privacyDeletion", "objectId": 9},
        {
            **COMMON,
            "subscriptionType": "contact.merge",
            "objectId": 1,
            "primaryObjectId": 1,
            "mergedObjectIds": [2],
            "newObjectId": 3,
        },
    ]

    def __init__(self, hook, version):
        self.hook, self.name, self.version = hook, hook.name, version
        self.signing = SIGNING[version]

    def sign(self, body, secret=SECRET, **changes):
        told = sign(secret, body, URI, "POST", str(millis(NOW)), [self.version])
        headers = {name.lower(): value for name, value in told.items()} | changes
        url = URI.removeprefix("https://sync.example.com")
        return Delivery("POST", url, {name: value for name, value in headers.items() if value is not None}, body)

    def spoil(self, body):
        body[1]["objectId"] = "eight"
        return body


class TestHubSpotWebhook(WebhookContract):
    @pytest.fixture(params=[(part, version) for part in ("crm", "marketing") for version in SIGNING], ids="-".join)
    def world(self, request, portal, monkeypatch):
        monkeypatch.setenv("TEST_HOOK_SECRET", SECRET)
        monkeypatch.setenv("TEST_HOOK_OTHER", OTHER)
        part, version = request.param
        places = {"signing_secret": {"env": "TEST_HOOK_SECRET"}, "signing_secrets": [{"env": "TEST_HOOK_OTHER"}]}
        given = {**places, "public_url": "https://sync.example.com"}
        return HubSpotWorld(portal.connect(**given) if part == "crm" else connect(portal, **given), version)
