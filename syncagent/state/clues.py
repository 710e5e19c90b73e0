"""What could name the company of somebody whom the CRM counts to none: their keys, worked out once, as they are told.

One row a person, in the order of people, so that writing it costs little; whose keys meet those of a company is found
by SQLite for a whole batch at once. Who has no row, for there were no companies when they were told, is worked out when
they are read.
"""

from collections.abc import Iterable, Mapping, Sequence

from sqlite_utils.utils import sqlite3

from syncagent.model import CrmRecord, Lead, Share
from syncagent.model.company import keys_of
from syncagent.state.codec import text

_MANY = 20
"""A key that more companies share tells none of them apart."""


def put(db: sqlite3.Connection, told: Iterable[tuple[int, Sequence[Lead], Sequence[CrmRecord]]]) -> None:
    """The keys of these people, in the place of those they had; none while there are no companies."""
    if db.execute("select 1 from company_key union all select 1 from clue limit 1").fetchone() is None:
        return
    db.executemany(
        "insert into clue values (?, ?) on conflict (person) do update set keys = excluded.keys"
        " where keys <> excluded.keys",
        [(person, text(_keys(leads, records))) for person, leads, records in told],
    )


def forget(db: sqlite3.Connection, person: int) -> None:
    """This person is somebody else now."""
    db.execute("delete from clue where person = ?", (person,))


def shares(
    db: sqlite3.Connection, told: Mapping[int, tuple[Sequence[Lead], Sequence[CrmRecord]]]
) -> dict[int, dict[str, tuple[Share, ...]]]:
    """Person -> company -> what they have in common; only of those who have something in common with any."""
    within = text(list(told))
    known = {
        row[0]
        for row in db.execute("select person from clue where person in (select value from json_each(?))", (within,))
    }
    keys = [[person, _keys(*told[person])] for person in told if person not in known]
    found: dict[str, list[tuple[int, str, Share]]] = {}
    for sql, asked in ((_KNOWN, within), (_WORKED_OUT, text(keys))):
        if asked != "[]":
            for person, key, ident, of_itself, people in db.execute(sql, (asked,)):
                found.setdefault(key, []).append((person, ident, Share(key, bool(of_itself), people)))
    made: dict[int, dict[str, tuple[Share, ...]]] = {}
    for key in sorted(found):
        for person, ident, share in found[key]:
            theirs = made.setdefault(person, {})
            theirs[ident] = (*theirs.get(ident, ()), share)
    return made


def _sql(asked: str) -> str:
    """SQL for what the people of `asked` (person, key) share with companies, without the keys of many.

    Those are left out before the join: thousands of companies of one name would make thousands of rows a person.
    """
    return (
        "select person, company_key.key, company_key.id, company_key.told, company_key.people"  # noqa: S608
        f" from ({asked}) as asked join company_key on company_key.key = asked.key"
        f" where not exists (select 1 from company_key as other where other.key = asked.key limit 1 offset {_MANY})"
    )


_KNOWN = _sql(
    "select person, one.value as key from clue, json_each(keys) as one where person in (select value from json_each(?))"
)
_WORKED_OUT = _sql(
    "select json_extract(each.value, '$[0]') as person, one.value as key"
    " from json_each(?) as each, json_each(each.value, '$[1]') as one"
)


def _keys(leads: Sequence[Lead], records: Sequence[CrmRecord]) -> list[str]:
    told = [(lead.emails, lead.attributes) for lead in leads]
    told += [(record.emails, record.fields) for record in records]
    found: set[str] = set()
    for emails, known in told:
        found |= keys_of(emails, known.get("website"), known.get("company"), known.get("phone"), known.get("country"))
    return sorted(found)
