"""What the control API can put into an instance, make happen in it, and read out of it.

Seed: `{"settings": {.., "limits": {..}}, "fields": [{"name", "dataType"}], "activity_types": [{"name", "id"?,
"attributes"?}], "leads": [{"id"?, "createdAt"?, email, ..any field}], "lists": [{"id"?, "name", "members": [id or
email]}], "campaigns": [{"id"?, "name", "active"?, "type"?}], "programs": [{"id"?, "name"}], "activities": [{"leadId"
or "email", "type": name or id, "at"?: iso, "asset"?, "assetId"?, "attributes"?: {..}, "guid"?, "campaignId"?,
"committed"?: iso, "late"?: true or "lost"}]}`. What is dated in the future of the sandbox's clock becomes visible
when the clock gets there, so a whole story can be seeded at once. Seeded leads leave no activities (the setting
announce_leads gives them their activity 12); those that acts and the API make do.

`late` means: it happened at `at`, but is committed only at `committed` (default now). `"lost"` besides hides it from
every token minted before that commit. The acts are the functions in `ACTS`; arguments are in their docstrings.
"""

import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any

from syncagent.sandbox.marketo import catalog as kinds
from syncagent.sandbox.marketo.feed import LOST, stamp, tail_of
from syncagent.sandbox.marketo.gate import RefusedError
from syncagent.sandbox.marketo.instance import Instance, moment
from syncagent.sandbox.marketo.people import Campaign, Hand, Lead, Program, RecordError, StaticList

Args = dict[str, Any]
SHOWN = 1_000
_KINDS = {bool: "boolean", int: "integer", float: "float"}


def seed(site: Instance, data: Args) -> Args:
    """Put records in; returns their ids in the order of the input."""
    known = {"settings", "fields", "activity_types", "leads", "lists", "campaigns", "programs", "activities"}
    if unknown := set(data) - known:
        raise ValueError(
            f"A Marketo seed has no {', '.join(sorted(unknown))}. It may have: {', '.join(sorted(known))}."
        )
    site.feed.commit(site.now)
    if "settings" in data:
        configure(site, dict(data["settings"]))
    for each in data.get("fields", []):
        site.catalog.add_field(each["name"], each.get("dataType", "string"), each.get("displayName", ""))
    made: Args = {"activity_types": [add_activity_type(site, each)["id"] for each in data.get("activity_types", [])]}
    made["leads"] = [_seed_lead(site, dict(each)) for each in data.get("leads", [])]
    made["lists"] = [_seed_list(site, each) for each in data.get("lists", [])]
    made["campaigns"] = [_seed_campaign(site, each) for each in data.get("campaigns", [])]
    made["programs"] = [_seed_program(site, each) for each in data.get("programs", [])]
    made["activities"] = _seed_activities(site, data.get("activities", []))
    return {name: ids for name, ids in made.items() if ids}


def configure(site: Instance, args: Args) -> Args:
    """Change the names of `Settings`; limits: {..} (the names of `Limits`), query_token, client_id, client_secret."""
    if "limits" in args:
        site.gate.limits.change(args.pop("limits"))
    for name in ("query_token", "client_id", "client_secret"):
        if name in args:
            setattr(site.gate, name, args.pop(name))
    site.settings.change(args)
    site.feed.swap_guids(on=site.settings.swap_guids)
    return {}


def _time(text: str) -> int:
    try:
        return moment(text)
    except RefusedError as error:
        raise ValueError(f"{text!r} is no moment. Write it as 2026-01-31T09:00:00Z.") from error


def _seed_lead(site: Instance, values: Args) -> int:
    appears = _time(values.pop("createdAt")) if "createdAt" in values else 0
    created = appears or site.now
    updated = _time(values.pop("updatedAt")) if "updatedAt" in values else created
    number = values.pop("id", None)
    if number is not None and int(number) in site.people.leads:
        raise ValueError(f"There is a lead with id {number} already.")
    for name, value in values.items():
        if name not in site.catalog.fields:
            site.catalog.add_field(name, _KINDS.get(type(value), "string"))
    lead = site.people.store(values, created, int(number) if number is not None else None)
    lead.updated, lead.appears = updated, appears
    if site.settings.announce_leads:
        told = {"Created Date": stamp(created)[:10], "Source Type": "New lead", "Lead Source": values.get("leadSource")}
        tail = tail_of(kinds.NEW_LEAD, lead.id, lead.title(), told)
        site.feed.add(lead.id, kinds.NEW_LEAD, created, tail, now=site.now)
    return lead.id


def _free(taken: dict[int, Any], wanted: Args) -> int:
    return int(wanted.get("id") or max(taken, default=1000) + 1)


