"""Reading everybody whom an audit asks about, and what the file holds of them beside their dossiers."""

import re
from collections.abc import Collection, Iterator
from datetime import datetime

import msgspec
from sqlite_utils.utils import sqlite3

from syncagent.model import Dossier
from syncagent.state.codec import maybe_moment, ms
from syncagent.state.dossiers import dossiers
from syncagent.state.store import Glance, Watched


class _Score(msgspec.Struct, gc=False):
    fit: float = 0.0
    interest: float = 0.0
    grade: str = ""


class _Decided(msgspec.Struct, gc=False):
    """As much of a decision as a glance needs; its handoffs are counted, not read."""

    score: _Score | None = None
    handoffs: list[msgspec.Raw] = []
    adopted: bool = False
    waiting: str = ""


_decided = msgspec.json.Decoder(_Decided)


def glances(db: sqlite3.Connection, after: int, limit: int, words: Collection[str], late: datetime) -> Iterator[Glance]:
    """The next people behind `after`, in the order of their ids, and what they must be looked at whole for."""
    sql = (
        "select id, held, dirty_since is not null or absorbed is not null, erased, coalesce(wake_at < ?, 0),"
        " decision, body from person"
        " left join judged on judged.person = id left join said on said.person = id"
        " where id > ? and merged_into is null order by id limit ?"
    )
    # Anywhere in what was said: whoever is found so is looked at whole.
    said = re.compile("|".join(re.escape(msgspec.json.encode(one).decode()) for one in words) or "(?!)")
    for person, held, dirty, erased, overdue, decision, body in db.execute(sql, (ms(late), after, limit)):
        made = _decided.decode(decision) if decision is not None else None
        score = made.score if made is not None else None
        yield Glance(
            person,
            held or "",
            bool(dirty),
            bool(erased),
            bool(overdue or made is None or made.handoffs or made.waiting or made.adopted),
            body is not None and said.search(body) is not None,
            0.0 if score is None else score.fit,
            0.0 if score is None else score.interest,
            "" if score is None else score.grade,
        )


def watched(db: sqlite3.Connection, people: Collection[int]) -> tuple[Watched, ...]:
    """These people, in their order; at most as many as one query may name."""
    marks = ",".join("?" * len(people))
    sql = f"select id, wake_at, held, dirty_since is not null from person where id in ({marks}) order by id"  # noqa: S608
    rows = {row[0]: row for row in db.execute(sql, tuple(people)).fetchall()}
    found: list[Dossier] = dossiers(db, list(rows))
    return tuple(
        Watched(one, maybe_moment(rows[one.person][1]), rows[one.person][2] or "", bool(rows[one.person][3]))
        for one in found
    )
