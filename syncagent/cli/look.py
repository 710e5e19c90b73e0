"""`syncagent status`: how the agent is. It only reads, and may run beside the agent."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Column, Table

from syncagent.agent.control import socket_path
from syncagent.cli import config_option, counted, json_option
from syncagent.cli.logs import masked, screen, shown
from syncagent.clock import SystemClock
from syncagent.compose import read_to_look as load
from syncagent.errors import UserError
from syncagent.model import Dossier, HealthSnapshot
from syncagent.reports.standing import NOT, Outage, outages, standing
from syncagent.state import open_store
from syncagent.state.store import Store

BACKFILL = "/backfill/"
IMPORT = "import/"


def open_to_look(state: Path) -> Store:
    """The state, read-only. Raises `UserError` when there is none yet."""
    if not state.exists():
        raise UserError(f"There is no state at {state} yet; start the agent with `syncagent run`.")
    return open_store(state, read_only=True)


def person_of(store: Store, who: str) -> int:
    """The number of the one person who has this email, number or id. Raises `UserError`: nobody, or several."""
    people = store.find(who)
    if not people:
        raise UserError(
            "Nobody here has this email or id; read more history with `syncagent backfill SOURCE --since D`."
        )
    if len(people) > 1:
        named = ", ".join(f"person/{number}" for number in people)  # a bare number may be a system's id too
        raise UserError(f"{len(people)} people fit; name one by number: {named}.")
    return people[0]


def dossier_of(store: Store, who: str) -> Dossier:
    """All that is known of the one person who has this email, number or id. Raises `UserError`."""
    person = person_of(store, who)
    dossier = store.dossier(person)
    if dossier is None:
        raise UserError(f"Person {person} was merged into another; ask for them by email.")
    return dossier


@click.command(short_help="Show how the agent is, what waits, and what helps.")
@config_option
@json_option
def status(config_path: Path, *, as_json: bool) -> None:
    """Show how the agent is: systems, people, what waits, what is parked, what is held, and what helps."""
    config = load(config_path)
    state = Path(config.agent.state)
    store = open_to_look(state)
    try:
        now = SystemClock().now()
        health = store.health(now)
        scores_held = bool(store.meta("scores_held"))
        unfinished = json.loads(store.meta("backfills") or "[]")
        alarms = standing(store)
    finally:
        store.close()
    running = socket_path(state).exists()
    out = outages(health, now)
    if as_json:
        told: dict[str, Any] = {}
        for one in out:
            told.setdefault(
                one.name,
                {"part": one.part, "until": one.until.isoformat(), "why": masked(one.why), "broken": one.broken},
            )
        whole = msgspec.to_builtins(health) | {"down": told}
        click.echo(
            json.dumps(
                {"running": running, "scores_held": scores_held, "backfills": unfinished, "alarms": alarms} | whole
            )
        )
        return
    console = screen()
    console.print(f"Agent: {'running' if running else 'not running; start it with `syncagent run`'}.")
    console.print(f"People: {health.people}, {health.with_sales} with sales, {health.dirty} to be planned.")
    console.print(_systems(health, now, {("crm" if one.name == config.crm.name else one.name): one for one in out}))
    _backfills(console, health, unfinished, running=running)
    for one in out:
        how = f"is not {NOT[one.part]} until {one.until:%Y-%m-%d %H:%M:%S} UTC: {shown(one.why)}"
        console.print(f"{one.name} {'is broken, and ' if one.broken else ''}{how}", soft_wrap=True)
    for alarm in alarms:
        console.print(
            f"Alarm since {alarm['since'][:16].replace('T', ' ')} UTC: {shown(alarm['says'])}", soft_wrap=True
        )
    _advise(console, health, scores_held=scores_held)


def _systems(health: HealthSnapshot, now: datetime, out: Mapping[str, Outage]) -> Table:
    table = Table(Column("stream", overflow="fold"), "read until", "how it is", title="Systems", title_justify="left")
    for stream, seen in sorted(health.seen_until.items()):
        if BACKFILL in stream or stream.startswith(IMPORT):
            continue
        one = out.get(stream.split("/")[0])
        how = "in use" if one is None else f"{'broken' if one.broken else f'not {NOT[one.part]}'}: see below"
        table.add_row(stream, _ago(seen, now), how)
    return table


def _backfills(console: Console, health: HealthSnapshot, unfinished: Sequence[str], *, running: bool) -> None:
    for stream in sorted({*unfinished, *(stream for stream in health.seen_until if BACKFILL in stream)}):
        name, _, since = stream.partition(BACKFILL)
        how = "done."
        if stream in unfinished:
            how = "unfinished; " + ("the agent carries it on." if running else "`syncagent run` carries it on.")
        console.print(f"Backfill of {name} since {since}: {how}", soft_wrap=True)


def _ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "not yet"
    seconds = max(0, round((now - moment).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC ({seconds // size} {unit} ago)"
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC ({seconds} s ago)"


def _advise(console: Console, health: HealthSnapshot, *, scores_held: bool) -> None:
    outbox = ", ".join(f"{count} {state}" for state, count in sorted(health.outbox.items()) if count) or "empty"
    console.print(f"Outbox: {outbox}.")
    if health.outbox.get("parked") or health.outbox.get("unknown"):
        console.print("  See what was refused and why with `syncagent outbox list`.")
    if waiting := health.inbox.get("waiting"):
        console.print(f"Inbox: {waiting} posted and not read yet.")
    if refused := health.inbox.get("refused"):
        console.print(f"Inbox: {refused} posted and could not be read. See why with `syncagent inbox list`.")
    for cause, count in sorted(health.held.items()):
        console.print(f"Held: {count} ({cause}). Let them go with `syncagent release`.")
    for name, count in health.unanswered.items():
        console.print(
            f"{name} has hinted at {counted(count, 'record')} that it does not know: asked again ever more seldom, "
            "for a day.",
            soft_wrap=True,
        )
    if health.waiting_for_crm:
        console.print(
            f"Waiting for the CRM: {counted(health.waiting_for_crm, 'due promise')}; nobody is told on a stale view."
        )
    for what, count in sorted(health.waiting_for_owner.items()):
        why = "the first rep who is in" if what == "presence" else "fields that a route wants to know"
        console.print(
            f"Waiting for {why}: {counted(count, 'lead')}. Each has its latest moment: `syncagent explain WHO`."
        )
    if scores_held:
        console.print("Held: the first mass write of scores. Let it go with `syncagent release --scores`.")
    if health.disk_full:
        console.print("The disk is full: nothing is acknowledged. Make room, and the agent goes on by itself.")


COMMANDS = {"status": status}
