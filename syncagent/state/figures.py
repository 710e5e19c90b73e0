"""What reports count, in plain columns: how each person came in, what was promised of each handoff and how it went.

Written with each decision, and only where something is another now. Reports and BI tools read it through the views
(`views.py`), never from here.
"""

from collections.abc import Iterable, Sequence

from sqlite_utils.utils import sqlite3

from syncagent.model import Event, Handoff, Plan
from syncagent.model.figures import HandoffFigures
from syncagent.state import many
from syncagent.state.codec import maybe_ms, ms

Row = tuple[object, ...]

# What the schema's step "figures" makes: shipped, and so never edited.
OF_HANDOFFS = """
  first_owner text not null default ''; queue integer not null default 0; route text not null default ''; grade
  text not null default ''; score real; segment text not null default ''; sla text not null default ''; reason
  text not null default ''; attempts integer not null default 0; assignments integer not null default 0; raised_at
  integer; come_back_at integer; system text; campaign text; rule text; team text; working integer
"""
OF_DEALS = """
  system text not null default ''; object text not null default ''; stage text not null default ''; amount
  integer; currency text not null default ''; closed integer not null default 0; won integer not null default 0;
  closed_on text not null default ''; closed_at integer; deleted integer not null default 0
"""
TABLES = """
create table entry (person integer primary key, entered_at integer not null, told_by text not null,
  system text not null, source text not null, campaign text not null, content text not null, medium text not null,
  segment text not null, stage text not null, fit real not null, interest real not null, grade text not null,
  owner text not null, handoffs integer not null) strict;
create table promise (handoff text not null, clock integer not null, turn integer not null, promised text not null,
  name text not null, owner text not null, started_at integer not null, due_at integer, ended_at integer, met integer,
  minutes real, primary key (handoff, clock, turn)) strict, without rowid;
update handoff set (system, campaign, rule) = (select json_extract(data, '$.source'), json_extract(data, '$.campaign'),
  json_extract(data, '$.rule') from journal as j where j.handoff = handoff.id and j.kind = 'handoff.opened'
  and j.person = cast(substr(handoff.id, 1, instr(handoff.id, '.') - 1) as integer) limit 1);
update person set lane = 1, dirty_since = cast(strftime('%s') as integer) * 1000
  where dirty_since is null and merged_into is null and id in (select person from judged)
"""


def entry_row(person: int, plan: Plan) -> Row | None:
    """How this person came in and how they stand, made in the caller's thread; None: the plan does not say."""
    entry, decision = plan.entry, plan.decision
    if entry is None:
        return None
    score, last = decision.score, decision.handoff
    fit, interest, grade = (score.fit, score.interest, score.grade) if score is not None else (0.0, 0.0, "")
    return (
        person,
        ms(entry.at),
        entry.by,
        entry.system,
        entry.source,
        entry.campaign,
        entry.content,
        entry.medium,
        entry.segment,
        decision.stage.value,
        fit,
        interest,
        grade,
        last.assignments[-1].owner if last is not None and last.assignments else "",
        len(decision.handoffs),
    )


