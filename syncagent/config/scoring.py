"""The tables of scoring as models, segments and gate; whatever would make a model mean nothing is told."""

import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Literal, TypeVar

from msgspec.structs import replace

from syncagent.config.conditions import Tell, check_pattern, condition, conditions
from syncagent.config.reading import duration, nearest
from syncagent.config.tables import (
    AgreementTables,
    DecayTable,
    FitChoiceTable,
    FitTable,
    InterestChoiceTable,
    InterestTable,
    ModelTable,
    MqlTable,
    RobotsTable,
    ScoreTable,
)
from syncagent.errors import Problem
from syncagent.policy import (
    DERIVED,
    QUESTIONS,
    Condition,
    Decay,
    Duration,
    FitChoice,
    FitRule,
    Gate,
    GroupCap,
    InterestChoice,
    InterestRule,
    ModelAlert,
    NamedModel,
    Question,
    Robots,
    ScoreModel,
    Segment,
    Threshold,
)

_MOST = 100.0
_BUILT_IN = {
    "disposable": (
        "10minutemail.*", "dispostable.com", "fakeinbox.com", "getnada.com", "guerrillamail.*", "mailinator.*",
        "mailnesia.com", "maildrop.cc", "mohmal.com", "sharklasers.com", "temp-mail.*", "tempmail.*",
        "throwawaymail.com", "trashmail.*", "yopmail.*",
    ),
    "academic": ("*.edu", "*.edu.*", "*.ac.*"),
}  # fmt: skip
"""Lists that need not be written down: throw-away mail and universities, as domains."""


