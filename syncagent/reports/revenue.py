"""Revenue: won and open deals tied to the people who did something before them, by four ways of sharing, to the cent.

What is shared and what is not add up to what the CRM says, for each currency by itself: amounts of two currencies are
never added.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from syncagent.errors import UserError
from syncagent.policy import Policy
from syncagent.reports.attribution import MODELS, Touchpoint, credit
from syncagent.reports.costs import speller, spent
from syncagent.reports.cuts import called, missing
from syncagent.reports.journeys import Deal, Journey, deals, journeys
from syncagent.reports.report import Ask, Chart, Column, Report, Table
from syncagent.state.store import Store

UNATTRIBUTED = "(unattributed)"
TITLES = {"first": "First touch", "last": "Last touch", "even": "Even", "position": "Position-based 40-20-40"}

_NOBODY = "no person"
_TOO_EARLY = "won before their first touchpoint"
_NOTHING = "they did nothing that counts"
_Name = Callable[[Journey, Touchpoint], str]


BY: dict[str, tuple[str, _Name]] = {
    "source": ("Source", lambda _journey, one: one.source),
    "campaign": ("Campaign", lambda _journey, one: one.campaign),
    "content": ("Content", lambda _journey, one: one.content),
    "kind": ("Activity", lambda _journey, one: one.kind),
    "system": ("System", lambda _journey, one: one.system),
    "segment": ("Segment", lambda journey, one: journey.came[one.person].segment if one.person in journey.came else ""),
    "rep": ("Owner of the deal", lambda journey, _one: journey.deal.owner),
}
"""What the money can be cut by."""


class Of(NamedTuple):
    """Deals that may be added: of one currency, and either won or open."""

    currency: str
    won: bool


@dataclass
class Sum:
    """What was found of such deals. `amount` and `shared` are cents; `shared` by name, then by model, as `MODELS`."""

    deals: int = 0
    amount: int = 0
    unknown: int = 0  # deals without an amount
    several: int = 0  # deals with more than one person
    shared: dict[str, list[int]] = field(default_factory=dict)
    touched: Counter[str] = field(default_factory=Counter)  # deals with a touchpoint of the name
    left: dict[str, list[int]] = field(default_factory=dict)  # reason -> deals, cents, deals without an amount

    @property
    def unattributed(self) -> int:
        return sum(cents for _, cents, _ in self.left.values())


def revenue(store: Store, ask: Ask, policy: Policy) -> Report:
    """Deals by source, unless `ask.by` names another of `BY`. Raises `UserError` when it is none of them.

    Won deals are those won in the time of the report, open ones those that are open now.
    """
    by = ask.by or "source"
    if by not in BY:
        raise UserError(f"Revenue cannot be cut by {by!r}. Ask --by one of {', '.join(BY)}.")
    told = deals(store, ask, policy)
    found, robots = add_up(journeys(store, told, ask, policy), BY[by][1])
    names = called(store, policy) if by == "rep" else {}
    tables = [table for of in _in_order(found) for table in _tables(of, found[of], by, names, ask, policy)]
    return Report(
        "revenue",
        "Revenue",
        ask.at,
        ask.zone,
        tuple(tables),
        ask.since,
        ask.until,
        (*_notes(found, robots, told), *_alone(found, ask, policy), *missing(store)),
    )


def add_up(told: Iterable[Journey], name_of: _Name) -> tuple[dict[Of, Sum], int]:
    """The sums by currency and state, and how many activities of robots did not count."""
    found: dict[Of, Sum] = {}
    robots = 0
    for one in told:
        robots += one.robots
        _add(found.setdefault(Of(one.deal.currency, one.deal.won), Sum()), one, name_of)
    return found, robots


def _add(into: Sum, journey: Journey, name_of: _Name) -> None:
    cents = journey.deal.cents
    into.deals += 1
    into.amount += cents or 0
    into.unknown += cents is None
    into.several += len(journey.deal.people) > 1
    if not journey.touchpoints:
        left = into.left.setdefault(_why_not(journey), [0, 0, 0])
        left[0] += 1
        left[1] += cents or 0
        left[2] += cents is None
        return
    names = [name_of(journey, one) for one in journey.touchpoints]
    each = set(names)
    into.touched.update(each)
    for name in each:
        into.shared.setdefault(name, [0] * len(MODELS))
    for place, model in enumerate(MODELS):
        for name, part in credit(cents or 0, names, model).items():
            into.shared[name][place] += part


def _why_not(journey: Journey) -> str:
    if not journey.deal.people:
        return _NOBODY
    return _TOO_EARLY if journey.later else _NOTHING


def _in_order(found: Iterable[Of]) -> list[Of]:
    return sorted(found, key=lambda of: (of.currency, not of.won))


# -- what is shown


def _tables(of: Of, found: Sum, by: str, names: Mapping[str, str], ask: Ask, policy: Policy) -> Iterator[Table]:
    state, tail = ("won" if of.won else "open"), f"_{of.currency.lower()}" if of.currency else ""
    what = f"{state} deals" + (f", {of.currency}" if of.currency else "")
    yield _reconciled(f"{state}_total{tail}", f"All {what}, as the CRM tells them", of, found)
    costs = _costs(of, by, ask, policy) if of.won else {}
    shown = _shared(f"{state}{tail}", of, found, by, costs, policy)
    rows = tuple((row[0], names.get(str(row[1]), row[1]), *row[2:]) for row in shown.rows)
    yield replace(shown, rows=rows, title=f"{what[0].upper()}{what[1:]}, by {BY[by][0].lower()}")
    if found.left:
        yield _left(f"{state}_unattributed{tail}", f"Unattributed {what}", of, found)


def money(name: str, title: str, currency: str) -> Column:
    """A column of money, whose title names the currency."""
    return Column(name, f"{title} ({currency})" if currency else title, "money")


def _reconciled(name: str, title: str, of: Of, found: Sum) -> Table:
    columns = (
        Column("currency", "Currency"),
        Column("deals", "Deals", "count"),
        money("amount", "The CRM's total", of.currency),
        money("attributed", "Attributed", of.currency),
        money("unattributed", "Unattributed", of.currency),
        Column("unattributed_deals", "Unattributed deals", "count"),
        Column("without_amount", "Deals without an amount", "count"),
    )
    left = found.unattributed
    deals_left = sum(count for count, _, _ in found.left.values())
    attributed = sum(parts[0] for parts in found.shared.values())  # each way of sharing adds up to the same
    row = (of.currency or None, found.deals, found.amount, attributed, left, deals_left, found.unknown)
    return Table(name, title, columns, (row,))


def _shared(name: str, of: Of, found: Sum, by: str, costs: dict[str, int], policy: Policy) -> Table:
    columns = [Column("currency", "Currency"), Column(by, BY[by][0]), Column("deals", "Deals touched", "count")]
    columns += [money(model, TITLES[model], of.currency) for model in MODELS]
    model = policy.reports.attribution
    place = MODELS.index(model)
    if costs:
        columns.append(money("cost", "Cost", of.currency))
        columns.append(Column("roi", f"Return on investment ({TITLES[model].lower()})", "ratio"))
    rows: list[tuple[object, ...]] = []
    spelled, cost = speller(found.shared), Counter[str]()
    for told, cents in costs.items():
        cost[spelled(told)] += cents
    every = {one: [0] * len(MODELS) for one in cost} | found.shared
    for one, parts in sorted(every.items(), key=lambda item: (-item[1][place], item[0])):
        row: list[object] = [of.currency or None, one or None, found.touched[one], *parts]
        if costs:
            row += [cost.get(one), returned(parts[place], cost.get(one))]
        rows.append(tuple(row))
    if found.left:
        left = [found.unattributed] * len(MODELS)
        count = sum(count for count, _, _ in found.left.values())
        rows.append((of.currency or None, UNATTRIBUTED, count, *left, *([None, None] if costs else [])))
    return Table(name, "", tuple(columns), tuple(rows), chart=Chart("bars", by, MODELS))


def returned(earned: int, cost: int | None) -> float | None:
    """The return on investment: what came back over the cost, as a part of it; None: unknown, as nothing was spent."""
    return (earned - cost) / cost if cost else None


def _costs(of: Of, by: str, ask: Ask, policy: Policy) -> dict[str, int]:
    """What was spent in this currency, by the names of the cut."""
    if by not in ("source", "campaign"):
        return {}
    found: Counter[str] = Counter()
    for bought, cents in spent(policy.reports.costs, ask).items():
        if bought.currency == of.currency:
            found[bought.source if by == "source" else bought.campaign] += cents
    return dict(found)


def _left(name: str, title: str, of: Of, found: Sum) -> Table:
    columns = (
        Column("currency", "Currency"),
        Column("why", "Why"),
        Column("deals", "Deals", "count"),
        money("amount", "Amount", of.currency),
        Column("without_amount", "Deals without an amount", "count"),
    )
    rows = tuple((of.currency or None, why, *parts) for why, parts in sorted(found.left.items()))
    return Table(name, title, columns, rows)


def _notes(found: dict[Of, Sum], robots: int, told: Sequence[Deal]) -> Iterator[str]:
    yield (
        "A touchpoint is anything that somebody with a deal did before its close; what was sent to them is none."
        f" {_counted(robots, 'activity', 'activities')} of robots and mail scanners did not count."
    )
    yield "Won deals are those won in the time of the report; open ones are those that are open now."
    if not told:
        yield "The CRM has told of no deal that is won or open."
    currencies = sorted({of.currency for of in found})
    if len(currencies) > 1:
        named = ", ".join(one or "none named" for one in currencies)
        yield f"There are deals in {len(currencies)} currencies ({named}): each has tables of its own, none are added."
    elif currencies == [""]:
        yield 'The CRM names no currency. Say which it is: currency = "EUR" in [reports].'
    if unknown := sum(one.unknown for one in found.values()):
        yield f"{_counted(unknown, 'deal has', 'deals have')} no amount in the CRM: counted as deals, not as money."
    if several := sum(one.several for one in found.values()):
        yield (
            f"{_counted(several, 'deal has', 'deals have')} several people: each counts once,"
            " shared among the touchpoints of all of them."
        )


def _alone(found: Iterable[Of], ask: Ask, policy: Policy) -> Iterator[str]:
    """Costs that stand beside nothing that was won."""
    won = {of.currency for of in found if of.won}
    alone = sorted({one.currency for one, cents in spent(policy.reports.costs, ask).items() if cents} - won)
    if alone:
        named = ", ".join(one or "no named currency" for one in alone)
        yield f"Costs in {named} stand beside no deal that was won in it in this time: they are not shown here."


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
