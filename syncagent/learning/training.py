"""From people to a model and its card: the oldest fit it, later ones calibrate it, the latest measure it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from math import sqrt

from syncagent.errors import UserError
from syncagent.handoff.conditions import is_known
from syncagent.handoff.likelihood import bin_of, chance
from syncagent.learning.card import TOO_GOOD, Card, Model, Quality, Slice, people_in, profile
from syncagent.learning.features import features_of
from syncagent.learning.fitting import Fitted, Measures, fit, measure
from syncagent.learning.leaks import columns_of, leaks
from syncagent.learning.rows import NEWEST_WINS, Population, Row, Settings, population
from syncagent.model import Dossier, Scorecard
from syncagent.policy import ProfilePolicy

FIT, CALIBRATE = 0.6, 0.8
"""People in the order of time: up to 60 % fit, up to 80 % calibrate, the rest validates."""
LEAST_WINS_TO_MEASURE = 10
SURE = 1.96
OFF = 0.2
"""By this share of what came, chances may be off as a whole before the card warns."""
SAME = "It tells nobody apart: hardly a value is shared by several people, or nearly everybody has the same."
WISHED = "Somebody asked for that (--without)."


def train(
    people: Iterable[Dossier],
    settings: Settings,
    until: datetime,
    config: str,
    *,
    not_drawn: int = 0,
    rules: ProfilePolicy = NEWEST_WINS,
) -> Model:
    """Learn from these people what was known of them up to `until`. Raises `UserError` below the floor of data.

    `not_drawn`: how many more there are in the state (`rows.people_of`), for the card. The card's verdict
    is "useless" where the model tells nobody apart; such a model must not be used.
    """
    told = population(people, settings, until, rules)
    ripe = [row for row in told.rows if row.won is not None]
    _refuse_few(ripe, told, settings)
    earlier, later, latest = _in_time(ripe)
    _refuse_unknown(settings.without, columns_of(told.rows))
    left_out = {leak.column: leak.why for leak in leaks(told.rows)} | dict.fromkeys(settings.without, WISHED)
    columns = [name for name in columns_of(earlier) if name not in left_out]
    features = features_of(earlier, columns)
    used = {feature.of for feature in features if feature.kind in ("value", "number")}
    left_out |= {name: SAME for name in columns if name not in used}
    if not features:
        raise UserError(
            "There is nothing to learn from: no attribute or activity tells people apart."
            " Read more history with `syncagent backfill`."
        )
    fitted = fit(features, earlier, later)
    scorecard = Scorecard(fitted.intercept, fitted.features, until, settings.horizon_days, settings.window_days)
    quality, measured = _quality(scorecard, earlier, latest)
    verdict, says = _verdict(measured, fitted)
    card = Card(
        verdict="useful" if verdict else "useless",
        says=says,
        until=until,
        config=config,
        settings=settings,
        fitted=_slice(earlier),
        calibrated=_slice(later),
        validated=_slice(latest),
        quality=quality,
        strength=fitted.strength,
        left_out=left_out,
        people_left_out=told.left_out | {"not drawn into the sample": not_drawn},
        immature_rows=len(told.rows) - len(ripe),
        undated=_undated(ripe, used),
        profile=profile(fitted.features, ripe),
    )
    return Model(scorecard, card)


def chances(scorecard: Scorecard, rows: Sequence[Row]) -> list[float]:
    """The chance of every row, as the scorecard gives it to a live person."""
    found = []
    for row in rows:
        weights = [feature.weights[bin_of(feature, row.attributes, row.done)] for feature in scorecard.features]
        found.append(chance(scorecard.intercept + sum(weights)))
    return found


def _refuse_few(ripe: Sequence[Row], told: Population, settings: Settings) -> None:
    people, wins = people_in(ripe), _wins(ripe)
    if people >= settings.least_people and wins >= settings.least_wins:
        return
    left = ", ".join(f"{count} {why}" for why, count in told.left_out.items() if count)
    raise UserError(
        f"There is too little to learn from: {people} people whose outcome is known, {wins} of them won within"
        f" {settings.horizon_days} days; needed are {settings.least_people} and {settings.least_wins}."
        + (f" Left out were {left}." if left else "")
        + " Read more history with `syncagent backfill`, of the CRM's deals too; until then, score by rules."
    )


def _refuse_unknown(wished: Iterable[str], columns: Sequence[str]) -> None:
    unknown = sorted(set(wished) - set(columns))
    if unknown:
        raise UserError(f"Nobody has a column called {unknown[0]!r}; there are {', '.join(columns)}.")


def _in_time(rows: Sequence[Row]) -> tuple[list[Row], list[Row], list[Row]]:
    """Three parts by when people were first known; nobody is in two. Raises `UserError` where a part has no wins."""
    order = {person: n for n, person in enumerate(dict.fromkeys(row.person for row in rows))}
    ends = len(order) * FIT, len(order) * CALIBRATE
    parts: tuple[list[Row], list[Row], list[Row]] = ([], [], [])
    for row in rows:
        parts[sum(order[row.person] >= end for end in ends)].append(row)
    for part in parts:
        wins = _wins(part)
        if not LEAST_WINS_TO_MEASURE <= wins <= people_in(part) - LEAST_WINS_TO_MEASURE:
            raise UserError(
                f"Of the {people_in(part)} people first known {part[0].start:%Y-%m-%d} to {part[-1].start:%Y-%m-%d}"
                f" {wins} were won: the model cannot be checked over time. Each of its three parts needs"
                f" {LEAST_WINS_TO_MEASURE} winners and as many others; read more history with `syncagent backfill`."
            )
    return parts


def _quality(scorecard: Scorecard, earlier: Sequence[Row], latest: Sequence[Row]) -> tuple[Quality, Measures]:
    found = measure(chances(scorecard, latest), latest)
    return Quality(
        rows=len(latest),
        people=people_in(latest),
        wins=_wins(latest),
        base_rate=sum(bool(row.won) for row in latest) / len(latest),
        auc=found.auc,
        auc_low=max(0.0, found.auc - SURE * found.auc_error),
        auc_high=min(1.0, found.auc + SURE * found.auc_error),
        pr_auc=found.pr_auc,
        pr_auc_of_guessing=found.guess,
        lift_top_tenth=found.lift,
        brier=found.brier,
        brier_of_base_rate=found.brier_of_base,
        calibration=found.curve,
        auc_in_training=measure(chances(scorecard, earlier), earlier).auc,
    ), found


def _verdict(found: Measures, fitted: Fitted) -> tuple[bool, str]:
    low, high = found.auc - SURE * found.auc_error, found.auc + SURE * found.auc_error
    sure = f"AUC {found.auc:.2f}, 95 %: {low:.2f} to {high:.2f}; 0.5 is a coin"
    if low <= 0.5 or fitted.slope <= 0:
        return False, (
            f"This model is useless: on people whom it had not seen it tells winners from others no better than chance"
            f" ({sure}). It must not be used; what is known of people before the outcome does not foretell it."
        )
    if found.auc >= TOO_GOOD:
        return True, (
            f"Too good to be true ({sure}): look at what moves it most below for something that is only known after"
            " the outcome, before you use it."
        )
    strength = "weakly" if low < 0.6 else "fairly" if low < 0.75 else "well"
    return True, (
        f"This model tells winners from others {strength} ({sure}): the best tenth wins"
        f" {found.lift:.1f} times as often as the average.{_off(found)}"
    )


def _off(found: Measures) -> str:
    """A warning where the chances as a whole were wrong on the latest people; empty where they were not."""
    rows = sum(count for _, _, count in found.curve)
    said, came = (sum(part[n] * part[2] for part in found.curve) / rows for n in (0, 1))
    if abs(said - came) <= max(OFF * came, SURE * sqrt(said * (1 - said) / rows)):
        return ""
    return (
        f" Its chances ran too {'high' if said > came else 'low'} on the latest people ({said:.1%} foretold,"
        f" {came:.1%} came): trust its order more than its percentages."
    )


def _undated(rows: Sequence[Row], columns: Iterable[str]) -> dict[str, float]:
    shares = {}
    for name in sorted(columns):
        filled = [name in row.undated for row in rows if is_known(row.attributes.get(name))]
        if any(filled):
            shares[name] = sum(filled) / len(filled)
    return shares


def _slice(rows: Sequence[Row]) -> Slice:
    return Slice(rows[0].start, rows[-1].start, people_in(rows), len(rows), _wins(rows))


def _wins(rows: Sequence[Row]) -> int:
    return len({row.person for row in rows if row.won})
