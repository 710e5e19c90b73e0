"""The score: recomputed from its evidence every time, and able to account for every point (law 7).

A contribution is weight x priority / 10 points; of a rule's choices the first that holds counts. `fit.py` and
`interest.py` do the counting; here a policy's models are put together, and the one that is live for a person is chosen.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from syncagent.handoff.companies import placed
from syncagent.handoff.compiled import once_per_policy
from syncagent.handoff.conditions import fits_of
from syncagent.handoff.derived import derive, wanted_of
from syncagent.handoff.fit import FitRules, earliest
from syncagent.handoff.interest import AHEAD, InterestRules
from syncagent.handoff.key_accounts import KeyAccounts
from syncagent.handoff.likelihood import with_likelihood
from syncagent.handoff.memory import GivenBack, given_back
from syncagent.handoff.profile import attributes_of
from syncagent.handoff.robots import Excluded
from syncagent.model import AccountView, Activity, Contribution, Dossier, Identity, Opportunity, Score, Value
from syncagent.policy import HandRaiser, NamedModel, Policy, ScoreModel, Threshold

_NO_LINE = Threshold()
_COLLEAGUES = timedelta(days=1)  # who is scored by a company looks so often, for of a large one not all are woken


class Judged(Struct, frozen=True):
    """A score and what the opening of a handoff asks of it.

    `latest` is the newest activity that gave points; `raiser` the newest one that asks for sales by itself.
    `changes_at`: when to score again if nothing new is told, for something dated ahead begins to count, a rule's
    window ends, a date grows old, or points fade. Ends of windows are rounded up to a full hour, so that a busy hour of
    somebody's is one wake-up; those of days to the hour after, for clocks may be changed in between. Points fade at
    midnight of the policy's zone. `line`: what to reach, by the person's segment; `model`: the model that was used.
    """

    score: Score
    latest: datetime | None
    raiser: Activity | None
    changes_at: datetime | None = None
    line: Threshold = _NO_LINE
    segment: str = ""
    model: str = ""
    waits_on: tuple[str, ...] = ()


def score(dossier: Dossier, policy: Policy, now: datetime) -> Score:
    """The score of a person at `now`, with every contribution.

    Rules that give 0 points are left out, unless decay or a cap has taken what they gave.
    """
    return weigh(dossier, policy, now).score


def known_of(dossier: Dossier, policy: Policy, now: datetime) -> dict[str, Value]:
    """What is known of a person by our names, with the likelihood of a trained model if there is one."""
    return with_likelihood(attributes_of(dossier, policy), dossier, policy, now)


def worked_out(dossier: Dossier, policy: Policy, now: datetime) -> dict[str, Value]:
    """As `known_of`, with what the policy asks to be worked out from it."""
    return _models_of(policy).known(dossier, known_of(dossier, policy, now), now)[0]


def routed_by(dossier: Dossier, policy: Policy, now: datetime) -> dict[str, Value]:
    """As `known_of`, with what routes and promises ask to be worked out."""
    models, known = _models_of(policy), known_of(dossier, policy, now)
    return models.known(dossier, known, now)[0] if models.routed else known


def list_of(dossier: Dossier, policy: Policy, now: datetime) -> str:
    """The list of key accounts that somebody's company is in; empty when it is in none."""
    return _models_of(policy).list_of(dossier, known_of(dossier, policy, now))


def judge(dossier: Dossier, policy: Policy, now: datetime, attributes: dict[str, Value]) -> Judged:
    """Score a person by the model that is live for them, and find what speaks for handing them off."""
    models = _models_of(policy)
    judged = models.judge(dossier, attributes, now)
    if dossier.decision is None or not policy.recycle.reasons:
        return judged
    before = given_back(dossier.decision.handoffs, policy)
    return judged if before is None else models.remembered(judged, before, dossier, attributes, now)


def weigh(dossier: Dossier, policy: Policy, now: datetime) -> Judged:
    """As `judge`, by what is known of the person."""
    return judge(dossier, policy, now, known_of(dossier, policy, now))


def judge_by(dossier: Dossier, policy: Policy, now: datetime, model: str, deal: Opportunity | None = None) -> Judged:
    """Score a person, or one of their deals, by a model of the policy's `models`. Raises KeyError for another name."""
    models = _models_of(policy)
    known, changes_at = models.known(dossier, known_of(dossier, policy, now), now, deal)
    judged = models.named[model].judge(done_by(dossier), known, now)
    return replace(judged, model=model, changes_at=earliest(judged.changes_at, changes_at))


def judge_account(account: AccountView, policy: Policy, now: datetime) -> Judged | None:
    """Score a company by the policy's model of accounts; None when it has none."""
    return _models_of(policy).judge_account(account, now)


def company_of(account: AccountView, policy: Policy) -> dict[str, Value]:
    """What the policy's rules ask of a company, by our names below "account."."""
    return _models_of(policy).company(account)


