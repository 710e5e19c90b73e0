"""Static lists, campaigns, programs (the ways to give a lead back to marketing), and the instance's usage.

Source: marketing_automation.md 1.1 (stats), 1.5 (list members as recorded), 1.6.
"""

from typing import Any

from syncagent.sandbox.marketo.feed import stamp
from syncagent.sandbox.marketo.gate import RefusedError
from syncagent.sandbox.marketo.instance import Handler, Instance, Reply, Request, moment
from syncagent.sandbox.marketo.leads import chosen_fields, paged
from syncagent.sandbox.marketo.people import Campaign, Program, RecordError, StaticList

MAX_REQUESTED = 100
MAX_TOKENS = 100
TWO_YEARS = 2 * 366 * 86_400
_NOT_FOUND = [{"code": "1004", "message": "Lead not found"}]


def _list(site: Instance, parts: list[str]) -> StaticList:
    found = site.people.lists.get(int(parts[0]))
    if found is None:
        raise RefusedError("1013", f"List {parts[0]} not found")
    return found


def _shown(each: StaticList | Campaign) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": each.id, "name": each.name, "workspaceName": each.workspace}
    if each.program:
        shown["programName"] = each.program
    if isinstance(each, Campaign):
        shown |= {"type": each.kind, "active": each.active}
    return shown | {"createdAt": stamp(each.created), "updatedAt": stamp(each.created)}


def _asset(each: StaticList | Campaign) -> dict[str, Any]:
    # the asset API writes dates with both a Z and an offset
    date = stamp(each.created) + "+0000"
    shown: dict[str, Any] = {
        "id": each.id,
        "name": each.name,
        "createdAt": date,
        "updatedAt": date,
        "workspace": each.workspace,
    }
    if isinstance(each, Campaign):
        ready = each.active and each.kind == "trigger"
        shown |= {
            "status": "Active" if each.active else "Inactive",
            "type": each.kind,
            "isActive": each.active,
            "isRequestable": ready,
        }
    return shown


def _matching(request: Request, all_of_them: dict[int, Any]) -> list[Any]:
    ids, names = request.numbers("id"), request.params.get("name", [])
    programs, spaces = request.params.get("programName", []), request.params.get("workspaceName", [])
    return [
        each
        for each in all_of_them.values()
        if (not ids or each.id in ids)
        and (not names or each.name in names)
        and (not programs or each.program in programs)
        and (not spaces or each.workspace in spaces)
    ]


def lists(site: Instance, request: Request, _: list[str]) -> Reply:
    """The static lists, filtered."""
    return paged([_shown(each) for each in _matching(request, site.people.lists)], request)


def list_by_id(site: Instance, _: Request, parts: list[str]) -> Reply:
    """One static list."""
    return {"result": [_shown(_list(site, parts))]}


def members(site: Instance, request: Request, parts: list[str]) -> Reply:
    """The members of a list, in pages."""
    names = chosen_fields(site, request)
    return paged(
        [site.people.shown(each, names) for each in site.people.members(_list(site, parts), site.now)], request
    )


def add(site: Instance, request: Request, parts: list[str]) -> Reply:
    """Add leads to a list."""
    return {"result": [_membership(site, _list(site, parts), number, "added") for number in request.ids()]}


def remove(site: Instance, request: Request, parts: list[str]) -> Reply:
    """Remove leads from a list."""
    return {"result": [_membership(site, _list(site, parts), number, "removed") for number in request.ids()]}


def is_member(site: Instance, request: Request, parts: list[str]) -> Reply:
    """Whether leads are in a list."""
    target = _list(site, parts)
    results = []
    for number in request.ids():
        if site.people.lead(number, site.now) is None:
            results.append({"id": number, "status": "skipped", "reasons": _NOT_FOUND})
        else:
            results.append({"id": number, "status": "memberof" if number in target.members else "notmemberof"})
    return {"result": results}


