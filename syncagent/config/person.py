"""[identity] and [profile]: who is one person, and whose word on them counts."""

from collections.abc import Callable, Mapping, Sequence

from syncagent.config.reading import close
from syncagent.config.tables import IdentityTable
from syncagent.model.address import domain_of, read_address
from syncagent.policy import ALWAYS_FIND, ProfilePolicy

Tell = Callable[[str, str, str], None]
"""Takes a problem: its path, what is wrong, what helps."""


def free_mail(table: IdentityTable, tell: Tell) -> tuple[str, ...]:
    """The admin's mail domains that are no company, as compared; tells of patterns that can fit nothing."""
    for name in ("placeholders", "shared", "not_shared"):
        for n, glob in enumerate(getattr(table, name), 1):
            if "@" not in glob:
                tell(f"identity.{name}[{n}]", f"{glob!r} has no @: it fits no address.", 'For example: "desk@*".')
    domains = []
    for n, domain in enumerate(table.free_mail, 1):
        address = read_address(f"x@{domain}")
        if not address:
            tell(f"identity.free_mail[{n}]", f"{domain!r} is not a mail domain.", 'For example: "mail.example".')
        domains.append(domain_of(address))
    return tuple(domains)


def profile(table: Mapping[str, str | Sequence[str]], systems: Sequence[str], tell: Tell) -> ProfilePolicy:
    """Whose value of an attribute counts. A system that is not in the config may be an imported file's name."""
    crm = systems[-1]
    words = (*ALWAYS_FIND, "crm", *systems)
    rules: dict[str, tuple[str, ...]] = {}
    for name, given in table.items():
        told = (given,) if isinstance(given, str) else tuple(given)
        path = f"profile.{name}"
        if not told:
            tell(path, "Say whose value counts.", 'For example: title = ["crm", "marketo"].')
            continue
        for one in told:
            if one not in words and (near := close(one, words)):
                tell(path, f"{one!r} is no rule and none of the systems.", f"Did you mean {near!r}?")
        for one in told[:-1]:
            if one in ALWAYS_FIND:
                tell(path, f"{one!r} always finds a value: what stands behind it is never asked.", "Put it last.")
        rules[name] = tuple(crm if one == "crm" else one for one in told)
    return ProfilePolicy(rules.pop("default", ("newest",)), rules)
