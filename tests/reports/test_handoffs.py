"""Speed, promises and reps: figures over handoffs that add up, whatever they are cut by."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncagent.model import Roster
from syncagent.reports import reps as reps_report
from syncagent.reports import sla as sla_report
from syncagent.reports import speed as speed_report
from syncagent.reports.periods import ms_of
from syncagent.reports.report import Ask, Report
from syncagent.reports.reps import fairness, reps
from syncagent.reports.sla import HOW, sla
from syncagent.reports.speed import speed
from tests.reports.asked import DAY, HOUR, Asked, shared
from tests.unit.handoff.worlds import policy

T0 = ms_of(datetime(2026, 3, 2, 9, tzinfo=UTC))
AT = datetime(2026, 4, 1, tzinfo=UTC)
BERLIN = "Europe/Berlin"


@pytest.fixture
def asked() -> Asked:
    shared().empty()
    return shared()


def told(report: Report, name: str) -> list[dict[str, Any]]:
    table = next(one for one in report.tables if one.name == name)
    return [dict(zip((column.name for column in table.columns), row, strict=True)) for row in table.rows]


def ask(report: Any, asked: Asked, by: str = "", at: datetime = AT, **bounds: datetime) -> Report:
    found = report(asked, Ask(at, BERLIN, by=by, **bounds), policy())
    assert isinstance(found, Report)
    return found


def test_speed_by_the_clock_in_working_time_and_from_the_raised_hand(asked: Asked) -> None:
    for number in range(1, 101):
        raised = T0 - HOUR if number <= 10 else None
        asked.handoff(f"{number}.1", T0, touched_at=T0 + number * 60_000, working=number, raised_at=raised)
    asked.handoff("101.1", T0)
    asked.handoff("102.1", T0, state="closed")
    asked.handoff("103.1", T0 - 60 * DAY)  # before what is asked for
    (whole,) = told(ask(speed, asked, since=AT - timedelta(days=31)), "all")
    assert (whole["handoffs"], whole["touched"], whole["open"]) == (102, 100, 1)
    assert [whole[f"wall_{name}"] for name in ("p50", "p90", "p99")] == [50 * 60, 90 * 60, 99 * 60]
    assert [whole[f"working_{name}"] for name in ("p50", "p90", "p99")] == [50, 90, 99]
    assert whole["asked_p50"] == 3600 + 5 * 60
    assert [row["handoffs"] for row in told(ask(speed, asked), "months")] == [1, 102]


def test_a_touch_before_the_opening_took_no_time(asked: Asked) -> None:
    asked.handoff("1.1", T0, touched_at=T0 - HOUR, working=0)
    (whole,) = told(ask(speed, asked), "all")
    assert whole["wall_p99"] == 0


def test_a_promise_is_kept_broken_late_or_runs(asked: Asked) -> None:
    asked.person(1, T0, source="Web")
    asked.handoff("1.1", T0, team="emea")
    due = {"due_at": ms_of(AT) - HOUR}
    asked.promise("1.1", 1, T0, ended_at=T0 + 5, met=1, **due)
    asked.promise("1.1", 2, T0, ended_at=T0 + 5, met=0, owner="ben", **due)
    asked.promise("1.1", 3, T0, ended_at=T0 + 5, owner="ben", **due)  # taken back in time
    asked.promise("1.1", 4, T0, owner="ben", **due)
    asked.promise("1.1", 5, T0, due_at=ms_of(AT) + HOUR)
    asked.promise("1.1", 6, T0)  # its clock stands still
    found = ask(sla, asked, "rep")
    (row,) = told(found, "promises")
    assert [row[how] for how in HOW] == [1, 1, 1, 2, 1]
    assert row["attainment"] == pytest.approx(1 / 3)
    by = {row["name"]: row for row in told(found, "by")}
    assert by["Ana"]["attainment"] == 1.0 and by["Ben"]["attainment"] == 0.0
    (late,) = told(found, "late")
    assert (late["owner"], late["handoff"], late["late"]) == ("Ben", "1.1", 3600.0)
    table = next(one for one in found.tables if one.name == "late")
    assert (late["person"], table.columns[2].kind) == ("1", "text"), "a name, and no number of anything"
    for cut, name in (("team", "emea"), ("source", "Web"), ("score_band", "60")):
        assert [row["name"] for row in told(ask(sla, asked, cut), "by")] == [name]


def test_a_handoff_of_somebody_who_was_forgotten_is_counted_where_nobody_knows(asked: Asked) -> None:
    asked.handoff("1.1", T0)  # nothing tells how they came in
    asked.promise("1.1", 1, T0)
    for report in (sla, speed, reps):
        for cut in ("source", "team", "content"):
            assert [row["name"] for row in told(ask(report, asked, cut), "by")] == [None], (report, cut)


def test_what_a_rep_did_and_why_leads_were_given_back(asked: Asked) -> None:
    ended = {"state": "closed", "touched_at": T0 + HOUR, "working": 60}
    asked.handoff("1.1", T0, outcome="won", **ended)
    asked.handoff("2.1", T0, outcome="disqualified", reason="no budget", attempts=4, **ended)
    asked.handoff("3.1", T0, outcome="recycled", reason="no answer", attempts=2, assignments=2, **ended)
    asked.handoff("4.1", T0, outcome="recycled", reason="no answer", owner="ben", attempts=1, **ended)
    asked.handoff("5.1", T0, outcome="withdrawn", state="closed")
    asked.handoff("6.1", T0)
    found = ask(reps, asked)
    ana, ben = told(found, "by")
    assert (ana["name"], ana["handoffs"], ana["touched"], ana["open"]) == ("Ana", 5, 3, 1)
    assert [ana[kind] for kind in ("won", "lost", "rejected", "other")] == [1, 0, 2, 1]
    assert (ana["win_rate"], ana["reject_rate"], ana["attempts"], ana["passed_on"]) == (0.25, 0.5, 3.0, 1)
    assert (ben["name"], ben["reject_rate"]) == ("Ben", 1.0)
    assert [(row["reason"], row["count"]) for row in told(found, "reasons")] == [("no answer", 2), ("no budget", 1)]
    assert sum(row["count"] for row in told(found, "reasons_by")) == 3


def test_turns_are_held_against_their_bound() -> None:
    roster = Roster(turns={"emea": {"ana": 0.5, "ben": -0.5}, "us": {"cleo": -1.4, "dan": -2.5, "eva": 3.9}})
    table = fairness(roster, {("emea", "ana"): 7}, {"ana": 2.0}, {"ana": "Ana"})
    rows = [(row[0], row[1], row[2], row[3], row[5]) for row in table.rows]
    assert rows == [
        ("emea", "Ana", 2.0, 7, "yes"),
        ("emea", "ben", 1.0, 0, "yes"),
        ("us", "eva", 1.0, 0, "yes"),
        ("us", "cleo", 1.0, 0, "with absences"),
        ("us", "dan", 1.0, 0, "no"),
    ]


HANDOFFS = st.lists(
    st.tuples(
        st.integers(0, 70 * 24),  # opened, in hours
        st.sampled_from(("ana", "ben", "")),
        st.sampled_from(("emea", "us", None)),
        st.sampled_from(("with_sales", "returning", "closed")),
        st.sampled_from(("", "won", "lost", "recycled", "disqualified", "withdrawn")),
        st.sampled_from(("", "no budget")),
        st.one_of(st.none(), st.integers(0, 900)),  # touched after so many hours
        st.lists(st.tuples(st.sampled_from((None, 0, 1)), st.booleans(), st.integers(-99, 99)), max_size=3),
        st.booleans(),
    ),
    max_size=20,
)


@given(HANDOFFS, st.integers(0, 60), st.integers(1, 30))
@settings(deadline=None, max_examples=50)
def test_every_cut_sums_to_the_whole(handoffs: list[Any], since: int, length: int) -> None:
    asked = shared()
    asked.empty()
    for number, (opened, owner, team, state, outcome, reason, touched, promises, again) in enumerate(handoffs, 1):
        at = T0 + opened * HOUR
        ident = f"{number}.{1 + again}"
        touch = {"touched_at": at + touched * HOUR, "working": touched} if touched is not None else {}
        kept = {"state": state, "outcome": outcome, "reason": reason, "owner": owner, "team": team, "segment": reason}
        asked.handoff(ident, at, **kept, **touch)
        if number % 2:
            asked.person(number, at, source=owner, grade=outcome)
        for turn, (met, ended, due) in enumerate(promises, 1):
            asked.promise(ident, turn, at, met=met, ended_at=at if ended or met is not None else None, owner=owner,
                          due_at=ms_of(AT) + due * HOUR)  # fmt: skip
    low = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(days=since)
    bounds = {"since": low, "until": low + timedelta(days=length), "at": AT + timedelta(days=40)}
    there = [
        one for one in handoffs if ms_of(low) <= T0 + one[0] * HOUR < min(ms_of(bounds["until"]), ms_of(bounds["at"]))
    ]
    whole = told(ask(speed, asked, **bounds), "all")
    assert [row["handoffs"] for row in whole] == ([len(there)] if there else [])
    for by in speed_report.BY:
        rows = told(ask(speed, asked, by, **bounds), "by")
        assert sum(row["handoffs"] for row in rows) == len(there)
        assert sum(row["touched"] for row in rows) == sum(one[6] is not None for one in there)
    for by in reps_report.BY:
        found = ask(reps, asked, by, **bounds)
        rows = told(found, "by")
        assert sum(row["handoffs"] for row in rows) == len(there)
        for row in rows:
            assert row["handoffs"] == row["open"] + row["won"] + row["lost"] + row["rejected"] + row["other"]
        reasons = Counter({row["reason"]: row["count"] for row in told(found, "reasons")})
        assert reasons.total() == sum(row["count"] for row in told(found, "reasons_by"))
        assert reasons.total() == sum(
            one[4] in ("recycled", "disqualified") and one[3] != "with_sales" for one in there
        )
    promised = sum(len(one[7]) for one in there)
    for by in sla_report.BY:
        found = ask(sla, asked, by, **bounds)
        for name in ("promises", "by", "months"):
            rows = told(found, name)
            assert sum(row["promises"] for row in rows) == promised == sum(row[how] for row in rows for how in HOW)


def test_an_empty_state_is_no_mistake(asked: Asked) -> None:
    for report, module in ((speed, speed_report), (sla, sla_report), (reps, reps_report)):
        for by in ("", *module.BY):
            found = ask(report, asked, by)
            assert not any(table.rows for table in found.tables if table.name != "fairness")
