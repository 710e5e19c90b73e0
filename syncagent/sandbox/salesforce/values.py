"""Turns what a client sends for a field into the value that is kept, or refuses it as Salesforce does (crm.md A13)."""

import math
import re
from datetime import UTC, date, datetime
from typing import Any, Final

from syncagent.sandbox.salesforce import ids
from syncagent.sandbox.salesforce.schema import NUMBERS, PICKLISTS, Field
from syncagent.sandbox.salesforce.world import RequestError, RowError, wire

_EMAIL: Final = re.compile(r"[^@\s,;<>\"]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


def parse_moment(text: str) -> datetime:
    """An ISO 8601 moment with a zone, as aware UTC; ValueError otherwise."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment.astimezone(UTC)


def coerce(known: Field, value: Any) -> Any:  # noqa: ANN401  any JSON value
    """The value to keep for a field; None clears it.

    Raises RowError, or RequestError where Salesforce cannot even parse.
    """
    if value is None or value == "":
        return False if known.type == "boolean" else None
    if known.type == "boolean":
        if isinstance(value, bool):
            return value
    elif known.type in NUMBERS:
        return _number(known, value)
    elif known.type in ("date", "datetime"):
        return _time(known, value)
    elif known.type in ("reference", "id"):
        if (ident := ids.full(value)) is not None:
            return ident
        raise RowError("MALFORMED_ID", f"{known.title}: id value of incorrect type: {value}", [known.name])
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        return _text(known, str(value))
    raise _unparsable(known, value)


def _unparsable(known: Field, value: object) -> RequestError:
    kind = "VALUE_STRING" if isinstance(value, str) else "VALUE"
    text = f"Cannot deserialize instance of {known.type} from {kind} value {value}"
    return RequestError(400, "JSON_PARSER_ERROR", f"{text} or request may be missing a required field")


def _number(known: Field, value: object) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _unparsable(known, value)
    try:
        number = float(value)
    except ValueError as error:
        raise _unparsable(known, value) from error
    if not math.isfinite(number):
        raise _unparsable(known, value)
    return int(number) if known.type == "int" else number


def _time(known: Field, value: object) -> str:
    try:
        if not isinstance(value, str):
            raise _unparsable(known, value)
        if known.type == "datetime":
            return wire(parse_moment(value))
        return (date.fromisoformat(value) if len(value) == 10 else parse_moment(value).date()).isoformat()
    except ValueError as error:
        raise _unparsable(known, value) from error


def _text(known: Field, text: str) -> str | None:
    # Salesforce trims one-line text and keeps e-mail addresses in lower case (memory)
    if known.type != "textarea":
        text = text.strip()
    if not text:
        return None
    if known.length and len(text) > known.length:
        message = f"{known.title}: data value too large: {text} (max length={known.length})"
        raise RowError("STRING_TOO_LONG", message, [known.name])
    if known.type == "email":
        if not _EMAIL.fullmatch(text):
            raise RowError("INVALID_EMAIL_ADDRESS", f"{known.title}: invalid email address: {text}", [known.name])
        return text.lower()
    if known.type in PICKLISTS and known.restricted and known.values and text not in known.values:
        message = f"{known.title}: bad value for restricted picklist field: {text}"
        raise RowError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, [known.name])
    return text
