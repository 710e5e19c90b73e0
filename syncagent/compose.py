"""The one place where parts are put together: config + connectors' options + store + clock -> Agent."""

import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from msgspec import Struct, structs

from syncagent.agent import Agent, Settings
from syncagent.agent.orders import sweep
from syncagent.agent.rounds import no_failpoint
from syncagent.agent.starting import live_from, refuse_orphans
from syncagent.clock import Clock, SystemClock
from syncagent.config import (
    CRM_KEYS,
    Config,
    ConnectorTable,
    Secret,
    draft,
    nearest,
    read_leniently,
    read_text,
    seconds,
    within,
)
from syncagent.config.alerts import AlertsTable, addresses
from syncagent.config.process import nurtures
from syncagent.config.reading import close, days
from syncagent.config.tables import AgreementTables, RepTable
from syncagent.connectors.base import Sink, Source, Target
from syncagent.connectors.files import ROWS
from syncagent.connectors.mapping import Reading, Table
from syncagent.errors import ConfigError, Problem, UserError
from syncagent.model import Lane
from syncagent.state import open_store
from syncagent.state.store import Store
from syncagent.web import Listener

SHELF = ("files", "hubspot", "marketo", "memory", "salesforce", "webhook")
"""The connectors there are; each is imported when a config first names it: nobody pays for a vendor they don't use."""


SINKS = ("chat", "mail")
"""Where alerts go besides the CRM."""

FILES, POSTING = "files", "webhook"
IMPORTED = (FILES, POSTING)
"""Types of sources that files can be imported for, by the mapping in their table."""

_KEEP_QUIET: Mapping[str, frozenset[Lane]] = {
    "handoffs": frozenset(),
    "live": frozenset((Lane.HOT,)),
    "everything": frozenset(Lane),
}


def read(path: Path) -> Config:
    """A config that is right as far as can be seen from here; calls no vendor.

    Raises `ConfigError` with every problem at once: the agreement's, the connectors' tables, and the secrets that
    cannot be read.
    """
    return _read(path, secrets=True)


def read_to_look(path: Path) -> Config:
    """As `read`, for commands that call no vendor: whoever looks need not be able to read the secrets."""
    return _read(path, secrets=False)


def read_to_train(path: Path) -> Config:
    """As `read_to_look`, whatever stands in the file of the model: a new one may be about to be made."""
    return _read(path, secrets=False, model=False)


def _read(path: Path, *, secrets: bool, model: bool = True) -> Config:
    config, problems = draft(read_text(path), path.parent, model=model)
    opened = _opened(config, problems, secrets=secrets)
    for connector in opened.values():
        connector.close()
    sinks(config, problems, secrets=secrets)
    if problems:
        raise ConfigError(problems)
    return _with_whole_ids(config)


def connectors(config: Config) -> dict[str, Source]:
    """Every system of the config by name, opened but not yet called; the CRM is one of them. Raises `ConfigError`."""
    problems: list[Problem] = []
    opened = _opened(config, problems, secrets=True)
    if problems:
        for connector in opened.values():
            connector.close()
        raise ConfigError(problems)
    return opened


def sinks(config: Config, problems: list[Problem] | None = None, *, secrets: bool = True) -> dict[str, Sink]:
    """Where alerts go besides the CRM, by name, not yet called. Raises `ConfigError`, unless problems are gathered."""
    found: list[Problem] = []
    ids = {rep.name.casefold(): rep.crm_id for rep in config.tables.reps}
    opened: dict[str, Sink] = {}
    for table in config.sinks:
        agreed = config.tables.alerts.sinks.get(table.name)
        known = {"to": addresses(agreed, ids)} if agreed is not None else {}
        sink = _open(table, known, config.folder, found, secrets=secrets) if table.type and agreed else None
        if sink is not None:
            opened[table.name] = cast("Sink", sink)
    if problems is not None:
        problems += found
    elif found:
        raise ConfigError(found)
    return opened


