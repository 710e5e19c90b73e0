"""Bodies that are anybody's: JSON or a form, signed in one of three ways, read by the mapping table.

*bearer*: `Authorization: Bearer SECRET`, or the secret in a header of its own. *github*: `X-Hub-Signature-256`, with
the event in `X-GitHub-Event` and the delivery's name in `X-GitHub-Delivery`. *standard*: Standard Webhooks 1.0, named
by `webhook-id`.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from syncagent.connectors import signatures
from syncagent.connectors.base import Delivered, Delivery, Reply
from syncagent.connectors.mapping import Reading
from syncagent.errors import ConfigError, ForgedDeliveryError, Problem, UnreadableDeliveryError
from syncagent.model import Fact

FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 1000

Check = Callable[[Delivery, Sequence[str], datetime], None]


class Manner(Struct, frozen=True):
    """How a delivery is signed, which header names it, and which it takes to read it. `ping` says nothing."""

    check: Check
    names: tuple[str, ...] = ()
    event: str = ""
    ping: str = ""


def bearer(header: str = "") -> Manner:
    """The secret itself is sent."""
    where = (header or "authorization").lower()

    def check(delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
        given = delivery.headers.get(where, "")
        if not header:
            scheme, _, given = given.partition(" ")
            if scheme.lower() != "bearer":
                raise ForgedDeliveryError("It has no Authorization: Bearer.")
        signatures.plain_secret(given.strip(), secrets, header or "Authorization")

    return Manner(check)


def github() -> Manner:
    """GitHub's way, which others have taken over."""

    def check(delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
        signatures.github(delivery.headers, delivery.body, secrets)

    return Manner(check, ("x-github-delivery",), "x-github-event", "ping")


def standard() -> Manner:
    """Standard Webhooks 1.0."""

    def check(delivery: Delivery, secrets: Sequence[str], now: datetime) -> None:
        try:
            keys = [signatures.standard_key(secret) for secret in secrets]
        except ValueError as error:
            raise ConfigError([Problem("secret", str(error))]) from None
        signatures.standard(delivery.headers, delivery.body, keys, now)

    return Manner(check, ("webhook-id", "svix-id"))


class Records:
    """A dialect whose bodies are read by the mapping table."""

    methods = frozenset(("POST",))

    def __init__(self, reading: Reading, manner: Manner) -> None:
        self._reading = reading
        self._manner = manner
        self._kept = (*manner.names, *((manner.event,) if manner.event else ()))

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> Reply:
        """A ping is answered, and not stored."""
        manner = self._manner
        manner.check(delivery, secrets, now)
        if manner.ping and delivery.headers.get(manner.event) == manner.ping:
            return Reply(keep=None)
        body_of(delivery)
        kept = {name: delivery.headers[name] for name in self._kept if name in delivery.headers}
        if is_form(delivery):
            kept["content-type"] = FORM
        return Reply(keep=kept)

    def read(self, delivery: Delivery, arrived: datetime) -> Delivered:
        """By the mapping; where it names no `kind`, the event that a header tells is there as `@event`."""
        name = next((delivery.headers[each] for each in self._manner.names if delivery.headers.get(each)), "")
        body = body_of(delivery)
        if self._manner.event and isinstance(body, dict):
            body = {**body, "@event": delivery.headers.get(self._manner.event, "")}
        return mapped(self._reading, body, arrived, name, delivery)


def mapped(reading: Reading, body: object, arrived: datetime, name: str, delivery: Delivery) -> Delivered:
    """What the records of a body say; a record that cannot be read is refused, and harms no other."""
    try:
        records = reading.records(body)
    except ValueError as error:
        raise UnreadableDeliveryError(str(error)) from None
    facts: list[Fact] = []
    refused: list[str] = []
    undated = False
    seen: Counter[str] = Counter()
    for number, record in enumerate(records, 1):
        try:
            told = reading.told(record, arrived, seen, name)
        except ValueError as error:
            refused.append(str(error) if len(records) == 1 else f"Record {number}: {error}")
            continue
        facts += told.facts
        undated |= told.undated and bool(told.facts)
    return Delivered(tuple(facts), tuple(refused), (name or digest(delivery)) if undated else "")


def digest(delivery: Delivery) -> str:
    """Names a delivery that has no name, by what it says."""
    whole = b"\0".join((delivery.url.encode("utf-8", "replace"), delivery.body))
    return hashlib.blake2b(whole, digest_size=16).hexdigest()


def is_form(delivery: Delivery) -> bool:
    """Whether the body is a web form's."""
    return delivery.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


def body_of(delivery: Delivery) -> object:
    """The body as JSON's values; a form's as an object of texts. Raises `UnreadableDeliveryError`."""
    if is_form(delivery):
        try:
            pairs = parse_qsl(
                delivery.body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
            )
        except ValueError:
            raise UnreadableDeliveryError("Its body is not a form in UTF-8.") from None
        return dict(pairs)
    return decoded(delivery.body)


def decoded(body: bytes) -> object:
    """A body's JSON. Raises `UnreadableDeliveryError`."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise UnreadableDeliveryError("Its body is not JSON in UTF-8, or too deep.") from None
