"""HubSpot as the CRM: contacts, tasks and deals come in; statuses, owners, dates, tasks and alerts go out.

See `read` for what is guaranteed about late changes, `write` for how a person's values are kept, `tasks` for how one
task stays one task. An idle day costs at most a call a minute, 1,000 handoffs cost 30 calls and their definitions.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from syncagent.clock import Clock, SystemClock
from syncagent.connectors import hubspot_webhooks
from syncagent.connectors.base import Delivered, Delivery, Reply
from syncagent.connectors.http import Sleep
from syncagent.connectors.hubspot.checking import examine
from syncagent.connectors.hubspot.facts import CONTACT, Words
from syncagent.connectors.hubspot.leads import Leads
from syncagent.connectors.hubspot.marketing import Door
from syncagent.connectors.hubspot.options import Options
from syncagent.connectors.hubspot.portal import DeniedError, Portal
from syncagent.connectors.hubspot.read import Reader
from syncagent.connectors.hubspot.shapes import Row
from syncagent.connectors.hubspot.tasks import Memo, Placed, TaskWriter
from syncagent.connectors.hubspot.write import LeadWriter
from syncagent.errors import ConnectorDownError, Problem, RetryableError
from syncagent.model import (
    Alert,
    AnyCommand,
    CloseTask,
    CreateTask,
    CrmTask,
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

log = logging.getLogger(__name__)

_HELD: Final = 90.0  # a round and a half: until then the record that was found is known


class HubSpotCrm:
    """One portal. Any thread may call it. Close it, or use it as a context manager."""

    batch_size = 500

    def __init__(self, name: str, options: Options, *, clock: Clock | None = None, sleep: Sleep | None = None) -> None:
        self.name = name
        self.options = options
        self._door = Door(options)
        self.methods = self._door.methods
        self._clock = clock or SystemClock()
        self.portal = Portal(name, options, clock=self._clock, sleep=sleep)
        self._words = Words(self.portal, options)
        leads = Leads(self.portal, options, self._clock) if options.object == "leads" else None
        self._reader = Reader(self.portal, self._words, leads)
        self._lock = threading.Lock()
        self._found: dict[str, Row] = {}  # records that a write came upon: told by the next pull
        self._missed: set[str] = set()  # records that a write did not come upon any more: looked up by the next pull
        self._told: tuple[Cursor, frozenset[str]] = ("", frozenset())  # with which cursor, and which of them
        self._untried: set[Key] = set()  # came back without having been sent
        self._memo = Memo()

    def __enter__(self) -> "HubSpotCrm":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Wake up whoever waits, and close the connections."""
        self.portal.close()

    def renew(self) -> None:
        """Read the signing secrets anew."""
        self._door.renew()

    # -- Source

    def check(self) -> Sequence[Problem]:
        """What the token, the app's scopes and the portal's properties lack, in a few reads; changes nothing."""
        return examine(self.portal, self._words)

    def me(self) -> str:
        """How histories name our own changes: "app:" and the app's id."""
        return self._words.me()

    def begin(self, since: datetime, until: datetime | None = None) -> Cursor:
        """The cursor where a poll or a backfill starts. No I/O."""
        return self._reader.begin(since, until)

    def pull(self, cursor: Cursor) -> Iterator[Page]:
        """One round; see `read` for its guarantees."""
        with self._lock:
            stored, ids = self._told
            if stored == cursor:  # the page that told them has been stored
                self._found = {ident: row for ident, row in self._found.items() if ident not in ids}
                self._missed -= ids
            found, missed = dict(self._found), sorted(self._missed)
        telling = frozenset((*found, *missed))
        try:
            self.portal.app()  # by the next delivery it is known whose writes are ours
            for page in self._reader.pull(cursor):
                facts: list[Fact] = [fact for row in found.values() for fact in self._words.record(row)]
                if missed:
                    facts += self._reader.look([self._words.identity(one) for one in missed]).facts
                found, missed = {}, []
                self._surplus(page.facts)
                self._told = (page.cursor, telling)  # later cursors say they are stored
                yield Page((*facts, *page.facts), page.cursor, page.seen_until)
        except DeniedError as error:
            raise _down(error) from None

    def _surplus(self, facts: Sequence[Fact]) -> None:
        """Note open tasks that bear the key of an older one: a call overtook its repeat."""
        for fact in facts:
            if isinstance(fact, CrmTask) and fact.key and not fact.deleted:
                first = self._memo.made.setdefault(fact.key, fact.identity.id)
                if first != fact.identity.id and not fact.closed:
                    with self._lock:
                        self._memo.made[fact.key] = min(first, fact.identity.id, key=int)
                        self._memo.surplus.add(max(first, fact.identity.id, key=int))

    def look(self, identities: Sequence[Identity]) -> Page:
        """These as they are now: records with history and our tasks, and what merged ones became."""
        try:
            return self._reader.look(identities)
        except DeniedError as error:
            raise _down(error) from None

    def calls(self) -> Mapping[str, int]:
        """API calls made, and the portal's day."""
        return self.portal.budget.calls()

    # -- Webhook

    def verify(self, delivery: Delivery, now: datetime) -> Reply:
        """Whether HubSpot signed it. Raises `ForgedDeliveryError`, `UnreadableDeliveryError`."""
        return self._door.verify(delivery, now)

    def read(self, delivery: Delivery, arrived: datetime) -> Delivered:
        """What is to be looked up, what was merged, what is gone."""
        words = {CONTACT: CONTACT, "task": "task", "deal": "deal"}
        words |= {"lead": "lead"} if self.options.object == "leads" else {}
        return hubspot_webhooks.read(delivery.body, self.name, words, arrived, own_source=self.portal.known_app())

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
        for command in batch:
            if command.lane == Lane.COLD and self.portal.budget.share() > 1 - self.options.api_budget.hot_share:
                yield self._later(command, 900.0, "Cold work waits: most of the day's API calls are used.")
            else:
                waiting.append(command)
        leads = LeadWriter(self.portal, self._reader, fresh)
        writes = [command for command in waiting if isinstance(command, WriteLead)]
        waiting = [command for command in waiting if not isinstance(command, WriteLead)]
        if writes:
            yield from leads.apply(writes)
            with self._lock:
                self._found |= leads.found
                self._missed |= leads.missed
            rest: list[AnyCommand] = [one for one in (*writes, *waiting) if one.key not in outcomes]
            yield from self._fail(leads.failure, rest, leads.sent)
        tasks = TaskWriter(self.portal, self._reader, self._clock, self._memo, fresh)
        try:
            tasks.clear_away()
        except RetryableError as error:
            log.info("%s: second tasks are removed later: %s", self.name, error)
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
            for work in self._stages(go, tasks, outcomes):
                yield from work()
                with self._lock:
                    self._missed |= tasks.missed
                rest = [one for one in (*go, *waiting) if one.key not in outcomes]
                yield from self._fail(tasks.failure, rest, tasks.sent)

    def _stages(
        self, go: Sequence[AnyCommand], tasks: TaskWriter, outcomes: dict[Key, Outcome]
    ) -> Iterator[Callable[[], Iterator[tuple[Key, Outcome]]]]:
        """The commands by kind, in the order in which they are done."""
        creations = [command for command in go if isinstance(command, CreateTask | Alert)]
        closings = [command for command in go if isinstance(command, CloseTask)]
        others = [command for command in go if isinstance(command, Notify | Nurture | WriteLead)]
        if creations:
            yield lambda: self._create(creations, tasks, outcomes)
        if closings:
            yield lambda: tasks.close(closings)
        if others:
            why = "HubSpot as CRM does not do this: alerts are tasks with a reminder."
            yield lambda: ((one.key, Refused(why, code="NOT_SUPPORTED")) for one in others)

    def _create(
        self, creations: Sequence[CreateTask | Alert], tasks: TaskWriter, outcomes: dict[Key, Outcome]
    ) -> Iterator[tuple[Key, Outcome]]:
        placed: list[Placed] = []
        for command in creations:
            before = [one for key in command.depends_on if isinstance(one := outcomes.get(key), Done)]
            made = [done.receipt.record for done in before if done.receipt.record.object == CONTACT]
            record = command.record or next(iter(made), None)
            if record is None:
                why = "Nobody knows the record that this task belongs to; it is planned anew."
                yield command.key, Refused(why, "conflict", "NOT_FOUND")
            else:
                placed.append((command, record.id))
        if placed:
            yield from tasks.create(placed)

    def _blocked(self, command: AnyCommand, outcomes: Mapping[Key, Outcome], held: set[Key]) -> str:
        """Why what it depends on does not let it go; "" when it may."""
        for key in command.depends_on:
            if key in held:
                return "The contact was in HubSpot already, with its own status and owner; it is planned anew first."
            if key in outcomes and not isinstance(outcomes[key], Done):
                return "What it depends on has not gone through."
        return ""

    def _later(self, command: AnyCommand, after: float, why: str) -> tuple[Key, Outcome]:
        self._untried.add(command.key)
        return command.key, Retry(after, why)

    def _fail(
        self, failure: RetryableError | ConnectorDownError | None, rest: Sequence[AnyCommand], sent: Collection[Key]
    ) -> Iterator[tuple[Key, Outcome]]:
        """Tell what was not tried, then raise; nothing when nothing broke."""
        if failure is None:
            return
        if isinstance(failure, DeniedError):
            failure = _down(failure)
        after = failure.after if isinstance(failure, RetryableError) else 60.0
        for command in rest:
            if command.key not in sent:
                yield self._later(command, after, "A call before it failed; it was not tried.")
        raise failure


def _down(error: DeniedError) -> ConnectorDownError:
    return ConnectorDownError(
        f"{error} Give the app the scopes crm.objects.contacts.read and .write, crm.objects.owners.read and"
        ' crm.schemas.contacts.read, for object = "leads" also crm.objects.leads.read and .write'
        " (Settings > Integrations > Private Apps > Scopes); then run: syncagent check"
    )
