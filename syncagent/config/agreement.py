"""From the agreement's tables to the `Policy` that `plan` reads, gathering every problem on the way."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from syncagent.config.conditions import conditions
from syncagent.config.files import Files
from syncagent.config.person import free_mail, profile
from syncagent.config.reading import duration, nearest
from syncagent.config.routing import RoutingTranslation
from syncagent.config.scoring import ScoringTranslation
from syncagent.config.tables import (
    AgreementTables,
    SlaTable,
    StageTable,
    StepTable,
)
from syncagent.errors import Problem
from syncagent.model import SlaStep, Stage
from syncagent.policy import (
    BrakePolicy,
    CrmPolicy,
    Duration,
    HandRaiser,
    NurtureTarget,
    Policy,
    RecyclePolicy,
    SlaTerms,
    StageRule,
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
            slas=tuple(self._sla(sla, f"sla[{n}]") for n, sla in enumerate(tables.sla, 1)),
            recycle=self._recycle(),
            stages=tuple(self._stage(name, rule) for name, rule in tables.stages.items()),
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

    def _sla(self, sla: SlaTable, path: str) -> SlaTerms:
        when = dict(sla.when)
        grades = when.pop("grades", [])
        return SlaTerms(
            name=sla.name,
            first_touch=self._duration(sla.first_touch, f"{path}.first_touch"),
            grades=tuple(str(grade) for grade in (grades if isinstance(grades, list) else [grades])),
            when=conditions(when, f"{path}.when", self._problem),
            clock=sla.clock,
            steps=tuple(
                sorted(
                    (self._step(step, f"{path}.steps[{n}]") for n, step in enumerate(sla.steps, 1)),
                    key=lambda step: step.at,
                )
            ),
            touch_tasks=sla.touch.tasks,
            not_by=sla.touch.not_by,
        )

    def _step(self, step: StepTable, path: str) -> SlaStep:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", step.at.strip())
        if not found:
            self._problem(f"{path}.at", f"{step.at!r} is not a share of the promise.", 'Write for example "60%".')
        to = "" if step.to == "manager" else self._user(step.to, f"{path}.to")
        return SlaStep(at=float(found[1]) / 100 if found else 1.0, do=step.do, to=to)

    def _recycle(self) -> RecyclePolicy:
        recycle = self._tables.recycle
        nurture = recycle.nurture
        if nurture and (nurture.list is None) == (nurture.campaign is None):
            self._problem("recycle.nurture", "Give either a list or a campaign.")
        return RecyclePolicy(
            default=self._duration(recycle.default, "recycle.default"),
            wake_points=recycle.wake_early.points if recycle.wake_early else None,
            wake_within=self._duration(
                recycle.wake_early.within if recycle.wake_early else "7d", "recycle.wake_early.within"
            ),
            nurture=NurtureTarget(nurture.source, nurture.list, nurture.campaign) if nurture else None,
            most_returns=recycle.most_returns,
            owner=self._tables.crm.queues.get(recycle.owner, self._user(recycle.owner, "recycle.owner")),
        )

    def _stage(self, name: str, rule: StageTable) -> StageRule:
        path = f"stages.{name}"
        return StageRule(
            stage=self._stage_name(name, path) or Stage.SUSPECT,
            owner=rule.owner,
            longest=self._duration(rule.longest, f"{path}.longest") if rule.longest else None,
            next=self._stage_name(rule.next, f"{path}.next") if rule.next else None,
        )
