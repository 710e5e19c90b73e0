"""A year whose people are mostly copies is the year that the agent would have made of all of them."""

from contextlib import closing
from pathlib import Path
from typing import Any

from sqlite_utils.utils import sqlite3

from benchmarks import year
from syncagent.reports.chain import links, verify
from syncagent.state import open_store
from syncagent.state.activities import LAST, SHIFT

PEOPLE, KINDS, MONTHS = 300, 50, 2
PLAIN = "select ext, person from identity where system = 'web' and person not in (select person from handoff)"
TOLD = {
    "person": "select revision, dirty_since, lane, wake_at, held, released from person where id = ?",
    "address": "select address from email where person = ?",
    "names": "select system, object, ext, wanted from identity where person = ? order by 1, 2, 3",
    "said": "select body from said where person = ?",
    "judged": "select decision, absorbed from judged where person = ?",
    "visits": "select entered_at, stage, left_at, handoff from visit where person = ? order by entered_at",
    "journal": "select at, kind, handoff, data, config, format, engine, why, inputs, plan from journal"
    " join journal_told using (id) where person = ? order by id",
}


def _plain(path: Path) -> dict[str, dict[str, list[Any]]]:
    """All that is kept of each who was never handed off, by their number at the source."""
    found = {}
    with closing(sqlite3.connect(path)) as db:
        columns = [name for _, name, *_ in db.execute("pragma table_info(entry)") if name != "person"]
        asked = {**TOLD, "entry": f"select {', '.join(columns)} from entry where person = ?"}
        for number, person in db.execute(PLAIN).fetchall():
            told = {name: db.execute(sql, (person,)).fetchall() for name, sql in asked.items()}
            first = person << SHIFT
            doings = "select id - ?, body from activity where id between ? and ? order by id"
            told["activities"] = db.execute(doings, (first, first, first | LAST)).fetchall()
            found[number] = told
    return found


def test_copies_are_what_the_agent_would_have_written(tmp_path: Path) -> None:
    for name, lived in (("lived", PEOPLE), ("copied", KINDS)):
        (tmp_path / name).mkdir()
        year.live(tmp_path / name / "state.db", PEOPLE, kinds=KINDS, months=MONTHS, lived=lived)
    lived, copied = (_plain(tmp_path / name / "state.db") for name in ("lived", "copied"))
    assert len(lived) == PEOPLE - PEOPLE // 50
    assert lived == copied
    store = open_store(tmp_path / "copied" / "state.db", read_only=True)
    try:
        verdict = verify(links(store.ledger().lines()), ever=store.ledger().ever())
    finally:
        store.close()
    assert not verdict.findings
    with closing(sqlite3.connect(tmp_path / "lived" / "state.db")) as db:
        assert (verdict.lines,) == db.execute("select count(*) from journal").fetchone()
