"""Marketing's part of reading: contacts as leads, and when which feed of their doings is asked."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from syncagent.connectors.hubspot.activity import FORM, PROPERTY, Doings
from syncagent.connectors.hubspot.facts import emails_of, swallowed
from syncagent.connectors.hubspot.options import Options
from syncagent.connectors.hubspot.portal import Portal
from syncagent.connectors.hubspot.shapes import Row
from syncagent.connectors.hubspot.values import actor, millis, moment, read
from syncagent.connectors.hubspot.walk import Pace, Place, Steps, Told, Walk
from syncagent.model import Activity, Deleted, Fact, Identity, Lead, Merged, Page, Value

_OWN: Final = (
    "email",
    "hs_additional_emails",
    "hs_merged_object_ids",
    "lastmodifieddate",
    "createdate",
    "recent_conversion_date",
)
_BIN_EVERY: Final = 360  # turns
_FORMS_EVERY: Final = 60
_REMEMBERED: Final = 50_000
_ME: Final = "ours"


class Feed:
    """Reads one portal's contacts and their doings."""

    needed: tuple[str, ...] = ("contacts",)
    seen: tuple[str, ...] = ("contacts",)

    def __init__(self, portal: Portal, options: Options) -> None:
        self.portal = portal
        self.name = portal.name
        self.options = options
        self.doings = Doings(portal, options, self.identity)
        self.kinds: tuple[str, ...] = ("contacts", *self.doings.kinds)
        self.walk = Walk(portal, options, self)
        self._names = options.names()
        self._watched = [one.removeprefix(PROPERTY) for one in options.activities if one.startswith(PROPERTY)]
        self._converted: datetime | None = None  # somebody sent a form then: what they sent is to be read
        self._forms_read = False  # an earlier life may have seen who sent a form, and have ended before it was read
        self._said: dict[str, int] = {}  # contact -> digest of what was told

    def identity(self, ident: str) -> Identity:
        """A contact of this portal, as marketing's."""
        return Identity(self.name, "contact", ident)

    def begin(self, since: datetime, until: datetime | None) -> str:
        """The cursor where reading starts."""
        return self.walk.begin(since, until, self.kinds)

    # -- a round

    def asks(self, place: Place, pace: Pace) -> tuple[str, ...]:
        """Contacts and their doings take turns; forms are asked for when a contact says that one was sent."""
        turn = place.turn
        if turn == 0 or place.until is not None:
            return self.kinds
        rare = ("bin",) if turn % _BIN_EVERY == _BIN_EVERY - 1 else ()
        forms = ("forms",) if FORM in self.options.activities else ()
        others = [one for one in self.doings.kinds if one != "forms"]
        if pace != "quiet":
            return ("contacts", *others, *forms, *rare)
        if rare:
            return rare
        if others and turn % 2 == 0:
            return (others[turn // 2 % len(others)],)
        return ("contacts", *forms)

    def step(self, what: str, place: Place, told: Told) -> Steps:
        """One thing that a round asks for."""
        if what == "contacts":
            yield from self.walk.changed(what, what, self._asked(), place, told, self._contacts)
        elif what == "bin":
            yield from self.walk.bin(place, (("contacts", "contact"),))
        elif what != "forms" or self._forms_due(place):
            yield from self.doings.read(what, place, told, self.walk)
            self._forms_read = self._forms_read or what == "forms"

    def _forms_due(self, place: Place) -> bool:
        """Whether a contact was seen that sent a form since they were read; asked for now and then in any case."""
        sent = self._converted is not None and self._converted >= place.marks["forms"] - self.walk.overlap
        if sent and self._converted is not None and self._converted < place.marks["forms"] - 2 * self.walk.lag:
            self._converted = None  # the sweep has been there
        now_and_then = place.turn % _FORMS_EVERY == _FORMS_EVERY - 1
        return sent or now_and_then or not self._forms_read or place.until is not None

    # -- contacts

    def _asked(self) -> list[str]:
        known = self.portal.properties("contacts")
        wanted = (*_OWN, *self._names.values(), *self.options.crm_ids)
        return [name for name in dict.fromkeys(wanted) if name in known or name in _OWN]

    def _contacts(self, rows: Sequence[Row], live: datetime) -> list[Fact]:
        facts: list[Fact] = []
        changed = [str(row["id"]) for row in rows if millis(_stamp(row)) >= millis(live)]
        if self._watched and changed:
            better, _ = self.portal.read("contacts", changed, self._asked(), history=self._watched)
            newer = {str(row["id"]): row for row in better}
            facts += [fact for row in better for fact in self._changes(row, live)]
            rows = [newer.get(str(row["id"]), row) for row in rows]
        for row in rows:
            sent = row["properties"].get("recent_conversion_date")
            if sent and (self._converted is None or moment(sent) > self._converted):
                self._converted = moment(sent)
            facts += self._lead(row)
        return facts

    def _lead(self, row: Row, *, anyhow: bool = False) -> Iterator[Fact]:
        """The contact as a lead, unless it is as it was told: a change of something else is not news."""
        ident, given = str(row["id"]), row["properties"]
        known = self.portal.properties("contacts")
        attributes: dict[str, Value] = {
            ours: read(given[theirs], known.get(theirs)) for ours, theirs in self._names.items() if theirs in given
        }
        also = []
        for theirs, place in self.options.crm_ids.items():
            if value := ident if theirs == "hs_object_id" else given.get(theirs):
                system, word = place.split("/")
                also.append(Identity(system, word, str(value)))
        lead = Lead(self.identity(ident), _stamp(row), attributes, emails_of(given), tuple(also))
        digest = hash(msgspec.json.encode((lead.attributes, lead.emails, lead.also)))
        if anyhow or self._said.get(ident) != digest:
            if len(self._said) > _REMEMBERED:
                self._said.clear()
            self._said[ident] = digest
            yield lead
        if losers := swallowed(row):
            self.doings.forget(losers)
            yield Merged(self.identity(ident), tuple(self.identity(one) for one in losers), _stamp(row))

    def _changes(self, row: Row, live: datetime) -> Iterator[Fact]:
        """Changes of watched properties as activities; our own are none."""
        known = self.portal.properties("contacts")
        for theirs, entries in (row.get("propertiesWithHistory") or {}).items():
            for n, entry in enumerate(entries):
                at = moment(entry["timestamp"])
                if at < live or theirs not in self._watched:
                    continue
                if actor(entry, self.portal.app(), self.portal.owner_of, _ME) == _ME:
                    continue
                old = entries[n + 1].get("value") if n + 1 < len(entries) else None
                yield Activity(
                    self.identity(str(row["id"])),
                    key=f"{theirs}/{row['id']}/{millis(at)}",
                    at=at,
                    kind=self.options.activities[PROPERTY + theirs],
                    asset=str(entry.get("value") or ""),
                    attributes={
                        "property": theirs,
                        "old": read(old, known.get(theirs)),
                        "new": read(entry.get("value"), known.get(theirs)),
                    },
                )

    # -- look

    def look(self, identities: Sequence[Identity]) -> Page:
        """These contacts as they are now, and what merged ones became."""
        ids = list(dict.fromkeys(one.id for one in identities if one.object == "contact" and one.id.isdigit()))
        if not ids:
            return Page((), "")
        found, began = self.portal.read("contacts", ids, self._asked())
        facts: list[Fact] = []
        there: set[str] = set()
        for row in found:
            there |= {str(row["id"]), *swallowed(row)}
            sent = row["properties"].get("recent_conversion_date")
            if sent and (self._converted is None or moment(sent) > self._converted):
                self._converted = moment(sent)
            facts += self._lead(row, anyhow=True)
        gone = [one for one in ids if one not in there]
        self.doings.forget(gone)
        return Page((*facts, *(Deleted(self.identity(one), began) for one in gone)), "", began)


def _stamp(row: Row) -> datetime:
    return moment(row["properties"].get("lastmodifieddate") or row["updatedAt"])
