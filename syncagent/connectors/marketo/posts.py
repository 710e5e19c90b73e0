"""What a webhook of a Marketo flow step posts: a lead's id, as a hint to look and to poll now.

Marketo signs nothing and names no event: a secret header shows that it is ours, and what happened is read from the
feed. The payload template must hold the id, as JSON, a form, or in the address:

    {"leadId": {{lead.Id}}}

Source: marketing_automation.md 1.8.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from syncagent.connectors import signatures
from syncagent.connectors.base import Delivered, Delivery, Reply
from syncagent.errors import UnreadableDeliveryError
from syncagent.model import Hint, Identity

NAMES: Final = ("leadid", "lead_id", "lead.id", "id")
_LONGEST: Final = 18  # digits
_MOST: Final = 1000


def verify(delivery: Delivery, secrets: Sequence[str], header: str) -> Reply:
    """Whether the secret is there, and a lead named. Raises `ForgedDeliveryError`, then `UnreadableDeliveryError`."""
    signatures.plain_secret(delivery.headers.get(header.lower(), ""), secrets, header)
    _ids(delivery)
    return Reply(status=200, keep={"content-type": delivery.headers.get("content-type", "")})


def read(delivery: Delivery, name: str) -> Delivered:
    """A hint for each lead that is named."""
    return Delivered(tuple(Hint(Identity(name, "lead", one)) for one in _ids(delivery)))


def _ids(delivery: Delivery) -> tuple[str, ...]:
    ids = dict.fromkeys(one for record in _records(delivery) if (one := _id(record)))
    if not ids:
        raise UnreadableDeliveryError('It names no lead: put {"leadId": {{lead.Id}}} into the payload template.')
    return tuple(ids)


def _records(delivery: Delivery) -> Sequence[Any]:
    kind = delivery.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if not delivery.body:
            return [dict(parse_qsl(delivery.url.partition("?")[2], max_num_fields=_MOST))]
        if kind == "application/x-www-form-urlencoded":
            return [dict(parse_qsl(delivery.body.decode(), max_num_fields=_MOST))]
        told = msgspec.json.decode(delivery.body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise UnreadableDeliveryError("Its body is neither JSON nor a form in UTF-8.") from None
    return told if isinstance(told, list) else [told]


def _id(record: object) -> str:
    """The lead's id in a record, whatever its name is written like; empty when there is none."""
    if not isinstance(record, Mapping):
        return ""
    named = {str(key).lower(): value for key, value in record.items()}
    inner = named.get("lead")
    found = next((named[name] for name in NAMES if name in named), None)
    if found is None and isinstance(inner, Mapping):
        return _id(inner)
    text = str(found).strip() if isinstance(found, str | int) and not isinstance(found, bool) else ""
    return text if text.isascii() and text.isdecimal() and len(text) <= _LONGEST else ""
