"""What marketing and sales agreed: the frozen settings that `plan` reads. Built from TOML and checked by `config.py`.

Durations: whole calendar `days` in the policy's zone (written "90d"), or `minutes` ("5m", "2h"), real or working time
as the clock of the rule says. Points: contribution = weight x priority / 10; fit weights together at most 50, fit and
interest exactly 100. Ids of reps and queues are CRM ids.
"""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from syncagent.model import SlaStep, Stage, Value


class Duration(Struct, frozen=True):
    """Calendar days or minutes; one of the two is 0."""

    days: int = 0
    minutes: int = 0


class Condition(Struct, frozen=True):
    """One test of an attribute; all that is given must hold. Texts compare without case.

    `matches` is a regular expression searched in the text; `globs` are names of which one must fit ("*.edu"), as the
    lists of the config are; `minimum`/`maximum` are inclusive numbers; `present` asks whether there is a value at all.
    `newer`/`older` test the age of a date: at most, or more than, so long ago. Only fit rules know the time.
    """

    values: tuple[Value, ...] = ()
    matches: str = ""
    minimum: float | None = None
    maximum: float | None = None
    present: bool | None = None
    globs: tuple[str, ...] = ()
    newer: Duration | None = None
    older: Duration | None = None


DERIVED = (
    "email.domain",
    "came.kind",
    "came.asset",
    "came.source",
    "came.campaign",
    "deal.stage",
    "deal.amount",
    "deal.created",
    "deal.closes",
    "deal.count",
)
"""Attributes that are worked out instead of told; beside them "account.<name>". See `handoff/derived.py`."""


class FitChoice(Struct, frozen=True):
    """If the condition holds, this priority (-10 to 10) counts. The first choice that holds is taken."""

    priority: float
    condition: Condition


class FitRule(Struct, frozen=True):
    """Who they are: one attribute and its weight.

    Besides the attributes that systems tell there are those that are worked out (`handoff/derived.py`): "email.domain",
    "came.kind" (the first thing they did), "account.engaged", "account.score", "deal.amount" ...
    """

    name: str
    attribute: str
    weight: float
    choices: tuple[FitChoice, ...]


class InterestChoice(Struct, frozen=True):
    """If at least (or exactly) so many happened within the window, this priority counts; the first that holds wins.

    `each`: the priority counts once for each of them, all of them together at most the rule's weight (or its cap).
    `idle`: holds when there was something once, and nothing for so long; then the numbers and the window say nothing.
    """

    priority: float
    at_least: int = 1
    exactly: int | None = None
    within: Duration | None = None
    each: bool = False
    idle: Duration | None = None


class Decay(Struct, frozen=True):
    """How positive points fade: by the age in whole days of the policy's zone, so from midnight to midnight.

    Either after each `half_life` days half of them are left, or `steps` (days, share): from that age on so much of
    them. What an `each` choice gives fades by the age of each activity, all else by that of the newest it rests on.
    """

    half_life: float = 0.0
    steps: tuple[tuple[int, float], ...] = ()


Globs = str | tuple[str, ...]
"""One glob ("demo-*") or several, of which one must fit; an empty one says nothing. Without case."""


class InterestRule(Struct, frozen=True):
    """What they do. `activity`, `asset`, `source`, `campaign` are globs ("form.*"); empty means any.

    `where` are conditions on the activity's own attributes. `cap`: most points of the rule (its weight, if that is
    less); `cap_per_day`: most points that what was done on one day of the policy's zone gives, before it fades.
    `group`: shares the group's caps. Caps hold positive points down, and nothing else.
    """

    name: str
    activity: Globs
    weight: float
    choices: tuple[InterestChoice, ...]
    asset: Globs = ""
    not_asset: Globs = ""
    source: Globs = ""
    campaign: Globs = ""
    where: dict[str, Condition] = {}
    decay: Decay | None = None
    cap: float | None = None
    cap_per_day: float | None = None
    group: str = ""


class GroupCap(Struct, frozen=True):
    """Most points that the rules of a group give together, in all and for one day; the lower rules give way."""

    group: str
    most: float | None = None
    per_day: float | None = None


