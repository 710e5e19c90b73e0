"""Facts in: whose they are, what of them is new, and who is dirty for it. Runs inside the writer's transaction.

Order inside a page: what joins people first (leads, records), then what hangs on records, then endings, then
activities, so that the order in which a source tells things changes nothing. Field changes that are told come before
records, so that a record's difference is not taken for an untold change.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from msgspec.structs import replace
from sqlite_utils.utils import sqlite3

from syncagent.model import (
    Account,
    Activity,
    CrmRecord,
    CrmTask,
    CrmUser,
    Deleted,
    Fact,
    FieldChange,
    Hint,
    Identity,
    Lane,
    Lead,
    Merged,
    Opportunity,
    Page,
)
from syncagent.model.address import Addresses
from syncagent.state import accounts, activities, deals
from syncagent.state.codec import Gone, Said, decode_gone, maybe_ms, ms, text
from syncagent.state.forgetting import addresses_of, bare_task, forget
from syncagent.state.people import People
from syncagent.state.remembering import newest, remember
from syncagent.state.store import Accepted

SEEN = "seen:"
"""Begins the key of a change that nobody told: two reads of the record differed."""


class Sorted:
    """A page's facts by kind, prepared in the caller's thread: the writer's time is everybody's."""

    def __init__(self, facts: Iterable[Fact], addresses: Addresses) -> None:
        self.activities: dict[Identity, list[activities.Row]] = {}
        self.users: list[CrmUser] = []
        self.leads: list[tuple[Lead, tuple[str, ...]]] = []  # with the names under which their addresses join
        self.accounts: list[Account] = []
        self.changes: list[FieldChange] = []
        self.records: list[tuple[CrmRecord, tuple[str, ...]]] = []
        self.tasks: list[CrmTask] = []
        self.opportunities: list[Opportunity] = []
        self.endings: list[Merged | Deleted] = []
        self.hints: list[Hint] = []
        for fact in facts:
            match fact:
                case Activity():
                    self.activities.setdefault(fact.identity, []).append(activities.row_of(fact))
                case Lead():
                    self.leads.append((fact, addresses.keys(fact.emails, fact.attributes, fact.identity)))
                case CrmRecord():
                    self.records.append((fact, addresses.keys(fact.emails, fact.fields, fact.identity)))
                case Account():
                    self.accounts.append(fact)
                case FieldChange():
                    self.changes.append(fact)
                case CrmTask():
                    self.tasks.append(fact)
                case Opportunity():
                    self.opportunities.append(fact)
                case CrmUser():
                    self.users.append(fact)
                case Merged() | Deleted():
                    self.endings.append(fact)
                case Hint():
                    self.hints.append(fact)
        self.records.sort(key=lambda told: told[0].modified_at)

    def identities(self) -> set[Identity]:
        """Everybody who is named, for one look-up."""
        named = set(self.activities)
        for lead, _ in self.leads:
            named.update((lead.identity, *lead.also))
        for record, _ in self.records:
            named.update(i for i in (record.identity, record.converted_to, record.merged_into) if i is not None)
        named.update(change.record for change in self.changes)
        named.update(task.record for task in self.tasks)
        for deal in self.opportunities:
            named.update(deal.people)
        for ending in self.endings:
            named.update((ending.winner, *ending.losers) if isinstance(ending, Merged) else (ending.identity,))
        named.update(hint.identity for hint in self.hints)
        return named

    def emails(self) -> set[str]:
        """Every name under which an address joins."""
        return {key for _, keys in (*self.leads, *self.records) for key in keys}

    def own(self) -> list[Identity]:
        """The facts' own identities, which may have been deleted or merged away before."""
        own = [lead.identity for lead, _ in self.leads] + [record.identity for record, _ in self.records]
        return own + [task.identity for task in self.tasks] + [deal.identity for deal in self.opportunities]


def accept(
    connection: sqlite3.Connection, page: Page, facts: Sorted, stream: str, now: datetime, lane: Lane
) -> Accepted:
    """The whole of `Store.accept`, inside a transaction."""
    taking = _Taking(connection, facts, now, lane)
    new = taking.take(facts)
    if page.seen_until is not None and stream.startswith("crm/") and not stream.startswith("crm/backfill"):
        (seen,) = connection.execute("select max(seen_until) from stream where name = ?", (stream,)).fetchone()
        if seen is None or seen < ms(page.seen_until):
            taking.people.wake_waiting("crm")  # law 12: what was due waited for this
    if stream and (page.cursor or page.seen_until is not None):
        connection.execute(
            "insert into stream (name, cursor, seen_until, accepted_at) values (?, ?, ?, ?)"
            " on conflict (name) do update set cursor = coalesce(excluded.cursor, cursor),"
            " accepted_at = excluded.accepted_at,"
            " seen_until = max(coalesce(excluded.seen_until, seen_until), coalesce(seen_until, excluded.seen_until))",
            (stream, page.cursor or None, maybe_ms(page.seen_until), ms(now)),
        )
    return Accepted(new, taking.people.finish())


