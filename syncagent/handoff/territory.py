"""Where a lead belongs: regions, and the list of named accounts and postal codes, looked up without a walk.

Postal codes are compared as texts, in capitals and without spaces and hyphens. Of ranges that overlap the one that
begins later counts, and of those that begin together the shorter: so an exception inside a wider range wins.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from heapq import heappop, heappush
from typing import NamedTuple

from syncagent.handoff.compiled import once_per_policy
from syncagent.handoff.conditions import is_known, postal
from syncagent.model import Value
from syncagent.model.company import clean_name, mail_domain, registered, website_domain
from syncagent.policy import POSTAL, Policy, RoutingPolicy, Territory

Place = tuple[str, str]
"""A country and a state, in small letters; state "" where it is not known or does not matter."""


class Overlap(NamedTuple):
    """Two rows that claim the same and lead to different places; `wins` counts."""

    wins: Territory
    loses: Territory
    what: str


class Map:
    """A policy's regions and its list, ready to be asked."""

    def __init__(self, routing: RoutingPolicy) -> None:
        self._countries = {name.casefold(): to.casefold() for name, to in routing.countries.items()}
        self._regions = {
            name: frozenset((self._country(country), state) for country, state in places)
            for name, places in routing.regions.items()
        }
        self.overlaps: list[Overlap] = []
        self._accounts: dict[str, Territory] = {}
        self._domains: dict[str, Territory] = {}
        self._companies: dict[str, Territory] = {}
        self._whole: dict[str, Territory] = {}
        ranges: dict[str, list[_Range]] = {}
        for number, row in enumerate(routing.territories):
            country = self._country(row.country)
            self._put(self._accounts, row.account, row, "account")
            self._put(self._domains, registered(row.domain.casefold()) if row.domain else "", row, "domain")
            self._put(self._companies, clean_name(row.company), row, "company")
            if row.postal:
                spans = (_Range(low, high, number, row) for low, high in row.postal)
                ranges.setdefault(country, []).extend(spans)
            elif country:
                self._put(self._whole, country, row, "country")
        self._segments = {country: _cut(some) for country, some in ranges.items()}
        for some in ranges.values():
            self.overlaps += _overlaps(some)

    def place(self, attributes: Mapping[str, Value]) -> Place:
        """The country and state of somebody, as regions and the list spell them."""
        return self._country(str(attributes.get("country") or "")), str(
            attributes.get("state") or ""
        ).strip().casefold()

    def is_in(self, regions: Iterable[str], attributes: Mapping[str, Value]) -> bool:
        """Whether one of these regions holds the country, or the state, of somebody."""
        country, state = self.place(attributes)
        return any(
            (country, "") in places or (country, state) in places
            for places in (self._regions.get(name, frozenset()) for name in regions)
        )

    def named_account(
        self, account: str, attributes: Mapping[str, Value], emails: Iterable[str], free_mail: Collection[str] = ()
    ) -> Territory | None:
        """The row that names somebody's company: by the CRM's account, else by domain, else by name."""
        if account and (found := self._accounts.get(account)) is not None:
            return found
        if not (self._domains or self._companies):
            return None
        for domain in domains_of(attributes, emails, free_mail):
            if (found := self._domains.get(domain)) is not None:
                return found
        return self._companies.get(clean_name(str(attributes.get("company") or "")))

    def territory(self, attributes: Mapping[str, Value]) -> Territory | None:
        """The row of somebody's postal code, else of their whole country."""
        country = self._country(str(attributes.get("country") or ""))
        given = next((value for name in POSTAL if is_known(value := attributes.get(name))), None)
        segments = self._segments.get(country)
        found = segments.at(postal(given)) if segments is not None and given is not None else None
        return found or (self._whole.get(country) if country else None)

    def _country(self, country: str) -> str:
        folded = country.strip().casefold()
        return self._countries.get(folded, folded)

    def _put(self, known: dict[str, Territory], key: str, row: Territory, what: str) -> None:
        if not key:
            return
        old = known.setdefault(key, row)
        if old is not row and old.to != row.to:
            self.overlaps.append(Overlap(old, row, f"the {what} {key}"))


def domains_of(attributes: Mapping[str, Value], emails: Iterable[str], free_mail: Collection[str]) -> tuple[str, ...]:
    """The domains that somebody's company has: of their mail in its order, then of the website."""
    found = [mail_domain(one.strip().casefold(), free_mail) for one in emails]
    return tuple(filter(None, (*found, website_domain(str(attributes.get("website") or "")))))


@once_per_policy
def map_of(policy: Policy) -> Map:
    """The regions and the list of a policy."""
    return Map(policy.routing)


class _Range(NamedTuple):
    low: str
    high: str
    number: int
    row: Territory

    @property
    def rank(self) -> tuple[tuple[int, ...], str, int]:
        """The smallest of those that hold a code counts: begins last, ends first, stands first."""
        return _backwards(self.low), self.high, self.number


class _Segments(NamedTuple):
    """Ranges cut into pieces that do not overlap: where each begins, and whose it is until the next."""

    begins: list[str]
    rows: list[Territory | None]

    def at(self, code: str) -> Territory | None:
        index = bisect_right(self.begins, code) - 1
        return self.rows[index] if index >= 0 else None


def _cut(ranges: list[_Range]) -> _Segments:
    """Every text at which a range begins, or behind which one ends, in order; between two the best one counts."""
    ordered = sorted(ranges, key=lambda one: one.low)
    bounds = sorted({one.low for one in ranges} | {_behind(one.high) for one in ranges})
    begins: list[str] = []
    rows: list[Territory | None] = []
    waiting: list[tuple[tuple[tuple[int, ...], str, int], _Range]] = []
    after = 0
    for bound in bounds:
        while after < len(ordered) and ordered[after].low <= bound:
            heappush(waiting, (ordered[after].rank, ordered[after]))
            after += 1
        while waiting and waiting[0][1].high < bound:
            heappop(waiting)
        begins.append(bound)
        rows.append(waiting[0][1].row if waiting else None)
    return _Segments(begins, rows)


def _backwards(text: str) -> tuple[int, ...]:
    """What sorts texts from the last to the first."""
    return (*(-ord(each) for each in text), 1)


def _behind(text: str) -> str:
    """The first text after `text` in order."""
    return text + "\x00"


def _overlaps(ranges: list[_Range]) -> Iterator[Overlap]:
    """Ranges that claim the same codes without one standing inside the other, and equal ones with two targets."""
    ordered = sorted(ranges, key=lambda one: (one.low, _backwards(one.high), one.number))
    around: list[_Range] = []
    for one in ordered:
        while around and around[-1].high < one.low:
            around.pop()
        for other in reversed(around):
            same = (other.low, other.high) == (one.low, one.high)
            if (same or one.high > other.high >= one.low) and one.row.to != other.row.to:
                wins, loses = (other, one) if same else (one, other)
                yield Overlap(wins.row, loses.row, f"the postal codes from {one.low} on")
                break
        around.append(one)
