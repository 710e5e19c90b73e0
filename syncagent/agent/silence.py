"""The dead-man's alarm: a system that has not been heard of for too long is told of once, until it speaks again.

A source is heard when it was read without a failure, also when it had nothing new; a target when it answered. A target
that is told nothing is not silent: it is, once it has only failed for so long. A system that only posts to us has no
rhythm of its own: it is watched when the config says how long it may be silent. When systems were heard last is kept
with the state: whoever restarts every ten minutes is silent all the same.
"""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from syncagent.agent.outages import READING, UNPACKING, WRITING, Outages
from syncagent.agent.places import newest_lead
from syncagent.clock import Clock
from syncagent.handoff.alerting import after_quiet, beside
from syncagent.model import Alert, AnyCommand
from syncagent.policy import Policy
from syncagent.reports.standing import NOT, SILENCE
from syncagent.state.store import Store

log = logging.getLogger("syncagent")

HEARD = "heard"
"""The setting that keeps when each source was read last."""
POLLS, LEAST = 10, 900.0
"""A source may miss so many polls, and a system be silent so many seconds at least."""
_KEPT_EVERY = timedelta(minutes=1)


class Watched(Struct, frozen=True):
    """The systems by how they are heard: how often sources are polled, who only posts, who is written to. Seconds."""

    polls: Mapping[str, float]
    posting: frozenset[str]
    targets: tuple[str, ...]


class Silence:
    """Called every few seconds; how many alerts were made."""

    def __init__(
        self, store: Store, clock: Clock, policy: Callable[[], Policy], outages: Outages, watched: Watched
    ) -> None:
        self._store, self._clock, self._policy, self._outages, self._watched = store, clock, policy, outages, watched
        self._begun = clock.now()
        kept = json.loads(store.meta(HEARD) or "{}")
        self._kept = {name: datetime.fromisoformat(at) for name, at in kept.items()}
        self._written = self._begun

    def __call__(self) -> int:
        """Look at every system; tell of those that have become silent, and of those that speak again."""
        now, policy = self._clock.now(), self._policy()
        known = json.loads(self._store.meta(SILENCE) or "{}")
        standing = dict(known)
        made: list[AnyCommand] = []
        for name, parts in self._parts(policy).items():
            limit = self._limit(name, policy)
            old = known.get(name, {"times": 0, "says": "", "since": ""})
            since, part = min((self._since(name, one, now), one) for one in parts)
            silent = (now - since).total_seconds() > limit
            if silent and not old["says"]:
                says = self._says(name, part, since, now)
                log.error("%s", says)
                standing[name] = {"times": old["times"] + 1, "says": says, "since": since.isoformat()}
                made += self._alert(policy, name, standing[name], now)
            elif old["says"] and not silent:
                log.warning("%s is heard of again.", name)
                standing[name] = {"times": old["times"], "says": "", "since": ""}
        if made:
            self._store.enqueue(made, now=now)  # first: killed in between, the same keys tell nothing a second time
        if standing != known:
            self._store.set_meta(SILENCE, json.dumps(standing))
        self._keep(now)
        return len(made)

    def silent(self) -> tuple[str, ...]:
        """The systems that are silent now, as the state has it."""
        standing = json.loads(self._store.meta(SILENCE) or "{}")
        return tuple(sorted(name for name, one in standing.items() if one["says"]))

    def _parts(self, policy: Policy) -> dict[str, list[str]]:
        """By which of its parts a system is heard."""
        parts: dict[str, list[str]] = {}
        for name in self._watched.polls:
            if name not in self._watched.posting:
                parts[name] = [READING]
            elif name in policy.alerts.silence.systems:
                parts[name] = [UNPACKING]
        for name in self._watched.targets:
            parts.setdefault(name, []).append(WRITING)
        return parts

    def _since(self, name: str, part: str, now: datetime) -> datetime:
        """Since when nothing was heard; `now`: it is as it should be."""
        failing = self._outages.unheard(name, part)
        if part == WRITING:
            return failing or now
        heard = self._outages.heard(name, part)
        if heard is None and failing is not None:  # what an earlier life has heard says how long it has been so
            heard = self._kept.get(name, failing)
        return heard or self._begun

    def _limit(self, name: str, policy: Policy) -> float:
        alarm = policy.alerts.silence
        rhythm = max(LEAST, POLLS * self._watched.polls.get(name, 0.0))
        return alarm.systems.get(name, alarm.within if alarm.within is not None else rhythm)

    def _says(self, name: str, part: str, since: datetime, now: datetime) -> str:
        minutes = int((now - since).total_seconds() // 60)
        told = {READING: "could not be read", UNPACKING: "has posted nothing"}.get(part, f"could not be {NOT[part]}")
        why = self._outages.troubles().get(name, "")
        return (
            f"{name} {told} since {since:%Y-%m-%d %H:%M} UTC, for {minutes} min{f': {why}' if why else '.'}"
            f" `syncagent status` says how it is, `syncagent check` what is wrong with it."
        )

    def _alert(self, policy: Policy, name: str, stands: Mapping[str, object], now: datetime) -> list[AnyCommand]:
        """For mail and chat; and in the CRM, if it speaks, on the newest lead that was handed over."""
        to = policy.alerts.silence.tell or policy.manager
        if not to:
            return []
        person, record = newest_lead(self._store, policy, now) or (0, None)
        quiet = policy.alerts.quiet
        alert = Alert(
            key=f"{self._store.roster().epoch}:silent:{name}:{stands['times']}:alert",
            target=policy.crm.system,
            person=person,
            record=record,
            to=to,
            subject=f"{name} is silent",
            body=f"{stands['says']}\nThis is about the agent's connection, not about a lead.",
            remind_at=now if quiet is None else after_quiet(now, quiet, policy.timezone),
        )
        in_crm = [alert] if record is not None and name != policy.crm.system else []
        return [*in_crm, *(one for one in beside(alert, policy, now) if one.target != name)]

    def _keep(self, now: datetime) -> None:
        """So that the next start knows when systems were heard last."""
        if now - self._written < _KEPT_EVERY:
            return
        self._written = now
        heard = {name: at for name in self._watched.polls if (at := self._outages.heard(name, READING)) is not None}
        if heard:
            self._kept.update(heard)
            self._store.set_meta(HEARD, json.dumps({name: at.isoformat() for name, at in self._kept.items()}))
