"""The plan while it is being made: what is known, what is wanted, and what has been decided so far.

`told` is the CRM row as we believe it: what we last told, or what people have set since. `want` is the row as it
should be. Their difference is what `commands.write` sends; an answer of a person goes into both, and so costs nothing.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec.structs import replace

from syncagent.handoff import stages
from syncagent.handoff.companies import placed
from syncagent.handoff.figures import entry_of, figures_of
from syncagent.handoff.scoring import Judged, judge, routed_by
from syncagent.handoff.team import called_by
from syncagent.handoff.turns import Loads
from syncagent.handoff.view import is_contact, last_write, standing, view_of
from syncagent.model import (
    AnyCommand,
    Decision,
    Desired,
    Dossier,
    Event,
    Handoff,
    HandoffState,
    Held,
    Key,
    ModelScore,
    OutboxEntry,
    Plan,
    Receipt,
    Roster,
    Score,
    Stage,
    Value,
)
from syncagent.policy import Policy

PENDING = frozenset(("queued", "sending", "conflict", "parked", "unknown"))
"""Outbox states in which a command has not (surely) taken effect."""

NO_DECISION = Decision()
_A_MOMENT = timedelta(seconds=1)


class Draft:
    """One person's plan in the making. Steps change it in order; `finish` turns it into a `Plan`."""

    def __init__(self, dossier: Dossier, policy: Policy, roster: Roster, now: datetime) -> None:
        dossier = placed(dossier, policy) if dossier.candidates else dossier
        self.dossier, self.policy, self.now, self._roster = dossier, policy, now, roster
        decision = dossier.decision or NO_DECISION
        self.before = decision
        self.handoffs: list[Handoff] = list(decision.handoffs)
        self.contested, self.overwritten = decision.contested, decision.overwritten
        self.adopted, self.waiting = decision.adopted, ""
        self.stage: Stage = decision.stage
        self.score_written_at = decision.score_written_at
        self.desired = decision.desired
        self.told: dict[str, Value] = dict(decision.desired.values) if decision.desired is not None else {}
        self.want: dict[str, Value] = dict(self.told)
        self.models: tuple[ModelScore, ...] = ()
        self.noticed = decision.noticed
        self.held: Held | None = None
        self.commands: list[AnyCommand] = []
        self.events: list[Event] = []
        self.withdraw: list[Key] = []
        self.cause, self.owner = "", ""
        self.set_ready_by = ""  # who has said in the CRM, by its status, that it is ready for sales (again)
        self._wake: datetime | None = None
        self._loads: Loads | None = None
        self._entries: dict[str, OutboxEntry] | None = None
        self.attributes: dict[str, Value] = {} if dossier.erased else routed_by(dossier, policy, now)
        self.judged: Judged = judge(dossier, policy, now, self.attributes)
        self.waits: list[str] = list(self.judged.waits_on)
        self.look()

    def look(self, *, anew: bool = False) -> None:
        """Choose the CRM record, and read what stands in it. Between two handoffs it stays; a new one chooses anew."""
        dossier, policy = self.dossier, self.policy
        keep = self.desired.record if self.desired is not None and self.handoffs and not anew else None
        self.view = view_of(dossier, policy, keep) if dossier.records or dossier.outbox else None
        self.contact = self.view is not None and is_contact(self.view.record)
        written = last_write(dossier, self.view.record.identity) if self.view is not None else None
        self.receipt: Receipt | None = written.receipt if written is not None else None
        self.current: dict[str, Value] = standing(self.view, written) if self.view is not None else {}

    # -- what is known
    @property
    def score(self) -> Score:
        return self.judged.score

    @property
    def handoff(self) -> Handoff | None:
        """The current handoff, open or not."""
        return self.handoffs[-1] if self.handoffs else None

    @property
    def is_open(self) -> bool:
        """Whether the current handoff is with sales or returning."""
        return bool(self.handoffs) and self.handoffs[-1].state is not HandoffState.CLOSED

    @property
    def with_sales(self) -> bool:
        return bool(self.handoffs) and self.handoffs[-1].state is HandoffState.WITH_SALES

    def called(self, who: str) -> str:
        """What people call a CRM user or queue; its id where nobody has told a name."""
        return called_by(self.policy, self._roster, who)

    def key(self, *parts: str) -> Key:
        """A key of this installation, e.g. key("17.1", "a1", "task")."""
        return ":".join((self._roster.epoch, *parts))

    def entry(self, key: Key) -> OutboxEntry | None:
        """What the outbox says of a command, whichever epoch it was made in: a step happens once in every life."""
        if self._entries is None:
            self._entries = {_plain(one.key): one for one in self.dossier.outbox}
        found = self._entries.get(_plain(key))
        return self._left_over(key) if found is None and key.endswith(":task") else found

    def _left_over(self, key: Key) -> OutboxEntry | None:
        """An open task of ours that this state knows nothing of: made after the backup that was restored, or before
        the file was new. It stands for the one that would be made now.
        """
        for task in self.dossier.tasks:
            ours = task.key.endswith(":task") and not task.key.startswith(f"{self._roster.epoch}:")
            if ours and not task.closed and not task.deleted:
                return OutboxEntry(key=key, verb="CreateTask", state="done", why=f"{task.key} stands already.")
        return None

    @property
    def write_key(self) -> Key:
        """The key of the row that `desired` stands for; a creation keeps it when its person is merged into another."""
        record = self.desired.record if self.desired is not None else None
        if record is None and self.view is not None and self.desired is None:
            record = self.view.record.identity
        if record is not None:
            return f"lead:{record.system}:{record.id}"
        begun = [one for one in self.creations() if self.handoff is not None and one.handoff == self.handoff.id]
        return begun[0].key if begun else self.key(str(self.dossier.person), "new")

    def creations(self) -> list[OutboxEntry]:
        """Creations of a record that have not (surely) taken effect; people who were merged may bring several."""
        made = [one for one in self.dossier.outbox if one.verb == "WriteLead" and one.state in PENDING]
        return [one for one in made if one.key.endswith(":new")]

    @property
    def write_entry(self) -> OutboxEntry | None:
        """The outbox entry of the desired row, when it is about this revision and not just withdrawn."""
        if self.desired is None:
            return None
        entry = self.entry(self.write_key)
        if entry is None or entry.key in self.withdraw or entry.revision < self.desired.revision:
            return None
        return entry

    @property
    def write_pending(self) -> bool:
        entry = self.write_entry
        return entry is not None and entry.state in PENDING

    def still_shows(self, field: str) -> bool:
        """Whether the CRM shows there what it showed when the write that is under way was decided."""
        expects = self.desired.expects if self.desired is not None else {}
        return field in expects and self.current.get(field) == expects[field] and self.write_pending

    def crm_has_seen(self, due: datetime) -> bool:
        """Law 12: the CRM is known to have been read up to `due`; else look again soon."""
        seen = self.dossier.crm_seen_until
        if seen is not None and seen >= due:
            return True
        self.wake(self.now + timedelta(seconds=30))
        if "crm" not in self.waits:
            self.waits.append("crm")
        return False

    @property
    def matched(self) -> str:
        """The account that they were found to belong to, where the CRM says none."""
        account = self.dossier.account
        return account.id if account is not None and account.matched and not self.dossier.erased else ""

    @property
    def active(self) -> dict[str, bool]:
        return self._roster.active

    @property
    def loads(self) -> Loads:
        """The roster as this plan leaves it; asking for it makes the plan carry one."""
        if self._loads is None:
            self._loads = Loads(self._roster, self.policy, self.now)
        return self._loads

    def stage_now(self) -> Stage:
        """The stage as everything decided so far gives it."""
        crm = self.policy.crm
        if self.handoffs:
            status = self.want.get("status", self.current.get("status"))
            deals = stages.stage_of_deals(self.view.opportunities) if self.view is not None else None
            found = stages.stage_of_handoff(self.handoffs[-1], status, deals, crm)
        elif self.view is not None:
            found = stages.stage_in_crm(self.view, self.current.get("status"), crm)
        else:
            found = None
        if found is not None:
            return found
        if self.waiting:
            return Stage.PROSPECT if self.waiting.startswith("gate") else Stage.MQL
        return Stage.PROSPECT if self.judged.score.interest > 0 else Stage.SUSPECT

    # -- what is decided
    def put(self, handoff: Handoff) -> None:
        """Replace the current handoff."""
        self.handoffs[-1] = handoff

    def event(self, kind: str, why: str, **data: Value) -> None:
        """Add a line to the journal."""
        self.tell(kind, why, data)

    def tell(self, kind: str, why: str, data: dict[str, Value]) -> None:
        """As `event`, of data that are one already."""
        handoff = self.handoffs[-1].id if self.handoffs else ""
        self.events.append(Event(kind, self.now, why, handoff, data))

    def wake(self, at: datetime | None) -> None:
        """Look again at `at`, or a moment from now if that is past."""
        if at is None:
            return
        if at <= self.now:
            at = self.now + _A_MOMENT
        if self._wake is None or at < self._wake:
            self._wake = at

    def remember(self) -> None:
        """Who was given back in this very plan is scored as they will be from now on, by the memory of the reason."""
        if tuple(self.handoffs) != self.before.handoffs:
            decided = replace(self.before, handoffs=tuple(self.handoffs))
            found = judge(replace(self.dossier, decision=decided), self.policy, self.now, self.attributes)
            if found.score != self.judged.score:
                self.judged = found
                self.wake(found.changes_at)

    def withdraw_keys(self, keys: Iterable[Key]) -> None:
        """Commands that no longer make sense, each with the push beside it."""
        both = (one for key in keys for one in (key, f"{key}:push"))
        self.withdraw.extend(key for key in both if key not in self.withdraw and self.entry(key) is not None)

    def finish(self) -> Plan:
        """The plan."""
        decision = Decision(
            stage=self.stage,
            score=None if self.dossier.erased else self.score,
            handoffs=tuple(self.handoffs),
            desired=self.desired,
            score_written_at=self.score_written_at,
            contested=self.contested,
            overwritten=self.overwritten,
            adopted=self.adopted,
            waiting=self.waiting,
            models=self.models,
            noticed=() if self.dossier.erased else self.noticed,
            stage_since=self.before.stage_since if self.stage is self.before.stage else self.now,
            account=self.matched,
            held=self.held,
        )
        return Plan(
            decision=decision,
            commands=tuple(self.commands),
            events=tuple(self.events),
            roster=self._loads.roster() if self._loads is not None else None,
            wake_at=self._wake,
            waits_on=tuple(self.waits),
            withdraw=tuple(self.withdraw),
            cause=self.cause,
            owner=self.owner,
            entry=entry_of(self.dossier, self.judged.segment),
            figures=tuple([figures_of(one, self.policy) for one in self.handoffs]),
        )

    def adopt(self, field: str, value: Value) -> None:
        """Take a value that stands in the CRM as it is."""
        self.told[field] = self.want[field] = value

    def believe(self, desired: Desired | None) -> None:
        """Start from another row."""
        self.desired = desired
        self.told = dict(desired.values) if desired is not None else {}
        self.want = dict(self.told)

    def close(self, outcome: str, why: str, *, kind: str = "closed") -> None:
        """End the current handoff with an outcome; who never got it has their turn back."""
        handoff = self.handoffs[-1]
        self._leave(handoff)
        if outcome == "withdrawn" and handoff.state is HandoffState.WITH_SALES and handoff.assignments:
            self.loads.undo(handoff.assignments[-1])
        self.put(replace(handoff, state=HandoffState.CLOSED, outcome=outcome, closed_at=self.now, come_back_at=None))
        self.event(kind, why, outcome=outcome)

    def _leave(self, handoff: Handoff) -> None:
        if handoff.state is HandoffState.WITH_SALES and handoff.assignments:
            self.loads.give_back(handoff.assignments[-1].owner)

    def give_back(self, outcome: str, come_back_at: datetime, reason: str) -> None:
        """Sales has let the lead go until a date."""
        handoff = self.handoffs[-1]
        self._leave(handoff)
        self.put(
            replace(
                handoff,
                state=HandoffState.RETURNING,
                outcome=outcome,
                closed_at=self.now,
                come_back_at=come_back_at,
                recycle_reason=reason,
            )
        )


def _plain(key: Key) -> str:
    return key if key.startswith("lead:") else key.partition(":")[2]
