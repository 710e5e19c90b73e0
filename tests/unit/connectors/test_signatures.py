"""Published vectors of every signature, and what must not pass: a changed byte, another time, a shortened signature."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncagent.connectors import signatures
from syncagent.errors import ForgedDeliveryError

MAUTIC_SECRET, MAUTIC_BODY = "secret123", b'["payload"]'
MAUTIC_SIGNED = "N8vMehOCvgQDRsllxP46+0rC/1n2SpQmlGFiGPjD3nY="
STANDARD_SECRET, STANDARD_BODY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
STANDARD_ID, STANDARD_STAMP = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330
STANDARD_SIGNED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
ASYMMETRIC_KEY = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="  # published with Svix's server, as is this:
ASYMMETRIC_SIGNED = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
SEGMENT_SECRET = "teehee"
SEGMENT_BODY = (
    b'{"type":"track","event":"Clicked","userId":"019mr8mf4r","messageId":"m-1","timestamp":"2026-01-01T00:00:00.000Z"}'
)
SEGMENT_SIGNED = "06ff7adee5d2dd512bd4df1ff60d0af3222cdf4a"
HUBSPOT_SECRET, HUBSPOT_BODY = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy", b"{'example_field':'example_value'}"
HUBSPOT_URI, HUBSPOT_STAMP = "https://www.example.com/webhook_uri", 15000000
HUBSPOT_V1 = "69fc6631a867edd4f9e9e627fc5c1148e3fbdd8b21837b6d2b8901c1fa57f750"
HUBSPOT_V2 = "4fe4e3a7d3cf09db53be39d0a58130e2aaba074ec123a9e355b876a689a1c383"
HUBSPOT_V3 = "HPW73RUtKmcYoEDADG0s6MmGFWUzWJKAW07r8RDgcQw="
GITHUB_SECRET, GITHUB_BODY = "It's a Secret to Everybody", b"Hello, World!"
GITHUB_SIGNED = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Vector:
    """One published example, and how it is checked."""

    check: Callable[["Vector"], None]
    body: bytes
    secret: str
    headers: dict[str, str]
    carries: str  # the header with the signature
    now: datetime = EPOCH
    method: str = "POST"
    uri: str = HUBSPOT_URI

    def passes(self) -> bool:
        try:
            self.check(self)
        except ForgedDeliveryError:
            return False
        return True


def check_hubspot(v: Vector) -> None:
    signatures.hubspot(v.headers, v.body, (v.secret,), v.now, method=v.method, uri=v.uri)


def check_standard(v: Vector) -> None:
    try:
        keys = (signatures.standard_key(v.secret),)
    except ValueError:
        keys = ()
    signatures.standard(v.headers, v.body, keys, v.now)


def check_mautic(v: Vector) -> None:
    signatures.hmac_base64(v.headers.get("webhook-signature", ""), v.body, (v.secret,), "Webhook-Signature")


def check_segment(v: Vector) -> None:
    signatures.hmac_hex(v.headers.get("x-signature", ""), v.body, (v.secret,), "X-Signature", "sha1")


def check_github(v: Vector) -> None:
    signatures.github(v.headers, v.body, (v.secret,))


def standard_headers(prefix: str) -> dict[str, str]:
    told = {"id": STANDARD_ID, "timestamp": str(STANDARD_STAMP), "signature": STANDARD_SIGNED}
    return {f"{prefix}-{name}": value for name, value in told.items()}


STANDARD_AT = EPOCH + timedelta(seconds=STANDARD_STAMP)
HUBSPOT_AT = EPOCH + timedelta(milliseconds=HUBSPOT_STAMP)
VECTORS = {
    "mautic": Vector(
        check_mautic, MAUTIC_BODY, MAUTIC_SECRET, {"webhook-signature": MAUTIC_SIGNED}, "webhook-signature"
    ),
    "standard": Vector(
        check_standard, STANDARD_BODY, STANDARD_SECRET, standard_headers("webhook"), "webhook-signature", STANDARD_AT
    ),
    "svix": Vector(
        check_standard, STANDARD_BODY, STANDARD_SECRET, standard_headers("svix"), "svix-signature", STANDARD_AT
    ),
    "standard v1a": Vector(
        check_standard,
        STANDARD_BODY,
        ASYMMETRIC_KEY,
        {**standard_headers("webhook"), "webhook-signature": ASYMMETRIC_SIGNED},
        "webhook-signature",
        STANDARD_AT,
    ),
    "segment": Vector(check_segment, SEGMENT_BODY, SEGMENT_SECRET, {"x-signature": SEGMENT_SIGNED}, "x-signature"),
    "github": Vector(
        check_github, GITHUB_BODY, GITHUB_SECRET, {"x-hub-signature-256": GITHUB_SIGNED}, "x-hub-signature-256"
    ),
    "hubspot v1": Vector(
        check_hubspot,
        HUBSPOT_BODY,
        HUBSPOT_SECRET,
        {"x-hubspot-signature": HUBSPOT_V1, "x-hubspot-signature-version": "v1"},
        "x-hubspot-signature",
    ),
    "hubspot v2": Vector(
        check_hubspot,
        HUBSPOT_BODY,
        HUBSPOT_SECRET,
        {"x-hubspot-signature": HUBSPOT_V2, "x-hubspot-signature-version": "v2"},
        "x-hubspot-signature",
    ),
    "hubspot v3": Vector(
        check_hubspot,
        HUBSPOT_BODY,
        HUBSPOT_SECRET,
        {"x-hubspot-signature-v3": HUBSPOT_V3, "x-hubspot-request-timestamp": str(HUBSPOT_STAMP)},
        "x-hubspot-signature-v3",
        HUBSPOT_AT,
    ),
}
TIMED = ("standard", "standard v1a", "svix", "hubspot v3")


@pytest.fixture(params=VECTORS)
def vector(request: pytest.FixtureRequest) -> Vector:
    return VECTORS[request.param]


def test_the_published_signature_fits(vector: Vector) -> None:
    assert vector.passes()


def test_one_changed_byte_of_the_body_does_not(vector: Vector) -> None:
    for place in range(len(vector.body)):
        changed = bytearray(vector.body)
        changed[place] ^= 1
        assert not replace(vector, body=bytes(changed)).passes()


@pytest.mark.parametrize("name", ["mautic", "standard", "standard v1a", "svix", "segment"])
def test_the_same_json_written_again_does_not(name: str) -> None:
    again = json.dumps(json.loads(VECTORS[name].body), indent=1).encode()
    assert not replace(VECTORS[name], body=again).passes()


def test_a_missing_header_does_not(vector: Vector) -> None:
    for name in vector.headers:
        if name == "x-hubspot-signature-version" and vector.headers[name] == "v1":
            continue  # without it, v1 is meant
        kept = {key: value for key, value in vector.headers.items() if key != name}
        assert not replace(vector, headers=kept).passes(), name
    assert not replace(vector, headers={}).passes()


def test_a_shortened_or_changed_signature_does_not(vector: Vector) -> None:
    whole = vector.headers[vector.carries]
    for shown in (whole[:-1], whole[1:], whole[: len(whole) // 2], whole + "A", whole.swapcase(), "", "v1,", "sha256="):
        assert not replace(vector, headers={**vector.headers, vector.carries: shown}).passes(), shown


def test_another_secret_or_none_does_not(vector: Vector) -> None:
    assert not replace(vector, secret="whsec_QW5vdGhlclNlY3JldEZvclRlc3RzT25seQ==").passes()
    assert not replace(vector, secret="").passes()


def test_what_is_signed_with_an_empty_secret_does_not() -> None:
    body = b'{"a":1}'
    given = hmac.new(b"", body, "sha256")
    with pytest.raises(ForgedDeliveryError):
        signatures.hmac_hex(given.hexdigest(), body, ("",), "signature")
    with pytest.raises(ForgedDeliveryError):
        signatures.hmac_base64(base64.b64encode(given.digest()).decode(), body, ("",), "signature")
    with pytest.raises(ForgedDeliveryError):
        signatures.plain_secret("", ("",), "Authorization")
    for version, where in (("v1", b""), ("v2", b"POST" + HUBSPOT_URI.encode())):
        headers = {"x-hubspot-signature": hashlib.sha256(where + body).hexdigest()}
        with pytest.raises(ForgedDeliveryError):
            signatures.hubspot(
                {**headers, "x-hubspot-signature-version": version}, body, ("",), EPOCH, method="POST", uri=HUBSPOT_URI
            )
    with pytest.raises(ValueError, match="empty"):
        signatures.standard_key("whsec_")


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize("way", [-1, 1])
def test_five_minutes_are_near_enough_and_a_second_more_is_not(name: str, way: int) -> None:
    vector = VECTORS[name]
    assert replace(vector, now=vector.now + way * timedelta(minutes=5)).passes()
    assert not replace(vector, now=vector.now + way * timedelta(minutes=5, seconds=1)).passes()


@pytest.mark.parametrize("name", TIMED)
def test_a_timestamp_that_is_no_number_does_not(name: str) -> None:
    vector = VECTORS[name]
    stamp = next(header for header in vector.headers if header.endswith("timestamp"))
    for told in ("", "now", "1e9", "-1", "\u0661\u0662\u0663", "9" * 400, " 15000000"):
        assert not replace(vector, headers={**vector.headers, stamp: told}).passes(), told


class TestStandard:
    def test_one_of_several_signatures_is_enough(self) -> None:
        vector = VECTORS["standard"]
        many = f"v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,{STANDARD_SIGNED[3:]} {STANDARD_SIGNED}"
        assert replace(vector, headers={**vector.headers, "webhook-signature": many}).passes()

    @pytest.mark.parametrize("told", [f"v2,{STANDARD_SIGNED[3:]}", f"v1a,{STANDARD_SIGNED[3:]}", STANDARD_SIGNED[3:]])
    def test_other_versions_are_passed_over(self, told: str) -> None:
        vector = VECTORS["standard"]
        assert not replace(vector, headers={**vector.headers, "webhook-signature": told}).passes()

    @pytest.mark.parametrize("secret", [STANDARD_SECRET.removeprefix("whsec_"), "whsec_c2VjcmV0IHdpdGggcGFkZGluZw"])
    def test_a_secret_may_have_no_prefix_and_no_padding(self, secret: str) -> None:
        key = signatures.standard_key(secret)
        signed = f"{STANDARD_ID}.{STANDARD_STAMP}.".encode() + STANDARD_BODY
        told = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
        vector = replace(VECTORS["standard"], secret=secret)
        assert replace(vector, headers={**vector.headers, "webhook-signature": told}).passes()

    def test_a_secret_that_is_no_base64_is_told(self) -> None:
        with pytest.raises(ValueError, match="base64"):
            signatures.standard_key("not a secret!")

    def test_both_secrets_hold_while_they_are_being_changed(self) -> None:
        old, new = signatures.standard_key(STANDARD_SECRET), b"the one that comes after it"
        signatures.standard(standard_headers("webhook"), STANDARD_BODY, (new, old), STANDARD_AT)
        with pytest.raises(ForgedDeliveryError):
            signatures.standard(standard_headers("webhook"), STANDARD_BODY, (new,), STANDARD_AT)

    @pytest.mark.parametrize("name", ["standard", "standard v1a"])
    def test_the_id_is_signed_too(self, name: str) -> None:
        vector = VECTORS[name]
        assert not replace(vector, headers={**vector.headers, "webhook-id": "msg_another"}).passes()

    def test_a_public_key_makes_no_signature_of_version_1(self) -> None:
        """Whoever knows the public key, which is everybody, must not be able to sign with it."""
        public = base64.b64decode(ASYMMETRIC_KEY[5:])
        signed = f"{STANDARD_ID}.{STANDARD_STAMP}.".encode() + STANDARD_BODY
        told = base64.b64encode(hmac.digest(public, signed, "sha256")).decode()
        for version in ("v1", "v1a"):
            headers = {**standard_headers("webhook"), "webhook-signature": f"{version},{told}"}
            assert not replace(VECTORS["standard v1a"], headers=headers).passes()

    def test_signatures_of_both_versions_stand_side_by_side(self) -> None:
        both = {**standard_headers("webhook"), "webhook-signature": f"v1a,AAAA {STANDARD_SIGNED} {ASYMMETRIC_SIGNED}"}
        for name in ("standard", "standard v1a"):
            assert replace(VECTORS[name], headers=both).passes()

    def test_a_flood_of_asymmetric_signatures_is_not_worked_through(self) -> None:
        many = " ".join(["v1a,AAAA"] * 19 + [ASYMMETRIC_SIGNED])
        vector = VECTORS["standard v1a"]
        assert not replace(vector, headers={**vector.headers, "webhook-signature": many}).passes()

    @pytest.mark.parametrize("secret", ["whpk_AAAA", "whsk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", "whpk_"])
    def test_what_is_no_public_key_is_told(self, secret: str) -> None:
        with pytest.raises(ValueError, match=r"whpk_|empty"):
            signatures.standard_key(secret)


class TestHubSpot:
    def signed(self, uri: str, method: str = "POST") -> Vector:
        told = f"{method}{uri}{HUBSPOT_BODY.decode()}{HUBSPOT_STAMP}".encode()
        signature = base64.b64encode(hmac.digest(HUBSPOT_SECRET.encode(), told, "sha256")).decode()
        vector = VECTORS["hubspot v3"]
        return replace(vector, headers={**vector.headers, "x-hubspot-signature-v3": signature})

    def test_some_sequences_are_signed_decoded_and_others_are_not(self) -> None:
        called = (
            "https://www.example.com/a%2fb?who=%40home%3A%21%24%27%28%29%2A%2C%3B%3F&name=M%C3%BCller%20%26%20Co%2B"
        )
        signed = "https://www.example.com/a/b?who=@home:!$'()*,;?&name=M%C3%BCller%20%26%20Co%2B"
        assert replace(self.signed(signed), uri=called).passes()

    def test_a_signature_over_the_encoded_address_does_not_fit(self) -> None:
        called = "https://www.example.com/hook?who=%40home"
        assert not replace(self.signed(called), uri=called).passes()

    @pytest.mark.parametrize("uri", ["http://www.example.com/webhook_uri", "https://inner:8474/webhook_uri", ""])
    def test_another_address_does_not_fit(self, uri: str) -> None:
        for name in ("hubspot v2", "hubspot v3"):
            assert not replace(VECTORS[name], uri=uri).passes()

    def test_another_method_does_not_fit(self) -> None:
        for name in ("hubspot v2", "hubspot v3"):
            assert not replace(VECTORS[name], method="PUT").passes()

    def test_where_v3_is_there_no_older_one_helps(self) -> None:
        headers = {**VECTORS["hubspot v1"].headers, "x-hubspot-signature-v3": "", "x-hubspot-request-timestamp": "1"}
        assert not replace(VECTORS["hubspot v1"], headers=headers).passes()

    def test_v1_signs_no_address_and_v2_does(self) -> None:
        assert replace(VECTORS["hubspot v1"], uri="https://elsewhere.example.net/").passes()
        mixed = {**VECTORS["hubspot v2"].headers, "x-hubspot-signature-version": "v1"}
        assert not replace(VECTORS["hubspot v2"], headers=mixed).passes()


@given(st.sampled_from(sorted(VECTORS)), st.data())
def test_nothing_that_a_stranger_writes_passes_or_breaks(name: str, data: st.DataObject) -> None:
    """Any header, any body, any address: forged, and nothing else happens."""
    vector = VECTORS[name]
    headers = data.draw(st.fixed_dictionaries({}, optional={each: st.text(max_size=90) for each in vector.headers}))
    body, uri = data.draw(st.binary(max_size=200)), data.draw(st.text(max_size=60))
    assert not replace(vector, headers=headers, body=body, uri=uri, method="POST").passes()


@given(st.sampled_from(sorted(VECTORS)), st.binary(max_size=300))
def test_a_right_signature_over_another_body_does_not_fit(name: str, body: bytes) -> None:
    if body != VECTORS[name].body:
        assert not replace(VECTORS[name], body=body).passes()


def test_no_message_tells_what_was_sent(vector: Vector) -> None:
    told = []
    for header in vector.headers:
        with pytest.raises(ForgedDeliveryError) as caught:
            changed = replace(vector, headers={**vector.headers, header: "Zq9-private"}, body=b"Zq9-private")
            changed.check(changed)
        told.append(str(caught.value))
    assert told
    assert not [one for one in told if "Zq9" in one or vector.secret in one]
