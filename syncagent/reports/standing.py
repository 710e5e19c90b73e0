"""What stands now: alarms, and parts of systems that are not used. The agent keeps both with the state; `status` and
the pages tell of them.
"""

import json
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from syncagent.model import HealthSnapshot
from syncagent.state.store import Store

NOT: Final = {"": "used", "reading": "read", "unpacking": "unpacked", "writing": "written to", "deciding": "planning"}
"""How a part that is out is told: "salesforce is not read until ..."."""

REJECTIONS: Final = "alarms/rejections"
"""The setting that keeps which matters are told, since when, and how often each was."""
SILENCE: Final = "alarms/silence"
"""The setting that keeps which systems are silent, since when, how often each was, and what is said of it."""
STUCK: Final = "alarms/stuck"
"""The setting that keeps up to when stays were looked at, by stage, and what stands now."""


def standing(store: Store) -> list[dict[str, str]]:
    """The alarms that stand now: what each `says`, and `since` when (ISO, UTC)."""
    rejected = json.loads(store.meta(REJECTIONS) or "{}").values()
    stuck = json.loads(store.meta(STUCK) or "{}").get("standing", {}).values()
    silent = json.loads(store.meta(SILENCE) or "{}").values()
    return [one for one in (*rejected, *silent, *stuck) if one["says"]]


class Outage(Struct, frozen=True):
    """What is not used at present: which part of which system, until when, and why. `broken`: by a mistake of ours."""

    name: str
    part: str
    until: datetime
    why: str
    broken: bool


def outages(health: HealthSnapshot, now: datetime) -> list[Outage]:
    """All that are not over yet, by name."""
    found: list[Outage] = []
    for place, text in sorted(health.down.items()):
        name, _, part = place.partition("/")
        told = json.loads(text)
        until = datetime.fromisoformat(told["until"]).astimezone(UTC)
        if until > now:
            found.append(Outage(name, part, until, told["why"], told.get("broken", False)))
    return found
