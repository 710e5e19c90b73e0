"""From the agreement's tables to the `Policy` that `plan` reads, gathering every problem on the way."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from syncagent.config.alerts import alerts
from syncagent.config.companies import account_lists, check_asked
from syncagent.config.files import Files
from syncagent.config.insight import brief, insight
from syncagent.config.person import free_mail, profile
from syncagent.config.process import ProcessTranslation
from syncagent.config.promises import promises
from syncagent.config.reading import duration, nearest
from syncagent.config.routing import RoutingTranslation
from syncagent.config.scoring import ScoringTranslation
from syncagent.config.tables import (
    AgreementTables,
)
from syncagent.errors import Problem
from syncagent.model import Stage
from syncagent.policy import (
    BrakePolicy,
    CrmPolicy,
    Duration,
    HandRaiser,
    Policy,
)

R = TypeVar("R")
NO_FILES = Files()


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
        files: Files = NO_FILES,
    ) -> None:
        """`broken` are the paths that could not be read: what follows from them is not told again."""
        self._broken = broken
        self._systems = systems
        self._tables = tables
        self._zone = timezone
        self._problems = problems
        self._routing = RoutingTranslation(tables, timezone, self._problem, self._is_whole, files)
        self._user = self._routing.user

    def policy(self, crm_system: str, crm_fields: tuple[str, ...], live_from: datetime, digest: str) -> Policy:
        """The policy; only meaningful when no problem was added."""
        tables = self._tables
        check_asked(tables, self._problem)
        process = ProcessTranslation(tables.recycle, tables.stages, tables.crm.queues, self._problem, self._user)
        scoring = ScoringTranslation(tables, self._problem, self._is_whole, self._problems)
        return Policy(
            timezone=self._zone,
            live_from=self._live_from(live_from),
            scoring=scoring.live(),
            mql=scoring.mql(),
            crm=self._crm(crm_system, crm_fields),
            routes=self._routing.routes(),
            reps=self._routing.reps(),
            queues=tables.crm.queues,
            always=tuple(HandRaiser(always.activity, always.asset) for always in tables.handoff.always),
            gate=scoring.gate(),
            segments=scoring.segments(),
            models=scoring.models(),
            slas=promises(tables, self._user, self._routing.queue, self._problem),
            recycle=process.recycle(),
            stages=process.stages(),
            alerts=alerts(tables.alerts, self._problem, self._user),
            brief=brief(tables.handoff.brief, self._problem),
            insight=insight(tables.insight, self._problem),
            brake=BrakePolicy(
                tables.handoff.brake.per_hour,
                tables.handoff.brake.share,
                tables.handoff.brake.per_rep,
                tables.handoff.brake.hand_raisers_per_hour,
            ),
            team_hours=self._routing.team_hours(),
            holidays=self._routing.holidays(),
            manager=self._user(tables.team.manager, "team.manager"),
            routing=self._routing.routing(),
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
