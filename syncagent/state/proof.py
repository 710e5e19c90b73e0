"""What the journal proves: what a decision was made from, and the lines that it left."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from msgspec import Struct

from syncagent.model import Dossier, Roster
from syncagent.model.seal import Line
from syncagent.policy import Policy

By = Literal["plan", "renewed", "adopt", "mend"]
"""The function of `handoff` that made a plan: the ordinary one, or one of those that an admin's orders ask."""


class JournalEntry(Struct, frozen=True):
    """What was decided, when and why; `data` holds figures for reports."""

    id: int
    at: datetime
    person: int
    kind: str
    why: str
    handoff: str
    data: dict[str, Any]
    config: str


class Basis(Struct, frozen=True):
    """What a plan was made from besides the policy of the config's digest: with it the plan can be made once more.

    `me`, `write_scores` and `live_from` (None: as it is kept) are of the policy, and not of the config.
    """

    dossier: Dossier
    roster: Roster
    now: datetime
    me: str = ""
    write_scores: bool = True
    live_from: datetime | None = None
    by: By = "plan"


class Made(Struct, frozen=True):
    """A decision as the journal has it: its lines, which follow each other."""

    lines: tuple[Line, ...]

    @property
    def at(self) -> datetime:
        """When it was made, to the millisecond."""
        return datetime.fromtimestamp(self.lines[0].at / 1000, UTC)

    @property
    def forgotten(self) -> bool:
        """What it says of a person was erased."""
        return any(line.told is None for line in self.lines)

    @property
    def inputs(self) -> bytes:
        """The digest of what it was made from; empty: that was not kept, for the facts tell it."""
        return self.lines[0].told.inputs if self.lines[0].told is not None else b""

    @property
    def plan(self) -> bytes:
        """The digest of what was decided."""
        return self.lines[0].told.plan if self.lines[0].told is not None else b""


class Ledger(Protocol):
    """The whole journal as evidence."""

    def lines(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[Line]:
        """From the first line at or after `since` on, up to the last one before `until`, without a gap."""
        ...

    def before(self, number: int) -> bytes:
        """The hash of the last line before this number."""
        ...

    def ever(self) -> int:
        """The highest number that a line ever had."""
        ...

    def decisions(self, person: int) -> tuple[Made, ...]:
        """Every decision on a person (and on whom was merged into them) that has lines, oldest first."""
        ...

    def kept_from(self) -> int:
        """From which line on what decisions were made from is kept."""
        ...

    def basis(self, made: Made) -> Basis | None:
        """What it was made from; None: it is not kept, cannot be read by this version, or is not what was sealed."""
        ...

    def policy(self, digest: str) -> Policy | None:
        """The policy of a config's digest; None: it was not kept, or this version cannot read it."""
        ...
