"""Decisions: settle, hold, release. Every `apply` runs inside the writer's transaction."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace
from sqlite_utils.utils import sqlite3

from syncagent.model import Roster
from syncagent.state import accounts, figures, journal, many, outbox, reading, results, visits, waking
from syncagent.state.codec import ms, not_before, text
from syncagent.state.store import Held, Settlement

_BRAKE_KEEPS_MS = 26 * 3600 * 1000
_DONE = "dirty_since = null, released = 0, revision = revision + 1"
_SETTLED = f"update person set {_DONE} where id in (values {many.ROWS})"  # noqa: S608
_WOKEN_AT = (
    f"with woken (person, at) as (values {many.ROWS})"  # noqa: S608
    f" update person set {_DONE}, wake_at = woken.at from woken where person.id = woken.person"
)
_JUDGED = (
    f"insert into judged (person, decision) values {many.ROWS} on conflict (person) do update"  # noqa: S608
    " set decision = excluded.decision, absorbed = null"
)


class Prepared(Struct, gc=False):
    """A settlement as rows, made in the caller's thread."""

    person: int
    revision: int
    decision: str | None  # None: it stands as it is
    wake_at: int | None
    roster: Roster | None
    commands: Sequence[outbox.Row]
    withdraw: tuple[str, ...]
    lines: list[journal.Row]
    basis: journal.Kept | None
    handoffs: Sequence[tuple[object, ...]]
    waits: Sequence[tuple[str, int]]
    brake: tuple[int, str, str] | None
    visits: Sequence[visits.Row]
    account: str
    results: Sequence[tuple[object, ...]]
    entry: figures.Row | None
    promises: Sequence[figures.Row]
    passed_on: Sequence[figures.Row]


_NONE: tuple[()] = ()  # most plans say nothing of most of these, and a list for each would be a tenth of preparing them


