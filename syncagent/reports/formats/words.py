"""What a cell says to people, and text that is safe wherever it stands."""

import math
import re
from datetime import date, datetime, timedelta
from html import escape

from syncagent.handoff.calendar import start_of_day, zone_of
from syncagent.reports.report import Cell, Kind, Report

DASH = "\u2013"
"""Not known. It is never a zero, and a zero is never this."""
UNKNOWN = "not known"
"""The same where nothing else stands, such as beside a bar."""

TEXTS: frozenset[Kind] = frozenset(("text", "moment", "day", "month"))
"""Kinds that are read from the left; all others are numbers, and stand to the right."""

EMPTY = "Nothing happened that would stand here."
NOTHING = "Nothing is known yet that this report could tell."

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TURNS = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_CODE = re.compile(r"`([^`]+)`")
_LONE = re.compile(r"[\ud800-\udfff]")
_SPANS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def known(cell: Cell) -> bool:
    """Whether a cell holds a value: None and what is no number (NaN, infinite) are unknown."""
    return cell is not None and not (isinstance(cell, float) and not math.isfinite(cell))


def said(cell: Cell, kind: Kind, zone: str) -> str:
    """A cell in words for people, not yet escaped; moments in the zone. A dash where it is unknown."""
    match cell:
        case _ if not known(cell):
            return DASH
        case datetime():
            return f"{cell.astimezone(zone_of(zone)):%Y-%m-%d %H:%M}"
        case date():
            return cell.isoformat()[: len("2026-01") if kind == "month" else None]
        case int() | float():
            return _number(cell, kind)
        case _:
            return str(cell)


def _number(value: float, kind: Kind) -> str:
    match kind:
        case "share":
            return f"{value:.1%}"
        case "money":
            return decimal(round(value), ",")
        case "duration":
            return lasting(value)
        case "ratio":
            return f"{value:,.2f}"
        case "points":
            return f"{value:,.1f}".removesuffix(".0")
        case _:
            return f"{value:,}"


def decimal(hundredths: int, thousands: str = "") -> str:
    """An amount with two places, exact: 123456 is 1234.56."""
    whole, cents = divmod(abs(hundredths), 100)
    return f"{'-' if hundredths < 0 else ''}{f'{whole:{thousands}}'}.{cents:02}"


def lasting(seconds: float) -> str:
    """A length of time in its two largest parts: `3 d 4 h`, `2 min 5 s`, `0.4 s`, `-5 s`."""
    if seconds < 0:
        return f"-{lasting(-seconds)}"
    if seconds < 10:
        return f"{abs(seconds):.1f} s".replace(".0 ", " ")
    finest = 1 if seconds < 3600 else 60 if seconds < 86400 else 3600
    rest = round(seconds / finest) * finest
    told: list[tuple[int, str]] = []
    for unit, size in _SPANS:
        count, rest = divmod(rest, size)
        if count or told:
            told.append((count, unit))
        if len(told) == 2:
            break
    return " ".join(f"{count:,} {unit}" for count, unit in told if count)


def period(report: Report) -> str:
    """What bounds the report, and whose days they are, in a sentence."""
    zone = f"Days and times are those of {report.zone}."
    since, until = _bound(report.since, report.zone), _last(report.until, report.zone)
    if since and until:
        return f"From {since} to {until}. {zone}"
    if since:
        return f"From {since} on. {zone}"
    if until:
        return f"All until {until}. {zone}"
    return f"All that is known. {zone}"


def _bound(moment: datetime | None, zone: str) -> str:
    if moment is None:
        return ""
    local = moment.astimezone(zone_of(zone))
    return local.date().isoformat() if start_of_day(local.date(), zone) == moment else f"{local:%Y-%m-%d %H:%M}"


def _last(moment: datetime | None, zone: str) -> str:
    """The last day that counts, where the bound is the beginning of the next one."""
    if moment is None:
        return ""
    told = _bound(moment, zone)
    if len(told) > len("2026-01-31"):
        return f"{told} (not included)"
    return f"{(moment.astimezone(zone_of(zone)).date() - timedelta(days=1)).isoformat()} (included)"


def whole(text: str) -> str:
    """Text that can be written as UTF-8: half a character is told as the sign for a broken one."""
    return _LONE.sub("\ufffd", text)


def readable(text: str) -> str:
    """Text without what XML cannot hold, and without what turns the direction of reading; not yet escaped."""
    return _TURNS.sub("", _NOT_XML.sub("", text))


def prose(text: str) -> str:
    """A sentence of ours as `markup`; what stands in backticks is code."""
    return _CODE.sub(r"<code>\1</code>", markup(text))


def markup(text: str) -> str:
    """Text that is only text in HTML and SVG, between tags and in quotes: `readable`, and escaped."""
    return escape(readable(text))
