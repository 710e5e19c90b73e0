"""The leads that are measured on: who they are, what they do, and the agreement that judges them."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from syncagent.agent import Agent
from syncagent.clock import Clock
from syncagent.compose import compose
from syncagent.config import parse
from syncagent.connectors.base import Source
from syncagent.connectors.memory import Memory, Options
from syncagent.model import Activity, Fact, Identity, Lane, Lead, Page
from syncagent.policy import Policy
from syncagent.state import open_store
from syncagent.state.store import Store

NOW = datetime.now(UTC).replace(microsecond=0)
ACTIVITIES = 20
VISIT = 4  # activities in a row
READY_EVERY = 50  # 2 % are handed off

CONFIG = """
[agent]
timezone = "Europe/Berlin"
{sources}
[crm]
type = "memory"
name = "crm"
create = "when_missing"
poll = "1s"
[crm.fields]
score = "score"
grade = "grade"
stage_date = "stage_date"
recycle_until = "recycle_until"
[crm.status]
untouched = ["Open"]
mql = "Sales Ready"
accepted = ["Working"]
recycled = ["Recycled"]
disqualified = ["Unqualified"]
[crm.queues]
Inbound = "queue"
[[score.fit]]
attribute = "title"
weight = 30
choices = [{{ matches = "chief|director|head|vp", priority = 10 }}, {{ matches = "manager", priority = 6 }},
           {{ matches = "student|intern", priority = -10 }}]
[[score.fit]]
attribute = "country"
weight = 10
choices = [{{ values = ["Germany", "Brazil"], priority = 10 }}]
[[score.fit]]
attribute = "employees"
weight = 10
choices = [{{ min = 200, priority = 10 }}]
[[score.interest]]
activity = "form.submitted"
asset = "demo-*"
weight = 25
choices = [{{ at_least = 1, within = "30d", priority = 10 }}]
[[score.interest]]
activity = "page.visited"
asset = "*pricing*"
weight = 15
choices = [{{ at_least = 3, within = "14d", priority = 10 }}, {{ at_least = 1, within = "14d", priority = 6 }}]
[[score.interest]]
activity = "email.clicked"
weight = 10
choices = [{{ at_least = 1, within = "30d", priority = 10 }}]
[handoff]
mql = {{ any = {{ score = 80 }} }}
[[handoff.always]]
activity = "form.submitted"
asset = "contact-sales"
[handoff.brake]
per_hour = 1000000
per_rep = 1000000
hand_raisers_per_hour = 1000000
[team]
hours = "Mon-Fri 09:00-18:00"
manager = "boss"
[[reps]]
name = "Ana Silva"
crm_id = "ana"
hours = "Mon-Fri 09:00-18:00"
[[reps]]
name = "Ben Ode"
crm_id = "ben"
[[reps]]
name = "Cleo Ito"
crm_id = "cleo"
[[routes]]
name = "large"
when = {{ country = ["US", "CA"] }}
to = {{ pool = ["Ana Silva"], fallback_queue = "Inbound" }}
[[routes]]
name = "all"
to = {{ pool = ["Ana Silva", "Ben Ode", "Cleo Ito"], fallback_queue = "Inbound" }}
[[sla]]
name = "hour"
first_touch = "60m"
clock = "rep"
steps = [{{ at = "50%", do = "remind" }}, {{ at = "100%", do = "reassign" }},
         {{ at = "200%", do = "escalate", to = "manager" }}]
