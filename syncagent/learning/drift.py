"""Whether the world still looks as it did in training: inputs feature by feature, and how many are won."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from math import log, sqrt

from msgspec import Struct

from syncagent.learning.card import Model, profile
from syncagent.learning.rows import NEWEST_WINS, population
from syncagent.model import Dossier
from syncagent.policy import ProfilePolicy

MOVED = 0.2
"""The population stability index from which an input counts as moved: the usual line is 0.1 to 0.25."""
FAR = 3.0
"""Standard errors by which the base rate must differ, so that chance raises no alarm,"""
BY = 0.2
"""and the share by which it must, so that large numbers alone raise none."""
LEAST = 200
_FLOOR = 1e-4


class Moved(Struct, frozen=True):
    """A feature whose spread has moved: its stability index, and the bin that moved most, before and now."""

    feature: str
    index: float
    bin: str
    before: float
    now: float


class Drift(Struct, frozen=True):
    """What has moved between training and the recent period. `says`: in sentences."""

    since: datetime
    until: datetime
    rows: int
    indices: dict[str, float]
    moved: tuple[Moved, ...]
    base_rate_before: float
    base_rate_now: float | None  # None: too few whose horizon is over since training
    base_rate_moved: bool
    says: tuple[str, ...]

    @property
    def alarm(self) -> bool:
        """Whether anything has moved."""
        return bool(self.moved) or self.base_rate_moved


def drift(
    model: Model, people: Iterable[Dossier], until: datetime, days: int = 90, rules: ProfilePolicy = NEWEST_WINS
) -> Drift:
    """Compare the last `days` up to `until` with the training period.

    Inputs are compared over rows looked at in these days; wins over those whose horizon ended in them.
    """
    card = model.card
    since = until - timedelta(days=days)
    horizon = timedelta(days=card.settings.horizon_days)
    rows = population(people, card.settings, until, rules).rows
    recent = [row for row in rows if row.at > since]
    ended = [row for row in rows if row.won is not None and since < row.at + horizon and row.at + horizon > card.until]
    features, before = model.scorecard.features, card.profile
    now = profile(features, recent)
    indices, moved = {}, []
    for feature in features:
        old, new = before.bins[feature.name], now.bins[feature.name]
        indices[feature.name] = index = stability_index(old, new)
        # Two samples of the same people differ by chance: by about this much, so much for every bin.
        chance = (len(feature.labels) - 1) * (1 / max(1, before.people) + 1 / max(1, now.people))
        if len(recent) >= LEAST and index > MOVED + chance:
            most = max(range(len(old)), key=lambda place: abs(new[place] - old[place]))
            moved.append(Moved(feature.name, index, feature.labels[most], old[most], new[most]))
    wins = [bool(row.won) for row in ended]
    rate = sum(wins) / len(wins) if len(wins) >= LEAST else None
    fell = rate is not None and _rate_moved(before.base_rate, before.rows, rate, len(wins))
    found = tuple(sorted(moved, key=lambda one: (-one.index, one.feature)))
    says = tuple(_says(found, before.base_rate, rate, moved=fell, recent=len(recent)))
    return Drift(since, until, len(recent), indices, found, before.base_rate, rate, fell, says)


def stability_index(before: Sequence[float], now: Sequence[float]) -> float:
    """The population stability index of two spreads over the same bins: 0 when they are equal."""
    pairs = [(max(old, _FLOOR), max(new, _FLOOR)) for old, new in zip(before, now, strict=True)]
    return sum((new - old) * log(new / old) for old, new in pairs)


def _rate_moved(before: float, rows_before: int, now: float, rows_now: int) -> bool:
    pooled = (before * rows_before + now * rows_now) / (rows_before + rows_now)
    error = sqrt(pooled * (1 - pooled) * (1 / rows_before + 1 / rows_now))
    return error > 0 and abs(now - before) > FAR * error and abs(now - before) > BY * before


def _says(found: Sequence[Moved], before: float, rate: float | None, *, moved: bool, recent: int) -> list[str]:
    if recent < LEAST:
        return [f"Only {recent} looks at people are recent; from {LEAST} on it can be said whether anything has moved."]
    lines = [
        f"{one.feature} has moved (index {one.index:.2f}): {one.bin!r} was {one.before:.0%} of people,"
        f" and is {one.now:.0%} now."
        for one in found
    ]
    if rate is None:
        lines.append("How many are won cannot be compared yet: too few whose horizon has ended since the training.")
    elif moved:
        lines.append(f"The base rate has moved: {before:.1%} were won in training, {rate:.1%} are now.")
    if found or moved:
        lines.append("Train anew with `syncagent model train`, and compare the cards.")
    else:
        lines.append(
            "Nothing has moved: inputs are as in training" + ("." if rate is None else ", and so is the base rate.")
        )
    return lines
