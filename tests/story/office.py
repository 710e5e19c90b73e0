"""An admin's office on the stage of the vendors: people who ask for a demo, the log, the commands, the outcome."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from click.testing import CliRunner

from syncagent.agent.control import Control as Door
from syncagent.agent.control import socket_path
from syncagent.cli import logs, main
from syncagent.clock import SystemClock
from syncagent.state.proof import JournalEntry
from tests.story.vendors import Row, Stage

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)  # a Monday

AGREEMENT = """
[[score.fit]]
attribute = "title"
weight = 40
choices = [{ matches = "director", priority = 10 }]
[[score.interest]]
activity = "form.submitted"
weight = 60
choices = [{ at_least = 1, priority = 10 }]
[handoff]
mql = { any = { score = 60 } }
[handoff.brake]
per_hour = 100000
per_rep = 100000
[team]
manager = "MANAGER"
[[reps]]
name = "Ana Silva"
crm_id = "ANA"
[[reps]]
name = "Ben Ode"
crm_id = "BEN"
[[routes]]
name = "all"
to = { pool = ["Ana Silva", "Ben Ode"], fallback_queue = "Inbound" }
[[sla]]
name = "a day"
first_touch = "24h"
steps = []
[recycle]
default = "90d"
"""


class Office(Stage):
    """A stage with an agent that has done its first round, a log, and commands that reach the running agent."""

    def __init__(self, folder: Path, *, id_length: int = 18, more: str = "") -> None:
        super().__init__(folder, NOON)
        self.more = more  # of the config
        self.id_length = id_length  # of the users and queues in the config
        self.paper = io.StringIO()
        self.emails: list[str] = []
        self._read = 0

    def open(self) -> None:
        """The agent's first round, and a minute."""
        ids = {"MANAGER": "manager_user_id", "ANA": "rep_user_id", "BEN": "second_rep_user_id"}
        config = self.tables() + self.more + AGREEMENT
        for name, known in ids.items():
            config = config.replace(f'"{name}"', f'"{self.ids[known]}"')
        for whole in {one for one in self.ids.values() if one.startswith(("005", "00G"))}:
            config = config.replace(f'"{whole}"', f'"{whole[: self.id_length]}"')
        self.reps = [self.ids["rep_user_id"], self.ids["second_rep_user_id"]]
        self.start(config)
        self.once()
        self.after(minutes=1)
        self.news()

    # -- what happens

    def ask(self, count: int = 1, **activity: Any) -> list[str]:
        """So many new people fill out a form; their addresses."""
        first = len(self.emails)
        names = [f"person{n}" for n in range(first, first + count)]
        people = [{"email": f"{name}@example.com", "lastName": name.title(), "company": "Example"} for name in names]
        self.marketo.seed(
            leads=people,
            activities=[
                {"email": one["email"], "type": "Fill Out Form", "asset": "demo", **activity} for one in people
            ],
        )
        made = [one["email"] for one in people]
        self.emails += made
        return made

    def in_crm(self, email: str, **fields: Any) -> str:
        """A lead that is in Salesforce already, not yet touched; its id."""
        row = {"LastName": "Known", "Company": "Example", "Email": email, "OwnerId": self.ids["queue_id"], **fields}
        return str(self.salesforce.seed(leads=[{"Status": "Open - Not Contacted", **row}])["leads"][0])

    def until_quiet(self, *, minutes: float = 30, step: float = 20) -> float:
        """Rounds until nothing is left to do and nobody is away, and a bit more; the minutes that it took."""
        assert self.agent is not None
        begun = self.clock.now()
        quiet = 0
        while quiet < 3:
            self.after(seconds=step)
            passed = (self.clock.now() - begun) / timedelta(minutes=1)
            assert passed <= minutes, (self.news(), self.agent.store.outbox())
            health = self.agent.store.health(self.clock.now())
            busy = health.dirty or self.agent.store.outbox(("queued", "sending")) or any(health.down.values())
            quiet = 0 if busy else quiet + 1
        return (self.clock.now() - begun) / timedelta(minutes=1)

    # -- what the admin sees

    def news(self) -> str:
        """The log since it was read last, as it stands on the admin's screen."""
        text = self.paper.getvalue()[self._read :]
        self._read += len(text)
        return text

    def command(self, *args: str) -> Any:
        """What a command says with --json."""
        done = CliRunner().invoke(main, [*args, "--config", str(self.folder / "config.toml"), "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def screen(self, *args: str) -> str:
        """What a command says to a person."""
        wide = CliRunner(env={"COLUMNS": "500"})
        done = wide.invoke(main, [*args, "--config", str(self.folder / "config.toml")])
        assert done.exit_code == 0, done.output
        return " ".join(done.stdout.split())

    def parked(self) -> list[Row]:
        """What `syncagent outbox list` tells of the commands that were refused."""
        return [one for one in self.command("outbox", "list") if one["state"] == "parked"]

    def retry(self) -> None:
        """The admin has mended it, and says so."""
        keys = [one["command"]["key"] for one in self.parked()]
        assert self.command("outbox", "retry", *keys)["queued"] == len(keys)

    # -- how it ended

    def tasks(self) -> list[Row]:
        """The tasks for the reps (alerts for the manager are others)."""
        return [row for row in self.rows("Task") if str(row.get("SyncAgent_Key__c")).endswith(":task")]

    def open_task(self) -> Row:
        """The one task that is still to be done."""
        (task,) = [one for one in self.tasks() if not one["IsClosed"]]
        return task

    def journal(self, email: str) -> list[JournalEntry]:
        """What was decided about somebody, newest first."""
        assert self.agent is not None
        person = self.dossier(email).person
        return [one for one in self.agent.store.journal(limit=400) if one.person == person]

    def assert_right(self) -> None:
        """Everybody once, ready for sales, with one task in the list of the owner; nothing left over."""
        assert self.agent is not None
        leads = [row for row in self.rows("Lead") if not row["IsConverted"]]
        assert sorted(row["Email"] for row in leads) == sorted(self.emails)
        assert {row["Status"] for row in leads} == {"Sales Ready"}
        assert {row["OwnerId"] for row in leads} <= set(self.reps)
        tasks = {row["WhoId"]: row for row in self.tasks()}
        assert len(tasks) == len(self.tasks()) == len(leads)
        assert {row["Id"]: row["OwnerId"] for row in leads} == {who: row["OwnerId"] for who, row in tasks.items()}
        self.assert_nothing_left()

    def assert_nothing_left(self) -> None:
        """The outbox is empty, nobody is held, every system is in use."""
        assert self.command("outbox", "list") == []
        status = self.command("status")
        assert not status["held"]
        assert status["down"] == {}
        assert status["dirty"] == 0


@contextmanager
def office(folder: Path, *, id_length: int = 18, more: str = "") -> Iterator[Office]:
    """An open office. The connectors and the commands live in its time, and waiting costs none."""
    with Office(folder, id_length=id_length, more=more) as made:
        handler = logging.StreamHandler(made.paper)
        handler.setFormatter(logs._Text())
        logger = logging.getLogger("syncagent")
        level = logger.level
        with (
            patch.object(SystemClock, "now", lambda _: made.clock.now()),
            patch.object(SystemClock, "wait", lambda _self, event, _seconds: event.is_set()),
        ):
            logger.addHandler(handler)
            logger.setLevel("INFO")
            try:
                made.open()
                assert made.agent is not None
                door = Door(made.agent, socket_path(made.state))
                try:
                    yield made
                finally:
                    door.close()
            finally:
                logger.setLevel(level)
                logger.removeHandler(handler)
