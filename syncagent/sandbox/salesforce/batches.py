"""SObject Collections, Composite and Composite Graph: many writes in one call (crm.md A6, A7)."""

import re
from collections.abc import Callable
from itertools import groupby
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from syncagent.sandbox.salesforce import ids, writes
from syncagent.sandbox.salesforce.rest import Reply, Request, Rest, not_found
from syncagent.sandbox.salesforce.world import RequestError, RowError, World

_REFERENCE: Final = re.compile(r"@\{(\w+)((?:\.\w+|\[\d+\])*)\}")
_ROLLED_BACK: Final = "Record rolled back because not all records were valid and the request was using AllOrNone header"
_HALTED: Final = "The transaction was rolled back since another operation in the same transaction failed."


class Batches:
    """Answers everything under /composite."""

    def __init__(self, world: World, rest: Rest) -> None:
        self._world = world
        self._rest = rest
        rest.add("composite", self.answer)

    def answer(self, request: Request) -> Reply:
        """Answer a call of /composite, /composite/sobjects... or /composite/graph."""
        match request.parts[1:]:
            case [] if request.method == "POST" and not request.nested:
                return self._composite(request)
            case ["graph"] if request.method == "POST" and not request.nested:
                return self._graph(request)
            case ["sobjects"] if request.method in ("POST", "PATCH"):
                return self._records(request)
            case ["sobjects"] if request.method == "DELETE":
                return self._delete(request)
            case ["sobjects", name] if name in self._world.shapes and request.method in ("GET", "POST"):
                return self._retrieve(request, name)
            case ["sobjects", name, key] if name in self._world.shapes and request.method == "PATCH":
                return self._upsert(request, name, key)
        raise not_found()

    def _records(self, request: Request) -> Reply:
        body = request.json()
        records = _list(body.get("records"))
        kinds = [_kind(record) for record in records]
        if any(kind not in self._world.shapes for kind in kinds):
            raise RequestError(
                400, "INVALID_TYPE", "Every record needs attributes with the type of an object of this org."
            )
        if sum(1 for _ in groupby(kinds)) > 10:
            raise RequestError(
                400, "LIMIT_EXCEEDED", "Records of one type must stand together: at most 10 chunks in a call."
            )
        actor = request.actor()
        seen: set[str] = set()

        def write(place: int) -> dict[str, Any]:
            record, kind = records[place], str(kinds[place])
            if request.method == "POST":
                return _done(writes.create(self._world, actor, kind, record))
            values = {key: value for key, value in record.items() if key not in ("id", "Id")}
            ident = self._known_id(record.get("id", record.get("Id")), kind)
            if ident in seen:
                raise RowError("DUPLICATE_VALUE", f"duplicate id in list: {ident}")
            seen.add(ident)
            writes.update(self._world, actor, kind, ident, values)
            return _done(ident)

        return self._all(len(records), bool(body.get("allOrNone")), write)

    @staticmethod
    def _known_id(given: object, kind: str) -> str:
        if given is None:
            raise RowError("MISSING_ARGUMENT", "Id not specified in an update call", ["Id"])
        if (ident := ids.full(given)) is None:
            raise RowError("MALFORMED_ID", f"{kind} ID: id value of incorrect type: {given}", ["Id"])
        return ident

    def _upsert(self, request: Request, name: str, key: str) -> Reply:
        body = request.json()
        records = _list(body.get("records"))
        known = self._rest.external(name, key)
        if any(_kind(record) != name for record in records):
            raise RequestError(400, "INVALID_TYPE", f"Every record needs attributes with the type {name}.")
        values = [record.get(key) for record in records]
        actor = request.actor()

        def write(place: int) -> dict[str, Any]:
            value = values[place]
            if value in (None, ""):
                raise RowError("MISSING_ARGUMENT", f"{key} not specified", [key])
            if values.count(value) > 1:
                raise RowError("DUPLICATE_VALUE", f"Duplicate external id specified: {value}", [key])
            rest = {field: one for field, one in records[place].items() if field != key}
            ident, created = self._rest.upsert(actor, name, known, value, rest)
            return {**_done(ident), "created": created}

        return self._all(len(records), bool(body.get("allOrNone")), write)

    def _delete(self, request: Request) -> Reply:
        wanted = [one for one in request.query.get("ids", "").split(",") if one]
        _list([{}] * len(wanted))
        actor = request.actor()

        def write(place: int) -> dict[str, Any]:
            ident = self._known_id(wanted[place], "Record")
            kind = self._world.kind_of(ident)
            if kind is None:
                raise RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
            writes.delete(self._world, actor, kind, ident)
            return _done(ident)

        return self._all(len(wanted), request.query.get("allOrNone") == "true", write)

    def _retrieve(self, request: Request, name: str) -> Reply:
        if request.method == "POST":
            body = request.json()
            wanted, fields = body.get("ids", []), body.get("fields", [])
        else:
            wanted, fields = request.query.get("ids", "").split(","), request.query.get("fields", "").split(",")
        if not isinstance(wanted, list) or not isinstance(fields, list):
            raise RequestError(400, "JSON_PARSER_ERROR", "ids and fields must be lists.")
        if len(wanted) > (2000 if request.method == "POST" else 800) or not wanted or not fields:
            raise RequestError(400, "LIMIT_EXCEEDED", "Give fields and at most 2000 ids.")
        found = [self._world.find(name, ids.full(one) or "") for one in wanted]
        shown = [
            None if row is None or row["IsDeleted"] else self._rest.record(name, row, fields, request.version)
            for row in found
        ]
        return Reply(200, shown)

    def _all(self, count: int, together: bool, write: Callable[[int], dict[str, Any]]) -> Reply:  # noqa: FBT001  as sent
        """Write row by row in order; always 200. Together: after one failure nothing stays."""
        results: list[dict[str, Any]] = []
        failed: list[bool] = []
        with self._world.undoing() as written:
            for place in range(count):
                try:
                    results.append(write(place))
                except RowError as error:
                    results.append(_failure(error))
                except RequestError:
                    self._world.undo(written)
                    raise
                failed.append(not results[-1]["success"])
            if together and any(failed):
                self._world.undo(written)
                rolled = RowError("ALL_OR_NONE_OPERATION_ROLLED_BACK", _ROLLED_BACK)
                results = [result if bad else _failure(rolled) for result, bad in zip(results, failed, strict=True)]
        return Reply(200, results)

    def _composite(self, request: Request) -> Reply:
        body = request.json()
        return Reply(200, self._run(request, _subrequests(body, 25), together=bool(body.get("allOrNone")))[0])

    def _graph(self, request: Request) -> Reply:
        graphs = request.json().get("graphs")
        if not isinstance(graphs, list) or not graphs or len(graphs) > 75:
            raise RequestError(400, "LIMIT_EXCEEDED", "A payload holds 1 to 75 graphs.")
        if not all(isinstance(graph, dict) and isinstance(graph.get("compositeRequest"), list) for graph in graphs):
            raise RequestError(400, "JSON_PARSER_ERROR", "Every graph needs its compositeRequest.")
        if sum(len(graph["compositeRequest"]) for graph in graphs) > 500:
            raise RequestError(400, "LIMIT_EXCEEDED", "A payload holds at most 500 nodes.")
        results = []
        for graph in graphs:
            parts = _subrequests(graph, 500)
            if any("/sobjects/" not in part["url"] for part in parts):
                raise RequestError(400, "INVALID_INPUT", "A graph may only hold calls of /sobjects/.")
            answer, good = self._run(request, parts, together=True)
            results.append({"graphId": graph.get("graphId"), "graphResponse": answer, "isSuccessful": good})
        return Reply(200, {"graphs": results})

    def _run(self, request: Request, parts: list[dict[str, Any]], *, together: bool) -> tuple[dict[str, Any], bool]:
        replies: list[Reply] = []
        known: dict[str, Any] = {}
        with self._world.undoing() as written:
            for part in parts:
                reply = self._part(request, part, known)
                replies.append(reply)
                if reply.status < 300:
                    known[part["referenceId"]] = reply.value
            bad = [reply.status >= 300 for reply in replies]
            if together and any(bad):
                self._world.undo(written)
                halted = Reply(400, [{"errorCode": "PROCESSING_HALTED", "message": _HALTED}])
                first = bad.index(True)
                replies = [reply if place == first else halted for place, reply in enumerate(replies)]
        answers = [
            {
                "body": reply.value,
                "httpHeaders": reply.headers,
                "httpStatusCode": reply.status,
                "referenceId": part["referenceId"],
            }
            for part, reply in zip(parts, replies, strict=True)
        ]
        return {"compositeResponse": answers}, not any(bad)

    def _part(self, request: Request, part: dict[str, Any], known: dict[str, Any]) -> Reply:
        try:
            url = urlsplit(_fill(part["url"], known, quote=True))
            body = _fill(part.get("body"), known)
        except LookupError as error:
            return Reply(
                400, [{"errorCode": "PROCESSING_HALTED", "message": f"Invalid reference specified. {error.args[0]}"}]
            )
        pieces = [unquote(piece) for piece in url.path.split("/") if piece]
        if pieces[:2] != ["services", "data"] or len(pieces) < 4:
            return Reply(404, [{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}])
        # only Accept, Authorization and Content-Type come down from the outer call (crm.md A4)
        headers = {name.lower(): str(value) for name, value in (part.get("httpHeaders") or {}).items()}
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        inner = Request(part["method"], pieces[2], pieces[3:], query, headers, request.user, None, body, nested=True)
        return self._rest.dispatch(inner)