def points_since(dossier: Dossier, policy: Policy, now: datetime, since: datetime) -> tuple[float, datetime | None]:
    """Interest points from activities between `since` and `now` alone, and the newest that gave some."""
    models = _models_of(policy)
    judged = models.live_for(dossier, now).scorer.judge(done_by(dossier), {}, now, since=since)
    return judged.score.interest, judged.latest


def excluded(dossier: Dossier, policy: Policy, now: datetime) -> tuple[Excluded, ...]:
    """The activities that do not count because no person did them, each with its reason, oldest first."""
    models = _models_of(policy)
    robots = models.live_for(dossier, now).scorer.interest.robots
    return robots.receipts([one for one in done_by(dossier) if one.at <= now])


def live_model(dossier: Dossier, policy: Policy, now: datetime) -> tuple["Live", Judged, dict[int, list[Activity]]]:
    """The model that is live for a person, what it says of them, and which activities each interest rule counts."""
    models = _models_of(policy)
    live = models.live_for(dossier, now)
    interest = live.scorer.interest
    robots = interest.robots.by_time(done_by(dossier)) if interest.robots.timed else ()
    hits, _, _ = interest.sort_out(done_by(dossier), now + AHEAD, robots)
    return live, models.judge(dossier, known_of(dossier, policy, now), now), hits


def is_ready(judged: Score, threshold: Threshold) -> bool:
    """Whether the score is past the line; a threshold that asks nothing is never passed."""
    enough = threshold.score is not None and judged.fit + judged.interest >= threshold.score
    if threshold.need == "all" and threshold.score is not None and threshold.grades:
        return enough and judged.grade in threshold.grades
    return enough or judged.grade in threshold.grades


def is_over(dossier: Dossier, policy: Policy, now: datetime) -> bool:
    """Whether a person is past the line of their segment at `now`."""
    judged = weigh(dossier, policy, now)
    return is_ready(judged.score, judged.line)


def done_by(dossier: Dossier) -> Sequence[Activity]:
    """What the person did: of somebody whom one system knew several times, what it tells of each of them is one.

    A system that has made one record of several may tell what they did again under the one that stays, and one that
    has not yet tells the same form for each. Nobody does the same thing twice in one moment under two ids.
    """
    identities = dossier.identities
    if len(identities) < 2 or len(dossier.activities) < 2:
        return dossier.activities
    if len({one.system for one in identities}) == len(identities):
        return dossier.activities
    told_by: dict[tuple[str, str, str, datetime], Identity] = {}
    for one in dossier.activities:
        moment = (one.identity.system, one.kind, one.asset, one.at)
        told_by[moment] = min(told_by.get(moment, one.identity), one.identity)
    return [
        one for one in dossier.activities if told_by[one.identity.system, one.kind, one.asset, one.at] == one.identity
    ]


class Scorer:
    """One score model, ready to run."""

    def __init__(self, model: ScoreModel, raisers: Sequence[HandRaiser], zone: str) -> None:
        self.fit = FitRules(model.fit, zone)
        self.interest = InterestRules(model, raisers, zone)
        self._letters, self._numbers = model.letters, model.numbers

    def judge(
        self,
        activities: Sequence[Activity],
        attributes: Mapping[str, Value],
        now: datetime,
        line: Threshold = _NO_LINE,
        since: datetime | None = None,
    ) -> Judged:
        """Score by this model. With `since`, only what was done after it and until now counts."""
        interest = self.interest
        robots = interest.robots.by_time(activities) if interest.robots.timed else ()
        if since is not None:
            activities = [one for one in activities if since < one.at <= now]
        contributions: list[Contribution] = []
        fit, changes_at = self.fit.weigh(attributes, now, contributions)
        hits, raiser, coming = interest.sort_out(activities, now + AHEAD, robots)
        points, latest, ends_at = interest.weigh(hits, now, contributions)
        found = Score(fit, points, self.grade(fit, points), tuple(contributions))
        for moment in (ends_at, coming):
            if moment is not None and (changes_at is None or moment < changes_at):
                changes_at = moment
        return Judged(found, latest, raiser, changes_at, line)

    def grade(self, fit: float, interest: float) -> str:
        """The letter of the fit and the number of the interest, by their shares of what can be earned."""
        letter = _step(fit, self.fit.possible, self._letters, "ABCD")
        return letter + _step(interest, self.interest.possible, self._numbers, "1234")


class Live(NamedTuple):
    """The model and the line that count for a person."""

    scorer: Scorer
    line: Threshold
    segment: str = ""
    model: str = ""


