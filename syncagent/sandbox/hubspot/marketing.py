"""Forms, e-mail events and page events: what the marketing side tells, and how it comes about.

Source: marketing_automation.md 4.1. Submissions come newest first and have no filter by time; e-mail events are
identified by (id, created); page events exist only in portals of the Enterprise kind.
"""

import base64
import binascii
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from syncagent.sandbox.hubspot import writes
from syncagent.sandbox.hubspot.portal import Actor, Portal, Record
from syncagent.sandbox.hubspot.refusal import RefusedError, invalid, not_found
from syncagent.sandbox.hubspot.request import Reply, Request
from syncagent.sandbox.hubspot.tracks import EmailEvent, Submission, Visit
from syncagent.sandbox.hubspot.values import millis, moment_of, wire

EMAIL_TYPES: Final = (
    *("SENT", "DELIVERED", "OPEN", "CLICK", "BOUNCE", "DROPPED", "DEFERRED", "PROCESSED", "STATUSCHANGE"),
    *("SPAMREPORT", "UNBOUNCE", "FORWARD", "PRINT"),
)
VISIT: Final = "e_visited_page"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def forms(portal: Portal, request: Request) -> Reply | None:
    """Answer marketing/forms: the definitions, by page."""
    if request.method != "GET":
        return None
    rows = [
        {"id": guid, "name": name, "formType": "hubspot", "archived": False, "createdAt": wire(_EPOCH)}
        for guid, name in portal.tracks.forms.items()
    ]
    match request.parts[2:]:
        case []:
            start, limit = _cursor(request.call.param("after")), request.limit(20, 100)
            told: dict[str, Any] = {"results": rows[start : start + limit]}
            if rows[start + limit :]:
                told["paging"] = {"next": {"after": _token(start + limit)}}
            return Reply(200, told)
        case [guid]:
            found = next((row for row in rows if row["id"] == guid), None)
            if found is None:
                raise not_found(f"There is no form {guid}.")
            return Reply(200, found)
        case _:
            return None


def submissions(portal: Portal, request: Request) -> Reply | None:
    """Answer form-integrations/v1/submissions/forms/{guid}: newest first, at most 50."""
    if request.method != "GET" or request.parts[1:4] != ["v1", "submissions", "forms"] or len(request.parts) != 5:
        return None
    guid = request.parts[4]
    if guid not in portal.tracks.forms:
        raise RefusedError(404, "OBJECT_NOT_FOUND", f"Form {guid} does not exist.")
    rows = sorted((each for each in portal.tracks.submissions if each.form == guid), key=lambda each: each.at)
    limit = request.limit(20, 50)
    # the cursor counts from the oldest: what comes in between two pages does not shift the second
    end = _cursor(request.call.param("after")) or len(rows)
    page = rows[max(0, end - limit) : end][::-1]
    told: dict[str, Any] = {"results": [_submission(portal, each) for each in page]}
    if end > limit:
        told["paging"] = {"next": {"after": _token(end - limit), "link": ""}}
    return Reply(200, told)


def _submission(portal: Portal, each: Submission) -> dict[str, Any]:
    values = [{"name": name, "value": value, "objectTypeId": "0-1"} for name, value in each.values.items()]
    known = {"conversionId": each.conversion} if portal.settings.conversion_ids else {}
    return known | {
        "submittedAt": millis(each.at),
        "values": values,
        "pageUrl": each.page,
    }


def _token(number: int) -> str:
    return base64.urlsafe_b64encode(f"at:{number}".encode()).decode()


def _cursor(text: str) -> int:
    if not text:
        return 0
    try:
        return int(base64.urlsafe_b64decode(text.encode()).decode().removeprefix("at:"))
    except (ValueError, binascii.Error) as error:
        raise invalid(f"after is not a cursor of ours: {text}") from error


def emails(portal: Portal, request: Request) -> Reply | None:
    """Answer email/public/v1/events and .../campaigns/{id}."""
    if request.method != "GET":
        return None
    match request.parts[3:]:
        case ["events"]:
            return _email_events(portal, request)
        case ["campaigns", number] if number.isdigit() and int(number) in portal.tracks.campaigns:
            return Reply(200, portal.tracks.campaigns[int(number)])
        case _:
            return None


