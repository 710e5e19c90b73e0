"""Every page in every empty, full, huge and broken state, over real HTTP."""

import json
import re
import threading
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from msgspec import structs

from syncagent.config import PagesTable
from syncagent.connectors import memory
from syncagent.errors import StoreFullError, UserError
from syncagent.model import Activity, Identity, Lead, Page, Refused, Usage
from syncagent.reports.catalog import REPORTS
from syncagent.reports.formats.page import NOTHING
from syncagent.reports.report import Chart, Column, Report, Table
from syncagent.reports.standing import REJECTIONS, SILENCE, STUCK
from syncagent.web import views
from tests.markup import strange
from tests.web.desk import HOSTILE, Browser, browsing, serving, story, theatre

PAGES = ("/", "/board", "/people", "/outbox", "/reports", "/process", "/config")
MARKS = re.compile(r"<[^>]+>")


@pytest.fixture
def empty(tmp_path):
    with theatre(tmp_path) as made:
        yield made


@pytest.fixture
def play(empty):
    story(empty)
    return empty


@pytest.fixture
def parked(empty, monkeypatch):
    """Two handoffs whose writes the CRM refuses."""
    real = memory.Memory.apply

    def refusing(self, batch):
        for command in batch:
            if self.name == "crm":
                yield command.key, Refused("The field <b>Status__c</b> is read-only for mia@example.com.")
            else:
                yield from real(self, [command])

    monkeypatch.setattr(memory.Memory, "apply", refusing)
    story(empty)
    monkeypatch.setattr(memory.Memory, "apply", real)
    return empty


def shown(text: str) -> str:
    """What a person reads of a page, on one line."""
    return " ".join(unescape(MARKS.sub(" ", text.partition("<main")[2].partition("</main>")[0])).split())


class TestEmpty:
    @pytest.mark.parametrize("path", PAGES)
    def test_every_page_of_a_new_state_says_that_there_is_nothing(self, empty, path):
        with browsing(empty) as browser:
            status, text = browser.get(path)
            assert status == 200
            assert "<h1>" in text
            assert "None" not in shown(text)
            assert "Read-only" not in text

    def test_what_it_says(self, empty):
        with browsing(empty) as browser:
            assert "All is well" in browser.get("/")[1]
            assert "No promise runs" in browser.get("/board")[1]
            assert "Nothing is parked." in browser.get("/outbox")[1]
            assert "It is the first one" in browser.get("/config")[1]

    @pytest.mark.parametrize("number", [1, 0, 999_999_999, 10**30])
    def test_nobody_has_this_number(self, empty, number):
        with browsing(empty) as browser:
            status, text = browser.get(f"/people/{number}")
            assert status == 404
            assert "Nobody" in text


