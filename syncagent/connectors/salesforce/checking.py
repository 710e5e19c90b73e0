"""Check: what the login, the integration user's rights and the org's fields lack, each with what helps. Only reads."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import quote

import msgspec
from simple_salesforce.format import format_soql

from syncagent.connectors.salesforce.options import Options
from syncagent.connectors.salesforce.org import NEEDED, Answer, Described, Field, Org, Row, Sub, chunks
from syncagent.errors import ConfigError, ConnectorDownError, Problem, RetryableError

_READ: Final = {
    "Lead": ("LastModifiedById", "IsConverted", "ConvertedContactId", "MasterRecordId"),
    "Contact": ("AccountId",),
}
_TASK: Final = ("WhoId", "OwnerId", "Subject", "Description", "ActivityDate", "Status")
_TASK_EXTRA: Final = ("IsReminderSet", "ReminderDateTime", "Priority")
_ID: Final = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_HOW_TO_FIND: Final = {
    "User": "Its id starts with 005 and stands in the address of the user's page under Setup > Users.",
    "Group": "Its id starts with 00G and stands in the address of the queue's page under Setup > Queues.",
}
_AUTOMATION: Final = "crm.automation_users"
_NOT_WRITTEN: Final = ("first_name", "last_name", "company", "title", "country", "email")


def examine(org: Org, options: Options) -> list[Problem]:
    """All problems at once; one fatal problem when the org cannot be reached at all."""
    notification = format_soql(
        "SELECT Id FROM CustomNotificationType WHERE DeveloperName = {}", options.notification_type or "-"
    )
    texts = {
        "history": ["SELECT Id FROM LeadHistory LIMIT 1"],
        "notification": [notification],
        "status": ["SELECT ApiName, IsConverted FROM LeadStatus"],
        **_owner_queries(options.expect_owners),
    }
    asked = [(kind, Sub(f"/sobjects/{kind}/describe")) for kind in (*NEEDED, "Event")]
    asked += [("Account", Sub("/sobjects/Account/describe"))] if options.account_fields else []
    if options.user_fields:
        asked.append(("user_fields", Sub("/sobjects/User/describe")))
    asked += [(name, Sub("/query?q=" + quote(text, safe=""))) for name, some in texts.items() for text in some]
    try:
        answers, _ = org.composite([sub for _, sub in asked])
    except (RetryableError, ConnectorDownError) as error:
        return [Problem("crm", str(error), "Until this is mended, nothing can be read or written.")]
    except ConfigError as error:
        return list(error.problems)
    told: dict[str, list[Answer]] = defaultdict(list)
    for (name, _), answer in zip(asked, answers, strict=True):
        told[name].append(answer)
    problems: list[Problem] = []
    fields: dict[str, dict[str, Field]] = {}
    for kind in NEEDED:
        [answer] = told[kind]
        if answer.ok:
            fields[kind] = {one.name: one for one in msgspec.convert(answer.body, Described).fields}
        else:
            text = f"The integration user cannot see the object {kind} ({answer.error.code})."
            problems.append(Problem("crm", text, f"Give it access to {kind} in its profile or a permission set."))
    if "Lead" in fields:
        problems += _lead(fields["Lead"], options)
        problems += _unmapped(fields["Lead"], told["status"], options)
    if "Contact" in fields:
        problems += _contact(fields["Contact"], options)
    if "Task" in fields:
        problems += _task(fields["Task"], options)
    problems += _event(told["Event"][0])
    problems += [problem for answer in told["Account"] for problem in _account(answer, options)]
    problems += _user_fields(told["user_fields"], options)
    problems += _owners(told, options.expect_owners)
    problems += _others(told["history"][0], told["notification"][0], options)
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


def _user_fields(answers: Sequence[Answer], options: Options) -> Iterator[Problem]:
    """Without them nobody is away; all else goes on."""
    for answer in answers:
        known = {one.name: one for one in msgspec.convert(answer.body, Described).fields} if answer.ok else {}
        for ours, theirs in options.user_fields.items():
            yield from _access("User", theirs, f"crm.user_fields.{ours}", known, written=False, fatal=False)


def _unmapped(fields: Mapping[str, Field], statuses: Sequence[Answer], options: Options) -> Iterator[Problem]:
    """The converted statuses are left out: a converted lead is followed to its contact whatever its status is."""
    if "Status" not in fields or not options.expect_status:
        return
    converted = {row["ApiName"] for row in _rows(statuses) if row["IsConverted"]}
    active = [one["value"] for one in fields["Status"].values if one.get("active", True)]
    left = [one for one in active if one not in converted and one not in options.expect_status]
    if left:
        names = ", ".join(repr(one) for one in left)
        yield Problem(
            "crm.status",
            f"These statuses of Lead are mapped nowhere: {names}. A lead in one of them counts as in work with sales:"
            " it is adopted as it stands, not handed off.",
            "Where marketing may hand such leads off, add the status to the list `untouched` under [crm.status]; where"
            ' it is an answer of sales, add it to the stage that it means, for example accepted = ["..."]. Leave it'
            " out where sales works on its own.",
            fatal=False,
        )


def _owner_queries(owners: Mapping[str, str]) -> dict[str, list[str]]:
    """By object, the queries that tell what is known of these ids. Only ids: anything else would refuse the query."""
    ids = {one[:15] for one in owners.values() if _ID.fullmatch(one)}
    users = chunks(sorted(one for one in ids if one.startswith("005")))
    queues = chunks(sorted(one for one in ids if one.startswith("00G")))
    for_leads = "SELECT QueueId FROM QueueSobject WHERE SobjectType = 'Lead' AND QueueId IN {}"
    return {
        "User": [format_soql("SELECT Id, IsActive FROM User WHERE Id IN {}", some) for some in users],
        "Group": [format_soql("SELECT Id, Type FROM Group WHERE Id IN {}", some) for some in queues],
        "QueueSobject": [format_soql(for_leads, some) for some in queues],
    }


def _owners(told: Mapping[str, Sequence[Answer]], owners: Mapping[str, str]) -> Iterator[Problem]:
    """Who is to own leads and tasks, or to hear of them: there, active, and queues that leads may be put in."""
    unread = {kind for kind in ("User", "Group", "QueueSobject") if not all(one.ok for one in told.get(kind, ()))}
    for kind in sorted(unread):
        yield Problem(
            "crm",
            f"The integration user cannot read {kind}, so the people and queues of the config could not be looked up.",
            "Give it View Setup and Configuration in a permission set.",
            fatal=False,
        )
    known = {row["Id"][:15]: row for kind in ("User", "Group") for row in _rows(told.get(kind, ()))}
    for_leads = {row["QueueId"][:15] for row in _rows(told.get("QueueSobject", ()))}
    for path, ident in owners.items():
        wanted = _wanted(path)
        kind = "Group" if ident.startswith("00G") else "User"
        if not _ID.fullmatch(ident) or kind not in wanted or not ident.startswith(("005", "00G")):
            name = " or a ".join("queue" if one == "Group" else "user" for one in wanted)
            yield Problem(path, f"{ident!r} is not the id of a {name}.", _HOW_TO_FIND[wanted[0]])
        elif (row := known.get(ident[:15])) is None:
            if kind not in unread:
                name = "queue" if kind == "Group" else "user"
                more = " Until then, what this automation changes counts as a person's." * path.startswith(_AUTOMATION)
                yield Problem(path, f"Salesforce has no {name} with the id {ident}.", _HOW_TO_FIND[kind] + more)
        elif row["Id"] != ident:
            yield Problem(
                path,
                f"The id {ident} is not written as Salesforce tells it, so what this one owns may not be recognised.",
                f"Write all 18 characters: {row['Id']}.",
                fatal=False,
            )
        if row := known.get(ident[:15]) if kind in wanted else None:
            yield from _fitness(path, ident, row, for_leads if "QueueSobject" not in unread else {ident[:15]})


def _fitness(path: str, ident: str, row: Row, for_leads: Collection[str]) -> Iterator[Problem]:
    """Whether this user or queue, which is there, can do what the config wants of it."""
    if "IsActive" in row:
        if row["IsActive"]:
            return
        if path.startswith(_AUTOMATION):
            text = f"The user {ident} is inactive in Salesforce, and changes nothing any more."
            yield Problem(path, text, "If the automation runs as another user now, name that one, too.", fatal=False)
            return
        rep = path.startswith("reps.") and not path.endswith((".manager", ".away"))
        yield Problem(
            path,
            f"The user {ident} is inactive in Salesforce and can be given neither leads nor tasks.",
            "Take this rep out of the config, or set them away with away = [...]; or activate the user."
            if rep
            else "Name somebody else, or activate the user.",
            fatal=rep,
        )
    elif row["Type"] != "Queue":
        help_ = "Make a queue under Setup > Queues, with Lead among its supported objects, and write its id here."
        yield Problem(path, f"The group {ident} is no queue, so it cannot own leads.", help_)
    elif ident[:15] not in for_leads:
        help_ = "Under Setup > Queues, edit it and add Lead (and Task) to its supported objects."
        yield Problem(path, f"The queue {ident} is not allowed to own leads.", help_)


def _wanted(path: str) -> tuple[str, ...]:
    """What may stand at this place of the config."""
    if path.startswith(("crm.queues.", "routes.")) or (path.startswith("sla.") and path.endswith(".queue")):
        return ("Group",)
    return ("Group", "User") if path == "recycle.owner" else ("User",)


def _rows(answers: Sequence[Answer]) -> list[Row]:
    return [row for answer in answers if answer.ok for row in answer.body["records"]]


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


def _event(answer: Answer) -> Iterator[Problem]:
    fields = {one.name for one in msgspec.convert(answer.body, Described).fields} if answer.ok else set()
    if "WhoId" not in fields:
        yield Problem(
            "crm",
            "The integration user cannot see Event.WhoId, so a meeting that a rep books does not count as a touch.",
            "Give it read access to events in its profile or a permission set.",
            fatal=False,
        )


def _account(answer: Answer, options: Options) -> Iterator[Problem]:
    if not answer.ok:
        text = "The integration user cannot see the object Account, so nothing is known of accounts."
        help_ = "Give it read access to accounts in its profile or a permission set."
        yield Problem("crm", text, help_, fatal=False)
        return
    fields = {one.name: one for one in msgspec.convert(answer.body, Described).fields}
    for ours, theirs in options.account_fields.items():
        if "." not in theirs:
            path = f"crm.account_fields.{ours}"
            yield from _access("Account", theirs, path, fields, written=False, fatal=False)


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