def _email_events(portal: Portal, request: Request) -> Reply:
    call = request.call
    low = _moment(call.param("startTimestamp"), _EPOCH)
    high = _moment(call.param("endTimestamp"), portal.now())
    wanted: list[Callable[[EmailEvent], bool]] = [lambda each: low <= each.created <= high]
    if kind := call.param("eventType"):
        wanted.append(lambda each: each.type == kind)
    if recipient := call.param("recipient"):
        wanted.append(lambda each: each.recipient == recipient)
    if campaign := call.param("campaignId"):
        wanted.append(lambda each: str(each.campaign) == campaign)
    rows = [each for each in portal.tracks.emails if all(test(each) for test in wanted)]
    rows.sort(key=lambda each: each.created, reverse=True)
    start, limit = _cursor(call.param("offset")), request.limit(100, 1_000)
    page, more = rows[start : start + limit], len(rows) > start + limit
    told = {"hasMore": more, "offset": _token(start + len(page)), "events": [_email(portal, each) for each in page]}
    return Reply(200, told)


def _email(portal: Portal, each: EmailEvent) -> dict[str, Any]:
    return {
        "id": each.id,
        "created": millis(each.created),
        "type": each.type,
        "recipient": each.recipient,
        "portalId": portal.settings.portal_id,
        "appId": 113,
        "appName": "Batch",
        "emailCampaignId": each.campaign,
        **each.more,
    }


def _moment(text: str, otherwise: datetime) -> datetime:
    try:
        return moment_of(text) if text else otherwise
    except ValueError as error:
        raise invalid(f"{text} is not a time.") from error


def events(portal: Portal, request: Request) -> Reply | None:
    """Answer events/v3/events: what contacts did on the site, where the portal has that."""
    if request.method != "GET" or request.parts[1:2] != ["events"]:
        return None
    if not portal.settings.page_events:
        context = {"requiredGranularScopes": ["business-intelligence"]}
        errors = [{"message": "One or more of the following scopes are required.", "context": context}]
        told = "This app hasn't been granted all required scopes to make this call."
        raise RefusedError(403, "MISSING_SCOPES", told, errors=errors)
    if request.parts[2:] == ["event-types"]:
        return Reply(200, {"eventTypes": sorted({VISIT, *(each.type for each in portal.tracks.visits)})})
    if request.parts[2:]:
        return None
    return _page_events(portal, request)


def _page_events(portal: Portal, request: Request) -> Reply:
    call, contacts = request.call, portal.kinds["contacts"]
    if (call.param("objectId") and not call.param("objectType")) or call.param("objectType", "contact") != "contact":
        raise invalid("objectType must be contact.")
    low = _moment(call.param("occurredAfter"), _EPOCH)
    high = _moment(call.param("occurredBefore"), portal.now())
    wanted = None
    if ident := call.param("objectId"):
        record = portal.get(contacts, ident)
        wanted = record.id if record is not None else ident
    elif email := call.param("objectProperty.email"):
        record = portal.by_key(contacts, "email", email)
        wanted = record.id if record is not None else ""
    shown = {name.removeprefix("property."): value for name, value in call.query if name.startswith("property.")}
    rows = []
    for each in portal.tracks.visits:
        holder = portal.get(contacts, each.contact)
        if holder is None or not low <= each.at <= high:
            continue
        fits = all(each.properties.get(name) == value for name, value in shown.items())
        if fits and wanted in (None, holder.id) and call.param("eventType", each.type) == each.type:
            rows.append((each, holder.id))
    rows.sort(key=lambda row: (row[0].at, row[0].id), reverse=call.param("sort") not in ("occurredAt", "ASCENDING"))
    start, limit = _cursor(call.param("after")), request.limit(20, 1_000)
    told: dict[str, Any] = {"results": [_visit(each, holder) for each, holder in rows[start : start + limit]]}
    if rows[start + limit :]:
        told["paging"] = {"next": {"after": _token(start + limit), "link": ""}}
    return Reply(200, told)


def _visit(each: Visit, holder: str) -> dict[str, Any]:
    return {
        "id": each.id,
        "eventType": each.type,
        "objectId": holder,
        "objectType": "CONTACT",
        "occurredAt": wire(each.at),
        "properties": each.properties,
    }


def _when(portal: Portal, given: dict[str, Any]) -> datetime:
    return moment_of(str(given["at"])) if given.get("at") else portal.now()


