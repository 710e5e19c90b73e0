"""How a record is made, changed, archived: first all checks, then the change, so that a batch can be all or nothing.

Source: crm.md B3 to B5. What the API may not do, people on the screen and seeds may (`by_hand`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from syncagent.sandbox.hubspot import rules
from syncagent.sandbox.hubspot.links import Link, link, wanted_links
from syncagent.sandbox.hubspot.portal import Actor, Change, Portal, Record
from syncagent.sandbox.hubspot.refusal import RefusedError, invalid, invalid_values, problem
from syncagent.sandbox.hubspot.schema import Kind, Property
from syncagent.sandbox.hubspot.values import ValueRefused, coerce

_OWNER: Final = "hubspot_owner_id"
_STAGES: Final = {"deals": ("pipeline", "dealstage"), "leads": ("hs_pipeline", "hs_pipeline_stage")}


@dataclass(slots=True)
class Plan:
    """One write that has passed all checks; `record` None makes a new one."""

    kind: Kind
    record: Record | None
    values: dict[str, str]
    links: list[Link] = field(default_factory=list)
    trace: str | None = None
    claims: list[tuple[str, str]] = field(default_factory=list)


Claims = set[tuple[str, str]]


def plan_create(portal: Portal, kind: Kind, given: dict[str, Any], claimed: Claims, *, by_hand: bool = False) -> Plan:
    """Check a creation; `claimed` are the unique values that earlier rows of the same batch take."""
    values = _checked(portal, kind, _properties(given), None, by_hand=by_hand)
    plan = Plan(kind, None, values, trace=given.get("objectWriteTraceId"))
    missing = [name for name in kind.required if not values.get(name)]
    if missing and not by_hand:
        told = f"Error creating {kind.singular.upper()}. Some required properties were not set."
        raise RefusedError(400, "VALIDATION_ERROR", told, context={"properties": missing})
    plan.links = wanted_links(portal, kind, given.get("associations") or [])
    if kind.plural == "leads" and not by_hand and not any(each.to.kind.plural == "contacts" for each in plan.links):
        raise invalid("A lead must be associated with an existing contact when it is created.")
    _check_unique(portal, plan, claimed)
    return plan


def plan_update(
    portal: Portal, record: Record, given: dict[str, Any], claimed: Claims, *, by_hand: bool = False
) -> Plan:
    """Check a change of a record."""
    values = _checked(portal, record.kind, _properties(given), record, by_hand=by_hand)
    plan = Plan(record.kind, record, values, trace=given.get("objectWriteTraceId"))
    _check_unique(portal, plan, claimed)
    return plan


def apply(portal: Portal, plan: Plan, actor: Actor, *, at: datetime | None = None, quiet: bool = False) -> Record:
    """Do what was planned; `quiet` tells nobody and lets search find it at once: the data is older than we."""
    now = at or portal.now()
    record = plan.record
    fresh = record is None
    if record is None:
        record = Record(portal.next_id(plan.kind), plan.kind, now, now)
        portal.add(record)
    record.updated = max(now, record.updated)
    record.trace = plan.trace
    changed = {name: value for name, value in plan.values.items() if record.values.get(name, "") != value}
    changed |= _consequences(portal, record, changed, now)
    if fresh and "hs_object_source" in record.kind.properties:
        changed["hs_object_source"] = actor.source
    if fresh and not quiet:
        portal.tell("creation", record, actor=actor)
    set_values(portal, record, changed, actor, now, quiet=quiet)
    for each in plan.links:
        link(portal, record, each.to, each.number, None if quiet else actor)
    portal.publish(record, at_once=quiet)
    if changed.get("hs_is_closed_won") == "true" and portal.settings.won_makes_customer:
        _make_customers(portal, record)
    if not quiet and actor.source != rules.WORKFLOW:
        for values in rules.following(portal, record.kind, changed):
            further = plan_update(portal, record, {"properties": values}, set(), by_hand=True)
            apply(portal, further, Actor(rules.WORKFLOW, "", "Workflow"))
    return record


def set_values(
    portal: Portal, record: Record, values: dict[str, str], actor: Actor, now: datetime, *, quiet: bool = False
) -> None:
    """Set values and write their history; the unique keys follow."""
    for name, value in values.items():
        known = record.kind.properties[name]
        if known.unique:
            portal.release(record, known, record.values.get(name, ""))
            portal.hold(record, known, value)
        record.values[name] = value
        record.history.setdefault(name, []).insert(0, Change(value, now, actor))
        if not quiet:
            portal.tell("propertyChange", record, actor=actor, propertyName=name, propertyValue=value)


def archive(portal: Portal, record: Record, actor: Actor) -> None:
    """Move a record to the recycle bin; for those that are there already nothing happens."""
    if record.archived_at is not None:
        return
    record.archived_at = record.updated = portal.now()
    if portal.settings.archived_keys == "freed":
        portal.release_all(record)
    portal.publish(record)
    portal.tell("deletion", record, actor=actor)


def restore(portal: Portal, record: Record, actor: Actor) -> None:
    """Take a record out of the recycle bin."""
    record.archived_at, record.updated = None, portal.now()
    portal.hold_all(record)
    portal.publish(record)
    portal.tell("restore", record, actor=actor)


def _unique(kind: Kind) -> Iterable[Property]:
    return [known for known in kind.properties.values() if known.unique]


def _properties(given: dict[str, Any]) -> dict[str, Any]:
    properties = given.get("properties")
    if not isinstance(properties, dict):
        raise invalid("Invalid input JSON: properties must be an object.")
    return properties


def _checked(
    portal: Portal, kind: Kind, properties: dict[str, Any], record: Record | None, *, by_hand: bool
) -> dict[str, str]:
    """The values to keep; every problem is told at once."""
    values: dict[str, str] = {}
    problems: list[dict[str, Any]] = []
    for name, raw in properties.items():
        known = kind.properties.get(name.lower())
        if known is None or known.archived:
            if kind.plural != "tasks" or portal.settings.unknown_task_properties == "refused":
                problems.append(problem(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist'))
            continue
        if known.read_only and not by_hand:
            told = f'"{name}" is a read only property; its value cannot be set.'
            problems.append(problem(name, "READ_ONLY_VALUE", told))
            continue
        try:
            values[known.name] = coerce(known, raw)
            _check_known(portal, kind, known, values[known.name], record, by_hand=by_hand)
        except ValueRefused as error:
            problems.append(problem(name, error.error, error.message))
    problems += _stage_problems(portal, kind, values, record)
    problems += [] if by_hand else rules.broken(portal, kind, values)
    if problems:
        raise invalid_values(problems)
    _keep_lifecycle(portal, kind, values, record)
    return values


def _check_known(
    portal: Portal, kind: Kind, known: Property, value: str, record: Record | None, *, by_hand: bool
) -> None:
    if known.name != _OWNER or not value or (record is not None and record.values.get(_OWNER) == value):
        return
    owner = portal.owners.get(value)
    # (memory) and UNVERIFIED in crm.md B9: an archived owner is refused like an unknown one
    if owner is None or (owner.archived and portal.settings.archived_owner == "refused" and not by_hand):
        raise ValueRefused("INVALID_OPTION", f"{value} was not one of the allowed options for {kind.plural} owners.")


def _stage_problems(portal: Portal, kind: Kind, values: dict[str, str], record: Record | None) -> list[dict[str, Any]]:
    if kind.plural not in _STAGES:
        return []
    pipeline_name, stage_name = _STAGES[kind.plural]
    pipelines = portal.pipelines[kind.plural]
    held = {} if record is None else record.values
    if record is None:
        values.setdefault(pipeline_name, pipelines[0]["id"])
    wanted = values.get(pipeline_name) or held.get(pipeline_name, "")
    pipeline = next((each for each in pipelines if each["id"] == wanted), None)
    if pipeline is None:
        return [problem(pipeline_name, "INVALID_OPTION", f"{wanted} was not one of the allowed pipelines")]
    if record is None:
        values.setdefault(stage_name, pipeline["stages"][0]["id"])
    stage = values.get(stage_name)
    if stage is not None and stage not in {each["id"] for each in pipeline["stages"]}:
        return [problem(stage_name, "INVALID_OPTION", f"{stage} was not one of the stages of pipeline {wanted}")]
    return []


def _keep_lifecycle(portal: Portal, kind: Kind, values: dict[str, str], record: Record | None) -> None:
    """A lifecycle stage moves forward only, unless it was cleared by a write before (crm.md B3)."""
    held = "" if record is None else record.values.get("lifecyclestage", "")
    new = values.get("lifecyclestage", "")
    if not held or not new:
        return
    order = kind.properties["lifecyclestage"].values()
    if held in order and order.index(new) < order.index(held):
        if portal.settings.lifecycle_backwards == "refused":
            told = f"{new} lies before {held}"
            raise invalid_values([problem("lifecyclestage", "INVALID_OPTION", told)])
        del values["lifecyclestage"]


def _check_unique(portal: Portal, plan: Plan, claimed: Claims) -> None:
    for known in _unique(plan.kind):
        value = plan.values.get(known.name, "")
        if not value:
            continue
        held = portal.holder(plan.kind, known, value)
        mine = None if plan.record is None else plan.record.id
        claim = (known.name, value.lower() if known.name == "email" else value)
        if held is not None and held != mine:
            raise _taken(plan.kind, known, value, held)
        if claim in claimed:
            raise _taken(plan.kind, known, value, "in this batch")
        plan.claims.append(claim)
    claimed.update(plan.claims)


def _taken(kind: Kind, known: Property, value: str, held: str) -> RefusedError:
    if kind.plural == "contacts" and known.name == "email":
        return RefusedError(409, "CONFLICT", f"Contact already exists. Existing ID: {held}")
    # (memory): the name of the error
    told = f"A {kind.singular} with the value {value} for property {known.name} already exists: {held}"
    return invalid_values([problem(known.name, "CONFLICTING_UNIQUE_VALUE", told)])


def _consequences(portal: Portal, record: Record, changed: dict[str, str], now: datetime) -> dict[str, str]:
    """What HubSpot sets of itself when something changes."""
    more: dict[str, str] = {}
    known = record.kind.properties
    if _OWNER in changed and "hubspot_owner_assigneddate" not in changed:
        more["hubspot_owner_assigneddate"] = coerce(known["hubspot_owner_assigneddate"], now.isoformat())
    if "hs_task_status" in changed:
        done = changed["hs_task_status"] == "COMPLETED"
        more["hs_task_completion_date"] = coerce(known["hs_task_completion_date"], now.isoformat() if done else "")
    if "dealstage" in changed:
        stage = stage_of(portal, changed.get("pipeline") or record.values["pipeline"], changed["dealstage"])
        closed, won = stage["metadata"]["isClosed"] == "true", float(stage["metadata"]["probability"]) == 1
        more["hs_is_closed"] = str(closed).lower()
        more["hs_is_closed_won"] = str(closed and won).lower()
        more["hs_is_closed_lost"] = str(closed and not won).lower()
        if closed and "closedate" not in changed:
            more["closedate"] = coerce(known["closedate"], now.isoformat())
    return {name: value for name, value in more.items() if record.values.get(name, "") != value}


def stage_of(portal: Portal, pipeline: str, stage: str) -> dict[str, Any]:
    """A stage of a deal pipeline; LookupError when there is none."""
    for each in portal.pipelines["deals"]:
        if each["id"] == pipeline:
            for one in each["stages"]:
                if one["id"] == stage:
                    found: dict[str, Any] = one
                    return found
    raise LookupError(f"Pipeline {pipeline} has no stage {stage}.")


def _make_customers(portal: Portal, deal: Record) -> None:
    for (plural, ident), _ in list(portal.links.get(("deals", deal.id), {}).items()):
        contact = portal.get(portal.kinds["contacts"], ident) if plural == "contacts" else None
        if contact is not None and contact.archived_at is None:
            plan = plan_update(portal, contact, {"properties": {"lifecyclestage": "customer"}}, set(), by_hand=True)
            apply(portal, plan, Actor(rules.WORKFLOW, "", "Deal won"))
