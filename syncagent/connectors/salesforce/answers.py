"""What Salesforce's answers to a write mean: try again, mend something, or the record has moved on. Pure."""

import re
from datetime import UTC, datetime
from typing import Final

from syncagent.connectors.salesforce.org import Error
from syncagent.model import Outcome, Refused, Retry, Value

_AGAIN: Final = {
    "UNABLE_TO_LOCK_ROW",
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "PROCESSING_HALTED",
    "SERVER_UNAVAILABLE",
    "QUERY_TIMEOUT",
    "UNKNOWN_EXCEPTION",
}
_LOCKED: Final = re.compile(r"UNABLE_TO_LOCK_ROW|unable to obtain exclusive access", re.IGNORECASE)
_MOVED: Final = {
    "CANNOT_UPDATE_CONVERTED_LEAD": "The lead has been converted meanwhile",
    "ENTITY_IS_DELETED": "The record has been deleted meanwhile",
    "NOT_FOUND": "The record is no longer there",
    "INVALID_CROSS_REFERENCE_KEY": "A record that is named does not exist",
}
_FIELD_LEVEL: Final = {
    "INVALID_FIELD",
    "INVALID_FIELD_FOR_INSERT_UPDATE",
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
    "STRING_TOO_LONG",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION",
    "INVALID_TYPE_ON_FIELD_IN_RECORD",
    "NUMBER_OUTSIDE_VALID_RANGE",
    "INVALID_EMAIL_ADDRESS",
    "JSON_PARSER_ERROR",
}
_HELP: Final = {
    "INACTIVE_OWNER_OR_USER": "Name an active owner in the config, or activate the user.",
    "INVALID_FIELD": "Create the field, or give the integration user access to it; then run: syncagent check",
    "INVALID_FIELD_FOR_INSERT_UPDATE": "Give the integration user edit access to it; then run: syncagent check",
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": "Add the value to the picklist, or change it under [crm.status].",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": "This is a validation rule of the org: mend the record or the rule.",
    "REQUIRED_FIELD_MISSING": "Give the field a default in Salesforce, or map it under [crm.fields].",
    "STRING_TOO_LONG": "Make the field longer, or the value shorter.",
    "INSUFFICIENT_ACCESS_OR_READONLY": "Give the integration user edit access to this record.",
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": "Give the integration user access to the record that is named.",
    "DUPLICATES_DETECTED": "A duplicate rule of the org stopped this: merge the records, or relax the rule.",
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": "An Apex trigger of the org failed: show this text to its author.",
    "CANNOT_EXECUTE_FLOW_TRIGGER": "A flow of the org failed: show this text to its author.",
    "INVALID_OPERATION": "If it is about a queue: add the object to the queue's supported objects.",
    "STORAGE_LIMIT_EXCEEDED": "The org's storage is full: make room in Salesforce.",
    "LIMIT_EXCEEDED": "A limit of the org is reached: see Setup > System Overview.",
}


def meaning(error: Error, what: str, ours: dict[str, str]) -> Outcome:
    """The outcome of a write that was refused. `what` in words; `ours`: API name -> our name. Source: crm.md A13."""
    if error.code in _AGAIN or _LOCKED.search(error.text):
        return Retry(3.0, f"{what} is locked or busy in Salesforce right now ({error.code}).")
    if error.code == "ENTITY_IS_LOCKED":
        return Retry(3600.0, f"{what} is in an approval process, and locked until it ends.")
    fields = tuple(ours.get(field, field) for field in named_fields(error))
    text = error.text.removeprefix(f"{error.code}: ") or "no reason given"
    if error.code in _MOVED and not (error.code == "INVALID_CROSS_REFERENCE_KEY" and error.fields):
        return Refused(f"{_MOVED[error.code]}; it is planned anew. Salesforce: {text}", "conflict", error.code, fields)
    about = f" [{', '.join(fields)}]" if fields else ""
    others = _matches(error)
    why = f"Salesforce refused {what[:1].lower()}{what[1:]}: {text} ({error.code}){about}{others}."
    return Refused(f"{why} {_HELP.get(error.code, '')}".strip(), "refused", error.code, fields)


def named_fields(error: Error) -> tuple[str, ...]:
    """The API names of the fields that an error is about: told, or read out of the text."""
    if error.fields:
        return error.fields
    if column := re.search(r"No such column '([\w.]+)'", error.text):
        return (column[1],)
    if listed := re.search(r"(?:create/update fields|fields are missing): \[?([\w, ]+)\]?", error.text):
        return tuple(name.strip() for name in listed[1].split(",") if name.strip())
    return ()


def separable(error: Error, optional: set[str]) -> tuple[str, ...]:
    """The optional fields that this refusal is about; () when it is about anything else, too."""
    fields = named_fields(error)
    return fields if error.code in _FIELD_LEVEL and fields and optional.issuperset(fields) else ()


def _matches(error: Error) -> str:
    """The records that a duplicate rule found; v54 to v56 spelled the key wrong (crm.md A4)."""
    found = error.extra.get("duplicateResult") or error.extra.get("duplicateResut") or {}
    ids = [
        one.get("record", {}).get("Id", "")
        for result in found.get("matchResults", ())
        for one in result.get("matchRecords", ())
    ]
    rule = found.get("duplicateRule", "")
    return (f", rule {rule}" if rule else "") + (f", same as {', '.join(ids)}" if ids else "")


def same(one: Value, other: Value) -> bool:
    """Whether two values of a field are one: nothing is "", ids count by 15 characters, moments by the second."""
    if one in (None, "") or other in (None, ""):
        return one in (None, "") and other in (None, "")
    if isinstance(one, str) and isinstance(other, str):
        if one == other:
            return True
        if {len(one), len(other)} == {15, 18}:
            return one[:15] == other[:15]
        first, second = _moment(one), _moment(other)
        if first is None or second is None:
            return False
        if "T" in one and "T" in other:
            return first == second
        return one[:10] == other[:10]
    if isinstance(one, bool) is not isinstance(other, bool) or isinstance(one, str) or isinstance(other, str):
        return False
    return one == other


def _moment(text: str) -> datetime | None:
    if not re.match(r"\d{4}-\d\d-\d\d", text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
