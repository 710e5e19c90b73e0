"""The tables of reps, teams, routes and territories as policy; whatever would leave a lead with nobody is told."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar, get_args
from zoneinfo import ZoneInfo

from syncagent.config.conditions import Tell, conditions
from syncagent.config.files import PATH, Files, Line, few, zone_of
from syncagent.config.reading import days, duration, hours, nearest
from syncagent.config.tables import AgreementTables, PlaceTable, RepTable, RouteTable, RouteToTable
from syncagent.policy import (
    ORDER,
    POSTAL,
    Condition,
    Duration,
    Hours,
    Pool,
    Rep,
    Route,
    RouteTarget,
    RoutingPolicy,
    Step,
    Territory,
    WaitFor,
)

R = TypeVar("R")
NAMES = r"reps(\[\d+\](\.name)?)?$"
YEARS = range(2020, 2041)
"""Public holidays are worked out for these years."""
_LAST = "\U0010ffff"


class RoutingTranslation:
    """Turns the tables of routing into policy; `is_whole` says whether every path that fits a pattern could be read."""

    def __init__(
        self, tables: AgreementTables, zone: str, tell: Tell, is_whole: Callable[[str], bool], files: Files
    ) -> None:
        """`tell` keeps quiet of what follows from a path that could not be read."""
        self._tables, self._zone, self._is_whole, self._files = tables, zone, is_whole, files
        self._out, self._told = tell, set[tuple[str, str]]()
        self._reps = {rep.name.casefold(): rep.crm_id for rep in tables.reps}
        self._team_of: dict[str, str] = {}
        for name, team in tables.teams.items():
            for member in team.members:
                self._team_of.setdefault(member.casefold(), name)

    def _tell(self, path: str, message: str, hint: str = "") -> None:
        """What holds for many is told once, however many it is read for."""
        if (path, message) not in self._told:
            self._told.add((path, message))
            self._out(path, message, hint)

    # -- people

    def reps(self) -> tuple[Rep, ...]:
        """Everybody who takes leads."""
        self._check_reps()
        return tuple(self._rep(rep, f"reps[{n}]") for n, rep in enumerate(self._tables.reps, 1))

    def team_hours(self) -> Hours | None:
        """The hours of [team], for clocks that run by them."""
        return self._hours(self._tables.team, "team")

    def holidays(self) -> tuple[str, ...]:
        """Days off of everybody who has no country of their own."""
        return tuple(dict.fromkeys((*self._shutdown("team"), *self._public(self._tables.team, "team"))))

    def user(self, name: str, path: str) -> str:
        """A rep's name, or a CRM id as it stands."""
        if not name:
            return ""
        found = self._reps.get(name.casefold())
        if found is None and " " in name and self._is_whole(NAMES):
            self._tell(path, f"{name!r} is none of the reps.", "Write the name of a rep, or a CRM user id.")
        return found or name

    def _check_reps(self) -> None:
        seen: set[str] = set()
        names: set[str] = set()
        for n, rep in enumerate(self._tables.reps, 1):
            path = f"reps[{n}]"
            if rep.name.casefold() in names:
                self._tell(
                    f"{path}.name", f"{rep.name} is the name of somebody above.", "Routes name reps: tell them apart."
                )
            names.add(rep.name.casefold())
            if rep.crm_id in seen:
                self._tell(f"{path}.crm_id", f"{rep.name} has the CRM id of somebody above.")
            seen.add(rep.crm_id)
            if rep.weight <= 0:
                self._tell(f"{path}.weight", "A weight is above 0.", "Leave somebody out with away, or remove them.")

    def _rep(self, rep: RepTable, path: str) -> Rep:
        team = self._tables.teams.get(self._team_of.get(rep.name.casefold(), ""))
        team_path = f"teams.{self._team_of.get(rep.name.casefold(), '')}"
        zone = zone_of(rep, self._tables)
        own = self._hours(rep, path, zone)
        if own is None and team is not None:
            own = self._hours(team, team_path, zone)
        if own is None:
            own = self._hours(self._tables.team, "team", zone)
        holidays = None
        for one, where in ((rep, path), (team, team_path)):
            if one is not None and one.country and holidays is None:
                holidays = tuple(dict.fromkeys((*self._shutdown("team"), *self._public(one, where))))
        away = (
            *self._days(rep.away, f"{path}.away"),
            *self._days(team.holidays if team else (), f"{team_path}.holidays"),
        )
        manager = self.user(rep.manager, f"{path}.manager")
        if not manager and team is not None:
            manager = self.user(team.manager, f"{team_path}.manager")
        return Rep(
            name=rep.name,
            crm_id=rep.crm_id,
            weight=rep.weight,
            hours=own,
            cap_open=rep.cap.open,
            cap_per_day=rep.cap.per_day,
            away=tuple(dict.fromkeys(away)),
            manager=manager,
            holidays=holidays,
            busy=self._files.absences_of(rep.calendar, zone or self._zone),
            skills={name: (given,) if isinstance(given, str) else given for name, given in rep.skills.items()},
        )

    def _shutdown(self, path: str) -> tuple[str, ...]:
        return self._days(self._tables.team.holidays, f"{path}.holidays")

    def _days(self, texts: tuple[str, ...], path: str) -> tuple[str, ...]:
        return self._try(path, lambda: days(texts), ())

    def _public(self, table: PlaceTable, path: str) -> tuple[str, ...]:
        if not table.country:
            return ()
        try:
            return public_holidays(table.country, table.subdivision)
        except ValueError as error:
            hint = 'Write codes such as country = "DE", subdivision = "BY"; dates can always stand in `holidays`.'
            self._tell(f"{path}.country", str(error), hint)
            return ()

    def _hours(self, table: PlaceTable, path: str, zone: str = "") -> Hours | None:
        known = self._known_zone(table.timezone, f"{path}.timezone")
        if zone:
            known = self._known_zone(zone, "")
        return self._try(f"{path}.hours", lambda: hours(table.hours, known), None) if table.hours else None

    def _known_zone(self, zone: str, path: str) -> str:
        try:
            ZoneInfo(zone or self._zone)
        except (ValueError, OSError, KeyError):
            if path:
                self._tell(path, f"{zone!r} is not a time zone.", "Write for example Europe/Berlin.")
            return "UTC"
        return zone or self._zone

    def _try(self, path: str, make: Callable[[], R], otherwise: R) -> R:
        try:
            return make()
        except ValueError as error:
            self._tell(path, str(error))
            return otherwise

    # -- routes

    def routes(self) -> tuple[Route, ...]:
        """The routes; the last one must catch all, with a queue for when nobody is there."""
        for name, team in self._tables.teams.items():
            if not team.members:
                self._tell(f"teams.{name}.members", "A team has members.", "Name its reps, or remove it.")
            for member in team.members:
                self._member(member, f"teams.{name}.members")
        given = self._tables.routes
        made = tuple(self._route(route, f"routes[{n}]") for n, route in enumerate(given, 1))
        names = [route.name for route in made]
        for n, name in enumerate(names, 1):
            if name in names[: n - 1]:
                self._tell(f"routes[{n}].name", f"A route above is called {name!r}.", "Give it a name of its own.")
        last = f"routes[{len(made)}]" if made else "routes"
        if not made or made[-1].when or made[-1].regions:
            self._tell(last, "The last route must catch all.", "Give it no `when`.")
        elif not (made[-1].to.queue or made[-1].to.fallback_queue):
            self._tell(last, "The last route needs a queue for when nobody is there.", "Give it a fallback_queue.")
        elif made[-1].to.nobody == "next":
            self._tell(f"{last}.to.nobody", "Behind the last route there is no next one.", 'Write "queue" or "wait".')
        return made

    def _route(self, route: RouteTable, path: str) -> Route:
        when = dict(route.when)
        regions: tuple[str, ...] = ()
        if "region" in when and self._tables.regions:
            named = when.pop("region")
            regions = tuple(str(one) for one in (named if isinstance(named, list) else [named]))
            for one in regions:
                if one not in self._tables.regions:
                    self._tell(f"{path}.when.region", f"{one!r} is no region.", nearest(one, self._tables.regions))
        tests = conditions({k: v for k, v in when.items() if k not in POSTAL}, f"{path}.when", self._tell)
        for name in POSTAL:
            if name in when:
                tests[name] = self._postal(when[name], f"{path}.when.{name}")
        wait = route.wait_for
        if wait is not None and not wait.fields:
            self._tell(f"{path}.wait_for.fields", "Name what to wait for.", 'For example: fields = ["employees"].')
        return Route(
            route.name,
            self._target(route.to, f"{path}.to"),
            tests,
            regions,
            WaitFor(wait.fields, self._duration(wait.at_most, f"{path}.wait_for.at_most"))
            if wait is not None
            else None,
        )

    def _duration(self, text: str, path: str) -> Duration:
        return self._try(path, lambda: duration(text), Duration(minutes=10))

    def _target(self, to: RouteToTable, path: str) -> RouteTarget:
        if [bool(to.pool), bool(to.team), bool(to.queue)].count(True) != 1:
            self._tell(
                path, "A route goes to a team, to a pool or to a queue.", 'For example: to = { queue = "Inbound" }.'
            )
        for key, one in (("team", to.team), *(("then", name) for name in to.then)):
            if one and one not in self._tables.teams:
                self._tell(f"{path}.{key}", f"{one!r} is no team.", self._teams(one))
        pool = to.pool or (self._tables.teams[to.team].members if to.team in self._tables.teams else ())
        return RouteTarget(
            pool=tuple(self._member(name, f"{path}.pool") for name in pool),
            queue=self.queue(to.queue, f"{path}.queue"),
            fallback_queue=self.queue(to.fallback_queue, f"{path}.fallback_queue"),
            team=to.team,
            then=tuple(self._pool(one) for one in to.then if one in self._tables.teams),
            pick=to.pick,
            sticky=to.sticky,
            skills=to.skills,
            at_work=to.at_work,
            nobody=to.nobody,
        )

    def _teams(self, name: str) -> str:
        return nearest(name, self._tables.teams) if self._tables.teams else f"Make one: [teams.{name}]."

    def _pool(self, team: str) -> Pool:
        members = self._tables.teams[team].members
        return Pool(team, tuple(self._reps.get(one.casefold(), one) for one in members))

    def _member(self, name: str, path: str) -> str:
        found = self._reps.get(name.casefold())
        if found is None and self._is_whole(NAMES):
            self._tell(path, f"{name!r} is none of the reps.", nearest(name, [rep.name for rep in self._tables.reps]))
        return found or name

    def queue(self, name: str, path: str) -> str:
        """A queue of [crm.queues] by its CRM id, or an id as it stands."""
        if not name:
            return ""
        found = self._tables.crm.queues.get(name)
        if found is None and not re.fullmatch(r"00G\w{12,15}|\d+", name) and self._is_whole(r"crm\.queues"):
            known = ", ".join(self._tables.crm.queues) or "none"
            self._tell(path, f"{name!r} is not among the queues of [crm.queues] ({known}).", "Add its CRM id there.")
        return found or name

    def _postal(self, test: object, path: str) -> Condition:
        if isinstance(test, bool):
            return Condition(present=test)
        texts = [str(one) for one in test] if isinstance(test, list) else [str(test)]
        return Condition(spans=self._try(path, lambda: tuple(span(one) for one in texts), ()))

    # -- the order, regions, and the list of territories

    def routing(self) -> RoutingPolicy:
        """What all routes read."""
        given = self._tables.routing
        steps: tuple[Step, ...] = get_args(Step)
        order = tuple(step for one in given.order for step in steps if step == one) if given.order else ORDER
        for n, one in enumerate(given.order, 1):
            if one not in steps:
                self._tell(f"routing.order[{n}]", f"{one!r} is no step of the order.", nearest(one, steps))
            elif one in given.order[: n - 1]:
                self._tell(f"routing.order[{n}]", f"{one!r} stands in the order twice.")
        if order[-1:] != ("routes",):
            hint = 'The routes take whoever is left: write "routes" last.'
            self._tell("routing.order", "The order must end with the routes.", hint)
        regions = {name: tuple(_place(one) for one in places) for name, places in self._tables.regions.items()}
        countries = {
            spelled.casefold(): name for name, spellings in given.countries.items() for spelled in (name, *spellings)
        }
        targets: dict[str, RouteTarget] = {}
        return RoutingPolicy(
            order=order,
            short_promise=self._try("routing.short_promise", lambda: _minutes(given.short_promise), Duration()),
            owners=given.owners,
            regions=regions,
            countries=countries,
            territories=self._territories(targets),
            targets=targets,
        )

    def _territories(self, targets: dict[str, RouteTarget]) -> tuple[Territory, ...]:
        """The rows of the list; where they lead goes into `targets`."""
        wrong: list[str] = []
        rows: list[Territory] = []
        for line in self._files.lines:
            try:
                row = self._territory(line)
                if row.to not in targets:
                    targets[row.to] = self._listed(row.to)
            except ValueError as error:
                wrong.append(f"Line {line.number}: {error}")
            else:
                rows.append(row)
        few(self._tell, PATH, wrong)
        return tuple(rows)

    def _territory(self, line: Line) -> Territory:
        cells = line.cells
        keys = [name for name in ("account", "domain", "company", "country") if name in cells]
        if "to" not in cells or len(keys) != 1:
            raise ValueError("it needs `to` and one of account, domain, company and country.")
        if "postal" in cells and keys != ["country"]:
            raise ValueError("postal codes need their country.")
        codes = re.split(r"[|,]", cells.get("postal", ""))
        return Territory(
            to=cells["to"],
            row=f"Line {line.number} of the territories",
            account=cells.get("account", ""),
            domain=cells.get("domain", "").casefold().removeprefix("www."),
            company=cells.get("company", ""),
            country=cells.get("country", ""),
            postal=tuple(span(one) for one in codes if one.strip()),
        )

    def _listed(self, to: str) -> RouteTarget:
        """Where a row leads: a rep, a team or a queue, by name."""
        rep = self._reps.get(to.casefold())
        if rep is not None:
            return RouteTarget(pool=(rep,), team=f"rep:{rep}")
        if to in self._tables.teams:
            pool = self._pool(to)
            return RouteTarget(pool=pool.members, team=to)
        queue = self._tables.crm.queues.get(to)
        if queue is None:
            known = (*(rep.name for rep in self._tables.reps), *self._tables.teams, *self._tables.crm.queues)
            raise ValueError(f"{to!r} is no rep, team or queue. {nearest(to, known)}")
        return RouteTarget(queue=queue)


