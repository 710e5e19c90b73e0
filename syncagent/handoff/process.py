"""The process map: what it says of a stage, since when somebody stands there, and which moves it does not allow."""

from datetime import datetime

from syncagent.handoff.compiled import once_per_policy
from syncagent.handoff.draft import Draft
from syncagent.model import Stage, Value
from syncagent.policy import Duration, Policy, StageRule

_NOTHING = Duration()
_LONGEST = Duration(days=90)
_BY_SCORE = frozenset((Stage.SUSPECT, Stage.PROSPECT))


@once_per_policy
def map_of(policy: Policy) -> dict[Stage, StageRule]:
    """The map's stages by name."""
    return {rule.stage: rule for rule in policy.stages}


def rule_of(stage: Stage, policy: Policy) -> StageRule | None:
    """What the map says of this stage; None: nothing."""
    return map_of(policy).get(stage)


def allowed(before: Stage, after: Stage, policy: Policy) -> bool:
    """Whether the map lets a lead go from one stage to another. Below the line a score moves people, not the map.

    Who was never past the line may go to it as prospects may, too: the two stages are readings of one score.
    """
    if before is after or after in _BY_SCORE:
        return True
    rules = map_of(policy)
    rule = rules.get(before)
    if rule is None or rule.allows(after):
        return True
    other = rules.get(Stage.PROSPECT) if before is Stage.SUSPECT else None
    return before is Stage.SUSPECT and (other is None or other.allows(after))


def forbidden(draft: Draft, after: Stage) -> str:
    """Why the agent may not move this lead to `after` from where it stands now; empty when it may."""
    before = draft.stage_now()
    if allowed(before, after, draft.policy):
        return ""
    return f"the process map allows no move from {before} to {after}"


def longest_stay(stage: Stage, policy: Policy) -> Duration:
    """How long a lead may stay with sales in this stage.

    Where the map names no longest stay, the policy's come-back time stands in, else 90 days, so that no lead with
    sales is without a timer.
    """
    rule = rule_of(stage, policy)
    lengths = (rule.longest if rule is not None else None, policy.recycle.default)
    return next((one for one in lengths if one is not None and one != _NOTHING), _LONGEST)


def stage_since(draft: Draft, stage: Stage) -> datetime:
    """Since when the current handoff has stood in this stage."""
    handoff, since = draft.handoffs[-1], draft.before.stage_since
    if draft.before.stage is not stage:
        return draft.now
    return max(since or handoff.touched_at or handoff.opened_at, handoff.opened_at)


def move_of(draft: Draft) -> dict[str, Value]:
    """The stages that a lead comes from and goes to, as the journal's data; empty: it stays where it is."""
    before, after = draft.before.stage, draft.stage
    return {} if after is before else {"before": str(before), "stage": str(after)}  # an enum formats itself slowly


def tell_off_map(draft: Draft) -> None:
    """Tell of a move that the map does not know: sales may make it all the same (law 5)."""
    before, after = draft.before.stage, draft.stage
    if draft.dossier.decision is None or draft.dossier.absorbed or draft.waiting:
        return  # where they were found is no move
    if not allowed(before, after, draft.policy):
        why = f"The process map allows no move from {before} to {after}: sales made it, and it stands."
        draft.event("off_map", why, **move_of(draft))
