"""What people did, as HubSpot's marketing tells it: forms they sent, emails they opened, pages they saw.

Three feeds with three habits (marketing_automation.md 4.1): submissions come newest first and know no "since"; email
events are told for a span of time, and are the same when id and `created` are; page events exist where the portal is of
the Enterprise kind. Submissions and email events name an address: the contact behind it is looked up, by a hundred.
hubspot-api-client does not know the first two, so all of them are called by path.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from http import HTTPStatus
from typing import Any, Final

from msgspec import structs

from syncagent.clock import monotonic
from syncagent.connectors.campaigns import CAMPAIGN, campaign_in
from syncagent.connectors.hubspot.facts import emails_of
from syncagent.connectors.hubspot.options import Options
from syncagent.connectors.hubspot.portal import DeniedError, Portal
from syncagent.connectors.hubspot.values import millis, moment
from syncagent.connectors.hubspot.walk import Place, Steps, Told, Walk
from syncagent.errors import RetryableError
from syncagent.model import Activity, Fact, Identity, Value

PROPERTY: Final = "property:"
EVENT: Final = "event:"
FORM: Final = "form_submission"
PAGE: Final = "page_view"
VISIT: Final = "e_visited_page"
EMAILS: Final = {
    "email_sent": "SENT",
    "email_delivered": "DELIVERED",
    "email_open": "OPEN",
    "email_click": "CLICK",
    "email_bounce": "BOUNCE",
    "email_dropped": "DROPPED",
    "email_forward": "FORWARD",
    "email_print": "PRINT",
    "email_spam": "SPAMREPORT",
    "email_unsubscribe": "STATUSCHANGE",
}
KNOWN: Final = (FORM, PAGE, *EMAILS)
"""HubSpot's events as the config names them; beside them "property:NAME" and "event:TYPE" (Events v3)."""

_DAY: Final = timedelta(days=1)
_FORM_PAGE: Final = "50"
_EMAIL_PAGE: Final = "1000"
_EVENT_PAGE: Final = "100"
_REMEMBERED: Final = 50_000

Row = dict[str, Any]


