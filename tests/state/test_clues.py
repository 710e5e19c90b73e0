"""What people share with companies: what so many companies share tells none of them apart, and costs nothing."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from syncagent.model import Identity, Lead
from syncagent.state import clues
from tests.state.story_values import T0

PEOPLE = 100


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as made:
        made.executescript(
            "create table company_key (key text, id text, told integer, people integer, primary key (key, id));"
            "create table clue (person integer primary key, keys text)"
        )
        yield made


def named(db: sqlite3.Connection, count: int) -> None:
    """So many companies of one name."""
    (key,) = clues._keys([lead(0)], [])
    db.executemany("insert into company_key values (?, ?, 1, 0)", [(key, f"A{n}") for n in range(count)])


def lead(number: int) -> Lead:
    return Lead(Identity("web", "lead", str(number)), T0, attributes={"company": "Miller Brothers"})


def shared(db: sqlite3.Connection, *, kept: bool) -> tuple[dict[int, set[str]], int]:
    """Who shares something with whom, and the steps of SQLite's machine that it took; `kept`: of keys on file."""
    told = {number: ((lead(number),), ()) for number in range(1, PEOPLE + 1)}
    if kept:
        clues.put(db, ((number, *theirs) for number, theirs in told.items()))
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    db.set_progress_handler(step, 1)
    found = clues.shares(db, told)
    db.set_progress_handler(None, 0)
    return {person: set(theirs) for person, theirs in found.items()}, steps


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "worked out"])
def test_a_key_of_twenty_companies_is_told_and_of_more_is_not(db: sqlite3.Connection, kept: bool) -> None:
    named(db, 20)
    found, _ = shared(db, kept=kept)
    assert found == {person: {f"A{n}" for n in range(20)} for person in range(1, PEOPLE + 1)}
    db.execute("insert into company_key select key, 'A20', told, people from company_key limit 1")
    assert shared(db, kept=kept)[0] == {}


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "worked out"])
def test_thousands_of_companies_of_one_name_cost_no_more_than_a_few(db: sqlite3.Connection, kept: bool) -> None:
    named(db, 21)
    _, few = shared(db, kept=kept)
    db.execute("delete from company_key")
    named(db, 5_000)
    found, many = shared(db, kept=kept)
    assert found == {}
    assert many <= few + 10
