"""Segment's webhook destination: `identify`, `track`, `page` and `screen`, one or a list of them.

`X-Segment-Signature` is the hex HMAC-SHA1 of the whole body. `X-Signature`, the older one, covers only the first event:
a body in which anything stands besides that is refused. Sources: marketing_automation.md 6; Segment's spec of calls.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from syncagent.connectors import signatures
from syncagent.connectors.base import Delivered, Delivery, Reply
from syncagent.connectors.campaigns import CAMPAIGN, campaign_in
from syncagent.connectors.mapping import moment, plain
from syncagent.connectors.webhook.records import decoded
from syncagent.errors import ForgedDeliveryError, UnreadableDeliveryError
from syncagent.model import Activity, Fact, Identity, Lead, Value

TRAITS: Final = {
    "first_name": "firstName",
    "last_name": "lastName",
    "name": "name",
    "email": "email",
    "title": "title",
    "phone": "phone",
    "website": "website",
    "industry": "industry",
    "employees": "employees",
    "company": "company.name",
    "city": "address.city",
    "state": "address.state",
    "country": "address.country",
}
"""Ours = where it stands among Segment's traits; other plain traits keep their names."""
KINDS: Final = {"page": "page.visited", "screen": "screen.visited"}
_UTC: Final = ZoneInfo("UTC")


class Segment:
    """The dialect. `events`: names of tracked events -> our kinds; others keep their name, as `track.NAME`."""

    methods = frozenset(("POST",))

    def __init__(self, name: str, events: Mapping[str, str]) -> None:
        self._name = name
        self._events = events

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> Reply:
        """Signed, by either header, over all that stands in it; and a call or a list of calls."""
        headers, body = delivery.headers, delivery.body
        if "x-segment-signature" in headers:
            signatures.hmac_hex(headers["x-segment-signature"], body, secrets, "X-Segment-Signature", "sha1")
        else:
            _old_signature(headers.get("x-signature", ""), body, secrets)
        _calls(body)
        return Reply(status=200)

    def read(self, delivery: Delivery, arrived: datetime) -> Delivered:
        """Each call by itself; one that cannot be read harms no other."""
        facts: list[Fact] = []
        refused: list[str] = []
        for number, call in enumerate(_calls(delivery.body), 1):
            try:
                facts += self._facts(call, arrived)
            except ValueError as error:
                refused.append(f"Call {number}: {error}")
        return Delivered(tuple(facts), tuple(refused))

    def _facts(self, call: object, arrived: datetime) -> list[Fact]:
        if not isinstance(call, dict):
            raise ValueError("It is no object.")  # noqa: TRY004 - it is their value
        what = call.get("type")
        if what not in ("identify", "track", *KINDS):
            return []  # group and alias tell nothing of what somebody did
        at = moment(call.get("timestamp"), "iso", _UTC) or moment(call.get("sentAt"), "iso", _UTC)
        at = at or moment(call.get("receivedAt"), "iso", _UTC)
        if at is None:
            raise ValueError("It has no timestamp.")
        ids = [
            f"{kind}:{one}"
            for kind, one in (("user", call.get("userId")), ("anonymous", call.get("anonymousId")))
            if one
        ]
        if not ids:
            raise ValueError("It has neither userId nor anonymousId.")
        who, *others = (Identity(self._name, "lead", one) for one in ids)
        facts: list[Fact] = []
        traits = _traits(call)
        if traits or what == "identify" or others:
            email = str(traits.get("email") or "")
            emails = (email,) if 0 < email.find("@") < len(email) - 1 else ()
            facts.append(Lead(who, at, traits, emails, tuple(others)))
        if what != "identify":
            facts.append(self._activity(call, who, at))
        return facts

    def _activity(self, call: Mapping[str, Any], who: Identity, at: datetime) -> Activity:
        told = call.get("properties")
        properties: dict[str, Any] = told if isinstance(told, dict) else {}
        event = str(call.get("event") or call.get("name") or "")
        if call["type"] == "track":
            kind = self._events.get(event, f"track.{_word(event)}")
            asset = next((str(properties[one]) for one in ("form", "asset", "url") if properties.get(one)), event)
        else:
            kind = KINDS[call["type"]]
            asset = str(properties.get("path") or properties.get("url") or event)
        key = str(call.get("messageId") or "")
        if not key:
            raise ValueError("It has no messageId.")
        attributes: dict[str, Value] = {
            name: value for name, one in properties.items() if (value := plain(one)) is not None
        }
        if campaign := _campaign(call, properties):
            attributes.setdefault(CAMPAIGN, campaign)
        return Activity(who, key, at, kind, asset, attributes)


def _old_signature(given: str, body: bytes, secrets: Sequence[str]) -> None:
    """Over the whole body, or, in a list, over its one event: what stands beside that one nobody has signed."""
    try:
        signatures.hmac_hex(given, body, secrets, "X-Signature", "sha1")
    except ForgedDeliveryError as error:
        if not (body.startswith(b"[") and body.endswith(b"]")):
            raise
        try:
            signatures.hmac_hex(given, body[1:-1], secrets, "X-Signature", "sha1")
        except ForgedDeliveryError:
            hint = "It covers one event only: turn on X-Segment-Signature in Segment."
            raise ForgedDeliveryError(f"{error} {hint}") from None


def _campaign(call: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    """What they followed: `context.campaign.name`, which Segment's libraries take from the page, else the address."""
    context = call.get("context")
    told = context.get("campaign") if isinstance(context, dict) else None
    name = told.get("name") if isinstance(told, dict) else None
    return str(name) if name else campaign_in(properties.get("search")) or campaign_in(properties.get("url"))


def _traits(call: Mapping[str, Any]) -> dict[str, Value]:
    """What is known of the person, by our names."""
    context = call.get("context")
    told = (
        call.get("traits")
        if call.get("type") == "identify"
        else context.get("traits")
        if isinstance(context, dict)
        else None
    )
    if not isinstance(told, dict):
        return {}
    taken = {theirs.partition(".")[0] for theirs in TRAITS.values()}
    made: dict[str, Value] = {name: plain(value) for name, value in told.items() if name not in taken}
    for ours, theirs in TRAITS.items():
        first, _, second = theirs.partition(".")
        value = told.get(first)
        made[ours] = plain(value.get(second) if second and isinstance(value, dict) else value)
    return {name: value for name, value in made.items() if value is not None}


def _calls(body: bytes) -> list[object]:
    found = decoded(body)
    if isinstance(found, list):
        return found
    if not isinstance(found, dict):
        raise UnreadableDeliveryError("This is neither a call of Segment nor a list of them.")
    return [found]


def _word(event: str) -> str:
    """An event's name as part of a kind: "Demo Requested" is demo_requested."""
    return re.sub(r"\W+", "_", event.casefold()).strip("_") or "unnamed"
