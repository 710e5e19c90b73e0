"""`syncagent run`: the daemon, one round of it, or a rehearsal that writes nothing."""

import contextlib
import json
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Literal, cast

import click
import msgspec
from rich.table import Table

from syncagent.agent import Agent
from syncagent.agent.daemon import Daemon
from syncagent.agent.orders import sweep
from syncagent.agent.starting import refuse_orphans
from syncagent.cli import REFUSALS, config_option, counted, json_option, logs
from syncagent.compose import compose, connectors, from_next_start, take_over_doors
from syncagent.compose import read as load
from syncagent.config import Config
from syncagent.connectors.base import Target
from syncagent.errors import StoreFullError, SyncagentError, UserError
from syncagent.model import AnyCommand, Done, Identity, Key, Outcome, Receipt, WriteLead
from syncagent.serving import heartbeat, listener
from syncagent.state import open_store
from syncagent.web import Listener

log = logging.getLogger("syncagent")
SHOWN = 40
_STUCK = ("parked", "unknown")


@click.command(short_help="Run the agent; --once: one round; --dry-run: writes nothing.")
@config_option
@json_option
@click.option("--once", is_flag=True, help="Do one whole round and end.")
@click.option("--dry-run", is_flag=True, help="Do all but the writing, and show it. Leaves no trace.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    show_default="log_format of [agent], or text",
    help="Of the log.",
)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning"]), default="info", show_default=True)
def run(
    config_path: Path,
    *,
    once: bool,
    dry_run: bool,
    as_json: bool,
    log_format: Literal["text", "json"] | None,
    log_level: str,
) -> None:
    """Run the agent until SIGTERM (drains within 10 s) or Ctrl-C; SIGHUP reads the config again."""
    config = load(config_path)
    logs.set_up(log_format or config.agent.log_format, "warning" if dry_run and log_level == "info" else log_level)
    if dry_run:
        _rehearse(config, as_json=as_json)
        return
    _tell_passed_over(config)
    agent = compose(config)
    try:
        if once:
            before = _refused(agent)
            agent.once()
            click.echo(sum_up(agent, as_json=as_json))
            _tell_troubles(agent.outages.troubles())
            if _refused(agent) > before:
                sys.exit(REFUSALS)
            return
        now = [config]  # as it was read last
        doors = listener(config, agent, lambda: now[0])
        _obey_signals(agent, now, config_path, doors)
        with _listening(doors):
            _notify_systemd("READY=1")
            Daemon(agent, Path(config.agent.state), heartbeat(config)).run()
            _notify_systemd("STOPPING=1")
        if agent.outages.broken():
            _tell_troubles(agent.outages.troubles())
    finally:
        agent.close()


def _tell_passed_over(config: Config) -> None:
    for problem in config.files.passed_over:
        log.warning("%s", problem)


@contextlib.contextmanager
def _listening(doors: Listener | None) -> Iterator[None]:
    """Take what is posted to us, until the agent has drained: what arrives meanwhile is stored for the next start."""
    if doors is None:
        yield
        return
    try:
        doors.start()
    except UserError as error:
        if doors.needed:
            raise
        log.warning("The agent runs without its pages. %s", error)
    try:
        yield
    finally:
        doors.close()


def _refused(agent: Agent) -> int:
    """How many commands wait for an admin; a round by a scheduler ends with 3 when they have become more."""
    counts = agent.store.health(agent.clock.now()).outbox
    return sum(counts.get(state, 0) for state in _STUCK)


def sum_up(agent: Agent, *, as_json: bool, helps: bool = True) -> str:
    """How it is after a round; `helps`: with the commands for what is parked and held."""
    health = agent.store.health(agent.clock.now())
    if as_json:
        return json.dumps(msgspec.to_builtins(health) | {"troubles": _masked(agent.outages.troubles())})
    waiting = sum(count for state, count in health.outbox.items() if state in ("queued", "sending"))
    parked = sum(health.outbox.get(state, 0) for state in _STUCK)
    held = sum(health.held.values())
    return (
        f"{counted(health.people, 'person', 'people')}, {health.with_sales} with sales; commands: {waiting} waiting, "
        f"{parked} parked; {counted(held, 'person', 'people')} held."
        + (" See what was refused and why with `syncagent outbox list`." if helps and parked else "")
        + (" Let go who is held with `syncagent release`." if helps and held else "")
    )


def _masked(troubles: Mapping[str, str]) -> dict[str, str]:
    return {name: logs.masked(why) for name, why in troubles.items()}


def _tell_troubles(troubles: Mapping[str, str]) -> None:
    """Exit 3 when a system failed: what the others told was done, and a scheduler must see that it is not all."""
    for name, why in troubles.items():
        click.echo(f"✗ {name} failed: {logs.shown(why)}", err=True)
    if troubles:
        click.echo("All else went on without. `syncagent check` helps to mend it; then run this again.", err=True)
        sys.exit(REFUSALS)


