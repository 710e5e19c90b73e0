"""Companies as dossiers need them: the picture of each, and which may be that of somebody without one in the CRM.

Both are read for a whole batch at once. A state without companies asks one question, and is done.
"""

import json
from collections.abc import Collection, Iterable, Sequence

from msgspec.structs import replace
from sqlite_utils.utils import sqlite3

from syncagent.model import Account, AccountView, Candidate, CrmRecord, Dossier, Share
from syncagent.model.company import keys_of
from syncagent.state.codec import decode_account, decode_names

_TITLES = 500
_MANY = 20
"""A key that more companies share tells none of them apart."""


def with_accounts(db: sqlite3.Connection, dossiers: list[Dossier]) -> list[Dossier]:
    """The dossiers with a picture of their companies, or of those that might be theirs."""
    ids = {one.person: id_ for one in dossiers if one.records and (id_ := account_of(one.records))}
    # Without accounts of the CRM there is nothing to be matched to.
    keys = _keys(dossiers, ids) if db.execute("select 1 from company_key limit 1").fetchone() is not None else {}
    shares = _shares(db, keys) if keys else {}
    if not ids and not shares:
        return dossiers
    found = candidates(db, {*ids.values(), *(ident for theirs in shares.values() for ident in theirs)})
    made = []
    for one in dossiers:
        if one.person in ids:
            known = found.get(ids[one.person])
            one = replace(one, account=known.view if known is not None else AccountView(ids[one.person]))
        elif one.person in shares:
            may = shares[one.person].items()
            one = replace(one, candidates=tuple(replace(found[i], shares=s) for i, s in sorted(may) if i in found))
        made.append(one)
    return made


def account_of(records: Sequence[CrmRecord]) -> str:
    """The company that the CRM counts a person to."""
    return next((record.account for record in records if record.account and not record.deleted), "")


def candidates(db: sqlite3.Connection, ids: Collection[str]) -> dict[str, Candidate]:
    """The companies by id, without those that the CRM has deleted; what they share with anybody is left open."""
    asked = sorted(ids)
    within = f"in ({','.join('?' * len(asked))})"
    titles = {
        ident: decode_names(told)
        for ident, told in db.execute(
            f"select id, json_group_array(title) from company_title where id {within} group by id",  # noqa: S608
            asked,
        )
    }
    deals: dict[str, list[str]] = {}
    for ident, owner in db.execute(
        f"select account, owner from deal where open = 1 and account {within} order by account, created desc, ext",  # noqa: S608
        asked,
    ):
        deals.setdefault(ident, []).append(owner)
    made: dict[str, Candidate] = {}
    for ident, told, name, owner, people, engaged in db.execute(
        f"select id, told, name, owner, people, engaged from company where id {within}",  # noqa: S608
        asked,
    ):
        account: Account | None = decode_account(told) if told else None
        if account is not None and account.deleted and not people:
            continue
        attributes = dict(account.attributes) if account is not None else {}
        view = AccountView(
            ident,
            owner=str(attributes.pop("owner", None) or owner),
            name=str(attributes.pop("name", None) or name),
            open_deals=len(deals.get(ident, ())),
            engaged=engaged,
            titles=tuple(sorted(titles.get(ident, ()))[:_TITLES]),
            attributes=attributes,
            deal_owner=next(filter(None, deals.get(ident, ())), ""),
        )
        made[ident] = Candidate(view, (), people, account.created_at if account is not None else None)
    return made


def after(db: sqlite3.Connection, last: str, limit: int) -> tuple[AccountView, ...]:
    """The next companies behind `last`, in the order of their ids."""
    ids: list[str] = []
    for (ident,) in db.execute("select id from company where id > ? order by id limit ?", (last, limit)):
        ids.append(ident)
    found = candidates(db, ids) if ids else {}
    return tuple(found[ident].view for ident in ids if ident in found)


def _keys(dossiers: Iterable[Dossier], placed: Collection[int]) -> dict[int, set[str]]:
    """Under which keys a company of theirs would be found, of those who are of none."""
    found: dict[int, set[str]] = {}
    for one in dossiers:
        if one.person in placed or one.erased:
            continue
        told = [each.attributes for each in one.leads]
        told += [each.fields for each in one.records]
        keys = keys_of(
            (*one.emails, *one.shared),
            [known.get("website") for known in told if "website" in known],
            [known.get("company") for known in told if "company" in known],
            [(known.get("phone"), known.get("country")) for known in told if known.get("phone")],
        )
        if keys:
            found[one.person] = keys
    return found


def _shares(db: sqlite3.Connection, keys: dict[int, set[str]]) -> dict[int, dict[str, tuple[Share, ...]]]:
    """Person -> company -> what they have in common."""
    asked = json.dumps(sorted(set().union(*keys.values())))
    found: dict[str, list[tuple[str, Share]]] = {}
    sql = "select key, id, told, people from company_key where key in (select value from json_each(?))"
    for key, ident, told, people in db.execute(sql, (asked,)):
        found.setdefault(key, []).append((ident, Share(key, bool(told), people)))
    shares: dict[int, dict[str, tuple[Share, ...]]] = {}
    if not found:
        return shares
    for person, theirs in keys.items():
        for key in sorted(theirs & found.keys()):
            if len(found[key]) <= _MANY:
                of = shares.setdefault(person, {})
                for ident, share in found[key]:
                    of[ident] = (*of.get(ident, ()), share)
    return shares
