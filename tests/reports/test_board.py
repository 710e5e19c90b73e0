"""The board: everybody who is with sales, each promise once, the most urgent first."""

from datetime import timedelta

import pytest

from syncagent.handoff.sla import due_at, running
from syncagent.model import HandoffState, Identity
from syncagent.reports.board import board
from tests.story.theatre import Theatre


@pytest.fixture
def play(tmp_path):
    with Theatre(tmp_path) as made:
        yield made


def hand_off(play, *names):
    for name in names:
        play.does(play.person(name, title="Director"), "form.submitted", "contact-sales")
        play.after(minutes=2)


def test_nobody(play):
    made = board(play.agent.store, play.agent.policy, play.clock.now())
    assert (made.people, made.count, made.rows, made.owners) == (0, 0, (), ())


def test_every_promise_stands_there_once_by_when_it_is_due(play):
    hand_off(play, "mia", "ben", "cleo")
    now = play.clock.now()
    made = board(play.agent.store, play.agent.policy, now)
    assert made.people == made.count == 3
    expected = sorted(
        due_at(handoff, clock, 1.0, play.agent.policy)
        for person in play.agent.store.people(0, 10, with_sales=True)
        for handoff in play.agent.store.dossier(person).decision.handoffs
        if handoff.state is HandoffState.WITH_SALES
        for clock in running(handoff)
    )
    assert [row.due for row in made.rows] == expected
    assert {row.next_do for row in made.rows} == {"remind"}
    assert sum(one.open for one in made.owners) == 3
    assert (made.late, made.soon) == (0, 3)


def test_who_is_late_comes_first_and_is_counted_by_owner(play):
    hand_off(play, "mia", "ben")
    now = play.clock.now() + timedelta(minutes=59)
    made = board(play.agent.store, play.agent.policy, now)
    assert [row.state for row in made.rows] == ["late", "running"]
    assert made.rows[0].due <= now < made.rows[1].due
    assert made.late == sum(one.late for one in made.owners) == 1
    assert made.owners[0].late == 1


def test_only_so_many_rows_but_all_are_counted(play):
    hand_off(play, "mia", "ben", "cleo")
    made = board(play.agent.store, play.agent.policy, play.clock.now(), 1)
    assert len(made.rows) == 1
    assert made.count == 3
    whole = board(play.agent.store, play.agent.policy, play.clock.now())
    assert made.rows[0] == whole.rows[0]


def test_a_promise_that_is_kept_is_gone_and_the_lead_is_still_with_sales(play):
    hand_off(play, "mia")
    record = play.record("mia")
    play.crm.edit(record.identity, str(record.fields["owner"]), play.clock.now(), status="Working")
    play.after(minutes=1)
    play.after(minutes=1)
    made = board(play.agent.store, play.agent.policy, play.clock.now())
    assert made.people == 1
    assert made.count == 0


def test_what_has_not_reached_the_crm_has_not_started(tmp_path):
    with Theatre(tmp_path) as play:
        play.does(play.person("mia", title="Director"), "form.submitted", "contact-sales")
        play.agent.gather("web")
        play.agent.gather("crm")
        while play.agent.decide():
            pass
        made = board(play.agent.store, play.agent.policy, play.clock.now())
        assert [row.state for row in made.rows] == ["unstarted"]
        assert made.unstarted == 1
        assert made.rows[0].due is None
        play.after(minutes=1)


def test_people_are_found_by_whom_the_board_names(play):
    hand_off(play, "mia")
    (row,) = board(play.agent.store, play.agent.policy, play.clock.now()).rows
    assert row.person == play.agent.store.find("mia@example.com")[0]
    assert Identity("web", "lead", "mia") in play.agent.store.dossier(row.person).identities
