"""What `check` says of a portal, what a config for HubSpot may say, and what HubSpot posts."""

import base64
import hmac
import json
import re
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from syncagent.compose import read_to_look
from syncagent.connectors.base import Delivery, Webhook
from syncagent.connectors.hubspot import Options
from syncagent.errors import ConfigError, ForgedDeliveryError
from syncagent.model import Deleted, Hint, Identity, Merged
from tests.contract.hubspot_portal import NOON
from tests.contract.test_hubspot_marketing import connect

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
SECRET = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
HOOKS = {"signing_secret": {"command": ["echo", SECRET]}, "public_url": "https://hooks.example.com"}


def paths(problems, *, fatal=None):
    return {one.path for one in problems if fatal is None or one.fatal is fatal}


def test_a_portal_that_has_everything_has_no_problem(portal):
    crm = portal.connect(expect_status=("Open", "MQL", "Working", "Recycled", "Unqualified"))
    assert crm.check() == []


def test_statuses_properties_owners_and_stages_that_are_not_there_are_named(portal):
    portal.act("archive_owner", owner=portal.second)
    crm = portal.connect(
        fields={"score": "no_such", "grade": "lead_grade"},
        expect_status=("Open", "Sales Ready"),
        expect_owners={
            "reps.Ana": portal.known["rep_user_id"],
            "reps.Ben": portal.second,
            "reps.Eve.away": portal.second,
            "team.manager": "5",
            "crm.automation_users[1]": "automation",
            "crm.automation_users[2]": "user:5",
            "crm.automation_users[3]": portal.second,
            "crm.automation_users[4]": "6",
        },
        lifecycle={"Sales Ready": "mql"},
    )
    problems = crm.check()
    assert paths(problems, fatal=True) == {
        "crm.fields.score", "crm.status", "reps.Ana", "reps.Ben", "team.manager", "crm.lifecycle.Sales Ready",
    }  # fmt: skip
    texts = {one.path: f"{one}" for one in problems if one.fatal}
    assert portal.rep in texts["reps.Ana"], "the owner id of the user id is told"
    assert "deactivated" in texts["reps.Ben"]
    assert "Working" in texts["crm.status"]
    assert "marketingqualifiedlead" in texts["crm.lifecycle.Sales Ready"]
    assert paths(problems, fatal=False) == {"crm.status", "crm.automation_users[4]"}, (
        "options that are mapped nowhere are told, too"
    )


def test_the_app_is_asked_for_and_missed_where_hubspot_does_not_say(portal):
    assert portal.connect(app_id="").me() == f"app:{portal.known['app_id']}"
    crm = portal.connect(app_id="")
    portal.control.plant(status=404, body="{}", match={"path": "access-token-info"}, times=None)
    assert "crm.app_id" in paths(crm.check(), fatal=False)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"access_token": None}, "Give access_token"),
        ({"client_id": "x"}, "Give access_token"),
        ({"access_token": None, "client_id": "x"}, "OAuth needs all"),
        ({"api_version": "v4"}, "api_version"),
        ({"fields": {"score": "Lead Score"}}, "internal name"),
        ({"crm_ids": {"hs_object_id": "hubspot"}}, "crm_ids"),
        ({"timezone": "Mars"}, "time zone"),
    ],
)
def test_a_table_that_cannot_be_is_told_in_a_sentence(given, says):
    whole = {"access_token": {"env": "HUBSPOT_TOKEN"}, **given}
    with pytest.raises(msgspec.ValidationError, match=says):
        msgspec.convert(whole, Options)


def test_the_variant_in_the_example_config_loads(tmp_path):
    """The commented tables take the place of Marketo's and Salesforce's; the agreement stays."""
    text = EXAMPLE.read_text()
    systems, rest = re.split(r"(?=\n# ---- Who is one person)", text, maxsplit=1)
    head = systems.partition("# ---- What people do")[0]
    variant = systems.partition("# ---- HubSpot instead")[2].partition("\n")[2]
    plain = re.sub(r"^# ?", "", variant, flags=re.M)
    rest = rest.replace('source = "marketo", list', 'source = "hubspot_marketing", list')
    (tmp_path / "config.toml").write_text(head + plain + rest)
    config = read_to_look(tmp_path / "config.toml")
    assert config.crm.name == "hubspot"
    assert [one.type for one in config.sources] == ["hubspot"]


def test_a_source_and_the_crm_with_one_name_are_refused(tmp_path):
    text = EXAMPLE.read_text().replace("[sources.marketo]", "[sources.salesforce]", 1)
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ConfigError, match="another name"):
        read_to_look(tmp_path / "config.toml")


# -- what HubSpot posts


def signed(body, *, path="/hooks/hubspot", at=NOON, secret=SECRET):
    stamp = str(int(at.timestamp() * 1000))
    text = f"POSThttps://hooks.example.com{path}{body}{stamp}".encode()
    signature = base64.b64encode(hmac.digest(secret.encode(), text, "sha256")).decode()
    headers = {"x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": stamp}
    return Delivery("POST", path, headers, body.encode())


def posted(*events):
    common = {"eventId": 1, "portalId": 62515, "occurredAt": int(NOON.timestamp() * 1000), "attemptNumber": 0}
    return json.dumps([{**common, **event} for event in events])


