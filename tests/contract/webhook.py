"""What every `Webhook` promises, as tests. A dialect is done when its own test passes them.

A dialect's test brings a `world`:

    class AcmeWorld:
        hook = ...                       the connector, with SECRET (and OTHER, while one takes the other's place)
        signs_body = True                False where the secret itself is sent
        name = "acme"                    the source's name
        good = {...}                     a body that says something: JSON's values
        records = ...                    how many records of it can be spoilt (0: a body is one record)
        def sign(self, body, secret=SECRET, **changes): ...   a Delivery with these bytes; `changes` of its headers:
                                         name=text, or None to leave it out
        def spoil(self, body): ...       the body with one of its records broken

Fuzzing is part of it: whatever is posted is forged, unreadable, or read; nothing else happens, and nothing that is not
signed is accepted.
"""

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncagent.connectors.base import Delivered, Webhook
from syncagent.errors import ForgedDeliveryError, UnreadableDeliveryError
from syncagent.model import Fact
from tests.contract.source import moments

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_bmV3IHNlY3JldCB0aGF0IGNvbWVzIGFmdGVyIGl0"
THIRD = "whsec_dGhlIHRoaXJkIG9uZSwgd2hpY2ggc3RheXM="
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["2026-03-02", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "a@b", "1e400", "-0"])
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, at: tuple = ()) -> list[tuple]:
    """Every place in a JSON value."""
    found = [at] if at else []
    for key, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += places(one, (*at, key))
    return found


def put(value: Any, at: tuple, new: Any) -> Any:
    value = copy.deepcopy(value)
    inside = value
    for key in at[:-1]:
        inside = inside[key]
    inside[at[-1]] = new
    return value


