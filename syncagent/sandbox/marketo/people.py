"""Leads, static lists, campaigns and programs of one instance, and the activities that changes leave behind.

Source: marketing_automation.md 1.4 (which change leaves which activity), 1.5 (leads), 1.6 (lists, campaigns,
programs).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from syncagent.sandbox.marketo import catalog as kinds
from syncagent.sandbox.marketo.catalog import Catalog, LeadField
from syncagent.sandbox.marketo.feed import Feed, stamp, tail_of

DEFAULT_FIELDS = ("id", "email", "updatedAt", "createdAt", "firstName", "lastName")
_WHOLE = {"integer": int, "score": int, "float": float, "currency": float, "percent": float}


class RecordError(Exception):
    """One record is refused, by a record-level code; the others of its batch go on."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code, self.message = code, message

    def reasons(self) -> list[dict[str, str]]:
        """The `reasons` of a skipped record."""
        return [{"code": self.code, "message": self.message}]


@dataclass(slots=True)
class Lead:
    """A person; `values` holds fields by REST name, the times are Unix seconds.

    Before `appears` nobody sees it: stories are seeded whole, for a clock that has yet to get there.
    """

    id: int
    created: int
    updated: int
    values: dict[str, Any] = field(default_factory=dict)
    appears: int = 0

    def get(self, name: str) -> Any:  # noqa: ANN401 - a lead field has any JSON type
        """The value of a field, None when it is empty."""
        if name == "id":
            return self.id
        if name in ("createdAt", "updatedAt"):
            return stamp(self.created if name == "createdAt" else self.updated)
        return self.values.get(name)

    def title(self) -> str:
        """How activities name this person."""
        names = (self.values.get("firstName"), self.values.get("lastName"))
        return " ".join(str(name) for name in names if name) or str(self.values.get("email") or self.id)


@dataclass(slots=True)
class StaticList:
    """A static list; members keep the order in which they came."""

    id: int
    name: str
    members: dict[int, None] = field(default_factory=dict)
    program: str = ""
    workspace: str = "Default"
    created: int = 0


@dataclass(slots=True)
class Campaign:
    """A smart campaign; only an active trigger campaign takes requests."""

    id: int
    name: str
    active: bool = True
    kind: str = "trigger"
    program: str = ""
    workspace: str = "Default"
    created: int = 0


@dataclass(slots=True)
class Program:
    """A program and its members' statuses."""

    id: int
    name: str
    members: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hand:
    """Who makes a change: goes into the activities' Reason and Source, by which a reader knows its own echo."""

    now: int
    reason: str = "Web service API"
    source: str = "Web service API"


