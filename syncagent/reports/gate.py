"""Whether the gate is right: how many deals that were won it would have refused, and how many that were lost."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

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
_HANDED = "select distinct person from report_handoff order by 1"
_WINNERS = (
    "select distinct p.person from report_deal_person as p join report_deal as d on d.deal = p.deal where d.won = 1"
    " order by 1"
)
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


def gate(store: Store, ask: Ask, policy: Policy) -> Report:
    """How the deals of everybody would have fared at the gate of `policy`.

    Of handoffs those count that were opened in the time of the report, of deals that no handoff led to those that were
    made in it. Whoever the gate holds back now and sales never met is in neither.
    """
    won = lost = _NONE
    words = Counter[tuple[str, str]]()
    for some in _in_batches(store, _HANDED):
        # Of handoffs the decision tells all. Who was won is looked at whole: that takes ten times as long.
        decisions = [_within(one, ask) for one in store.decided(some).values()]
        won = _sum(won, check_by_outcome(decisions, policy.gate, WON))
        lost = _sum(lost, check_by_outcome(decisions, policy.gate, LOST))
        words.update(_words(decisions, policy.gate.required))
    unled = Counter[str]()
    for some in _in_batches(store, _WINNERS):
        for dossier in store.dossiers(some):
            unled.update(_unled(dossier, policy, ask))
    return _report(won, lost, GateCheck(unled["won"], unled["known"], unled["refused"]), words, policy, ask)


def _in_batches(store: Store, sql: str) -> Iterator[Sequence[int]]:
    people = [person for (person,) in store.ask(sql)]
    for start in range(0, len(people), _BATCH):
        yield people[start : start + _BATCH]


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


def _sum(one: GateCheck, other: GateCheck) -> GateCheck:
    return GateCheck(*(left + right for left, right in zip(one, other, strict=True)))


def _report(
    won: GateCheck, lost: GateCheck, unled: GateCheck, words: Counter[tuple[str, str]], policy: Policy, ask: Ask
) -> Report:
    deals = tuple(
        (name, how, one.deals, one.known, one.refused, one.refused / one.known if one.known else None)
        for name, how, one in (
            ("won", "handed off, by what was known at the opening", won),
            ("lost or disqualified", "handed off, by what was known at the opening", lost),
            ("won", "no handoff before, by what was known when the deal was made", unled),
        )
    )
    answers = tuple((name, *(words[name, word] for word in ("yes", "no", "unknown"))) for name in policy.gate.required)
    notes = () if policy.gate.required else (_NOTHING,)
    return Report("gate", "The gate", ask.at, ask.zone, (
        Table("deals", "What the gate of this config would have refused", _DEALS, deals),
        Table("answers", "Answers of won deals", _ANSWERS, answers),
    ), ask.since, ask.until, notes)  # fmt: skip
