"""A state in memory that holds nothing but what reports count, written row by row, and asked through its views."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from sqlite_utils import Database

from syncagent.model import Roster
from syncagent.state.schema import migrate

HOUR = 3_600_000
DAY = 24 * HOUR


class Asked:
    """Stands for a `Store` of which only `ask` and `roster` are used."""

    def __init__(self) -> None:
        self._db = Database(memory=True)
        migrate(self._db)
        self.turns = Roster()

    def ask(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        return iter(self._db.conn.execute(sql, values))

    def roster(self) -> Roster:
        return self.turns

    def empty(self) -> None:
        for table in ("entry", "visit", "handoff", "promise", "deal", "child", "person", "judged"):
            self._db.conn.execute(f"delete from {table}")

    def put(self, table: str, **row: object) -> None:
        sql = f"insert into {table} ({', '.join(row)}) values ({', '.join('?' * len(row))})"
        self._db.conn.execute(sql, tuple(row.values()))

    def person(self, number: int, entered: int, **rest: object) -> None:
        """Somebody who came in then (UTC ms)."""
        texts = dict.fromkeys(("system", "source", "campaign", "content", "medium", "segment", "grade", "owner"), "")
        told = {"told_by": "activity", **texts, "stage": "suspect", "fit": 0.0, "interest": 0.0, "handoffs": 0} | rest
        self.put("entry", person=number, entered_at=entered, **told)

    def stays(self, number: int, *stays: tuple[int, str], handoff: str = "") -> None:
        """They came to these stages then, one after the other."""
        for place, (at, stage) in enumerate(stays):
            left = stays[place + 1][0] if place + 1 < len(stays) else None
            self.put("visit", person=number, entered_at=at, stage=stage, left_at=left, handoff=handoff)

    def handoff(self, ident: str, opened: int, **rest: object) -> None:
        """A handoff that was opened then; `ident` is PERSON.NUMBER."""
        person, _, number = ident.partition(".")
        told = {"state": "with_sales", "owner": "ana", "first_owner": "ana", "cause": "", "outcome": "", "score": 70.0}
        self.put("handoff", id=ident, person=int(person), number=int(number), opened_at=opened, **told | rest)

    def promise(self, ident: str, turn: int, started: int, **rest: object) -> None:
        """The promise of a first touch."""
        told = {"clock": 0, "promised": "first touch", "name": "hour", "owner": "ana"} | rest
        self.put("promise", handoff=ident, turn=turn, started_at=started, **told)

    def won(self, deal: str, closed: int, *people: int) -> None:
        """A deal of these people that was won then."""
        kept = {"account": "", "owner": "ana", "open": 0, "system": "crm", "object": "Deal", "closed": 1, "won": 1}
        self.put("deal", ext=deal, created=closed, modified=closed, closed_at=closed, amount=100, **kept)
        for person in people:
            self.put("child", ext=deal, object="Deal", system="crm", person=person)


@cache
def shared() -> Asked:
    """One for all tests of a process; each empties it first."""
    return Asked()
