"""Real leads for a test: where they are, and their rows. The facts to check against stand in the data's own README."""

import csv
import os
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parents[2]


class Deal(Struct, frozen=True):
    """A lead that became a customer."""

    lead: str
    won_at: datetime


class Mql(Struct, frozen=True):
    """A lead: on its day of first contact it filled out the form of a landing page."""

    id: str
    first_contact: datetime
    landing_page: str
    origin: str

    @property
    def email(self) -> str:
        return email_of(self.id)


def email_of(lead: str) -> str:
    """An invented address."""
    return f"{lead[:12]}@example.com"


def folder() -> Path:
    """Where the data are looked for."""
    given = os.environ.get("SYNCAGENT_TEST_DATA")
    return Path(given) if given else ROOT.parent / "shared" / "data"


def leads() -> list[Mql]:
    """All leads, oldest first."""
    with (folder() / "olist_mql.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            Mql(row["mql_id"], _day(row["first_contact_date"]), row["landing_page_id"], row["origin"])
            for row in csv.DictReader(file)
        ]
    return sorted(rows, key=lambda row: (row.first_contact, row.id))


def deals() -> list[Deal]:
    """All deals, oldest first."""
    with (folder() / "olist_closed_deals.csv").open(encoding="utf-8", newline="") as file:
        rows = [Deal(row["mql_id"], _day(row["won_date"])) for row in csv.DictReader(file)]
    return sorted(rows, key=lambda row: (row.won_at, row.lead))


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
