"""The REST resources under /services/data/vNN.0: rows, describe, query, replication, limits, actions, tooling.

`Rest.dispatch` answers one request of one session; a composite call comes back here for each of its parts. Shapes and
error texts after crm.md A3 to A9, A15, A17.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Final

import msgspec

from syncagent.sandbox.salesforce import ids, writes
from syncagent.sandbox.salesforce.query import Queries, attributes
from syncagent.sandbox.salesforce.schema import Field
from syncagent.sandbox.salesforce.values import parse_moment
from syncagent.sandbox.salesforce.world import Actor, RequestError, Row, RowError, World, wire

VERSIONS: Final = range(52, 69)
_METADATA_TYPES: Final = {
    "Text": "string",
    "Number": "double",
    "Checkbox": "boolean",
    "Date": "date",
    "DateTime": "datetime",
}
_MINUTE: Final = timedelta(minutes=1)


@dataclass(slots=True)
class Request:
    """One REST call or one part of a composite one; `parts` are the path's pieces after the version."""

    method: str
    version: str
    parts: list[str]
    query: dict[str, str]
    headers: Mapping[str, str]
    user: str
    body: bytes | None = None
    decoded: Any = None
    nested: bool = False

    def json(self) -> dict[str, Any]:
        """The body, a JSON object; JSON_PARSER_ERROR otherwise."""
        value = self.decoded
        if self.body is not None:
            try:
                value = msgspec.json.decode(self.body)
            except ValueError as error:
                raise RequestError(400, "JSON_PARSER_ERROR", f"The body is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise RequestError(400, "JSON_PARSER_ERROR", "The body must be a JSON object.")
        return value

    def actor(self) -> Actor:
        """Who writes, with the rights and wishes that the headers tell."""
        wishes = self.headers.get("sforce-duplicate-rule-header", "").lower().replace(" ", "")
        return Actor(
            self.user,
            api=True,
            auto_assign=self.headers.get("sforce-auto-assign", "TRUE").upper() != "FALSE",
            save_duplicates="allowsave=true" in wishes,
            explain_duplicates="includerecorddetails=true" in wishes,
        )


@dataclass(slots=True)
class Reply:
    """What comes back; `value` None is an empty body."""

    status: int
    value: Any = None
    headers: dict[str, str] = field(default_factory=dict)


def refusal(error: RowError | RequestError) -> Reply:
    """An error as the JSON array that single-resource calls answer (crm.md A3)."""
    if isinstance(error, RequestError):
        return Reply(error.status, [{"message": error.message, "errorCode": error.code}])
    status = 404 if error.code in ("ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY") else 400  # crm.md A13
    return Reply(status, [{"message": error.message, "errorCode": error.code, "fields": error.fields, **error.extra}])


def not_found() -> RequestError:
    """There is no such resource."""
    return RequestError(404, "NOT_FOUND", "The requested resource does not exist")


class Rest:
    """Answers single resources; composite calls and collections stand in batches.py."""

    def __init__(self, world: World, queries: Queries) -> None:
        self._world = world
        self._queries = queries
        self.remaining: Callable[[], int] = lambda: world.settings.daily_limit
        self._heads: dict[str, Callable[[Request], Reply]] = {
            "sobjects": self._sobjects,
            "query": self._query,
            "queryAll": self._query,
            "limits": self._limits,
            "actions": self._actions,
            "tooling": self._tooling,
        }

    def add(self, head: str, answer: Callable[[Request], Reply]) -> None:
        """Answer everything under `/services/data/vNN.0/<head>` with this."""
        self._heads[head] = answer

    def dispatch(self, request: Request) -> Reply:
        """Answer one request; errors come back as replies."""
        try:
            number = re.fullmatch(r"v(\d\d)\.0", request.version)
            if number is None or int(number[1]) not in VERSIONS:
                raise not_found()
            if not request.parts:
                base = f"/services/data/{request.version}"
                return Reply(200, {head: f"{base}/{head}" for head in self._heads})
            answer = self._heads.get(request.parts[0])
            if answer is None:
                raise not_found()
            return answer(request)
        except (RowError, RequestError) as error:
            return refusal(error)

    def _sobjects(self, request: Request) -> Reply:
        parts = request.parts[1:]
        if not parts:
            _only(request, "GET")
            return Reply(
                200,
                {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": [self._about(n) for n in self._world.shapes]},
            )
        name = parts[0]
        if name not in self._world.shapes:
            raise not_found()
        match parts[1:]:
            case []:
                return self._create(request, name)
            case ["describe"]:
                _only(request, "GET")
                return Reply(200, self._describe(name))
            case ["updated"]:
                return self._updated(request, name)
            case ["deleted"]:
                return self._deleted(request, name)
            case [ident]:
                return self._row(request, name, ident)
            case [key, value]:
                return self._keyed(request, name, key, value)
            case _:
                raise not_found()

    def _about(self, name: str) -> dict[str, Any]:
        shape = self._world.shapes[name]
        return {
            "name": name,
            "label": shape.label,
            "keyPrefix": shape.prefix,
            "custom": False,
            "queryable": True,
            "retrieveable": True,
            "createable": shape.writable,
            "updateable": shape.writable,
            "deletable": shape.writable,
            "replicateable": True,
        }

    def _describe(self, name: str) -> dict[str, Any]:
        world, shape = self._world, self._world.shapes[name]
        fields = [
            known.describe(editable=shape.writable and world.editable(name, known.name))
            for known in shape.fields.values()
            if world.visible(name, known.name)
        ]
        return {**self._about(name), "fields": fields, "recordTypeInfos": [], "childRelationships": []}

    def _create(self, request: Request, name: str) -> Reply:
        if request.method == "GET":
            return Reply(200, {"objectDescribe": self._about(name), "recentItems": []})
        _only(request, "POST")
        ident = writes.create(self._world, request.actor(), name, request.json())
        place = f"/services/data/{request.version}/sobjects/{name}/{ident}"
        return Reply(201, {"id": ident, "success": True, "errors": []}, {"Location": place})

    def _row(self, request: Request, name: str, ident: str) -> Reply:
        whole = ids.full(ident)
        row = None if whole is None else self._world.find(name, whole)
        if row is None:
            raise not_found()
        if row["IsDeleted"]:
            raise RowError("ENTITY_IS_DELETED", "entity is deleted")
        if request.method == "GET":
            return self._show(request, name, row)
        if request.method == "DELETE":
            writes.delete(self._world, request.actor(), name, row["Id"])
            return Reply(204)
        _only(request, "PATCH")
        since = request.headers.get("if-unmodified-since")
        heard = not request.nested or self._world.settings.composite_conditions
        if since is not None and heard and _changed_since(row, since):
            raise RequestError(412, "PRECONDITION_FAILED", "The record has been modified since the given date")
        writes.update(self._world, request.actor(), name, row["Id"], request.json())
        return Reply(204)

    def _show(self, request: Request, name: str, row: Row) -> Reply:
        changed = format_datetime(parse_moment(_stamp(row)), usegmt=True)
        if (since := request.headers.get("if-modified-since")) is not None and not _changed_since(row, since):
            return Reply(304, None, {"Last-Modified": changed})
        return Reply(
            200, self.record(name, row, request.query.get("fields"), request.version), {"Last-Modified": changed}
        )

    def record(self, name: str, row: Row, fields: str | list[str] | None, version: str) -> dict[str, Any]:
        """A row as JSON: the fields asked for, else all that the integration user may see."""
        shape = self._world.shapes[name]
        if fields is None:
            wanted = [known for known in shape.fields if self._world.visible(name, known)]
        else:
            wanted = [one.strip() for one in fields.split(",")] if isinstance(fields, str) else fields
            for one in wanted:
                if one not in shape.fields or not self._world.visible(name, one):
                    raise RequestError(400, "INVALID_FIELD", f"No such column '{one}' on sobject of type {name}")
        return {"attributes": attributes(name, row["Id"], version)} | {one: row.get(one) for one in wanted}

    def external(self, name: str, key: str) -> Field:
        """The external id field of that name; NOT_FOUND as crm.md A5 tells it."""
        known = self._world.shapes[name].fields.get(key)
        if known is None or not (known.external or key == "Id") or not self._world.visible(name, key):
            text = f"Provided external ID field does not exist or is not accessible: {key}"
            raise RequestError(404, "NOT_FOUND", text)
        return known

    def _keyed(self, request: Request, name: str, key: str, value: str) -> Reply:
        known = self.external(name, key)
        found = self._world.tables[name].holders(known, value)
        if len(found) > 1:
            return Reply(300, [f"/services/data/{request.version}/sobjects/{name}/{ident}" for ident in found])
        if request.method == "PATCH":
            values = request.json()
            if key in values:
                raise RequestError(
                    400, "INVALID_FIELD", f"The {key} field should not be specified in the sobject data."
                )
            if request.query.get("updateOnly") == "true" and not found:
                raise not_found()
            ident, created = self.upsert(request.actor(), name, known, value, values)
            status = 201 if created else 200
            return Reply(status, {"id": ident, "success": True, "errors": [], "created": created})
        if not found:
            raise not_found()
        return self._row(request, name, found[0])

    def upsert(self, actor: Actor, name: str, known: Field, value: object, values: dict[str, Any]) -> tuple[str, bool]:
        """Create or update the live row with that key; rows in the recycle bin do not count."""
        found = self._world.tables[name].holders(known, value)
        if len(found) > 1:
            raise RowError(
                "DUPLICATE_EXTERNAL_ID", "A user-specified external ID matches more than one record during an upsert."
            )
        if found:
            writes.update(self._world, actor, name, found[0], values)
            return found[0], False
        return writes.create(self._world, actor, name, {**values, known.name: value}), True

    def _query(self, request: Request) -> Reply:
        _only(request, "GET")
        wish = re.search(r"batchSize\s*=\s*(\d+)", request.headers.get("sforce-query-options", ""))
        batch = int(wish[1]) if wish is not None else None
        if len(request.parts) == 2:
            return Reply(200, self._queries.more(request.parts[1], request.version, batch))
        if "q" not in request.query or len(request.parts) > 2:
            raise RequestError(400, "MALFORMED_QUERY", "SOQL statements cannot be empty or null")
        all_rows = request.parts[0] == "queryAll"
        return Reply(200, self._queries.run(request.query["q"], request.version, all_rows=all_rows, batch=batch))

    def _window(self, request: Request) -> tuple[datetime, datetime]:
        # crm.md A9: seconds are ignored, 30 days back, start before end
        _only(request, "GET")
        try:
            start, end = (
                parse_moment(request.query[name]).replace(second=0, microsecond=0) for name in ("start", "end")
            )
        except (KeyError, ValueError) as error:
            message = "start and end must be ISO 8601 moments with a time zone"
            raise RequestError(400, "INVALID_REPLICATION_DATE", message) from error
        if end - start < _MINUTE:
            message = "endDate must be at least one minute greater than startDate"
            raise RequestError(400, "INVALID_REPLICATION_DATE", message)
        if self._world.clock.now() - start > timedelta(days=30):
            message = "startDate cannot be more than 30 days in the past"
            raise RequestError(400, "INVALID_REPLICATION_DATE", message)
        return start, end

    def _between(self, name: str, start: datetime, end: datetime, *, deleted: bool) -> list[Row]:
        table, last = self._world.tables[name], wire(end)
        found = []
        for row in table.since(wire(start)):
            if row[table.shape.stamp] > last:
                break
            if row["IsDeleted"] == deleted:
                found.append(row)
        return found

    def _updated(self, request: Request, name: str) -> Reply:
        start, end = self._window(request)
        rows = self._between(name, start, end, deleted=False)
        if len(rows) > 600_000:
            raise RequestError(400, "EXCEEDED_ID_LIMIT", "Too many ids; ask for a shorter time")
        until = self._world.covered_until(end)
        return Reply(200, {"ids": [row["Id"] for row in rows], "latestDateCovered": wire(until)})

    def _deleted(self, request: Request, name: str) -> Reply:
        start, end = self._window(request)
        stamp = self._world.shapes[name].stamp
        rows = self._between(name, start, end, deleted=True)
        earliest = self._world.clock.now() - timedelta(days=30)
        gone = {
            "deletedRecords": [{"id": row["Id"], "deletedDate": row[stamp]} for row in rows],
            "earliestDateAvailable": wire(earliest),
            "latestDateCovered": wire(self._world.covered_until(end)),
        }
        return Reply(200, gone)

    def _limits(self, request: Request) -> Reply:
        _only(request, "GET")
        daily = {"Max": self._world.settings.daily_limit, "Remaining": self.remaining()}
        return Reply(200, {"DailyApiRequests": daily, "DailyBulkV2QueryJobs": {"Max": 10_000, "Remaining": 10_000}})

    def _actions(self, request: Request) -> Reply:
        if request.parts[1:] != ["standard", "customNotificationAction"]:
            raise not_found()
        _only(request, "POST")
        inputs = request.json().get("inputs")
        if not isinstance(inputs, list) or not inputs or not all(isinstance(each, dict) for each in inputs):
            raise RequestError(400, "INVALID_INPUT", "The request needs inputs.")
        results = [self._notify(request.user, each) for each in inputs]
        return Reply(200 if any(each["isSuccess"] for each in results) else 400, results)

    def _notify(self, user: str, wish: dict[str, Any]) -> dict[str, Any]:
        world = self._world
        kind, to = ids.full(wish.get("customNotifTypeId")), wish.get("recipientIds")
        problem = None
        if kind is None or world.find("CustomNotificationType", kind) is None:
            problem = "customNotifTypeId: no such notification type"
        elif not isinstance(to, list) or not to or len(to) > 500:
            problem = "recipientIds: give 1 to 500 recipients"
        elif not 0 < len(str(wish.get("title") or "")) <= 250 or not 0 < len(str(wish.get("body") or "")) <= 750:
            problem = "title (250) and body (750) are required and limited in length"
        elif not wish.get("targetId") and not wish.get("targetPageRef"):
            problem = "targetId or targetPageRef is required"
        if problem is not None:
            errors = [{"statusCode": "INVALID_INPUT", "message": problem, "fields": []}]
            return {
                "actionName": "customNotificationAction",
                "errors": errors,
                "isSuccess": False,
                "outputValues": None,
            }
        world.notifications.append({"at": world.clock.now().astimezone(UTC).isoformat(), "sender": user, **wish})
        return {
            "actionName": "customNotificationAction",
            "errors": None,
            "isSuccess": True,
            "outputValues": {"SuccessMessage": "sent"},
        }

    def _tooling(self, request: Request) -> Reply:
        # crm.md A17: a new field is seen by nobody until FieldPermissions say so
        if request.parts[1:] != ["sobjects", "CustomField"]:
            raise not_found()
        _only(request, "POST")
        body = request.json()
        name, _, key = str(body.get("FullName", "")).partition(".")
        wish = body.get("Metadata", {})
        name = "Task" if name == "Activity" else name
        length = wish.get("length", 0) if isinstance(wish, dict) else None
        known_type = length is not None and str(wish.get("type")) in _METADATA_TYPES
        if name not in self._world.shapes or not key.endswith("__c") or not known_type or not isinstance(length, int):
            raise RequestError(400, "FIELD_INTEGRITY_EXCEPTION", "FullName or Metadata is not right")
        if key in self._world.shapes[name].fields:
            message = f"There is already a field named {key} on {name}."
            raise RequestError(400, "DUPLICATE_DEVELOPER_NAME", message)
        known = Field(
            key,
            _METADATA_TYPES[wish["type"]],
            length,
            external=bool(wish.get("externalId")),
            unique=bool(wish.get("unique")),
            case_sensitive=bool(wish.get("caseSensitive")),
            indexed=bool(wish.get("externalId")),
            label=str(wish.get("label", "")),
        )
        self._world.add_field(name, known)
        self._world.hidden.add((name, key))
        return Reply(201, {"id": self._world.field_id(), "success": True, "errors": [], "warnings": [], "infos": []})


def _changed_since(row: Row, text: str) -> bool:
    try:
        since = parsedate_to_datetime(text)
    except ValueError as error:
        message = f"Cannot parse the date {text!r}"
        raise RequestError(400, "INVALID_HTTP_HEADER", message) from error
    return parse_moment(_stamp(row)) > since.replace(tzinfo=since.tzinfo or UTC)


def _stamp(row: Row) -> str:
    return str(row.get("SystemModstamp") or row["CreatedDate"])


def _only(request: Request, method: str) -> None:
    if request.method != method:
        text = f"HTTP Method '{request.method}' not allowed. Allowed are {method}"
        raise RequestError(405, "METHOD_NOT_ALLOWED", text)
