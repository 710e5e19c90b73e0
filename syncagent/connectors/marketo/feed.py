"""What happens in Marketo, by paging tokens: activities, merges, deletions, and who should be looked up.

The poll always goes on from the last `nextPageToken`. That alone misses what is committed late with an earlier date, so
once a day a second reading of the last day sweeps it up; what is told twice, the store knows by its key. Deletions have
a feed of their own. A token that stops working is minted anew from the watermark, less the sweep's length.
Source: marketing_automation.md 1.4.

Nothing new costs one call a round. What is asked more rarely (deletions, the sweep, usage, a second stream when more
than ten types are read) is paid for by leaving out as many of the next idle rounds: a day never costs more than a poll
a round. All of it goes by the server's clock, and stands in the cursor.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct

from syncagent.config import seconds
from syncagent.connectors.campaigns import CAMPAIGN, campaign_in
from syncagent.connectors.marketo.catalog import CHANGE_VALUE, MERGE, NEW_LEAD, Catalog, Words
from syncagent.connectors.marketo.options import Options
from syncagent.connectors.marketo.wire import Envelope, RefusedCallError, Wire, moment
from syncagent.errors import RetryableError
from syncagent.model import Activity, Cursor, Deleted, Fact, Hint, Identity, Merged, Page, Value

log = logging.getLogger(__name__)

_DELETED_EVERY: Final = timedelta(hours=1)
_USAGE_EVERY: Final = timedelta(hours=6)
_WORDS_EVERY: Final = timedelta(hours=24)
_DELETED_KEPT: Final = timedelta(days=13)  # Marketo may prune deletions after 14
_RARE_PAGES: Final = 20  # in one round, of deletions and of the sweep: the poll must not wait long for them
_MOST_OWED: Final = 10  # rounds
_REMEMBERED: Final = 50_000
_NESTED: Final = (list, dict)
_QUERY: Final = "Query Parameters"  # of the page that was visited, or that the form stood on


class _Attribute(Struct, gc=False):
    name: str
    value: str | int | float | bool | list[Any] | dict[str, Any] | None = None


class _Row(Struct, rename="camel", gc=False):
    lead_id: int
    activity_date: str
    activity_type_id: int
    marketo_guid: str = msgspec.field(name="marketoGUID", default="")
    campaign_id: int | None = None
    primary_attribute_value_id: int | str | None = None
    primary_attribute_value: str | int | float | bool | None = None
    attributes: tuple[_Attribute, ...] = ()


class _Rows(Envelope, rename="camel"):
    result: tuple[_Row, ...] = ()
    next_page_token: str = ""
    more_result: bool = False


class _Minted(Envelope, rename="camel"):
    next_page_token: str = ""


class _Usage(Struct):
    total: int = 0


class _Usages(Envelope):
    result: tuple[_Usage, ...] = ()


class Stream(Struct, omit_defaults=True):
    """One group of types: its token, and the watermark from which a new one would be minted."""

    token: str = ""
    seen: datetime | None = None
    done: bool = False


class Place(Struct, omit_defaults=True):
    """The cursor. `at`: the server's time in the last round; `sweep`: its tokens.

    `idle`: calls of this round that brought nothing; `owed`: rounds to leave out for them; `left_out`: how many were.
    """

    since: datetime
    until: datetime | None = None
    groups: tuple[str, ...] = ()
    streams: list[Stream] = []
    at: datetime | None = None
    deleted: str = ""
    deleted_at: datetime | None = None
    swept_at: datetime | None = None
    sweep_began: datetime | None = None
    sweep: list[str] = []
    owed: int = 0
    left_out: int = 0
    idle: int = 0
    done: bool = False

    def text(self) -> Cursor:
        return msgspec.json.encode(self).decode()


class Feed:
    """Pulls one instance's feed. `gone` remembers what was deleted or merged since the start, for `look`."""

    def __init__(self, name: str, wire: Wire, catalog: Catalog, options: Options) -> None:
        self.name = name
        self.gone: dict[str, Deleted | Merged] = {}
        self._wire, self._catalog = wire, catalog
        self._size = str(options.page_size)
        self._limit = options.api_budget.limit
        self._poll = timedelta(seconds=seconds(options.poll))
        self._sweep = timedelta(seconds=seconds(options.sweep))
        self._sweep_every = timedelta(seconds=seconds(options.sweep_every))
        self._usage_at: datetime | None = None
        self._words_at: datetime | None = None
        self._logins = 1  # a start pays for no login

    def pull(self, cursor: Cursor) -> Iterator[Page]:
        """One round: every stream to its end, then what is due of the rarer things."""
        place = msgspec.json.decode(cursor, type=Place)
        if place.done:
            yield Page((), cursor, place.until)
            return
        if place.owed and place.left_out < len(place.streams):  # bounded: who waits, waits for a poll or two more
            place.owed -= 1
            place.left_out += 1
            yield Page((), place.text())
            return
        words = self._catalog.words()
        if place.groups != words.groups:  # the first round, or the config reads other types than before
            seen = min((one.seen for one in place.streams if one.seen), default=None)
            place.groups, place.sweep = words.groups, []
            place.streams = [Stream(seen=seen) for _ in words.groups]
        place.idle = 0
        ends: list[datetime] = []
        last = len(place.streams) - 1
        for index, stream in enumerate(place.streams):
            if stream.done:
                continue
            for facts, more, now in self._stream(place, stream, words.groups[index], words):
                if not more:
                    ends.append(now)
                if more or index != last:
                    yield Page(facts, place.text())
                elif place.until:
                    place.done = True
                    yield Page(facts, place.text(), place.until)
                else:
                    yield from self._finish(place, facts, min(ends), words)

    def _finish(self, place: Place, facts: tuple[Fact, ...], seen: datetime, words: Words) -> Iterator[Page]:
        """The last page of the poll, and what is due besides; the round's calls are set against its time."""
        before, place.at = place.at, seen
        due = list(self._due(place, seen))
        if due:
            yield Page(facts, place.text(), seen)
            facts = ()
            for duty in due:
                if duty == "deleted":
                    yield from self._deletions(place, seen)
                elif duty == "sweep":
                    yield from self._swept(place, seen, words)
                elif duty == "usage":
                    place.idle += self._usage_at is not None
                    self._usage_at = seen
                    self.usage()
                else:
                    self._catalog.forget()
                    self._words_at = seen
                    place.idle += 3  # calls of the next round, and one to spare: no day begins with one that is owed
        place.idle += self._wire.logins - self._logins
        self._logins = self._wire.logins
        if before:
            rounds = (seen - before) // self._poll - 1 - place.left_out  # how many more polls this time could have had
            place.owed = min(_MOST_OWED, max(0, place.owed + place.idle - 1 - max(0, rounds)))
        place.left_out = 0
        yield Page(facts, place.text(), seen)

    def _due(self, place: Place, now: datetime) -> Iterator[str]:
        if place.deleted_at is None or now - place.deleted_at >= _DELETED_EVERY:
            yield "deleted"
        if place.swept_at is None:
            place.swept_at = now
        if place.sweep or now - place.swept_at >= self._sweep_every:
            yield "sweep"
        if self._usage_at is None or now - self._usage_at >= _USAGE_EVERY:
            yield "usage"
        if self._words_at is None:
            self._words_at = now
        elif now - self._words_at >= _WORDS_EVERY:
            yield "words"

    # -- the poll

    def _stream(
        self, place: Place, stream: Stream, types: str, words: Words
    ) -> Iterator[tuple[tuple[Fact, ...], bool, datetime]]:
        """The pages of one stream: facts, whether there is more, the server's time; the stream moves on with them."""

        def watermark() -> datetime:
            return max(place.since, stream.seen - self._sweep) if stream.seen else place.since

        for rows, token, more, now in self._pages(place, "", stream.token, watermark, types, eager=place.until is None):
            stream.token = token
            if rows:
                latest = moment(rows[-1].activity_date)
                stream.seen = max(stream.seen or latest, min(latest, now))
            if place.until and rows and min(moment(row.activity_date) for row in rows) > place.until + self._sweep:
                more = False  # not even what was committed late can belong to the backfill any more
            if not more:
                stream.seen = now
                stream.done = place.until is not None
            yield tuple(self._facts(rows, words, place.until)), more, now
            if not more:
                return

    def _pages(
        self,
        place: Place,
        feed: str,
        token: str,
        watermark: Callable[[], datetime],
        types: str = "",
        *,
        eager: bool = False,
    ) -> Iterator[tuple[Sequence[_Row], str, bool, datetime]]:
        path = f"/rest/v1/activities{feed}.json"
        fixed = {"batchSize": self._size, **({"activityTypeIds": types} if types else {})}

        def asked(token: str) -> dict[str, str]:
            return {"nextPageToken": token, **fixed}

        minted = not token
        token = token or self._mint(place, watermark())
        told: set[str] = set()
        with ThreadPoolExecutor(1, f"{self.name}-ahead") as ahead:  # has no thread before there is a second page
            coming: Future[tuple[_Rows, datetime]] | None = None
            while True:
                try:
                    answer, now = (
                        coming.result() if coming else self._wire.call("GET", path, _Rows, params=asked(token))
                    )
                except RefusedCallError as error:
                    # No document names the code of a token that has stopped working, so any refusal but that of a
                    # missing right may be that: once. A host that is wrong (610) refuses the new token, too.
                    if minted or error.fault.code == "603":
                        raise
                    log.warning("%s: a paging token no longer works (%s); reading again.", self.name, error.fault.code)
                    token, minted, coming = self._mint(place, watermark()), True, None
                    continue
                told.add(token)
                more, after = answer.more_result, answer.next_page_token or token
                if more and after in told:
                    raise RetryableError(f"{self.name}: Marketo gave the same paging token twice.", 60.0)
                place.idle += not answer.result
                token = after
                # The next page is under way while this one is being read and stored.
                coming = (
                    ahead.submit(self._wire.call, "GET", path, _Rows, params=asked(token)) if more and eager else None
                )
                yield answer.result, token, more, now
                if not more:
                    return

    def _mint(self, place: Place, since: datetime) -> str:
        place.idle += 1
        since -= timedelta(seconds=1)  # a token stands for what comes *after* its date
        params = {"sinceDatetime": since.strftime("%Y-%m-%dT%H:%M:%SZ")}
        answer, _ = self._wire.call("GET", "/rest/v1/activities/pagingtoken.json", _Minted, params=params)
        if not answer.next_page_token:
            raise RetryableError(f"{self.name}: Marketo gave no paging token.", 60.0)
        return answer.next_page_token

    def _facts(self, rows: Sequence[_Row], words: Words, until: datetime | None) -> list[Fact]:
        facts: list[Fact] = []
        hints: dict[int, None] = {}
        people: dict[int, Identity] = {}
        kinds, name = words.kinds, self.name
        wanted = {row.campaign_id for row in rows if row.campaign_id is not None and row.activity_type_id in kinds}
        campaigns = self._catalog.campaigns(wanted)
        for row in rows:
            type_id = row.activity_type_id
            kind = kinds.get(type_id)
            at = moment(row.activity_date)
            if until and at > until:
                continue
            if kind:
                # a loop over a handful of attributes for each of millions of rows: no call in it
                attributes: dict[str, Value] = {
                    one.name: msgspec.json.encode(one.value).decode() if isinstance(one.value, _NESTED) else one.value
                    for one in row.attributes
                }
                if row.campaign_id is not None:
                    attributes[CAMPAIGN] = campaigns[row.campaign_id]
                elif _QUERY in attributes and (campaign := campaign_in(attributes[_QUERY])):
                    attributes[CAMPAIGN] = campaign
                asset = row.primary_attribute_value
                who = people.get(row.lead_id)
                if who is None:
                    who = people[row.lead_id] = Identity(name, "lead", str(row.lead_id))
                key = row.marketo_guid or f"{row.lead_id}/{type_id}/{row.activity_date}/{asset}"
                facts.append(Activity(who, key, at, kind, "" if asset is None else str(asset), attributes))
            if type_id == NEW_LEAD:
                hints[row.lead_id] = None
            elif type_id == CHANGE_VALUE:
                field = row.primary_attribute_value_id
                if field is None or not words.watched or int(field) in words.watched:
                    hints[row.lead_id] = None
            elif type_id == MERGE and (losers := _losers(row)):
                hints[row.lead_id] = None
                facts.append(self._merged(row, losers, at))
        facts.extend(Hint(Identity(name, "lead", str(lead))) for lead in hints)
        return facts

    def _merged(self, row: _Row, losers: list[str], at: datetime) -> Merged:
        ids = tuple(Identity(self.name, "lead", loser) for loser in losers)
        fact = Merged(Identity(self.name, "lead", str(row.lead_id)), ids, at)
        self._remember(dict.fromkeys(losers, fact))
        return fact

    def _remember(self, gone: Mapping[str, Deleted | Merged]) -> None:
        self.gone.update(gone)
        while len(self.gone) > _REMEMBERED:
            self.gone.pop(next(iter(self.gone)), None)

    # -- what is asked more rarely

    def _deletions(self, place: Place, now: datetime) -> Iterator[Page]:
        since = max(place.since, now - _DELETED_KEPT)
        idle, feed = place.idle, self._pages(place, "/deletedleads", place.deleted, lambda: since)
        for count, (rows, token, more, _) in enumerate(feed, 1):
            place.deleted, place.idle = token, idle + 1
            facts = [Deleted(Identity(self.name, "lead", str(row.lead_id)), moment(row.activity_date)) for row in rows]
            self._remember({fact.identity.id: fact for fact in facts})
            if facts:
                yield Page(tuple(facts), place.text(), now)
            if more and count >= _RARE_PAGES:
                return  # the next round goes on
        place.deleted_at = now

    def _swept(self, place: Place, now: datetime, words: Words) -> Iterator[Page]:
        # committed since the last sweep, and dated up to a sweep's length before that
        since = max(place.since, (place.swept_at or now) - self._sweep)
        if not place.sweep:
            place.sweep = [self._mint(place, since)] * len(words.groups)
            place.sweep_began = now
        pages = 0
        for index, types in enumerate(words.groups):
            if not place.sweep[index]:
                continue
            for rows, token, more, _ in self._pages(place, "", place.sweep[index], lambda: since, types):
                place.sweep[index] = token if more else ""
                pages += 1
                if rows:
                    yield Page(tuple(self._facts(rows, words, None)), place.text(), now)
                if pages >= _RARE_PAGES:
                    return
        place.swept_at, place.sweep = place.sweep_began, []

    def usage(self) -> tuple[int, int]:
        """Calls of the instance's day by everybody, and its limit. A role that may not ask is no reason to stop."""
        try:
            answer, _ = self._wire.call("GET", "/rest/v1/stats/usage.json", _Usages)
        except RefusedCallError as error:
            log.info("%s: usage is not told: %s", self.name, error)
            return 0, 0
        used = answer.result[0].total if answer.result else 0
        self._wire.http.budget.saw(used, self._limit)
        return used, self._limit


def _losers(row: _Row) -> list[str]:
    """The ids in the attribute "Merge IDs", which is a list, or text like "[887, 888]"."""
    for one in row.attributes:
        if one.name == "Merge IDs":
            listed = one.value if isinstance(one.value, list) else str(one.value or "").strip("[] ").split(",")
            return [str(each).strip() for each in listed if str(each).strip()]
    return []
