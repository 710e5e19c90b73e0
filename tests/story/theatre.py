"""A stage for stories: an agent on memory systems, a clock that stands still, and people who act."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from syncagent.agent import Agent
from syncagent.clock import ManualClock
from syncagent.compose import compose
from syncagent.config import parse
from syncagent.connectors.memory import Memory, Options
from syncagent.model import Activity, CrmRecord, CrmTask, Dossier, Identity, Lead, Value
from syncagent.state import open_store
from tests.audited import assert_nobody_lost, assert_trusted

T0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday

CONFIG = """
[agent]
timezone = "UTC"
[sources.web]
type = "memory"
[crm]
type = "memory"
name = "crm"
create = "when_missing"
automation_users = ["flow"]
[crm.fields]
score = "score"
grade = "grade"
stage_date = "stage_date"
recycle_reason = "recycle_reason"
recycle_until = "recycle_until"
[crm.status]
untouched = ["Open"]
mql = "Sales Ready"
accepted = ["Working"]
recycled = ["Recycled"]
disqualified = ["Unqualified"]
[crm.queues]
Inbound = "queue"
[[score.fit]]
attribute = "title"
weight = 40
choices = [{ matches = "director", priority = 10 }, { matches = "student", priority = -10 }]
[[score.interest]]
activity = "form.submitted"
asset = "demo-*"
weight = 40
choices = [{ at_least = 1, within = "30d", priority = 10 }]
[[score.interest]]
activity = "page.visited"
weight = 20
choices = [{ at_least = 3, within = "30d", priority = 10 }]
[handoff]
mql = { any = { score = 65 } }
[[handoff.always]]
activity = "form.submitted"
asset = "contact-sales"
[team]
manager = "boss"
[[reps]]
name = "Ana Silva"
crm_id = "ana"
[[reps]]
name = "Ben Ode"
crm_id = "ben"
[[routes]]
name = "all"
to = { pool = ["Ana Silva", "Ben Ode"], fallback_queue = "Inbound" }
[[sla]]
name = "hour"
first_touch = "60m"
steps = [
  { at = "50%", do = "remind" },
  { at = "100%", do = "reassign" },
  { at = "200%", do = "escalate", to = "manager" },
]
[recycle]
default = "30d"
wake_early = { points = 40, within = "7d" }
nurture = { source = "web", list = 7 }
"""


class Theatre:
    """Two memory systems, "web" and "crm", and an agent between them on one state file."""

    def __init__(self, folder: Path, config: str = CONFIG) -> None:
        self.clock = ManualClock(T0)
        self.web = Memory("web", Options(), clock=self.clock.now)
        self.crm = Memory("crm", Options(), clock=self.clock.now)
        self.config = parse(config, folder)
        self.state = folder / "state.db"
        self.agent: Agent = self.start()

    def start(self) -> Agent:
        """An agent on the same file, as after a restart."""
        systems = {"web": self.web, "crm": self.crm}
        self.agent = compose(self.config, open_store(self.state), clock=self.clock, systems=systems)
        return self.agent

    def restart(self) -> Agent:
        """Stop it, and start it again on the same file."""
        self.agent.store.close()
        return self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                assert_nobody_lost(self.agent.store, self.agent.policy, self.clock.now())
                assert_trusted(self.agent.store)
        finally:
            self.agent.store.close()

    def after(self, **step: float) -> None:
        """Let time pass, then do one whole round."""
        self.clock.advance(timedelta(**step))
        self.agent.once()

    def person(self, name: str, **attributes: Value) -> Identity:
        """Somebody whom marketing knows."""
        identity = Identity("web", "lead", name)
        given = {"first_name": name.title(), "last_name": "Test", **attributes}
        self.web.feed([Lead(identity, self.clock.now(), given, (f"{name}@example.com",))])
        return identity

    def does(self, who: Identity, kind: str, asset: str = "", *, at: datetime | None = None) -> None:
        """Somebody does something."""
        when = at or self.clock.now()
        number = sum(isinstance(fact, Activity) for _, fact in self.web._log)
        self.web.feed([Activity(who, f"k{number}", when, kind, asset)])

    def lead(self, name: str, **fields: Value) -> Identity:
        """A lead that the CRM has already."""
        identity = Identity("crm", "Lead", name)
        values: dict[str, Value] = {"status": "Open", "owner": "queue", "last_name": "Test", **fields}
        now = self.clock.now()
        self.crm.feed([CrmRecord(identity, now, now, "somebody", values, (f"{name}@example.com",))])
        return identity

    def record(self, name: str) -> CrmRecord:
        """The CRM record of that person, alive."""
        found = [r for r in self.crm.records.values() if f"{name}@example.com" in r.emails and not r.deleted]
        assert len(found) == 1, found
        return found[0]

    def tasks(self, name: str, *, closed: bool | None = None) -> list[CrmTask]:
        """That person's tasks, oldest first."""
        record = self.record(name).identity
        return [
            task
            for task in self.crm.tasks.values()
            if task.record == record and not task.deleted and closed in (None, task.closed)
        ]

    def dossier(self, name: str) -> Dossier:
        """What the agent knows of that person."""
        (person,) = self.agent.store.find(f"{name}@example.com")
        found = self.agent.store.dossier(person)
        assert found is not None
        return found
