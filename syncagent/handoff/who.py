"""Who somebody is in a subject line, and where a handed-over lead came from."""

from collections.abc import Mapping, Sequence

from syncagent.handoff.conditions import is_known
from syncagent.handoff.harmless import harmless
from syncagent.model import Activity, Dossier, Score, Value

_NAME = (8, 80)  # words, characters


def name_of(attributes: Mapping[str, Value], emails: Sequence[str]) -> str:
    """How a person is called in a subject line."""
    parts = [str(attributes[part]) for part in ("first_name", "last_name") if is_known(attributes.get(part))]
    whole = harmless(" ".join(parts) or str(attributes.get("name") or ""), *_NAME)
    company = harmless(str(attributes.get("company") or ""), *_NAME)
    return (whole or company or (harmless(emails[0]) if emails else "") or "a lead") + (
        f" ({company})" if whole and company else ""
    )


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
