"""What people, marketing, automations and admins do in the portal: the acts of the control API.

Every act is {"do": name, ...}. `as` is the id of the owner who acts (default: the record's owner, else the rep). What
people do on the screen stands in the history as CRM_UI with their user id.

Reps:
    complete_task {task}        reopen_task {task}          reassign_task {task, to}
    delete_task {task}          unlink_task {task}: it stands, with no record behind it
    loose_task {subject?} -> {id}: a task that was never associated
    set_owner {contact, to}     set_status {contact, status}     recycle {contact, reason, until}
    edit {object, id, values}   delete {object, id}         restore {object, id}
    new_contact {values} -> {id}                            forget_contact {contact}: privacy deletion
    merge_contacts {primary, loser} -> {id}
    add_note {contact, body} -> {id}
    log {object: "calls", "emails" or "meetings", contact, values?, source?} -> {id}
    create_deal {contact?, name, amount?, stage?} -> {id}
    win_deal {deal, amount?}    lose_deal {deal, reason?}
Marketing:
    submit_form {form, email, values?, page?, at?} -> {id, conversion}
    email_event {type: "CLICK", email, campaign?, at?, id?, url?} -> {id, created}
    page_view {contact, url?, type?, at?, properties?} -> {id}
    join_list {list, contact}   leave_list {list, contact}
Automations:
    workflow_edit {object, ids, values}: AUTOMATION_PLATFORM changes many records with one stamp
    import_edit {object, ids, values}: IMPORT does
Admins:
    archive_owner {owner}       restore_owner {owner}
    add_property {object, ...: see a seed}     remove_property {object, name}
    set_options {object, name, values}
    set_settings {...}: see portal.Settings    settle_index {}: search finds everything now
    set_rule {...} -> {name}: see rules.py     clear_rule {name}
    set_webhooks {...}: see webhooks.py
    expire_tokens {}            revive_token {}             use_quota {calls}
    get {object, id} -> the record    find {object, where: {property: value}} -> {"records": [...]}
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from syncagent.sandbox.hubspot import catalog, links, marketing, merges, rules, seeding, writes
from syncagent.sandbox.hubspot.portal import Actor, Portal, Record
from syncagent.sandbox.hubspot.schema import UNLABELLED, options
from syncagent.sandbox.hubspot.values import wire

Args = dict[str, Any]


def act(portal: Portal, known: dict[str, str], do: str, args: Args) -> dict[str, Any]:
    """Do it, and tell what came of it; LookupError and ValueError say what is wrong."""
    doing = _ACTS.get(do)
    if doing is None:
        raise LookupError(f"There is no act {do!r}; there are {', '.join(sorted(_ACTS))}.")
    return doing(Scene(portal, known, args)) or {}


class Scene:
    """An act's arguments, resolved."""

    def __init__(self, portal: Portal, known: dict[str, str], args: Args) -> None:
        self.portal = portal
        self.known = known
        self.args = args

    def need(self, name: str) -> Any:  # noqa: ANN401  any JSON value
        """An argument that must be there."""
        if name not in self.args:
            raise LookupError(f"This act needs {name!r}.")
        return self.args[name]

    def record(self, plural: str, name: str) -> Record:
        """The record that an argument names, archived or not."""
        kind = self.portal.kind(plural)
        record = self.portal.get(kind, str(self.need(name)))
        if record is None:
            raise LookupError(f"There is no {kind.singular} {self.need(name)!r}.")
        return record

    def actor(self, record: Record | None = None) -> Actor:
        """Who acts, on the screen."""
        owner = str(self.args.get("as") or (record.values.get("hubspot_owner_id") if record is not None else ""))
        owner = owner if owner in self.portal.owners else self.known["rep_owner_id"]
        user = self.portal.owners[owner].user
        return Actor("CRM_UI", f"userId:{user}", user=user)

    def update(self, record: Record, values: Args, actor: Actor | None = None) -> None:
        """Change a record by hand."""
        plan = writes.plan_update(self.portal, record, {"properties": values}, set(), by_hand=True)
        writes.apply(self.portal, plan, actor or self.actor(record))

    def make(self, plural: str, values: Args, actor: Actor | None = None, **near: str | None) -> Record:
        """A new record by hand, associated with those named."""
        plan = writes.plan_create(self.portal, self.portal.kind(plural), {"properties": values}, set(), by_hand=True)
        for name, ident in near.items():
            if ident is not None:
                other = self.portal.live(self.portal.kind(name), str(ident))
                plan.links.append(links.Link(other, UNLABELLED[plural, other.kind.plural]))
        return writes.apply(self.portal, plan, actor or self.actor())