def _subrequests(body: dict[str, Any], most: int) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = _list(body.get("compositeRequest"), most)
    if any(not isinstance(part.get(key), str) for part in parts for key in ("method", "url", "referenceId")):
        raise RequestError(400, "INVALID_INPUT", "Every subrequest needs method, url and referenceId.")
    if any(not isinstance(part.get("httpHeaders") or {}, dict) for part in parts):
        raise RequestError(400, "INVALID_INPUT", "httpHeaders must be a JSON object.")
    if len({part["referenceId"] for part in parts}) < len(parts):
        raise RequestError(400, "INVALID_INPUT", "The referenceIds of a call must differ.")
    heavy = sum(1 for part in parts if re.search(r"/(query|queryAll|composite/sobjects)\b", part["url"]))
    if heavy > 5:
        raise RequestError(400, "LIMIT_EXCEEDED", "At most 5 of the subrequests may be queries or collections.")
    return parts


def _list(records: Any, most: int = 200) -> list[dict[str, Any]]:  # noqa: ANN401  as sent
    if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
        raise RequestError(400, "JSON_PARSER_ERROR", "The request needs a list of records.")
    if len(records) > most:
        raise RequestError(400, "LIMIT_EXCEEDED", f"{len(records)} records are more than the limit of {most}.")
    return records


