"""Judgement: what we make of the facts: score, stage, handoff, promise, decision."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from msgspec import Struct

from syncagent.model.facts import Identity, Value


class Stage(StrEnum):
    """Where a person stands in the process map."""

    SUSPECT = "suspect"
    PROSPECT = "prospect"
    MQL = "mql"
    SAL = "sal"
    SQL = "sql"
    OPPORTUNITY = "opportunity"
    WON = "won"
    LOST = "lost"
    ON_HOLD = "on_hold"
    RECYCLED = "recycled"
    DISQUALIFIED = "disqualified"
    CUSTOMER = "customer"


class Contribution(Struct, frozen=True):
    """Points and their reason. `lost` are points that a cap or decay took away; `evidence` are activity keys."""

    rule: str
    points: float
    why: str
    evidence: tuple[str, ...] = ()
    lost: float = 0.0


class Score(Struct, frozen=True):
    """Fit and interest in points, the grade ("A1" .. "D4"), and every contribution."""

    fit: float
    interest: float
    grade: str
    contributions: tuple[Contribution, ...] = ()

    @property
    def total(self) -> float:
        return self.fit + self.interest


class ModelScore(Struct, frozen=True):
    """What a model beside the live one says; its contributions are worked out again when somebody asks.

    `about` is the id of a deal, "account:ID", or empty when it is about the person. `ready`: past the line of the
    person's segment, or of the model's alert; `crossings`: how often it has come to be: each alert is told once.
    """

    model: str
    fit: float
    interest: float
    grade: str
    about: str = ""
    ready: bool = False
    crossings: int = 0

    @property
    def total(self) -> float:
        return self.fit + self.interest


class InterestingMoment(Struct, frozen=True):
    """An activity worth a rep's eye, in one line of prose."""

    at: datetime
    text: str


class Noticed(Struct, frozen=True):
    """What the owner of a deal was told of a contact on it: how many alerts, and when each moment was last told of.

    `last`: the rule's words -> the moment of the activity.
    """

    deal: str
    alerts: int = 0
    last: dict[str, datetime] = {}


class Turn(Struct, frozen=True):
    """What a turn of a pool's rotation gave everybody who could take it: their share of this lead."""

    pool: str
    shares: dict[str, float]


class Assignment(Struct, frozen=True):
    """Who got the lead and why them. `owner` is a CRM user or queue id; `pool` tells how the pool stood then.

    `passed` says why nobody before them in the order of routes got it; `turn` is what has to be given back when the
    assignment is refused or withdrawn (None: it took no turn).
    """

    owner: str
    at: datetime
    route: str
    why: str
    queue: bool = False
    pinned: bool = False  # a person set this owner: law 5
    pool: tuple[str, ...] = ()
    after: str = ""  # why it was taken from the one before, for the old task and the new brief
    passed: tuple[str, ...] = ()
    turn: Turn | None = None


class Held(Struct, frozen=True):
    """A handoff that is decided and waits for its owner, since when and until when at the latest.

    `for_` "fields": attributes that a route wants to know; "presence": the first rep who is in. `cause`, `kind`, `last`
    and `by` (who has set it to ready in the CRM) are those of the handoff that will open.
    """

    for_: Literal["fields", "presence"]
    since: datetime
    until: datetime
    why: str
    cause: str
    kind: str
    last: str = ""
    pool: tuple[str, ...] = ()  # how the pool stood, when somebody must be there
    by: str = ""


class SlaStep(Struct, frozen=True):
    """What happens at a share of the promised time, e.g. at 0.6 "remind", at 1.0 "reassign".

    "remind" the owner, "alert" their manager, "reassign" to somebody else, "escalate" to `to` (else to the manager's
    manager), give back to a "queue".
    """

    at: float
    do: Literal["remind", "alert", "reassign", "escalate", "queue"]
    to: str = ""


class Sla(Struct, frozen=True):
    """The terms of one promise, as they stood when the handoff was opened (law 13).

    `minutes` of the clock's kind, or whole calendar `days`. `clock`: the rep's hours, the team's, or the wall.
    `of`: what is promised; `stage` is the one that may last so long. While the CRM's status is one of `pause_on` the
    clock stands still; `pause_holidays` does so to a wall clock on the team's holidays (the others do anyway).
    `touch_tasks`: which tasks count as acting; `not_by`: whose doing never counts; `by`: only the owner's, or anyone's.
    `bulk`: what one user did to so many records within a second is no touch (0: it is).
    A conversation is one of `talk_tasks` with an outcome that fits one of `outcomes` (globs), or one of `statuses`.
    """

    name: str
    minutes: int = 0
    days: int = 0
    clock: Literal["rep", "team", "wall"] = "wall"
    steps: tuple[SlaStep, ...] = ()
    touch_tasks: tuple[str, ...] = ()
    not_by: tuple[str, ...] = ("automation",)
    of: Literal["first touch", "first conversation", "stage"] = "first touch"
    stage: str = ""
    pause_on: tuple[str, ...] = ()
    pause_holidays: bool = False
    by: Literal["owner", "anyone"] = "owner"
    bulk: int = 10
    talk_tasks: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()

    @property
    def promised(self) -> str:
        """What is promised, in words."""
        return f"stage {self.stage}" if self.of == "stage" else self.of


class StepDone(Struct, frozen=True):
    """A step of the SLA that has fired for one assignment (1, 2 ...), or for one visit of a stage.

    `told`: whom it told that the promise is broken.
    """

    assignment: int
    step: int
    at: datetime
    told: str = ""


