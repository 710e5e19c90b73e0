"""What stands in vendors and state at the end, without what may differ: ids, and who of the pool got whom."""

import re
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

from tests.audited import assert_nobody_lost_in
from tests.crash.theatre import LIST, Theatre

FIELDS = ("Status", "Lead_Score__c", "Lead_Grade__c", "MQL_Date__c", "Recycle_Until__c", "Recycle_Reason__c")


def reckon(stage: Theatre) -> dict[str, Any]:
    """Everything that must be equal, whatever was killed. Asserts what must hold in every story."""
    leads, contacts, tasks = stage.rows("Lead"), stage.rows("Contact"), stage.rows("Task")
    owners = _who_may_own(stage)
    names = {row["Id"]: (row["Email"], kind) for kind, rows in (("Lead", leads), ("Contact", contacts)) for row in rows}
    ours = [task for task in tasks if task["CreatedById"] == stage.ids["integration_user_id"]]
    _pushes(stage)
    assert_nobody_lost_in(stage.state, stage.config, stage.now)
    return {
        "leads": sorted(_lead(row, owners) for row in leads),
        "tasks": _tasks(ours, names),
        "owners": _owners(leads, ours),
        "contacts": sorted((row["Email"], row.get("Lead_Grade__c")) for row in contacts),
        "list": _members(stage),
        "state": _state(stage.state, names),
    }


def effects(stage: Theatre) -> int:
    """Records that we made or changed: leads, tasks, closings, changed fields (as people see them), list members."""
    me = stage.ids["integration_user_id"]
    made = sum(row["CreatedById"] == me for kind in ("Lead", "Task") for row in stage.rows(kind))
    closed = sum(row["LastModifiedById"] == me and bool(row["IsClosed"]) for row in stage.rows("Task"))
    seen = {
        (row["LeadId"], row["CreatedDate"])
        for row in stage.rows("LeadHistory")
        if row["CreatedById"] == me and row["Field"] != "created"
    }
    return made + closed + len(seen) + len(_members(stage))


def _who_may_own(stage: Theatre) -> set[str]:
    return {stage.ids[f"{role}_user_id"] for role in ("rep", "second_rep", "manager")} | {stage.ids["queue_id"]}


def _lead(row: dict[str, Any], owners: set[str]) -> tuple[str, ...]:
    assert row["OwnerId"] in owners, f"{row['Email']} belongs to {row['OwnerId']}"
    told = [f"{name}={_minute(row.get(name))}" for name in FIELDS]
    gone = ("deleted " if row["IsDeleted"] else "") + ("converted" if row.get("IsConverted") else "")
    return (row["Email"], gone, *told)


def _minute(value: Any) -> Any:
    return value[:16] if isinstance(value, str) and len(value) > 16 and value[10] == "T" else value


def _tasks(tasks: list[dict[str, Any]], names: dict[str, tuple[str, str]]) -> list[tuple[str, ...]]:
    """Each by its key, with whom it is about and how it stands."""
    keys = Counter(task.get("SyncAgent_Key__c") for task in tasks)
    assert None not in keys, "a task of ours has no key"
    twice = [key for key, times in keys.items() if times > 1]
    assert not twice, f"told twice: {twice}"
    return sorted(
        (
            *names.get(task["WhoId"], (task["WhoId"], "nobody")),
            _ours(task["SyncAgent_Key__c"]),
            "closed" if task["IsClosed"] else "open",
            "deleted" if task["IsDeleted"] else "",
            str(_minute(task.get("ReminderDateTime"))),
            task["ActivityDate"],
        )
        for task in tasks
    )


def _owners(leads: list[dict[str, Any]], tasks: list[dict[str, Any]]) -> str:
    """An open lead and its open task of the present assignment belong to the same person."""
    owner = {row["Id"]: row["OwnerId"] for row in leads if not row["IsDeleted"] and not row.get("IsConverted")}
    for task in tasks:
        is_work = task["SyncAgent_Key__c"].endswith(":task")
        if is_work and not task["IsClosed"] and not task["IsDeleted"] and task["WhoId"] in owner:
            assert task["OwnerId"] == owner[task["WhoId"]], f"{task['SyncAgent_Key__c']} is not its lead's owner's"
    return "agree"


def _pushes(stage: Theatre) -> None:
    """At most once each: to whom, about whom, what."""
    sent = stage.salesforce.dump()["notifications"]
    told = Counter((push["at"], *push["recipientIds"], push["targetId"], push["title"]) for push in sent)
    twice = [push for push, times in told.items() if times > 1]
    assert not twice, f"pushed twice: {twice}"


def _members(stage: Theatre) -> list[str]:
    dump = stage.marketo.dump()
    mails = {row["id"]: row["email"] for row in dump["leads"]}
    (found,) = [each for each in dump["lists"] if each["id"] == LIST]
    return sorted(mails.get(member, str(member)) for member in found["members"])


def _whose(key: str, names: dict[str, tuple[str, str]]) -> str:
    """A row's key without the CRM's id."""
    row, _, ident = key.rpartition(":")
    return f"{row}:{' '.join(names[ident])}" if row == "lead:salesforce" else _ours(key)


def _ours(key: str) -> str:
    """A key without the second in which its state was born: a kill at birth may put that off."""
    return re.sub(r"^\w+-(?=e\d+:)", "", key)


def _state(path: Path, names: dict[str, tuple[str, str]]) -> dict[str, Any]:
    """The state's own audit. A row is told by whose it is: of two who ask at once either may be made first."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        (fine,) = db.execute("pragma integrity_check").fetchone()
        outbox = db.execute("select key, verb, state from outbox order by key").fetchall()
        journal = db.execute("select handoff, kind, count(*) from journal group by 1, 2 order by 1, 2").fetchall()
    finally:
        db.close()
    assert fine == "ok"
    stuck = [row for row in outbox if row[2] not in ("done", "dropped") and not _may_be_unknown(row)]
    assert not stuck, f"not delivered: {stuck}"
    outbox = sorted(
        (_whose(key, names), verb, "done" if _may_be_unknown((key, verb, state)) else state)
        for key, verb, state in outbox
    )
    # Scores and stages are told as often as somebody is planned on the way; all else once for each that happens.
    return {"outbox": outbox, "journal": [row for row in journal if row[1] not in ("score", "stage")]}


def _may_be_unknown(row: tuple[str, str, str]) -> bool:
    """A push has no key at the vendor: one that was killed half sent is told as unknown, and never repeated."""
    return row[1:] == ("Notify", "unknown")