class Doings:
    """Reads what is configured of forms, emails and events; `kinds` are the feeds that are asked at all."""

    def __init__(self, portal: Portal, options: Options, identity: Callable[[str], Identity]) -> None:
        self.portal = portal
        self.options = options
        self.kinds: tuple[str, ...] = ()
        given = options.activities
        self._emails = {theirs: given[ours] for ours, theirs in EMAILS.items() if ours in given}
        self._events = {one.removeprefix(EVENT): kind for one, kind in given.items() if one.startswith(EVENT)}
        self._events |= {VISIT: given[PAGE]} if PAGE in given else {}
        self.kinds += ("forms",) if FORM in given else ()
        self.kinds += ("emails",) if self._emails else ()
        self.kinds += ("events",) if self._events else ()
        self._identity = identity
        self._contacts: dict[str, str] = {}  # address -> contact
        self._campaigns: dict[str, str] = {}

    def read(self, what: str, place: Place, told: Told, walk: Walk) -> Steps:
        """What is new in one feed."""
        if what == "forms":
            yield from self.read_forms(place, told, walk)
            return
        start, sweeping = walk.since(what, place)
        pages = {"emails": self._email_pages, "events": self._event_pages}[what]
        began: datetime | None = None
        while True:
            # A day at a time: a long span would begin at its beginning after every interruption.
            end = place.until
            if (end or self.portal.there()) - start > _DAY:
                end = start + _DAY
            for activities, at in pages(start, end):
                began = began or at
                yield _fresh(what, activities, told), place
            if end is None or end == place.until:
                break
            start = end
            place = structs.replace(place, marks={**place.marks, what: max(place.marks[what], end)})
            yield [], place
        yield [], walk.done(what, place, began, sweeping=sweeping)

    def _get(self, path: str, params: Mapping[str, str]) -> tuple[Row, datetime]:
        before = monotonic()
        reply = self.portal.call("GET", path, params=params)
        # A form that was deleted has no more to say, and holds up nobody.
        told: Row = {"results": ()} if reply.status == HTTPStatus.NOT_FOUND else self.portal.decoded(reply)
        return told, self.portal.at_of(reply, before)

    # -- forms

    def forms(self) -> dict[str, str]:
        """The forms that are read: id -> name."""
        if self.options.forms:
            return self.options.forms
        found: dict[str, str] = {}
        for body, _ in self._pages("/marketing/v3/forms", {"limit": "100"}):
            found |= {str(one["id"]): str(one.get("name") or one["id"]) for one in body["results"]}
        return found

    def read_forms(self, place: Place, told: Told, walk: Walk) -> Steps:
        """What was sent since the mark, form by form."""
        start, sweeping = walk.since("forms", place)
        began: datetime | None = None
        for guid, name in self.forms().items():
            for activities, at in self._form_pages(guid, name, start, place.until):
                began = began or at
                yield _fresh("forms", activities, told), place
        yield [], walk.done("forms", place, began, sweeping=sweeping)

    def _form_pages(
        self, guid: str, name: str, start: datetime, end: datetime | None
    ) -> Iterator[tuple[list[Activity], datetime]]:
        path = f"/form-integrations/v1/submissions/forms/{guid}"
        for body, at in self._pages(path, {"limit": _FORM_PAGE}):
            rows = [row for row in body["results"] if _ms(row["submittedAt"]) >= start]
            inside = [row for row in rows if end is None or _ms(row["submittedAt"]) < end]
            values = [{str(one["name"]): str(one.get("value") or "") for one in row["values"]} for row in inside]
            whose = self._who([given.get("email", "") for given in values])
            yield (
                [
                    Activity(
                        self._identity(whose[given["email"].lower()]),
                        key=str(row.get("conversionId") or _hashed(guid, row, given)),
                        at=_ms(row["submittedAt"]),
                        kind=self.options.activities[FORM],
                        asset=name,
                        attributes=_plain({"page": row.get("pageUrl"), **_followed(row.get("pageUrl")), **given}),
                    )
                    for row, given in zip(inside, values, strict=True)
                    if given.get("email", "").lower() in whose
                ],
                at,
            )
            if len(rows) < len(body["results"]):
                break

    # -- emails

    def _email_pages(self, start: datetime, end: datetime | None) -> Iterator[tuple[list[Activity], datetime]]:
        span = {"startTimestamp": str(millis(start)), "limit": _EMAIL_PAGE}
        if end is not None:
            span["endTimestamp"] = str(millis(end))
        offset = ""
        while True:
            body, at = self._get("/email/public/v1/events", span | ({"offset": offset} if offset else {}))
            rows = [row for row in body.get("events") or () if row.get("type") in self._emails]
            whose = self._who([str(row.get("recipient") or "") for row in rows])
            yield (
                [
                    Activity(
                        self._identity(whose[str(row["recipient"]).lower()]),
                        key=f"{row['id']}/{row['created']}",
                        at=_ms(row["created"]),
                        kind=self._emails[row["type"]],
                        asset=(mail := self._campaign(str(row.get("emailCampaignId") or ""))),
                        attributes=_plain({"url": row.get("url"), CAMPAIGN: mail} | _followed(row.get("url"))),
                    )
                    for row in rows
                    if str(row.get("recipient") or "").lower() in whose
                ],
                at,
            )
            if not body.get("hasMore"):
                return
            if body.get("offset") == offset:
                raise RetryableError(f"{self.portal.name}: HubSpot told one page of email events twice.", after=30)
            offset = str(body.get("offset") or "")

    def _campaign(self, number: str) -> str:
        """What the email is called; its number, when HubSpot does not say."""
        if number and number not in self._campaigns:
            reply = self.portal.call("GET", f"/email/public/v1/campaigns/{number}")
            body = reply.decode(dict[str, Any]) if reply.ok else {}
            self._campaigns[number] = str(body.get("name") or number)
        return self._campaigns.get(number, "")

    # -- pages and other events

    def _event_pages(self, start: datetime, end: datetime | None) -> Iterator[tuple[list[Activity], datetime]]:
        for theirs, kind in self._events.items():
            asked = {
                "objectType": "contact",
                "eventType": theirs,
                "occurredAfter": _iso(start),
                "sort": "occurredAt",
                "limit": _EVENT_PAGE,
            }
            if end is not None:
                asked["occurredBefore"] = _iso(end)
            for body, at in self._pages("/events/v3/events", asked):
                yield (
                    [
                        Activity(
                            self._identity(str(row["objectId"])),
                            key=str(row["id"]),
                            at=moment(row["occurredAt"]),
                            kind=kind,
                            asset=_asset(row.get("properties") or {}),
                            attributes=_plain(_of_page(row.get("properties") or {})),
                        )
                        for row in body["results"]
                        if row.get("objectId")
                    ],
                    at,
                )

    def may_have_events(self) -> bool | None:
        """Whether the portal has page events; None when none are asked for."""
        if not self._events:
            return None
        try:
            self._get("/events/v3/events/event-types", {})
        except DeniedError:
            return False
        return True

    # -- what they have in common

    def _pages(self, path: str, params: Mapping[str, str]) -> Iterator[tuple[Row, datetime]]:
        after = ""
        while True:
            body, at = self._get(path, {**params, **({"after": after} if after else {})})
            yield body, at
            following = str(((body.get("paging") or {}).get("next") or {}).get("after") or "")
            if not following:
                return
            if following == after:
                raise RetryableError(f"{self.portal.name}: HubSpot told one page of {path} twice.", after=30)
            after = following

    def _who(self, emails: Sequence[str]) -> dict[str, str]:
        """The contacts behind these addresses. Somebody whom HubSpot is about to make is found by the next sweep."""
        asked = {email.lower() for email in emails if email}
        if unknown := sorted(asked - self._contacts.keys()):
            if len(self._contacts) > _REMEMBERED:
                self._contacts.clear()
            rows, _ = self.portal.read("contacts", unknown, ["email", "hs_additional_emails"], by="email")
            for row in rows:
                self._contacts.update(dict.fromkeys(emails_of(row["properties"]), str(row["id"])))
        return {email: self._contacts[email] for email in asked if email in self._contacts}

    def forget(self, contacts: Sequence[str]) -> None:
        """These were merged or deleted: whose addresses theirs were is looked up anew."""
        gone = set(contacts)
        self._contacts = {email: one for email, one in self._contacts.items() if one not in gone}


