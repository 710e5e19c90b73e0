"""What reports count of a person: how they came in, and how the promises of their handoffs went."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from syncagent.handoff.figures import entry_of, figures_of
from syncagent.model import Activity, Assignment, Clock, CrmRecord, Dossier, Handoff, Identity, Lead, Sla, Turn
from syncagent.model.figures import Entry
from syncagent.model.profile import History, Seen
from syncagent.policy import Hours, Rep
from tests.unit.handoff.worlds import policy

T0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday
WEB, CRM = Identity("marketo", "lead", "1"), Identity("crm", "Lead", "L1")
OFFICE = Hours(tuple(((540, 1020),) if day < 5 else () for day in range(7)), "UTC")


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def did(key: str, minute: float, kind: str = "form.submitted", asset: str = "", **attributes: str | bool) -> Activity:
    return Activity(WEB, key, at(minute), kind, asset, dict(attributes))


def lead(minute: float, **attributes: str) -> Lead:
    return Lead(WEB, at(minute), dict(attributes))


def test_the_first_contact_is_the_first_thing_that_they_did_themselves() -> None:
    done = (
        did("sent", 0, "email.sent", "mail"),
        replace(did("bot", 1, "email.clicked"), attributes={"Is Bot Activity": True}),
        did("form", 2, asset="landing", campaign="fair"),
        did("more", 3, asset="other", campaign="later"),
    )
    entry = entry_of(Dossier(1, 1, leads=(lead(9, source="Web"),), activities=done), "smb")
    assert entry == Entry(at(2), "activity", "marketo", "Web", "fair", "landing", "", "smb")
    told = lead(9, source="Web", campaign="spring", content="banner", medium="cpc")
    assert entry_of(Dossier(1, 1, leads=(told,), activities=done), "") == Entry(
        at(2), "activity", "marketo", "Web", "spring", "banner", "cpc"
    )


def test_who_did_nothing_came_in_when_somebody_first_told_of_them() -> None:
    record = CrmRecord(CRM, at(90), at(50), "ana", {"source": "List"})
    known = Dossier(1, 1, leads=(lead(60, source="Web"),), records=(record,))
    assert entry_of(known, "") == Entry(at(50), "record", "crm", "Web"), "the lead was told before the record was"
    earlier = replace(known, histories=(History(WEB, at(40)),))
    assert entry_of(earlier, "") == Entry(at(40), "lead", "marketo", "Web")
    assert entry_of(Dossier(1, 1), "") is None
    assert entry_of(replace(known, erased=True), "") is None


def test_the_source_is_the_one_that_was_told_first() -> None:
    seen = (Seen("Fair", at(1), at(2)), Seen("Web", at(3), at(60)))
    known = Dossier(1, 1, leads=(lead(60, source="Web"),), histories=(History(WEB, at(1), {"source": seen}),))
    found = entry_of(known, "")
    assert found is not None and found.source == "Fair"


@given(st.permutations([did("b", 5, asset="b"), did("a", 5, asset="a"), did("c", 7), did("d", 1, "email.sent")]))
def test_the_order_of_telling_changes_nothing(told: list[Activity]) -> None:
    found = entry_of(Dossier(1, 1, activities=tuple(told)), "")
    assert found is not None and (found.at, found.content) == (at(5), "a")


def handoff(**rest: object) -> Handoff:
    taken = Assignment("ana", T0, "all", "turn")
    sla = Sla("hour", minutes=60, clock="rep")
    made = Handoff("1.1", 1, T0, "form", 70.0, "A1", (taken,), sla, clock_started_at=at(5))
    return replace(made, **rest)  # type: ignore[arg-type]


TEAM = policy(reps=(Rep("Ana", "ana", hours=OFFICE), Rep("Ben", "ben", hours=OFFICE)), timezone="UTC")


def test_a_promise_that_runs_is_kept_or_is_broken() -> None:
    [runs] = figures_of(handoff(), TEAM).promises
    assert (runs.owner, runs.turn, runs.started_at, runs.due_at) == ("ana", 1, at(5), at(65))
    assert (runs.ended_at, runs.met, runs.minutes) == (None, None, None)
    for minute, met in ((64, True), (65, True), (66, False)):
        [done] = figures_of(handoff(touched_at=at(minute)), TEAM).promises
        assert (done.ended_at, done.met, done.minutes) == (at(minute), met, minute - 5)
    [late] = figures_of(handoff(closed_at=at(90)), TEAM).promises
    assert (late.met, late.ended_at) == (False, at(90)), "nobody had touched it when it ended"
    [soon] = figures_of(handoff(closed_at=at(30)), TEAM).promises
    assert (soon.met, soon.ended_at) == (None, at(30)), "it ended before anything was due"
    assert figures_of(handoff(clock_started_at=None), TEAM).promises == ()


def test_working_time_leaves_out_the_night() -> None:
    untouched = figures_of(handoff(), TEAM)
    assert untouched.working is None
    next_morning = T0 + timedelta(days=1, minutes=30)
    assert figures_of(handoff(touched_at=next_morning), TEAM).working == 8 * 60 + 30
    assert figures_of(handoff(touched_at=next_morning), replace(TEAM, reps=())).working == 24 * 60 + 30


def test_other_clocks_have_rows_of_their_own_and_the_pool_names_the_team() -> None:
    talk = Clock(Sla("talk", days=2, of="first conversation"), at(5), at(9), 1, how="called")
    taken = Assignment("ana", T0, "all", "turn", turn=Turn("emea", {"ana": 1.0}))
    found = figures_of(handoff(clocks=(talk,), assignments=(taken,)), TEAM)
    assert [(one.clock, one.promised, one.met) for one in found.promises] == [
        (0, "first touch", None),
        (1, "first conversation", True),
    ]
    assert (found.team, found.turn, found.since) == ("emea", 1, T0)
