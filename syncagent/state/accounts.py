"""Companies: what the CRM says of them, who is of one, and which deals are open with it. Written as facts come in.

A company's row counts its people as they come, go and begin to do something, so that its picture costs the same for
ten people and for ten thousand. Every function tells whose picture it has changed, for their people to be planned anew.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlite_utils.utils import sqlite3

from syncagent.model import Account, CrmRecord
from syncagent.model.company import keys_of_account, mail_domain
from syncagent.state.activities import any_of
from syncagent.state.codec import Said, decode_account, decode_said, ms, text

_IN = 500
_TITLE = 80


class Member(NamedTuple):
    """Somebody of a company. `matched`: we think so, not the CRM; `domains`: of their mail, with spaces between."""

    person: int
    id: str
    matched: int
    engaged: int
    title: str
    domains: str


class _Named(NamedTuple):
    """What a person's record says of their company, and when."""

    at: int
    owner: str
    name: str


# -- what the CRM says of a company


def tell(db: sqlite3.Connection, account: Account) -> bool | None:
    """Put what the CRM says in its place. True: its picture is another now; None: this is no news."""
    ident = account.identity.id
    row = db.execute("select told, name, owner from company where id = ?", (ident,)).fetchone()
    old = decode_account(row[0]) if row is not None and row[0] else None
    if old is not None and (old.modified_at > account.modified_at or old == account):
        return None
    db.execute(
        "insert into company (id, told) values (?, ?) on conflict (id) do update set told = excluded.told",
        (ident, text(account)),
    )
    _put_keys(db, ident, account, row[1] if row is not None else "")
    return (old.attributes, old.deleted) != (account.attributes, account.deleted) if old is not None else True


def _put_keys(db: sqlite3.Connection, ident: str, account: Account | None, name: str) -> None:
    """The keys that the company tells of itself, in the place of those that it told before."""
    gone = account is not None and account.deleted
    attributes = account.attributes if account is not None else {}
    keys = set() if gone else keys_of_account(attributes if attributes.get("name") else {**attributes, "name": name})
    old = {row[0] for row in db.execute("select key from company_key where id = ? and told = 1", (ident,))}
    db.executemany("update company_key set told = 0 where key = ? and id = ?", [(key, ident) for key in old - keys])
    db.executemany(
        "insert into company_key (key, id, told) values (?, ?, 1) on conflict (key, id) do update set told = 1",
        [(key, ident) for key in sorted(keys - old)],
    )
    db.executemany(
        "delete from company_key where key = ? and id = ? and told = 0 and people = 0",
        [(key, ident) for key in old - keys],
    )


# -- who is of a company


def put(db: sqlite3.Connection, changed: Iterable[tuple[int, Said]]) -> set[str]:
    """What these people's records say of companies, in the place of what they said before."""
    told = dict(changed)
    named: dict[str, _Named] = {}
    new: list[Member] = []
    for person, said in told.items():
        if said.records:
            new += _members(person, said, named)
    changes = _put_names(db, named) if named else set()
    if not new and not has_members(db):
        return changes
    old = _of(db, list(told))
    by_crm = {member.person for member in new}
    for member in old:
        if member.matched and member.person not in by_crm:
            new.append(member._replace(title=_title(told[member.person], "")))
    return changes | _swap(db, old, _with_engaged(db, new))


def forget(db: sqlite3.Connection, person: int) -> set[str]:
    """What this person's records said; they are somebody else's now."""
    return _swap(db, _of(db, [person]), set()) if has_members(db) else set()


def engage(db: sqlite3.Connection, people: Sequence[int]) -> set[str]:
    """Something was told of what these have done: count those who did nothing before."""
    if not people or not has_members(db):
        return set()
    asleep = {member for member in _of(db, people) if not member.engaged}
    return _swap(db, asleep, _with_engaged(db, asleep)) if asleep else set()


def match(db: sqlite3.Connection, matched: Mapping[int, str]) -> set[str]:
    """Whom we count to a company, person -> its id; an empty one: to none."""
    if not any(matched.values()) and db.execute("select 1 from member where matched = 1 limit 1").fetchone() is None:
        return set()
    old = _of(db, list(matched))
    stay = {(member.person, member.id) for member in old if matched[member.person] == member.id}
    gone = {member for member in old if member.matched and (member.person, member.id) not in stay}
    come = [
        Member(person, ident, 1, 0, _title(_said(db, person), ""), "")
        for person, ident in matched.items()
        if ident and (person, ident) not in stay
    ]
    return _swap(db, gone, _with_engaged(db, come)) if gone or come else set()


def has_members(db: sqlite3.Connection) -> bool:
    """Whether anybody is of a company at all."""
    return db.execute("select 1 from member limit 1").fetchone() is not None


def _members(person: int, said: Said, named: dict[str, _Named]) -> list[Member]:
    """Whom the CRM counts them to; `named` takes what their records say of these companies."""
    found: dict[str, Member] = {}
    for record in said.records:
        if record.account and not record.deleted and record.merged_into is None:
            domains = sorted({domain for one in record.emails if (domain := mail_domain(one))})
            title = _title(said, str(record.fields.get("title") or ""))
            found.setdefault(record.account, Member(person, record.account, 0, 0, title, " ".join(domains)))
            says = _named(record)
            if says.owner or says.name:
                named[record.account] = max(named.get(record.account, says), says)
    return list(found.values())


