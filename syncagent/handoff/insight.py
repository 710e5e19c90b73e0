"""The brief in a rep's task: why now, up to three interesting moments, what is unknown. At most 120 words."""

from collections.abc import Callable, Iterable, Sequence

from syncagent.handoff.conditions import is_known
from syncagent.handoff.gate import answers, next_questions
from syncagent.model import Activity, CrmView, Dossier, Handoff, InterestingMoment, Score, Value
from syncagent.policy import Policy

WORDS = 120
_MOMENTS = 3
_WORTH_KNOWING = ("title", "company", "phone")


def name_of(attributes: dict[str, Value], emails: Sequence[str]) -> str:
    """How a person is called in a subject line."""
    parts = [str(attributes[part]) for part in ("first_name", "last_name") if is_known(attributes.get(part))]
    whole = " ".join(parts) or str(attributes.get("name") or "")
    company = str(attributes.get("company") or "")
    return (whole or company or (emails[0] if emails else "") or "a lead") + (
        f" ({company})" if whole and company else ""
    )


def moments(dossier: Dossier, score: Score, cause: str = "") -> tuple[InterestingMoment, ...]:
    """The newest activities that gave points or were the cause, one for each kind and asset, newest first."""
    evidence = {key for one in score.contributions if one.points > 0 for key in one.evidence}
    chosen: list[Activity] = []
    seen: set[tuple[str, str]] = set()
    for activity in sorted(dossier.activities, key=lambda one: (one.at, one.key), reverse=True):
        if (activity.kind, activity.asset) in seen:
            continue
        if activity.key in evidence or moment_of(activity) == cause:
            seen.add((activity.kind, activity.asset))
            chosen.append(activity)
            if len(chosen) == _MOMENTS:
                break
    return tuple(InterestingMoment(one.at, moment_of(one)) for one in chosen)


def brief(
    dossier: Dossier,
    policy: Policy,
    score: Score,
    handoffs: Sequence[Handoff],
    attributes: dict[str, Value],
    view: CrmView | None,
    called: Callable[[str], str],
) -> str:
    """The text of the task, in lines, cut at 120 words. `handoffs`: the last one is the one that it is about."""
    handoff = handoffs[-1]
    scored = f"score {score.total:.0f} ({score.grade})"
    lines = [f"Why now: {handoff.cause}." + ("" if handoff.cause == scored else f" S{scored[1:]}.")]
    if handoff.number > 1:
        lines.append(_return(handoffs, called))
    lines += _tried(handoff, view, called)
    reasons = sorted((one for one in score.contributions if one.points > 0), key=lambda one: (-one.points, one.rule))
    if reasons:
        lines.append("Because: " + "; ".join(f"{one.why} (+{one.points:g})" for one in reasons[:3]) + ".")
    found = moments(dossier, score, handoff.cause)
    if found:
        lines.append("Moments:")
        lines += [f"- {moment.at.isoformat(' ', 'minutes')[:16]} UTC {moment.text}" for moment in found]
    given = answers(dossier, policy, attributes, handoff.opened_at)
    known = [f"{one.question.name} {one.word}" for one in given if one.word != "unknown"]
    if known:
        lines.append(f"Known: {', '.join(known)}.")
    asked = next_questions(given)
    if asked and asked[0].ask:
        lines.append(f"Ask first: {asked[0].ask}")
        asked = asked[1:]
    missing = [f"{one.name}?" for one in asked]
    missing += [name for name in _WORTH_KNOWING if not is_known(attributes.get(name))]
    if missing:
        lines.append("Unknown, please ask: " + ", ".join(missing) + ".")
    if view is not None and view.others:
        lines.append("Also in the CRM as: " + ", ".join(f"{one.object} {one.id}" for one in view.others[:3]) + ".")
    return _cut(lines)


def _tried(handoff: Handoff, view: CrmView | None, called: Callable[[str], str]) -> list[str]:
    """Who had it before in this handoff, what they tried, and why it has passed on; the last two of them."""
    lines = []
    for place, one in enumerate(handoff.assignments[:-1]):
        until = handoff.assignments[place + 1]
        logged = [
            f"{task.type}{f' ({task.outcome})' if task.outcome else ''}"
            for task in (view.tasks if view is not None else ())
            if not task.key
            and not task.deleted
            and task.created_by == one.owner
            and one.at <= task.created_at < until.at
        ]
        acts = [act.how for act in handoff.touches if act.assignment == place + 1 and not act.how.startswith("logged")]
        tried = f" Tried: {', '.join((*acts, *logged)[:3])}." if acts or logged else ""
        why = until.after or until.why
        lines.append(f"Before you: {called(one.owner)}, {one.at:%Y-%m-%d %H:%M} UTC to {until.at:%H:%M}.{tried} {why}")
    return lines[-2:]


def _return(handoffs: Sequence[Handoff], called: Callable[[str], str]) -> str:
    """That it is a return, and what happened before."""
    last, earlier = handoffs[-1], handoffs[:-1]
    told = f"This is a return (handoff number {last.number})."
    if earlier:
        before = earlier[-1]
        owner = f" with {called(before.assignments[-1].owner)}" if before.assignments else ""
        reason = f": {before.recycle_reason}" if before.recycle_reason else ""
        tried = f", after {before.tries} tries" if before.tries else ""
        told += f" Before: {before.opened_at:%Y-%m-%d}{owner}, {before.outcome or 'ended'}{tried}{reason}."
    return told


def origin(dossier: Dossier, score: Score, cause: str, raiser: Activity | None) -> dict[str, Value]:
    """Where a handed-over lead came from, for whoever asks later what such leads are worth.

    The source and the campaign of what they did last (or by which they asked for sales), and the rule that gave most.
    """
    done = raiser or max(dossier.activities, key=lambda one: (one.at, one.key), default=None)
    best = max(score.contributions, key=lambda one: (one.points, one.rule), default=None)
    campaign = done.attributes.get("campaign") if done is not None else None
    return {
        "source": done.identity.system if done is not None else "",
        "campaign": str(campaign) if is_known(campaign) else "",
        "rule": cause if raiser is not None or best is None else best.rule,
    }


def moment_of(activity: Activity) -> str:
    """What somebody did, in words: "form submitted: demo-request"."""
    what = activity.kind.replace(".", " ").replace("_", " ")
    return f"{what}: {activity.asset}" if activity.asset else what


def _cut(lines: Iterable[str]) -> str:
    left = WORDS
    kept: list[str] = []
    for line in lines:
        words = line.split()
        if len(words) > left:
            if left > 1:
                kept.append(" ".join(words[: left - 1]) + " ...")
            break
        kept.append(line)
        left -= len(words)
    return "\n".join(kept)