class People:
    """All records of one instance."""

    def __init__(self, feed: Feed, catalog: Catalog) -> None:
        self.feed, self.catalog = feed, catalog
        self.leads: dict[int, Lead] = {}
        self.merged: dict[int, int] = {}
        self.deleted: set[int] = set()
        self.lists: dict[int, StaticList] = {}
        self.campaigns: dict[int, Campaign] = {}
        self.programs: dict[int, Program] = {}
        self.requests: list[dict[str, Any]] = []
        self._next_id = 1001
        self._index: dict[str, dict[str, dict[int, None]]] = {"email": {}}

    # finding

    def lead(self, number: int, now: int) -> Lead | None:
        """The lead with this id, if it exists by now."""
        found = self.leads.get(number)
        return found if found is not None and found.appears <= now else None

    def find(self, name: str, values: Iterable[str], now: int) -> list[Lead]:
        """The leads whose field has one of the values (case does not matter), by id."""
        if name == "id":
            numbers = {int(value) for value in values if value.strip().isdigit()}
        else:
            index = self._indexed(name)
            numbers = {number for value in values for number in index.get(value.strip().lower(), ())}
        return [found for number in sorted(numbers) if (found := self.lead(number, now)) is not None]

    def shown(self, found: Lead, fields: Iterable[str]) -> dict[str, Any]:
        """A lead as leads.json gives it: id first, then the fields asked for, null where there is nothing."""
        return {"id": found.id} | {name: found.get(name) for name in fields if name != "id"}

    def _indexed(self, name: str) -> dict[str, dict[int, None]]:
        if name not in self._index:
            made: dict[str, dict[int, None]] = {}
            for each in self.leads.values():
                if (value := each.values.get(name)) not in (None, ""):
                    made.setdefault(str(value).lower(), {})[each.id] = None
            self._index[name] = made
        return self._index[name]

    def _put(self, lead: Lead, name: str, value: Any) -> None:  # noqa: ANN401 - a lead field has any JSON type
        index = self._index.get(name)
        if index is not None:
            index.get(str(lead.values.get(name)).lower(), {}).pop(lead.id, None)
            if value not in (None, ""):
                index.setdefault(str(value).lower(), {})[lead.id] = None
        if value is None:
            lead.values.pop(name, None)
        else:
            lead.values[name] = value

    # writing

    def log(
        self,
        hand: Hand,
        lead: int,
        kind: int,
        primary: tuple[int | None, str | None] = (None, None),
        **attributes: Any,  # noqa: ANN401 - JSON
    ) -> str:
        """Write one activity, happening and committed now; underscores in attribute names stand for spaces."""
        named = {name.replace("_", " "): value for name, value in attributes.items()}
        return self.feed.add(lead, kind, hand.now, tail_of(kind, *primary, named), now=hand.now)

    def store(self, values: dict[str, Any], created: int, number: int | None = None) -> Lead:
        """A lead as it stands, without any activity: how seeds come in."""
        number = number or self._next_id
        self._next_id = max(self._next_id, number + 1)
        lead = self.leads[number] = Lead(number, created, created)
        for name, value in values.items():
            self._put(lead, name, value)
        return lead

    def create(self, values: dict[str, Any], hand: Hand) -> Lead:
        """A new lead, with its activity 12."""
        lead = self.store({name: value for name, value in values.items() if value is not None}, hand.now)
        api = hand.source == "Web service API"
        self.log(
            hand,
            lead.id,
            kinds.NEW_LEAD,
            (lead.id, lead.title()),
            Created_Date=stamp(hand.now)[:10],
            Source_Type=hand.source,
            Lead_Source=values.get("leadSource"),
            Modifying_User="apiuser@example.com" if api else None,
        )
        return lead

    def update(self, lead: Lead, values: dict[str, Any], hand: Hand) -> bool:
        """Change fields: an activity 13 for each value that is really new, and a 22 besides for a score."""
        changed = False
        for name, value in values.items():
            old = lead.values.get(name)
            if old == value or (old is None and value in (None, "")):
                continue
            known = self.catalog.fields[name]
            self._put(lead, name, value)
            self._log_change(hand, lead.id, known, old, value)
            changed = True
        if changed:
            lead.updated = hand.now
        return changed

    def _log_change(self, hand: Hand, lead: int, known: LeadField, old: Any, new: Any) -> None:  # noqa: ANN401 - JSON
        primary = (known.id, known.title)
        if known.kind == "score":
            step = int(new or 0) - int(old or 0)
            self.log(
                hand,
                lead,
                kinds.CHANGE_SCORE,
                primary,
                Change_Value=f"{step:+d}",
                Old_Value=old or 0,
                New_Value=new or 0,
                Reason=hand.reason,
            )
        self.log(
            hand,
            lead,
            kinds.CHANGE_VALUE,
            primary,
            New_Value=new,
            Old_Value=old,
            Reason=hand.reason,
            Source=hand.source,
        )

    def checked(self, record: dict[str, Any]) -> dict[str, Any]:
        """The values of an incoming record, made fit for their fields; raises RecordError with the vendor's code."""
        values: dict[str, Any] = {}
        for name, value in record.items():
            known = self.catalog.fields.get(name)
            if known is None:
                raise RecordError("1006", f"Field '{name}' not found")
            if known.read_only:
                raise RecordError("1003", f"Field '{name}' is read only")
            values[name] = _fitting(known, value)
        return values

    def merge(self, winner: Lead, losers: Iterable[int], hand: Hand, source: str) -> None:
        """Losers end: their values fill the winner's gaps, their lists and all that they did become the winner's."""
        ids = [number for number in losers if number != winner.id]
        updated = False
        for number in ids:
            loser = self.leads.pop(number)
            for name, value in list(loser.values.items()):
                self._put(loser, name, None)
                if winner.values.get(name) in (None, ""):
                    self._put(winner, name, value)
                    updated = True
            for each in self.lists.values():
                if number in each.members:
                    del each.members[number]
                    each.members[winner.id] = None
            self.feed.move(number, winner.id)
            self.merged = {old: winner.id if new == number else new for old, new in self.merged.items()} | {
                number: winner.id
            }
        winner.updated = hand.now
        primary = (winner.id, winner.title())
        self.log(
            hand,
            winner.id,
            kinds.MERGE,
            primary,
            Merge_IDs=ids,
            Merge_Source=source,
            Merged_in_Sales=False,
            Master_Updated=updated,
        )

    def delete(self, lead: Lead, hand: Hand) -> None:
        """Remove a lead from everything; what stays is activity 37, seen only by deletedleads.json."""
        title = lead.title()
        for name in list(lead.values):
            self._put(lead, name, None)
        del self.leads[lead.id]
        self.deleted.add(lead.id)
        for each in self.lists.values():
            each.members.pop(lead.id, None)
        self.log(hand, lead.id, kinds.DELETE, (lead.id, title))

    # lists, campaigns, programs

    def enlist(self, target: StaticList, lead: Lead, hand: Hand) -> None:
        """Add to a list; somebody who is a member already leaves no second activity."""
        if lead.id not in target.members:
            target.members[lead.id] = None
            self.log(hand, lead.id, kinds.ADD_TO_LIST, (target.id, target.name), Source=hand.source)

    def delist(self, target: StaticList, lead: Lead, hand: Hand) -> None:
        """Remove from a list; raises RecordError for somebody who is not in it."""
        if lead.id not in target.members:
            raise RecordError("1015", "Lead not in list")
        del target.members[lead.id]
        self.log(hand, lead.id, kinds.REMOVE_FROM_LIST, (target.id, target.name), Source=hand.source)

    def request(self, campaign: Campaign, leads: list[Lead], tokens: list[dict[str, Any]], hand: Hand) -> None:
        """Run leads through a trigger campaign: kept in `requests`, and an activity 47 for each."""
        self.requests.append(
            {"campaignId": campaign.id, "at": stamp(hand.now), "leads": [lead.id for lead in leads], "tokens": tokens}
        )
        for lead in leads:
            self.log(hand, lead.id, kinds.REQUEST_CAMPAIGN, (campaign.id, campaign.name), Source=hand.source)

    def progress(self, program: Program, lead: Lead, status: str, hand: Hand) -> None:
        """Set somebody's status in a program, with an activity 104 when it is another one."""
        old = program.members.get(lead.id, "Not in Program")
        if old != status:
            program.members[lead.id] = status
            self.log(
                hand,
                lead.id,
                kinds.CHANGE_STATUS,
                (program.id, program.name),
                Old_Status=old,
                New_Status=status,
                Reason=hand.reason,
            )

    def members(self, target: StaticList, now: int) -> Iterator[Lead]:
        """The leads of a list that exist by now."""
        return (found for number in target.members if (found := self.lead(number, now)) is not None)


def _fitting(known: LeadField, value: Any) -> Any:  # noqa: ANN401 - a lead field has any JSON type
    if value is None:
        return None
    if known.kind == "email":
        text = str(value)
        local, _, domain = text.partition("@")
        if text and not (local and "." in domain and text.isascii() and " " not in text):
            raise RecordError("1003", f"Invalid value for field '{known.name}' and value '{text}'")
        return text
    if known.kind == "boolean":
        if isinstance(value, bool):
            return value
        if str(value).lower() in {"true", "false", "1", "0", "yes", "no"}:
            return str(value).lower() in {"true", "1", "yes"}
        raise RecordError("1001", f"Invalid value '{value}'. Required of type 'boolean'")
    if (number := _WHOLE.get(known.kind)) is not None:
        try:
            return number(value)
        except (TypeError, ValueError) as error:
            raise RecordError("1001", f"Invalid value '{value}'. Required of type '{known.kind}'") from error
    text = str(value)
    if known.length and len(text) > known.length:
        raise RecordError("1003", f"Value of field '{known.name}' is longer than {known.length}")
    return text
