"""Small worlds to plan in: builders for policies and dossiers, and a CRM that takes plans at their word.

`apply(plan, dossier)` stores the decision as the state would and marks the commands done with receipts, so that a
test tells a story in a few lines. `hypothesis` strategies stand at the end.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from syncagent.model import (
    WITHDRAWN,
    Activity,
    Alert,
    CreateTask,
    CrmRecord,
    CrmTask,
    Dossier,
    FieldChange,
    Identity,
    Lead,
    Opportunity,
    OutboxEntry,
    Plan,
    Receipt,
    Roster,
    SlaStep,
    Stage,
    Value,
    WriteLead,
)
from syncagent.policy import (
    Condition,
    CrmPolicy,
    Duration,
    FitChoice,
    FitRule,
    HandRaiser,
    InterestChoice,
    InterestRule,
    NurtureTarget,
    Policy,
    RecyclePolicy,
    Rep,
    Route,
    RouteTarget,
    ScoreModel,
    SlaTerms,
    Threshold,
)

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
LIVE = datetime(2026, 1, 1, tzinfo=UTC)
ME, FLOW, ANA, BEN, BOSS, QUEUE = "me", "flow", "ana", "ben", "boss", "queue-1"
LEAD = Identity("crm", "Lead", "L1")
CONTACT = Identity("crm", "Contact", "C1")
MARKETO = Identity("marketo", "lead", "17")


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def policy(**changes: Any) -> Policy:
    """Two reps in a pool with a queue behind them, a five-minute promise, a come-back after 90 days."""
    made = Policy(
        timezone="Europe/Berlin",
        live_from=LIVE,
        scoring=ScoreModel(
            fit=(
                FitRule(
                    "title",
                    "title",
                    40,
                    (
                        FitChoice(10, Condition(matches="chief|director")),
                        FitChoice(-10, Condition(matches="student")),
                    ),
                ),
            ),
            interest=(
                InterestRule("forms", "form.*", 40, (InterestChoice(10, within=Duration(days=30)),)),
                InterestRule("visits", "page.visited", 20, (InterestChoice(10, at_least=5), InterestChoice(5))),
            ),
        ),
        mql=Threshold(score=65),
        crm=CrmPolicy(
            write_status={"mql": "Sales Ready", "recycled": "Recycled"},
            answers={
                "Working": Stage.SAL,
                "Qualified": Stage.SQL,
                "Recycled": Stage.RECYCLED,
                "Unqualified": Stage.DISQUALIFIED,
                "On Hold": Stage.ON_HOLD,
            },
            untouched=("Open",),
            fields=("score", "grade", "stage_date", "recycle_until"),
            me=ME,
            automation_users=(FLOW,),
        ),
        routes=(Route("everybody", RouteTarget(pool=(ANA, BEN), fallback_queue=QUEUE)),),
        reps=(Rep("Ana", ANA, manager=BOSS), Rep("Ben", BEN)),
        queues={"Inbound": QUEUE},
        always=(HandRaiser("form.submitted", "demo-*"),),
        slas=(
            SlaTerms(
                "hot",
                Duration(minutes=10),
                steps=(SlaStep(0.6, "remind"), SlaStep(1.0, "reassign"), SlaStep(2.0, "escalate", "manager")),
            ),
        ),
        recycle=RecyclePolicy(wake_points=40, nurture=NurtureTarget("marketo", list_id=7)),
        manager=BOSS,
    )
    return replace(made, **changes)


def activity(
    key: str, at: datetime, kind: str = "form.submitted", asset: str = "guide", **attributes: Value
) -> Activity:
    return Activity(MARKETO, key, at, kind, asset, attributes)


def lead(at: datetime = NOW, **attributes: Value) -> Lead:
    known = {"first_name": "Eva", "last_name": "Lang", "company": "Lang GmbH", "title": "Director", **attributes}
    return Lead(MARKETO, at, known, ("eva@example.com",))


def record(
    status: Value = "Open", owner: Value = QUEUE, at: datetime = NOW - timedelta(days=1), by: str = ME, **fields: Value
) -> CrmRecord:
    told = {"status": status, "owner": owner, **fields}
    return CrmRecord(LEAD, at, NOW - timedelta(days=30), by, told, ("eva@example.com",))


def dossier(**changes: Any) -> Dossier:
    """A director who has filled in a form: ready, with an untouched lead in the CRM."""
    made = Dossier(
        person=17,
        revision=1,
        identities=(MARKETO, LEAD),
        emails=("eva@example.com",),
        leads=(lead(),),
        activities=(activity("a1", NOW - minutes(5)),),
        records=(record(),),
        crm_seen_until=NOW,
    )
    return replace(made, **changes)


def accept(result: Plan, before: Dossier) -> Dossier:
    """What the state stores of a plan: the decision and the outbox, nothing sent yet."""
    entries = {one.key: one for one in before.outbox}
    for key in result.withdraw:
        if key in entries:
            entries[key] = replace(entries[key], state="dropped", why=WITHDRAWN)
    for command in result.commands:
        revision = command.revision if isinstance(command, WriteLead) else 0
        old = entries.get(command.key)
        receipt = old.receipt if old is not None else None
        hangs_on = command.record.id if isinstance(command, CreateTask) and command.record is not None else ""
        waits_for = command.depends_on[0] if isinstance(command, CreateTask) and command.depends_on else ""
        said = command if isinstance(command, Alert) else None
        entries[command.key] = OutboxEntry(
            command.key,
            type(command).__name__,
            "queued",
            revision,
            command.handoff,
            "",
            receipt,
            hangs_on,
            waits_for,
            said,
        )
    return replace(before, decision=result.decision, absorbed=(), outbox=tuple(entries.values()))


def deliver(result: Plan, stored: Dossier, at: datetime) -> Dossier:
    """Everything queued is done: the CRM's record and tasks say so, and so do the receipts."""
    queued = {one.key for one in stored.outbox if one.state == "queued"}
    entries = {one.key: one for one in stored.outbox}
    records = {one.identity: one for one in stored.records}
    tasks = list(stored.tasks)
    for command in result.commands:
        if command.key not in queued:
            continue
        target = getattr(command, "record", None) or LEAD
        values: dict[str, Value] = {}
        seen: dict[str, Value] = {}
        if isinstance(command, WriteLead):
            old = records.get(target)
            fields = dict(old.fields) if old is not None else {}
            seen = {name: fields[name] for name in ("status", "owner") if name in fields}
            values = dict(command.values)
            fields.update(values)
            created = old.created_at if old is not None else at
            records[target] = CrmRecord(target, at, created, ME, fields, command.emails)
        elif type(command).__name__ in ("CreateTask", "Alert"):
            owner = getattr(command, "owner", "") or getattr(command, "to", "")
            place = Identity("crm", "Task", command.key)
            tasks.append(CrmTask(place, target, owner, at, ME, ME, at, command.key, type="Task"))
        elif type(command).__name__ == "CloseTask":
            tasks = [
                replace(one, closed=True, closed_at=at, modified_at=at, modified_by=ME)
                if one.key == command.task  # type: ignore[union-attr]
                else one
                for one in tasks
            ]
        revision = command.revision if isinstance(command, WriteLead) else 0
        receipt = Receipt(command.key, target, at, values, seen, revision)
        entries[command.key] = replace(entries[command.key], state="done", receipt=receipt)
    return replace(
        stored, outbox=tuple(entries.values()), records=tuple(records.values()), tasks=tuple(tasks), crm_seen_until=at
    )


