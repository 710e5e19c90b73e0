"""Dossiers wound back: what was known at a moment, what is not sure of it, and what came later."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from syncagent.handoff.past import as_of, past_of
from syncagent.model import Dossier, FieldChange, Identity, Lead, Opportunity, Value
from syncagent.model.profile import History, Seen
from syncagent.state.remembering import newest, remember
from tests.unit.handoff.worlds import CONTACT, LEAD, MARKETO, NOW, activity, dossier, lead, record


def day(count: float) -> datetime:
    return NOW + timedelta(days=count)


def told(*tellings: tuple[float, dict[str, Value]]) -> Dossier:
    """One lead, as the state holds it after these tellings (day, values)."""
    histories: tuple[History, ...] = ()
    values, at = dict[str, Value](), day(tellings[0][0])
    for when, news in tellings:
        if values:
            histories = remember(histories, MARKETO, (values, at), (news, day(when)))
            values, at = newest(histories, MARKETO, {**values, **news}), max(at, day(when))
        else:
            values = dict(news)
    return dossier(leads=(Lead(MARKETO, at, values),), records=(), histories=histories, activities=())


def titles(*moments: float, of: Dossier) -> list[Value]:
    return [as_of(of, day(when)).leads[0].attributes.get("title") for when in moments]


def test_a_value_stands_from_its_first_telling_to_the_next_one_s() -> None:
    person = told((0, {"title": "Clerk"}), (3, {"title": "Clerk"}), (5, {"title": "Director"}), (9, {"title": "Chief"}))
    assert titles(0, 4.9, 5, 8.9, 9, 99, of=person) == ["Clerk", "Clerk", "Director", "Director", "Chief", "Chief"]
    assert as_of(person, day(-1)).leads == ()
    assert as_of(person, day(7)).leads[0].seen_at == day(5)


def test_what_was_told_first_later_is_not_known_and_said_to_be_late() -> None:
    person = told((0, {"title": "Clerk"}), (4, {"title": "Clerk", "contract": "C1"}))
    found = past_of(person, day(2))
    assert found.dossier.leads[0].attributes == {"title": "Clerk"}
    assert (found.late, found.undated) == ({"contract": day(4)}, frozenset())


def test_before_the_first_telling_there_is_nobody_or_a_guess_that_says_so() -> None:
    person = told((0, {"title": "Clerk"}), (4, {"title": "Chief", "contract": "C1"}))
    assert as_of(person, day(-3)).leads == ()
    found = past_of(person, day(-3))
    assert found.dossier.leads[0].attributes == {"title": "Clerk"}
    assert (found.late, found.undated) == ({"contract": day(4)}, frozenset({"title"}))


def test_fields_of_the_crm_go_back_by_their_changes_and_by_their_history() -> None:
    changes = tuple(
        FieldChange(LEAD, f"c{n}", field, old, new, "ana", day(n))
        for n, field, old, new in ((2, "status", "Open", "Working"), (6, "region", None, "north"))
    )
    fields = {"region": "north", "title": "Chief", "insight": "why"}
    of = History(LEAD, day(0), {"title": (Seen("Clerk", day(0), day(3)), Seen("Chief", day(5), day(8)))})
    person = dossier(leads=(), records=(record("Working", at=day(8), **fields),), changes=changes, histories=(of,))
    found = past_of(person, day(4))
    (then,) = found.dossier.records
    assert then.fields == {"status": "Working", "owner": "queue-1", "region": None, "title": "Clerk"}, "insight is ours"
    assert (found.late, found.undated) == ({"region": day(6)}, frozenset({"owner"}))
    assert as_of(person, day(9)).records == person.records
    assert len(found.dossier.changes) == 1
    (before,) = as_of(person, day(-2)).records
    assert before.fields == {"status": "Open", "owner": "queue-1", "region": None}
    assert as_of(person, day(-31)).records == (), "it had not been made yet"


def test_deals_were_open_until_they_were_closed_and_did_not_exist_before() -> None:
    deal = Opportunity(
        Identity("crm", "Opportunity", "O1"), (CONTACT,), day(9), day(1), closed=True, won=True,
        closed_on=day(5).date().isoformat(),
    )  # fmt: skip
    person = dossier(opportunities=(deal, replace(deal, identity=CONTACT, deleted=True, closed_on="")))
    for moment, expected in ((0, []), (2, [(False, False)] * 2), (6, [(True, False), (False, False)])):
        deals = as_of(person, day(moment)).opportunities
        assert [(one.closed, one.deleted) for one in deals] == expected, moment
    assert [one.won for one in as_of(person, day(10)).opportunities] == [True, True]


def test_what_was_done_and_decided_later_is_gone() -> None:
    person = dossier(activities=(activity("a", day(0)), activity("b", day(2))), leads=(lead(day(0)),))
    assert [one.key for one in as_of(person, day(1)).activities] == ["a"]
    assert as_of(person, day(9)).decision is None


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.sampled_from(("title", "company")), st.booleans()), min_size=1, max_size=12
    ),
    st.data(),
)
def test_every_moment_is_as_it_was_told_whatever_was_told_since(
    steps: list[tuple[int, str, bool]], data: st.DataObject
) -> None:
    """As long as no value comes back: of one that does a history knows only the first and the last telling."""
    now, values = 0, {"title": "t0"}
    tellings: list[tuple[float, dict[str, Value]]] = [(0, dict(values))]
    for gap, name, changes in steps:
        now += gap
        if changes:
            values[name] = f"{name}{now}"
        tellings.append((now, dict(values)))
    person = told(*tellings)
    moment = data.draw(st.integers(0, now))
    stood = [known for at, known in tellings if at <= moment][-1]
    (then,) = as_of(person, day(moment)).leads
    assert then.attributes == stood


@pytest.mark.parametrize("guess", [True, False])
def test_nobody_is_wound_back_by_a_moment_to_come(guess: bool) -> None:
    person = told((0, {"title": "Clerk"}), (4, {"title": "Chief"}))
    assert as_of(person, day(400), guess=guess) == person
