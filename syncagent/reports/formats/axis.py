"""What stands beside and under a chart: round numbers that hold all values, and names that do not touch each other."""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from unicodedata import east_asian_width

from syncagent.handoff.calendar import zone_of
from syncagent.reports.formats.words import known, lasting
from syncagent.reports.report import Cell, Kind

LONGEST = 12
"""Letters of a name under an axis."""
_GAP = 14
"""Pixels between two of them, at least."""
_TINY = 1e-9
"""Numbers that differ by less are drawn alike."""
_HOURS = timedelta(days=3)
"""Moments within so long are told apart by the hour."""
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def wide(text: str) -> float:
    """Pixels that letters of 13 pixels take, rather too many than too few."""
    return sum(
        13.0 if east_asian_width(one) in "WF" else 10.0 if one in "mwMW@%—…" or one.isupper() else 7.2 for one in text
    )


def within(text: str, width: float) -> str:
    """The text, or as much of it as takes no more than so many pixels."""
    if wide(text) <= width:
        return text
    while text and wide(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def bounds(values: Iterable[float | None]) -> tuple[float, float]:
    """The least and the largest of the numbers and zero, and always some way from each other."""
    found = [0.0, *(value for value in values if value is not None)]
    low, high = min(found), max(found)
    return low, high if high - low > _TINY else low + 1


def places(xs: Sequence[Cell], *, to_scale: bool) -> list[float]:
    """Where each x stands, from 0 to 100: to scale where that is asked for and they are in order, else side by side."""
    count = len(xs)
    found = [one for one in map(_ordinal, xs) if one is not None] if to_scale else []
    if len(found) == count > 1 and all(one < other for one, other in pairwise(found)):
        return [100 * (one - found[0]) / (found[-1] - found[0]) for one in found]
    return [100 * (n + 0.5) / count for n in range(count)]


def _ordinal(cell: Cell) -> float | None:
    match cell:
        case datetime():
            return cell.timestamp()
        case date():
            return float(cell.toordinal())
        case int() | float() if known(cell):
            return float(cell)
        case _:
            return None


def apart(names: Sequence[str], at: Sequence[float], width: float) -> dict[int, str]:
    """Those of the names that do not touch in so many pixels, by their number: the first, the last, those between."""
    chosen: dict[int, tuple[float, float]] = {}
    for n in dict.fromkeys(_spread(len(names) - 1)):
        half = (wide(names[n][:LONGEST]) + _GAP) / width * 50
        begin, end = at[n] - half, at[n] + half
        if all(begin >= right or end <= left for left, right in chosen.values()):
            chosen[n] = (begin, end)
    return {n: names[n] for n in sorted(chosen)}


def _spread(last: int) -> Iterator[int]:
    """All numbers to the last, so that the first ones are far apart: both ends, the middle, the middles beside it."""
    yield 0
    yield last
    gaps = [(0, last)]
    while gaps:
        halved = [(low, (low + high) // 2, high) for low, high in gaps if high - low > 1]
        yield from (middle for _, middle, _ in halved)
        gaps = [gap for low, middle, high in halved for gap in ((low, middle), (middle, high))]


def short(names: Sequence[str], xs: Sequence[Cell], zone: str, *, months: bool = False) -> list[str]:
    """The names, where they are days, months or moments in as few letters as tell them apart."""
    first, last = xs[0], xs[-1]
    close = isinstance(first, datetime) and isinstance(last, datetime) and abs(last - first) < _HOURS
    return [
        _day(x, zone, close=close, months=months) if isinstance(x, date) else name
        for name, x in zip(names, xs, strict=True)
    ]


def _day(day: date, zone: str, *, close: bool, months: bool) -> str:
    local = day.astimezone(zone_of(zone)) if isinstance(day, datetime) else day
    told = f"{_MONTHS[local.month - 1]} {f'{local:%H:%M}' if close else f'{local:%y}'}"
    return told if months else f"{local.day} {told}"


def ticks(low: float, high: float, kind: Kind) -> list[float]:
    """Round numbers, the first not above `low`, the last not below `high`, in about four steps; for `bounds`."""
    step = _step((high - low) / 4, kind)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [n * step for n in range(first, max(last, first + 1) + 1)]


def _step(least: float, kind: Kind) -> float:
    if kind == "duration" and least <= _STEPS[-1]:
        return float(next(step for step in _STEPS if step >= least))
    unit = 86400.0 if kind == "duration" else 100.0 if kind == "money" else 1.0
    size = 10.0 ** math.floor(math.log10(least / unit))
    found = next((n * size for n in (1, 2, 2.5, 5) if n * size >= least / unit), 10 * size) * unit
    return max(unit, math.ceil(found)) if kind in ("count", "money") else found


def tick(value: float, kind: Kind) -> str:
    """A round number in few letters: `2.5k`, `40%`, `6 h`."""
    if kind == "share":
        return f"{round(value * 100, 6):g}%"
    if kind == "duration":
        return lasting(value) if value else "0"
    number = value / 100 if kind == "money" else value
    for size, sign in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(number) >= size:
            return f"{round(number / size, 6):g}{sign}"
    return f"{round(number, 6):g}"