def _membership(site: Instance, target: StaticList, number: int, wish: str) -> dict[str, Any]:
    lead = site.people.lead(number, site.now)
    if lead is None:
        return {"id": number, "status": "skipped", "reasons": _NOT_FOUND}
    try:
        (site.people.enlist if wish == "added" else site.people.delist)(target, lead, site.api())
    except RecordError as error:
        return {"id": number, "status": "skipped", "reasons": error.reasons()}
    return {"id": number, "status": wish}


def _campaign(site: Instance, parts: list[str]) -> Campaign:
    found = site.people.campaigns.get(int(parts[0]))
    if found is None:
        raise RefusedError("1013", f"Campaign {parts[0]} not found")
    return found


def campaigns(site: Instance, request: Request, _: list[str]) -> Reply:
    """The campaigns, filtered."""
    return paged([_shown(each) for each in _matching(request, site.people.campaigns)], request)


def campaign_by_id(site: Instance, _: Request, parts: list[str]) -> Reply:
    """One campaign."""
    return {"result": [_shown(_campaign(site, parts))]}


def trigger(site: Instance, request: Request, parts: list[str]) -> Reply:
    """Request a campaign for up to 100 leads; the answer says only that the request was taken."""
    campaign = _campaign(site, parts)
    body = request.json().get("input") or {}
    leads, tokens = body.get("leads") or [], body.get("tokens") or []
    if not leads:
        raise RefusedError("1002", "Missing value for the required parameter 'leads'")
    if len(leads) > MAX_REQUESTED or len(tokens) > MAX_TOKENS:
        raise RefusedError("1003", f"At most {MAX_REQUESTED} leads and {MAX_TOKENS} tokens are allowed")
    if not campaign.active or campaign.kind != "trigger":
        raise RefusedError("1003", f"Trigger campaign {campaign.id} is not active")
    found = [(each["id"], site.people.lead(int(each["id"]), site.now)) for each in leads]
    if missing := [number for number, lead in found if lead is None]:
        raise RefusedError("1004", f"Lead {missing[0]} not found")
    site.people.request(campaign, [lead for _, lead in found if lead is not None], tokens, site.api())
    return {"result": [{"id": campaign.id}]}


def schedule(site: Instance, request: Request, parts: list[str]) -> Reply:
    """Schedule a batch campaign, at least five minutes ahead and at most two years."""
    campaign = _campaign(site, parts)
    body = request.json().get("input") or {}
    at = moment(body["runAt"]) if body.get("runAt") else site.now + 300
    if campaign.kind == "trigger":
        raise RefusedError("1003", f"Campaign {campaign.id} is a trigger campaign and cannot be scheduled")
    if not site.now + 300 <= at <= site.now + TWO_YEARS:
        raise RefusedError("1003", "runAt must be at least five minutes and at most two years ahead")
    site.people.requests.append(
        {"campaignId": campaign.id, "at": stamp(at), "leads": [], "tokens": body.get("tokens") or []}
    )
    return {"result": [{"id": campaign.id}]}


def _program(site: Instance, parts: list[str]) -> Program:
    found = site.people.programs.get(int(parts[0]))
    if found is None:
        raise RefusedError("1013", f"Program {parts[0]} not found")
    return found


def program_members(site: Instance, request: Request, parts: list[str]) -> Reply:
    """The members of a program with their status."""
    program, names = _program(site, parts), chosen_fields(site, request)
    shown = []
    for number, status in program.members.items():
        if (lead := site.people.lead(number, site.now)) is not None:
            shown.append(site.people.shown(lead, names) | {"membership": {"id": number, "progressionStatus": status}})
    return paged(shown, request)


def program_status(site: Instance, request: Request, parts: list[str]) -> Reply:
    """Set the status of leads in a program; both spellings of the call."""
    program, body = _program(site, parts), request.json()
    status = body.get("statusName") or body.get("status")
    if not status:
        raise RefusedError("1002", "Missing value for the required parameter 'statusName'")
    results = []
    for order, each in enumerate(body.get("input") or []):
        name = "leadId" if "leadId" in each else "id"
        lead = site.people.lead(int(each[name]), site.now)
        done: dict[str, Any] = {"seq": order, name: each[name]} if name == "leadId" else {name: each[name]}
        if lead is None:
            results.append(done | {"status": "skipped", "reasons": _NOT_FOUND})
        else:
            site.people.progress(program, lead, status, site.api())
            results.append(done | {"status": "updated"})
    return {"result": results}


