"""Activities: one row each. Its number is the person's, shifted, and a hash of which activity it is.

So a person's stand together, each stands once, and a row is found with few pages of the file: the number is all the key
there is, and the inner pages of the tree hold nothing else. Two activities with one hash stand side by side: who finds
a number taken by something else goes on to the next.
"""

import zlib
from collections.abc import Collection, Iterable, Sequence

from sqlite_utils.utils import sqlite3

from syncagent.model import BOT, Activity, Identity
from syncagent.state.codec import decode_activity, ms, text

SHIFT = 32
LAST = (1 << SHIFT) - 1
_DONE_TO_THEM = "('email.bounced', 'email.delivered', 'email.sent')"
Row = tuple[int, str]
"""Number and body."""

_CHUNK = 300


def slot(key: str) -> int:
    """Where a person's activity stands among theirs. It must never change: what is told twice is known by it."""
    return zlib.crc32(key.encode())


def row_of(activity: Activity) -> Row:
    """An activity of a person who is not known yet: to be moved up by `person << SHIFT`."""
    return slot(activity.key), text(activity)


def bodies_of(person: str) -> str:
    """SQL for all of a person's activities as one JSON array, NULL when there are none."""
    return (
        "(select cast('[' || group_concat(body) || ']' as blob) from activity"  # noqa: S608
        f" where id between {person} << {SHIFT} and {person} << {SHIFT} | {LAST})"
    )


def any_of(person: str) -> str:
    """SQL for whether a person has done anything: not what was done to them, nor what a source marks as a bot's."""
    first = f"{person} << {SHIFT}"
    return (
        f"exists (select 1 from activity where activity.id between {first} and {first} | {LAST}"  # noqa: S608
        f""" and json_extract(body, '$[3]') not in {_DONE_TO_THEM} and not instr(body, '"{BOT}":true'))"""
    )


def put(db: sqlite3.Connection, rows: Sequence[Row]) -> list[int]:
    """Store what is new of these, in the order of their numbers; whose each of the new ones is."""
    whose: list[int] = []
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        plain, ignoring = _INSERT_CHUNK if len(chunk) == _CHUNK else _insert(len(chunk))
        values = [value for row in chunk for value in row]
        try:
            # Nearly always all of it is new. Asking for the rows back gives the interpreter's lock away at each.
            db.execute(plain, values)
            whose += [row[0] >> SHIFT for row in chunk]
        except sqlite3.IntegrityError:
            new = {row[0] for row in db.execute(ignoring, values).fetchall()}
            whose += [number >> SHIFT for number in new]
            for number, body in chunk:
                if number in new:
                    new.remove(number)  # the first with this number; a second one is looked at
                elif _beside(db, number, body):
                    whose.append(number >> SHIFT)
    return whose


def _beside(db: sqlite3.Connection, number: int, body: str) -> bool:
    """Whether what found its number taken is new, and stands at the next free one now."""
    while (row := db.execute("select body from activity where id = ?", (number,)).fetchone()) is not None:
        if row[0] == body or _name(row[0]) == _name(body):
            return False
        number = number & ~LAST | (number + 1) & LAST
    db.execute("insert into activity values (?, ?)", (number, body))
    return True


def _name(body: str) -> tuple[str, str, int]:
    """Which one it is, whoever tells it."""
    activity = decode_activity(body)
    return activity.identity.system, activity.key, ms(activity.at)


def move(db: sqlite3.Connection, winner: int, loser: int) -> None:
    """All of the loser's are the winner's now, each once."""
    theirs = (loser << SHIFT, loser << SHIFT | LAST)
    told: Iterable[Row] = db.execute(
        "delete from activity where id between ? and ? returning id, body", theirs
    ).fetchall()
    moved = [row_of(decode_activity(body)) for _, body in told]
    put(db, sorted((winner << SHIFT | number, body) for number, body in moved))


def part(db: sqlite3.Connection, person: int, other: int, identities: Collection[Identity]) -> None:
    """What is told of these identities is the other's now; all are put anew, for a free number ends a search."""
    theirs = (person << SHIFT, person << SHIFT | LAST)
    told = db.execute("delete from activity where id between ? and ? returning body", theirs).fetchall()
    rows = []
    for (body,) in told:
        activity = decode_activity(body)
        rows.append(((other if activity.identity in identities else person) << SHIFT | slot(activity.key), body))
    put(db, sorted(rows))


def forget(db: sqlite3.Connection, person: int, identity: Identity) -> None:
    """What this identity of theirs did is not kept."""
    theirs = (person << SHIFT, person << SHIFT | LAST)
    told = db.execute("delete from activity where id between ? and ? returning body", theirs).fetchall()
    kept = [activity for (body,) in told if (activity := decode_activity(body)).identity != identity]
    put(db, sorted((person << SHIFT | number, body) for number, body in map(row_of, kept)))


def forget_all(db: sqlite3.Connection, person: int) -> None:
    """Nothing that they did is kept."""
    db.execute("delete from activity where id between ? and ?", (person << SHIFT, person << SHIFT | LAST))


def _insert(rows: int) -> tuple[str, str]:
    """For rows that are all new, and for rows of which some may be known: the latter tells which were new."""
    values = ", ".join(["(?, ?)"] * rows)
    return (
        f"insert into activity values {values}",  # noqa: S608
        f"insert or ignore into activity values {values} returning id",  # noqa: S608
    )


_INSERT_CHUNK = _insert(_CHUNK)
