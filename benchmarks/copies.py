"""Copies of leads whom nobody has handed off: the rows that the agent would have written for others just like them.

`tests/bench/test_year.py` holds such a file against one where the agent has decided everybody.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from sqlite_utils.utils import sqlite3

from benchmarks import world
from syncagent.model.seal import FORMAT, SALT, Told, rest_of, seal_of
from syncagent.state import activities, journal

Pairs = Sequence[tuple[int, int]]
"""The number of a lead that is there, and that of a copy."""
Row = tuple[object, ...]
Change = Callable[[str, int, int], str]
_SOME = 1000


def key(number: int, turn: int) -> str:
    """Of what a lead did as their `turn`th activity."""
    return str(number * world.ACTIVITIES + turn)


def _number(_value: str, _old: int, new: int) -> str:
    return str(new)


def _names(value: str, old: int, new: int) -> str:
    """Numbers stand in what names somebody, and in their name; nowhere else is a digit theirs."""
    value = value.replace(f'"id":"{old}"', f'"id":"{new}"').replace(f'Test{old}"', f'Test{new}"')
    return value.replace(f"person{old}@", f"person{new}@")


def _evidence(value: str, old: int, new: int) -> str:
    if '"evidence":["' in value:
        for turn in range(world.ACTIVITIES):
            value = value.replace(f'"{key(old, turn)}"', f'"{key(new, turn)}"')
    return value


_TABLES: Mapping[str, Mapping[str, Change]] = {
    "person": {},
    "identity": {"ext": _number},
    "email": {"address": _names},
    "said": {"body": _names},
    "judged": {"decision": _evidence},
    "entry": {},
    "visit": {},
}
"""What a file keeps of such a lead, besides activities and the journal; and which columns name the lead."""


class _Line(NamedTuple):
    """A line of the journal, without what is different for everybody."""

    at: int
    kind: str
    handoff: str
    data: str
    config: str
    why: str


def add(path: Path, pairs: Iterable[Pairs]) -> None:
    """Copy leads in a file that nobody has open.

    Raises `SystemExit` where the file keeps more of one of them than is copied here.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for name, value in (("journal_mode", "off"), ("synchronous", "off"), ("cache_size", "-32768")):
            db.execute(f"pragma {name} = {value}")
        for some in pairs:
            _add(db, some)
        db.execute("pragma journal_mode = wal")
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _add(db: sqlite3.Connection, pairs: Pairs) -> None:
    numbers = sorted({old for old, _ in pairs})
    whose = {old: _person(db, old) for old in numbers}
    _nothing_else(db, list(whose.values()))
    [(last,)] = db.execute("select max(id) from person")
    told = [(old, new, last + place) for place, (old, new) in enumerate(pairs, 1)]
    db.execute("begin")
    for table, changes in _TABLES.items():
        _fill(db, table, changes, whose, told)
    lines = {old: _lines(db, person) for old, person in whose.items()}
    engine = journal.engine()
    doings = {old: _doings(db, person, old) for old, person in whose.items()}
    for start in range(0, len(told), _SOME):
        some = told[start : start + _SOME]
        journal.put(db, [([_sealed(one, person, engine) for one in lines[old]], None) for old, _, person in some])
        for old, new, person in some:
            head = f'[{{"system":"web","object":"lead","id":"{new}"}},"'
            keyed = ((key(new, turn), tail) for turn, tail in doings[old])
            rows = sorted(
                (person << activities.SHIFT | activities.slot(one), f"{head}{one}{tail}") for one, tail in keyed
            )
            activities.put(db, rows)
    db.execute("commit")


def _person(db: sqlite3.Connection, number: int) -> int:
    [(person,)] = db.execute(
        "select person from identity where (ext, object, system) = (?, 'lead', 'web')", (str(number),)
    )
    return int(person)


def _nothing_else(db: sqlite3.Connection, people: Sequence[int]) -> None:
    known = {*_TABLES, "journal"}
    tables = db.execute(
        "select m.name from sqlite_master as m join pragma_table_info(m.name) as c on c.name = 'person'"
        " where m.type = 'table'"
    )
    for (table,) in tables.fetchall():
        if table in known:
            continue
        marks = ",".join(map(str, people))
        if db.execute(f"select 1 from {table} where person in ({marks}) limit 1").fetchone():
            raise SystemExit(f"The table {table} knows people who are to be copied: the copies would lack that.")


def _fill(
    db: sqlite3.Connection,
    table: str,
    changes: Mapping[str, Change],
    whose: Mapping[int, int],
    told: Sequence[tuple[int, int, int]],
) -> None:
    """The rows of one table, for all copies."""
    key = "id" if table == "person" else "person"
    names = [name for _, name, *_ in db.execute(f"pragma table_info({table})") if key == name or name != "id"]
    sql = f"select {', '.join(names)} from {table} where {key} = ?"
    there = {old: db.execute(sql, (person,)).fetchall() for old, person in whose.items()}

    def made() -> Iterator[Row]:
        for old, new, person in told:
            for row in there[old]:
                yield tuple(
                    person if name == key else changes[name](str(value), old, new) if name in changes else value
                    for name, value in zip(names, row, strict=True)
                )

    marks = ", ".join("?" * len(names))
    db.executemany(f"insert into {table} ({', '.join(names)}) values ({marks})", made())


def _lines(db: sqlite3.Connection, person: int) -> list[_Line]:
    sql = (
        "select at, kind, handoff, data, config, why from journal as j join journal_told as t on t.id = j.id"
        " where person = ? order by j.id"
    )
    return [_Line(*row) for row in db.execute(sql, (person,))]


def _sealed(line: _Line, person: int, engine: str) -> journal.Row:
    told = (os.urandom(SALT), line.why, b"", b"")
    fields = (line.at, person, line.kind, line.handoff, line.data, line.config, FORMAT, engine)
    sealed = seal_of(Told(*told))
    return journal.Row((*fields, sealed), rest_of(fields, sealed), told)


def _doings(db: sqlite3.Connection, person: int, number: int) -> list[tuple[int, str]]:
    """What they did: the turn of each, and its text behind the key."""
    first = person << activities.SHIFT
    bodies = db.execute("select body from activity where id between ? and ?", (first, first | activities.LAST))
    turns = {key(number, turn): turn for turn in range(world.ACTIVITIES)}
    found = []
    for (body,) in bodies:
        head = f'[{{"system":"web","object":"lead","id":"{number}"}},"'
        if not body.startswith(head):
            raise SystemExit(f"This is no activity of lead {number}: {body}")
        one, _, tail = body[len(head) :].partition('"')
        found.append((turns[one], f'"{tail}'))
    return found
