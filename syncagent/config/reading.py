"""Tables in, Structs out: every problem is gathered with its path and the nearest known key, none is raised."""

import difflib
import math
import re
import types
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from syncagent.config.secret import Secret
from syncagent.errors import Problem
from syncagent.policy import Duration, Hours

T = TypeVar("T", bound=Struct)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_ONE = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", type(None): "nothing"}
_MANY = {str: "texts", int: "whole numbers", float: "numbers", bool: "true or false"}
_BROKEN = object()  # what could not be read, and was told


def read_table(shape: type[T], raw: object, path: str, problems: list[Problem]) -> T | None:
    """`raw` as a `shape`; what is wrong goes to `problems`, and then the answer is None. Looks at every field."""
    before = len(problems)
    table = read_leniently(shape, raw, path, problems)
    return table if len(problems) == before else None


def read_leniently(
    shape: type[T], raw: object, path: str, problems: list[Problem], also: Iterable[str] = ()
) -> T | None:
    """As much of a table as can be read, so that the rest can be checked too; what is wrong goes to `problems`.

    What is broken takes its default, or a placeholder where it has none. None only when there is nothing to go on with.
    `also` are keys that somebody else reads: they may have been meant.
    """
    if not isinstance(raw, Mapping):
        if shape is Secret:
            hint = 'Write { env = "NAME" }, { file = "/path" } or { command = ["pass", "name"] }.'
            problems.append(Problem(path, "A secret never stands in the config itself.", hint))
        else:
            hint = f"Write [{path}] and its keys below it."
            problems.append(Problem(path, f"A table is needed here, not {_what_it_is(raw)}.", hint))
        return None
    start = len(problems)
    hints = get_type_hints(shape)
    infos = {info.encode_name: info for info in msgspec.structs.fields(shape)}
    unknown = [key for key in raw if key not in infos]
    problems += [Problem(join(path, key), "This key is not known.", nearest(key, {*infos, *also})) for key in unknown]
    values: dict[str, Any] = {}
    meant = {close(key, {*infos, *also}) for key in unknown}
    broken = set(meant)
    for key, info in infos.items():
        value: Any = _BROKEN
        before = len(problems)
        if key in raw:
            value = _read(hints[info.name], raw[key], join(path, key), problems)
        elif info.required and key not in meant:
            problems.append(Problem(join(path, key), "This key is missing."))
        if len(problems) > before:
            broken.add(info.name)
        if value is not _BROKEN:
            values[info.name] = value
        elif info.required or (key in raw and _may_be_struct(hints[info.name])):
            values[info.name] = _placeholder(hints[info.name])
    if shape is Secret and len(problems) == start and len(values) != 1:
        problems.append(Problem(path, "A secret stands in one place.", "Give exactly one of env, file and command."))
    return _built(shape, values, broken, path, problems)


def _built(shape: type[T], values: dict[str, Any], broken: set[str], path: str, problems: list[Problem]) -> T | None:
    """A table can refuse what makes no sense, one thing at a time: each is told and mended, then it is tried again."""
    required = {info.name for info in msgspec.structs.fields(shape) if info.required}
    while True:
        try:
            return shape(**values)
        except ValueError as error:
            message = str(error)
        words = set(re.findall(r"\w+", message)) & set(shape.__struct_fields__)
        blamed = _blamed(shape, values, message, words)
        if not words & broken and blamed not in broken:  # else it only follows from what was told
            problems.append(Problem(join(path, blamed) if blamed else path, message))
        absent = sorted(words - broken - values.keys())
        if blamed is not None and blamed not in required:
            broken.add(blamed)
            del values[blamed]
        elif blamed is None and absent:  # it misses something: with that, it may go on
            broken |= words
            values[absent[0]] = _placeholder(get_type_hints(shape)[absent[0]])
        else:
            return None


