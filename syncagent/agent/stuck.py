"""Who stays too long in a stage of the process map without being with sales: told once a day, together.

A lead with sales has a timer of its own (`handoff/promise.py`). All the others, suspects and prospects, those who wait
for something, rest, or were given back, are one matter a day: each recipient gets one alert at most, about those who
have become stuck since the last one. So history makes one alert, too, however many it is (law 11).
"""

import hashlib
import json
import logging
from datetime import UTC, datetime
from typing import Any

from syncagent.agent.places import record_of
from syncagent.handoff.alerting import after_quiet, beside, next_time
from syncagent.handoff.calendar import before, zone_of
from syncagent.model import Alert, AnyCommand, Identity
from syncagent.policy import Duration, Policy, StageRule
from syncagent.reports.standing import STUCK
from syncagent.state.store import Store, Stuck

log = logging.getLogger("syncagent")

_EVER = datetime(1970, 1, 1, tzinfo=UTC)


def tell_stuck(store: Store, policy: Policy, now: datetime) -> int:
    """Look once a day, at the time of the digest, who has become stuck; how many alerts were made of it."""
    rules = [rule for rule in policy.stages if rule.longest is not None]
    known: dict[str, Any] = json.loads(store.meta(STUCK) or "{}")
    if not rules and not known:
        return 0
    if known and now < next_time(datetime.fromisoformat(known["looked"]), policy.alerts.digest, policy.timezone):
        return 0
    until: dict[str, str] = {}
    standing: dict[str, dict[str, str]] = {}
    news: dict[str, list[tuple[StageRule, Stuck]]] = {}
    for rule in rules:
        assert rule.longest is not None  # noqa: S101 - chosen so
        stage, cut = str(rule.stage), before(now, rule.longest, policy.timezone)
        last = known.get("until", {}).get(stage)
        found = store.stuck(stage, datetime.fromisoformat(last) if last else _EVER, cut)
        until[stage] = max(cut.isoformat(), last or "")
        if found.all:
            since = known.get("standing", {}).get(stage, {}).get("since", now.isoformat())
            standing[stage] = {"says": _sentence(rule, found), "since": since}
        if found.new:
            news.setdefault(rule.tell or policy.manager, []).append((rule, found))
    made: list[AnyCommand] = []
    for to, found_here in sorted(news.items()):
        made += _alert(store, policy, to, found_here, now)
    if made:
        store.enqueue(made, now=now)  # first: killed in between, the same keys are told again, which tells nothing
    store.set_meta(STUCK, json.dumps({"looked": now.isoformat(), "until": until, "standing": standing}))
    return len(made)


def _sentence(rule: StageRule, found: Stuck) -> str:
    people = "1 person has" if found.all == 1 else f"{found.all:,} people have"
    after = f" Next would be {rule.next}." if rule.next is not None else ""
    answers = f" {rule.owner[:1].upper()}{rule.owner[1:]} answers for them." if rule.owner else ""
    longest = _words(rule.longest or Duration())
    return f"{people} been {rule.stage} for longer than {longest}, {found.new:,} of them newly.{after}{answers}"


def _words(length: Duration) -> str:
    return f"{length.days} days" if length.days else f"{length.minutes} minutes"


def _alert(
    store: Store, policy: Policy, to: str, found: list[tuple[StageRule, Stuck]], now: datetime
) -> list[AnyCommand]:
    """One alert for all that is new to one recipient, in the CRM on the record of one of them, and beside it."""
    rule, first = max(found, key=lambda one: (one[1].new, str(one[0].stage)))
    if not to:
        log.warning("Nobody is told who is stuck: name `tell` in stages.%s, or `manager` in [team].", rule.stage)
        return []
    example = _example(store, policy, [person for _, each in found for person in each.latest])
    person, record = example if example is not None else (first.latest[0], None)
    today = now.astimezone(zone_of(policy.timezone)).date().isoformat()
    name = hashlib.sha256(f"{today} {to}".encode()).hexdigest()[:12]
    quiet = policy.alerts.quiet
    which = "This lead is one of them. " if record is not None else ""
    new = sum(each.new for _, each in found)
    alert = Alert(
        key=f"{store.roster().epoch}:alarm:stuck-{name}:alert",
        target=policy.crm.system,
        person=person,
        record=record,
        to=to,
        subject=f"Stuck in {' and '.join(str(one.stage) for one, _ in found)}: {new:,} more",
        body="\n".join(_sentence(*one) for one in found) + f"\n{which}See `syncagent process`.",
        remind_at=now if quiet is None else after_quiet(now, quiet, policy.timezone),
    )
    if record is None:
        log.warning("None of those who are newly stuck is in the CRM: %s", _sentence(rule, first))
        return list(beside(alert, policy, now))
    return [alert, *beside(alert, policy, now)]


def _example(store: Store, policy: Policy, people: list[int]) -> tuple[int, Identity] | None:
    for dossier in store.dossiers(people):
        record = record_of(dossier, policy)
        if record is not None:
            return dossier.person, record
    return None
