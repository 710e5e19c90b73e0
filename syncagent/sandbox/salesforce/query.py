"""Runs parsed SOQL on the world as the integration user sees it, and keeps the cursors of long results.

A long result is a cursor over ids: what a later page shows is the rows as they are then, and a row that was deleted
meanwhile is missing.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any, Final

from syncagent.sandbox.salesforce import ids
from syncagent.sandbox.salesforce.schema import NUMBERS, Field
from syncagent.sandbox.salesforce.soql import Compare, Condition, Literal, Logic, Order, Select, parse, refuse
from syncagent.sandbox.salesforce.values import parse_moment
from syncagent.sandbox.salesforce.world import RequestError, Row, Table, World, unique_key, wire

Getter = Callable[[Row], Any]
Test = Callable[[Row], bool]
_NAME_FIELDS: Final = frozenset(
    {"Id", "Name", "FirstName", "LastName", "Email", "IsActive", "Type", "Title", "Phone", "Username", "Alias"}
)
_ADVICE: Final = (
    "If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. "
    "Please reference your WSDL or the describe call for the appropriate names."
)
_EXACT: Final = frozenset({"id", "reference", "boolean", "date", "datetime", *NUMBERS})
_ARCHIVE_AFTER: Final = timedelta(days=365)


@dataclass(slots=True)
class Reached:
    """Where a path leads.

    A step is (reference field, relationship name, possible objects); `known` is None for a polymorphic Type.
    """

    steps: list[tuple[str, str, tuple[str, ...]]]
    name: str
    known: Field | None
    get: Getter


@dataclass(slots=True)
class Cursor:
    """An open result: the ids still to be shown and how to show them."""

    kind: str
    ids: list[str]
    show: Callable[[Row, str], dict[str, Any]]
    opened: datetime
    all_rows: bool


class Queries:
    """Answers query, queryAll and the pages that follow."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._cursors: dict[str, Cursor] = {}
        self._last = 0

    def run(self, text: str, version: str, *, all_rows: bool = False, batch: int | None = None) -> dict[str, Any]:
        """The first page; RequestError tells what is wrong with the query."""
        select = parse(text)
        plan = _Plan(self._world, select)
        rows = plan.rows(all_rows=all_rows)
        if select.count:
            return {"totalSize": sum(1 for _ in rows), "done": True, "records": []}
        show = plan.shower()
        size = self._page(batch)
        found = list(rows)
        page: dict[str, Any] = {"totalSize": len(found), "done": len(found) <= size}
        if not page["done"]:
            self._last += 1
            locator = f"01gSb{self._last:010d}AAA"
            ids = [row["Id"] for row in found]
            self._cursors[locator] = Cursor(plan.kind, ids, show, self._world.clock.now(), all_rows)
            page["nextRecordsUrl"] = f"/services/data/{version}/query/{locator}-{size}"
        page["records"] = [show(row, version) for row in found[:size]]
        return page

    def more(self, locator: str, version: str, batch: int | None = None) -> dict[str, Any]:
        """The page at a locator `01g...-offset`; INVALID_QUERY_LOCATOR when the cursor is gone or too old."""
        name, _, offset = locator.rpartition("-")
        cursor = self._cursors.get(name)
        lives = timedelta(seconds=self._world.settings.locator_seconds)
        if cursor is None or not offset.isdigit() or self._world.clock.now() - cursor.opened > lives:
            raise RequestError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        start, size = int(offset), self._page(batch)
        rows = [self._world.tables[cursor.kind].rows.get(ident) for ident in cursor.ids[start : start + size]]
        done = start + size >= len(cursor.ids)
        page: dict[str, Any] = {"totalSize": len(cursor.ids), "done": done}
        if not done:
            page["nextRecordsUrl"] = f"/services/data/{version}/query/{name}-{start + size}"
        page["records"] = [
            cursor.show(row, version) for row in rows if row is not None and (cursor.all_rows or not row["IsDeleted"])
        ]
        return page

    def forget(self) -> None:
        """Let all cursors expire."""
        self._cursors.clear()

    def _page(self, batch: int | None) -> int:
        return min(self._world.settings.page_size, 2000 if batch is None else min(max(batch, 200), 2000))


