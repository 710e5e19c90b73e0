"""Activities whose numbers fall on one another: every one is kept, each once, whoever tells it."""

import pytest
from msgspec.structs import replace

from syncagent.model import Identity, Merged
from syncagent.state import activities, open_store
from tests.state.story_values import act, at, lead, mk, only, page, settle, take


@pytest.fixture(params=[0, activities.LAST - 1], ids=["first", "last"])
def store(tmp_path, monkeypatch, request):
    monkeypatch.setattr(activities, "slot", lambda key: request.param)
    store = open_store(tmp_path / "state.db")
    yield store
    store.close()


def keys(dossier):
    return [one.key for one in dossier.activities]


def test_all_are_kept_and_each_once(store):
    told = [act(1, key, minute) for key, minute in (("a", 1), ("b", 2), ("c", 3), ("d", 4))]
    assert take(store, *told[:3]).new == 3
    assert take(store, *told).new == 1
    assert take(store, *told, told[0]).new == 0
    assert keys(only(store)) == ["a", "b", "c", "d"]
    assert only(store).activities == tuple(told)


def test_neighbours_keep_theirs(store):
    take(store, act(1, "a"), act(2, "a"), act(1, "b"), act(2, "b"))
    assert [keys(each) for each in store.unsettled(at(9), 10).dossiers] == [["a", "b"], ["a", "b"]]


def test_a_merge_joins_them_and_each_is_there_once(store):
    take(store, act(1, "a", 1), act(1, "b", 2), act(2, "c", 3), act(2, "b", 2), act(2, "d", 4))
    store.accept(page(Merged(mk(1), (mk(2),), at(5))), "", now=at(5))
    assert keys(only(store)) == ["a", "b", "c", "d"]
    settle(store, minute=10)
    assert take(store, *(act(1, key, minute) for key, minute in (("a", 1), ("b", 2), ("c", 3), ("d", 4)))).new == 0


def test_told_with_other_attributes_the_first_stands(store):
    take(store, act(1, "a", 1, asset="x"))
    assert take(store, act(1, "a", 1, asset="y")).new == 0
    assert only(store).activities == (act(1, "a", 1, asset="x"),)


def test_one_key_of_two_moments_is_two_and_of_two_systems_too(store):
    other = Identity("web", "lead", "1")
    take(store, lead(1, also=[other]), act(1, "a", 1), act(1, "a", 2), replace(act(1, "a", 1), identity=other))
    assert [(one.identity.system, one.at) for one in only(store).activities] == [
        ("marketo", at(1)),
        ("web", at(1)),
        ("marketo", at(2)),
    ]
    assert take(store, act(1, "a", 2), replace(act(1, "a", 1), identity=other)).new == 0
