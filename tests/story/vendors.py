"""A stage with the real connectors: local Marketo and Salesforce, an agent between them, one clock for all three."""

from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from syncagent.agent import Agent
from syncagent.clock import ManualClock
from syncagent.compose import compose, connectors, read
from syncagent.model import Dossier
from syncagent.sandbox import Control, Sandbox
from tests.audited import assert_nobody_lost, assert_trusted

Row = dict[str, Any]


class Stage:
    """Two vendors and an agent on one state file. `agreement` follows the vendors' own tables in the config."""

    def __init__(self, folder: Path, start: datetime) -> None:
        self.folder = folder
        self.state = folder / "syncagent.db"
        self.clock = ManualClock(start)
        self.box = Sandbox(["marketo", "salesforce"])
        self.agent: Agent | None = None
        self._open: list[Any] = []
        self.reps: list[str] = []
        self.rounds = 0

    def __enter__(self) -> Self:
        self.box.__enter__()
        self.box.clock.set(self.clock.now())
        self.marketo = Control(self.box.url("marketo"))
        self.salesforce = Control(self.box.url("salesforce"))
        self.controls = {"marketo": self.marketo, "salesforce": self.salesforce}
        self.marketo.act("set_limits", clock="off")
        self.ids = self.box.credentials("salesforce")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self.agent is not None:
                assert_nobody_lost(self.agent.store, self.agent.policy, self.clock.now())
                assert_trusted(self.agent.store)
        finally:
            self.stop()
            self.marketo.close()
            self.salesforce.close()
            self.box.close()

    # -- the agent

    def tables(self) -> str:
        """The config's tables of the two vendors, with all credentials in files."""
        names = ("marketo", "salesforce")
        return "\n".join(self.box.vendor(name).config(self.box.url(name), self.folder) for name in names)

    def start(self, config: str) -> Agent:
        """An agent on the state file, as `syncagent run` makes it; the config stands in a file for the commands."""
        text = f'[agent]\nstate = "{self.state.name}"\ntimezone = "UTC"\n\n{config}'
        (self.folder / "config.toml").write_text(text, encoding="utf-8")
        parsed = read(self.folder / "config.toml")
        systems = connectors(parsed)
        self._open = list(systems.values())
        self.agent = compose(parsed, clock=self.clock, systems=systems)
        return self.agent

    def stop(self) -> None:
        """Let go of the state file and hang up."""
        if self.agent is not None:
            self.agent.store.close()
            self.agent = None
        for system in self._open:
            system.close()
        self._open = []

    def move_to(self, moment: datetime) -> None:
        """Move the clock of all three."""
        self.clock.move_to(moment)
        self.box.clock.set(self.clock.now())

    def once(self) -> None:
        """One whole round of the agent."""
        assert self.agent is not None
        self.rounds += 1
        self.agent.once()

    def after(self, **step: float) -> None:
        """Let time pass, then do one whole round."""
        self.move_to(self.clock.now() + timedelta(**step))
        self.once()

    # -- what is there in the end

    def rows(self, kind: str, **where: object) -> list[Row]:
        """Salesforce's records of that kind, deleted ones left out."""
        found = self.salesforce.act("find", object=kind, where=where)["records"]
        return [row for row in found if not row["IsDeleted"]]

    def dossier(self, email: str) -> Dossier:
        """What the agent knows of somebody."""
        assert self.agent is not None
        (person,) = self.agent.store.find(email)
        found = self.agent.store.dossier(person)
        assert found is not None
        return found
