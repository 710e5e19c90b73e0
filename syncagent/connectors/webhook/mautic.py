"""Mautic's webhooks: events by type, one or several in a body, signed over the raw body.

It loses what is answered with anything but 2xx, and switches off at 410: so whatever is signed is stored first. Its
"send test payload" button sends years-old samples with a `timestamp` beside them: answered, and never stored.
Source: marketing_automation.md 5.2.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from syncagent.connectors import signatures
from syncagent.connectors.base import Delivered, Delivery, Reply
from syncagent.connectors.mapping import moment, plain
from syncagent.connectors.webhook.records import decoded
from syncagent.errors import UnreadableDeliveryError
from syncagent.model import Activity, Deleted, Fact, Identity, Lead, Value

KINDS: Final = {
    "mautic.form_on_submit": "form.submitted",
    "mautic.page_on_hit": "page.visited",
    "mautic.email_on_open": "email.opened",
    "mautic.lead_channel_subscription_changed": "email.unsubscribed",
    "mautic.lead_post_save_new": "",
    "mautic.lead_post_save_update": "",
    "mautic.lead_points_change": "",
    "mautic.lead_list_change": "",
}
"""Mautic's events -> our kinds; "" tells of the person only. A change of points may be an echo, and is never scored."""
FIELDS: Final = {
    "firstname": "first_name",
    "lastname": "last_name",
    "position": "title",
    "title": "salutation",
    "companyname": "company",
    "company": "company",
}
"""Aliases of Mautic's contact fields -> our names; others keep theirs."""
DELETED: Final = "mautic.lead_post_delete"
_UTC: Final = ZoneInfo("UTC")
_NOT_ASKED: Final = ("points", "id", "ownerbyid")

Object = dict[str, Any]


class Mautic:
    """The dialect. `events` are added to `KINDS`; "off" leaves one out."""

    methods = frozenset(("POST",))

    def __init__(self, name: str, events: Mapping[str, str]) -> None:
        self._name = name
        known = {_whole(event): kind for event, kind in events.items()}
        self._kinds = {event: kind for event, kind in {**KINDS, **known}.items() if kind != "off"}

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> Reply:
        """`Webhook-Signature` over the raw body. A test is answered and nothing more."""
        given = delivery.headers.get("webhook-signature", "")
        signatures.hmac_base64(given, delivery.body, secrets, "Webhook-Signature")
        body = _body(delivery)
        return Reply(status=200, keep=None if isinstance(body.get("timestamp"), str) else {})

    def read(self, delivery: Delivery, arrived: datetime) -> Delivered:
        """Each event by itself; one that cannot be read harms no other."""
        facts: list[Fact] = []
        refused: list[str] = []
        for what, told in _body(delivery).items():
            for event in told if isinstance(told, list) else (told,):
                try:
                    facts += self._facts(what, event)
                except ValueError as error:
                    refused.append(f"{what}: {error}")
        return Delivered(tuple(facts), tuple(refused))

    def _facts(self, what: str, event: object) -> list[Fact]:
        if what != DELETED and what not in self._kinds:
            return []
        if not isinstance(event, dict):
            raise ValueError("An event is no object.")  # noqa: TRY004 - it is their value
        told = _moment(event.get("timestamp"))
        if what == DELETED:
            number = event.get("id") or _object(event.get("contact") or event.get("lead")).get("id")
            if not number or told is None:
                raise ValueError("It does not say who was deleted, or when.")
            return [Deleted(self._who(number), told)]
        thing, contact = _thing_and_contact(event)
        number = contact.get("id")
        if not number:
            return []  # nobody who is known
        who = self._who(number)
        kind = self._kinds[what]
        at, key, asset = _done(what, event, thing, told)
        if at is None:
            raise ValueError("It has no moment.")
        seen = _moment(contact.get("dateModified")) or told or at
        facts: list[Fact] = []
        attributes = _attributes(contact)
        if attributes or not kind:
            email = str(attributes.get("email") or "")
            facts.append(Lead(who, seen, attributes, (email,) if 0 < email.find("@") < len(email) - 1 else ()))
        if kind and (what != "mautic.lead_channel_subscription_changed" or _has_left(event)):
            facts.append(Activity(who, key or f"{what}.{number}.{at.isoformat()}", at, kind, asset))
        return facts

    def _who(self, number: object) -> Identity:
        return Identity(self._name, "lead", str(number))


def _done(what: str, event: Object, thing: Object, told: datetime | None) -> tuple[datetime | None, str, str]:
    """When it was done, a key where Mautic has an id for it, and with which form, page or email."""
    number = thing.get("id")
    if what == "mautic.form_on_submit":
        form = _object(thing.get("form"))
        asset = form.get("alias") or form.get("name") or ""
        return _moment(thing.get("dateSubmitted")) or told, f"form.{number}" if number else "", str(asset)
    if what == "mautic.page_on_hit":
        asset = thing.get("url") or _object(thing.get("page")).get("alias") or ""
        return _moment(thing.get("dateHit")) or told, f"hit.{number}" if number else "", str(asset)
    if what.startswith("mautic.email_on_"):
        mail = _object(thing.get("email") or event.get("email"))
        asset = mail.get("name") or mail.get("subject") or ""
        key = f"{what.removeprefix('mautic.')}.{number}" if number else ""
        return _moment(thing.get("dateRead")) or told, key, str(asset)
    return told, "", str(event.get("channel") or "")


def _thing_and_contact(event: Object) -> tuple[Object, Object]:
    """What the event is about (a submission, a hit, a sent email), and whose it is."""
    things = [_object(event.get(name)) for name in ("submission", "hit", "stat")]
    thing = next((one for one in things if one), {})
    people = (event.get("contact"), event.get("lead"), thing.get("contact"), thing.get("lead"))
    return thing, next((one for one in map(_object, people) if one), {})


def _attributes(contact: Object) -> dict[str, Value]:
    """The contact's fields by our names, out of their groups."""
    made: dict[str, Value] = {}
    for name, group in _object(contact.get("fields")).items():
        for alias, field in _object(group).items() if name != "all" else ():
            value = plain(field.get("value") if isinstance(field, dict) else field)
            if value is not None and alias not in _NOT_ASKED:
                made[FIELDS.get(alias, alias)] = value
    return made


def _has_left(event: Object) -> bool:
    """Whether they may no longer be written to."""
    return event.get("channel") in (None, "email") and event.get("new_status") != "contactable"


def _body(delivery: Delivery) -> Object:
    body = decoded(delivery.body)
    if not isinstance(body, dict):
        raise UnreadableDeliveryError("Mautic posts an object with events by their type.")
    return body


def _whole(event: str) -> str:
    return event if event.startswith("mautic.") else f"mautic.{event}"


def _object(value: object) -> Object:
    return value if isinstance(value, dict) else {}


def _moment(value: object) -> datetime | None:
    return moment(value, "iso", _UTC)
