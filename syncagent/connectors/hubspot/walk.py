"""Walking through what has changed in a portal: a round's turns, its cursor, and the pages of a search.

Search tells who has changed, by keyset: never by offset, under which rows would slip through while others move, and
which ends at 10,000 (crm.md B7). Each round reads again the last `index_lag`; every five minutes a sweep reads again
from `overlap` before the last sweep: what the index learns within that time is found. `seen_until` is the portal's own
time at which a round began, less `index_lag`.

After a flood (our own, most often) what was told just now would be read again and again: then a usual round reads again
only the youngest half page of what it knows, and where more than a page is still in doubt, it reads the newest page and
counts: when there are as many rows as are known, there is none that it does not know. The count cannot see a row that
was changed twice in that time, the second time unseen, and lies below the newest page: of our own, the histories are
read (`read`), and others a sweep finds.

HubSpot has no call that tells of everything, so the objects take turns: at the pace of the config a round is one call,
1,440 a day. When the agent asks sooner than that, something is hot, and a round asks for more; after a pause for all.
What a round costs above one call without bringing news is paid for by leaving out as many of the next idle rounds.
"""

import heapq
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, Protocol

import msgspec
from msgspec import Struct, structs

from syncagent.config import seconds
from syncagent.connectors.hubspot.facts import stamp_of
from syncagent.connectors.hubspot.options import Options
from syncagent.connectors.hubspot.portal import DeniedError, Portal
from syncagent.connectors.hubspot.shapes import Row
from syncagent.connectors.hubspot.values import millis, moment
from syncagent.model import Cursor, Deleted, Fact, Identity, Page

log = logging.getLogger(__name__)

SWEEP: Final = timedelta(minutes=5)
PAGE: Final = 200
_BIN_PAGES: Final = 10
_MOST_OWED: Final = 20
_ASK_AGAIN: Final = timedelta(hours=1)  # what the app may not read
_BODY: Final = 2_400  # characters of names and ids in one search: its body ends at 3,000 (crm.md B7)

Pace = Literal["quiet", "hot", "afresh"]
"""How the agent asks: as often as the config says, sooner because something is hot, or after a pause."""


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
    rested: bool = False  # the round before was left out: never two in a row
    done: bool = False


Told = dict[str, tuple[int, int]]
"""Rows by object and id: stamp and digest."""

Filter = dict[str, Any]

Steps = Iterator[tuple[list[Fact], Place]]
"""Facts, each time with the place behind them."""


class Plan(Protocol):
    """What is read, and when: the CRM's and marketing's part differ in it."""

    needed: tuple[str, ...]  # what the app must be allowed to read
    seen: tuple[str, ...]  # what `seen_until` speaks of, as far as the app may read it
    kinds: tuple[str, ...]  # all that has a mark of its own in the cursor

    def forget(self) -> None:
        """Nobody knows what of the last pages was stored: what was told is told again where it is read again."""
        ...

    def asks(self, place: Place, pace: Pace) -> tuple[str, ...]:
        """What this round asks for."""
        ...

    def step(self, what: str, place: Place, told: Told) -> Steps:
        """One thing that a round asks for."""
        ...


