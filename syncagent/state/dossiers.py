"""Dossiers: all that a batch of people needs is fetched in one step of SQLite, then decoded.

One step, and one row, because each row that SQLite hands to Python costs a turn at the interpreter's lock, which other
threads wait for too. The decoder gets JSON, of which nearly all is stored as such.
"""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter, eq, lt

import msgspec
from sqlite_utils.utils import sqlite3

from syncagent.model import Activity, Crowd, Decision, Dossier, Identity, Lane, OutboxEntry
from syncagent.state import crowds
from syncagent.state.activities import bodies_of
from syncagent.state.codec import Said, moment
from syncagent.state.companies import with_accounts
from syncagent.state.reading import crm_seen_until

IN = 500
_NOTHING_SAID = Said()

_Person = tuple[
    int,
    int,
    int,
    int,
    int,
    Said | None,
    tuple[Activity, ...] | None,
    Decision | None,
    tuple[Decision, ...] | None,
]
_Sent = tuple[int, float, int, OutboxEntry]


class _Json(msgspec.Struct, array_like=True):
    """Of a batch: the people, then what stands beside them in rows of its own, each with whose it is."""

    people: list[_Person]
    identities: list[tuple[int, str, str, str]]
    emails: list[tuple[int, str]]
    split_at: list[tuple[int, int]]
    outbox: list[_Sent] = []
    changed_together: list[crowds.Row] = []


_decode = msgspec.json.Decoder(_Json).decode
_decode_done = msgspec.json.Decoder(list[tuple[int, tuple[Activity, ...] | None]]).decode


_NULL, _DECISION, _ABSORBED = "'null'", "coalesce(decision, 'null')", "coalesce(absorbed, 'null')"


def _rows(what: str) -> str:
    """SQL for the rows of a query as one JSON array; `what` selects a single text, the row as JSON."""
    return f"(select cast('[' || coalesce(group_concat(j, ','), '') || ']' as blob) from ({what}))"  # noqa: S608


def _of_a_task(path: str) -> str:
    """SQL for what a task that waits to be made says there, an empty text when it says nothing, and for all else."""
    return f"iif(state = 'queued' and verb = 'CreateTask', coalesce(json_extract(body, '{path}'), ''), '')"


def _sql(*, sent: bool, decided: bool) -> str:
    """One row, with the parts of `_Json`. `?1`: the ids as a JSON array.

    The parts are not joined here: SQLite would copy all that stands before each, and that cost as much again.
    """
    parts = [
        "select printf('[%d,%d,%d,%d,%d,%s,%s,%s,%s]', person.id, revision, lane, erased, released,"  # noqa: S608
        f" coalesce(said.body, 'null'), coalesce({bodies_of('person.id')}, 'null'),"
        f" {_DECISION if decided else _NULL}, {_ABSORBED if sent else _NULL}) as j"
        " from json_each(?1) as asked cross join person on person.id = asked.value"
        " left join said on said.person = person.id left join judged on judged.person = person.id"
        " where merged_into is null",
        "select json_array(person, system, object, ext) as j"
        " from json_each(?1) as asked cross join identity on person = asked.value",
        "select json_array(person, address) as j from json_each(?1) as asked cross join email on person = asked.value",
        "select json_array(person, max(apart.at)) as j"
        " from json_each(?1) as asked cross join apart on person = asked.value group by person",
    ]
    if sent:
        parts += [
            "select json_array(person, coalesce(done_at, 9e15), outbox.id, json_object("  # noqa: S608
            "'key', outbox.key, 'verb', verb, 'state', state,"
            " 'revision', coalesce(next_revision, revision), 'handoff', handoff, 'why', why,"
            f" 'receipt', json(receipt), 'hangs_on', {_of_a_task('$.record.id')},"
            f" 'waits_for', {_of_a_task('$.depends_on[0]')},"
            " 'alert', case when state = 'conflict' and verb = 'Alert' then json(body) end)) as j"
            " from json_each(?1) as asked cross join outbox on person = asked.value",
            crowds.sql_of("json_each(?1)"),
        ]
    return f"select {', '.join(map(_rows, parts))}"


_SQL = {(sent, decided): _sql(sent=sent, decided=decided) for sent in (True, False) for decided in (True, False)}


def dossiers(db: sqlite3.Connection, people: Sequence[int]) -> list[Dossier]:
    """Everything that `plan` reads of these people, in their order; unknown and merged-away ids are left out."""
    seen_until = crm_seen_until(db)
    found: list[Dossier] = []
    for start in range(0, len(people), IN):
        some = people[start : start + IN]
        found += with_accounts(db, _made(some, _fetch(db, some), seen_until))
    return found


