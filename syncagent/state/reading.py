"""Reading: dossiers in a few queries a batch, and what `status`, `explain` and the loop ask.

Every function takes a read-only connection; who calls holds a read transaction around one batch and not longer, for a
long one keeps the writer's log from being folded into the file.
"""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter

from msgspec.structs import replace
from sqlite_utils.utils import sqlite3

from syncagent.model import Activity, Dossier, HealthSnapshot, Identity, Lane, OutboxEntry, Roster
from syncagent.model.address import read_address
from syncagent.model.commands import Receipt
from syncagent.state import crowds, hints, inbox
from syncagent.state.activities import bodies_of
from syncagent.state.codec import (
    Said,
    decode_activities,
    decode_data,
    decode_decision,
    decode_decisions,
    decode_receipt,
    decode_roster,
    decode_said,
    maybe_moment,
    moment,
    ms,
)
from syncagent.state.companies import with_accounts
from syncagent.state.store import Held, JournalEntry

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


def dossiers(db: sqlite3.Connection, people: Sequence[int]) -> list[Dossier]:
    """Everything that `plan` reads of these people, in their order; unknown and merged-away ids are left out."""
    seen_until = crm_seen_until(db)
    found: list[Dossier] = []
    for start in range(0, len(people), IN):
        some = people[start : start + IN]
        found += _batch(db, some, seen_until)
    return found


def evidence(db: sqlite3.Connection, after: int, until: int, *, decided: bool) -> list[Dossier]:
    """As `dossiers`, of the people behind `after` up to `until`; of what was sent nothing is read.

    `decided`: also our last decision on each.
    """
    sql = "select id from person where id > ? and id <= ? and merged_into is null order by id"
    people = [row[0] for row in db.execute(sql, (after, until))]
    found: list[Dossier] = []
    for start in range(0, len(people), IN):
        found += _batch(db, people[start : start + IN], None, sent=False, decided=decided)
    return found


def activities(db: sqlite3.Connection, people: Sequence[int]) -> dict[int, tuple[Activity, ...]]:
    """What these people did, oldest first; whoever did nothing is left out."""
    found = {}
    for start in range(0, len(people), IN):
        some = people[start : start + IN]
        sql = f"select id, {bodies_of('person.id')} from person where id in ({_marks(len(some))})"  # noqa: S608
        for person, done in db.execute(sql, some):
            if done is not None:
                found[person] = _in_order(decode_activities(done))
    return found


def _batch(
    db: sqlite3.Connection,
    people: Sequence[int],
    seen_until: datetime | None,
    *,
    sent: bool = True,
    decided: bool = True,
) -> list[Dossier]:
    within = f"in ({_marks(len(people))})"
    sql = (
        "select id, revision, lane, erased, released, said.body, decision, absorbed,"  # noqa: S608
        f" {bodies_of('person.id')} from person left join said on said.person = id"
        f" left join judged on judged.person = id where id {within} and merged_into is null"
    )
    # One row a person: each row costs a turn at the interpreter's lock.
    persons = {row[0]: row for row in db.execute(sql, people)}
    identities: dict[int, list[Identity]] = {}
    for person, system, kind, ext in db.execute(
        f"select person, system, object, ext from identity where person {within}",  # noqa: S608
        people,
    ):
        identities.setdefault(person, []).append(Identity(system, kind, ext))
    emails: dict[int, list[str]] = {}
    shared: dict[int, set[str]] = {}
    for person, each in db.execute(f"select person, address from email where person {within}", people):  # noqa: S608
        if "@" not in each:
            continue  # a telephone number
        if " " in each:
            shared.setdefault(person, set()).add(each.partition(" ")[0])
        else:
            emails.setdefault(person, []).append(each)
    split_at = dict(
        db.execute(f"select person, max(at) from apart where person {within} group by person", people).fetchall()  # noqa: S608
    )
    outbox = _outbox(db, people) if sent else {}
    together = crowds.of(db, people) if sent else {}
    made = []
    for person in people:
        row = persons.get(person)
        if row is None:
            continue
        _, revision, lane, erased, released, body, decision, absorbed, done = row
        told = _NOTHING_SAID if body is None else decode_said(body)
        made.append(
            Dossier(
                person,
                revision,
                Lane.COLD if lane else Lane.HOT,
                tuple(sorted(identities.get(person, ()))),
                tuple(sorted(emails.get(person, ()))),
                told.leads,
                () if done is None else _in_order(decode_activities(done)),
                told.records,
                told.changes,
                told.tasks,
                told.opportunities,
                None,
                outbox.get(person, ()),
                decode_decision(decision) if decided and decision is not None else None,
                decode_decisions(absorbed) if sent and absorbed is not None else (),
                seen_until,
                bool(erased),
                bool(released),
                tuple(sorted(shared[person])) if person in shared else (),
                told.histories,
                maybe_moment(split_at.get(person)) if split_at else None,
                crowds=together.get(person, ()),
            )
        )
    return with_accounts(db, made)


