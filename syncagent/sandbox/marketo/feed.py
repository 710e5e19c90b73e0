"""The activity log: every activity in the order of its commit, served in pages by opaque tokens.

Three facts of the vendor shape it. An activity carries the time it happened, but is committed later (Send Email only
after the mail server took the message), so dates run out of order. A paging token is a date when minted and a
position afterwards. A page looks at the next few hundred activities of *all* types, so a page for a rare type may be
empty with more behind it. Source: marketing_automation.md 1.4.

Rows are columns of machine integers plus one shared bytes object for what repeats (type, asset, attributes): two
million rows stay near 100 MB.
"""

import base64
import functools
import heapq
import struct
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

LOST = "lost"
_TOKEN = struct.Struct(">qQQqII")
_SHARED_TAILS = 50_000


class BadTokenError(Exception):
    """A paging token that this instance did not mint, or that it has stopped to honour."""


@dataclass(frozen=True, slots=True)
class Token:
    """Where a reader stands: only rows dated after `since` (seconds), from `position` on.

    `minted` is how long the log was when the date was given.
    """

    since: int
    position: int
    minted: int
    last: int = -1  # position of the row that was served last, for servers that repeat it
    salt: int = 0
    epoch: int = 0

    def text(self) -> str:
        """Base 32 with its padding, as the vendor's: it must be URL-encoded."""
        raw = _TOKEN.pack(self.since, self.position, self.minted, self.last, self.salt, self.epoch)
        return base64.b32encode(zlib.crc32(raw).to_bytes(4, "big") + raw).decode("ascii")

    @classmethod
    def read(cls, text: str) -> "Token":
        """The token behind the text; raises BadTokenError."""
        try:
            whole = base64.b32decode(text)
        except ValueError as error:
            raise BadTokenError(text) from error
        raw = whole[4:]
        if len(raw) != _TOKEN.size or zlib.crc32(raw) != int.from_bytes(whole[:4], "big"):
            raise BadTokenError(text)
        return cls(*_TOKEN.unpack(raw))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader asks for. `leads` None means everybody; `detail` looks into rows that passed all else."""

    types: frozenset[int]
    leads: frozenset[int] | None = None
    not_before: int = 0
    detail: Callable[[int], bool] | None = None


class _Row(NamedTuple):
    due: int
    order: int
    number: int
    lead: int
    kind: int
    date: int
    tail: bytes
    name: str | None
    lost: bool


class Feed:
    """An append-only log with positions that never move; rows of the future wait until `commit` reaches their time."""

    def __init__(self) -> None:
        self._guid = array("Q")
        self._lead = array("Q")
        self._date = array("q")
        self._newest = array("q")  # the largest date up to here: it never falls, so bisection finds a date
        self._type = array("L")
        self._tail: list[bytes] = []
        self._shared: dict[bytes, bytes] = {}
        self._named: dict[int, str] = {}
        self._lost: set[int] = set()
        self._waiting: list[_Row] = []
        self._moved: dict[int, int] = {}
        self._counter = 0
        self._swapped = False

    def __len__(self) -> int:
        return len(self._tail)

    @property
    def waiting(self) -> int:
        """How many rows wait for their time to come."""
        return len(self._waiting)

    def kinds(self) -> Iterable[int]:
        """The type of every row."""
        return self._type

    def add(
        self,
        lead: int,
        kind: int,
        date: int,
        tail: bytes,
        *,
        committed: int | None = None,
        guid: str | None = None,
        lost: bool = False,
        now: int,
    ) -> str:
        """Append a row dated `date` and committed at `committed` (default: when it happened); gives its GUID.

        A commit time in the future of `now` lets it wait. Appended in the past it lands at the end all the same: that
        is what "late" means.
        """
        self._counter += 1
        due = date if committed is None else committed
        # real instances number activities in an order that is not their dates': swapped neighbours are its mildest form
        number = 1000 + (self._counter ^ 1 if self._swapped else self._counter)
        row = _Row(due, self._counter, number, lead, kind, date, self._share(tail), guid, lost)
        if due > now:
            heapq.heappush(self._waiting, row)
        else:
            self._append(row)
        return guid or str(number)

    def swap_guids(self, *, on: bool) -> None:
        """Whether neighbouring activities change their numbers; no number is ever given twice."""
        if on is not self._swapped:
            self._counter |= 1  # pairs begin at even numbers
            self._swapped = on

    def _share(self, tail: bytes) -> bytes:
        known = self._shared.get(tail)
        if known is not None:
            return known
        if len(self._shared) >= _SHARED_TAILS:
            self._shared.clear()
        self._shared[tail] = tail
        return tail

    def _append(self, row: _Row) -> None:
        at = len(self._tail)
        self._guid.append(row.number)
        self._lead.append(self._moved.get(row.lead, row.lead))
        self._date.append(row.date)
        self._newest.append(row.date if not at or row.date > self._newest[-1] else self._newest[-1])
        self._type.append(row.kind)
        self._tail.append(row.tail)
        if row.name is not None:
            self._named[at] = row.name
        if row.lost:
            self._lost.add(at)

    def commit(self, now: int) -> None:
        """Let in every waiting row whose commit time has come (seconds)."""
        while self._waiting and self._waiting[0].due <= now:
            self._append(heapq.heappop(self._waiting))

    def move(self, loser: int, winner: int) -> None:
        """All that the loser of a merge did, and will turn out to have done, is the winner's from now on."""
        self._moved = {old: winner if new == loser else new for old, new in self._moved.items()} | {loser: winner}
        at = -1
        while True:
            try:
                at = self._lead.index(loser, at + 1)
            except ValueError:
                return
            self._lead[at] = winner

    def mint(self, since: int) -> Token:
        """A token for everything dated after `since`: documented as "returns activities after this datetime"."""
        return Token(since, bisect_right(self._newest, since), len(self._tail))

    def page(self, token: Token, wanted: Wanted, limit: int, window: int) -> tuple[list[int], Token]:
        """The positions of the next rows (at most `limit`, out of the next `window`), and the token to go on with.

        A row marked lost is shown only to tokens minted after its commit: the documented trap of late commits.
        """
        types, leads, dates = self._type, self._lead, self._date
        since, at = max(token.since, wanted.not_before - 1), token.position
        found: list[int] = []
        stop = min(at + window, len(self._tail))
        while at < stop and len(found) < limit:
            if types[at] in wanted.types and dates[at] > since and (wanted.leads is None or leads[at] in wanted.leads):
                hidden = at in self._lost and at >= token.minted
                if not hidden and (wanted.detail is None or wanted.detail(at)):
                    found.append(at)
            at += 1
        return found, replace(token, position=at, last=found[-1] if found else token.last)

    def row(self, at: int, *, with_id: bool = True, offset_dates: bool = False) -> bytes:
        """One activity as JSON."""
        number = self._guid[at]
        guid = self._named.get(at)
        quoted = b'"%d"' % number if guid is None else msgspec.json.encode(guid)
        date = _stamp(self._date[at])
        if offset_dates:
            date = date[:-1] + b"+0000"
        head = b'{"id":%d,' % number if with_id else b"{"
        return b'%b"marketoGUID":%b,"leadId":%d,"activityDate":"%b",%b' % (
            head,
            quoted,
            self._lead[at],
            date,
            self._tail[at],
        )

    def decoded(self, at: int) -> dict[str, Any]:
        """One activity as a dict."""
        found: dict[str, Any] = msgspec.json.decode(self.row(at))
        return found

    def kind(self, at: int) -> int:
        """The type of a row."""
        return self._type[at]

    def asset(self, at: int) -> int | None:
        """The primaryAttributeValueId of a row."""
        found: int | None = msgspec.json.decode(b"{" + self._tail[at]).get("primaryAttributeValueId")
        return found

    def between(self, start: int, end: int, types: frozenset[int] | None) -> Iterator[int]:
        """Positions of the rows dated from `start` to `end`, both included, of these types (None: all)."""
        for at in range(bisect_right(self._newest, start - 1), len(self._tail)):
            if start <= self._date[at] <= end and (types is None or self._type[at] in types):
                yield at


def tail_of(
    kind: int, primary_id: int | None, primary: str | None, attributes: dict[str, Any], campaign: int | None = None
) -> bytes:
    """The part of an activity that repeats, as JSON without its opening brace; empty attributes are left out."""
    body: dict[str, Any] = {"activityTypeId": kind}
    if campaign is not None:
        body["campaignId"] = campaign
    if primary_id is not None:
        body["primaryAttributeValueId"] = primary_id
    if primary is not None:
        body["primaryAttributeValue"] = primary
    body["attributes"] = [
        {"name": name, "value": value} for name, value in attributes.items() if value is not None and value != ""
    ]
    return msgspec.json.encode(body)[1:]


@functools.lru_cache(maxsize=8192)
def _stamp(seconds: int) -> bytes:
    return stamp(seconds).encode("ascii")


def stamp(seconds: int) -> str:
    """Unix seconds as `2023-01-16T23:32:19Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
