"""Visits, what an audit looks at, and commands that no plan has made."""

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlite_utils import Database

from syncagent.model import Decision, Event, Identity, Lead, Notify, Page, Plan, Roster
from syncagent.state import SqliteStore, open_store
from syncagent.state.migrations import migrations
from syncagent.state.schema import migrate
from syncagent.state.store import Settlement, StageNumbers

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = open_store(tmp_path / "state.db")
    yield made
    made.close()


def people(store: SqliteStore, count: int) -> list[int]:
    leads = [Lead(Identity("web", "lead", f"{n}"), NOW, {}, (f"p{n}@example.com",)) for n in range(count)]
    store.accept(Page(tuple(leads), ""), "web/poll", now=NOW)
    return [store.find(f"p{n}@example.com")[0] for n in range(count)]


def moves_to(store: SqliteStore, person: int, stage: str, at: datetime, wake: datetime | None = None) -> None:
    found = store.dossier(person)
    assert found is not None
    event = Event("stage", at, "", "", {"stage": stage})
    settlement = Settlement(person, found.revision, Plan(Decision(), events=(event,), wake_at=wake))
    assert store.settle([settlement], Roster(), now=at, config="c") == 1


def test_each_visit_ends_the_one_before(store: SqliteStore) -> None:
    one, two, three, _ = people(store, 4)
    for person, hours in ((one, 2), (two, 4), (three, 9)):
        moves_to(store, person, "mql", NOW)
        moves_to(store, person, "sal", NOW + hours * HOUR)
    moves_to(store, one, "mql", NOW + 10 * HOUR)
    visits = store.visits(one)
    assert [(one.stage, one.left_at) for one in visits] == [
        ("mql", NOW + 2 * HOUR),
        ("sal", NOW + 10 * HOUR),
        ("mql", None),
    ]
    found = store.stage_numbers(NOW, {"sal": NOW + 4 * HOUR, "mql": NOW})
    assert found["mql"] == StageNumbers(here=1, stuck=0, left=3, median=4 * 3600)
    assert found["sal"] == StageNumbers(here=2, stuck=1, left=1, median=8 * 3600)
    assert found["suspect"].here == 1, "who has moved nowhere yet"
    assert store.moves(NOW) == {("mql", "sal"): 3, ("sal", "mql"): 1}
    assert store.moves(NOW + 5 * HOUR) == {("mql", "sal"): 1, ("sal", "mql"): 1}


def test_a_move_that_comes_with_a_new_score_is_a_visit(store: SqliteStore) -> None:
    (one,) = people(store, 1)
    found = store.dossier(one)
    assert found is not None
    moved = Event("score", NOW, "From suspect to prospect: a demo (+25)", "", {"total": 25, "stage": "prospect"})
    kept = Event("score", NOW + HOUR, "nothing counts any more", "", {"total": 0})
    for at, event in ((NOW, moved), (NOW + HOUR, kept)):
        settlement = Settlement(one, found.revision, Plan(Decision(), events=(event,)))
        assert store.settle([settlement], Roster(), now=at, config="c") == 1
        found = replace(found, revision=found.revision + 1)
    assert [(visit.stage, visit.entered_at, visit.left_at) for visit in store.visits(one)] == [("prospect", NOW, None)]


def test_who_became_part_of_another_is_counted_once(store: SqliteStore) -> None:
    one, two = people(store, 2)
    moves_to(store, one, "mql", NOW)
    moves_to(store, two, "sal", NOW)
    both = Lead(Identity("web", "lead", "0"), NOW + HOUR, {}, ("p0@example.com", "p1@example.com"))
    store.accept(Page((both,), ""), "web/poll", now=NOW)
    assert store.find("p1@example.com") == (one,)
    here = {stage: number.here for stage, number in store.stage_numbers(NOW, {}).items()}
    assert {stage: count for stage, count in here.items() if count} == {"mql": 1}


def test_what_the_journal_knows_becomes_visits(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
        db = Database(raw)
        migrations.apply(db, stop_before="visit")
        rows = [(1, 5, "mql"), (2, 6, "mql"), (1, 9, "sal")]
        raw.executemany(
            "insert into journal (at, person, kind, why, handoff, data, config) values (?, ?, 'stage', '', '', ?, '')",
            [(at, person, f'{{"stage":"{stage}"}}') for person, at, stage in rows],
        )
        migrate(db)
        found = raw.execute("select person, entered_at, stage, left_at from visit order by 1, 2").fetchall()
    assert found == [(1, 5, "mql", 9), (1, 9, "sal", None), (2, 6, "mql", None)]


def test_an_audit_sees_timers_holds_and_who_is_to_be_planned(store: SqliteStore) -> None:
    one, two = people(store, 2)
    moves_to(store, one, "mql", NOW, wake=NOW + HOUR)
    first, second = store.watched((one, two))
    assert (first.dossier.person, first.wake_at, first.dirty, first.held) == (one, NOW + HOUR, False, "")
    assert (second.dossier.person, second.wake_at, second.dirty) == (two, None, True)
    assert store.watched((two,)) == (second,)


def test_what_no_plan_has_made_is_queued_once_and_waits_for_its_time(store: SqliteStore) -> None:
    (one,) = people(store, 1)
    notice = Notify(key="e1:x", target="mail", person=one, record=None, to=("b",), title="t", body="b")
    later = replace(notice, key="e1:y", not_before=NOW + HOUR)
    store.enqueue([notice, later], now=NOW)
    store.enqueue([notice, later], now=NOW)
    assert [item.command.key for item in store.due("mail", NOW, 10)] == ["e1:x"]
    assert store.due("mail", NOW + HOUR - timedelta(seconds=1), 10) == ()
    assert [item.command.key for item in store.due("mail", NOW + HOUR, 10)] == ["e1:y"]
