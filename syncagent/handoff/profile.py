"""Whose word on an attribute counts when systems differ, and what each of them has said, when (`syncagent explain`)."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import Struct

from syncagent.handoff.conditions import is_known
from syncagent.model import Dossier, Identity, Value
from syncagent.model.profile import Seen
from syncagent.policy import Policy, ProfilePolicy

NEWEST = ("newest",)


class Claim(Struct, frozen=True):
    """One record's word on one attribute. `stands`: it says so still; `at`: when the record was last told."""

    value: Value
    identity: Identity
    first: datetime
    last: datetime
    stands: bool
    at: datetime
    crm: bool = False


class Attribute(Struct, frozen=True):
    """What counts of one attribute, by which rule, and all that was ever said, the winner's last."""

    name: str
    value: Value
    rule: str
    claims: tuple[Claim, ...]


def attributes_of(dossier: Dossier, policy: Policy) -> dict[str, Value]:
    """What is known of a person by our names, each by its rule; without one the newest source wins, the CRM fills."""
    return attributes_by(policy.profile, dossier)


def attributes_by(rules: ProfilePolicy, dossier: Dossier) -> dict[str, Value]:
    """`attributes_of` for who has the rules alone."""
    known = _newest(dossier)
    if not rules.rules and rules.default == NEWEST:
        return known
    if len(dossier.leads) + len(dossier.records) == 1 and not dossier.histories:
        return known  # nobody says anything else, nor ever did
    asked = known if rules.default != NEWEST else [name for name in rules.rules if name in known]
    for name in list(asked):
        rule = rules.rules.get(name, rules.default)
        if rule != NEWEST:
            found = _chosen(rule, list(_claims(dossier, name)))
            known[name] = known[name] if found is None else found.value
    return known


def profile_of(dossier: Dossier, policy: Policy) -> tuple[Attribute, ...]:
    """The whole profile: what counts, and what each record has said, in the order of the attributes' names."""
    rules = policy.profile
    made = []
    for name, value in sorted(attributes_of(dossier, policy).items()):
        rule = rules.rules.get(name, rules.default)
        claims = sorted(
            _claims(dossier, name), key=lambda one: (one.stands, one.value == value, one.last, one.identity)
        )
        made.append(Attribute(name, value, ", then ".join(rule), tuple(claims)))
    return tuple(made)


def first_told(dossier: Dossier, name: str) -> Value:
    """What was said of an attribute before anything else was; None: nothing ever."""
    if len(dossier.leads) == 1 and not dossier.records and not dossier.histories:
        value = dossier.leads[0].attributes.get(name)
        return value if is_known(value) else None
    found = _chosen(("first",), list(_claims(dossier, name)))
    return None if found is None else found.value


def _newest(dossier: Dossier) -> dict[str, Value]:
    leads = dossier.leads
    known: dict[str, Value] = {}
    if len(leads) == 1:
        known = {name: value for name, value in leads[0].attributes.items() if value is not None and value != ""}
    else:
        for lead in sorted(leads, key=lambda one: (one.seen_at, one.identity)):
            known.update((name, value) for name, value in lead.attributes.items() if is_known(value))
    if not dossier.records:
        return known
    for record in sorted(dossier.records, key=lambda one: (one.modified_at, one.identity), reverse=True):
        for name, value in record.fields.items():
            if is_known(value):
                known.setdefault(name, value)
    return known


def _claims(dossier: Dossier, name: str) -> Iterator[Claim]:
    """Every value that any record has said of an attribute; empty ones say nothing."""
    pasts = {history.identity: history for history in dossier.histories}
    told = [(lead.identity, lead.attributes, lead.seen_at, False) for lead in dossier.leads]
    told += [(record.identity, record.fields, record.modified_at, True) for record in dossier.records]
    for identity, values, at, crm in told:
        past = pasts.get(identity)
        if name not in values:
            continue
        seen = past.seen.get(name, ()) if past is not None else ()
        for one in seen or (Seen(values[name], past.born if past is not None else at, at),):
            if is_known(one.value):
                yield Claim(one.value, identity, one.first, one.last, one.value == values[name], at, crm)


def _chosen(rule: Iterable[str], claims: list[Claim]) -> Claim | None:
    """The claim that the rule prefers: systems in their order, then by what the last word says, else the newest."""
    standing = [one for one in claims if one.stands]
    for word in rule:
        if word == "first" and claims:
            return min(claims, key=lambda one: (one.first, one.identity))
        if word == "longest" and standing:
            return max(standing, key=lambda one: (len(str(one.value)), not one.crm, one.at, one.identity))
        of_system = [one for one in standing if one.identity.system == word]
        if of_system:
            return max(of_system, key=lambda one: (one.at, one.identity))
    return max(standing, key=lambda one: (not one.crm, one.at, one.identity), default=None)
