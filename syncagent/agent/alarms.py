"""Alarms about many leads, not about one: each matter is told once, until it is over and begins anew."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from threading import Event, Lock

from syncagent.agent.places import newest_lead, place_anew, record_of
from syncagent.agent.silence import Silence
from syncagent.agent.stuck import tell_stuck
from syncagent.clock import Clock
from syncagent.errors import StoreFullError
from syncagent.handoff.alerting import after_quiet, beside
from syncagent.handoff.harmless import harmless
from syncagent.model import Alert, AnyCommand, Lane
from syncagent.policy import Policy, RejectionAlarm
from syncagent.reports.rejections import Rejections, days_of, rejections
from syncagent.reports.standing import REJECTIONS
from syncagent.state.store import Store

log = logging.getLogger("syncagent")

EVERY = timedelta(hours=1)
FOLDS = 50
"""So many times an hour some of what decisions were made from is let go of."""
LISTENS_EVERY = timedelta(seconds=15)
_OVER = 0.8
"""A matter is over once its share has fallen below so much of the line: one at the line must not come and go."""


class Watch:
    """Looks, at most hourly, at many leads at once, and every few seconds whether a system is silent; rings at the
    targets' doors when somebody is to be told. Hourly it lets go of what old decisions were made from (`keep_inputs`
    seconds). Any thread may call it.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        policy: Callable[[], Policy],
        doors: Mapping[tuple[str, Lane], Event],
        silence: Silence,
        keep_inputs: float,
    ) -> None:
        self._store, self._clock, self._policy, self._doors, self._silence = store, clock, policy, doors, silence
        self._keep = timedelta(seconds=keep_inputs)
        self._looked: datetime | None = None
        self._listened: datetime | None = None
        self._lock = Lock()

    def __call__(self) -> int:
        """How many alerts were made; what goes wrong is logged, and tried again at the next look."""
        if not self._lock.acquire(blocking=False):
            return 0  # somebody else is looking
        try:
            made = self._look(self._clock.now())
        except StoreFullError:
            raise
        except Exception:
            log.exception("What alarms could not be looked at; it is tried again.")
            return 0
        finally:
            self._lock.release()
        for door in self._doors.values() if made else ():
            door.set()
        return made

    def _look(self, now: datetime) -> int:
        made = 0
        if self._listened is None or now - self._listened >= LISTENS_EVERY:
            self._listened = now
            made += self._silence() + place_anew(self._store, self._policy(), now)
        if self._looked is None or now - self._looked >= EVERY:
            self._looked = now
            made += watch(self._store, self._policy(), now) + tell_stuck(self._store, self._policy(), now)
            for _ in range(FOLDS):
                if not self._store.fold(now - self._keep):
                    break
        return made


def watch(store: Store, policy: Policy, now: datetime) -> int:
    """Look whether many leads are rejected, and tell what is new; how many alerts were made."""
    alarm = policy.alerts.rejections
    if alarm is None:
        return 0
    known = json.loads(store.meta(REJECTIONS) or "{}")
    found = rejections(store, policy, alarm, now)
    standing, new = _judged(found, known, alarm, now)
    made = _alert(store, policy, alarm, new, standing, now) if new else []
    if made:
        store.enqueue(made, now=now)  # first: killed in between, the same keys are told again, which tells nothing
    if standing != known:
        store.set_meta(REJECTIONS, json.dumps(standing))
    return len(made)


def _judged(
    found: tuple[Rejections, ...], known: Mapping[str, dict[str, object]], alarm: RejectionAlarm, now: datetime
) -> tuple[dict[str, dict[str, object]], list[Rejections]]:
    """Which matters stand now, and which of them are new. One that is over is kept with its number, and not shown."""
    standing: dict[str, dict[str, object]] = {}
    new = []
    shares = {f"{one.by} {one.name}": one for one in found}
    for matter in sorted({*known, *shares}):
        old, one = known.get(matter, {"times": 0, "says": ""}), shares.get(matter)
        stands = bool(old["says"])
        if one is not None and one.share >= alarm.share * (_OVER if stands else 1.0):
            says = one.sentence(days_of(alarm))
            times = int(str(old["times"])) + (not stands)
            standing[matter] = {"times": times, "says": says, "since": old["since"] if stands else now.isoformat()}
            if not stands:
                new.append(one)
        elif old["times"]:
            standing[matter] = {"times": old["times"], "says": "", "since": ""}
    return standing, new


def _alert(
    store: Store,
    policy: Policy,
    alarm: RejectionAlarm,
    new: Sequence[Rejections],
    standing: Mapping[str, dict[str, object]],
    now: datetime,
) -> list[AnyCommand]:
    """All that is new in one alert: a source, its campaign and a rule may be the same leads.

    For the CRM, on the lead that was rejected last, or, where that is gone, on the newest one.
    """
    first = min(new, key=lambda one: (one.answered, one.by, one.name))  # the fewest leads say most of where to look
    to = alarm.tell or policy.manager
    dossier = store.dossier(first.example)
    if not to:
        log.warning("Nobody is told that many leads are rejected: name `tell` in alerts.rejections, or a `manager`.")
        return []
    person, which = first.example, "This lead is the latest of them. "
    record = record_of(dossier, policy) if dossier is not None else None
    if record is None:
        which = ""
        person, record = newest_lead(store, policy, now) or (person, None)
    matters = sorted(f"{one.by} {one.name}.{standing[f'{one.by} {one.name}']['times']}" for one in new)
    key = f"{store.roster().epoch}:alarm:{hashlib.sha256(json.dumps(matters).encode()).hexdigest()[:12]}:alert"
    says = "\n".join(harmless(one.sentence(days_of(alarm)), 60, 400) for one in new)  # campaigns are anybody's words
    quiet = policy.alerts.quiet
    alert = Alert(
        key=key,
        target=policy.crm.system,
        person=person,
        record=record,
        to=to,
        subject=harmless(f"Many leads are rejected: {first.by} {first.name}"),
        body=f"{says}\n{which}See `syncagent status`.",
        remind_at=now if quiet is None else after_quiet(now, quiet, policy.timezone),
    )
    return [*([alert] if record is not None else []), *beside(alert, policy, now)]
