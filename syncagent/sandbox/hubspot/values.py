"""Turns what a client sends for a property into the text that is kept, or says why not (crm.md B2, B3)."""

import math
import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

from syncagent.sandbox.hubspot.schema import Property

_EMAIL: Final = re.compile(r"[^@\s,;<>\"]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ValueRefused(ValueError):  # noqa: N818  it is a verdict over a value
    """A value does not fit; `error` is HubSpot's word for it."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.error = error
        self.message = message


def wire(moment: datetime) -> str:
    """A moment as HubSpot writes it: UTC, milliseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def millis(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def moment_of(text: str) -> datetime:
    """Milliseconds since 1970 or ISO 8601, as aware UTC; ValueError otherwise."""
    try:
        if re.fullmatch(r"-?\d{1,15}", text):
            return _EPOCH + timedelta(milliseconds=int(text))
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text} is out of range") from error
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def coerce(known: Property, value: object) -> str:
    """The text to keep; "" clears. Raises ValueRefused."""
    if value is None:
        return ""
    if isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, str | int | float):
        raise ValueRefused("INVALID_STRING", f"{value!r} was not a valid value.")
    text = str(value)
    if not text.strip():
        return ""
    if known.type == "number":
        return _number(text)
    if known.type in ("date", "datetime"):
        return _time(known.type, text)
    if known.type in ("enumeration", "bool") and known.options:
        several = text.split(";") if known.field_type == "checkbox" else [text]
        values = known.values()
        if any(each not in values for each in several if each):
            raise ValueRefused("INVALID_OPTION", f"{text} was not one of the allowed options: [{', '.join(values)}]")
        return text
    if known.name == "email":
        if not _EMAIL.fullmatch(text.strip()):
            raise ValueRefused("INVALID_EMAIL", f"Email address {text} is invalid")
        return text.strip().lower()
    if len(text) > 65_536:
        raise ValueRefused("PROPERTY_VALUE_TOO_LONG", f"The value of {known.name} is too long.")
    return text


def _number(text: str) -> str:
    try:
        fits = math.isfinite(float(text))
    except ValueError:
        fits = False
    if not fits:
        raise ValueRefused("INVALID_LONG", f"{text} was not a valid number.")
    return text.strip()


def _time(kind: str, text: str) -> str:
    try:
        if kind == "datetime":
            return wire(moment_of(text.strip()))
        if len(text.strip()) == 10:
            return date.fromisoformat(text.strip()).isoformat()
        moment = moment_of(text.strip())
    except ValueError as error:
        message = f"{text} was not a valid {'date' if kind == 'date' else 'long'}."
        raise ValueRefused("INVALID_DATE" if kind == "date" else "INVALID_LONG", message) from error
    if moment.time() != datetime.min.time():
        raise ValueRefused("INVALID_DATE", f"{text} is at {moment.time()} UTC, not midnight!")
    return moment.date().isoformat()
