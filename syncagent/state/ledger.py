"""The whole journal as evidence: its lines in their order, as they were sealed, and what a decision was made from."""

import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlite_utils.utils import sqlite3

from syncagent.model import Roster
from syncagent.model.seal import NOTHING_BEFORE, Line, Told
from syncagent.policy import Policy
from syncagent.state import policies
from syncagent.state.codec import decode_roster, ms
from syncagent.state.journal import FOLDED, Looked
from syncagent.state.proof import Basis, Made

_PAGE = 2000
_EVER = 1 << 62
_LINES = (
    "select id, at, person, kind, handoff, data, config, format, engine, sealed, hash, salt, why, inputs, plan"
    " from journal left join journal_told using (id)"
)
_decode = msgspec.json.Decoder(Looked).decode


class SqliteLedger:
    """Reads the journal a page at a time; `reading` opens a read-only connection for one of them."""

    def __init__(self, reading: Callable[[], AbstractContextManager[sqlite3.Connection]]) -> None:
        self._reading = reading

    def lines(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[Line]:
        """From the first line at or after `since` on, up to the last one before `until`, without a gap."""
        with self._reading() as db:
            first, last = self._span(db, since, until)
        while first <= last:
            with self._reading() as db:
                rows = db.execute(
                    f"{_LINES} where id between ? and ? order by id limit {_PAGE}", (first, last)
                ).fetchall()
            for row in rows:
                yield _line(row)
            first = rows[-1][0] + 1 if rows else last + 1

    def _span(self, db: sqlite3.Connection, since: datetime | None, until: datetime | None) -> tuple[int, int]:
        sql = "select coalesce(min(id), 1), coalesce(max(id), 0) from journal where at >= ? and at < ?"
        first, last = db.execute(sql, (ms(since) if since else -_EVER, ms(until) if until else _EVER)).fetchone()
        return int(first), int(last)

    def before(self, number: int) -> bytes:
        """The hash of the last line before this one."""
        with self._reading() as db:
            row = db.execute("select hash from journal where id < ? order by id desc limit 1", (number,)).fetchone()
        return NOTHING_BEFORE if row is None else bytes(row[0])

    def ever(self) -> int:
        """The highest number that a line ever had."""
        with self._reading() as db:
            row = db.execute("select seq from sqlite_sequence where name = 'journal'").fetchone()
        return 0 if row is None else int(row[0])

    def decisions(self, person: int) -> tuple[Made, ...]:
        """Every decision on a person (and on whom was merged into them) that has lines, oldest first."""
        whose = "person in (select ? union select id from person where merged_into = ?)"
        with self._reading() as db:
            rows = db.execute(f"{_LINES} where {whose} order by id", (person, person)).fetchall()
        made: list[list[Line]] = []
        for line in map(_line, rows):
            last = made[-1][-1] if made else None
            if last is not None and line.id == last.id + 1 and _which(line) == _which(last):
                made[-1].append(line)
            else:
                made.append([line])
        return tuple(Made(tuple(lines)) for lines in made)

    def kept_from(self) -> int:
        with self._reading() as db:
            row = db.execute("select value from meta where name = ?", (FOLDED,)).fetchone()
        return 0 if row is None else int(row[0])

    def basis(self, made: Made) -> Basis | None:
        """What it was made from; None: it is not kept, cannot be read by this version, or is not what was sealed."""
        with self._reading() as db:
            row = db.execute("select body from journal_basis where id = ?", (made.lines[0].id,)).fetchone()
            if row is None:
                return None
            try:
                body = zlib.decompress(row[0])
                if hashlib.sha256(body).digest() != made.inputs:
                    return None
                looked = _decode(body)
                turns, users, companies = (_part(db, digest) for digest in looked.pool)
            except (msgspec.MsgspecError, zlib.error, LookupError):
                return None
        roster = replace(
            turns, active=users.active, names=users.names, absent=users.absent, companies=companies.companies
        )
        return Basis(looked.dossier, roster, looked.now, looked.me, looked.write_scores, looked.live_from, looked.by)

    def policy(self, digest: str) -> Policy | None:
        """The policy of a config's digest; None: it was not kept, or this version cannot read it."""
        with self._reading() as db:
            return policies.of(db, digest)


def _part(db: sqlite3.Connection, digest: str) -> Roster:
    row = db.execute("select body from journal_pool where digest = ?", (bytes.fromhex(digest),)).fetchone()
    if row is None:
        raise LookupError(digest)
    body = zlib.decompress(row[0])
    if hashlib.sha256(body).hexdigest() != digest:
        raise LookupError(digest)
    return decode_roster(body)


def _which(line: Line) -> tuple[object, ...]:
    return line.person, line.at, line.config, line.told.inputs if line.told is not None else None


def _line(row: Sequence[Any]) -> Line:
    number, at, person, kind, handoff, data, config, form, engine, sealed, digest, *said = row
    told = None if said[0] is None else Told(*said)
    return Line(number, at, person, kind, handoff, data, config, form, engine, sealed, digest, told)
