"""The feed's endpoints: paging tokens, activities, lead changes, deleted leads, types.

Source: marketing_automation.md 1.4 and 1.9.
"""

from dataclasses import replace
from typing import Any

from syncagent.sandbox.marketo import catalog as kinds
from syncagent.sandbox.marketo.feed import BadTokenError, Token, Wanted
from syncagent.sandbox.marketo.gate import RefusedError
from syncagent.sandbox.marketo.instance import Handler, Instance, Reply, Request, moment

MAX_TYPES = 10
MAX_LEADS = 30


def paging_token(site: Instance, request: Request, _: list[str]) -> Reply:
    """A token that stands for a date."""
    since = request.one("sinceDatetime")
    if not since:
        raise RefusedError("701", "sinceDatetime cannot be blank")
    # a plus sign that was not URL-encoded arrives as a space, and is as wrong here as there
    return {"nextPageToken": replace(site.feed.mint(moment(since)), epoch=site.epoch).text()}


def activities(site: Instance, request: Request, _: list[str]) -> Reply:
    """The next page of activities of up to ten types."""
    types = request.numbers("activityTypeIds")
    if not types:
        raise RefusedError("1002", "Missing value for the required parameter 'activityTypeIds'")
    if len(types) > MAX_TYPES:
        raise RefusedError("1003", f"Too many activityTypeIds: at most {MAX_TYPES} are allowed")
    if unknown := [each for each in types if each not in site.catalog.types]:
        raise RefusedError("1003", f"Invalid activityTypeIds: {unknown}")
    assets = request.numbers("assetIds")
    if assets and len(types) != 1:
        raise RefusedError("1003", "assetIds may be used with one activityTypeId only")
    feed = site.feed
    wanted = Wanted(
        # a deletion is told by deletedleads.json and nowhere else
        frozenset(types) - {kinds.DELETE},
        _leads(site, request),
        detail=(lambda at: feed.asset(at) in assets) if assets else None,
    )
    token = _token(site, request)
    found, after = _page(site, request, token, wanted)
    settings = site.settings
    rows = [feed.row(at, with_id=settings.ids, offset_dates=settings.offset_dates) for at in found]
    return _enveloped(site, rows, after)


def lead_changes(site: Instance, request: Request, _: list[str]) -> Reply:
    """The next page of changed values and new leads, in their own shape."""
    names = request.many("fields")
    if not names:
        raise RefusedError("1002", "Missing value for the required parameter 'fields'")
    known = site.catalog.fields
    if unknown := [name for name in names if name not in known]:
        raise RefusedError("1006", f"Field '{unknown[0]}' not found")
    numbers = {known[name].id for name in names}
    feed = site.feed

    def about(at: int) -> bool:
        return feed.kind(at) == kinds.NEW_LEAD or feed.asset(at) in numbers

    wanted = Wanted(frozenset({kinds.NEW_LEAD, kinds.CHANGE_VALUE}), _leads(site, request), detail=about)
    found, after = _page(site, request, _token(site, request), wanted)
    shown = [_change(site, feed.decoded(at)) for at in found]
    return _pages(site, after) | ({"result": shown} if shown or not site.settings.omit_empty_result else {})


def _change(site: Instance, row: dict[str, Any]) -> dict[str, Any]:
    values = {each["name"]: each["value"] for each in row["attributes"]}
    shown: dict[str, Any] = {
        name: row[name] for name in ("id", "marketoGUID", "leadId", "activityDate", "activityTypeId") if name in row
    }
    if not site.settings.ids:
        shown.pop("id", None)
    shown["fields"] = []
    named = site.catalog.field_by_id(row.get("primaryAttributeValueId", 0))
    if named is not None and row["activityTypeId"] == kinds.CHANGE_VALUE:
        shown["fields"] = [
            {
                "id": named.id,
                "name": named.name,
                "newValue": values.get("New Value"),
                "oldValue": values.get("Old Value"),
            }
        ]
    kept = ("Reason", "Source", "Source Type", "Lead Source", "Created Date")
    shown["attributes"] = [{"name": name, "value": values[name]} for name in kept if name in values]
    shown["attributes"].append({"name": "Lead ID", "value": row["leadId"]})
    return shown


