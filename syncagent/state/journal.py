"""The journal's lines: sealed as they are written, chained in the writer's transaction (`model/seal.py`).

journal        one line a happening; `sealed` stands for what it says of a person
journal_told   what it says of a person, with the salt: goes when they must be forgotten
journal_basis  all that a decision looked at, by the number of its first line; goes with it
journal_pool   the roster's parts as they stood at those decisions, each once; `used`: by which one last

A line that says that somebody was forgotten (kind "forgotten", data `until`) accounts for what is missing of theirs.
"""

import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import cache
from importlib.metadata import version
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from sqlite_utils.utils import sqlite3

from syncagent.model import Dossier, Event, Plan, Roster, Value
from syncagent.model.seal import FORMAT, NOTHING_BEFORE, SALT, Told, hash_of, rest_of, seal, seal_of
from syncagent.policy import Policy
from syncagent.state import many
from syncagent.state.codec import moment, ms, text
from syncagent.state.proof import Basis, By

QUIET = frozenset(("score", "account", "stage"))
"""Lines that come by the million in mass work, and can be told again from the facts, as far as these have dates."""
FORGOTTEN = "forgotten"
FOLDED = "journal/folded"
"""The setting that keeps from which line on there is what decisions were made from."""
_LEVEL = 1
_encode = msgspec.json.Encoder(order=None).encode


Fields = tuple[object, ...]


class Row(NamedTuple):
    """A line before its number, made in the caller's thread: the writer's time is everybody's.

    `fields`: at, person, kind, handoff, data, config, format, engine, and the seal; `rest`: what is hashed of them;
    `told`: salt, why, inputs, plan.
    """

    fields: Fields
    rest: bytes
    told: tuple[bytes, str, bytes, bytes]


class Looked(Struct, frozen=True, omit_defaults=True):
    """`journal_basis.body`, compressed: a `Basis` with the roster's parts by their digests."""

    dossier: Dossier
    now: datetime
    me: str
    write_scores: bool
    pool: tuple[str, str, str]
    live_from: datetime | None = None
    by: By = "plan"


Part = tuple[bytes, bytes]
"""Digest, and compressed body."""


class Kept(NamedTuple):
    """What a decision looked at, compressed, its digest, and the parts of the roster."""

    body: bytes
    digest: bytes
    pool: tuple[Part, ...]


class Pools:
    """The roster's parts of one batch, each encoded once: of its users nearly nothing changes from plan to plan."""

    def __init__(self) -> None:
        self._last: list[tuple[object, Part]] = [(None, (b"", b""))] * 3

    def of(self, roster: Roster) -> tuple[Part, Part, Part]:
        """Its three parts: turns and loads, the CRM's users, who got the last lead of which company."""
        self._know(0, roster, lambda: replace(roster, active={}, names={}, absent={}, companies={}))
        users = Roster(active=roster.active, names=roster.names, absent=roster.absent)
        self._know(1, roster.names, lambda: users)
        self._know(2, roster.companies, lambda: Roster(companies=roster.companies))
        turns, told, companies = (part for _, part in self._last)
        return turns, told, companies

    def _know(self, number: int, whole: object, part: Callable[[], Roster]) -> None:
        if self._last[number][0] is not whole:
            body = _encode(part())
            self._last[number] = (whole, (hashlib.sha256(body).digest(), zlib.compress(body, _LEVEL)))


@cache
def engine() -> str:
    """This version of syncagent."""
    return version("syncagent")


def basis_of(
    plan: Plan, dossier: Dossier, policy: Policy, roster: Roster, now: datetime, *, quiet: bool = True, by: By = "plan"
) -> Basis | None:
    """What the plan was made from, to be kept with its lines; of one with QUIET lines alone only when asked for."""
    if not plan.events or dossier.erased:
        return None
    if not quiet and QUIET.issuperset([event.kind for event in plan.events]):
        return None
    return Basis(dossier, roster, now, policy.crm.me, policy.write_scores, policy.live_from, by)