def reach(world: World, kind: str, path: str, text: str, at: int) -> Reached:
    """What a path of a query leads to, seen from an object.

    RequestError with INVALID_FIELD when the integration user finds nothing there.
    """
    *relations, last = path.split(".")
    if relations and relations[0].lower() == kind.lower() and relations[0] not in world.shapes[kind].fields:
        relations = relations[1:]
    kinds: tuple[str, ...] = (kind,)
    steps: list[tuple[str, str, tuple[str, ...]]] = []
    for relation in relations:
        reference = _relation(world, kinds, relation)
        if reference is None:
            message = f"Didn't understand relationship '{relation}' in field path. {_ADVICE}"
            raise refuse(text, at, "INVALID_FIELD", message)
        kinds = reference.parents
        steps.append((reference.name, reference.relation, kinds))
    known = _field(world, kinds, last)
    if known is None and not (len(kinds) > 1 and last.lower() == "type"):
        message = f"No such column '{last}' on entity '{'Name' if len(kinds) > 1 else kinds[0]}'. {_ADVICE}"
        raise refuse(text, at, "INVALID_FIELD", message)
    name = known.name if known is not None else "Type"
    return Reached(steps, name, known, _getter(world, steps, name, typed=known is None))


def _relation(world: World, kinds: tuple[str, ...], relation: str) -> Field | None:
    fields = world.shapes[kinds[0]].fields.values() if len(kinds) == 1 else ()
    return next(
        (
            known
            for known in fields
            if known.relation.lower() == relation.lower() and world.visible(kinds[0], known.name)
        ),
        None,
    )


def _field(world: World, kinds: tuple[str, ...], name: str) -> Field | None:
    for kind in kinds:
        fields = world.shapes[kind].fields
        real = name if name in fields else next((each for each in fields if each.lower() == name.lower()), None)
        if real is not None and world.visible(kind, real) and (len(kinds) == 1 or real in _NAME_FIELDS):
            return None if len(kinds) > 1 and real == "Type" else fields[real]
    return None


def _getter(world: World, steps: list[tuple[str, str, tuple[str, ...]]], name: str, *, typed: bool) -> Getter:
    if not steps:
        return lambda row: row.get(name)

    def get(row: Row | None) -> object:
        kind = None
        for reference, _, _ in steps:
            ident = None if row is None else row.get(reference)
            kind = None if ident is None else world.kind_of(ident)
            row = None if kind is None or ident is None else world.tables[kind].rows.get(ident)
        return kind if typed and row is not None else (None if row is None else row.get(name))

    return get


def _full(ident: str) -> list[str]:
    return [found] if (found := ids.full(ident)) is not None else []


