"""The inbox: deliveries that were answered with 2xx and are not read yet, and those that could not be.

A row is written before the sender is answered, and is gone in the very transaction that stores what it says.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlite_utils.utils import sqlite3

from syncagent.state.codec import moment, ms, text
from syncagent.state.store import MOST_REFUSED, Post

REMEMBERED: Final = timedelta(days=7)
"""So long the name of an undated delivery is remembered: senders try again for up to four days."""
MOST_BYTES: Final = 8 << 20
MOST_REFUSED_BYTES: Final = 256 << 20
"""So much of refused ones is kept; the oldest go first."""
_IN: Final = 500

Row = tuple[str, int, str, bytes]
_decode_head = msgspec.json.Decoder(tuple[str, str, dict[str, str]]).decode


def rows(posts: Iterable[Post]) -> list[Row]:
    """What is written of them, made in the caller's thread."""
    return [(p.source, ms(p.arrived), text((p.method, p.url, p.headers)), p.body) for p in posts]


def put(db: sqlite3.Connection, made: Sequence[Row]) -> None:
    """Keep them."""
    db.executemany("insert into inbox (source, arrived, head, body) values (?, ?, ?, ?)", made)


def waiting(db: sqlite3.Connection, source: str, limit: int) -> tuple[Post, ...]:
    """The oldest that are not read yet, and not many more bytes than `MOST_BYTES` of them."""
    sql = (
        "select id, source, arrived, head, body, refused from inbox"
        " where source = ? and refused is null order by id limit ?"
    )
    posts: list[Post] = []
    size = 0
    for row in db.execute(sql, (source, limit)):
        posts.append(_post(row))
        size += len(row[4])
        if size > MOST_BYTES:
            break
    return tuple(posts)


def refused(db: sqlite3.Connection, limit: int) -> tuple[Post, ...]:
    """Those that could not be read, oldest first."""
    sql = "select id, source, arrived, head, body, refused from inbox where refused is not null order by id limit ?"
    return tuple(_post(row) for row in db.execute(sql, (limit,)))


def _post(row: tuple[int, str, int, str, bytes, str | None]) -> Post:
    number, source, arrived, head, body, why = row
    method, url, headers = _decode_head(head)
    return Post(source, moment(arrived), method, url, headers, body, number, why or "")


def heard(db: sqlite3.Connection, source: str, names: Sequence[str]) -> dict[str, datetime]:
    """When those of the names that are known were first heard."""
    found: dict[str, datetime] = {}
    for start in range(0, len(names), _IN):
        some = names[start : start + _IN]
        sql = f"select name, at from heard where source = ? and name in ({','.join('?' * len(some))})"  # noqa: S608
        found.update((name, moment(at)) for name, at in db.execute(sql, (source, *some)))
    return found


def empty(
    db: sqlite3.Connection,
    source: str,
    read: Sequence[int],
    refused: Mapping[int, str],
    names: Mapping[str, datetime],
    now: datetime,
) -> None:
    """These were read, those could not be; the names are remembered."""
    db.executemany("delete from inbox where id = ?", [(number,) for number in read])
    db.executemany("update inbox set refused = ? where id = ?", [(why, number) for number, why in refused.items()])
    if names:
        _let_go_of_names(db, now)
        db.executemany(
            "insert or ignore into heard values (?, ?, ?)", [(source, name, ms(at)) for name, at in names.items()]
        )


def retry(db: sqlite3.Connection, numbers: Sequence[int] | None) -> int:
    """Have refused ones read again (all of them, if none is named); how many."""
    if numbers is None:
        return db.execute("update inbox set refused = null where refused is not null").rowcount
    sql = "update inbox set refused = null where id = ? and refused is not null"
    return sum(db.execute(sql, (number,)).rowcount for number in numbers)


def anything_expired(db: sqlite3.Connection, before: datetime, now: datetime) -> bool:
    """Whether `expire` would find anything; looks at few rows."""
    oldest = db.execute("select arrived from inbox where refused is not null order by id limit 1").fetchone()
    if oldest is not None and (oldest[0] < ms(before) or _too_many(db)):
        return True
    return db.execute("select 1 from heard where at < ? limit 1", (ms(now - REMEMBERED),)).fetchone() is not None


def _too_many(db: sqlite3.Connection) -> bool:
    count, size = db.execute("select count(*), total(length(body)) from inbox where refused is not null").fetchone()
    return bool(count > MOST_REFUSED or size > MOST_REFUSED_BYTES)


def expire(db: sqlite3.Connection, before: datetime, now: datetime) -> int:
    """The whole of `Store.expire_posts`, inside a transaction."""
    _let_go_of_names(db, now)
    sql = (
        "delete from inbox where id in (select id from (select id, arrived, row_number() over newest as place,"
        " total(length(body)) over newest as size from inbox where refused is not null"
        " window newest as (order by id desc)) where arrived < ? or place > ? or size > ?)"
    )
    return db.execute(sql, (ms(before), MOST_REFUSED, MOST_REFUSED_BYTES)).rowcount


def _let_go_of_names(db: sqlite3.Connection, now: datetime) -> None:
    db.execute("delete from heard where at < ?", (ms(now - REMEMBERED),))


def drop(db: sqlite3.Connection, numbers: Sequence[int]) -> int:
    """Give refused ones up; how many."""
    sql = "delete from inbox where id = ? and refused is not null"
    return sum(db.execute(sql, (number,)).rowcount for number in numbers)


def counts(db: sqlite3.Connection) -> dict[str, int]:
    """How many wait to be read, and how many could not be."""
    # Each from its own index: the rows themselves hold whole bodies.
    sql = "select count(*) from inbox where refused is {} null"
    found = {how: db.execute(sql.format(what)).fetchone()[0] for how, what in (("waiting", ""), ("refused", "not"))}
    return {how: count for how, count in found.items() if count}