class _Models:
    """All models of a policy, ready to run, and what they ask of a dossier besides what systems tell."""

    def __init__(self, policy: Policy) -> None:
        def ready(model: ScoreModel) -> Scorer:
            return Scorer(model, policy.always, policy.timezone)

        self._policy = policy
        self.live = ready(policy.scoring)
        self.named = {one.name: ready(one.model) for one in policy.models}
        self._default = Live(self.live, policy.mql)
        self.segments = tuple(
            (fits_of(one.when), Live(self.named.get(one.model, self.live), one.mql, one.name, one.model))
            for one in policy.segments
        )
        accounts: NamedModel | None = next((one for one in policy.models if one.of == "accounts"), None)
        self._accounts = self.named[accounts.name] if accounts is not None else None
        asked = [rule.attribute for model in self._all(policy) for rule in model.fit]
        asked += [name for one in policy.segments for name in one.when]
        scored = wanted_of(asked)
        self.routed = wanted_of([name for one in policy.routes for name in one.when])
        self.routed |= wanted_of([name for one in policy.slas for name in one.when])
        self.wanted = scored | self.routed
        self._plain = not scored and not self.segments
        self._of_account = any(name.startswith("account.") for name in scored)
        self._lists = KeyAccounts(policy.accounts, policy.free_mail)
        self._listed = bool(policy.accounts) and not self.wanted.isdisjoint(("account.key", "account.list"))

    @staticmethod
    def _all(policy: Policy) -> tuple[ScoreModel, ...]:
        return (policy.scoring, *(one.model for one in policy.models))

    def judge(self, dossier: Dossier, attributes: dict[str, Value], now: datetime) -> Judged:
        if self._plain:
            return self.live.judge(done_by(dossier), attributes, now, self._default.line)
        dossier = placed(dossier, self._policy)
        known, changes_at = self.known(dossier, attributes, now)
        live = self.pick(known)
        judged = live.scorer.judge(done_by(dossier), known, now, live.line)
        account = dossier.account if self._of_account else None
        if account is not None:
            changes_at = earliest(changes_at, now + _COLLEAGUES)
        return replace(
            judged,
            changes_at=earliest(judged.changes_at, changes_at),
            segment=live.segment,
            model=live.model,
            waits_on=(f"account:{account.id}",) if account is not None else (),
        )

    def remembered(
        self, judged: Judged, before: GivenBack, dossier: Dossier, attributes: dict[str, Value], now: datetime
    ) -> Judged:
        """The score when of the interest from before a recycling only a share counts."""
        scorer = self.pick(self.known(dossier, attributes, now)[0]).scorer if self.segments else self.live
        whole = judged.score
        since = scorer.judge(done_by(dossier), {}, now, since=before.at)
        lost = (whole.interest - since.score.interest) * (1 - before.share)
        if lost <= 0:
            return judged
        why = f"Given back on {before.at:%Y-%m-%d} ({before.reason}): of what came before {before.share:.0%} counts."
        interest = whole.interest - lost
        told = (*whole.contributions, Contribution("recycled", -lost, why))
        found = Score(whole.fit, interest, scorer.grade(whole.fit, interest), told)
        return replace(judged, score=found, changes_at=earliest(judged.changes_at, since.changes_at))

    def known(
        self, dossier: Dossier, attributes: dict[str, Value], now: datetime, deal: Opportunity | None = None
    ) -> tuple[dict[str, Value], datetime | None]:
        """What systems tell and what is worked out; and when the account's score changes by itself."""
        if not self.wanted:
            return attributes, None
        dossier = placed(dossier, self._policy)
        known = {**attributes, **derive(dossier, self.wanted, attributes, deal)}
        account, changes_at = dossier.account, None
        if account is not None and self._listed:
            known |= _listed(self._lists.of_account(account))
        if account is not None and self._accounts is not None:
            judged = self._accounts.judge((), known, now)
            known["account.score"], known["account.grade"] = judged.score.total, judged.score.grade[0]
            changes_at = judged.changes_at
        if self._listed and "account.list" not in known:
            known |= _listed(self._lists.of_person(dossier, attributes))
        return known, changes_at

    def judge_account(self, account: AccountView, now: datetime) -> Judged | None:
        """A company by itself: what is worked out of it is the same whoever of its people is asked about."""
        return self._accounts.judge((), self.company(account), now) if self._accounts is not None else None

    def company(self, account: AccountView) -> dict[str, Value]:
        """What the policy asks of a company by itself."""
        known = derive(Dossier(0, 0, account=account), self.wanted, {})
        return known | _listed(self._lists.of_account(account)) if self._listed else known

    def list_of(self, dossier: Dossier, attributes: Mapping[str, Value]) -> str:
        """The list of key accounts that somebody's company is in."""
        account = dossier.account
        found = self._lists.of_account(account) if account is not None else ""
        return found or self._lists.of_person(dossier, attributes)

    def live_for(self, dossier: Dossier, now: datetime) -> Live:
        """As `pick`, of a dossier."""
        if not self.segments:
            return self._default
        return self.pick(self.known(dossier, known_of(dossier, self._policy, now), now)[0])

    def pick(self, known: Mapping[str, Value]) -> Live:
        """The first segment whose conditions hold, else what counts for all."""
        return next((live for fits, live in self.segments if fits(known)), self._default)


_models_of = once_per_policy(_Models)


def _listed(name: str) -> dict[str, Value]:
    return {"account.list": name, "account.key": True} if name else {}


def _step(points: float, possible: float, shares: tuple[float, float, float], names: str) -> str:
    share = points / possible if possible > 0 else 0.0
    first, second, third = shares
    if share >= first:
        return names[0]
    if share >= second:
        return names[1]
    return names[2] if share >= third else names[3]
