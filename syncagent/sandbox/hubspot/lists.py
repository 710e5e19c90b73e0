"""Lists and their members, for nurture (marketing_automation.md 4.1; shapes after the unmodified client's models)."""

from typing import Any

import msgspec

from syncagent.sandbox.hubspot.portal import Portal
from syncagent.sandbox.hubspot.refusal import RefusedError, invalid, not_found
from syncagent.sandbox.hubspot.request import Reply, Request
from syncagent.sandbox.hubspot.tracks import StaticList
from syncagent.sandbox.hubspot.values import wire

_MOST = 100_000


def answer(portal: Portal, request: Request) -> Reply | None:
    """Answer crm/lists/..."""
    match request.method, request.parts[2:]:
        case "POST", []:
            return Reply(200, {"list": _view(create(portal, request.json()))})
        case "GET", []:
            wanted = request.listed("listIds")
            return Reply(200, {"lists": [_view(_list(portal, ident)) for ident in wanted]})
        case "POST", ["search"]:
            return _search(portal, request)
        case "GET", ["object-type-id", type_id, "name", name]:
            known = next(
                (each for each in portal.tracks.lists.values() if (each.type_id, each.name) == (type_id, name)), None
            )
            if known is None:
                raise not_found(f"There is no list {name}.")
            return Reply(200, {"list": _view(known)})
        case "GET", ["records", _, ident, "memberships"]:
            return _of_record(portal, ident)
        case "GET", [ident]:
            return Reply(200, {"list": _view(_list(portal, ident))})
        case "DELETE", [ident]:
            del portal.tracks.lists[_list(portal, ident).id]
            return Reply(204)
        case method, [ident, "memberships", *verb]:
            return _memberships(portal, request, _list(portal, ident), method, verb)
        case _:
            return None


def create(portal: Portal, given: dict[str, Any]) -> StaticList:
    """A new list; 400 for a name that is taken."""
    name, type_id = str(given.get("name", "")), str(given.get("objectTypeId", "0-1"))
    if not name or any(each.name == name for each in portal.tracks.lists.values()):
        raise invalid(f"The name {name!r} is missing or taken.")
    ident = str(given.get("id") or len(portal.tracks.lists) + 1)
    made = StaticList(ident, name, type_id, str(given.get("processingType", "MANUAL")), portal.now())
    portal.tracks.lists[ident] = made
    return made


def _list(portal: Portal, ident: str) -> StaticList:
    known = portal.tracks.lists.get(ident)
    if known is None:
        raise RefusedError(404, "OBJECT_NOT_FOUND", f"List does not exist with ID {ident}.")
    return known


def _view(known: StaticList) -> dict[str, Any]:
    return {
        "listId": known.id,
        "listVersion": 1,
        "name": known.name,
        "objectTypeId": known.type_id,
        "processingType": known.processing,
        "processingStatus": "COMPLETE",
        "createdAt": wire(known.created),
        "updatedAt": wire(known.created),
        "additionalProperties": {"hs_list_size": str(len(known.members))},
        "size": len(known.members),
    }


def _search(portal: Portal, request: Request) -> Reply:
    body = request.json()
    word, offset = str(body.get("query") or "").lower(), int(body.get("offset") or 0)
    count = min(int(body.get("count") or 20), 500)
    found = [_view(each) for each in portal.tracks.lists.values() if word in each.name.lower()]
    page = found[offset : offset + count]
    told = {"offset": offset + len(page), "hasMore": offset + len(page) < len(found), "total": len(found)}
    return Reply(200, {"lists": page, **told})


def _of_record(portal: Portal, ident: str) -> Reply:
    rows = [
        {
            "listId": each.id,
            "listVersion": 1,
            "isPublicList": False,
            "firstAddedTimestamp": wire(each.members[ident]),
            "lastAddedTimestamp": wire(each.members[ident]),
        }
        for each in portal.tracks.lists.values()
        if ident in each.members
    ]
    return Reply(200, {"results": rows, "total": len(rows)})


def _memberships(portal: Portal, request: Request, known: StaticList, method: str, verb: list[str]) -> Reply | None:
    if method == "GET" and verb in ([], ["join-order"]):
        return _members(portal, request, known)
    if known.processing == "DYNAMIC":
        raise invalid("Records cannot be added to or removed from a DYNAMIC list.")
    if method == "DELETE" and not verb:
        known.members.clear()
        return Reply(204)
    if method != "PUT" or verb not in (["add"], ["remove"], ["add-and-remove"]):
        return None
    if verb == ["add-and-remove"]:
        body = request.json()
        add, remove = body.get("recordIdsToAdd") or [], body.get("recordIdsToRemove") or []
    else:
        try:
            ids = msgspec.json.decode(request.call.body, type=list[str | int])
        except (ValueError, msgspec.ValidationError) as error:
            raise invalid(f"Invalid input JSON: {error}") from error
        add, remove = (ids, []) if verb == ["add"] else ([], ids)
    if len(add) + len(remove) > _MOST:
        raise invalid(f"At most {_MOST} records.")
    return Reply(200, _move(portal, known, [str(each) for each in add], [str(each) for each in remove]))


def _move(portal: Portal, known: StaticList, add: list[str], remove: list[str]) -> dict[str, Any]:
    kind = portal.kind(known.type_id)
    added, missing = [], []
    for ident in add:
        record = portal.get(kind, ident)
        if record is None or record.archived_at is not None:
            missing.append(ident)
        elif record.id not in known.members:
            known.members[record.id] = portal.now()
            added.append(record.id)
    removed = [ident for ident in remove if known.members.pop(ident, None) is not None]
    return {"recordsIdsAdded": added, "recordIdsRemoved": removed, "recordIdsMissing": missing}


def _members(portal: Portal, request: Request, known: StaticList) -> Reply:
    limit, after = request.limit(100, 250), request.call.param("after", "0")
    if not after.isdigit():
        raise invalid(f"after is not a cursor of ours: {after}")
    kind = portal.kind(known.type_id)
    live = [
        (ident, at)
        for ident, at in sorted(known.members.items(), key=lambda pair: int(pair[0]))
        if (record := portal.get(kind, ident)) is not None and record.archived_at is None
    ]
    page = [each for each in live if int(each[0]) > int(after)]
    rows = [{"recordId": ident, "membershipTimestamp": wire(at)} for ident, at in page[:limit]]
    told: dict[str, Any] = {"results": rows, "total": len(live)}
    if page[limit:]:
        told["paging"] = {"next": {"after": rows[-1]["recordId"], "link": ""}}
    return Reply(200, told)
