"""Planted faults: which call they hit, how often, and what happens to it.

A fault is JSON with `match`, `times` (default 1, null: for ever) and one action. `match` may have `method`, `path`
and `body` (regular expressions, searched in the decoded path with its query and in the body) and `after` (let the
first n matching calls pass). The actions:

    {"status": 503, "body": "<html>..", "headers": {..}}    answered like that
    {"empty": 500}, {"html": 503}                           short forms of it
    {"delay": 2.5}      waits, then goes on; may stand beside another action
    {"drop": "before"}  connection closed, nothing done
    {"drop": "after"}   done, then connection closed without an answer
    {"late": 3}         no answer; done 3 real seconds later, when the client has long given up
    {"cut": true}       done; the chunked body is cut in the middle

Beside `status`, `empty` and `html`, `"execute": true` does the call before the error is answered. Every other action
is a kind of the vendor's own. A call is spent on the first fault that matches and is not used up; later ones do not
count it.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final

from syncagent.sandbox.vendor import Answer, Call

ACTIONS: Final = frozenset({"status", "empty", "html", "drop", "late", "cut"})
_BESIDE: Final = frozenset({"match", "times", "delay", "headers", "body", "execute"})
_HTML: Final = (
    "<html><head><title>Service Unavailable</title></head><body><h1>We are down for maintenance</h1></body></html>"
)


@dataclass(slots=True)
class Fault:
    """One planted fault and how often it has struck."""

    number: int
    planted: dict[str, Any]
    action: str
    value: Any
    delay: float
    after: int
    times: int | None
    execute: bool
    method: str | None
    path: re.Pattern[str] | None
    body: re.Pattern[str] | None
    seen: int = 0
    struck: int = 0

    def matches(self, call: Call) -> bool:
        """Whether the fault is about this call, used up or not."""
        if self.method is not None and self.method != call.method:
            return False
        if self.path is not None:
            query = "&".join(f"{name}={value}" for name, value in call.query)
            if not self.path.search(f"{call.path}?{query}" if query else call.path):
                return False
        return self.body is None or self.body.search(call.body.decode("utf-8", "replace")) is not None

    def answer(self) -> Answer | None:
        """The planted answer, where the action is one."""
        if self.action == "status":
            return Answer(self.value, str(self.planted.get("body", "")).encode(), dict(self.planted.get("headers", {})))
        if self.action == "empty":
            return Answer(self.value)
        if self.action == "html":
            return Answer(self.value, _HTML.encode(), {"Content-Type": "text/html;charset=UTF-8"})
        return None

    def view(self) -> dict[str, Any]:
        """The fault as planted, with its number and how often it has struck."""
        return {"id": self.number, **self.planted, "struck": self.struck}


@dataclass(slots=True)
class Faults:
    """The faults planted at one vendor.

    `kinds` are the vendor's own actions; unless a fault says which path it is about, they strike only where
    `kinds_path` (a regular expression) is found.
    """

    kinds: frozenset[str] = frozenset()
    kinds_path: str | None = None
    _planted: list[Fault] = field(default_factory=list)
    _last: int = 0

    def plant(self, data: dict[str, Any]) -> int:
        """Plant a fault and return its number; ValueError says what is wrong with it."""
        known = ACTIONS | self.kinds
        actions = [key for key in data if key not in _BESIDE]
        if len(actions) > 1 or (not actions and "delay" not in data) or any(action not in known for action in actions):
            names = ", ".join(sorted(known))
            msg = f"A fault needs exactly one action of {names}, or only delay; this one has {actions}."
            raise ValueError(msg)
        match = data.get("match", {})
        if unknown := set(match) - {"method", "path", "body", "after"}:
            msg = f"A fault is matched by method, path, body and after, not by {', '.join(sorted(unknown))}."
            raise ValueError(msg)
        action = actions[0] if actions else "delay"
        if action == "drop" and data["drop"] not in ("before", "after"):
            msg = 'A drop is "before" or "after" the effect.'
            raise ValueError(msg)
        path = match.get("path", self.kinds_path if action in self.kinds else None)
        self._last += 1
        self._planted.append(
            Fault(
                number=self._last,
                planted=data,
                action=action,
                value=data.get(action),
                delay=float(data.get("delay", 0)),
                after=int(match.get("after", 0)),
                times=data.get("times", 1),
                execute=bool(data.get("execute", False)),
                method=match.get("method"),
                path=re.compile(path) if path is not None else None,
                body=re.compile(match["body"]) if "body" in match else None,
            )
        )
        return self._last

    def take(self, call: Call) -> Fault | None:
        """The fault that strikes this call, counted, or None."""
        for fault in self._planted:
            if (fault.times is None or fault.struck < fault.times) and fault.matches(call):
                fault.seen += 1
                if fault.seen > fault.after:
                    fault.struck += 1
                    return fault
        return None

    def view(self) -> list[dict[str, Any]]:
        """All planted faults, used up or not."""
        return [fault.view() for fault in self._planted]

    def clear(self, number: int | None = None) -> None:
        """Take back one fault, or all of them."""
        self._planted = [fault for fault in self._planted if number is not None and fault.number != number]
