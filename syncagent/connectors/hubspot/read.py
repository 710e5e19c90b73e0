"""The CRM's part of reading: what is new since a cursor, and how given records stand now. How rounds go: see `walk`.

Search lags, so records that changed are then read by id, which does not, with the history of what is watched. What
happened before the first round of a poll is nobody's answer: of such records the index's own row is taken.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from syncagent.connectors.hubspot.companies import Companies
from syncagent.connectors.hubspot.facts import CONTACT, DEAL, TASK, TOUCHES, Words, stamp_of, swallowed
from syncagent.connectors.hubspot.leads import Leads
from syncagent.connectors.hubspot.portal import WITH_HISTORY, DeniedError, Portal
from syncagent.connectors.hubspot.shapes import Row
from syncagent.connectors.hubspot.users import out_of_office
from syncagent.connectors.hubspot.values import millis, moment
from syncagent.connectors.hubspot.walk import Pace, Place, Steps, Told, Walk
from syncagent.model import Cursor, Deleted, Fact, Identity, Merged, Page

_BIN_EVERY: Final = 360  # turns
_REMEMBERED: Final = 50_000
_OWNERS_EVERY: Final = 60
_OTHERS_EVERY: Final = 4
_AGAIN: Final = timedelta(seconds=25)  # a promise that waits looks every half minute


class Reader:
    """Reads one portal; `name` is the system of all identities."""

    def __init__(self, portal: Portal, words: Words, leads: Leads | None = None) -> None:
        self.portal = portal
        self.words = words
        self.leads = leads  # where handoffs are leads
        self.name = portal.name
        self.companies = Companies(portal, words.options)
        self.needed: tuple[str, ...] = ("records", "tasks") if leads is None else ("records", "leads", "tasks")
        self.seen: tuple[str, ...] = (*self.needed, *TOUCHES)
        self.kinds: tuple[str, ...] = ("companies", *self.seen, "deals")
        self.walk = Walk(portal, words.options, self)
        self._wrote: dict[str, dict[str, str]] = {}  # what our own writes have left standing, by record
        self._unchecked: dict[str, None] = {}  # told without their histories, oldest first
        self._seen_now: set[str] = set()  # read with their histories in this round
        self._room = 0  # for so many of ours the history is read in this round
        self._placed: dict[str, tuple[str, str]] = {}  # our own tasks: stamp and contact, as they were made
        self._binned = False  # what was deleted while nobody looked is found at the start

    # -- pull

    def begin(self, since: datetime, until: datetime | None) -> Cursor:
        """The cursor where reading starts."""
        return self.walk.begin(since, until, self.kinds)

    def pull(self, cursor: Cursor) -> Iterator[Page]:
        """One round."""
        return self.walk.pull(cursor)

    def forget(self) -> None:
        """What was told is told again where it is read again; whose history was read last, once more."""
        self.companies.forget()
        self._unchecked = dict.fromkeys(self._seen_now) | self._unchecked

    def asks(self, place: Place, pace: Pace) -> tuple[str, ...]:
        """Records and tasks take turns, now and then what else there is; while something is hot they come together."""
        turn = place.turn
        self._room, self._seen_now = WITH_HISTORY, set()
        if turn == 0 or place.until is not None:
            self._binned = True  # what was deleted before was never told
            return ("owners", *self.kinds)
        rare = tuple(
            what for every, what in ((_BIN_EVERY, "bin"), (_OWNERS_EVERY, "owners")) if turn % every == every - 1
        )
        checks = ("checks",) if self._unchecked else ()
        others = ("companies", "deals", *TOUCHES)
        if pace != "quiet":
            first, self._binned = ("bin",) if not self._binned and not rare else (), True
            if pace == "hot":
                since = self.portal.there() - self.walk.lag - _AGAIN
                others = tuple(what for what in others[1:] if place.marks[what] < since)
            return (*self.needed, *others, *checks, *rare, *first)
        if rare:
            return rare
        if checks and turn % 3 == 1:
            return checks
        return self._stalest(others if turn % _OTHERS_EVERY == _OTHERS_EVERY - 1 else self.needed, place)

    def _stalest(self, kinds: Sequence[str], place: Place) -> tuple[str, ...]:
        may = [what for what in kinds if self.walk.may_ask(what)]
        return (min(may, key=lambda what: place.marks[what]),) if may else ()

    def step(self, what: str, place: Place, told: Told) -> Steps:
        """One thing that a round asks for."""
        if what == "owners":
            if place.turn:
                self.portal.forget("owners")
            yield list(self.words.owners(self.portal.owners(), out_of_office(self.portal))), place
        elif what == "bin":
            yield from self.walk.bin(place, (("contacts", CONTACT), ("tasks", "task")))
        elif what == "records":
            names = self.words.asked()
            yield from self.walk.changed(what, "contacts", names, place, told, self._records)
        elif what == "tasks":
            yield from self.walk.changed(what, what, self.task_names(), place, told, self._tasks)
        elif what == "companies":
            names = self.companies.asked()
            yield from self.walk.changed(what, what, names, place, told, self._companies)
        elif what == "checks":
            yield self._checked(), place
        elif what == "leads" and place.turn == 0:  # they were told with their records
            yield [], self.walk.done(what, place, place.live, sweeping=True)
        elif what in TOUCHES and place.marks[what] <= place.floor:  # what was logged before concerns no handoff of ours
            yield [], self.walk.done(what, place, None if place.turn else place.live, sweeping=True)
        elif what in TOUCHES:
            yield from self.walk.changed(what, what, TOUCHES[what], place, told, partial(self._touches, what))
        elif what == "leads" and self.leads is not None:
            yield from self.walk.changed(what, what, self.leads.names(), place, told, self._leads)
        else:
            yield from self.walk.changed(what, what, DEAL, place, told, self._deals)

    def task_names(self) -> list[str]:
        """The properties to read of a task."""
        known = self.portal.properties("tasks")
        return [name for name in (*TASK, self.words.options.key_property) if name in known]

    def _records(self, rows: Sequence[Row], live: datetime) -> list[Fact]:
        """What changed since `live` is read by id; what is gone is told by the recycle bin, or when it is used."""
        new = _since("contacts", rows, live)
        ours = {str(row["id"]) for row in rows if str(row["id"]) in new and self._is_ours(row)}
        later = sorted(ours)[self._room :]
        self._room = max(self._room - len(ours), 0)
        self._unchecked |= dict.fromkeys(later)
        now = new.difference(later)
        # To tell a record with its lead costs calls: those wait for the check, their receipt has told what stands.
        apart = now if self.leads is None else new
        facts: list[Fact] = []
        for row in self.whole([row for row in rows if str(row["id"]) not in apart]):
            facts += self.words.record(row, by=self.words.me() if str(row["id"]) in ours else "")
        return [*facts, *self._now(sorted(now))]

    def wrote(self, ident: str, row: Row) -> None:
        """What is watched of a record stands so since our own write."""
        if len(self._wrote) > _REMEMBERED:
            self._wrote.clear()
        self._wrote[ident] = {name: row["properties"].get(name) or "" for name in self.words.history()}

    def _is_ours(self, row: Row) -> bool:
        """Whether all that is watched stands as we have written it: then nobody has answered since.

        Whom our write ran over between its read and its effect, its history shows: that is looked at later.
        """
        wrote = self._wrote.pop(str(row["id"]), None)
        return wrote is not None and all((row["properties"].get(name) or "") == wrote[name] for name in wrote)

    def _checked(self) -> list[Fact]:
        """The histories of records that were told without them, as many as a call holds."""
        return self._now(list(self._unchecked)[:WITH_HISTORY])

    def _now(self, ids: Sequence[str]) -> list[Fact]:
        """These records as they stand, with their histories."""
        if not ids:
            return []
        found, _ = self.portal.read("contacts", ids, self.words.asked(), history=self.words.history())
        for one in ids:
            self._unchecked.pop(one, None)
        self._seen_now.update(ids)
        return [fact for row in self.whole(_once(found), history=True) for fact in self.words.record(row)]

    def whole(self, rows: Sequence[Row], *, history: bool = False, companies: bool = True) -> list[Row]:
        """The contacts' rows with what their leads say, where handoffs are leads, and their companies."""
        told = list(rows) if self.leads is None else self.leads.beside(rows, history=history)
        return self.companies.beside(told) if companies else told

    def _leads(self, rows: Sequence[Row], _live: datetime) -> list[Fact]:
        """The records whose leads have changed; our own changes are looked at with the other histories."""
        if self.leads is None:
            return []
        ours = {str(row["id"]): self.leads.ours(row) for row in rows}
        self._unchecked |= dict.fromkeys(one for one in ours.values() if one and one not in self._seen_now)
        return self._now(self.leads.holders([row for row in rows if not ours[str(row["id"])]]))

    def _companies(self, rows: Sequence[Row], _live: datetime) -> list[Fact]:
        return list(self.companies.facts(rows))

    def _touches(self, kind: str, rows: Sequence[Row], live: datetime) -> list[Fact]:
        """Calls, emails and meetings that were logged since, by the contacts that they are about."""
        ids = sorted(_since(kind, rows, live))
        holders = self.portal.linked(kind, ids, "contacts") if ids else {}
        return list(self.words.touches(kind, rows, holders))

    def _deals(self, rows: Sequence[Row], _live: datetime) -> list[Fact]:
        return self._told_deals(rows)

    def _told_deals(self, rows: Sequence[Row]) -> list[Fact]:
        """Deals with the people and the company of each."""
        ids = [str(row["id"]) for row in rows]
        if not ids:
            return []
        people = self.portal.linked("deals", ids, "contacts")
        try:
            companies = self.portal.linked("deals", ids, "companies")
        except DeniedError:  # without the scope for companies
            companies = {}
        return list(self.words.deals(rows, people, companies))

    def _tasks(self, rows: Sequence[Row], live: datetime) -> list[Fact]:
        """Tasks with the record that each belongs to; a history is read where somebody else made or changed one."""
        key, new = self.words.options.key_property, _since("tasks", rows, live)
        unclear = [
            str(row["id"])
            for row in rows
            if str(row["id"]) in new
            and (not row["properties"].get(key) or row["properties"].get("hs_task_status") != "NOT_STARTED")
        ]
        holders = self._holders(rows)
        unclear = [ident for ident in unclear if ident in holders]
        if unclear:
            found, _ = self.portal.read("tasks", unclear, self.task_names(), history=["hs_task_status"])
            better = {str(row["id"]): row for row in found}
            rows = [better.get(str(row["id"]), row) for row in rows]
        return list(self.words.tasks(rows, holders))

    def placed(self, row: Row, contact: str) -> None:
        """A task of ours hangs on this contact since it was made."""
        if len(self._placed) > _REMEMBERED:
            self._placed.clear()
        self._placed[str(row["id"])] = row["updatedAt"], contact

    def _holders(self, rows: Sequence[Row]) -> dict[str, list[str]]:
        """The contacts of these tasks; of those that stand as we have made them, without asking."""
        known = {str(row["id"]): self._placed.pop(str(row["id"]), ("", "")) for row in rows}
        made = {
            str(row["id"]): [known[str(row["id"])][1]] for row in rows if known[str(row["id"])][0] == row["updatedAt"]
        }
        others = [ident for ident in known if ident not in made]
        return made | (self.portal.linked("tasks", others, "contacts") if others else {})

    # -- look

    def look(self, identities: Sequence[Identity]) -> Page:
        """These as they are now: records with history and our tasks, and what merged ones became."""
        asked: dict[str, list[str]] = {}
        for one in identities:
            if one.id.isdigit():
                asked.setdefault(one.object, []).append(one.id)
        facts: list[Fact] = []
        began: datetime | None = None
        if (ids := asked.get("lead")) and self.leads is not None:
            facts += self._now(self.leads.holders([{"id": one} for one in ids]))
        if ids := asked.get(CONTACT):
            rows, began = self.rows_of(ids, history=True)
            records = sorted({str(row["id"]) for row in rows.values()})
            facts += [fact for row in _once(rows.values()) for fact in self.words.record(row)]
            facts += self._became(rows)
            facts += self.ours_on(records)
            facts += [Deleted(self.words.identity(one), began) for one in ids if one not in rows]
        looks: tuple[tuple[str, Callable[[list[str]], tuple[list[Fact], datetime]]], ...] = (
            ("task", self._look_tasks),
            ("deal", self._look_deals),
        )
        for word, look in looks:
            if ids := asked.get(word):
                found, began = look(ids)
                told = {fact.identity.id for fact in found if hasattr(fact, "identity")}
                facts += found
                facts += [Deleted(Identity(self.name, word, one), began) for one in ids if one not in told]
        if asked.keys() & {"user", "queue"}:
            facts += self.words.owners(self.portal.owners(), out_of_office(self.portal))
        return Page(tuple(facts), "", began)

    def rows_of(self, ids: Sequence[str], *, history: bool = False) -> tuple[dict[str, Row], datetime]:
        """The records as they are now, by the ids that were asked for: a merged one answers with its survivor."""
        watched = self.words.history() if history else ()
        found, began = self.portal.read("contacts", ids, self.words.asked(), history=watched)
        found = self.whole(found, history=history, companies=history)  # who only writes can do without
        rows = {str(row["id"]): row for row in found}
        for row in found:
            rows |= {loser: row for loser in swallowed(row) if loser in ids}
        told = {str(row["id"]) for row in found}
        if told - set(ids) and any(one not in rows for one in ids):
            for lost in [one for one in ids if one not in rows]:  # a survivor that does not tell whom it has swallowed
                single, _ = self.portal.read("contacts", [lost], self.words.asked())
                rows.update((lost, row) for row in self.whole(single, companies=history))
        return {one: rows[one] for one in ids if one in rows}, began

    def _became(self, rows: dict[str, Row]) -> Iterator[Merged]:
        for asked, row in rows.items():
            if asked != str(row["id"]):
                yield Merged(self.words.identity(str(row["id"])), (self.words.identity(asked),), self.words.at(row))

    def ours_on(self, records: Sequence[str]) -> list[Fact]:
        """Our tasks that hang on these records; by association, which does not lag."""
        rows, holders = self.tasks_on(records, history=["hs_task_status"])
        return list(self.words.tasks(rows, holders))

    def tasks_on(self, records: Sequence[str], history: Sequence[str] = ()) -> tuple[list[Row], dict[str, list[str]]]:
        """The rows of our tasks on these records, and by task the records that each hangs on."""
        key = self.words.options.key_property
        hanging = self.portal.linked("contacts", records, "tasks") if records else {}
        holders: dict[str, list[str]] = {}
        for record, tasks in hanging.items():
            for task in tasks:
                holders.setdefault(task, []).append(record)
        if not holders:
            return [], {}
        rows, _ = self.portal.read("tasks", sorted(holders), self.task_names(), history=history)
        return [row for row in rows if row["properties"].get(key)], holders

    def _look_tasks(self, ids: list[str]) -> tuple[list[Fact], datetime]:
        rows, began = self.portal.read("tasks", ids, self.task_names(), history=["hs_task_status"])
        holders = self.portal.linked("tasks", [str(row["id"]) for row in rows], "contacts") if rows else {}
        return list(self.words.tasks(rows, holders)), began

    def _look_deals(self, ids: list[str]) -> tuple[list[Fact], datetime]:
        rows, began = self.portal.read("deals", ids, DEAL)
        return self._told_deals(rows), began


def _once(rows: Iterable[Row]) -> list[Row]:
    """Each record once: two that were merged answer with the same one."""
    return list({str(row["id"]): row for row in rows}.values())


def _since(kind: str, rows: Sequence[Row], live: datetime) -> set[str]:
    """The ids of those that changed since."""
    stamp = stamp_of(kind)
    return {
        str(row["id"])
        for row in rows
        if millis(moment(row["properties"].get(stamp) or row["updatedAt"])) >= millis(live)
    }
