"""How things are written on a page. Everything that comes from people or vendors is text: escaped, and nothing more."""

import hashlib
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from syncagent.model import Value
from syncagent.reports.report import Cell, Kind

_UNSEEN: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_LONGEST: Final = 600
DASH: Final = "\u2013"


@cache
def stylesheet() -> tuple[bytes, str]:
    """The one stylesheet, and the hash of it that its address carries."""
    told = files("syncagent.web").joinpath("static/pages.css").read_bytes()
    return told, hashlib.sha256(told).hexdigest()[:12]


def visible(value: object, most: int = _LONGEST) -> str:
    """A text in which nothing is hidden: no control but line breaks, no mark that turns its direction; not endless."""
    text = str(value)
    if len(text) > most:
        text = f"{text[: most - 1]}…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if one in "\n\t" or unicodedata.category(one) not in _UNSEEN else "\ufffd" for one in text)


def said(value: object, most: int = _LONGEST) -> Markup:
    """What somebody or some system has said, set apart from the text around it in both directions of writing."""
    return Markup("<bdi>{}</bdi>").format(visible(value, most))


def plain(value: Value) -> str:
    """A field's value in words."""
    if value is None or value == "":
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def stage(name: object) -> str:
    """A stage of the process map as people write it; empty for none."""
    text = str(name)
    return text.upper() if text in ("mql", "sal", "sql") else text.replace("_", " ").capitalize()


def span(seconds: float) -> str:
    """A length of time in a few characters."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= size:
            return f"{seconds / size:.0f} {unit}" if abs(seconds) >= 10 * size else f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def relative(moment: datetime, now: datetime) -> str:
    """How far away a moment is: "in 12 min", "3.2 h ago"."""
    seconds = (moment - now).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"in {span(seconds)}" if seconds > 0 else f"{span(-seconds)} ago"


def clock_of(moment: datetime, zone: ZoneInfo) -> Markup:
    """A moment in the config's zone; its UTC form is there for programs."""
    local = moment.astimezone(zone)
    exact = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(exact, exact, f"{local:%Y-%m-%d %H:%M}")


def cell(value: Cell, kind: Kind, zone: ZoneInfo) -> str | Markup:
    """A report's cell in words; what is unknown is a dash."""
    if value is None:
        return DASH
    writers: dict[str, Callable[[object], str | Markup]] = {
        "count": lambda one: f"{one:,}",
        "share": lambda one: f"{_number(one):.1%}",
        "points": lambda one: f"{_number(one):.1f}",
        "ratio": lambda one: f"{_number(one):.2f}",
        "money": lambda one: f"{_number(one) / 100:,.2f}",
        "duration": lambda one: span(_number(one)),
        "moment": lambda one: clock_of(one, zone) if isinstance(one, datetime) else said(one),
        "day": lambda one: one.isoformat() if isinstance(one, date) else str(said(one)),
    }
    writer = writers.get(kind, said)
    return writer(value)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


@cache
def environment() -> Environment:
    """The templates. Whatever is put into one is escaped; what is missing is a mistake, not an empty place."""
    made = Environment(
        loader=PackageLoader("syncagent.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "said": said,
        "plain": plain,
        "stage": stage,
        "span": span,
        "relative": relative,
        "thousands": "{:,}".format,
    }
    made.filters |= {"clock": clock_of, "cell": cell, "points": lambda value: f"{value:+.1f}".replace(".0", "")}
    made.globals["style"] = stylesheet()[1]
    return made


def render(name: str, values: dict[str, object]) -> str:
    """A page as HTML."""
    return environment().get_template(name).render(values)
