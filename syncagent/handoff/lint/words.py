"""Findings, and what they call the parts of a policy: the words that stand in the workshop's sheet."""

from typing import Literal

from msgspec import Struct

from syncagent.handoff.conditions import length_words, some_of
from syncagent.policy import FitRule, Globs, InterestChoice, InterestRule

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


def times_words(choice: InterestChoice) -> str:
    """How often and when, as a phrase: "at least 3 times within 14 days"."""
    if choice.idle is not None:
        return f"nothing for {length_words(choice.idle)}"
    many = f"exactly {choice.exactly}" if choice.exactly is not None else f"at least {choice.at_least}"
    words = "each time" if choice.each else f"{many} times"
    return words + (f" within {length_words(choice.within)}" if choice.within is not None else "")


def globs_words(globs: Globs) -> str:
    """One or several globs."""
    return f"“{globs}”" if isinstance(globs, str) else some_of([f"“{one}”" for one in globs])
