"""A person who must be forgotten: their tasks are closed and what is unsent is withdrawn; nothing else is told."""

from syncagent.handoff.commands import tidy
from syncagent.handoff.deals import take_back
from syncagent.handoff.draft import Draft
from syncagent.model import Stage

_UNSENT = ("queued", "parked", "conflict")


def erase(draft: Draft) -> None:
    """End an open handoff, close and withdraw. The decision keeps the handoffs for the counts, and no score."""
    if draft.is_open:
        draft.close("erased", "The person was forgotten.")
    draft.withdraw_keys(
        sorted(one.key for one in draft.dossier.outbox if one.state in _UNSENT and one.verb != "CloseTask")
    )
    tidy(draft)
    take_back(draft, "The person was forgotten.")
    draft.stage = Stage.SUSPECT
