"""Merging two records into one, and forgetting a person for good (crm.md B3; marketing_automation.md 4.1, 4.2)."""

from syncagent.sandbox.hubspot import links, writes
from syncagent.sandbox.hubspot.portal import Actor, Change, Portal, Record


def merge(portal: Portal, primary: Record, loser: Record, actor: Actor) -> Record:
    """One record out of two: the primary's values win, gaps are filled from the other; old ids lead to the result.

    With the setting `merge_id` "new" contacts get a third id, the `newObjectId` of the webhook.
    """
    now = portal.now()
    values = _joined_values(primary, loser)
    moved = sum(1 for name, value in loser.values.items() if value and values[name] == value)
    history = _joined_history(primary, loser)
    for name, value in values.items():
        changes = history.setdefault(name, [])
        if not changes or changes[0].value != value:  # the other one's value was the newer (memory: the source type)
            changes.insert(0, Change(value, now, Actor("MERGE_OBJECTS")))
    for record in (primary, loser):
        portal.release_all(record)
    if portal.settings.merge_id == "new" and primary.kind.plural == "contacts":
        survivor = Record(portal.next_id(primary.kind), primary.kind, min(primary.created, loser.created), now)
        portal.add(survivor)
        gone = [primary, loser]
    else:
        survivor, gone = primary, [loser]
    earlier = _listed(primary, "hs_merged_object_ids") + _listed(loser, "hs_merged_object_ids")
    values["hs_merged_object_ids"] = ";".join([*earlier, *(record.id for record in gone)])
    survivor.values, survivor.history, survivor.updated = values, history, now
    portal.hold_all(survivor)
    for record in gone:
        record.survivor = survivor.id
        links.move(portal, record, survivor)
        portal.publish(record)
    _join_lists(portal, [record.id for record in gone], survivor)
    portal.publish(survivor)
    portal.tell(
        "merge",
        survivor,
        actor=actor,
        primaryObjectId=int(primary.id),
        mergedObjectIds=[int(loser.id)],
        newObjectId=int(survivor.id),
        numberOfPropertiesMoved=moved,
    )
    return survivor


def _joined_values(primary: Record, loser: Record) -> dict[str, str]:
    values = {name: value for record in (loser, primary) for name, value in record.values.items() if value}
    if primary.kind.plural == "contacts":
        emails = {each for record in (primary, loser) for each in _listed(record, "hs_additional_emails", "email")}
        values["hs_additional_emails"] = ";".join(sorted(emails - {values.get("email")}))
    return values


def _listed(record: Record, *names: str) -> list[str]:
    return [each for name in names for each in record.values.get(name, "").split(";") if each]


def _joined_history(primary: Record, loser: Record) -> dict[str, list[Change]]:
    return {
        name: sorted(
            primary.history.get(name, []) + loser.history.get(name, []), key=lambda change: change.at, reverse=True
        )
        for name in {*primary.history, *loser.history}
    }


def _join_lists(portal: Portal, gone: list[str], survivor: Record) -> None:
    for each in portal.tracks.lists.values():
        joined = [at for ident in gone if (at := each.members.pop(ident, None)) is not None]
        if joined:
            each.members.setdefault(survivor.id, min(joined))


def forget(portal: Portal, record: Record, actor: Actor) -> None:
    """Delete a contact for good: nothing of it can be read any more, and both events are told."""
    writes.archive(portal, record, actor)
    portal.tell("privacyDeletion", record, actor=actor)
    portal.release_all(record)
    tracks, email = portal.tracks, record.values.get("email")
    tracks.submissions = [each for each in tracks.submissions if each.values["email"] != email]
    tracks.emails = [each for each in tracks.emails if each.recipient != email]
    tracks.visits = [each for each in tracks.visits if portal.get(record.kind, each.contact) is not record]
    for each in tracks.lists.values():
        each.members.pop(record.id, None)
    for key in list(portal.links.get((record.kind.plural, record.id), {})):
        links.unlink(portal, record, portal.records[key[0]][key[1]])
    for one in [
        each for each in portal.records[record.kind.plural].values() if portal.get(record.kind, each.id) is record
    ]:
        del portal.records[record.kind.plural][one.id]
