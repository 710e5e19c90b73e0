"""A thin client of the control API, for tests and the demo."""

from datetime import datetime
from types import TracebackType
from typing import Any, Self

import requests


class ControlError(Exception):
    """The control API refused; the message is its sentence."""


class Control:
    """Speaks to one vendor's control API; `base_url` is the vendor's own. Close it, or use it as a context manager."""

    def __init__(self, base_url: str, timeout: float = 60.0) -> None:
        self._base = base_url.rstrip("/") + "/_sandbox/"
        self._session = requests.Session()
        self._timeout = timeout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def seed(self, **data: Any) -> dict[str, Any]:  # noqa: ANN401  the vendor's own JSON
        """Put records in; returns the ids that they got."""
        return self._call("POST", "seed", data)

    def dump(self) -> dict[str, Any]:
        """Everything that the vendor holds."""
        return self._call("GET", "dump")

    def act(self, do: str, **args: Any) -> dict[str, Any]:  # noqa: ANN401  the vendor's own JSON
        """Do what a person, an admin or an automation does on the vendor's own screens."""
        return self._call("POST", "act", {"do": do, **args})

    def calls(self, since: int = 0) -> list[dict[str, Any]]:
        """The calls with a number above `since`, oldest first."""
        found: list[dict[str, Any]] = self._call("GET", f"calls?since={since}")["calls"]
        return found

    def clear_calls(self) -> None:
        """Forget the calls so far."""
        self._call("DELETE", "calls")

    def quota(self) -> dict[str, int]:
        """Calls and quota cost since the last `clear_calls`."""
        return self._call("GET", "quota")

    def plant(self, **fault: Any) -> int:  # noqa: ANN401  a fault's JSON, see faults.py
        """Plant a fault; returns its number."""
        number: int = self._call("POST", "faults", fault)["id"]
        return number

    def faults(self) -> list[dict[str, Any]]:
        """All planted faults, with how often each has struck."""
        found: list[dict[str, Any]] = self._call("GET", "faults")["faults"]
        return found

    def clear_faults(self) -> None:
        """Take all faults back."""
        self._call("DELETE", "faults")

    def clock(self) -> datetime:
        """The sandbox's present moment."""
        return datetime.fromisoformat(self._call("GET", "clock")["now"])

    def clock_set(self, moment: datetime) -> None:
        """Stop the sandbox's clock at `moment`."""
        self._call("POST", "clock", {"now": moment.isoformat()})

    def clock_advance(self, seconds: float) -> None:
        """Move the sandbox's clock on."""
        self._call("POST", "clock", {"advance": seconds})

    def clock_real(self) -> None:
        """Let the sandbox tell the machine's time again."""
        self._call("POST", "clock", {"real": True})

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        reply = self._session.request(method, self._base + path, json=body, timeout=self._timeout)
        answer: dict[str, Any] = (
            reply.json() if "json" in reply.headers.get("Content-Type", "") else {"error": reply.text}
        )
        if not reply.ok:
            raise ControlError(answer["error"])
        return answer
