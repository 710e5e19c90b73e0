"""Which account somebody belongs to whom the CRM counts to none: by mail domain, website, name, or phone.

A wrong match costs more than a missed one: a stranger would get the lead, and the account's points. So evidence must
stand alone and nothing may speak against it. The first kind that finds anything decides; of several accounts one is
taken by rule, and what was done is told. What the CRM itself says always goes before.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec.structs import replace

from syncagent.handoff.profile import attributes_of
from syncagent.model import AccountView, Candidate, Dossier, Share
from syncagent.model.company import (
    clean_name,
    mail_domain,
    name_key,
    phone_numbers,
    registered,
    same_words,
    undone,
    website_domain,
)
from syncagent.model.country import same
from syncagent.policy import Policy

_EVERYBODYS = """
agency agro air art arts associates auto automotive bank bau beauty berlin best big building business cafe capital
care center central centre christian city clean clinic club commerce communications community computer computing
construction consult consultants consulting control council creative credit data dental design development digital
direct distribution dynamics eco ecommerce education electric electronics energy engineering enterprise enterprises
equipment estate europe events express factory fashion film finance financial first fitness food foods foundation
fresh futures garden general gesellschaft global gold grand green handel health healthcare home hospital hotel house
immobilien impex import industrial industries industry informatik information innovation innovations institute
insurance international invest investment investments it lab labs law legal life line live local logistics logistik
london machinery management manufacturing market marketing master mechanical media medical metal mobile modern motor
motors national net network networks new north office online optics paper paris partner partners pharma photo plus
power praxis premier print pro production productions products project projects property quality real research
resources restaurant retail sales school science security service services shop smart social society software solar
solution solutions source south sport sports star steel store studio studios sun supplies supply support system
systems team tech technical technik technologies technology telecom the top total trade trading training transport
travel trust union united universal university ventures vision water web west wholesale work works world
"""
_SURNAMES = """
ahmed ali anderson bauer becker bernard braun brown chen clark costa davies davis dubois evans fernandez ferrari
ferreira fischer garcia gomez gonzalez green gupta hall hansen harris hernandez hill hoffman hoffmann ivanov jackson
jensen johansson johnson jones kaya khan kim klein koch kowalski krueger kruger kumar lee lewis li lima lopez martin
martinez mayer meier meyer miller moore mueller muller murphy nguyen nielsen novak nowak oliveira patel pereira perez
petrov richter robinson rodriguez rossi russo sanchez santos schaefer schafer schmidt schmitt schneider scholz
schroder schroeder schulz schwarz scott sharma silva singh smith souza svensson tan taylor thomas thompson torres
turner wagner walker wang ward weber white williams wilson wolf wong wright yilmaz young zhang zimmermann
"""
_GENERIC = frozenset((*_EVERYBODYS.split(), *_SURNAMES.split()))
"""Words that any company may have in its name, and families of every town: these alone tell none from another."""

_SHORT, _LONG, _VERY_LONG, _LONG_WORD = 4, 12, 15, 8  # letters
_NEVER = datetime.max.replace(tzinfo=UTC)


class _Person(NamedTuple):
    """What is known of somebody that could name their company."""

    domains: tuple[str, ...]
    website: str
    name: str
    phones: tuple[str, ...]
    country: str


def placed(dossier: Dossier, policy: Policy) -> Dossier:
    """The dossier with the account that its candidates speak for, if there is one; and without candidates."""
    if not dossier.candidates:
        return dossier
    found = match(dossier, policy) if dossier.account is None else dossier.account
    return replace(dossier, account=found, candidates=())


def match(dossier: Dossier, policy: Policy) -> AccountView | None:
    """The one account that somebody belongs to by what they and it have in common; its `matched` says why."""
    person = _person(dossier, policy)
    tests: tuple[tuple[str, Callable[[_Person, Candidate], str]], ...] = (
        ("mail domain", _by_domain),
        ("website", _by_website),
        ("name", _by_name),
        ("a name that differs by a slip,", _by_likeness),
        ("phone", _by_phone),
    )
    for kind, test in tests:
        fits = [(one, what) for one in dossier.candidates if (what := test(person, one))]
        if fits and _are_one([one for one, _ in fits], strangers=kind == "mail domain" and len(person.domains) == 1):
            return _taken(kind, fits, person)
        if fits:
            return None
    return None


def _person(dossier: Dossier, policy: Policy) -> _Person:
    known = attributes_of(dossier, policy)
    addresses = [known.get("email") or "", *dossier.emails, *dossier.shared]
    domains = [mail_domain(str(one).strip().casefold(), policy.free_mail) for one in addresses]
    country = str(known.get("country") or "")
    return _Person(
        domains=tuple(dict.fromkeys(one for one in domains[:1] if one) or dict.fromkeys(filter(None, domains))),
        website=website_domain(str(known.get("website") or "")),
        name=clean_name(str(known.get("company") or "")),
        phones=phone_numbers(str(known.get("phone") or ""), country),
        country=country,
    )


# -- what proves it


def _by_domain(person: _Person, candidate: Candidate) -> str:
    for domain in person.domains:
        share = _shared(candidate, f"d:{domain}")
        if share is not None and (share.told or _is_theirs(domain, share, candidate)):
            return domain
    return ""


def _is_theirs(domain: str, share: Share, candidate: Candidate) -> bool:
    """Whether a domain is the account's though only its people's mail tells it: an adviser has mail elsewhere."""
    if 2 * share.people < candidate.people:
        return False
    return share.people > 1 or _names(domain, clean_name(candidate.view.name))


def _names(domain: str, name: str) -> bool:
    """Whether a domain is made of a company's name."""
    label, words = _label(domain), name.split()
    return bool(words) and (label == "".join(words) or (len(words[0]) > 3 and label == words[0]))


