"""When somebody is ready: weights and priorities, models, lines, the gate and its questions."""

from typing import Literal

from msgspec import Struct

from syncagent.policy.conditions import Condition, Duration

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
    """The weights, and the shares of what can be earned at which letters and numbers begin.

    `letters` (0.75, 0.5, 0.25): a fit of at least 75 % of the most that all fit rules give is an A, 50 % a B, 25 % a C,
    else D; `numbers` likewise for interest: 1, 2, 3, else 4. The most is what the best choices give within the caps.
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