class Robots(Struct, frozen=True):
    """What is done by mail scanners and bots, and so does not count. `ScoreModel.exclude_bots` False lets all in.

    `marked`: the source says so ("Is Bot Activity"). `after_delivery`: within so many seconds of the delivery of the
    same mail (0: not tested). `links`: so many links of one mail within one second (0: not tested). `clicked` and
    `delivered` name the kinds; what fits an `admit` glob by its asset always counts.
    """

    marked: bool = True
    after_delivery: float = 0.0
    links: int = 0
    clicked: Globs = ("email.clicked", "email.opened")
    delivered: Globs = "email.delivered"
    admit: Globs = ""


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
    robots: Robots = Robots()
    caps: tuple[GroupCap, ...] = ()


Population = Literal["leads", "customers", "deals", "accounts"]


class ModelAlert(Struct, frozen=True):
    """Who a model is about has crossed a line: the owner is told, once for each crossing."""

    above: float | None = None
    below: float | None = None
    says: str = ""


class NamedModel(Struct, frozen=True):
    """A score model beside the live one (`Policy.scoring`).

    `of` "leads": live for the segments that name it; with `shadow` it runs beside for everybody and decides nothing.
    "customers": people with a won deal or the stage customer. "deals": each open deal of a person (likelihood).
    "accounts": companies, fit rules only, 100 together; persons' rules read it as "account.score", "account.grade".
    """

    name: str
    model: ScoreModel
    of: Population = "leads"
    shadow: bool = False
    alert: ModelAlert | None = None


class Threshold(Struct, frozen=True):
    """When a person is ready: the score, or one of the grades; `need` says whether any or all must hold."""

    need: Literal["any", "all"] = "any"
    score: float | None = None
    grades: tuple[str, ...] = ()


class HandRaiser(Struct, frozen=True):
    """An activity that hands the person off at once: no score, no gate, a brake allowance of its own."""

    activity: str
    asset: str = ""


class Segment(Struct, frozen=True):
    """A product line or region with a line of its own; the first whose conditions hold counts, else `Policy.mql`.

    `model`: the `NamedModel` that is live here; empty: `Policy.scoring`.
    """

    name: str
    mql: Threshold
    when: dict[str, Condition] = {}
    model: str = ""


QUESTIONS = {
    "budget": "Is there a budget for it, or how would it get one?",
    "authority": "Who decides, and are you the one or do you advise them?",
    "need": "Which problem should it solve, and what happens if nothing changes?",
    "timing": "By when should it be in use?",
    "fit": "Does what we offer suit their size, trade and systems?",
    "other": "Is there anything else that stands in the way?",
    "compelling_event": "What makes it urgent now: an event, a deadline, a change?",
    "decision": "How is it decided, and who takes part?",
    "timeframe": "By when will it be decided?",
    "size": "How large is it: users, sites, amount?",
}
"""The questions that everybody asks, and how a rep puts them."""


class Question(Struct, frozen=True):
    """One thing to know before sales takes over: budget, authority, need, timing, fit, other, or any of your own.

    Its answer stands in `attribute` ("bantfo_<name>" if empty). `yes` and `no` say what it must be; without `yes` any
    answer that is not a no will do ("no", "false", "0", "n" are). `ask` is the sentence for the rep. An answer older
    than `keeps` is unknown again. `unknown` "" follows the gate.
    """

    name: str
    ask: str = ""
    attribute: str = ""
    yes: Condition | None = None
    no: Condition | None = None
    keeps: Duration | None = None
    unknown: Literal["", "ask", "wait"] = ""


class Gate(Struct, frozen=True):
    """Which answers are required, in the order in which to ask; a high score alone does not pass.

    While one is unknown: "ask" (hand off, ask in the task) or "wait". Where one is a no: "wait" or "pass".
    A required name that is no question of `questions` is one with the attribute "bantfo_<name>".
    """

    required: tuple[str, ...] = ()
    unknown: Literal["ask", "wait"] = "ask"
    no: Literal["wait", "pass"] = "wait"
    questions: tuple[Question, ...] = ()


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
    segments: tuple[Segment, ...] = ()
    models: tuple[NamedModel, ...] = ()
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
    digest: str = ""  # hash of the config that this was built from
