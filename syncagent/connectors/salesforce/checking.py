"""Check: what the login, the integration user's rights and the org's fields lack, each with what helps. Only reads."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import quote

import msgspec
from simple_salesforce.format import format_soql

from syncagent.connectors.salesforce.options import Options
from syncagent.connectors.salesforce.org import Answer, Described, Field, Org, Sub
from syncagent.errors import ConfigError, ConnectorDownError, Problem, RetryableError

_READ: Final = {
    "Lead": ("LastModifiedById", "IsConverted", "ConvertedContactId", "MasterRecordId"),
    "Contact": ("AccountId",),
}
_TASK: Final = ("WhoId", "OwnerId", "Subject", "Description", "ActivityDate", "Status")
_TASK_EXTRA: Final = ("IsReminderSet", "ReminderDateTime", "Priority")
_NOT_WRITTEN: Final = ("first_name", "last_name", "company", "title", "country", "email")


def examine(org: Org, options: Options) -> list[Problem]:
    """All problems at once; one fatal problem when the org cannot be reached at all."""
    history_text = "SELECT Id FROM LeadHistory LIMIT 1"
    notification = format_soql(
        "SELECT Id FROM CustomNotificationType WHERE DeveloperName = {}", options.notification_type or "-"
    )
    subs = [
        Sub("/sobjects/Lead/describe"),
        Sub("/sobjects/Contact/describe"),
        Sub("/sobjects/Task/describe"),
        Sub("/query?q=" + quote(history_text)),
        Sub("/query?q=" + quote(notification)),
    ]
    try:
        (lead, contact, task, history, notifications), _ = org.composite(subs)
    except (RetryableError, ConnectorDownError) as error:
        return [Problem("crm", str(error), "Until this is mended, nothing can be read or written.")]
    except ConfigError as error:
        return list(error.problems)
    problems: list[Problem] = []
    fields: dict[str, dict[str, Field]] = {}
    for kind, answer in (("Lead", lead), ("Contact", contact), ("Task", task)):
        if answer.ok:
            fields[kind] = {one.name: one for one in msgspec.convert(answer.body, Described).fields}
        else:
            text = f"The integration user cannot see the object {kind} ({answer.error.code})."
            problems.append(Problem("crm", text, f"Give it access to {kind} in its profile or a permission set."))
    if "Lead" in fields:
        problems += _lead(fields["Lead"], options)
    if "Contact" in fields:
        problems += _contact(fields["Contact"], options)
    if "Task" in fields:
        problems += _task(fields["Task"], options)
    problems += _others(history, notifications, options)
    problems += _allowance(org)
    return problems


def _lead(fields: Mapping[str, Field], options: Options) -> Iterator[Problem]:
    for ours, theirs in options.names("Lead").items():
        path = f"crm.fields.{ours}" if ours in options.fields else "crm"
        written = ours not in _NOT_WRITTEN
        yield from _access("Lead", theirs, path, fields, written=written, fatal=ours in ("status", "owner"))
    for theirs in _READ["Lead"]:
        yield from _access("Lead", theirs, "crm", fields, written=False, fatal=False)
    if "Status" in fields:
        known = {one["value"] for one in fields["Status"].values if one.get("active", True)}
        for status in options.expect_status:
            if status not in known:
                have = ", ".join(sorted(known))
                yield Problem(
                    "crm.status",
                    f"Lead has no status {status!r}.",
                    f"It has: {have}. Use one of these, or add it in Setup.",
                )
    yield from _key("Lead", "Lead", options.lead_key_field, "crm.lead_key_field", fields, fatal=False)
    filled = {*options.names("Lead").values(), options.lead_key_field}
    yield from _required("Lead", fields, filled)


def _contact(fields: Mapping[str, Field], options: Options) -> Iterator[Problem]:
    for ours, theirs in options.names("Contact").items():
        if "." in theirs or ours not in (*options.contact_fields, "owner", "email", "last_name"):
            continue  # what is mapped for leads only is simply not there on contacts
        path = f"crm.contact_fields.{ours}" if ours in options.contact_fields else "crm"
        yield from _access("Contact", theirs, path, fields, written=ours in options.contact_fields, fatal=False)


def _task(fields: Mapping[str, Field], options: Options) -> Iterator[Problem]:
    for theirs in _TASK:
        yield from _access("Task", theirs, "crm", fields, written=True, fatal=True)
    for theirs in _TASK_EXTRA:
        yield from _access("Task", theirs, "crm", fields, written=True, fatal=False)
    yield from _key("Task", "Activity", options.task_key_field, "crm.task_key_field", fields, fatal=True)
    yield from _required("Task", fields, {*_TASK, *_TASK_EXTRA, options.task_key_field})


def _access(
    kind: str, theirs: str, path: str, fields: Mapping[str, Field], *, written: bool, fatal: bool
) -> Iterator[Problem]:
    field = fields.get(theirs)
    if field is None:
        yield Problem(
            path,
            f"{kind}.{theirs} does not exist, or the integration user cannot see it.",
            "Create it, or tick Read (and Edit, if it is written) for it in a permission set of the integration user.",
            fatal,
        )
    elif written and not (field.updateable and field.createable):
        yield Problem(
            path,
            f"The integration user cannot edit {kind}.{theirs}.",
            "Tick Edit Access for it in a permission set of the integration user.",
            fatal,
        )


def _key(
    kind: str, home: str, theirs: str, path: str, fields: Mapping[str, Field], *, fatal: bool
) -> Iterator[Problem]:
    """The unique key by which a repeated creation is recognised. Source: crm.md A5, A17."""
    making = (
        f"In Setup > Object Manager > {home} > Fields, create {theirs} as Text(80) with External ID and Unique"
        f" (case sensitive); by the API: POST /tooling/sobjects/CustomField with FullName {home}.{theirs} and Metadata"
        ' {"label": "SyncAgent key", "type": "Text", "length": 80, "externalId": true, "unique": true,'
        ' "caseSensitive": true}. Then give the integration user Read and Edit on it.'
    )
    field = fields.get(theirs)
    if field is None:
        yield Problem(path, f"The key field {kind}.{theirs} does not exist, or the user cannot see it.", making, fatal)
        return
    missing = [word for word, have in (("External ID", field.external), ("Unique", field.unique)) if not have]
    if missing:
        yield Problem(path, f"The key field {kind}.{theirs} is not {' and not '.join(missing)}.", making, fatal)
    if not field.createable:
        text = f"The integration user cannot edit the key field {kind}.{theirs}."
        yield Problem(path, text, "Tick Edit Access for it in a permission set of the integration user.", fatal)
    if field.length and field.length < 80:
        yield Problem(
            path, f"The key field {kind}.{theirs} holds {field.length} characters.", "Make it Text(80).", fatal
        )


def _required(kind: str, fields: Mapping[str, Field], filled: set[str]) -> Iterator[Problem]:
    for field in fields.values():
        if field.createable and not field.nillable and not field.defaulted and field.name not in filled:
            yield Problem(
                "crm.fields",
                f"{kind}.{field.name} is required, has no default, and is not filled by syncagent.",
                f"Give it a default value in Salesforce{', or map it under [crm.fields]' if kind == 'Lead' else ''}.",
                fatal=False,
            )


def _others(history: Answer, notifications: Answer, options: Options) -> Iterator[Problem]:
    if not history.ok:
        yield Problem(
            "crm",
            "The history of leads cannot be read, so it stays unknown who changed a status or an owner.",
            "Switch on field history tracking for Lead (Status and Owner) under Setup > Object Manager > Lead.",
            fatal=False,
        )
    if options.notification_type and not (notifications.ok and notifications.body["records"]):
        yield Problem(
            "crm.notification_type",
            f"There is no custom notification type {options.notification_type}.",
            "Create it under Setup > Custom Notifications, and let the user send custom notifications.",
            fatal=False,
        )


def _allowance(org: Org) -> Sequence[Problem]:
    calls = org.budget.calls()
    if calls["limit"] and calls["used"] > 0.7 * calls["limit"]:
        text = f"{calls['used']} of the org's {calls['limit']} API calls of the day are used."
        return [Problem("crm.api_budget", text, "Cold work waits until less than 70 % are used.", fatal=False)]
    return []
