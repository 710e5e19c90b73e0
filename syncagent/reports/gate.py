"""Whether the gate is right: how many deals that were won it would have refused, and how many that were lost."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from syncagent.handoff.gate import GateCheck, answers, check_by_outcome, refuses
from syncagent.handoff.past import as_of
from syncagent.handoff.scoring import known_of
from syncagent.model import Decision, Dossier
from syncagent.policy import Policy
from syncagent.reports.report import Ask, Column, Report, Table

WON = frozenset(("won",))
LOST = frozenset(("lost", "disqualified"))
_NONE = GateCheck(0, 0, 0)
_NOTHING = "The gate requires no answers, so it refuses nobody: name them in [handoff.gate.bantfo] required."
_DEALS = (
    Column("outcome", "Deals that were"),
    Column("how", "Judged as"),
    Column("deals", "Deals", "count"),
    Column("known", "With known answers", "count"),
    Column("refused", "Would be refused", "count"),
    Column("share", "Of those known", "share"),
)
_ANSWERS = (
    Column("question", "Question"),
    Column("yes", "Yes", "count"),
    Column("no", "No", "count"),
    Column("unknown", "Unknown", "count"),
)


class Gated(NamedTuple):
    """What the policy's gate would have done. `won` and `lost` are handoffs, by what was known at each opening.

    `unled`: deals that were won with no handoff before, by what was known when each was made. `words`: of won handoffs,
    how often (question, answer).
    """

    won: GateCheck
    lost: GateCheck
    unled: GateCheck
    words: Counter[tuple[str, str]]


class Gates:
    """Question: how the deals of these people would have fared at the gate of `policy`."""

    decided = True

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def __call__(self, dossiers: Sequence[Dossier]) -> Gated:
        gate = self._policy.gate
        decisions = [one.decision for one in dossiers if one.decision is not None]
        unled = Counter[str]()
        for dossier in dossiers:
            unled.update(self._unled(dossier))
        return Gated(
            check_by_outcome(decisions, gate, WON),
            check_by_outcome(decisions, gate, LOST),
            GateCheck(unled["won"], unled["known"], unled["refused"]),
            Counter(_words(decisions, gate.required)),
        )

    def _unled(self, dossier: Dossier) -> Iterable[str]:
        handoffs = dossier.decision.handoffs if dossier.decision is not None else ()
        begun = min((one.opened_at for one in handoffs), default=None)
        for deal in dossier.opportunities:
            if not deal.won or deal.deleted or (begun is not None and begun <= deal.created_at):
                continue
            yield "won"
            then = as_of(dossier, deal.created_at)
            given = answers(then, self._policy, known_of(then, self._policy, deal.created_at), deal.created_at)
            words = {one.question.name: one.word for one in given if one.required}
            if any(word != "unknown" for word in words.values()):
                yield "known"
                if refuses(self._policy.gate, words):
                    yield "refused"


def _words(decisions: Iterable[Decision], required: Sequence[str]) -> Iterable[tuple[str, str]]:
    for decision in decisions:
        for one in decision.handoffs:
            if one.outcome in WON and one.answers:
                yield from ((name, one.answers.get(name, "unknown")) for name in required)


def together(parts: Iterable[Gated]) -> Gated:
    """All parts as one."""
    won = lost = unled = _NONE
    words = Counter[tuple[str, str]]()
    for part in parts:
        won, lost, unled = _sum(won, part.won), _sum(lost, part.lost), _sum(unled, part.unled)
        words.update(part.words)
    return Gated(won, lost, unled, words)


def _sum(one: GateCheck, other: GateCheck) -> GateCheck:
    return GateCheck(*(left + right for left, right in zip(one, other, strict=True)))


def as_report(found: Gated, policy: Policy, ask: Ask) -> Report:
    """What was found, as tables: the deals by how they ended, and the answers of the won ones."""
    deals = tuple(
        (name, how, one.deals, one.known, one.refused, one.refused / one.known if one.known else None)
        for name, how, one in (
            ("won", "handed off, by what was known at the opening", found.won),
            ("lost or disqualified", "handed off, by what was known at the opening", found.lost),
            ("won", "no handoff before, by what was known when the deal was made", found.unled),
        )
    )
    answers = tuple(
        (name, *(found.words[name, word] for word in ("yes", "no", "unknown"))) for name in policy.gate.required
    )
    notes = () if policy.gate.required else (_NOTHING,)
    return Report("gate", "The gate", ask.at, ask.zone, (
        Table("deals", "What the gate of this config would have refused", _DEALS, deals),
        Table("answers", "Answers of won deals", _ANSWERS, answers),
    ), notes=notes)  # fmt: skip
