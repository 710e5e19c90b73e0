"""Findings, and what they call the parts of a policy: the words that stand in the workshop's sheet."""

from typing import Literal

from msgspec import Struct

from syncagent.policy import Condition, Duration, FitRule, Globs, InterestChoice, InterestRule

_SHOWN = 4

Level = Literal["error", "warning", "advice"]


class Finding(Struct, frozen=True):
    """Something in a policy that cannot be meant so. `path` is where it stands in the config.

    "error": it can never work. "warning": a part of it does nothing. "advice": it works, and may surprise.
    """

    kind: str
    level: Level
    path: str
    says: str
    helps: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.says}" + (f" {self.helps}" if self.helps else "")


def rule_words(rule: FitRule | InterestRule) -> str:
    """A rule as people call it."""
    part = "fit" if isinstance(rule, FitRule) else "interest"
    return f"The {part} rule “{rule.name}”"


def test_words(condition: Condition) -> str:
    """A condition as a phrase: "is Germany or Austria", "is at least 1000"."""
    said: list[str] = []
    if condition.present is not None:
        said.append("is known" if condition.present else "is not known")
    if condition.values:
        said.append(f"is {_some([str(one) for one in condition.values])}")
    if condition.globs:
        said.append(f"is like {_some(condition.globs)}")
    if condition.matches:
        said.append(f"matches “{condition.matches}”")
    if condition.minimum is not None:
        said.append(f"is at least {condition.minimum:g}")
    if condition.maximum is not None:
        said.append(f"is at most {condition.maximum:g}")
    if condition.newer is not None:
        said.append(f"is at most {length_words(condition.newer)} old")
    if condition.older is not None:
        said.append(f"is more than {length_words(condition.older)} old")
    return " and ".join(said) or "is anything"


def times_words(choice: InterestChoice) -> str:
    """How often and when, as a phrase: "at least 3 times within 14 days"."""
    if choice.idle is not None:
        return f"nothing for {length_words(choice.idle)}"
    many = f"exactly {choice.exactly}" if choice.exactly is not None else f"at least {choice.at_least}"
    words = "each time" if choice.each else f"{many} times"
    return words + (f" within {length_words(choice.within)}" if choice.within is not None else "")


def length_words(length: Duration) -> str:
    """A length of time."""
    return f"{length.days} days" if length.days else f"{length.minutes} minutes"


def globs_words(globs: Globs) -> str:
    """One or several globs."""
    return f"“{globs}”" if isinstance(globs, str) else _some([f"“{one}”" for one in globs])


def _some(words: "tuple[str, ...] | list[str]") -> str:
    more = f" (and {len(words) - _SHOWN} more)" if len(words) > _SHOWN else ""
    return " or ".join(words[:_SHOWN]) + more
