"""The brief before it goes live: what the task would say if somebody were handed off now."""

from datetime import datetime

from msgspec import Struct

from syncagent.handoff.brief import subject, written
from syncagent.handoff.draft import Draft
from syncagent.handoff.planner import plan
from syncagent.model import CreateTask, Dossier, Handoff, Roster
from syncagent.policy import Policy


class Preview(Struct, frozen=True):
    """A task as the rep would see it. `real`: the present handoff's; else one that is only imagined.

    `left_out`: lines that there was no room for.
    """

    subject: str
    body: str
    real: bool
    left_out: tuple[str, ...] = ()

    @property
    def words(self) -> int:
        return len(self.body.split())


def preview(dossier: Dossier, policy: Policy, roster: Roster, now: datetime) -> Preview:
    """The brief of the handoff that is open or would open at `now`; nobody ready: as if they were."""
    planned = plan(dossier, policy, roster, now)
    draft = Draft(dossier, policy, roster, now)
    draft.handoffs = list(planned.decision.handoffs)
    real = bool(draft.handoffs) and (draft.with_sales or any(isinstance(one, CreateTask) for one in planned.commands))
    if not real:
        number = max((one.number for one in draft.handoffs), default=0) + 1
        score = draft.score
        cause = f"score {score.total:.0f} ({score.grade})"
        draft.handoffs.append(
            Handoff(f"{dossier.person}.{number}", number, now, cause, score.total, score.grade, ())  # never stored
        )
    made = written(draft)
    return Preview(subject(draft), made.text, real, made.left_out)
