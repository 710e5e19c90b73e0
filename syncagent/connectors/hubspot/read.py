"""Reading: what is new since a cursor, and how given records stand now.

HubSpot has no call that tells of everything, so the objects take turns: at the pace of the config a round is one call
(records, tasks, records, tasks ..., now and then deals, owners, the recycle bin), 1,440 a day. When the agent asks
sooner than that, something is hot, and a round asks for records, tasks and deals; so it does after a pause. What a
round costs above one call without bringing news is paid for by leaving out as many of the next idle rounds.

Search tells who has changed, by keyset: never by offset, under which rows would slip through while others move, and
which ends at 10,000 (crm.md B7). Search lags, so those who changed are then read by id, which does not, with the
history of what is watched. Each round reads again the last `index_lag`; every five minutes a sweep reads again from
`overlap` before the last sweep: what the index learns within that time is found. `seen_until` is the portal's own time
at which a round began, less `index_lag`.

What happened before the first round of a poll is nobody's answer: of such records the index's own row is taken.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from syncagent.config import seconds
from syncagent.connectors.hubspot.facts import DEAL, TASK, Words, stamp_of, swallowed
from syncagent.connectors.hubspot.portal import DeniedError, Portal
from syncagent.connectors.hubspot.shapes import Row
from syncagent.connectors.hubspot.values import millis, moment
from syncagent.model import Cursor, Deleted, Fact, Identity, Merged, Page

log = logging.getLogger(__name__)

SWEEP: Final = timedelta(minutes=5)
PAGE: Final = 200
_BIN_PAGES: Final = 10
_BIN_EVERY: Final = 360  # turns
_OWNERS_EVERY: Final = 60
_DEALS_EVERY: Final = 10
_MOST_OWED: Final = 20
_ROUND: Final = ("records", "tasks", "deals")


class Place(Struct, frozen=True):
    """The cursor. `marks`: up to where each object was read; `inside`: how far among rows of one stamp (by id).

    `live`: when the first round was; `floor`: nothing before it is asked for; `owed`: idle rounds to leave out.
    """

    floor: datetime
    until: datetime | None
    marks: dict[str, datetime]
    inside: dict[str, str] = {}
    swept: dict[str, datetime] = {}
    live: datetime | None = None
    turn: int = 0
    owed: int = 0
    done: bool = False


Told = dict[str, tuple[int, int]]
"""Rows by object and id: stamp and digest."""


class Reader:
    """Reads one portal; `name` is the system of all identities."""

    def __init__(self, portal: Portal, words: Words) -> None:
        self.portal = portal
        self.words = words
        self.name = portal.name
        options = words.options
        self.lag = timedelta(seconds=seconds(options.index_lag))
        self.overlap = timedelta(seconds=seconds(options.overlap))
        self.pace = timedelta(seconds=seconds(options.poll))
        self._memory: tuple[Cursor, Told] = ("", {})  # what was told, and with which cursor
        self._asked_at: datetime | None = None
        self._denied: set[str] = set()
        self._recent = 0  # only what was changed since is told again by a sweep, and worth remembering

    # -- pull

    @staticmethod
    def begin(since: datetime, until: datetime | None) -> Cursor:
        """The cursor where reading starts."""
        since = since.astimezone(UTC)
        return _encode(Place(since, until and until.astimezone(UTC), dict.fromkeys(_ROUND, since)))

    def pull(self, cursor: Cursor) -> Iterator[Page]:
        """One round: its pages as they come, each with a cursor from which nothing is missed."""
        place = msgspec.json.decode(cursor, type=Place)
        if place.done:
            yield Page((), cursor, place.until)
            return
        now = self.portal.now()
        since = now - self._asked_at if self._asked_at is not None else None
        whole = since is None or since < self.pace / 2 or since >= 3 * self.pace
        self._asked_at = now
        self._recent = millis(now - self.overlap - 2 * SWEEP)
        if place.owed and not whole:
            yield Page((), _encode(structs.replace(place, owed=place.owed - 1)))
            return
        stored, told = self._memory
        told = dict(told) if stored == cursor else {}
        kinds = self._turn(place, whole=whole)
        before, news = self.portal.budget.calls()["made"], False
        for kind in kinds:
            for facts, place in self._one(kind, place, told):  # noqa: B020 - each page leaves a new place
                news = news or (bool(facts) and kind in _ROUND)
                self._memory = (_encode(place), told)
                yield Page(tuple(facts), self._memory[0])
        cost = self.portal.budget.calls()["made"] - before
        owed = place.owed if whole or news else min(place.owed + max(cost - 1, 0), _MOST_OWED)
        place = structs.replace(place, turn=place.turn + 1, owed=owed, done=place.until is not None)
        edge = millis(min(place.swept.values(), default=place.floor) - self.overlap)
        self._memory = (_encode(place), {one: mark for one, mark in told.items() if mark[0] >= edge})
        yield Page((), self._memory[0], min(place.marks["records"], place.marks["tasks"]))

    def _turn(self, place: Place, *, whole: bool) -> tuple[str, ...]:
        """What this round asks for."""
        turn = place.turn
        if turn == 0 or place.until is not None:
            return ("owners", *_ROUND)
        rare = tuple(
            what for every, what in ((_BIN_EVERY, "bin"), (_OWNERS_EVERY, "owners")) if turn % every == every - 1
        )
        if whole:
            return (*_ROUND, *rare)
        if rare:
            return rare
        if turn % _DEALS_EVERY == _DEALS_EVERY - 1:
            return ("deals",)
        return ("records",) if turn % 2 else ("tasks",)

    def _one(self, kind: str, place: Place, told: Told) -> Iterator[tuple[list[Fact], Place]]:
        try:
            if kind == "owners":
                if place.turn:
                    self.portal.forget("owners")
                yield list(self.words.owners(self.portal.owners())), place
            elif kind == "bin":
                yield from self._bin(place)
            else:
                yield from self._changed(kind, place, told)
        except DeniedError as error:
            if kind in ("records", "tasks"):
                raise
            if kind not in self._denied:
                log.warning("%s: %s are left out: %s Run: syncagent check", self.name, kind, error)
            self._denied.add(kind)

    # -- what has changed

    def _changed(self, what: str, place: Place, told: Told) -> Iterator[tuple[list[Fact], Place]]:
        """The rows of one object since its mark, page by page, each with the place behind it."""
        kind = self.words.records if what == "records" else what
        names = {"records": self.words.asked, "tasks": self.task_names}.get(what, lambda: list(DEAL))()
        mark = place.marks[what]
        swept = place.swept.get(what)
        sweeping = swept is None or max(self.portal.now(), mark) - swept >= SWEEP
        start = mark if swept is None else swept - self.overlap if sweeping else mark - 2 * self.lag
        start = max(place.floor, min(start, mark))
        inside = place.inside.get(what, "")
        if inside:
            start = mark
        began: datetime | None = None
        live = place.live
        for rows, at, step in self._walk(kind, names, start, place.until, inside):
            began = began or at
            live = live or began
            fresh = [row for row in rows if self._is_news(kind, row, told)]
            facts = self._facts(what, fresh, live if place.until is None else began)
            seen = {f"{kind}/{row['id']}": self._mark(kind, row) for row in fresh}
            told |= {one: mark for one, mark in seen.items() if mark[0] >= self._recent}
            if rows:
                mark = max(mark, datetime.fromtimestamp(self._stamp(kind, rows[-1]) / 1000, UTC))
            steps = {**place.inside, what: step}
            yield facts, structs.replace(place, marks={**place.marks, what: mark}, inside=steps, live=live)
        end = place.until or max(place.marks[what], (began or self.portal.now()) - self.lag)
        yield (
            [],
            structs.replace(
                place,
                marks={**place.marks, what: end},
                inside={one: ident for one, ident in place.inside.items() if one != what},
                swept={**place.swept, what: end} if sweeping else place.swept,
                live=live,
            ),
        )

    def _walk(
        self, kind: str, names: Sequence[str], start: datetime, until: datetime | None, inside: str
    ) -> Iterator[tuple[list[Row], datetime, str]]:
        """Pages of rows by stamp, when each was asked for, and where inside a stamp the walk stands after it.

        Each page begins at the last stamp of the one before; when all of it has one stamp, its rows are walked by id.
        """
        stamp = stamp_of(kind)
        low, last = millis(start), inside
        while True:
            if last:
                filters = [_filter(stamp, "EQ", low), _filter("hs_object_id", "GT", last)]
            else:
                filters = [_filter(stamp, "GTE", low)]
                if until is not None:
                    filters.append(_filter(stamp, "LT", millis(until)))
            rows, at, more = self.portal.search(kind, filters, "hs_object_id" if last else stamp, names, PAGE)
            if last:
                last = str(rows[-1]["id"]) if more else ""
                low += 0 if more else 1
                yield rows, at, last
                continue
            high = self._stamp(kind, rows[-1]) if rows else low
            stuck = more and high == low
            yield ([] if stuck else rows), at, "0" if stuck else ""
            if not more:
                return
            low, last = high, "0" if stuck else ""

    def _stamp(self, kind: str, row: Row) -> int:
        return millis(moment(row["properties"].get(stamp_of(kind)) or row["updatedAt"]))

    def _is_news(self, kind: str, row: Row, told: Told) -> bool:
        known, mark = told.get(f"{kind}/{row['id']}"), self._mark(kind, row)
        return known is None or mark[0] > known[0] or (mark[0] == known[0] and mark != known)

    def _mark(self, kind: str, row: Row) -> tuple[int, int]:
        return self._stamp(kind, row), hash(msgspec.json.encode(row["properties"], order="sorted"))

    def task_names(self) -> list[str]:
        """The properties to read of a task."""
        known = self.portal.properties("tasks")
        return [name for name in (*TASK, self.words.options.key_property) if name in known]

    def _facts(self, what: str, rows: Sequence[Row], live: datetime) -> list[Fact]:
        """What these rows of the index say; those that changed since `live` are read anew, with their history."""
        if not rows:
            return []
        kind = self.words.records if what == "records" else what
        new = {str(row["id"]) for row in rows if self._stamp(kind, row) >= millis(live)}
        if what == "deals":
            people = self.portal.linked("deals", [str(row["id"]) for row in rows], "contacts")
            return list(self.words.deals(rows, people))
        if what == "tasks":
            return self._tasks(rows, new)
        facts = [fact for row in rows if str(row["id"]) not in new for fact in self.words.record(row)]
        return facts + self._records(sorted(new))

    def _records(self, ids: Sequence[str]) -> list[Fact]:
        """These as they are now, with history; those that are gone are told by the recycle bin, or when used."""
        if not ids:
            return []
        rows, _ = self.portal.read(self.words.records, ids, self.words.asked(), history=self.words.history())
        return [fact for row in _once(rows) for fact in self.words.record(row)]

    def _tasks(self, rows: Sequence[Row], new: set[str]) -> list[Fact]:
        """Tasks with the record that each belongs to; a history is read where somebody else made or changed one."""
        key = self.words.options.key_property
        unclear = [
            str(row["id"])
            for row in rows
            if str(row["id"]) in new
            and (not row["properties"].get(key) or row["properties"].get("hs_task_status") != "NOT_STARTED")
        ]
        holders = self.portal.linked("tasks", [str(row["id"]) for row in rows], self.words.records)
        unclear = [ident for ident in unclear if ident in holders]
        if unclear:
            found, _ = self.portal.read("tasks", unclear, self.task_names(), history=["hs_task_status"])
            better = {str(row["id"]): row for row in found}
            rows = [better.get(str(row["id"]), row) for row in rows]
        return list(self.words.tasks(rows, holders))

    def _bin(self, place: Place) -> Iterator[tuple[list[Fact], Place]]:
        """Records and tasks that have come into the recycle bin since it was read last."""
        since = place.marks.get("bin") or place.live or place.floor
        newest = since
        for kind, word in ((self.words.records, self.words.object), ("tasks", "task")):
            for rows in self.portal.archived(kind, [stamp_of(kind)], _BIN_PAGES):
                gone = [(row, moment(row.get("archivedAt") or row["updatedAt"])) for row in rows]
                newest = max([newest, *(at for _, at in gone)])
                facts: list[Fact] = [
                    Deleted(Identity(self.name, word, str(row["id"])), at) for row, at in gone if at >= since
                ]
                yield facts, place
        yield [], structs.replace(place, marks={**place.marks, "bin": newest})

    # -- look

    def look(self, identities: Sequence[Identity]) -> Page:
        """These as they are now: records with history and our tasks, and what merged ones became."""
        asked: dict[str, list[str]] = {}
        for one in identities:
            if one.id.isdigit():
                asked.setdefault(one.object, []).append(one.id)
        facts: list[Fact] = []
        began: datetime | None = None
        if ids := asked.get(self.words.object):
            rows, began = self.rows_of(ids)
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
            facts += self.words.owners(self.portal.owners())
        return Page(tuple(facts), "", began)

    def rows_of(self, ids: Sequence[str]) -> tuple[dict[str, Row], datetime]:
        """The records as they are now, by the ids that were asked for: a merged one answers with its survivor."""
        found, began = self.portal.read(self.words.records, ids, self.words.asked(), history=self.words.history())
        rows = {str(row["id"]): row for row in found}
        for row in found:
            rows |= {loser: row for loser in swallowed(row) if loser in ids}
        told = {str(row["id"]) for row in found}
        if told - set(ids) and any(one not in rows for one in ids):
            for lost in [one for one in ids if one not in rows]:  # a survivor that does not tell whom it has swallowed
                single, _ = self.portal.read(self.words.records, [lost], self.words.asked())
                rows.update((lost, row) for row in single)
        return {one: rows[one] for one in ids if one in rows}, began

    def _became(self, rows: dict[str, Row]) -> Iterator[Merged]:
        for asked, row in rows.items():
            if asked != str(row["id"]):
                yield Merged(self.words.identity(str(row["id"])), (self.words.identity(asked),), self.words.at(row))

    def ours_on(self, records: Sequence[str]) -> list[Fact]:
        """Our tasks that hang on these records; by association, which does not lag."""
        rows, holders = self.tasks_on(records)
        return list(self.words.tasks(rows, holders))

    def tasks_on(self, records: Sequence[str]) -> tuple[list[Row], dict[str, list[str]]]:
        """The rows of our tasks on these records, and by task the records that each hangs on."""
        key = self.words.options.key_property
        hanging = self.portal.linked(self.words.records, records, "tasks") if records else {}
        holders: dict[str, list[str]] = {}
        for record, tasks in hanging.items():
            for task in tasks:
                holders.setdefault(task, []).append(record)
        if not holders:
            return [], {}
        rows, _ = self.portal.read("tasks", sorted(holders), self.task_names(), history=["hs_task_status"])
        return [row for row in rows if row["properties"].get(key)], holders

    def _look_tasks(self, ids: list[str]) -> tuple[list[Fact], datetime]:
        rows, began = self.portal.read("tasks", ids, self.task_names(), history=["hs_task_status"])
        holders = self.portal.linked("tasks", [str(row["id"]) for row in rows], self.words.records) if rows else {}
        return list(self.words.tasks(rows, holders)), began

    def _look_deals(self, ids: list[str]) -> tuple[list[Fact], datetime]:
        rows, began = self.portal.read("deals", ids, DEAL)
        people = self.portal.linked("deals", [str(row["id"]) for row in rows], "contacts") if rows else {}
        return list(self.words.deals(rows, people)), began


def _once(rows: Any) -> list[Row]:  # noqa: ANN401 - any rows
    """Each record once: two that were merged answer with the same one."""
    return list({str(row["id"]): row for row in rows}.values())


def _filter(name: str, operator: str, value: object) -> dict[str, str]:
    return {"propertyName": name, "operator": operator, "value": str(value)}


def _encode(place: Place) -> Cursor:
    return msgspec.json.encode(place).decode()
