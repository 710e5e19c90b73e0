"""Invented facts for the tests of the state."""

from datetime import UTC, datetime, timedelta

from syncagent.model import (
    Activity,
    Assignment,
    CreateTask,
    CrmRecord,
    CrmTask,
    Decision,
    Done,
    Dossier,
    FieldChange,
    Handoff,
    Identity,
    Lane,
    Lead,
    Notify,
    Opportunity,
    Page,
    Plan,
    Receipt,
    Roster,
    WriteLead,
)
from syncagent.state.store import Settlement

T0 = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def mk(number: int | str) -> Identity:
    return Identity("marketo", "lead", str(number))


def sf(number: int | str, kind: str = "Lead") -> Identity:
    return Identity("salesforce", kind, str(number))


def lead(number: int | str, minute: float = 0, *, emails=(), also=(), **attributes) -> Lead:
    return Lead(mk(number), at(minute), attributes, tuple(emails), tuple(also))


def act(number: int | str, key: str, minute: float = 0, kind: str = "page.visited", **attributes) -> Activity:
    return Activity(mk(number), key, at(minute), kind, "/pricing", attributes)


def record(number: int | str, minute: float = 0, *, kind: str = "Lead", by: str = "rep", **rest) -> CrmRecord:
    known = {name: rest.pop(name) for name in list(rest) if name in CrmRecord.__struct_fields__}
    return CrmRecord(sf(number, kind), at(minute), T0, by, rest, **known)


def change(number: int | str, key: str, field: str, old, new, minute: float, by: str = "rep") -> FieldChange:
    return FieldChange(sf(number), key, field, old, new, by, at(minute))


def task(number: str, of: int | str, minute: float = 0, **rest) -> CrmTask:
    return CrmTask(sf(number, "Task"), sf(of), "rep", at(minute), "us", "us", T0, **rest)


def deal(number: str, of, minute: float = 0, **rest) -> Opportunity:
    return Opportunity(sf(number, "Opportunity"), tuple(sf(each) for each in of), at(minute), T0, **rest)


def page(*facts, cursor: str = "", seen_until=None) -> Page:
    return Page(tuple(facts), cursor, seen_until)


def handoff(person: int, number: int = 1, owner: str = "ana", **rest) -> Handoff:
    return Handoff(
        f"{person}.{number}", number, T0, "score 72 (A1)", 72.0, "A1", (Assignment(owner, T0, "all", "turn"),), **rest
    )


def write(person: int, key: str = "w1", revision: int = 1, *, of=None, **rest) -> WriteLead:
    return WriteLead(
        key=key,
        target="salesforce",
        person=person,
        record=of,
        values={"status": f"v{revision}"},
        revision=revision,
        **rest,
    )


def create_task(person: int, key: str = "t1", **rest) -> CreateTask:
    return CreateTask(
        key=key,
        target="salesforce",
        person=person,
        record=None,
        owner="ana",
        subject="Call",
        body="why",
        due=at(60),
        **rest,
    )


def notify(person: int, key: str = "n1", **rest) -> Notify:
    return Notify(
        key=key, target="salesforce", person=person, record=None, to=("ana",), title="New lead", body="b", **rest
    )


def plan(**rest) -> Plan:
    return Plan(rest.pop("decision", Decision()), **rest)


def settle(store, *, minute: float = 1, roster: Roster | None = None, **rest) -> int:
    """Settle everybody who is unsettled with the same plan."""
    found = store.unsettled(at(minute), 1000)
    settlements = [Settlement(d.person, d.revision, plan(**rest)) for d in found.dossiers]
    return store.settle(settlements, roster or found.roster, now=at(minute), config="c1")


def done(key: str, minute: float, of: Identity | None = None, **values) -> Done:
    return Done(Receipt(key, of or sf(1), at(minute), values))


def only(store, minute=9) -> Dossier:
    """The one person who is unsettled."""
    found = store.unsettled(at(minute), 100).dossiers
    assert len(found) == 1
    return found[0]


def take(store, *facts, stream="marketo/poll", minute=1, lane=Lane.HOT, **rest):
    return store.accept(page(*facts, **rest), stream, now=at(minute), lane=lane)
