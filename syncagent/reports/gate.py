"""Whether the gate is right: how many deals that were won it would have refused, and how many that were lost."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec.structs import replace

from syncagent.handoff.gate import GateCheck, answers, check_by_outcome, refuses
from syncagent.handoff.past import as_of
from syncagent.handoff.scoring import known_of
from syncagent.model import Decision, Dossier
from syncagent.policy import Policy
from syncagent.reports.report import Ask, Column, Report, Table
from syncagent.state.store import Store

WON = frozenset(("won",))
LOST = frozenset(("lost", "disqualified"))
_BATCH = 100
_PEOPLE = "select person from report_handoff union select person from report_deal_person order by 1"
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


def gate(store: Store, ask: Ask, policy: Policy) -> Report:
    """How the deals of everybody would have fared at the gate of `policy`.

    Of handoffs those count that were opened in the time of the report, of deals that no handoff led to those that were
    made in it. Whoever the gate holds back now and sales never met is in neither.
    """
    people = [person for (person,) in store.ask(_PEOPLE)]
    found = together(
        gated(store.dossiers(people[start : start + _BATCH])(), policy, ask) for start in range(0, len(people), _BATCH)
    )
    return _report(found, policy, ask)


def gated(dossiers: Sequence[Dossier], policy: Policy, ask: Ask) -> Gated:
    """What the gate would have done to these."""
    decisions = [_within(one.decision, ask) for one in dossiers if one.decision is not None]
    unled = Counter[str]()
    for dossier in dossiers:
        unled.update(_unled(dossier, policy, ask))
    return Gated(
        check_by_outcome(decisions, policy.gate, WON),
        check_by_outcome(decisions, policy.gate, LOST),
        GateCheck(unled["won"], unled["known"], unled["refused"]),
        Counter(_words(decisions, policy.gate.required)),
    )


def _counts(moment: datetime, ask: Ask) -> bool:
    return (ask.since is None or ask.since <= moment) and (ask.until is None or moment < ask.until)


def _within(decision: Decision, ask: Ask) -> Decision:
    return replace(decision, handoffs=tuple(one for one in decision.handoffs if _counts(one.opened_at, ask)))


def _unled(dossier: Dossier, policy: Policy, ask: Ask) -> Iterable[str]:
    handoffs = dossier.decision.handoffs if dossier.decision is not None else ()
    begun = min((one.opened_at for one in handoffs), default=None)
    for deal in dossier.opportunities:
        if not deal.won or deal.deleted or (begun is not None and begun <= deal.created_at):
            continue
        if not _counts(deal.created_at, ask):
            continue
        yield "won"
        then = as_of(dossier, deal.created_at)
        given = answers(then, policy, known_of(then, policy, deal.created_at), deal.created_at)
        words = {one.question.name: one.word for one in given if one.required}
        if any(word != "unknown" for word in words.values()):
            yield "known"
            if refuses(policy.gate, words):
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


def _report(found: Gated, policy: Policy, ask: Ask) -> Report:
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
    ), ask.since, ask.until, notes)  # fmt: skip
