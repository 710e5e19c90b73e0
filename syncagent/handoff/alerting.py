"""When somebody is reminded, and where an alert goes: quiet hours, a budget a day, digests, mail and chat.

Nothing is lost by any of it: the task stands in the CRM at once, and only its reminder, and what is sent beside it,
waits for the end of the quiet hours or for the digest. An alert whose record is converted, merged or deleted before it
is made finds another place, or the journal says that it found none.
"""

from datetime import datetime, timedelta

from msgspec.structs import replace

from syncagent.handoff.calendar import zone_of
from syncagent.handoff.draft import Draft
from syncagent.handoff.routing import team_of
from syncagent.model import Alert, Key, Notify
from syncagent.policy import Policy


def remind_at(draft: Draft, to: str, *, alert: bool) -> datetime:
    """When this person may be reminded of something that is so now; an `alert` is taken from their budget."""
    rules, now = draft.policy.alerts, draft.now
    moment = now if rules.quiet is None else after_quiet(now, rules.quiet, _zone(to, draft.policy))
    if alert and rules.budget is not None and draft.loads.remind(to) >= rules.budget:
        moment = max(moment, next_time(now, rules.digest, _zone(to, draft.policy)))
    return moment


def beside(alert: Alert, policy: Policy, now: datetime) -> list[Notify]:
    """What mail and chat are told of an alert, at most once each."""
    rules = policy.alerts
    made = []
    for sink, people in rules.sinks.items():
        if alert.to not in people:
            continue
        at = alert.remind_at
        if sink in rules.digests:
            at = max(at, next_time(now, rules.digest, _zone(alert.to, policy)))
        made.append(
            Notify(
                key=f"{alert.key}:{sink}",
                target=sink,
                person=alert.person,
                handoff=alert.handoff,
                record=None,
                to=(alert.to,),
                title=alert.subject,
                body=alert.body,
                not_before=at if at > now else None,
            )
        )
    return made


def place_anew(draft: Draft) -> None:
    """What met a record that had moved on is told on the record of now; without one it is given up, and told so.

    What is about many leads never is: `agent/alarms.py` finds another lead for it.
    """
    gone = all(one.deleted and one.merged_into is None for one in draft.dossier.records)
    for entry in sorted(draft.dossier.outbox, key=lambda one: one.key):
        if entry.state != "conflict" or entry.alert is None or entry.key in draft.withdraw:
            continue
        if draft.view is not None:
            record = draft.view.record.identity
            draft.commands.append(replace(entry.alert, person=draft.dossier.person, record=record, depends_on=()))
        elif gone and not about_many(entry.key):
            draft.withdraw_keys((entry.key,))
            to = entry.alert.to
            why = f"{draft.called(to)} was not told: {entry.alert.subject}. Its record in the CRM is gone."
            draft.event("untold", why, to=to)


def about_many(alert: Key) -> bool:
    """Whether an alert is about many leads, or a system: its key names a matter, and no handoff or person."""
    return not alert.partition(":")[2][:1].isdigit()


def after_quiet(now: datetime, quiet: tuple[int, int], zone: str) -> datetime:
    """`now`, or the end of the quiet hours that it lies in."""
    begin, end = quiet
    local = now.astimezone(zone_of(zone))
    minute = local.hour * 60 + local.minute
    inside = begin <= minute < end if begin <= end else minute >= begin or minute < end
    return next_time(now, end, zone) if inside else now


def next_time(now: datetime, minutes: int, zone: str) -> datetime:
    """The next moment after `now` at which clocks of the zone show so many minutes after midnight."""
    tz = zone_of(zone)
    day = now.astimezone(tz).date()
    while True:
        moment = datetime(day.year, day.month, day.day, minutes // 60, minutes % 60, tzinfo=tz).astimezone(now.tzinfo)
        if moment > now:
            return moment
        day += timedelta(days=1)


def _zone(who: str, policy: Policy) -> str:
    rep = team_of(policy).reps.get(who)
    return rep.hours.zone if rep is not None and rep.hours is not None else policy.timezone