def _complete_task(scene: Scene) -> None:
    scene.update(scene.record("tasks", "task"), {"hs_task_status": "COMPLETED"})


def _reopen_task(scene: Scene) -> None:
    scene.update(scene.record("tasks", "task"), {"hs_task_status": "NOT_STARTED"})


def _reassign_task(scene: Scene) -> None:
    scene.update(scene.record("tasks", "task"), {"hubspot_owner_id": scene.need("to")})


def _unlink_task(scene: Scene) -> None:
    task = scene.record("tasks", "task")
    for plural, ident in list(scene.portal.links.get(("tasks", task.id), {})):
        links.unlink(scene.portal, task, scene.portal.records[plural][ident], actor=scene.actor(task))
    scene.update(task, {})


def _loose_task(scene: Scene) -> Args:
    actor = scene.actor()
    values = {
        "hs_task_subject": scene.args.get("subject", "Call"),
        "hs_timestamp": wire(scene.portal.now() + timedelta(days=1)),
        "hs_task_status": "NOT_STARTED",
        "hubspot_owner_id": scene.args.get("as", scene.known["rep_owner_id"]),
    }
    return {"id": scene.make("tasks", values, actor).id}


def _delete(plural: str, name: str) -> Callable[[Scene], None]:
    def doing(scene: Scene) -> None:
        record = scene.record(plural or scene.need("object"), name)
        writes.archive(scene.portal, record, scene.actor(record))

    return doing


def _restore(scene: Scene) -> None:
    record = scene.record(scene.need("object"), "id")
    writes.restore(scene.portal, record, scene.actor(record))


def _set_owner(scene: Scene) -> None:
    scene.update(scene.record("contacts", "contact"), {"hubspot_owner_id": scene.need("to")})


def _set_status(scene: Scene) -> None:
    scene.update(scene.record("contacts", "contact"), {"hs_lead_status": scene.need("status")})


def _recycle(scene: Scene) -> None:
    values = {"recycle_reason": scene.args.get("reason"), "recycle_until": scene.args.get("until")}
    values["hs_lead_status"] = scene.args.get("status", "BAD_TIMING")
    scene.update(scene.record("contacts", "contact"), {name: value for name, value in values.items() if value})


def _edit(scene: Scene) -> None:
    scene.update(scene.record(scene.need("object"), "id"), scene.need("values"))


def _new_contact(scene: Scene) -> Args:
    return {"id": scene.make("contacts", scene.need("values")).id}


def _forget_contact(scene: Scene) -> None:
    record = scene.record("contacts", "contact")
    merges.forget(scene.portal, record, scene.actor(record))


def _merge_contacts(scene: Scene) -> Args:
    primary, loser = scene.record("contacts", "primary"), scene.record("contacts", "loser")
    return {"id": merges.merge(scene.portal, primary, loser, scene.actor(primary)).id}


def _add_note(scene: Scene) -> Args:
    values = {"hs_note_body": scene.need("body"), "hs_timestamp": wire(scene.portal.now())}
    contact = scene.record("contacts", "contact")
    return {"id": scene.make("notes", values, scene.actor(contact), contacts=contact.id).id}


def _log(scene: Scene) -> Args:
    contact = scene.record("contacts", "contact")
    actor = scene.actor(contact)
    owner = next(each.id for each in scene.portal.owners.values() if each.user == actor.user)
    if "source" in scene.args:
        actor = Actor(scene.args["source"], actor.source_id, user=actor.user)
    values = {"hs_timestamp": wire(scene.portal.now()), "hubspot_owner_id": owner, **scene.args.get("values", {})}
    return {"id": scene.make(scene.need("object"), values, actor, contacts=contact.id).id}


def _create_deal(scene: Scene) -> Args:
    args = scene.args
    contact = scene.record("contacts", "contact") if args.get("contact") else None
    actor = scene.actor(contact)
    values = {"dealname": scene.need("name"), "hubspot_owner_id": args.get("as"), "amount": args.get("amount")}
    if contact is not None and not values["hubspot_owner_id"]:
        values["hubspot_owner_id"] = contact.values.get("hubspot_owner_id")
    if "stage" in args:
        values["dealstage"] = args["stage"]
    given = {name: value for name, value in values.items() if value is not None}
    return {"id": scene.make("deals", given, actor, contacts=None if contact is None else contact.id).id}


