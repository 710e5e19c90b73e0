"""TOML in, frozen settings out; all that is wrong is told at once, each with its path and the nearest known key.

Each connector's table is checked by that connector, through compose: here it stays raw.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from syncagent.config.agreement import Translation
from syncagent.config.reading import read_table, seconds
from syncagent.config.secret import Secret
from syncagent.config.tables import AgreementTables, CrmPolicyTable
from syncagent.errors import ConfigError, Problem
from syncagent.policy import Policy

__all__ = ["AgentTable", "Config", "ConnectorTable", "Secret", "load", "parse", "read_table", "seconds"]


class AgentTable(Struct, frozen=True):
    """[agent]: where the state lives, where to listen, and the zone that calendar days are meant in."""

    state: str = "syncagent.db"
    listen: str = "127.0.0.1:8474"
    timezone: str = "UTC"


class ConnectorTable(Struct, frozen=True):
    """One system's table, raw: `options` are for its connector to check."""

    name: str
    type: str
    path: str
    options: dict[str, Any]


class Config(Struct, frozen=True):
    """A whole config. `policy(live_from)` needs the moment of the first start, which lives with the state."""

    agent: AgentTable
    sources: tuple[ConnectorTable, ...]
    crm: ConnectorTable
    tables: AgreementTables
    digest: str

    def policy(self, live_from: datetime) -> Policy:
        """The agreement, with `live_from` unless the config gives its own."""
        problems: list[Problem] = []
        fields = _mapped(self.crm)
        policy = Translation(self.tables, self.agent.timezone, problems).policy(
            self.crm.name, fields, live_from, self.digest
        )
        notify = bool(self.crm.options.get("notification_type"))
        policy = structs.replace(policy, crm=structs.replace(policy.crm, notify=notify))
        if problems:
            raise ConfigError(problems)
        return policy


SPARE = {"status": {"mql": "-"}}
TABLES = ("agent", "sources", "crm", "score", "handoff", "reps", "team", "routes", "sla", "recycle", "stages")


def load(path: Path) -> Config:
    """Read and check a config file. Raises `ConfigError` with every problem; paths inside are meant from its folder."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        hint = (
            "Give --config PATH, or make one with `syncagent sandbox ... --write-config config.toml` to try things out."
        )
        raise ConfigError([Problem(str(path), "There is no config here.", hint)]) from None
    except OSError as error:
        raise ConfigError([Problem(str(path), f"It cannot be read: {error.strerror}.")]) from error
    return parse(text, path.parent)


def parse(text: str, folder: Path = Path()) -> Config:
    """Read and check a config's text. Raises `ConfigError`."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Problem("", f"This is not TOML: {error}.")]) from error
    problems: list[Problem] = []
    known = f"Known: {', '.join(TABLES)}."
    problems += [Problem(key, "This table is not known.", known) for key in raw if key not in TABLES]
    agent = read_table(AgentTable, raw.get("agent", {}), "agent", problems) or AgentTable()
    try:
        ZoneInfo(agent.timezone)
    except (ValueError, OSError, KeyError):
        problems.append(Problem("agent.timezone", f"{agent.timezone!r} is not a time zone.", "Write for example UTC."))
        agent = AgentTable(agent.state, agent.listen)
    if not Path(agent.state).is_absolute():
        agent = AgentTable(str(folder / agent.state), agent.listen, agent.timezone)
    sources = tuple(
        table
        for name, given in _table(raw.get("sources", {}), "sources", problems).items()
        if (table := _connector(name, given, f"sources.{name}", problems)) is not None
    )
    given_crm = _table(raw.get("crm"), "crm", problems)
    agreed: dict[str, Any] = {key: given_crm[key] for key in CrmPolicyTable.__struct_fields__ if key in given_crm}
    # `create` and `automation_users` are the agreement's; `fields` says where they meet, and is the connector's.
    rest = {key: value for key, value in given_crm.items() if key not in agreed}
    crm = (
        _connector(str(given_crm.get("name", given_crm.get("type", "crm"))), rest, "crm", problems)
        if given_crm
        else None
    )
    shape: dict[str, Any] = {
        key: raw[key]
        for key in ("score", "handoff", "reps", "team", "routes", "sla", "recycle", "stages")
        if key in raw
    }
    tables = _read_agreement(shape | {"crm": agreed}, problems)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    if tables is not None and crm is not None:
        fields = _mapped(crm)
        Translation(tables, agent.timezone, problems).policy(
            crm.name, fields, datetime.fromtimestamp(0, ZoneInfo("UTC")), digest
        )
        nurture = tables.recycle.nurture
        if nurture and nurture.source not in {source.name for source in sources}:
            problems.append(Problem("recycle.nurture.source", f"{nurture.source!r} is none of the sources."))
    if problems or tables is None or crm is None:
        raise ConfigError(problems)
    return Config(agent, sources, crm, tables, digest)


def _mapped(crm: ConnectorTable) -> tuple[str, ...]:
    """Our names of the fields that the CRM has, on leads or on contacts."""
    given = [crm.options.get(table, {}) for table in ("fields", "contact_fields")]
    return tuple(dict.fromkeys(name for table in given if isinstance(table, dict) for name in table))


def _read_agreement(raw: dict[str, Any], problems: list[Problem]) -> AgreementTables | None:
    """All tables of the agreement; those that cannot be read are left out, so that the rest is still looked at."""
    found: list[Problem] = []
    tables = read_table(AgreementTables, raw, "", found)
    found = [Problem(p.path.lstrip("."), p.message, p.help, p.fatal) for p in found]
    problems += found
    broken = {re.split(r"[.\[]", problem.path)[0] for problem in found}
    if "reps" in broken:
        broken.add("routes")  # they name reps: each would be one more complaint of the same
    if tables is None and broken:
        spare = {
            "routes": [{"name": "all", "to": {"queue": "0"}}],
            "handoff": {"mql": {"any": {"score": 1}}},
            "crm": SPARE,
        }
        rest = {key: value for key, value in raw.items() if key not in broken}
        tables = read_table(AgreementTables, {**{key: spare[key] for key in broken & spare.keys()}, **rest}, "", [])
    return tables


def _table(raw: object, path: str, problems: list[Problem]) -> Mapping[str, Any]:
    if isinstance(raw, Mapping):
        return raw
    problems.append(Problem(path, "This table is missing." if raw is None else "A table is needed here."))
    return {}


def _connector(name: str, raw: object, path: str, problems: list[Problem]) -> ConnectorTable | None:
    table = _table(raw, path, problems)
    kind = table.get("type")
    if not isinstance(kind, str):
        problems.append(Problem(f"{path}.type", "Say which system this is.", 'For example: type = "salesforce".'))
        return None
    options = {key: value for key, value in table.items() if key not in ("type", "name")}
    return ConnectorTable(name=name, type=kind, path=path, options=options)
