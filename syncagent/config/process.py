"""[recycle] and [stages]: the way back to marketing, and the process map."""

from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct, field

from syncagent.config.reading import duration, nearest
from syncagent.model import Stage
from syncagent.policy import Duration, NurtureTarget, OnBehalf, ReasonRule, RecyclePolicy, StageRule, StatusReason

Tell = Callable[[str, str, str], None]
"""Takes a problem: its path, what is wrong, what helps."""

_SHARES = {"keep": 1.0, "halve": 0.5, "reset": 0.0}
_RETURNING = (Stage.RECYCLED, Stage.ON_HOLD)


class WakeTable(Struct, frozen=True):
    """[recycle] wake_early: the strong signal."""

    points: float
    within: str = "7d"


class NurtureTable(Struct, frozen=True):
    """A list or a campaign of a source; `leave`: the campaign that ends what the other one began."""

    source: str
    list: int | None = None
    campaign: int | None = None
    leave: int | None = None


class ReasonTable(Struct, frozen=True):
    """[recycle.reasons."WORDS"]: what a reason changes."""

    back: str = ""
    score: Literal["keep", "halve", "reset"] = "keep"
    nurture: NurtureTable | None = None
    again: bool = True


class StatusTable(Struct, frozen=True):
    """[recycle.statuses."STATUS"]: what a status says where the CRM has no fields for reason and date."""

    reason: str
    back: str = ""


class OnBehalfTable(Struct, frozen=True):
    """[recycle.on_behalf.CAUSE]: when a lead is given back for the rep."""

    reason: str = ""
    back: str = ""


class NoAnswerTable(Struct, frozen=True):
    """[recycle.on_behalf] no_answer: so many tries without a conversation."""

    tries: int
    wait: str = "1d"
    reason: str = "no answer"
    back: str = ""


class OnBehalfTables(Struct, frozen=True):
    """[recycle.on_behalf]."""

    no_answer: NoAnswerTable | None = None
    lost: OnBehalfTable | None = None
    on_hold: OnBehalfTable | None = None
    disqualified: OnBehalfTable | None = None


class RecycleTable(Struct, frozen=True):
    """[recycle]."""

    default: str = "90d"
    wake_early: WakeTable | None = None
    nurture: NurtureTable | None = None
    most_returns: int = 5
    owner: str = ""
    reasons: dict[str, ReasonTable] = field(default_factory=dict)
    statuses: dict[str, StatusTable] = field(default_factory=dict)
    on_behalf: OnBehalfTables = OnBehalfTables()


class StageTable(Struct, frozen=True):
    """[stages.STAGE]: one stage of the process map."""

    owner: str = ""
    longest: str = ""
    next: str = ""
    to: list[str] | None = None
    tell: str = ""
    stuck: Literal["tell", "recycle"] = "tell"


def nurtures(table: RecycleTable) -> dict[str, NurtureTable]:
    """Every place that given-back people go to, by its path in the config."""
    found = {"recycle.nurture": table.nurture}
    found |= {f"recycle.reasons.{name}.nurture": reason.nurture for name, reason in table.reasons.items()}
    return {path: one for path, one in found.items() if one is not None}