def _close_deal(won: bool) -> Callable[[Scene], None]:  # noqa: FBT001  used twice, below
    def doing(scene: Scene) -> None:
        deal = scene.record("deals", "deal")
        pipeline = next(each for each in scene.portal.pipelines["deals"] if each["id"] == deal.values["pipeline"])
        wanted = "1.0" if won else "0.0"
        stage = next(
            each for each in pipeline["stages"] if each["metadata"] == {"isClosed": "true", "probability": wanted}
        )
        values = {"dealstage": stage["id"]}
        if "amount" in scene.args:
            values["amount"] = scene.args["amount"]
        if "reason" in scene.args:
            values["closed_lost_reason"] = scene.args["reason"]
        scene.update(deal, values)

    return doing


def _join_list(scene: Scene) -> None:
    contact = scene.record("contacts", "contact")
    scene.portal.tracks.lists[str(scene.need("list"))].members[contact.id] = scene.portal.now()


def _leave_list(scene: Scene) -> None:
    contact = scene.record("contacts", "contact")
    scene.portal.tracks.lists[str(scene.need("list"))].members.pop(contact.id, None)


def _edit_many(source: str, label: str) -> Callable[[Scene], Args]:
    def doing(scene: Scene) -> Args:
        kind, now = scene.portal.kind(scene.need("object")), scene.portal.now()
        wanted = scene.need("ids")
        for ident in wanted:
            record = scene.portal.live(kind, str(ident))
            given = {"properties": scene.need("values")}
            plan = writes.plan_update(scene.portal, record, given, set(), by_hand=True)
            writes.apply(scene.portal, plan, Actor(source, "", label), at=now)
        return {"rows": len(wanted)}

    return doing


def _archive_owner(archived: bool) -> Callable[[Scene], None]:  # noqa: FBT001  used twice, below
    def doing(scene: Scene) -> None:
        scene.portal.owners[str(scene.need("owner"))].archived = archived

    return doing


def _add_property(scene: Scene) -> None:
    kind = scene.portal.kind(scene.need("object"))
    plain = {"label": scene.need("name"), "groupName": kind.group, "type": "string", "fieldType": "text"}
    catalog.create(scene.portal, kind, plain | scene.args)


def _remove_property(scene: Scene) -> None:
    del scene.portal.kind(scene.need("object")).properties[scene.need("name")]


def _set_options(scene: Scene) -> None:
    scene.portal.kind(scene.need("object")).properties[scene.need("name")].options = options(scene.need("values"))


def _clear_rule(scene: Scene) -> None:
    if scene.portal.rules.pop(str(scene.need("name")), None) is None:
        raise LookupError(f"There is no rule {scene.need('name')!r}.")


def _settle_index(scene: Scene) -> None:
    scene.portal.index.settle(float("inf"))


def _get(scene: Scene) -> Args:
    return seeding.record_view(scene.portal, scene.record(scene.need("object"), "id"))


def _find(scene: Scene) -> Args:
    where = scene.args.get("where", {})
    rows = (
        seeding.record_view(scene.portal, each)
        for each in scene.portal.each(scene.portal.kind(scene.need("object")).plural)
    )
    return {
        "records": [row for row in rows if all(row["properties"].get(key) == value for key, value in where.items())]
    }


_ACTS: Final[dict[str, Callable[[Scene], Args | None]]] = {
    "complete_task": _complete_task,
    "reopen_task": _reopen_task,
    "reassign_task": _reassign_task,
    "delete_task": _delete("tasks", "task"),
    "unlink_task": _unlink_task,
    "loose_task": _loose_task,
    "set_owner": _set_owner,
    "set_status": _set_status,
    "recycle": _recycle,
    "edit": _edit,
    "delete": _delete("", "id"),
    "restore": _restore,
    "new_contact": _new_contact,
    "forget_contact": _forget_contact,
    "merge_contacts": _merge_contacts,
    "add_note": _add_note,
    "log": _log,
    "create_deal": _create_deal,
    "win_deal": _close_deal(won=True),
    "lose_deal": _close_deal(won=False),
    "submit_form": lambda scene: marketing.submit_form(scene.portal, scene.args),
    "email_event": lambda scene: marketing.email_event(scene.portal, scene.args),
    "page_view": lambda scene: marketing.page_view(scene.portal, scene.args),
    "join_list": _join_list,
    "leave_list": _leave_list,
    "workflow_edit": _edit_many(rules.WORKFLOW, "Workflow"),
    "import_edit": _edit_many("IMPORT", "Import"),
    "archive_owner": _archive_owner(archived=True),
    "restore_owner": _archive_owner(archived=False),
    "add_property": _add_property,
    "remove_property": _remove_property,
    "set_options": _set_options,
    "set_settings": lambda scene: scene.portal.set(scene.args),
    "set_rule": lambda scene: rules.set_rule(scene.portal, scene.args),
    "clear_rule": _clear_rule,
    "settle_index": _settle_index,
    "get": _get,
    "find": _find,
}
