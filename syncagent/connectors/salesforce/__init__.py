"""Salesforce: leads, contacts, tasks and deals come in; statuses, owners, dates, tasks and alerts go out.

An idle minute costs one API call, 1,000 handoffs cost 13. See `read` for what is guaranteed about late changes, `write`
for how a person's values are kept, `tasks` for how one task stays one task.
"""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import structs

from syncagent.clock import Clock, SystemClock
from syncagent.connectors.http import Sleep
from syncagent.connectors.salesforce.checking import examine
from syncagent.connectors.salesforce.options import Options, whole_id
from syncagent.connectors.salesforce.org import Org, Row, chunks
from syncagent.connectors.salesforce.read import Reader
from syncagent.connectors.salesforce.tasks import Placed, TaskWriter
from syncagent.connectors.salesforce.write import LeadWriter
from syncagent.errors import ConnectorDownError, Problem, RetryableError
from syncagent.model import (
    Alert,
    AnyCommand,
    CloseTask,
    CreateTask,
    Cursor,
    Done,
    Fact,
    Identity,
    Key,
    Lane,
    Notify,
    Nurture,
    Outcome,
    Page,
    Refused,
    Retry,
    WriteLead,
)

__all__ = ["Options", "Salesforce", "open", "whole_id"]

_HELD: Final = 90.0  # a round and a half: until then the record that was found is known
_PEOPLE: Final = ("Lead", "Contact")


def open(  # noqa: A001 - the word of the contract
    name: str, options: Options, *, clock: Clock | None = None, sleep: Sleep | None = None
) -> "Salesforce":
    """The org as Source and Target; calls nobody yet. `sleep` waits between tries, True when a stop was heard."""
    return Salesforce(name, options, clock=clock, sleep=sleep)


