"""What one CRM user did to many people within a second: statuses set, tasks completed. A bulk edit is no touch.

Rows follow from what the systems say of each person, for a week; whoever asks later has judged long since.
"""

from collections.abc import Iterable, Sequence

from sqlite_utils.utils import sqlite3

from syncagent.model import Crowd
from syncagent.state.codec import Said, moment, ms

_KEEPS_SECONDS = 7 * 86_400
_IN = 500
_EXACT = 64
"""Up to so many everybody is planned anew with each that comes to a crowd; of larger ones when it has doubled."""


def put(db: sqlite3.Connection, changed: Iterable[tuple[int, Said]], now: int) -> set[int]:
    """Keep what was done to these people (`now` in ms); whom it is news for, since a crowd of theirs has grown."""
    since = now // 1000 - _KEEPS_SECONDS
    told = {person: _done(said, since) for person, said in changed if said.changes or said.tasks}
    if not told:
        return set()
    stored: dict[int, set[tuple[int, str]]] = {person: set() for person in told}
    whom = list(told)
    for start in range(0, len(whom), _IN):
        some = whom[start : start + _IN]
        sql = f"select person, at, by from edit where person in ({','.join('?' * len(some))})"  # noqa: S608
        for person, at, by in db.execute(sql, some):
            stored[person].add((at, by))
    gone = [(at, by, person) for person in told for at, by in stored[person] - told[person]]
    new = [(at, by, person) for person in told for at, by in told[person] - stored[person]]
    db.executemany("delete from edit where at = ? and by = ? and person = ?", gone)
    if not new:
        return set()
    db.executemany("insert into edit values (?, ?, ?)", new)
    db.execute("delete from edit where at < ?", (since,))
    return _news(db, new)


def _done(said: Said, since: int) -> set[tuple[int, str]]:
    """By whom in which second, of what could keep a promise."""
    acts = [(one.at, one.by) for one in said.changes if one.field == "status"]
    acts += [(one.closed_at or one.modified_at, one.modified_by) for one in said.tasks if one.closed]
    return {(ms(at) // 1000, by) for at, by in acts if by and ms(at) // 1000 >= since}


def _news(db: sqlite3.Connection, new: Sequence[tuple[int, str, int]]) -> set[int]:
    joined: dict[tuple[int, str], set[int]] = {}
    for at, by, person in new:
        joined.setdefault((at, by), set()).add(person)
    found: set[int] = set()
    for (at, by), persons in joined.items():
        sql = "select distinct person from edit where at between ? and ? and by = ?"
        crowd = {row[0] for row in db.execute(sql, (at - 1, at + 1, by))}
        before = len(crowd - persons)
        if before and (before < _EXACT or before.bit_length() != len(crowd).bit_length()):
            found |= crowd
    return found


Row = tuple[int, str, int, int]
"""Whose change, by whom, in which second, and how many people changed with it."""


def sql_of(people: str) -> str:
    """SQL for each change of these people (a table of which `value` is one's id): a `Row` as JSON, named `j`."""
    return (
        "select json_array(e.person, e.by, e.at, (select count(distinct o.person) from edit as o"  # noqa: S608
        " where o.at between e.at - 1 and e.at + 1 and o.by = e.by)) as j"
        f" from {people} as asked cross join edit as e on e.person = asked.value"
    )


def read(rows: Iterable[Row]) -> dict[int, tuple[Crowd, ...]]:
    """The crowds of people's changes, by person, in the order of time; who was alone is left out."""
    found: dict[int, tuple[Crowd, ...]] = {}
    for person, by, at, count in sorted(rows, key=lambda row: (row[2], row[1])):
        if count > 1:
            found[person] = (*found.get(person, ()), Crowd(by, moment(at * 1000), count))
    return found
