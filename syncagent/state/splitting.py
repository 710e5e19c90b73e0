"""An admin says that one person is two: facts go back by their own identity, and the two are kept apart from then on.

Who keeps the number keeps handoffs, tasks and commands: the side with the CRM record that our decision writes. No
email address and no id that a source repeats joins the two again; only a merge that a system tells of later does.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar

from sqlite_utils.utils import sqlite3

from syncagent.errors import UserError
from syncagent.model import Event, Identity, Lane, Parted
from syncagent.model.address import Addresses, own_key
from syncagent.state import accounts, activities, journal
from syncagent.state.codec import Said, decode_decision, ms
from syncagent.state.people import People

T = TypeVar("T")


def split(
    db: sqlite3.Connection, person: int, named: Iterable[Identity], addresses: Addresses, now: datetime
) -> Parted:
    """The whole of `Store.split`, inside a transaction. Raises `UserError` when there is nothing to part."""
    rows = db.execute("select system, object, ext from identity where person = ?", (person,)).fetchall()
    every = {Identity(*row) for row in rows}
    parted = set(named)
    if not parted or not parted < every:
        raise UserError(
            f"Person {person} cannot be split like that: name some of their identities, and not all of them. "
            f"`syncagent explain {person}` lists them."
        )
    stays_with_number = _written_record(db, person)
    moved = every - parted if stays_with_number in parted else parted
    other = _new_person(db, ms(now))
    people = People(db, ms(now), Lane.HOT)
    ours = people.said(person)
    theirs = _part(ours, moved)
    people.put_said(other, theirs)
    people.companies |= accounts.forget(db, person)
    _move_rows(db, person, other, moved)
    _move_children(db, person, other, ours, theirs)
    _move_addresses(db, (person, ours), (other, theirs), addresses)
    people.keep_apart(person, other, ms(now))
    people.changed_all((person, other))
    people.finish()
    names = ", ".join(f"{one.system} {one.object} {one.id}" for one in sorted(moved))
    for who, why in (
        (person, f"An admin has split this person: {names} went to person {other}."),
        (other, f"An admin has split this person off person {person}: {names}."),
    ):
        journal.note(db, Event("split", now, why), who)
    return Parted(person, other, tuple(sorted(moved)))


def _written_record(db: sqlite3.Connection, person: int) -> Identity | None:
    """The CRM record that our decision writes: with it go handoffs and tasks."""
    row = db.execute("select decision from judged where person = ?", (person,)).fetchone()
    decision = decode_decision(row[0]) if row is not None and row[0] else None
    return decision.desired.record if decision is not None and decision.desired is not None else None


def _new_person(db: sqlite3.Connection, now: int) -> int:
    number = db.execute("insert into person (dirty_since, lane) values (?, ?)", (now, int(Lane.HOT))).lastrowid
    if number is None:
        raise sqlite3.DatabaseError("an insert left no row id")
    return number


def _part(said: Said, moved: set[Identity]) -> Said:
    """Take what is the moved identities' out of `said`, and return it. A deal of both stays with both."""
    theirs = Said()
    said.leads, theirs.leads = _by(said.leads, lambda one: one.identity in moved)
    said.records, theirs.records = _by(said.records, lambda one: one.identity in moved)
    said.changes, theirs.changes = _by(said.changes, lambda one: one.record in moved)
    said.tasks, theirs.tasks = _by(said.tasks, lambda one: one.record in moved)
    said.histories, theirs.histories = _by(said.histories, lambda one: one.identity in moved)
    theirs.opportunities = tuple(deal for deal in said.opportunities if moved.intersection(deal.people))
    said.opportunities = tuple(d for d in said.opportunities if not d.people or set(d.people) - moved)
    return theirs


def _by(facts: tuple[T, ...], moves: Callable[[T], bool]) -> tuple[tuple[T, ...], tuple[T, ...]]:
    """Those that stay, and those that move."""
    return tuple(one for one in facts if not moves(one)), tuple(one for one in facts if moves(one))


def _move_rows(db: sqlite3.Connection, person: int, other: int, moved: set[Identity]) -> None:
    keys = [(one.id, one.object, one.system) for one in sorted(moved)]
    db.executemany(
        "update identity set person = ? where ext = ? and object = ? and system = ?", [(other, *key) for key in keys]
    )
    activities.part(db, person, other, moved)


def _move_children(db: sqlite3.Connection, person: int, other: int, ours: Said, theirs: Said) -> None:
    """Who holds a copy of which task and deal."""
    db.execute("delete from child where person = ?", (person,))
    for who, said in ((person, ours), (other, theirs)):
        held = [task.identity for task in said.tasks] + [deal.identity for deal in said.opportunities]
        rows = [(one.id, one.object, one.system, who) for one in held]
        db.executemany("insert or ignore into child values (?, ?, ?, ?)", rows)


def _move_addresses(
    db: sqlite3.Connection, one: tuple[int, Said], other: tuple[int, Said], addresses: Addresses
) -> None:
    """An address goes to the side that alone tells it; one of both stays with the number, and is known to the other."""
    (person, ours), (fresh, theirs) = one, other
    told = {key for keys, _ in _told(ours, addresses) for key in keys}
    for (key,) in db.execute("select address from email where person = ?", (person,)).fetchall():
        tellers = [identity for keys, identity in _told(theirs, addresses) if key in keys]
        if not tellers:
            continue
        if key not in told:
            db.execute("update email set person = ? where address = ?", (fresh, key))
        elif " " not in key:
            rows = [(own_key(key, identity), fresh) for identity in tellers]
            db.executemany("insert or ignore into email values (?, ?)", rows)


def _told(said: Said, addresses: Addresses) -> list[tuple[tuple[str, ...], Identity]]:
    leads = [(addresses.keys(one.emails, one.attributes, one.identity), one.identity) for one in said.leads]
    return leads + [(addresses.keys(one.emails, one.fields, one.identity), one.identity) for one in said.records]
