"""What HubSpot's refusals of a row mean: try again, mend something, or the record has moved on. Pure.

Source: crm.md B2 to B5.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

from syncagent.connectors.hubspot.shapes import Error
from syncagent.model import Outcome, Refused, Retry

_EXISTING: Final = re.compile(r"Existing ID: ?(\d+)")
_TAKEN: Final = re.compile(r"already (?:exists|has that value)|UNIQUE", re.IGNORECASE)
_FIELD_LEVEL: Final = {
    "PROPERTY_DOESNT_EXIST",
    "INVALID_OPTION",
    "INVALID_LONG",
    "INVALID_DATE",
    "INVALID_EMAIL",
    "INVALID_STRING",
    "READ_ONLY_VALUE",
    "PROPERTY_VALUE_TOO_LONG",
}
_HELP: Final = {
    "PROPERTY_DOESNT_EXIST": "Create it under Settings > Properties, or map another one; then run: syncagent check",
    "INVALID_OPTION": "Add the option to the property, name an active owner, or change what the config writes.",
    "READ_ONLY_VALUE": "Map a property that the app may write.",
    "REQUIRED_PROPERTY": "Map the property under [crm.fields], or make it optional in HubSpot.",
}


def meaning(error: Error, what: str, ours: Mapping[str, str]) -> Outcome:
    """The outcome of a row that was refused. `what` in words; `ours`: property -> our name."""
    if error.status >= 500 or error.category in ("RATE_LIMITS", "RATE_LIMIT", "INTERNAL_ERROR", "SERVER_ERROR"):
        return Retry(30.0, f"HubSpot could not do it now: {error.text}")
    fields = tuple(ours.get(name, name) for name in error.properties)
    codes = set(error.properties.values())
    if error.category == "OBJECT_NOT_FOUND" or error.status == 404:
        text = f"The record is no longer there; it is planned anew. HubSpot: {error.text}"
        return Refused(text, "conflict", "OBJECT_NOT_FOUND", fields)
    code = next(iter(sorted(codes & set(_HELP))), error.category or "REFUSED")
    about = f" [{', '.join(fields)}]" if fields else ""
    why = f"HubSpot refused {what[:1].lower()}{what[1:]}: {error.text or 'no reason given'} ({code}){about}."
    return Refused(f"{why} {_HELP.get(code, '')}".strip(), "refused", code, fields)


def existing(error: Error) -> str:
    """The id of the contact that has the address already; "" when the refusal is about something else."""
    found = _EXISTING.search(error.text)
    return found[1] if found and error.category == "CONFLICT" else ""


def taken(error: Error, key: str) -> bool:
    """Whether a row was refused because our key is there already."""
    return (
        key in error.properties
        and error.properties[key] not in _FIELD_LEVEL
        and bool(_TAKEN.search(f"{error.text} {error.properties[key]} {error.category}"))
    )


def separable(error: Error, optional: Collection[str]) -> tuple[str, ...]:
    """The optional properties that this refusal is about; () when it is about anything else, too."""
    names = tuple(error.properties)
    level = all(code in _FIELD_LEVEL for code in error.properties.values())
    return names if names and level and set(optional).issuperset(names) else ()
