"""Attributes that are worked out from the dossier instead of told: only those that a policy asks for.

"email.domain" · "came.*": the first thing they did, so the channel by which they came · "deal.*": the deal that is
scored, else their newest open one; `count` is of open ones · "account.*": what the CRM says of their company, with
`engaged`, `open_deals`, `titles` (of its engaged people, in one text); `score` and `grade` by the model of accounts.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from syncagent.handoff.conditions import is_known, is_yes
from syncagent.model import BOT, Activity, Dossier, Opportunity, Value
from syncagent.policy import DERIVED

AccountScore = Callable[[Mapping[str, Value], datetime], dict[str, Value]]


def wanted_of(names: Iterable[str]) -> frozenset[str]:
    """Which of these names are to be worked out."""
    return frozenset(name for name in names if name in DERIVED or name.startswith("account."))


def derive(
    dossier: Dossier, wanted: frozenset[str], told: Mapping[str, Value], deal: Opportunity | None = None
) -> dict[str, Value]:
    """The attributes of `wanted` but for the account's score; what is not known is left out. Order never matters."""
    found: dict[str, Value] = {}
    if "email.domain" in wanted:
        address = str(told.get("email") or min(dossier.emails, default=""))
        found["email.domain"] = address.rpartition("@")[2].strip().casefold()
    if any(name.startswith("came.") for name in wanted):
        found.update(_came(dossier.activities))
    if any(name.startswith("deal.") for name in wanted):
        found.update(_deal(dossier.opportunities, deal))
    if any(name.startswith("account.") for name in wanted):
        found.update(account_of(dossier))
    return {name: value for name, value in found.items() if is_known(value)}


def account_of(dossier: Dossier) -> dict[str, Value]:
    """What is known of the company, by our names below "account."."""
    account = dossier.account
    if account is None:
        return {}
    known: dict[str, Value] = {f"account.{name}": value for name, value in account.attributes.items()}
    known["account.id"], known["account.name"], known["account.owner"] = account.id, account.name, account.owner
    known["account.open_deals"], known["account.engaged"] = account.open_deals, account.engaged
    known["account.titles"] = "; ".join(sorted(account.titles))
    return known


def _came(activities: Iterable[Activity]) -> dict[str, Value]:
    people = [one for one in activities if not (one.attributes and is_yes(one.attributes.get(BOT)))]
    if not people:
        return {}
    first = min(people, key=lambda one: (one.at, one.identity, one.key))
    return {
        "came.kind": first.kind,
        "came.asset": first.asset,
        "came.source": first.identity.system,
        "came.campaign": first.attributes.get("campaign"),
    }


def open_deals(deals: Iterable[Opportunity]) -> list[Opportunity]:
    """Deals that are neither closed nor deleted, each once, newest first."""
    live = {one.identity: one for one in deals if not (one.closed or one.deleted)}
    return sorted(live.values(), key=lambda one: (one.created_at, one.identity), reverse=True)


def _deal(deals: Iterable[Opportunity], about: Opportunity | None) -> dict[str, Value]:
    live = open_deals(deals)
    deal = about or next(iter(live), None)
    if deal is None:
        return {"deal.count": 0}
    return {
        "deal.count": len(live),
        "deal.stage": deal.stage,
        "deal.amount": deal.amount,
        "deal.created": deal.created_at.isoformat(),
        "deal.closes": deal.closed_on,
    }
