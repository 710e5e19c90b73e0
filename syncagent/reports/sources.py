"""Sources: what became of the leads of each source and campaign, what they brought, and what they have cost."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from syncagent.errors import UserError
from syncagent.policy import Policy
from syncagent.reports.attribution import credit
from syncagent.reports.costs import speller, spent
from syncagent.reports.cuts import bounds, missing
from syncagent.reports.journeys import Came, Journey, deals, journeys
from syncagent.reports.report import Ask, Chart, Column, Report, Table
from syncagent.reports.revenue import TITLES, money, returned
from syncagent.state.store import Store

BY = ("source", "campaign")
_ACCEPTED = "('sal', 'sql', 'opportunity', 'won')"
_LEADS = f"""
select source, campaign, count(*), sum(handoffs > 0),
  sum(person in (select person from report_stage where stage in {_ACCEPTED} and handoff <> '')),
  sum(person in (select p.person from report_deal_person as p join report_deal as d on d.deal = p.deal where d.won = 1))
from report_lead where entered_ms >= ? and entered_ms < ? group by source, campaign
"""  # noqa: S608


class Name(NamedTuple):
    """A row's name; `campaign` None: all campaigns of the source."""

    source: str
    campaign: str | None = None


@dataclass
class Leads:
    """How many came, and of those: handed over at least once, accepted, with a deal that was won."""

    came: int = 0
    handed: int = 0
    accepted: int = 0
    won: int = 0


@dataclass
class Earned:
    """Won deals in one currency, cents: by name, what leads of other times brought, and what nobody did."""

    total: int = 0
    by: Counter[Name] = field(default_factory=Counter)
    others: int = 0
    unattributed: int = 0
    unknown: int = 0


def sources(store: Store, ask: Ask, policy: Policy) -> Report:
    """By source, and by source and campaign; only one of the two where `ask.by` names it.

    Counted are the leads that came in the time of the report, and all that became of them since; what was spent is of
    the days of that time. Raises `UserError` for another cut.
    """
    if ask.by and ask.by not in BY:
        raise UserError(f"Sources cannot be cut by {ask.by!r}. Ask --by {' or '.join(BY)}.")
    leads = _leads(store, ask)
    always = replace(ask, since=None, until=None)
    told = deals(store, always, policy)
    earned = earn(journeys(store, [one for one in told if one.won], always, policy), ask, policy)
    costs = spent(policy.reports.costs, ask)
    currencies = sorted({*earned, *(one.currency for one in costs)})
    cuts = [by for by in BY if ask.by in ("", by)]
    tables = [_table(by, leads, earned, currencies, ask, policy) for by in cuts]
    tables += [_reconciled(currency, earned[currency]) for currency in currencies if currency in earned]
    notes = (*_notes(leads, earned, currencies, ask, policy), *missing(store))
    return Report("sources", "Sources", ask.at, ask.zone, tuple(tables), ask.since, ask.until, notes)


def _leads(store: Store, ask: Ask) -> dict[Name, Leads]:
    """Of those who came in the time of the report, by source and campaign."""
    found = store.ask(_LEADS, bounds(ask))
    return {Name(source, campaign): Leads(*counts) for source, campaign, *counts in found}


def earn(told: Iterable[Journey], ask: Ask, policy: Policy) -> dict[str, Earned]:
    """What won deals brought, by currency: each part is of the lead whose touchpoint earned it."""
    found: dict[str, Earned] = {}
    first, end = bounds(ask)
    for one in told:
        into = found.setdefault(one.deal.currency, Earned())
        if one.deal.cents is None:
            into.unknown += 1
            continue
        into.total += one.deal.cents
        if not one.touchpoints:
            into.unattributed += one.deal.cents
            continue
        people = [touched.person for touched in one.touchpoints]
        parts = credit(one.deal.cents, people, policy.reports.attribution)
        for person, cents in parts.items():
            came = one.came.get(person, Came())
            if came.entered is not None and first <= came.entered < end:
                into.by[Name(came.source, came.campaign)] += cents
            else:
                into.others += cents
    return found


def _table(
    by: str,
    leads: Mapping[Name, Leads],
    earned: Mapping[str, Earned],
    currencies: Sequence[str],
    ask: Ask,
    policy: Policy,
) -> Table:
    counted: dict[Name, Leads] = {}
    for name, one in leads.items():
        into = counted.setdefault(_cut(by, name.source, name.campaign), Leads())
        into.came += one.came
        into.handed += one.handed
        into.accepted += one.accepted
        into.won += one.won
    brought = {currency: Counter[Name]() for currency in currencies}
    for currency, one_sum in earned.items():
        for whose, cents in one_sum.by.items():
            brought[currency][_cut(by, whose.source, whose.campaign)] += cents
    names = {*counted, *(name for one in brought.values() for name in one)}
    costs = {currency: _costs(by, currency, names, ask, policy) for currency in currencies}
    names |= {name for one in costs.values() for name in one}
    columns = [Column("source", "Source")]
    if by == "campaign":
        columns.append(Column("campaign", "Campaign"))
    columns += [
        Column("leads", "Leads", "count"),
        Column("handed_over", "Handed over", "count"),
        Column("accepted", "Accepted", "count"),
        Column("won", "Won", "count"),
        Column("win_rate", "Win rate", "share"),
    ]
    for currency in currencies:
        columns += _money_columns(currency, policy)
    rows: list[tuple[object, ...]] = []
    for name in sorted(names, key=lambda one: (-counted.get(one, Leads()).came, one.source, one.campaign or "")):
        row: list[object] = [name.source or None, *([name.campaign or None] if by == "campaign" else [])]
        rows.append((*row, *_row(counted.get(name, Leads()), name, currencies, brought, costs, policy)))
    title = "By source" if by == "source" else "By source and campaign"
    return Table(by, title, tuple(columns), tuple(rows), chart=Chart("bars", by, ("leads", "won")))