def keep(basis: Basis, pools: Pools) -> Kept:
    """All that a plan was made from but its policy, made in the caller's thread."""
    pool = pools.of(basis.roster)
    turns, users, companies = (digest.hex() for digest, _ in pool)
    pools_of_then = (turns, users, companies)
    looked = Looked(basis.dossier, basis.now, basis.me, basis.write_scores, pools_of_then, basis.live_from, basis.by)
    body = _encode(looked)
    return Kept(zlib.compress(body, _LEVEL), hashlib.sha256(body).digest(), pool)


def digest_of(plan: Plan) -> bytes:
    """Of all that was decided of one person: the decision, the commands, the lines, and when to look again."""
    return hashlib.sha256(_encode(replace(plan, roster=None))).digest()


def salts(count: int) -> Iterator[bytes]:
    """So many; asked of the machine at once, for each question costs as much as the rest of a line."""
    drawn = os.urandom(SALT * count)
    return (drawn[place : place + SALT] for place in range(0, len(drawn), SALT))


def row(event: Event, person: int, config: str, salt: bytes, inputs: bytes = b"", plan: bytes = b"") -> Row:
    """A line of an event."""
    told = (salt, event.why, inputs, plan)
    fields = (ms(event.at), person, event.kind, event.handoff, text(event.data), config, FORMAT, engine())
    sealed = seal(*told)
    return Row((*fields, sealed), rest_of(fields, sealed), told)


def rows(plan: Plan, person: int, config: str, kept: Kept | None, salts: Iterator[bytes]) -> list[Row]:
    """The lines of a plan; each takes one of the salts."""
    if kept is None or not plan.events:
        return [row(event, person, config, next(salts)) for event in plan.events]
    decided = digest_of(plan)
    return [row(event, person, config, next(salts), kept.digest, decided) for event in plan.events]


def put(db: sqlite3.Connection, groups: Iterable[tuple[list[Row], Kept | None]]) -> None:
    """Chain the lines of some decisions behind the last one, in their order; inside the writer's transaction."""
    number, before = _end(db)
    lines: list[Fields] = []
    told: list[Fields] = []
    bases: list[tuple[int, bytes]] = []
    pool: dict[bytes, tuple[bytes, int]] = {}
    for rows_of_one, kept in groups:
        if kept is not None and rows_of_one:
            bases.append((number + 1, kept.body))
            pool.update((digest, (body, number + 1)) for digest, body in kept.pool)
        for fields, rest, said in rows_of_one:
            number += 1
            before = hash_of(before, number, rest)
            lines.append((number, *fields, before))
            told.append((number, *said))
    many.execute(db, _LINE, lines)
    many.execute(db, _TOLD, told)
    if bases:
        db.executemany("insert or replace into journal_basis values (?, ?)", bases)
        db.executemany(
            "insert into journal_pool values (?, ?, ?) on conflict (digest) do update set used = excluded.used",
            [(digest, body, used) for digest, (body, used) in pool.items()],
        )


def note(db: sqlite3.Connection, event: Event, person: int) -> None:
    """A line of its own, which no decision has made; inside the writer's transaction."""
    put(db, [([row(event, person, "", next(salts(1)))], None)])


_LINE = (
    "insert into journal (id, at, person, kind, handoff, data, config, format, engine, sealed, hash)"  # noqa: S608
    f" values {many.ROWS}"
)
# Where somebody has cut lines off, what they told may stand there still: that must not stop deciding.
_TOLD = f"insert or replace into journal_told values {many.ROWS}"  # noqa: S608


def _end(db: sqlite3.Connection) -> tuple[int, bytes]:
    """The highest number there ever was, and the hash of the last line that stands: what was cut off leaves a gap."""
    last = db.execute("select id, hash from journal order by id desc limit 1").fetchone()
    ever = db.execute("select seq from sqlite_sequence where name = 'journal'").fetchone()
    number, before = last if last is not None else (0, NOTHING_BEFORE)
    return max(number, ever[0] if ever is not None else 0), before


