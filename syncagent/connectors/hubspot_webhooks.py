"""What HubSpot posts to us: whether it is HubSpot's, and what it says. Pure; the HubSpot connector calls both.

A batch of up to 100 notifications names ids and little else, in any order and perhaps again: so each becomes a `Hint`,
and the record is looked up. Deletions and merges are facts by themselves. Source: crm.md B11, marketing_automation.md
4.2.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from syncagent.connectors import signatures
from syncagent.connectors.base import Delivered, Delivery
from syncagent.errors import UnreadableDeliveryError
from syncagent.model import Deleted, Fact, Hint, Identity, Merged

TYPE_IDS: Final = {
    "0-1": "contact",
    "0-2": "company",
    "0-3": "deal",
    "0-5": "ticket",
    "0-27": "task",
    "0-136": "lead",
}
"""What generic `object.*` notifications call the objects. Source: crm.md B3."""


_AHEAD: Final = timedelta(days=1)
"""Clocks differ, but nothing is deleted next week."""


class _Event(Struct, rename="camel"):
    subscription_type: str = ""
    event_type: str = ""
    object_type_id: str = ""
    object_id: int | None = None
    occurred_at: int = 0
    source_id: str | int | None = None
    app_id: str | int | None = None
    primary_object_id: int | None = None
    merged_object_ids: list[int] = []
    new_object_id: int | None = None
    from_object_id: int | None = None


class _Enrolled(Struct, rename="camel"):
    """The contact that a workflow's webhook action tells of."""

    vid: int | None = None
    object_id: int | None = None


_decode_all = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_enrolled = msgspec.json.Decoder(_Enrolled).decode


def verify(delivery: Delivery, secrets: Sequence[str], now: datetime, *, public_url: str = "") -> None:
    """Whether HubSpot signed it, by v3, else v2 or v1, and whether it is JSON of their shape.

    `public_url` is where HubSpot calls us: scheme and host, or the whole address without its query when the proxy
    changes the path too; without it, https and the Host header are believed.
    Raises `ForgedDeliveryError`, then `UnreadableDeliveryError`.
    """
    uri = called(delivery, public_url)
    signatures.hubspot(delivery.headers, delivery.body, secrets, now, method=delivery.method, uri=uri)
    _items(delivery.body)


def called(delivery: Delivery, public_url: str = "") -> str:
    """The address that the sender called, with its query."""
    path, mark, query = delivery.url.partition("?")
    if not public_url:
        return f"https://{delivery.headers.get('host', '')}{delivery.url}"
    whole = public_url.rstrip("/")
    return f"{whole}{mark}{query}" if urlsplit(whole).path else f"{whole}{path}{mark}{query}"


def read(body: bytes, system: str, objects: Mapping[str, str], arrived: datetime, *, own_source: str = "") -> Delivered:
    """What a batch says of the objects that `objects` names: HubSpot's word ("contact") -> `Identity.object`.

    Identities are (`system`, objects[word], id). Changes whose `sourceId` is `own_source` are our own echo and pass;
    while that is not known, those of the app that the notification was made for: it is the one whose secret signs.
    One notification that cannot be read is refused, and harms no other.
    """
    facts: dict[Fact, None] = {}
    refused: list[str] = []
    for raw in _items(body):
        try:
            event = _decode_event(raw)
            facts.update(dict.fromkeys(_facts(event, system, objects, arrived, own_source)))
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
            refused.append(f"A notification cannot be read: {error}.")
    return Delivered(tuple(facts), tuple(refused))


def _items(body: bytes) -> list[msgspec.Raw]:
    try:
        if body.lstrip()[:1] != b"{":
            return _decode_all(body)
        enrolled = _decode_enrolled(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise UnreadableDeliveryError("This is neither a list of notifications nor a contact.") from None
    number = enrolled.vid or enrolled.object_id
    if number is None:
        raise UnreadableDeliveryError("This names no contact.")
    return [msgspec.Raw(b'{"subscriptionType":"contact.enrolled","objectId":%d}' % number)]


def _facts(
    event: _Event, system: str, objects: Mapping[str, str], arrived: datetime, own_source: str
) -> tuple[Fact, ...]:
    word, _, verb = (event.subscription_type or event.event_type).partition(".")
    if not verb:
        raise ValueError("it has no subscriptionType")
    kind = objects.get(TYPE_IDS.get(event.object_type_id, "") if word == "object" else word)
    if kind is None:
        return ()

    def named(number: int | None) -> Identity:
        if number is None:
            raise ValueError("it has no objectId")
        return Identity(system, kind, str(number))

    if verb == "merge":
        winner = event.new_object_id or event.primary_object_id or event.object_id
        others = dict.fromkeys((event.primary_object_id, *event.merged_object_ids))
        losers = tuple(named(number) for number in others if number is not None and number != winner)
        at = _moment(event.occurred_at, arrived)
        if at is None:
            return tuple(Hint(one) for one in (named(winner), *losers))
        return (*((Merged(named(winner), losers, at),) if losers else ()), Hint(named(winner)))
    if verb in ("deletion", "privacyDeletion"):
        at = _moment(event.occurred_at, arrived)
        if verb == "privacyDeletion":  # for ever: nothing can be told of them later
            return (Deleted(named(event.object_id), at or arrived, privacy=True),)
        return (Hint(named(event.object_id)) if at is None else Deleted(named(event.object_id), at),)
    if verb == "associationChange":
        return (Hint(named(event.from_object_id if event.object_id is None else event.object_id)),)
    if verb == "propertyChange" and event.source_id and str(event.source_id) == (own_source or str(event.app_id)):
        return ()
    return (Hint(named(event.object_id)),)


def _moment(stamp: int, arrived: datetime) -> datetime | None:
    """When it happened; None when nobody knows: an ending is looked up then, and outranks nothing of later."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=stamp) if stamp > 0 else None
    return None if at is None or at > arrived + _AHEAD else at