def prepare(settlements: Sequence[Settlement], now: datetime, config: str) -> list[Prepared]:
    """Encode, so that the writer only writes."""
    at = ms(now)
    made = []
    pools = journal.Pools()
    salts = journal.salts(sum(len(settlement.plan.events) for settlement in settlements))
    for settlement in settlements:
        person, plan = settlement.person, settlement.plan
        basis = settlement.basis
        kept = journal.keep(basis, pools) if basis is not None and plan.events else None
        made.append(
            Prepared(
                person,
                settlement.revision,
                None if settlement.unchanged else text(plan.decision),
                not_before(plan.wake_at),
                plan.roster,
                [outbox.row_of(command, at) for command in plan.commands] if plan.commands else _NONE,
                plan.withdraw,
                journal.rows(plan, person, config, kept, salts),
                kept,
                figures.handoff_rows(person, plan) if plan.decision.handoffs else _NONE,
                [(what, person) for what in plan.waits_on] if plan.waits_on else _NONE,
                (-(-at // 1000) * 1000, plan.cause, plan.owner) if plan.cause else None,
                visits.rows_of(person, plan.events) if plan.events else _NONE,
                plan.decision.account,
                _NONE if settlement.unchanged else results.rows(person, plan.decision.models, at),
                figures.entry_row(person, plan),
                figures.promise_rows(plan.figures) if plan.figures else _NONE,
                figures.taken_away(plan.figures) if plan.figures else _NONE,
            )
        )
    return made


def settle(db: sqlite3.Connection, prepared: Sequence[Prepared], roster: Roster, now: datetime) -> int:
    """Store all that stand before the first whose dossier has moved on; how many."""
    taken, wakes = _up_to_first_stale(db, prepared)
    if not taken:
        return 0
    # A wake-up that stays need not be written into its index, whose pages are nobody's neighbours.
    many.execute(db, _SETTLED, [(each.person,) for each in taken if each.wake_at == wakes[each.person]])
    many.execute(db, _WOKEN_AT, [(each.person, each.wake_at) for each in taken if each.wake_at != wakes[each.person]])
    many.execute(db, _JUDGED, [(each.person, each.decision) for each in taken if each.decision is not None])
    journal.put(db, [(each.lines, each.basis) for each in taken if each.lines])
    visits.put(db, [row for each in taken for row in each.visits])
    figures.put_entries(db, [each.entry for each in taken if each.entry is not None])
    figures.put_handoffs(db, [row for each in taken for row in each.handoffs])
    figures.put_promises(
        db, [row for each in taken for row in each.promises], [row for each in taken for row in each.passed_on]
    )
    withdrawn = [key for each in taken for key in each.withdraw]
    outbox.withdraw(db, withdrawn)
    outbox.only_look(db, withdrawn)
    outbox.put(db, [row for each in taken for row in each.commands])
    if db.execute("select 1 from waits limit 1").fetchone() is not None:
        db.executemany("delete from waits where person = ?", [(each.person,) for each in taken])
    db.executemany("insert or ignore into waits values (?, ?)", [row for each in taken for row in each.waits])
    matched = accounts.match(db, {each.person: each.account for each in taken})
    if matched:
        waking.wake(db, matched, ms(now))
    waking.wake_some(db, ms(now))
    results.put(db, [row for each in taken for row in each.results])
    braked = Counter(each.brake for each in taken if each.brake is not None)
    if braked:
        db.executemany(
            "insert into brake (at, cause, owner, count) values (?, ?, ?, ?)"
            " on conflict do update set count = count + excluded.count",
            [(*brake, count) for brake, count in braked.items()],
        )
        db.execute("delete from brake where at < ?", (ms(now) - _BRAKE_KEEPS_MS,))
    if len(taken) < len(prepared):
        last = next((each.roster for each in reversed(taken) if each.roster is not None), None)
    else:
        last = roster
    if last is not None:
        _save_roster(db, last, ms(now))
    return len(taken)


def _up_to_first_stale(
    db: sqlite3.Connection, prepared: Sequence[Prepared]
) -> tuple[Sequence[Prepared], dict[int, int | None]]:
    """Those that may be stored, and when each person was to be woken until now."""
    revisions: dict[int, int] = {}
    wakes: dict[int, int | None] = {}
    ids = [each.person for each in prepared]
    for start in range(0, len(ids), reading.IN):
        some = ids[start : start + reading.IN]
        sql = f"select id, revision, wake_at from person where id in ({','.join('?' * len(some))})"  # noqa: S608
        for person, revision, wake_at in db.execute(sql, some).fetchall():
            revisions[person], wakes[person] = revision, wake_at
    for index, each in enumerate(prepared):
        if revisions.get(each.person) != each.revision:
            return prepared[:index], wakes
        # A second plan of the same dossier would not know the first.
        revisions[each.person] = each.revision + 1
    return prepared, wakes


def _save_roster(db: sqlite3.Connection, roster: Roster, now: int) -> None:
    """Store turns and loads; who waits for a rep of a pool is planned again when one has become freer."""
    before = reading.roster(db)
    # Who is active or out, and their names, are the CRM's to say, and the epoch is the file's: none comes from a plan.
    kept = text(replace(roster, active={}, names={}, absent={}, epoch=""))
    if kept == text(replace(before, active={}, names={}, absent={}, epoch="")):
        return
    db.execute("insert or replace into meta values ('roster', ?)", (kept,))
    freer = {owner for owner, count in before.open.items() if roster.open.get(owner, 0) < count}
    pools = {pool for pool, turns in roster.turns.items() if freer & turns.keys()}
    for pool in pools:
        db.execute(
            "update person set revision = revision + 1, lane = case when dirty_since is null then 1 else lane end,"
            " dirty_since = coalesce(dirty_since, ?) where id in (select person from waits where what = ?)",
            (now, f"roster:{pool}"),
        )


def sweep(db: sqlite3.Connection, after: int, limit: int, now: int) -> int | None:
    """Mark the next people dirty in the cold lane, in the order of their ids; the last one's id, None at the end."""
    sql = "select id from person where id > ? and merged_into is null order by id limit ?"
    people = [row[0] for row in db.execute(sql, (after, limit))]
    if not people:
        return None
    db.execute(
        "update person set revision = revision + 1, lane = case when dirty_since is null then 1 else lane end,"
        " dirty_since = coalesce(dirty_since, ?) where id > ? and id <= ? and merged_into is null",
        (now, after, people[-1]),
    )
    return int(people[-1])


def hold(db: sqlite3.Connection, held: Sequence[Held]) -> None:
    """Nobody of these is planned until `release`; whoever has changed meanwhile is planned with what is new instead."""
    db.executemany(
        "update person set held = ?, held_why = ?, held_since = ? where id = ? and held is null"
        " and revision = coalesce(?, revision)",
        [(each.cause, each.why, ms(each.since), each.person, each.revision) for each in held],
    )
    if held:
        waking.wake_some(db, max(ms(each.since) for each in held))


def release(db: sqlite3.Connection, people: Sequence[int] | None, limit: int | None) -> int:
    """Those named, or those held longest; how many."""
    if people is None:
        sql = "select id from person where held is not null order by held_since, id limit ?"
        people = [row[0] for row in db.execute(sql, (-1 if limit is None else limit,))]
    elif limit is not None:
        people = people[:limit]
    cursor = db.executemany(
        "update person set released = 1, revision = revision + 1, dirty_since = coalesce(dirty_since, held_since),"
        " held = null, held_why = null, held_since = null where id = ? and held is not null",
        [(person,) for person in people],
    )
    return max(cursor.rowcount, 0)
