"""What a population shows of a policy: which choices, rules, routes and lines ever have anybody, and what they say.

Counts only, so that they can be added up batch by batch; of an attribute's values the most frequent are kept.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from syncagent.handoff.companies import placed
from syncagent.handoff.conditions import Fits, fits_of, is_known
from syncagent.handoff.derived import account_of
from syncagent.handoff.fit import FitRules, shown
from syncagent.handoff.gate import attribute_of
from syncagent.handoff.interest import AHEAD
from syncagent.handoff.routing import ways_of
from syncagent.handoff.scoring import Scorer, company_of, done_by, is_ready, weigh, worked_out
from syncagent.model import Contribution, Dossier, Value
from syncagent.policy import FitChoice, FitRule, Policy, Population, Question, ScoreModel
from syncagent.policy.template import line_of

VALUES = 200
"""Of an attribute with more than twice as many values only so many are kept, the most frequent."""
_REMEMBERED = 20_000


class Observed(Struct):
    """Counts of people, by path ("score.fit[2].choices[1]", "routes[3]") or by name.

    `met`: who meets a choice, `fired`: whom a rule gives points or takes them, `matched`: activities that a rule
    counts, `known`: who has a value, `values`: which; `kinds` and `assets` of activities; `grades` of the live model;
    `placeholders`: what could stand for {lead.NAME} and {account.NAME}, where the brief asks for any.
    """

    people: int = 0
    activities: int = 0
    over: int = 0
    met: Counter[str] = field(default_factory=Counter)
    fired: Counter[str] = field(default_factory=Counter)
    matched: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    assets: Counter[str] = field(default_factory=Counter)
    grades: Counter[str] = field(default_factory=Counter)
    placeholders: Counter[str] = field(default_factory=Counter)
    values: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, other: "Observed") -> None:
        """Count what another batch shows too."""
        self.people += other.people
        self.activities += other.activities
        self.over += other.over
        for name in ("met", "fired", "matched", "known", "kinds", "assets", "grades", "placeholders"):
            getattr(self, name).update(getattr(other, name))
        for attribute, seen in other.values.items():
            self.values.setdefault(attribute, Counter()).update(seen)
        self.trim()

    def trim(self) -> None:
        """Keep the most frequent values and assets, so that no population makes this large."""
        self.assets = _most(self.assets)
        self.values = {attribute: _most(seen) for attribute, seen in self.values.items()}


def open_places(names: Iterable[str]) -> Iterator[str]:
    """Placeholders that stand for any attribute of the person or of the company."""
    return (name for name in names if name.startswith(("lead.", "account.")))


def models_of(policy: Policy) -> Iterator[tuple[str, ScoreModel, Population]]:
    """Every model with the path of its tables and whom it scores."""
    yield "score", policy.scoring, "leads"
    for one in policy.models:
        yield f"models.{one.name}", one.model, one.of


class Look:
    """Question: what these people show of the policy at `now`. Asked batch by batch, as all questions are."""

    decided = False

    def __init__(self, policy: Policy, now: datetime) -> None:
        self._policy, self._now = policy, now
        self._eyes: _Eyes | None = None

    def __getstate__(self) -> tuple[Policy, datetime]:
        return self._policy, self._now

    def __setstate__(self, state: tuple[Policy, datetime]) -> None:
        self._policy, self._now = state
        self._eyes = None

    def __call__(self, dossiers: Sequence[Dossier]) -> Observed:
        if self._eyes is None:
            self._eyes = _Eyes(self._policy, self._now)
        seen = Observed()
        for dossier in dossiers:
            self._eyes.look(dossier, seen)
        seen.trim()
        return seen


class _Eyes:
    """A policy taken apart, choice by choice."""

    def __init__(self, policy: Policy, now: datetime) -> None:
        self._policy, self._now = policy, now
        self._models = [
            (path, model, of, Scorer(model, policy.always, policy.timezone), _choices(path, model, policy.timezone))
            for path, model, of in models_of(policy)
        ]
        asked = (*policy.gate.required, *(one.name for one in policy.gate.questions))
        by_name = {one.name: one for one in policy.gate.questions}
        self._attributes = {attribute_of(by_name.get(name, Question(name))) for name in asked}
        self._attributes.update(rule.attribute for _, model, _ in models_of(policy) for rule in model.fit)
        whens = [one.when for one in policy.segments]
        whens += [one.when for one in policy.routes]
        whens += [one.when for one in policy.slas]
        self._attributes.update(name for when in whens for name in when)
        self._raisers = [
            (f"handoff.always[{n}]", Scorer(ScoreModel(), (one,), policy.timezone))
            for n, one in enumerate(policy.always, 1)
        ]
        self._lists: tuple[tuple[tuple[str, Fits], ...], ...] = (
            tuple((f"handoff.segments[{n}]", fits_of(one.when)) for n, one in enumerate(policy.segments, 1)),
            tuple((f"routes[{n}]", way.fits) for n, way in enumerate(ways_of(policy), 1)),
        )
        self._places = any(any(open_places(line_of(one).names)) for one in policy.brief.lines)
        self._remembered: dict[tuple[str, bool, Value], tuple[str, ...]] = {}

    def look(self, dossier: Dossier, seen: Observed) -> None:
        known = worked_out(dossier, self._policy, self._now)
        judged = weigh(dossier, self._policy, self._now)
        seen.people += 1
        seen.activities += len(dossier.activities)
        seen.over += is_ready(judged.score, judged.line)
        seen.grades[judged.score.grade] += 1
        seen.kinds.update(one.kind for one in dossier.activities)
        seen.assets.update(one.asset for one in dossier.activities if one.asset)
        account = placed(dossier, self._policy).account
        company = company_of(account, self._policy) if account is not None else {}
        for attribute in self._attributes:
            value = known.get(attribute, company.get(attribute))
            if is_known(value):
                seen.known[attribute] += 1
                seen.values.setdefault(attribute, Counter())[shown(value)] += 1
        if self._places:
            said = {**{f"lead.{name}": value for name, value in known.items()}, **account_of(dossier)}
            seen.placeholders.update(name for name, value in said.items() if is_known(value))
        for path, _, of, scorer, choices in self._models:
            told = company if of == "accounts" else known
            for rule, each in choices:
                seen.met.update(self._met(each, told.get(rule.attribute)))
            self._interest(path, scorer, dossier, told, seen)
        for path, raiser in self._raisers:
            if raiser.judge(dossier.activities, {}, self._now).raiser is not None:
                seen.met[path] += 1
        for some in self._lists:
            path = next((path for path, fits in some if fits(known)), "")
            if path:
                seen.met[path] += 1

    def _interest(self, path: str, scorer: Scorer, dossier: Dossier, told: Mapping[str, Value], seen: Observed) -> None:
        rules = scorer.interest
        done = done_by(dossier)
        robots = rules.robots.by_time(done) if rules.robots.timed else ()
        hits, _, _ = rules.sort_out(done, self._now + AHEAD, robots)
        given: list[Contribution] = []
        rules.weigh(hits, self._now, given)
        scorer.fit.weigh(told, self._now, given)
        fired = {one.rule for one in given}
        for part, names in (
            ("fit", [one.name for one in scorer.fit.rules]),
            ("interest", [one.name for one in rules.rules]),
        ):
            seen.fired.update(f"{path}.{part}[{n}]" for n, name in enumerate(names, 1) if name in fired)
        for index, found in hits.items():
            seen.matched[f"{path}.interest[{index + 1}]"] += len(found)

    def _met(self, choices: tuple["_Choice", ...], value: Value) -> tuple[str, ...]:
        key = (choices[0].path if choices else "", isinstance(value, bool), value)  # for Python, True is 1
        found = self._remembered.get(key)
        if found is None:
            found = tuple(one.path for one in choices if one.holds(value, self._now))
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = found
        return found


class _Choice:
    """One choice of a fit rule by itself, so that the engine's own test says whether it holds."""

    def __init__(self, path: str, rule: FitRule, choice: FitChoice, zone: str) -> None:
        self.path, self._attribute = path, rule.attribute
        alone = replace(rule, weight=1.0, choices=(FitChoice(10, choice.condition),))
        self._rules = FitRules((alone,), zone)

    def holds(self, value: Value, now: datetime) -> bool:
        return self._rules.weigh({self._attribute: value}, now, [])[0] > 0


def _choices(path: str, model: ScoreModel, zone: str) -> list[tuple[FitRule, tuple[_Choice, ...]]]:
    return [
        (
            rule,
            tuple(
                _Choice(f"{path}.fit[{n}].choices[{k}]", rule, choice, zone) for k, choice in enumerate(rule.choices, 1)
            ),
        )
        for n, rule in enumerate(model.fit, 1)
    ]


def _most(seen: Counter[str]) -> Counter[str]:
    return Counter(dict(seen.most_common(VALUES))) if len(seen) > 2 * VALUES else seen
