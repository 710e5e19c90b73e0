"""Reading: whom to plan, the roster, and what `status`, `explain` and the loop ask (dossiers: `dossiers.py`).

Every function takes a read-only connection; who calls holds a read transaction around one batch and not longer, for a
long one keeps the writer's log from being folded into the file.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace
from sqlite_utils.utils import sqlite3

from syncagent.model import Decision, HealthSnapshot, Lane, Roster, Usage
from syncagent.model.address import read_address
from syncagent.state import hints, inbox
from syncagent.state.codec import (
    Said,
    decode_data,
    decode_decision,
    decode_roster,
    decode_usage,
    maybe_moment,
    moment,
    ms,
    text,
)
from syncagent.state.proof import JournalEntry
from syncagent.state.store import Held

IN = 500
_NOTHING_SAID = Said()


def _marks(count: int) -> str:
    return ",".join("?" * count)


def unsettled_ids(db: sqlite3.Connection, now: datetime, limit: int, lane: Lane | None) -> list[int]:
    """Whom to plan next, in the order lane, since when, person. A wake-up is hot: somebody was promised something."""
    only = "" if lane is None else f" and lane = {int(lane)}"
    rows: list[tuple[int, int, int]] = db.execute(
        "select lane, dirty_since, id from person where dirty_since is not null and held is null"  # noqa: S608
        f"{only} order by lane, dirty_since, id limit ?",
        (limit,),
    ).fetchall()
    if lane is not Lane.COLD:
        woken = db.execute(
            "select 0, wake_at, id from person where wake_at is not null and wake_at <= ? and held is null"
            " and (dirty_since is null or lane = 1) order by wake_at, id limit ?",
            (ms(now), limit),
        ).fetchall()
        if woken:
            due = {row[2] for row in woken}
            rows = sorted([row for row in rows if row[2] not in due] + woken)[:limit]
    return [row[2] for row in rows]


def decided(db: sqlite3.Connection, people: Sequence[int]) -> dict[int, Decision]:
    """Our last decision on each of these, and nothing else of them."""
    sql = (
        "select person, decision from judged where decision is not null and person in (select value from json_each(?))"
    )
    return {person: decode_decision(decision) for person, decision in db.execute(sql, (text(list(people)),))}


def crm_seen_until(db: sqlite3.Connection) -> datetime | None:
    """Up to when the CRM is known to have been read: by its poll, for a backfill promises nothing about today."""
    row = db.execute(
        "select max(seen_until) from stream where name like 'crm/%' and name not like 'crm/backfill%'"
    ).fetchone()
    return maybe_moment(row[0])


def roster(db: sqlite3.Connection) -> Roster:
    """Turns and loads as last settled; who is active as the CRM last said; the installation's epoch."""
    row = db.execute("select value from meta where name = 'roster'").fetchone()
    stored = Roster() if row is None else decode_roster(row[0])
    users = db.execute("select id, active, name, away_from, away_until from crm_user order by id").fetchall()
    active = {user: bool(flag) for user, flag, *_ in users}
    names = {user: name for user, _, name, *_ in users if name}
    absent = {user: (moment(begin or 0), moment(end)) for user, _, _, begin, end in users if end is not None}
    epoch = db.execute("select value from meta where name = 'epoch'").fetchone()[0]
    return replace(stored, active=active, epoch=epoch, names=names, absent=absent)


def held(db: sqlite3.Connection, limit: int) -> tuple[Held, ...]:
    """Whom the brake holds, the longest first."""
    rows = db.execute(
        "select id, held, held_why, held_since from person where held is not null order by held_since, id limit ?",
        (limit,),
    )
    return tuple(Held(person, cause, why or "", moment(since)) for person, cause, why, since in rows)


def brake_counts(db: sqlite3.Connection, since: datetime) -> tuple[dict[str, int], dict[str, int]]:
    """Settled plans since: by cause, and by owner."""
    at = (ms(since),)
    causes = dict(db.execute("select cause, sum(count) from brake where at >= ? group by cause", at).fetchall())
    owners = db.execute("select owner, sum(count) from brake where at >= ? and owner <> '' group by owner", at)
    return causes, dict(owners.fetchall())


def find(db: sqlite3.Connection, who: str) -> tuple[int, ...]:
    """People by person id, email, or any system's id; a merged-away id finds whom it was merged into."""
    who = who.strip()
    number = who.removeprefix("person/")
    found: set[int] = set()
    if number.isascii() and number.isdigit() and len(number) < 19:
        found.update(
            row[0] for row in db.execute("select coalesce(merged_into, id) from person where id = ?", (int(number),))
        )
        if number != who:
            return tuple(found)
    if address := read_address(who):
        # Behind a space stands whose of several the address is: of a shared mailbox, or after a split.
        sql = "select person from email where address = ? or address between ? and ?"
        found.update(row[0] for row in db.execute(sql, (address, f"{address} ", f"{address} \U0010ffff")))
    found.update(row[0] for row in db.execute("select person from identity where ext = ?", (who,)))
    return tuple(sorted(found))


