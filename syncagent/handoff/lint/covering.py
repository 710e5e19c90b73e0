"""When one condition takes all that another one would: what stands behind it is never asked.

Every answer here is on the safe side: "yes" is proven, "no" may only mean that it could not be seen.
"""

import re
from collections.abc import Mapping

from syncagent.handoff.conditions import as_glob, as_test
from syncagent.policy import Condition, Duration, InterestChoice

_DAY = 24 * 60
_PLAIN = re.compile(r"[\w \-&,/@]+")
_STANDS_FOR = ("", "\x00\x01\x02")  # what a `*` may hold: nothing, or anything


def implies(narrow: Condition, wide: Condition) -> bool:
    """Whether whatever meets `narrow` meets `wide` too."""
    if narrow.values:
        test, met = as_test(_ageless(wide)), as_test(_ageless(narrow))
        return all(test(value) for value in narrow.values if met(value)) and _ages(narrow, wide)
    return (
        not wide.values
        and _presence(narrow, wide)
        and _texts(narrow, wide)
        and _globs(narrow, wide)
        and (wide.minimum is None or (narrow.minimum is not None and narrow.minimum >= wide.minimum))
        and (wide.maximum is None or (narrow.maximum is not None and narrow.maximum <= wide.maximum))
        and _spans(narrow, wide)
        and _ages(narrow, wide)
    )


def all_imply(narrow: Mapping[str, Condition], wide: Mapping[str, Condition]) -> bool:
    """The same of tables of conditions: each of `wide` must follow from that of the same attribute."""
    return all(name in narrow and implies(narrow[name], one) for name, one in wide.items())


def covers(wide: InterestChoice, narrow: InterestChoice) -> bool:
    """Whether `wide` holds whenever `narrow` does, of the choices of one interest rule."""
    if narrow.idle is not None:
        if wide.idle is not None:
            return _within(wide.idle, narrow.idle)
        return wide.exactly is None and wide.at_least <= (1 if wide.within is None else 0)
    if wide.idle is not None:
        return False
    many = narrow.exactly if narrow.exactly is not None else narrow.at_least
    if wide.exactly is not None:
        return narrow.exactly == wide.exactly and narrow.within == wide.within
    if wide.at_least > many:
        return False
    return (
        wide.at_least <= 0 or wide.within is None or (narrow.within is not None and _within(narrow.within, wide.within))
    )


def cannot_hold(condition: Condition) -> str:
    """Why nothing at all meets the condition; empty when something may."""
    low, high = condition.minimum, condition.maximum
    if low is not None and high is not None and low > high:
        return f"nothing is at least {low:g} and at most {high:g}"
    if condition.newer is not None and condition.older is not None and _within(condition.newer, condition.older):
        return "nothing is newer than that and older at the same time"
    rest = (condition.values, condition.matches, condition.globs, condition.spans, condition.newer, condition.older)
    if condition.present is False and (any(rest) or low is not None or high is not None):
        return "what is not known has no value to compare"
    if condition.values and not any(as_test(_ageless(condition))(value) for value in condition.values):
        return "none of its values meets its other tests"
    if condition.matches and not _compiles(condition.matches):
        return "its pattern is no regular expression"
    return ""


def _ageless(condition: Condition) -> Condition:
    return Condition(
        condition.values,
        condition.matches,
        condition.minimum,
        condition.maximum,
        condition.present,
        condition.globs,
        spans=condition.spans,
    )


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _presence(narrow: Condition, wide: Condition) -> bool:
    if wide.present is None:
        return True
    if wide.present is False:
        return narrow.present is False
    return bool(
        narrow.present
        or narrow.globs
        or narrow.spans
        or (narrow.matches and not _may_be_empty(narrow.matches))
        or narrow.minimum is not None
        or narrow.maximum is not None
        or narrow.newer is not None
        or narrow.older is not None
    )


def _may_be_empty(pattern: str) -> bool:
    return not _compiles(pattern) or re.search(pattern, "", re.IGNORECASE) is not None


def _texts(narrow: Condition, wide: Condition) -> bool:
    """Whether the pattern of `wide` is found wherever that of `narrow` is."""
    if not wide.matches or wide.matches == narrow.matches:
        return True
    if not narrow.matches:
        return False
    theirs, ours = wide.matches.casefold().split("|"), narrow.matches.casefold().split("|")
    if not all(_PLAIN.fullmatch(one) for one in (*theirs, *ours)):
        return False
    return all(any(one in text for one in theirs) for text in ours)


def _globs(narrow: Condition, wide: Condition) -> bool:
    if not wide.globs:
        return True
    if not narrow.globs:
        return False
    fits = as_glob(wide.globs)
    return all(
        "[" not in one and "?" not in one and all(fits(one.replace("*", held)) for held in _STANDS_FOR)
        for one in narrow.globs
    )


def _spans(narrow: Condition, wide: Condition) -> bool:
    """Whether every range of postal codes of `narrow` lies in one of `wide`."""
    return not wide.spans or (
        bool(narrow.spans)
        and all(any(low <= first and last <= high for low, high in wide.spans) for first, last in narrow.spans)
    )


def _ages(narrow: Condition, wide: Condition) -> bool:
    if wide.newer is not None and (narrow.newer is None or not _within(narrow.newer, wide.newer)):
        return False
    return wide.older is None or (narrow.older is not None and _within(wide.older, narrow.older))


def _within(short: Duration, long: Duration) -> bool:
    """Whether one length is surely not longer than the other: a calendar day has 23 to 25 hours."""
    if short.days and long.days:
        return short.days <= long.days
    if not short.days and not long.days:
        return short.minutes <= long.minutes
    if short.days:
        return short.days * _DAY + 60 <= long.minutes
    return short.minutes <= long.days * _DAY - 60
