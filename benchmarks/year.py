"""A year of many people: who came in each month, what they did, and what sales made of those who were handed off.

The agent lives through it a month at a time: people come and are decided, 2 % are handed off into a CRM in memory,
where reps take leads up, give back, turn down or let lie, and make deals of them that are won, lost or stay open. So
there are visits, broken promises, returns and deals of a whole year.

Of the people whom nobody hands off there are as many kinds as `KINDS` says. The agent lives through the first of each
kind in each month; the others of that month are copies, row by row (`copies.py`): a million people in some minutes.
"""

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import structs

from benchmarks import copies, world
from benchmarks.report import tell
from syncagent.agent import Agent
from syncagent.clock import ManualClock, monotonic
from syncagent.compose import compose
from syncagent.config import parse
from syncagent.connectors.memory import Memory, Options
from syncagent.model import CrmRecord, CrmUser, Fact, Identity, Opportunity, Page
from syncagent.state import open_store
from syncagent.state.store import Store

KEPT = "SYNCAGENT_BENCH_STATE"
"""The variable that names a state file to look at; where there is none yet, it is made there and stays."""
MONTHS = 12
MONTH = timedelta(days=30)
KINDS = 1_000  # a multiple of `world.READY_EVERY`
REPS = {"ana": "Ana Silva", "ben": "Ben Ode", "cleo": "Cleo Ito"}
CAMPAIGNS = 60
SOURCES = ("Web", "Webinar", "Trade fair", "Paid social", "Partner", "Outbound", "Referral", "Content")
COSTS = "".join(
    f'  {{ month = "{month:%Y-%m}", source = "{source}", amount = {4000 + 700 * place} }},\n'
    for place, source in enumerate(SOURCES)
    for month in sorted({(world.NOW - timedelta(days=day)).date().replace(day=1) for day in range(365)})
)
CONFIG = (
    # Of whom is copied nothing is kept but their facts, and so of nobody.
    world.CONFIG.format(sources='keep_inputs_of = "handoffs"\n[sources.web]\ntype = "memory"\n')
    + f'[reports]\ncurrency = "EUR"\n[reports.costs]\nspent = [\n{COSTS}]\n'
)


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


@contextmanager
def state(count: int, *, quick: bool = False) -> Iterator[Path]:
    """The file that `KEPT` names, or one of so many people that goes away again. `quick`: four months make the year."""
    kept = os.environ.get(KEPT, "")
    path = Path(kept).absolute() if kept else None
    if path is not None and path.exists():
        yield path
        return
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="bench-year-", dir=path and path.parent) as folder:
        made = Path(folder) / "state.db"
        live(made, count, months=4 if quick else MONTHS)
        yield made if path is None else made.rename(path)


def live(path: Path, count: int, *, kinds: int = KINDS, months: int = MONTHS, lived: int | None = None) -> None:
    """Fill a new file with so many people and a year of theirs.

    The agent lives through the first `lived` of each month, at least one of each kind, and whom it hands off.
    """
    start = monotonic()
    clock = ManualClock(world.NOW - MONTH * months)
    crm = Desk(clock)
    crm.feed(CrmUser(Identity("crm", "User", one), name) for one, name in REPS.items())
    store = open_store(path, clock=clock)
    store.set_meta("live_from", clock.now().isoformat())
    config = parse(CONFIG, path.parent)
    agent = compose(config, store, clock=clock, systems={"web": Memory("web", Options(), clock.now), "crm": crm})
    first = max(kinds, lived or 0)
    ranges = [range(count * month // months, count * (month + 1) // months) for month in range(months)]
    try:
        agent.once()
        for month, numbers in enumerate(ranges):
            shift = MONTH * (months - 1 - month)
            clock.move_to(world.NOW - shift)
            _fill(store, [one for one in numbers if _is_ready(one) or one < numbers.start + first], kinds, shift, clock)
            agent.once()
            if month < months - 1:  # of the newest month sales has not made anything yet
                _work(agent, crm, clock)
            told = f"{len(crm.records):,} handed off, {len(crm.opportunities):,} deals"
            tell(f"month {month + 1} of {months}: {told}")
    finally:
        agent.close()
    made = monotonic() - start
    copies.add(path, (_pairs(numbers, kinds, first) for numbers in ranges))
    size = path.stat().st_size / 1e6
    tell(
        f"{count:,} people and a year of theirs in {size:,.0f} MB: lived in {made:.0f} s,"
        f" copied in {monotonic() - start - made:.0f} s"
    )


def _is_ready(number: int) -> bool:
    return number % world.READY_EVERY == 0


def _pairs(numbers: range, kinds: int, first: int) -> list[tuple[int, int]]:
    """Who of a month is whose copy."""
    later = range(numbers.start + first, numbers.stop)
    return [(numbers.start + (one - numbers.start) % kinds, one) for one in later if not _is_ready(one)]


def _fill(store: Store, numbers: Sequence[int], kinds: int, shift: timedelta, clock: ManualClock) -> None:
    facts: list[Fact] = []
    for number in numbers:
        like = number if _is_ready(number) else number % kinds
        one, alike = world.lead(number), world.lead(like, ready=_is_ready(number))
        told = {**alike.attributes, "last_name": one.attributes["last_name"]}
        place = number // world.READY_EVERY if _is_ready(number) else like
        told["source"], told["campaign"] = SOURCES[place % len(SOURCES)], f"Campaign {place % CAMPAIGNS}"
        facts.append(structs.replace(one, seen_at=one.seen_at - shift, attributes=told))
        for turn in range(world.ACTIVITIES):
            doing = world.doing(like, turn)
            facts.append(
                structs.replace(doing, identity=one.identity, key=copies.key(number, turn), at=doing.at - shift)
            )
        if len(facts) >= 2000:
            store.accept(Page(tuple(facts), ""), "", now=clock.now())
            facts.clear()
    store.accept(Page(tuple(facts), ""), "", now=clock.now())


def _work(agent: Agent, crm: Desk, clock: ManualClock) -> None:
    """What sales makes of those who were handed off in this month: each tenth differently, at hours of their own."""
    begun, reps = clock.now(), tuple(REPS)
    mine = [one for one in crm.records.values() if one.modified_by == crm.options.me and one.modified_at == begun]
    dice = random.Random(len(crm.records))
    kinds = [dice.randrange(30) for _ in mine]
    for n, record in zip(kinds, mine, strict=True):
        at = begun + timedelta(minutes=3 + dice.randrange(600))
        rep = str(record.fields.get("owner") or reps[n % 3])
        if n % 10 < 6:
            crm.edit(record.identity, rep, at, status="Working")
        elif n % 10 < 8:
            crm.edit(record.identity, rep, at, status="Recycled", recycle_reason="No budget")
        elif n % 10 < 9:
            crm.edit(record.identity, rep, at, status="Unqualified")
    clock.advance(timedelta(days=1))
    agent.once()
    for n, record in zip(kinds, mine, strict=True):
        if n % 10 < 3:
            won, lost = n in (0, 1, 10), n in (2, 11, 20)
            end = clock.now() + timedelta(days=dice.randrange(25))
            crm.feed([
                Opportunity(
                    Identity("crm", "Opportunity", f"O{record.identity.id}"), (record.identity,), end, clock.now(),
                    owner=reps[n % 3], stage="Closed" if won or lost else "Proposal", closed=won or lost, won=won,
                    amount=1000.0 + dice.randrange(97) * 250, closed_on=end.date().isoformat() if won or lost else "",
                )
            ])  # fmt: skip
    clock.advance(timedelta(days=28))
    agent.once()