def _row(
    counts: Leads,
    name: Name,
    currencies: Sequence[str],
    brought: Mapping[str, Counter[Name]],
    costs: Mapping[str, Mapping[Name, int]],
    policy: Policy,
) -> Iterator[object]:
    yield from (counts.came, counts.handed, counts.accepted, counts.won)
    yield counts.won / counts.came if counts.came else None
    for currency in currencies:
        revenue = brought[currency][name]
        yield revenue
        if policy.reports.costs:
            cost = costs[currency].get(name)
            yield cost
            yield _each(cost, counts.came)
            yield _each(cost, counts.won)
            yield returned(revenue, cost)


def _each(cost: int | None, count: int) -> int | None:
    """What one has cost; None: unknown, as nothing was spent that we know of, or there is none."""
    return round(cost / count) if cost is not None and count else None


def _cut(by: str, source: str, campaign: str | None) -> Name:
    return Name(source, campaign or "") if by == "campaign" else Name(source)


def _money_columns(currency: str, policy: Policy) -> Iterator[Column]:
    tail = f"_{currency.lower()}" if currency else ""
    yield money(f"revenue{tail}", "Revenue", currency)
    if policy.reports.costs:
        yield money(f"cost{tail}", "Cost", currency)
        yield money(f"cost_per_lead{tail}", "Cost per lead", currency)
        yield money(f"cost_per_won{tail}", "Cost per won lead", currency)
        title = "Return on investment" + (f" ({currency})" if currency else "")
        yield Column(f"roi{tail}", f"{title}, {TITLES[policy.reports.attribution].lower()}", "ratio")


def _costs(by: str, currency: str, names: Iterable[Name], ask: Ask, policy: Policy) -> dict[Name, int]:
    """What was spent on each name, in this currency, in the spelling of the leads."""
    campaigns: dict[str, list[str]] = {}
    for one in names:
        campaigns.setdefault(one.source, []).append(one.campaign or "")
    source_of = speller(campaigns)
    campaign_of = {source: speller(known) for source, known in campaigns.items()}
    found: Counter[Name] = Counter()
    for bought, cents in spent(policy.reports.costs, ask).items():
        if bought.currency == currency:
            source = source_of(bought.source)
            campaign = campaign_of[source](bought.campaign) if source in campaign_of else bought.campaign
            found[_cut(by, source, campaign)] += cents
    return dict(found)


def _reconciled(currency: str, earned: Earned) -> Table:
    """The CRM's total, and where each cent of it stands."""
    tail = f"_{currency.lower()}" if currency else ""
    columns = (
        Column("currency", "Currency"),
        money("amount", "The CRM's total, won", currency),
        money("these_leads", "Revenue of these leads", currency),
        money("other_leads", "Of leads that came at other times", currency),
        money("unattributed", "Unattributed", currency),
        Column("without_amount", "Won deals without an amount", "count"),
    )
    row = (
        currency or None,
        earned.total,
        sum(earned.by.values()),
        earned.others,
        earned.unattributed,
        earned.unknown,
    )
    title = "All won deals, as the CRM tells them"
    return Table(f"reconciled{tail}", title, columns, (row,))


def _notes(
    leads: Mapping[Name, Leads], earned: Mapping[str, Earned], currencies: Sequence[str], ask: Ask, policy: Policy
) -> Iterator[str]:
    yield (
        "Counted are the leads that came in this time, by the source and campaign that were told of them first, and"
        " what has become of them up to now."
    )
    yield (
        "Revenue is what they have part in of won deals"
        f" ({TITLES[policy.reports.attribution].lower()}: attribution in [reports]); what nobody has part in is told as"
        " unattributed. `syncagent report revenue` says why, and shows all ways of sharing."
    )
    if len(currencies) > 1:
        named = ", ".join(one or "none named" for one in currencies)
        yield f"There are deals or costs in {len(currencies)} currencies ({named}): none are added."
    if unknown := sum(one.unknown for one in earned.values()):
        yield f"{unknown:,} won {'deal has' if unknown == 1 else 'deals have'} no amount in the CRM: no revenue."
    if not policy.reports.costs:
        yield "No costs are given, so there is no cost per lead and no return: name them in [reports.costs]."
        return
    known = [name.source for name in leads]
    spelled = speller(known)
    nobody = sorted({one.source for one in spent(policy.reports.costs, ask) if spelled(one.source) not in known})
    if nobody:
        named = ", ".join(repr(one) for one in nobody)
        yield f"Costs are given for {named}, which no lead of this time names: their cost per lead is unknown."
