"""Every visit of a person to a stage of the process map: when they came, when they left, in which handoff."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlite_utils.utils import sqlite3

from syncagent.model import Event
from syncagent.state import many
from syncagent.state.codec import moment, ms
from syncagent.state.store import HandedOver, StageNumbers, Stuck, Visit

Row = tuple[int, int, str, str]
"""person, entered_at, stage, handoff."""

_MOVES = frozenset(("stage", "score"))
"""Lines that may tell of a move: one that comes with a new score stands in the score's."""
_LEFT = (
    f"with moved (person, at) as (values {many.ROWS})"  # noqa: S608
    " update visit set left_at = moved.at from moved where visit.person = moved.person and left_at is null"
)
_ENTERED = f"insert or replace into visit (person, entered_at, stage, handoff) values {many.ROWS}"  # noqa: S608
EXAMPLES = 20
"""So many of those who are stuck are named, so that one of them has a record in the CRM."""
_OF_THE_LIVING = "visit join person on person.id = visit.person and merged_into is null and erased = 0"


def rows_of(person: int, events: Iterable[Event]) -> list[Row]:
    """The visits that a plan begins; made in the caller's thread."""
    return [
        (person, ms(one.at), str(one.data["stage"]), one.handoff)
        for one in events
        if one.kind in _MOVES and "stage" in one.data
    ]


def put(db: sqlite3.Connection, rows: list[Row]) -> None:
    """Each new visit ends the one before."""
    many.execute(db, _LEFT, [row[:2] for row in rows])
    many.execute(db, _ENTERED, rows)


def of(db: sqlite3.Connection, person: int) -> tuple[Visit, ...]:
    """A person's visits, the first one first."""
    sql = "select stage, entered_at, left_at, handoff from visit where person = ? order by entered_at"
    return tuple(
        Visit(stage, moment(entered), None if left is None else moment(left), handoff)
        for stage, entered, left, handoff in db.execute(sql, (person,))
    )


def numbers(db: sqlite3.Connection, since: datetime, cuts: Mapping[str, datetime]) -> dict[str, StageNumbers]:
    """By stage: who is there, who came before that stage's cut, and how long they stayed who left since."""
    here = dict(db.execute(f"select stage, count(*) from {_OF_THE_LIVING} where left_at is null group by stage"))  # noqa: S608
    at = (ms(since),)
    left = dict(db.execute("select stage, count(*) from visit where left_at >= ? group by stage", at).fetchall())
    found: dict[str, StageNumbers] = {}
    for stage in sorted({*here, *left}):
        stuck = 0
        if stage in cuts:
            sql = f"select count(*) from {_OF_THE_LIVING} where left_at is null and stage = ? and entered_at <= ?"  # noqa: S608
            stuck = db.execute(sql, (stage, ms(cuts[stage]))).fetchone()[0]
        median = None
        if left.get(stage):
            sql = (
                "select left_at - entered_at from visit where stage = ? and left_at >= ?"
                " order by left_at - entered_at limit 1 offset ?"
            )
            median = db.execute(sql, (stage, *at, (left[stage] - 1) // 2)).fetchone()[0] / 1000
        found[stage] = StageNumbers(here.get(stage, 0), stuck, left.get(stage, 0), median)
    visited = db.execute(f"select count(distinct person) from {_OF_THE_LIVING}").fetchone()[0]  # noqa: S608
    people = db.execute("select count(*) from person where merged_into is null and erased = 0").fetchone()[0]
    if people > visited:
        old = found.get("suspect", StageNumbers())
        found["suspect"] = StageNumbers(old.here + people - visited, old.stuck, old.left, old.median)
    return found


def stuck(db: sqlite3.Connection, stage: str, after: datetime, until: datetime) -> Stuck:
    """Who came to a stage before `until` and is still there; those with sales have their own timers."""
    sql = (
        f"select person, entered_at > ? from {_OF_THE_LIVING} where stage = ? and left_at is null and entered_at <= ?"  # noqa: S608
        " and not exists (select 1 from handoff where person = visit.person and state = 'with_sales')"
    )
    count = "select count(*), coalesce(sum(new), 0) from"
    values = (ms(after), stage, ms(until))
    every, new = db.execute(f"{count} ({sql.replace('entered_at > ?', 'entered_at > ? as new')})", values).fetchone()
    latest = db.execute(f"{sql} order by entered_at desc, person desc limit {EXAMPLES}", values) if new else ()
    return Stuck(every, new, tuple(person for person, _ in latest))


def moves(db: sqlite3.Connection, since: datetime) -> dict[tuple[str, str], int]:
    """How many went from which stage to which since."""
    sql = (
        "select a.stage, b.stage, count(*) from visit a join visit b on b.person = a.person"
        " and b.entered_at = a.left_at where a.left_at >= ? group by 1, 2 order by 1, 2"
    )
    return {(before, after): count for before, after, count in db.execute(sql, (ms(since),))}


def handed_over(db: sqlite3.Connection, since: datetime) -> tuple[HandedOver, ...]:
    """What was handed over since. A handoff's id begins with the person whom the journal knew it by."""
    sql = (
        "select h.person, h.opened_at, coalesce(json_extract(data, '$.source'), ''),"
        " coalesce(json_extract(data, '$.campaign'), ''), coalesce(json_extract(data, '$.rule'), ''), h.outcome"
        " from handoff h join journal j on j.person = cast(substr(h.id, 1, instr(h.id, '.') - 1) as integer)"
        " and j.handoff = h.id and j.kind = 'handoff.opened' where h.opened_at >= ? order by h.opened_at, h.id"
    )
    return tuple(
        HandedOver(person, moment(opened), str(source), str(campaign), str(rule), outcome)
        for person, opened, source, campaign, rule, outcome in db.execute(sql, (ms(since),))
    )