class _Plan:
    def __init__(self, world: World, select: Select) -> None:
        self.world = world
        self.live_only = True
        self.by_stamp = False
        self.select = select
        names = {name.lower(): name for name in world.tables}
        kind = names.get(select.kind.lower())
        if kind is None:
            message = (
                f"sObject type '{select.kind}' is not supported. If you are attempting to use a custom object, "
                "be sure to append the '__c' after the entity name. Please reference your WSDL or the describe call "
                "for the appropriate names."
            )
            raise refuse(select.text, select.kind_at, "INVALID_TYPE", message)
        self.kind = kind
        self.table: Table = world.tables[kind]
        if select.offset > 2000:
            raise RequestError(400, "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000")
        self.fields = [reach(world, kind, path, select.text, at) for path, at in select.fields]
        self.test = None if select.where is None else self.compile(select.where)
        self.orders = [(order, reach(world, kind, order.path, select.text, order.at)) for order in select.order]

    def rows(self, *, all_rows: bool) -> Iterable[Row]:
        self.live_only = not all_rows
        wanted = self.filter(self.candidates(), all_rows=all_rows)
        stamp = self.table.shape.stamp
        paths = [(found.name, order.descending, bool(found.steps)) for order, found in self.orders]
        in_order = self.by_stamp and paths in ([(stamp, False, False)], [(stamp, False, False), ("Id", False, False)])
        if self.orders and not in_order:
            wanted = iter(self.sort(list(wanted)))
        start, limit = self.select.offset, self.select.limit
        return islice(wanted, start, None if limit is None else start + limit)

    def sort(self, rows: list[Row]) -> list[Row]:
        for order, found in reversed(self.orders):
            rows.sort(key=_key(order, found), reverse=order.descending)
        return rows

    def filter(self, rows: Iterable[Row], *, all_rows: bool) -> Iterator[Row]:
        test = self.test
        old = (self.world.clock.now() - _ARCHIVE_AFTER).date().isoformat() if self.kind == "Task" else ""
        for row in rows:
            if not all_rows and (row["IsDeleted"] or (old and row["IsClosed"] and row.get("ActivityDate", "9") < old)):
                continue
            if test is None or test(row):
                yield row

    def candidates(self) -> Iterable[Row]:
        """The fewest rows that may fit: by id or index, else from the earliest stamp asked for, else all."""
        where = self.select.where
        picked = None if where is None else self.pick(where)
        self.by_stamp = False
        if picked is not None:
            return [self.table.rows[ident] for ident in sorted(set(picked)) if ident in self.table.rows]
        floor = None if where is None else self.floor(where)
        stamped = [order.path == self.table.shape.stamp for order in self.select.order[:1]]
        self.by_stamp = floor is not None or stamped == [True]
        return self.table.since(floor or "") if self.by_stamp else self.table.rows.values()

    def pick(self, where: Condition) -> list[str] | None:
        if isinstance(where, Logic):
            found = [self.pick(part) for part in where.parts] if where.word != "NOT" else [None]
            some = [each for each in found if each is not None]
            if where.word == "AND":
                return min(some, key=len, default=None)
            return [ident for each in some for ident in each] if len(some) == len(found) else None
        if (
            where.sign not in ("=", "IN")
            or where.sub is not None
            or any(each.kind != "text" or not each.value for each in where.values)
        ):
            return None
        known = self.table.shape.fields.get(where.path)
        if known is not None and known.name == "Id":
            return [full for each in where.values for full in _full(each.value)]
        if known is None or known.name not in self.table.indexes or not self.live_only:
            return None
        values = [full for each in where.values for full in (_full(each.value) if known.parents else [each.value])]
        # an index holds live rows only, and folds case exactly where the comparison does
        return [ident for value in values for ident in self.table.indexes[known.name].get(unique_key(known, value), ())]

    def floor(self, where: Condition) -> str | None:
        """The earliest stamp that the condition lets through, where it says one."""
        if isinstance(where, Logic):
            found = [self.floor(part) for part in where.parts] if where.word != "NOT" else [None]
            some = [each for each in found if each is not None]
            if where.word == "AND":
                return max(some, default=None)
            return min(some) if some and len(some) == len(found) else None
        if where.path != self.table.shape.stamp or where.sign not in ("=", ">", ">="):
            return None
        return wire(parse_moment(where.values[0].value)) if where.values[0].kind == "moment" else None

    def compile(self, where: Condition) -> Test:
        if isinstance(where, Logic):
            tests = [self.compile(part) for part in where.parts]
            if where.word == "NOT":
                return lambda row: not tests[0](row)
            if where.word == "AND":
                return lambda row: all(test(row) for test in tests)
            return lambda row: any(test(row) for test in tests)
        return _compare(self.world, self.kind, self.select.text, where)

    def shower(self) -> Callable[[Row, str], dict[str, Any]]:
        kind, fields, world = self.kind, self.fields, self.world
        flat = [found.name for found in fields] if not any(found.steps for found in fields) else None

        def show(row: Row, version: str) -> dict[str, Any]:
            shown: dict[str, Any] = {"attributes": attributes(kind, row["Id"], version)}
            if flat is not None:
                for name in flat:
                    shown[name] = row.get(name)
                return shown
            for found in fields:
                _place(world, shown, row, found, version)
            return shown

        return show


def attributes(kind: str, ident: str, version: str) -> dict[str, str]:
    """What stands at the head of every record."""
    return {"type": kind, "url": f"/services/data/{version}/sobjects/{kind}/{ident}"}


def _place(world: World, shown: dict[str, Any], row: Row, found: Reached, version: str) -> None:
    at: dict[str, Any] = shown
    here: Row | None = row
    for reference, relation, _ in found.steps:
        ident = None if here is None else here.get(reference)
        kind = None if ident is None else world.kind_of(ident)
        here = None if kind is None or ident is None else world.tables[kind].rows.get(ident)
        if here is None or kind is None:
            at.setdefault(relation, None)
            return
        at = at.setdefault(relation, {"attributes": attributes(kind, here["Id"], version)})
    at[found.name] = found.get(row)


def _key(order: Order, found: Reached) -> Callable[[Row], tuple[bool, Any]]:
    # False sorts first: a null goes before everything, unless it is to be last
    present = not order.nulls_last if not order.descending else order.nulls_last
    fold = found.known is not None and found.known.type not in ("id", "reference", *NUMBERS)

    def key(row: Row) -> tuple[bool, Any]:
        value = found.get(row)
        if value is None:
            return (not present, "")
        return (present, value.lower() if fold and isinstance(value, str) else value)

    return key