def _seed_list(site: Instance, wanted: Args) -> int:
    members = {_number(site, each): None for each in wanted.get("members", [])}
    made = StaticList(
        _free(site.people.lists, wanted), wanted["name"], members, wanted.get("program", ""), created=site.now
    )
    site.people.lists[made.id] = made
    return made.id


def _seed_campaign(site: Instance, wanted: Args) -> int:
    number = _free(site.people.campaigns, wanted)
    made = Campaign(
        number,
        wanted["name"],
        wanted.get("active", True),
        wanted.get("type", "trigger"),
        wanted.get("program", ""),
        created=site.now,
    )
    site.people.campaigns[number] = made
    return number


def _seed_program(site: Instance, wanted: Args) -> int:
    number = _free(site.people.programs, wanted)
    site.people.programs[number] = Program(number, wanted["name"])
    return number


def _seed_activities(site: Instance, wanted: list[Args]) -> list[str]:
    prepared = []
    for order, each in enumerate(wanted):
        happened = _time(each["at"]) if "at" in each else site.now
        due = _time(each["committed"]) if "committed" in each else (site.now if each.get("late") else happened)
        prepared.append((due, order, happened, each))
    prepared.sort(key=lambda row: row[:2])
    guids = [""] * len(wanted)
    for due, order, happened, each in prepared:
        guids[order] = _add(site, each, happened, due)
    return guids


def _add(site: Instance, wanted: Args, happened: int, due: int) -> str:
    kind = site.catalog.type(wanted["type"])
    lead = int(wanted["leadId"]) if "leadId" in wanted else _number(site, wanted["email"])
    asset = wanted.get("asset")
    asset_id = wanted.get("assetId", asset_id_of(asset) if asset else None)
    tail = tail_of(kind.id, asset_id, asset, wanted.get("attributes", {}), wanted.get("campaignId"))
    return site.feed.add(
        lead,
        kind.id,
        happened,
        tail,
        committed=due,
        guid=wanted.get("guid"),
        lost=wanted.get("late") == LOST,
        now=site.now,
    )


def asset_id_of(asset: str) -> int:
    """The id of a page, form or mail that is known only by its name: always the same."""
    return 1000 + zlib.crc32(asset.encode()) % 100_000


def _number(site: Instance, who: int | str) -> int:
    """A lead's id from an id or an email; leads of the future count."""
    if isinstance(who, int) or str(who).isdigit():
        return int(who)
    found = site.people.find("email", [str(who)], 1 << 62)
    if not found:
        raise LookupError(f"No lead has the email {who!r}. Seed it first, or give a leadId.")
    return found[0].id


def _lead(site: Instance, args: Args) -> Lead:
    number = _number(site, args["leadId"] if "leadId" in args else args["email"])
    found = site.people.lead(number, site.now)
    if found is None:
        raise LookupError(f"There is no lead {number} (any more, or yet).")
    return found


def _happen(site: Instance, args: Args, kind: int, asset: str, attributes: Args) -> Args:
    lead = _lead(site, args)
    happened = _time(args["at"]) if "at" in args else site.now
    wanted = {"leadId": lead.id, "type": kind, "asset": asset, "attributes": attributes | args.get("attributes", {})}
    for name in ("guid", "campaignId", "assetId", "late"):
        if name in args:
            wanted[name] = args[name]
    # what happened in the past is committed now all the same; what will happen waits
    return {"leadId": lead.id, "marketoGUID": _add(site, wanted, happened, max(happened, site.now))}


def visit_page(site: Instance, args: Args) -> Args:
    """email or leadId, url, referrer?, query?, ip?, at?"""
    url = args["url"]
    told = {
        "Client IP Address": args.get("ip", "192.0.2.10"),
        "Query Parameters": args.get("query"),
        "Referrer URL": args.get("referrer"),
    }
    return _happen(site, args, kinds.VISIT, url, told | {"User Agent": "Mozilla/5.0", "Webpage URL": url})


def fill_form(site: Instance, args: Args) -> Args:
    """email or leadId, form, fields? (a new email makes a new lead), page?, query? (of the page), at?"""
    hand = Hand(site.now, f"Form Fill-out, URL: {args.get('page', '/')}", "Web form fillout")
    values = {name: value for name, value in args.get("fields", {}).items() if name in site.catalog.fields}
    if "leadId" not in args and not site.people.find("email", [args["email"]], site.now):
        site.people.create({"email": args["email"], **values}, hand)
    else:
        site.people.update(_lead(site, args), values, hand)
    sent = args.get("fields", {}) | {"formid": asset_id_of(args["form"])}
    page = args.get("page", "/")
    told = {
        "Client IP Address": "192.0.2.10",
        "Form Fields": _serialized(sent),
        "Query Parameters": args.get("query"),
        "Referrer URL": page,
        "Webpage ID": asset_id_of(page),
    }
    return _happen(site, args, kinds.FILL_FORM, args["form"], told | {"User Agent": "Mozilla/5.0"})


