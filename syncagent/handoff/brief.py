"""The brief in a rep's task: why now, what they did, what is unknown, whose company it is, what was tried before.

The lines are the agreement's (`[handoff.brief]`). It never has more than 120 words: what is too long loses whole lines,
never a part of one. All that stands in it is plain text, whatever a form was filled out with.
"""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from syncagent.handoff.calendar import zone_of
from syncagent.handoff.conditions import is_known
from syncagent.handoff.derived import account_of
from syncagent.handoff.draft import Draft
from syncagent.handoff.gate import Answer, answers, next_questions
from syncagent.handoff.harmless import harmless
from syncagent.handoff.moments import Told, moments_of
from syncagent.handoff.scoring import list_of
from syncagent.handoff.team import team_of
from syncagent.handoff.who import name_of
from syncagent.model import Handoff, Value
from syncagent.policy import LISTS, MOST_WORDS, BriefPolicy, Policy
from syncagent.policy.template import line_of

_WORTH_KNOWING = ("title", "company", "phone")
_LONG = 45  # words of a sentence that we have made ourselves
_REASON = 12


class Brief(Struct, frozen=True):
    """The text, and the lines that it had no room for."""

    text: str
    left_out: tuple[str, ...] = ()


def brief(draft: Draft) -> str:
    """The text of the task of the last handoff."""
    return written(draft).text


def subject(draft: Draft) -> str:
    """The subject of that task: who, and why."""
    return f"Follow up {name_of(draft.attributes, draft.dossier.emails)}: {harmless(draft.handoffs[-1].cause)}"


def written(draft: Draft) -> Brief:
    """As `brief`, with what was left out."""
    single, several = _facts(draft)
    return compose(draft.policy.brief, single, several)


def compose(rules: BriefPolicy, single: Mapping[str, str], several: Mapping[str, list[str]]) -> Brief:
    """The lines with their values, and whole lines dropped until no more than the allowed words are left."""
    lines: list[tuple[str, tuple[str, ...]]] = []
    for text in rules.lines:
        line = line_of(text)
        many = next((name for name in line.names if name in LISTS), None)
        given = [{**single, many: value} for value in several[many]] if many is not None else [single]
        lines += [(said, line.names) for values in given if (said := line.fill(values))]
    room, gone = min(rules.words, MOST_WORDS), list[str]()
    words = sum(_words(one) for one, _ in lines)
    for name in (*rules.drop, ""):
        while words > room:
            found = next((n for n in range(len(lines) - 1, 0, -1) if not name or name in lines[n][1]), None)
            if found is None:
                break
            gone.append(lines.pop(found)[0])
            words -= _words(gone[-1])
    if words > room:
        gone.append(lines.pop()[0])
        lines.append((harmless(f"Why now: {single.get('cause', '')}.", room), ()))
    return Brief("\n".join(one for one, _ in lines), tuple(gone))


def _words(line: str) -> int:
    return len(line.split())


def _facts(draft: Draft) -> tuple[dict[str, str], dict[str, list[str]]]:
    """All that a line may ask for."""
    handoff, score = draft.handoffs[-1], draft.score
    owner = handoff.assignments[-1].owner if handoff.assignments else ""
    known = draft.attributes
    scored = f"score {score.total:.0f} ({score.grade})"
    reasons = sorted((one for one in score.contributions if one.points > 0), key=lambda one: (-one.points, one.rule))
    said, ask, unknown = _questions(draft, handoff)
    others = draft.view.others[:3] if draft.view is not None else ()
    single: dict[str, Value] = {
        **{f"lead.{name}": value for name, value in known.items()},
        **account_of(draft.dossier),
        "name": name_of(known, draft.dossier.emails),
        "title": known.get("title"),
        "cause": handoff.cause,
        "score": f"{score.total:.0f}",
        "grade": score.grade,
        "standing": "" if handoff.cause == scored else scored,
        "segment": handoff.segment,
        "number": handoff.number if handoff.number > 1 else "",
        "question": ask,
        **_company(draft, owner),
    }
    plain = {name: harmless(str(value)) for name, value in single.items() if is_known(value)}
    plain["question"] = harmless(ask, _LONG, 300)
    plain["reasons"] = "; ".join(f"{harmless(one.why, _REASON)} (+{one.points:g})" for one in reasons[:3])
    plain["known"], plain["unknown"] = ", ".join(said), ", ".join(unknown)
    plain["others"] = ", ".join(harmless(f"{one.object} {one.id}") for one in others)
    several = {
        "moments": [f"{local_time(one.moment.at, owner, draft.policy)} {one.moment.text}" for one in _moments(draft)],
        "history": _history(draft, owner),
        "before": _before(draft, handoff, owner),
    }
    return plain, several


