"""The agreement's tables as an admin writes them in TOML."""

from datetime import date, datetime
from typing import Literal

from msgspec import Struct, field

from syncagent.config.alerts import AlertsTable
from syncagent.config.insight import BriefTable, InsightTable
from syncagent.config.process import RecycleTable, StageTable
from syncagent.model import Value
from syncagent.model.address import MOBILE

Test = str | bool | int | float | list[str | int | float]


class FitChoiceTable(Struct, frozen=True):
    priority: float
    value: Value = None
    values: tuple[Value, ...] = ()
    list: str = ""
    matches: str = ""
    min: float | None = None
    max: float | None = None
    present: bool | None = None
    newer: str = ""
    older: str = ""


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
    each: bool = False
    idle: str = ""


class DecayTable(Struct, frozen=True):
    half_life: str = ""
    steps: dict[str, float] = {}


Names = str | tuple[str, ...]


class InterestTable(Struct, frozen=True):
    activity: Names
    weight: float
    choices: tuple[InterestChoiceTable, ...]
    asset: Names = ""
    not_asset: Names = ""
    source: Names = ""
    campaign: Names = ""
    where: dict[str, Test] = {}
    decay: DecayTable | None = None
    cap: float | None = None
    cap_per_day: float | None = None
    group: str = ""
    name: str = ""


class GradeTable(Struct, frozen=True):
    letters: tuple[float, float, float] = (0.75, 0.5, 0.25)
    numbers: tuple[float, float, float] = (0.75, 0.5, 0.25)


class GroupCapTable(Struct, frozen=True):
    most: float | None = None
    per_day: float | None = None


class RobotsTable(Struct, frozen=True):
    exclude: bool = True
    marked: bool = True
    after_delivery: str = ""
    links: int = 0
    clicked: Names = ("email.clicked", "email.opened")
    delivered: Names = "email.delivered"
    admit: Names = ""


class TrainedTable(Struct, frozen=True):
    file: str
    grade: tuple[float, float, float] | None = None


class ScoreTable(Struct, frozen=True):
    """[score]: the live model, and the lists that all models use."""

    fit: tuple[FitTable, ...] = ()
    interest: tuple[InterestTable, ...] = ()
    grade: GradeTable = GradeTable()
    caps: dict[str, GroupCapTable] = {}
    bots: RobotsTable = RobotsTable()
    lists: dict[str, tuple[str, ...]] = {}
    write: bool = True
    model: TrainedTable | None = None


class ModelAlertTable(Struct, frozen=True):
    above: float | None = None
    below: float | None = None
    says: str = ""


class ModelTable(Struct, frozen=True):
    """[models.NAME]: a model beside the live one, with the keys of [score]."""

    of: Literal["leads", "customers", "deals", "accounts"] = "leads"
    shadow: bool = False
    alert: ModelAlertTable | None = None
    fit: tuple[FitTable, ...] = ()
    interest: tuple[InterestTable, ...] = ()
    grade: GradeTable = GradeTable()
    caps: dict[str, GroupCapTable] = {}
    bots: RobotsTable | None = None


class ReadyTable(Struct, frozen=True):
    score: float | None = None
    grades: tuple[str, ...] = ()


class MqlTable(Struct, frozen=True):
    any: ReadyTable | None = None
    all: ReadyTable | None = None


class SegmentTable(Struct, frozen=True):
    name: str
    mql: MqlTable
    when: dict[str, Test] = {}
    model: str = ""


class HandRaiserTable(Struct, frozen=True):
    activity: str
    asset: str = ""


class BantfoTable(Struct, frozen=True):
    required: tuple[str, ...] = ()
    unknown: Literal["ask", "wait"] = "ask"
    no: Literal["wait", "pass"] = "wait"


class QuestionTable(Struct, frozen=True):
    ask: str = ""
    attribute: str = ""
    yes: Test | None = None
    no: Test | None = None
    keeps: str = ""
    unknown: Literal["", "ask", "wait"] = ""


class GateTable(Struct, frozen=True):
    bantfo: BantfoTable = BantfoTable()
    questions: dict[str, QuestionTable] = {}


class BrakeTable(Struct, frozen=True):
    per_hour: int = 200
    share: float = 0.05
    per_rep: int = 20
    hand_raisers_per_hour: int = 200


class HandoffTable(Struct, frozen=True):
    mql: MqlTable
    always: tuple[HandRaiserTable, ...] = ()
    gate: GateTable = GateTable()
    segments: tuple[SegmentTable, ...] = ()
    brake: BrakeTable = BrakeTable()
    live_from: date | datetime | None = None
    brief: BriefTable = BriefTable()


class CapTable(Struct, frozen=True):
    open: int | None = None
    per_day: int | None = None


