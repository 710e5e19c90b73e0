"""Companies, as far as people's CRM records tell of them: who is of one, and which deals are open with it."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace
from sqlite_utils.utils import sqlite3

from syncagent.model import AccountView, CrmRecord, Dossier
from syncagent.state.activities import any_of
from syncagent.state.codec import Said

Row = tuple[str, str, str, int, str, str]


def put(db: sqlite3.Connection, changed: Iterable[tuple[int, Said]]) -> None:
    """What these people's records and deals say of companies, in the place of what they said before."""
    rows: list[Row] = []
    told: list[tuple[int]] = []
    for person, said in changed:
        if said.records or said.opportunities:
            told.append((person,))
            rows += _rows(person, said)
    if rows or (told and db.execute("select 1 from account limit 1").fetchone() is not None):
        db.executemany("delete from account where person = ?", told)
        db.executemany("insert or replace into account values (?, ?, ?, ?, ?, ?)", rows)


def forget(db: sqlite3.Connection, person: int) -> None:
    """What this person's records said; they are somebody else's now."""
    db.execute("delete from account where person = ?", (person,))


def with_accounts(db: sqlite3.Connection, dossiers: list[Dossier]) -> list[Dossier]:
    """The dossiers with a picture of their companies, in two queries for all of them."""
    ids = {one.person: id_ for one in dossiers if one.records and (id_ := account_of(one.records))}
    if not ids:
        return dossiers
    views = _views(db, sorted(set(ids.values())))
    return [replace(one, account=views.get(ids.get(one.person, ""))) if one.person in ids else one for one in dossiers]


def account_of(records: Sequence[CrmRecord]) -> str:
    """The company that the CRM counts a person to."""
    return next((record.account for record in records if record.account and not record.deleted), "")


def _rows(person: int, said: Said) -> list[Row]:
    rows = []
    for record in said.records:
        if record.account and not record.deleted and record.merged_into is None:
            name, owner = (str(record.fields.get(field) or "") for field in ("company", "account_owner"))
            rows.append((record.account, "person", str(person), person, name, owner))
    opened = [deal for deal in said.opportunities if deal.account and not deal.closed and not deal.deleted]
    return rows + [(deal.account, "deal", deal.identity.id, person, "", "") for deal in opened]


def _views(db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, AccountView]:
    within = f"id in ({','.join('?' * len(ids))})"
    views = {one: AccountView(one) for one in ids}
    for one, kind, count, name, owner in db.execute(
        f"select id, kind, count(distinct ext), max(name), max(owner) from account where {within} group by id, kind",  # noqa: S608
        ids,
    ):
        if kind == "deal":
            views[one] = replace(views[one], open_deals=count)
        else:
            views[one] = replace(views[one], name=name, owner=owner)
    for one, engaged in db.execute(
        f"select id, count(*) from account where {within} and kind = 'person'"  # noqa: S608
        f" and {any_of('account.person')} group by id",
        ids,
    ):
        views[one] = replace(views[one], engaged=engaged)
    return views
