"""People as they stood: nothing that came later is known, and nobody is judged before their time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from syncagent.learning.leaks import area_of_groups
from syncagent.learning.rows import Outcome, Population, Row, Settings, outcome_of, people_of, population
from syncagent.model import Assignment, Decision, Dossier, Handoff, HandoffState, Identity, Lead, Opportunity, Page
from syncagent.model.profile import History, Seen
from syncagent.state import open_store
from tests.learning import orgs

ONCE = Settings(ages_days=(7,), horizon_days=30)
START = datetime(2025, 3, 1, tzinfo=UTC)
UNTIL = START + timedelta(days=365)


def after(days: float) -> datetime:
    return START + timedelta(days=days)


def human(won: float | None = None, lost: float | None = None) -> orgs.Human:
    doings = [(START, "email.opened", "welcome"), (after(6), "page.visited", "/a"), (after(8), "page.visited", "/b")]
    won_at, lost_at = (None if days is None else after(days) for days in (won, lost))
    return orgs.Human(1, START, 0.5, won_at, {"title": "chief"}, doings, lost_at)


def old_customer() -> Dossier:
    """Won at once and long ago: nobody looks at them, but from then on wins are known."""
    start = START - timedelta(days=200)
    return orgs.dossier(orgs.Human(2, start, 0.5, start + timedelta(hours=2), {}, [(start, "email.opened", "welcome")]))


def looked(dossier: Dossier, some: Settings = ONCE, until: datetime = UNTIL) -> Population:
    """The rows of one person, in a world in which somebody was won before."""
    return population([dossier, old_customer()], some, until)


def rows(one: orgs.Human, some: Settings = ONCE, until: datetime = UNTIL) -> tuple[Row, ...]:
    return looked(orgs.dossier(one), some, until).rows


@pytest.mark.parametrize(
    ("won", "lost", "said"),
    [(20, None, True), (36.5, None, True), (39, None, False), (None, 20, False), (None, None, False)],
)
def test_the_outcome_is_a_win_within_the_horizon(won: float | None, lost: float | None, said: bool) -> None:
    (row,) = rows(human(won, lost))
    assert row.won is said
    assert (row.start, row.at) == (START, after(7))


def test_who_is_decided_before_the_first_look_is_left_out_and_counted() -> None:
    for one in (human(won=3), human(lost=3), human(won=7.5)):  # a closing date counts from its first hour on
        found = looked(orgs.dossier(one))
        assert not found.rows and found.left_out["decided before the first look"] == 2  # the old customer too


def test_before_any_win_is_known_nobody_is_judged() -> None:
    found = population([orgs.dossier(human())], ONCE, UNTIL)
    assert not found.rows and found.left_out["looked at before any win is known"] == 1


def test_while_the_horizon_runs_nobody_is_judged_not_even_winners() -> None:
    (row,) = rows(human(won=10), until=after(36.9))
    assert row.won is None
    (row,) = rows(human(won=10), until=after(37))
    assert row.won is True
    found = population([orgs.dossier(human())], ONCE, after(6))
    assert not found.rows and found.left_out["too new"] == 1


def test_looks_end_with_the_decision() -> None:
    ages = Settings(ages_days=(1, 7, 30), horizon_days=30)
    assert [row.at for row in rows(human(won=20), ages)] == [after(1), after(7)]
    assert [row.won for row in rows(human(), ages)] == [False, False, False]
    assert [row.won for row in rows(human(won=35), ages)] == [False, True, True]


def test_what_people_did_later_is_not_known() -> None:
    (row,) = rows(human())
    assert row.done.counts == {"email.opened": 1, "page.visited": 1}
    assert row.done.days_since == {"email.opened": 7, "page.visited": 1}
    assert (row.done.first, row.done.age) == ("email.opened welcome", 7)


def test_fields_are_wound_back_by_their_history() -> None:
    one = human(won=20)
    one.changes = [
        (after(2), "budget", None, "small"),
        (after(9), "budget", "small", "large"),
        (after(25), "contract", None, "C1"),
        (after(3), "region", None, "north"),
    ]
    (row,) = rows(one)
    assert {name: row.attributes.get(name) for name in ("budget", "contract", "region")} == {
        "budget": "small", "contract": None, "region": "north",
    }  # fmt: skip
    assert row.late == {"contract": True}
    assert row.undated == {"title", "status"}


def test_what_marketing_knew_at_the_look_is_learned_from_by_its_history() -> None:
    dossier = orgs.dossier(human(won=20))
    (mine,) = (one.identity for one in dossier.leads)
    lead = Lead(mine, after(30), {"title": "customer", "company": "Acme", "contract": "C1"})
    seen = {
        "title": (
            Seen("clerk", START, after(5)),
            Seen("chief", after(6), after(19)),
            Seen("customer", after(21), after(30)),
        ),
        "contract": (Seen("C1", after(21), after(30)),),
    }
    (row,) = looked(replace(dossier, leads=(lead,), histories=(History(mine, START, seen),))).rows
    assert {name: row.attributes.get(name) for name in ("title", "company", "contract")} == {
        "title": "chief", "company": "Acme", "contract": None,
    }  # fmt: skip
    assert row.undated == {"status"}, "all of the lead is dated"
    assert row.late == {"contract": True}


def test_what_was_last_seen_before_the_look_is_dated() -> None:
    one = human()
    one.seen_at = after(6)
    assert rows(one)[0].undated == {"status"}


def test_records_made_later_are_not_known() -> None:
    dossier = orgs.dossier(human())
    (record,) = dossier.records
    fresh = replace(record, identity=Identity("crm", "Contact", "C1"), created_at=after(9), fields={"customer": "yes"})
    (row,) = looked(replace(dossier, records=(record, fresh))).rows
    assert "customer" not in row.attributes


@given(late=st.lists(st.tuples(st.integers(0, 300), st.sampled_from(["page.visited", "form.submitted"])), max_size=6))
@settings(deadline=None)
def test_the_future_changes_no_row(late: list[tuple[int, str]]) -> None:
    one = human()
    (row,) = rows(one)
    one.doings = [*one.doings, *((after(7) + timedelta(minutes=1 + n), kind, "x") for n, kind in late)]
    one.changes = [(after(7) + timedelta(hours=1 + n), "note", None, kind) for n, kind in late[:1]]
    (again,) = rows(one)
    assert again.attributes == row.attributes
    assert (again.done, again.won) == (row.done, row.won)


def test_handoffs_tell_outcomes_too_and_may_be_where_one_starts() -> None:
    handoff = Handoff(
        "1.1", 1, after(4), "score 70", 70, "A1", (Assignment("ana", after(4), "all", "her turn"),),
        state=HandoffState.CLOSED, outcome="won", closed_at=after(15),
    )  # fmt: skip
    dossier = orgs.dossier(human(), decision=Decision(handoffs=(handoff,)))
    assert outcome_of(dossier, UNTIL) == Outcome(after(15), after(15))
    assert outcome_of(dossier, after(14)) == Outcome(None, None)
    handed = Settings(ages_days=(7,), horizon_days=30, population="handed-off")
    earlier = replace(handoff, id="2.1", opened_at=after(-9), closed_at=after(-8))
    before = replace(old_customer(), decision=Decision(handoffs=(earlier,)), opportunities=())
    (row,) = population([dossier, before], handed, UNTIL).rows
    assert (row.start, row.at, row.won) == (after(4), after(11), True)
    assert population([orgs.dossier(human())], handed, UNTIL).left_out["never handed off"] == 1


def test_of_a_large_state_the_same_people_are_drawn_each_time(tmp_path: Path) -> None:
    store = open_store(tmp_path / "state.db")
    leads = tuple(Lead(Identity("web", "lead", str(n)), START, {}) for n in range(2_500))
    store.accept(Page(leads, ""), "import", now=START)
    try:
        everybody, missing = people_of(store)
        assert (len(list(everybody)), missing) == (2_500, 0)
        some, missing = people_of(store, 500)
        drawn = [one.person for one in some]
        assert 350 < len(drawn) < 650 and missing == 2_500 - len(drawn)
        assert [one.person for one in people_of(store, 500)[0]] == drawn
    finally:
        store.close()


def test_nobody_without_a_moment_is_looked_at() -> None:
    nobody = Dossier(5, 1, opportunities=(Opportunity(Identity("crm", "Opportunity", "1"), (), START, START),))
    assert population([nobody], ONCE, UNTIL).left_out["no moment known"] == 1


@pytest.mark.parametrize(
    ("groups", "area"),
    [
        ([(10, 0), (0, 10)], 1.0),
        ([(5, 5), (5, 5)], 0.5),
        ([(3, 1), (1, 3)], 0.75),  # of 16 pairs 9 are right and 6 even: (9 + 6 / 2) / 16
        ([(4, 0)], 0.5),
    ],
)
def test_the_area_by_hand(groups: list[tuple[int, int]], area: float) -> None:
    assert area_of_groups(groups) == pytest.approx(area)