class ScoringTranslation:
    """Turns the tables of scoring into policy; `is_whole` says whether every path that fits a pattern could be read."""

    def __init__(
        self, tables: AgreementTables, tell: Tell, is_whole: Callable[[str], bool], problems: list[Problem]
    ) -> None:
        """`tell` keeps quiet of what follows from a path that could not be read; `problems` takes what does not."""
        self._tables, self._tell, self._is_whole, self._problems = tables, tell, is_whole, problems
        self._lists = {**_BUILT_IN, **tables.score.lists}

    # -- models
    def live(self) -> ScoreModel:
        """The model of [score]."""
        score = self._tables.score
        return self._model(score, "score", score.bots)

    def models(self) -> tuple[NamedModel, ...]:
        """The models of [models]."""
        made = []
        named = {segment.model for segment in self._tables.handoff.segments}
        for name, table in self._tables.models.items():
            path = f"models.{name}"
            model = self._model(table, path, table.bots or self._tables.score.bots, table.of)
            self._check_use(name, table, path, used=name in named)
            alert = table.alert
            if alert is not None and alert.above is None and alert.below is None:
                self._tell(f"{path}.alert", "Say where the line is.", "For example: alert = { below = 30 }.")
            told = ModelAlert(alert.above, alert.below, alert.says) if alert is not None else None
            made.append(NamedModel(name, model, table.of, table.shadow, told))
        accounts = [name for name, table in self._tables.models.items() if table.of == "accounts"]
        for name in accounts[1:]:
            self._tell(f"models.{name}.of", f"There is one model of accounts; {accounts[0]!r} is one already.")
        return tuple(made)

    def _check_use(self, name: str, table: ModelTable, path: str, *, used: bool) -> None:
        if table.of == "leads":
            if table.alert is not None:
                self._tell(f"{path}.alert", "A model of leads hands off at its segment's line; it has no alert.")
            if not used and not table.shadow and self._is_whole(r"handoff(\.segments)?"):
                hint = f'Write shadow = true to let it run beside, or model = "{name}" in a segment.'
                self._tell(path, "No segment uses this model.", hint)
        elif table.shadow:
            self._tell(f"{path}.shadow", f"Only models of leads run in the shadow; this one is of {table.of}.")
        elif table.of == "accounts" and table.alert is not None:
            self._tell(f"{path}.alert", "Only models of customers and deals alert their owner.")

    def _model(self, table: ScoreTable | ModelTable, path: str, bots: RobotsTable, of: str = "leads") -> ScoreModel:
        fit, interest = sum(rule.weight for rule in table.fit), sum(rule.weight for rule in table.interest)
        if self._is_whole(path.replace(".", r"\.") + r"($|\.(fit|interest)(\[\d+\])?(\.weight)?$)"):
            if of == "accounts":
                self._check_accounts(table, path, fit)
            elif table.fit or table.interest:
                self._check_weights(path, fit, interest)
            elif path != "score":
                self._tell(path, "A model needs rules.", f"Write [[{path}.fit]] and [[{path}.interest]].")
        self._check_shares(table.grade.letters, f"{path}.grade.letters")
        self._check_shares(table.grade.numbers, f"{path}.grade.numbers")
        caps = tuple(GroupCap(name, cap.most, cap.per_day) for name, cap in table.caps.items())
        self._check_groups(table, path)
        return ScoreModel(
            fit=_told_apart(self._fit(rule, f"{path}.fit[{n}]") for n, rule in enumerate(table.fit, 1)),
            interest=_told_apart(
                self._interest(rule, f"{path}.interest[{n}]") for n, rule in enumerate(table.interest, 1)
            ),
            letters=table.grade.letters,
            numbers=table.grade.numbers,
            exclude_bots=bots.exclude,
            robots=self._robots(bots, "score.bots" if bots is self._tables.score.bots else f"{path}.bots"),
            caps=caps,
        )

    def _check_weights(self, path: str, fit: float, interest: float) -> None:
        if fit > 50:
            says = f"All fit weights together are {fit:g}, {fit - 50:g} above the 50 they may be."
            self._problems.append(Problem(f"{path}.fit", says))
        off = fit + interest - _MOST
        if abs(off) > 1e-9:
            amount = f"{abs(off):g} too {'many' if off > 0 else 'few'}"
            says = f"Fit weights ({fit:g}) and interest weights ({interest:g}) must be 100 together: {amount}."
            self._problems.append(Problem(path, says))

    def _check_accounts(self, table: ScoreTable | ModelTable, path: str, fit: float) -> None:
        """Companies do nothing themselves: what their people do is among their attributes."""
        if table.interest:
            self._tell(f"{path}.interest", "A model of accounts has fit rules only.", "Use account.engaged, for one.")
        if abs(fit - _MOST) > 1e-9:
            amount = f"{abs(fit - _MOST):g} too {'many' if fit > _MOST else 'few'}"
            self._tell(f"{path}.fit", f"The weights of an account model ({fit:g}) must be 100 together: {amount}.")
        for n, rule in enumerate(table.fit, 1):
            if not rule.attribute.startswith("account."):
                says = f"{rule.attribute!r} is of a person; a model of accounts knows account.* only."
                self._tell(f"{path}.fit[{n}].attribute", says)

    def _check_shares(self, shares: tuple[float, float, float], path: str) -> None:
        first, second, third = shares
        if not 1 >= first > second > third > 0:
            self._tell(path, "Shares fall from at most 1 to above 0.", "For example: [0.75, 0.5, 0.25].")

    def _check_groups(self, table: ScoreTable | ModelTable, path: str) -> None:
        used = {rule.group for rule in table.interest if rule.group}
        for n, rule in enumerate(table.interest, 1):
            if rule.group and rule.group not in table.caps and self._is_whole(path.replace(".", r"\.") + r"\.caps"):
                says = f"The group {rule.group!r} has no caps."
                hint = nearest(rule.group, table.caps) if table.caps else f"Write [{path}.caps.{rule.group}]."
                self._tell(f"{path}.interest[{n}].group", says, hint)
        for name, cap in table.caps.items():
            where = f"{path}.caps.{name}"
            if name not in used and self._is_whole(path.replace(".", r"\.") + r"\.interest"):
                self._tell(
                    where, f"No rule is in the group {name!r}.", f'Write group = "{name}" in the rules it holds.'
                )
            if cap.most is None and cap.per_day is None:
                self._tell(where, "This cap holds nothing down.", "Give most or per_day.")
            for key, points in (("most", cap.most), ("per_day", cap.per_day)):
                if points is not None and points <= 0:
                    self._tell(f"{where}.{key}", "A cap is above 0 points.")

    def _weight(self, weight: float, path: str) -> None:
        if weight <= 0:
            self._tell(f"{path}.weight", f"A weight is above 0; this is {weight:g}.", "Points are lost by priorities.")

    def _priority(self, priority: float, path: str) -> float:
        if not -10 <= priority <= 10:
            self._tell(path, f"A priority is between -10 and 10; this is {priority:g}.")
        return priority

    # -- fit
    def _fit(self, rule: FitTable, path: str) -> FitRule:
        self._weight(rule.weight, path)
        if not rule.choices:
            self._tell(f"{path}.choices", "A rule needs at least one choice.")
        prefix = rule.attribute.partition(".")[0]
        if prefix in ("email", "came", "deal") and "." in rule.attribute and rule.attribute not in DERIVED:
            known = [one for one in DERIVED if one.startswith(f"{prefix}.")]
            says = f"{rule.attribute!r} is not something that can be worked out."
            self._tell(f"{path}.attribute", says, nearest(rule.attribute, known))
        if rule.attribute in ("account.score", "account.grade"):
            if path.startswith("models.") and self._tables.models[path.split(".")[1]].of == "accounts":
                self._tell(f"{path}.attribute", "An account's score cannot rest on itself.")
            elif not any(one.of == "accounts" for one in self._tables.models.values()):
                hint = 'Write [models.accounts] with of = "accounts".'
                self._tell(f"{path}.attribute", "There is no model that scores accounts.", hint)
        choices = tuple(
            FitChoice(
                self._priority(choice.priority, f"{path}.choices[{n}]"),
                self._fit_condition(choice, rule.attribute, f"{path}.choices[{n}]"),
            )
            for n, choice in enumerate(rule.choices, 1)
        )
        return FitRule(rule.name or rule.attribute, rule.attribute, rule.weight, choices)

    def _fit_condition(self, choice: FitChoiceTable, attribute: str, path: str) -> Condition:
        if choice.matches:
            check_pattern(choice.matches, f"{path}.matches", self._tell)
        if choice.min is not None and choice.max is not None and choice.min > choice.max:
            self._tell(path, f"Nothing is at least {choice.min:g} and at most {choice.max:g}.")
        condition = Condition(
            values=choice.values if choice.value is None else (*choice.values, choice.value),
            matches=choice.matches,
            minimum=choice.min,
            maximum=choice.max,
            present=choice.present,
            globs=self._list(choice.list, attribute, f"{path}.list") if choice.list else (),
            newer=self._duration(choice.newer, f"{path}.newer") if choice.newer else None,
            older=self._duration(choice.older, f"{path}.older") if choice.older else None,
        )
        if condition == Condition() and not choice.list:
            hint = "Give one of value, values, list, matches, min, max, present, newer, older."
            self._tell(path, "This choice has no test.", hint)
        return condition

    def _list(self, name: str, attribute: str, path: str) -> tuple[str, ...]:
        found = self._lists.get(name)
        if found is None:
            if self._is_whole(r"score(\.lists)?"):
                self._tell(path, f"{name!r} is not among the lists of [score.lists].", nearest(name, self._lists))
            return ()
        if not found and self._is_whole(r"score(\.lists)?"):
            self._tell(path, f"The list {name!r} is empty: nothing can be in it.")
        if attribute == "email.domain":  # a company's mail comes from below its domain too
            return tuple(glob for one in found for glob in ((one,) if "*" in one else (one, f"*.{one}")))
        return found

    # -- interest
    def _interest(self, rule: InterestTable, path: str) -> InterestRule:
        self._weight(rule.weight, path)
        if not rule.choices:
            self._tell(f"{path}.choices", "A rule needs at least one choice.")
        if not rule.activity:
            self._tell(f"{path}.activity", "Say which activities count.", 'For example: activity = "form.*".')
        self._check_caps(rule, path)
        said = (rule.activity, rule.asset) if isinstance(rule.activity, str) else (" ".join(rule.activity), rule.asset)
        words = [one if isinstance(one, str) else " ".join(one) for one in said]
        return InterestRule(
            name=rule.name or " ".join(words).strip(),
            activity=rule.activity,
            weight=rule.weight,
            choices=tuple(
                self._interest_choice(choice, f"{path}.choices[{n}]") for n, choice in enumerate(rule.choices, 1)
            ),
            asset=rule.asset,
            not_asset=rule.not_asset,
            source=rule.source,
            campaign=rule.campaign,
            where=conditions(rule.where, f"{path}.where", self._tell),
            decay=self._decay(rule.decay, f"{path}.decay") if rule.decay is not None else None,
            cap=rule.cap,
            cap_per_day=rule.cap_per_day,
            group=rule.group,
        )

    def _check_caps(self, rule: InterestTable, path: str) -> None:
        for key, points in (("cap", rule.cap), ("cap_per_day", rule.cap_per_day)):
            if points is not None and points <= 0:
                self._tell(f"{path}.{key}", "A cap is above 0 points.")
        if rule.cap is not None and rule.cap > rule.weight:
            says = f"A cap of {rule.cap:g} holds nothing down: the weight of {rule.weight:g} is the most there is."
            self._tell(f"{path}.cap", says)
        if rule.cap_per_day is not None and not any(choice.each for choice in rule.choices):
            hint = "Write each = true in a choice, or leave it out."
            self._tell(f"{path}.cap_per_day", "A cap for each day needs a choice that counts each activity.", hint)

    def _interest_choice(self, choice: InterestChoiceTable, path: str) -> InterestChoice:
        if choice.at_least < 0 or (choice.exactly is not None and choice.exactly < 0):
            self._tell(path, "Nothing happens less than 0 times.")
        if choice.exactly is not None and choice.at_least != 1:
            self._tell(path, "Give either at_least or exactly.")
        if choice.each and (choice.exactly is not None or choice.at_least != 1):
            self._tell(path, "Where each activity counts, at_least and exactly say nothing.", "Leave them out.")
        if choice.idle and (choice.each or choice.within or choice.exactly is not None or choice.at_least != 1):
            self._tell(path, "A choice with idle has no numbers and no window.", "Give only idle and priority.")
        return InterestChoice(
            self._priority(choice.priority, path),
            choice.at_least,
            choice.exactly,
            self._duration(choice.within, f"{path}.within") if choice.within else None,
            choice.each,
            self._duration(choice.idle, f"{path}.idle") if choice.idle else None,
        )

    def _decay(self, table: DecayTable, path: str) -> Decay | None:
        if bool(table.half_life) == bool(table.steps):
            hint = 'For example: { half_life = "30d" } or { steps = { 30d = 0.5, 90d = 0 } }.'
            self._tell(path, "Points fade by a half-life or in steps: give one of the two.", hint)
            return None
        if table.half_life:
            days = self._days(table.half_life, f"{path}.half_life")
            return Decay(half_life=float(days)) if days else None
        steps = sorted((self._days(age, f"{path}.steps.{age}"), share) for age, share in table.steps.items())
        if any(not 0 <= share <= 1 for _, share in steps):
            self._tell(f"{path}.steps", "What is left is a share from 0 to 1.", "0.5 is half.")
        elif any(later[1] > earlier[1] for earlier, later in pairwise(steps)):
            self._tell(f"{path}.steps", "Points only fade: what is left may not grow with age.")
        return Decay(steps=tuple(steps))

    def _days(self, text: str, path: str) -> int:
        length = self._duration(text, path)
        if not length.days:
            self._tell(path, f"Points fade by whole days; {text!r} is not one.", 'Write for example "30d".')
        return length.days

    def _duration(self, text: str, path: str) -> Duration:
        try:
            return duration(text)
        except ValueError as error:
            self._tell(path, str(error))
            return Duration(days=1)

    def _robots(self, table: RobotsTable, path: str) -> Robots:
        seconds = 0.0
        if table.after_delivery:
            found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s)\s*", table.after_delivery)
            if found is None:
                says = f"{table.after_delivery!r} is not a length of time that a scanner takes."
                self._tell(f"{path}.after_delivery", says, "Write for example 1s or 500ms.")
            else:
                seconds = float(found[1]) / (1000 if found[2] == "ms" else 1)
        if table.links < 0 or table.links == 1:
            self._tell(f"{path}.links", "One link in a second is a person's click.", "Write 3, or 0 to leave it out.")
        return Robots(table.marked, seconds, table.links, table.clicked, table.delivered, table.admit)

    # -- when somebody is ready
    def mql(self) -> Threshold:
        """The line where no segment's counts."""
        return self._threshold(self._tables.handoff.mql, "handoff.mql")

    def _threshold(self, mql: MqlTable, path: str) -> Threshold:
        need: Literal["any", "all"] = "all" if mql.all else "any"
        given = mql.all or mql.any
        if given is None or (given.score is None and not given.grades) or (mql.all and mql.any):
            self._tell(path, "Say when a person is ready.", "For example: mql = { any = { score = 65 } }.")
            return Threshold()
        for grade in given.grades:
            if not re.fullmatch(r"[A-D][1-4]", grade):
                self._tell(path, f"{grade!r} is not a grade; they run from A1 to D4.")
        if given.score is not None and given.score > _MOST:
            self._tell(path, f"Nobody reaches {given.score:g}: a score is at most 100.")
        return Threshold(need, given.score, given.grades)

    def segments(self) -> tuple[Segment, ...]:
        """The lines of product lines and regions."""
        made: list[Segment] = []
        given = self._tables.handoff.segments
        for n, table in enumerate(given, 1):
            path = f"handoff.segments[{n}]"
            if any(table.name == other.name for other in made):
                self._tell(f"{path}.name", f"{table.name!r} is the name of a segment above.")
            if not table.when and n < len(given) and self._is_whole(r"handoff\.segments"):
                says = "Without `when` this segment takes everybody, and none below it is ever asked."
                self._tell(path, says, "Put it last.")
            model = self._tables.models.get(table.model)
            if table.model and self._is_whole("models"):
                if model is None:
                    known = [name for name, one in self._tables.models.items() if one.of == "leads"]
                    hint = nearest(table.model, known) if known else f"Write [models.{table.model}]."
                    self._tell(f"{path}.model", f"{table.model!r} is none of the models.", hint)
                elif model.of != "leads":
                    self._tell(f"{path}.model", f"{table.model!r} scores {model.of}, not leads.")
            when = conditions(table.when, f"{path}.when", self._tell)
            made.append(Segment(table.name, self._threshold(table.mql, f"{path}.mql"), when, table.model))
        return tuple(made)

    def gate(self) -> Gate:
        """What must be known before sales takes over."""
        gate = self._tables.handoff.gate
        known = (*QUESTIONS, *gate.questions)
        for name in gate.bantfo.required:
            if name not in known and self._is_whole(r"handoff\.gate"):
                hint = nearest(name, known) + f" Or write [handoff.gate.questions.{name}]."
                self._tell("handoff.gate.bantfo.required", f"{name!r} is not a question.", hint)
        questions = []
        for name in dict.fromkeys((*gate.bantfo.required, *gate.questions)):
            table, path = gate.questions.get(name), f"handoff.gate.questions.{name}"
            if table is None:
                questions.append(Question(name, QUESTIONS.get(name, "")))
                continue
            questions.append(
                Question(
                    name,
                    ask=table.ask or QUESTIONS.get(name, ""),
                    attribute=table.attribute,
                    yes=condition(table.yes, f"{path}.yes", self._tell) if table.yes is not None else None,
                    no=condition(table.no, f"{path}.no", self._tell) if table.no is not None else None,
                    keeps=self._duration(table.keeps, f"{path}.keeps") if table.keeps else None,
                    unknown=table.unknown,
                )
            )
        return Gate(gate.bantfo.required, gate.bantfo.unknown, gate.bantfo.no, tuple(questions))


Rule = TypeVar("Rule", FitRule, InterestRule)


def _told_apart(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Rules of one name get numbers: whoever reads an explanation must know which one is meant."""
    named: dict[str, int] = {}
    made = []
    for rule in rules:
        count = named[rule.name] = named.get(rule.name, 0) + 1
        made.append(replace(rule, name=f"{rule.name} ({count})") if count > 1 else rule)
    return tuple(made)
