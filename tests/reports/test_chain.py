"""The journal's chain: whatever is changed, removed, inserted or moved is named; forgetting breaks nothing."""

import contextlib
import hashlib
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlite_utils.utils import sqlite3

from syncagent.model import Decision, Deleted, Event, Identity, Lead, Page, Plan, Roster
from syncagent.model.seal import NOTHING_BEFORE, Line, Told, hash_of, rest_of, seal_of
from syncagent.reports.chain import Link, Verdict, links, read, verify, written
from syncagent.state import SqliteStore, open_store, restore
from syncagent.state.store import Settlement

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[SqliteStore]:
    store = open_store(path)
    try:
        yield store
    finally:
        store.close()


def someone(number: int) -> Identity:
    return Identity("web", "lead", str(number))


def people(store: SqliteStore, count: int) -> list[int]:
    leads = [Lead(someone(n), NOW, {"title": "chief"}, (f"p{n}@example.com",)) for n in range(count)]
    store.accept(Page(tuple(leads), ""), "web/poll", now=NOW)
    return [store.find(f"p{n}@example.com")[0] for n in range(count)]


def say(store: SqliteStore, person: int, count: int, minute: int = 0) -> None:
    """So many lines on a person, a decision each."""
    for number in range(count):
        dossier = store.dossier(person)
        assert dossier is not None
        at = NOW + timedelta(minutes=minute + number)
        event = Event(
            "score", at, f"the reason of {person}, {number}\nwith a second line", f"{person}.1", {"total": number}
        )
        settlement = Settlement(person, dossier.revision, Plan(Decision(), events=(event,)))
        assert store.settle([settlement], Roster(), now=at, config="c") == 1


def checked(path: Path) -> Verdict:
    store = open_store(path, read_only=True)
    try:
        ledger = store.ledger()
        return verify(links(ledger.lines()), ever=ledger.ever())
    finally:
        store.close()


