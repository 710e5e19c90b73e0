"""Commands out: queue, send, confirm. Every function runs inside the writer's transaction.

States: queued -> sending -> done | parked | conflict | unknown, or queued again; a person or a plan may drop one.
*Set* (`WriteLead`): one row a key; a newer revision replaces what is not being sent, and waits beside what is.
*Once*: a key that is there stays as it is. *At most once* (`once`): found half sent, it becomes unknown.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace
from sqlite_utils.utils import sqlite3

from syncagent.model import (
    WITHDRAWN,
    Alert,
    AnyCommand,
    CreateTask,
    CrmRecord,
    Done,
    Key,
    Lane,
    Notify,
    Nurture,
    Outcome,
    Receipt,
    Refused,
    Retry,
    WriteLead,
    Written,
)
from syncagent.state.codec import decode_command, decode_receipt, maybe_moment, maybe_ms, moment, ms, text
from syncagent.state.facts import put_record
from syncagent.state.forgetting import FORGOTTEN, bare_receipt
from syncagent.state.people import People
from syncagent.state.store import OutboxItem

Row = tuple[str, int, str, int, str, str, int, int, int, str, int | None]
"""key, person, target, lane, verb, handoff, revision, once, queued_at, body, not_before."""

STUCK = ("parked", "unknown", "conflict", "dropped")


def row_of(command: AnyCommand, now: int) -> Row:
    """A command as a row, made in the caller's thread."""
    once = isinstance(command, Notify) or (isinstance(command, Nurture) and command.campaign_id is not None)
    revision = command.revision if isinstance(command, WriteLead) else 0
    verb = type(command).__name__
    return (
        command.key,
        command.person,
        command.target,
        int(command.lane),
        verb,
        command.handoff,
        revision,
        int(once),
        now,
        text(command),
        maybe_ms(command.not_before),
    )


_COLUMNS = "key, person, target, lane, verb, handoff, revision, once, queued_at, body, not_before, state"


