"""What is kept fresh on the record by itself: score, grade, and the latest interesting moments ("insight").

In the cold lane, when it has moved enough, at most once a day a person, and never beside another write. What a person
writes into the insight stays as long as it stands there; who empties the field gets the moments again.
"""

import re
from datetime import timedelta

from syncagent.handoff.calendar import zone_of
from syncagent.handoff.conditions import is_known
from syncagent.handoff.draft import Draft
from syncagent.handoff.moments import moments_of
from syncagent.model import Value

FRESH = frozenset(("score", "grade", "insight"))

_SCORE_STEP = 5
_EVERY = timedelta(days=1)
_OURS = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d \S.*")
_CUT = "…"


def freshen(draft: Draft) -> None:
    """Score, grade and insight, when they have moved enough, at most once a day, and never beside another write."""
    fields = draft.policy.crm.fields
    mapped: list[str] = [name for name in ("score", "grade") if name in fields]
    if (
        not (mapped or "insight" in fields)
        or not draft.policy.write_scores
        or draft.view is None
        or draft.view.record.converted_to is not None
        or draft.write_pending
    ):
        return
    if any(draft.want.get(name) != draft.told.get(name) for name in draft.want):
        return  # another write is about to go, and carries its own score
    values: dict[str, Value] = {"score": round(draft.score.total), "grade": draft.score.grade}
    news = insight(draft) if "insight" in fields else ""
    if not news and not _has_moved(draft, mapped, values):
        return
    if draft.score_written_at is not None and draft.now - draft.score_written_at < _EVERY:
        draft.wake(draft.score_written_at + _EVERY)
        return
    draft.want.update((name, values[name]) for name in mapped)
    if news:
        draft.want["insight"] = news
    draft.score_written_at = draft.now
    if not draft.cause:
        draft.cause = "score"


def insight(draft: Draft) -> str:
    """The latest moments, a line each, when the record should show them and does not; empty: leave it as it is."""
    found = moments_of(draft.policy).newest(draft.dossier.activities, draft.now, draft.policy.insight.shown)
    if not found:
        return ""
    zone = zone_of(draft.policy.timezone)
    text = "\n".join([f"{one.at.astimezone(zone).isoformat(' ')[:16]} {one.text}" for one, _, _ in found])
    if text == draft.told.get("insight"):
        return ""
    shown = _shown(draft)
    return "" if _is_theirs(shown, draft) or (isinstance(shown, str) and _says(shown, text)) else text


def over(draft: Draft) -> tuple[Value, ...]:
    """What the insight may be written over: what it showed when that was decided, and what we told last."""
    shown, told = _shown(draft), draft.told.get("insight")
    return (told,) if _is_theirs(shown, draft) else (shown, told)


def _shown(draft: Draft) -> Value:
    """What stands in the field, by our own receipt where the record was read before that write."""
    if draft.view is None:
        return None
    record, receipt = draft.view.record, draft.receipt
    if receipt is not None and "insight" in receipt.values and record.modified_at < receipt.at:
        return receipt.values["insight"]
    return record.fields.get("insight")


def _is_theirs(shown: Value, draft: Draft) -> bool:
    """Whether a person has written what stands there: it is not what we told, nor could it be of an earlier life."""
    if not is_known(shown):
        return False
    told = draft.told.get("insight")
    if isinstance(told, str):
        return not _says(str(shown), told)
    return not all(_OURS.fullmatch(line.strip()) for line in str(shown).splitlines() if line.strip())


def _says(shown: str, told: str) -> bool:
    """Whether a field shows what it was told, also where it keeps line breaks otherwise or is too short for it."""
    words, ours = " ".join(shown.split()), " ".join(told.split())
    return words == ours or (words.endswith(_CUT) and ours.startswith(words.rstrip(_CUT).rstrip()))


def _has_moved(draft: Draft, mapped: list[str], values: dict[str, Value]) -> bool:
    assert draft.view is not None  # noqa: S101 - see `freshen`
    if not mapped:
        return False
    shown = {name: draft.told.get(name, draft.view.record.fields.get(name)) for name in mapped}
    if ("grade" not in mapped or shown["grade"] == values["grade"]) and not _far(shown.get("score"), values, mapped):
        return False
    return is_known(shown.get("score")) or is_known(shown.get("grade")) or bool(draft.score.contributions)


def _far(shown: Value, values: dict[str, Value], mapped: list[str]) -> bool:
    if "score" not in mapped:
        return False
    value = values["score"]
    if not isinstance(shown, int | float) or not isinstance(value, int | float):
        return bool(value)
    return abs(shown - value) >= _SCORE_STEP