class TestStory:
    def test_health_counts_and_names_each_system(self, play):
        with browsing(play) as browser:
            text = shown(browser.get("/")[1])
            assert "People 4" in text
            assert "With sales 2" in text
            assert "web memory" in text
            assert "in use" in text

    def test_health_tells_calls_pace_and_clock(self, play):
        now = play.clock.now()
        usage = Usage(made=100, used=8000, limit=10_000, since=now - timedelta(hours=6), at=now, skew=-95_000)

        def health(at):
            return structs.replace(play.agent.store.health(at), usage={"web": usage, "crm": Usage(made=3)})

        with browsing(play, health=health) as browser:
            text = shown(browser.get("/")[1])
            assert "80 % 8,000 of 10,000" in text
            assert "400 a day 4 % of it" in text
            assert "1 min 35 s behind" in text
            assert "All systems are in use, but the clock of web differs from ours" in text
            assert "3 by us" in text

    def test_health_says_what_is_out_and_what_waits(self, play):
        until = (play.clock.now() + timedelta(minutes=5)).isoformat()
        play.agent.store.set_meta("down/crm/writing", f'{{"until": "{until}", "why": "HTTP <503>", "broken": false}}')
        play.agent.store.set_meta("scores_held", "yes")
        with browsing(play) as browser:
            _, text = browser.get("/")
            assert "crm is not written to" in shown(text)
            assert "HTTP &lt;503&gt;" in text
            assert "syncagent release --scores" in text
        play.agent.store.set_meta("down/crm/writing", "")
        full = lambda at: structs.replace(play.agent.store.health(at), disk_full=True)  # noqa: E731
        with browsing(play, health=full) as browser:
            assert "The disk is full" in browser.get("/")[1]

    def test_health_says_every_alarm_that_stands(self, play):
        alarms = {REJECTIONS: "Sales rejects <fair>.", SILENCE: "web is silent.", STUCK: "2 people are stuck."}
        for name, says in alarms.items():
            known = {"x": {"says": says, "since": "", "times": 1}, "y": {"says": "", "since": "", "times": 1}}
            play.agent.store.set_meta(name, json.dumps({"standing": known} if name == STUCK else known))
        with browsing(play) as browser:
            text = browser.get("/")[1]
            assert "All is well" not in text
            for says in alarms.values():
                assert f"alarm {says}" in shown(text)

    def test_the_board_has_the_most_urgent_first_and_says_who_is_late(self, play):
        with browsing(play) as browser:
            text = shown(browser.get("/board")[1])
            assert "Due within the hour 2" in text
            assert "Mia Test" in text
            play.clock.advance(timedelta(hours=3))
            text = shown(browser.get("/board")[1])
            assert "Late 2" in text
            assert "Ana Silva 1 1 0" in text
        play.after(minutes=1)

    def test_a_person_whole(self, play):
        (number,) = play.agent.store.find("mia@example.com")
        with browsing(play) as browser:
            status, text = browser.get(f"/people/{number}")
            assert status == 200
            said = shown(text)
            for part in (
                "Mia Test", "mia@example.com", "Score 80", "Over the line", "+40 form.submitted demo-*",
                "page visited: /pricing", "Handed off", "Write lead", "Create task", "Sales Ready", "record crm Lead",
                "clock.started", "Ana Silva",
            ):  # fmt: skip
                assert part in said, part
            assert '<figure class="chart"' in text

    def test_points_of_an_activity_are_those_of_its_rule(self, play):
        (number,) = play.agent.store.find("mia@example.com")
        with browsing(play) as browser:
            row = re.search(
                r"<tr[^>]*>(?:(?!</tr>).)*demo-request.*?</tr>", browser.get(f"/people/{number}")[1], re.DOTALL
            )
            assert "+40" in row[0]

    def test_whoever_was_merged_is_found_at_whom_they_are_now(self, play):
        (one,), (other,) = play.agent.store.find("ben@example.com"), play.agent.store.find("mia@example.com")
        both = Lead(Identity("web", "lead", "both"), play.clock.now(), {}, ("mia@example.com", "ben@example.com"))
        play.agent.store.accept(Page((both,), ""), "", now=play.clock.now())
        with browsing(play) as browser:
            old, new = max(one, other), min(one, other)
            assert browser.get(f"/people/{old}")[0] == 303
            assert browser.headers["location"] == f"/people/{new}"

    def test_a_number_here_is_nobodys_id_elsewhere(self, play):
        here, there = Identity("web", "lead", "4711"), Identity("crm", "Lead", "2")
        facts = (Lead(here, play.clock.now(), {}), Lead(there, play.clock.now(), {}, ("two@example.com",)))
        play.agent.store.accept(Page(facts, ""), "", now=play.clock.now())
        (one,), (two,) = play.agent.store.find("mia@example.com"), play.agent.store.find("ben@example.com")
        both = Lead(Identity("web", "lead", "both"), play.clock.now(), {}, ("mia@example.com", "ben@example.com"))
        play.agent.store.accept(Page((both,), ""), "", now=play.clock.now())
        with browsing(play) as browser:
            assert browser.get("/people/4711")[0] == 404, "a lead of that id is somebody, and no person has the number"
            assert (min(one, two), max(one, two)) == (1, 2)
            assert browser.get("/people/2")[0] == 303
            assert browser.headers["location"] == "/people/1", "and not whose id in the CRM is 2"

    def test_finding(self, play):
        with browsing(play) as browser:
            browser.get("/people")
            assert browser.post("/people", {"who": " mia@example.com "})[0] == 303
            assert browser.post("/people", {"who": "mia"})[0] == 303  # the id in the source
            status, text = browser.post("/people", {"who": "nobody@example.com"})
            assert status == 404
            assert "Nobody here has this email or id" in text
            assert "nobody@" not in text
            assert browser.post("/people", {"who": ""})[0] == 200

    def test_several_who_fit_are_all_named(self, play):
        for name, number in (("one", "7"), ("two", "7")):
            identity = Identity("web" if name == "one" else "crm", "lead", number)
            fact = Lead(identity, play.clock.now(), {"first_name": name.title()}, (f"{name}@example.com",))
            play.agent.store.accept(Page((fact,), ""), "", now=play.clock.now())
        with browsing(play) as browser:
            browser.get("/people")
            text = shown(browser.post("/people", {"who": "7"})[1])
            assert "2 people fit" in text
            assert "One" in text
            assert "Two" in text

    def test_the_map_says_who_is_where(self, play):
        with browsing(play) as browser:
            text = shown(browser.get("/process")[1])
            assert "MQL" in text
            status, picture = browser.get("/process.svg")
            assert status == 200
            assert browser.headers["content-type"].startswith("image/svg+xml")
            assert picture.startswith("<svg")


