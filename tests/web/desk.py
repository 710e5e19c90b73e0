"""What the tests of the pages share: pages over a state, a plain client with a cookie, and a story to look at."""

import http.client
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

from msgspec import structs

from syncagent.agent.orders import carry_out
from syncagent.config import PagesTable
from syncagent.model import Identity
from syncagent.web import Desk, Entry, Listener, Pages
from tests.story.theatre import CONFIG, Theatre

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; drop table person; --",
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnp.exe\u200b\x00\x1b[31m",
    "javascript:alert(1)",
    "x" * 3000,
    "</bdi></td></table><h1>owned</h1>",
)


def theatre(folder, more: str = "") -> Theatre:
    """A theatre whose config names the state that it has; `more` stands below it."""
    return Theatre(folder, CONFIG.replace("[agent]\n", '[agent]\nstate = "state.db"\n') + more)


def story(play: Theatre, names=("mia", "ben", "cleo", "dora"), **attributes) -> None:
    """Some people who look around, two of whom ask for a demo and are handed off."""
    for name in names:
        who = play.person(name, **{"title": "Director", "company": "Example", **attributes})
        play.does(who, "page.visited", "/pricing")
    play.after(minutes=1)
    for name in names[:2]:
        play.does(Identity("web", "lead", name), "form.submitted", "demo-request")
    play.after(days=1)
    play.after(minutes=1)
    play.after(minutes=5)


@contextmanager
def serving(play: Theatre, table: PagesTable | None = None, *, local=True, reveal=None, **desk) -> Iterator:
    """Pages over the theatre's state, listening."""
    table = table or PagesTable()
    config = structs.replace(play.config, pages=table)
    given = {
        "state": play.state,
        "clock": play.clock,
        "config": lambda: config,
        "policy": lambda: play.agent.policy,
        "health": play.agent.store.health,
        "order": lambda order: carry_out(play.agent, order),
    }
    pages = Pages(Desk(**{**given, **desk}), Entry(table, local=local, reveal=reveal))
    store = play.agent.store
    listener = Listener({}, store.receive, lambda name: None, play.clock, "127.0.0.1:0", pages=pages)
    listener.start()
    try:
        yield listener
    finally:
        listener.close()


class Browser:
    """One kept connection that keeps its cookie, and sends the token of the page that it saw last."""

    def __init__(self, listener, host: str = "", **headers: str) -> None:
        self.listener = listener
        self.http = http.client.HTTPConnection("127.0.0.1", listener.port, timeout=30)
        self.host, self.more = host, {name.replace("_", "-"): text for name, text in headers.items()}
        self.cookie = self.csrf = ""

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        return self._ask("GET", path, None, headers)

    def post(self, path: str, form: dict | None = None, *, csrf: str | None = None, **headers: str) -> tuple[int, str]:
        pairs = {"csrf": self.csrf if csrf is None else csrf, **(form or {})}
        headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return self._ask("POST", path, urlencode(pairs, doseq=True), headers)

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> tuple[int, str]:
        given = {**self.more, **{name.replace("_", "-"): text for name, text in headers.items()}}
        if self.cookie:
            given.setdefault("Cookie", self.cookie)
        if self.host:
            given.setdefault("Host", self.host)
        self.http.request(method, path, body, given)
        answer = self.http.getresponse()
        text = answer.read().decode()
        self.headers = answer.headers
        if cookie := answer.headers.get("set-cookie"):
            self.cookie = cookie.partition(";")[0]
        if found := re.search(r'name="csrf" value="([0-9a-f]+)"', text):
            self.csrf = found[1]
        return answer.status, text

    def close(self) -> None:
        self.http.close()


@contextmanager
def browsing(play: Theatre, table: PagesTable | None = None, **options) -> Iterator[Browser]:
    """Pages over the theatre's state, and somebody in front of them."""
    client = {name: options.pop(name) for name in ("host", "headers") if name in options}
    with serving(play, table, **options) as listener:
        browser = Browser(listener, client.get("host", ""), **client.get("headers", {}))
        try:
            yield browser
        finally:
            browser.close()
