"""Attributes that are asked for: a likelihood that nobody works out, and values that nobody ever had."""

import difflib
from collections.abc import Iterator, Mapping

from syncagent.handoff.conditions import fold
from syncagent.handoff.likelihood import ATTRIBUTE, LETTER
from syncagent.handoff.lint.observed import VALUES, Observed, models_of
from syncagent.handoff.lint.words import Finding
from syncagent.policy import Condition, Policy

_LONG = 4  # letters: shorter words (DE, DK) are alike by chance
_ALIKE = 0.8

Asked = tuple[str, str, Condition]
"""Where, which attribute, and what is asked of it."""


def asked(policy: Policy) -> Iterator[Asked]:
    """Every condition on an attribute of people: of fit rules, segments, routes and promises."""
    for path, model, of in models_of(policy):
        if of in ("leads", "customers"):
            for n, rule in enumerate(model.fit, 1):
                for k, choice in enumerate(rule.choices, 1):
                    yield f"{path}.fit[{n}].choices[{k}]", rule.attribute, choice.condition
    for path, whens in (
        ("handoff.segments", [one.when for one in policy.segments]),
        ("routes", [one.when for one in policy.routes]),
        ("sla", [one.when for one in policy.slas]),
    ):
        for n, when in enumerate(whens, 1):
            for name, condition in when.items():
                yield f"{path}[{n}].when.{name}", name, condition


def without_model(policy: Policy) -> Iterator[Finding]:
    """Who asks for the likelihood where nothing works it out."""
    card = policy.likelihood
    told: set[str] = set()
    for path, name, _ in asked(policy):
        here = path.partition(".choices")[0]
        if here in told or name not in (ATTRIBUTE, LETTER) or (card is not None and (name != LETTER or card.letters)):
            continue
        told.add(here)
        if card is None:
            says = f"This asks for {name}, and there is no trained model: nobody has one."
            helps = "Train one with `syncagent model train`, and name its file under [score.model]."
        else:
            says = f"This asks for {name}, and [score.model] says nothing of grades: nobody has one."
            helps = "Write under [score.model] from how many percent on they begin, for example: grade = [30, 10, 3]."
        yield Finding("never", "warning", here, says, helps)


def misspelt(policy: Policy, seen: Observed) -> Iterator[Finding]:
    """Values that nobody has, where people have one that is nearly the same."""
    for path, name, condition in asked(policy):
        values: Mapping[str, int] = seen.values.get(name, {})
        if len(values) >= VALUES:  # of more values only the most frequent are kept
            continue
        known = {fold(one): one for one in values}
        for value in condition.values:
            if isinstance(value, str) and len(value) >= _LONG and fold(value) not in known:
                meant = difflib.get_close_matches(str(fold(value)), [str(one) for one in known], n=1, cutoff=_ALIKE)
                if meant:
                    says = f"Nobody has the {name} “{value}”: it matches nothing."
                    people = f"{values[known[meant[0]]]:,} of {seen.people:,} people have that"
                    yield Finding("value", "advice", path, says, f"Did you mean {known[meant[0]]}? {people}.")
