"""What is to be looked up: known only from an activity, or hinted at by a delivery; and hints that nobody answers.

A system that does not know yet what it has hinted at is asked again, ever more seldom; then it is given up, and shown.
"""

from collections.abc import Sequence

from sqlite_utils.utils import sqlite3

from syncagent.model import FieldChange, Identity, Merged, Page

AGAIN = (60, 600, 3600, 86_400)
"""So many seconds after each look-up that found nothing it is asked again; then no more, until a new hint."""

HINTED = 2
"""Stamps from here on are hints; 1 is somebody of whom only an activity is known."""


def wanted(db: sqlite3.Connection, system: str, limit: int, now: int) -> list[tuple[Identity, int]]:
    """Identities to be looked up, and the stamp of the wish; hints about nobody yet come first."""
    rows: list[tuple[str, str, int]] = db.execute(
        "select object, ext, wanted from hinted where system = ? order by wanted limit ?", (system, limit)
    ).fetchall()
    rows += db.execute(
        "select object, ext, wanted from identity where system = ? and wanted > 0 order by id limit ?",
        (system, limit - len(rows)),
    ).fetchall()
    known = {(kind, ext) for kind, ext, _ in rows}
    again = db.execute(
        "select object, ext, ? from unanswered where system = ? and again_at <= ? order by again_at limit ?",
        (HINTED, system, now, limit - len(rows)),
    ).fetchall()
    rows += [row for row in again if row[:2] not in known]
    return [(Identity(system, kind, ext), stamp) for kind, ext, stamp in rows]


def looked(db: sqlite3.Connection, asked: Sequence[tuple[Identity, int]], answer: Page | None, now: int) -> None:
    """These were asked about, each with the stamp of its wish: a hint that came since is newer, and stays."""
    rows = [(one.id, one.object, one.system, stamp) for one, stamp in asked]
    named = "where ext = ? and object = ? and system = ?"
    db.executemany(f"update identity set wanted = 0 {named} and wanted <= ?", rows)  # noqa: S608
    db.executemany(f"delete from hinted {named} and wanted <= ?", rows)  # noqa: S608
    told = None if answer is None else told_of(answer)
    for one, stamp in asked:
        if told is None or one in told:
            db.execute(f"delete from unanswered {named}", (one.id, one.object, one.system))  # noqa: S608
        elif stamp >= HINTED:
            _ask_again(db, one, now)


def told_of(page: Page) -> set[Identity]:
    """Of whom a page tells: how they are, that they are gone, or into whom they were merged."""
    told: set[Identity] = set()
    for fact in page.facts:
        match fact:
            case Merged():
                told.update((fact.winner, *fact.losers))
            case FieldChange():
                told.add(fact.record)
            case _:
                told.add(fact.identity)
    return told


def _ask_again(db: sqlite3.Connection, one: Identity, now: int) -> None:
    key = (one.id, one.object, one.system)
    sql = "select tries, again_at from unanswered where ext = ? and object = ? and system = ?"
    tries, again_at = db.execute(sql, key).fetchone() or (0, now)
    tries = 0 if again_at is None else tries  # given up before, and hinted at anew
    at = now + AGAIN[tries] * 1000 if tries < len(AGAIN) else None
    db.execute("insert or replace into unanswered values (?, ?, ?, ?, ?)", (*key, tries + 1, at))


def counts(db: sqlite3.Connection) -> dict[str, int]:
    """How many hints have no answer, by system."""
    return dict(db.execute("select system, count(*) from unanswered group by system order by system").fetchall())
