"""The admin's pages and the probes over real HTTP, from the listener that the daemon has: p95 of each against 300 ms.

SYNCAGENT_BENCH_STATE names a state file that is there already, or that is to be made and kept; see `year.py`.
"""

import http.client
import logging
import random
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from msgspec import structs

from benchmarks import world, year
from benchmarks.report import Figure, tell
from syncagent.clock import SystemClock, monotonic
from syncagent.config import parse
from syncagent.errors import UserError
from syncagent.model.vitals import Figures, Vitals
from syncagent.reports.catalog import REPORTS, cuts
from syncagent.state import SqliteStore, open_store
from syncagent.web import Desk, Entry, Listener, Pages, Probes

TARGET_MS = 300.0
TIMES = 40
PROBES = ("/metrics", "/healthz", "/readyz")
FIXED = ("/", "/board", "/outbox", "/reports", "/process", "/config")
BESIDE = "The page loads itself again."
LONGEST = 300.0


def run(people: Sequence[int], *, quick: bool) -> list[Figure]:
    logging.getLogger("syncagent").setLevel(logging.ERROR)
    with year.state(max(people, default=1_000 if quick else 30_000), quick=quick) as path:
        return list(_measured(path, 3 if quick else TIMES))


def _measured(state: Path, times: int) -> Iterator[Figure]:
    store = open_store(state, read_only=True)
    try:
        last = _last(store)
        tell(f"about {last:,} people")
        with _serving(state, store) as port:
            browser = _Browser(port)
            dice = random.Random(7)
            for path in (*FIXED, *(f"/reports/{name}" for name in REPORTS if _is_here(name))):
                yield _figure(last, path, list(_until_it_is_there(browser, path, times)))
            anybody = [dice.randint(1, last) for _ in range(times)]
            yield _figure(last, "/people/ID, anybody", [browser.ask("GET", f"/people/{one}") for one in anybody])
            handed = dice.choices(store.people(0, last, with_sales=True), k=times)
            yield _figure(last, "/people/ID, with sales", [browser.ask("GET", f"/people/{one}") for one in handed])
            asked = [{"who": f"person{one - 1}@example.com"} for one in anybody]
            yield _figure(last, "/people, found by email", [browser.ask("POST", "/people", one) for one in asked])
            for path in PROBES:
                yield _figure(last, path, [browser.ask("GET", path) for _ in range(times)])
            browser.close()
    finally:
        store.close()


def _is_here(name: str) -> bool:
    try:
        cuts(name)
    except ModuleNotFoundError:
        tell(f"the report {name} is not part of this version")
        return False
    return True


def _until_it_is_there(browser: "_Browser", path: str, times: int) -> Iterator[float]:
    """A page that says that it is being worked out counts too: nobody waits longer for that either."""
    begun = monotonic()
    while True:
        yield browser.ask("GET", path)
        if BESIDE not in browser.text:
            break
        if monotonic() - begun > LONGEST:
            raise SystemExit(f"{path} was not there after {LONGEST:.0f} s.")
        threading.Event().wait(0.2)
    if (waited := monotonic() - begun) > 1:
        tell(f"{path}: worked out within {waited:.1f} s")
    yield from (browser.ask("GET", path) for _ in range(times))


def _last(store: SqliteStore) -> int:
    """The highest number of a person, found by halving."""
    low, high = 1, 1 << 40
    while low < high:
        half = (low + high + 1) // 2
        low, high = (half, high) if store.people(half - 1, 1) else (low, half - 1)
    return low


@contextmanager
def _serving(state: Path, store: SqliteStore) -> Iterator[int]:
    policy = world.policy_of(store)
    config = parse(year.CONFIG, state.parent)
    config = structs.replace(config, agent=structs.replace(config.agent, state=str(state), listen="127.0.0.1:0"))

    def order(_order: Mapping[str, Any]) -> Mapping[str, Any]:
        raise UserError("Nothing is changed while speed is measured.")

    desk = Desk(state, SystemClock(), lambda: config, lambda: policy, store.health, order)
    pages = Pages(desk, Entry(config.pages, local=True))
    figures = Figures("", "", store.ledger().ever(), (), {}, {}, {}, (), {})
    probes = Probes(lambda: Vitals(True, True), lambda: store.health(SystemClock().now()), lambda: figures, None)
    listener = Listener({}, _nobody_posts, lambda _: None, SystemClock(), "127.0.0.1:0", probes=probes, pages=pages)
    listener.start()
    try:
        yield listener.port
    finally:
        listener.close()


def _nobody_posts(_posts: object) -> Any:
    raise UserError("Nobody posts here.")


class _Browser:
    """One kept connection, with its cookie and the token of its forms."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._cookie = self._csrf = self.text = ""

    def ask(self, method: str, path: str, form: Mapping[str, str] | None = None) -> float:
        """Milliseconds until the whole page was there."""
        headers = {"Cookie": self._cookie} if self._cookie else {}
        body = None
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode({**form, "csrf": self._csrf})
        begun = monotonic()
        self._http.request(method, path, body, headers)
        answer = self._http.getresponse()
        self.text = text = answer.read().decode()
        spent = (monotonic() - begun) * 1000
        if answer.status >= 400:
            raise SystemExit(f"{path} was answered {answer.status}: this measures something else.")
        if cookie := answer.headers.get("set-cookie"):
            self._cookie = cookie.partition(";")[0]
        if found := re.search(r'name="csrf" value="([0-9a-f]+)"', text):
            self._csrf = found[1]
        return spent

    def close(self) -> None:
        self._http.close()


def _figure(people: int, what: str, spent: Sequence[float]) -> Figure:
    ordered = sorted(spent)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    tell(f"{what}: p95 {p95:.0f} ms, first {spent[0]:.0f}, middle {ordered[len(ordered) // 2]:.0f}")
    return Figure(
        f"{people:,} people: {what}, p95", p95, "ms", TARGET_MS, at_most=True, note=f"first {spent[0]:.0f} ms"
    )
