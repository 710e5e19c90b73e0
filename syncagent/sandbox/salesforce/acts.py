"""What people, admins and automations do in the org: the acts of the control API.

Every act is {"do": name, ...}. `as` is the id of the acting user (default: the record's owner, else the rep). Acts on
records may name an open `transaction`; nobody sees what they write before its commit. People on the screen are not
stopped by field security, rules or locks of the API.

People:
    complete_task {task, status?, description?}     reopen_task {task}
    reassign_task {task, to}                        delete_task {task}
    new_lead {fields} -> {id}                       edit_lead {lead, fields}
    delete_lead {lead}                              take_from_queue {lead, as}
    convert_lead {lead, account?, contact?, opportunity?: name} -> {account, contact, opportunity}
    merge_leads {winner, losers}
    log_call {lead | who, subject?, description?, date?} -> {id}
    book_meeting {lead | who, subject?, start?, minutes?, owner?} -> {id}: an event in the owner's calendar
    create_opportunity {contact?, account?, name, amount?, stage?, close_date?} -> {id}
    win_opportunity {opportunity, amount?}          lose_opportunity {opportunity}
    create {object, fields} -> {id}                 edit {object, id, fields}
    delete {object, id}                             undelete {id}
    automation_edit {ids, fields} -> {rows}: the automation user changes many rows within one second
Admins:
    deactivate_user {user}                          activate_user {user}
    set_field_access {object, field, read, edit}: what the integration user may do with a field
    add_field {object, field: "Name__c string(80) ext unique cs", label?}   (the notation of schema.py)
    change_field {object, field, values?, restricted?, required?, length?, external?, unique?, ...}
    remove_field {object, field}
    set_settings {...}: the settings of a seed
    set_rule {name?, kind, ...} -> {name}, clear_rule {name}: lasting conditions for calls over the API. Kinds:
        validation {object, field, matches (regex), message?, names_field?: false leaves `fields` empty}
        duplicate  {object, fields?: ["Email"], action?: "alert" | "block"}
        row_lock   {object, field, matches?, times?: the first k tries for each record fail}
        assignment {owner}: leads written without `Sforce-Auto-Assign: FALSE` go to this owner
    begin {name?} -> {transaction}
    commit {transaction} -> {rows}: shows them, with the stamps of their writing
    expire_sessions {}      expire_locators {}      use_quota {calls}
    get {id} -> the row     find {object, where: {field: value}} -> {"records": [...]}
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from syncagent.sandbox.salesforce import ids, writes
from syncagent.sandbox.salesforce.schema import parse_field
from syncagent.sandbox.salesforce.seeding import apply_settings
from syncagent.sandbox.salesforce.world import Actor, Row, World

Args = dict[str, Any]
_CHANGEABLE: Final = frozenset(
    {"values", "restricted", "required", "length", "external", "unique", "case_sensitive", "createable", "updateable"}
)
_RULES: Final = frozenset({"validation", "duplicate", "row_lock", "assignment"})


def act(world: World, known: dict[str, str], do: str, args: Args) -> dict[str, Any]:
    """Do it, and tell what came of it; LookupError and ValueError say what is wrong."""
    doing = _ACTS.get(do)
    if doing is None:
        raise LookupError(f"There is no act {do!r}; there are {', '.join(sorted(_ACTS))}.")
    return doing(_Scene(world, known, args)) or {}


class _Scene:
    """An act's arguments, resolved."""

    def __init__(self, world: World, known: dict[str, str], args: Args) -> None:
        self.world = world
        self.known = known
        self.args = args
        self.transaction = world.transaction(args.get("transaction"))

    def need(self, name: str) -> Any:  # noqa: ANN401  any JSON value
        if name not in self.args:
            raise LookupError(f"This act needs {name!r}.")
        return self.args[name]

    def row(self, name: str) -> Row:
        return self.find(self.need(name))

    def find(self, ident: object) -> Row:
        whole = ids.full(ident)
        row = None if whole is None else self.world.by_id(whole, self.transaction)
        if row is None:
            raise LookupError(f"There is no record {ident!r}.")
        return row

    def actor(self, row: Row | None = None) -> Actor:
        owner = (row or {}).get("OwnerId", "")
        user = self.args.get("as") or (owner if owner.startswith("005") else self.known["rep_user_id"])
        return Actor(user, transaction=self.transaction)

    def update(self, row: Row, values: Args, actor: Actor | None = None) -> None:
        kind = self.kind(row)
        writes.update(self.world, actor or self.actor(row), kind, row["Id"], values)

    def kind(self, row: Row) -> str:
        kind = self.world.kind_of(row["Id"])
        if kind is None:
            raise LookupError(f"{row['Id']} belongs to no object.")
        return kind

    def today(self) -> str:
        return self.world.stamp()[:10]


