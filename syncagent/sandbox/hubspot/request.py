"""One REST request: its place named without its version, so that /crm/v3/objects and /crm/objects/2026-03 are one."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from syncagent.sandbox.hubspot.portal import Actor, Portal
from syncagent.sandbox.hubspot.refusal import RefusedError, invalid
from syncagent.sandbox.vendor import Call

DATED: Final = ("2025-09", "2026-03", "2026-09")
_CLASSIC: Final = re.compile(r"/(crm|events|account-info|marketing|oauth)/(v[1-4])/(.*)")
_DATED: Final = re.compile(r"/((?:crm|events|marketing)/[a-z-]+|account-info|oauth)/(\d{4}-\d{2})(/.*)?")


@dataclass(slots=True)
class Request:
    """`parts` are the pieces of the path without the version: ["crm", "objects", "contacts", "batch", "read"]."""

    method: str
    parts: list[str]
    version: str
    call: Call
    actor: Actor
    _body: Any = field(default=None)

    def json(self) -> dict[str, Any]:
        """The body, a JSON object; 400 otherwise."""
        if self._body is None:
            try:
                self._body = self.call.json()
            except ValueError as error:
                raise invalid(f"Invalid input JSON: {error}") from error
        if not isinstance(self._body, dict):
            raise invalid("Invalid input JSON: the body must be an object.")
        return self._body

    def array(self) -> list[dict[str, Any]]:
        """The body, a JSON array of objects; 400 otherwise."""
        try:
            return msgspec.json.decode(self.call.body, type=list[dict[str, Any]])
        except (ValueError, msgspec.ValidationError) as error:
            raise invalid(f"Invalid input JSON: {error}") from error

    def inputs(self, most: int = 100) -> list[dict[str, Any]]:
        """The inputs of a batch, at most so many (crm.md B4)."""
        inputs = self.json().get("inputs")
        if not isinstance(inputs, list) or not inputs or not all(isinstance(each, dict) for each in inputs):
            raise invalid("Invalid input JSON: inputs must be a list of objects.")
        if len(inputs) > most:
            raise invalid(f"The maximum number of inputs supported in a batch request for this operation is {most}.")
        return inputs

    def listed(self, name: str) -> list[str]:
        """A query parameter that may be repeated or separated by commas."""
        return [one for value in self.call.params(name) for one in value.split(",") if one]

    def limit(self, default: int, most: int) -> int:
        """The query parameter `limit`; 400 beyond what is allowed."""
        text = self.call.param("limit", str(default))
        if not text.isdigit() or not 0 < int(text) <= most:
            raise invalid(f"limit must be between 1 and {most}, it is {text}.")
        return int(text)

    def flag(self, name: str) -> bool:
        """A query parameter that is true or false."""
        return self.call.param(name).lower() == "true"


@dataclass(slots=True)
class Reply:
    """What comes back; `value` None is an empty body."""

    status: int
    value: Any = None


Handler = Callable[[Portal, Request], Reply | None]


def place(path: str) -> tuple[list[str], str]:
    """The pieces of a path without its version, and the version; 404 for a version that is not served.

    The dated form has the version behind the resource (crm.md B1).
    """
    if found := _DATED.fullmatch(path):
        resource, version, rest = found.groups()
        if version not in DATED:
            raise RefusedError(404, "", f"There is no API version {version}.")
        whole = resource.replace("event-occurrences", "events") + (rest or "")
    elif found := _CLASSIC.fullmatch(path):
        family, version, rest = found.groups()
        whole = f"{family}/{rest}"
    else:
        whole, version = path, ""
    return [piece for piece in whole.split("/") if piece], version