def put(db: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Queue what `settle` decided."""
    for row in rows:
        if row[4] != "WriteLead":
            # A task and its push that still wait may be told anew: their record was converted or merged.
            # So may a task or an alert that was refused because its record had moved on, also on somebody else's; its
            # attempts are kept: it is looked up.
            db.execute(
                f"insert into outbox ({_COLUMNS}) values (?,?,?,?,?,?,?,?,?,?,?,'queued')"  # noqa: S608
                " on conflict (key) do update set person = excluded.person, body = excluded.body, blocked_by = null,"
                " state = 'queued', not_before ="
                " case when state = 'conflict' then excluded.queued_at + 60000 * attempt * attempt"
                " else excluded.not_before end"
                " where (state = 'queued' and verb in ('CreateTask', 'Notify'))"
                " or (state = 'conflict' and verb in ('CreateTask', 'Alert'))",
                row,
            )
            continue
        key, person, target, lane, _, handoff, revision, _, queued_at, body, _ = row
        stored = db.execute(
            "select state, coalesce(next_revision, revision) from outbox where key = ?", (key,)
        ).fetchone()
        if stored is None:
            db.execute(f"insert into outbox ({_COLUMNS}) values (?,?,?,?,?,?,?,?,?,?,?,'queued')", row)  # noqa: S608
        elif revision <= stored[1]:
            continue
        elif stored[0] == "sending":
            db.execute(
                "update outbox set next_revision = ?, next_body = ?, lane = min(lane, ?), handoff = ? where key = ?",
                (revision, body, lane, handoff, key),
            )
        else:
            # What is done starts afresh; what was tried and not answered must still be looked up before a repeat.
            db.execute(
                "update outbox set person = ?, target = ?, lane = case when state = 'queued' then min(lane, ?) else ?"
                " end, handoff = ?, revision = ?, body = ?, why = '', queued_at = ?, not_before = null,"
                " blocked_by = null, attempt = case when state = 'done' then 0 else attempt end,"
                " state = 'queued' where key = ?",
                (person, target, lane, lane, handoff, revision, body, queued_at, key),
            )
            _unblock(db, key)


def withdraw(db: sqlite3.Connection, keys: Iterable[Key]) -> None:
    """Drop what no longer makes sense and has certainly not been carried out; the rest is left to its answer."""
    for key in keys:
        db.execute(
            "update outbox set state = 'dropped', why = ?, next_revision = null, next_body = null"
            " where key = ? and ((state = 'queued' and attempt = 0) or state in ('parked', 'conflict'))",
            (WITHDRAWN, key),
        )
        _unblock(db, key)


def only_look(db: sqlite3.Connection, keys: Iterable[Key]) -> None:
    """A creation that no longer makes sense, and may have been carried out, creates nothing when it is sent again.

    The target looks for the record that it may have made, and takes it up; without one the command is refused.
    """
    db.executemany(
        "update outbox set body = json_set(body, '$.create', json('null'), '$.values', json('{}')) where key = ?"
        " and verb = 'WriteLead' and state in ('queued', 'sending') and json_extract(body, '$.record') is null",
        [(key,) for key in keys],
    )


def _unblock(db: sqlite3.Connection, key: Key) -> None:
    db.execute("update outbox set blocked_by = null where blocked_by = ?", (key,))


def recover(db: sqlite3.Connection, now: int) -> None:
    """At the start: what an earlier life left half sent is queued again, or unknown when it must not come twice."""
    rows = db.execute("select person from outbox where state = 'sending' and once = 1").fetchall()
    db.execute(
        "update outbox set state = 'unknown', why = 'The agent ended while this was being sent.'"
        " where state = 'sending' and once = 1"
    )
    db.execute(
        "update outbox set state = 'queued', revision = coalesce(next_revision, revision),"
        " body = coalesce(next_body, body), next_revision = null, next_body = null where state = 'sending'"
    )
    people = People(db, now, Lane.HOT)
    people.changed_all(row[0] for row in rows)
    people.finish()


def anything_due(db: sqlite3.Connection, target: str, now: datetime, lane: Lane | None) -> bool:
    """Whether it is worth the writer's time to ask for what is due."""
    only = "" if lane is None else f" and lane = {int(lane)}"
    sql = (
        f"select 1 from outbox where target = ? and state = 'queued' and blocked_by is null{only}"  # noqa: S608
        " and (not_before is null or not_before <= ?) limit 1"
    )
    return db.execute(sql, (target, ms(now))).fetchone() is not None


def due(
    db: sqlite3.Connection, target: str, now: datetime, limit: int, lane: Lane | None, at_most: Mapping[Key, int]
) -> tuple[OutboxItem, ...]:
    """The whole of `Store.due`."""
    only = "" if lane is None else f" and lane = {int(lane)}"
    rows = db.execute(
        "select id, key, revision, attempt, not_before, why, queued_at, body from outbox"  # noqa: S608
        f" where target = ? and state = 'queued' and blocked_by is null{only}"
        " and (not_before is null or not_before <= ?) order by lane, id",
        (target, ms(now)),
    )
    items: list[OutboxItem] = []
    taken: dict[Key, int] = {}
    blocked: list[tuple[Key, int]] = []
    for number, key, revision, attempt, not_before, why, queued_at, body in rows:
        fewest = at_most.get(key, limit)
        if fewest <= len(items):
            continue  # it comes with fewer than there are already: in a batch after this one
        command = decode_command(body)
        ready = True
        for needed in command.depends_on:
            if needed in taken:
                continue
            state, receipt = _state(db, needed)
            if state == "dropped" and _goes_alone(db, command, needed):
                continue
            if state in STUCK:
                blocked.append((needed, number))
            if state != "done":
                ready = False
                break
            if receipt is not None:
                command = _with_record(command, receipt)
        if not ready:
            continue
        taken[key] = number
        command = replace(command, attempt=attempt)
        items.append(OutboxItem(command, "sending", revision, maybe_moment(not_before), why, maybe_moment(queued_at)))
        limit = min(limit, fewest)
        if len(items) >= limit:
            break
    rows.close()
    db.executemany("update outbox set blocked_by = ? where id = ?", blocked)
    db.executemany(
        "update outbox set state = 'sending', attempt = attempt + 1, not_before = null where id = ?",
        [(number,) for number in taken.values()],
    )
    return tuple(items)


def _state(db: sqlite3.Connection, key: Key) -> tuple[str, str | None]:
    """How a command stands; one that nobody knows (any more) holds nobody up."""
    row = db.execute("select state, receipt from outbox where key = ?", (key,)).fetchone()
    return ("done", None) if row is None else (row[0], row[1])


def _goes_alone(db: sqlite3.Connection, command: AnyCommand, needed: Key) -> bool:
    """Whether a message about a known record has something to say without the write that it was to come after."""
    if not isinstance(command, Alert | Notify) or command.record is None:
        return False
    return db.execute("select 1 from outbox where key = ? and verb = 'WriteLead'", (needed,)).fetchone() is not None


def _with_record(command: AnyCommand, receipt: str) -> AnyCommand:
    if isinstance(command, CreateTask | Alert | Notify) and command.record is None:
        return replace(command, record=decode_receipt(receipt).record)
    return command


def confirm(db: sqlite3.Connection, outcomes: Sequence[tuple[Key, int, Outcome]], now: datetime) -> None:
    """The whole of `Store.confirm`."""
    people = People(db, ms(now), Lane.HOT)
    people.load((o.receipt.record for _, _, o in outcomes if isinstance(o, Done)), ())
    for key, revision, outcome in outcomes:
        row = db.execute(
            "select state, revision, person, verb, next_revision is not null from outbox where key = ?", (key,)
        ).fetchone()
        if row is None or (row[0] == "done" and row[1] == revision):
            continue
        state, current, person, verb, newer = row
        mine = current == revision
        if people.is_erased(person):
            outcome = _bare(outcome)
        if isinstance(outcome, Done):
            _done(db, key, outcome.receipt, now, mine=mine)
            if verb == "WriteLead":
                _record_of(people, person, outcome.receipt)
            people.changed(person)
            _unblock(db, key)
        elif mine and isinstance(outcome, Refused) and not newer:
            kind = {"refused": "parked"}.get(outcome.kind, outcome.kind)
            why = f"{outcome.code}: {outcome.why}" if outcome.code else outcome.why
            db.execute("update outbox set state = ?, why = ? where key = ?", (kind, why, key))
            people.changed(person)
        elif mine and state == "sending":
            until = now + timedelta(seconds=outcome.after) if isinstance(outcome, Retry) else None
            _requeue(db, key, until, outcome.why, untried=isinstance(outcome, Retry) and verb != "WriteLead")
        if newer:
            _next(db, key)
    people.finish()


def _bare(outcome: Outcome) -> Outcome:
    """An answer about somebody who was forgotten while it was on its way."""
    match outcome:
        case Done():
            return Done(bare_receipt(outcome.receipt))
        case Refused():
            return replace(outcome, why=FORGOTTEN)
        case Retry():
            return replace(outcome, why="")


def _done(db: sqlite3.Connection, key: Key, receipt: Receipt, now: datetime, *, mine: bool) -> None:
    if mine:
        sql = "update outbox set state = 'done', receipt = ?, done_at = ?, why = '', not_before = null where key = ?"
        db.execute(sql, (text(receipt), ms(now), key))
    else:
        # A newer revision is on its way: what stands is told, and the row stays as it is.
        db.execute("update outbox set receipt = ? where key = ?", (text(receipt), key))


def _next(db: sqlite3.Connection, key: Key) -> None:
    """The revision that waited beside the one that was being sent takes its place."""
    db.execute(
        "update outbox set attempt = case when state = 'done' then 0 else attempt end, state = 'queued',"
        " revision = next_revision, body = next_body, next_revision = null, next_body = null where key = ?",
        (key,),
    )


_UNTRIED = "attempt = case when once = 1 then 0 else attempt end"
"""What must not come twice is queued again only when it was certainly not sent, or when an admin wants it: it counts
as new, also for a connector that has been started since."""


def _requeue(db: sqlite3.Connection, key: Key, until: datetime | None, why: str, *, untried: bool) -> None:
    """Back to the queue; what has certainly not been carried out may still be withdrawn."""
    db.execute(
        "update outbox set state = 'queued', not_before = ?, why = ?,"
        " attempt = case when once = 1 then 0 else max(attempt - ?, 0) end where key = ?",
        (None if until is None else ms(until), why, int(untried), key),
    )


def _record_of(people: People, person: int, receipt: Receipt) -> None:
    """A write's receipt is the freshest read of its record."""
    person = people.join((receipt.record,), known=receipt.record, person=person)
    said = people.said(person)
    stored = next((each for each in said.records if each.identity == receipt.record), None)
    if stored is None:
        record = CrmRecord(receipt.record, receipt.at, receipt.at, "", dict(receipt.values), deleted=receipt.gone)
        put_record(said, record)
    elif receipt.at >= stored.modified_at:
        fields = {**stored.fields, **receipt.values}
        fresh = replace(stored, modified_at=receipt.at, fields=fields, deleted=stored.deleted or receipt.gone)
        said.records = (*(each for each in said.records if each is not stored), fresh)


def postpone(db: sqlite3.Connection, keys: Sequence[Key], until: datetime, why: str, now: int) -> None:
    """A whole call failed without an answer: back to the queue, but what must not come twice is unknown now.

    Certainly unsent is what depends on something that is not done: a target carries that out first and tells of it.
    """
    people = People(db, now, Lane.HOT)
    for key in keys:
        row = db.execute(
            "select person, once, next_revision is not null, body from outbox where key = ? and state = 'sending'",
            (key,),
        ).fetchone()
        if row is None:
            continue
        untried = not all(_state(db, needed)[0] == "done" for needed in decode_command(row[3]).depends_on)
        if row[1] and not untried:
            db.execute("update outbox set state = 'unknown', why = ? where key = ?", (why, key))
            people.changed(row[0])
            continue
        _requeue(db, key, until, why, untried=untried)
        if row[2]:
            _next(db, key)
    people.finish()


def retry(db: sqlite3.Connection, keys: Sequence[Key]) -> int:
    """Queue what is parked, unknown or in conflict again; how many."""
    done = 0
    for key in keys:
        cursor = db.execute(
            f"update outbox set state = 'queued', {_UNTRIED}, why = '', not_before = null, blocked_by = null"  # noqa: S608
            " where key = ? and state in ('parked', 'unknown', 'conflict')",
            (key,),
        )
        done += cursor.rowcount
        _unblock(db, key)
    return done


def drop(db: sqlite3.Connection, keys: Sequence[Key], now: datetime) -> int:
    """Give up what is parked, unknown or in conflict; their people are planned again; how many."""
    people = People(db, ms(now), Lane.HOT)
    dropped = 0
    for key in keys:
        row = db.execute(
            "update outbox set state = 'dropped' where key = ? and state in ('parked', 'unknown', 'conflict')"
            " returning person",
            (key,),
        ).fetchone()
        if row is not None:
            dropped += 1
            people.changed(row[0])
            _unblock(db, key)
    people.finish()
    return dropped


def listed(
    db: sqlite3.Connection, states: Sequence[str], limit: int, keys: Sequence[Key] | None = None
) -> tuple[OutboxItem, ...]:
    """Commands by state, oldest first; all that are neither done nor dropped when none is named.

    What waits for a command that is stuck says so: nothing waits in a hidden place.
    """
    where = f"state in ({','.join('?' * len(states))})" if states else "state not in ('done', 'dropped')"
    only: tuple[str, ...] = ()
    if keys is not None:
        # The plus: found by key, whatever its state.
        where = f"+{where} and key in (select value from json_each(?))"  # noqa: S608
        only = (text(list(keys)),)
    elif "done" not in states:
        where += " and state <> 'done'"  # the index holds what is not done: among millions that are, it finds the few
    rows = db.execute(
        "select body, attempt, state, revision, not_before,"  # noqa: S608
        " case when blocked_by is null then why else 'It waits for ' || blocked_by || '.' end, queued_at from outbox"
        f" where {where} order by id limit ?",
        (*states, *only, limit),
    )
    return tuple(
        OutboxItem(
            replace(decode_command(body), attempt=attempt), state, revision, maybe_moment(until), why, moment(at)
        )
        for body, attempt, state, revision, until, why, at in rows
    )


def written(db: sqlite3.Connection, person: int, limit: int) -> tuple[Written, ...]:
    """A person's commands with their answers, newest first; those of whom was merged into them are theirs by then."""
    rows = db.execute(
        "select body, state, attempt, why, queued_at, done_at, receipt from outbox where person = ?"
        " order by coalesce(done_at, queued_at) desc, id desc limit ?",
        (person, limit),
    )
    return tuple(
        Written(
            decode_command(body),
            state,
            attempt,
            why,
            maybe_moment(queued),
            maybe_moment(done),
            None if receipt is None else decode_receipt(receipt),
        )
        for body, state, attempt, why, queued, done, receipt in rows
    )
