"""The one place where parts are put together: config + connectors' options + store + clock -> Agent."""

import importlib
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from syncagent.agent import Agent, Settings
from syncagent.agent.orders import sweep
from syncagent.agent.rounds import no_failpoint
from syncagent.clock import Clock, SystemClock
from syncagent.config import Config, ConnectorTable, read_table, seconds
from syncagent.connectors.base import Source, Target
from syncagent.errors import ConfigError, Problem
from syncagent.policy import Policy
from syncagent.state import open_store
from syncagent.state.store import Store

SHELF = ("marketo", "memory", "salesforce")
"""The connectors there are; each is imported when a config first names it: nobody pays for a vendor they don't use."""


def connectors(config: Config) -> dict[str, Source]:
    """Every system of the config by name, opened but not yet called; the CRM is one of them. Raises `ConfigError`."""
    problems: list[Problem] = []
    known: dict[str, Any] = {
        "create": config.tables.crm.create,
        "timezone": config.agent.timezone,
        "expect_status": tuple(
            dict.fromkeys(
                status
                for given in config.tables.crm.status.values()
                for status in ([given] if isinstance(given, str) else given)
            )
        ),
    }
    nurture = config.tables.recycle.nurture
    wanted: dict[str, dict[str, Any]] = {config.crm.path: known}
    if nurture is not None:
        lists = {
            "lists": (nurture.list,) if nurture.list else (),
            "campaigns": (nurture.campaign,) if nurture.campaign else (),
        }
        wanted[f"sources.{nurture.source}"] = lists
    opened: dict[str, Source] = {}
    for table in (*config.sources, config.crm):
        connector = _open(table, wanted.get(table.path, {}), problems)
        if connector is not None:
            opened[table.name] = connector
    if problems:
        raise ConfigError(problems)
    return opened


def _open(table: ConnectorTable, known: Mapping[str, Any], problems: list[Problem]) -> Source | None:
    if table.type not in SHELF:
        problems.append(Problem(f"{table.path}.type", f"{table.type!r} is not known.", f"Known: {', '.join(SHELF)}."))
        return None
    module = importlib.import_module(f"syncagent.connectors.{table.type}")
    fields = module.Options.__struct_fields__
    given = {**{key: value for key, value in known.items() if key in fields}, **table.options}
    options = read_table(module.Options, given, table.path, problems)
    if options is None:
        return None
    try:
        seconds(getattr(options, "poll", "60s"))
    except ValueError as error:
        problems.append(Problem(f"{table.path}.poll", str(error)))
        return None
    return cast("Source", module.open(table.name, options))


def clock_and_failpoint() -> tuple[Clock, Callable[[str], None]]:
    """The real clock and no failpoints, unless a test names a factory `module:function` in SYNCAGENT_TEST_FACTORY."""
    factory = os.environ.get("SYNCAGENT_TEST_FACTORY", "")
    if not factory:
        return SystemClock(), no_failpoint
    module, _, function = factory.partition(":")
    made: tuple[Clock, Callable[[str], None]] = getattr(importlib.import_module(module), function)()
    return made


def compose(
    config: Config,
    store: Store | None = None,
    *,
    clock: Clock | None = None,
    systems: Mapping[str, Source] | None = None,
) -> Agent:
    """A whole agent. Opens the state file, and locks it, unless a store is given.

    The store is closed when the config is refused. Raises `ConfigError`, `AgentRunningError`, `StoreBrokenError`.
    """
    sources = dict(systems) if systems is not None else connectors(config)
    made_clock, failpoint = clock_and_failpoint()
    clock = clock or made_clock
    state: Store = store or open_store(Path(config.agent.state), clock=clock)
    polls = {table.name: seconds(str(table.options.get("poll", "60s"))) for table in (*config.sources, config.crm)}
    try:
        policy = config.policy(live_from(state, clock))
        refuse_orphans(state, policy)
    except BaseException:
        state.close()
        raise
    agent = Agent(
        store=state,
        sources=sources,
        targets={name: cast("Target", system) for name, system in sources.items() if isinstance(system, Target)},
        policy=policy,
        clock=clock,
        settings=Settings(polls=polls, crm=config.crm.name),
        failpoint=failpoint,
    )
    known = state.meta("policy")
    if known != policy.digest:
        if known is not None:  # the config was changed while nobody was running
            sweep(agent)
        state.set_meta("policy", policy.digest)
    return agent


def refuse_orphans(store: Store, policy: Policy) -> None:
    """A status in use cannot be removed without a mapping (law 13). Raises `ConfigError`."""
    known = {*policy.crm.write_status.values(), *policy.crm.answers, *policy.crm.untouched}
    problems = [
        Problem(
            "crm.status",
            f"{count} open handoffs have the status {status!r}, which is not there any more.",
            f'Keep it as an answer, for example: accepted = ["{status}"].',
        )
        for status, count in store.statuses_in_use().items()
        if status not in known
    ]
    if problems:
        raise ConfigError(problems)


def live_from(store: Store, clock: Clock) -> datetime:
    """The moment of the first start: only what happens from then on opens a handoff (law 11)."""
    known = store.meta("live_from")
    if known is None:
        # Sources tell whole seconds: what happens within this one must not seem to have been before.
        known = clock.now().replace(microsecond=0).isoformat()
        store.set_meta("live_from", known)
    return datetime.fromisoformat(known).astimezone(UTC)
