"""The log: one line a happening, for a person, or (`log_format = "json"`) one object for a program.

No full email leaves here. `correlation` names whom a line is about (syncagent/correlation.py), from the decision down
to the vendor's answer. Where systemd reads standard error, each line begins with its level as sd-daemon(3) writes it.
"""

import json
import logging
import os
import re
import sys
import unicodedata
from datetime import UTC, datetime
from typing import Literal

from rich.console import Console

from syncagent.correlation import id_of, spoken_of

EMAIL = re.compile(r"([A-Za-z0-9._+-])(?:[A-Za-z0-9._+-]|%(?!40))*(@|%40)([A-Za-z0-9.-]+\.[A-Za-z]{2,})")
MORE = ("person", "handoff", "key", "data")
_LEVELS = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


def masked(text: str) -> str:
    """Emails cut down to their first letter and domain: enough to recognise, not enough to write to."""
    return EMAIL.sub(r"\1***\2\3", text)


def plain(text: str) -> str:
    """What cannot be printed as an escape (a line break as \\n): data forges no line and steers no terminal."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or unicodedata.category(char) == "Zs" else char.encode("unicode_escape").decode()
        for char in text
    )


def shown(text: str) -> str:
    """Data of people or vendors, fit for a screen: emails masked, nothing in it but what can be printed."""
    return masked(plain(text))


def screen() -> Console:
    """Standard output for data: what looks like markup in it is text as any other."""
    return Console(markup=False, highlight=False, emoji=False)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%d %H:%M:%S")
        person = getattr(record, "person", None)
        who = f" [person {person}]" if person is not None else ""
        text = f"{at} {record.levelname.lower():7}{who} {plain(record.getMessage())}"
        if record.exc_info:
            text += "".join(f"\n    {plain(line)}" for line in self.formatException(record.exc_info).splitlines())
        return masked(text)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in MORE if hasattr(record, name)}
        if about := _about(record):
            line["correlation"] = about[0] if len(about) == 1 else about
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        text = masked(json.dumps(line, default=str, ensure_ascii=False))
        return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def _about(record: logging.LogRecord) -> tuple[str, ...]:
    """Whom a line is about: what it says itself, else whom its thread speaks of."""
    person = getattr(record, "person", None)
    return spoken_of() if person is None else (id_of(person, getattr(record, "handoff", "")),)


class _ForSystemd(logging.Formatter):
    """As another one formats it, behind the level; systemd's journal stamps the time itself."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        level = next((number for least, number in _LEVELS if record.levelno >= least), 7)
        return "\n".join(f"<{level}>{line}" for line in self._inner.format(record).split("\n"))


def set_up(form: Literal["text", "json"], level: str) -> None:
    """Log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = _Json() if form == "json" else _Text()
    handler.setFormatter(_ForSystemd(formatter) if _read_by_systemd() else formatter)
    logger = logging.getLogger("syncagent")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())


def _read_by_systemd() -> bool:
    """Whether standard error goes to systemd's journal, which says so by device and inode (systemd.exec(5))."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        stands = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return (device, inode) == (str(stands.st_dev), str(stands.st_ino))
