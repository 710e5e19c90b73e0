"""Reading: what is new since a cursor, and how given records stand now.

A round is one composite call of five queries (no more fit into one: crm.md A7), so an idle minute costs one call: 1,440
a day. Four are leads, contacts, tasks and lead history; the fifth is events and opportunities by turns. In three rounds
of thirty it is users, queues or contact roles, in three more accounts, instead of the opportunities. Every query has a
mark of its own in the cursor, so a round without it loses nothing. The history of contacts is asked for when contacts
have changed.

What is guaranteed about late commits (crm.md A10: a row bears the stamp of its writing and shows up at its commit).
Every round reads again the half minute before its mark; every five minutes a sweep reads again from `overlap` (600 s)
before the last sweep, and what is read by turns always does. So a change that is committed within 600 s of its stamp
is found, at the latest five minutes after its commit. `seen_until` is the org's own time at which the round began, for
leads, contacts, tasks, events and history, less `in_flight` (10 s): a save that was under way then bears a stamp from
before and comes with a later round, so no promise is called broken (law 12) on a moment that may still be being saved.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, structs
from simple_salesforce.format import format_soql

from syncagent.config import seconds
from syncagent.connectors.salesforce.options import Options
from syncagent.connectors.salesforce.org import Org, Row, chunks
from syncagent.model import (
    Account,
    CrmRecord,
    CrmTask,
    CrmUser,
    Cursor,
    Deleted,
    Fact,
    FieldChange,
    Identity,
    Merged,
    Opportunity,
    Page,
    Value,
)

ROUND: Final = ("Lead", "Contact", "Task", "LeadHistory")
TURNS: Final = ("Event", "Opportunity")
RARE: Final = {  # in these rounds of thirty, all of them odd
    5: "Account",
    9: "User",
    15: "Account",
    19: "Group",
    25: "Account",
    29: "OpportunityContactRole",
}
WATCHED: Final = (*ROUND, "Event")  # what `seen_until` speaks of
RECENT: Final = timedelta(seconds=30)
_AGES: Final = timedelta(days=365 * 20)
SWEEP: Final = timedelta(minutes=5)
KINDS: Final = {"00Q": "Lead", "003": "Contact", "001": "Account", "005": "User", "00G": "Queue", "006": "Opportunity"}

_FIELDS: Final = {
    "Lead": "Id CreatedDate SystemModstamp LastModifiedById IsDeleted MasterRecordId IsConverted ConvertedContactId",
    "Contact": "Id CreatedDate SystemModstamp LastModifiedById IsDeleted MasterRecordId AccountId",
    "Task": "Id WhoId OwnerId Subject Status IsClosed IsDeleted TaskSubtype Type CompletedDateTime CallDisposition"
    " CreatedDate CreatedById SystemModstamp LastModifiedById",
    "Event": "Id WhoId OwnerId Subject IsDeleted CreatedDate CreatedById SystemModstamp LastModifiedById",
    "Account": "Id CreatedDate SystemModstamp IsDeleted",
    "Opportunity": "Id Name StageName IsClosed IsWon IsDeleted Amount CloseDate OwnerId AccountId CreatedDate"
    " SystemModstamp",
    "LeadHistory": "Id LeadId Field OldValue NewValue CreatedById CreatedDate",
    "ContactHistory": "Id ContactId Field OldValue NewValue CreatedById CreatedDate",
    "User": "Id Name IsActive SystemModstamp",
    "Group": "Id Name SystemModstamp",
    "OpportunityContactRole": "Id OpportunityId ContactId SystemModstamp",
}
_ID: Final = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")  # anything else makes Salesforce refuse the whole query
_WHERE: Final = {"Task": " AND WhoId != null", "Event": " AND WhoId != null", "Group": " AND Type = 'Queue'"}


class Place(Struct, frozen=True):
    """The cursor. `marks`: up to where each query has read; `floor`: nothing before it is asked for."""

    floor: datetime
    until: datetime | None
    swept: datetime
    marks: dict[str, datetime]
    round: int = 0
    done: bool = False


Told = dict[str, tuple[datetime, int]]
"""Rows by id: stamp and digest."""


class Reader:
    """Reads one org; `name` is the system of all identities."""

    def __init__(self, org: Org, options: Options) -> None:
        # What the last pull told, and the cursor that it yielded: only who comes with that cursor has stored it.
        self._memory: tuple[Cursor, Told] = ("", {})
        self.org = org
        self.name = org.name
        self.options = options
        self.overlap = timedelta(seconds=seconds(options.overlap))
        self.in_flight = timedelta(seconds=seconds(options.in_flight))
        self.ours = {
            kind: {theirs: ours for ours, theirs in options.names(kind).items()}
            for kind in ("Lead", "Contact", "Account")
        }

    # -- pull

    def begin(self, since: datetime, until: datetime | None) -> Cursor:
        """The cursor where reading starts."""
        since = since.astimezone(UTC)
        marks = dict.fromkeys((*ROUND, *TURNS, *RARE.values()), since)
        return _encode(Place(since, until and until.astimezone(UTC), since, marks))

    def pull(self, cursor: Cursor) -> Iterator[Page]:
        """One round: its pages as they come, each with a cursor from which nothing is missed."""
        place = msgspec.json.decode(cursor, type=Place)
        place = structs.replace(
            place, marks={"Account": place.floor} | dict.fromkeys(TURNS, place.swept) | place.marks
        )  # older cursors lack events, and accounts
        if place.done:
            yield Page((), cursor, place.until)
            return
        turn = RARE.get(place.round % 30) or TURNS[place.round % len(TURNS)]
        kinds = (*ROUND, *TURNS, *dict.fromkeys(RARE.values())) if place.round == 0 else (*ROUND, turn)
        now_or_so = max(self.org.now(), *place.marks.values())
        sweeping = now_or_so - place.swept >= SWEEP
        texts = [partial(self._since, kind, place, sweeping=sweeping) for kind in kinds]
        stored, told = self._memory
        told = dict(told) if stored == cursor else {}
        held: Page | None = None
        fresh: Told = {}
        marks = dict(place.marks)
        began = max(place.marks.values())
        for pages, when in self.org.pages(texts):
            if held is not None:
                told |= fresh
                self._memory = (held.cursor, told)
                yield held
                fresh = {}
            began = when
            facts: list[Fact] = []
            for kind, rows in zip(kinds, pages, strict=True):
                news = _news(kind, rows, told, fresh)
                facts += self._facts(kind, news)
                if kind == "Contact" and news and place.round:  # in the first, nobody has done anything with us yet
                    facts += self._contact_changes(news)
                if rows:
                    marks[kind] = max(marks[kind], moment(rows[-1][_stamp(kind)]))
            held = Page(tuple(facts), _encode(structs.replace(place, marks=dict(marks))))
        end = place.until or began
        marks |= {kind: max(place.marks[kind], end) for kind in kinds}
        after = structs.replace(
            place,
            marks=marks,
            swept=max(place.swept, end) if sweeping or place.round == 0 else place.swept,
            round=place.round + 1,
            done=place.until is not None,
        )
        seen_until = min(marks[kind] for kind in WATCHED) - (timedelta() if place.until else self.in_flight)
        edge = min(after.swept, *(marks[kind] for kind in TURNS)) - self.overlap
        told = {ident: one for ident, one in (told | fresh).items() if one[0] >= edge}
        last = Page(held.facts if held else (), _encode(after), seen_until)
        self._memory = (last.cursor, told)
        yield last

    def _since(self, kind: str, place: Place, *, sweeping: bool) -> str | None:
        start = place.swept - self.overlap if sweeping else place.marks[kind] - RECENT
        if kind not in ROUND:
            start = place.marks[kind] - self.overlap
        stamp = _stamp(kind)
        text = self._select(kind)
        if text is None or (kind == "Event" and not self.org.visible(kind, "WhoId")):
            return None
        everybody = place.round == 0 and kind in ("User", "Group")  # people are older than the first lead
        start = place.floor - _AGES if everybody else max(place.floor, min(start, place.marks[kind]))
        text += format_soql(f" WHERE {stamp} >= {{}}", start)
        if place.until:
            text += format_soql(f" AND {stamp} < {{}}", place.until)
        return f"{text}{_WHERE.get(kind, '')} ORDER BY {stamp}, Id"

    def _select(self, kind: str, also: Sequence[str] = ()) -> str | None:
        """SELECT ... FROM, of the fields that are visible; None when the object is not."""
        fields = [*_FIELDS[kind].split(), *also]
        if kind in self.ours:
            fields += self.ours[kind]
        elif kind == "Task":
            fields.append(self.options.task_key_field)
        elif kind == "Opportunity" and self.options.deal_currency:
            fields.append(self.options.deal_currency)
        elif kind == "User":
            fields += self.options.user_fields.values()
        shown = [field for field in dict.fromkeys(fields) if self.org.visible(kind, field)]
        return f"SELECT {', '.join(shown)} FROM {kind}" if shown else None  # noqa: S608 - names of fields, checked by Options

    # -- look

    def look(self, identities: Sequence[Identity]) -> Page:
        """These as they are now, leads with their history and our tasks; what they became, if they moved on."""
        asked: dict[str, list[str]] = {}
        for identity in identities:
            asked.setdefault("Group" if identity.object == "Queue" else identity.object, []).append(identity.id)
        asked = {kind: [ident for ident in ids if _ID.fullmatch(ident)] for kind, ids in asked.items()}
        texts = [self.by(kind, "Id", some) for kind in _FIELDS for some in chunks(asked.get(kind, []))]
        people = [*asked.get("Lead", []), *asked.get("Contact", [])]
        texts += [self.by("LeadHistory", "LeadId", some) for some in chunks(asked.get("Lead", []))]
        texts += [self.by("ContactHistory", "ContactId", some) for some in chunks(asked.get("Contact", []))]
        if self.org.visible("Task", self.options.task_key_field):
            ours = f" AND {self.options.task_key_field} != null"
            texts += [self.by("Task", "WhoId", some, more=ours) for some in chunks(people)]
        if not texts:
            return Page((), "")
        results, began = self.org.queries(texts)
        facts = [fact for text, rows in zip(texts, results, strict=True) for fact in self._facts(text.args[0], rows)]
        known = {fact.identity for fact in facts if isinstance(fact, CrmRecord)}
        for _ in range(3):  # a loser of a merge that was converted, and merged again
            further = {
                into
                for fact in facts
                if isinstance(fact, CrmRecord) and (into := fact.merged_into or fact.converted_to) and into not in known
            }
            if not further:
                break
            texts = [
                self.by(kind, "Id", some)
                for kind in ("Lead", "Contact")
                for some in chunks(sorted(one.id for one in further if one.object == kind))
            ]
            results, _ = self.org.queries(texts)
            facts += [
                fact for text, rows in zip(texts, results, strict=True) for fact in self._facts(text.args[0], rows)
            ]
            known |= further
        told = {fact.identity for fact in facts if not isinstance(fact, FieldChange | Merged)}
        gone = [Deleted(one, began) for one in identities if one not in told and one.object in (*_FIELDS, "Queue")]
        return Page((*facts, *gone), "", began)

    def by(
        self, kind: str, field: str, values: Sequence[str], *, also: Sequence[str] = (), more: str = ""
    ) -> "partial[str | None]":
        """The query for the rows whose field has one of these values; its text None when they are not visible."""

        def text(kind: str) -> str | None:
            head = self._select(kind, also)
            return None if head is None else format_soql(f"{head} WHERE {field} IN {{}}", list(values)) + more

        return partial(text, kind)

    # -- rows to facts

    @staticmethod
    def well_formed(ident: str) -> bool:
        """Whether a query may ask for this id."""
        return _ID.fullmatch(ident) is not None

    def identity(self, ident: str) -> Identity | None:
        """The identity behind an id, by its prefix (crm.md A1)."""
        kind = KINDS.get(ident[:3])
        return Identity(self.name, kind, ident) if kind else None

    def _facts(self, kind: str, rows: Sequence[Row]) -> list[Fact]:
        if kind == "Opportunity":
            return self._opportunities(rows)
        if kind == "OpportunityContactRole":
            ids = sorted({row["OpportunityId"] for row in rows})
            texts = [self.by("Opportunity", "Id", some) for some in chunks(ids)]
            found, _ = self.org.queries(texts) if texts else ([], None)
            return self._opportunities([row for some in found for row in some])
        make: Mapping[str, Callable[[Row], Iterable[Fact]]] = {
            "Lead": partial(self.record, "Lead"),
            "Contact": partial(self.record, "Contact"),
            "Account": self._account,
            "Task": self._task,
            "Event": self._event,
            "LeadHistory": partial(self._change, "Lead"),
            "ContactHistory": partial(self._change, "Contact"),
            "User": self._user,
            "Group": self._user,
        }
        return [fact for row in rows for fact in make[kind](row)]

    def record(self, kind: str, row: Row) -> Iterator[Fact]:
        """The record, and that it is gone when it is."""
        identity = Identity(self.name, kind, row["Id"])
        stamp = moment(row["SystemModstamp"])
        email = row.get("Email")
        contact = row.get("ConvertedContactId") if row.get("IsConverted") else None
        winner = row.get("MasterRecordId") if row.get("IsDeleted") else None
        into = Identity(self.name, kind, winner) if winner else None
        yield CrmRecord(
            identity,
            modified_at=stamp,
            created_at=moment(row["CreatedDate"]),
            modified_by=row.get("LastModifiedById") or "",
            fields=self.values(kind, row),
            emails=(email.lower(),) if email else (),
            converted_to=Identity(self.name, "Contact", contact) if contact else None,
            merged_into=into,
            deleted=bool(row.get("IsDeleted")),
            account=row.get("AccountId") or "",
        )
        if into is not None:
            yield Merged(into, (identity,), stamp)
        elif row.get("IsDeleted"):
            yield Deleted(identity, stamp)

    def values(self, kind: str, row: Row) -> dict[str, Value]:
        """The mapped fields of a row by our names; those that were not read are missing."""
        found: dict[str, Value] = {}
        for theirs, ours in self.ours[kind].items():
            at: object = row
            for step in theirs.split("."):
                if not isinstance(at, dict) or step not in at:
                    break
                at = at[step]
            else:
                found[ours] = plain(at)
                continue
            if at is None:  # a relation that leads nowhere
                found[ours] = None
        return found

    def _account(self, row: Row) -> Iterator[Fact]:
        yield Account(
            Identity(self.name, "Account", row["Id"]),
            moment(row["SystemModstamp"]),
            {ours: value for ours, value in self.values("Account", row).items() if value is not None},
            moment(row["CreatedDate"]),
            deleted=bool(row.get("IsDeleted")),
        )

    def _task(self, row: Row) -> Iterator[Fact]:
        record = self.identity(row.get("WhoId") or "")
        if record is None:
            return
        stamp = moment(row["SystemModstamp"])
        closed = bool(row.get("IsClosed"))
        done = row.get("CompletedDateTime")
        subtype = row.get("TaskSubtype") or "Task"
        yield CrmTask(
            Identity(self.name, "Task", row["Id"]),
            record,
            owner=row.get("OwnerId") or "",
            modified_at=stamp,
            created_by=row.get("CreatedById") or "",
            modified_by=row.get("LastModifiedById") or "",
            created_at=moment(row["CreatedDate"]),
            key=row.get(self.options.task_key_field) or "",
            subject=row.get("Subject") or "",
            status=row.get("Status") or "",
            type=subtype if subtype != "Task" else row.get("Type") or "Task",
            closed=closed,
            closed_at=(moment(done) if done else stamp) if closed else None,
            deleted=bool(row.get("IsDeleted")),
            outcome=row.get("CallDisposition") or "",
        )

    def _event(self, row: Row) -> Iterator[Fact]:
        """A meeting counts from its booking, so it is closed then; who comes to it is not known here."""
        record = self.identity(row.get("WhoId") or "")
        if record is None:
            return
        booked = moment(row["CreatedDate"])
        yield CrmTask(
            Identity(self.name, "Event", row["Id"]),
            record,
            owner=row.get("OwnerId") or "",
            modified_at=moment(row["SystemModstamp"]),
            created_by=row.get("CreatedById") or "",
            modified_by=row.get("LastModifiedById") or "",
            created_at=booked,
            subject=row.get("Subject") or "",
            type="Meeting",
            closed=True,
            closed_at=booked,
            deleted=bool(row.get("IsDeleted")),
        )

    def _contact_changes(self, rows: Sequence[Row]) -> list[Fact]:
        """Who changed what on these contacts of late; a call of its own, only when contacts have changed."""
        first = min(moment(row["SystemModstamp"]) for row in rows) - RECENT
        since = format_soql(" AND CreatedDate >= {}", first)
        texts = [
            self.by("ContactHistory", "ContactId", some, more=since) for some in chunks([row["Id"] for row in rows])
        ]
        found, _ = self.org.queries(texts)
        return [fact for some in found for row in some for fact in self._change("Contact", row)]

    def _change(self, kind: str, row: Row) -> Iterator[Fact]:
        theirs = "OwnerId" if row["Field"] in ("Owner", "ownerAssignment", "ownerAccepted") else row["Field"]
        field = self.ours[kind].get(theirs)
        old, new = row.get("OldValue"), row.get("NewValue")
        if field is None or (field == "owner" and str(new or old)[:3] not in KINDS):
            return  # owner changes are told twice, by id and by name (crm.md A14)
        record = Identity(self.name, kind, row[f"{kind}Id"])
        yield FieldChange(
            record, row["Id"], field, plain(old), plain(new), row.get("CreatedById") or "", moment(row["CreatedDate"])
        )

    def _user(self, row: Row) -> Iterator[Fact]:
        queue = row["Id"].startswith("00G")
        kind = "Queue" if queue else "User"
        begin, end = (row.get(self.options.user_fields.get(name, "")) for name in ("away_from", "away_until"))
        yield CrmUser(
            Identity(self.name, kind, row["Id"]),
            row.get("Name") or "",
            row.get("IsActive", True),
            queue,
            self._day(begin) if begin and end else None,
            self._day(end, last=True) if end else None,
        )

    def _day(self, told: str, *, last: bool = False) -> datetime:
        """A moment, or where a date begins in the config's zone; the `last` one of several ends with its day."""
        if "T" in told:
            return moment(told)
        day = datetime.fromisoformat(told) + timedelta(days=last)
        return day.replace(tzinfo=ZoneInfo(self.options.timezone)).astimezone(UTC)

    def _opportunities(self, rows: Sequence[Row]) -> list[Fact]:
        """Deals with all their people, which cost a call of their own: only when deals have changed."""
        texts = [
            self.by("OpportunityContactRole", "OpportunityId", some) for some in chunks([row["Id"] for row in rows])
        ]
        found, _ = self.org.queries(texts, deleted=False) if texts else ([], None)
        people: dict[str, list[Identity]] = {}
        for role in (role for some in found for role in some):
            people.setdefault(role["OpportunityId"], []).append(Identity(self.name, "Contact", role["ContactId"]))
        return [
            Opportunity(
                Identity(self.name, "Opportunity", row["Id"]),
                people=tuple(people.get(row["Id"], ())),
                modified_at=moment(row["SystemModstamp"]),
                created_at=moment(row["CreatedDate"]),
                owner=row.get("OwnerId") or "",
                stage=row.get("StageName") or "",
                closed=bool(row.get("IsClosed")),
                won=bool(row.get("IsWon")),
                amount=row.get("Amount"),
                closed_on=(row.get("CloseDate") or "") if row.get("IsClosed") else "",
                account=row.get("AccountId") or "",
                deleted=bool(row.get("IsDeleted")),
                currency=str(row.get(self.options.deal_currency) or "").upper(),
            )
            for row in rows
        ]


def _news(kind: str, rows: Sequence[Row], told: Told, fresh: Told) -> list[Row]:
    """The rows that were not told as they are, noted in `fresh`: most of an overlap was told before."""
    news: list[Row] = []
    for row in rows:
        one = (moment(row[_stamp(kind)]), hash(msgspec.json.encode(row)))
        if told.get(row["Id"]) != one:
            fresh[row["Id"]] = one
            news.append(row)
    return news


def plain(value: object) -> Value:
    """A field's value as facts hold it: moments as ISO 8601 with their offset written +00:00."""
    if isinstance(value, str) and len(value) == 28 and value.endswith("+0000"):
        return moment(value).isoformat()
    return value if isinstance(value, str | int | float | bool) else None


def moment(text: str) -> datetime:
    """A stamp as Salesforce writes it, UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _stamp(kind: str) -> str:
    return "CreatedDate" if kind.endswith("History") else "SystemModstamp"


def _encode(place: Place) -> Cursor:
    return msgspec.json.encode(place).decode()
