"""One line a decision, for a person or (`--log-format json`) for a program. No full email leaves here."""

import json
import logging
import re
import sys
import unicodedata
from datetime import UTC, datetime
from typing import Literal

from rich.console import Console

EMAIL = re.compile(r"([A-Za-z0-9._%+-])[A-Za-z0-9._%+-]*@([A-Za-z0-9.-]+\.[A-Za-z]{2,})")
MORE = ("person", "handoff", "key", "data")


def masked(text: str) -> str:
    """Emails cut down to their first letter and domain: enough to recognise, not enough to write to."""
    return EMAIL.sub(r"\1***@\2", text)


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
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in MORE if hasattr(record, name)}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        text = masked(json.dumps(line, default=str, ensure_ascii=False))
        return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def set_up(form: Literal["text", "json"], level: str) -> None:
    """Log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    logger = logging.getLogger("syncagent")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
