"""Deals in rows: what the CRM says of each, in hundredths of its currency, with or without people."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlite_utils.utils import sqlite3

from syncagent.model import Identity, Opportunity
from syncagent.state.codec import decode_said, maybe_moment, ms

_NEAR = timedelta(days=1)
_PUT = (
    "insert or replace into deal (ext, account, owner, open, created, modified, system, object, stage, amount,"
    " currency, closed, won, closed_on, closed_at, deleted) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def tell(db: sqlite3.Connection, deal: Opportunity) -> set[str]:
    """Put a deal in its place, with or without people; the companies whose picture is another now."""
    row = db.execute(
        "select account, owner, open, modified, closed_on, closed_at from deal where ext = ?", (deal.identity.id,)
    ).fetchone()
    if row is not None and row[3] > ms(deal.modified_at):
        return set()
    known = row is not None and row[4] == deal.closed_on
    put(db, deal, maybe_moment(row[5]) if known else None)
    new = (deal.account, deal.owner, _is_open(deal))
    before = tuple(row[:3]) if row is not None else ("", "", 0)
    if before == new or not (before[2] or new[2]):
        return set()
    return {ident for ident, live in ((before[0], before[2]), (deal.account, new[2])) if live}


def put(db: sqlite3.Connection, deal: Opportunity, closed_at: datetime | None = None) -> None:
    """Its row; `closed_at`: when it was seen to close, if that is known."""
    closed = deal.closed or deal.won
    at = (closed_at or _closing(deal)) if closed else None
    db.execute(
        _PUT,
        (
            deal.identity.id,
            deal.account,
            deal.owner,
            _is_open(deal),
            ms(deal.created_at),
            ms(deal.modified_at),
            deal.identity.system,
            deal.identity.object,
            deal.stage,
            None if deal.amount is None else round(deal.amount * 100),
            deal.currency,
            int(closed),
            int(deal.won),
            deal.closed_on,
            None if at is None else ms(at),
            int(deal.deleted),
        ),
    )


def _is_open(deal: Opportunity) -> int:
    """As companies' pictures count it."""
    return int(not deal.closed and not deal.deleted and bool(deal.account))


def _closing(deal: Opportunity) -> datetime:
    """When it was closed: CRMs keep a date. The change that brought it says more, if it was made on about that date."""
    try:
        day = datetime.fromisoformat(deal.closed_on)
    except ValueError:
        return deal.modified_at
    day = day if day.tzinfo else day.replace(tzinfo=UTC)
    if day - _NEAR <= deal.modified_at < day + 2 * _NEAR:
        return deal.modified_at
    return min(day, deal.modified_at)


def end(db: sqlite3.Connection, identity: Identity, at: datetime) -> set[str]:
    """The CRM has deleted it; the company whose picture is another now."""
    sql = "select account, open from deal where (ext, object, system) = (?, ?, ?) and modified <= ? and deleted = 0"
    row = db.execute(sql, (identity.id, identity.object, identity.system, ms(at))).fetchone()
    if row is None:
        return set()
    db.execute("update deal set deleted = 1, open = 0 where ext = ?", (identity.id,))
    return {row[0]} if row[1] else set()


def fill(db: sqlite3.Connection) -> None:
    """Rows for all deals that people's facts hold, in a file of an earlier version."""
    held = db.execute("select body from said where person in (select person from child) order by person")
    newest: dict[str, Opportunity] = {}
    for deal in _told(row[0] for row in held):
        old = newest.get(deal.identity.id)
        if old is None or old.modified_at <= deal.modified_at:
            newest[deal.identity.id] = deal
    for deal in newest.values():
        put(db, deal)


def _told(bodies: Iterable[str]) -> Iterable[Opportunity]:
    for body in bodies:
        yield from decode_said(body).opportunities