[recycle]
default = "30d"
wake_early = {{ points = 40, within = "7d" }}
"""

_TITLES = ("Engineer", "Marketing Manager", "Student", "Developer", "Analyst", "Head of Sales", "Consultant", "Buyer")
_COUNTRIES = ("Germany", "France", "US", "Brazil", "Spain")
_DOINGS = (
    ("page.visited", "/pricing"),
    ("page.visited", "/docs"),
    ("email.opened", "Spring newsletter"),
    ("page.visited", "/"),
    ("page.visited", "/blog/how-to-score"),
    ("email.clicked", "Spring newsletter"),
    ("page.visited", "/product"),
    ("link.clicked", "/whitepaper.pdf"),
)


def agent(
    folder: Path,
    *,
    sources: str = '[sources.web]\ntype = "memory"\n',
    systems: dict[str, Source] | None = None,
    seen_by: Callable[[Store], Any] = lambda store: store,
    clock: Clock | None = None,
) -> Agent:
    """An agent on a fresh file, which it sees through `seen_by`; everything that happened in the last year is live."""
    store = seen_by(open_store(folder / "state.db"))
    if store.meta("live_from") is None:
        store.set_meta("live_from", (NOW - timedelta(days=365)).isoformat())
        store.set_meta("crm_read", NOW.isoformat())  # the empty CRM was read
    known: dict[str, Source] = {"web": Memory("web", Options()), "crm": Memory("crm", Options())}
    config = parse(CONFIG.format(sources=sources), folder)
    return compose(config, store, clock=clock, systems={**known, **(systems or {})})


def lead(number: int, *, system: str = "web", ready: bool = False) -> Lead:
    return Lead(
        Identity(system, "lead", str(number)),
        NOW - timedelta(days=20),
        {
            "first_name": "Mia",
            "last_name": f"Test{number}",
            "title": "Director" if ready else _TITLES[number % len(_TITLES)],
            "company": f"Firm {number % 9000}",
            "country": _COUNTRIES[number % len(_COUNTRIES)],
            "employees": number % 400,
            "source": "Web",
        },
        (f"person{number}@example.com",),
    )


def doing(number: int, turn: int, *, count: int = ACTIVITIES, system: str = "web") -> Activity:
    """What lead `number` does as the `turn`th of `count`; every fiftieth asks for sales in the end."""
    if turn == count - 1 and number % READY_EVERY == 0:
        kind, asset = "form.submitted", "contact-sales"
    else:
        kind, asset = _DOINGS[(number * 7 + turn) % len(_DOINGS)]
    seen = {"Webpage URL": asset, "Client IP Address": "192.0.2.17"} if kind == "page.visited" else {}
    visit, step = divmod(turn, VISIT)
    visits = -(-count // VISIT)
    at = NOW - timedelta(seconds=(visits - visit) * 160_000 - number // 10 % 2000 * 20 - step * 40 - number % 10)
    return Activity(Identity(system, "lead", str(number)), str(number * count + turn), at, kind, asset, dict(seen))


def doings(numbers: range, *, each: int = ACTIVITIES, system: str = "web") -> Iterator[Activity]:
    """As a log tells it: by visits of a few minutes, those of ten people at a time shuffled together."""
    for visit in range(0, each, VISIT):
        for few in range(numbers.start, numbers.stop, 10):
            for turn in range(visit, min(visit + VISIT, each)):
                for number in range(few, min(few + 10, numbers.stop)):
                    yield doing(number, turn, count=each, system=system)


def history(people: int, *, start: int = 0, each: int = ACTIVITIES) -> Iterator[Fact]:
    """Leads and what they did, two thousand people at a time."""
    for block in range(start, people, 2000):
        numbers = range(block, min(block + 2000, people))
        yield from (lead(number, ready=number % READY_EVERY == 0) for number in numbers)
        yield from doings(numbers, each=each)


def fill(store: Store, facts: Iterable[Fact], *, page: int = 2000, lane: Lane = Lane.COLD) -> int:
    """Accept the facts in large pages; how many."""
    held: list[Fact] = []
    count = 0
    for fact in facts:
        held.append(fact)
        if len(held) == page:
            store.accept(Page(tuple(held), ""), "", now=NOW, lane=lane)
            count += len(held)
            held = []
    store.accept(Page(tuple(held), ""), "", now=NOW, lane=lane)
    return count + len(held)


def policy_of(store: Store) -> Policy:
    """The agreement by which a file was decided. Raises `SystemExit` where none is kept."""
    known = store.policy_at(datetime.max.replace(tzinfo=UTC))
    if known is None or known.policy is None:
        raise SystemExit("The state file knows no policy: no agent has decided in it.")
    return known.policy
