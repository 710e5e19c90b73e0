"""Conditions of the policy as closures, one for each test, made once for each policy; and in words."""

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase, translate

from syncagent.model import Value
from syncagent.policy import Condition, Duration, Globs

Test = Callable[[Value], bool]
Fits = Callable[[Mapping[str, Value]], bool]

_SHOWN = 4


def fold(value: Value) -> Value:
    """A value as it is compared: texts without case and margins, numbers as one kind."""
    if isinstance(value, str):
        return value.strip().casefold()
    if isinstance(value, bool) or value is None:
        return value
    return float(value)


def number(value: Value) -> float | None:
    """A value as a number; texts such as "1,000" count, truth values do not."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        try:
            return float(value.replace(",", "").strip())
        except ValueError:
            return None
    return float(value)


def is_yes(value: Value) -> bool:
    """Whether a value says yes, in the ways that systems say it."""
    if isinstance(value, str):
        return value.strip().casefold() in ("yes", "true", "1", "y")
    return bool(value)


def is_known(value: Value) -> bool:
    """Whether there is a value at all."""
    return value is not None and value != ""


def postal(value: Value) -> str:
    """A postal code as it is compared: in capitals, without spaces and hyphens."""
    text = f"{value:.0f}" if isinstance(value, float) else str(value).strip()
    if re.fullmatch(r"\d{5}-\d{4}", text):  # the United States' ZIP+4: the rest names a block
        text = text[:5]
    return text.upper().replace(" ", "").replace("-", "")


def as_test(condition: Condition) -> Test:
    """The condition as a function of one value; what cannot be compared does not hold."""
    tests: list[Test] = []
    if condition.present is not None:
        wanted = condition.present
        tests.append(lambda value: is_known(value) is wanted)
    if condition.values:
        among = frozenset(fold(value) for value in condition.values)
        tests.append(lambda value: fold(value) in among)
    if condition.globs:
        fits = as_glob(condition.globs)
        tests.append(lambda value: is_known(value) and fits(str(value).strip()))
    if condition.matches:
        tests.append(_matcher(condition.matches))
    if condition.minimum is not None or condition.maximum is not None:
        low = float("-inf") if condition.minimum is None else condition.minimum
        high = float("inf") if condition.maximum is None else condition.maximum

        def between(value: Value) -> bool:
            as_number = number(value)
            return as_number is not None and low <= as_number <= high

        tests.append(between)
    if condition.spans:
        spans = condition.spans
        tests.append(lambda value: is_known(value) and any(low <= postal(value) <= high for low, high in spans))
    if len(tests) == 1:
        return tests[0]
    return lambda value: all(test(value) for test in tests)


def as_glob(globs: Globs) -> Callable[[str], bool]:
    """One glob or several as a function of a text: whether one of them fits, without case."""
    given = (globs,) if isinstance(globs, str) else globs
    if len(given) == 1:
        only = given[0].casefold()
        return lambda text: fnmatchcase(text.casefold(), only)
    plain = frozenset(one.casefold() for one in given if not set(one) & set("*?["))
    search = re.compile("|".join(translate(one.casefold()) for one in given if set(one) & set("*?[")) or r"(?!)").match
    return lambda text: (folded := text.casefold()) in plain or search(folded) is not None


def _matcher(pattern: str) -> Test:
    try:
        search = re.compile(pattern, re.IGNORECASE).search
    except re.error:  # the config refuses such a pattern; a policy made by hand must still not break a plan
        return lambda _value: False
    return lambda value: value is not None and search(str(value)) is not None


def fits_of(when: Mapping[str, Condition]) -> Fits:
    """All the conditions as one function of a person's attributes."""
    tests = tuple((name, as_test(condition)) for name, condition in sorted(when.items()))
    if not tests:
        return lambda _attributes: True
    return lambda attributes: all(test(attributes.get(name)) for name, test in tests)


# -- in words


def test_words(condition: Condition) -> str:
    """A condition as a phrase: "is Germany or Austria", "is at least 1000"."""
    said: list[str] = []
    if condition.present is not None:
        said.append("is known" if condition.present else "is not known")
    if condition.values:
        said.append(f"is {some_of([str(one) for one in condition.values])}")
    if condition.globs:
        said.append(f"is like {some_of(condition.globs)}")
    if condition.matches:
        said.append(f"matches “{condition.matches}”")
    if condition.minimum is not None:
        said.append(f"is at least {condition.minimum:g}")
    if condition.maximum is not None:
        said.append(f"is at most {condition.maximum:g}")
    if condition.spans:
        said.append(f"is {some_of([low if low == high else f'{low} to {high}' for low, high in condition.spans])}")
    if condition.newer is not None:
        said.append(f"is at most {length_words(condition.newer)} old")
    if condition.older is not None:
        said.append(f"is more than {length_words(condition.older)} old")
    return " and ".join(said) or "is anything"


def length_words(length: Duration) -> str:
    """A length of time."""
    return f"{length.days} days" if length.days else f"{length.minutes} minutes"


def some_of(words: Sequence[str]) -> str:
    """Of several words that mean "or" the first."""
    more = f" (and {len(words) - _SHOWN} more)" if len(words) > _SHOWN else ""
    return " or ".join(words[:_SHOWN]) + more