class Salesforce:
    """One org. Any thread may call it. Close it, or use it as a context manager."""

    batch_size = 1000

    def __init__(self, name: str, options: Options, *, clock: Clock | None = None, sleep: Sleep | None = None) -> None:
        self.name = name
        self.options = options
        self._clock = clock or SystemClock()
        self._org = Org(name, options, clock=self._clock, sleep=sleep)
        self._reader = Reader(self._org, options)
        self._lock = threading.Lock()
        self._found: dict[str, tuple[str, Row]] = {}  # records that a write came upon: told by the next pull
        self._told: tuple[Cursor, frozenset[str]] = ("", frozenset())  # with which cursor, and which of them
        self._untried: set[Key] = set()  # came back without having been sent
        self._known: dict[str, Any] = {}

    def __enter__(self) -> "Salesforce":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Wake up whoever waits, and close the connections."""
        self._org.close()

    # -- Source

    def check(self) -> Sequence[Problem]:
        """What the login, the user's rights and the org's fields lack, in a few reads; changes nothing."""
        return examine(self._org, self.options)

    def me(self) -> str:
        """The id of the integration user, which our own changes bear; logs in where needed."""
        return self._org.token().user

    def begin(self, since: datetime, until: datetime | None = None) -> Cursor:
        """The cursor where a poll or a backfill starts. No I/O."""
        return self._reader.begin(since, until)

    def pull(self, cursor: Cursor) -> Iterator[Page]:
        """One round; see `read` for its guarantees."""
        with self._lock:
            stored, ids = self._told
            if stored == cursor:  # the page that told them has been stored
                self._found = {ident: one for ident, one in self._found.items() if ident not in ids}
            found = dict(self._found)
        for page in self._reader.pull(cursor):
            facts: list[Fact] = [fact for kind, row in found.values() for fact in self._reader.record(kind, row)]
            if found:
                self._told = (page.cursor, frozenset(found))
                found = {}
            yield Page((*facts, *page.facts), page.cursor, page.seen_until)

    def look(self, identities: Sequence[Identity]) -> Page:
        """These as they are now: leads with history and our tasks, and what converted or merged ones became."""
        return self._reader.look(identities)

    def calls(self) -> Mapping[str, int]:
        """API calls made, and the org's day."""
        return self._org.budget.calls()

    # -- Target

    def apply(self, batch: Sequence[AnyCommand]) -> Iterator[tuple[Key, Outcome]]:
        """Records first, then what depends on them; every key once, unless a whole call fails and is raised."""
        fresh = {command.key for command in batch if command.key in self._untried}
        self._untried -= fresh
        outcomes: dict[Key, Outcome] = {}
        for key, outcome in self._apply(batch, fresh, outcomes):
            outcomes[key] = outcome
            yield key, outcome

    def _apply(
        self, batch: Sequence[AnyCommand], fresh: set[Key], outcomes: dict[Key, Outcome]
    ) -> Iterator[tuple[Key, Outcome]]:
        waiting: list[AnyCommand] = []
        budget = self._org.budget
        for command in batch:
            if command.lane == Lane.COLD and budget.share() > 1 - self.options.api_budget.hot_share:
                yield self._later(command, 900.0, "Cold work waits: most of the day's API calls are used.")
            else:
                waiting.append(command)
        leads = LeadWriter(self._org, self._reader)
        writes = [command for command in waiting if isinstance(command, WriteLead)]
        if writes:
            yield from leads.apply(writes)
            with self._lock:
                self._found |= {row["Id"]: (kind, row) for kind, row in leads.found}
        waiting = [command for command in waiting if not isinstance(command, WriteLead)]
        yield from self._fail(leads.failure, waiting, ())
        tasks = TaskWriter(self._org, self._reader, self._clock, self._known)
        while waiting:
            names = {command.key for command in waiting}
            ready = [command for command in waiting if not names.intersection(command.depends_on)]
            if not ready:
                yield from (self._later(command, 60.0, "It depends on itself.") for command in waiting)
                return
            waiting = [command for command in waiting if names.intersection(command.depends_on)]
            go: list[AnyCommand] = []
            for command in ready:
                if why := self._blocked(command, outcomes, leads.held):
                    yield self._later(command, _HELD, why)
                else:
                    go.append(command)
            for work in self._stages(go, tasks, fresh, outcomes):
                yield from work()
                rest = [one for one in (*go, *waiting) if one.key not in outcomes]
                yield from self._fail(tasks.failure, rest, tasks.sent)

    def _stages(
        self, go: Sequence[AnyCommand], tasks: TaskWriter, fresh: set[Key], outcomes: dict[Key, Outcome]
    ) -> Iterator[Callable[[], Iterator[tuple[Key, Outcome]]]]:
        """The commands by kind, in the order in which they are done."""
        creations = [command for command in go if isinstance(command, CreateTask | Alert)]
        closings = [command for command in go if isinstance(command, CloseTask)]
        notices = [command for command in go if isinstance(command, Notify)]
        others = [command for command in go if isinstance(command, Nurture | WriteLead)]
        if creations:
            yield lambda: self._create(creations, tasks, outcomes)
        if closings:
            yield lambda: tasks.close(closings)
        if notices:
            shown = [self._shown(command, outcomes) for command in notices]
            yield lambda: self._notify(shown, tasks, fresh)
        if others:
            yield lambda: ((one.key, Refused("Salesforce does not do this.", code="NOT_SUPPORTED")) for one in others)

    def _create(
        self, creations: Sequence[CreateTask | Alert], tasks: TaskWriter, outcomes: dict[Key, Outcome]
    ) -> Iterator[tuple[Key, Outcome]]:
        placed: list[Placed] = []
        lost: list[CreateTask | Alert] = []
        for command in creations:
            before = [one for key in command.depends_on if isinstance(one := outcomes.get(key), Done)]
            made = [done.receipt.record for done in before if done.receipt.record.object in _PEOPLE]
            record = command.record or next(iter(made), None)
            if record is not None:
                placed.append((command, record.id))
            else:
                lost.append(command)
        if lost:
            try:
                made_by = self._made([key for command in lost for key in command.depends_on])
            except (RetryableError, ConnectorDownError) as error:
                tasks.failure = error
                return
            for command in lost:
                ident = next((made_by[key] for key in command.depends_on if key in made_by), "")
                if ident:
                    placed.append((command, ident))
                else:
                    why = "Nobody knows the record that this task belongs to; it is planned anew."
                    yield command.key, Refused(why, "conflict", "NOT_FOUND")
        if placed:
            yield from tasks.create(placed)

    def _shown(self, notice: Notify, outcomes: Mapping[Key, Outcome]) -> Notify:
        """With the record that it leads to, if a command before it has made one."""
        before = [one for key in notice.depends_on if isinstance(one := outcomes.get(key), Done)]
        made = (done.receipt.record for done in before if done.receipt.record.object in _PEOPLE)
        return notice if notice.record is not None else structs.replace(notice, record=next(made, None))

    def _made(self, keys: Sequence[Key]) -> dict[Key, str]:
        """The leads that earlier commands have made, by key."""
        field = self.options.lead_key_field
        texts = [self._reader.by("Lead", field, some, also=(field,)) for some in chunks(sorted(set(keys)))]
        results, _ = self._org.queries(texts, deleted=False) if texts else ([], None)
        return {row[field]: row["Id"] for rows in results for row in rows}

    def _notify(self, notices: Sequence[Notify], tasks: TaskWriter, fresh: set[Key]) -> Iterator[tuple[Key, Outcome]]:
        again = [one for one in notices if one.attempt and one.key not in fresh]
        for one in again:
            yield (
                one.key,
                Refused("It was sent once, and nobody knows whether it arrived; it is not repeated.", "unknown"),
            )
        if new := [one for one in notices if one not in again]:
            yield from tasks.notify(new)

    def _blocked(self, command: AnyCommand, outcomes: Mapping[Key, Outcome], held: set[Key]) -> str:
        """Why what it depends on does not let it go; "" when it may."""
        for key in command.depends_on:
            if key in held:
                return "The record was in Salesforce already, with its own status and owner; it is planned anew first."
            if key in outcomes and not isinstance(outcomes[key], Done):
                return "What it depends on has not gone through."
        return ""

    def _later(self, command: AnyCommand, after: float, why: str) -> tuple[Key, Outcome]:
        self._untried.add(command.key)
        return command.key, Retry(after, why)

    def _fail(
        self,
        failure: RetryableError | ConnectorDownError | None,
        rest: Sequence[AnyCommand],
        sent: Collection[Key],
    ) -> Iterator[tuple[Key, Outcome]]:
        """Tell what was not tried, then raise; nothing when nothing broke."""
        if failure is None:
            return
        after = failure.after if isinstance(failure, RetryableError) else 60.0
        for command in rest:
            if command.key not in sent:
                yield self._later(command, after, "A call before it failed; it was not tried.")
        raise failure
