"""What reports have to be told: what was spent where, in which currency, and how a deal is shared among touchpoints."""

from datetime import date
from typing import Literal

from msgspec import Struct


class Cost(Struct, frozen=True):
    """What a source has cost, or one campaign of it, from `begin` (included) to `end` (excluded), days of the zone.

    `where`: the place in the config that says so, for people.
    """

    source: str
    cents: int
    begin: date
    end: date
    campaign: str = ""
    currency: str = ""
    where: str = ""


class ReportPolicy(Struct, frozen=True):
    """`currency` (ISO 4217): of deals and costs that name none. `attribution`: how the report on sources shares."""

    currency: str = ""
    attribution: Literal["first", "last", "even", "position"] = "even"
    costs: tuple[Cost, ...] = ()