def test_posts_are_taken_by_both_parts_and_become_hints(portal):
    crm, source = portal.connect(**HOOKS), connect(portal, **HOOKS)
    body = posted(
        {"subscriptionType": "contact.propertyChange", "objectId": 7, "propertyName": "x", "sourceId": "userId:1"},
        {"subscriptionType": "object.creation", "objectTypeId": "0-27", "objectId": 8},
        {"subscriptionType": "contact.privacyDeletion", "objectId": 9},
        {
            "subscriptionType": "contact.merge",
            "objectId": 1,
            "primaryObjectId": 1,
            "mergedObjectIds": [2],
            "newObjectId": 3,
        },
    )
    for system, told in (("hubspot", crm), ("marketing", source)):
        assert isinstance(told, Webhook)
        assert told.methods == {"POST"}
        reply = told.verify(signed(body), NOON + timedelta(seconds=3))
        assert reply.status < 300
        said = told.read(Delivery("POST", "/hooks/hubspot", reply.keep, body.encode()), NOON)
        hints = {fact.identity for fact in said.facts if isinstance(fact, Hint)}
        assert Identity(system, "contact", "7") in hints
        assert (Identity(system, "task", "8") in hints) is (system == "hubspot")
        assert Deleted(Identity(system, "contact", "9"), NOON, privacy=True) in said.facts
        [merged] = [fact for fact in said.facts if isinstance(fact, Merged)]
        assert merged.winner == Identity(system, "contact", "3")
        assert {one.id for one in merged.losers} == {"1", "2"}


def test_what_our_own_app_has_changed_is_no_hint(portal):
    source = connect(portal, **HOOKS)
    ours = {"subscriptionType": "contact.propertyChange", "objectId": 7, "propertyName": "hs_lead_status"}
    body = posted({**ours, "sourceId": portal.known["app_id"], "changeSource": "INTEGRATION"})
    assert source.read(Delivery("POST", "/hooks/x", {}, body.encode()), NOON).facts == ()


@pytest.mark.parametrize("part", ["crm", "marketing"])
@pytest.mark.parametrize("login", ["private", "oauth"])
def test_which_app_we_are_is_found_out_and_the_option_overrides_it(portal, part, login):
    more = {"app_id": "", **(oauth_table(portal) if login == "oauth" else {})}
    made = portal.connect(**HOOKS, part=part, **more)
    assert made.portal.known_app() == ""
    list(made.pull(made.begin(NOON)))
    assert made.portal.known_app() == portal.known["app_id"]
    assert "54321" not in made.options.app_id
    ours = {"subscriptionType": "contact.propertyChange", "objectId": 7, "propertyName": "hs_lead_status", "appId": 1}
    body = posted({**ours, "sourceId": portal.known["app_id"]}, {**ours, "objectId": 8, "sourceId": "99"})
    hinted = made.read(Delivery("POST", "/hooks/x", {}, body.encode()), NOON).facts
    assert [hint.identity.id for hint in hinted] == ["8"]
    other = portal.connect(**HOOKS, part=part, **{**more, "app_id": "99"})
    list(other.pull(other.begin(NOON)))
    hinted = other.read(Delivery("POST", "/hooks/x", {}, body.encode()), NOON).facts
    assert [hint.identity.id for hint in hinted] == ["7"]
    addresses = [call["path"] for call in portal.control.calls()]
    assert not any(portal.known["token"] in one or "access-tokens/" in one for one in addresses)


def test_before_anybody_has_asked_the_app_that_a_notification_was_made_for_is_ours(portal):
    source = connect(portal, **HOOKS, app_id="")
    ours = {"subscriptionType": "contact.propertyChange", "propertyName": "email", "appId": 54321}
    body = posted({**ours, "objectId": 7, "sourceId": "54321"}, {**ours, "objectId": 8, "sourceId": "userId:1"})
    hinted = source.read(Delivery("POST", "/hooks/x", {}, body.encode()), NOON).facts
    assert [hint.identity.id for hint in hinted] == ["8"]


def test_of_several_secrets_each_holds_and_no_other(portal):
    new = {"command": ["echo", "the-new-secret-of-the-app"]}
    crm = portal.connect(**HOOKS, signing_secrets=[new])
    text = posted({"subscriptionType": "contact.creation", "objectId": 7})
    for secret in (SECRET, "the-new-secret-of-the-app"):
        crm.verify(signed(text, secret=secret), NOON)
    with pytest.raises(ForgedDeliveryError):
        crm.verify(signed(text, secret="the-new-secret"), NOON)
    only = portal.connect(signing_secrets=[new], public_url="https://hooks.example.com")
    assert only.methods == {"POST"}
    only.verify(signed(text, secret="the-new-secret-of-the-app"), NOON)
    with pytest.raises(ForgedDeliveryError):
        only.verify(signed(text), NOON)


def oauth_table(portal):
    secret = {"command": ["echo", portal.known["client_secret"]]}
    refresh = {"command": ["echo", portal.known["refresh_token"]]}
    login = {"client_id": portal.known["client_id"], "client_secret": secret, "refresh_token": refresh}
    return {"access_token": None, **login}


def test_posts_are_refused_when_they_are_not_hubspots(portal):
    crm = portal.connect(**HOOKS)
    good = signed(posted({"subscriptionType": "contact.creation", "objectId": 7}))
    crm.verify(good, NOON)
    bad = (
        msgspec.structs.replace(good, body=good.body + b" "),
        msgspec.structs.replace(good, url="/hooks/hubspot?x=1"),
        msgspec.structs.replace(good, headers={}),
        signed(good.body.decode(), secret="other"),
        signed(good.body.decode(), at=NOON - timedelta(minutes=5, seconds=1)),
        signed(good.body.decode(), at=NOON + timedelta(minutes=5, seconds=1)),
    )
    for delivery in bad:
        with pytest.raises(ForgedDeliveryError):
            crm.verify(delivery, NOON)


def test_without_a_secret_nothing_is_taken(portal):
    assert portal.crm.methods == frozenset()
    with pytest.raises(ForgedDeliveryError):
        portal.crm.verify(signed("[]"), NOON)
