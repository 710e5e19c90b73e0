"""A person whole: points where they belong, a curve that ends at today's score, everything that was written."""

from datetime import timedelta

import pytest

from syncagent.handoff import score
from syncagent.model import Activity, Identity, Page
from syncagent.reports.person import POINTS, curve, person
from tests.story.theatre import Theatre


@pytest.fixture
def play(tmp_path):
    with Theatre(tmp_path) as made:
        who = made.person("mia", title="Director")
        for _ in range(4):
            made.does(who, "page.visited", "/pricing")
            made.after(days=2)
        made.does(who, "form.submitted", "demo-x")
        made.after(minutes=1)
        made.after(minutes=1)
        yield made


def whole(play, **options):
    (number,) = play.agent.store.find("mia@example.com")
    made = person(play.agent.store, play.agent.policy, number, play.clock.now(), **options)
    assert made is not None
    return made


def test_nobody(play):
    assert person(play.agent.store, play.agent.policy, 99, play.clock.now()) is None


def test_every_activity_has_the_points_of_its_rules_and_none_is_left_out(play):
    made = whole(play)
    assert made.did == len(made.doings) == 5
    earned = {(one.rule, one.points) for did in made.doings for one in did.credits}
    assert earned == {(one.rule, one.points) for one in made.known.score.contributions if one.evidence}
    assert [one.together for one in made.doings[-1].credits] == [4]
    assert [one.at for one in made.doings] == sorted((one.at for one in made.doings), reverse=True)


def test_activities_come_page_by_page(play):
    pages = [whole(play, first=first, most=2).doings for first in (0, 2, 4, 6)]
    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert tuple(one for page in pages for one in page) == whole(play).doings


def test_the_curve_begins_with_what_was_known_first_and_ends_at_the_score_of_now(play):
    made = whole(play)
    now = play.clock.now()
    assert made.curve[-1].at == now
    assert made.curve[-1].total == made.known.score.total == score(made.dossier, play.agent.policy, now).total
    assert made.curve[0].total < made.curve[-1].total
    assert [one.at for one in made.curve] == sorted({one.at for one in made.curve})
    assert len(made.curve) <= POINTS + 2


def test_whoever_did_very_much_has_a_curve_of_fewer_points(play):
    made = whole(play)
    begin = play.clock.now() - timedelta(days=8)
    many = tuple(
        Activity(Identity("web", "lead", "mia"), f"m{n}", begin + timedelta(minutes=n), "page.visited", "/x")
        for n in range(4000)
    )
    play.agent.store.accept(Page(many, ""), "", now=play.clock.now())
    dossier = play.agent.store.dossier(made.dossier.person)
    assert 6 <= len(curve(dossier, play.agent.policy, play.clock.now())) < POINTS / 2


def test_all_that_was_written_is_there_with_its_answer(play):
    made = whole(play)
    told = {type(one.command).__name__: one for one in made.written}
    assert set(told) >= {"WriteLead", "CreateTask"}
    for one in told.values():
        assert one.state == "done"
        assert one.receipt is not None
        assert one.done_at is not None
    assert [entry.kind for entry in made.journal][-1]
