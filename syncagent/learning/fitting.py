"""Weights, calibration and measures: the one module that needs scikit-learn (`pip install 'syncagent[predict]'`).

Logistic regression over bins, its strength of regularisation chosen on later people than it was fitted on; Platt's
calibration on people later still, folded into the weights, so that what is explained is what is used.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import TimeSeriesSplit

from syncagent.handoff.likelihood import bin_of
from syncagent.learning.rows import Row
from syncagent.model import Feature

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""What is tried, from strong regularisation to weak: of those within a standard error of the best, the strongest."""
FOLDS = 4
STEPS = 1000
FLOATS = npt.NDArray[np.float64]


class Fitted(NamedTuple):
    """A calibrated model: log-odds = `intercept` + the weight of one bin of each feature; the estimator behind it."""

    intercept: float
    features: tuple[Feature, ...]
    strength: float
    slope: float  # of the calibration: 1 means that the raw log-odds were right as they stood
    estimator: CalibratedClassifierCV


class Measures(NamedTuple):
    """How well chances foretold what came. `auc_error` is the standard error of the AUC.

    AUC, PR-AUC and lift compare people of one age with each other, averaged over the ages by their wins: that people
    who have waited long seldom buy is easily told, and says nothing about who does.
    """

    auc: float
    auc_error: float
    pr_auc: float
    guess: float  # the PR-AUC of guessing
    brier: float
    brier_of_base: float  # of somebody who always says the base rate of that age
    lift: float  # wins among the tenth with the best chances, as a multiple of the base rate
    curve: tuple[tuple[float, float, int], ...]  # fifths by chance: foretold, came, rows


def fit(features: tuple[Feature, ...], earlier: Sequence[Row], later: Sequence[Row]) -> Fitted:
    """Fit on the earlier rows, calibrate on the later ones. Both hold wins and others, in the order of time."""
    table, won = matrix(features, earlier), outcomes(earlier)
    strength = _strength(table, won, earlier)
    plain = _regression(strength).fit(table, won)
    calibrated = CalibratedClassifierCV(FrozenEstimator(plain), method="sigmoid")
    calibrated.fit(matrix(features, later), outcomes(later))
    platt = calibrated.calibrated_classifiers_[0].calibrators[0]
    slope, shift = -float(platt.a_), -float(platt.b_)
    raw = slope * plain.coef_[0]
    shares = np.asarray(table.mean(axis=0)).ravel()
    intercept, start = slope * float(plain.intercept_[0]) + shift, 0
    weighed = []
    for feature in features:
        end = start + len(feature.labels)
        # Against the average person: what is left of a weight says in what somebody differs.
        mean = float(shares[start:end] @ raw[start:end])
        intercept += mean
        weights = tuple(float(weight) - mean for weight in raw[start:end])
        weighed.append(
            Feature(feature.name, feature.kind, feature.of, feature.labels, weights, feature.values, feature.cuts)
        )
        start = end
    return Fitted(intercept, tuple(weighed), strength, slope, calibrated)


def matrix(features: Sequence[Feature], rows: Sequence[Row]) -> csr_matrix:
    """One column a bin, a 1 in the bin that fits: as the scorecard itself finds it."""
    starts = np.cumsum([0, *(len(feature.labels) for feature in features)])
    places = [
        int(start) + bin_of(feature, row.attributes, row.done)
        for row in rows
        for start, feature in zip(starts[:-1], features, strict=True)
    ]
    pointers = np.arange(0, len(places) + 1, len(features)) if features else np.zeros(len(rows) + 1, dtype=int)
    return csr_matrix((np.ones(len(places)), places, pointers), shape=(len(rows), int(starts[-1])))


def outcomes(rows: Sequence[Row]) -> npt.NDArray[np.int64]:
    """1 for a win within the horizon, else 0."""
    return np.array([int(bool(row.won)) for row in rows])


def measure(chances: Sequence[float], rows: Sequence[Row]) -> Measures:
    """How well these chances foretold what came of the rows; at one age at least there must be both wins and others."""
    won, said = outcomes(rows), np.array(chances)
    ages = np.array([(row.at - row.start).days for row in rows])
    weights, found, base = [], [], np.zeros(len(rows))
    for age in np.unique(ages):
        here = np.flatnonzero(ages == age)
        base[here] = rate = float(won[here].mean())
        if 0 < rate < 1:
            best = here[np.argsort(-said[here], kind="stable")[: max(1, len(here) // 10)]]
            ranked = roc_auc_score(won[here], said[here]), average_precision_score(won[here], said[here])
            found.append((*ranked, rate, won[best].mean() / rate))
            weights.append(int(won[here].sum()))
    auc, pr_auc, guess, lift = (float(one) for one in np.average(np.array(found), axis=0, weights=weights))
    order = np.argsort(said, kind="stable")
    curve = tuple(
        (float(said[part].mean()), float(won[part].mean()), len(part)) for part in np.array_split(order, 5) if len(part)
    )
    brier, of_base = float(brier_score_loss(won, said)), float(brier_score_loss(won, base))
    return Measures(auc, _auc_error(auc, won, rows), pr_auc, guess, brier, of_base, lift, curve)


def _auc_error(auc: float, won: npt.NDArray[np.int64], rows: Sequence[Row]) -> float:
    """Hanley and McNeil's standard error, with people (not their several rows) as what was counted."""
    people = len({row.person for row in rows})
    winners = len({row.person for row, one in zip(rows, won, strict=True) if one})
    others = max(1, people - winners)
    first, second = auc / (2 - auc), 2 * auc * auc / (1 + auc)
    spread = auc * (1 - auc) + (winners - 1) * (first - auc * auc) + (others - 1) * (second - auc * auc)
    return float(np.sqrt(max(0.0, spread) / (winners * others)))


def _regression(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, solver="newton-cholesky", max_iter=STEPS, tol=1e-8)


def _strength(table: csr_matrix, won: npt.NDArray[np.int64], rows: Sequence[Row]) -> float:
    """Each fold is fitted on people and tried on later ones; a person's rows stay together."""
    place = {person: n for n, person in enumerate(dict.fromkeys(row.person for row in rows))}
    mine = np.array([place[row.person] for row in rows])
    losses: dict[float, list[float]] = {strength: [] for strength in STRENGTHS}
    for before, after in TimeSeriesSplit(FOLDS).split(np.arange(len(place))):
        fits, tries = np.isin(mine, before), np.isin(mine, after)
        if len(set(won[fits])) < 2 or not tries.any():
            continue
        for strength in STRENGTHS:
            model = _regression(strength).fit(table[fits], won[fits])
            losses[strength].append(float(log_loss(won[tries], model.predict_proba(table[tries]), labels=[0, 1])))
    if not losses[STRENGTHS[0]]:
        return STRENGTHS[0]
    means = {strength: float(np.mean(some)) for strength, some in losses.items()}
    best = min(STRENGTHS, key=lambda strength: means[strength])
    slack = float(np.std(np.array(losses[best]) - np.array(losses[STRENGTHS[0]]))) / np.sqrt(len(losses[best]))
    return next(strength for strength in STRENGTHS if means[strength] <= means[best] + slack)
