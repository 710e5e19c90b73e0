"""From the agreement's tables to the `Policy` that `plan` reads, gathering every problem on the way."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from syncagent.config.alerts import alerts
from syncagent.config.companies import account_lists, check_asked
from syncagent.config.conditions import conditions
from syncagent.config.person import free_mail, profile
from syncagent.config.process import ProcessTranslation
from syncagent.config.promises import promises
from syncagent.config.reading import days, duration, hours, nearest
from syncagent.config.scoring import ScoringTranslation
from syncagent.config.tables import (
    AgreementTables,
    RepTable,
)
from syncagent.errors import Problem
from syncagent.model import Stage
from syncagent.policy import (
    BrakePolicy,
    CrmPolicy,
    Duration,
    HandRaiser,
    Hours,
    Policy,
    Rep,
    Route,
    RouteTarget,
)

R = TypeVar("R")
NAMES = r"reps(\[\d+\](\.name)?)?$"


def within(path: str, whole: str) -> bool:
    """Whether a path is that of a whole, or of something in it."""
    return path == whole or path.startswith((f"{whole}.", f"{whole}["))


class Translation:
    """Turns the tables into a policy, gathering problems by path on the way."""

    def __init__(
        self,
        tables: AgreementTables,
        timezone: str,
        problems: list[Problem],
        broken: tuple[str, ...] = (),
        systems: tuple[str, ...] = (),
    ) -> None:
        """`broken` are the paths that could not be read: what follows from them is not told again."""
        self._broken = broken
        self._systems = systems
        self._tables = tables
        self._zone = timezone
        self._problems = problems
        self._reps = {rep.name.casefold(): rep.crm_id for rep in tables.reps}

    def policy(self, crm_system: str, crm_fields: tuple[str, ...], live_from: datetime, digest: str) -> Policy:
        """The policy; only meaningful when no problem was added."""
        tables = self._tables
        team = tables.team
        self._check_reps()
        check_asked(tables, self._problem)
        process = ProcessTranslation(tables.recycle, tables.stages, tables.crm.queues, self._problem, self._user)
        scoring = ScoringTranslation(tables, self._problem, self._is_whole, self._problems)
        return Policy(
            timezone=self._zone,
            live_from=self._live_from(live_from),
            scoring=scoring.live(),
            mql=scoring.mql(),
            crm=self._crm(crm_system, crm_fields),
            routes=self._routes(),
            reps=tuple(self._rep(rep, f"reps[{n}]") for n, rep in enumerate(tables.reps, 1)),
            queues=tables.crm.queues,
            always=tuple(HandRaiser(always.activity, always.asset) for always in tables.handoff.always),
            gate=scoring.gate(),
            segments=scoring.segments(),
            models=scoring.models(),
            slas=promises(tables, self._user, self._queue, self._problem),
            recycle=process.recycle(),
            stages=process.stages(),
            alerts=alerts(tables.alerts, self._problem, self._user),
            brake=BrakePolicy(
                tables.handoff.brake.per_hour,
                tables.handoff.brake.share,
                tables.handoff.brake.per_rep,
                tables.handoff.brake.hand_raisers_per_hour,
            ),
            team_hours=self._hours(team.hours, team.timezone, "team"),
            holidays=self._try("team.holidays", lambda: days(team.holidays), ()),
            manager=self._user(team.manager, "team.manager"),
            write_scores=tables.score.write,
            free_mail=free_mail(tables.identity, self._problem),
            accounts=account_lists(tables.accounts, self._problem),
            profile=profile(tables.profile, (*self._systems, crm_system), self._problem),
            digest=digest,
        )

    def _try(self, path: str, make: Callable[[], R], otherwise: R) -> R:
        try:
            return make()
        except ValueError as error:
            self._problem(path, str(error))
            return otherwise

    def _problem(self, path: str, message: str, hint: str = "") -> None:
        if not any(within(path, one) or within(one, path) for one in self._broken):
            self._problems.append(Problem(path, message, hint))

    def _is_whole(self, pattern: str) -> bool:
        """Whether no path that could not be read begins with the pattern."""
        return not any(re.match(pattern, path) for path in self._broken)

    def _live_from(self, default: datetime) -> datetime:
        given = self._tables.handoff.live_from
        if given is None:
            return default
        if isinstance(given, datetime):
            return given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=ZoneInfo(self._zone)).astimezone(UTC)
        return datetime(given.year, given.month, given.day, tzinfo=ZoneInfo(self._zone)).astimezone(UTC)

    def _duration(self, text: str, path: str) -> Duration:
        return self._try(path, lambda: duration(text), Duration(days=1))

    def _hours(self, text: str, zone: str, path: str) -> Hours | None:
        known = self._known_zone(zone, f"{path}.timezone")
        return self._try(f"{path}.hours", lambda: hours(text, known), None) if text else None

    def _known_zone(self, zone: str, path: str) -> str:
        try:
            ZoneInfo(zone or self._zone)
        except (ValueError, OSError, KeyError):
            self._problem(path, f"{zone!r} is not a time zone.", "Write for example Europe/Berlin.")
            return "UTC"
        return zone or self._zone

    def _crm(self, system: str, fields: tuple[str, ...]) -> CrmPolicy:
        crm = self._tables.crm
        write: dict[str, str] = {}
        answers: dict[str, Stage] = {}
        untouched: tuple[str, ...] = ()
        for name, given in crm.status.items():
            statuses = (given,) if isinstance(given, str) else tuple(given)
            if name == "untouched":
                untouched = statuses
                continue
            stage = self._stage_name("sal" if name == "accepted" else name, f"crm.status.{name}")
            if stage is None or not statuses:
                continue
            write[stage.value] = statuses[0]
            if stage is not Stage.MQL:
                answers.update(dict.fromkeys(statuses, stage))
        for status in self._tables.recycle.statuses:
            if answers.setdefault(status, Stage.RECYCLED) not in (Stage.RECYCLED, Stage.ON_HOLD):
                says = f"The status {status!r} means {answers[status]} under [crm.status]."
                helps = "Name it there as recycled or on_hold, or take it out."
                self._problem(f"recycle.statuses.{status}", says, helps)
        if Stage.MQL.value not in write:
            self._problem(
                "crm.status.mql", "Say which status a handed-over lead gets.", 'For example: mql = "Sales Ready".'
            )
        return CrmPolicy(
            system=system,
            write_status=write,
            answers=answers,
            untouched=untouched,
            fields=fields,
            create=crm.create,
            automation_users=crm.automation_users,
            default_company=crm.default_company,
        )

    def _stage_name(self, name: str, path: str) -> Stage | None:
        try:
            return Stage(name)
        except ValueError:
            known = [stage.value for stage in Stage] + (["accepted", "untouched"] if path.startswith("crm.") else [])
            self._problem(path, f"{name!r} is not a stage.", nearest(name, known))
            return None

    def _check_reps(self) -> None:
        seen: set[str] = set()
        names: set[str] = set()
        for n, rep in enumerate(self._tables.reps, 1):
            if rep.name.casefold() in names:
                self._problem(
                    f"reps[{n}].name",
                    f"{rep.name} is the name of somebody above.",
                    "Routes name reps: tell them apart.",
                )
            names.add(rep.name.casefold())
            if rep.crm_id in seen:
                self._problem(f"reps[{n}].crm_id", f"{rep.name} has the CRM id of somebody above.")
            seen.add(rep.crm_id)
            if rep.weight <= 0:
                self._problem(
                    f"reps[{n}].weight", "A weight is above 0.", "Leave somebody out with away, or remove them."
                )

    def _rep(self, rep: RepTable, path: str) -> Rep:
        return Rep(
            name=rep.name,
            crm_id=rep.crm_id,
            weight=rep.weight,
            hours=self._hours(rep.hours, rep.timezone, path),
            cap_open=rep.cap.open,
            cap_per_day=rep.cap.per_day,
            away=self._try(f"{path}.away", lambda: days(rep.away), ()),
            manager=self._user(rep.manager, f"{path}.manager"),
        )

    def _user(self, name: str, path: str) -> str:
        """A rep's name, or a CRM id as it stands."""
        if not name:
            return ""
        found = self._reps.get(name.casefold())
        if found is None and " " in name and self._is_whole(NAMES):
            self._problem(path, f"{name!r} is none of the reps.", "Write the name of a rep, or a CRM user id.")
        return found or name

    def _queue(self, name: str, path: str) -> str:
        if not name:
            return ""
        found = self._tables.crm.queues.get(name)
        if found is None and not re.fullmatch(r"00G\w{12,15}|\d+", name) and self._is_whole(r"crm\.queues"):
            known = ", ".join(self._tables.crm.queues) or "none"
            self._problem(path, f"{name!r} is not among the queues of [crm.queues] ({known}).", "Add its CRM id there.")
        return found or name

    def _routes(self) -> tuple[Route, ...]:
        routes = []
        for n, route in enumerate(self._tables.routes, 1):
            path = f"routes[{n}]"
            if bool(route.to.pool) == bool(route.to.queue):
                self._problem(
                    f"{path}.to", "A route goes to a pool or to a queue.", 'For example: to = { queue = "Inbound" }.'
                )
            target = RouteTarget(
                pool=tuple(self._member(name, f"{path}.to.pool") for name in route.to.pool),
                queue=self._queue(route.to.queue, f"{path}.to.queue"),
                fallback_queue=self._queue(route.to.fallback_queue, f"{path}.to.fallback_queue"),
            )
            routes.append(Route(route.name, target, conditions(route.when, f"{path}.when", self._problem)))
        last = f"routes[{len(routes)}]" if routes else "routes"
        if not routes or routes[-1].when:
            self._problem(last, "The last route must catch all.", "Give it no `when`.")
        elif not (routes[-1].to.queue or routes[-1].to.fallback_queue):
            self._problem(last, "The last route needs a queue for when nobody is there.", "Give it a fallback_queue.")
        return tuple(routes)

    def _member(self, name: str, path: str) -> str:
        found = self._reps.get(name.casefold())
        if found is None and self._is_whole(NAMES):
            self._problem(
                path, f"{name!r} is none of the reps.", nearest(name, [rep.name for rep in self._tables.reps])
            )
        return found or name