def merged_into(db: sqlite3.Connection, person: int) -> int | None:
    """Whom they were merged into, if they were."""
    row = db.execute("select merged_into from person where id = ?", (person,)).fetchone()
    return None if row is None else row[0]


def journal(db: sqlite3.Connection, person: int | None, limit: int) -> tuple[JournalEntry, ...]:
    """What was decided, newest first; a person's includes what was decided of those merged into them."""
    where = "" if person is None else "where person = ? or person in (select id from person where merged_into = ?)"
    rows = db.execute(
        "select id, at, person, kind, coalesce(why, ''), handoff, data, config"  # noqa: S608
        f" from journal left join journal_told using (id) {where} order by id desc limit ?",
        (limit,) if person is None else (person, person, limit),
    )
    return tuple(
        JournalEntry(number, moment(at), who, kind, why, handoff, decode_data(data), config)
        for number, at, who, kind, why, handoff, data, config in rows
    )


def people(db: sqlite3.Connection, after: int, limit: int, *, with_sales: bool) -> tuple[int, ...]:
    """The next people behind `after`."""
    sql = (
        "select distinct person from handoff where state = 'with_sales' and person > ? order by person limit ?"
        if with_sales
        else "select id from person where merged_into is null and id > ? order by id limit ?"
    )
    return tuple(row[0] for row in db.execute(sql, (after, limit)))


def statuses_in_use(db: sqlite3.Connection) -> dict[str, int]:
    """What open handoffs have told the CRM to hold as a status, and how many."""
    sql = (
        "select json_extract(decision, '$.desired.values.status') as status, count(*) from judged"
        " where status is not null and person in (select person from handoff where state = 'with_sales')"
        " group by status"
    )
    return dict(db.execute(sql).fetchall())


def next_wake(db: sqlite3.Connection) -> datetime | None:
    """The earliest wake-up of anybody who is not held."""
    sql = "select wake_at from person where wake_at is not null and held is null order by wake_at limit 1"
    row = db.execute(sql).fetchone()
    return None if row is None else moment(row[0])


def health(db: sqlite3.Connection, now: datetime, *, disk_full: bool) -> HealthSnapshot:
    """Counts for `status`. Settings named "down/SYSTEM" and "calls/SYSTEM" give what only connectors know."""

    def count(sql: str) -> int:
        return int(db.execute(sql).fetchone()[0])

    def settings(prefix: str) -> dict[str, str]:
        rows = db.execute("select name, value from meta where name >= ? and name < ?", (prefix + "/", prefix + "0"))
        return {name[len(prefix) + 1 :]: value for name, value in rows if value}

    usage = {name: _usage(value) for name, value in settings("calls").items()}
    streams = db.execute("select name, accepted_at, seen_until from stream where name != '' order by name").fetchall()
    return HealthSnapshot(
        at=now,
        # Numbers rise by one and are never taken back: the last one counts them all, without reading any.
        people=count("select coalesce(max(id), 0) from person")
        - count("select count(*) from person where merged_into is not null"),
        dirty=count("select count(*) from person where dirty_since is not null and held is null"),
        with_sales=count("select count(*) from handoff where state = 'with_sales'"),
        outbox=_states(db),
        held=dict(db.execute("select held, count(*) from person where held is not null group by held").fetchall()),
        cursors={name: maybe_moment(at) for name, at, _ in streams},
        seen_until={name: maybe_moment(until) for name, _, until in streams},
        down=settings("down"),
        calls_today={name: one.made for name, one in usage.items()},
        unanswered=hints.counts(db),
        waiting_for_crm=count("select count(*) from waits where what = 'crm'"),
        waiting_for_owner=dict(
            db.execute("select substr(what, 6), count(*) from waits where what like 'held:%' group by what").fetchall()
        ),
        disk_full=disk_full,
        inbox=inbox.counts(db),
        usage=usage,
    )


def _usage(told: str) -> Usage:
    """What an agent has written down of a system's calls; older versions told their number alone."""
    return Usage(made=int(told)) if told.isdecimal() else decode_usage(told)


def _states(db: sqlite3.Connection) -> dict[str, int]:
    """How many commands are in each state. Those that are done are counted as the rest: no row of theirs is read."""
    sql = "select state, count(*) from outbox where state <> 'done' group by state"
    found: dict[str, int] = dict(db.execute(sql).fetchall())
    done = int(db.execute("select count(*) from outbox").fetchone()[0]) - sum(found.values())
    return found | ({"done": done} if done else {})