class PlaceTable(Struct, frozen=True, kw_only=True):
    """Where and when somebody works: of a rep, of a team, or of all."""

    hours: str = ""
    timezone: str = ""
    country: str = ""
    subdivision: str = ""


class RepTable(PlaceTable, frozen=True, kw_only=True):
    name: str
    crm_id: str
    weight: float = 1.0
    cap: CapTable = CapTable()
    away: tuple[str, ...] = ()
    calendar: str = ""
    skills: dict[str, str | tuple[str, ...]] = {}
    manager: str = ""


class TeamTable(PlaceTable, frozen=True, kw_only=True):
    """[team]: what holds for all reps."""

    holidays: tuple[str, ...] = ()
    manager: str = ""


class PoolTable(TeamTable, frozen=True, kw_only=True):
    """[teams.NAME]: a pool with a name, and what holds for its members before [team]."""

    members: tuple[str, ...]


class RouteToTable(Struct, frozen=True):
    pool: tuple[str, ...] = ()
    pick: Literal["weighted", "least_busy", "first_available"] = "weighted"
    queue: str = ""
    fallback_queue: str = ""
    team: str = ""
    then: tuple[str, ...] = ()
    sticky: bool = False
    skills: tuple[str, ...] = ()
    at_work: bool | None = None
    nobody: Literal["queue", "next", "wait"] = "queue"


class WaitTable(Struct, frozen=True):
    fields: tuple[str, ...]
    at_most: str = "10m"


class RouteTable(Struct, frozen=True):
    name: str
    to: RouteToTable
    when: dict[str, Test] = {}
    wait_for: WaitTable | None = None


class RoutingTable(Struct, frozen=True):
    """[routing]: who is asked first, and what all routes read."""

    order: tuple[str, ...] = ()
    short_promise: str = "15m"
    owners: Literal["reps", "anybody"] = "reps"
    countries: dict[str, tuple[str, ...]] = {}
    territories: str = ""


class StepTable(Struct, frozen=True):
    at: str
    do: Literal["remind", "alert", "reassign", "escalate", "queue"]
    to: str = ""


class TouchTable(Struct, frozen=True):
    tasks: tuple[str, ...] = ()
    by: Literal["owner", "anyone"] = "owner"
    not_by: tuple[str, ...] = ("automation",)
    bulk: int = 10


class ConversationTable(Struct, frozen=True):
    tasks: tuple[str, ...] = ("Call", "Meeting")
    outcomes: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()


class SlaTable(Struct, frozen=True):
    """[[sla]]: one promise: a first_touch, a first_conversation, or how long a stage may last (stage, within)."""

    name: str
    first_touch: str = ""
    first_conversation: str = ""
    stage: str = ""
    within: str = ""
    when: dict[str, Test] = {}
    clock: Literal["rep", "team", "wall"] = "wall"
    pause_on: tuple[str, ...] | None = None
    pause_holidays: bool = False
    touch: TouchTable = TouchTable()
    conversation: ConversationTable | None = None
    steps: tuple[StepTable, ...] = ()


class CrmPolicyTable(Struct, frozen=True):
    """The part of [crm] that is agreement; the rest is its connector's."""

    status: dict[str, str | list[str]]
    queues: dict[str, str] = {}
    automation_users: tuple[str, ...] = ()
    create: Literal["never", "when_missing"] = "never"
    default_company: str = "[not provided]"


class IdentityTable(Struct, frozen=True):
    """[identity]: which addresses and numbers mean one person, and which domains mean a company."""

    plus_tags: Literal["keep", "ignore"] = "keep"
    gmail_dots: Literal["keep", "ignore"] = "keep"
    placeholders: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    not_shared: tuple[str, ...] = ()
    phones: tuple[str, ...] = MOBILE
    free_mail: tuple[str, ...] = ()


class AccountsTable(Struct, frozen=True):
    """[accounts]: lists of key accounts, the most important first."""

    lists: dict[str, tuple[str, ...]] = {}


class AgreementTables(Struct, frozen=True):
    """All tables of the agreement, as read."""

    handoff: HandoffTable
    routes: tuple[RouteTable, ...]
    crm: CrmPolicyTable
    score: ScoreTable = ScoreTable()
    models: dict[str, ModelTable] = field(default_factory=dict)
    reps: tuple[RepTable, ...] = ()
    team: TeamTable = TeamTable()
    teams: dict[str, PoolTable] = field(default_factory=dict)
    routing: RoutingTable = RoutingTable()
    regions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sla: tuple[SlaTable, ...] = ()
    recycle: RecycleTable = RecycleTable()
    alerts: AlertsTable = AlertsTable()
    insight: InsightTable = InsightTable()
    stages: dict[str, StageTable] = field(default_factory=dict)
    accounts: AccountsTable = AccountsTable()
    identity: IdentityTable = IdentityTable()
    profile: dict[str, str | list[str]] = field(default_factory=dict)
