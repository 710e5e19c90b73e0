"""Who is who: identities and emails join facts to people; people that turn out to be one are merged.

The older id stays, for it stands in the keys of handoffs. The loser's row stays as a tombstone with a newer revision,
so that a plan made from it can no longer be settled. One `People` serves one transaction.
"""

from collections.abc import Iterable, Sequence

from sqlite_utils.utils import sqlite3

from syncagent.model import Identity, Lane
from syncagent.model.address import own_key
from syncagent.state import accounts, activities, clues, crowds, figures, results, waking
from syncagent.state.codec import Said, decode_decision, decode_decisions, decode_ids, decode_said, text

_IN = 500


def marks(count: int) -> str:
    """So many placeholders for an IN list."""
    return ",".join("?" * count)


class People:
    """The people whom one transaction touches: looked up in bulk, written back by `finish`."""

    def __init__(self, connection: sqlite3.Connection, now: int, lane: Lane) -> None:
        self._db = connection
        self._now = now
        self._lane = int(lane)
        self._person: dict[Identity, int] = {}
        self._email: dict[str, int] = {}
        self._into: dict[int, int] = {}
        self._said: dict[int, Said] = {}
        self._touched: set[int] = set()
        self._changed: set[int] = set()
        self._fresh: set[int] = set()
        self._holders: dict[Identity, set[int]] = {}
        self.companies: set[str] = set()  # whose picture is another now
        self._apart = _load_apart(connection)
        self.any_erased = connection.execute("select 1 from person where erased = 1 limit 1").fetchone() is not None

    def load(self, identities: Iterable[Identity], keys: Iterable[str]) -> None:
        """Look these up in a few queries."""
        by_kind: dict[tuple[str, str], dict[str, Identity]] = {}
        for identity in identities:
            by_kind.setdefault((identity.system, identity.object), {})[identity.id] = identity
        for (system, kind), named in by_kind.items():
            ids = list(named)
            for start in range(0, len(ids), _IN):
                some = ids[start : start + _IN]
                # One row for all of them: each row costs a turn at the interpreter's lock.
                sql = (
                    f"select json_group_object(ext, person) from identity where ext in ({marks(len(some))})"  # noqa: S608
                    " and object = ? and system = ?"
                )
                found = decode_ids(self._db.execute(sql, (*some, kind, system)).fetchone()[0])
                self._person.update((named[ext], person) for ext, person in found.items())
        wished = list(keys)
        for start in range(0, len(wished), _IN):
            some = wished[start : start + _IN]
            sql = f"select address, person from email where address in ({marks(len(some))})"  # noqa: S608
            self._email.update(self._db.execute(sql, some))

    def known(self, identity: Identity) -> int | None:
        """The person with this identity, if it was loaded and there is one."""
        person = self._person.get(identity)
        return self._root(person) if self._into and person is not None else person

    def join(
        self,
        identities: Sequence[Identity],
        keys: Sequence[str] = (),
        *,
        known: Identity | None = None,
        person: int | None = None,
    ) -> int:
        """The one person with all of these (and `person`), made or merged as needed; `keys` come from `Addresses`.

        An identity that is new is wanted (to be looked up), unless it is `known`: this very fact tells it.
        """
        identities = [identity for identity in identities if identity.id]
        found = [] if person is None else [person]
        found += [self._person[i] for i in identities if i in self._person]
        found += sorted(self._email[key] for key in keys if key in self._email)
        roots = sorted(self._agreeing(found) if self._apart else {self._root(each) for each in found})
        person = roots[0] if roots else self._create()
        for loser in roots[1:]:
            self._merge(person, loser)
        for identity in identities:
            if identity not in self._person:
                self._person[identity] = person
                self._db.execute(
                    "insert into identity (ext, object, system, person, wanted) values (?, ?, ?, ?, ?)",
                    (identity.id, identity.object, identity.system, person, int(identity != known)),
                )
                self.changed(person)
            elif identity == known:
                self.unwanted((identity,))
        for key in keys:
            if key not in self._email:
                self._email[key] = person
                self._db.execute("insert into email values (?, ?)", (key, person))
                self.changed(person)
            elif self._apart and known is not None and " " not in key and self._root(self._email[key]) != person:
                self._db.execute("insert or ignore into email values (?, ?)", (own_key(key, known), person))
        return person

    def _agreeing(self, found: Iterable[int]) -> set[int]:
        """Of the people who seem to be one those whom no admin has split: what is told first is believed first."""
        agreed: set[int] = set()
        for person in map(self._root, found):
            if not self._apart.get(person, {}).keys() & agreed:
                agreed.add(person)
        return agreed

    def keep_apart(self, one: int, other: int, at: int) -> None:
        """No address and no id that is told again joins these two, nor whom `one` was kept apart from before."""
        kept = {**self._apart.get(one, {}), one: at}
        rows = [row for each, since in kept.items() for row in ((other, each, since), (each, other, since))]
        self._db.executemany("insert or replace into apart values (?, ?, ?)", rows)
        self._apart = _load_apart(self._db)

    def may_join_again(self, identities: Sequence[Identity], at: int) -> None:
        """A system has made one record of these at `at`: later than a split, that ends it."""
        people = {self._root(self._person[i]) for i in identities if i in self._person} if self._apart else set()
        for one in people:
            for other, since in self._apart.get(one, {}).items():
                if other in people and at > since:
                    self._db.execute("delete from apart where person = ? and other = ?", (one, other))
        if people:
            self._apart = _load_apart(self._db)

    def unwanted(self, identities: Iterable[Identity]) -> None:
        """These are known, or gone, now; a hint about them still asks for a look."""
        self._db.executemany(
            "update identity set wanted = 0 where ext = ? and object = ? and system = ? and wanted = 1",
            [(identity.id, identity.object, identity.system) for identity in identities],
        )

    def said(self, person: int) -> Said:
        """What the systems say of them, to be changed in place; written by `finish` if `changed` was called."""
        said = self._said.get(person)
        if said is None:
            row = self._db.execute("select body from said where person = ?", (person,)).fetchone()
            said = self._said[person] = Said() if row is None else decode_said(row[0])
        return said

    def put_said(self, person: int, said: Said) -> None:
        """All that the systems say of them, from now on."""
        self._said[person] = said
        self._fresh.add(person)

    def is_erased(self, person: int) -> bool:
        """Whether they asked to be forgotten."""
        if not self.any_erased:
            return False
        row = self._db.execute("select erased from person where id = ?", (person,)).fetchone()
        return bool(row and row[0])

    def erase(self, person: int) -> set[str]:
        """They are forgotten: no address finds them, and what is told of their ids is not stored; their addresses."""
        rows = self._db.execute("delete from email where person = ? returning address", (person,)).fetchall()
        for (key,) in rows:
            self._email.pop(key, None)
        self._db.execute("update person set erased = 1 where id = ?", (person,))
        figures.forget(self._db, person)
        self.any_erased = True
        return {key.partition(" ")[0] for (key,) in rows if "@" in key}

    def let_go_of(self, addresses: Iterable[str], person: int) -> None:
        """None of these addresses finds them any more."""
        for address in addresses:
            sql = "delete from email where person = ? and (address = ? or address between ? and ?) returning address"
            spelled = (person, address, f"{address} ", f"{address} \U0010ffff")
            for (key,) in self._db.execute(sql, spelled).fetchall():
                self._email.pop(key, None)

    def changed(self, person: int) -> None:
        """Something about them is new: a newer revision, and dirty."""
        self._changed.add(person)

    def changed_all(self, people: Iterable[int]) -> None:
        """The same for many."""
        self._changed.update(people)

    # -- tasks and opportunities, which name themselves and not always their people

    def holders(self, child: Identity) -> set[int]:
        """Who holds a copy of this task or opportunity."""
        if child not in self._holders:
            rows = self._db.execute(
                "select person from child where ext = ? and object = ? and system = ?",
                (child.id, child.object, child.system),
            )
            self._holders[child] = {row[0] for row in rows}
        return {self._root(person) for person in self._holders[child]}

    def hold(self, child: Identity, person: int) -> None:
        """They hold a copy from now on."""
        self._db.execute(
            "insert or ignore into child values (?, ?, ?, ?)", (child.id, child.object, child.system, person)
        )
        self._holders.pop(child, None)

    def let_go(self, child: Identity, person: int) -> None:
        """They hold none any more."""
        self._db.execute(
            "delete from child where ext = ? and object = ? and system = ? and person = ?",
            (child.id, child.object, child.system, person),
        )
        self._holders.pop(child, None)

    # -- who waits for what

    def wake_waiting(self, what: str) -> None:
        """Whoever waits on this is dirty; "roster:" names every pool."""
        last = what + "\U0010ffff" if what.endswith(":") else what
        rows = self._db.execute("select person from waits where what between ? and ?", (what, last))
        self.changed_all(self._root(row[0]) for row in rows.fetchall())

    def wake_with(self, owner: str) -> None:
        """Whoever is with this owner is dirty: the owner was deactivated, is away, or is back."""
        rows = self._db.execute("select person from handoff where state = 'with_sales' and owner = ?", (owner,))
        self.changed_all(self._root(row[0]) for row in rows.fetchall())

    # -- making one of two

    def _root(self, person: int) -> int:
        while person in self._into:
            person = self._into[person]
        return person

    def _create(self) -> int:
        cursor = self._db.execute("insert into person (dirty_since, lane) values (?, ?)", (self._now, self._lane))
        person = cursor.lastrowid
        if person is None:
            raise sqlite3.DatabaseError("an insert left no row id")
        self._fresh.add(person)
        self._changed.add(person)
        return person

    def _merge(self, winner: int, loser: int) -> None:
        ours, theirs = self.said(winner), self.said(loser)
        deals = {
            deal.identity: deal
            for deal in sorted((*theirs.opportunities, *ours.opportunities), key=lambda d: d.modified_at)
        }
        ours.leads += theirs.leads
        ours.records += theirs.records
        ours.changes += theirs.changes
        ours.tasks += theirs.tasks
        ours.histories += theirs.histories
        ours.opportunities = tuple(deals.values())
        self._said[loser] = Said()
        for table in ("identity", "email", "outbox", "handoff"):
            self._db.execute(f"update {table} set person = ? where person = ?", (winner, loser))  # noqa: S608
        activities.move(self._db, winner, loser)
        for table in ("child", "waits", "edit"):
            self._db.execute(f"update or ignore {table} set person = ? where person = ?", (winner, loser))  # noqa: S608
            self._db.execute(f"delete from {table} where person = ?", (loser,))  # noqa: S608
        self.companies |= accounts.forget(self._db, loser)
        clues.forget(self._db, loser)
        results.move(self._db, winner, loser)
        figures.forget(self._db, loser)
        self._merge_judged(winner, loser)
        self._db.execute("delete from said where person = ?", (loser,))
        # The tombstone's newer revision makes every plan from the old dossier stale.
        self._db.execute(
            "update person set (wake_at, released, erased, lane, revision) = (select"
            " case when person.wake_at is null or l.wake_at < person.wake_at then coalesce(l.wake_at, person.wake_at)"
            " else person.wake_at end, max(person.released, l.released), max(person.erased, l.erased),"
            " case when l.dirty_since is not null then min(person.lane, l.lane) else person.lane end,"
            " max(person.revision, l.revision) from person as l where l.id = ?) where id = ?",
            (loser, winner),
        )
        if loser in self._apart:
            for one, other in (("person", "other"), ("other", "person")):
                sql = f"update or replace apart set {one} = ? where {one} = ? and {other} <> ?"  # noqa: S608
                self._db.execute(sql, (winner, loser, winner))
            self._db.execute("delete from apart where ? in (person, other)", (loser,))
            self._apart = _load_apart(self._db)
        self._db.execute("update person set merged_into = ? where merged_into = ?", (winner, loser))
        self._db.execute(
            "update person set merged_into = ?, dirty_since = null, wake_at = null, held = null, released = 0,"
            " revision = revision + 1 where id = ?",
            (winner, loser),
        )
        self._into[loser] = winner
        self._holders.clear()
        self._changed.discard(loser)
        self._fresh.discard(loser)
        self._changed.add(winner)

    def _merge_judged(self, winner: int, loser: int) -> None:
        sql = "select decision, absorbed from judged where person = ?"
        theirs = self._db.execute(sql, (loser,)).fetchone()
        if theirs is None:
            return
        ours = self._db.execute(sql, (winner,)).fetchone() or (None, None)
        decision = decode_decision(ours[0]) if ours[0] else None
        other = decode_decision(theirs[0]) if theirs[0] else None
        absorbed = [d for row in (ours, theirs) if row[1] for d in decode_decisions(row[1])]
        if decision is None or (not decision.handoffs and other is not None and other.handoffs):
            decision = other
        elif other is not None and other.handoffs:
            absorbed.append(other)
        self._db.execute(
            "insert or replace into judged values (?, ?, ?)",
            (winner, None if decision is None else text(decision), text(absorbed) if absorbed else None),
        )
        self._db.execute("delete from judged where person = ?", (loser,))

    # -- the end

    def finish(self) -> tuple[int, ...]:
        """Write back what changed and mark whom it concerns dirty; their ids."""
        changed = sorted({self._root(person) for person in self._changed})
        others = crowds.put(self._db, [(p, self._said[p]) for p in changed if p in self._said], self._now)
        changed = sorted({*changed, *others})
        bodies = [(p, text(_ordered(self._said[p]))) for p in changed if p in self._said]
        self._db.executemany("insert or replace into said values (?, ?)", bodies)
        told = ((each, self._said[each]) for each in changed if each in self._said)
        clues.put(self._db, ((each, said.leads, said.records) for each, said in told))
        self.companies |= accounts.put(self._db, ((each, self._said[each]) for each in changed if each in self._said))
        self.companies |= accounts.engage(self._db, [person for person in changed if person not in self._said])
        known = [person for person in changed if person not in self._fresh]
        for start in range(0, len(known), _IN):
            some = known[start : start + _IN]
            these = f"id in ({marks(len(some))})"
            # Who is dirty already stays where they stand: the index of the dirty need not be touched.
            self._db.execute(
                f"update person set revision = revision + 1 where {these} and dirty_since is not null and lane <= ?",  # noqa: S608
                (*some, self._lane),
            )
            self._db.execute(
                "update person set revision = revision + 1, lane = ?, dirty_since = coalesce(dirty_since, ?)"  # noqa: S608
                f" where {these} and (dirty_since is null or lane > ?)",
                (self._lane, self._now, *some, self._lane),
            )
        if self.companies:
            waking.wake(self._db, self.companies, self._now)
        return tuple(changed)


def _load_apart(connection: sqlite3.Connection) -> dict[int, dict[int, int]]:
    """Whom admins have split: person -> the others, and since when. There are never many."""
    apart: dict[int, dict[int, int]] = {}
    for person, other, at in connection.execute("select person, other, at from apart"):
        apart.setdefault(person, {})[other] = at
    return apart


def _ordered(said: Said) -> Said:
    """In one order whatever the order of telling, so that equal facts make equal dossiers."""
    return Said(
        tuple(sorted(said.leads, key=lambda lead: lead.identity)),
        tuple(sorted(said.records, key=lambda record: record.identity)),
        tuple(sorted(said.changes, key=lambda change: (change.at, change.record, change.key))),
        tuple(sorted(said.tasks, key=lambda task: (task.created_at, task.identity))),
        tuple(sorted(said.opportunities, key=lambda deal: (deal.created_at, deal.identity))),
        tuple(sorted(said.histories, key=lambda history: history.identity)),
    )
