"""How likely a win is, by a trained scorecard: plain sums over bins, each with its reason.

It decides nothing: `with_likelihood` puts the percentage beside the other attributes under the name "likelihood", and
rules of the policy may ask for it as for any other. Training reads people through the same functions.
"""

from bisect import bisect_right
from collections.abc import Mapping
from datetime import datetime, timedelta
from math import exp, isnan
from typing import NamedTuple

from syncagent.handoff.conditions import fold, is_known, is_yes, number
from syncagent.model import BOT, Activity, Dossier, Feature, Influence, Likelihood, Scorecard, Value
from syncagent.policy import Policy

ATTRIBUTE = "likelihood"
LETTER = "likelihood.grade"
_DAY = 86_400


class Doings(NamedTuple):
    """What somebody has done up to a moment: how often within the window, days since the last, how they came."""

    counts: Mapping[str, int]
    days_since: Mapping[str, float]
    first: str  # kind and asset; empty: nothing yet
    age: float | None  # days since they were first known


def with_likelihood(attributes: dict[str, Value], dossier: Dossier, policy: Policy, now: datetime) -> dict[str, Value]:
    """The attributes and, where the policy has a scorecard, "likelihood": 0 to 100, to a tenth.

    With letters also "likelihood.grade", A to D: one more grade beside that of the points.
    """
    card = policy.likelihood
    if card is None:
        return attributes
    percent = round(likelihood(card, attributes, dossier, now).percent, 1)
    known = attributes | {ATTRIBUTE: percent}
    return known | {LETTER: letter(card, percent)} if card.letters else known


def letter(card: Scorecard, percent: float) -> str:
    """A to D, by the percentages that the config gives; empty where it gives none."""
    if not card.letters:
        return ""
    return next((name for name, least in zip("ABC", card.letters, strict=True) if percent >= least), "D")


def likelihood(card: Scorecard, attributes: Mapping[str, Value], dossier: Dossier, now: datetime) -> Likelihood:
    """How likely a win is at `now`, with what every feature does to it."""
    done = doings(dossier, now, card.window_days)
    influences = []
    logit = card.intercept
    for feature in card.features:
        place = bin_of(feature, attributes, done)
        logit += feature.weights[place]
        influences.append(Influence(feature.name, feature.weights[place], feature.labels[place]))
    return Likelihood(100 * chance(logit), logit, card.intercept, tuple(influences))


def changes_at(dossier: Dossier, policy: Policy, now: datetime) -> datetime | None:
    """When the likelihood may change though nothing new is told: as days go by, activities age and leave the window.

    Rounded up to a full hour, as the ends of rules' windows are; None: not by itself, or there is no scorecard.
    """
    card = policy.likelihood
    if card is None:
        return None
    window = timedelta(days=card.window_days)
    counted = {one.of for one in card.features if one.kind == "count"}
    cuts = {one.of: one.cuts for one in card.features if one.kind == "recency"}
    moments: list[datetime] = []
    last: dict[str, datetime] = {}
    for one in dossier.activities:
        if _by_robot(one):
            continue
        if one.at > now:
            moments.append(one.at)
            continue
        if one.kind in counted:
            moments.append(one.at + window)
        last[one.kind] = max(one.at, last.get(one.kind, one.at))
    known = first_known(dossier)
    ages = next((one.cuts for one in card.features if one.kind == "age"), ())
    moments += [known + timedelta(days=cut) for cut in ages if known is not None]
    moments += [at + timedelta(days=cut) for kind, at in last.items() for cut in cuts.get(kind, ())]
    soonest = min((at for at in moments if at > now), default=None)
    if soonest is None:
        return None
    full = soonest.replace(minute=0, second=0, microsecond=0)
    return soonest if full == soonest else full + timedelta(hours=1)


def told(dossier: Dossier, attributes: Mapping[str, Value], policy: Policy, now: datetime) -> tuple[str, ...]:
    """The likelihood in words, what moves it most first; empty without a scorecard."""
    card = policy.likelihood
    if card is None:
        return ()
    found = likelihood(card, attributes, dossier, now)
    average = 100 * chance(found.base)
    grade = letter(card, round(found.percent, 1))
    lines = [
        f"Likelihood of a win within {card.horizon_days} days: {found.percent:.1f} %{f' ({grade})' if grade else ''};"
        f" the average person's is {average:.1f} %."
    ]
    moving = sorted(found.influences, key=lambda one: (-abs(one.weight), one.feature))
    lines += [f"  odds x {exp(one.weight):.2f} {one.feature}: {one.why}" for one in moving if one.weight]
    return tuple(lines)


def chance(logit: float) -> float:
    """The probability of log-odds, without overflow."""
    if logit >= 0:
        return 1 / (1 + exp(-logit))
    odds = exp(logit)
    return odds / (1 + odds)


def first_known(dossier: Dossier) -> datetime | None:
    """When somebody was first known: their first activity, or the CRM's first record; None: nothing tells."""
    moments = [one.at for one in dossier.activities if not _by_robot(one)]
    moments += [one.created_at for one in dossier.records]
    return min(moments, default=None)


def doings(dossier: Dossier, now: datetime, window_days: int) -> Doings:
    """What somebody has done up to `now`; one activity told twice is one, a robot's is none."""
    start = now - timedelta(days=window_days)
    done: dict[tuple[str, str], Activity] = {}
    for one in dossier.activities:
        if one.at <= now and not _by_robot(one):
            done.setdefault((one.identity.system, one.key), one)
    counts: dict[str, int] = {}
    last: dict[str, datetime] = {}
    for one in done.values():
        counts[one.kind] = counts.get(one.kind, 0) + (one.at > start)
        last[one.kind] = max(one.at, last.get(one.kind, one.at))
    first = min(done.values(), key=lambda one: (one.at, one.identity, one.key), default=None)
    known = first_known(dossier)
    return Doings(
        counts,
        {kind: _days(at, now) for kind, at in last.items()},
        "" if first is None else f"{first.kind} {first.asset}".strip(),
        None if known is None or known > now else _days(known, now),
    )


def bin_of(feature: Feature, attributes: Mapping[str, Value], done: Doings) -> int:
    """Which bin of the feature fits; there is always one."""
    if feature.kind in ("value", "first"):
        value = done.first if feature.kind == "first" else attributes.get(feature.of)
        if not is_known(value):
            return len(feature.values) + 1
        asked = as_text(value)
        return feature.values.index(asked) if asked in feature.values else len(feature.values)
    amount = _amount(feature, attributes, done)
    if amount is None or isnan(amount):
        return len(feature.cuts) + 1
    return bisect_right(feature.cuts, amount)


def _amount(feature: Feature, attributes: Mapping[str, Value], done: Doings) -> float | None:
    if feature.kind == "count":
        return done.counts.get(feature.of, 0)
    if feature.kind == "recency":
        return done.days_since.get(feature.of)
    return done.age if feature.kind == "age" else number(attributes.get(feature.of))


def as_text(value: Value) -> str:
    """A value as scorecards hold it: 3, 3.0 and "3" are one, and so are "Yes" and "yes"."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    folded = fold(value)
    return f"{folded:.12g}" if isinstance(folded, float) else str(folded)


def _by_robot(activity: Activity) -> bool:
    return bool(activity.attributes) and is_yes(activity.attributes.get(BOT))


def _days(since: datetime, now: datetime) -> float:
    return (now - since).total_seconds() / _DAY
