"""TOML in, frozen settings out; all that is wrong is told at once, each with its path and the nearest known key.

Each connector's table is checked by that connector, through compose: here it stays raw.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from syncagent.config.agreement import Translation, within
from syncagent.config.alerts import SINK_KEYS
from syncagent.config.files import Files, read_files
from syncagent.config.pages import PagesTable, read_pages
from syncagent.config.probes import HeartbeatTable, ProbesTable, is_loopback, read_heartbeat, read_probes
from syncagent.config.process import nurtures
from syncagent.config.reading import close, join, nearest, read_leniently, read_table, seconds
from syncagent.config.scorecard import read_scorecard
from syncagent.config.secret import Secret
from syncagent.config.tables import AgreementTables, CrmPolicyTable
from syncagent.errors import ConfigError, Problem
from syncagent.model import Scorecard
from syncagent.model.address import AddressRules
from syncagent.policy import Policy

__all__ = [
    "CRM_KEYS",
    "AgentTable",
    "Config",
    "ConnectorTable",
    "PagesTable",
    "Secret",
    "draft",
    "is_loopback",
    "load",
    "nearest",
    "parse",
    "read_leniently",
    "read_table",
    "read_text",
    "seconds",
    "within",
]


class AgentTable(Struct, frozen=True):
    """[agent]: where the state lives, where to listen, the zone that calendar days are meant in.

    `keep_refused`: so long deliveries that could not be read are kept for an admin to look at; `keep_inputs`: so
    long what decisions were made from is kept for replay; `keep_inputs_of`: of all that is live and of handoffs in mass
    work, of handoffs alone, or of everything.
    """

    state: str = "syncagent.db"
    listen: str = "127.0.0.1:8474"
    timezone: str = "UTC"
    keep_refused: str = "30d"
    log_format: Literal["text", "json"] = "text"
    keep_inputs: str = "400d"
    keep_inputs_of: Literal["handoffs", "live", "everything"] = "live"


class ConnectorTable(Struct, frozen=True):
    """One system's table, raw: `options` are for its connector to check."""

    name: str
    type: str
    path: str
    options: dict[str, Any]


class Config(Struct, frozen=True):
    """A whole config. `policy(live_from)` needs the moment of the first start, which lives with the state.

    `folder`: what relative paths are meant from. `raw`: the tables as they stand in the file.
    """

    agent: AgentTable
    sources: tuple[ConnectorTable, ...]
    crm: ConnectorTable
    tables: AgreementTables
    digest: str
    folder: Path = Path()
    likelihood: Scorecard | None = None
    files: Files = Files()
    sinks: tuple[ConnectorTable, ...] = ()
    probes: ProbesTable = ProbesTable()
    heartbeat: HeartbeatTable = HeartbeatTable()
    pages: PagesTable = PagesTable()
    raw: dict[str, Any] = {}

    @property
    def addresses(self) -> AddressRules:
        """[identity] as the state reads it."""
        given = self.tables.identity
        told = (given.plus_tags, given.gmail_dots, given.placeholders, given.shared, given.not_shared, given.phones)
        return AddressRules(*told)

    def policy(self, live_from: datetime) -> Policy:
        """The agreement, with `live_from` unless the config gives its own."""
        problems: list[Problem] = []
        fields = _mapped(self.crm)
        systems = tuple(source.name for source in self.sources)
        translation = Translation(self.tables, self.agent.timezone, problems, systems=systems, files=self.files)
        policy = translation.policy(self.crm.name, fields, live_from, self.digest)
        notify = bool(self.crm.options.get("notification_type"))
        crm = structs.replace(policy.crm, notify=notify)
        policy = structs.replace(policy, crm=crm, likelihood=self.likelihood)
        if problems:
            raise ConfigError(problems)
        return policy


AGREED = tuple(name for name in AgreementTables.__struct_fields__ if name != "crm")
CRM_KEYS = CrmPolicyTable.__struct_fields__
"""Keys of [crm] that are the agreement's; the connector reads the others."""

TABLES = ("agent", "probes", "heartbeat", "pages", "sources", "crm", *AGREED)
_LAST_PORT = 65535


