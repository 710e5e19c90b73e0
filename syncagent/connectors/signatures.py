"""Whether a delivery is signed by somebody who knows our secret: pure functions, one a scheme.

Each answers or raises `ForgedDeliveryError` with a sentence that holds no secret, no signature and nothing of the body.
All compare in constant time, over the raw body: JSON that was parsed and written again is another text. `secrets` are
those that hold at present, so that they can be changed without a gap; an empty one signs nothing.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from syncagent.errors import ForgedDeliveryError

TOLERANCE: Final = timedelta(minutes=5)
"""So far from now a signed moment may lie, before or after. Source: Standard Webhooks 1.0; HubSpot's signature v3."""

_LONGEST_STAMP: Final = 16  # digits
_MOST_SIGNATURES: Final = 20
_MOST_ASYMMETRIC: Final = 4
"""So many asymmetric ones are tried: each costs a quarter of a millisecond, and anybody can send them."""
_ED25519_KEY: Final = 32
_HUBSPOT_DECODED: Final = re.compile(r"%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)


def plain_secret(given: str, secrets: Sequence[str], what: str) -> None:
    """The secret itself was sent, in the header that `what` names."""
    if not given:
        raise ForgedDeliveryError(f"It has no {what}.")
    _one_of(given, [secret for secret in secrets if secret], what)


def hmac_hex(given: str, body: bytes, secrets: Sequence[str], what: str, algorithm: str = "sha256") -> None:
    """`given` is the hex HMAC of the body."""
    if not given:
        raise ForgedDeliveryError(f"It has no {what}.")
    _one_of(given, [hmac.new(s.encode(), body, algorithm).hexdigest() for s in secrets if s], what)


def hmac_base64(given: str, body: bytes, secrets: Sequence[str], what: str) -> None:
    """`given` is the base64 HMAC-SHA256 of the body."""
    if not given:
        raise ForgedDeliveryError(f"It has no {what}.")
    _one_of(given, [_base64(hmac.digest(s.encode(), body, "sha256")) for s in secrets if s], what)


def github(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> None:
    """`X-Hub-Signature-256: sha256=HEX` over the body."""
    what = "X-Hub-Signature-256"
    hmac_hex(headers.get("x-hub-signature-256", "").removeprefix("sha256="), body, secrets, what)


class PublicKey(Struct, frozen=True):
    """An Ed25519 key with which signatures can be checked and not made: it need not even be secret."""

    raw: bytes

    def fits(self, given: str, signed: bytes) -> bool:
        """Whether `given`, in base64, is its owner's signature of what was signed."""
        # Here, for only senders with asymmetric keys need it: loading it costs every start a twentieth of a second.
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(base64.b64decode(given, validate=True), signed)
        except (InvalidSignature, ValueError):
            return False
        return True


def standard_key(secret: str) -> bytes | PublicKey:
    """The key in a Standard Webhooks secret: base64, perhaps unpadded, perhaps behind `whsec_`. Raises ValueError.

    Behind `whpk_` stands the public key of a sender who signs asymmetrically.
    """
    if secret.startswith("whsk_"):
        raise ValueError("It is the key that the sender signs with, and should not leave it: use the one with whpk_.")
    public = secret.startswith("whpk_")
    text = secret.removeprefix("whpk_" if public else "whsec_")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("It is not a secret of Standard Webhooks, which is base64, usually behind whsec_.") from None
    if not key:
        raise ValueError("It is empty.")
    if public and len(key) != _ED25519_KEY:
        raise ValueError("It is not a public key of Standard Webhooks, which has 32 bytes behind whpk_.")
    return PublicKey(key) if public else key


def standard(headers: Mapping[str, str], body: bytes, keys: Sequence[bytes | PublicKey], now: datetime) -> None:
    """Standard Webhooks 1.0, headers `webhook-*`, or `svix-*` as its forerunner calls them.

    One of the signatures must fit one of the keys: `v1` (HMAC-SHA256) a secret, `v1a` (Ed25519) a public key; other
    versions are passed over.
    """
    prefix = "webhook" if "webhook-signature" in headers else "svix"
    number, stamp, signatures = [headers.get(f"{prefix}-{part}", "") for part in ("id", "timestamp", "signature")]
    if not (number and stamp and signatures):
        raise ForgedDeliveryError("webhook-id, webhook-timestamp and webhook-signature are needed.")
    near(stamp, now, per_second=1)
    signed = b"%b.%b.%b" % (number.encode("utf-8", "replace"), stamp.encode(), body)
    right = [_base64(hmac.digest(key, signed, "sha256")) for key in keys if key and isinstance(key, bytes)]
    public = [key for key in keys if isinstance(key, PublicKey)]
    told = [one.partition(",")[::2] for one in signatures.split()[:_MOST_SIGNATURES]]
    fits = False
    for given in [given for version, given in told if version == "v1" and given]:
        fits |= _fits(given, right)
    if public and not fits:
        asymmetric = [given for version, given in told if version == "v1a"][:_MOST_ASYMMETRIC]
        fits = any(key.fits(given, signed) for given in asymmetric for key in public)
    if not fits:
        raise ForgedDeliveryError("No webhook-signature fits the secret.")


def hubspot(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime, *, method: str, uri: str
) -> None:
    """HubSpot's signature: v3 when it is there, and then that one must fit; else v2 or v1, as its header says.

    `uri` is the public address with its query, as HubSpot called it: behind a proxy that is not what arrived here.
    v3 signs it with some sequences decoded. v1 and v2 sign no moment: they can be replayed, which is harmless, for what
    is told twice is one. Source: crm.md B11, marketing_automation.md 4.2.
    """
    known = [secret.encode() for secret in secrets if secret]
    given = headers.get("x-hubspot-signature-v3")
    if given is not None:
        stamp = headers.get("x-hubspot-request-timestamp", "")
        near(stamp, now, per_second=1000)
        signed = b"%b%b%b%b" % (method.encode(), _hubspot_decoded(uri).encode("utf-8", "replace"), body, stamp.encode())
        right = [_base64(hmac.digest(secret, signed, "sha256")) for secret in known]
        _one_of(given, right, "X-HubSpot-Signature-v3")
        return
    given, version = headers.get("x-hubspot-signature", ""), headers.get("x-hubspot-signature-version", "v1")
    if not given:
        raise ForgedDeliveryError("It has no X-HubSpot-Signature.")
    if version not in ("v1", "v2"):
        raise ForgedDeliveryError("X-HubSpot-Signature-Version is neither v1 nor v2.")
    where = (method + uri).encode("utf-8", "replace") if version == "v2" else b""
    _one_of(given, [hashlib.sha256(secret + where + body).hexdigest() for secret in known], "X-HubSpot-Signature")


def near(stamp: str, now: datetime, *, per_second: int) -> datetime:
    """The signed moment, if it lies within `TOLERANCE` of now; `stamp` counts from 1970."""
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= _LONGEST_STAMP):
        raise ForgedDeliveryError("Its timestamp is missing, or is no number.")
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(stamp) / per_second)
    except OverflowError:
        raise ForgedDeliveryError("Its timestamp is no moment.") from None
    if abs(moment - now) > TOLERANCE:
        raise ForgedDeliveryError("Its timestamp is more than 5 minutes from now; look at the clocks of both machines.")
    return moment


def _hubspot_decoded(uri: str) -> str:
    """HubSpot signs these sequences decoded, and all others as they are."""
    return _HUBSPOT_DECODED.sub(lambda found: chr(int(found[1], 16)), uri)


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _one_of(given: str, right: Sequence[str], what: str) -> None:
    if not _fits(given, right):
        raise ForgedDeliveryError(f"Its {what} does not fit the secret.")


def _fits(given: str, right: Sequence[str]) -> bool:
    """Compares with every one of them, and as long with each."""
    told, fits = given.encode("utf-8", "replace"), False
    for one in right:
        fits |= hmac.compare_digest(told, one.encode("utf-8", "replace"))
    return fits
