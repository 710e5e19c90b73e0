"""While a deal is open: its owner is told when a contact on it does something that matters.

Which moments matter is the agreement's (`deal = true` in `[[insight.moments]]`); each is told once in `again`, several
at once in one alert, and none that the owner has just read in a brief. What was told is kept in the decision, and in
the keys. Only what is new counts: nothing from before the deal, the first start, or the time `within`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from syncagent.handoff.alerting import remind_at
from syncagent.handoff.brief import local_time
from syncagent.handoff.calendar import after, before
from syncagent.handoff.commands import close, queued_behind, record_of, was_told
from syncagent.handoff.derived import open_deals
from syncagent.handoff.draft import Draft
from syncagent.handoff.harmless import harmless
from syncagent.handoff.moments import MOST, Moments, Told, moments_of
from syncagent.handoff.who import name_of
from syncagent.model import Alert, Noticed, Opportunity

_LOOKED_AT = 12  # so many different things at most are weighed, the newest first
_STEP = "deal."
_SUBJECT = (24, 200)  # words, characters


def watch_deals(draft: Draft) -> None:
    """Tell the owners of a person's open deals what is new; take back what was not sent before its deal ended."""
    known = moments_of(draft.policy)
    if draft.noticed:
        take_back(draft)
    deals = open_deals(draft.dossier.opportunities) if known.deals else []
    if not deals or draft.view is None:
        return
    owners: dict[str, list[Opportunity]] = {}
    for deal in deals:
        owners.setdefault(_owner_of(draft, deal), []).append(deal)
    for owner, theirs in owners.items():
        news = _news(draft, known, owner, theirs) if owner else []
        if news and draft.crm_has_seen(min(news[0].activity.at, draft.now)):
            _tell(draft, known, owner, theirs, news)


def folded(noticed: Iterable[Noticed]) -> tuple[Noticed, ...]:
    """What was told of people who turned out to be one: each deal once."""
    found: dict[str, Noticed] = {}
    for one in noticed:
        old = found.get(one.deal, Noticed(one.deal))
        found[one.deal] = Noticed(one.deal, max(one.alerts, old.alerts), _last((old, one)))
    return tuple(found[deal] for deal in sorted(found))


def _last(noticed: Iterable[Noticed]) -> dict[str, datetime]:
    """When each moment was last told of."""
    last: dict[str, datetime] = {}
    for one in noticed:
        last.update({says: max(at, last.get(says, at)) for says, at in one.last.items()})
    return last


def _owner_of(draft: Draft, deal: Opportunity) -> str:
    """Who is told: the deal's owner, else the account's, else the record's; empty when none of them is active."""
    account = draft.dossier.account
    owners = (deal.owner, account.owner if account is not None else "", str(draft.current.get("owner") or ""))
    return next((one for one in owners if one and draft.active.get(one, True)), "")


def _news(draft: Draft, known: Moments, owner: str, deals: Sequence[Opportunity]) -> list[Told]:
    """What this owner has not been told, the newest first."""
    rules, zone = draft.policy.insight, draft.policy.timezone
    since = max(_begin(draft), before(draft.now, rules.within, zone), min(deal.created_at for deal in deals))
    found = known.newest(draft.dossier.activities, draft.now, _LOOKED_AT, among=known.deals, since=since)
    ids = {deal.identity.id for deal in deals}
    read, told = _briefed_at(draft, owner), _last([one for one in draft.noticed if one.deal in ids])

    def is_new(one: Told) -> bool:
        at, last = one.activity.at, told.get(_says(known, one))
        return (read is None or at > read) and (last is None or at >= after(last, rules.again, zone))

    return [one for one in found if is_new(one)]


def _begin(draft: Draft) -> datetime:
    """What happened before is history, and alarms nobody (law 11)."""
    live, fresh = draft.policy.live_from, draft.dossier.fresh_from
    return live if fresh is None else max(live, fresh)


def _briefed_at(draft: Draft, owner: str) -> datetime | None:
    """When this owner last got a task with a brief, which tells all until then; None: they have got none."""
    handoff = draft.handoff
    given = handoff.assignments if handoff is not None else ()
    return max((one.at for one in given if one.owner == owner), default=None)


def _says(known: Moments, told: Told) -> str:
    return known.rules[told.rule].says if told.rule is not None else ""


def _tell(draft: Draft, known: Moments, owner: str, deals: Sequence[Opportunity], news: Sequence[Told]) -> None:
    """One alert for all that is new, and a note that it was told, of each of these deals."""
    deal = deals[0]
    noted = {one.deal: one for one in draft.noticed}
    number = noted.get(deal.identity.id, Noticed(deal.identity.id)).alerts + 1
    last: dict[str, datetime] = {}
    for one in news:
        last.setdefault(_says(known, one), one.activity.at)
    for each in deals:
        old = noted.get(each.identity.id, Noticed(each.identity.id))
        alerts = old.alerts + (each is deal)
        noted[each.identity.id] = Noticed(each.identity.id, alerts, {**old.last, **last})
    draft.noticed = tuple(noted[ident] for ident in sorted(noted))
    key = draft.key(str(draft.dossier.person), f"{_STEP}{deal.identity.id}.{number}", "alert")
    if was_told(draft, key):
        return
    first, who = news[0].moment.text, name_of(draft.attributes, draft.dossier.emails)
    lines = [f"While your deal is open ({harmless(deal.stage) or 'no stage'}), {who}:"]
    lines += [f"- {local_time(one.moment.at, owner, draft.policy)} {one.moment.text}" for one in news[:MOST]]
    if len(news) > MOST:
        lines.append(f"And {len(news) - MOST} more.")
    draft.commands.append(
        Alert(
            key=key,
            target=draft.policy.crm.system,
            person=draft.dossier.person,
            record=record_of(draft),
            to=owner,
            subject=harmless(f"Open deal: {who}: {first}", *_SUBJECT),
            body="\n".join(lines),
            remind_at=remind_at(draft, owner, alert=True),
        )
    )
    why = f"{draft.called(owner)}, whose deal is open, was told: {first}."
    draft.event("insight", why, to=owner, deal=deal.identity.id, moments=len(news))


def take_back(draft: Draft, reason: str = "The deal has ended.") -> None:
    """Alerts whose deal has ended: what is not sent is not sent, what stands in the CRM is closed with the reason."""
    live = {deal.identity.id for deal in open_deals(draft.dossier.opportunities)} if not draft.dossier.erased else set()
    for entry in sorted(draft.dossier.outbox, key=lambda one: one.key):
        _, who, step, verb = [*entry.key.split(":"), "", "", ""][:4]
        ours = entry.verb == "Alert" and verb == "alert" and step.startswith(_STEP)
        if not ours or step[len(_STEP) :].rpartition(".")[0] in live:
            continue
        if entry.state in ("queued", "parked", "conflict"):
            draft.withdraw_keys((entry.key, *queued_behind(draft, entry)))
        elif entry.state in ("done", "sending"):
            draft.withdraw_keys(queued_behind(draft, entry))
            close(draft, entry, who, step, reason)


def keep_noticed(draft: Draft) -> None:
    """Take over what was told of the people who were merged into this one."""
    others = (one for decision in draft.dossier.absorbed for one in decision.noticed)
    draft.noticed = folded((*draft.noticed, *others))
