"""Where an alert about many leads or a system stands in the CRM: on a lead, for a manager looks nowhere else."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from syncagent.handoff.alerting import about_many
from syncagent.handoff.view import view_of
from syncagent.model import Alert, AnyCommand, Dossier, Identity
from syncagent.policy import Policy
from syncagent.state.store import Store

_LATELY = timedelta(days=14)
_MOVED = "\nThe lead that this stood on is gone from the CRM; this one only gives it a place."


def record_of(dossier: Dossier, policy: Policy) -> Identity | None:
    """The person's record that is there now; None when there is none, or they were forgotten."""
    desired = dossier.decision.desired if dossier.decision is not None else None
    view = None if dossier.erased else view_of(dossier, policy, desired.record if desired is not None else None)
    return view.record.identity if view is not None else None


def newest_lead(store: Store, policy: Policy, now: datetime) -> tuple[int, Identity] | None:
    """Who was handed over last, and their record."""
    for one in reversed(store.handed_over(now - _LATELY)):
        dossier = store.dossier(one.person)
        record = record_of(dossier, policy) if dossier is not None else None
        if record is not None:
            return one.person, record
    return None


def place_anew(store: Store, policy: Policy, now: datetime) -> int:
    """Alerts whose lead was gone when they were made stand on the newest lead instead; how many. Without one they wait.

    Whose lead has become another record is told anew by that person's plan (`handoff/alerting.py`).
    """
    conflicts = (item.command for item in store.outbox(("conflict",)))
    lost: list[AnyCommand] = []
    for one in conflicts:
        if not isinstance(one, Alert) or not about_many(one.key):
            continue
        dossier = store.dossier(one.person)
        if dossier is not None and record_of(dossier, policy) is not None:
            continue
        place = newest_lead(store, policy, now)
        if place is not None:
            person, record = place
            body = one.body if one.body.endswith(_MOVED) else one.body + _MOVED
            lost.append(replace(one, person=person, record=record, body=body))
    if lost:
        store.enqueue(lost, now=now)
    return len(lost)
