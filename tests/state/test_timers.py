"""A million timers: whoever is due is found through an index, without looking at the others."""

import sqlite3
from contextlib import closing
from pathlib import Path

from syncagent.model import Lane
from syncagent.state import open_store, reading
from tests.state.story_values import T0, at

MANY = 20_000


def file_of(path: Path, count: int) -> sqlite3.Connection:
    """So many people, their timers a minute apart; every third is dirty in the cold lane, every hundredth is held."""
    open_store(path).close()
    db = sqlite3.connect(path)
    rows = (
        (n, int(at(n).timestamp() * 1000), None if n % 3 else 1, int(Lane.COLD), None if n % 100 else "flood")
        for n in range(1, count + 1)
    )
    db.executemany("insert into person (id, wake_at, dirty_since, lane, held) values (?, ?, ?, ?, ?)", rows)
    db.commit()
    return db


def plans(db: sqlite3.Connection, lane: Lane | None) -> list[str]:
    """How SQLite goes about each statement with which the next people and the next wake-up are looked for."""
    asked: list[str] = []
    db.set_trace_callback(asked.append)
    try:
        found = reading.unsettled_ids(db, at(10), 500, lane)
        assert reading.next_wake(db) == at(1)
    finally:
        db.set_trace_callback(None)
    assert found, "there is somebody to find"
    return [row[3] for sql in asked for row in db.execute(f"explain query plan {sql}")]


def test_who_is_due_is_found_through_indexes_only(tmp_path: Path) -> None:
    with closing(file_of(tmp_path / "state.db", MANY)) as db:
        for lane in (None, Lane.HOT):
            told = plans(db, lane)
            assert [one for one in told if "person_wake" in one], told
            for one in told:
                assert "INDEX person_wake" in one or "INDEX person_dirty" in one, f"this looks at everybody: {one}"
                assert "B-TREE" not in one, f"this sorts: {one}"


def test_what_it_costs_does_not_grow_with_the_number_of_timers(tmp_path: Path) -> None:
    """Counted in steps of SQLite's machine, not in seconds."""

    def steps(count: int) -> int:
        made = 0

        def step() -> int:
            nonlocal made
            made += 1
            return 0

        with closing(file_of(tmp_path / f"{count}.db", count)) as db:
            db.set_progress_handler(step, 1)
            found = reading.unsettled_ids(db, at(10), 5, Lane.HOT)
            db.set_progress_handler(None, 0)
            assert len(found) == 5
        return made

    assert steps(MANY) <= steps(500) + 10
    assert at(1) > T0