def _serialized(values: Args) -> str:
    # PHP's serialize(), which is how the form's fields are told
    parts = [f's:{len(str(part).encode())}:"{part}";' for pair in values.items() for part in pair]
    return f"a:{len(values)}:{{{''.join(parts)}}}"


def open_email(site: Instance, args: Args) -> Args:
    """email or leadId, asset (the mail's name), bot?: true for a scanner's opening, at?"""
    return _happen(
        site,
        args,
        kinds.OPEN,
        args["asset"],
        _bot(args) | {"Device": "unknown", "Is Mobile Device": False, "Platform": "Windows"},
    )


def click_email(site: Instance, args: Args) -> Args:
    """email or leadId, asset (the mail's name), link, bot?: true for a scanner's click, at?"""
    return _happen(
        site, args, kinds.CLICK, args["asset"], _bot(args) | {"Link": args.get("link", "https://www.example.com/")}
    )


def _bot(args: Args) -> Args:
    bot = bool(args.get("bot", False))
    return {
        "Is Bot Activity": bot,
        "Bot Activity Pattern": "Matched IAB list" if bot else "N/A",
        "User Agent": "Mozilla/5.0",
    }


def unsubscribe(site: Instance, args: Args) -> Args:
    """email or leadId, asset? (the mail's name)"""
    lead = _lead(site, args)
    done = _happen(site, args, kinds.UNSUBSCRIBE, args.get("asset", "Newsletter"), {"Client IP Address": "192.0.2.10"})
    site.people.update(
        lead,
        {"unsubscribed": True, "unsubscribedReason": "Clicked unsubscribe"},
        Hand(site.now, "Unsubscribe", "Unsubscribe"),
    )
    return done


def activity(site: Instance, args: Args) -> Args:
    """One seeded activity, whatever its type: the arguments are those of the seed."""
    return {"marketoGUID": _seed_activities(site, [args])[0]}


def late_activity(site: Instance, args: Args) -> Args:
    """The same, happened at `at` and committed only now; lost?: true hides it from all tokens minted so far."""
    lost = args.pop("lost", False)
    return activity(site, {**args, "late": LOST if lost else True})


def new_lead(site: Instance, args: Args) -> Args:
    """Any fields; source? is the Source Type of its activity 12."""
    hand = Hand(site.now, "New lead", str(args.pop("source", "List import")))
    return {"leadId": site.people.create(site.people.checked(args), hand).id}


def edit_lead(site: Instance, args: Args) -> Args:
    """email or leadId, fields: {..}, source? reason?: a change by a user or a campaign, not by the API."""
    hand = Hand(site.now, args.get("reason", "Changed by user"), args.get("source", "Marketo UI"))
    lead = _lead(site, args)
    return {"leadId": lead.id, "changed": site.people.update(lead, site.people.checked(args["fields"]), hand)}


def merge_leads(site: Instance, args: Args) -> Args:
    """winner, losers: [..]; ids or emails."""
    winner = _lead(site, {"leadId": _number(site, args["winner"])})
    losers = [_lead(site, {"leadId": _number(site, each)}).id for each in args["losers"]]
    site.people.merge(winner, losers, Hand(site.now, "Merge", "Marketo UI"), args.get("source", "leaddb"))
    return {"leadId": winner.id, "merged": losers}


def delete_lead(site: Instance, args: Args) -> Args:
    """email or leadId"""
    lead = _lead(site, args)
    site.people.delete(lead, Hand(site.now, "Delete", "Marketo UI"))
    return {"leadId": lead.id}


def change_list(site: Instance, args: Args) -> Args:
    """email or leadId, list (its id), remove?: true"""
    target, hand = site.people.lists[int(args["list"])], Hand(site.now, "List", "Marketo UI")
    (site.people.delist if args.get("remove") else site.people.enlist)(target, _lead(site, args), hand)
    return {}


def set_campaign_active(site: Instance, args: Args) -> Args:
    """id, active"""
    site.people.campaigns[int(args["id"])].active = bool(args["active"])
    return {}


def add_activity_type(site: Instance, args: Args) -> Args:
    """name, id?, attributes? (names, or {"name", "dataType"}): the schema drifts."""
    return {
        "id": site.catalog.add_type(
            args["name"], args.get("id"), args.get("primary", "Name"), args.get("attributes", [])
        ).id
    }


