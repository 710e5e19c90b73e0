"""The reference connector: a source and a CRM in memory, with the people who work in it.

It keeps every promise of `base` in the plainest way, and backs the agent's tests and dry runs. `feed` puts facts in as
a system would tell them; `pull` tells the log of facts from a position on; `apply` holds records and tasks with unique
keys; `edit`, `complete`, `reassign`, `delete`, `convert`, `merge` are what reps do; `fail_next` plants a fault.
"""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct, structs

from syncagent.clock import SystemClock
from syncagent.connectors.base import not_ours
from syncagent.errors import ConnectorDownError, Problem, RetryableError
from syncagent.model import (
    Account,
    Alert,
    AnyCommand,
    CloseTask,
    CreateTask,
    CrmRecord,
    CrmTask,
    CrmUser,
    Cursor,
    Deleted,
    Done,
    Fact,
    FieldChange,
    Hint,
    Identity,
    Key,
    Lead,
    Merged,
    Notify,
    Nurture,
    Opportunity,
    Outcome,
    Page,
    Receipt,
    Refused,
    Retry,
    Value,
    WriteLead,
)


class Options(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`me` is the user that our own writes show; `tracked` fields leave a `FieldChange`."""

    poll: str = "60s"
    page_size: int = 300
    me: str = "agent"
    fields: dict[str, str] = {}  # ours = theirs; here they are the same, and only their names count
    tracked: tuple[str, ...] = ("status", "owner", "recycle_reason", "recycle_until")


class Place(Struct, frozen=True):
    """The cursor: a position in the log; facts stamped before `since` or after `until` are passed over."""

    position: int = 0
    since: datetime | None = None
    until: datetime | None = None


class Fault(Struct):
    """What goes wrong with the next `times` matches: `how` as in `Memory.fail_next`."""

    how: str
    verb: str
    times: int
    after: float
    why: str
    until: datetime | None


def open(name: str, options: Options) -> "Memory":  # noqa: A001 - the word of the contract
    """An empty one."""
    return Memory(name, options)


def stamp(fact: Fact) -> datetime | None:
    """When it happened, by the system's own clock; None where the fact has no moment."""
    match fact:
        case Lead():
            return fact.seen_at
        case Account() | CrmRecord() | CrmTask() | Opportunity():
            return fact.modified_at
        case CrmUser() | Hint():
            return None
        case _:
            return fact.at


class Memory:
    """A whole system in memory; any thread may call it. `clock` is its own time, which people's acts may override."""

    batch_size = 200

    def __init__(self, name: str, options: Options | None = None, clock: Callable[[], datetime] | None = None) -> None:
        self.name = name
        self.options = options or Options()
        self.clock = clock or SystemClock().now
        self.records: dict[Identity, CrmRecord] = {}
        self.tasks: dict[Identity, CrmTask] = {}
        self.leads: dict[Identity, Lead] = {}
        self.users: dict[str, CrmUser] = {}
        self.opportunities: dict[Identity, Opportunity] = {}
        self.keys: dict[Key, Identity] = {}  # the unique key field of every record and task that we made
        self.notified: list[Notify] = []
        self.nurtured: list[Nurture] = []
        self._gone: dict[Identity, Deleted | Merged] = {}
        self._revisions: dict[Key, int] = {}
        self._log: list[tuple[datetime | None, Fact]] = []
        self._faults: list[Fault] = []
        self._numbers = itertools.count(1)
        self._made = 0
        self._lock = threading.RLock()

    # -- Source

    def check(self) -> Sequence[Problem]:
        """Nothing can be wrong here."""
        return ()

    def begin(self, since: datetime, until: datetime | None = None) -> Cursor:
        """The whole log, without what is stamped before `since` or after `until`."""
        return msgspec.json.encode(Place(0, since, until)).decode()

    def pull(self, cursor: Cursor) -> Iterator[Page]:
        """The log from the cursor's position on; the last page says until when everything was read."""
        place = msgspec.json.decode(cursor, type=Place)
        more = True
        while more:
            with self._lock:
                self._call("pull")
                end = min(place.position + self.options.page_size, len(self._log))
                entries = self._log[place.position : end]
                more = end < len(self._log)
                seen_until = None if more else place.until or self.clock()
            place = structs.replace(place, position=end)
            facts = tuple(
                fact
                for at, fact in entries
                if at is None or ((not place.since or at >= place.since) and (not place.until or at <= place.until))
            )
            yield Page(facts, msgspec.json.encode(place).decode(), seen_until)

    def look(self, identities: Sequence[Identity]) -> Page:
        """These as they are now: with changes, tasks and deals; a converted or merged one with what it became."""
        with self._lock:
            self._call("look")
            facts: list[Fact] = []
            for identity in identities:
                if gone := self._gone.get(identity):
                    facts.append(gone)
                if lead := self.leads.get(identity):
                    facts.append(lead)
                for one in {identity: None, self._follow(identity): None}:
                    facts.extend(self._about(one))
            return Page(tuple(facts), "")

    def close(self) -> None:
        """Nothing is open."""

    def calls(self) -> Mapping[str, int]:
        """Counted as a vendor would count: one for a page, a look, a batch."""
        return {"made": self._made, "used": self._made, "limit": 1_000_000}

    # -- Target

    def me(self) -> str:
        """The user that our own writes show."""
        return self.options.me

    def apply(self, batch: Sequence[AnyCommand]) -> Iterator[tuple[Key, Outcome]]:
        """Records first, then what depends on them; every key exactly once."""
        self._call("apply")
        waiting = sorted(batch, key=lambda command: not isinstance(command, WriteLead))
        open_keys = {command.key for command in batch}
        outcomes: dict[Key, Outcome] = {}
        while waiting:
            ready = [command for command in waiting if not open_keys.intersection(command.depends_on)]
            if not ready:  # a circle: nobody can go first
                for command in waiting:
                    yield command.key, Retry(60.0, "It depends on itself.")
                return
            for command in ready:
                before = [outcomes[key] for key in command.depends_on if key in outcomes]
                if all(isinstance(outcome, Done) for outcome in before):
                    outcome = self._carry_out(command, [one.receipt for one in before if isinstance(one, Done)])
                else:
                    outcome = Retry(60.0, "What it depends on has not gone through.")
                outcomes[command.key] = outcome
                open_keys.discard(command.key)
                yield command.key, outcome
            waiting = [command for command in waiting if command.key not in outcomes]

    # -- the world's part

    def feed(self, facts: Iterable[Fact]) -> None:
        """Put facts in as the system would tell them: they are stored, and `pull` yields them in this order."""
        with self._lock:
            for fact in facts:
                self._store(fact)

    def edit(self, record: Identity, by: str, now: datetime, **fields: Value) -> CrmRecord:
        """A person, or automation, changes fields of a record."""
        with self._lock:
            return self._write(self.records[record], fields, by, now)

    def complete(self, task: Identity, by: str, now: datetime) -> CrmTask:
        """A person ticks a task off."""
        return self._change(task, by, now, closed=True, closed_at=now, status="Completed")

    def reassign(self, what: Identity, owner: str, by: str, now: datetime) -> None:
        """A person gives a record or a task to somebody else."""
        if what in self.tasks:
            self._change(what, by, now, owner=owner)
        else:
            self.edit(what, by, now, owner=owner)

    def delete(self, what: Identity, by: str, now: datetime) -> None:
        """A person deletes a record or a task."""
        if what in self.tasks:
            self._change(what, by, now, deleted=True)
            return
        with self._lock:
            self._store(structs.replace(self.records[what], deleted=True, modified_at=now, modified_by=by))
            self._store(Deleted(what, now))

    def convert(self, lead: Identity, by: str, now: datetime, *, account: str = "A1") -> Identity:
        """A rep converts a lead: its tasks go to the new contact, whose id is returned."""
        with self._lock:
            contact = Identity(self.name, "Contact", f"C{next(self._numbers)}")
            old = self.records[lead]
            fields = {name: value for name, value in old.fields.items() if name != "status"}
            self._store(CrmRecord(contact, now, now, by, fields, old.emails, account=account))
            self._store(structs.replace(old, converted_to=contact, modified_at=now, modified_by=by))
            self._move_tasks(lead, contact, by, now)
            return contact

    def merge(self, winner: Identity, losers: Sequence[Identity], by: str, now: datetime) -> None:
        """A person makes one record out of several; the winner's values stand."""
        with self._lock:
            for loser in losers:
                gone = structs.replace(self.records[loser], merged_into=winner, modified_at=now, modified_by=by)
                self._store(gone)
                self._move_tasks(loser, winner, by, now)
            self._store(structs.replace(self.records[winner], modified_at=now, modified_by=by))
            self._store(Merged(winner, tuple(losers), now))

    def fail_next(
        self,
        how: str,
        verb: str = "",
        *,
        times: int = 1,
        after: float = 5.0,
        why: str = "planted",
        until: datetime | None = None,
    ) -> None:
        """Plant a fault for the next `verb`: "pull", "look", "apply", a command's class name, or "" for any command.

        "lost": executed, then the answer is lost. "unsent": not executed, no answer. "refused", "conflict", "retry":
        that command's outcome. "down": the system is down until `until`.
        """
        with self._lock:
            self._faults.append(Fault(how, verb, times, after, why, until))

    # -- inside

    def _fault(self, verb: str, *, any_verb: bool) -> Fault | None:
        for fault in self._faults:
            if fault.times and (fault.verb == verb or (any_verb and not fault.verb)):
                fault.times -= 1
                return fault
        return None

    def _call(self, verb: str) -> None:
        with self._lock:
            self._made += 1
            if fault := self._fault(verb, any_verb=False):
                self._raise(fault)

    def _raise(self, fault: Fault) -> None:
        if fault.how == "down":
            raise ConnectorDownError(f"{self.name} is down: {fault.why}.", fault.until)
        raise RetryableError(f"{self.name} did not answer: {fault.why}.", fault.after)

    def _carry_out(self, command: AnyCommand, before: Sequence[Receipt]) -> Outcome:
        with self._lock:
            fault = self._fault(type(command).__name__, any_verb=True)
            if fault:
                if fault.how == "refused" or fault.how == "conflict":
                    return Refused(fault.why, "refused" if fault.how == "refused" else "conflict")
                if fault.how == "retry":
                    return Retry(fault.after, fault.why)
                if fault.how != "lost":
                    self._raise(fault)
            outcome = self._outcome(command, before)
            if fault:
                self._raise(fault)
            return outcome

    def _outcome(self, command: AnyCommand, before: Sequence[Receipt]) -> Outcome:
        match command:
            case WriteLead():
                return self._write_lead(command)
            case CreateTask() | Alert():
                return self._create_task(command, before)
            case CloseTask():
                return self._close_task(command)
            case Notify() | Nurture(list_id=None) if command.attempt:
                return Refused("It was sent once, and nobody knows whether it arrived.", "unknown")
            case Notify():
                self.notified.append(command)
                about = command.record or Identity(self.name, "Notification", "")
                return Done(Receipt(command.key, about, self.clock()))
            case Nurture():
                self.nurtured.append(command)
                which: dict[str, Value] = {"list": command.list_id, "campaign": command.campaign_id}
                told: dict[str, Value] = {name: number for name, number in which.items() if number is not None}
                return Done(Receipt(command.key, command.lead, self.clock(), told, adopted=command.attempt > 0))

    def _write_lead(self, command: WriteLead) -> Outcome:
        now, made = self.clock(), self.keys.get(command.key)
        if made and self._revisions[command.key] >= command.revision:  # an earlier answer was lost: left as it stands
            record = self.records[made]
            values = {name: record.fields.get(name) for name in command.values}
            gone = record.deleted
            return Done(
                Receipt(
                    command.key, made, record.modified_at, values, values, command.revision, adopted=True, gone=gone
                )
            )
        identity = command.record or made or self._by_email(command.emails)
        if identity is None:
            if command.create is None:
                return Refused("There is no such record, and creating is not allowed.", code="not_found")
            identity = Identity(self.name, "Lead", f"L{next(self._numbers)}")
            fields = {**command.create, **command.values}
            emails = tuple(
                dict.fromkeys((str(fields["email"]), *command.emails)) if fields.get("email") else command.emails
            )
            self._store(CrmRecord(identity, now, now, self.options.me, fields, emails))
            self.keys[command.key], self._revisions[command.key] = identity, command.revision
            return Done(Receipt(command.key, identity, now, dict(command.values), {}, command.revision))
        record_now = self.records.get(identity)
        if record_now is None:
            return Refused("There is no such record.", code="not_found")
        if record_now.deleted or record_now.converted_to or record_now.merged_into:
            return Refused("The record has been deleted, converted or merged.", "conflict", code="moved")
        moved = tuple(
            name
            for name, expected in command.expects.items()
            if record_now.fields.get(name) not in (expected, command.values.get(name, expected))
        )
        if moved:
            return Refused(f"Somebody has changed {', '.join(moved)} meanwhile.", "conflict", fields=moved)
        watched = {*command.values, *command.expects, "status", "owner"}
        old = {name: record_now.fields[name] for name in watched if name in record_now.fields}
        theirs = not_ours(command, record_now.fields)
        given = {name: value for name, value in command.values.items() if name not in theirs}
        record_now = self._write(record_now, given, self.options.me, now)
        if made:
            self._revisions[command.key] = command.revision
        values = {name: record_now.fields.get(name) for name in command.values}
        at = record_now.modified_at
        return Done(Receipt(command.key, identity, at, values, old, command.revision, left_out=theirs))

    def _create_task(self, command: CreateTask | Alert, before: Sequence[Receipt]) -> Outcome:
        now = self.clock()
        if made := self.keys.get(command.key):  # the unique key says: it stands already
            task = self.tasks[made]
            return Done(Receipt(command.key, made, task.modified_at, adopted=True, gone=task.deleted))
        record = command.record or (before[0].record if before else None)
        target = self._follow(record) if record else None
        if target is None or target not in self.records:
            return Refused("There is no record that the task could belong to.", code="not_found")
        if self.records[target].deleted:
            return Refused("The record has been deleted.", "conflict", code="moved")
        owner = command.to if isinstance(command, Alert) else command.owner
        if owner in self.users and not self.users[owner].active:
            return Refused("The owner is inactive.", code="inactive_owner", fields=("owner",))
        made = Identity(self.name, "Task", f"T{next(self._numbers)}")
        me = self.options.me
        task = CrmTask(made, target, owner, now, me, me, now, command.key, command.subject, "Not Started", "Task")
        self.keys[command.key] = made
        self._store(task)
        return Done(Receipt(command.key, made, now))

    def _close_task(self, command: CloseTask) -> Outcome:
        made = self.keys.get(command.task)
        if made is None:
            return Refused("There is no task with that key.", code="not_found")
        task, adopted = self.tasks[made], True
        if not task.closed and not task.deleted:
            task, adopted = self.complete(made, self.options.me, self.clock()), False
        return Done(Receipt(command.key, made, task.modified_at, adopted=adopted, gone=task.deleted))

    def _by_email(self, emails: Sequence[str]) -> Identity | None:
        wanted = {email.lower() for email in emails}
        for identity, record in self.records.items():
            alive = not (record.deleted or record.converted_to or record.merged_into)
            if alive and wanted.intersection(email.lower() for email in record.emails):
                return identity
        return None

    def _follow(self, identity: Identity) -> Identity:
        """What a converted or merged record has become; itself otherwise."""
        record = self.records.get(identity)
        into = record and (record.converted_to or record.merged_into)
        return self._follow(into) if into else identity

    def _about(self, identity: Identity) -> list[Fact]:
        facts: list[Fact] = [self.records[identity]] if identity in self.records else []
        facts += [fact for _, fact in self._log if isinstance(fact, FieldChange) and fact.record == identity]
        facts += [task for task in self.tasks.values() if task.record == identity]
        return facts + [deal for deal in self.opportunities.values() if identity in deal.people]

    def _write(self, record: CrmRecord, fields: Mapping[str, Value], by: str, now: datetime) -> CrmRecord:
        changed = {name: value for name, value in fields.items() if record.fields.get(name) != value}
        if not changed:
            return record
        record_now = structs.replace(record, fields={**record.fields, **changed}, modified_at=now, modified_by=by)
        self._store(record_now)
        for name, value in changed.items():
            if name in self.options.tracked:
                key = f"H{next(self._numbers)}"
                self._store(FieldChange(record.identity, key, name, record.fields.get(name), value, by, now))
        return record_now

    def _change(self, task: Identity, by: str, now: datetime, **fields: object) -> CrmTask:
        with self._lock:
            changed = structs.replace(self.tasks[task], modified_by=by, modified_at=now, **fields)
            self._store(changed)
            return changed

    def _move_tasks(self, old: Identity, new: Identity, by: str, now: datetime) -> None:
        for identity, task in list(self.tasks.items()):
            if task.record == old and not task.deleted:
                self._change(identity, by, now, record=new)

    def _store(self, fact: Fact) -> None:
        match fact:
            case CrmRecord():
                self.records[fact.identity] = fact
            case CrmTask():
                self.tasks[fact.identity] = fact
                if fact.key:
                    self.keys.setdefault(fact.key, fact.identity)
            case Lead():
                self.leads[fact.identity] = fact
            case CrmUser():
                self.users[fact.identity.id] = fact
            case Opportunity():
                self.opportunities[fact.identity] = fact
            case Deleted():
                self._gone[fact.identity] = fact
                self.leads.pop(fact.identity, None)
            case Merged():
                self._gone.update(dict.fromkeys(fact.losers, fact))
            case _:
                pass
        self._log.append((stamp(fact), fact))
