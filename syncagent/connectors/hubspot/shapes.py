"""The shapes of HubSpot's answers: records, properties, owners, and refusals in all their spellings. Pure.

Source: crm.md B2, B3, B9.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from syncagent.connectors.http import Reply, masked

Row = dict[str, Any]
"""A record as HubSpot tells it: id, properties, propertiesWithHistory, createdAt, updatedAt."""


class Error(Struct, frozen=True):
    """One refusal, of a call or of one row. `properties`: the property -> HubSpot's word (INVALID_OPTION ...)."""

    category: str = ""
    text: str = ""
    properties: dict[str, str] = {}
    context: dict[str, Any] = {}
    status: int = 0


class Property(Struct, frozen=True):
    """What the portal says of a property."""

    name: str
    type: str = "string"
    options: tuple[dict[str, Any], ...] = ()
    unique: bool = msgspec.field(default=False, name="hasUniqueValue")
    label: str = ""
    modification: dict[str, Any] = msgspec.field(default={}, name="modificationMetadata")

    @property
    def values(self) -> list[str]:
        """The values of its options, in their order."""
        return [str(one["value"]) for one in sorted(self.options, key=lambda one: one.get("displayOrder") or 0)]


class Owner(Struct, frozen=True, rename="camel"):
    """Somebody who may own records; `user_id` is another number, and None once they are gone."""

    id: str
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    type: str = "PERSON"
    user_id: int | None = None
    user_id_including_inactive: int | None = None
    archived: bool = False

    @property
    def name(self) -> str:
        """What they are called."""
        return " ".join(filter(None, (self.first_name, self.last_name))) or f"owner {self.id}"


class Properties(Struct):
    """A page of properties."""

    results: tuple[Property, ...] = ()


class Owners(Struct):
    """A page of owners."""

    results: tuple[Owner, ...] = ()
    paging: dict[str, Any] | None = None


def error_of(body: object, status: int = 0) -> Error:
    """The refusal in a body or in one of the `errors` of a 207. Addresses in its text are masked. Source: crm.md B2."""
    if not isinstance(body, Mapping):
        return Error("UNKNOWN", "HubSpot gave no reason.", status=status)
    message = str(body.get("message") or "")
    found: dict[str, str] = {}
    listed = message.find("[{")
    if listed >= 0:
        try:
            told = msgspec.json.decode(message[listed:].encode(), type=list[dict[str, Any]])
        except msgspec.DecodeError:  # cut short, or not meant so
            told = []
        found = {str(one.get("name", "")): str(one.get("error", "")) for one in told}
        if told:
            message = message[:listed] + " ".join(str(one.get("message", "")) for one in told)
    for one in body.get("errors") or ():
        if isinstance(one, Mapping):
            for name in (one.get("context") or {}).get("propertyName") or ():
                found.setdefault(str(name), str(one.get("code") or ""))
    for one in body.get("validationResults") or ():
        found.setdefault(str(one.get("name", "")), str(one.get("error") or ""))
    context = body.get("context")
    return Error(
        str(body.get("category") or body.get("errorType") or ""),
        masked(" ".join(message.split())),
        {name: code for name, code in found.items() if name},
        dict(context) if isinstance(context, Mapping) else {},
        status,
    )


def json_of(reply: Reply) -> object:
    """The JSON of an answer, None when it is none."""
    try:
        return msgspec.json.decode(reply.body)
    except msgspec.DecodeError:
        return None
