"""The agreement's tables as an admin writes them in TOML."""

from datetime import date, datetime
from typing import Literal

from msgspec import Struct, field

from syncagent.model import Value

Test = str | bool | int | float | list[str | int | float]


class FitChoiceTable(Struct, frozen=True):
    priority: float
    value: Value = None
    values: tuple[Value, ...] = ()
    matches: str = ""
    min: float | None = None
    max: float | None = None
    present: bool | None = None


class FitTable(Struct, frozen=True):
    attribute: str
    weight: float
    choices: tuple[FitChoiceTable, ...]
    name: str = ""


class InterestChoiceTable(Struct, frozen=True):
    priority: float
    at_least: int = 1
    exactly: int | None = None
    within: str = ""


class InterestTable(Struct, frozen=True):
    activity: str
    weight: float
    choices: tuple[InterestChoiceTable, ...]
    asset: str = ""
    name: str = ""


class GradeTable(Struct, frozen=True):
    letters: tuple[float, float, float] = (0.75, 0.5, 0.25)
    numbers: tuple[float, float, float] = (0.75, 0.5, 0.25)


class ModelTable(Struct, frozen=True):
    file: str


class ScoreTable(Struct, frozen=True):
    fit: tuple[FitTable, ...] = ()
    interest: tuple[InterestTable, ...] = ()
    grade: GradeTable = GradeTable()
    exclude_bots: bool = True
    write: bool = True
    model: ModelTable | None = None


class ReadyTable(Struct, frozen=True):
    score: float | None = None
    grades: tuple[str, ...] = ()


class MqlTable(Struct, frozen=True):
    any: ReadyTable | None = None
    all: ReadyTable | None = None


class HandRaiserTable(Struct, frozen=True):
    activity: str
    asset: str = ""


class BantfoTable(Struct, frozen=True):
    required: tuple[str, ...] = ()
    unknown: Literal["ask", "wait"] = "ask"


class GateTable(Struct, frozen=True):
    bantfo: BantfoTable = BantfoTable()


class BrakeTable(Struct, frozen=True):
    per_hour: int = 200
    share: float = 0.05
    per_rep: int = 20
    hand_raisers_per_hour: int = 200


class HandoffTable(Struct, frozen=True):
    mql: MqlTable
    always: tuple[HandRaiserTable, ...] = ()
    gate: GateTable = GateTable()
    brake: BrakeTable = BrakeTable()
    live_from: date | datetime | None = None


class CapTable(Struct, frozen=True):
    open: int | None = None
    per_day: int | None = None


class RepTable(Struct, frozen=True):
    name: str
    crm_id: str
    hours: str = ""
    timezone: str = ""
    weight: float = 1.0
    cap: CapTable = CapTable()
    away: tuple[str, ...] = ()
    manager: str = ""


class TeamTable(Struct, frozen=True):
    hours: str = ""
    timezone: str = ""
    holidays: tuple[str, ...] = ()
    manager: str = ""


class RouteToTable(Struct, frozen=True):
    pool: tuple[str, ...] = ()
    pick: Literal["weighted"] = "weighted"
    queue: str = ""
    fallback_queue: str = ""


class RouteTable(Struct, frozen=True):
    name: str
    to: RouteToTable
    when: dict[str, Test] = {}


class StepTable(Struct, frozen=True):
    at: str
    do: Literal["remind", "reassign", "escalate", "queue"]
    to: str = ""


class TouchTable(Struct, frozen=True):
    tasks: tuple[str, ...] = ()
    by: Literal["owner"] = "owner"
    not_by: tuple[str, ...] = ("automation",)


class SlaTable(Struct, frozen=True):
    name: str
    first_touch: str
    when: dict[str, Test] = {}
    clock: Literal["rep", "team", "wall"] = "wall"
    touch: TouchTable = TouchTable()
    steps: tuple[StepTable, ...] = ()


class WakeTable(Struct, frozen=True):
    points: float
    within: str = "7d"


class NurtureTable(Struct, frozen=True):
    source: str
    list: int | None = None
    campaign: int | None = None


class RecycleTable(Struct, frozen=True):
    default: str = "90d"
    wake_early: WakeTable | None = None
    nurture: NurtureTable | None = None
    most_returns: int = 5
    owner: str = ""


class StageTable(Struct, frozen=True):
    owner: str = ""
    longest: str = ""
    next: str = ""


class CrmPolicyTable(Struct, frozen=True):
    """The part of [crm] that is agreement; the rest is its connector's."""

    status: dict[str, str | list[str]]
    queues: dict[str, str] = {}
    automation_users: tuple[str, ...] = ()
    create: Literal["never", "when_missing"] = "never"
    default_company: str = "[not provided]"


class IdentityTable(Struct, frozen=True):
    """[identity]: which addresses mean one person, and which domains mean a company."""

    plus_tags: Literal["keep", "ignore"] = "keep"
    gmail_dots: Literal["keep", "ignore"] = "keep"
    placeholders: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    not_shared: tuple[str, ...] = ()
    free_mail: tuple[str, ...] = ()


class AgreementTables(Struct, frozen=True):
    """All tables of the agreement, as read."""

    handoff: HandoffTable
    routes: tuple[RouteTable, ...]
    crm: CrmPolicyTable
    score: ScoreTable = ScoreTable()
    reps: tuple[RepTable, ...] = ()
    team: TeamTable = TeamTable()
    sla: tuple[SlaTable, ...] = ()
    recycle: RecycleTable = RecycleTable()
    stages: dict[str, StageTable] = field(default_factory=dict)
    identity: IdentityTable = IdentityTable()
    profile: dict[str, str | list[str]] = field(default_factory=dict)