def _obey_signals(agent: Agent, now: list[Config], config_path: Path, doors: Listener | None) -> None:
    running = now[0]  # what the parts that cannot be changed go by until the next start

    def stop(_number: int, _frame: FrameType | None) -> None:
        # In a thread of its own: the one that was interrupted may hold the event's lock, and would wait for itself.
        threading.Thread(target=agent.stopping.set, name="stop", daemon=True).start()

    one_at_a_time = threading.Lock()

    def reload() -> None:
        with one_at_a_time:
            try:
                told = load(config_path)
                policy = told.policy(agent.policy.live_from)
                refuse_orphans(agent.store, policy)
                take_over_doors(agent, doors, told)
            except SyncagentError as error:
                log.error("The config was not taken over, the old one goes on: %s", error)
                return
            agent.take_over(policy)
            now[0] = told
            _tell_passed_over(told)
            if later := from_next_start(running, told, listening=doors is not None and doors.port > 0):
                log.warning(
                    "The config was read again; this of it counts from the next start on: %s.", ", ".join(later)
                )
            try:
                agent.store.use_policy(agent.policy, now=agent.clock.now())
                log.info("The config was read again; %d people are planned by it.", sweep(agent))
                agent.store.set_meta("policy", policy.digest)
            except StoreFullError as error:
                log.error("The config was read again, but not everybody is planned by it: %s Then SIGHUP again.", error)
            agent.bell.set()

    def again(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=reload, name="reload", daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, again)


def _notify_systemd(state: str) -> None:
    """sd_notify(3): tell the service manager how we are, when there is one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.connect("\0" + address[1:] if address.startswith("@") else address)
        line.sendall(state.encode())


class Rehearsed:
    """Takes the place of a target: writes nothing, remembers everything, and answers as if it were done."""

    batch_size = 1000

    def __init__(self, target: Target, told: list[AnyCommand], now: Callable[[], datetime]) -> None:
        self.name = target.name
        self._now = now
        self._target = target
        self._told = told

    def me(self) -> str:
        return self._target.me()

    def apply(self, batch: Sequence[AnyCommand]) -> Iterator[tuple[Key, Outcome]]:
        for command in batch:
            self._told.append(command)
            record = getattr(command, "record", None) or Identity(self.name, "new", command.key)
            values = command.values if isinstance(command, WriteLead) else {}
            revision = command.revision if isinstance(command, WriteLead) else 0
            yield command.key, Done(Receipt(command.key, record, self._now(), values=values, revision=revision))


def _rehearse(config: Config, *, as_json: bool) -> None:
    """Work on a copy of the state, with targets that write nothing."""
    told: list[AnyCommand] = []
    with tempfile.TemporaryDirectory(prefix="syncagent-dry-run-") as folder:
        copy = Path(folder) / "state.db"
        state = Path(config.agent.state)
        if state.exists():
            original = open_store(state, read_only=True)
            try:
                original.backup(str(copy))
            finally:
                original.close()
        systems = connectors(config)
        agent = compose(config, open_store(copy), systems=systems)
        try:
            agent.targets = {name: Rehearsed(target, told, agent.clock.now) for name, target in agent.targets.items()}
            agent.once()
            summary = sum_up(agent, as_json=False, helps=False)
            held = agent.store.held()
            troubles = agent.outages.troubles()
        finally:
            agent.close()
    if as_json:
        whole = {"would_write": told, "held": held, "troubles": _masked(troubles)}
        click.echo(json.dumps(msgspec.to_builtins(whole)))
    else:
        _show(told)
        click.echo(f"Dry run: nothing was written, and the state is as it was. It would be: {summary}")
    _tell_troubles(troubles)


def _show(told: list[AnyCommand]) -> None:
    counts = Counter(type(command).__name__ for command in told)
    table = Table(title="What would be written", title_justify="left")
    for column in ("command", "person", "record", "what"):
        table.add_column(column)
    for command in told[:SHOWN]:
        record = cast("Identity | None", getattr(command, "record", None))
        what = (
            ", ".join(f"{field}={value}" for field, value in command.values.items())
            if isinstance(command, WriteLead)
            else str(getattr(command, "subject", getattr(command, "reason", "")))
        )
        table.add_row(
            type(command).__name__, str(command.person), logs.plain(record.id) if record else "(new)", logs.shown(what)
        )
    console = logs.screen()
    if told:
        console.print(table)
    if len(told) > SHOWN:
        console.print(f"... and {len(told) - SHOWN} more; --json shows all.")
    console.print(", ".join(f"{count} {verb}" for verb, count in sorted(counts.items())) or "Nothing would be written.")


COMMANDS = {"run": run}
