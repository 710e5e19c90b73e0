"""Marketing takes up whom sales has given back, and lets go of them when they come up again.

Keys: `r` into the list or campaign of a handoff that was given back, `b` out of it again; `r1`, `b1` when sales took it
up and gave it back once more. What a requested campaign began another ends, where the policy names one.
"""

from collections.abc import Mapping

from syncagent.handoff.commands import UNSENT
from syncagent.handoff.conditions import is_yes
from syncagent.handoff.draft import Draft
from syncagent.handoff.recycling import listed_in, nurture_of
from syncagent.model import WITHDRAWN, Handoff, Identity, Key, Nurture, Value
from syncagent.policy import NurtureTarget

_OPTED_OUT = ("unsubscribed", "email_opt_out", "opted_out")


def nurture(draft: Draft) -> None:
    """Marketing gets back whom sales has given back, unless they opted out of mail or are unknown there.

    Whoever comes up again is taken out of where we put them: sales and marketing do not write at once.
    """
    handoff = draft.handoffs[-1]
    target = nurture_of(handoff, draft.policy)
    leaving = [key for one in draft.handoffs if target is None or one is not handoff for key in _take_out(draft, one)]
    if target is None:
        return
    key = draft.key(handoff.id, f"r{_nth(_times(draft, handoff))}", "nurture")
    if draft.entry(key) is not None or any(is_yes(draft.attributes.get(name)) for name in _OPTED_OUT):
        return
    lead = _lead_of(draft, target)
    if lead is None:
        return
    draft.commands.append(
        Nurture(
            key=key,
            target=target.source,
            person=draft.dossier.person,
            handoff=handoff.id,
            depends_on=tuple(leaving),
            lead=lead,
            reason=handoff.recycle_reason or "given back by sales",
            list_id=target.list_id,
            campaign_id=target.campaign_id,
        )
    )


def _take_out(draft: Draft, handoff: Handoff) -> list[Key]:
    """What takes them out of the list of an earlier giving back, as long as it is under way."""
    times = _times(draft, handoff)
    if times and (last := draft.entry(draft.key(handoff.id, f"b{_nth(times - 1)}", "nurture"))) is not None:
        under_way = [last.key] if last.state in ("queued", "sending") else []
    else:
        under_way = []
    entered = draft.entry(draft.key(handoff.id, f"r{_nth(times)}", "nurture"))
    if entered is None or entered.state == "dropped":
        return under_way
    if entered.state in UNSENT:
        draft.withdraw_keys((entered.key,))  # what may have been sent stays, and is taken out after it
        return under_way
    target = listed_in(handoff, draft.policy)
    receipt = entered.receipt
    lead = _lead_of(draft, target, receipt.record if receipt is not None else None) if target is not None else None
    if target is None or lead is None:
        return under_way
    number, campaign = _way_out(target, receipt.values if receipt is not None else {})
    if number is None and campaign is None:
        return under_way
    key = draft.key(handoff.id, f"b{_nth(times)}", "nurture")
    draft.commands.append(
        Nurture(
            key=key,
            target=target.source,
            person=draft.dossier.person,
            handoff=handoff.id,
            depends_on=(entered.key,) if entered.state in ("queued", "sending") else (),  # what is unknown never ends
            lead=lead,
            reason="back with sales",
            list_id=number,
            campaign_id=campaign,
            remove=True,
        )
    )
    return [*under_way, key]


def _way_out(target: NurtureTarget, told: Mapping[str, Value]) -> tuple[int | None, int | None]:
    """The list to be taken out of, or the campaign that ends it; of what they were put into, as the receipt tells."""
    number, campaign = told.get("list"), told.get("campaign")
    if isinstance(number, int):
        return number, None
    if target.campaign_id is None:
        return (target.list_id if campaign is None else None), None
    return None, target.leave_id if campaign in (None, target.campaign_id) else None


def _times(draft: Draft, handoff: Handoff) -> int:
    """How often this was over within this handoff: a lead may be given back, taken up, and given back."""
    times = 0
    while _is_over(draft, handoff, _nth(times)):
        times += 1
    return times


def _is_over(draft: Draft, handoff: Handoff, nth: str) -> bool:
    """Whether they were taken out again, or taken up before marketing had heard of it."""
    if draft.entry(draft.key(handoff.id, f"b{nth}", "nurture")) is not None:
        return True
    entered = draft.entry(draft.key(handoff.id, f"r{nth}", "nurture"))
    return entered is not None and entered.state == "dropped" and entered.why == WITHDRAWN


def _nth(times: int) -> str:
    return str(times) if times else ""


def _lead_of(draft: Draft, target: NurtureTarget, told: Identity | None = None) -> Identity | None:
    """Who they are in that system: as `told` while that is so, else a lead that is there, else any name of theirs.

    A lead that was merged into another stays among their names, and is no lead any more.
    """
    there = sorted(one.identity for one in draft.dossier.leads if one.identity.system == target.source)
    if told in there:
        return told
    named = sorted(one for one in draft.dossier.identities if one.system == target.source)
    return next(iter((*there, *named)), None)
