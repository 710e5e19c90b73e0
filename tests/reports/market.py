"""A small market for reports on money: people with a source do things, and their deals are won, lost or open."""

from datetime import datetime, timedelta
from itertools import count

from msgspec.structs import replace

from syncagent.model import Activity, CrmRecord, Identity, Merged, Opportunity, Value
from syncagent.policy import Policy
from syncagent.reports.report import Ask, Report, Table
from tests.story.theatre import T0, Theatre


class Market:
    """Days are counted from T0, which is noon: a deal that is won on day 3 is won at noon of that day."""

    def __init__(self, theatre: Theatre) -> None:
        self.theatre = theatre
        self._number = count(1)

    @property
    def policy(self) -> Policy:
        return self.theatre.agent.policy

    def ask(self, **more: object) -> Ask:
        return Ask(self.theatre.clock.now(), "UTC", **more)  # type: ignore[arg-type]

    def comes(self, name: str, source: str = "", **told: Value) -> Identity:
        """Somebody is told by the web, and stands in the CRM as a contact of the same address."""
        given = {"source": source, **told} if source else told
        who = self.theatre.person(name, **given)
        contact = Identity("crm", "Contact", f"contact-{name}")
        record = CrmRecord(contact, T0, T0, "somebody", {"last_name": "Test"}, (f"{name}@example.com",))
        self.theatre.crm.feed([record])
        return who

    def does(self, who: Identity, day: float, kind: str = "page.visited", asset: str = "", **told: Value) -> None:
        at = T0 + timedelta(days=day)
        self.theatre.web.feed([Activity(who, f"done-{next(self._number)}", at, kind, asset, told)])

    def deal(
        self,
        *names: str,
        amount: float | None = 100.0,
        won: float | None = None,
        lost: bool = False,
        currency: str = "",
    ) -> str:
        """A deal of these; `won` on that day, else open or lost."""
        ident = f"deal-{next(self._number)}"
        at = T0 + timedelta(days=won or 0)
        self.theatre.crm.feed(
            [
                Opportunity(
                    Identity("crm", "Opportunity", ident),
                    tuple(Identity("crm", "Contact", f"contact-{name}") for name in names),
                    modified_at=at,
                    created_at=T0 - timedelta(days=300),
                    owner="ana",
                    closed=won is not None or lost,
                    won=won is not None,
                    amount=amount,
                    closed_on=f"{at:%Y-%m-%d}" if won is not None or lost else "",
                    currency=currency,
                )
            ]
        )
        return ident

    def merge(self, winner: Identity, loser: Identity) -> None:
        self.theatre.web.feed([Merged(winner, (loser,), self.theatre.clock.now())])

    def settle(self, *, days: float = 30) -> None:
        """Let the agent see it all."""
        self.theatre.after(days=days)
        self.theatre.agent.once()


def table(report: Report, name: str) -> Table:
    (found,) = [one for one in report.tables if one.name == name]
    return found


def rows(report: Report, name: str) -> list[dict[str, object]]:
    """A table's rows by the names of its columns."""
    shown = table(report, name)
    return [dict(zip([column.name for column in shown.columns], row, strict=True)) for row in shown.rows]


def moment(day: float) -> datetime:
    return T0 + timedelta(days=day)


__all__ = ["Market", "moment", "replace", "rows", "table"]
