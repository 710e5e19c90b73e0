"""Who takes the lead: hours, reps, routes and where they lead."""

from msgspec import Struct

from syncagent.policy.conditions import Condition


class Hours(Struct, frozen=True):
    """Working hours: for each weekday (0 = Monday) the (start, end) pairs in minutes after local midnight."""

    week: tuple[tuple[tuple[int, int], ...], ...]
    zone: str = "UTC"


class Rep(Struct, frozen=True):
    """Somebody who takes leads. `away` are ISO dates (absences and holidays); `weight` is their share in a rotation."""

    name: str
    crm_id: str
    weight: float = 1.0
    hours: Hours | None = None  # None: always at work
    cap_open: int | None = None
    cap_per_day: int | None = None
    away: tuple[str, ...] = ()
    manager: str = ""  # CRM id of who is told when a promise is broken


class RouteTarget(Struct, frozen=True):
    """A pool of reps (CRM ids; picked by weighted rotation), or a queue. Exactly one is given."""

    pool: tuple[str, ...] = ()
    queue: str = ""
    fallback_queue: str = ""  # where it goes when nobody of the pool can take it


class Route(Struct, frozen=True):
    """The first route whose conditions all hold takes the lead; `when` maps attributes to conditions."""

    name: str
    to: RouteTarget
    when: dict[str, Condition] = {}
