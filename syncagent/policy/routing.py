"""Who takes the lead: hours, reps, teams, the order of routes, and the territories that are listed by the thousand."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from syncagent.policy.conditions import Condition, Duration


class Hours(Struct, frozen=True):
    """Working hours: for each weekday (0 = Monday) the (start, end) pairs in minutes after local midnight."""

    week: tuple[tuple[tuple[int, int], ...], ...]
    zone: str = "UTC"


class Rep(Struct, frozen=True):
    """Somebody who takes leads. `weight` is their share in a rotation.

    `away` are ISO dates of absences; `holidays` are the public ones where they live (None: the policy's); `busy` are
    absences from a moment to a moment, UTC; in `meetings` they are at work, and not free. `skills`: what they can, by
    attribute of a lead ("language": "de", "en").
    """

    name: str
    crm_id: str
    weight: float = 1.0
    hours: Hours | None = None  # None: always at work
    cap_open: int | None = None
    cap_per_day: int | None = None
    away: tuple[str, ...] = ()
    manager: str = ""  # CRM id of who is told when a promise is broken
    holidays: tuple[str, ...] | None = None
    busy: tuple[tuple[datetime, datetime], ...] = ()
    meetings: tuple[tuple[datetime, datetime], ...] = ()
    skills: dict[str, tuple[str, ...]] = {}


class Pool(Struct, frozen=True):
    """Reps who take turns, by CRM id. The turn is kept under the pool's name, whichever route leads to it."""

    name: str
    members: tuple[str, ...]


class RouteTarget(Struct, frozen=True):
    """A pool of reps (CRM ids), or a queue. Exactly one is given.

    `team` names the pool, so that routes share its turn; empty: the route's name. `then` are the pools to ask next.
    `pick`: whose turn it is, who has the least to do for their weight, or the first of the list who can take it.
    `sticky`: the rep who got the last lead of the same company goes first. `skills`: attributes whose value a rep must
    have among theirs. `at_work`: only who is at work now; None: when the promise is a short one.
    `nobody`: where it goes when nobody can take it: the queue behind (else the next route that fits), the next route,
    or nowhere until the first one is in.
    """

    pool: tuple[str, ...] = ()
    queue: str = ""
    fallback_queue: str = ""  # where it goes when nobody of the pool can take it
    team: str = ""
    then: tuple[Pool, ...] = ()
    pick: Literal["weighted", "least_busy", "first_available"] = "weighted"
    sticky: bool = False
    skills: tuple[str, ...] = ()
    at_work: bool | None = None
    nobody: Literal["queue", "next", "wait"] = "queue"


class WaitFor(Struct, frozen=True):
    """Attributes that a route waits for while they are unknown, and for how long at most."""

    fields: tuple[str, ...]
    at_most: Duration


class Route(Struct, frozen=True):
    """The first route whose conditions all hold takes the lead; `when` maps attributes to conditions.

    `regions`: names of `RoutingPolicy.regions`, one of which must hold the lead's country (and state).
    """

    name: str
    to: RouteTarget
    when: dict[str, Condition] = {}
    regions: tuple[str, ...] = ()
    wait: WaitFor | None = None


POSTAL = ("postal_code", "postal", "postcode", "zip")
"""What the attribute with somebody's postal code may be called."""


class Territory(Struct, frozen=True, gc=False):
    """One row of the list: a named account (`account` id, `domain` or `company`), or a country and its postal codes.

    `to` is a key of `RoutingPolicy.targets`; `postal` "" means the whole country; `row` says where it stands.
    """

    to: str
    row: str
    account: str = ""
    domain: str = ""
    company: str = ""
    country: str = ""
    postal: tuple[tuple[str, str], ...] = ()


Step = Literal["deal_owner", "account_owner", "current_owner", "last_owner", "named_accounts", "territories", "routes"]
ORDER: tuple[Step, ...] = (
    "deal_owner",
    "account_owner",
    "current_owner",
    "last_owner",
    "named_accounts",
    "territories",
    "routes",
)
"""Who is asked first; a lead that comes back goes to the rep who had it before all others, unless that step is off."""


class RoutingPolicy(Struct, frozen=True):
    """The order of routes, and what all of them read.

    A promise of at most `short_promise` needs somebody who is at work. `regions`: name -> (country, state) pairs in
    small letters, state "" for the whole country. `countries`: other spellings in small letters -> the one used here.
    `owners` "anybody": owners of accounts and deals need not be among the reps.
    """

    order: tuple[Step, ...] = ORDER
    short_promise: Duration = Duration(minutes=15)
    owners: Literal["reps", "anybody"] = "reps"
    regions: dict[str, tuple[tuple[str, str], ...]] = {}
    countries: dict[str, str] = {}
    targets: dict[str, RouteTarget] = {}
    territories: tuple[Territory, ...] = ()
