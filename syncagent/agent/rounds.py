"""The four verbs: gather facts, decide, deliver commands, and look up what is wanted. Each call does one round.

    gather   Source.pull -> store.accept        facts and cursor, one transaction a page
    decide   store.unsettled -> plan -> brake -> store.settle (`batches.py`)
    deliver  store.due -> Target.apply -> store.confirm

Nothing here remembers anything that matters: kill it at any instant, start it again on the same file, and it goes on.
"""

import json
import logging
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event, Lock

import msgspec
from msgspec import Struct, structs

from syncagent.agent.alarms import Watch
from syncagent.agent.batches import Batches
from syncagent.agent.mistrust import Mistrust
from syncagent.agent.outages import DECIDING, READING, UNPACKING, WRITING, Outages
from syncagent.agent.outcomes import all_answered, chunks, log_answers, speak_of
from syncagent.agent.silence import Silence, Watched
from syncagent.agent.suspects import Suspects, told
from syncagent.agent.unpacking import unpack
from syncagent.clock import Clock
from syncagent.connectors.base import Source, Target, Webhook
from syncagent.errors import RetryableError, StoreFullError
from syncagent.model import Lane, Outcome, Plan, Refused, Usage
from syncagent.policy import Policy
from syncagent.state.store import Accepted, OutboxItem, Store

log = logging.getLogger("syncagent")

LOOK_BATCH = 300
LOUD = frozenset(("undelivered", "contested", "doubled"))  # decisions that somebody should look into
BACKFILL_PAGES = 20
FULL_AGAIN = 5.0
FIRST_READ = timedelta(minutes=10)
"""So long after the first start a source that was not read holds up deciding: it may tell that two people are one."""
PAGES_BEHIND = 8
"""So many pages of a source may wait for their commit: enough for the writer to store two at once."""
PARTS = 3
"""A handoff is a row, a task and a push: a batch holds all of them, so that every call is full."""
AGENT = "the agent"
"""The name under which the agent's own outages are told."""
BIRTH = datetime(2000, 1, 1, tzinfo=UTC)
"""A CRM is read from its beginning: whom it knows already is never handed off as new."""


class Settings(Struct, frozen=True):
    """How the agent goes about it. Seconds."""

    polls: Mapping[str, float]
    crm: str
    keep_inputs: float = 400 * 86_400.0  # what decisions were made from
    keep_quiet: frozenset[Lane] = frozenset((Lane.HOT,))  # ... also of those that only say a score, in these lanes
    posting: frozenset[str] = frozenset()  # sources that are never read: they post to us
    batch: int = 500
    down_again: float = 300.0
    poll_fast: float = 5.0
    keep_refused: float = 30 * 86_400.0  # deliveries that could not be read
    cold_share: float = 0.7  # of the org's daily calls, all its integrations counted
    mistrust: int = 50  # so many deletions in one page, and a fifth of all people, are not believed


def no_failpoint(_name: str) -> None:
    """In production nothing fails on purpose."""


