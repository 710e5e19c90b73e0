"""The org's rows: tables with indexes, undo for "all or none", and transactions that are seen only at their commit.

A row is a dict of wire values (dates and stamps as Salesforce writes them, so that comparing text compares time); a
field that is null is absent. Rows are replaced, never changed in place. Deleted rows stay, with IsDeleted true: the
recycle bin.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from syncagent.sandbox.clock import SandboxClock
from syncagent.sandbox.salesforce import ids
from syncagent.sandbox.salesforce.schema import Field, ObjectType, build

Row = dict[str, Any]
DAY: Final = 86_400


def wire(moment: datetime) -> str:
    """A moment as Salesforce writes it: whole seconds (crm.md A1)."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000+0000")


class RowError(Exception):
    """Salesforce refuses one row; `extra` goes beside code and message in a single-row reply."""

    def __init__(
        self, code: str, message: str, fields: list[str] | None = None, extra: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fields = fields or []
        self.extra = extra or {}


class RequestError(Exception):
    """Salesforce refuses the whole request with that HTTP status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def unique_key(known: Field, value: object) -> str:
    """How a value stands in a unique index."""
    return str(value) if known.case_sensitive else str(value).lower()


class Table:
    """The committed rows of one object."""

    def __init__(self, shape: ObjectType) -> None:
        self.shape = shape
        self.rows: dict[str, Row] = {}
        self.indexes: dict[str, dict[str, dict[str, None]]] = {}
        self._stamps: list[tuple[str, str]] | None = None
        for known in shape.fields.values():
            if known.indexed:
                self.index(known)

    def index(self, known: Field) -> None:
        """Keep an index on a field from now on."""
        found: dict[str, dict[str, None]] = {}
        for row in self.rows.values():
            if (value := row.get(known.name)) is not None and not row["IsDeleted"]:
                found.setdefault(unique_key(known, value), {})[row["Id"]] = None
        self.indexes[known.name] = found

    def put(self, ident: str, row: Row | None) -> Row | None:
        """Replace a row (None: take it out) and return what stood there."""
        old = self.rows.get(ident)
        for name, index in self.indexes.items():
            known = self.shape.fields[name]
            before = None if old is None or old["IsDeleted"] else old.get(name)
            after = None if row is None or row["IsDeleted"] else row.get(name)
            if before != after:
                if before is not None:
                    index[unique_key(known, before)].pop(ident, None)
                if after is not None:
                    index.setdefault(unique_key(known, after), {})[ident] = None
        if self._stamps is not None:
            if old is not None:
                del self._stamps[bisect_left(self._stamps, (old[self.shape.stamp], ident))]
            if row is not None:
                insort(self._stamps, (row[self.shape.stamp], ident))
        if row is None:
            self.rows.pop(ident, None)
        else:
            self.rows[ident] = row
        return old

    def holders(self, known: Field, value: object) -> list[str]:
        """The live rows with that value in an indexed field, or with that Id."""
        if known.name == "Id":
            row = self.rows.get(ids.full(value) or "")
            return [] if row is None or row["IsDeleted"] else [row["Id"]]
        return list(self.indexes[known.name].get(unique_key(known, value), ()))

    def since(self, stamp: str) -> Iterator[Row]:
        """The rows with that stamp or a later one, by stamp and id."""
        if self._stamps is None:
            self._stamps = sorted((row[self.shape.stamp], ident) for ident, row in self.rows.items())
        stamps = self._stamps
        for place in range(bisect_left(stamps, (stamp, "")), len(stamps)):
            yield self.rows[stamps[place][1]]


@dataclass(slots=True)
class Transaction:
    """An open transaction: its rows carry the stamp of their writing and are seen by nobody else before the commit."""

    name: str
    started: datetime
    pending: dict[tuple[str, str], Row] = field(default_factory=dict)


@dataclass(slots=True)
class Actor:
    """Who writes and how.

    `api` is the integration over REST (field security, rules and locks apply), else somebody on the screen.
    """

    user: str
    api: bool = False
    auto_assign: bool = True
    save_duplicates: bool = False
    explain_duplicates: bool = False
    transaction: Transaction | None = None
    seeding: bool = False


@dataclass(slots=True)
class Settings:
    """What an admin of the org may set."""

    daily_limit: int = 15_000
    page_size: int = 2000
    session_seconds: int = 7200
    locator_seconds: int = 2 * DAY
    track_history: bool = True
    jitter: int = 8
    composite_conditions: bool = (
        True  # whether If-Unmodified-Since works on parts of a composite call: nobody could verify it
    )


class World:
    """All tables, transactions and settings of the org."""

    def __init__(self, clock: SandboxClock) -> None:
        self.clock = clock
        self.shapes = build()
        self.tables = {name: Table(shape) for name, shape in self.shapes.items()}
        self.settings = Settings()
        self.transactions: dict[str, Transaction] = {}
        self.rules: dict[str, dict[str, Any]] = {}
        self.tries: dict[tuple[str, str], int] = {}
        self.hidden: set[tuple[str, str]] = set()
        self.locked: set[tuple[str, str]] = set()
        self.notifications: list[dict[str, Any]] = []
        self._serials: dict[str, int] = {}
        self._undo: list[tuple[Table, str, Row | None]] | None = None

    def stamp(self) -> str:
        """The present second as Salesforce writes it."""
        return wire(self.clock.now())

    def new_id(self, name: str) -> str:
        """A fresh id for a row of that object."""
        prefix = self.shapes[name].prefix  # the histories of all objects share one
        self._serials[prefix] = self._serials.get(prefix, 0) + 1
        return ids.make(prefix, self._serials[prefix])

    def table(self, name: str) -> Table:
        """The table of an object; LookupError when the org has none."""
        if name not in self.tables:
            raise LookupError(f"This org has no object {name!r}; it has {', '.join(self.tables)}.")
        return self.tables[name]

    def kind_of(self, ident: str) -> str | None:
        """The object that an id belongs to, by its prefix."""
        return next((name for name, shape in self.shapes.items() if ident.startswith(shape.prefix)), None)

    def find(self, name: str, ident: str, transaction: Transaction | None = None) -> Row | None:
        """A row, deleted or not, as that transaction (or everybody) sees it."""
        if transaction is not None and (name, ident) in transaction.pending:
            return transaction.pending[name, ident]
        return self.tables[name].rows.get(ident)

    def by_id(self, ident: str, transaction: Transaction | None = None) -> Row | None:
        """A row of whatever object."""
        kind = self.kind_of(ident)
        return None if kind is None else self.find(kind, ident, transaction)

    def store(self, name: str, row: Row, transaction: Transaction | None = None) -> None:
        """Put a row in place, now or at the commit."""
        ident = row["Id"]
        if transaction is not None:
            transaction.pending[name, ident] = row
            return
        old = self.tables[name].put(ident, row)
        if self._undo is not None:
            self._undo.append((self.tables[name], ident, old))

    def lock_holder(self, name: str, ident: str, transaction: Transaction | None) -> Transaction | None:
        """Another open transaction that has written this row."""
        return next(
            (
                open_
                for open_ in self.transactions.values()
                if open_ is not transaction and (name, ident) in open_.pending
            ),
            None,
        )

    @contextmanager
    def undoing(self) -> Iterator[list[tuple[Table, str, Row | None]]]:
        """Remember what is written inside the block, for `undo`; blocks may be nested."""
        outer, self._undo = self._undo, []
        try:
            yield self._undo
        finally:
            if outer is not None:
                outer.extend(self._undo)
            self._undo = outer

    def undo(self, written: list[tuple[Table, str, Row | None]]) -> None:
        """Take back what `undoing` remembered."""
        while written:
            table, ident, old = written.pop()
            table.put(ident, old)

    def begin(self, name: str | None) -> Transaction:
        """Open a transaction; ValueError when the name is taken."""
        name = name or f"t{len(self.transactions) + 1}"
        if name in self.transactions:
            raise ValueError(f"A transaction {name!r} is open already. Commit it, or take another name.")
        self.transactions[name] = Transaction(name, self.clock.now())
        return self.transactions[name]

    def transaction(self, name: str | None) -> Transaction | None:
        """The open transaction of that name; LookupError when there is none."""
        if name is None:
            return None
        if name not in self.transactions:
            raise LookupError(f"No transaction {name!r} is open.")
        return self.transactions[name]

    def commit(self, name: str) -> int:
        """Show a transaction's rows to everybody, with the stamps that they have; returns how many."""
        done = self.transaction(name)
        assert done is not None  # noqa: S101  a name was given
        del self.transactions[name]
        for (kind, _), row in done.pending.items():
            self.store(kind, row)
        return len(done.pending)

    def covered_until(self, end: datetime) -> datetime:
        """Up to when every change is visible: held back by the oldest open transaction (crm.md A9)."""
        return min([end, self.clock.now(), *(each.started for each in self.transactions.values())])

    def visible(self, name: str, known: str) -> bool:
        """Whether the integration user may see a field."""
        return known in self.shapes[name].fields and (name, known) not in self.hidden

    def add_field(self, name: str, known: Field) -> None:
        """Give an object a new field."""
        self.shapes[name].fields[known.name] = known
        if known.indexed:
            self.tables[name].index(known)

    def drop_field(self, name: str, field: str) -> None:
        """Take a field away, with its values."""
        if field not in self.table(name).shape.fields:
            raise LookupError(f"{name} has no field {field!r}.")
        table = self.tables[name]
        table.indexes.pop(field, None)
        del self.shapes[name].fields[field]
        for ident, row in table.rows.items():
            table.rows[ident] = {key: value for key, value in row.items() if key != field}

    def field_id(self) -> str:
        """A fresh id of a CustomField."""
        self._serials["CustomField"] = self._serials.get("CustomField", 0) + 1
        return ids.make("00N", self._serials["CustomField"])

    def editable(self, name: str, known: str) -> bool:
        """Whether the integration user's profile lets it edit a field."""
        return (name, known) not in self.locked
