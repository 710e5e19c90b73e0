"""What HubSpot's rows say, as facts: contacts, tasks, deals, owners. Asks a portal only for definitions."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from syncagent.connectors.hubspot.options import COMPANY, Options
from syncagent.connectors.hubspot.options import CONTACT as CONTACT_FIELDS
from syncagent.connectors.hubspot.portal import Portal
from syncagent.connectors.hubspot.shapes import Owner, Property, Row
from syncagent.connectors.hubspot.values import AUTOMATION, actor, millis, moment, read
from syncagent.model import (
    CrmRecord,
    CrmTask,
    CrmUser,
    Fact,
    FieldChange,
    Identity,
    Merged,
    Opportunity,
    Value,
)

WATCHED: Final = ("status", "owner", "recycle_until", "recycle_reason")
"""Fields whose history is read: a change by somebody else is an answer."""
STAMP: Final = {"contacts": "lastmodifieddate"}
"""Where an object's stamp of modification stands; `hs_lastmodifieddate` for all others (crm.md B7)."""
CONTACT: Final = "contact"
_OWN: Final = (
    "lastmodifieddate",
    "createdate",
    "hs_merged_object_ids",
    "email",
    "hs_additional_emails",
    "associatedcompanyid",
    "lifecyclestage",
)
TASK: Final = (
    "hs_task_subject",
    "hs_task_status",
    "hs_task_type",
    "hs_task_completion_date",
    "hubspot_owner_id",
    "hs_timestamp",
    "hs_createdate",
    "hs_lastmodifieddate",
)
DEAL: Final = (
    "dealname",
    "dealstage",
    "pipeline",
    "amount",
    "closedate",
    "hs_is_closed",
    "hs_is_closed_won",
    "hubspot_owner_id",
    "createdate",
    "hs_lastmodifieddate",
)
_ENGAGED: Final = ("hubspot_owner_id", "hs_timestamp", "hs_createdate", "hs_lastmodifieddate", "hs_object_source")
TOUCHES: Final = {
    "calls": (*_ENGAGED, "hs_call_title", "hs_call_status", "hs_call_disposition"),
    "emails": (*_ENGAGED, "hs_email_subject", "hs_email_direction", "hs_email_status"),
    "meetings": (*_ENGAGED, "hs_meeting_title", "hs_meeting_outcome"),
}
"""What reps log as such, each an object of its own, with the properties that are read. Source: HubSpot's guides."""
_TOUCH: Final = {"calls": "Call", "emails": "Email", "meetings": "Meeting"}
_TITLES: Final = ("hs_call_title", "hs_email_subject", "hs_meeting_title")
_UNDONE: Final = {
    "hs_call_status": ("CALLING_CRM_USER", "CANCELED", "CONNECTING", "FAILED", "MISSED", "QUEUED", "RINGING"),
    "hs_email_direction": ("INCOMING_EMAIL",),
    "hs_email_status": ("BOUNCED", "FAILED", "SCHEDULED", "SENDING"),
    "hs_meeting_outcome": ("CANCELED",),
}
"""What was not done, or not by a rep."""
_RESULTS: Final = {
    "9d9162e7-6cf3-4944-bf63-4dff82258764": "Busy",
    "f240bbac-87c9-4f6e-bf70-924b57d47db7": "Connected",
    "a4c4c377-d246-4b32-a13b-75a56a4cd0ff": "Left live message",
    "b2cf5968-551e-4856-9783-52b3da59a7d0": "Left voicemail",
    "73a0d17f-1163-4015-bdd5-ec830791da20": "No answer",
    "17b47fee-58de-441e-a44c-c6300d46f273": "Wrong number",
}
"""A call's results that every portal has, by id; one of its own stays its id. Source: HubSpot's guide to calls."""
_WORKFLOWS: Final = ("AUTOMATION", "AUTOMATION_PLATFORM", "BOT", "WORKFLOWS")
_TYPES: Final = {"CALL": "Call", "EMAIL": "Email"}
_CLOSED: Final = "COMPLETED"
_MOST: Final = 20  # entries of one history: older ones were told before


def stamp_of(kind: str) -> str:
    """The property with an object's stamp of modification."""
    return STAMP.get(kind, "hs_lastmodifieddate")


