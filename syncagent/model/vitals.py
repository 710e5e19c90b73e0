"""How the agent itself is, for whoever keeps it running: what `/healthz`, `/readyz` and `/metrics` tell."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct


class Vitals(Struct, frozen=True):
    """How the agent is. `why` it is not ready, in sentences, which may name systems."""

    alive: bool
    ready: bool
    why: tuple[str, ...] = ()


class Figures(Struct, frozen=True):
    """What `/metrics` tells besides the health. Everything by name of a system of the config.

    `calls`: used and limit of the vendor's day; `read`, `written`: when last; `answered`: by (door, status).
    """

    version: str
    config: str
    journal: int
    systems: tuple[str, ...]
    calls: Mapping[str, Mapping[str, int]]
    read: Mapping[str, datetime]
    written: Mapping[str, datetime]
    silent: tuple[str, ...]
    answered: Mapping[tuple[str, int], int]