def span(text: str) -> tuple[str, str]:
    """A postal code, "SW1*", or "10000-19999" (also "..") as first and last text. Raises ValueError with a sentence."""
    plain = text.upper().replace(" ", "")
    first, dots, last = plain.partition("..")
    if not dots and plain.count("-") == 1 and len(plain) % 2 and len(plain.partition("-")[0]) == len(plain) // 2:
        first, dots, last = plain.partition("-")
    first, last = first.replace("-", ""), last.replace("-", "")
    if dots and len(first) == len(last) and first.isalnum() and last.isalnum() and first <= last:
        return first, last + _LAST
    if not dots and first.endswith("*") and first[:-1].isalnum():
        return first[:-1], first[:-1] + _LAST
    if not dots and first.isalnum():
        return first, first
    raise ValueError(f"{text.strip()!r} are no postal codes; write for example 10000-19999, SW1* or 75008.")


@lru_cache(maxsize=256)
def public_holidays(country: str, subdivision: str = "") -> tuple[str, ...]:
    """The public holidays of a country, or of a part of it, as ISO dates. Raises ValueError with a sentence.

    Source: the library `holidays`, by ISO 3166 codes ("DE", "BY"); of a place that it does not know it says so by an
    error that is no ValueError.
    """
    import holidays

    try:
        known = holidays.country_holidays(country.upper(), subdiv=subdivision.upper() or None, years=YEARS)
    except NotImplementedError as error:
        raise ValueError(f"No public holidays are known for it: {str(error).rstrip('.')}.") from error
    return tuple(sorted(day.isoformat() for day in known))


def _place(text: str) -> tuple[str, str]:
    country, _, state = text.partition("/")
    return country.strip().casefold(), state.strip().casefold()


def _minutes(text: str) -> Duration:
    if text.strip() in ("", "0"):
        return Duration()
    length = duration(text)
    if length.days:
        raise ValueError("A short promise is one of minutes or hours; write for example 1h.")
    return length
