"""How things are written on a page. Everything that comes from people or vendors is text: escaped, and nothing more."""

import hashlib
import re
import unicodedata
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from syncagent.model import Value
from syncagent.reports.formats.dressing import STYLE as CHARTS
from syncagent.reports.formats.words import DASH, lasting
from syncagent.reports.formats.words import prose as as_prose

_UNSEEN: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_LONGEST: Final = 600


@cache
def stylesheet() -> tuple[bytes, str]:
    """The one stylesheet, charts and all, and the hash of it that its address carries."""
    told = files("syncagent.web").joinpath("static/pages.css").read_bytes() + CHARTS.encode()
    return told, hashlib.sha256(told).hexdigest()[:12]


@cache
def icon() -> bytes:
    """The sign that browsers show beside the title, as SVG."""
    return files("syncagent.web").joinpath("static/icon.svg").read_bytes()


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


def prose(value: object, most: int = _LONGEST) -> Markup:
    """A sentence of ours, in which a command stands in backticks."""
    return Markup("<bdi>{}</bdi>").format(Markup(as_prose(visible(value, most))))  # noqa: S704 - it has escaped it


def plain(value: Value) -> str:
    """A field's value in words."""
    if value is None or value == "":
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def verb(command: object) -> str:
    """What kind of command it is, as people write it: "Write lead"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(command).__name__).capitalize()


def stage(name: object) -> str:
    """A stage of the process map as people write it; empty for none."""
    text = str(name)
    return text.upper() if text in ("mql", "sal", "sql") else text.replace("_", " ").capitalize()


def report(name: str) -> str:
    """A report, or what it is cut by, as people write it."""
    return name.upper() if name == "sla" else name.replace("_", " ").capitalize()


def counted(count: int, one: str, many: str) -> str:
    """So many of something."""
    return f"{count:,} {one if count == 1 else many}"


def relative(moment: datetime, now: datetime) -> str:
    """How far away a moment is: "in 12 min", "3.2 h ago"."""
    seconds = (moment - now).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"in {lasting(seconds)}" if seconds > 0 else f"{lasting(-seconds)} ago"


def clock_of(moment: datetime, zone: ZoneInfo) -> Markup:
    """A moment in the config's zone; its UTC form is there for programs."""
    local = moment.astimezone(zone)
    exact = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(exact, exact, f"{local:%Y-%m-%d %H:%M}")


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
        "prose": prose,
        "stage": stage,
        "verb": verb,
        "report": report,
        "counted": counted,
        "relative": relative,
        "lasting": lasting,
        "thousands": "{:,}".format,
    }
    made.filters |= {"clock": clock_of, "points": lambda value: f"{value:+.1f}".replace(".0", "")}
    made.tests["moment"] = lambda value: isinstance(value, datetime)
    made.globals["style"] = stylesheet()[1]
    return made


def render(name: str, values: dict[str, object]) -> str:
    """A page as HTML."""
    return environment().get_template(name).render(values)