def _kind(record: dict[str, Any]) -> object:
    attributes = record.get("attributes")
    kind = attributes.get("type") if isinstance(attributes, dict) else None
    return kind if isinstance(kind, str) else None


def _done(ident: str) -> dict[str, Any]:
    return {"id": ident, "success": True, "errors": []}


def _failure(error: RowError) -> dict[str, Any]:
    # no id, and statusCode where single rows say errorCode (crm.md A3, A6)
    return {
        "success": False,
        "errors": [{"statusCode": error.code, "message": error.message, "fields": error.fields, **error.extra}],
    }


def _fill(value: Any, known: dict[str, Any], *, quote: bool = False) -> Any:  # noqa: ANN401  any JSON value
    """Put in what earlier subrequests answered for each `@{ref.path}`; LookupError when there is nothing."""
    if isinstance(value, dict):
        return {key: _fill(one, known) for key, one in value.items()}
    if isinstance(value, list):
        return [_fill(one, known) for one in value]
    if not isinstance(value, str):
        return value
    if not quote and (whole := _REFERENCE.fullmatch(value)) is not None:
        return _resolve(whole, known)
    return _REFERENCE.sub(lambda match: str(_resolve(match, known)), value)


def _resolve(match: re.Match[str], known: dict[str, Any]) -> Any:  # noqa: ANN401  any JSON value
    found = known.get(match[1])
    for name, place in re.findall(r"\.(\w+)|\[(\d+)\]", match[2]):
        try:
            found = found[name] if name else found[int(place)]  # type: ignore[index]  # a miss is told below
        except (LookupError, TypeError) as error:
            raise LookupError(f"No value for {match[1]}{match[2]} found in {match[1]}") from error
    if found is None:
        raise LookupError(f"No value for {match[1]}{match[2]} found in {match[1]}")
    return found
