"""[reports]: the currency, how deals are shared among touchpoints, and what was spent, here or in a CSV."""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Literal

from msgspec import Struct, field

from syncagent.config.lists import Line, few
from syncagent.policy import Cost, ReportPolicy

Tell = Callable[[str, str, str], None]
"""Takes a problem: its path, what is wrong, what helps."""

_PATH = "reports.costs"
_CURRENCY = re.compile(r"[A-Z]{3}")
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_SPAN = 'Write month = "2026-01", or from = 2026-01-01 and to = 2026-01-31 (both days are included).'


class SpentTable(Struct, frozen=True):
    """One line of `spent`: a month, or from and to."""

    source: str
    amount: float
    campaign: str = ""
    currency: str = ""
    month: str = ""
    begin: date | None = field(default=None, name="from")
    end: date | None = field(default=None, name="to")


class CostsTable(Struct, frozen=True):
    """[reports.costs]: `file` is a CSV beside the config; its lines and those of `spent` are added."""

    file: str = ""
    spent: tuple[SpentTable, ...] = ()


class ReportsTable(Struct, frozen=True):
    """[reports]."""

    currency: str = ""
    attribution: Literal["first", "last", "even", "position"] = "even"
    costs: CostsTable = CostsTable()


def reports(table: ReportsTable, lines: Iterable[Line], tell: Tell) -> ReportPolicy:
    """The policy; `lines` are those of the CSV."""
    try:
        main = _currency(table.currency)
    except ValueError as error:
        tell("reports.currency", str(error), "")
        main = ""
    found = [*_of_config(table.costs.spent, main, tell), *_of_file(lines, main, tell)]
    return ReportPolicy(main, table.attribution, _once(found, tell))


def _of_config(spent: Iterable[SpentTable], main: str, tell: Tell) -> Iterator[Cost]:
    for n, one in enumerate(spent, 1):
        path = f"{_PATH}.spent[{n}]"
        try:
            begin, end = _span(one.month, _day(one.begin), _day(one.end))
            cents, currency = _cents(repr(one.amount)), _currency(one.currency) or main
            yield _cost(one.source, one.campaign, cents, begin, end, currency, path)
        except ValueError as error:
            tell(path, str(error), "")


def _of_file(lines: Iterable[Line], main: str, tell: Tell) -> Iterator[Cost]:
    wrong = []
    for line in lines:
        given = line.cells
        try:
            first, last = (_written(given.get(name, "")) for name in ("from", "to"))
            begin, end = _span(given.get("month", ""), first, last)
            cents, currency = _cents(given.get("amount", "")), _currency(given.get("currency", "")) or main
            where = f"line {line.number} of the costs"
            yield _cost(given.get("source", ""), given.get("campaign", ""), cents, begin, end, currency, where)
        except ValueError as error:
            wrong.append(f"Line {line.number}: {error}")
    few(lambda path, says: tell(path, says, ""), f"{_PATH}.file", wrong)


def _cost(source: str, campaign: str, cents: int, begin: date, end: date, currency: str, where: str) -> Cost:
    if not source.strip():
        raise ValueError("It does not say which source has cost this.")
    return Cost(source.strip(), cents, begin, end, campaign.strip(), currency, where)


def _once(found: list[Cost], tell: Tell) -> tuple[Cost, ...]:
    """What stands there twice would be counted twice: it is told."""
    first: dict[tuple[str, str, date, date, str], Cost] = {}
    twice = []
    for one in found:
        same = first.setdefault((one.source, one.campaign, one.begin, one.end, one.currency), one)
        if same is not one:
            twice.append(f"The same source, campaign and days stand at {same.where} and at {one.where}.")
    few(lambda path, says: tell(path, says, "Write their sum in one line."), _PATH, twice)
    return tuple(found)


def _span(month: str, first: date | None, last: date | None) -> tuple[date, date]:
    """The first day, and the one after the last."""
    if month and first is None and last is None:
        told = _MONTH.fullmatch(month.strip())
        if told is None:
            raise ValueError(f"{month!r} is not a month. {_SPAN}")
        begin = date(int(told[1]), int(told[2]), 1)
        return begin, (begin + timedelta(days=31)).replace(day=1)
    if month or first is None or last is None:
        raise ValueError(f"It does not say for which days this was spent. {_SPAN}")
    if last < first:
        raise ValueError(f"It ends on {last}, before it begins on {first}.")
    return first, last + timedelta(days=1)


def _day(given: date | None) -> date | None:
    return given.date() if isinstance(given, datetime) else given


def _written(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise ValueError(f"{text!r} is not a day. {_SPAN}") from None


def _cents(text: str) -> int:
    try:
        cents = Decimal(text) * 100
    except InvalidOperation:
        raise ValueError(f"{text!r} is not an amount. Write it like 1234.50.") from None
    if not cents.is_finite() or cents != cents.to_integral_value():
        raise ValueError(f"{text!r} has parts of a cent. Write it like 1234.50.")
    if cents < 0:
        raise ValueError(f"{text!r} is below 0. Take what came back off the amount that was spent.")
    return int(cents)


def _currency(text: str) -> str:
    code = text.strip().upper()
    if code and _CURRENCY.fullmatch(code) is None:
        raise ValueError(f"{text!r} is no currency. Write its three letters, like EUR.")
    return code