def reading(config: Config, source: str) -> Reading:
    """How a file that is imported for `source` is read: by its mapping in the config, if there is one.

    Raises `UserError` for a system whose people must not be mixed with a file's, `ConfigError` for a broken table.
    """
    table = next((one for one in config.sources if one.name == source), None)
    mapping: Table | None = None
    if table is not None and table.type in IMPORTED:
        problems: list[Problem] = []
        opened = _open(table, {"timezone": config.agent.timezone}, config.folder, problems, secrets=False)
        if opened is None:
            raise ConfigError(problems)
        mapping = opened.options.mapping  # type: ignore[attr-defined]  # the types in IMPORTED have one
        opened.close()
    elif table is not None or source == config.crm.name:
        raise UserError(
            f"{source!r} is a system of the config: its people would be mixed with the file's. Choose a name of its "
            "own, such as fair-2026."
        )
    return Reading(mapping or ROWS, source, config.agent.timezone)


def _statuses(tables: AgreementTables) -> tuple[str, ...]:
    """The statuses of the CRM that the agreement names: those with a meaning, those that say why a lead is
    given back, and those that promises go by.
    """
    named = [[given] if isinstance(given, str) else given for given in tables.crm.status.values()]
    named.append(list(tables.recycle.statuses))
    named += [list(sla.pause_on or ()) for sla in tables.sla]
    named += [list(sla.conversation.statuses) for sla in tables.sla if sla.conversation is not None]
    return tuple(dict.fromkeys(status for some in named for status in some))


def _opened(config: Config, problems: list[Problem], *, secrets: bool) -> dict[str, Source]:
    known: dict[str, Any] = {
        "part": "crm",
        "create": config.tables.crm.create,
        "timezone": config.agent.timezone,
        "expect_status": _statuses(config.tables),
        "expect_owners": _owners(config.tables),
    }
    wanted: dict[str, dict[str, Any]] = {config.crm.path: known}
    for nurture in nurtures(config.tables.recycle).values():
        lists = wanted.setdefault(f"sources.{nurture.source}", {"lists": (), "campaigns": ()})
        lists["lists"] += (nurture.list,) if nurture.list else ()
        lists["campaigns"] += tuple(one for one in (nurture.campaign, nurture.leave) if one)
    opened: dict[str, Source] = {}
    for table in (*config.sources, config.crm):
        more = {"timezone": config.agent.timezone, **wanted.get(table.path, {})}
        connector = _open(table, more, config.folder, problems, secrets=secrets) if table.type else None
        if connector is not None:
            opened[table.path] = connector
    return {connector.name: connector for connector in opened.values()}


def _owners(tables: AgreementTables) -> dict[str, str]:
    """Whom the config names by an id of the CRM: what it is there -> the id. Names of reps and of queues are not ids.

    A rep who is away today is called `reps.NAME.away`: whoever is away may be inactive in the CRM.
    """
    today = SystemClock().now().date().isoformat()
    reps = {rep.name.casefold() for rep in tables.reps}
    queues = tables.crm.queues
    people = {"team.manager": tables.team.manager}
    people |= {f"teams.{name}.manager": team.manager for name, team in tables.teams.items()}
    people |= {f"reps.{rep.name}.manager": rep.manager for rep in tables.reps}
    people |= {f"stages.{name}.tell": stage.tell for name, stage in tables.stages.items() if stage.tell != "manager"}
    places = {f"routes.{route.name}.queue": route.to.queue for route in tables.routes}
    places |= {f"routes.{route.name}.fallback_queue": route.to.fallback_queue for route in tables.routes}
    for sla in tables.sla:
        for n, step in enumerate(sla.steps, 1):
            if step.to != "manager":
                (places if step.do == "queue" else people)[f"sla.{sla.name}.steps[{n}].{step.do}"] = step.to
    if tables.recycle.owner.casefold() not in reps:
        places["recycle.owner"] = tables.recycle.owner
    return {
        **{f"reps.{rep.name}{'.away' if _is_away(rep, today) else ''}": rep.crm_id for rep in tables.reps},
        **{path: one for path, one in people.items() if one and one.casefold() not in reps},
        **{f"crm.queues.{name}": one for name, one in queues.items()},
        **{path: one for path, one in places.items() if one and one not in queues},
        **{f"crm.automation_users[{n}]": one for n, one in enumerate(tables.crm.automation_users, 1)},
    }