def _blamed(shape: type[Struct], values: dict[str, Any], message: str, words: set[str]) -> str | None:
    """The field that a refusal is about: the one it names, else the one without which it is not refused so."""
    if len(words) == 1 and (word := next(iter(words))) in values:
        return word
    for name in values:
        try:
            shape(**{key: value for key, value in values.items() if key != name})
        except TypeError:  # it cannot be left out
            continue
        except ValueError as error:
            if str(error) == message:
                continue
        return name
    return None


def _placeholder(kind: Any) -> Any:  # noqa: ANN401  (any type a field can have)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _placeholder(get_args(kind)[0])
    if origin is Literal:
        return get_args(kind)[0]
    if _is_struct(kind):
        hints = get_type_hints(kind)
        return kind(**{i.name: _placeholder(hints[i.name]) for i in msgspec.structs.fields(kind) if i.required})
    return (origin or kind)()


def _read(kind: Any, raw: object, path: str, problems: list[Problem]) -> Any:  # noqa: ANN401  (any type a field can have)
    """One value; what is inside is read by the same rules, so that its problems are all told too."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Literal:
        if raw in inside:
            return raw
        known = [str(word) for word in inside]
        problems.append(Problem(path, f"One of these words is needed here: {', '.join(known)}.", _like(raw, known)))
        return _BROKEN
    for one in (kind,) if origin in (dict, tuple) else (kind, *inside):
        if _is_struct(one) and (isinstance(raw, Mapping) or str not in inside):
            table = read_leniently(one, raw, path, problems)
            return _BROKEN if table is None else table
    if origin is tuple and isinstance(raw, list) and inside[-1] is ...:
        items = [_read(inside[0], item, f"{path}[{n}]", problems) for n, item in enumerate(raw, 1)]
        if _is_struct(inside[0]):  # a placeholder keeps the numbers of those behind it
            return tuple(_placeholder(inside[0]) if item is _BROKEN else item for item in items)
        return tuple(item for item in items if item is not _BROKEN)
    if origin is dict and isinstance(raw, Mapping):
        given = {key: _read(inside[1], item, join(path, key), problems) for key, item in raw.items()}
        return {key: item for key, item in given.items() if item is not _BROKEN}
    if date in inside:
        return _read_day(raw, path, problems)
    odd = next((one for one in (raw if isinstance(raw, list) else (raw,)) if _is_odd(one)), None)
    if odd is not None:
        problems.append(Problem(path, f"A number is needed here that can be counted with, not {odd}."))
        return _BROKEN
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError:
        wanted = wording(kind)
        problems.append(Problem(path, f"{wanted[0].upper()}{wanted[1:]} is needed here, not {_what_it_is(raw)}."))
        return _BROKEN


def _is_odd(raw: object) -> bool:
    """TOML knows nan and inf; no rule does."""
    return isinstance(raw, float) and not math.isfinite(raw)


def _read_day(raw: object, path: str, problems: list[Problem]) -> Any:  # noqa: ANN401  (a day, a moment, or broken)
    """TOML knows days and moments itself; msgspec takes only one of the two."""
    if isinstance(raw, date):
        return raw
    problems.append(Problem(path, "A day or a moment is needed here.", "Write it without quotes, like 2026-01-31."))
    return _BROKEN


def wording(kind: Any) -> str:  # noqa: ANN401  (any type a field can have)
    """What a type is called in a sentence: "a text", "a list of 3 numbers"."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(wording(one) for one in inside if one is not type(None)))
    if origin in (tuple, list):
        size = f"{len(inside)} " if origin is tuple and inside[-1] is not ... else ""
        return f"a list of {size}{_MANY.get(inside[0], 'values')}"
    if origin is dict:
        return "a table"
    return _ONE.get(kind, "a table" if _is_struct(kind) else "something else")


def _what_it_is(raw: object) -> str:
    """The kind of a value, never the value: it could be a secret at the wrong place."""
    kinds = {bool: "true or false", str: "a text", int: "a whole number", float: "a number with a fraction"}
    if isinstance(raw, list):
        return f"a list of {len(raw)}"
    return kinds.get(type(raw), "a table" if isinstance(raw, Mapping) else "a day or a moment")