_WHOSE = (
    "select id from journal where kind <> 'forgotten' and (person = ? or person in (select id from person where"
    " merged_into = ?))"
)


def forget(db: sqlite3.Connection, person: int, at: int) -> None:
    """Erase what all lines so far say of them (and of whom was merged into them), and write down that it was done."""
    erased = db.execute(f"delete from journal_told where id in ({_WHOSE})", (person, person)).rowcount  # noqa: S608
    db.execute(f"delete from journal_basis where id in ({_WHOSE})", (person, person))  # noqa: S608
    if erased > 0:
        account_for(db, person, at)


def fold(db: sqlite3.Connection, before: int, most: int) -> int:
    """Let go of what decisions before a moment were made from, of so many of them; how many. Their lines stay."""
    row = db.execute("select id from journal where at >= ? order by id limit 1", (before,)).fetchone()
    end = row[0] if row is not None else _end(db)[0] + 1
    folded = "select id from journal_basis where id < ? order by id limit ?"
    count = db.execute(f"delete from journal_basis where id in ({folded})", (end, most)).rowcount  # noqa: S608
    if count:
        # Decisions that are made later name their parts of the roster again.
        first = db.execute("select coalesce(min(id), ?) from journal_basis", (end,)).fetchone()[0]
        db.execute("delete from journal_pool where used < ?", (first,))
        db.execute("insert or replace into meta values (?, ?)", (FOLDED, str(first)))
    return max(count, 0)


def account_for(db: sqlite3.Connection, person: int, at: int) -> None:
    """A line that says that they were forgotten up to here."""
    others = db.execute("select id from person where merged_into = ? order by id", (person,)).fetchall()
    people = " ".join(str(number) for number in (person, *(row[0] for row in others)))
    data: dict[str, Value] = {"until": _end(db)[0], "people": people}
    event = Event(FORGOTTEN, moment(at), "A system has told that they must be forgotten.", "", data)
    note(db, event, person)


# What the schema's step "journal_sealed" makes: shipped, and so never edited.
TABLES = """
create table journal_before as select * from journal;
drop table journal;
create table journal (
  id integer primary key autoincrement,
  at integer not null,
  person integer not null,
  kind text not null,
  handoff text not null,
  data text not null,
  config text not null,
  format integer not null,
  engine text not null,
  sealed blob not null,
  hash blob not null
) strict;
create index journal_person on journal (person, id);
create table journal_told (id integer primary key, salt blob not null, why text not null, inputs blob not null,
  plan blob not null) strict;
create table journal_basis (id integer primary key, body blob not null) strict;
create table journal_pool (digest blob primary key, body blob not null, used integer not null) strict, without rowid;
create index journal_pool_used on journal_pool (used)
"""


def seal_older(db: sqlite3.Connection) -> None:
    """Chain lines that are older than the chain, by their numbers; nothing is kept of whom had been forgotten."""
    forgotten = (
        "select id, merged_into from person where erased = 1 or merged_into in (select id from person where erased)"
    )
    gone = {person: into or person for person, into in db.execute(forgotten)}
    before = db.execute("select id, at, person, kind, why, handoff, data, config from journal_before order by id")
    last, hashed = 0, NOTHING_BEFORE
    while some := before.fetchmany(5000):
        lines, told = [], []
        for number, at, person, kind, why, handoff, data, config in some:
            said = Told(os.urandom(SALT), why)
            fields = (at, person, kind, handoff, data, config, 0, "")
            sealed = seal_of(said)
            last, hashed = max(last, at), hash_of(hashed, number, rest_of(fields, sealed))
            lines.append((number, *fields, sealed, hashed))
            if person not in gone:
                told.append((number, said.salt, said.why, b"", b""))
        many.execute(db, _LINE, lines)
        many.execute(db, _TOLD, told)
    for person in sorted(set(gone.values())):
        account_for(db, person, last)
    db.execute("drop table journal_before")