class Walk:
    """Walks through one portal for one plan."""

    def __init__(self, portal: Portal, options: Options, plan: Plan) -> None:
        self.portal = portal
        self.plan = plan
        self.lag = timedelta(seconds=seconds(options.index_lag))
        self.overlap = timedelta(seconds=seconds(options.overlap))
        self.pace = timedelta(seconds=seconds(options.poll))
        self._memory: tuple[Cursor, Told] = ("", {})  # what was told, and with which cursor
        self._asked_at: datetime | None = None
        self._denied: dict[str, datetime] = {}
        self._recent = 0  # only what was changed since is told again by a sweep, and worth remembering

    @staticmethod
    def begin(since: datetime, until: datetime | None, marks: Sequence[str]) -> Cursor:
        """The cursor where reading starts."""
        since = since.astimezone(UTC)
        return _encode(Place(since, until and until.astimezone(UTC), dict.fromkeys(marks, since)))

    def pull(self, cursor: Cursor) -> Iterator[Page]:
        """One round: its pages as they come, each with a cursor from which nothing is missed."""
        place = msgspec.json.decode(cursor, type=Place)
        if place.done:
            yield Page((), cursor, place.until)
            return
        # What an older cursor does not know of, because the config has named it since, is read from the floor on.
        place = structs.replace(place, marks=dict.fromkeys(self.plan.kinds, place.floor) | place.marks)
        pace = self._pace_of(place)
        stored, told = self._memory
        told = dict(told) if stored == cursor else {}
        if stored != cursor:
            self.plan.forget()
        if place.owed and pace == "quiet" and not place.rested:
            self._memory = (_encode(structs.replace(place, owed=place.owed - 1, rested=True)), told)
            yield Page((), self._memory[0])
            return
        before, news = self.portal.budget.calls()["made"], False
        for what in self.plan.asks(place, pace):
            for facts, place in self._allowed(what, place, told):  # noqa: B020 - each page leaves a new place
                news = news or (bool(facts) and what in place.marks)
                self._memory = (_encode(place), told)
                yield Page(tuple(facts), self._memory[0])
        cost = self.portal.budget.calls()["made"] - before
        owed = place.owed if pace != "quiet" or news else min(place.owed + max(cost - 1, 0), _MOST_OWED)
        place = structs.replace(place, turn=place.turn + 1, owed=owed, rested=False, done=place.until is not None)
        edge = millis(min(place.swept.values(), default=place.floor) - self.overlap)
        self._memory = (_encode(place), {one: mark for one, mark in told.items() if mark[0] >= edge})
        yield Page((), self._memory[0], min(place.marks[what] for what in self.plan.seen if what not in self._denied))

    def _pace_of(self, place: Place) -> Pace:
        """How much this round may cost: one call, a few, or what it takes."""
        if place.until is not None:
            return "afresh"
        now = self.portal.now()
        since = now - self._asked_at if self._asked_at is not None else None
        self._asked_at = now
        self._recent = millis(self.portal.there() - self.overlap - 2 * SWEEP)
        if since is None or since >= 3 * self.pace:
            return "afresh"
        return "hot" if since < self.pace / 2 else "quiet"

    def _allowed(self, what: str, place: Place, told: Told) -> Steps:
        """What the app may not read is left out, said once, and asked for again in an hour."""
        if not self.may_ask(what):
            return
        try:
            yield from self.plan.step(what, place, told)
            self._denied.pop(what, None)
        except DeniedError as error:
            if what in self.plan.needed:
                raise
            if what not in self._denied:
                log.warning("%s: %s are left out: %s Run: syncagent check", self.portal.name, what, error)
            self._denied[what] = self.portal.now()

    def may_ask(self, what: str) -> bool:
        """Whether the app was allowed to read this when it was asked last, or that is long ago."""
        denied = self._denied.get(what)
        return denied is None or self.portal.now() - denied >= _ASK_AGAIN

    # -- objects

    def changed(
        self,
        what: str,
        kind: str,
        names: Sequence[str],
        place: Place,
        told: Told,
        say: Callable[[Sequence[Row], datetime], list[Fact]],
    ) -> Steps:
        """The rows of one object since its mark, page by page.

        `say` makes facts of rows that are news; the moment beside them is that of the first round: what changed before
        it is nobody's answer.
        """
        mark, inside = place.marks[what], place.inside.get(what, "")
        start, sweeping = self.since(what, place)
        if inside:
            start = mark
        elif not sweeping and len(youngest := self._youngest(kind, told)) == PAGE and place.live is not None:
            start = max(start, min(mark, datetime.fromtimestamp(youngest[PAGE // 2] / 1000, UTC)))
            if self._known(kind, start, told) >= PAGE:
                filters = [_filter(stamp_of(kind), "GTE", millis(start))]
                rows, at, total = self.portal.newest(kind, filters, stamp_of(kind), names, PAGE)
                yield self._news(kind, rows, told, say, place.live), place
                if total == self._known(kind, start, told):
                    yield [], self.done(what, place, at, sweeping=False)
                    return
        began: datetime | None = None
        live = place.live
        for rows, at, step in self._walk(kind, names, start, place.until, inside):
            began = began or at
            live = live or began
            facts = self._news(kind, rows, told, say, live if place.until is None else began)
            if rows:
                mark = max(mark, datetime.fromtimestamp(self._stamp(kind, rows[-1]) / 1000, UTC))
            steps = {**place.inside, what: step}
            yield facts, structs.replace(place, marks={**place.marks, what: mark}, inside=steps, live=live)
        yield [], self.done(what, structs.replace(place, live=live), began, sweeping=sweeping)

    def _news(
        self,
        kind: str,
        rows: Sequence[Row],
        told: Told,
        say: Callable[[Sequence[Row], datetime], list[Fact]],
        live: datetime,
    ) -> list[Fact]:
        """The facts of those rows that were not told as they are; they are noted in `told`."""
        fresh = [row for row in rows if self._is_news(kind, row, told)]
        facts = say(fresh, live) if fresh else []
        seen = {f"{kind}/{row['id']}": self._mark(kind, row) for row in fresh}
        told |= {one: mark for one, mark in seen.items() if mark[0] >= self._recent}
        return facts

    @staticmethod
    def _youngest(kind: str, told: Told) -> list[int]:
        """The stamps of a page of the youngest rows that were told, from the youngest on."""
        return heapq.nlargest(PAGE, (mark[0] for one, mark in told.items() if one.startswith(f"{kind}/")))

    @staticmethod
    def _known(kind: str, start: datetime, told: Told) -> int:
        """How many rows are known that have changed since."""
        return sum(mark[0] >= millis(start) for one, mark in told.items() if one.startswith(f"{kind}/"))

    def since(self, what: str, place: Place) -> tuple[datetime, bool]:
        """From where one thing is to be read, and whether that is a sweep."""
        mark, swept = place.marks[what], place.swept.get(what)
        sweeping = swept is None or max(self.portal.there(), mark) - swept >= SWEEP
        start = mark if swept is None else swept - self.overlap if sweeping else mark - 2 * self.lag
        return max(place.floor, min(start, mark)), sweeping

    def done(self, what: str, place: Place, began: datetime | None, *, sweeping: bool) -> Place:
        """The place once one thing was read to its end; `began`: the portal's time before it was asked."""
        end = place.until or max(place.marks[what], (began or self.portal.there()) - self.lag)
        return structs.replace(
            place,
            marks={**place.marks, what: end},
            inside={one: ident for one, ident in place.inside.items() if one != what},
            swept={**place.swept, what: end} if sweeping else place.swept,
        )

    def _walk(
        self, kind: str, names: Sequence[str], start: datetime, until: datetime | None, inside: str
    ) -> Iterator[tuple[list[Row], datetime, str]]:
        """Pages of rows by stamp, when each was asked for, and where inside a stamp the walk stands after it.

        Each page begins at the last stamp of the one before, without the rows that were on that; when a page has one
        stamp, its rows are walked by id.
        """
        stamp = stamp_of(kind)
        low, last = millis(start), inside
        ends = [_filter(stamp, "LT", millis(until))] if until is not None else []
        known: list[str] = []  # those of the last stamp
        groups: list[list[Filter]]
        while True:
            if last:
                groups = [[_filter(stamp, "EQ", low), _filter("hs_object_id", "GT", last)]]
            elif known and sum(len(one) + 3 for one in (*known, *names)) < _BODY:
                others: Filter = {"propertyName": "hs_object_id", "operator": "NOT_IN", "values": known}
                groups = [[_filter(stamp, "GT", low), *ends], [_filter(stamp, "EQ", low), others]]
            else:
                groups = [[_filter(stamp, "GTE", low), *ends]]
            rows, at, more = self.portal.search(kind, groups, "hs_object_id" if last else stamp, names, PAGE)
            if last:
                last = str(rows[-1]["id"]) if more else ""
                low, known = low + (0 if more else 1), []
                yield rows, at, last
                continue
            high = self._stamp(kind, rows[-1]) if rows else low
            stuck = more and high == low
            yield ([] if stuck else rows), at, "0" if stuck else ""
            if not more:
                return
            low, last = high, "0" if stuck else ""
            known = [str(row["id"]) for row in rows if self._stamp(kind, row) == high]

    def _stamp(self, kind: str, row: Row) -> int:
        return millis(moment(row["properties"].get(stamp_of(kind)) or row["updatedAt"]))

    def _is_news(self, kind: str, row: Row, told: Told) -> bool:
        known, mark = told.get(f"{kind}/{row['id']}"), self._mark(kind, row)
        return known is None or mark[0] > known[0] or (mark[0] == known[0] and mark != known)

    def _mark(self, kind: str, row: Row) -> tuple[int, int]:
        return self._stamp(kind, row), hash(msgspec.json.encode(row["properties"], order="sorted"))

    def bin(self, place: Place, kinds: Sequence[tuple[str, str]]) -> Steps:
        """What has come into the recycle bin since it was read last; `kinds`: objects and what we call each."""
        since = place.marks.get("bin") or place.live or place.floor
        newest = since
        for kind, word in kinds:
            for rows in self.portal.pages(kind, [stamp_of(kind)], _BIN_PAGES, archived=True):
                gone = [(row, moment(row.get("archivedAt") or row["updatedAt"])) for row in rows]
                newest = max([newest, *(at for _, at in gone)])
                facts: list[Fact] = [
                    Deleted(Identity(self.portal.name, word, str(row["id"])), at) for row, at in gone if at >= since
                ]
                yield facts, place
        yield [], structs.replace(place, marks={**place.marks, "bin": newest})


def _filter(name: str, operator: str, value: object) -> Filter:
    return {"propertyName": name, "operator": operator, "value": str(value)}


def _encode(place: Place) -> Cursor:
    return msgspec.json.encode(place).decode()