class WebhookContract:
    """Subclass it with a `world` fixture: see the top of this file."""

    def read(self, world, body: bytes, arrived: datetime = NOW) -> Delivered:
        """As the listener and the agent do it: only what was kept of the headers is there to read by."""
        delivery = world.sign(body)
        reply = world.hook.verify(delivery, NOW)
        assert 200 <= reply.status < 300
        if reply.keep is None:
            return Delivered()
        return world.hook.read(msgspec.structs.replace(delivery, headers=reply.keep), arrived)

    def good(self, world) -> bytes:
        return json.dumps(world.good, separators=(",", ":")).encode()

    def test_is_a_webhook(self, world):
        assert isinstance(world.hook, Webhook)
        assert world.hook.name == world.name
        assert "POST" in world.hook.methods

    def test_what_is_signed_is_read(self, world):
        found = self.read(world, self.good(world))
        assert found.facts
        assert not found.refused

    def test_reading_again_says_the_same(self, world):
        first = self.read(world, self.good(world))
        assert self.read(world, self.good(world)) == first
        later = self.read(world, self.good(world), NOW + timedelta(hours=1))
        assert later == first or first.undated, "What is told twice must be one, or say that it has no moment."

    def test_both_secrets_hold_while_one_takes_the_others_place(self, world):
        for secret in (SECRET, OTHER):
            world.hook.verify(world.sign(self.good(world), secret), NOW)

    def test_a_secret_that_was_changed_where_it_is_kept_holds_once_it_is_read_anew(self, world, monkeypatch):
        world.hook.verify(world.sign(self.good(world)), NOW)
        monkeypatch.setenv("TEST_HOOK_SECRET", THIRD)
        world.hook.renew()
        world.hook.verify(world.sign(self.good(world), THIRD), NOW)
        with pytest.raises(ForgedDeliveryError):
            world.hook.verify(world.sign(self.good(world)), NOW)

    @pytest.mark.parametrize("secret", ["whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldA==", SECRET + "A", SECRET[:-4]])
    def test_another_secret_is_forged(self, world, secret):
        with pytest.raises(ForgedDeliveryError):
            world.hook.verify(world.sign(self.good(world), secret), NOW)

    def test_a_header_that_is_missing_empty_or_changed_is_forged(self, world):
        for name in world.signing:
            whole = world.sign(self.good(world)).headers[name]
            for told in (None, "", whole[:-1], whole + "0", whole[: len(whole) // 2]):
                with pytest.raises(ForgedDeliveryError):
                    world.hook.verify(world.sign(self.good(world), **{name: told}), NOW)

    def test_one_changed_byte_is_forged(self, world):
        if not world.signs_body:
            pytest.skip("The secret itself is sent.")
        delivery = world.sign(self.good(world))
        for place in range(0, len(delivery.body), 7):
            changed = bytearray(delivery.body)
            changed[place] ^= 1
            with pytest.raises(ForgedDeliveryError):
                world.hook.verify(msgspec.structs.replace(delivery, body=bytes(changed)), NOW)

    def test_the_same_written_again_is_forged(self, world):
        if not world.signs_body:
            pytest.skip("The secret itself is sent.")
        delivery = world.sign(self.good(world))
        again = json.dumps(json.loads(delivery.body), indent=1).encode()
        with pytest.raises(ForgedDeliveryError):
            world.hook.verify(msgspec.structs.replace(delivery, body=again), NOW)

    @pytest.mark.parametrize("body", [b"{", b"\xff", b'{"a":' * 3000, b"[" * 100_000])
    def test_signed_and_unreadable_is_told_apart_from_forged(self, world, body):
        with pytest.raises(UnreadableDeliveryError):
            world.hook.verify(world.sign(body), NOW)
        with pytest.raises(ForgedDeliveryError):
            world.hook.verify(world.sign(body, "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldA=="), NOW)

    def test_one_bad_record_harms_no_other(self, world):
        if not world.records:
            pytest.skip("A body is one record.")
        whole = self.read(world, self.good(world))
        spoilt = self.read(world, json.dumps(world.spoil(copy.deepcopy(world.good))).encode())
        assert len(spoilt.refused) == 1
        assert spoilt.facts
        assert set(map(msgspec.json.encode, spoilt.facts)) <= set(map(msgspec.json.encode, whole.facts))

    def test_no_secret_is_kept_or_told(self, world):
        delivery = world.sign(self.good(world))
        reply = world.hook.verify(delivery, NOW)
        assert SECRET not in str(reply)
        for changes in ({}, {world.signing[0]: "x" + SECRET}):
            with pytest.raises(ForgedDeliveryError) as caught:
                world.hook.verify(world.sign(b"{", "whsec_c29tZWJvZHk=", **changes), NOW)
            assert "whsec" not in str(caught.value)
        assert not [one for one in world.hook.check() if SECRET in str(one)]

    def test_moments_are_aware_and_utc(self, world):
        found = [moment for fact in self.read(world, self.good(world)).facts for moment in moments(fact)]
        assert all(moment.tzinfo is UTC for moment in found)

    # -- fuzzing

    def survives(self, world, body: bytes) -> None:
        """Signed with the right secret: read, or told that it cannot be."""
        try:
            found = self.read(world, body)
        except UnreadableDeliveryError:
            return
        msgspec.json.encode(found.facts)
        assert all(isinstance(fact, Fact) and fact_of(world, fact) for fact in found.facts)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(body=st.binary(max_size=60) | JSON.map(lambda one: json.dumps(one).encode()))
    def test_any_body_that_is_signed_is_read_or_unreadable(self, world, body):
        self.survives(world, body)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(data=st.data())
    def test_a_good_body_with_anything_in_any_place_is_read_or_unreadable(self, world, data):
        body = world.good
        for _ in range(data.draw(st.integers(1, 3))):
            found = places(body)
            if found:
                body = put(body, data.draw(st.sampled_from(found)), data.draw(JSON))
        self.survives(world, json.dumps(body).encode())

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(data=st.data())
    def test_nothing_that_is_not_signed_is_accepted(self, world, data):
        known = sorted(world.sign(self.good(world)).headers)
        headers = data.draw(st.fixed_dictionaries({}, optional={name: st.text(max_size=80) for name in known}))
        body = data.draw(st.binary(max_size=60) | st.just(self.good(world)))
        delivery = msgspec.structs.replace(world.sign(self.good(world)), headers=headers, body=body)
        with pytest.raises(ForgedDeliveryError):
            world.hook.verify(delivery, NOW)


def fact_of(world, fact: Fact) -> bool:
    """Whether it is told in the source's own name."""
    named = [getattr(fact, name, None) for name in ("identity", "winner")]
    return all(one is None or one.system == world.name for one in named)
