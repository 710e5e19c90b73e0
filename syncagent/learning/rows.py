"""What was known of people at past moments, and what came of it.

People are looked at several times, at fixed ages, as long as nothing has been decided: the same question is asked of
a live person on any day of theirs, so the model must have seen people of every age. Ages do not depend on the outcome.
(Only the moment of a handoff would be a choice that the outcome has a hand in.)

Activities are dated, so they stop at the moment of the row. Attributes are wound back as far as the CRM's changes and
the profile's histories tell; what stood before a record was first told of is *undated*: told by the card, and judged by
the leak detector.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple
from zlib import crc32

from msgspec import Struct

from syncagent.handoff.likelihood import Doings, doings, first_known
from syncagent.handoff.past import closing_of, past_of
from syncagent.handoff.profile import attributes_by
from syncagent.model import Dossier, Value
from syncagent.policy import ProfilePolicy
from syncagent.state.store import Store

NEWEST_WINS = ProfilePolicy()

BATCH = 1000
EARLY = "looked at before any win is known"


class Settings(Struct, frozen=True):
    """How a model is trained; each with its reason."""

    horizon_days: int = 90
    """A B2B lead that buys has mostly done so by then; longer leaves fewer people whose outcome is known."""
    population: Literal["known", "handed-off"] = "known"
    """Everybody ever known, for that is who is asked about before a handoff; or those handed off, from then on."""
    ages_days: tuple[int, ...] = (1, 7, 30, 90)
    """When a person is looked at: after the first day most of what comes soon is known, later ones teach patience."""
    least_wins: int = 100
    """Below, every weight rests on a handful of people; ten wins a weight is the old rule of thumb."""
    least_people: int = 1000
    """A fifth of them measures the model, and 200 people are few enough for that."""
    without: tuple[str, ...] = ()
    """Columns that somebody knows must not decide: leaks that show no sign, or what is nobody's business."""
    most_people: int = 100_000
    """More would change no weight that matters, and take minutes and gigabytes."""
    window_days: int = 90
    """Activities count that long."""


class Outcome(NamedTuple):
    """When a person's first deal was won, and when anything was decided at all (won, lost, disqualified)."""

    won_at: datetime | None
    decided_at: datetime | None


class Row(NamedTuple):
    """A person as known at `at`, and what has come of them. Rows are in the order of start, person, `at`.

    `won` within the horizon: True, False, or None while the horizon is not over.
    `undated`: attributes whose value may have been filled in after `at`. `late`: those that are known to have been
    filled in after it (wound back, so they are not in `attributes`), and whether that was after the outcome.
    """

    person: int
    start: datetime
    at: datetime
    attributes: dict[str, Value]
    done: Doings
    won: bool | None
    outcome: Outcome
    undated: frozenset[str]
    late: dict[str, bool]


class Population(NamedTuple):
    """Rows in the order of time, and how many people were left out, by reason."""

    rows: tuple[Row, ...]
    left_out: dict[str, int]


def people_of(store: Store, most: int = Settings().most_people) -> tuple[Iterator[Dossier], int]:
    """Everybody in the state who was not erased, in the order of their ids, and how many were not drawn.

    With more people than `most`, one in so many is drawn by their id alone, so that the next training draws the same.
    """
    ids: list[int] = []
    while page := store.people(ids[-1] if ids else 0, BATCH):
        ids += page
    every = -(-len(ids) // most)
    drawn = [person for person in ids if every < 2 or crc32(str(person).encode()) % every == 0]
    return _read(store, ids, frozenset(drawn)), len(ids) - len(drawn)


def _read(store: Store, ids: Sequence[int], drawn: Collection[int]) -> Iterator[Dossier]:
    """Those who were drawn, in batches: one person at a time costs five times as long."""
    after = 0
    for start in range(0, len(ids), BATCH):
        until = ids[start : start + BATCH][-1]
        for dossier in store.evidence(after, until, decided=True):
            if dossier.person in drawn and not dossier.erased:
                yield dossier
        after = until


def population(
    people: Iterable[Dossier], settings: Settings, until: datetime, rules: ProfilePolicy = NEWEST_WINS
) -> Population:
    """The rows of all these people up to `until`; facts dated later are as if they had not been told.

    `rules` say whose word counts for an attribute, as for scoring.

    Looks before the first win that is known are left out: what came of people then was not yet recorded, and would
    all count as not won.
    """
    rows: list[Row] = []
    wins: list[datetime] = []
    left_out = {"no moment known": 0, "decided before the first look": 0, "too new": 0, EARLY: 0}
    if settings.population == "handed-off":
        left_out = {"never handed off": 0} | left_out
    for dossier in people:
        start = _start(dossier, settings)
        if start is None or start > until:
            wanted = "never handed off" if settings.population == "handed-off" else "no moment known"
            left_out[wanted if start is None else "too new"] += 1
            continue
        outcome = outcome_of(dossier, until)
        if outcome.won_at is not None:
            wins.append(outcome.won_at)
        made = list(_rows(dossier, start, outcome, settings, until, rules))
        rows += made
        if not made:
            first = start + timedelta(days=settings.ages_days[0])
            left_out["too new" if first > until else "decided before the first look"] += 1
    begin = min(wins, default=until)
    kept = sorted((row for row in rows if row.at >= begin), key=lambda row: (row.start, row.person, row.at))
    left_out[EARLY] = len({row.person for row in rows}) - len({row.person for row in kept})
    return Population(tuple(kept), left_out)


def _start(dossier: Dossier, settings: Settings) -> datetime | None:
    if settings.population == "known":
        return first_known(dossier)
    handoffs = dossier.decision.handoffs if dossier.decision is not None else ()
    return handoffs[0].opened_at if handoffs else None


def _rows(
    dossier: Dossier, start: datetime, outcome: Outcome, settings: Settings, until: datetime, rules: ProfilePolicy
) -> Iterator[Row]:
    horizon = timedelta(days=settings.horizon_days)
    for age in settings.ages_days:
        at = start + timedelta(days=age)
        if at > until or (outcome.decided_at is not None and outcome.decided_at <= at):
            return
        won: bool | None = outcome.won_at is not None and outcome.won_at <= at + horizon
        if at + horizon > until:
            won = None  # also of those who have won already: counting only them would make the young look better
        past = past_of(dossier, at)
        decided = outcome.decided_at
        late = {name: decided is not None and when >= decided for name, when in past.late.items()}
        known, done = attributes_by(rules, past.dossier), doings(dossier, at, settings.window_days)
        yield Row(dossier.person, start, at, known, done, won, outcome, past.undated, late)


def outcome_of(dossier: Dossier, until: datetime) -> Outcome:
    """What had come of a person at `until`: from their deals, and from what sales answered to handoffs.

    A deal counts from the beginning of its closing day at the latest: dates are all that CRMs keep, and a row must
    never stand behind an outcome.
    """
    won: list[datetime] = []
    decided: list[datetime] = []
    for deal in dossier.opportunities:
        if deal.closed and not deal.deleted:
            (won if deal.won else decided).append(closing_of(deal))
    for handoff in dossier.decision.handoffs if dossier.decision is not None else ():
        if handoff.closed_at is not None and handoff.outcome in ("won", "lost", "disqualified"):
            (won if handoff.outcome == "won" else decided).append(handoff.closed_at)
    won_at = min((at for at in won if at <= until), default=None)
    decided_at = min((at for at in (*won, *decided) if at <= until), default=None)
    return Outcome(won_at, decided_at)