_at = attrgetter("at")
_in_time = attrgetter("at", "identity.system", "key")


def _in_order(told: tuple[Activity, ...]) -> tuple[Activity, ...]:
    """By time; those of one moment by system and key, which is asked only where there are such."""
    if len(set(map(_at, told))) == len(told):
        return tuple(sorted(told, key=_at))
    return tuple(sorted(told, key=_in_time))


def _outbox(db: sqlite3.Connection, people: Sequence[int]) -> dict[int, tuple[OutboxEntry, ...]]:
    found: dict[int, list[OutboxEntry]] = {}
    for person, key, verb, state, revision, handoff, why, receipt, hangs_on, waits_for in db.execute(
        "select person, key, verb, state, coalesce(next_revision, revision), handoff, why, receipt,"  # noqa: S608
        " case when state = 'queued' and verb = 'CreateTask' then json_extract(body, '$.record.id') end,"
        " case when state = 'queued' and verb = 'CreateTask' then json_extract(body, '$.depends_on[0]') end from outbox"
        f" where person in ({_marks(len(people))}) order by person, coalesce(done_at, 9e15), id",
        people,
    ):
        told: Receipt | None = None if receipt is None else decode_receipt(receipt)
        entry = OutboxEntry(key, verb, state, revision, handoff, why, told, hangs_on or "", waits_for or "")
        found.setdefault(person, []).append(entry)
    return {person: _current(entries) for person, entries in found.items()}


def _current(entries: list[OutboxEntry]) -> tuple[OutboxEntry, ...]:
    """Of several writes that are done, only the last says what stands in the CRM."""
    done = [entry for entry in entries if entry.state == "done" and entry.verb == "WriteLead"]
    if len(done) < 2:
        return tuple(entries)
    return tuple(entry for entry in entries if entry is done[-1] or entry not in done)


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
    found: set[int] = set()
    if who.isascii() and who.isdigit() and len(who) < 19:
        found.update(
            row[0] for row in db.execute("select coalesce(merged_into, id) from person where id = ?", (int(who),))
        )
    if address := read_address(who):
        # Behind a space stands whose of several the address is: of a shared mailbox, or after a split.
        sql = "select person from email where address = ? or address between ? and ?"
        found.update(row[0] for row in db.execute(sql, (address, f"{address} ", f"{address} \U0010ffff")))
    found.update(row[0] for row in db.execute("select person from identity where ext = ?", (who,)))
    return tuple(sorted(found))


def journal(db: sqlite3.Connection, person: int | None, limit: int) -> tuple[JournalEntry, ...]:
    """What was decided, newest first; a person's includes what was decided of those merged into them."""
    where = "" if person is None else "where person = ? or person in (select id from person where merged_into = ?)"
    rows = db.execute(
        f"select id, at, person, kind, why, handoff, data, config from journal {where} order by id desc limit ?",  # noqa: S608
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

    streams = db.execute("select name, accepted_at, seen_until from stream order by name").fetchall()
    return HealthSnapshot(
        at=now,
        people=count("select count(*) from person")
        - count("select count(*) from person where merged_into is not null"),
        dirty=count("select count(*) from person where dirty_since is not null and held is null"),
        with_sales=count("select count(*) from handoff where state = 'with_sales'"),
        outbox=dict(db.execute("select state, count(*) from outbox group by state").fetchall()),
        held=dict(db.execute("select held, count(*) from person where held is not null group by held").fetchall()),
        cursors={name: maybe_moment(at) for name, at, _ in streams},
        seen_until={name: maybe_moment(until) for name, _, until in streams},
        down=settings("down"),
        calls_today={name: int(value) for name, value in settings("calls").items()},
        unanswered=hints.counts(db),
        waiting_for_crm=count("select count(*) from waits where what = 'crm'"),
        waiting_for_owner=dict(
            db.execute("select substr(what, 6), count(*) from waits where what like 'held:%' group by what").fetchall()
        ),
        disk_full=disk_full,
        inbox=inbox.counts(db),
    )
