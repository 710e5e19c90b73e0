"""Generated orgs whose truth is known: what a person's chance really is, so that a model can be held against it."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import exp
from typing import Any

from msgspec import Struct

from syncagent.model import Activity, CrmRecord, Dossier, FieldChange, Identity, Lead, Opportunity, Value

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
END = BEGIN + timedelta(days=720)
DAYS = 600  # people come in during these
HORIZON = 90
SOONEST, LATEST = 3, 60  # days from the start to a win

TITLES = {"chief": 1.6, "director": 1.0, "manager": 0.0, "engineer": -0.4, "student": -2.5}
COUNTRIES = {"DE": 0.3, "US": 0.0, "FR": 0.0, "BR": -0.3}
ORIGINS = ["search", "fair", "social"]


class Human(Struct):
    """Somebody and what is true of them; `chance` of ever winning."""

    number: int
    start: datetime
    chance: float
    won_at: datetime | None
    attributes: dict[str, Value]
    doings: list[tuple[datetime, str, str]]
    lost_at: datetime | None = None
    changes: list[tuple[datetime, str, Value, Value]] = []
    seen_at: datetime | None = None


def org(count: int, seed: int = 1, *, base: float = -2.2, strength: float = 1.0, until: datetime = END) -> list[Human]:
    """People in the order of their coming. `strength` 0: nothing that is known foretells anything."""
    dice = random.Random(seed)
    made = []
    for number in range(1, count + 1):
        start = BEGIN + timedelta(days=DAYS * number / count)
        title, country = dice.choice(list(TITLES)), dice.choice(list(COUNTRIES))
        employees = round(10 ** dice.uniform(0.5, 4.5))
        visits, demo = dice.choice([0, 0, 1, 1, 2, 3, 5, 9]), dice.random() < 0.25
        truth = TITLES[title] + COUNTRIES[country] + 0.25 * min(visits, 4) + 1.0 * demo
        truth += 0.8 if 200 <= employees < 5000 else 0.0
        chance = 1 / (1 + exp(-(base + strength * truth)))
        wins = dice.random() < chance
        won_at = start + timedelta(days=dice.uniform(SOONEST, LATEST)) if wins else None
        lost_at = start + timedelta(days=dice.uniform(20, 200)) if not wins and dice.random() < 0.6 else None
        doings = [(start, "email.opened", "welcome")]
        doings += [(start + timedelta(hours=dice.uniform(0, 20)), "page.visited", "/pricing") for _ in range(visits)]
        if demo:
            doings.append((start + timedelta(hours=dice.uniform(0, 20)), "form.submitted", "demo"))
        for _ in range(dice.choice((0, 1, 3))):
            doings.append((start + timedelta(days=dice.uniform(2, 80)), "email.opened", "news"))
        attributes: dict[str, Value] = {
            "title": title,
            "country": country,
            "employees": employees,
            "company": f"Company {number}",
            "origin": dice.choice(ORIGINS),
        }
        if won_at is not None and won_at > until:
            won_at = None
        if lost_at is not None and lost_at > until:
            lost_at = None
        made.append(Human(number, start, chance, won_at, attributes, doings, lost_at))
    return made


def fill(humans: list[Human], name: str, value: Callable[[Human], Value]) -> None:
    """Give everybody (or those for whom there is one) a value in one more column."""
    for human in humans:
        found = value(human)
        if found is not None:
            human.attributes[name] = found


def truth(human: Human, at: datetime) -> float:
    """The real chance that somebody who is still undecided at `at` wins; who does, does so within the horizon."""
    gone = (at - human.start) / timedelta(days=1)
    passed = min(1.0, max(0.0, (gone - SOONEST) / (LATEST - SOONEST)))
    return human.chance * (1 - passed) / (1 - human.chance * passed)


def dossier(human: Human, **changes: Any) -> Dossier:
    """What the state would hold of them today."""
    mine, record = Identity("web", "lead", f"w{human.number}"), Identity("crm", "Lead", f"L{human.number}")
    seen = human.seen_at or END
    deals: tuple[Opportunity, ...] = ()
    ended = human.won_at or human.lost_at
    if ended is not None:
        deals = (
            Opportunity(
                Identity("crm", "Opportunity", f"O{human.number}"),
                (record,),
                modified_at=ended,
                created_at=human.start,
                closed=True,
                won=human.won_at is not None,
                closed_on=ended.date().isoformat(),
            ),
        )
    return Dossier(
        human.number,
        1,
        identities=(record, mine),
        leads=(Lead(mine, seen, dict(human.attributes)),),
        activities=tuple(
            Activity(mine, f"{human.number}-{n}", at, kind, asset)
            for n, (at, kind, asset) in enumerate(sorted(human.doings))
        ),
        records=(
            CrmRecord(
                record, END, human.start, "me", {"status": "Open", **_fields(human)}, (f"p{human.number}@example.com",)
            ),
        ),
        changes=tuple(
            FieldChange(record, f"{human.number}-{n}", field, old, new, "ana", at)
            for n, (at, field, old, new) in enumerate(human.changes)
        ),
        opportunities=deals,
        **changes,
    )


def _fields(human: Human) -> dict[str, Value]:
    """The fields whose history the CRM tells: as they stand today."""
    return {field: new for _, field, _, new in sorted(human.changes, key=lambda one: one[0])}