def evidence(db: sqlite3.Connection, after: int, until: int, *, decided: bool) -> list[Dossier]:
    """As `dossiers`, of the people behind `after` up to `until`; of what was sent nothing is read.

    `decided`: also our last decision on each.
    """
    sql = "select id from person where id > ? and id <= ? and merged_into is null order by id"
    people = [row[0] for row in db.execute(sql, (after, until))]
    found: list[Dossier] = []
    for start in range(0, len(people), IN):
        some = people[start : start + IN]
        found += with_accounts(db, _made(some, _fetch(db, some, sent=False, decided=decided), None))
    return found


def activities(db: sqlite3.Connection, people: Sequence[int]) -> dict[int, tuple[Activity, ...]]:
    """What these people did, oldest first; whoever did nothing is left out."""
    found = {}
    sql = (
        f"select '[' || group_concat('[' || id || ',' || coalesce({bodies_of('person.id')}, 'null') || ']') || ']'"  # noqa: S608
        " from person where id in (select value from json_each(?))"
    )
    for start in range(0, len(people), IN):
        (told,) = db.execute(sql, (str(list(people[start : start + IN])),)).fetchone()
        for person, done in _decode_done(told or "[]"):
            if done is not None:
                found[person] = _in_order(done)
    return found


def _fetch(db: sqlite3.Connection, people: Sequence[int], *, sent: bool = True, decided: bool = True) -> bytes:
    row: tuple[bytes, ...] = db.execute(_SQL[sent, decided], (f"[{','.join(map(str, people))}]",)).fetchone()
    return b"[%b]" % b",".join(row)


def _made(people: Sequence[int], told: bytes, seen_until: datetime | None) -> list[Dossier]:
    fetched = _decode(told)
    persons = {row[0]: row for row in fetched.people}
    identities: dict[int, list[Identity]] = {}
    for person, system, kind, ext in fetched.identities:
        identities.setdefault(person, []).append(Identity(system, kind, ext))
    emails: dict[int, list[str]] = {}
    shared: dict[int, set[str]] = {}
    for person, each in fetched.emails:
        if "@" not in each:
            continue  # a telephone number
        if " " in each:
            shared.setdefault(person, set()).add(each.partition(" ")[0])
        else:
            emails.setdefault(person, []).append(each)
    split_at = dict(fetched.split_at)
    outbox = _outbox(fetched.outbox) if fetched.outbox else {}
    together: dict[int, tuple[Crowd, ...]] = crowds.read(fetched.changed_together) if fetched.changed_together else {}
    made = []
    for person in people:
        row = persons.get(person)
        if row is None:
            continue
        _, revision, lane, erased, released, said, done, decision, absorbed = row
        heard = _NOTHING_SAID if said is None else said
        made.append(
            Dossier(
                person,
                revision,
                Lane.COLD if lane else Lane.HOT,
                tuple(sorted(identities.get(person, ()))),
                tuple(sorted(emails.get(person, ()))),
                heard.leads,
                () if done is None else _in_order(done),
                heard.records,
                heard.changes,
                heard.tasks,
                heard.opportunities,
                None,
                outbox.get(person, ()),
                decision,
                () if absorbed is None else absorbed,
                seen_until,
                bool(erased),
                bool(released),
                tuple(sorted(shared[person])) if person in shared else (),
                heard.histories,
                moment(split_at[person]) if person in split_at else None,
                crowds=together.get(person, ()),
            )
        )
    return made


_at = attrgetter("at")
_in_time = attrgetter("at", "identity.system", "key")


def _in_order(told: tuple[Activity, ...]) -> tuple[Activity, ...]:
    """By time; those of one moment by system and key, which is asked only where there are such."""
    moments = list(map(_at, told))
    if all(map(lt, moments, moments[1:])):
        return told  # as nearly all are told
    ordered = sorted(told, key=_at)
    moments = list(map(_at, ordered))
    if any(map(eq, moments, moments[1:])):
        ordered.sort(key=_in_time)
    return tuple(ordered)


def _outbox(rows: list[_Sent]) -> dict[int, tuple[OutboxEntry, ...]]:
    found: dict[int, list[OutboxEntry]] = {}
    for person, _, _, entry in sorted(rows, key=lambda row: row[:3]):
        found.setdefault(person, []).append(entry)
    return {person: _current(entries) for person, entries in found.items()}


def _current(entries: list[OutboxEntry]) -> tuple[OutboxEntry, ...]:
    """Of several writes that are done, only the last says what stands in the CRM."""
    done = [entry for entry in entries if entry.state == "done" and entry.verb == "WriteLead"]
    if len(done) < 2:
        return tuple(entries)
    return tuple(entry for entry in entries if entry is done[-1] or entry not in done)
