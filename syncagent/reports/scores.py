"""The scores of everybody, recomputed; and how they would move under another config."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from syncagent.handoff.past import as_of
from syncagent.handoff.scoring import is_ready, weigh
from syncagent.model import Dossier, Score
from syncagent.policy import Policy

GRADES = tuple(letter + number for letter in "ABCD" for number in "1234")
_LARGEST = 10


class Scored(NamedTuple):
    """One person's score. `segment` and `model` are empty where the ones for all count; `over`: past the line."""

    person: int
    fit: float
    interest: float
    score: float
    grade: str
    segment: str
    model: str
    over: bool


class Past(Enum):
    """Whether a moment is past, and if so, whether we knew people then, or their history came later (`past.as_of`)."""

    NO = 0
    KNOWN = 1
    GUESSED = 2


class Scores:
    """Question: the score of each by this policy, as it is at `now`, or was by what was known then."""

    decided = False

    def __init__(self, policy: Policy, now: datetime, past: Past = Past.NO) -> None:
        self._policy, self._now, self._past = policy, now, past

    def __call__(self, dossiers: Sequence[Dossier]) -> list[Scored]:
        return [scored(self._then(one), self._policy, self._now) for one in dossiers]

    def _then(self, dossier: Dossier) -> Dossier:
        return dossier if self._past is Past.NO else as_of(dossier, self._now, guess=self._past is Past.GUESSED)


def scored(dossier: Dossier, policy: Policy, now: datetime) -> Scored:
    """One person's score at `now`."""
    judged = weigh(dossier, policy, now)
    one = judged.score
    over = is_ready(one, judged.line)
    return Scored(dossier.person, one.fit, one.interest, one.total, one.grade, judged.segment, judged.model, over)


class Moves(NamedTuple):
    """How a population moves. `grades` counts (before, after), before "" for those who had no score yet.

    `over` and `were_over`: past the line after and before; `newly` and `no_longer` cross it, `never_handed` of the
    newly over had no handoff yet. `largest`: person, score before and after, the most moved first.
    """

    people: int
    grades: Counter[tuple[str, str]]
    were_over: int = 0
    over: int = 0
    newly: int = 0
    never_handed: int = 0
    no_longer: int = 0
    largest: tuple[tuple[int, float, float], ...] = ()


class Rescore:
    """Question: how these people move from `before` (the scores that are stored, if None) to `policy`.

    Stored scores are held against the line of `policy`, for the line of their own time is not stored.
    """

    decided = True

    def __init__(self, policy: Policy, now: datetime, before: Policy | None = None) -> None:
        self._policy, self._now, self._before = policy, now, before

    def __call__(self, dossiers: Sequence[Dossier]) -> Moves:
        grades: Counter[tuple[str, str]] = Counter()
        were_over = over = newly = never = no_longer = 0
        moved: list[tuple[int, float, float]] = []
        for dossier in dossiers:
            judged = weigh(dossier, self._policy, self._now)
            is_over = is_ready(judged.score, judged.line)
            old: Score | None
            if self._before is not None:
                past = weigh(dossier, self._before, self._now)
                old, was_over = past.score, is_ready(past.score, past.line)
            else:
                old = dossier.decision.score if dossier.decision is not None else None
                was_over = old is not None and is_ready(old, judged.line)
            grades[old.grade if old is not None else "", judged.score.grade] += 1
            were_over += was_over
            over += is_over
            no_longer += was_over and not is_over
            if is_over and not was_over:
                newly += 1
                never += dossier.decision is None or not dossier.decision.handoffs
            if old is not None and old.total != judged.score.total:
                moved.append((dossier.person, old.total, judged.score.total))
        return Moves(len(dossiers), grades, were_over, over, newly, never, no_longer, _largest(moved))


def together(parts: Iterable[Moves]) -> Moves:
    """The moves of all parts as one."""
    whole = Moves(0, Counter())
    for part in parts:
        whole.grades.update(part.grades)
        whole = Moves(
            whole.people + part.people,
            whole.grades,
            whole.were_over + part.were_over,
            whole.over + part.over,
            whole.newly + part.newly,
            whole.never_handed + part.never_handed,
            whole.no_longer + part.no_longer,
            _largest((*whole.largest, *part.largest)),
        )
    return whole


def _largest(moved: Iterable[tuple[int, float, float]]) -> tuple[tuple[int, float, float], ...]:
    return tuple(sorted(moved, key=lambda one: (-abs(one[2] - one[1]), one[0]))[:_LARGEST])
