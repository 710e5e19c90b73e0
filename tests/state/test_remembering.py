"""What a record has said of each attribute, and when: the same in any order of telling."""

from hypothesis import given
from hypothesis import strategies as st

from syncagent.model.profile import Seen
from syncagent.state.remembering import KEPT, remember
from tests.state.story_values import at, lead, mk, only, record, take
from tests.state.test_joining import a_store

NAMES = ("title", "country")
telling = st.tuples(st.integers(0, 20), st.fixed_dictionaries({}, optional={n: st.sampled_from("abc") for n in NAMES}))


def told(store, name):
    """What a dossier says of an attribute, the compact way and the plain way alike."""
    dossier = only(store)
    (lead,) = dossier.leads
    past = next(iter(dossier.histories), None)
    if past is not None and name in past.seen:
        return past.seen[name]
    born = lead.seen_at if past is None else past.born
    return (Seen(lead.attributes[name], born, lead.seen_at),) if name in lead.attributes else ()


@given(st.lists(telling, min_size=1, max_size=8, unique_by=lambda one: one[0]), st.randoms(use_true_random=False))
def test_first_and_last_of_every_value_in_any_order(tellings, dice):
    shuffled = list(tellings)
    dice.shuffle(shuffled)
    with a_store() as store:
        for minute, values in shuffled:
            take(store, lead(1, minute, **values))
        take(store, lead(1, shuffled[0][0], **shuffled[0][1]))
        for name in NAMES:
            minutes = {}
            for minute, values in tellings:
                if name in values:
                    minutes.setdefault(values[name], []).append(minute)
            expected = {(value, at(min(some)), at(max(some))) for value, some in minutes.items()}
            assert {(one.value, one.first, one.last) for one in told(store, name)} == expected
            newest = max(((m, v[name]) for m, v in tellings if name in v), default=None)
            if newest is not None:
                assert only(store).leads[0].attributes[name] == newest[1]


def test_nothing_is_kept_of_what_was_told_once_or_only_confirmed():
    with a_store() as store:
        take(store, lead(1, 0, title="CTO"))
        assert only(store).histories == ()
        take(store, lead(1, 5, title="CTO"))
        (past,) = only(store).histories
        assert (past.born, past.seen) == (at(0), {})


def test_the_past_of_an_attribute_is_bounded_and_keeps_its_beginning():
    history = ()
    values = {"title": "v0"}
    for n in range(1, 40):
        new = {"title": f"v{n}"}
        history = remember(history, mk(1), (values, at(n - 1)), (new, at(n)))
        values = new
    seen = history[0].seen["title"]
    assert len(seen) == KEPT and seen[0].value == "v0" and seen[-1].value == "v39"


def test_the_fields_that_a_handoff_is_worked_in_have_no_profile():
    with a_store() as store:
        take(store, record(1, 0, status="New", owner="ana", title="CTO"))
        take(store, record(1, 5, status="Working", owner="ben", title="CEO"))
        (past,) = only(store).histories
        assert set(past.seen) == {"title"}
