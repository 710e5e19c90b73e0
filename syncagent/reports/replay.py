"""A past decision, made once more: from what it was made from then, by the policy of then; and whether it is the same.

What was decided of a handoff, and in live work, is kept with all that it was made from (person, company, outbox, the
pool's turns and loads), and must come out the same to the last byte. In mass work lines that tell a score only come by
the million: their facts are dated, so they are told again from those, and the figures compared. Where neither can be
done, it is said why.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from syncagent.handoff import adopt, as_of, mend, plan, renewed, score
from syncagent.model import Dossier, Plan, Roster
from syncagent.policy import Policy
from syncagent.state.journal import digest_of, engine
from syncagent.state.proof import Basis, By, Ledger, Made

How = Literal[
    "same", "other", "told again", "told otherwise", "not told", "forgotten", "folded", "older", "lost", "no policy"
]


_MAKE: Mapping[By, Callable[[Dossier, Policy, Roster, datetime], Plan | None]] = {
    "plan": plan,
    "renewed": lambda dossier, policy, _, now: renewed(dossier, policy, now),
    "adopt": adopt,
    "mend": mend,
}
_NOT_KEPT = (
    "What it was made from was not kept: it came with mass work (a backfill, an import, a rescoring), or"
    " `keep_inputs_of` in [agent] did not ask for it then."
)


class Replay(Struct, frozen=True):
    """How a decision came out when it was made again; `says` it in words.

    "same": as it was decided; "other": not so, though all it was made from is there. "told again": its score follows
    from the facts as they are dated; "told otherwise": it does not; "not told": it has no score to compare.
    "forgotten", "folded", "older" than the chain, "lost", "no policy": it cannot be made again.
    """

    made: Made
    how: How
    says: str
    basis: Basis | None = None
    policy: Policy | None = None
    plan: Plan | None = None


def until(ledger: Ledger, person: int, at: datetime) -> Made | None:
    """The last decision on them up to a moment."""
    return next((one for one in reversed(ledger.decisions(person)) if one.at <= at), None)


def again(ledger: Ledger, made: Made, dossier: Dossier | None) -> Replay:
    """Make it once more. `dossier` is today's, for decisions that the facts tell (None: there is none)."""
    line = made.lines[0]
    if made.forgotten:
        return Replay(made, "forgotten", "What it said of the person was erased: they asked to be forgotten.")
    if line.format == 0:
        return Replay(made, "older", "It is older than the journal's chain: what it was made from was not kept then.")
    policy = ledger.policy(line.config)
    if policy is None and line.config:
        says = f"The policy {line.config} that decided is not kept, or this version cannot read it."
        return Replay(made, "no policy", says)
    if policy is None:
        return Replay(made, "not told", "Nothing was planned: an admin or a system has done this.")
    if not made.inputs:
        return _from_facts(made, policy, dossier)
    basis = ledger.basis(made)
    if basis is None and line.id < ledger.kept_from():
        return Replay(made, "folded", "What it was made from is no longer kept: see `keep_inputs` in [agent].")
    if basis is None:
        return Replay(made, "lost", "What it was made from is not there, cannot be read, or is not what was sealed.")
    live_from, crm = basis.live_from or policy.live_from, replace(policy.crm, me=basis.me)
    policy = replace(policy, crm=crm, write_scores=basis.write_scores, live_from=live_from)
    planned = _MAKE[basis.by](basis.dossier, policy, basis.roster, basis.now)
    if planned is not None and digest_of(planned) == made.plan:
        says = "Made again from all that it was made from then, it is the same to the last byte."
        return Replay(made, "same", says, basis, policy, planned)
    by = f" by {line.engine}; this is {engine()}" if line.engine != engine() else ""
    says = f"Made again from all that it was made from then, it is another: it was decided{by or ' by this version'}."
    return Replay(made, "other", says, basis, policy, planned)


def _from_facts(made: Made, policy: Policy, dossier: Dossier | None) -> Replay:
    """A line that tells a score: the score of then, from the facts as they are dated."""
    if dossier is not None and dossier.erased:
        return Replay(made, "forgotten", "They had asked to be forgotten: what it was made from was not kept.")
    told = next((json.loads(line.data) for line in made.lines if line.kind == "score"), None)
    if told is None or dossier is None:
        return Replay(made, "not told", f"{_NOT_KEPT} It has no score to tell again.", policy=policy)
    found = score(as_of(dossier, made.at), policy, made.at)
    figures = {"total": round(found.total), "fit": round(found.fit), "interest": round(found.interest)}
    if all(told.get(name) == value for name, value in {**figures, "grade": found.grade}.items()):
        says = f"{_NOT_KEPT} Told again from the facts as they are dated, its score is the same."
        return Replay(made, "told again", says, policy=policy)
    says = (
        f"{_NOT_KEPT} Told again from the facts as they are known today, the score of then would be {figures['total']}"
        f" ({found.grade}), not {told.get('total')} ({told.get('grade')}): some of them came late, have changed without"
        " a date, are of a company as it is today, or are no longer kept."
    )
    return Replay(made, "told otherwise", says, policy=policy)
