"""Merging two records into one, and forgetting a person for good (crm.md B3; marketing_automation.md 4.1, 4.2)."""

from syncagent.sandbox.hubspot import links, writes
from syncagent.sandbox.hubspot.portal import Actor, Portal, Record


def merge(portal: Portal, primary: Record, loser: Record, actor: Actor) -> Record:
    """One record out of two: the primary's values win, gaps are filled from the other; old ids lead to the result.

    With the setting `merge_id` "new" contacts get a third id (`newObjectId` of the webhook), as HubSpot does since
    2024.
    """
    now = portal.now()
    values = {**{name: value for name, value in loser.values.items() if value}}
    values |= {name: value for name, value in primary.values.items() if value}
    emails = [loser.values.get("email", ""), *loser.values.get("hs_additional_emails", "").split(";")]
    emails += primary.values.get("hs_additional_emails", "").split(";")
    history = {
        name: sorted(
            primary.history.get(name, []) + loser.history.get(name, []), key=lambda change: change.at, reverse=True
        )
        for name in {*primary.history, *loser.history}
    }
    for record in (primary, loser):
        for known in record.kind.properties.values():
            if known.unique:
                portal.release(record, known, record.values.get(known.name, ""))
    if portal.settings.merge_id == "new" and primary.kind.plural == "contacts":
        survivor = Record(portal.next_id(primary.kind), primary.kind, min(primary.created, loser.created), now)
        portal.add(survivor)
        gone = [primary, loser]
    else:
        survivor, gone = primary, [loser]
        survivor.values.clear()
    swallowed = [record.id for record in gone]
    earlier = ";".join(filter(None, [loser.values.get("hs_merged_object_ids"), values.get("hs_merged_object_ids")]))
    survivor.history = history
    for record in gone:
        record.survivor = survivor.id
        links.move(portal, record, survivor)
        portal.publish(record)
    values["hs_merged_object_ids"] = ";".join(filter(None, [earlier, *swallowed]))
    if primary.kind.plural == "contacts":
        values["hs_additional_emails"] = ";".join(sorted({each for each in emails if each} - {values.get("email")}))
    for each in portal.tracks.lists.values():
        joined = [at for ident in swallowed if (at := each.members.pop(ident, None)) is not None]
        if joined:
            each.members.setdefault(survivor.id, min(joined))
    survivor.values = values
    for known in survivor.kind.properties.values():
        if known.unique:
            portal.hold(survivor, known, values.get(known.name, ""))
    for address in values.get("hs_additional_emails", "").split(";"):
        portal.hold(survivor, survivor.kind.properties["email"], address)  # somebody's, be it the second or the first
    survivor.updated = now
    portal.publish(survivor)
    portal.tell(
        "merge",
        survivor,
        actor=actor,
        primaryObjectId=int(primary.id),
        mergedObjectIds=[int(loser.id)],
        newObjectId=int(survivor.id),
        numberOfPropertiesMoved=sum(1 for name, value in loser.values.items() if values.get(name) == value),
    )
    return survivor


def forget(portal: Portal, record: Record, actor: Actor) -> None:
    """Delete a contact for good: nothing of it can be read any more, and both events are told."""
    writes.archive(portal, record, actor)
    portal.tell("privacyDeletion", record, actor=actor)
    for known in record.kind.properties.values():
        if known.unique:
            portal.release(record, known, record.values.get(known.name, ""))
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
