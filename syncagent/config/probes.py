"""[probes] and [heartbeat]: how others see that the agent lives."""

from ipaddress import ip_address
from pathlib import Path

from msgspec import Struct

from syncagent.config.reading import read_leniently, seconds
from syncagent.config.secret import Secret
from syncagent.errors import Problem

_LEAST = 5.0


class ProbesTable(Struct, frozen=True):
    """[probes]: `/metrics`, `/healthz` and `/readyz` beside the doors. `token`: what whoever asks for metrics shows."""

    serve: bool = False
    token: Secret | None = None


class HeartbeatTable(Struct, frozen=True):
    """[heartbeat]: an address that is called every so often as long as the agent lives. None: nobody is called."""

    url: Secret | None = None
    every: str = "60s"


def read_probes(raw: object, listen: str, folder: Path, problems: list[Problem]) -> ProbesTable:
    """The table; where anybody can come, metrics need a token. `listen` empty: nobody knows where that is."""
    table = read_leniently(ProbesTable, raw, "probes", problems) or ProbesTable()
    if table.token is not None:
        return ProbesTable(table.serve, table.token.beside(folder))
    if table.serve and listen and not is_loopback(listen):
        says = f"Others can reach {listen}, and metrics would be open to them."
        problems.append(Problem("probes.token", says, 'For example: token = { env = "SYNCAGENT_METRICS_TOKEN" }.'))
    return table


def read_heartbeat(raw: object, folder: Path, problems: list[Problem]) -> HeartbeatTable:
    """The table, with an interval that can be read."""
    table = read_leniently(HeartbeatTable, raw, "heartbeat", problems) or HeartbeatTable()
    every = table.every
    try:
        if seconds(every) < _LEAST:
            problems.append(Problem("heartbeat.every", "That is too often.", "Write 5s or more."))
    except ValueError as error:
        problems.append(Problem("heartbeat.every", str(error), "For example: 60s."))
        every = HeartbeatTable().every
    return HeartbeatTable(table.url.beside(folder) if table.url is not None else None, every)


def is_loopback(listen: str) -> bool:
    """Whether only this machine can reach the address."""
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
