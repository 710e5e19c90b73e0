"""The contract of the state: every method is one transaction. `sqlite.py` is the first to keep it.

Words: a *stream* is one cursor's name ("marketo/poll", "marketo/backfill/2026-01-01"). A person is *dirty* when a fact
of theirs is new, and *unsettled* when dirty, or when their `wake_at` has come, and no admin hold stands against them.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from syncagent.model import (
    AccountView,
    Activity,
    AnyCommand,
    Cursor,
    Decision,
    Dossier,
    Fact,
    HealthSnapshot,
    Identity,
    Key,
    Lane,
    Outcome,
    Page,
    Parted,
    Plan,
    Roster,
    Written,
)
from syncagent.policy import Policy
from syncagent.state.looks import Glance as Glance
from syncagent.state.looks import HandedOver as HandedOver
from syncagent.state.looks import StageNumbers as StageNumbers
from syncagent.state.looks import Stuck as Stuck
from syncagent.state.looks import Visit as Visit
from syncagent.state.looks import Watched as Watched
from syncagent.state.proof import Basis, JournalEntry, Ledger

MOST_REFUSED = 10_000
"""So many deliveries that could not be read are kept at most; the oldest go first."""


class Accepted(Struct, frozen=True):
    """What became of a page: how many facts were new, and whom they concern."""

    new: int
    people: tuple[int, ...] = ()


class Unsettled(Struct, frozen=True):
    """People to plan, in the order lane, dirty since, person; and the roster as it stands.

    `rest`: whom to plan after these; `Store.dossiers` reads them, some at a time.
    """

    dossiers: tuple[Dossier, ...]
    roster: Roster
    rest: tuple[int, ...] = ()


class Settlement(Struct, frozen=True):
    """A plan and the dossier revision that it was made from.

    `unchanged`: the plan's decision is the one that the dossier holds, and nobody was merged in: it stands as it is.
    `basis` is kept with the journal's lines (None: the plan can be told again from the facts).
    """

    person: int
    revision: int
    plan: Plan
    unchanged: bool = False
    basis: Basis | None = None


class Held(Struct, frozen=True):
    """A person whom the brake holds: no decision was stored, no turn was taken. `revision`: of the dossier it saw."""

    person: int
    cause: str
    why: str
    since: datetime
    revision: int | None = None


class OutboxItem(Struct, frozen=True):
    """A command and how it stands. `state`: queued, sending, done, parked, unknown, dropped, conflict."""

    command: AnyCommand
    state: str
    revision: int
    not_before: datetime | None = None
    why: str = ""
    queued_at: datetime | None = None


class InUse(Struct, frozen=True):
    """The policy that decided at a moment, since when. `policy` is None when this version cannot read it any more."""

    digest: str
    since: datetime
    policy: Policy | None


class Post(Struct, frozen=True, gc=False):
    """A delivery to `/hooks/SOURCE` that was verified; `headers` are those that reading it needs.

    `id` is given by the store; `why` it could not be read, if it could not.
    """

    source: str
    arrived: datetime
    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    id: int = 0
    why: str = ""


class Result(Struct, frozen=True):
    """What a model beside the live one has said, from `at` on."""

    model: str
    at: datetime
    fit: float
    interest: float
    grade: str


class Store(Protocol):
    """One file, one writer. Callers are answered only after COMMIT. Raises `StoreFullError`, `StoreBrokenError`."""

    # -- facts in
    def accept(self, page: Page, stream: str, *, now: datetime, lane: Lane = Lane.HOT) -> Accepted:
        """Store the page's facts and its cursor (empty: none) and mark whom they concern dirty. Repeatable.

        A page of no stream (empty: records that were looked at by themselves) leaves only its facts.

        Facts do not need their parent: an activity of an unknown identity makes a person; emails and `Lead.also`
        join identities into one person (the older id stays; histories are joined; decisions are `absorbed`).
        A CRM record whose watched fields (status, owner, recycle_*) differ from the one stored, with no `FieldChange`
        told for it, leaves a `FieldChange` by `modified_by`. A fact equal to what is stored leaves nobody dirty.
        """
        ...

    def accept_soon(
        self,
        page: Page,
        stream: str,
        *,
        now: datetime,
        lane: Lane = Lane.HOT,
        after: "Future[Accepted] | None" = None,
    ) -> "Future[Accepted]":
        """`accept` for a caller that goes on meanwhile: the future is done after COMMIT.

        `after` is the same stream's page before: when that could not be stored this one is not either, and raises the
        same, for the cursor must not move past facts that are missing.
        """
        ...

    def cursor(self, stream: str) -> Cursor | None:
        """Where this stream goes on; None before its first page."""
        ...

    def set_cursor(self, stream: str, cursor: Cursor) -> None:
        """Set a stream's cursor by hand (the start of a poll or a backfill)."""
        ...

    def wanted(self, system: str, limit: int) -> tuple[Identity, ...]:
        """Identities of `system` that should be looked up: hinted, or known only from an activity."""
        ...

    def looked(self, identities: Sequence[Identity], answer: Page | None = None) -> None:
        """These were looked up: they are no longer wanted. `answer` is what came of it (None: something of each).

        What a hint named and the answer does not is wanted again, ever more seldom, and counted in `health`.
        """
        ...

    # -- posts in
    def receive(self, posts: Sequence[Post]) -> "Future[None]":
        """Keep deliveries until they are read. The future is done after COMMIT: only then may they be answered."""
        ...

    def inbox(self, source: str, limit: int) -> tuple[Post, ...]:
        """The oldest deliveries of `source` that are not read yet, without those that were refused."""
        ...

    def heard(self, source: str, names: Sequence[str]) -> Mapping[str, datetime]:
        """When undated deliveries of these names arrived first; those that are not known are not in it."""
        ...

    def unpack(
        self,
        told: Sequence[Fact],
        source: str,
        *,
        read: Sequence[int],
        refused: Mapping[int, str],
        heard: Mapping[str, datetime],
        now: datetime,
    ) -> Accepted:
        """`accept` what deliveries have told and let go of them, in one transaction.

        Those `refused` (id -> why) stay, and wait for an admin. `heard` are names of undated deliveries, to be
        remembered for some days.
        """
        ...

    def refused_posts(self, limit: int = 1000) -> tuple[Post, ...]:
        """Deliveries that could not be read, oldest first, with the reason."""
        ...

    def retry_posts(self, ids: Sequence[int] | None = None) -> int:
        """Have refused deliveries (None: all) read again; how many."""
        ...

    def expire_posts(self, before: datetime) -> int:
        """Give up refused ones that arrived before, and the oldest of too many; how many. Names heard long ago go too.

        What was not read yet stays, however long it waits: it was promised.
        """
        ...

    def drop_posts(self, ids: Sequence[int]) -> int:
        """Give refused deliveries up; how many."""
        ...

    # -- decisions
    def unsettled(
        self, now: datetime, limit: int, *, lane: Lane | None = None, at_once: int | None = None
    ) -> Unsettled:
        """Whom to plan next, with everything that `plan` reads; of more than `at_once` only the first are read."""
        ...

    def dossiers(self, people: Sequence[int]) -> tuple[Dossier, ...]:
        """Everything that `plan` reads of these, in their order; unknown and merged-away ids are left out."""
        ...

    def settle(self, settlements: Sequence[Settlement], roster: Roster, *, now: datetime, config: str) -> int:
        """Store decisions, wake-ups, journal, outbox and roster in one transaction; how many were taken.

        At the first settlement whose dossier revision has moved on, only what stands before it is stored (with the
        roster of the last plan stored).
        """
        ...

    def hold(self, held: Sequence[Held]) -> None:
        """Keep these people from being planned until `release`.

        Whoever's dossier has moved on from the revision that is named is not held: they are dirty, and planned again.
        """
        ...

    def held(self, limit: int = 1000) -> tuple[Held, ...]:
        """Whom the brake holds."""
        ...

    def release(self, people: Sequence[int] | None = None, *, limit: int | None = None) -> int:
        """Let them be planned anew and pass the brake once (`Dossier.released`); how many."""
        ...

    def brake_counts(self, since: datetime) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """How many plans were settled since: by cause, and by owner."""
        ...

    def people(self, after: int, limit: int, *, with_sales: bool = False) -> tuple[int, ...]:
        """The next people behind `after`, in the order of their ids; only those with sales, if asked."""
        ...

    def statuses_in_use(self) -> Mapping[str, int]:
        """The statuses that open handoffs have told the CRM to hold, and how many (law 13)."""
        ...

    # -- commands out
    def due(
        self,
        target: str,
        now: datetime,
        limit: int,
        *,
        lane: Lane | None = None,
        at_most: Mapping[Key, int] | None = None,
    ) -> tuple[OutboxItem, ...]:
        """Commands to send now, hot first, with what they depend on done or before them in the same batch.

        Marks them "sending" and counts the attempt, in the same transaction. At-most-once commands (`Notify`,
        `Nurture` by campaign) that are found "sending" from an earlier life become "unknown" instead of coming again.
        A record that a dependency has made is filled in. A batch that holds a key of `at_most` holds no more commands
        than it says.
        """
        ...

    def confirm(self, outcomes: Sequence[tuple[Key, int, Outcome]], *, now: datetime) -> None:
        """Store outcomes of (key, revision sent): receipts become facts and mark the person dirty.

        A confirmation closes only the revision that was sent; a newer one stays queued.
        """
        ...

    def postpone(self, keys: Sequence[Key], until: datetime, why: str) -> None:
        """A whole call failed: these go back to the queue, not before `until`."""
        ...

    def outbox(
        self, states: Sequence[str] = (), limit: int = 1000, *, keys: Sequence[Key] | None = None
    ) -> tuple[OutboxItem, ...]:
        """Commands by state (all that are neither done nor dropped, if none is named); of `keys` alone, if given."""

    def enqueue(self, commands: Sequence[AnyCommand], *, now: datetime) -> None:
        """Queue commands that no plan has made (alarms about many leads); a key that is known stays as it is."""
        ...

    def retry(self, keys: Sequence[Key]) -> int:
        """Queue parked commands again; how many."""
        ...

    def drop(self, keys: Sequence[Key], *, now: datetime) -> int:
        """Give parked commands up; their person is planned again; how many."""
        ...

    def split(self, person: int, identities: Sequence[Identity], *, now: datetime) -> Parted:
        """Make two of one: these identities and all that hangs on them part from the others, and stay apart.

        The side with the CRM record that our decision writes keeps number, handoffs, tasks and commands. Neither
        counts anything from before as new (`Dossier.fresh_from`). Raises `UserError` when there is nothing to part.
        """
        ...

    # -- looking
    def find(self, who: str) -> tuple[int, ...]:
        """People by person id, email, or any system's id; "person/17" by person id alone."""
        ...

    def merged_into(self, person: int) -> int | None:
        """Whom this person was merged into; None when they were not."""
        ...

    def dossier(self, person: int) -> Dossier | None:
        """One person with everything that `plan` reads; None when there is none."""
        ...

    def decided(self, people: Sequence[int]) -> Mapping[int, Decision]:
        """Our last decision on each of these; whom nothing was decided of is not in it."""

    def written(self, person: int, limit: int = 200) -> tuple[Written, ...]:
        """All that was written or is to be written for a person, and the answers, newest first."""

    def evidence(self, after: int, until: int, *, decided: bool = False) -> tuple[Dossier, ...]:
        """What scoring reads of the people behind `after` up to `until`; with our last decision on each, if asked.

        Of these dossiers the rest is empty: nothing may be planned from them.
        """
        ...

    def activities(self, people: Sequence[int]) -> Mapping[int, tuple[Activity, ...]]:
        """What these people did and what was done to them, oldest first; whoever did nothing is left out."""
        ...

    def watched(self, people: Sequence[int]) -> tuple[Watched, ...]:
        """These, in the order of their ids, with all that an audit asks for; merged-away ones are left out."""
        ...

    def glances(self, after: int, limit: int, words: Collection[str], late: datetime) -> tuple[Glance, ...]:
        """The next people behind `after`, in the order of their ids; `words` are values that the CRM may show.

        A timer from before `late` has been missed.
        """
        ...

    def visits(self, person: int) -> tuple[Visit, ...]:
        """A person's stays in the stages of the process map, the first one first."""
        ...

    def stage_numbers(self, since: datetime, cuts: Mapping[str, datetime]) -> Mapping[str, StageNumbers]:
        """How each stage stands; whoever came to it before its cut is stuck; who left counts from `since` on."""
        ...

    def moves(self, since: datetime) -> Mapping[tuple[str, str], int]:
        """How many went from which stage to which since."""
        ...

    def stuck(self, stage: str, after: datetime, until: datetime) -> Stuck:
        """Who is in a stage since `until` or before, and not with sales; new of them: who came to it after `after`."""
        ...

    def handed_over(self, since: datetime) -> tuple[HandedOver, ...]:
        """What was handed over since, the oldest first."""
        ...

    def companies(self, after: str, limit: int) -> tuple[AccountView, ...]:
        """The next companies behind the id `after`, in the order of their ids."""
        ...

    def company(self, who: str) -> tuple[AccountView, ...]:
        """Companies by CRM id, domain or name."""
        ...

    def results(self, subject: str) -> tuple[Result, ...]:
        """What models beside the live one have said of "person:7", "deal:006..." or "account:001...", oldest first."""
        ...

    def ask(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows that a query of the views in `docs/reports.md` finds, all of one moment; `?` stand for the values.

        Nothing can be written that way. Read on to the end, or close it: until then the file cannot be folded.
        """
        ...

    def journal(self, person: int | None = None, *, limit: int = 1000) -> tuple[JournalEntry, ...]:
        """What was decided, newest first."""
        ...

    def ledger(self) -> Ledger:
        """The whole journal as evidence."""
        ...

    def fold(self, before: datetime, most: int = 500) -> int:
        """Let go of what decisions before were made from, of so many of them; how many. Their lines stay."""
        ...

    def alive(self) -> bool:
        """Whether what is given to be stored is still being stored."""
        ...

    def health(self, now: datetime) -> HealthSnapshot:
        """Counts for `status`."""
        ...

    def roster(self) -> Roster:
        """The roster as it stands."""
        ...

    def use_policy(self, policy: Policy, *, now: datetime) -> None:
        """Decisions are made by this policy from now on: keep it, so that what it decides can be explained later."""
        ...

    def policy_at(self, at: datetime) -> InUse | None:
        """The policy that decided at that moment; None before the first one that was kept."""
        ...

    def sweep(self, after: int, limit: int, *, now: datetime) -> int | None:
        """Mark the next `limit` people behind `after` dirty in the cold lane; the last one, or None at the end."""
        ...

    def next_wake(self) -> datetime | None:
        """The earliest wake-up of anybody, for the loop to sleep until."""
        ...

    def meta(self, name: str) -> str | None:
        """A setting that lives with the state: "epoch", "live_from" ..."""
        ...

    def set_meta(self, name: str, value: str) -> None:
        """Set it."""
        ...

    def backup(self, path: str) -> None:
        """Write a whole, consistent copy while running."""
        ...

    def close(self) -> None:
        """Finish what is being written, and let go of the lock."""
        ...
