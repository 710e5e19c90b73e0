"""HubSpot keeps every value as text: here it becomes a value of ours and back, and histories tell who set it. Pure.

Source: crm.md B3 (shapes), B10 (histories).
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from syncagent.connectors.hubspot.shapes import Property
from syncagent.model import Value

AUTOMATION: Final = "automation"
"""Who it was when no person did it and not we: workflows, other apps, HubSpot itself."""

_BY_HAND: Final = frozenset(
    "BATCH_UPDATE CONTACTS CONTACTS_WEB EMAIL EXTENSION IMPORT MEETINGS MERGE_CONTACTS MERGE_OBJECTS SALES".split()  # noqa: SIM905
)
_APPS: Final = ("INTEGRATION", "API", "INTEGRATIONS_PLATFORM", "INTEGRATIONS_SYNC")
_USER: Final = re.compile(r"userId:(\d+)")
_SHORTEST_ISO: Final = 10


def moment(text: str) -> datetime:
    """A stamp as HubSpot writes it, ISO 8601 or milliseconds since 1970; UTC."""
    if re.fullmatch(r"\d{11,15}", text):
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def millis(at: datetime) -> int:
    """Milliseconds since 1970."""
    return round(at.timestamp() * 1000)


def read(text: object, known: Property | None) -> Value:
    """A property's text as a value of ours; nothing is None. What does not fit its type stays as it is."""
    if not isinstance(text, str):
        return text if isinstance(text, bool | int | float) else None
    kind = known.type if known is not None else "string"
    if text == "":
        return None
    try:
        if kind == "number":
            number = float(text)
            return int(number) if number.is_integer() and "." not in text else number
        if kind == "datetime":
            return moment(text).isoformat()
        if kind == "date":
            return moment(text).date().isoformat()
    except (ValueError, OverflowError):
        return text
    if kind == "bool":
        return {"true": True, "false": False}.get(text.lower(), text)
    return text


def written(value: Value, known: Property | None) -> str:
    """The text to send for a value; "" clears."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    kind = known.type if known is not None else "string"
    if isinstance(value, str) and kind in ("date", "datetime") and len(value) >= _SHORTEST_ISO:
        try:
            at = moment(value)
        except ValueError:
            return value
        return at.date().isoformat() if kind == "date" else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def same(one: Value, other: Value) -> bool:
    """Whether two values of a property are one: nothing is "", numbers count as numbers, moments by the millisecond."""
    if one in (None, "") or other in (None, ""):
        return one in (None, "") and other in (None, "")
    if isinstance(one, bool) or isinstance(other, bool):
        return str(one).lower() == str(other).lower()
    if isinstance(one, int | float) and isinstance(other, int | float):
        return float(one) == float(other)
    if isinstance(one, str) and isinstance(other, str):
        return one == other or _same_moment(one, other)
    try:
        return float(one) == float(other)
    except ValueError:
        return False


def _same_moment(one: str, other: str) -> bool:
    if not (re.match(r"\d{4}-\d\d-\d\d", one) and re.match(r"\d{4}-\d\d-\d\d", other)):
        return False
    try:
        first, second = moment(one), moment(other)
    except ValueError:
        return False
    if len(one) == _SHORTEST_ISO or len(other) == _SHORTEST_ISO:
        return first.date() == second.date()
    return millis(first) == millis(second)


def actor(entry: Mapping[str, Any], app: str, owner_of: Callable[[int], str], me: str) -> str:
    """Who made an entry of a history: an owner's id, `me`, `AUTOMATION`, or "user:N" for a user who owns nothing.

    While our own app is not known, every app's write counts as ours: better deaf to an app than to oneself.
    """
    source, ident = str(entry.get("sourceType") or ""), str(entry.get("sourceId") or "")
    if source in _APPS:
        return me if not app or ident == app else AUTOMATION
    named = _USER.search(ident)
    user = entry.get("updatedByUserId") or (int(named[1]) if named else None)
    if isinstance(user, int) and (source in _BY_HAND or source.startswith(("CRM_UI", "MOBILE"))):
        return owner_of(user) or f"user:{user}"
    return AUTOMATION
