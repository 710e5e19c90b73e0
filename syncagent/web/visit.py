"""What a page is given, and what it answers."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from msgspec import Struct

from syncagent.clock import Clock
from syncagent.config import Config
from syncagent.model import HealthSnapshot
from syncagent.policy import Policy
from syncagent.state.store import Store
from syncagent.web.prepared import Prepared


class Desk(Struct, frozen=True):
    """What the pages are given. `order` carries out what an admin asks for, as `syncagent` on the command line does.

    `config` and `policy` are those that run now. `health`: of the agent, which knows whether its disk is full.
    """

    state: Path
    clock: Clock
    config: Callable[[], Config]
    policy: Callable[[], Policy]
    health: Callable[[datetime], HealthSnapshot]
    order: Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Visit(Struct, frozen=True):
    """A request as a page sees it. `glances`: what the agent itself is asked, at most every few seconds."""

    store: Store
    desk: Desk
    prepared: Prepared
    glances: Prepared
    policy: Policy
    now: datetime
    zone: ZoneInfo
    path: Mapping[str, Any]
    query: Mapping[str, str]
    form: Mapping[str, Sequence[str]]
    changes: bool


class Said(Struct, frozen=True):
    """What a page answers: a template with its values, or the way to another page (then `to`)."""

    template: str = ""
    values: dict[str, Any] = {}
    status: int = 200
    to: str = ""
    kind: str = "text/html"


def to(path: str, **query: str | int) -> Said:
    """The way to another page."""
    return Said(to=f"{path}?{urlencode(query)}" if query else path)
