"""What reports count, asked of the views: each column is what the plan said of it, and nothing is counted twice."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from syncagent.model import Assignment, Decision, Deleted, Event, HandoffState, Merged, Roster, Score, Stage
from syncagent.model.figures import Entry, HandoffFigures, PromiseFigures
from syncagent.state.codec import ms
from syncagent.state.store import Settlement
from tests.state.story_values import T0, act, at, deal, handoff, lead, mk, plan, sf, take

WEB = Entry(T0, "activity", "marketo", "Web", "spring", "/pricing", "cpc", "smb")


def rows(store, view, *columns, where="1"):
    return list(store.ask(f"select {', '.join(columns)} from {view} where {where} order by 1, 2"))


def decided(store, number, *, minute=1, unchanged=False, **rest):
    [person] = store.find(str(number))
    found = store.dossier(person)
    settlement = Settlement(person, found.revision, plan(**rest), unchanged)
    assert store.settle([settlement], Roster(), now=at(minute), config="c") == 1
    return person


class Figures:
    def test_how_somebody_came_in_and_stands(self, store):
        take(store, act(1, "a"), act(2, "b"))
        scored = Decision(stage=Stage.PROSPECT, score=Score(30.0, 15.5, "B2"))
        person = decided(store, 1, decision=scored, entry=WEB)
        columns = ("person", "entered_at", "entered_ms", "told_by", "system", "source", "campaign", "content")
        columns += (
            "medium",
            "segment",
            "stage",
            "fit",
            "interest",
            "score",
            "score_band",
            "grade",
            "owner",
            "handoffs",
        )
        told = ("activity", "marketo", "Web", "spring", "/pricing", "cpc", "smb")
        assert rows(store, "report_lead", *columns) == [
            (person, "2026-01-05T09:00:00Z", ms(T0), *told, "prospect", 30.0, 15.5, 45.5, 40, "B2", "", 0)
        ]
        take(store, act(1, "older", -5))
        decided(store, 1, minute=2, decision=scored, unchanged=True, entry=replace(WEB, at=at(-5), source="Fair"))
        assert rows(store, "report_lead", "entered_ms", "source") == [(ms(at(-5)), "Fair")]
        take(store, act(1, "later", 9))
        decided(store, 1, minute=10, decision=scored)  # an order of an admin says nothing of it
        assert rows(store, "report_lead", "entered_ms", "source") == [(ms(at(-5)), "Fair")]

    def test_two_who_turn_out_to_be_one_are_counted_once(self, store):
        take(store, act(1, "a"), act(2, "b"))
        for number in (1, 2):
            decided(store, number, entry=WEB, events=(Event("stage", at(1), "", "", {"stage": "prospect"}),))
        assert len(rows(store, "report_lead", "person", "source")) == 2
        assert len(rows(store, "report_stage", "person", "stage")) == 2
        take(store, Merged(mk(1), (mk(2),), at(1)))
        assert rows(store, "report_lead", "person", "source") == [(store.find("1")[0], "Web")]
        assert rows(store, "report_stage", "person", "stage") == [(store.find("1")[0], "prospect")]

    def test_who_must_be_forgotten_is_in_no_report(self, store):
        take(store, lead(1, emails=["a@example.com"]))
        decided(store, 1, entry=WEB)
        assert len(rows(store, "report_lead", "person", "source")) == 1
        take(store, Deleted(mk(1), at(2), privacy=True))
        assert rows(store, "report_lead", "person", "source") == []

    def test_a_handoff_as_it_was_at_its_opening_and_how_it_went(self, store):
        take(store, lead(1))
        [person] = store.find("1")
        one = handoff(person, segment="smb", raised_at=at(-1))
        opened = Event("handoff.opened", at(1), "", one.id, {"source": "web", "campaign": "fair", "rule": "form"})
        figures = HandoffFigures(one.id, "emea", None, 1, T0)
        decided(store, 1, decision=Decision(handoffs=(one,)), events=(opened,), entry=WEB, figures=(figures,))
        columns = (
            "handoff",
            "is_return",
            "opened_ms",
            "state",
            "route",
            "team",
            "owner",
            "grade",
            "score",
            "score_band",
        )
        columns += (
            "source",
            "campaign",
            "trigger_system",
            "trigger_campaign",
            "trigger_rule",
            "raised_ms",
            "touched_ms",
        )
        told = (one.id, 0, ms(T0), "with_sales", "all", "emea", "ana", "A1", 72.0, 60)
        told += ("Web", "spring", "web", "fair", "form", ms(at(-1)), None)
        assert rows(store, "report_handoff", *columns) == [told]
        closed = replace(
            one,
            state=HandoffState.RETURNING,
            touched_at=at(90),
            closed_at=at(99),
            outcome="recycled",
            recycle_reason="no budget",
            come_back_at=at(9999),
            tries=3,
            assignments=(*one.assignments, Assignment("ben", at(60), "all", "it was late")),
        )
        take(store, lead(1, 2, title="CFO"))
        figures = replace(figures, working=12.5, turn=2, since=at(60))
        decided(store, 1, decision=Decision(handoffs=(closed,)), entry=WEB, figures=(figures,))
        columns = ("state", "outcome", "reason", "attempts", "assignments", "owner", "first_owner", "touched_ms")
        columns += ("seconds_to_touch", "working_seconds_to_touch", "closed_ms", "come_back_ms", "trigger_rule", "team")
        told = ("returning", "recycled", "no budget", 3, 2, "ben", "ana", ms(at(90)), 5400.0, 750, ms(at(99)))
        assert rows(store, "report_handoff", *columns) == [(*told, ms(at(9999)), "form", "emea")]

    @pytest.mark.parametrize(("moved", "met"), [(59, None), (60, 0), (61, 0)])
    def test_each_owner_has_a_promise_and_who_lost_the_lead_late_has_broken_it(self, store, moved, met):
        take(store, lead(1))
        [person] = store.find("1")
        one = handoff(person)
        first = PromiseFigures(0, 1, "first touch", "hour", "ana", T0, at(60))
        figures = HandoffFigures(one.id, "", None, 1, T0, (first,))
        decided(store, 1, decision=Decision(handoffs=(one,)), entry=WEB, figures=(figures,))
        columns = ("turn", "owner", "sla", "promised", "started_ms", "due_ms", "ended_ms", "met", "minutes", "source")
        running = (1, "ana", "hour", "first touch", ms(T0), ms(at(60)))
        assert rows(store, "report_promise", *columns) == [(*running, None, None, None, "Web")]
        second = PromiseFigures(0, 2, "first touch", "hour", "ben", at(70), at(130), at(100), met=True, minutes=30.0)
        figures = HandoffFigures(one.id, "", None, 2, at(moved), (second,))
        take(store, lead(1, 2, title="CFO"))
        two = replace(one, assignments=(*one.assignments, Assignment("ben", at(moved), "all", "late")))
        decided(store, 1, minute=moved, decision=Decision(handoffs=(two,)), entry=WEB, figures=(figures,))
        assert rows(store, "report_promise", *columns) == [
            (*running, ms(at(moved)), met, None, "Web"),
            (2, "ben", "hour", "first touch", ms(at(70)), ms(at(130)), ms(at(100)), 1, 30.0, "Web"),
        ]

    def test_stays_in_stages_with_where_they_led(self, store):
        take(store, lead(1))
        for minute, stage, number in ((1, "mql", "1.1"), (5, "recycled", "1.1"), (9, "mql", "1.2")):
            take(store, lead(1, minute, title=str(minute)))
            decided(
                store, 1, minute=minute, entry=WEB, events=(Event("stage", at(minute), "", number, {"stage": stage}),)
            )
        columns = ("entered_ms", "stage", "left_ms", "seconds", "next_stage", "is_return")
        assert rows(store, "report_stage", *columns) == [
            (ms(at(1)), "mql", ms(at(5)), 240.0, "recycled", 0),
            (ms(at(5)), "recycled", ms(at(9)), 240.0, "mql", 0),
            (ms(at(9)), "mql", None, None, None, 1),
        ]

    def test_deals_with_or_without_people_in_hundredths(self, store):
        take(store, deal("D1", [1, 2], amount=19.99, stage="Proposal", owner="ben", currency="EUR"))
        take(store, deal("D2", [], amount=None), deal("D3", [1], amount=100))
        columns = ("deal", "stage", "owner", "amount", "currency", "closed", "won", "open", "people", "created_ms")
        assert rows(store, "report_deal", *columns) == [
            ("D1", "Proposal", "ben", 1999, "EUR", 0, 0, 1, 2, ms(T0)),
            ("D2", "", "", None, "", 0, 0, 1, 0, ms(T0)),
            ("D3", "", "", 10000, "", 0, 0, 1, 1, ms(T0)),
        ]
        one, two = store.find("1")[0], store.find("2")[0]
        assert rows(store, "report_deal_person", "deal", "person") == [("D1", one), ("D1", two), ("D3", one)]
        take(store, Deleted(sf("D3", "Opportunity"), at(5)))
        assert [row[0] for row in rows(store, "report_deal", "deal", "stage")] == ["D1", "D2"]
        assert [row[0] for row in rows(store, "report_deal_person", "deal", "person")] == ["D1", "D1"]

    def test_a_deal_was_closed_when_it_was_seen_to_close_else_on_its_date(self, store):
        day = f"{T0:%Y-%m-%d}"
        take(store, deal("D1", [1], 30, closed=True, won=True, closed_on=day))
        take(store, deal("D1", [1], 90, closed=True, won=True, closed_on=day, amount=7))
        take(store, deal("D2", [1], 60 * 24 * 9, closed=True, closed_on=day))
        columns = ("deal", "closed_ms", "closed", "won", "open")
        midnight = T0.replace(hour=0)
        assert rows(store, "report_deal", *columns) == [
            ("D1", ms(at(30)), 1, 1, 0),
            ("D2", ms(midnight), 1, 0, 0),
        ]
        other = f"{T0 - timedelta(days=40):%Y-%m-%d}"
        take(store, deal("D1", [1], 120, closed=True, won=True, closed_on=other))
        assert rows(store, "report_deal", "deal", "closed_ms")[0][1] == ms(midnight - timedelta(days=40))
        take(store, deal("D1", [1], 150, closed_on=""))
        assert rows(store, "report_deal", *columns)[0] == ("D1", None, 0, 0, 1)

    def test_nothing_is_written_by_asking(self, store):
        with pytest.raises(Exception, match="readonly"):
            list(store.ask("delete from person"))
        assert list(store.ask("select ?, ? + 1", ("a", 2))) == [("a", 3)]

    def test_who_stops_reading_in_the_middle_leaves_a_store_that_goes_on(self, store):
        take(store, act(1, "a"))
        half = store.ask("select 1 union select 2")
        assert next(half) == (1,)
        half.close()
        take(store, act(2, "b"))
        assert list(store.ask("select count(*) from report_lead")) == [(0,)]
