"""Models beside the live one: leads in the shadow, customers (risk, growth), open deals (likelihood).

The same engine and the same evidence; each result is kept in the decision, and each crossing of a line is told once.
What a model says of somebody for the first time alarms nobody: history is scored, and nothing more (law 11).
"""

from collections.abc import Iterable

from syncagent.handoff.alerting import remind_at
from syncagent.handoff.commands import record_of, was_told, write_keys
from syncagent.handoff.derived import open_deals
from syncagent.handoff.draft import Draft
from syncagent.handoff.harmless import harmless
from syncagent.handoff.scoring import Judged, is_ready, judge_account, judge_by
from syncagent.handoff.who import name_of
from syncagent.model import Alert, ModelScore, Opportunity, Stage
from syncagent.policy import ModelAlert, NamedModel

_REASONS = 3


def weigh_models(draft: Draft) -> None:
    """Score by every model that the person, or a deal of theirs, is the business of; tell what has crossed a line."""
    before = _known(draft)
    found: list[ModelScore] = []
    for model in draft.policy.models:
        for deal in _subjects(draft, model):
            about = deal.identity.id if deal is not None else ""
            judged = judge_by(draft.dossier, draft.policy, draft.now, model.name, deal)
            draft.wake(judged.changes_at)
            found.append(_follow(draft, model, judged, deal, before.get((model.name, about))))
        company = draft.dossier.account if model.of == "accounts" else None
        if company is not None and (of := judge_account(company, draft.policy, draft.now)) is not None:
            grade = of.score.grade[0]  # companies do nothing themselves: they have a fit only
            found.append(ModelScore(model.name, of.score.fit, of.score.interest, grade, f"account:{company.id}"))
    draft.models = tuple(found)


def _known(draft: Draft) -> dict[tuple[str, str], ModelScore]:
    """What was said last; of people who were merged, the one that has crossed more often."""
    known: dict[tuple[str, str], ModelScore] = {}
    for decision in (draft.before, *draft.dossier.absorbed):
        for one in decision.models:
            old = known.get((one.model, one.about))
            if old is None or (one.crossings, one.ready) > (old.crossings, old.ready):
                known[one.model, one.about] = one
    return known


def _subjects(draft: Draft, model: NamedModel) -> Iterable[Opportunity | None]:
    """What the model is to score here: the person (None), each open deal that is scored with them, or nothing."""
    if model.of == "leads":
        return (None,) if model.shadow and not _is_customer(draft) else ()
    if model.of == "customers":
        return (None,) if _is_customer(draft) else ()
    if model.of == "deals":
        ours = {one.identity for one in draft.dossier.records} | set(draft.dossier.identities)
        # one of a deal's people stands for all, so that its alert is told once
        return [one for one in open_deals(draft.dossier.opportunities) if one.people and min(one.people) in ours]
    return ()


def _is_customer(draft: Draft) -> bool:
    deals = draft.dossier.opportunities
    return draft.stage in (Stage.CUSTOMER, Stage.WON) or any(one.won and not one.deleted for one in deals)


def _follow(
    draft: Draft, model: NamedModel, judged: Judged, deal: Opportunity | None, before: ModelScore | None
) -> ModelScore:
    score = judged.score
    alert = model.alert
    over = is_ready(score, draft.judged.line) if alert is None else _is_over(alert, score.total)
    crossed = over and before is not None and not before.ready
    crossings = before.crossings if before is not None else 0
    if crossed:
        if alert is not None and not _tell(draft, model, judged, deal, crossings + 1):
            over = False  # nobody could be told yet: it is tried again
        else:
            crossings += 1
    if before is not None and before.ready != over:
        draft.event(
            "model",
            f"By the model {model.name}: {score.total:.0f} ({score.grade}), {'past' if over else 'below'} its line.",
            model=model.name,
            about=deal.identity.id if deal is not None else "",
            total=round(score.total),
            grade=score.grade,
            ready=over,
        )
    about = deal.identity.id if deal is not None else ""
    return ModelScore(model.name, score.fit, score.interest, score.grade, about, over, crossings)


def _is_over(alert: ModelAlert, total: float) -> bool:
    return (alert.above is not None and total >= alert.above) or (alert.below is not None and total < alert.below)


def _tell(draft: Draft, model: NamedModel, judged: Judged, deal: Opportunity | None, crossing: int) -> bool:
    """Alert the owner of the deal, the account or the record; False when there is nobody, or nothing to hang it on."""
    record, account, alert = record_of(draft), draft.dossier.account, model.alert
    owners = (
        deal.owner if deal is not None else "",
        account.owner if account is not None else "",
        str(draft.current.get("owner") or ""),
    )
    to = next((one for one in owners if one and draft.active.get(one, True)), "")
    if record is None or not to or alert is None:
        return False
    score = judged.score
    of = name_of(draft.attributes, draft.dossier.emails)
    step = f"{model.name}.{crossing}" if deal is None else f"{model.name}.{deal.identity.id}.{crossing}"
    key = draft.key(str(draft.dossier.person), step, "alert")
    if was_told(draft, key):
        return True
    reasons = sorted(score.contributions, key=lambda one: (-abs(one.points), one.rule))[:_REASONS]
    draft.commands.append(
        Alert(
            key=key,
            target=draft.policy.crm.system,
            person=draft.dossier.person,
            depends_on=write_keys(draft),
            record=record,
            to=to,
            subject=f"{alert.says or model.name}: {of}",
            body=f"{model.name}: {score.total:.0f} ({score.grade}).\n"
            + "\n".join(f"{one.points:+g} {harmless(one.why)}" for one in reasons),
            remind_at=remind_at(draft, to, alert=True),
        )
    )
    return True
