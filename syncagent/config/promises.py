"""[[sla]]: from the tables of the promises to their terms."""

import re
from collections.abc import Callable, Iterator
from typing import Literal

from syncagent.config.conditions import Tell, conditions
from syncagent.config.reading import duration, nearest
from syncagent.config.tables import AgreementTables, ConversationTable, SlaTable, StepTable
from syncagent.model import SlaStep, Stage
from syncagent.policy import Duration, SlaTerms

Promised = Literal["first touch", "first conversation", "stage"]
Name = Callable[[str, str], str]
"""The CRM id by a name of the config and the path where it stands."""

_OUTCOMES = ("connected", "completed", "*meaningful*", "*held*", "*interested*")
"""What says of a call or meeting that there was a conversation, where nobody has said otherwise."""
_KINDS: dict[str, Promised] = {
    "first_touch": "first touch",
    "first_conversation": "first conversation",
    "within": "stage",
}


def promises(tables: AgreementTables, user: Name, queue: Name, tell: Tell) -> tuple[SlaTerms, ...]:
    """All promises, in their order. `user` and `queue` know who is who; `tell` takes the problems."""
    on_hold = tables.crm.status.get("on_hold", [])
    held = (on_hold,) if isinstance(on_hold, str) else tuple(on_hold)
    segments = [one.name for one in tables.handoff.segments]
    made = []
    for n, sla in enumerate(tables.sla, 1):
        steps = sorted(_steps(sla.steps, f"sla[{n}]", user, queue, tell), key=lambda step: step.at)
        made.append(_terms(sla, f"sla[{n}]", tuple(steps), held, segments, tell))
    return tuple(made)


def _terms(
    sla: SlaTable, path: str, steps: tuple[SlaStep, ...], held: tuple[str, ...], segments: list[str], tell: Tell
) -> SlaTerms:
    key = _kind(sla, path, tell)
    when = dict(sla.when)
    grades, named = _names(when.pop("grades", [])), _names(when.pop("segments", []))
    for name in named:
        if name not in segments:
            says = f"{name!r} is none of [[handoff.segments]]."
            tell(f"{path}.when.segments", says, nearest(name, segments))
    talk = sla.conversation or ConversationTable()
    is_talk = key == "first_conversation"
    if sla.conversation is not None and not is_talk:
        tell(f"{path}.conversation", "Only a first_conversation asks what a conversation is.", "Take it out.")
    if sla.touch.bulk < 0:
        tell(f"{path}.touch.bulk", "A number of records is 0 or more.", "0 lets bulk edits count as touches.")
    return SlaTerms(
        name=sla.name,
        within=_duration(getattr(sla, key), f"{path}.{key}", tell),
        grades=grades,
        when=conditions(when, f"{path}.when", tell),
        clock=sla.clock,
        steps=steps,
        touch_tasks=sla.touch.tasks,
        not_by=sla.touch.not_by,
        of=_KINDS[key],
        stage=sla.stage,
        segments=named,
        pause_on=held if sla.pause_on is None else sla.pause_on,
        pause_holidays=sla.pause_holidays,
        by=sla.touch.by,
        bulk=sla.touch.bulk,
        talk_tasks=talk.tasks if is_talk else (),
        outcomes=talk.outcomes or (_OUTCOMES if is_talk and not talk.statuses else ()),
        statuses=talk.statuses,
    )


def _kind(sla: SlaTable, path: str, tell: Tell) -> str:
    """The one key that says what is promised."""
    given = [key for key in _KINDS if getattr(sla, key)]
    if len(given) != 1:
        tell(path, "A promise is one of first_touch, first_conversation, or within for a stage.", "Give exactly one.")
    if bool(sla.within) != bool(sla.stage):
        says = "How long a stage may last is said by stage and within together."
        tell(path, says, 'For example: stage = "sal", within = "5d".')
    elif sla.stage and sla.stage not in [one.value for one in Stage]:
        tell(f"{path}.stage", f"{sla.stage!r} is not a stage.", nearest(sla.stage, [one.value for one in Stage]))
    return given[0] if given else "first_touch"


def _steps(steps: tuple[StepTable, ...], path: str, user: Name, queue: Name, tell: Tell) -> Iterator[SlaStep]:
    for n, step in enumerate(steps, 1):
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", step.at.strip())
        if not found:
            here = f"{path}.steps[{n}].at"
            tell(here, f"{step.at!r} is not a share of the promise.", 'Write for example "60%".')
        name = queue if step.do == "queue" else user
        to = "" if step.to == "manager" else name(step.to, f"{path}.steps[{n}].to")
        yield SlaStep(at=float(found[1]) / 100 if found else 1.0, do=step.do, to=to)


def _duration(text: str, path: str, tell: Tell) -> Duration:
    if not text:
        return Duration(days=1)
    try:
        return duration(text)
    except ValueError as error:
        tell(path, str(error))
        return Duration(days=1)


def _names(given: object) -> tuple[str, ...]:
    return tuple(str(one) for one in (given if isinstance(given, list) else [given]))