def _named(record: CrmRecord) -> _Named:
    owner, name = (str(record.fields.get(field) or "") for field in ("account_owner", "company"))
    return _Named(ms(record.modified_at), owner, name)


def _title(said: Said, own: str) -> str:
    told = [str(record.fields.get("title") or "") for record in said.records]
    told += [str(lead.attributes.get("title") or "") for lead in sorted(said.leads, key=lambda one: one.seen_at)[::-1]]
    return _cut(own or next(filter(None, told), ""))


def _cut(title: str) -> str:
    return " ".join(title.split())[:_TITLE]


def _put_names(db: sqlite3.Connection, named: Mapping[str, _Named]) -> set[str]:
    """Name and owner as the people's records tell them: the latest counts, the account's own word more."""
    known: dict[str, tuple[_Named, str | None]] = {}
    for some in _parts(sorted(named)):
        sql = f"select id, at, owner, name, told from company where id in ({_marks(some)})"  # noqa: S608
        known.update((ident, (_Named(at, owner, name), told)) for ident, at, owner, name, told in db.execute(sql, some))
    nothing = _Named(-1, "", "")
    changes = set()
    for ident, says in named.items():
        old, told = known.get(ident, (nothing, None))
        if says <= old:
            continue
        db.execute(
            "insert into company (id, at, owner, name) values (?, ?, ?, ?) on conflict (id) do update"
            " set at = excluded.at, owner = excluded.owner, name = excluded.name",
            (ident, *says),
        )
        if says[1:] != old[1:]:
            changes.add(ident)
        if says.name != old.name or not old.at:  # 0: from before there were keys
            _put_keys(db, ident, decode_account(told) if told else None, says.name)
    return changes


def _said(db: sqlite3.Connection, person: int) -> Said:
    row = db.execute("select body from said where person = ?", (person,)).fetchone()
    return Said() if row is None else decode_said(row[0])


def _of(db: sqlite3.Connection, people: Sequence[int]) -> set[Member]:
    found: set[Member] = set()
    for some in _parts(people):
        sql = f"select person, id, matched, engaged, title, domains from member where person in ({_marks(some)})"  # noqa: S608
        found.update(map(Member._make, db.execute(sql, some)))
    return found


def _with_engaged(db: sqlite3.Connection, members: Iterable[Member]) -> set[Member]:
    """These, with whether each has done something."""
    listed = list(members)
    done: set[int] = set()
    for some in _parts(sorted({member.person for member in listed})):
        sql = f"select id from person where id in ({_marks(some)}) and {any_of('person.id')}"  # noqa: S608
        done.update(row[0] for row in db.execute(sql, some))
    return {member._replace(engaged=int(member.person in done)) for member in listed}


def _swap(db: sqlite3.Connection, old: set[Member], new: set[Member]) -> set[str]:
    """Put new rows in the place of old ones, and count what that changes."""
    gone, come = old - new, new - old
    if not gone and not come:
        return set()
    db.executemany("delete from member where person = ? and id = ?", [(one.person, one.id) for one in gone])
    db.executemany("insert into member values (?, ?, ?, ?, ?, ?)", sorted(come))
    people, engaged = Counter[str](), Counter[str]()
    titles, keys = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for sign, rows in ((-1, gone), (1, come)):
        for one in rows:
            people[one.id] += sign * (not one.matched)
            engaged[one.id] += sign * one.engaged
            if one.engaged and one.title:
                titles[one.id, one.title] += sign
            if not one.matched:
                keys.update({(f"d:{domain}", one.id): sign for domain in one.domains.split()})
    db.executemany(
        "insert into company (id, people, engaged) values (?, ?, ?) on conflict (id) do update"
        " set people = people + excluded.people, engaged = engaged + excluded.engaged",
        [(ident, people[ident], engaged[ident]) for ident in sorted(people)],
    )
    _count(db, "company_title", ("id", "title"), titles, "")
    _count(db, "company_key", ("key", "id"), keys, " and told = 0")
    return {ident for ident, count in engaged.items() if count} | {ident for (ident, _), n in titles.items() if n}


def _count(
    db: sqlite3.Connection, table: str, names: tuple[str, str], counts: Counter[tuple[str, str]], unless: str
) -> None:
    one, other = names
    rows = [(*key, count) for key, count in sorted(counts.items()) if count]
    db.executemany(
        f"insert into {table} ({one}, {other}, people) values (?, ?, ?)"  # noqa: S608
        f" on conflict ({one}, {other}) do update set people = people + excluded.people",
        rows,
    )
    db.executemany(
        f"delete from {table} where {one} = ? and {other} = ? and people = 0{unless}",  # noqa: S608
        [row[:2] for row in rows if row[2] < 0],
    )


def _parts(values: Sequence[object]) -> Iterable[tuple[object, ...]]:
    return (tuple(values[start : start + _IN]) for start in range(0, len(values), _IN))


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
