"""The alarms that stand now: the agent keeps them with the state, and whoever asks how it is is told of them."""

import json
from typing import Final

from syncagent.state.store import Store

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