class Agent:
    """Store, systems, policy and clock, put together by `compose`. Every method may be called from its own thread."""

    def __init__(
        self,
        store: Store,
        sources: Mapping[str, Source],
        targets: Mapping[str, Target],
        policy: Policy,
        clock: Clock,
        settings: Settings,
        failpoint: Callable[[str], None] = no_failpoint,
    ) -> None:
        self.store = store
        self.sources = sources
        self.targets = targets
        self.policy = policy
        self.clock = clock
        self.settings = settings
        self.stopping = Event()
        self.bell = Event()  # something is there to be decided
        self.outgoing = {(name, lane): Event() for name in targets for lane in Lane}  # ... to be delivered
        self.webhooks = {name: one for name, one in sources.items() if isinstance(one, Webhook) and one.methods}
        self.posted = {name: Event() for name in self.webhooks}  # something is there to be unpacked
        self.sooner = {name: Event() for name in sources}  # a poll need not wait for its turn
        self.look_now = self.sooner.setdefault(settings.crm, Event())  # a promise is due and waits for a fresh view
        self._failpoint = failpoint
        self._begun = clock.now()
        self._suspects = {name: Suspects(store, name) for name in targets}
        self.outages = Outages(store, clock, settings.down_again)
        self._mistrust = Mistrust(store, clock.now, settings.mistrust, settings.down_again)
        self.mistrusts = self._mistrust.doubts
        self.deciding = Lock()  # the roster is handed from plan to plan: one batch at a time
        self._batches = Batches(
            store,
            clock,
            lambda: self.policy,
            settings.batch,
            settings.keep_quiet,
            self._tell,
            lambda name: self._failpoint(name),
        )
        self._listing = Lock()  # the list of backfills is read and written as one
        self._told_spent: set[str] = set()
        self._crm_read = False
        watched = Watched(settings.polls, settings.posting, tuple(targets))
        self.silence = Silence(store, clock, lambda: self.policy, self.outages, watched)
        self.watch = Watch(store, clock, lambda: self.policy, self.outgoing, self.silence, settings.keep_inputs)
        self._unread = set() if self._knows_crm() else set(sources)  # of the first start
        self._unread_until = clock.now() + FIRST_READ

    def close(self) -> None:
        """Finish what is being stored, and let go of the lock and the systems."""
        self.stopping.set()
        self.store.close()
        for system in self.sources.values():
            system.close()

    # -- gather

    def gather(self, name: str) -> int:
        """Read one round of news from a source, then look up what is wanted of it; how many facts were new."""
        if self.outages.rest(name, READING):
            return 0
        try:
            self._learn_me(name)
            new = self._poll(name)
            for stream in () if self._spent(name) else self.backfills(name):
                new += self._carry_on(name, stream)
            spent = {**self.sources[name].calls(), "since": self._begun, "at": self.clock.now()}
            self.store.set_meta(f"calls/{name}", msgspec.json.encode(msgspec.convert(spent, Usage)).decode())
        except Exception as error:  # noqa: BLE001 - one system's failure is shown, and nobody else's
            self._unread.discard(name)  # who cannot be read holds up nobody
            self.outages.begin(name, READING, error)
            return 0
        self.outages.over(name, READING)
        return new

    def unpack(self, name: str) -> int:
        """Read a batch of what was posted for a source, and look up what it hints at; how many deliveries."""
        if self.outages.rest(name, UNPACKING):
            return 0
        try:
            unpacked = unpack(
                self.store, self.webhooks[name], self.clock.now, self._mistrust, self.settings.keep_refused
            )
        except Exception as error:  # noqa: BLE001 - one system's failure is shown, and nobody else's
            self.outages.begin(name, UNPACKING, error)
            return 0
        if unpacked.new:
            self.bell.set()
        if unpacked.posts:
            self.outages.over(name, UNPACKING)
        if unpacked.hints:
            self._look_now(name)
        return unpacked.posts

    def _look_now(self, name: str) -> None:
        """Somebody was hinted at: look them up, and have the source polled before its turn."""
        self.sooner[name].set()
        if self.outages.rest(name, READING):
            return  # whom it concerns stays wanted
        try:
            self._look_up(name, Lane.HOT)
        except Exception as error:  # noqa: BLE001 - one system's failure is shown, and nobody else's
            self.outages.begin(name, READING, error)

    def _learn_me(self, name: str) -> None:
        """Whom the CRM sees when we write: without it an echo could pass for an answer."""
        if name == self.settings.crm and not self.policy.crm.me:
            me = self.targets[name].me()
            with self.deciding:
                self.policy = structs.replace(self.policy, crm=structs.replace(self.policy.crm, me=me))

    def take_over(self, policy: Policy) -> None:
        """Plan by this policy from the next batch on: no batch is planned by two."""
        with self.deciding:
            old = self.policy  # mail and channels are opened at the start
            alerts = structs.replace(policy.alerts, sinks=old.alerts.sinks, digests=old.alerts.digests)
            self.policy = structs.replace(policy, crm=structs.replace(policy.crm, me=old.crm.me), alerts=alerts)

    def hang(self, doors: Mapping[str, Source]) -> None:
        """Have these sources post to us from now on, in place of those of the same names."""
        for name in doors:
            self.posted.setdefault(name, Event())
            self.sooner.setdefault(name, Event())
        self.sources = {**self.sources, **doors}
        self.webhooks = self.webhooks | {name: one for name, one in doors.items() if isinstance(one, Webhook)}

    def backfills(self, name: str) -> tuple[str, ...]:
        """The streams of backfills of this source that are not finished."""
        return tuple(
            stream for stream in json.loads(self.store.meta("backfills") or "[]") if stream.startswith(f"{name}/")
        )

    def may_carry_on(self, name: str) -> bool:
        """Whether a backfill of this source is unfinished and nothing forbids to go on with it now."""
        return bool(self.backfills(name)) and not self.outages.rest(name, READING) and not self._spent(name)

    def start_backfill(self, name: str, since: datetime, until: datetime | None) -> str:
        """Remember a backfill; the source's next rounds carry it on, also after a restart. Returns the stream."""
        stream = f"{name}/backfill/{since:%Y-%m-%dT%H:%M:%SZ}"
        with self._listing:
            running = json.loads(self.store.meta("backfills") or "[]")
            if stream not in running:
                self.store.set_cursor(stream, self.sources[name].begin(since, until or self.clock.now()))
                self.store.set_meta("backfills", json.dumps([*running, stream]))
        self.sooner[name].set()
        return stream

    def _stream(self, name: str) -> str:
        return "crm/poll" if name == self.settings.crm else f"{name}/poll"

    def _begin(self, name: str) -> str:
        source = self.sources[name]
        return source.begin(BIRTH if name == self.settings.crm else self.policy.live_from)

    def _poll(self, name: str) -> int:
        """What is new since the last poll; the first reading of a CRM is history, and cold."""
        stream = self._stream(name)
        stored = self.store.cursor(stream)
        lane = Lane.COLD if stored is None and name == self.settings.crm else Lane.HOT
        new, more = self._pull(name, stream, stored or self._begin(name), lane)
        new += self._look_up(name, lane)
        if name == self.settings.crm and not more and not self._knows_crm():
            self.store.set_meta("crm_read", self.clock.now().isoformat())
            self.bell.set()
        if not more and name in self._unread:
            self._unread.discard(name)
            self.bell.set()
        return new

    def _knows_crm(self) -> bool:
        """Whether the CRM was read whole once: before that a lead in work would look like a new one, and what an
        earlier life has made (a restored backup, a new file) would be made again.
        """
        self._crm_read = self._crm_read or self.settings.crm not in self.sources or bool(self.store.meta("crm_read"))
        return self._crm_read

    def _knows_everybody(self) -> bool:
        """Whether every source was read once: only one of them may tell that somebody has a record already."""
        return not self._unread or self.clock.now() >= self._unread_until

    def _carry_on(self, name: str, stream: str) -> int:
        """A few pages of a backfill: the next poll must not wait for all of it."""
        cursor = self.store.cursor(stream)
        new, more = self._pull(name, stream, cursor, Lane.COLD, most=BACKFILL_PAGES) if cursor else (0, False)
        if not more:
            with self._listing:
                running = json.loads(self.store.meta("backfills") or "[]")
                self.store.set_meta("backfills", json.dumps([one for one in running if one != stream]))
        return new + self._look_up(name, Lane.COLD)

    def _pull(self, name: str, stream: str, cursor: str, lane: Lane, most: int | None = None) -> tuple[int, bool]:
        """Read on from a cursor; pages are fetched while those before them are being stored.

        How many facts were new, and whether it ended before the source did: at `most` pages, or because of a stop.
        """
        new, pages, more = 0, 0, False
        began = self.clock.now()
        behind: deque[Future[Accepted]] = deque()
        try:
            for page in self.sources[name].pull(cursor):
                if len(behind) == PAGES_BEHIND:
                    new += self._stored(behind.popleft())
                self._mistrust(page, name)
                if page.seen_until is not None and page.seen_until > began:
                    # A clock of theirs that is ahead must not pass a stale view off as one of a later moment (law 12).
                    page = structs.replace(page, seen_until=began)
                self._failpoint("accept.before")
                after = behind[-1] if behind else None
                behind.append(self.store.accept_soon(page, stream, now=self.clock.now(), lane=lane, after=after))
                pages += 1
                if self.stopping.is_set() or pages == most:
                    more = True
                    break
        finally:
            while behind:  # also when the source has failed: what it told before is to be decided
                new += self._stored(behind.popleft())
        return new, more

    def _stored(self, behind: "Future[Accepted]") -> int:
        accepted = behind.result()
        self._failpoint("accept.after")
        if accepted.new:
            self.bell.set()
        return accepted.new

    def _look_up(self, name: str, lane: Lane) -> int:
        new = 0
        while (wanted := self.store.wanted(name, LOOK_BATCH)) and not self.stopping.is_set():
            page = self.sources[name].look(wanted)
            self._mistrust(page, name)
            new += self._stored(self.store.accept_soon(page, "", now=self.clock.now(), lane=lane))
            self.store.looked(wanted, page)
        return new

    # -- decide

    def decide(self) -> int:
        """Plan one batch of people and settle it; how many were planned (0: there is nobody to plan).

        The hot lane has its batches to itself: nobody in it waits for a cold plan. Nothing is decided before the CRM
        has been read whole once, and at the first start every source.
        """
        if self.outages.rest(AGENT, DECIDING):
            return 0
        try:
            with self.deciding:
                decided = self._batches.decide() if self._knows_crm() and self._knows_everybody() else 0
        except Exception as error:  # noqa: BLE001 - shown; what was decided before is still delivered
            self.outages.begin(AGENT, DECIDING, error)
            return 0
        if decided:
            self.outages.over(AGENT, DECIDING)
        return decided

    def _tell(self, person: int, planned: Plan) -> None:
        """One log line a decision, and a knock at the targets' doors."""
        level = logging.INFO if LOUD.isdisjoint([event.kind for event in planned.events]) else logging.WARNING
        if planned.events and log.isEnabledFor(level):
            told = " ".join(f"{event.kind}: {event.why.removesuffix('.')}." for event in planned.events)
            handoff = next((event.handoff for event in planned.events if event.handoff), "")
            data = {event.kind: event.data for event in planned.events if event.data}
            log.log(level, "%s", told, extra={"person": person, "handoff": handoff, "data": data})
        for command in planned.commands:
            if command.target in self.targets:
                self.outgoing[command.target, command.lane].set()
        if "crm" in planned.waits_on:
            self.look_now.set()

    # -- deliver

    def deliver(self, name: str, lane: Lane | None = None) -> int:
        """Send one batch of commands to a target; how many were sent (0: there is nothing to send now)."""
        if self.outages.rest(name, WRITING) or (lane is Lane.COLD and self._spent(name)):
            return 0
        target = self.targets[name]
        suspects = self._suspects[name]
        most, at_most = target.batch_size * PARTS, suspects.at_most()
        items = self.store.due(name, self.clock.now(), most, lane=lane, at_most=at_most)
        if not items:
            return 0
        unanswered = {item.command.key: item for item in items}
        speak_of(items)
        try:
            self._failpoint("apply.before")
            for outcomes in chunks(target.apply([item.command for item in items]), dict(unanswered)):
                self._failpoint("confirm.before")
                self._stubbornly(partial(self.store.confirm, outcomes, now=self.clock.now()))
                self._failpoint("confirm.after")
                answers = [(unanswered.pop(key).command, outcome) for key, _, outcome in outcomes]
                suspects.answered(answers)
                self.bell.set()
                log_answers(answers)
            all_answered(unanswered)
        except Exception as error:  # noqa: BLE001 - one system's failure is shown, and nobody else's
            self._failed(name, unanswered, error)
        else:
            self.outages.over(name, WRITING)
        finally:
            speak_of(())
        return len(items)

    def _failed(self, name: str, unanswered: dict[str, OutboxItem], error: Exception) -> None:
        """A batch has failed. When one of it is why, that one is found and parked; else the system is left alone."""
        verdict = self._suspects[name].failed([item.command for item in unanswered.values()], error)
        refused: list[tuple[str, int, Outcome]] = [
            (key, unanswered.pop(key).revision, Refused(told(error))) for key in verdict.poison
        ]
        if refused:
            trace = None if isinstance(error, RetryableError) else error
            log.error("%s cannot be sent and is parked: %s", refused[0][0], error, exc_info=trace)
            self._stubbornly(partial(self.store.confirm, refused, now=self.clock.now()))
            self.bell.set()
        until = self.clock.now() if verdict.others_go else self.outages.begin(name, WRITING, error)
        self._postpone(unanswered, until + timedelta(seconds=verdict.apart), str(error))

    def _postpone(self, unanswered: Mapping[str, OutboxItem], until: datetime, why: str) -> None:
        """Nobody knows what became of these: they come again, and are looked up before they are repeated."""
        if unanswered:
            log.warning("%d commands wait %.0f s: %s", len(unanswered), (until - self.clock.now()).total_seconds(), why)
            self._stubbornly(lambda: self.store.postpone(list(unanswered), until, why))

    def _stubbornly(self, work: Callable[[], None]) -> None:
        """What a system has answered must be stored: a full disk is waited for, else its commands stay "sending"."""
        while True:
            try:
                return work()
            except StoreFullError:
                if self.clock.wait(self.stopping, FULL_AGAIN):
                    raise

    # -- all of it

    def once(self) -> None:
        """One whole round: gather from everybody, then decide and deliver until nothing is left to do now."""
        for name in self.webhooks:
            while self.unpack(name):
                pass
        for name in self.sources:
            self.gather(name)
        self.settle_down()

    def settle_down(self) -> None:
        """Decide and deliver until nothing is left to do now."""
        while not self.stopping.is_set():
            busy = self.decide() or self.watch()
            if not (sum(self.deliver(name) for name in self.targets) or busy):
                return

    # -- who is spent

    def _spent(self, name: str) -> bool:
        """Whether the whole org has used so much of its day that cold work must leave the rest to the hot."""
        calls = self.sources[name].calls() if name in self.sources else {}
        limit = calls.get("limit", 0)
        spent = limit > 0 and calls.get("used", 0) >= self.settings.cold_share * limit
        if spent and name not in self._told_spent:
            says = "%s: %d of the org's %d calls are used; backfills and score updates wait until the day is over."
            log.warning(says, name, calls["used"], limit)
        (self._told_spent.add if spent else self._told_spent.discard)(name)
        return spent