def apply(result: Plan, before: Dossier, at: datetime | None = None) -> Dossier:
    """Store the plan and deliver all of it at `at`."""
    return deliver(result, accept(result, before), at or NOW + timedelta(seconds=1))


def answer(stored: Dossier, at: datetime, by: str = ANA, *, history: bool = True, **fields: Value) -> Dossier:
    """Somebody changes fields of the lead in the CRM."""
    old = stored.records[0]
    rows = [
        FieldChange(old.identity, f"{name}-{at.isoformat()}-{by}", name, old.fields.get(name), value, by, at)
        for name, value in fields.items()
        if history
    ]
    changed = replace(old, modified_at=at, modified_by=by, fields={**old.fields, **fields})
    return replace(stored, records=(changed, *stored.records[1:]), changes=(*stored.changes, *rows), crm_seen_until=at)


def complete(stored: Dossier, at: datetime, by: str) -> Dossier:
    """A rep completes every open task of theirs."""
    tasks = tuple(
        replace(one, closed=True, closed_at=at, modified_at=at, modified_by=by)
        if one.owner == by and not one.closed
        else one
        for one in stored.tasks
    )
    return replace(stored, tasks=tasks, crm_seen_until=at)


def kinds(result: Plan) -> list[str]:
    return [one.kind for one in result.events]