def load(path: Path) -> Config:
    """Read and check a config file but for the connectors' tables; `compose.read` checks those too.

    Raises `ConfigError` with every problem; paths inside are meant from its folder.
    """
    config, problems = draft(read_text(path), path.parent)
    if problems:
        raise ConfigError(problems)
    return config


def parse(text: str, folder: Path = Path()) -> Config:
    """As `load`, of a config's text. Raises `ConfigError`."""
    config, problems = draft(text, folder)
    if problems:
        raise ConfigError(problems)
    return config


def read_text(path: Path) -> str:
    """What stands in a config file. Raises `ConfigError` with one sentence that names the file."""
    try:
        text = path.read_text(encoding="utf-8")
        tomllib.loads(text)
    except FileNotFoundError:
        hint = (
            "Give --config PATH, or make one with `syncagent sandbox ... --write-config config.toml` to try things out."
        )
        raise ConfigError([Problem(str(path), "There is no config here.", hint)]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Problem(str(path), f"This is not TOML: {error}.")]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(
            [Problem(str(path), f"This is not a text in UTF-8: look at line {line}.", "Save it as UTF-8.")]
        ) from None
    except OSError as error:
        raise ConfigError([Problem(str(path), f"It cannot be read: {error.strerror}.", "Name a TOML file.")]) from None
    return text