class TestParked:
    def test_what_was_refused_stands_there_in_the_vendors_words(self, parked):
        with browsing(parked) as browser:
            _, text = browser.get("/outbox")
            assert "The field &lt;b&gt;Status__c&lt;/b&gt; is read-only" in text
            assert "Mia Test" in shown(text)
            assert "parked" in shown(browser.get("/")[1])

    def test_try_again_goes_the_way_of_the_command(self, parked):
        with browsing(parked) as browser:
            _, text = browser.get("/outbox")
            keys = re.findall(r'name="key" value="([^"]+)"', text)
            assert keys
            assert browser.post("/outbox", {"do": "retry", "key": keys})[0] == 303
            assert browser.headers["location"] == f"/outbox?did=retry&done={len(keys)}&refused=0"
            text = shown(browser.get(browser.headers["location"])[1])
            assert f"{len(keys)} queued again." in text
            assert f"{len(keys)} parked" not in text  # neither in a head of before nor among all commands
        assert not parked.agent.store.outbox(views.STUCK)
        assert parked.agent.bell.is_set()

    def test_giving_up_is_asked_for_twice(self, parked):
        with browsing(parked) as browser:
            _, text = browser.get("/outbox")
            key = re.findall(r'name="key" value="([^"]+)"', text)[0]
            status, text = browser.post("/outbox", {"do": "drop", "key": key})
            assert status == 200
            assert "cannot be taken back" in text
            assert any(one.command.key == key for one in parked.agent.store.outbox(views.STUCK))
            assert browser.post("/outbox", {"do": "drop", "key": key, "sure": "yes"})[0] == 303
            assert not any(one.command.key == key for one in parked.agent.store.outbox(views.STUCK))

    def test_what_is_not_parked_any_more_is_said(self, parked):
        with browsing(parked) as browser:
            browser.get("/outbox")
            assert browser.post("/outbox", {"do": "retry", "key": "made:up"})[0] == 303
            text = shown(browser.get(browser.headers["location"])[1])
            assert "0 queued again. 1 could not be" in text
            assert "Nothing was chosen" in browser.post("/outbox", {"do": "retry"})[1]
            assert "Nothing to give up" in browser.post("/outbox", {"do": "drop", "key": "made:up"})[1]

    def test_read_only_changes_nothing_and_offers_nothing(self, parked):
        asked = []
        with browsing(parked, PagesTable(read_only=True), order=asked.append) as browser:
            _, text = browser.get("/outbox")
            assert 'value="retry"' not in text
            assert "Read-only" in text
            key = parked.agent.store.outbox(views.STUCK)[0].command.key
            for do in ("retry", "drop"):
                status, text = browser.post("/outbox", {"do": do, "key": key, "sure": "yes"})
                assert status == 403
                assert "read-only" in text
        assert asked == []

    def test_a_refusal_of_the_agent_becomes_a_page(self, parked):
        def order(_order):
            raise UserError("The agent is being <stopped>.")

        with browsing(parked, order=order) as browser:
            browser.get("/outbox")
            status, text = browser.post("/outbox", {"do": "retry", "key": "x"})
            assert status == 409
            assert "being &lt;stopped&gt;" in text


class TestHostile:
    """What an address asks for (names and all else that is shown: test_escaping.py)."""

    def test_what_an_address_says_is_never_repeated(self, play):
        paths = (
            "/people/1?page=0", "/people/1?page=-1", "/people/1?page=99999999999", "/people/1?page=<script>",
            "/outbox?did=<script>&done=<b>&refused=x", "/outbox?did=retry&done=<b>", "/reports/<script>",
            "/board?still=<b>", "/people/1%00", "/people/../config", "//evil.example/x",
            "/process.svg?x=<svg onload=a()>",
        )  # fmt: skip
        with browsing(play) as browser:
            for path in paths:
                status, text = browser.get(path.replace(" ", "%20"))
                assert status in (200, 303, 404), path
                assert "<script" not in text, path
                assert "<b>" not in text, path
                assert "evil.example" not in str(browser.headers.get("location", ""))