class ProcessTranslation:
    """Turns the tables into policies; problems are told on the way. `user`: a rep's name or a CRM id as a CRM id."""

    def __init__(
        self,
        table: RecycleTable,
        stages: Mapping[str, StageTable],
        queues: Mapping[str, str],
        tell: Tell,
        user: Callable[[str, str], str],
    ) -> None:
        self._table = table
        self._stages = stages
        self._queues = queues
        self._tell = tell
        self._user = user

    def recycle(self) -> RecyclePolicy:
        """[recycle]."""
        table, early = self._table, self._table.wake_early
        known = {name.casefold() for name in table.reasons}
        for name, status in table.statuses.items():
            if table.reasons and status.reason.casefold() not in known:
                path = f"recycle.statuses.{name}.reason"
                self._tell(
                    path, f"{status.reason!r} is none of [recycle.reasons].", nearest(status.reason, table.reasons)
                )
        return RecyclePolicy(
            default=self._duration(table.default, "recycle.default"),
            wake_points=early.points if early else None,
            wake_within=self._duration(early.within if early else "7d", "recycle.wake_early.within"),
            nurture=self._nurture(table.nurture, "recycle.nurture"),
            most_returns=table.most_returns,
            owner=self._queues.get(table.owner, self._user(table.owner, "recycle.owner")),
            reasons=tuple(self._reason(name, one) for name, one in table.reasons.items()),
            statuses={
                name: StatusReason(one.reason, self._maybe(one.back, f"recycle.statuses.{name}.back"))
                for name, one in table.statuses.items()
            },
            on_behalf=self._on_behalf(table.on_behalf),
        )

    def _reason(self, name: str, table: ReasonTable) -> ReasonRule:
        path = f"recycle.reasons.{name}"
        back, nurture = self._maybe(table.back, f"{path}.back"), self._nurture(table.nurture, f"{path}.nurture")
        return ReasonRule(name, back, _SHARES[table.score], nurture, table.again)

    def _on_behalf(self, tables: OnBehalfTables) -> tuple[OnBehalf, ...]:
        found = []
        path = "recycle.on_behalf"
        silent = tables.no_answer
        if silent is not None:
            if silent.tries < 1:
                self._tell(f"{path}.no_answer.tries", "At least one try is needed.", "For example: tries = 6.")
            back = self._maybe(silent.back, f"{path}.no_answer.back")
            wait = self._duration(silent.wait, f"{path}.no_answer.wait")
            found.append(OnBehalf("no_answer", silent.reason, back, silent.tries, wait))
        if tables.lost is not None:
            found.append(
                OnBehalf("lost", tables.lost.reason or "lost", self._maybe(tables.lost.back, f"{path}.lost.back"))
            )
        if (hold := tables.on_hold) is not None:
            found.append(OnBehalf("on_hold", hold.reason or "on hold", self._maybe(hold.back, f"{path}.on_hold.back")))
        if (out := tables.disqualified) is not None:
            back = self._maybe(out.back, f"{path}.disqualified.back")
            found.append(OnBehalf("disqualified", out.reason or "disqualified", back))
        return tuple(found)

    def _nurture(self, table: NurtureTable | None, path: str) -> NurtureTarget | None:
        if table is None:
            return None
        if (table.list is None) == (table.campaign is None):
            self._tell(path, "Give either a list or a campaign.", "")
        if table.leave is not None and table.campaign is None:
            says = "Whoever comes up again is taken out of a list by itself; only what a campaign began needs another."
            self._tell(f"{path}.leave", says, "Leave it out, or name the campaign that it ends.")
        elif table.leave is not None and table.leave == table.campaign:
            says = f"The campaign {table.leave} cannot end what it began itself."
            self._tell(f"{path}.leave", says, "Name a campaign whose flow takes people out of it.")
        return NurtureTarget(table.source, table.list, table.campaign, table.leave)

    def stages(self) -> tuple[StageRule, ...]:
        """[stages]: the process map. What is given back must be able to return."""
        rules = tuple(self._stage(name, table) for name, table in self._stages.items())
        for rule in rules:
            if rule.stage in _RETURNING and not rule.allows(Stage.MQL):
                says = f"The map allows no move from {rule.stage} to mql: whoever comes back could never be handed off."
                self._tell(f"stages.{rule.stage}.to", says, 'Add "mql".')
            if rule.stuck == "recycle" and not rule.allows(Stage.RECYCLED):
                says = f"The map allows no move from {rule.stage} to recycled."
                self._tell(f"stages.{rule.stage}.stuck", says, f'Add "recycled" to stages.{rule.stage}.to.')
            if rule.stuck == "recycle" and rule.longest is None:
                says = "Nobody stays for too long where no longest stay is given."
                self._tell(f"stages.{rule.stage}.stuck", says, 'For example: longest = "30d".')
        return rules

    def _stage(self, name: str, table: StageTable) -> StageRule:
        path = f"stages.{name}"
        to = None
        if table.to is not None:
            found = [self._name(one, f"{path}.to[{n}]") for n, one in enumerate(table.to, 1)]
            to = tuple(one for one in found if one is not None)
        return StageRule(
            stage=self._name(name, path) or Stage.SUSPECT,
            owner=table.owner,
            longest=self._maybe(table.longest, f"{path}.longest"),
            next=self._name(table.next, f"{path}.next") if table.next else None,
            to=to,
            tell="" if table.tell == "manager" else self._user(table.tell, f"{path}.tell"),
            stuck=table.stuck,
        )

    def _name(self, name: str, path: str) -> Stage | None:
        try:
            return Stage(name)
        except ValueError:
            self._tell(path, f"{name!r} is not a stage.", nearest(name, [stage.value for stage in Stage]))
            return None

    def _duration(self, text: str, path: str) -> Duration:
        try:
            return duration(text)
        except ValueError as error:
            self._tell(path, str(error), "")
            return Duration(days=1)

    def _maybe(self, text: str, path: str) -> Duration | None:
        return self._duration(text, path) if text else None