def found(verdict: Verdict) -> list[tuple[str, int]]:
    return [(one.what, one.line) for one in verdict.findings]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of twelve lines on three people."""
    path = tmp_path / "state.db"
    with opened(path) as store:
        for person in people(store, 3):
            say(store, person, 4, minute=person * 10)
    return path


def tampered(path: Path, *statements: str) -> list[tuple[str, int]]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)
    return found(checked(path))


# -- the file


def test_what_was_written_verifies(path: Path) -> None:
    verdict = checked(path)
    assert (verdict.lines, verdict.first, found(verdict), verdict.erased) == (12, 1, [], 0)
    assert verdict.head.startswith("12:")


def test_it_goes_on_where_it_ended_after_a_restart(path: Path) -> None:
    with opened(path) as store:
        say(store, 1, 3, minute=90)
    assert found(checked(path)) == []
    assert checked(path).lines == 15


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "at + 1"),
        ("person", "2"),
        ("kind", "'stage'"),
        ("handoff", "'9.9'"),
        ("data", "'{\"total\":99}'"),
        ("config", "'another'"),
        ("format", "0"),
        ("engine", "'9.9'"),
        ("sealed", "zeroblob(32)"),
        ("hash", "zeroblob(32)"),
    ],
)
def test_a_change_of_any_column_is_found_in_its_line(path: Path, column: str, value: str) -> None:
    what = tampered(path, f"update journal set {column} = {value} where id = 4")
    assert ("changed", 4) in what
    assert {line for _, line in what} == {4}, "its neighbours are as they were"


def test_a_reason_that_was_changed_is_found(path: Path) -> None:
    assert tampered(path, "update journal_told set why = 'another reason' where id = 7") == [("reason changed", 7)]
    assert tampered(path, "update journal_told set inputs = x'00' where id = 3") == [
        ("reason changed", 3),
        ("reason changed", 7),
    ]


def test_a_reason_that_was_taken_away_is_found(path: Path) -> None:
    assert tampered(path, "delete from journal_told where id = 7") == [("reason removed", 7)]
    assert checked(path).erased == 0, "nobody was forgotten"


def test_lines_that_were_removed_are_named(path: Path) -> None:
    verdict = tampered(path, "delete from journal where id in (5, 6)", "delete from journal_told where id in (5, 6)")
    assert verdict == [("removed", 5)]
    assert checked(path).findings[0].last == 6


def test_what_is_cut_off_at_the_end_is_found_also_after_more_was_written(path: Path) -> None:
    assert tampered(path, "delete from journal where id > 10") == [("removed", 11)]
    with opened(path) as store:
        say(store, 1, 2, minute=90)
    assert found(checked(path)) == [("removed", 11)]


def test_the_first_lines_cannot_go_either(path: Path) -> None:
    assert tampered(path, "delete from journal where id < 3") == [("removed", 1)]


def test_an_end_cut_off_with_its_count_shows_against_the_head_noted_before(path: Path) -> None:
    number, _, digest = checked(path).head.partition(":")
    cut = "update sqlite_sequence set seq = 10 where name = 'journal'"
    assert tampered(path, "delete from journal where id > 10", cut) == [], "nothing in the file knows better"
    with opened(path) as store:
        say(store, 1, 2, minute=95)
        ledger = store.ledger()
        verdict = verify(links(ledger.lines()), ever=ledger.ever(), head=(int(number), digest))
        assert found(verdict) == [("head", 12)]


def test_lines_that_changed_places_are_named(path: Path) -> None:
    what = tampered(
        path,
        "update journal set id = -1 where id = 5",
        "update journal set id = 5 where id = 9",
        "update journal set id = 9 where id = -1",
    )
    assert {one for one in what if not one[0].startswith("reason")} == {("moved", 5), ("moved", 9)}


def test_an_inserted_line_is_named_though_the_others_were_renumbered(path: Path) -> None:
    shift = [f"update journal set id = {n + 1} where id = {n}" for n in range(12, 5, -1)]
    shift += [f"update journal_told set id = {n + 1} where id = {n}" for n in range(12, 5, -1)]
    fields = "at, person, kind, handoff, data, config, format, engine, sealed, hash"
    what = tampered(
        path,
        *shift,
        f"insert into journal (id, {fields}) select 6, {fields} from journal where id = 2",
        "insert into journal_told select 6, salt, why, inputs, plan from journal_told where id = 2",
    )
    assert what == [("inserted", 6)]


def test_a_removed_line_shows_though_the_others_were_renumbered(path: Path) -> None:
    shift = [f"update journal set id = {n - 1} where id = {n}" for n in range(6, 13)]
    shift += [f"update journal_told set id = {n - 1} where id = {n}" for n in range(6, 13)]
    end = "update sqlite_sequence set seq = 11 where name = 'journal'"
    what = tampered(path, "delete from journal where id = 5", "delete from journal_told where id = 5", *shift, end)
    assert what == [("removed", 5)]


def test_a_line_that_was_sealed_anew_does_not_fit_the_next_one(path: Path) -> None:
    store = open_store(path, read_only=True)
    line, before = list(store.ledger().lines())[5], store.ledger().before(6)
    store.close()
    fields = (line.at, line.person, line.kind, line.handoff, '{"total":77}', line.config, line.format, line.engine)
    forged = hash_of(before, 6, rest_of(fields, line.sealed)).hex()
    what = tampered(path, f"update journal set data = '{{\"total\":77}}', hash = x'{forged}' where id = 6")
    assert what == [("changed", 7)], "the first line that no longer fits"


# -- forgetting


def test_forgetting_breaks_neither_the_chain_nor_the_counts(path: Path) -> None:
    with opened(path) as store:
        before = [(one.id, one.kind, one.data) for one in store.journal()]
        gone = Deleted(someone(1), NOW + timedelta(hours=5), privacy=True)
        store.accept(Page((gone,), ""), "web/poll", now=NOW + timedelta(hours=5))
        after = store.journal()
        assert [(one.id, one.kind, one.data) for one in after[1:]] == before
        assert after[0].kind == "forgotten" and after[0].person == 2
        assert {bool(one.why) for one in after if one.person == 2 and one.id <= 12} == {False}
        assert all(one.why for one in after if one.person != 2)
        store.accept(Page((gone,), ""), "web/poll", now=NOW + timedelta(hours=6))
        assert len(store.journal()) == len(after), "told twice, it is written down once"
    verdict = checked(path)
    assert (found(verdict), verdict.erased) == ([], 4)
    leftovers = path.read_bytes()
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("select count(*) from journal_told where why like '%reason of 2,%'").fetchone() == (0,)
    assert leftovers, "the file is still there"


def test_nobody_can_hide_a_reason_behind_somebody_elses_wish(path: Path) -> None:
    with opened(path) as store:
        gone = Deleted(someone(1), NOW + timedelta(hours=5), privacy=True)
        store.accept(Page((gone,), ""), "web/poll", now=NOW + timedelta(hours=5))
    assert tampered(path, "delete from journal_told where id = 1") == [("reason removed", 1)]


def test_a_merged_persons_lines_are_forgotten_too(path: Path) -> None:
    with opened(path) as store:
        joined = Lead(someone(0), NOW + timedelta(hours=1), {}, ("p0@example.com", "p1@example.com"))
        store.accept(Page((joined,), ""), "web/poll", now=NOW + timedelta(hours=1))
        assert store.find("p1@example.com") == (1,)
        endings = tuple(Deleted(someone(n), NOW + timedelta(hours=5), privacy=True) for n in (0, 1))
        store.accept(Page(endings, ""), "web/poll", now=NOW + timedelta(hours=5))
        assert [one.person for one in store.journal() if not one.why] == [2] * 4 + [1] * 4
    assert found(checked(path)) == []


# -- backups


def test_a_restored_backup_goes_on_from_its_own_end_and_says_so(path: Path, tmp_path: Path) -> None:
    with opened(path) as store:
        store.backup(str(tmp_path / "backup.db"))
        say(store, 1, 3, minute=80)
        late = checked(path).head
    restore(tmp_path / "backup.db", path)
    with opened(path) as store:
        assert store.journal(limit=1)[0].kind == "backup.restored"
        say(store, 2, 5, minute=90)
        number, _, digest = late.partition(":")
        ledger = store.ledger()
        against = verify(links(ledger.lines()), ever=ledger.ever(), head=(int(number), digest))
    assert found(checked(path)) == []
    assert found(against) == [("head", 15)], "what was decided after the backup is not in this journal"


# -- exports


def exported(path: Path, since: datetime | None = None, until: datetime | None = None) -> list[str]:
    store = open_store(path, read_only=True)
    try:
        ledger = store.ledger()
        lines = list(ledger.lines(since, until))
        return [written(link) for link in links(lines, ledger.before(lines[0].id))]
    finally:
        store.close()


def in_file(lines: list[str]) -> list[tuple[str, int]]:
    return found(verify(map(read, lines), whole=False))


def test_an_export_verifies_by_itself_also_a_part_of_it(path: Path) -> None:
    assert len(exported(path)) == 12 and in_file(exported(path)) == []
    part = exported(path, NOW + timedelta(minutes=20), NOW + timedelta(minutes=32))
    assert [json.loads(one)["id"] for one in part] == [5, 6, 7, 8, 9, 10]
    assert in_file(part) == []


def test_an_export_is_checked_by_hand_as_the_docs_say(path: Path) -> None:
    for text in exported(path):
        line = json.loads(text)
        told = line["told"]
        sealed = hashlib.sha256("\n".join([told["salt"], told["inputs"], told["plan"], told["why"]]).encode())
        assert sealed.hexdigest() == line["sealed"]
        names = ("before", "id", "at", "person", "kind", "handoff", "data", "config", "format", "engine", "sealed")
        assert hashlib.sha256("\n".join(str(line[name]) for name in names).encode()).hexdigest() == line["hash"]


def test_in_an_export_what_was_moved_removed_and_inserted_is_named(path: Path) -> None:
    lines = exported(path)
    assert in_file([*lines[:4], lines[5], lines[4], *lines[6:]]) == [("moved", 5)]
    assert in_file([*lines[:4], *lines[6:]]) == [("removed", 5)]
    assert in_file([*lines[:4], lines[2], *lines[4:]]) == [("inserted", 3)]
    assert in_file([lines[-1], *lines[:-1]])[0][0] in ("inserted", "moved", "removed")
    assert in_file([*lines[:4], lines[4].replace('"total\\":0', '"total\\":1'), *lines[5:]]) == [("changed", 5)]
    assert in_file([*lines[:4], lines[4].replace("the reason", "no reason"), *lines[5:]]) == [("reason changed", 5)]


def lines_of(whys: list[str]) -> list[Link]:
    made, before = [], NOTHING_BEFORE
    for number, why in enumerate(whys, 1):
        told = Told(hashlib.sha256(why.encode()).digest()[:16], why)
        fields = (1000 + number, number % 3, "score", "", json.dumps({"n": number}), "c", 1, "0.1")
        sealed = seal_of(told)
        digest = hash_of(before, number, rest_of(fields, sealed))
        made.append(Link(before, Line(number, *fields, sealed, digest, told)))
        before = digest
    return made


def _changed(chain: list[Link], at: int, dice: random.Random) -> list[Link]:
    before, line = chain[at]
    change: dict[str, object] = dice.choice(
        [
            {"at": line.at + 1},
            {"person": line.person + 1},
            {"kind": "x"},
            {"data": "{}"},
            {"config": "d"},
            {"format": 0},
        ]
    )
    return [*chain[:at], Link(before, replace(line, **change)), *chain[at + 1 :]]


def _removed(chain: list[Link], at: int, _: random.Random) -> list[Link]:
    return [*chain[:at], *chain[at + 1 :]]


def _doubled(chain: list[Link], at: int, dice: random.Random) -> list[Link]:
    to = dice.randrange(at + 1, len(chain) + 1)
    return [*chain[:to], chain[at], *chain[to:]]


def _moved(chain: list[Link], at: int, dice: random.Random) -> list[Link]:
    rest = [*chain[:at], *chain[at + 1 :]]
    to = dice.randrange(at + 1, len(rest) + 1)
    return [*rest[:to], chain[at], *rest[to:]]


Tampering = Callable[[list[Link], int, random.Random], list[Link]]


@given(st.lists(st.text(max_size=12), min_size=4, max_size=14), st.randoms(use_true_random=False), st.data())
def test_no_tampering_with_one_line_goes_unseen(whys: list[str], dice: random.Random, data: st.DataObject) -> None:
    chain = lines_of(whys)
    assert verify(chain).findings == ()
    assert [read(written(link)) for link in chain] == chain
    what, work = data.draw(
        st.sampled_from([("changed", _changed), ("removed", _removed), ("inserted", _doubled), ("moved", _moved)])
    )
    at = dice.randrange(0, len(chain) - 1)
    told = verify(work(chain, at, dice)).findings
    assert (what, at + 1) in [(one.what, one.line) for one in told]
    assert {one.line for one in told} == {at + 1}, "and no other line is named"


def test_a_broken_line_of_a_file_is_a_sentence() -> None:
    with pytest.raises(ValueError):
        read('{"id": 1}')
