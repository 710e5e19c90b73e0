"""The short tests of TOML (`when`, `where`, `yes` ...) as conditions, and lists of names as globs."""

import re
from collections.abc import Mapping
from typing import Any, Protocol

from syncagent.config.tables import Test
from syncagent.policy import Condition


class Tell(Protocol):
    """Where a problem goes: its path, what is wrong, and what helps."""

    def __call__(self, path: str, message: str, hint: str = "") -> None: ...


def conditions(when: Mapping[str, Test], path: str, tell: Tell) -> dict[str, Condition]:
    """All tests of a table, by attribute."""
    return {attribute: condition(test, f"{path}.{attribute}", tell) for attribute, test in when.items()}


def condition(test: Any, path: str, tell: Tell) -> Condition:  # noqa: ANN401  (what TOML can hold)
    """One test: true/false (known or not), a value, a list of values, ">= 5", "<= 5", "5..9", or "~pattern"."""
    if isinstance(test, bool):
        return Condition(present=test)
    if isinstance(test, list | tuple):
        return Condition(values=tuple(test))
    if isinstance(test, str):
        found = re.fullmatch(r"(>=|<=)\s*(-?\d+(?:\.\d+)?)", test.strip())
        if found:
            number = float(found[2])
            return Condition(minimum=number) if found[1] == ">=" else Condition(maximum=number)
        found = re.fullmatch(r"(-?\d+(?:\.\d+)?)\s*\.\.\s*(-?\d+(?:\.\d+)?)", test.strip())
        if found:
            if float(found[1]) > float(found[2]):
                tell(path, f"{test!r} ends before it begins.", "Write the smaller number first.")
            return Condition(minimum=float(found[1]), maximum=float(found[2]))
        if test.startswith("~"):
            check_pattern(test[1:].strip(), path, tell)
            return Condition(matches=test[1:].strip())
    return Condition(values=(test,))


def check_pattern(pattern: str, path: str, tell: Tell) -> None:
    """Tell of a text that is no regular expression."""
    try:
        re.compile(pattern)
    except re.error as error:
        tell(path, f"This is not a regular expression: {error}.")
