"""Somebody asked to be forgotten: what goes, table by table (docs/identity.md). Runs inside the writer's transaction.

What one system told goes at once. Whom no other system knows is erased: what stays are figures, moments and ids, so
that counts hold, tasks can be closed, and what is told of those ids later is known not to be kept.
"""

from collections.abc import Iterable

from msgspec.structs import replace
from sqlite_utils.utils import sqlite3

from syncagent.model import (
    Alert,
    AnyCommand,
    CloseTask,
    CreateTask,
    CrmTask,
    Decision,
    Desired,
    Handoff,
    Identity,
    Notify,
    Nurture,
    Receipt,
    WriteLead,
)
from syncagent.model.address import read_address
from syncagent.state import activities, journal
from syncagent.state.codec import Said, decode_command, decode_decision, decode_decisions, decode_receipt, text
from syncagent.state.people import People

FORGOTTEN = "The person was forgotten."
_WHY = "forgotten"
"""Stands where it was told why a lead was handed over, and to whom."""


def addresses_of(said: Said, identity: Identity) -> set[str]:
    """The addresses that this record of theirs tells now."""
    return {email for who, emails in _addresses(said) if who == identity for email in emails}


def _addresses(said: Said) -> list[tuple[Identity, tuple[str, ...]]]:
    leads = [(one.identity, one.emails) for one in said.leads]
    return leads + [(one.identity, one.emails) for one in said.records]


def forget(
    db: sqlite3.Connection, people: People, person: int, identity: Identity, told: set[str], at: int, *, new: bool
) -> None:
    """Nothing that `identity` told is kept, and nothing at all of whom no other knows.

    `told`: the addresses that it told. A refused delivery that names one of them goes whole: it may hold anything.
    """
    known, said = people.is_erased(person), people.said(person)
    said.leads = tuple(lead for lead in said.leads if lead.identity != identity)
    said.records = tuple(
        replace(each, fields={}, emails=(), deleted=True) if each.identity == identity else each
        for each in said.records
    )
    said.changes = tuple(change for change in said.changes if change.record != identity)
    said.histories = tuple(history for history in said.histories if history.identity != identity)
    activities.forget(db, person, identity)
    if not said.leads and all(each.deleted or each.merged_into for each in said.records):
        told = told | _erase(db, people, person, said)
    else:
        still = {email for _, emails in _addresses(said) for email in emails}
        people.let_go_of({*map(read_address, told)} - {*map(read_address, still)}, person)
    if not known and (new or told or people.is_erased(person)):
        journal.forget(db, person, at)
    _forget_refused(db, told)
    people.changed(person)


def _erase(db: sqlite3.Connection, people: People, person: int, said: Said) -> set[str]:
    """All that names them, in every table; their addresses."""
    found = {email for one in said.records for email in one.emails}
    said.records = tuple(replace(one, fields={}, emails=()) for one in said.records)
    said.tasks = tuple(map(bare_task, said.tasks))
    said.changes = said.histories = ()
    activities.forget_all(db, person)
    _bare_decisions(db, person)
    _bare_commands(db, person)
    db.execute("update handoff set cause = ?, reason = '' where person = ?", (_WHY, person))
    db.execute("update person set held = null, held_why = null, held_since = null where id = ?", (person,))
    return found | people.erase(person)


def _bare_decisions(db: sqlite3.Connection, person: int) -> None:
    for decision, absorbed in db.execute(
        "select decision, absorbed from judged where person = ?", (person,)
    ).fetchall():
        db.execute(
            "update judged set decision = ?, absorbed = ? where person = ?",
            (
                None if decision is None else text(_bare_decision(decode_decision(decision))),
                None if absorbed is None else text([_bare_decision(one) for one in decode_decisions(absorbed)]),
                person,
            ),
        )


def _bare_decision(decision: Decision) -> Decision:
    """Stage, handoffs and the record that we write: what ending them needs."""
    desired = decision.desired
    return Decision(
        stage=decision.stage,
        handoffs=tuple(map(_bare_handoff, decision.handoffs)),
        desired=None if desired is None else Desired(desired.record, {}, desired.revision),
        adopted=decision.adopted,
        stage_since=decision.stage_since,
    )


def _bare_handoff(handoff: Handoff) -> Handoff:
    """Its figures and owners, without what was said of the person or of why somebody got them."""
    given = tuple(replace(one, why=_WHY, pool=(), after="", passed=()) for one in handoff.assignments)
    return replace(handoff, cause=_WHY, recycle_reason="", assignments=given)


def _bare_commands(db: sqlite3.Connection, person: int) -> None:
    sql = "select id, body, next_body, receipt from outbox where person = ?"
    for number, body, following, receipt in db.execute(sql, (person,)).fetchall():
        db.execute(
            "update outbox set body = ?, next_body = ?, receipt = ?, why = '' where id = ?",
            (
                text(_bare_command(decode_command(body))),
                None if following is None else text(_bare_command(decode_command(following))),
                None if receipt is None else text(bare_receipt(decode_receipt(receipt))),
                number,
            ),
        )


def _bare_command(command: AnyCommand) -> AnyCommand:
    """Whom and what it is about, by ids; should it still be sent, it says that somebody was forgotten."""
    match command:
        case WriteLead():
            return replace(command, values={}, expects={}, emails=(), create=None, over={})
        case CreateTask() | Alert():
            return replace(command, subject=FORGOTTEN, body="")
        case Notify():
            return replace(command, title=FORGOTTEN, body="")
        case CloseTask() | Nurture():
            return replace(command, reason=FORGOTTEN)


def bare_receipt(receipt: Receipt) -> Receipt:
    """That it stands, and where."""
    return replace(receipt, values={}, before={}, note="")


def bare_task(task: CrmTask) -> CrmTask:
    """Whose it is and whether it is closed."""
    return replace(task, subject="", outcome="")


def _forget_refused(db: sqlite3.Connection, addresses: Iterable[str]) -> None:
    """Refused deliveries that name one of these go. What waits is read first, and then known not to be kept."""
    for address in {one.strip().lower() for one in addresses} - {""}:
        for spelled in (address, address.replace("@", "%40")):
            db.execute(
                "delete from inbox where refused is not null"
                " and (instr(lower(cast(body as text)), ?) or instr(lower(head), ?))",
                (spelled, spelled),
            )
