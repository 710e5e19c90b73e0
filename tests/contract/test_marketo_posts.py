"""A webhook of a Marketo flow step: its secret, and the lead that it names; and the way to what happened."""

import json
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from syncagent.agent.daemon import Daemon
from syncagent.clock import SystemClock
from syncagent.compose import compose
from syncagent.config import Secret, parse
from syncagent.connectors.base import Delivery, Webhook
from syncagent.connectors.marketo import posts
from syncagent.connectors.memory import Memory, Options
from syncagent.errors import ForgedDeliveryError, UnreadableDeliveryError
from syncagent.model import Hint, Identity
from syncagent.state import open_store
from syncagent.state.store import Post
from tests.contract.marketo_world import marketo_world
from tests.contract.webhook import JSON, NOW, WebhookContract
from tests.contract.webhook import SECRET as CONTRACT_SECRET
from tests.story.theatre import CONFIG

SECRET = "flow-step-token"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def hook(monkeypatch):
    monkeypatch.setenv("TEST_FLOW_SECRET", SECRET)
    with marketo_world(monkeypatch) as world:
        yield world.fresh(hook_secret=Secret(env="TEST_FLOW_SECRET"))


def step(body=b"", url="/hooks/marketo", secret=SECRET, kind="application/json") -> Delivery:
    given = {"x-hook-secret": secret, "content-type": kind}
    return Delivery("POST" if body else "GET", url, {k: v for k, v in given.items() if v is not None}, body)


class MarketoPosts:
    """The door of a Marketo source, as a world of `WebhookContract`."""

    name, signs_body, records, signing = "marketo", False, 0, ("x-hook-secret",)
    good: object = [{"leadId": 7}, {"lead": {"Id": "8"}}]

    def __init__(self, hook):
        self.hook = hook

    def sign(self, body, secret=CONTRACT_SECRET, **changes):
        headers = {"x-hook-secret": secret, "content-type": "application/json", **changes}
        return Delivery("POST", "/hooks/marketo", {k: v for k, v in headers.items() if v is not None}, body)


class TestMarketoWebhook(WebhookContract):
    @pytest.fixture
    def world(self, monkeypatch):
        monkeypatch.setenv("TEST_HOOK_SECRET", CONTRACT_SECRET)
        with marketo_world(monkeypatch) as world:
            yield MarketoPosts(world.fresh(hook_secret=Secret(env="TEST_HOOK_SECRET")))

    def test_both_secrets_hold_while_one_takes_the_others_place(self, world):
        pytest.skip("A flow step sends one secret; it is changed where it is kept, and read anew.")


def test_it_is_a_door_only_with_a_secret(hook, monkeypatch):
    assert isinstance(hook, Webhook)
    assert hook.methods == {"GET", "POST"}
    with marketo_world(monkeypatch) as world:
        assert world.fresh().methods == frozenset()
        with pytest.raises(ForgedDeliveryError):
            world.fresh().verify(step(b'{"leadId": 7}', secret=""), NOW)


@pytest.mark.parametrize(
    ("body", "url", "kind"),
    [
        (b'{"leadId": 7}', "/hooks/marketo", "application/json"),
        (b'{"Id": "7", "campaign": 5}', "/hooks/marketo", "application/json"),
        (b'{"lead": {"Id": 7}}', "/hooks/marketo", ""),
        (b'[{"lead_id": 7}, {"lead_id": 7}, {"x": 1}]', "/hooks/marketo", "application/json"),
        (b"leadId=7&campaign=x", "/hooks/marketo", FORM),
        (b"", "/hooks/marketo?leadId=7&name=%C3%A9", ""),
    ],
)
def test_a_lead_is_named_in_any_of_these_ways(hook, body, url, kind):
    delivery = step(body, url, kind=kind)
    reply = hook.verify(delivery, NOW)
    assert SECRET not in str(reply)
    kept = Delivery(delivery.method, url, reply.keep, body)
    assert hook.read(kept, NOW).facts == (Hint(Identity("marketo", "lead", "7")),)


@pytest.mark.parametrize("secret", [None, "", "flow-step-toke", "flow-step-token ", "FLOW-STEP-TOKEN"])
def test_without_the_secret_it_is_forged(hook, secret):
    for body in (b'{"leadId": 7}', b"{"):
        with pytest.raises(ForgedDeliveryError):
            hook.verify(step(body, secret=secret), NOW)


@pytest.mark.parametrize(
    "body", [b"{", b"{}", b"\xff", b'{"leadId": "{{lead.Id}}"}', b'{"leadId": true}', b"[" * 99999]
)
def test_without_a_lead_it_is_unreadable(hook, body):
    with pytest.raises(UnreadableDeliveryError):
        hook.verify(step(body), NOW)


@given(st.binary(max_size=60) | JSON.map(lambda one: json.dumps(one).encode()), st.sampled_from(("", FORM)), st.text())
def test_anything_is_read_or_unreadable(body, kind, query):
    delivery = step(body, f"/hooks/marketo?{query}", kind=kind)
    try:
        posts.verify(delivery, (SECRET,), "X-Hook-Secret")
    except UnreadableDeliveryError:
        return
    assert all(fact.identity.id.isdecimal() for fact in posts.read(delivery, "marketo").facts)


def test_a_hint_brings_the_lead_and_what_they_did_at_once(tmp_path, monkeypatch):
    """The poll is a minute away: a post makes it come now."""
    monkeypatch.setenv("TEST_FLOW_SECRET", SECRET)
    with marketo_world(monkeypatch) as world:
        config = parse(CONFIG.replace("sources.web", "sources.marketo").replace('"web"', '"marketo"'), tmp_path)
        source = world.fresh(hook_secret=Secret(env="TEST_FLOW_SECRET"))
        systems = {"marketo": source, "crm": Memory("crm", Options())}
        agent = compose(config, open_store(tmp_path / "state.db"), systems=systems)
        agent.settings = structs.replace(agent.settings, poll_fast=0.2)
        daemon = threading.Thread(target=Daemon(agent, tmp_path / "state.db").run)
        daemon.start()
        try:
            deadline = time.monotonic() + 20
            while agent.store.cursor("marketo/poll") is None and time.monotonic() < deadline:
                time.sleep(0.02)
            who = world.record()
            world.one = who
            (name,) = world.happen(1)
            body = json.dumps({"leadId": int(who.id)}).encode()
            agent.store.receive([Post("marketo", SystemClock().now(), "POST", "/hooks/marketo", {}, body)]).result()
            agent.posted["marketo"].set()
            told = set()
            while name not in told and time.monotonic() < deadline:
                people = agent.store.find(who.id)
                found = agent.store.dossier(people[0]) if people else None
                told = {done.key for done in found.activities} if found else set()
                time.sleep(0.02)
            assert name in told
            assert found.leads[0].emails
        finally:
            agent.stopping.set()
            daemon.join()
            agent.store.close()


def test_a_secret_that_was_changed_where_it_is_kept_holds_once_it_is_read_anew(hook, monkeypatch):
    hook.verify(step(b'{"leadId": 7}'), NOW)
    monkeypatch.setenv("TEST_FLOW_SECRET", "the-next-token")
    hook.renew()
    hook.verify(step(b'{"leadId": 7}', secret="the-next-token"), NOW)
    with pytest.raises(ForgedDeliveryError):
        hook.verify(step(b'{"leadId": 7}'), NOW)