def _may_be_struct(kind: object) -> bool:
    return any(_is_struct(one) for one in (kind, *get_args(kind))) and get_origin(kind) not in (tuple, dict)


def _is_struct(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def join(path: str, key: str) -> str:
    """The path of a key in a table, as TOML would write it."""
    written = key if re.fullmatch(r"[\w-]+", key) else f'"{key}"'
    return f"{path}.{written}" if path else written


def nearest(key: str, known: Iterable[str]) -> str:
    """The help for a word that is not known: the nearest one, or all there are."""
    names = sorted(known)
    return _like(key, names) or f"Known here: {', '.join(names)}."


def close(word: object, known: Iterable[str]) -> str:
    """The known word that was probably meant, or nothing."""
    plain = {one.casefold(): one for one in sorted(known, reverse=True)}
    near = difflib.get_close_matches(str(word).casefold(), plain, n=1, cutoff=0.6)
    return plain[near[0]] if near else ""


def _like(word: object, known: list[str]) -> str:
    near = close(word, known)
    return f"Did you mean {near}?" if near else ""


def seconds(text: str) -> float:
    """ "60s", "5m", "2h" or "1d" in seconds. Raises ValueError with a sentence."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*", text)
    if not found:
        raise ValueError(f"{text!r} is not a length of time; write for example 60s, 5m, 2h or 1d.")
    return float(found[1]) * _UNITS[found[2]]


def duration(text: str) -> Duration:
    """ "90d" as calendar days; "5m" and "2h" as minutes of the rule's clock. Raises ValueError with a sentence."""
    if text.strip().endswith("d"):
        return Duration(days=round(seconds(text) / 86400))
    return Duration(minutes=max(1, round(seconds(text) / 60)))


def hours(text: str, zone: str) -> Hours:
    """ "Mon-Fri 09:00-18:00, Sat 22:00-06:00" as a week in minutes. Raises ValueError with a sentence."""
    week: list[list[tuple[int, int]]] = [[] for _ in DAYS]
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\w{3})(?:-(\w{3}))?\s+(\d\d?):(\d\d)-(\d\d?):(\d\d)\s*", part)
        if not found or found[1].lower() not in DAYS or (found[2] or found[1]).lower() not in DAYS:
            raise ValueError(f"{part.strip()!r} are not working hours; write for example Mon-Fri 09:00-18:00.")
        first, last = DAYS.index(found[1].lower()), DAYS.index((found[2] or found[1]).lower())
        start, end = int(found[3]) * 60 + int(found[4]), int(found[5]) * 60 + int(found[6])
        if not (0 <= start < 24 * 60 and 0 <= end <= 24 * 60) or start == end:
            raise ValueError(f"{part.strip()!r} must end at another time than it starts, from 00:00 to 24:00.")
        for day in range(first, last + 1 if last >= first else last + 8):
            week[day % 7].append((start, end if end > start else 24 * 60))
            if 0 < end < start:  # over midnight: the rest belongs to the next day
                week[(day + 1) % 7].append((0, end))
    return Hours(week=tuple(tuple(sorted(day)) for day in week), zone=zone)


def days(texts: tuple[str, ...]) -> tuple[str, ...]:
    """ISO dates and ranges "2026-12-24..2026-12-31" as single dates. Raises ValueError with a sentence."""
    found: list[str] = []
    for text in texts:
        first, _, last = text.partition("..")
        try:
            start, end = date.fromisoformat(first.strip()), date.fromisoformat((last or first).strip())
        except ValueError:
            raise ValueError(
                f"{text!r} is not a date or a range; write 2026-12-24 or 2026-12-24..2026-12-31."
            ) from None
        found += [(start + timedelta(days=n)).isoformat() for n in range((end - start).days + 1)]
    return tuple(found)