def _complete_task(scene: _Scene) -> None:
    task = scene.row("task")
    values = {"Status": scene.args.get("status", "Completed")}
    if "description" in scene.args:
        values["Description"] = scene.args["description"]
    scene.update(task, values)


def _reopen_task(scene: _Scene) -> None:
    scene.update(scene.row("task"), {"Status": scene.world.shapes["Task"].fields["Status"].default})


def _reassign_task(scene: _Scene) -> None:
    scene.update(scene.row("task"), {"OwnerId": scene.need("to")})


def _delete_named(name: str) -> Callable[[_Scene], None]:
    def doing(scene: _Scene) -> None:
        row = scene.row(name)
        writes.delete(scene.world, scene.actor(row), scene.kind(row), row["Id"])

    return doing


def _new_lead(scene: _Scene) -> Args:
    fields = {"Company": "Unknown", **scene.need("fields")}
    return {"id": writes.create(scene.world, scene.actor(), "Lead", fields)}


def _edit_lead(scene: _Scene) -> None:
    lead, fields = scene.row("lead"), dict(scene.need("fields"))
    actor = scene.actor(lead)
    if actor.user == lead["OwnerId"]:
        fields.setdefault("IsUnreadByOwner", False)
    scene.update(lead, fields, actor)


def _take_from_queue(scene: _Scene) -> None:
    scene.update(scene.row("lead"), {"OwnerId": scene.need("as")})


def _convert_lead(scene: _Scene) -> Args:
    """One transaction: Account, Contact, Opportunity, its role, the lead's own fields, its tasks."""
    world, lead = scene.world, scene.row("lead")
    if lead.get("IsConverted") or lead["IsDeleted"]:
        raise ValueError("This lead is converted or deleted already.")
    actor = scene.actor(lead)
    owner = lead["OwnerId"] if lead["OwnerId"].startswith("005") else actor.user

    def copied(**names: str) -> Args:
        return {"OwnerId": owner} | {theirs: lead.get(ours) for theirs, ours in names.items()}

    account = scene.args.get("account") or writes.create(
        world,
        actor,
        "Account",
        copied(Name="Company", Website="Website", Industry="Industry", BillingCountry="Country"),
    )
    person = copied(
        FirstName="FirstName", LastName="LastName", Title="Title", Email="Email", Phone="Phone", LeadSource="LeadSource"
    )
    contact = scene.args.get("contact") or writes.create(world, actor, "Contact", person | {"AccountId": account})
    opportunity = None
    if name := scene.args.get("opportunity"):
        opportunity = _open_opportunity(scene, actor, {"Name": name, "AccountId": account, "OwnerId": owner}, contact)
    statuses = world.tables["LeadStatus"].rows.values()
    changes = {
        "Status": next(status["ApiName"] for status in statuses if status["IsConverted"]),
        "IsConverted": True,
        "ConvertedDate": scene.today(),
        "ConvertedAccountId": account,
        "ConvertedContactId": contact,
        "ConvertedOpportunityId": opportunity,
        "IsUnreadByOwner": False,
    }
    for activity in _activities(scene, lead["Id"]):
        scene.update(activity, {"WhoId": contact, "WhatId": opportunity}, actor)
    scene.update(lead, changes, actor)
    writes.add_history(world, actor, lead["Id"], "leadConverted", None, None)
    return {"account": account, "contact": contact, "opportunity": opportunity}


