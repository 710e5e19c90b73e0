"""Each violation is printed with a way to mend it: each way is gone here, and the audit finds nothing any more."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace

from syncagent.handoff import Seen, adopt, mend, plan, stand
from syncagent.handoff.audit import ADOPT, BY_HAND, REPLAN, RUN
from syncagent.model import Dossier, FieldChange, HandoffState, Roster
from tests.unit.handoff.test_audit import PLANTED, changed, handed_off
from tests.unit.handoff.worlds import ANA, BOSS, LEAD, LIVE, NOW, accept, answer, apply, dossier, policy, record

LATER = NOW + timedelta(minutes=1)


def gone_on(known: Dossier, minutes: int = 3) -> tuple[Dossier, Seen]:
    """The agent runs on for some minutes; and what its timer is then."""
    seen = Seen()
    for minute in range(1, minutes + 1):
        at = LATER + timedelta(minutes=minute)
        known = replace(known, crm_seen_until=at)
        told = plan(known, policy(), Roster(), at)
        known, seen = apply(told, known, at), Seen(wake_at=told.wake_at)
    return known, seen


def replan(known: Dossier) -> Dossier:
    """What `syncagent audit --mend` does."""
    mended = mend(known, policy(), Roster(), LATER)
    return accept(mended, known) if mended is not None else known


def by_hand(known: Dossier) -> Dossier:
    """Away from ready, and back."""
    for second, status in ((10, "Open"), (20, "Sales Ready")):
        at = LATER + timedelta(seconds=second)
        known = answer(known, at, by=BOSS, status=status)
        known = apply(plan(known, policy(), Roster(), at), known, at)
    return known


def adopted(known: Dossier) -> Dossier:
    taken = adopt(known, policy(), Roster(), LATER)
    assert taken is not None
    return accept(taken, known)


WAYS: dict[str, Callable[[Dossier], Dossier]] = {
    REPLAN: replan,
    RUN: lambda known: known,
    ADOPT: adopted,
    BY_HAND: by_hand,
    "set one in the CRM": lambda known: answer(known, LATER, by=BOSS, owner=ANA),
}
CORRUPT = {
    "is closed without an outcome, and nothing new": lambda known: changed(
        answer(known, LATER, status="Unqualified"), state=HandoffState.CLOSED, outcome=""
    ),
    "is open behind a newer one": lambda known: replace(
        answer(known, LATER, status="Unqualified"),
        decision=replace(
            known.decision,
            handoffs=(
                replace(known.decision.handoffs[-1], id="17.0", number=0),
                replace(known.decision.handoffs[-1], state=HandoffState.CLOSED, outcome="disqualified"),
            ),
        ),
    ),
    "has no date": lambda known: changed(
        answer(known, LATER, status="Recycled"), state=HandoffState.RETURNING, outcome="recycled"
    ),
}
DUG = {
    **PLANTED,
    **{says: (damage, Seen(wake_at=LATER + timedelta(minutes=5))) for says, damage in CORRUPT.items()},
}


@pytest.mark.parametrize("says", DUG)
def test_the_way_that_is_printed_mends_it(says: str) -> None:
    damage, seen = DUG[says]
    broken = damage(handed_off())
    found = stand(broken, seen, policy(), LATER)
    assert found.state == "violation"
    whole, later = gone_on(WAYS[found.mend](broken))
    mended = stand(whole, later, policy(), LATER + timedelta(minutes=3))
    assert mended.state in ("with sales", "returning", "closed"), mended.why


def test_what_sales_works_on_without_us_is_adopted() -> None:
    own = dossier(activities=(), records=(record("Working", ANA),))
    moved = FieldChange(LEAD, "h1", "status", "Open", "Working", ANA, LIVE + timedelta(days=2))
    own = replace(accept(plan(own, policy(), Roster(), NOW), own), changes=(moved,))
    found = stand(own, Seen(), policy(), LATER)
    assert (found.state, found.mend) == ("violation", ADOPT)
    whole, later = gone_on(WAYS[found.mend](own))
    assert stand(whole, later, policy(), LATER + timedelta(minutes=3)).state == "with sales"


def test_who_had_the_one_that_ends_has_one_fewer() -> None:
    broken = CORRUPT["is open behind a newer one"](handed_off())
    owner = broken.decision.handoffs[0].assignments[-1].owner
    mended = mend(broken, policy(), Roster(open={owner: 4}), LATER)
    assert mended is not None and mended.roster is not None
    assert mended.roster.open == {owner: 3}


def test_nothing_is_mended_where_nothing_is_wrong() -> None:
    assert mend(handed_off(), policy(), Roster(), LATER) is None
    assert mend(dossier(), policy(), Roster(), LATER) is None
