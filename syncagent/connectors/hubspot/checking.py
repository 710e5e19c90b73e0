"""Check: what the token, the app's scopes and the portal's properties lack, each with what helps. Only reads."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from syncagent.connectors.hubspot import users
from syncagent.connectors.hubspot.facts import TOUCHES, Words, stamp_of
from syncagent.connectors.hubspot.options import COMPANY, LEAD_STAGE, Options
from syncagent.connectors.hubspot.portal import DeniedError, Portal
from syncagent.connectors.hubspot.shapes import Owner, Property
from syncagent.connectors.hubspot.values import AUTOMATION
from syncagent.errors import ConfigError, ConnectorDownError, Problem, RetryableError

_WRITTEN: Final = ("status", "owner", "score", "grade", "stage_date", "insight", "recycle_until")
_AUTOMATION: Final = "crm.automation_users"
_CURL: Final = (
    'curl -X POST {url}/crm/v3/properties/{kind} -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json"'
    ' -d \'{{"name": "{name}", "label": "syncagent key", "type": "string", "fieldType": "text",'
    ' "groupName": "{group}", "hasUniqueValue": true}}\''
)
_NO_LEADS: Final = (
    "Leads come with Sales Hub Professional or Enterprise. Give the app the scopes crm.objects.leads.read and .write"
    ' (Settings > Integrations > Private Apps > Scopes), or take object = "leads" out of [crm].'
)
_HOW_TO_FIND: Final = (
    "It is the owner id, not the user id: GET /crm/v3/owners lists them, and Settings > Users & Teams exports them."
)


def examine(portal: Portal, words: Words) -> list[Problem]:
    """All problems at once; one fatal problem when the portal cannot be reached at all."""
    options = words.options
    problems: list[Problem] = []
    for name in (
        "properties/contacts",
        "properties/tasks",
        "properties/leads",
        "owners",
        "stages/deals",
        "stages/leads",
        "app",
    ):
        portal.forget(name)
    try:
        known = portal.properties("contacts")
    except DeniedError as error:
        help_ = "Give the app the scopes crm.objects.contacts.read and .write, and crm.schemas.contacts.read."
        return [Problem("crm", str(error), help_)]
    except (RetryableError, ConnectorDownError) as error:
        return [Problem("crm", str(error), "Until this is mended, nothing can be read or written.")]
    except ConfigError as error:
        return list(error.problems)
    problems += _fields(known, words)
    if options.object == "contacts":
        problems += _statuses(words.names["status"], known, options)
    problems += _stages(known, options)
    steps: tuple[tuple[str, Callable[[], Iterator[Problem]]], ...] = (
        *((("leads", lambda: _leads(portal, options)),) if options.object == "leads" else ()),
        ("tasks", lambda: _tasks(portal, options)),
        ("owners", lambda: _owners(portal.owners(), options.expect_owners)),
        ("users", lambda: users.check(portal)),
        ("deals", lambda: _deals(portal)),
        ("companies", lambda: _companies(portal, words)),
        *((kind, partial(_touches, portal, kind)) for kind in TOUCHES),
        ("app", lambda: _app(words)),
    )
    for name, step in steps:
        try:
            problems += step()
        except DeniedError as error:
            also = " A logged one does not stop the clock of a promise meanwhile." if name in TOUCHES else ""
            help_ = f"Give the app the scope to read {name} (Settings > Integrations > Private Apps > Scopes).{also}"
            where = "crm.object" if name == "leads" else "crm"
            fatal = name in ("tasks", "owners", "leads")
            problems.append(Problem(where, str(error), _NO_LEADS if name == "leads" else help_, fatal=fatal))
        except (RetryableError, ConnectorDownError) as error:
            problems.append(Problem("crm", str(error), "Run `syncagent check` again in a minute."))
    problems += _allowance(portal)
    return problems


def _fields(known: Mapping[str, Property], words: Words) -> Iterator[Problem]:
    given = words.options.fields
    for ours, theirs in words.names.items():
        path = f"crm.fields.{ours}" if ours in given else "crm"
        fatal = ours in ("status", "owner") or ours in given
        there = known.get(theirs)
        if theirs == LEAD_STAGE or theirs.startswith(COMPANY):
            continue
        if there is None:
            if fatal or ours == "email":
                kind = "a date" if ours.endswith(("_date", "_until")) else "a number" if ours == "score" else "a text"
                yield Problem(
                    path,
                    f"HubSpot has no property {theirs} on contacts, or the app may not see it.",
                    f"Create it ({kind}) under Settings > Properties > Create property; the internal name counts.",
                    fatal=fatal,
                )
        elif there.modification.get("readOnlyValue") and ours in _WRITTEN:
            help_ = "Map a property that may be edited."
            yield Problem(path, f"{theirs} cannot be written over the API.", help_, fatal=ours in ("status", "owner"))


def _statuses(name: str, known: Mapping[str, Property], options: Options) -> Iterator[Problem]:
    if name in known:
        where = "add it under Settings > Properties"
        yield from _mapped(name, known[name].values, options.expect_status, where)


def _leads(portal: Portal, options: Options) -> Iterator[Problem]:
    """What a lead needs: to be seen at all, and the stages that the config names."""
    stages = portal.stages("leads")
    portal.properties("leads")
    where = "add it under Settings > Objects > Leads > Pipelines"
    yield from _mapped("The leads' pipeline", list(stages), options.expect_status, where)
    known = portal.properties("leads").get(options.key_property)
    if known is None or not known.unique:
        how = _CURL.format(url=options.base_url, kind="leads", group="lead_information", name=options.key_property)
        yield Problem(
            "crm.key_property",
            f"Leads have no unique property {options.key_property}: after a lost answer a lead is looked for twice,"
            f" {options.late} apart, before it is made again.",
            f"To have it made by its key: {how}  It works without, too.",
            fatal=False,
        )


def _mapped(name: str, values: Sequence[str], expected: Sequence[str], where: str) -> Iterator[Problem]:
    """What the config names and is not there, and what is there and nowhere in the config."""
    for status in expected:
        if values and status not in values:
            have = ", ".join(values)
            help_ = f"It has: {have}. Use the internal value of one of these, or {where}."
            yield Problem("crm.status", f"{name} has no option {status!r}.", help_)
    left = [one for one in values if one not in expected] if expected else []
    if left:
        names = ", ".join(repr(one) for one in left)
        yield Problem(
            "crm.status",
            f"These options of {name} are mapped nowhere: {names}. A contact in one of them counts as in work with"
            " sales: it is adopted as it stands, not handed off.",
            "Where marketing may hand such contacts off, add the option to the list `untouched` under [crm.status];"
            ' where it is an answer of sales, add it to the stage that it means, for example accepted = ["..."].',
            fatal=False,
        )


def _stages(known: Mapping[str, Property], options: Options) -> Iterator[Problem]:
    if not options.lifecycle:
        return
    have = known["lifecyclestage"].values if "lifecyclestage" in known else []
    for status, stage in options.lifecycle.items():
        if stage not in have:
            help_ = f"It has: {', '.join(have)}. Stages of your own have a number as internal name."
            yield Problem(f"crm.lifecycle.{status}", f"There is no lifecycle stage {stage!r}.", help_)
        if options.expect_status and status not in options.expect_status:
            help_ = "Name a status that stands under [crm.status]."
            yield Problem(f"crm.lifecycle.{status}", f"{status!r} is no status that is written.", help_, fatal=False)


def _tasks(portal: Portal, options: Options) -> Iterator[Problem]:
    known = portal.properties("tasks").get(options.key_property)
    how = _CURL.format(url=options.base_url, kind="tasks", group="task_information", name=options.key_property)
    if known is None:
        yield Problem(
            "crm.key_property",
            f"Tasks have no property {options.key_property}: without it no task can be made exactly once.",
            f"Create it once: {how}  If the portal refuses hasUniqueValue, leave it out.",
        )
    elif not known.unique:
        yield Problem(
            "crm.key_property",
            f"{options.key_property} on tasks is not unique in this portal: after a lost answer a task is looked for"
            f" twice, {options.late} apart, before it is made again.",
            "Uniqueness can only be given when a property is created. To try: archive this one and create it anew,"
            f" before the agent runs: {how}  It works without, too.",
            fatal=False,
        )


def _owners(owners: Mapping[str, Owner], expected: Mapping[str, str]) -> Iterator[Problem]:
    """Who is to own contacts and tasks, or to hear of them: there, and active."""
    by_user = {str(one.user_id_including_inactive or one.user_id): one.id for one in owners.values()}
    for path, ident in expected.items():
        owner = owners.get(ident)
        if path.startswith(_AUTOMATION):
            # Workflows and other apps are known as automation by themselves; a user without records has no owner id.
            if owner is None and ident != AUTOMATION and not ident.startswith("user:"):
                helps = 'Write the owner id, or "user:" and the user id. Workflows and other apps need not be named.'
                yield Problem(path, f"HubSpot has no owner {ident}.", helps, fatal=False)
        elif owner is None:
            near = f" {ident} is a user id; the owner id is {by_user[ident]}." if ident in by_user else ""
            yield Problem(path, f"HubSpot has no owner {ident}.{near}", _HOW_TO_FIND)
        elif owner.archived and not path.endswith((".away", ".manager")):
            help_ = "Name somebody active, or activate the user under Settings > Users & Teams."
            yield Problem(path, f"{owner.name} ({ident}) has been deactivated in HubSpot.", help_)


def _deals(portal: Portal) -> Iterator[Problem]:
    if not portal.stages("deals"):
        help_ = "Give the app the scope crm.objects.deals.read."
        yield Problem("crm", "No deal pipeline can be seen: deals won and lost are not heard of.", help_, fatal=False)


def _companies(portal: Portal, words: Words) -> Iterator[Problem]:
    """What the config names of companies, their owners first: they come before every route."""
    portal.forget("properties/companies")
    known = portal.properties("companies")
    for ours, theirs in words.names.items():
        if theirs.startswith(COMPANY) and theirs.removeprefix(COMPANY) not in known:
            text = f"HubSpot has no property {theirs.removeprefix(COMPANY)} on companies, or the app may not see it."
            help_ = "Its internal name stands under Settings > Properties, Company properties."
            yield Problem(f"crm.fields.{ours}", text, help_, fatal=ours in words.options.fields)


def _touches(portal: Portal, kind: str) -> Iterator[Problem]:
    """Whether what reps log may be read at all: a search that finds nothing says it."""
    portal.search(kind, [], stamp_of(kind), [], 1)
    yield from ()


def _app(words: Words) -> Iterator[Problem]:
    if not words.portal.app():
        yield Problem(
            "crm.app_id",
            "HubSpot does not say which app the token belongs to: what other apps write cannot be told from our own.",
            "Write app_id under [crm]: it stands in the address of the app's page under Settings > Integrations.",
            fatal=False,
        )


def _allowance(portal: Portal) -> Iterator[Problem]:
    calls = portal.budget.calls()
    if calls["limit"] and calls["used"] >= 0.7 * calls["limit"]:
        message = f"{calls['used']} of {calls['limit']} API calls of the portal's day are used."
        yield Problem("crm.api_budget", message, "Cold work stops at 70 %. See who uses them.", fatal=False)