def submit_form(portal: Portal, given: dict[str, Any], *, quiet: bool = False) -> dict[str, Any]:
    """Somebody sends a form: the contact of that address is found or made, and its conversion counted.

    {form: guid or name, email, values?, page?, at?, conversion?} -> {"id": of the contact, "conversion"}
    """
    named = str(given["form"])
    guid = next((guid for guid, name in portal.tracks.forms.items() if named in (guid, name)), None)
    if guid is None:
        guid = add_form(portal, {"name": named})
    at, email = _when(portal, given), str(given["email"]).lower()
    values = {"email": email, **{str(name): str(value) for name, value in given.get("values", {}).items()}}
    contact = _contact(portal, values, at, quiet=quiet, form=portal.tracks.forms[guid])
    conversion = str(given.get("conversion") or uuid.UUID(int=portal.dice.getrandbits(128), version=4))
    page = str(given.get("page", "https://www.example.com/"))
    portal.tracks.submissions.append(Submission(conversion, guid, at, values, page))
    return {"id": contact.id, "conversion": conversion}


def _contact(portal: Portal, values: dict[str, str], at: datetime, *, quiet: bool, form: str) -> Record:
    kind = portal.kinds["contacts"]
    record = portal.by_key(kind, "email", values["email"])
    known = {name: value for name, value in values.items() if name in kind.properties}
    count = 0 if record is None else int(record.values.get("num_conversion_events") or 0)
    known |= {
        "num_conversion_events": str(count + 1),
        "recent_conversion_date": wire(at),
        "recent_conversion_event_name": form,
    }
    given = {"properties": known}
    if record is None:
        plan = writes.plan_create(portal, kind, given, set(), by_hand=True)
    else:
        plan = writes.plan_update(portal, record, given, set(), by_hand=True)
    return writes.apply(portal, plan, Actor("FORM", "", form), at=at if quiet else None, quiet=quiet)


def add_form(portal: Portal, given: dict[str, Any]) -> str:
    """A form's guid; {name, id?}."""
    guid = str(given.get("id") or uuid.UUID(int=portal.dice.getrandbits(128), version=4))
    portal.tracks.forms[guid] = str(given["name"])
    return guid


def add_campaign(portal: Portal, given: dict[str, Any]) -> int:
    """An e-mail that is sent to many; {name, subject?, id?}."""
    number = int(given.get("id") or 70_001 + len(portal.tracks.campaigns))
    name = str(given["name"])
    told = {"id": number, "appId": 113, "appName": "Batch", "name": name, "subject": given.get("subject", name)}
    portal.tracks.campaigns[number] = told
    return number


def email_event(portal: Portal, given: dict[str, Any]) -> dict[str, Any]:
    """Something happens to an e-mail: {type, email, campaign?: number or name, at?, id?, url?} -> {"id", "created"}.

    The same `id` may be given again with another moment: events are one only when both agree.
    """
    if given["type"] not in EMAIL_TYPES:
        raise ValueError(f"There is no e-mail event {given['type']!r}; there are {', '.join(EMAIL_TYPES)}.")
    wanted = given.get("campaign", "Newsletter")
    known = portal.tracks.campaigns
    number = next((each for each, told in known.items() if wanted in (each, told["name"])), None)
    if number is None:
        number = add_campaign(portal, {"name": str(wanted)})
    ident = str(given.get("id") or uuid.UUID(int=portal.dice.getrandbits(128), version=4))
    more = {"url": given["url"]} if "url" in given else {}
    made = EmailEvent(ident, _when(portal, given), given["type"], str(given["email"]).lower(), number, more)
    portal.tracks.emails.append(made)
    return {"id": ident, "created": millis(made.created)}


def page_view(portal: Portal, given: dict[str, Any]) -> dict[str, Any]:
    """A contact does something on the site: {contact, url?, type?, at?, properties?} -> {"id"}."""
    contact = portal.live(portal.kinds["contacts"], str(given["contact"]))
    properties = {"hs_url": str(given.get("url", "https://www.example.com/")), **given.get("properties", {})}
    ident = str(uuid.UUID(int=portal.dice.getrandbits(128), version=4))
    portal.tracks.visits.append(
        Visit(ident, str(given.get("type", VISIT)), contact.id, _when(portal, given), properties)
    )
    return {"id": ident}
