"""Deliver: handoffs (status, date, score, owner and a task each) into a local Salesforce, and the calls they cost."""

import logging
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import world
from benchmarks.report import Figure, tell
from benchmarks.vendors import sandbox
from syncagent.clock import monotonic
from syncagent.compose import compose
from syncagent.config import load
from syncagent.model import Activity, Fact, Identity
from syncagent.sandbox import Control
from syncagent.state import open_store

CALLS = 20.0
MORE = """
[sources.web]
type = "memory"
[handoff.brake]
per_hour = 1000000
per_rep = 1000000
hand_raisers_per_hour = 1000000
"""


def run(people: Sequence[int], *, quick: bool) -> list[Figure]:
    logging.getLogger("syncagent").setLevel(logging.WARNING)
    count = 20 if quick else 1_000
    with tempfile.TemporaryDirectory(prefix="bench-deliver-") as name:
        path = Path(name) / "config.toml"
        with sandbox("salesforce", config=path) as places, Control(places["salesforce"]["base_url"], 120.0) as control:
            path.write_text(path.read_text(encoding="utf-8") + MORE, encoding="utf-8")
            rows = [
                {
                    "LastName": f"Test {n}",
                    "Company": f"Firm {n}",
                    "Email": f"person{n}@example.com",
                    "Status": "Open - Not Contacted",
                    "OwnerId": places["salesforce"]["credentials"]["integration_user_id"],
                }
                for n in range(count)
            ]
            for start in range(0, count, 200):
                control.seed(leads=rows[start : start + 200])
            return _measure(path, control, count)


def _measure(path: Path, control: Control, count: int) -> list[Figure]:
    config = load(path)
    store = open_store(path.with_name("state.db"))
    store.set_meta("live_from", world.NOW.isoformat())
    store.set_meta("crm_read", world.NOW.isoformat())
    agent = compose(config, store)
    try:
        agent.once()
        world.fill(store, _raised(count))
        while agent.decide():
            pass
        control.clear_calls()
        sent, start = 0, monotonic()
        while done := agent.deliver("salesforce"):
            sent += done
        spent = monotonic() - start
        agent.gather("salesforce")  # the read after the writes
        calls = control.calls()
        cost = sum(call["cost"] for call in calls)
        pushes = sum(call["cost"] for call in calls if "customNotification" in str(call["path"]))
        tasks = sum(bool(row.get("SyncAgent_Key__c")) for row in control.dump()["objects"]["Task"])
    finally:
        store.close()
        for system in agent.sources.values():
            if hasattr(system, "close"):
                system.close()
    if tasks != count:
        raise SystemExit(f"{tasks} tasks stand in the CRM instead of {count}: this measures something else.")
    tell(f"{sent:,} commands in {spent:.1f} s, {cost} calls, {pushes} of them for pushes")
    return [
        Figure(
            f"{count:,} handoffs: API calls, reads before and after counted in",
            cost - pushes,
            "calls",
            CALLS,
            at_most=True,
        ),
        Figure(
            f"{count:,} handoffs: calls for a push beside each task",
            pushes,
            "calls",
            note='notification_type = "" saves them',
        ),
        Figure(
            f"{count:,} handoffs: written and confirmed",
            sent / spent,
            "records/s",
            note="lead and task; no network delay",
        ),
    ]


def _raised(count: int) -> list[Fact]:
    facts: list[Fact] = [world.lead(n, ready=True) for n in range(count)]
    facts += [
        Activity(Identity("web", "lead", str(n)), f"raise{n}", datetime.now(UTC), "form.submitted", "contact-sales")
        for n in range(count)
    ]
    return facts