def _open_opportunity(scene: _Scene, actor: Actor, values: Args, contact: str | None) -> str:
    month = scene.world.clock.now() + timedelta(days=30)
    plain = {"StageName": "Prospecting", "CloseDate": month.date().isoformat()}
    ident = writes.create(scene.world, actor, "Opportunity", plain | values)
    if contact is not None:
        role = {"OpportunityId": ident, "ContactId": contact, "IsPrimary": True}
        writes.create(scene.world, actor, "OpportunityContactRole", role)
    return ident


def _merge_leads(scene: _Scene) -> None:
    """The losers go to the recycle bin with MasterRecordId; their tasks and events move to the winner."""
    winner = scene.row("winner")
    actor = scene.actor(winner)
    for ident in scene.need("losers"):
        loser = scene.find(ident)
        for activity in _activities(scene, loser["Id"]):
            scene.update(activity, {"WhoId": winner["Id"]}, actor)
        writes.delete(scene.world, actor, "Lead", loser["Id"], master=winner["Id"])
    scene.update(winner, {}, actor)


def _undelete(scene: _Scene) -> None:
    row = scene.row("id")
    writes.undelete(scene.world, scene.actor(row), scene.kind(row), row["Id"])


def _log_call(scene: _Scene) -> Args:
    who = scene.find(scene.args.get("lead") or scene.need("who"))
    actor = scene.actor(who)
    fields = {
        "WhoId": who["Id"],
        "OwnerId": actor.user,
        "Subject": scene.args.get("subject", "Call"),
        "TaskSubtype": "Call",
        "Status": next(s["ApiName"] for s in scene.world.tables["TaskStatus"].rows.values() if s["IsClosed"]),
        "ActivityDate": scene.args.get("date", scene.today()),
        "Description": scene.args.get("description"),
        "CallDisposition": scene.args.get("outcome"),
    }
    return {"id": writes.create(scene.world, actor, "Task", fields)}


def _book_meeting(scene: _Scene) -> Args:
    who = scene.find(scene.args.get("lead") or scene.need("who"))
    actor = scene.actor(who)
    fields = {
        "WhoId": who["Id"],
        "OwnerId": scene.args.get("owner", actor.user),
        "Subject": scene.args.get("subject", "Meeting"),
        "StartDateTime": scene.args.get("start", scene.world.stamp()),
        "DurationInMinutes": scene.args.get("minutes", 30),
    }
    return {"id": writes.create(scene.world, actor, "Event", fields)}


def _activities(scene: _Scene, who: str) -> list[Row]:
    tables = [scene.world.tables[kind] for kind in writes.ACTIVITIES]
    return [table.rows[ident] for table in tables for ident in table.holders(table.shape.fields["WhoId"], who)]


def _create_opportunity(scene: _Scene) -> Args:
    args = scene.args
    contact = scene.find(args["contact"]) if args.get("contact") else None
    values = {
        "Name": scene.need("name"),
        "AccountId": args.get("account") or (contact or {}).get("AccountId"),
        "Amount": args.get("amount"),
        "StageName": args.get("stage", "Prospecting"),
    }
    if "close_date" in args:
        values["CloseDate"] = args["close_date"]
    actor = scene.actor(contact)
    return {"id": _open_opportunity(scene, actor, values, None if contact is None else contact["Id"])}


def _close(won: bool) -> Callable[[_Scene], None]:  # noqa: FBT001  used twice, below
    def doing(scene: _Scene) -> None:
        stages = scene.world.tables["OpportunityStage"].rows.values()
        name = next(stage["ApiName"] for stage in stages if stage["IsClosed"] and stage["IsWon"] == won)
        changes = {"StageName": name, "CloseDate": scene.today()}
        if "amount" in scene.args:
            changes["Amount"] = scene.args["amount"]
        scene.update(scene.row("opportunity"), changes)

    return doing


def _create(scene: _Scene) -> Args:
    name = scene.need("object")
    scene.world.table(name)
    return {"id": writes.create(scene.world, scene.actor(), name, scene.need("fields"))}


def _edit(scene: _Scene) -> None:
    scene.update(scene.row("id"), scene.need("fields"))


def _automation_edit(scene: _Scene) -> Args:
    robot = Actor(scene.args.get("as") or scene.known["automation_user_id"], transaction=scene.transaction)
    wanted = scene.need("ids")
    for ident in wanted:
        scene.update(scene.find(ident), scene.need("fields"), robot)
    return {"rows": len(wanted)}


