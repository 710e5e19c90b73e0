"""CloudEvents 1.0 over HTTP: structured, in batches, or binary; and the handshake by OPTIONS.

The mapping reads the whole event: `type`, `time`, `source`, `subject`, `data.email` ... Without a path for them `kind`
is the event's `type`, `at` its `time`, and `key` its source and id. The secret is a bearer token, as its authorization
says. Sources: the CloudEvents specification 1.0.2, its HTTP protocol binding and its webhook page.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote

from syncagent.connectors.base import Delivered, Delivery, Reply
from syncagent.connectors.mapping import Reading
from syncagent.connectors.webhook.records import bearer, decoded, digest, mapped
from syncagent.errors import UnreadableDeliveryError

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
_REQUIRED: Final = ("id", "source", "specversion", "type")
_ORIGIN: Final = "webhook-request-origin"


class CloudEvents:
    """The dialect. `origins` may ask by OPTIONS whether this door wants events; "*" stands for anybody."""

    methods = frozenset(("POST", "OPTIONS"))

    def __init__(self, reading: Reading, origins: Sequence[str]) -> None:
        self._reading = reading
        self._origins = frozenset(origins)
        self._manner = bearer()

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> Reply:
        """The handshake carries no secret and stores nothing: it only says whether this is a door."""
        if delivery.method == "OPTIONS":
            return self._handshake(delivery.headers.get(_ORIGIN, ""))
        self._manner.check(delivery, secrets, now)
        for event in _events(delivery):
            _check(event)
        kept = {name: value for name, value in delivery.headers.items() if name.startswith("ce-")}
        return Reply(keep=kept | {"content-type": delivery.headers.get("content-type", "")})

    def _handshake(self, origin: str) -> Reply:
        if not origin or not ({"*", origin} & self._origins) or not origin.isprintable() or not origin.isascii():
            return Reply(headers={"allow": "OPTIONS, POST"}, keep=None)
        allowed = {"webhook-allowed-origin": origin, "webhook-allowed-rate": "*", "allow": "OPTIONS, POST"}
        return Reply(status=200, headers=allowed, keep=None)

    def read(self, delivery: Delivery, arrived: datetime) -> Delivered:
        """Each event by itself; one that cannot be read harms no other."""
        events = _events(delivery)
        said: list[Delivered] = []
        for event in events:
            try:
                _check(event)
                name = f"{event['source']} {event['id']}"
                said.append(mapped(self._reading, event, arrived, name, delivery))
            except UnreadableDeliveryError as error:
                said.append(Delivered(refused=(str(error),)))
        undated = [one.undated for one in said if one.undated]
        return Delivered(
            tuple(fact for one in said for fact in one.facts),
            tuple(why for one in said for why in one.refused),
            undated[0] if len(events) == 1 and undated else digest(delivery) if undated else "",
        )


def _events(delivery: Delivery) -> list[dict[str, Any]]:
    """The events of a delivery, whichever way they came. Raises `UnreadableDeliveryError`."""
    kind = delivery.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("application/cloudevents") and kind not in (STRUCTURED, BATCH):
        raise UnreadableDeliveryError("Only the JSON format of CloudEvents is read.")
    if kind == STRUCTURED:
        events = [decoded(delivery.body)]
    elif kind == BATCH:
        listed = decoded(delivery.body)
        if not isinstance(listed, list):
            raise UnreadableDeliveryError("A batch of CloudEvents is a list.")
        events = listed
    else:
        events = [_binary(delivery, kind)]
    return [_with_data(event) for event in events]


def _binary(delivery: Delivery, kind: str) -> dict[str, Any]:
    event: dict[str, Any] = {
        name.removeprefix("ce-"): unquote(value) for name, value in delivery.headers.items() if name.startswith("ce-")
    }
    if not event:
        raise UnreadableDeliveryError("It has neither ce- headers nor the content type of a CloudEvent.")
    if delivery.body and (not kind or kind == "application/json" or kind.endswith("+json")):
        event["data"] = decoded(delivery.body)
    elif delivery.body:
        event["data"] = delivery.body.decode("utf-8", "replace")
    return event


def _with_data(event: object) -> dict[str, Any]:
    """The event with its data in `data`, also when they came in base64."""
    if not isinstance(event, dict):
        raise UnreadableDeliveryError("An event is no object.")
    if "data_base64" not in event:
        return event
    packed = event["data_base64"]
    if "data" in event or not isinstance(packed, str):
        raise UnreadableDeliveryError("An event has data and data_base64 at once, or no text in it.")
    try:
        raw = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        raise UnreadableDeliveryError("The data_base64 of an event is not base64.") from None
    try:
        data = decoded(raw)
    except UnreadableDeliveryError:
        data = raw.decode("utf-8", "replace")
    return {**event, "data": data}


def _check(event: dict[str, Any]) -> None:
    """Raise `UnreadableDeliveryError` for what no CloudEvent of 1.0 is."""
    for name in _REQUIRED:
        if not isinstance(event.get(name), str) or not event[name]:
            raise UnreadableDeliveryError(f"An event has no {name}, or an empty one.")
    if event["specversion"] != "1.0":
        raise UnreadableDeliveryError("Only CloudEvents of specversion 1.0 are read.")
