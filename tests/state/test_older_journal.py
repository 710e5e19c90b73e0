"""A file that is older than the chain: its lines are sealed once, as what they are, and nobody forgotten comes back."""

import contextlib
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.utils import sqlite3

from syncagent.model import Event
from syncagent.model.seal import FORMAT
from syncagent.reports.chain import links, verify
from syncagent.state import open_store
from syncagent.state.migrations import migrations
from tests.state.story_values import act, at, settle, take


def older(path: Path) -> None:
    """A file of before, with lines on four people: the second was forgotten, the third is one with them."""
    with contextlib.closing(sqlite3.connect(path)) as raw:
        migrations.apply(Database(raw), stop_before="journal_sealed")
        for person, into, erased in ((1, None, 0), (2, None, 1), (3, 2, 0), (4, None, 0)):
            raw.execute("insert into person (id, merged_into, erased) values (?, ?, ?)", (person, into, erased))
        for number in range(1, 41):
            person = number % 4 + 1
            raw.execute(
                "insert into journal (at, person, kind, why, handoff, data, config)"
                " values (?, ?, 'score', ?, '', '{}', 'c')",
                (1000 + number, person, f"why {number} of {person}"),
            )
        raw.commit()


def test_older_lines_are_chained_once_and_keep_what_they_told(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    older(path)
    with contextlib.closing(open_store(path)) as store:
        told = store.journal(limit=100)
        ledger = store.ledger()
        lines = list(ledger.lines())
        verdict = verify(links(lines), ever=ledger.ever())
    assert verdict.findings == ()
    assert (verdict.lines, verdict.erased) == (41, 20)
    assert {line.format for line in lines[:40]} == {0} and lines[40].format == FORMAT
    assert {line.engine for line in lines[:40]} == {""}, "nobody knows which version wrote them"
    assert (lines[40].kind, lines[40].person) == ("forgotten", 2)
    assert [one.why for one in told if one.person in (1, 4)] == [
        f"why {number} of {number % 4 + 1}" for number in range(40, 0, -1) if number % 4 + 1 in (1, 4)
    ]
    assert {one.why for one in told if one.person in (2, 3) and one.kind == "score"} == {""}
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("select count(*) from sqlite_master where name = 'journal_before'").fetchone() == (0,)


def test_it_goes_on_behind_them(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    older(path)
    for minute in (1, 2):
        with contextlib.closing(open_store(path)) as store:
            take(store, act(1, f"k{minute}", minute))
            settle(store, minute=minute, events=(Event("score", at(minute), f"now {minute}"),))
            ledger = store.ledger()
            assert verify(links(ledger.lines()), ever=ledger.ever()).findings == ()
            assert store.journal(limit=1)[0].why == f"now {minute}"
