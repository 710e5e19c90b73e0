"""Asking everybody: the same answers as asking one by one, on one core or on several."""

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from benchmarks import world
from syncagent.config import parse
from syncagent.handoff import score
from syncagent.model import CrmRecord, Identity, Merged, Page
from syncagent.policy import Policy, Threshold
from syncagent.reports import population
from syncagent.reports.population import ask_all
from syncagent.reports.scores import Past, Rescore, Scores, scored, together
from syncagent.state import open_store

PEOPLE = 1100  # more than two batches


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("population") / "state.db"
    store = open_store(path)
    try:
        world.fill(store, world.history(PEOPLE))
        merged = Merged(Identity("web", "lead", "3"), (Identity("web", "lead", "4"),), world.NOW)
        store.accept(Page((merged, *_of_one_company()), ""), "", now=world.NOW)
    finally:
        store.close()
    return path


def _of_one_company() -> tuple[CrmRecord, ...]:
    return tuple(
        CrmRecord(
            Identity("crm", "Contact", f"C{number}"),
            world.NOW,
            world.NOW,
            "me",
            {"title": "VP"},
            (f"person{number}@example.com",),
            account="A1",
        )
        for number in (10, 20)
    )


def test_the_evidence_is_the_whole_dossier_but_for_what_was_decided_and_sent(state: Path) -> None:
    store = open_store(state, read_only=True)
    try:
        ids = store.people(0, PEOPLE)
        found = store.evidence(0, ids[-1])
        whole = [store.dossier(person) for person in ids]
    finally:
        store.close()
    assert found == tuple(replace(one, crm_seen_until=None) for one in whole if one is not None)
    assert [one.account.engaged for one in found if one.account is not None] == [2, 2]


@pytest.fixture(scope="module")
def policy() -> Policy:
    made = parse(world.CONFIG.format(sources="")).policy(world.NOW - timedelta(days=365))
    return replace(made, mql=Threshold(score=50))


@pytest.mark.parametrize("workers", [1, 2])
def test_everybody_is_scored_once_as_they_are_one_by_one(
    state: Path, policy: Policy, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(population, "_ALONE", 10)
    store = open_store(state, read_only=True)
    try:
        people = store.people(0, PEOPLE)
        whole = {person: store.dossier(person) for person in people}
    finally:
        store.close()
    assert len(people) == PEOPLE - 1  # two of them were merged
    rows = [row for rows in ask_all(state, Scores(policy, world.NOW), workers) for row in rows]
    assert [row.person for row in rows] == list(people)
    expected = {person: scored(one, policy, world.NOW) for person, one in whole.items() if one is not None}
    assert rows == list(expected.values())
    for row in rows[:50]:
        one = whole[row.person]
        assert one is not None and score(one, policy, world.NOW).total == row.score
    assert len({row.grade for row in rows}) > 3 and any(row.over for row in rows)


def test_the_past_counts_only_what_had_been_done(state: Path, policy: Policy) -> None:
    long_ago = world.NOW - timedelta(days=300)
    rows = [row for rows in ask_all(state, Scores(policy, long_ago, Past.GUESSED), 1) for row in rows]
    assert {row.interest for row in rows} == {0}
    assert any(row.fit for row in rows)


def test_the_same_config_moves_nobody_and_another_one_moves_who_it_is_about(state: Path, policy: Policy) -> None:
    now = world.NOW
    same = together(ask_all(state, Rescore(policy, now, policy), 1))
    assert same.people == PEOPLE - 1 and same.newly == same.no_longer == 0 and same.largest == ()
    assert all(before == after for before, after in same.grades)
    lower = replace(policy, mql=Threshold(score=40))
    moved = together(ask_all(state, Rescore(lower, now, policy), 1))
    rows = [row for rows in ask_all(state, Scores(policy, now), 1) for row in rows]
    assert moved.newly == sum(40 <= row.score < 50 for row in rows) > 0
    assert moved.over == moved.were_over + moved.newly and moved.no_longer == 0
    assert moved.never_handed == moved.newly  # nobody was handed off here
    stricter = replace(policy, mql=Threshold(score=101))
    assert together(ask_all(state, Rescore(stricter, now, policy), 1)).no_longer == moved.were_over > 0


def test_who_has_no_stored_score_comes_from_nowhere(state: Path, policy: Policy) -> None:
    moves = together(ask_all(state, Rescore(policy, world.NOW), 1))
    assert {before for before, _ in moves.grades} == {""} and moves.were_over == 0


def test_another_weight_shows_the_largest_moves_first(state: Path, policy: Policy) -> None:
    fit = tuple(
        replace(rule, weight=rule.weight / 2) if rule.attribute == "title" else rule for rule in policy.scoring.fit
    )
    other = replace(policy, scoring=replace(policy.scoring, fit=fit))
    moves = together(ask_all(state, Rescore(other, world.NOW, policy), 1))
    assert {abs(after - before) for _, before, after in moves.largest} == {15}
    assert len(moves.largest) == 10
