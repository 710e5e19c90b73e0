"""Reports: what each takes on a state of many people, whole and by each cut, written as the page that a manager opens.

The state is made by the agent itself, a quarter of a year at a time: people come and are decided, 2 % are handed off
into a CRM in memory, where reps take leads up, give back, turn down or let lie, and make deals of them that are won,
lost or stay open. So there are visits, broken promises, returns and deals of a whole year.
"""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import structs

from benchmarks import world
from benchmarks.report import Figure, tell
from syncagent.agent import Agent
from syncagent.clock import ManualClock, monotonic
from syncagent.compose import compose
from syncagent.config import parse
from syncagent.connectors.memory import Memory, Options
from syncagent.model import CrmRecord, Fact, Identity, Opportunity, Page
from syncagent.policy import Policy
from syncagent.reports.catalog import REPORTS, cuts, make
from syncagent.reports.formats.page import as_html
from syncagent.reports.report import Ask, Report
from syncagent.state import open_store
from syncagent.state.store import Store

MILLION = 1_000_000
SECONDS = 10.0
ZONE = "Europe/Berlin"
QUARTERS = 4
QUARTER = timedelta(days=90)
REPS = ("ana", "ben", "cleo")
CAMPAIGNS = 60
SOURCES = ("Web", "Webinar", "Trade fair", "Paid social", "Partner", "Outbound", "Referral", "Content")