def draft(text: str, folder: Path = Path(), *, model: bool = True) -> tuple[Config, list[Problem]]:
    """A config's text as far as it can be read, and all problems but those of the connectors' tables.

    `model` False: the trained model that it names is left alone.
    What is broken has placeholders: with problems, the config is only good for finding more of them.
    Raises `ConfigError` where there is nothing to go on with: the text is no TOML, or empty.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Problem("", f"This is not TOML: {error}.")]) from None
    if not raw:
        says = "The config is empty; it needs at least [crm], [crm.status], [handoff] and [[routes]]."
        raise ConfigError([Problem("", says, "Start from config.example.toml.")])
    problems = [
        Problem(join("", key), "This table is not known.", nearest(key, TABLES)) for key in raw if key not in TABLES
    ]
    agent = _agent(raw.get("agent", {}), folder, problems)
    mistyped = any(problem.path == "agent.listen" for problem in problems)
    probes = read_probes(raw.get("probes", {}), "" if mistyped else agent.listen, folder, problems)
    heartbeat = read_heartbeat(raw.get("heartbeat", {}), folder, problems)
    pages = read_pages(raw.get("pages", {}), folder, problems)
    given = _table(raw.get("sources", {}), "sources", problems)
    sources = tuple(_connector(name, table, join("sources", name), problems) for name, table in given.items())
    given_crm = _table(raw["crm"], "crm", problems) if "crm" in raw else {}
    agreed: dict[str, Any] = {key: given_crm[key] for key in CRM_KEYS if key in given_crm}
    # `create` and `automation_users` are the agreement's; `fields` says where they meet, and is the connector's.
    rest = {key: value for key, value in given_crm.items() if key not in agreed}
    name = str(given_crm.get("name", given_crm.get("type", "crm")))
    crm = _connector(name, rest, "crm", problems) if given_crm else ConnectorTable(name, "", "crm", {})
    if crm.name in given:
        problems.append(Problem("crm.name", f"A source is called {crm.name!r} too.", "Give one of them another name."))
    shape = {key: raw[key] for key in AGREED if key in raw} | ({"crm": agreed} if given_crm else {})
    sinks = _sinks(shape, problems)
    meant = {near for key in raw if key not in TABLES and (near := close(key, TABLES)) not in raw}
    meant |= {f"crm.{near}" for key in crm.options if (near := close(key, CRM_KEYS)) and near not in agreed}
    found: list[Problem] = []
    tables = read_leniently(AgreementTables, shape, "", found)
    found = [problem for problem in found if problem.path not in meant]  # mistyped, which is told: not missing
    if given_crm or "crm" not in raw:
        problems += found
    else:  # what is no table was told; it is not missing
        problems += [problem for problem in found if problem.path != "crm"]
    if tables is None:
        raise ConfigError(problems)
    scorecard, trained = read_scorecard(tables.score, folder, problems) if model else (None, b"")
    files = read_files(tables, folder, agent.timezone, problems)
    digest = hashlib.sha256(text.encode() + trained + files.content).hexdigest()[:12]
    config = Config(agent, sources, crm, tables, digest, folder, scorecard, files, sinks, probes, heartbeat, pages, raw)
    systems = (*given, crm.name, *(sink.name for sink in sinks))
    problems += [
        Problem(f"alerts.silence.systems.{name}", "There is no system of this name.", nearest(name, systems))
        for name in tables.alerts.silence.systems
        if name not in systems
    ]
    for sink in sinks:
        if sink.name in (*given, crm.name):
            problems.append(Problem(sink.path, f"A system is called {sink.name!r} too.", "Give it another name."))
    broken = (*(problem.path for problem in found), *(path for path in meant if path))
    Translation(tables, agent.timezone, problems, broken, tuple(given), files).policy(
        crm.name, _mapped(crm), datetime.fromtimestamp(0, ZoneInfo("UTC")), digest
    )
    for place, nurture in nurtures(tables.recycle).items():
        if nurture.source not in given and not any(within(f"{place}.source", path) for path in broken):
            says = f"{nurture.source!r} is none of the sources."
            problems.append(Problem(f"{place}.source", says, nearest(nurture.source, given) if given else ""))
    return config, problems


def _agent(raw: object, folder: Path, problems: list[Problem]) -> AgentTable:
    agent = read_leniently(AgentTable, raw, "agent", problems) or AgentTable()
    zone = agent.timezone
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError):
        problems.append(Problem("agent.timezone", f"{zone!r} is not a time zone.", "Write for example Europe/Berlin."))
        zone = "UTC"
    host, _, port = agent.listen.rpartition(":")
    if not host or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > _LAST_PORT or (":" in host and host[0] != "["):
        problems.append(
            Problem(
                "agent.listen", f"{agent.listen!r} is not a host and a port.", 'Write for example "127.0.0.1:8474".'
            )
        )
    kept = {"keep_refused": agent.keep_refused, "keep_inputs": agent.keep_inputs}
    for name, text in kept.items():
        try:
            seconds(text)
        except ValueError as error:
            problems.append(Problem(f"agent.{name}", str(error), "Write for example 30d."))
            kept[name] = str(getattr(AgentTable(), name))
    return structs.replace(agent, state=str(folder / agent.state), timezone=zone, **kept)


def _sinks(shape: dict[str, Any], problems: list[Problem]) -> tuple[ConnectorTable, ...]:
    """Where alerts go besides the CRM: each one's own keys are raw, for its connector; what is agreed on stays."""
    alerts = shape.get("alerts")
    given = alerts.get("sinks") if isinstance(alerts, Mapping) else None
    if not isinstance(alerts, Mapping) or not isinstance(given, Mapping):
        return ()
    kept: dict[str, Any] = {}
    found = []
    for name, table in given.items():
        path = join("alerts.sinks", name)
        whole = _table(table, path, problems)
        kept[name] = {key: value for key, value in whole.items() if key in SINK_KEYS}
        rest = {key: value for key, value in whole.items() if key not in SINK_KEYS}
        found.append(_connector(name, rest, path, problems))
    shape["alerts"] = {**alerts, "sinks": kept}
    return tuple(found)


def _mapped(crm: ConnectorTable) -> tuple[str, ...]:
    """Our names of the fields that the CRM has, on leads or on contacts."""
    given = [crm.options.get(table, {}) for table in ("fields", "contact_fields")]
    return tuple(dict.fromkeys(name for table in given if isinstance(table, dict) for name in table))


def _table(raw: object, path: str, problems: list[Problem]) -> Mapping[str, Any]:
    if isinstance(raw, Mapping):
        return raw
    problems.append(Problem(path, "A table is needed here.", f"Write [{path}] and its keys below it."))
    return {}


def _connector(name: str, raw: object, path: str, problems: list[Problem]) -> ConnectorTable:
    """One system's table; its type is empty when it does not say one that can be looked for."""
    before = len(problems)
    table = _table(raw, path, problems)
    kind = table.get("type", "")
    if (not isinstance(kind, str) or not kind) and len(problems) == before:
        problems.append(
            Problem(f"{path}.type", "Say which system this is, as a text.", 'For example: type = "salesforce".')
        )
    options = {key: value for key, value in table.items() if key not in ("type", "name")}
    return ConnectorTable(name=name, type=kind if isinstance(kind, str) else "", path=path, options=options)