class TestHuge:
    def test_somebody_with_thousands_of_activities_is_shown_page_by_page(self, play):
        who = Identity("web", "lead", "mia")
        begin = play.clock.now() - timedelta(days=20)
        many = tuple(
            Activity(who, f"huge{n}", begin + timedelta(minutes=n), "page.visited", f"/p{n}") for n in range(5000)
        )
        play.agent.store.accept(Page(many, ""), "", now=play.clock.now())
        (number,) = play.agent.store.find("mia@example.com")
        with browsing(play) as browser:
            _, first = browser.get(f"/people/{number}")
            assert first.count("page visited: /p") <= 2 * views.SHOWN
            assert "Page 1 of 51" in shown(first)
            assert len(first) < 400_000
            _, last = browser.get(f"/people/{number}?page=51")
            assert "Newer" in last
            assert "Older" not in last
            assert browser.get(f"/people/{number}?page=52")[0] == 200

    def test_many_parked_commands_are_counted_and_the_oldest_shown(self, parked, monkeypatch):
        monkeypatch.setattr(views, "SHOWN", 1)
        with browsing(parked) as browser:
            text = shown(browser.get("/outbox")[1])
            assert re.search(r"The oldest 1 of \d", text)

    def test_a_large_state_has_its_board_and_its_map_worked_out_in_another_process(self, play, monkeypatch):
        monkeypatch.setattr(views, "FEW_WITH_SALES", 1)
        monkeypatch.setattr(views, "FEW_PEOPLE", 1)
        with browsing(play) as browser:
            for path, part in (("/board", "Mia Test"), ("/process", "MQL")):
                text = browser.get(path)[1]
                assert "The page loads itself again" in text or part in text
                for _ in range(100):
                    if part in (text := browser.get(path)[1]):
                        break
                    threading.Event().wait(0.2)
                assert part in shown(text)


class TestReports:
    def invented(self, text="Alpha"):
        """A report with a cell of each kind, known and unknown."""
        kinds = ("text", "count", "share", "points", "ratio", "money", "duration", "moment", "day")
        columns = tuple(Column(kind, f"{kind} {text}", kind) for kind in kinds)
        now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
        row = (text, 1234, 0.25, 1.5, 2.0, 123456, 90.0, now, now.date())
        table = Table("t", text, columns, (row, (text, *[None] * 8)), (text,), Chart("bars", "text", ("count",)))
        return Report("funnel", text, now, "UTC", (table, Table("e", "Empty", columns, ())), notes=(text,))

    def test_all_are_named_and_any_can_be_shown(self, play, monkeypatch):
        monkeypatch.setattr(views, "make", lambda *_: self.invented())
        monkeypatch.setattr(views, "cuts", lambda _: ("source", "rep"))
        with browsing(play) as browser:
            _, text = browser.get("/reports")
            for name in REPORTS:
                assert f'href="/reports/{name}"' in text
                status, page = browser.get(f"/reports/{name}?since=2026-01-01&until=2026-02-01&by=rep")
                assert status == 200
                assert "1,234" in page
                assert "25.0%" in page
                assert "1,234.56" in page
                assert 'value="rep" selected' in page
                assert 'class="chart"' in page or "<svg" in page

    def test_what_is_asked_for_reaches_the_report(self, play, monkeypatch):
        asked = []
        monkeypatch.setattr(views, "make", lambda name, store, ask, policy: asked.append(ask) or self.invented())
        monkeypatch.setattr(views, "cuts", lambda _: ("source",))
        with browsing(play) as browser:
            browser.get("/reports/funnel?since=2026-01-01&until=2026-01-31&by=source")
        (ask,) = asked
        assert ask.since == datetime(2026, 1, 1, tzinfo=UTC)
        assert ask.until == datetime(2026, 2, 1, tzinfo=UTC)
        assert ask.by == "source"

    @pytest.mark.parametrize(
        "query",
        ["since=yesterday", "until=2026-13-01", "since=2026-02-01&until=2026-01-01", "by=nothing", "until=9999-12-31"],
    )
    def test_what_cannot_be_asked_is_said(self, play, query):
        with browsing(play) as browser:
            status, text = browser.get(f"/reports/gate?{query}")
            assert status == 400
            assert "cannot be asked" in text

    def test_a_report_is_text_too(self, play, monkeypatch):
        texts = iter(HOSTILE)
        monkeypatch.setattr(views, "make", lambda *_: self.invented(next(texts)))
        monkeypatch.setattr(views, "cuts", lambda _: ())
        with browsing(play) as browser:
            for text in HOSTILE:
                status, page = browser.get("/reports/funnel")
                assert status == 200
                assert strange(page) == [], text

    @pytest.mark.parametrize("name", REPORTS)
    def test_each_with_the_numbers_of_this_state(self, play, name):
        with browsing(play) as browser:
            status, text = browser.get(f"/reports/{name}")
            assert status == 200
            assert "<h2" in text or NOTHING in text
            assert not re.search(r"<style|\sstyle=", text)

    def test_among_many_people_it_is_worked_out_beside_the_agent(self, play, monkeypatch):
        monkeypatch.setattr(views, "FEW_PEOPLE", 1)
        with browsing(play) as browser:
            text = browser.get("/reports/gate")[1]
            for _ in range(100):
                if "loads itself again" not in text:
                    break
                threading.Event().wait(0.2)
                text = browser.get("/reports/gate")[1]
            assert "<h2" in text