class Clock(Struct, frozen=True):
    """A promise beside the first touch, and how far it has come.

    It runs from `started_at` until `ended_at` and goes on when the lead changes hands. `visit` counts how often it was
    started: a stage may be entered more than once. `how`: what ended it.
    """

    sla: Sla
    started_at: datetime | None = None
    ended_at: datetime | None = None
    visit: int = 0
    steps_done: tuple[StepDone, ...] = ()
    how: str = ""


class Hold(Struct, frozen=True):
    """A time during which the CRM's status was one on which a clock stands still; `until` None: it still is."""

    status: str
    since: datetime
    until: datetime | None = None


class Absence(Struct, frozen=True):
    """A time for which an owner of the lead said in the CRM that they were away; it outlives their taking that back."""

    owner: str
    since: datetime
    until: datetime


class Touch(Struct, frozen=True):
    """What somebody did to a lead that is with sales, with the CRM's evidence: a task's id, a change's key.

    `counts`: which promises it kept ("first touch", "first conversation"); else `why_not`.
    """

    at: datetime
    by: str
    how: str
    evidence: str
    assignment: int
    counts: tuple[str, ...] = ()
    why_not: str = ""


class HandoffState(StrEnum):
    """Law 6: every lead past the line is with sales, returning, or closed (held and parked are seen in the outbox)."""

    WITH_SALES = "with_sales"
    RETURNING = "returning"
    CLOSED = "closed"


class Handoff(Struct, frozen=True):
    """One passing of a lead to sales. `id` is `<person>.<number>`, stored at opening and kept through every merge."""

    id: str
    number: int
    opened_at: datetime
    cause: str  # "score 72 (A1)", "form demo-request", "came back on its date" ...
    score: float
    grade: str
    assignments: tuple[Assignment, ...]
    sla: Sla | None = None
    state: HandoffState = HandoffState.WITH_SALES
    clock_started_at: datetime | None = None  # owner and task confirmed: the promise runs from here
    steps_done: tuple[StepDone, ...] = ()
    touched_at: datetime | None = None
    touched_by: str = ""
    touched_how: str = ""
    outcome: str = ""  # "accepted", "won", "lost", "disqualified", "recycled", "withdrawn", "deleted" ...
    closed_at: datetime | None = None
    recycle_reason: str = ""
    come_back_at: datetime | None = None
    raised_at: datetime | None = None  # the latest hand that was raised before the opening: it opens no other one
    answers: dict[str, str] = {}  # what was known at the opening, by question: "yes", "no" or "unknown"
    segment: str = ""  # whose line was crossed; empty: the one for all
    tries: int = 0  # how often the reps had called or written when it was given back
    clocks: tuple[Clock, ...] = ()  # the promises beside the first touch, which `sla` and `steps_done` are about
    delivered_at: datetime | None = None  # when the clock started for the first owner
    holds: tuple[Hold, ...] = ()
    touches: tuple[Touch, ...] = ()  # what was done, counted or not
    absences: tuple[Absence, ...] = ()  # the latest last


class Desired(Struct, frozen=True):
    """The row that we last told the CRM to hold (or that people set since), for one record, and its revision.

    `expects` are the watched values that the CRM showed when the row was decided: while the write is under way,
    only a value that is neither told nor expected is an answer. `refused_at`: when we learnt that its write had met a
    moved record of which the CRM shows nothing; `rounds`: how often it was told again for that.
    """

    record: Identity | None
    values: dict[str, Value]
    revision: int = 1
    expects: dict[str, Value] = {}
    rounds: int = 0
    refused_at: datetime | None = None


class Decision(Struct, frozen=True):
    """Our last word on a person: what `plan` returned, and reads again next time."""

    stage: Stage = Stage.SUSPECT
    score: Score | None = None
    handoffs: tuple[Handoff, ...] = ()  # oldest first; the last one is the current one
    desired: Desired | None = None
    score_written_at: datetime | None = None  # a score-only write goes out at most once a day
    contested: tuple[str, ...] = ()  # fields that automation has overwritten twice: no longer written, shown
    overwritten: tuple[str, ...] = ()  # fields that automation has overwritten once: written again
    adopted: bool = False  # first seen in a working, closed or unmapped status: not handed off
    waiting: str = ""  # why a ready person is not with sales: "not in the CRM", "gate: timing unknown" ...
    models: tuple[ModelScore, ...] = ()  # what the models beside the live one say
    held: Held | None = None  # ready, and waiting for an owner
    stage_since: datetime | None = None  # None: since before this was kept
    account: str = ""  # the CRM's id of the company that they were matched to; empty when the CRM says one itself
    noticed: tuple[Noticed, ...] = ()  # what the owners of open deals were told

    @property
    def handoff(self) -> Handoff | None:
        """The current handoff, open or not."""
        return self.handoffs[-1] if self.handoffs else None


class Event(Struct, frozen=True):
    """One line of the journal: what was decided and why, in words, with figures for reports.

    `kind`: "score" (`before` and `stage` are in its data when the lead moves with it), "stage", "handoff.opened",
    "assigned", "clock.started", "touched", "reminded", "reassigned", "escalated",
    "known", "recycled", "came_back", "closed", "contested", "restored", "adopted", "withdrawn" ...
    """

    kind: str
    at: datetime
    why: str
    handoff: str = ""
    data: dict[str, Value] = {}
