"""What the models beside the live one have said, and when: a row where the grade is another, or five points have moved.

It is compared with what was kept last, so that slow drift is kept too; and so that a company, of whom all its people
say the same, has it once.
"""

from collections.abc import Sequence

from sqlite_utils.utils import sqlite3

from syncagent.model import ModelScore
from syncagent.state.codec import moment
from syncagent.state.store import Result

Row = tuple[object, ...]
_MOVED = 5.0


def rows(person: int, said: Sequence[ModelScore], at: int) -> list[Row]:
    """What is to be kept of a decision, made in the caller's thread."""
    return [(subject_of(person, one.about), one.model, at, one.fit, one.interest, one.grade) for one in said]


def subject_of(person: int, about: str) -> str:
    """Whom a result is about: "person:7", "deal:006...", "account:001..."."""
    if not about:
        return f"person:{person}"
    return about if about.startswith("account:") else f"deal:{about}"


def put(db: sqlite3.Connection, said: Sequence[Row]) -> None:
    """Keep those that say something else than what was kept last."""
    for row in said:
        subject, model, at, fit, interest, grade = row
        db.execute(
            "insert or replace into result select ?, ?, ?, ?, ?, ? where not exists (select 1 from"
            " (select * from result where subject = ? and model = ? order by at desc limit 1) where at > ? or"
            " (grade = ? and abs(fit + interest - ? - ?) < ?))",
            (*row, subject, model, at, grade, fit, interest, _MOVED),
        )


def move(db: sqlite3.Connection, winner: int, loser: int) -> None:
    """The loser's are the winner's now."""
    whose = (f"person:{winner}", f"person:{loser}")
    db.execute("update or ignore result set subject = ? where subject = ?", whose)
    db.execute("delete from result where subject = ?", whose[1:])


def of(db: sqlite3.Connection, subject: str) -> tuple[Result, ...]:
    """All that is kept of one subject, oldest first."""
    sql = "select model, at, fit, interest, grade from result where subject = ? order by at, model"
    return tuple(Result(model, moment(at), *rest) for model, at, *rest in db.execute(sql, (subject,)))
