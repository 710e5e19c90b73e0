"""The model card: what a model was made of, how good it is, and what it must not be taken for."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from math import exp
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from syncagent.errors import UserError
from syncagent.handoff.likelihood import bin_of, chance
from syncagent.learning.rows import Row, Settings
from syncagent.model import Feature, Scorecard

TOO_GOOD = 0.95
"""Outcomes of people are not that predictable: something leaks that the detector has no sign for."""


class Quality(Struct, frozen=True):
    """How well the model foretold people who were first known later than all that it was made from.

    AUC, PR-AUC and lift compare people of the same age: see `fitting.Measures`.
    """

    rows: int
    people: int
    wins: int
    base_rate: float
    auc: float
    auc_low: float
    auc_high: float
    pr_auc: float
    pr_auc_of_guessing: float
    lift_top_tenth: float
    brier: float
    brier_of_base_rate: float
    calibration: tuple[tuple[float, float, int], ...]  # fifths by chance: foretold, came, rows
    auc_in_training: float


class Slice(Struct, frozen=True):
    """People who were first known between `begins` and `ends`."""

    begins: datetime
    ends: datetime
    people: int
    rows: int
    wins: int


class Profile(Struct, frozen=True):
    """How the world looked in training: the share of each feature's bins, the base rate, and of how many rows."""

    rows: int
    people: int
    base_rate: float
    bins: dict[str, tuple[float, ...]]


class Card(Struct, frozen=True):
    """All that is to be known of a model. `left_out`: columns and why; `undated`: how much of a column has no date.

    `config`: digest of the config's text (the agent's own digest also covers the model that the config names).
    """

    verdict: Literal["useful", "useless"]
    says: str
    until: datetime
    config: str
    settings: Settings
    fitted: Slice
    calibrated: Slice
    validated: Slice
    quality: Quality
    strength: float
    left_out: dict[str, str]
    people_left_out: dict[str, int]
    immature_rows: int
    undated: dict[str, float]
    profile: Profile


class Model(Struct, frozen=True):
    """What a model's file holds: the scorecard for use, the card for people."""

    scorecard: Scorecard
    card: Card
    format: int = 1


def profile(features: Sequence[Feature], rows: Sequence[Row]) -> Profile:
    """How these rows spread over the features' bins, and how many of those whose outcome is known were won."""
    bins = {}
    for feature in features:
        counts = Counter(bin_of(feature, row.attributes, row.done) for row in rows)
        bins[feature.name] = tuple(counts[place] / max(1, len(rows)) for place in range(len(feature.labels)))
    ripe = [row.won for row in rows if row.won is not None]
    return Profile(len(rows), people_in(rows), sum(ripe) / len(ripe) if ripe else 0.0, bins)


def people_in(rows: Sequence[Row]) -> int:
    """How many people these rows are of."""
    return len({row.person for row in rows})


def write(model: Model, path: Path) -> None:
    """Put the model in place whole or not at all. Raises `UserError` where that cannot be done."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(msgspec.json.format(msgspec.json.encode(model), indent=1) + b"\n")
        part.replace(path)
    except OSError as error:
        raise UserError(
            f"The model cannot be written to {path}: {error.strerror}. Name another file by --out."
        ) from None


def read(path: Path) -> Model:
    """The model of a file. Raises `UserError` when there is none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Model)
    except FileNotFoundError:
        raise UserError(f"There is no model at {path}; make one with `syncagent model train`.") from None
    except OSError as error:
        raise UserError(f"The model at {path} cannot be read: {error.strerror}.") from None
    except msgspec.DecodeError as error:
        raise UserError(
            f"{path} is no model of this version ({error}); make one with `syncagent model train`."
        ) from None


def text(model: Model) -> str:
    """The card in words."""
    return "\n".join(_lines(model)) + "\n"


def _lines(model: Model) -> Iterator[str]:
    card = model.card
    quality, settings = card.quality, card.settings
    yield card.says
    yield ""
    who = "Everybody known" if settings.population == "known" else "Everybody handed off"
    ages = ", ".join(str(age) for age in settings.ages_days)
    yield f"Asks: is a deal won within {settings.horizon_days} days? {who} was looked at {ages} days after the start."
    yield f"Facts until {_day(card.until)}; config {card.config}; regularisation C = {card.strength:g}."
    for name, one in (("Fitted", card.fitted), ("Calibrated", card.calibrated), ("Validated", card.validated)):
        yield (
            f"{name} on people first known {_day(one.begins)} to {_day(one.ends)}: {one.people} people,"
            f" {one.rows} rows, {one.wins} people won."
        )
    for why, count in sorted(card.people_left_out.items()):
        if count:
            yield f"Left out: {count} people, {why}."
    yield f"Left out: {card.immature_rows} rows, for their horizon is not over."
    yield ""
    yield "Out of time, on people whom it had not seen, each compared with others of the same age:"
    sure = f"95 %: {quality.auc_low:.3f} to {quality.auc_high:.3f}"
    yield f"  AUC {quality.auc:.3f} ({sure}); in training {quality.auc_in_training:.3f}"
    yield f"  PR-AUC {quality.pr_auc:.3f}, where guessing gives {quality.pr_auc_of_guessing:.3f}"
    yield f"  Lift of the best tenth {quality.lift_top_tenth:.2f}"
    yield f"  Brier {quality.brier:.4f}, where the base rate of their age alone gives {quality.brier_of_base_rate:.4f}"
    yield f"  Base rate {quality.base_rate:.1%} here, {card.profile.base_rate:.1%} in training"
    yield "  Foretold and what came, by fifths:"
    for foretold, came, rows in quality.calibration:
        yield f"    {foretold:6.1%} foretold, {came:6.1%} came ({rows} rows)"
    yield ""
    yield f"The average person has {chance(model.scorecard.intercept):.1%}. What moves that (odds, share of people):"
    spans = [(max(one.weights) - min(one.weights), one) for one in model.scorecard.features]
    for _, feature in sorted(spans, key=lambda pair: (-pair[0], pair[1].name)):
        undated = card.undated.get(feature.of, 0.0) if feature.kind in ("value", "number") else 0.0
        yield f"  {feature.name}" + (f" ({undated:.0%} of its values without a date)" if undated else "")
        shares = card.profile.bins[feature.name]
        for label, weight, share in zip(feature.labels, feature.weights, shares, strict=True):
            if share:
                yield f"    x {exp(weight):5.2f}  {label} ({share:.0%})"
    if card.left_out:
        yield ""
        yield "Columns left out:"
        for name, why in sorted(card.left_out.items()):
            yield f"  {name}: {why}"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