def add_attribute(site: Instance, args: Args) -> Args:
    """type (name or id), name, dataType?"""
    site.catalog.type(args["type"]).attributes[args["name"]] = args.get("dataType", "string")
    return {}


def add_field(site: Instance, args: Args) -> Args:
    """name, dataType?, displayName?"""
    return {"id": site.catalog.add_field(args["name"], args.get("dataType", "string"), args.get("displayName", "")).id}


def expire_tokens(site: Instance, _: Args) -> Args:
    """Every paging token given so far stops working (its error: the setting bad_token_code)."""
    site.epoch += 1
    return {}


def expire_access_token(site: Instance, args: Args) -> Args:
    """code?: 602 (expired, the default) or 601 (invalid), for calls with the present access token."""
    site.gate.end_token(str(args.get("code", "602")))
    return {}


def set_limits(site: Instance, args: Args) -> Args:
    """window_calls, window_seconds, clock ("real", "sandbox", "off"), daily_calls, concurrent"""
    site.gate.limits.change(args)
    return {}


def generate(site: Instance, args: Args) -> Args:
    """leads, activities, assets? (how many of each), types?, start? (iso), every? (seconds between two, 0: at once)"""
    count, every = int(args.get("activities", 0)), float(args.get("every", 1))
    start = _time(args["start"]) if "start" in args else site.now - int(count * every) - 1
    leads = [
        _seed_lead(site, {"email": f"lead{number}@example.com", "createdAt": stamp(start)})
        for number in range(1, int(args["leads"]) + 1)
    ]
    leads = leads or list(site.people.leads)
    types = [site.catalog.type(each).id for each in args.get("types", ["Visit Webpage"])]
    assets = [f"www.example.com/page-{number}.html" for number in range(int(args.get("assets", 20)))]
    told = {
        "Client IP Address": "192.0.2.10",
        "Referrer URL": "https://search.example.org/",
        "User Agent": "Mozilla/5.0 (X11; Linux x86_64)",
    }
    tails = {(kind, asset): tail_of(kind, asset_id_of(asset), asset, told) for kind in types for asset in assets}
    now = site.now
    for order in range(count):
        kind = types[order % len(types)]
        site.feed.add(
            leads[order % len(leads)],
            kind,
            start + int(order * every),
            tails[kind, assets[order % len(assets)]],
            now=now,
        )
    return {"leads": len(leads), "activities": count, "first": leads[0] if leads else None}


ACTS: dict[str, Callable[[Instance, Args], Args]] = {
    act.__name__: act
    for act in (
        visit_page,
        fill_form,
        open_email,
        click_email,
        unsubscribe,
        activity,
        late_activity,
        new_lead,
        edit_lead,
        merge_leads,
        delete_lead,
        change_list,
        set_campaign_active,
        add_activity_type,
        add_attribute,
        add_field,
        expire_tokens,
        expire_access_token,
        set_limits,
        configure,
        generate,
    )
}


def act(site: Instance, do: str, args: Args) -> Args:
    """Do one of `ACTS`; ValueError or LookupError with a sentence when it cannot be done."""
    found = ACTS.get(do)
    if found is None:
        raise ValueError(f"Nobody can {do!r} here. Known acts are: {', '.join(sorted(ACTS))}.")
    site.feed.commit(site.now)
    try:
        return found(site, args)
    except RecordError as error:
        raise ValueError(error.message) from error
    except KeyError as error:
        raise ValueError(f"The act {do!r} needs {error}: {found.__doc__}") from error


def dump(site: Instance) -> Args:
    """Everything as it stands; of the activities the newest thousand, and how many there are of each type."""
    site.feed.commit(site.now)
    people, length = site.people, len(site.feed)
    return {
        "leads": [
            {"id": lead.id, "createdAt": stamp(lead.created), "updatedAt": stamp(lead.updated), **lead.values}
            for lead in people.leads.values()
        ],
        "merged": {str(loser): winner for loser, winner in people.merged.items()},
        "deleted": sorted(people.deleted),
        "lists": [{"id": each.id, "name": each.name, "members": list(each.members)} for each in people.lists.values()],
        "campaigns": [
            {"id": each.id, "name": each.name, "active": each.active, "type": each.kind}
            for each in people.campaigns.values()
        ],
        "programs": [{"id": each.id, "name": each.name, "members": each.members} for each in people.programs.values()],
        "requests": people.requests,
        "activities": {
            "count": length,
            "waiting": site.feed.waiting,
            "types": {
                site.catalog.types[kind].name: count for kind, count in sorted(Counter(site.feed.kinds()).items())
            },
            "newest": [site.feed.decoded(at) for at in range(max(0, length - SHOWN), length)],
        },
    }