def _with_whole_ids(config: Config) -> Config:
    """People and queues by the ids that the CRM tells, where an admin may write shorter ones: they are compared."""
    whole: Callable[[str], str] | None = getattr(_module(config.crm), "whole_id", None)
    if whole is None:
        return config
    put, tables = structs.replace, config.tables
    crm, queues = tables.crm, {name: whole(one) for name, one in tables.crm.queues.items()}
    routes = [
        put(route, to=put(route.to, queue=whole(route.to.queue), fallback_queue=whole(route.to.fallback_queue)))
        for route in tables.routes
    ]
    promises = [
        put(
            sla,
            steps=tuple(put(step, to=whole(step.to)) for step in sla.steps),
            touch=put(sla.touch, not_by=tuple(map(whole, sla.touch.not_by))),
        )
        for sla in tables.sla
    ]
    tables = put(
        tables,
        crm=put(crm, queues=queues, automation_users=tuple(map(whole, crm.automation_users))),
        team=put(tables.team, manager=whole(tables.team.manager)),
        teams={name: put(team, manager=whole(team.manager)) for name, team in tables.teams.items()},
        recycle=put(tables.recycle, owner=whole(tables.recycle.owner)),
        alerts=_with_whole_people(tables.alerts, whole),
        stages={name: put(stage, tell=whole(stage.tell)) for name, stage in tables.stages.items()},
        reps=tuple(put(rep, crm_id=whole(rep.crm_id), manager=whole(rep.manager)) for rep in tables.reps),
        routes=tuple(routes),
        sla=tuple(promises),
    )
    return put(config, tables=tables)


def _with_whole_people(alerts: AlertsTable, whole: Callable[[str], str]) -> AlertsTable:
    """Whom alerts are for, by whole ids."""
    found = {}
    for name, sink in alerts.sinks.items():
        to = sink.to
        people = list(map(whole, to)) if isinstance(to, list) else {whole(who): where for who, where in to.items()}
        found[name] = structs.replace(sink, to=people)
    alarm = alerts.rejections
    told = structs.replace(alarm, tell=whole(alarm.tell)) if alarm is not None else None
    silence = structs.replace(alerts.silence, tell=whole(alerts.silence.tell))
    return structs.replace(alerts, sinks=found, rejections=told, silence=silence)


def _module(table: ConnectorTable) -> ModuleType:
    return importlib.import_module(f"syncagent.connectors.{table.type}")


def _is_away(rep: RepTable, today: str) -> bool:
    try:
        return today in days(rep.away)
    except ValueError:
        return False  # told as a problem of its own


def _open(
    table: ConnectorTable, known: Mapping[str, Any], folder: Path, problems: list[Problem], *, secrets: bool
) -> Source | None:
    """The system, unless something is wrong with its table; then all of that is told."""
    shelf = SINKS if table.path.startswith("alerts.sinks") else SHELF
    if table.type not in shelf:
        problems.append(
            Problem(f"{table.path}.type", f"{table.type!r} is no system that is known.", nearest(table.type, shelf))
        )
        return None
    module = _module(table)
    fields = module.Options.__struct_fields__
    given = {**{key: value for key, value in known.items() if key in fields}, **table.options}
    found: list[Problem] = []
    also = ("type", "name", *(CRM_KEYS if table.path == "crm" else ()))
    options = read_leniently(module.Options, given, table.path, found, also)
    meant = [f"{table.path}.{near}" for key in table.options if key not in fields and (near := close(key, fields))]
    more: list[Problem] = []
    connector: Source | None = None
    if options is not None:
        options = _beside(options, folder)
        try:
            seconds(getattr(options, "poll", "60s"))
        except ValueError as error:
            more.append(Problem(f"{table.path}.poll", str(error)))
        try:
            connector = cast("Source", module.open(table.name, options))
        except ConfigError as error:
            if not any(path.endswith("_url") for path in (*(problem.path for problem in found), *meant)):
                more += [replace(problem, path=_address(table, problem)) for problem in error.problems]
        if secrets:
            more += _unreadable(options, table)
    told = [problem.path for problem in found]  # what only follows from these is not told again
    found += [
        problem
        for problem in more
        if problem.path == table.path
        or not any(within(problem.path, path) or within(path, problem.path) for path in told)
    ]
    problems += found
    if found and connector is not None:
        connector.close()
        return None
    return connector


def _beside(options: Struct, folder: Path) -> Struct:
    """The same, with relative files of secrets meant from this folder."""
    found: dict[str, Any] = {}
    for name in options.__struct_fields__:
        given = getattr(options, name)
        if isinstance(given, Secret):
            found[name] = given.beside(folder)
        elif isinstance(given, tuple) and any(isinstance(one, Secret) for one in given):
            found[name] = tuple(one.beside(folder) if isinstance(one, Secret) else one for one in given)
    return structs.replace(options, **found)