class Words:
    """Turns rows into facts; the records that handoffs write are contacts."""

    def __init__(self, portal: Portal, options: Options) -> None:
        self.portal = portal
        self.name = portal.name
        self.options = options
        self.names = options.names()
        self.ours = {theirs: ours for ours, theirs in self.names.items()}

    def me(self) -> str:
        """How our own changes are told."""
        return f"app:{self.portal.app() or 'ours'}"

    def asked(self) -> list[str]:
        """The properties to read of a record: the mapped ones that the portal has, and HubSpot's own."""
        known = self.portal.properties("contacts")
        return [name for name in dict.fromkeys((*_OWN, *self.ours)) if name in known]

    def history(self) -> list[str]:
        """The properties whose history is read with a record."""
        known = self.portal.properties("contacts")
        return [self.names[name] for name in WATCHED if self.names.get(name) in known]

    def identity(self, ident: str) -> Identity:
        """A contact as the CRM's."""
        return Identity(self.name, CONTACT, ident)

    # -- records

    def record(self, row: Row, by: str = "") -> Iterator[Fact]:
        """The record, whom it has swallowed, and who changed what is watched; `by` is known where no history is."""
        ident, given = str(row["id"]), row["properties"]
        identity, stamp = self.identity(ident), self.at(row)
        changes = list(self.changes(row))
        last = max(changes, key=lambda one: one.at, default=None)
        yield from changes
        yield CrmRecord(
            identity,
            modified_at=stamp,
            created_at=moment(row["createdAt"]),
            modified_by=last.by if last is not None and last.at == stamp else by,
            fields=self.values(row),
            emails=emails_of(given),
            deleted=bool(row.get("archived")),
            account=given.get("associatedcompanyid") or "",
        )
        if losers := swallowed(row):
            yield Merged(identity, tuple(self.identity(one) for one in losers), stamp)

    def values(self, row: Row) -> dict[str, Value]:
        """The mapped fields of a row by our names; those that were not read are missing."""
        given = row["properties"]
        return {ours: read(given[theirs], self._known(theirs)) for theirs, ours in self.ours.items() if theirs in given}

    def _known(self, theirs: str) -> Property | None:
        if theirs == CONTACT_FIELDS["account_owner"]:
            return None
        kind = "companies" if theirs.startswith(COMPANY) else "contacts"
        return self.portal.properties(kind).get(theirs.removeprefix(COMPANY))

    def at(self, row: Row) -> datetime:
        """The row's own stamp of modification."""
        return moment(row["properties"].get(stamp_of("contacts")) or row["updatedAt"])

    def changes(self, row: Row) -> Iterator[FieldChange]:
        """Who changed the watched fields, oldest first (crm.md B10: told newest first)."""
        known, ident = self.portal.properties("contacts"), str(row["id"])
        for theirs, entries in (row.get("propertiesWithHistory") or {}).items():
            if theirs not in self.ours:
                continue
            told = entries[: _MOST + 1]
            for n in range(min(len(told), _MOST) - 1, -1, -1):
                entry, before = told[n], told[n + 1] if n + 1 < len(told) else {}
                at = moment(entry["timestamp"])
                yield FieldChange(
                    self.identity(ident),
                    key=f"{theirs}/{millis(at)}/{entry.get('value') or ''}",
                    field=self.ours[theirs],
                    old=read(before.get("value"), known.get(theirs)),
                    new=read(entry.get("value"), known.get(theirs)),
                    by=self.by(entry),
                    at=at,
                )

    def by(self, entry: Mapping[str, Any]) -> str:
        """Who made an entry of a history."""
        return actor(entry, self.portal.app(), self.portal.owner_of, self.me())

    # -- what hangs on records

    def tasks(self, rows: Sequence[Row], holders: Mapping[str, Sequence[str]]) -> Iterator[Fact]:
        """Tasks of the records in `holders` (by task id); who made and who closed them, where their history is told."""
        for row in rows:
            given, ident = row["properties"], str(row["id"])
            history = (row.get("propertiesWithHistory") or {}).get("hs_task_status") or []
            key = given.get(self.options.key_property) or ""
            stamp = moment(given.get("hs_lastmodifieddate") or row["updatedAt"])
            closed = given.get("hs_task_status") == _CLOSED
            done = given.get("hs_task_completion_date")
            maker = self.by(history[-1]) if history else self.me() if key else ""
            for record in list(holders.get(ident, ()))[:1]:
                yield CrmTask(
                    Identity(self.name, "task", ident),
                    self.identity(record),
                    owner=given.get("hubspot_owner_id") or "",
                    modified_at=stamp,
                    created_by=maker,
                    modified_by=self.by(history[0]) if history else maker,
                    created_at=moment(row["createdAt"]),
                    key=key,
                    subject=given.get("hs_task_subject") or "",
                    status=given.get("hs_task_status") or "",
                    type=_TYPES.get(given.get("hs_task_type") or "", "Task"),
                    closed=closed,
                    closed_at=(moment(done) if done else stamp) if closed else None,
                    deleted=bool(row.get("archived")),
                )

    def touches(self, kind: str, rows: Sequence[Row], holders: Mapping[str, Sequence[str]]) -> Iterator[Fact]:
        """Calls, emails and meetings that a rep has logged, each on every contact in `holders` that it is about.

        HubSpot shows the owner as whose it is, also where a telephone system or a mailbox has logged it. It counts
        from its logging, a meeting from its booking; what a prospect has sent, or what came to nothing, is as if it
        were deleted.
        """
        for row in rows:
            given, ident = row["properties"], str(row["id"])
            owner = given.get("hubspot_owner_id") or ""
            workflow = given.get("hs_object_source") in _WORKFLOWS
            logged, stamp = moment(row["createdAt"]), moment(given.get("hs_lastmodifieddate") or row["updatedAt"])
            undone = any(given.get(name) in values for name, values in _UNDONE.items())
            result = given.get("hs_call_disposition") or ""
            for contact in holders.get(ident, ()):
                yield CrmTask(
                    Identity(self.name, kind, f"{ident}/{contact}"),
                    self.identity(contact),
                    owner=owner,
                    modified_at=stamp,
                    created_by=AUTOMATION if workflow else owner,
                    modified_by=AUTOMATION if workflow else owner,
                    created_at=logged,
                    subject=next((str(given[name]) for name in _TITLES if given.get(name)), ""),
                    type=_TOUCH[kind],
                    closed=True,
                    closed_at=logged,
                    deleted=undone or bool(row.get("archived")),
                    outcome=_RESULTS.get(result, result) if result else given.get("hs_meeting_outcome") or "",
                )

    def deals(
        self, rows: Sequence[Row], people: Mapping[str, Sequence[str]], companies: Mapping[str, Sequence[str]]
    ) -> Iterator[Fact]:
        """Deals of the contacts in `people` and with the first of `companies` (both by deal id)."""
        stages = self.portal.stages("deals") if rows else {}
        for row in rows:
            given, ident = row["properties"], str(row["id"])
            stage = stages.get(given.get("dealstage") or "", {})
            about = stage.get("metadata") or {}
            over = str(given.get("hs_is_closed") or about.get("isClosed") or "").lower() == "true"
            sure = str(about.get("probability") or "") in ("1", "1.0")
            won = str(given.get("hs_is_closed_won") or (over and sure)).lower() == "true"
            amount = read(given.get("amount"), None)
            yield Opportunity(
                Identity(self.name, "deal", ident),
                people=tuple(Identity(self.name, CONTACT, one) for one in people.get(ident, ())),
                modified_at=moment(given.get("hs_lastmodifieddate") or row["updatedAt"]),
                created_at=moment(row["createdAt"]),
                owner=given.get("hubspot_owner_id") or "",
                stage=str(stage.get("label") or given.get("dealstage") or ""),
                closed=over,
                won=won,
                amount=_number(amount),
                closed_on=str(given.get("closedate") or "")[:10] if over else "",
                account=next(iter(companies.get(ident, ())), ""),
                deleted=bool(row.get("archived")),
            )

    def owners(self, owners: Mapping[str, Owner], away: Mapping[str, tuple[datetime, datetime]]) -> Iterator[Fact]:
        """Reps, managers and queues, and from when until when they are away."""
        for one in owners.values():
            queue = one.type == "QUEUE"
            place = Identity(self.name, "queue" if queue else "user", one.id)
            yield CrmUser(place, one.name, not one.archived, queue, *away.get(one.id, ()))


def emails_of(given: Mapping[str, Any]) -> tuple[str, ...]:
    """All addresses of a contact, the first one first (crm.md B3)."""
    more = str(given.get("hs_additional_emails") or "").split(";")
    return tuple(dict.fromkeys(one.strip().lower() for one in (given.get("email") or "", *more) if one.strip()))


def swallowed(row: Row) -> list[str]:
    """The ids that a merge has made part of this record."""
    told = str(row["properties"].get("hs_merged_object_ids") or "")
    return [one.strip() for one in told.split(";") if one.strip() and one.strip() != str(row["id"])]


def _number(value: Value) -> float | None:
    try:
        return float(value) if isinstance(value, str | int | float) else None
    except ValueError:
        return None
