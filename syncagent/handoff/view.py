"""The one CRM record of a person that a handoff writes, and what stands in it now.

A contact with an open opportunity comes first, then any contact, then the open lead that was last worked, then the
newest lead. Converted leads are followed to their contact, merged ones to the winner; deleted ones are passed over.
While a handoff is open its record is kept, so that a page read by sales cannot make the choice jump to and fro.
"""

from collections.abc import Mapping
from datetime import datetime

from syncagent.model import CrmRecord, CrmView, Dossier, Identity, OutboxEntry, Stage, Value
from syncagent.policy import Policy

WATCHED = ("status", "owner", "recycle_until", "recycle_reason")
"""Fields whose change by somebody else is an answer."""

_OVER = frozenset((Stage.DISQUALIFIED, Stage.WON, Stage.LOST, Stage.CUSTOMER))


def view_of(dossier: Dossier, policy: Policy, keep: Identity | None = None) -> CrmView | None:
    """Choose the record; None when the CRM shows nothing of this person that is still there."""
    records = dossier.records
    if not records:
        return _from_receipt(dossier, policy)
    newest: dict[Identity, CrmRecord] = {}
    for record in records:
        known = newest.get(record.identity)
        if known is None or record.modified_at >= known.modified_at:
            newest[record.identity] = record
    alive = [one for one in newest.values() if not one.deleted and one.merged_into is None]
    if not alive:
        return None
    chosen = _follow(newest, keep) if keep is not None else None
    if chosen is None:
        chosen = max(alive, key=lambda one: _rank(one, dossier, policy))
    if chosen.converted_to is not None:
        chosen = _follow(newest, chosen.identity) or chosen
    tasks = {task.identity: task for task in sorted(dossier.tasks, key=lambda one: (one.modified_at, one.key))}
    changes = {
        change.key: change
        for change in sorted(dossier.changes, key=lambda one: (one.at, one.key))
        if change.record == chosen.identity
    }
    opportunities = {
        one.identity: one for one in sorted(dossier.opportunities, key=lambda one: (one.modified_at, one.stage))
    }
    return CrmView(
        record=chosen,
        others=tuple(sorted(one.identity for one in alive if one.identity != chosen.identity)),
        changes=tuple(changes.values()),
        tasks=tuple(tasks.values()),
        opportunities=tuple(one for one in opportunities.values() if not one.deleted),
    )


def is_contact(record: CrmRecord) -> bool:
    """A record whose owner is never changed: Salesforce's Contact, with or without a status field, or a converted lead.

    HubSpot's contacts ("contacts") carry the lead status themselves and are leads in this sense.
    """
    if record.converted_to is not None or record.identity.object == "Contact":
        return True
    return record.identity.object.casefold() not in ("lead", "leads") and "status" not in record.fields


def last_write(dossier: Dossier, record: Identity) -> OutboxEntry | None:
    """Our newest confirmed write of this record, by the CRM's own stamp."""
    best: OutboxEntry | None = None
    for entry in dossier.outbox:
        receipt = entry.receipt
        if entry.verb != "WriteLead" or receipt is None or receipt.record != record:
            continue
        if best is None or best.receipt is None or (receipt.at, receipt.revision) > _stamp(best):
            best = entry
    return best


def standing(view: CrmView, entry: OutboxEntry | None) -> dict[str, Value]:
    """The watched fields as they stand in the CRM: the newest of record, history and our own receipt.

    All three carry CRM stamps. In the same second as our write the history decides; without one, what was read does,
    so that an answer given in that second is never ignored for ever.
    """
    record = view.record
    now = {name: record.fields[name] for name in WATCHED if name in record.fields}
    at = record.modified_at
    receipt = entry.receipt if entry is not None else None
    if receipt is not None and record.modified_at < receipt.at:
        now.update((name, value) for name, value in receipt.values.items() if name in WATCHED)
        at = receipt.at
    elif receipt is not None and record.modified_at == receipt.at:
        for name in [name for name in now if name in receipt.values and now[name] != receipt.values[name]]:
            rows = [one for one in view.changes if one.field == name and one.at == at]
            if rows and all(one.new != now[name] for one in rows):
                now[name] = receipt.values[name]  # read just before our write, in its second
    for change in view.changes:
        if change.at > at and change.field in WATCHED:
            now[change.field] = change.new
    return now


def _stamp(entry: OutboxEntry) -> tuple[datetime, int]:
    receipt = entry.receipt
    assert receipt is not None  # noqa: S101 - only entries with a receipt come here
    return receipt.at, receipt.revision


def _rank(record: CrmRecord, dossier: Dossier, policy: Policy) -> tuple[bool, bool, bool, datetime, Identity]:
    contact = is_contact(record) and record.converted_to is None
    dealt = contact and any(
        not deal.closed and not deal.deleted and record.identity in deal.people for deal in dossier.opportunities
    )
    status = record.fields.get("status")
    is_open = record.converted_to is None and _meaning(policy.crm.answers, status) not in _OVER
    return dealt, contact, is_open, record.modified_at if is_open else record.created_at, record.identity


def _meaning(answers: Mapping[str, Stage], status: Value) -> Stage | None:
    return answers.get(status) if isinstance(status, str) else None


def _follow(records: Mapping[Identity, CrmRecord], start: Identity) -> CrmRecord | None:
    """The record at the end of merges and conversions; None when it is gone. A circle ends where it began."""
    record = records.get(start)
    seen: set[Identity] = set()
    while record is not None and record.identity not in seen:
        seen.add(record.identity)
        onward = record.merged_into or record.converted_to
        if onward is None or (record.merged_into is None and onward not in records):
            break
        record = records.get(onward)
    if record is None or record.deleted or record.merged_into is not None:
        return None
    return record


def _from_receipt(dossier: Dossier, policy: Policy) -> CrmView | None:
    """A record that we made and that has not been read back yet."""
    made = [entry.receipt for entry in dossier.outbox if entry.verb == "WriteLead" and entry.receipt is not None]
    if not made:
        return None
    receipt = max(made, key=lambda one: (one.at, one.revision))
    record = CrmRecord(receipt.record, receipt.at, receipt.at, policy.crm.me, dict(receipt.values), dossier.emails)
    return CrmView(record, (), (), tuple(dossier.tasks), tuple(dossier.opportunities))