class _Taking:
    """One page on its way in."""

    def __init__(self, connection: sqlite3.Connection, facts: Sorted, now: datetime, lane: Lane) -> None:
        self._db = connection
        self._now = ms(now)
        self.people = People(connection, self._now, lane)
        self.people.load(facts.identities(), facts.emails())
        self._gone = _load_gone(connection, facts.own())

    def take(self, facts: Sorted) -> int:
        """Store every fact; how many were new."""
        new = 0
        for user in facts.users:
            new += self._user(user)
        for account in facts.accounts:
            new += self._account(account)
        for change in facts.changes:
            new += self._change(change)
        for lead in facts.leads:
            new += self._lead(*lead)
        for record in facts.records:
            new += self._record(*record)
        for task in facts.tasks:
            new += self._task(task)
        for deal in facts.opportunities:
            new += self._deal(deal)
        for ending in facts.endings:
            new += self._merged(ending) if isinstance(ending, Merged) else self._deleted(ending)
        for hint in facts.hints:
            self._hint(hint.identity)
        return new + self._activities(facts.activities)

    def _user(self, user: CrmUser) -> bool:
        row = (user.name, int(user.active), int(user.queue), maybe_ms(user.away_from), maybe_ms(user.away_until))
        key = (user.identity.system, user.identity.id)
        stored = self._db.execute(
            "select name, active, queue, away_from, away_until from crm_user where system = ? and id = ?", key
        ).fetchone()
        if stored == row:
            return False
        self._db.execute("insert or replace into crm_user values (?, ?, ?, ?, ?, ?, ?)", (*key, *row))
        if stored is not None and (stored[1], *stored[3:]) != (row[1], *row[3:]):
            self.people.wake_waiting("roster:")
            self.people.wake_with(user.identity.id)
        return True

    def _account(self, account: Account) -> bool:
        changed = accounts.tell(self._db, account)
        if changed:
            self.people.companies.add(account.identity.id)
        return changed is not None

    def _lead(self, lead: Lead, keys: Sequence[str]) -> bool:
        if self.people.any_erased and any(map(self._is_erased, (lead.identity, *lead.also))):
            return False
        person = self.people.join((lead.identity, *lead.also), keys, known=lead.identity)
        gone = self._gone.get(lead.identity)
        if gone is not None and (gone.winner is not None or lead.seen_at <= gone.at):
            return False
        said = self.people.said(person)
        old = next((each for each in said.leads if each.identity == lead.identity), None)
        before = said.histories
        if old is not None:
            stored, told = (old.attributes, old.seen_at), (lead.attributes, lead.seen_at)
            said.histories = remember(before, lead.identity, stored, told)
        if old is not None and lead.seen_at < old.seen_at:
            values = newest(said.histories, lead.identity, {**lead.attributes, **old.attributes})
            lead = replace(old, attributes=values)
        elif old is not None:
            lead = replace(lead, attributes={**old.attributes, **lead.attributes})
        if lead == old and said.histories == before:
            return False
        said.leads = (*(each for each in said.leads if each is not old), lead)
        self.people.changed(person)
        return True

    def _is_erased(self, identity: Identity) -> bool:
        known = self.people.known(identity) if self.people.any_erased else None
        return known is not None and self.people.is_erased(known)

    def _record(self, record: CrmRecord, keys: Sequence[str]) -> bool:
        if self._is_erased(record.identity):
            return False
        gone = self._gone.get(record.identity)
        if gone is not None and gone.winner is not None and record.merged_into is None:
            record = replace(record, merged_into=gone.winner)
        elif gone is not None and record.modified_at <= gone.at:
            record = replace(record, deleted=True)
        others = tuple(i for i in (record.converted_to, record.merged_into) if i is not None)
        person = self.people.join((record.identity, *others), keys, known=record.identity)
        changed = put_record(self.people.said(person), record)
        if changed:
            self.people.changed(person)
        return changed

    def _change(self, change: FieldChange) -> bool:
        if self._is_erased(change.record):
            return False
        person = self.people.join((change.record,))
        said = self.people.said(person)
        if any(each.key == change.key and each.record == change.record for each in said.changes):
            return False
        said.changes = (*(each for each in said.changes if not _is_told_by(each, change)), change)
        self.people.changed(person)
        return True

    def _task(self, task: CrmTask) -> bool:
        gone = self._gone.get(task.identity)
        if gone is not None and task.modified_at <= gone.at:
            task = replace(task, deleted=True)
        if self._is_erased(task.record):
            task = bare_task(task)
        holders = self.people.holders(task.identity)
        for holder in holders:
            old = next((t for t in self.people.said(holder).tasks if t.identity == task.identity), None)
            if old is not None and (task.modified_at < old.modified_at or task == old):
                return False
        # A task that names no record is told of one that it hung on before: there it stays.
        concerned = {self.people.join((task.record,))} if task.record.id else holders
        for holder in holders - concerned:
            self._let_go(holder, task.identity)
        for person in concerned:
            said = self.people.said(person)
            said.tasks = (*(t for t in said.tasks if t.identity != task.identity), task)
            self.people.hold(task.identity, person)
            self.people.changed(person)
        return bool(concerned)

    def _deal(self, deal: Opportunity) -> bool:
        gone = self._gone.get(deal.identity)
        if gone is not None and deal.modified_at <= gone.at:
            deal = replace(deal, deleted=True)
        companies = deals.tell(self._db, deal)
        self.people.companies |= companies
        holders = self.people.holders(deal.identity)
        for holder in holders:
            old = next((d for d in self.people.said(holder).opportunities if d.identity == deal.identity), None)
            if old is not None and (deal.modified_at < old.modified_at or deal == old):
                return False
        # A deal told without its people was read without them: they stay who they were.
        concerned = {self.people.join((identity,)) for identity in deal.people if identity.id} or holders
        for holder in holders - concerned:
            self._let_go(holder, deal.identity)
        for person in concerned:
            said = self.people.said(person)
            said.opportunities = (*(d for d in said.opportunities if d.identity != deal.identity), deal)
            self.people.hold(deal.identity, person)
            self.people.changed(person)
        return bool(concerned or companies)

    def _let_go(self, person: int, child: Identity) -> None:
        said = self.people.said(person)
        said.tasks = tuple(t for t in said.tasks if t.identity != child)
        said.opportunities = tuple(d for d in said.opportunities if d.identity != child)
        self.people.let_go(child, person)
        self.people.changed(person)

    def _merged(self, merged: Merged) -> bool:
        new = False
        self.people.may_join_again((merged.winner, *merged.losers), ms(merged.at))
        person = self.people.join((merged.winner, *merged.losers))
        said = self.people.said(person)
        for loser in merged.losers:
            new |= self._save_gone(loser, Gone(merged.at, merged.winner))
            leads = tuple(lead for lead in said.leads if lead.identity != loser)
            records = tuple(replace(r, merged_into=merged.winner) if r.identity == loser else r for r in said.records)
            if (leads, records) != (said.leads, said.records):
                said.leads, said.records, new = leads, records, True
        self.people.unwanted(merged.losers)
        if new:
            self.people.changed(person)
        return new

    def _deleted(self, deleted: Deleted) -> bool:
        identity, at = deleted.identity, deleted.at
        new = self._save_gone(identity, Gone(at))
        self._db.execute(
            "update crm_user set active = 0 where system = ? and id = ? and ? in ('User', 'Group', 'user', 'queue')",
            (identity.system, identity.id, identity.object),
        )
        self.people.companies |= deals.end(self._db, identity, at)
        holders = self.people.holders(identity)
        known = self.people.known(identity)
        told: set[str] = set()
        if known is not None:
            told = addresses_of(self.people.said(known), identity)  # before any of it goes
            holders = holders | {known}
            self.people.unwanted((identity,))
        for person in holders:
            said = self.people.said(person)
            before = (said.leads, said.records, said.tasks, said.opportunities)
            said.leads = tuple(x for x in said.leads if x.identity != identity or x.seen_at > at)
            said.records = _with_deleted(said.records, identity, at)
            said.tasks = _with_deleted(said.tasks, identity, at)
            said.opportunities = _with_deleted(said.opportunities, identity, at)
            if before != (said.leads, said.records, said.tasks, said.opportunities):
                self.people.changed(person)
        if known is not None and deleted.privacy:
            forget(self._db, self.people, known, identity, told, self._now, new=new)
        return new

    def _save_gone(self, identity: Identity, gone: Gone) -> bool:
        key = (identity.id, identity.object, identity.system)
        row = self._db.execute("select body from gone where ext = ? and object = ? and system = ?", key).fetchone()
        if row is not None:
            stored = decode_gone(row[0])
            if stored.at > gone.at or stored == gone:
                return False
            gone.winner = gone.winner or stored.winner
        self._db.execute("insert or replace into gone values (?, ?, ?, ?)", (*key, text(gone)))
        return True

    def _hint(self, identity: Identity) -> None:
        stamp = max(self._now, 2)
        key = (identity.id, identity.object, identity.system)
        if self.people.known(identity) is not None:
            sql = "update identity set wanted = max(?, wanted + 1) where ext = ? and object = ? and system = ?"
            self._db.execute(sql, (stamp, *key))
        else:
            self._db.execute(
                "insert into hinted values (?, ?, ?, ?) on conflict do update"
                " set wanted = max(excluded.wanted, wanted + 1)",
                (*key, stamp),
            )

    def _activities(self, told: Mapping[Identity, Sequence[activities.Row]]) -> int:
        if not told:
            return 0
        people = self.people
        rows: list[activities.Row] = []
        for identity, theirs in told.items():
            known = people.known(identity)
            person = people.join((identity,)) if known is None else known
            if not (people.any_erased and people.is_erased(person)):
                base = person << activities.SHIFT
                rows += [(base | slot, body) for slot, body in theirs]
        rows.sort()
        whose = activities.put(self._db, rows)
        people.changed_all(whose)
        return len(whose)


