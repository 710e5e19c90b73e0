"""Associations: typed links between two records, seen from both sides (crm.md B6)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from syncagent.sandbox.hubspot.portal import Actor, Portal, Record
from syncagent.sandbox.hubspot.refusal import invalid, not_found
from syncagent.sandbox.hubspot.schema import INVERSE, PRIMARY, UNLABELLED, Kind

_COMPANY = "associatedcompanyid"


@dataclass(frozen=True, slots=True)
class Link:
    """A wish to link to a record with a type of association."""

    to: Record
    number: int


def link(portal: Portal, one: Record, other: Record, number: int, actor: Actor | None = None) -> None:
    """Link two records; a primary link brings the unlabelled one along and takes the place of an older primary.

    With an `actor` the webhooks hear of it.
    """
    back = INVERSE[one.kind.plural, other.kind.plural, number]
    plain = UNLABELLED.get((one.kind.plural, other.kind.plural))
    if number in PRIMARY:
        for (kind, ident), numbers in list(portal.links.get(_key(one), {}).items()):
            if kind == other.kind.plural and number in numbers:
                unlink(portal, one, portal.records[kind][ident], number)
    pairs = {(number, back)}
    if plain is not None:
        pairs.add((plain, INVERSE[one.kind.plural, other.kind.plural, plain]))
    for ahead, behind in pairs:
        portal.links.setdefault(_key(one), {}).setdefault(_key(other), set()).add(ahead)
        portal.links.setdefault(_key(other), {}).setdefault(_key(one), set()).add(behind)
    contact, company = (one, other) if one.kind.plural == "contacts" else (other, one)
    of_company = (contact.kind.plural, company.kind.plural) == ("contacts", "companies")
    # (memory): the first company of a contact is its primary one, whatever the call has said
    if of_company and (number in PRIMARY or not contact.values.get(_COMPANY)):
        contact.values[_COMPANY] = company.id
        _touch(portal, contact, actor)
    if actor is not None:
        _tell(portal, one, other, actor, removed=False)


def _touch(portal: Portal, contact: Record, actor: Actor | None) -> None:
    if actor is not None:
        contact.updated = max(contact.updated, portal.now())
        portal.publish(contact)


def _tell(portal: Portal, one: Record, other: Record, actor: Actor, *, removed: bool) -> None:
    for near, far in ((one, other), (other, one)):
        portal.tell(
            "associationChange",
            near,
            actor=actor,
            fromObjectId=int(near.id),
            toObjectId=int(far.id),
            associationType=f"{near.kind.singular}_TO_{far.kind.singular}".upper(),
            associationRemoved=removed,
        )


def unlink(portal: Portal, one: Record, other: Record, number: int | None = None, actor: Actor | None = None) -> None:
    """Take one type of link away, or all between the two; with an `actor` the webhooks hear of it."""
    for near, far in ((one, other), (other, one)):
        links = portal.links.get(_key(near), {})
        numbers = links.get(_key(far))
        if numbers is None:
            continue
        if number is None:
            numbers.clear()
        else:
            numbers.discard(number if near is one else INVERSE[one.kind.plural, other.kind.plural, number])
        if not numbers:
            del links[_key(far)]
            if near.values.get(_COMPANY) == far.id and (near.kind.plural, far.kind.plural) == ("contacts", "companies"):
                near.values[_COMPANY] = ""
                _touch(portal, near, actor)
    if actor is not None:
        _tell(portal, one, other, actor, removed=True)


def linked(portal: Portal, record: Record, kind: Kind) -> Iterator[tuple[Record, set[int]]]:
    """The live records of a kind that this one is linked to, with the types."""
    for (plural, ident), numbers in portal.links.get(_key(record), {}).items():
        if plural == kind.plural:
            other = portal.get(kind, ident)
            if other is not None and other.archived_at is None:
                yield other, numbers


def wanted_links(portal: Portal, kind: Kind, associations: list[dict[str, Any]]) -> list[Link]:
    """The links that a creation asks for; an unknown record or type is refused."""
    found = []
    for each in associations:
        ident = str(each.get("to", {}).get("id", ""))
        types = each.get("types") or []
        if not ident or not types:
            raise invalid("An association needs to.id and types.")
        found += [_wanted(portal, kind, ident, int(one.get("associationTypeId", 0))) for one in types]
    return found


def _wanted(portal: Portal, kind: Kind, ident: str, number: int) -> Link:
    theirs = next((to for one, to, known in INVERSE if one == kind.plural and known == number), None)
    if theirs is None:
        raise invalid(f"No association type {number} is known from {kind.type_id}.")
    record = portal.get(portal.kinds[theirs], ident)
    if record is None or record.archived_at is not None:
        raise not_found(f"No {theirs} with id {ident} to associate with.", ident)
    return Link(record, number)


def move(portal: Portal, old: Record, new: Record) -> None:
    """Hand all links of one record to another, as a merge does."""
    for (plural, ident), numbers in list(portal.links.pop(_key(old), {}).items()):
        other = portal.records[plural][ident]
        portal.links.get(_key(other), {}).pop(_key(old), None)
        if other.id != new.id:
            for number in numbers:
                link(portal, new, other, number)


def _key(record: Record) -> tuple[str, str]:
    return record.kind.plural, record.id