def _fresh(what: str, activities: Sequence[Activity], told: Told) -> list[Fact]:
    """Those that were not told yet, noted: most of an overlap was."""
    fresh = [one for one in activities if f"{what}/{one.key}" not in told]
    told |= {f"{what}/{one.key}": (millis(one.at), 0) for one in fresh}
    return list[Fact](fresh)


def _ms(stamp: object) -> datetime:
    return moment(str(stamp))


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _asset(properties: Mapping[str, Any]) -> str:
    return str(properties.get("hs_url") or properties.get("hs_page_title") or "")


def _followed(address: object) -> dict[str, str]:
    campaign = campaign_in(address)
    return {CAMPAIGN: campaign} if campaign else {}


def _of_page(properties: Mapping[str, Any]) -> dict[str, Any]:
    return _followed(properties.get("hs_url")) | dict(properties)


def _plain(given: Mapping[str, Any]) -> dict[str, Value]:
    """What can be said of an activity; whose it is, its identity says."""
    return {
        str(name): value
        for name, value in given.items()
        if isinstance(value, str | int | float | bool) and value != "" and name != "email"
    }


def _hashed(guid: str, row: Mapping[str, Any], given: Mapping[str, str]) -> str:
    """A submission without an id of its own is the same when form, moment and all values are."""
    text = repr((guid, row["submittedAt"], sorted(given.items())))
    return blake2b(text.encode(), digest_size=16).hexdigest()