def _compare(world: World, kind: str, text: str, where: Compare) -> Test:
    found = reach(world, kind, where.path, text, where.at)
    known, get = found.known, found.get
    if known is not None and not known.filterable:
        raise refuse(text, where.at, "INVALID_FIELD", f"field '{known.name}' can not be filtered in a query call")
    if where.sub is not None:
        inner = _Plan(world, where.sub)
        single = inner.fields[0]
        among = {value for row in inner.rows(all_rows=False) if (value := single.get(row)) is not None}
        return (lambda row: get(row) in among) if where.sign == "IN" else (lambda row: get(row) not in among)
    if where.sign == "LIKE":
        pattern = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in str(where.values[0].value))
        like = re.compile(pattern, re.IGNORECASE | re.DOTALL)
        return lambda row: (value := get(row)) is not None and like.fullmatch(str(value)) is not None
    ranges = [_range(world, known, each, text, where.at) for each in where.values]
    if where.sign in ("IN", "NOT IN"):
        wanted = {low for low, _ in ranges}
        fold = _folder(known)
        if where.sign == "IN":
            return lambda row: fold(get(row)) in wanted
        return lambda row: fold(get(row)) not in wanted
    return _sign(get, _folder(known), where.sign, *ranges[0])


def _sign(get: Getter, fold: Callable[[Any], Any], sign: str, low: Any, high: Any) -> Test:  # noqa: ANN401  any wire value
    """Compare with [low, high): a point has high None, a named day is a range."""
    if sign == "=":
        if high is None:
            return lambda row: fold(get(row)) == low
        return lambda row: (value := get(row)) is not None and low <= value < high
    if sign == "!=":
        if high is None:
            return lambda row: fold(get(row)) != low
        return lambda row: (value := get(row)) is None or not low <= value < high
    if low is None:
        return lambda _row: False
    if sign == "<":
        return lambda row: (value := fold(get(row))) is not None and value < low
    if sign == "<=":
        if high is not None:
            return lambda row: (value := get(row)) is not None and value < high
        return lambda row: (value := fold(get(row))) is not None and value <= low
    if sign == ">":
        if high is not None:
            return lambda row: (value := get(row)) is not None and value >= high
        return lambda row: (value := fold(get(row))) is not None and value > low
    return lambda row: (value := fold(get(row))) is not None and value >= low


def _folder(known: Field | None) -> Callable[[Any], Any]:
    if known is None or known.case_sensitive or known.type in _EXACT:
        return lambda value: value
    return lambda value: value.lower() if value is not None else None


def _range(world: World, known: Field | None, literal: Literal, text: str, at: int) -> tuple[Any, Any]:
    """The wire value of a literal, or the two ends of a named day; INVALID_FIELD when its type is not the field's."""
    kind = "string" if known is None else known.type
    value = literal.value
    if literal.kind == "null":
        return (None, None)
    if literal.kind == "day" and kind in ("date", "datetime"):
        return _days(world, kind, value)
    if (literal.kind, kind) == ("moment", "datetime"):
        return (wire(parse_moment(value)), None)
    wanted = "number" if kind in NUMBERS else kind if kind in ("date", "boolean", "datetime") else "text"
    if literal.kind != wanted:
        plain = {"datetime": "dateTime", "currency": "double", "percent": "double"}.get(kind, kind)
        quotes = "should" if wanted == "text" else "should not"
        name = "" if known is None else known.name
        message = (
            f"value of filter criterion for field '{name}' must be of type {plain} and {quotes} be enclosed in quotes"
        )
        raise refuse(text, at, "INVALID_FIELD", message)
    if kind in ("id", "reference"):
        whole = _full(value)
        if not whole and value:
            raise refuse(text, at, "INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {value}")
        return (whole[0] if whole else None, None)
    return (_folder(known)(value) or None if wanted == "text" else value, None)


def _days(world: World, kind: str, word: str) -> tuple[str, str]:
    today = world.clock.now().astimezone(UTC).date()
    name, _, count = word.partition(":")
    first, days = {
        "TODAY": (today, 1),
        "YESTERDAY": (today - timedelta(days=1), 1),
        "TOMORROW": (today + timedelta(days=1), 1),
        "LAST_N_DAYS": (today - timedelta(days=int(count or 0)), int(count or 0) + 1),
        "NEXT_N_DAYS": (today + timedelta(days=1), int(count or 0)),
    }[name]
    last = first + timedelta(days=days)
    return (_day(kind, first), _day(kind, last))


def _day(kind: str, day: date) -> str:
    return day.isoformat() if kind == "date" else wire(datetime.combine(day, time(), UTC))
