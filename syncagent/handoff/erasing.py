"""A person who must be forgotten: their tasks are closed and what is unsent is withdrawn; nothing else is told."""

from msgspec.structs import replace

from syncagent.handoff.commands import tidy
from syncagent.handoff.deals import take_back
from syncagent.handoff.draft import Draft
from syncagent.model import Handoff, Stage

_UNSENT = ("queued", "parked", "conflict")


def erase(draft: Draft) -> None:
    """End an open handoff, close and withdraw. The decision keeps the handoffs for the counts, and no score."""
    if draft.is_open:
        draft.close("erased", "The person was forgotten.")
    draft.withdraw_keys(
        sorted(one.key for one in draft.dossier.outbox if one.state in _UNSENT and one.verb != "CloseTask")
    )
    draft.handoffs = [_without_attributes(one) for one in draft.handoffs]
    tidy(draft)
    take_back(draft, "The person was forgotten.")
    draft.stage = Stage.SUSPECT


def _without_attributes(handoff: Handoff) -> Handoff:
    """Why routes did not fit says who it was."""
    return replace(handoff, assignments=tuple(replace(one, passed=()) for one in handoff.assignments))
