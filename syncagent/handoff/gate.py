"""Is somebody ready, or only interested? What must be known before sales takes over: budget, authority, need ...

Each answer is yes, no or unknown. A high score alone does not pass where the policy says so; what is unknown and does
not hold up becomes the next best question in the rep's task.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Literal, NamedTuple

from syncagent.handoff.calendar import after
from syncagent.handoff.compiled import once_per_policy
from syncagent.handoff.conditions import Test, as_test, fold, is_known
from syncagent.model import Decision, Dossier, Identity, Value
from syncagent.policy import QUESTIONS, Gate, Policy, Question

Word = Literal["yes", "no", "unknown"]
_NO = frozenset((False, 0.0, "no", "false", "0", "n", "none"))
_UNKNOWN = frozenset(("unknown", "?", "n/a", "not asked"))


class Answer(NamedTuple):
    """What is known of one question. `source` says so, since `at` (that system's stamp)."""

    question: Question
    word: Word
    required: bool = True
    value: Value = None
    source: str = ""
    at: datetime | None = None


class _Asked(NamedTuple):
    question: Question
    attribute: str
    required: bool
    yes: Test | None
    no: Test | None


def attribute_of(question: Question) -> str:
    """Where the answer stands, by our names."""
    return question.attribute or f"bantfo_{question.name}"


def _asked(policy: Policy) -> tuple[_Asked, ...]:
    gate = policy.gate
    by_name = {one.name: one for one in gate.questions}
    named = [by_name.get(name, Question(name, QUESTIONS.get(name, ""))) for name in gate.required]
    others = [one for one in gate.questions if one.name not in gate.required]
    return tuple(
        _Asked(
            one,
            attribute_of(one),
            one.name in gate.required,
            as_test(one.yes) if one.yes is not None else None,
            as_test(one.no) if one.no is not None else None,
        )
        for one in (*named, *others)
    )


_asked_of = once_per_policy(_asked)


def answers(dossier: Dossier, policy: Policy, attributes: Mapping[str, Value], now: datetime) -> tuple[Answer, ...]:
    """The answers, required ones first, in the order in which to ask."""
    found = []
    for asked in _asked_of(policy):
        value = attributes.get(asked.attribute)
        word = _word(asked, value)
        source, at = _told(dossier, asked.attribute, value) if word != "unknown" else ("", None)
        keeps = asked.question.keeps
        if keeps is not None and at is not None and after(at, keeps, policy.timezone) <= now:
            word = "unknown"
        found.append(Answer(asked.question, word, asked.required, value, source, at))
    return tuple(found)


def changes_at(given: Iterable[Answer], policy: Policy) -> datetime | None:
    """When the next answer grows too old."""
    ends = [
        after(one.at, one.question.keeps, policy.timezone)
        for one in given
        if one.word != "unknown" and one.question.keeps is not None and one.at is not None
    ]
    return min(ends, default=None)


def obstacle(given: Iterable[Answer], gate: Gate) -> str:
    """What holds a ready person back, in words; empty when nothing does."""
    words = {one.question.name: one.word for one in given if one.required}
    by_name = {one.question.name: one.question for one in given}
    unknown = [name for name, word in words.items() if word == "unknown" and _waits(by_name[name], gate)]
    refused = [name for name, word in words.items() if word == "no" and gate.no == "wait"]
    told = [f"{', '.join(unknown)} unknown"] if unknown else []
    told += [f"no {', no '.join(refused)}"] if refused else []
    return "; ".join(told)


def next_questions(given: Iterable[Answer]) -> tuple[Question, ...]:
    """What to ask, best first: what is required and unknown, then what else is unknown."""
    unknown = [one for one in given if one.word == "unknown"]
    return tuple(one.question for one in sorted(unknown, key=lambda one: not one.required))


class GateCheck(NamedTuple):
    """Deals (won, if nothing else was asked); of how many answers are known; how many of those a gate refuses."""

    deals: int
    known: int
    refused: int


def check_by_outcome(decisions: Iterable[Decision], gate: Gate, outcomes: Collection[str] = ("won",)) -> GateCheck:
    """How many handoffs that ended so a gate would have refused, by what was known when each was opened."""
    ended = [one for decision in decisions for one in decision.handoffs if one.outcome in outcomes]
    known = [one for one in ended if one.answers]
    return GateCheck(len(ended), len(known), sum(refuses(gate, one.answers) for one in known))


def refuses(gate: Gate, words: Mapping[str, str]) -> bool:
    """Whether a gate holds back whom it has these answers of, by the questions' names."""
    by_name = {one.name: one for one in gate.questions}
    for name in gate.required:
        word = words.get(name, "unknown")
        if word == "no" and gate.no == "wait":
            return True
        if word == "unknown" and _waits(by_name.get(name) or Question(name), gate):
            return True
    return False


def _waits(question: Question, gate: Gate) -> bool:
    return (question.unknown or gate.unknown) == "wait"


def _word(asked: _Asked, value: Value) -> Word:
    if not is_known(value) or (isinstance(value, str) and fold(value) in _UNKNOWN):
        return "unknown"
    if asked.no is not None and asked.no(value):
        return "no"
    if asked.yes is not None:
        return "yes" if asked.yes(value) else "unknown" if asked.no is not None else "no"
    return "no" if asked.no is None and fold(value) in _NO else "yes"


def _told(dossier: Dossier, attribute: str, value: Value) -> tuple[str, datetime | None]:
    """Who told this value, and since when: the newest of those that say it. Telling it again makes it no younger."""
    told = [
        (_since(dossier, lead.identity, attribute, value, lead.seen_at), lead.identity.system)
        for lead in dossier.leads
        if lead.attributes.get(attribute) == value
    ]
    for record in dossier.records:
        if record.fields.get(attribute) == value:
            changed = [
                one.at
                for one in dossier.changes
                if one.record == record.identity and one.field == attribute and one.new == value
            ]
            since = _since(dossier, record.identity, attribute, value, record.modified_at)
            told.append((max(changed, default=since), record.identity.system))
    if not told:
        return "", None
    at, source = max(told)
    return source, at


def _since(dossier: Dossier, identity: Identity, attribute: str, value: Value, last: datetime) -> datetime:
    """Since when a record says so, by its history; `last` is when it was told last."""
    history = next((one for one in dossier.histories if one.identity == identity), None)
    if history is None:
        return last
    seen = history.seen.get(attribute, ())
    return next((one.first for one in seen if one.value == value), history.born)
