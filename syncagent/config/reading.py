"""Tables in, Structs out: every problem is gathered with its path and the nearest known key, none is raised."""

import difflib
import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from syncagent.errors import Problem
from syncagent.policy import Duration, Hours

T = TypeVar("T", bound=Struct)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def read_table(shape: type[T], raw: object, path: str, problems: list[Problem]) -> T | None:
    """`raw` as a `shape`; what is wrong goes to `problems`, and then the answer is None. Looks at every field."""
    if not isinstance(raw, Mapping):
        problems.append(Problem(path, "A table is needed here.", f"Write [{path}] and its keys below it."))
        return None
    before = len(problems)
    hints = get_type_hints(shape)
    infos = {info.encode_name: info for info in msgspec.structs.fields(shape)}
    problems += [
        Problem(f"{path}.{key}", "This key is not known.", _nearest(key, infos)) for key in raw if key not in infos
    ]
    values: dict[str, Any] = {}
    for key, info in infos.items():
        if key not in raw:
            if info.required:
                problems.append(Problem(f"{path}.{key}", "This key is missing."))
            continue
        values[info.name] = _read(hints[info.name], raw[key], f"{path}.{key}", problems)
    if len(problems) > before:
        return None
    try:
        return shape(**values)
    except ValueError as error:  # a table that is whole and makes no sense says so itself
        problems.append(Problem(path, str(error)))
        return None


def _read(kind: Any, raw: object, path: str, problems: list[Problem]) -> Any:  # noqa: ANN401  (any type a field can have)
    """One value; structs inside are read by the same rules, so that their problems are all told too."""
    for one in (kind,) if get_origin(kind) in (dict, tuple) else (kind, *get_args(kind)):
        if isinstance(one, type) and issubclass(one, Struct) and isinstance(raw, Mapping):
            return read_table(one, raw, path, problems)
    if get_origin(kind) is tuple and isinstance(raw, list) and _is_struct(get_args(kind)[0]):
        return tuple(read_table(get_args(kind)[0], item, f"{path}[{n}]", problems) for n, item in enumerate(raw, 1))
    if get_origin(kind) is dict and isinstance(raw, Mapping) and _is_struct(get_args(kind)[1]):
        return {key: read_table(get_args(kind)[1], item, f"{path}.{key}", problems) for key, item in raw.items()}
    if date in get_args(kind):
        return _read_day(raw, path, problems)
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        problems.append(Problem(path, f"{str(error).split(' - at')[0]}."))
        return None


def _read_day(raw: object, path: str, problems: list[Problem]) -> date | None:
    """TOML knows days and moments itself; msgspec takes only one of the two."""
    if isinstance(raw, date):
        return raw
    problems.append(Problem(path, "A day or a moment is needed here.", "Write it without quotes, like 2026-01-31."))
    return None


def _is_struct(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _nearest(key: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(key, list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(sorted(known))}."


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
    """ "Mon-Fri 09:00-18:00, Sat 10:00-14:00" as a week in minutes. Raises ValueError with a sentence."""
    week: list[list[tuple[int, int]]] = [[] for _ in DAYS]
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\w{3})(?:-(\w{3}))?\s+(\d\d?):(\d\d)-(\d\d?):(\d\d)\s*", part)
        if not found or found[1].lower() not in DAYS or (found[2] or found[1]).lower() not in DAYS:
            raise ValueError(f"{part.strip()!r} are not working hours; write for example Mon-Fri 09:00-18:00.")
        first, last = DAYS.index(found[1].lower()), DAYS.index((found[2] or found[1]).lower())
        start, end = int(found[3]) * 60 + int(found[4]), int(found[5]) * 60 + int(found[6])
        if not 0 <= start < end <= 24 * 60:
            raise ValueError(f"{part.strip()!r} must end after it starts, on the same day.")
        for day in range(first, last + 1 if last >= first else last + 8):
            week[day % 7].append((start, end))
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