class Desk(Memory):
    """The CRM in memory, with an index where its plain ways would look through everything."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__("crm", Options(page_size=2000), clock.now)
        self._by_address: dict[str, Identity] = {}

    def look(self, identities: Sequence[Identity]) -> Page:
        return Page(tuple(self.records[one] for one in identities if one in self.records), "")

    def _by_email(self, emails: Sequence[str]) -> Identity | None:
        return next((self._by_address[one.lower()] for one in emails if one.lower() in self._by_address), None)

    def _store(self, fact: Fact) -> None:
        super()._store(fact)
        if isinstance(fact, CrmRecord):
            self._by_address.update((email.lower(), fact.identity) for email in fact.emails)


def run(people: Sequence[int], *, quick: bool) -> list[Figure]:
    logging.getLogger("syncagent").setLevel(logging.ERROR)
    count = max(people, default=400 if quick else 50_000)
    with tempfile.TemporaryDirectory(prefix="bench-reports-") as name:
        folder, start = Path(name), monotonic()
        policy = _live(folder, count)
        size = (folder / "state.db").stat().st_size / 1e6
        tell(f"{count:,} people and a year of theirs, made in {monotonic() - start:.0f} s, {size:,.0f} MB")
        return measure(folder / "state.db", count, policy)


def measure(state: Path, people: int, policy: Policy) -> list[Figure]:
    """Each report that there is, by itself and by the cut that takes longest."""
    figures: list[Figure] = []
    store = open_store(state, read_only=True)
    try:
        for name in REPORTS:
            try:
                cuts(name)
            except ModuleNotFoundError:
                continue
            figures += _figures(name, people, _seconds(name, store, policy, ""))
            each = {by: _seconds(name, store, policy, by) for by in cuts(name)}
            if each:
                slowest = max(each, key=lambda by: each[by])
                figures += _figures(f"{name} --by {slowest}, the slowest cut", people, each[slowest])
    finally:
        store.close()
    return figures


def _seconds(name: str, store: Store, policy: Policy, by: str) -> float:
    start = monotonic()
    made = make(name, store, Ask(world.NOW, ZONE, by=by), policy)
    return _told(f"{name} --by {by}" if by else name, made, start)


def _told(what: str, made: Report, start: float) -> float:
    """Seconds until the page is written."""
    page = as_html(made)
    spent = monotonic() - start
    rows = sum(len(table.rows) for table in made.tables)
    tell(f"{what}: {spent:.2f} s, {rows:,} rows, {len(page) / 1000:,.0f} kB of HTML")
    if not rows:
        raise SystemExit(f"The report {what} has no row: this measures something else.")
    return spent


def _figures(what: str, people: int, seconds: float) -> Iterator[Figure]:
    size = f"{MILLION:,} people" if people == MILLION else f"{MILLION:,} people, projected from {people:,}"
    yield Figure(f"{what}: {size}", seconds * MILLION / people, "s", SECONDS, at_most=True)


# -- a year of many people


def _live(folder: Path, count: int) -> Policy:
    """Fill the state; the policy it was decided by."""
    clock = ManualClock(world.NOW - QUARTER * QUARTERS)
    crm = Desk(clock)
    config = parse(world.CONFIG.format(sources='[sources.web]\ntype = "memory"\n'), folder)
    store = open_store(folder / "state.db", clock=clock)
    store.set_meta("live_from", clock.now().isoformat())
    agent = compose(config, store, clock=clock, systems={"web": Memory("web", Options(), clock.now), "crm": crm})
    try:
        agent.once()
        for quarter in range(QUARTERS):
            shift = QUARTER * (QUARTERS - 1 - quarter)
            clock.move_to(world.NOW - shift)
            _fill(store, range(count * quarter // QUARTERS, count * (quarter + 1) // QUARTERS), clock.now(), shift)
            agent.once()
            _work(agent, crm, clock)
            told = f"{len(crm.records):,} handed off, {len(crm.opportunities):,} deals"
            tell(f"quarter {quarter + 1} of {QUARTERS}: {told}")
        return agent.policy
    finally:
        agent.close()


def _fill(store: Store, numbers: range, now: datetime, shift: timedelta) -> None:
    facts: list[Fact] = []
    for number in numbers:
        one = world.lead(number, ready=number % world.READY_EVERY == 0)
        told = {**one.attributes, "source": SOURCES[number // world.READY_EVERY % len(SOURCES)]}
        told["campaign"] = f"Campaign {number // world.READY_EVERY % CAMPAIGNS}"
        facts.append(structs.replace(one, seen_at=one.seen_at - shift, attributes=told))
        for turn in range(world.ACTIVITIES):
            doing = world.doing(number, turn)
            facts.append(structs.replace(doing, at=doing.at - shift))
        if len(facts) >= 2000:
            store.accept(Page(tuple(facts), ""), "", now=now)
            facts.clear()
    store.accept(Page(tuple(facts), ""), "", now=now)


def _work(agent: Agent, crm: Desk, clock: ManualClock) -> None:
    """What sales makes of those who were handed off in this quarter: each tenth differently, at hours of their own."""
    begun = clock.now()
    mine = [one for one in crm.records.values() if one.modified_by == crm.options.me and one.modified_at == begun]
    for n, record in enumerate(mine):
        at = begun + timedelta(minutes=3 + n * 7 % 600)
        rep = str(record.fields.get("owner") or REPS[n % 3])
        if n % 10 < 6:
            crm.edit(record.identity, rep, at, status="Working")
        elif n % 10 < 8:
            crm.edit(record.identity, rep, at, status="Recycled", recycle_reason="No budget")
        elif n % 10 < 9:
            crm.edit(record.identity, rep, at, status="Disqualified")
    clock.advance(timedelta(days=1))
    agent.once()
    for n, record in enumerate(mine):
        if n % 10 < 3:
            won, lost = n % 30 in (0, 1, 10), n % 30 in (2, 11, 20)
            end = clock.now() + timedelta(days=n % 40)
            crm.feed([
                Opportunity(
                    Identity("crm", "Opportunity", f"O{record.identity.id}"), (record.identity,), end, clock.now(),
                    owner=REPS[n % 3], stage="Closed" if won or lost else "Proposal", closed=won or lost, won=won,
                    amount=1000.0 + n % 97 * 250, closed_on=end.date().isoformat() if won or lost else "",
                )
            ])  # fmt: skip
    clock.advance(timedelta(days=40))
    agent.once()
