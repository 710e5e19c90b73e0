"""Figures: what reports count of a person and of their handoffs, worked out by each plan, kept in rows by the store."""

from datetime import datetime

from msgspec import Struct


class Entry(Struct, frozen=True):
    """How somebody came in. `at`: their first contact, which is `by` the first thing that they did ("activity"); where
    nothing is known of what they did, it is when the CRM's record was made ("record"), or a source told of them
    ("lead"). `system`: who told it.

    `source`, `campaign`, `content`, `medium`: as they were told first, each empty when nobody did. `segment`: whose
    line they are measured against now.
    """

    at: datetime
    by: str
    system: str
    source: str = ""
    campaign: str = ""
    content: str = ""
    medium: str = ""
    segment: str = ""


class PromiseFigures(Struct, frozen=True):
    """One promise to one owner, or of one visit to a stage: what was promised, and how it went.

    `clock` 0 is the first touch, others count from 1; `turn`: which owner's (or visit's) it is, from 1. `due_at` None:
    the clock stands still. `ended_at` None: it runs; `met` None: nobody can say yet. `minutes` of the promise's clock
    until it ended.
    """

    clock: int
    turn: int
    promised: str
    name: str
    owner: str
    started_at: datetime
    due_at: datetime | None
    ended_at: datetime | None = None
    met: bool | None = None
    minutes: float | None = None


class HandoffFigures(Struct, frozen=True):
    """What reports count of one handoff beside what stands in it. `team`: whose pool the owner is of.

    `working`: minutes from the opening to the first touch in the hours of who has it, else the team's.
    `turn`: how many owners it has had; `since`: when the last of them got it.
    """

    handoff: str
    team: str
    working: float | None
    turn: int = 0
    since: datetime | None = None
    promises: tuple[PromiseFigures, ...] = ()