def _activate(active: bool) -> Callable[[_Scene], None]:  # noqa: FBT001  used twice, below
    def doing(scene: _Scene) -> None:
        scene.update(scene.row("user"), {"IsActive": active}, Actor(scene.known["manager_user_id"]))

    return doing


def _set_field_access(scene: _Scene) -> None:
    read, edit = bool(scene.args.get("read", True)), bool(scene.args.get("edit", True))
    writes.grant(scene.world, scene.need("object"), scene.need("field"), read=read, edit=edit)


def _add_field(scene: _Scene) -> None:
    scene.world.table(scene.need("object"))
    scene.world.add_field(scene.need("object"), parse_field(scene.need("field")))
    if "label" in scene.args:
        scene.world.shapes[scene.need("object")].change(scene.need("field").split()[0], label=scene.args["label"])


def _change_field(scene: _Scene) -> None:
    changes = {key: value for key, value in scene.args.items() if key not in ("object", "field")}
    if unknown := set(changes) - _CHANGEABLE:
        raise ValueError(f"A field has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(_CHANGEABLE))}.")
    if "values" in changes:
        changes["values"] = tuple(changes["values"])
    table = scene.world.table(scene.need("object"))
    changed = table.shape.change(scene.need("field"), **changes)
    if changed.external or changed.unique:
        table.index(changed)


def _remove_field(scene: _Scene) -> None:
    scene.world.drop_field(scene.need("object"), scene.need("field"))


def _set_settings(scene: _Scene) -> None:
    apply_settings(scene.world, scene.args)


def _set_rule(scene: _Scene) -> Args:
    kind = scene.need("kind")
    if kind not in _RULES:
        raise ValueError(f"There is no rule {kind!r}; there are {', '.join(sorted(_RULES))}.")
    needs = {"validation": ("object", "field"), "row_lock": ("object", "field"), "duplicate": ("object",)}
    for name in needs.get(kind, ("owner",)):
        scene.need(name)
    name = "assignment" if kind == "assignment" else scene.args.get("name", kind)
    scene.world.rules[name] = scene.args
    return {"name": name}


def _clear_rule(scene: _Scene) -> None:
    if scene.world.rules.pop(scene.need("name"), None) is None:
        raise LookupError(f"There is no rule {scene.need('name')!r}.")


def _begin(scene: _Scene) -> Args:
    return {"transaction": scene.world.begin(scene.args.get("name")).name}


def _commit(scene: _Scene) -> Args:
    return {"rows": scene.world.commit(scene.need("transaction"))}


def _get(scene: _Scene) -> Args:
    return scene.row("id")


def _find(scene: _Scene) -> Args:
    where = scene.args.get("where", {})
    rows = scene.world.table(scene.need("object")).rows.values()
    return {"records": [row for row in rows if all(row.get(key) == value for key, value in where.items())]}


_ACTS: Final[dict[str, Callable[[_Scene], Args | None]]] = {
    "complete_task": _complete_task,
    "reopen_task": _reopen_task,
    "reassign_task": _reassign_task,
    "delete_task": _delete_named("task"),
    "new_lead": _new_lead,
    "edit_lead": _edit_lead,
    "delete_lead": _delete_named("lead"),
    "take_from_queue": _take_from_queue,
    "convert_lead": _convert_lead,
    "merge_leads": _merge_leads,
    "log_call": _log_call,
    "book_meeting": _book_meeting,
    "create_opportunity": _create_opportunity,
    "win_opportunity": _close(won=True),
    "lose_opportunity": _close(won=False),
    "create": _create,
    "edit": _edit,
    "delete": _delete_named("id"),
    "undelete": _undelete,
    "automation_edit": _automation_edit,
    "deactivate_user": _activate(active=False),
    "activate_user": _activate(active=True),
    "set_field_access": _set_field_access,
    "add_field": _add_field,
    "change_field": _change_field,
    "remove_field": _remove_field,
    "set_settings": _set_settings,
    "set_rule": _set_rule,
    "clear_rule": _clear_rule,
    "begin": _begin,
    "commit": _commit,
    "get": _get,
    "find": _find,
}