def put_record(said: Said, record: CrmRecord) -> bool:
    """Put what the CRM says of one record in its place; whether that is news.

    What is older changes nothing but fields that were never read. A watched field that differs, with no change told
    for it, leaves one by `modified_by`: somebody answered, and only the read shows it.
    """
    old = next((each for each in said.records if each.identity == record.identity), None)
    before = said.histories
    if old is not None:
        stored, told = (old.fields, old.modified_at), (record.fields, record.modified_at)
        said.histories = remember(before, record.identity, stored, told)
    if old is not None and record.modified_at < old.modified_at:
        record = replace(old, fields=newest(said.histories, record.identity, {**record.fields, **old.fields}))
    elif old is not None:
        changes = _untold(said, old, record)
        if changes:
            said.changes = (*said.changes, *changes)
        record = replace(record, fields={**old.fields, **record.fields})
    if record == old and said.histories == before:
        return False
    said.records = (*(each for each in said.records if each is not old), record)
    return True


def _untold(said: Said, old: CrmRecord, new: CrmRecord) -> list[FieldChange]:
    changes = []
    for field, value in new.fields.items():
        if not (field in ("status", "owner") or field.startswith("recycle_")) or field not in old.fields:
            continue
        if value == old.fields[field]:
            continue
        told = any(
            each.record == new.identity and each.field == field and each.new == value and each.at >= old.modified_at
            for each in said.changes
        )
        if not told:
            key = f"{SEEN}{new.identity.id}:{field}:{ms(new.modified_at)}"
            changes.append(
                FieldChange(new.identity, key, field, old.fields[field], value, new.modified_by, new.modified_at)
            )
    return changes


def _is_told_by(seen: FieldChange, told: FieldChange) -> bool:
    """Whether `told` is the vendor's own word on what we had only seen as a difference."""
    return (
        seen.key.startswith(SEEN)
        and not told.key.startswith(SEEN)
        and (seen.record, seen.field, seen.new) == (told.record, told.field, told.new)
        and told.at <= seen.at
    )


Stamped = TypeVar("Stamped", CrmRecord, CrmTask, Opportunity)


def _with_deleted(facts: tuple[Stamped, ...], identity: Identity, at: datetime) -> tuple[Stamped, ...]:
    return tuple(replace(f, deleted=True) if f.identity == identity and f.modified_at <= at else f for f in facts)


def _load_gone(connection: sqlite3.Connection, identities: Sequence[Identity]) -> dict[Identity, Gone]:
    found: dict[Identity, Gone] = {}
    if not identities or connection.execute("select 1 from gone limit 1").fetchone() is None:
        return found
    sql = "select body from gone where ext = ? and object = ? and system = ?"
    for identity in identities:
        row = connection.execute(sql, (identity.id, identity.object, identity.system)).fetchone()
        if row is not None:
            found[identity] = decode_gone(row[0])
    return found
