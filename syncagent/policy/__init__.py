"""What marketing and sales agreed: the frozen settings that `plan` reads. Built from TOML and checked by `config`.

Durations: whole calendar `days` in the policy's zone (written "90d"), or `minutes` ("5m", "2h"), real or working time
as the clock of the rule says. Points: contribution = weight x priority / 10; fit weights together at most 50, fit and
interest exactly 100. Ids of reps and queues are CRM ids.
"""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from syncagent.model import Scorecard, Stage
from syncagent.policy.alarms import AlertPolicy, RejectionAlarm, SilenceAlarm
from syncagent.policy.conditions import Condition, Duration
from syncagent.policy.insight import (
    LISTS,
    MOMENT_PLACEHOLDERS,
    MOMENTS,
    MOST_WORDS,
    PLACEHOLDERS,
    BriefPolicy,
    InsightPolicy,
    MomentRule,
)
from syncagent.policy.process import NurtureTarget, OnBehalf, ReasonRule, RecyclePolicy, StageRule, StatusReason
from syncagent.policy.promises import SlaTerms
from syncagent.policy.routing import (
    ORDER,
    POSTAL,
    Hours,
    Pool,
    Rep,
    Route,
    RouteTarget,
    RoutingPolicy,
    Step,
    Territory,
    WaitFor,
)
from syncagent.policy.scoring import (
    DERIVED,
    QUESTIONS,
    Decay,
    FitChoice,
    FitRule,
    Gate,
    Globs,
    GroupCap,
    HandRaiser,
    InterestChoice,
    InterestRule,
    ModelAlert,
    NamedModel,
    Population,
    Question,
    Robots,
    ScoreModel,
    Segment,
    Threshold,
)

__all__ = [
    "ALWAYS_FIND",
    "DERIVED",
    "LISTS",
    "MOMENTS",
    "MOMENT_PLACEHOLDERS",
    "MOST_WORDS",
    "ORDER",
    "PLACEHOLDERS",
    "POSTAL",
    "QUESTIONS",
    "AlertPolicy",
    "BrakePolicy",
    "BriefPolicy",
    "Condition",
    "CrmPolicy",
    "Decay",
    "Duration",
    "FitChoice",
    "FitRule",
    "Gate",
    "Globs",
    "GroupCap",
    "HandRaiser",
    "Hours",
    "InsightPolicy",
    "InterestChoice",
    "InterestRule",
    "ModelAlert",
    "MomentRule",
    "NamedModel",
    "NurtureTarget",
    "OnBehalf",
    "Policy",
    "Pool",
    "Population",
    "ProfilePolicy",
    "Question",
    "ReasonRule",
    "RecyclePolicy",
    "RejectionAlarm",
    "Rep",
    "Robots",
    "Route",
    "RouteTarget",
    "RoutingPolicy",
    "ScoreModel",
    "Segment",
    "SilenceAlarm",
    "SlaTerms",
    "StageRule",
    "StatusReason",
    "Step",
    "Territory",
    "Threshold",
    "WaitFor",
]


class CrmPolicy(Struct, frozen=True):
    """How the CRM's picklist and ours meet.

    `write_status`: stage -> the status that we write (mql, recycled ...). `answers`: the CRM's status -> the stage it
    means ("Working - Contacted" -> sal, "Recycled" -> recycled, "Unqualified" -> disqualified). `untouched`: statuses
    in which marketing may still hand a lead off (the org's "Open - Not Contacted"). Anything else is a working, closed
    or unmapped status: adopted, not handed off. `me` is the integration user's id.
    """

    system: str = "crm"
    write_status: dict[str, str] = {}
    answers: dict[str, Stage] = {}
    untouched: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()  # ours names of the mapped fields: score, grade, stage_date, recycle_until ...
    create: Literal["never", "when_missing"] = "never"
    me: str = ""
    automation_users: tuple[str, ...] = ()
    notify: bool = False  # push a notification beside every task and alert, at most once
    default_company: str = "[not provided]"


class BrakePolicy(Struct, frozen=True):
    """No sudden flood: by cause and sliding hour at most the larger of `per_hour` and `share` of those with sales.

    Nobody gets more than `per_rep` of them.
    """

    per_hour: int = 200
    share: float = 0.05
    per_rep: int = 20
    hand_raisers_per_hour: int = 200


ALWAYS_FIND = ("newest", "first", "longest")
"""Rules of a profile that need no system's name."""


class ProfilePolicy(Struct, frozen=True):
    """Which of several values of an attribute counts, when systems differ.

    A rule is "newest" (the source that saw them last; the CRM fills what is missing), "first" (the value that was
    seen first of all), "longest", or systems in the order in which they are asked; then comes the newest.
    `rules` go before `default`.
    """

    default: tuple[str, ...] = ("newest",)
    rules: dict[str, tuple[str, ...]] = {}


class Policy(Struct, frozen=True):
    """The whole agreement. `live_from`: only what happens from then on opens a handoff (law 11)."""

    timezone: str
    live_from: datetime
    scoring: ScoreModel
    mql: Threshold
    crm: CrmPolicy
    routes: tuple[Route, ...]
    reps: tuple[Rep, ...] = ()
    queues: dict[str, str] = {}  # name -> CRM id
    always: tuple[HandRaiser, ...] = ()
    gate: Gate = Gate()
    segments: tuple[Segment, ...] = ()
    models: tuple[NamedModel, ...] = ()
    slas: tuple[SlaTerms, ...] = ()
    recycle: RecyclePolicy = RecyclePolicy()
    stages: tuple[StageRule, ...] = ()
    brake: BrakePolicy = BrakePolicy()
    alerts: AlertPolicy = AlertPolicy()
    brief: BriefPolicy = BriefPolicy()
    insight: InsightPolicy = InsightPolicy()
    team_hours: Hours | None = None
    holidays: tuple[str, ...] = ()
    manager: str = ""  # CRM id that escalations go to when a rep has no manager of their own
    alarm_undelivered: Duration = Duration(minutes=5)
    write_scores: bool = True  # score-only writes to the CRM; off until the first mass write has been released
    free_mail: tuple[str, ...] = ()  # mail domains that are no company, beyond those that everybody knows
    accounts: dict[str, tuple[str, ...]] = {}  # lists of key accounts: names, domains or CRM ids; the first counts
    profile: ProfilePolicy = ProfilePolicy()
    likelihood: Scorecard | None = None  # a trained model: its answer is the attribute "likelihood", 0 to 100
    routing: RoutingPolicy = RoutingPolicy()
    digest: str = ""  # hash of the config that this was built from