class TestBroken:
    def test_a_mistake_becomes_a_page_and_the_log_says_where_without_a_name(self, play, caplog):
        def health(_at):
            raise ZeroDivisionError("mia@example.com")

        with browsing(play, health=health) as browser:
            status, text = browser.get("/")
            assert status == 500
            assert "mia@" not in text
            assert "The agent goes on" in text
            assert browser.get("/board")[0] == 200
        assert "What a page shows could not be worked out; the agent goes on." in caplog.text

    def test_a_mistake_in_a_page_itself_becomes_a_page_too(self, play, caplog):
        def policy():
            raise ZeroDivisionError("mia@example.com")

        with browsing(play, policy=policy) as browser:
            status, text = browser.get("/people/1")
            assert status == 500
            assert "mia@" not in text
        assert "The page /people/{number:int} could not be made; the agent goes on." in caplog.text

    def test_a_full_disk_becomes_a_page(self, play):
        def order(_order):
            raise StoreFullError("The disk is full. Make room, then try again.")

        with browsing(play, order=order) as browser:
            browser.get("/outbox")
            assert browser.post("/outbox", {"do": "retry", "key": "x"})[0] == 503

    def test_more_visitors_than_there_is_room_for_are_told_to_come_again(self, play, monkeypatch):
        monkeypatch.setattr("syncagent.web.pages.WAITING", 1)
        begun, go_on = threading.Event(), threading.Event()

        def policy():
            begun.set()
            assert go_on.wait(20)
            return play.agent.policy

        with serving(play, policy=policy) as listener:
            first, second = Browser(listener), Browser(listener)
            answers = []
            thread = threading.Thread(target=lambda: answers.append(first.get("/")))
            thread.start()
            assert begun.wait(20)
            assert second.get("/config")[0] == 503
            go_on.set()
            thread.join()
            first.close()
            assert answers[0][0] == 200
            assert second.get("/config")[0] == 200
            second.close()


class TestConfig:
    def test_no_secret_is_in_it(self, empty):
        raw = {
            **empty.config.raw,
            "sources": {
                "web": {
                    "type": "webhook",
                    "secret": {"env": "pa55-word-itself"},
                    "url": "https://user:pa55@hooks.example.com/x?key=pa55",
                    "secrets": [{"command": ["pass", "pa55"]}, {"file": "/run/secrets/web"}],
                    "api_token": "pa55",
                }
            },
        }
        config = structs.replace(empty.config, raw=raw)
        with browsing(empty, config=lambda: config) as browser:
            text = unescape(browser.get("/config")[1])
            assert "pa55" not in text
            assert "/run/secrets/web" in text
            assert "(hidden)" in text

    def test_it_says_which_one_runs_and_what_changed(self, play):
        policy = play.agent.policy
        later = structs.replace(policy, digest="abc123", mql=structs.replace(policy.mql, score=70.0))
        play.clock.advance(timedelta(hours=1))
        play.agent.store.use_policy(later, now=play.clock.now())
        with browsing(play, policy=lambda: later) as browser:
            text = shown(browser.get("/config")[1])
            assert "abc123" in text
            assert re.search(r"mql\.score 65(\.0)? 70(\.0)?", text), text[:800]
            assert policy.digest in text