def _address(table: ConnectorTable, problem: Problem) -> str:
    """Where a problem with a system's address stands: the system itself only knows its own name."""
    urls = [key for key, value in table.options.items() if key.endswith("_url") and isinstance(value, str)]
    said = [key for key in urls if table.options[key] in problem.message] if len(urls) > 1 else urls
    return f"{table.path}.{said[0]}" if len(said) == 1 else table.path


def _unreadable(options: Struct, table: ConnectorTable) -> list[Problem]:
    """Secrets that are not where the config says, each under its own path."""
    problems: list[Problem] = []
    for name in table.options:
        given = getattr(options, name, None)
        for secret in given if isinstance(given, tuple) else (given,):
            if isinstance(secret, Secret):
                try:
                    secret.reveal()
                except ConfigError as error:
                    problems += [replace(problem, path=f"{table.path}.{name}") for problem in error.problems]
    return problems


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
    state: Store = store or open_store(Path(config.agent.state), clock=clock, addresses=config.addresses)
    polls = {table.name: seconds(str(table.options.get("poll", "60s"))) for table in (*config.sources, config.crm)}
    try:
        policy = config.policy(live_from(state, clock))
        refuse_orphans(state, policy)
        told = sinks(config)
    except BaseException:
        state.close()
        raise
    state.use_policy(policy, now=clock.now())
    agent = Agent(
        store=state,
        sources=sources,
        targets={
            **{name: cast("Target", system) for name, system in sources.items() if isinstance(system, Target)},
            **told,
        },
        policy=policy,
        clock=clock,
        settings=Settings(
            polls=polls,
            crm=config.crm.name,
            posting=frozenset(table.name for table in config.sources if table.type == POSTING),
            keep_refused=seconds(config.agent.keep_refused),
            keep_inputs=seconds(config.agent.keep_inputs),
            keep_quiet=_KEEP_QUIET[config.agent.keep_inputs_of],
        ),
        failpoint=failpoint,
    )
    known = state.meta("policy")
    if known != policy.digest:
        if known is not None:  # the config was changed while nobody was running
            sweep(agent)
        state.set_meta("policy", policy.digest)
    return agent


def take_over_doors(agent: Agent, listening: Listener | None, config: Config) -> None:
    """Sources that only post are as this config has them; the others read their secrets anew. Raises `ConfigError`.

    Whose door is closed: what they posted before is still read, by the mapping that they had.
    """
    problems: list[Problem] = []
    known = {"timezone": config.agent.timezone}
    opened = {
        table.name: _open(table, known, config.folder, problems, secrets=True)
        for table in config.sources
        if table.type == POSTING
    }
    if problems:
        raise ConfigError(problems)
    agent.hang({name: door for name, door in opened.items() if door is not None})
    open_now = {table.name for table in (*config.sources, config.crm) if table.type != FILES}
    doors = {name: door for name, door in agent.webhooks.items() if name in open_now}
    for door in doors.values():
        door.renew()
    if listening is not None:
        listening.change(doors)


def from_next_start(old: Config, new: Config, *, listening: bool) -> tuple[str, ...]:
    """What differs and is not taken over by a running agent, by its path."""
    agents = zip(old.agent.__struct_fields__, structs.astuple(old.agent), structs.astuple(new.agent), strict=True)
    paths = [f"agent.{name}" for name, before, after in agents if before != after]
    tables = [
        {table.path: table for table in (*config.sources, config.crm) if table.type not in (FILES, POSTING)}
        for config in (old, new)
    ]
    paths += sorted(path for path in tables[0].keys() | tables[1].keys() if tables[0].get(path) != tables[1].get(path))
    paths += [name for name in ("probes", "heartbeat") if getattr(old, name) != getattr(new, name)]
    if old.addresses != new.addresses:
        paths.append("identity")
    if (old.sinks, old.tables.alerts.sinks) != (new.sinks, new.tables.alerts.sinks):
        paths.append("alerts.sinks")
    if structs.replace(old.pages, read_only=new.pages.read_only) != new.pages:
        paths.append("pages")
    if not listening:
        paths += [table.path for table in new.sources if table.type == POSTING]
    return tuple(paths)