def verbs(result: Plan) -> list[str]:
    return [type(one).__name__ for one in result.commands]


def roster_after(result: Plan, roster: Roster) -> Roster:
    return result.roster if result.roster is not None else roster


def open_tasks(stored: Dossier) -> Iterable[CrmTask]:
    return [one for one in stored.tasks if not one.closed and not one.deleted]


MOMENTS = st.integers(0, 60 * 24 * 40).map(lambda count: NOW - timedelta(days=20) + timedelta(minutes=count))
STATUSES = st.sampled_from(
    ("Open", "Working", "Qualified", "Recycled", "Unqualified", "On Hold", "Sales Ready", "Odd", None)
)
OWNERS = st.sampled_from((ANA, BEN, QUEUE, BOSS, ME, "stranger"))
ACTORS = st.sampled_from((ANA, BEN, BOSS, ME, FLOW, ""))
ACTIVITIES = st.builds(
    activity,
    st.sampled_from([f"k{n}" for n in range(12)]),
    MOMENTS,
    st.sampled_from(("form.submitted", "page.visited", "email.clicked")),
    st.sampled_from(("demo-request", "guide", "")),
)


def _distinct(activities: list[Activity]) -> tuple[Activity, ...]:
    return tuple({one.key: one for one in activities}.values())


@st.composite
def dossiers(draw: Any) -> Dossier:
    """Any first sight of a person: with or without a record, activities, a deal."""
    records: tuple[CrmRecord, ...] = ()
    if draw(st.booleans()):
        extra: dict[str, Value] = {}
        if draw(st.booleans()):
            extra["recycle_until"] = draw(st.sampled_from(("2026-04-01", "2025-01-01", "soon", None)))
        records = (record(draw(STATUSES), draw(OWNERS), draw(MOMENTS), draw(ACTORS), **extra),)
        if draw(st.integers(0, 9)) == 0:
            records = (replace(records[0], deleted=True),)
    if draw(st.integers(0, 3)) == 0:
        records += (
            CrmRecord(
                CONTACT, draw(MOMENTS), NOW - timedelta(days=9), ANA, {"owner": draw(OWNERS)}, ("eva@example.com",)
            ),
        )
    deals: tuple[Opportunity, ...] = ()
    if draw(st.integers(0, 3)) == 0:
        at = draw(MOMENTS)
        closed = draw(st.booleans())
        deals = (
            Opportunity(
                Identity("crm", "Opportunity", "O1"), (CONTACT,), at, at, BEN, "x", closed, draw(st.booleans())
            ),
        )
    return dossier(
        activities=tuple(sorted(_distinct(draw(st.lists(ACTIVITIES, max_size=10))), key=lambda one: (one.at, one.key))),
        leads=tuple(
            draw(
                st.lists(
                    st.builds(lead, MOMENTS, title=st.sampled_from(("Director", "Student", "", None))),
                    max_size=2,
                    unique_by=lambda one: one.seen_at,
                )
            )
        ),
        records=records,
        opportunities=deals,
        crm_seen_until=draw(st.sampled_from((None, NOW, NOW + timedelta(days=400)))),
    )


READY = st.builds(
    lambda kind, status, owner: dossier(
        activities=(activity("a1", NOW - minutes(5), "form.submitted", kind),), records=(record(status, owner),)
    ),
    st.sampled_from(("guide", "demo-request")),
    st.sampled_from(("Open", None, "Open", "Recycled", "Working")),
    OWNERS,
)
"""People whom one glance hands off, most of them."""