def _asset_reply(found: list[dict[str, Any]]) -> Reply:
    # nothing found is told by a warning and no result at all
    told = {"result": found} if found else {"warnings": ["No assets found for the given search criteria."]}
    return {"errors": [], "warnings": []} | told


def asset_list(site: Instance, _: Request, parts: list[str]) -> Reply:
    """A static list as an asset."""
    return _asset_reply([_asset(each) for each in site.people.lists.values() if each.id == int(parts[0])])


def asset_list_by_name(site: Instance, request: Request, _: list[str]) -> Reply:
    """A static list by its name."""
    return _asset_reply([_asset(each) for each in site.people.lists.values() if each.name == request.one("name")])


def asset_campaign(site: Instance, _: Request, parts: list[str]) -> Reply:
    """A smart campaign as an asset."""
    return _asset_reply([_asset(each) for each in site.people.campaigns.values() if each.id == int(parts[0])])


def asset_campaigns(site: Instance, request: Request, _: list[str]) -> Reply:
    """Smart campaigns by offset."""
    start, count = int(request.one("offset", "0")), min(200, int(request.one("maxReturn", "20")))
    return _asset_reply([_asset(each) for each in list(site.people.campaigns.values())[start : start + count]])


def usage(site: Instance, _: Request, __: list[str]) -> Reply:
    """Calls of today."""
    return {"result": site.gate.usage(site.clock.now(), 1)}


def usage_week(site: Instance, _: Request, __: list[str]) -> Reply:
    """Calls of the last seven days."""
    return {"result": site.gate.usage(site.clock.now(), 7)}


def errors(site: Instance, _: Request, __: list[str]) -> Reply:
    """Errors of today."""
    return {"result": site.gate.errors(site.clock.now(), 1)}


def errors_week(site: Instance, _: Request, __: list[str]) -> Reply:
    """Errors of the last seven days."""
    return {"result": site.gate.errors(site.clock.now(), 7)}


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", r"/rest/v1/lists\.json", lists),
    ("GET", r"/rest/v1/lists/(\d+)\.json", list_by_id),
    ("GET", r"/rest/v1/lists?/(\d+)/leads\.json", members),
    ("POST", r"/rest/v1/lists/(\d+)/leads\.json", add),
    ("DELETE", r"/rest/v1/lists/(\d+)/leads\.json", remove),
    ("GET", r"/rest/v1/lists/(\d+)/leads/ismember\.json", is_member),
    ("GET", r"/rest/v1/campaigns\.json", campaigns),
    ("GET", r"/rest/v1/campaigns/(\d+)\.json", campaign_by_id),
    ("POST", r"/rest/v1/campaigns/(\d+)/trigger\.json", trigger),
    ("POST", r"/rest/v1/campaigns/(\d+)/schedule\.json", schedule),
    ("GET", r"/rest/v1/leads/programs/(\d+)\.json", program_members),
    ("POST", r"/rest/v1/leads/programs/(\d+)/status\.json", program_status),
    ("POST", r"/rest/v1/programs/(\d+)/members/status\.json", program_status),
    ("GET", r"/rest/asset/v1/staticList/byName\.json", asset_list_by_name),
    ("GET", r"/rest/asset/v1/staticList/(\d+)\.json", asset_list),
    ("GET", r"/rest/asset/v1/smartCampaign/(\d+)\.json", asset_campaign),
    ("GET", r"/rest/asset/v1/smartCampaigns\.json", asset_campaigns),
    ("GET", r"/rest/v1/stats/usage\.json", usage),
    ("GET", r"/rest/v1/stats/usage/last7days\.json", usage_week),
    ("GET", r"/rest/v1/stats/errors\.json", errors),
    ("GET", r"/rest/v1/stats/errors/last7days\.json", errors_week),
]
