"""What reports, audits and alarms see of many people: as much as each asks for."""

from datetime import datetime

from msgspec import Struct

from syncagent.model import Dossier


class Watched(Struct, frozen=True):
    """A person as an audit looks at them: the dossier, when they are looked at next, and why they are not planned.

    `held`: the brake's cause, empty when it holds them not; `dirty`: they are about to be planned.
    """

    dossier: Dossier
    wake_at: datetime | None
    held: str
    dirty: bool


class Glance(Struct, frozen=True, gc=False):
    """Whether somebody need be looked at whole: as much as tells that without reading what they did.

    `dirty`: they are about to be planned. `open_`: they had a handoff, wait for one, were found in work, nothing was
    decided, or their timer is late. `said`: one of the words stands in what the CRM says. The score is the one that was
    decided last.
    """

    person: int
    held: str
    dirty: bool
    erased: bool
    open_: bool
    said: bool
    fit: float
    interest: float
    grade: str


class Visit(Struct, frozen=True):
    """A stay in a stage; `left_at` None: they are there."""

    stage: str
    entered_at: datetime
    left_at: datetime | None
    handoff: str


class StageNumbers(Struct, frozen=True):
    """How a stage stands: who is there, who of them for too long; of those who left lately, how many, after how long.

    `median` in seconds; None: nobody left.
    """

    here: int = 0
    stuck: int = 0
    left: int = 0
    median: float | None = None


class HandedOver(Struct, frozen=True):
    """A handoff as reports look at it: where the lead came from, what became of it; `outcome` empty: nothing yet."""

    person: int
    opened_at: datetime
    source: str
    campaign: str
    rule: str
    outcome: str


class Stuck(Struct, frozen=True):
    """Who has stayed in a stage for too long: how many, how many of them lately, and the latest of them."""

    all: int = 0
    new: int = 0
    latest: tuple[int, ...] = ()
