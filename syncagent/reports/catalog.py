"""Every report there is: what it tells, what it may be cut by, how it is made. Each is loaded when it is asked for."""

import importlib
from typing import cast

from syncagent.policy import Policy
from syncagent.reports.report import Ask, Report
from syncagent.state.store import Store

REPORTS = {
    "funnel": "How many reach each stage, how long they stay, where they are stuck.",
    "speed": "How soon sales acts on a lead, in wall and working time.",
    "sla": "Which promises were kept, by whom, and which are late.",
    "reps": "What each rep got, did, won and gave back, and whether turns were fair.",
    "sources": "What became of the leads of each source, and what they cost.",
    "revenue": "Won and open deals, tied to what people did before them.",
    "scores": "Whether the score is right: lift, win rates, rules that earn nothing.",
    "gate": "How many won deals the gate of the config would have refused.",
}
"""What each tells."""

_MODULES = {"scores": "score_health"}
"""Reports that do not live in the module of their name."""


def cuts(name: str) -> tuple[str, ...]:
    """The words that a report may be cut by; none, if it cannot be cut."""
    return tuple(getattr(_module(name), "BY", ()))


def make(name: str, store: Store, ask: Ask, policy: Policy) -> Report:
    """The report of this name, which is one of `REPORTS`. Raises `UserError` for a cut that it does not know."""
    return cast(Report, getattr(_module(name), name)(store, ask, policy))


def _module(name: str) -> object:
    return importlib.import_module(f"syncagent.reports.{_MODULES.get(name, name)}")
