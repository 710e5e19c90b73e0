"""A page for every empty, huge and broken state: whatever the state file is, each page says something that helps.

Empty ones and those of a story stand in test_pages.py, hostile ones in test_escaping.py.
"""

import re
from contextlib import closing, contextmanager
from html import unescape

import pytest
from msgspec import structs
from sqlite_utils.utils import sqlite3

from syncagent.model import Deleted, Identity
from syncagent.reports.catalog import REPORTS
from syncagent.reports.formats.words import EMPTY, NOTHING
from syncagent.state import readers
from syncagent.web import views
from tests.markup import strange
from tests.web.desk import browsing, story, theatre

PAGES = ("/", "/board", "/people", "/people/1", "/outbox", "/reports", "/reports/funnel", "/process", "/process.svg",
         "/config")  # fmt: skip


@contextmanager
def missing(state):
    yield state.with_name("nowhere.db")


@contextmanager
def no_database(state):
    path = state.with_name("letter.db")
    path.write_bytes(b"Dear Sir or Madam, " * 500)
    yield path


@contextmanager
def damaged(state):
    path = copy_of(state)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    yield path


@contextmanager
def newer(state):
    path = copy_of(state)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("insert into _sqlite_migrations (migration_set, name) values ('syncagent', 'of_tomorrow')")
    yield path


@contextmanager
def half_made(state):
    path = state.with_name("half.db")
    sqlite3.connect(path).close()
    yield path


def copy_of(state):
    path = state.with_name("copy.db")
    with closing(sqlite3.connect(state)) as db:
        db.execute("vacuum into ?", (str(path),))
    return path


@pytest.fixture
def play(tmp_path):
    with theatre(tmp_path) as made:
        story(made)
        yield made


@contextmanager
def locked(state):
    path = copy_of(state)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("begin exclusive")
        yield path


HELPS = {
    missing: "Start the agent once: syncagent run",
    half_made: "Start the agent, which goes on with it: syncagent run",
    no_database: "Restore the newest backup: syncagent restore BACKUP",
    damaged: "Restore the newest backup: syncagent restore BACKUP",
    newer: "Install that version, or restore a backup",
    locked: "Another program keeps the state file locked. End it, then try again",
}


def said(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.partition("<main")[2])).replace("`", "").split())


@pytest.mark.parametrize("state", HELPS, ids=lambda state: state.__name__)
def test_a_state_file_that_cannot_be_read_is_told_on_every_page(play, state, monkeypatch):
    monkeypatch.setattr(readers, "PATIENCE", 0.0)
    with state(play.state) as path, browsing(play, state=path) as browser:
        for page in PAGES:
            status, text = browser.get(page)
            assert status == 503, page
            assert "<h1>The state cannot be read</h1>" in text, page
            assert HELPS[state] in said(text), page
            assert strange(text) == []
        browser.get("/people")
        assert browser.post("/people", {"who": "mia@example.com"})[0] == 503


def test_once_it_can_be_read_again_the_pages_are_there(play):
    path = play.state.with_name("later.db")
    with browsing(play, state=path) as browser:
        assert browser.get("/people/1")[0] == 503
        copy_of(play.state).rename(path)
        assert browser.get("/people/1")[0] == 200


def test_every_report_of_a_new_state_says_that_there_is_nothing(tmp_path):
    with theatre(tmp_path) as new, browsing(new) as browser:
        for name in REPORTS:
            for by in ("", *views.cuts(name)):
                status, text = browser.get(f"/reports/{name}?by={by}&since=2026-01-01&until=2026-03-01")
                assert status == 200, (name, by)
                assert NOTHING in text or EMPTY in text, (name, by)
                assert "None" not in said(text), (name, by)
                assert "nan" not in said(text), (name, by)


def test_who_was_forgotten_has_a_page_that_says_so_and_no_more(play):
    store = play.agent.store
    (number,) = store.find("mia@example.com")
    record = play.record("mia").identity
    with browsing(play) as browser:
        assert "Mia Test" in said(browser.get(f"/people/{number}")[1])
        for system, identity in ((play.web, Identity("web", "lead", "mia")), (play.crm, record)):
            system.feed([Deleted(identity, play.clock.now(), privacy=True)])
        play.after(minutes=5)
        status, text = browser.get(f"/people/{number}")
        assert status == 200
        assert f"Person {number} erased They asked to be forgotten" in said(text)
        assert not re.search("Mia|@example", text)
        browser.get("/people")
        assert browser.post("/people", {"who": "mia@example.com"})[0] == 404
        for page in PAGES:
            assert "Mia" not in browser.get(page)[1], page


def test_health_never_says_that_all_is_well_while_something_waits_for_the_admin(play):
    def refused(at):
        return structs.replace(play.agent.store.health(at), inbox={"refused": 3})

    with browsing(play, health=refused) as browser:
        text = said(browser.get("/")[1])
        assert "All systems are in use. Something below waits for you." in text
        assert "3 posts could not be read" in text


def test_a_hundred_thousand_parked_commands_are_counted_and_the_oldest_shown(play):
    """Written as they stand in the file: so many would take the agent a while."""
    with closing(sqlite3.connect(play.state, timeout=10)) as db, db:
        kept = "person, target, lane, verb, handoff, revision, attempt, queued_at, once"
        db.execute(
            f"insert into outbox (key, state, why, body, {kept}) with recursive n(i) as (select 1 union all"
            " select i + 1 from n where i < 100000) select 'many:' || i, 'parked', 'No.',"
            f" json_set(body, '$.key', 'many:' || i), {kept} from n, (select * from outbox limit 1)"
        )
    with browsing(play) as browser:
        status, text = browser.get("/outbox")
        assert status == 200
        assert f"The oldest {views.SHOWN} of 100,000" in said(text)
        assert len(text) < 150_000
        assert "100,000 commands are parked" in said(browser.get("/")[1])
        keys = re.findall(r'name="key" value="([^"]+)"', text)
        assert len(keys) == views.SHOWN
        status, text = browser.post("/outbox", {"do": "drop", "key": keys})
        assert (status, text.count('name="key"')) == (200, len(set(keys)))