def deleted_leads(site: Instance, request: Request, _: list[str]) -> Reply:
    """The next page of deletions; those older than 14 days are pruned."""
    oldest = site.now - site.settings.deleted_days * 86_400
    found, after = _page(site, request, _token(site, request), Wanted(frozenset({kinds.DELETE}), not_before=oldest))
    rows = [site.feed.row(at, with_id=site.settings.ids, offset_dates=site.settings.offset_dates) for at in found]
    return _enveloped(site, rows, after)


def types(site: Instance, _: Request, __: list[str]) -> Reply:
    """All activity types with their attributes."""
    return {"result": [kind.described() for kind in site.catalog.types.values()]}


def custom_types(site: Instance, _: Request, __: list[str]) -> Reply:
    """The custom activity types."""
    found = [kind for kind in site.catalog.types.values() if kind.id >= kinds.FIRST_CUSTOM_TYPE - 1]
    return {
        "result": [
            {"id": kind.id, "apiName": kind.name.replace(" ", "_").lower(), "name": kind.name, "status": "approved"}
            for kind in found
        ]
    }


def empty_page(site: Instance, request: Request) -> bytes:
    """A page with nothing in it and more behind it: the position stays, the token differs."""
    token = _token(site, request)
    site.served += 1
    return _enveloped(site, [], replace(token, salt=site.served), more=True)


def _token(site: Instance, request: Request) -> Token:
    text = request.one("nextPageToken")
    if not text:
        raise RefusedError("1002", "Missing value for the required parameter 'nextPageToken'")
    try:
        token = Token.read(text)
    except BadTokenError as error:
        raise RefusedError(site.settings.bad_token_code, "Invalid nextPageToken") from error
    if token.epoch != site.epoch or token.position > len(site.feed):
        raise RefusedError(site.settings.bad_token_code, "Invalid nextPageToken")
    return token


def _leads(site: Instance, request: Request) -> frozenset[int] | None:
    listed, leads = request.one("listId"), request.numbers("leadIds")
    if listed and leads:
        raise RefusedError("1003", "Only one of listId and leadIds may be given")
    if len(leads) > MAX_LEADS:
        raise RefusedError("1003", f"Too many leadIds: at most {MAX_LEADS} are allowed")
    if leads:
        return frozenset(leads)
    if not listed:
        return None
    target = site.people.lists.get(request.numbers("listId")[0])
    if target is None:
        raise RefusedError("1003", f"List {listed} not found")
    if len(target.members) >= site.settings.list_limit:
        raise RefusedError("1003", f"List {listed} has {site.settings.list_limit} or more leads")
    return frozenset(target.members)


def _page(site: Instance, request: Request, token: Token, wanted: Wanted) -> tuple[list[int], Token]:
    settings = site.settings
    size = request.size()
    repeated = [token.last] if settings.repeat_last and token.last >= 0 else []
    site.served += 1
    if settings.empty_every and site.served % settings.empty_every == 0:
        # salted, because a reader may rightly take a page with the token it asked with for a loop
        return [], replace(token, salt=site.served, last=-1 if not repeated else token.last)
    found, after = site.feed.page(token, wanted, max(1, size - len(repeated)), settings.scan_window)
    return repeated + found, after


def _more(site: Instance, after: Token) -> bool:
    return after.position < len(site.feed)


def _pages(site: Instance, after: Token) -> dict[str, Any]:
    return {"nextPageToken": after.text(), "moreResult": _more(site, after)}


def _enveloped(site: Instance, rows: list[bytes], after: Token, *, more: bool | None = None) -> bytes:
    body = b"" if not rows and site.settings.omit_empty_result else b'"result":[%b],' % b",".join(rows)
    told = _more(site, after) if more is None else more
    return b'%b"nextPageToken":"%b","moreResult":%b' % (body, after.text().encode(), b"true" if told else b"false")


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", r"/rest/v1/activities/pagingtoken\.json", paging_token),
    ("GET", r"/rest/v1/activities\.json", activities),
    ("GET", r"/rest/v1/activities/leadchanges\.json", lead_changes),
    ("GET", r"/rest/v1/activities/deletedleads\.json", deleted_leads),
    ("GET", r"/rest/v1/activities/types\.json", types),
    ("GET", r"/rest/v1/activities/external/types\.json", custom_types),
]