def _questions(draft: Draft, handoff: Handoff) -> tuple[list[str], str, list[str]]:
    """Answers that are known; what to ask first; what else is unknown."""
    given = answers(draft.dossier, draft.policy, draft.attributes, handoff.opened_at)
    said = [f"{one.question.name} {one.word}{_value(one)}" for one in given if one.word != "unknown"]
    asked = next_questions(given)
    ask = asked[0].ask if asked else ""
    missing = [f"{one.name}?" for one in (asked[1:] if ask else asked)]
    missing += [name for name in _WORTH_KNOWING if not is_known(draft.attributes.get(name))]
    return said, ask, missing


def _value(answer: Answer) -> str:
    """What they said, where it is more than yes or no."""
    plain = isinstance(answer.value, bool) or str(answer.value).strip().casefold() in ("yes", "no", "true", "false")
    return "" if plain else f" ({harmless(str(answer.value), 6, 40)})"


def _company(draft: Draft, owner: str) -> dict[str, Value]:
    account = draft.dossier.account
    of = account.owner if account is not None and account.owner != owner else ""
    return {
        "company": (account.name if account is not None else "") or draft.attributes.get("company"),
        "key_account": list_of(draft.dossier, draft.policy, draft.now),
        "engaged": (account.engaged or None) if account is not None else None,
        "deals": (account.open_deals or None) if account is not None else None,
        "account_owner": draft.called(of) if of else None,
    }


def _moments(draft: Draft) -> list[Told]:
    """By the agreement's rules; without any, what gave points or was the cause, else what is interesting as a rule."""
    known, activities = moments_of(draft.policy), draft.dossier.activities
    found: list[Told] = []
    if not known.own:
        evidence = {key for one in draft.score.contributions if one.points > 0 for key in one.evidence}
        found = known.chosen(evidence, draft.handoffs[-1].cause, activities)
    return found or known.newest(activities, draft.now)


def local_time(at: datetime, owner: str, policy: Policy) -> str:
    """A moment as the rep's own clock shows it."""
    team = team_of(policy)
    return f"{at.astimezone(zone_of(team.zone(team.rep(owner)))):%Y-%m-%d %H:%M}"


def _history(draft: Draft, reader: str) -> list[str]:
    """The last two handoffs before this one, the newest first."""
    told = []
    for one in reversed(draft.handoffs[-3:-1]):
        owner = f" with {draft.called(one.assignments[-1].owner)}" if one.assignments else ""
        tried = f", after {one.tries} tries" if one.tries else ""
        reason = f": {one.recycle_reason}" if one.recycle_reason else ""
        day = local_time(one.opened_at, reader, draft.policy)[:10]
        told.append(harmless(f"{day}{owner}, {one.outcome or 'ended'}{tried}{reason}", _LONG, 300))
    return told


def _before(draft: Draft, handoff: Handoff, reader: str) -> list[str]:
    """Who had it before in this handoff, what they tried, and why it has passed on; the last two of them."""
    told = []
    for place, one in enumerate(handoff.assignments[:-1]):
        until = handoff.assignments[place + 1]
        logged = [
            f"{task.type}{f' ({task.outcome})' if task.outcome else ''}"
            for task in (draft.view.tasks if draft.view is not None else ())
            if not task.key
            and not task.deleted
            and task.created_by == one.owner
            and one.at <= task.created_at < until.at
        ]
        acts = [act.how for act in handoff.touches if act.assignment == place + 1 and not act.how.startswith("logged")]
        tried = f" Tried: {', '.join((*acts, *logged)[:3])}." if acts or logged else ""
        why = until.after or until.why
        begun, ended = (local_time(at, reader, draft.policy) for at in (one.at, until.at))
        when = f"{begun} to {ended[-5:] if ended[:10] == begun[:10] else ended}"
        told.append(harmless(f"{draft.called(one.owner)}, {when}.{tried} {why}", _LONG, 300))
    return told[-2:]
