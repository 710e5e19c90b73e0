"""What marketing and sales agreed: the frozen settings that `plan` reads. Built from TOML and checked by `config.py`.

Durations: whole calendar `days` in the policy's zone (written "90d"), or `minutes` ("5m", "2h"), real or working time
as the clock of the rule says. Points: contribution = weight x priority / 10; fit weights together at most 50, fit and
interest together 100. Ids of reps and queues are CRM ids.
"""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from syncagent.model import Scorecard, SlaStep, Stage, Value


class Duration(Struct, frozen=True):
    """Calendar days or minutes; one of the two is 0."""

    days: int = 0
    minutes: int = 0


class Condition(Struct, frozen=True):
    """One test of an attribute; all that is given must hold. Texts compare without case.

    `matches` is a regular expression searched in the text; `minimum`/`maximum` are inclusive numbers; `present` asks
    whether there is a value at all.
    """

    values: tuple[Value, ...] = ()
    matches: str = ""
    minimum: float | None = None
    maximum: float | None = None
    present: bool | None = None


class FitChoice(Struct, frozen=True):
    """If the condition holds, this priority (-10 to 10) counts. The first choice that holds is taken."""

    priority: float
    condition: Condition


class FitRule(Struct, frozen=True):
    """Who they are: one attribute and its weight."""

    name: str
    attribute: str
    weight: float
    choices: tuple[FitChoice, ...]


class InterestChoice(Struct, frozen=True):
    """If at least (or exactly) so many happened within the window, this priority counts; the first that holds wins."""

    priority: float
    at_least: int = 1
    exactly: int | None = None
    within: Duration | None = None


class InterestRule(Struct, frozen=True):
    """What they do. `activity` and `asset` are globs ("form.*", "demo-*"); an empty asset means any."""

    name: str
    activity: str
    weight: float
    choices: tuple[InterestChoice, ...]
    asset: str = ""


class ScoreModel(Struct, frozen=True):
    """The weights, and the shares of the possible fit and interest at which letters and numbers begin.

    `letters` (0.75, 0.5, 0.25): a fit of at least 75 % of all fit weights is an A, 50 % a B, 25 % a C, else D;
    `numbers` likewise for interest: 1, 2, 3, else 4.
    """

    fit: tuple[FitRule, ...] = ()
    interest: tuple[InterestRule, ...] = ()
    letters: tuple[float, float, float] = (0.75, 0.5, 0.25)
    numbers: tuple[float, float, float] = (0.75, 0.5, 0.25)
    exclude_bots: bool = True


class Threshold(Struct, frozen=True):
    """When a person is ready: the score, or one of the grades; `need` says whether any or all must hold."""

    need: Literal["any", "all"] = "any"
    score: float | None = None
    grades: tuple[str, ...] = ()


class HandRaiser(Struct, frozen=True):
    """An activity that hands the person off at once: no score, no gate, a brake allowance of its own."""

    activity: str
    asset: str = ""


class Gate(Struct, frozen=True):
    """BANTFO: which answers are required; while one is unknown: "ask" (hand off, ask in the task) or "wait".

    An answer is the attribute "bantfo_<name>" (yes / no), e.g. "bantfo_need".
    """

    required: tuple[str, ...] = ()
    unknown: Literal["ask", "wait"] = "ask"


class Hours(Struct, frozen=True):
    """Working hours: for each weekday (0 = Monday) the (start, end) pairs in minutes after local midnight."""

    week: tuple[tuple[tuple[int, int], ...], ...]
    zone: str = "UTC"


class Rep(Struct, frozen=True):
    """Somebody who takes leads. `away` are ISO dates (absences and holidays); `weight` is their share in a rotation."""

    name: str
    crm_id: str
    weight: float = 1.0
    hours: Hours | None = None  # None: always at work
    cap_open: int | None = None
    cap_per_day: int | None = None
    away: tuple[str, ...] = ()
    manager: str = ""  # CRM id of who is told when a promise is broken


class RouteTarget(Struct, frozen=True):
    """A pool of reps (CRM ids; picked by weighted rotation), or a queue. Exactly one is given."""

    pool: tuple[str, ...] = ()
    queue: str = ""
    fallback_queue: str = ""  # where it goes when nobody of the pool can take it


class Route(Struct, frozen=True):
    """The first route whose conditions all hold takes the lead; `when` maps attributes to conditions."""

    name: str
    to: RouteTarget
    when: dict[str, Condition] = {}


class SlaTerms(Struct, frozen=True):
    """A promise and whom it holds for: grades (any if empty) and attributes."""

    name: str
    first_touch: Duration
    grades: tuple[str, ...] = ()
    when: dict[str, Condition] = {}
    clock: Literal["rep", "team", "wall"] = "wall"
    steps: tuple[SlaStep, ...] = ()
    touch_tasks: tuple[str, ...] = ()
    not_by: tuple[str, ...] = ("automation",)


class NurtureTarget(Struct, frozen=True):
    """Where a recycled person goes in the marketing system: a static list, or a requested campaign."""

    source: str
    list_id: int | None = None
    campaign_id: int | None = None


class RecyclePolicy(Struct, frozen=True):
    """When a lead given back comes up again: on the rep's date, else after `default`; earlier on a strong signal.

    `wake_points` interest points from activities after the recycling, within `wake_within`, bring it up early.
    `most_returns`: after so many handoffs it stays with marketing (closed).
    """

    default: Duration = Duration(days=90)
    wake_points: float | None = None
    wake_within: Duration = Duration(days=7)
    nurture: NurtureTarget | None = None
    most_returns: int = 5
    owner: str = ""  # a queue or user that holds recycled leads; empty: the owner stays


class StageRule(Struct, frozen=True):
    """The process map: who answers for the stage, the longest stay, what comes next."""

    stage: Stage
    owner: str = ""
    longest: Duration | None = None
    next: Stage | None = None


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
    slas: tuple[SlaTerms, ...] = ()
    recycle: RecyclePolicy = RecyclePolicy()
    stages: tuple[StageRule, ...] = ()
    brake: BrakePolicy = BrakePolicy()
    team_hours: Hours | None = None
    holidays: tuple[str, ...] = ()
    manager: str = ""  # CRM id that escalations go to when a rep has no manager of their own
    alarm_undelivered: Duration = Duration(minutes=5)
    write_scores: bool = True  # score-only writes to the CRM; off until the first mass write has been released
    free_mail: tuple[str, ...] = ()  # mail domains that are no company, beyond those that everybody knows
    profile: ProfilePolicy = ProfilePolicy()
    likelihood: Scorecard | None = None  # a trained model: its answer is the attribute "likelihood", 0 to 100
    digest: str = ""  # hash of the config that this was built from
