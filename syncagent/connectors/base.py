"""The contract of a connector, and its words.

*Source*: something that facts are pulled from. *Target*: something that commands are applied to. *Webhook*: takes what
a system posts to us. A CRM is Source + Target; a marketing system is Source (+ Webhook) (+ Target for `Nurture`).
*Page*: facts with the cursor behind them. *Look*: ask for these records now. *Terms*: the words in `Page`, `Receipt`
and `Outcome` are those of `syncagent.model`.

A connector is one module without a base class. It offers, by name:

    Options              a frozen msgspec.Struct: its table of the config (`config.Secret` for secrets)
    open(name, options)  -> an object with the methods below; opens nothing yet

Promises, each a test in tests/contract that runs for every connector over real HTTP:

* pulling on from **any** yielded cursor misses nothing; an empty page does not end the pull
* the same paging token twice raises `RetryableError` instead of looping
* many records with one timestamp are all read; late ones are found by an overlapping sweep
* moments are aware, UTC, the vendor's own; `check` writes nothing
* 429 and quota answers wait as told; no secret and no full email in any message
* the same key twice has one effect, also when the first answer was lost on the way
* one bad record of a batch does not harm the others; after a non-`Done`, what depends on it is `Retry`, untried
* a converted or merged record is followed; a deleted one is told

It raises only `RetryableError`, `ConnectorDownError`, `ForgedDeliveryError`, `UnreadableDeliveryError`, `ConfigError`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from msgspec import Struct

from syncagent.errors import Problem
from syncagent.model import AnyCommand, Cursor, Fact, Identity, Key, Outcome, Page, Value, WriteLead


@runtime_checkable
class Source(Protocol):
    """Something that facts are pulled from."""

    name: str

    def check(self) -> Sequence[Problem]:
        """Tell what is wrong with credentials, rights and needed fields; changes nothing."""
        ...

    def begin(self, since: datetime, until: datetime | None = None) -> Cursor:
        """The cursor where a poll (`until` None) or a backfill starts; a backfill's pull ends at `until`. No I/O."""
        ...

    def pull(self, cursor: Cursor) -> Iterator[Page]:
        """Yield pages until the system has no more for now. One round when idle costs about one call."""
        ...

    def look(self, identities: Sequence[Identity]) -> Page:
        """These records as they are now (their tasks and changes too, for a CRM). The page's cursor is empty.

        A record that is gone comes back as `Deleted` or `Merged`.
        """
        ...

    def close(self) -> None:
        """Let go of connections; a wait in progress ends at once."""
        ...

    def calls(self) -> Mapping[str, int]:
        """How many API calls: {"made": by us since the start, "used": of the org's day, "limit": the org's day}."""
        ...


@runtime_checkable
class Target(Protocol):
    """Something that commands are applied to."""

    name: str
    batch_size: int  # so many commands of one kind fill its calls best

    def me(self) -> str:
        """The id of the user whom this system sees when we write; empty where it has none."""
        ...

    def apply(self, batch: Sequence[AnyCommand]) -> Iterator[tuple[Key, Outcome]]:
        """Carry out the commands in the fewest calls, yielding outcomes as answers come; every key exactly once.

        `WriteLead` first, then what depends on it. Reads before it writes: a watched field that no longer has the
        value in `expects` is `Refused(kind="conflict")`. `Command.attempt` above 0: look by key before repeating
        (a task that a person has deleted meanwhile is `Done` with `receipt.gone`).
        Raises `RetryableError` or `ConnectorDownError` when a whole call fails: keys not yet yielded are unknown and
        come again with a higher `attempt`.
        """
        ...


class Sink(Target, Protocol):
    """A target that takes `Notify` only, and never raises: mail, a channel. What was certainly not sent is `Retry`."""

    def check(self) -> Sequence[Problem]:
        """Tell what is wrong; sends nothing."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class Delivery(Struct, frozen=True):
    """One HTTP request at `/hooks/NAME`, as it came.

    `url` is path and query as they were sent, percent-encoded; names of headers are in lower case.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


class Reply(Struct, frozen=True):
    """What the vendor is answered once the delivery is stored.

    `keep` are the headers that `read` will need, without secrets: they are stored with the body. None: there is nothing
    to store (a handshake, a test button).
    """

    status: int = 204
    body: bytes = b""
    headers: dict[str, str] = {}
    keep: dict[str, str] | None = {}


class Delivered(Struct, frozen=True):
    """What a delivery says; what is to be looked up comes as `Hint`.

    `refused` says why some or all of it could not be read: then it stays in the inbox, for an admin to look at.
    `undated` names the delivery when some of it had no moment of its own and took that of its arrival: whatever comes
    again under that name within some days is the same news, of the first arrival.
    """

    facts: tuple[Fact, ...] = ()
    refused: tuple[str, ...] = ()
    undated: str = ""


@runtime_checkable
class Webhook(Protocol):
    """Takes what a system posts to us. Both methods are pure, and quick: `verify` runs while the vendor waits."""

    name: str
    methods: frozenset[str]  # of HTTP; others are answered 405. None: the config opens no door for it

    def verify(self, delivery: Delivery, now: datetime) -> Reply:
        """Whether it is theirs and can be read at all; what to answer once it is stored.

        Raises `ForgedDeliveryError` (401) before anything of the body is parsed, then `UnreadableDeliveryError` (400).
        """
        ...

    def read(self, delivery: Delivery, arrived: datetime) -> Delivered:
        """What it says. Repeatable: the same delivery makes the same facts, with the same keys.

        `delivery` has the headers that `verify` kept. Raises `UnreadableDeliveryError` when none of it can be read.
        """
        ...

    def renew(self) -> None:
        """Read the secrets anew for the next delivery: they may have been changed where they are kept."""
        ...


def not_ours(command: WriteLead, shown: Mapping[str, Value]) -> tuple[str, ...]:
    """Fields of the row that show neither what it may be written `over`, nor nothing, nor what it tells already."""
    return tuple(
        name
        for name, ours in command.over.items()
        if _plain(shown.get(name)) not in ("", *(_plain(one) for one in (*ours, command.values.get(name))))
    )


def _plain(value: Value) -> str:
    return "" if value is None else " ".join(str(value).split())  # systems keep line breaks in their own ways
