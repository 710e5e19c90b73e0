"""Companies as dossiers need them: the picture of each, and which may be that of somebody without one in the CRM.

Both are read for a whole batch at once. A state without companies asks one question, and is done.
"""

from collections.abc import Collection, Sequence

from msgspec.structs import replace
from sqlite_utils.utils import sqlite3

from syncagent.model import Account, AccountView, Candidate, CrmRecord, Dossier, Share
from syncagent.model.company import clean_name, name_key, same_words, website_domain
from syncagent.state import clues
from syncagent.state.codec import decode_account, decode_names

_TITLES = 500


def with_accounts(db: sqlite3.Connection, dossiers: list[Dossier]) -> list[Dossier]:
    """The dossiers with a picture of their companies, or of those that might be theirs."""
    ids = {one.person: id_ for one in dossiers if one.records and (id_ := account_of(one.records))}
    shares: dict[int, dict[str, tuple[Share, ...]]] = {}
    if db.execute("select 1 from company_key limit 1").fetchone() is not None:
        free = {
            one.person: (one.leads, one.records)
            for one in dossiers
            if one.person not in ids and not one.erased and (one.leads or one.records)
        }
        shares = clues.shares(db, free) if free else {}
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


def find(db: sqlite3.Connection, who: str) -> tuple[AccountView, ...]:
    """Companies by id, by a domain that names them, or by their name without its legal form."""
    who = who.strip()
    named = "select id from company_key where key = ?"
    domain, words = website_domain(who), same_words(clean_name(who))
    sure = {who, *(row[0] for row in db.execute(named, (f"d:{domain}",)))}
    found = candidates(db, {*sure, *(row[0] for row in db.execute(named, (name_key(who),)))})
    views = [found[ident].view for ident in sorted(found)]
    return tuple(one for one in views if one.id in sure or same_words(clean_name(one.name)) == words)


def after(db: sqlite3.Connection, last: str, limit: int) -> tuple[AccountView, ...]:
    """The next companies behind `last`, in the order of their ids."""
    ids: list[str] = []
    for (ident,) in db.execute("select id from company where id > ? order by id limit ?", (last, limit)):
        ids.append(ident)
    found = candidates(db, ids) if ids else {}
    return tuple(found[ident].view for ident in ids if ident in found)
