"""The shape of a simulated vendor: one call in, one answer out, as one atomic step.

A vendor lives in the module `syncagent.sandbox.NAME` and is made by that module's `create(clock) -> Vendor`. It is
called only from the server's event loop, one call at a time, so it needs no lock and "concurrent" calls meet it in
the order of their arrival.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

JSON = "application/json;charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request.

    `path` is percent-decoded, `raw_path` is as sent (for ids that contain a slash); header names are lower-case.
    """

    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    raw_path: str = ""
    in_flight: int = 1  # unanswered calls at this vendor when this one arrived, itself counted

    def param(self, name: str, default: str = "") -> str:
        """The first query parameter of that name, or `default`."""
        return next((value for key, value in self.query if key == name), default)

    def params(self, name: str) -> list[str]:
        """All query parameters of that name, in order."""
        return [value for key, value in self.query if key == name]

    def json(self) -> Any:  # noqa: ANN401  a JSON body has any shape
        """The decoded body; ValueError when it is not JSON."""
        return msgspec.json.decode(self.body)


@dataclass(slots=True)
class Answer:
    """One HTTP reply; `cost` is what the call takes from the vendor's quota."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cost: int = 1


def json_answer(value: object, status: int = 200, *, headers: Mapping[str, str] | None = None, cost: int = 1) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, msgspec.json.encode(value), {"Content-Type": JSON, **(headers or {})}, cost)


class Vendor(Protocol):
    """One simulated system.

    It may have a `fault_path`: a regular expression for the paths that its own fault kinds strike unless told
    otherwise. `seed`, `dump` and `act` are the control API's; they raise ValueError or LookupError with a sentence.
    """

    name: str
    fault_kinds: frozenset[str]

    def answer(self, call: Call) -> Answer:
        """Do the call, whole, now."""
        ...

    def fault(self, kind: str, value: Any, call: Call) -> Answer | None:  # noqa: ANN401  the vendor's own JSON
        """Play a planted fault of one of `fault_kinds`.

        Returns the answer in place of the ordinary one, or None to go on with that.
        """
        ...

    def seed(self, data: dict[str, Any]) -> dict[str, Any]:
        """Put records in; returns the ids that they got."""
        ...

    def dump(self) -> dict[str, Any]:
        """Everything that the vendor holds."""
        ...

    def act(self, do: str, args: dict[str, Any]) -> dict[str, Any]:
        """Do what a person, an admin or an automation does on the vendor's own screens."""
        ...

    def credentials(self, base_url: str) -> dict[str, str]:
        """What a client needs to sign in here; invented, so they may be shown."""
        ...

    def config(self, base_url: str, folder: Path) -> str:
        """The TOML table of a syncagent config that runs against it.

        Its secrets go into files in `folder` (see `write_secret`).
        """
        ...


def write_secret(folder: Path, name: str, text: str) -> Path:
    """Write a secret into a file that only its owner can read, and return the absolute path."""
    path = folder.resolve() / name
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    path.chmod(0o600)
    return path
