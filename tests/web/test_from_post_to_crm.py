"""A post becomes a handoff: through the listener, the inbox, the daemon's threads, into the CRM. On real time."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from msgspec import structs

from syncagent.agent.daemon import Daemon
from syncagent.compose import compose
from syncagent.config import parse, read_leniently
from syncagent.connectors import webhook
from syncagent.connectors.base import Delivered, Delivery, Reply
from syncagent.connectors.memory import Memory, Options
from syncagent.model import Deleted, Hint, Identity, Lead, Page
from syncagent.serving import listener
from syncagent.state import open_store
from syncagent.state.store import Post
from tests.story.theatre import CONFIG
from tests.web.doors import Client, secret  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("secret")

DOOR = """
[agent]
listen = "127.0.0.1:0"
timezone = "Europe/Berlin"
[sources.site]
type = "webhook"
dialect = "json"
secret = { env = "TEST_HOOK_SECRET" }
[sources.site.mapping]
email = "email"
kind = "event"
kinds = { "form" = "form.submitted", "signup" = "" }
asset = "form"
at = "at"
[sources.site.mapping.attributes]
title = "title"
last_name = "name"
"""


class Calling(Memory):
    """A CRM that notes when it was first told of each email."""

    def __init__(self) -> None:
        super().__init__("crm", Options())
        self.told: dict[str, float] = {}

    def apply(self, batch):
        at = time.monotonic()
        for command in batch:
            for email in getattr(command, "emails", ()):
                self.told.setdefault(email, at)
        return super().apply(batch)


class Hinting(Memory):
    """A system that posts ids only."""

    methods = frozenset(("POST",))

    def __init__(self) -> None:
        super().__init__("web", Options())
        self.looked: list[tuple[str, ...]] = []

    def verify(self, delivery: Delivery, now: datetime) -> Reply:
        return Reply(status=200)

    def read(self, delivery: Delivery, arrived: datetime) -> Delivered:
        return Delivered(tuple(Hint(Identity("web", "lead", one)) for one in delivery.body.decode().split()))

    def renew(self) -> None:
        pass

    def look(self, identities):
        self.looked.append(tuple(one.id for one in identities))
        return super().look(identities)


class Running:
    def __init__(self, folder, web: Memory | None = None, doors: str = DOOR) -> None:
        text = CONFIG.replace('[agent]\ntimezone = "UTC"\n', doors)
        config = parse(text, folder)
        self.crm, self.web = Calling(), web or Memory("web", Options())
        systems = {"web": self.web, "crm": self.crm}
        for table in (one for one in config.sources if one.type == "webhook"):
            problems: list = []
            options = read_leniently(webhook.Options, table.options, table.path, problems)
            assert not problems
            systems[table.name] = webhook.open(table.name, options)
        self.agent = compose(config, open_store(folder / "state.db"), systems=systems)
        self.agent.settings = structs.replace(self.agent.settings, polls={"crm": 0.05, "web": 0.05}, poll_fast=0.05)
        self.door = listener(config, self.agent)
        self.door.start()
        self._thread = threading.Thread(target=Daemon(self.agent, folder / "state.db").run)
        self._thread.start()
        self.client = Client(self.door.port)

    def post(self, body, path="/hooks/site", status=204) -> None:
        answer = self.client.ask(path=path, body=body)
        assert answer[0] == status, answer

    def stop(self) -> None:
        self.client.close()
        self.agent.stopping.set()
        self._thread.join(12)
        self.door.close()
        self.agent.store.close()


@contextmanager
def running(folder, web: Memory | None = None, doors: str = DOOR) -> Iterator[Running]:
    it = Running(folder, web, doors)
    try:
        yield it
    finally:
        it.stop()


def until(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def form(name: str, **rest) -> dict:
    now = datetime.now(UTC).isoformat()
    told = {"email": f"{name}@example.com", "title": "Director", "name": name.title(), "at": now}
    return {"event": "form", "form": "contact-sales", **told, **rest}


def test_a_form_becomes_a_task_at_once(tmp_path):
    with running(tmp_path) as it:
        assert until(lambda: bool(it.agent.store.meta("crm_read")))
        spent = []
        for number in range(30):
            posted = time.monotonic()
            it.post(form(f"p{number}"))
            email = f"p{number}@example.com"
            assert until(lambda email=email: email in it.crm.told)
            spent.append(it.crm.told[email] - posted)
        assert until(lambda: len(it.crm.tasks) == 30)
        assert it.agent.store.health(datetime.now(UTC)).inbox == {}
        assert statistics.median(spent) < 1.0, "The bell is not heard: it waited for a turn of somebody's."


def test_told_twice_is_one(tmp_path):
    with running(tmp_path) as it:
        body = form("ana")
        for _ in range(5):
            it.post(body)
        assert until(lambda: len(it.crm.tasks) == 1)
        assert until(lambda: it.agent.store.health(datetime.now(UTC)).inbox == {})
        (person,) = it.agent.store.find("ana@example.com")
        assert len(it.agent.store.dossier(person).activities) == 1


def test_told_twice_without_a_moment_is_one_too(tmp_path):
    with running(tmp_path) as it:
        body = form("ana", at=None)
        for _ in range(3):
            it.post(body)
            time.sleep(0.02)
        it.post({**body, "page": "/other"})
        assert until(lambda: bool(it.crm.tasks) and it.agent.store.health(datetime.now(UTC)).inbox == {})
        (person,) = it.agent.store.find("ana@example.com")
        assert len(it.agent.store.dossier(person).activities) == 2


def test_what_cannot_be_mapped_is_kept_in_sight_and_stops_nobody(tmp_path):
    with running(tmp_path) as it:
        it.post({"event": "form", "form": "contact-sales", "name": "Nobody"})
        it.post({**form("bad"), "at": "next tuesday"})
        it.post(form("good"))
        assert until(lambda: len(it.crm.tasks) == 1)
        assert it.agent.store.health(datetime.now(UTC)).inbox == {"refused": 2}
        first, second = it.agent.store.refused_posts()
        assert "neither an email nor an id" in first.why
        assert "moment" in second.why
        assert "tuesday" not in second.why


def test_what_does_not_count_leaves_nothing(tmp_path):
    with running(tmp_path) as it:
        it.post({**form("ana"), "event": "newsletter_bounced"})
        it.post({**form("ben"), "event": "signup"})
        assert until(lambda: bool(it.agent.store.find("ben@example.com")))
        assert until(lambda: it.agent.store.health(datetime.now(UTC)).inbox == {})
        assert not it.agent.store.find("ana@example.com")
        (person,) = it.agent.store.find("ben@example.com")
        assert not it.agent.store.dossier(person).activities


def test_a_hint_is_looked_up_and_the_poll_comes_sooner(tmp_path):
    web = Hinting()
    who = Identity("web", "lead", "7")
    with running(tmp_path, web) as it:
        assert until(lambda: bool(it.agent.store.meta("crm_read")))
        assert not it.agent.sooner["web"].is_set()
        web.feed([Lead(who, datetime.now(UTC), {"last_name": "Seven"}, ("seven@example.com",))])
        it.post(b"7 8", path="/hooks/web", status=200)
        assert until(lambda: bool(it.agent.store.find("seven@example.com")))
        # The poll that comes sooner may have told of the first before both are looked up.
        assert until(lambda: ("7", "8") in [tuple(sorted(one)) for one in web.looked])


def test_a_delivery_that_trips_us_up_is_refused_and_the_next_is_read(tmp_path, caplog):
    web = Hinting()
    web.read = lambda delivery, arrived: 1 / 0 if delivery.body == b"bad" else Hinting.read(web, delivery, arrived)
    with running(tmp_path, web) as it:
        it.post(b"bad", path="/hooks/web", status=200)
        it.post(b"7", path="/hooks/web", status=200)
        assert until(lambda: ("7",) in web.looked)
        (refused,) = it.agent.store.refused_posts()
        assert "ZeroDivisionError" in refused.why


def test_what_the_state_cannot_hold_is_refused_alone(tmp_path):
    """Also when it came in one batch with others."""
    web = Hinting()
    lead = Lead(Identity("web", "lead", "1"), datetime.now(UTC), {"name": "\ud800"}, ("x@example.com",))
    web.read = lambda delivery, arrived: (
        Delivered((lead,)) if delivery.body == b"bad" else Hinting.read(web, delivery, arrived)
    )
    systems = {"web": web, "crm": Memory("crm", Options())}
    agent = compose(parse(CONFIG, tmp_path), open_store(tmp_path / "state.db"), systems=systems)
    now = datetime.now(UTC)
    agent.store.receive([Post("web", now, "POST", "/hooks/web", {}, body) for body in (b"1", b"bad", b"2")]).result()
    assert agent.unpack("web") == 3
    assert {one for told in web.looked for one in told} == {"1", "2"}
    (refused,) = agent.store.refused_posts()
    assert refused.body == b"bad"
    assert agent.unpack("web") == 0
    agent.close()


def test_so_many_endings_at_once_are_not_believed_and_wait(tmp_path):
    web = Hinting()
    people = [Identity("web", "lead", str(number)) for number in range(80)]
    now = datetime.now(UTC)
    web.read = lambda delivery, arrived: Delivered(tuple(Deleted(one, now) for one in people))
    systems = {"web": web, "crm": Memory("crm", Options())}
    agent = compose(parse(CONFIG, tmp_path), open_store(tmp_path / "state.db"), systems=systems)
    leads = tuple(Lead(one, now, {}, (f"{one.id}@example.com",)) for one in people)
    agent.store.accept(Page(leads, ""), "", now=now)
    agent.store.receive([Post("web", now, "POST", "/hooks/web", {}, b"all gone")]).result()
    assert agent.unpack("web") == 0
    assert "release --deletions web" in agent.outages.troubles()["web"]
    assert agent.store.health(now).inbox == {"waiting": 1}
    agent.store.set_meta("believe/web", datetime.now(UTC).isoformat())
    agent.outages = type(agent.outages)(agent.store, agent.clock, 300.0)
    assert agent.unpack("web") == 1
    assert agent.store.health(now).inbox == {}
    agent.close()


def test_a_system_that_cannot_be_asked_loses_no_hint(tmp_path):
    web = Hinting()
    systems = {"web": web, "crm": Memory("crm", Options())}
    agent = compose(parse(CONFIG, tmp_path), open_store(tmp_path / "state.db"), systems=systems)
    now = datetime.now(UTC)
    agent.store.receive([Post("web", now, "POST", "/hooks/web", {}, b"7")]).result()
    web.fail_next("retry", verb="look")
    assert agent.unpack("web") == 1
    assert agent.store.wanted("web", 10) == (Identity("web", "lead", "7"),)
    assert agent.store.health(now).inbox == {}
    agent.close()


def test_nobody_posts_and_nobody_listens_without_pages(tmp_path):
    config = parse(CONFIG + "\n[pages]\nserve = false\n", tmp_path)
    systems = {"web": Memory("web", Options()), "crm": Memory("crm", Options())}
    agent = compose(config, open_store(tmp_path / "state.db"), systems=systems)
    assert listener(config, agent) is None
    agent.close()
