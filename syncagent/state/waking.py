"""Waking whoever waits on a company: in the cold lane, so many at a time, however many it has.

A company's row stands here while its people are being woken, in the order of their ids. What changes meanwhile wakes
them once more, when all have been; and those of a large company rest in between, for each newcomer changes it.
"""

from collections.abc import Iterable

from sqlite_utils.utils import sqlite3

SLICE = 200
"""So many people are woken at once."""
REST_MS = 3_600_000
"""How long the people of a company with more are left alone after they were woken."""


def wake(db: sqlite3.Connection, companies: Iterable[str], now: int) -> None:
    """The picture of these is another now: their people are woken, the first of them at once."""
    waited = "select 1 from waits where what = ? limit 1"
    found = [one for one in sorted(companies) if db.execute(waited, (f"account:{one}",)).fetchone() is not None]
    if found:
        db.executemany(
            "insert into company_wake (id, after, again) values (?, 0, 0) on conflict (id) do update"
            " set again = (again or after is null or after > 0)",
            [(one,) for one in found],
        )
        wake_some(db, now)


def wake_some(db: sqlite3.Connection, now: int) -> None:
    """The next people of those companies that are being woken, `SLICE` of them together."""
    if db.execute("select 1 from company_wake limit 1").fetchone() is None:
        return
    db.execute("delete from company_wake where after is null and again = 0 and rest_until <= ?", (now,))
    db.execute("update company_wake set after = 0, again = 0 where after is null and rest_until <= ?", (now,))
    left = SLICE
    for company, after in db.execute(
        "select id, after from company_wake where after is not null order by id"
    ).fetchall():
        if left <= 0:
            break
        sql = "select person from waits where what = ? and person > ? order by person limit ?"
        people = [row[0] for row in db.execute(sql, (f"account:{company}", after, left))]
        db.executemany(
            "update person set revision = revision + 1, lane = case when dirty_since is null then 1 else lane end,"
            " dirty_since = coalesce(dirty_since, ?) where id = ? and merged_into is null",
            [(now, person) for person in people],
        )
        if len(people) == left:
            db.execute("update company_wake set after = ? where id = ?", (people[-1], company))
        elif after:
            rest = "update company_wake set after = null, rest_until = ? where id = ?"
            db.execute(rest, (now + REST_MS, company))
        else:
            db.execute("delete from company_wake where id = ?", (company,))
        left -= len(people)