def _by_website(person: _Person, candidate: Candidate) -> str:
    share = _shared(candidate, f"d:{person.website}") if person.website else None
    fits = share is not None and share.told and not _speaks_against(person, candidate)
    return person.website if fits else ""


def _by_name(person: _Person, candidate: Candidate) -> str:
    theirs = clean_name(candidate.view.name)
    if not _named(person, candidate) or same_words(theirs) != same_words(person.name):
        return ""
    own = [word for word in same_words(person.name).split() if word not in _GENERIC and len(word) > 1]
    together = same(person.country, _country(candidate))
    enough = together is True or (together is None and len(own) > 1)
    return f"“{candidate.view.name}”" if sum(map(len, own)) > _SHORT and enough else ""


def _named(person: _Person, candidate: Candidate) -> bool:
    key = name_key(person.name)
    return bool(key) and _shared(candidate, key) is not None and not _speaks_against(person, candidate)


def _by_likeness(person: _Person, candidate: Candidate) -> str:
    if not _named(person, candidate) or same(person.country, _country(candidate)) is not True:
        return ""
    return f"“{candidate.view.name}”" if alike(person.name, clean_name(candidate.view.name)) else ""


def alike(one: str, other: str) -> bool:
    """Whether two cleaned names are one company's in spite of a slip: long ones, without figures, of the same words.

    A doubled letter, and ae for an umlaut, make no difference; in a long word of a long name one vowel may be missing
    inside. One letter for another, or another ending, makes another company.
    """
    if any(each.isdigit() for each in one + other) or min(map(_letters, (one, other))) < _LONG:
        return False
    first, second = undone(one).split(), undone(other).split()
    apart = [(a, b) for a, b in zip(first, second, strict=False) if a != b]
    if len(first) != len(second) or len(apart) > 1:
        return False
    if not apart:
        return not all(word in _GENERIC for word in same_words(one).split())
    short, long = sorted(apart[0], key=len)
    if min(_letters(one), _letters(other)) < _VERY_LONG or len(long) < _LONG_WORD or len(long) - len(short) != 1:
        return False
    return any(long[:n] + long[n + 1 :] == short for n in range(1, len(long) - 1) if long[n] in "aeiouy")


def _by_phone(person: _Person, candidate: Candidate) -> str:
    number = next((one for one in person.phones if _shared(candidate, f"p:{one}") is not None), "")
    if not number or _speaks_against(person, candidate) or same(person.country, _country(candidate)) is False:
        return ""
    own, theirs = (set(name.split()) - _GENERIC for name in (person.name, clean_name(candidate.view.name)))
    return number if not person.name or own & theirs else ""  # of a shared house the desk answers for everybody


# -- what speaks against it


def _speaks_against(person: _Person, candidate: Candidate) -> bool:
    """Mail from another company's domain: an adviser's, or a company of the same name."""
    theirs = _labels(candidate)
    return bool(theirs and person.domains) and not theirs.intersection(map(_label, person.domains))


def _are_one(found: Sequence[Candidate], *, strangers: bool) -> bool:
    """Whether several accounts are one company, told twice. `strangers`: one domain proves it, whatever they say."""
    if len(found) < 2 or strangers:
        return True
    if len({same_words(clean_name(one.view.name)) for one in found}) > 1:
        return False
    told = [labels for one in found if (labels := _labels(one))]
    return all(one & told[0] for one in told)


# -- which of several


def _taken(kind: str, fits: Sequence[tuple[Candidate, str]], person: _Person) -> AccountView:
    """By rule, told: the person's country, an open deal, an owner, its own word on it, the oldest, the lowest id."""

    def ranks(candidate: Candidate) -> tuple[tuple[bool | datetime | str, str], ...]:
        view = candidate.view
        told = any(share.told for share in candidate.shares)
        return (
            (same(person.country, _country(candidate)) is not True, "in their country"),
            (not view.open_deals, "with an open deal"),
            (not view.owner, "with an owner"),
            (not told, "whose own record tells it"),
            (candidate.created_at or _NEVER, "that is the oldest"),
            (view.id, "with the lowest id"),
        )

    def rank(fit: tuple[Candidate, str]) -> tuple[bool | datetime | str, ...]:
        return tuple(value for value, _ in ranks(fit[0]))

    (first, what), *others = sorted(fits, key=rank)
    why = f"matched {first.view.name or first.view.id} by {kind} {what}"
    if others:
        pairs = zip(ranks(first), ranks(others[0][0]), strict=True)
        reason = next(words for (mine, words), (theirs, _) in pairs if mine != theirs)
        why += f"; {len(fits)} candidates, took the one {reason}"
    return replace(first.view, matched=why)


def _shared(candidate: Candidate, key: str) -> Share | None:
    return next((share for share in candidate.shares if share.key == key), None)


def _country(candidate: Candidate) -> str:
    return str(candidate.view.attributes.get("country") or "")


def domains_of(account: AccountView) -> Iterable[str]:
    """The domains that an account tells of itself."""
    told = (account.attributes.get("website"), *str(account.attributes.get("domain") or "").split(","))
    return (domain for text in told if text and (domain := website_domain(str(text))))


def _labels(candidate: Candidate) -> set[str]:
    return {_label(domain) for domain in domains_of(candidate.view)}


def _label(domain: str) -> str:
    """The name in a domain, without hyphens: acme-bau.co.uk is acmebau."""
    return registered(domain).partition(".")[0].replace("-", "")


def _letters(name: str) -> int:
    return sum(each.isalpha() for each in name)