def put_entries(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Keep these; a row that says nothing new is not written."""
    many.execute(db, _PUT_ENTRY, rows)


def _upsert(table: str, key: Sequence[str], kept: Sequence[str], known: Sequence[str] = ()) -> str:
    """SQL that puts a row and writes it only when it says something new; of `known` columns None keeps what stands."""
    columns = [*key, *kept, *known]
    said = [f"excluded.{one}" for one in kept] + [f"coalesce(excluded.{one}, {table}.{one})" for one in known]
    there = [f"{table}.{one}" for one in (*kept, *known)]
    sets = ", ".join(f"{one} = {value}" for one, value in zip((*kept, *known), said, strict=True))
    return (
        f"insert into {table} ({', '.join(columns)}) values {many.ROWS}"  # noqa: S608
        f" on conflict ({', '.join(key)}) do update set {sets} where ({', '.join(there)}) is not ({', '.join(said)})"
    )


_ENTRY = (
    "entered_at",
    "told_by",
    "system",
    "source",
    "campaign",
    "content",
    "medium",
    "segment",
    "stage",
    "fit",
    "interest",
    "grade",
    "owner",
    "handoffs",
)
_PUT_ENTRY = _upsert("entry", ("person",), _ENTRY)
_HANDOFF = (
    "person",
    "number",
    "state",
    "owner",
    "cause",
    "outcome",
    "opened_at",
    "clock_started_at",
    "touched_at",
    "closed_at",
    "first_owner",
    "queue",
    "route",
    "grade",
    "score",
    "segment",
    "sla",
    "reason",
    "attempts",
    "assignments",
    "raised_at",
    "come_back_at",
)
_TOLD_ONCE = ("system", "campaign", "rule", "team", "working")
_PUT_HANDOFF = _upsert("handoff", ("id",), _HANDOFF, _TOLD_ONCE)
_PROMISE = ("promised", "name", "owner", "started_at", "due_at", "ended_at", "met", "minutes")
_PUT_PROMISE = _upsert("promise", ("handoff", "clock", "turn"), _PROMISE)


def handoff_rows(person: int, plan: Plan) -> list[Row]:
    """A person's handoffs as they stand, made in the caller's thread."""
    if not plan.decision.handoffs:
        return []
    figures = {one.handoff: one for one in plan.figures}
    openings = {one.handoff: one for one in plan.events if one.kind == "handoff.opened"}
    return [_handoff_row(person, one, figures.get(one.id), openings.get(one.id)) for one in plan.decision.handoffs]


def _handoff_row(person: int, handoff: Handoff, figures: HandoffFigures | None, opening: Event | None) -> Row:
    first, last = (handoff.assignments[0], handoff.assignments[-1]) if handoff.assignments else (None, None)
    told = opening.data if opening is not None else {}
    return (
        handoff.id,
        person,
        handoff.number,
        handoff.state.value,
        last.owner if last is not None else "",
        handoff.cause,
        handoff.outcome,
        ms(handoff.opened_at),
        maybe_ms(handoff.clock_started_at),
        maybe_ms(handoff.touched_at),
        maybe_ms(handoff.closed_at),
        first.owner if first is not None else "",
        int(last is not None and last.queue),
        first.route if first is not None else "",
        handoff.grade,
        handoff.score,
        handoff.segment,
        handoff.sla.name if handoff.sla is not None else "",
        handoff.recycle_reason,
        handoff.tries,
        len(handoff.assignments),
        maybe_ms(handoff.raised_at),
        maybe_ms(handoff.come_back_at),
        told.get("source"),
        told.get("campaign"),
        told.get("rule"),
        figures.team if figures is not None else None,
        round(figures.working * 60) if figures is not None and figures.working is not None else None,
    )


def put_handoffs(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Keep these; a row that says nothing new is not written."""
    many.execute(db, _PUT_HANDOFF, rows)


def promise_rows(figures: Iterable[HandoffFigures]) -> list[Row]:
    """The promises as they stand, made in the caller's thread."""
    return [
        (
            each.handoff,
            one.clock,
            one.turn,
            one.promised,
            one.name,
            one.owner,
            ms(one.started_at),
            maybe_ms(one.due_at),
            maybe_ms(one.ended_at),
            None if one.met is None else int(one.met),
            one.minutes,
        )
        for each in figures
        for one in each.promises
    ]


def taken_away(figures: Iterable[HandoffFigures]) -> list[Row]:
    """Which handoffs have passed on to another owner, and when."""
    return [(ms(one.since), ms(one.since), one.handoff, one.turn) for one in figures if one.turn > 1 and one.since]


def put_promises(db: sqlite3.Connection, rows: Sequence[Row], passed_on: Sequence[Row]) -> None:
    """Keep these. A first touch that was promised by an owner who has lost the lead is broken, if its time was up."""
    many.execute(db, _PUT_PROMISE, rows)
    db.executemany(
        "update promise set ended_at = ?, met = case when due_at <= ? then 0 end"
        " where handoff = ? and clock = 0 and turn < ? and ended_at is null",
        passed_on,
    )


def forget(db: sqlite3.Connection, person: int) -> None:
    """They are somebody else's part now, or asked to be forgotten: reports count them no more."""
    db.execute("delete from entry where person = ?", (person,))
