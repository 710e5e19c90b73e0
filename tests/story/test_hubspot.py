"""HubSpot in both parts of one config, through the whole agent: nobody hears their own echo, and a human wins."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from syncagent.agent import Agent
from syncagent.clock import ManualClock, SystemClock
from syncagent.compose import compose, connectors
from syncagent.config import load
from syncagent.sandbox import Control, Sandbox

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)  # a Monday
EMAIL = "ada@example.com"


class Desk:
    """One portal, one agent, one clock."""

    def __init__(self, folder: Path, box: Sandbox) -> None:
        self.box = box
        self.clock = ManualClock(NOON)
        self.hubspot = Control(box.url("hubspot"))
        self.ids = box.credentials("hubspot")
        self.rep, self.second = self.ids["rep_owner_id"], self.ids["second_rep_owner_id"]
        self.hubspot.act("set_settings", limits_clock="off", index_lag_min=0, index_lag_max=0)
        box.clock.set(NOON)
        (folder / "config.toml").write_text(box.config(folder), encoding="utf-8")
        config = load(folder / "config.toml")
        self.systems = connectors(config)
        self.agent: Agent = compose(config, clock=self.clock, systems=self.systems)
        self.agent.once()

    def close(self) -> None:
        self.agent.store.close()
        for system in self.systems.values():
            system.close()
        self.hubspot.close()

    def after(self, **step: float) -> None:
        """Let time pass, then one whole round."""
        self.clock.move_to(self.clock.now() + timedelta(**step))
        self.box.clock.set(self.clock.now())
        self.agent.once()

    def asks(self, **values: str) -> str:
        """Somebody asks for a demo, and is handed off; the contact's id."""
        given = {"firstname": "Ada", "lastname": "Byron", "jobtitle": "Director", "country": "Germany", **values}
        made = self.hubspot.act("submit_form", form="demo-request", email=EMAIL, values=given)["id"]
        for _ in range(3):
            self.after(seconds=20)
        return str(made)

    def row(self, contact: str) -> dict[str, Any]:
        return dict(self.hubspot.act("get", object="contacts", id=contact)["properties"])

    def tasks(self) -> list[dict[str, Any]]:
        return list(self.hubspot.dump()["objects"]["tasks"])

    def told(self, kind: str = "") -> list[str]:
        """The journal of that kind, as `explain` shows it."""
        (person,) = self.agent.store.find(EMAIL)
        return [one.why for one in self.agent.store.journal(person) if kind in ("", one.kind)]

    def handoff(self) -> Any:
        (person,) = self.agent.store.find(EMAIL)
        dossier = self.agent.store.dossier(person)
        assert dossier is not None and dossier.decision is not None
        return dossier.decision.handoff


@contextmanager
def opened(tmp_path: Path) -> Iterator[Desk]:
    """A desk at a portal of its own; all clocks are the desk's."""
    with Sandbox(["hubspot"]) as box:
        made = Desk.__new__(Desk)
        clock = ManualClock(NOON)
        with (
            patch.object(SystemClock, "now", lambda _: getattr(made, "clock", clock).now()),
            patch.object(SystemClock, "wait", lambda _self, event, _seconds: event.is_set()),
        ):
            made.__init__(tmp_path, box)  # type: ignore[misc]
            yield made
            made.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with opened(tmp_path) as made:
        yield made


def test_a_demo_request_becomes_status_owner_and_task_and_then_all_is_quiet(desk: Desk) -> None:
    contact = desk.asks()
    row = desk.row(contact)
    assert (row["hs_lead_status"], row["lead_grade"]) == ("OPEN", "A2")
    assert row["hubspot_owner_id"] in (desk.rep, desk.second)
    [task] = desk.tasks()
    assert task["properties"]["hubspot_owner_id"] == row["hubspot_owner_id"]
    assert task["associations"]["contacts"] == [contact]
    journal, changed = desk.told(), row["lastmodifieddate"]
    for _ in range(10):
        desk.after(seconds=60)
    assert desk.told() == journal, "our own writes came back, and nothing was made of them"
    assert desk.row(contact)["lastmodifieddate"] == changed
    assert len(desk.tasks()) == 1


def test_the_rep_who_completes_the_task_has_kept_the_promise(desk: Desk) -> None:
    contact = desk.asks()
    owner = desk.row(contact)["hubspot_owner_id"]
    desk.clock.move_to(desk.clock.now() + timedelta(minutes=7))
    desk.box.clock.set(desk.clock.now())
    desk.hubspot.act("complete_task", task=desk.tasks()[0]["id"], **{"as": owner})
    at = desk.clock.now()
    for _ in range(3):
        desk.after(seconds=20)
    assert (desk.handoff().touched_by, desk.handoff().touched_at) == (owner, at)


@pytest.mark.parametrize(
    ("kind", "values", "how"),
    [
        ("calls", {"hs_call_status": "NO_ANSWER"}, "logged: Call"),
        ("emails", {"hs_email_direction": "EMAIL"}, "logged: Email"),
    ],
)
def test_the_rep_who_logs_a_call_or_an_email_has_kept_the_promise(
    desk: Desk, kind: str, values: dict[str, str], how: str
) -> None:
    contact = desk.asks()
    owner = desk.row(contact)["hubspot_owner_id"]
    desk.clock.move_to(desk.clock.now() + timedelta(minutes=7))
    desk.box.clock.set(desk.clock.now())
    desk.hubspot.act("log", object=kind, contact=contact, values=values, **{"as": owner})
    at = desk.clock.now()
    desk.after(seconds=20)
    handoff = desk.handoff()
    assert (handoff.touched_by, handoff.touched_at, handoff.touched_how) == (owner, at, how)


def test_what_the_prospect_writes_or_a_colleague_logs_stops_no_clock(desk: Desk) -> None:
    contact = desk.asks()
    owner = desk.row(contact)["hubspot_owner_id"]
    desk.after(minutes=5)
    values = {"hs_email_direction": "INCOMING_EMAIL"}
    desk.hubspot.act("log", object="emails", contact=contact, values=values, **{"as": owner})
    colleague = desk.second if owner == desk.rep else desk.rep
    desk.hubspot.act("log", object="calls", contact=contact, **{"as": colleague})
    for _ in range(3):
        desk.after(seconds=60)
    assert desk.handoff().touched_at is None


@pytest.mark.parametrize("who", ["rep_owner_id", "second_rep_owner_id"])
def test_who_owns_the_company_gets_its_people(desk: Desk, who: str) -> None:
    owner = desk.ids[who]
    [company] = desk.hubspot.seed(companies=[{"name": "Byron & Co", "hubspot_owner_id": owner}])["companies"]
    near = {"companies": [company]}
    desk.hubspot.seed(contacts=[{"email": EMAIL, "lastname": "Byron", "hs_lead_status": "NEW", "associate": near}])
    contact = desk.asks()
    (person,) = desk.agent.store.find(EMAIL)
    dossier = desk.agent.store.dossier(person)
    assert dossier is not None and dossier.account is not None
    assert (dossier.account.name, dossier.account.owner) == ("Byron & Co", owner)
    assert desk.row(contact)["hubspot_owner_id"] == owner


def test_a_workflow_that_overwrites_is_written_over_once_and_then_contested(desk: Desk) -> None:
    contact = desk.asks()
    for _ in range(2):
        desk.after(minutes=1)
        desk.hubspot.act("workflow_edit", object="contacts", ids=[contact], values={"hs_lead_status": "OPEN_DEAL"})
        for _ in range(3):
            desk.after(seconds=30)
    assert len(desk.told("overwritten")) == 1
    assert len(desk.told("contested")) == 1
    assert desk.row(contact)["hs_lead_status"] == "OPEN_DEAL"
    assert desk.handoff().touched_at is None


def test_an_owner_that_a_person_sets_while_we_write_is_put_back(desk: Desk) -> None:
    crm: Any = desk.systems["hubspot"]
    rows_of, seen = crm._reader.rows_of, []

    def then_somebody_acts(ids: list[str]) -> Any:
        found = rows_of(ids)
        if not seen:
            seen.append(ids)
            desk.hubspot.act("set_owner", contact=ids[0], to=desk.ids["manager_owner_id"], **{"as": desk.second})
            desk.box.clock.set(desk.clock.now() + timedelta(milliseconds=500))
        return found

    with patch.object(crm._reader, "rows_of", then_somebody_acts):
        contact = desk.asks(lastname="Gap")
    assert seen
    for _ in range(4):
        desk.after(seconds=30)
    assert desk.told("restored")
    assert desk.row(contact)["hubspot_owner_id"] == desk.ids["manager_owner_id"]
    assert desk.handoff().assignments[-1].pinned


def test_a_rep_who_gives_a_lead_back_with_a_date_gets_it_back_then(desk: Desk) -> None:
    contact = desk.asks()
    desk.hubspot.act("recycle", contact=contact, reason="no_budget", until="2026-12-10")
    desk.hubspot.act("edit", object="contacts", id=contact, values={"hs_lead_status": "BAD_TIMING"})
    for _ in range(3):
        desk.after(seconds=60)
    handoff = desk.handoff()
    assert (handoff.state, handoff.recycle_reason) == ("returning", "no_budget")
    assert handoff.come_back_at == datetime(2026, 12, 10, tzinfo=UTC)
    [task] = desk.tasks()
    assert task["properties"]["hs_task_status"] == "COMPLETED"
    members = desk.hubspot.dump()["lists"]["1001"]["members"]
    assert members == [contact], "marketing has them again"
    desk.after(days=17)
    for _ in range(3):
        desk.after(seconds=60)
    assert desk.handoff().number == 2
    assert desk.row(contact)["hs_lead_status"] == "OPEN"


def test_a_deal_that_is_won_closes_the_handoff(desk: Desk) -> None:
    contact = desk.asks()
    desk.after(minutes=5)
    deal = desk.hubspot.act("create_deal", contact=contact, name="Big", amount=900)["id"]
    desk.hubspot.act("win_deal", deal=deal)
    for _ in range(12):
        desk.after(seconds=60)
    assert desk.handoff().outcome == "won"


def test_answers_are_heard_while_search_lags(desk: Desk) -> None:
    contact = desk.asks()
    desk.hubspot.act("set_settings", index_lag_min=25, index_lag_max=30)
    desk.after(minutes=2)
    desk.hubspot.act("set_status", contact=contact, status="IN_PROGRESS")
    for _ in range(5):
        desk.after(seconds=60)
    assert desk.handoff().outcome == "accepted"


def test_a_spent_day_is_waited_out_and_nothing_is_lost(desk: Desk) -> None:
    desk.hubspot.plant(rate_limit="daily", match={"path": "/contacts/batch/update"})
    contact = desk.asks()
    assert desk.row(contact).get("hs_lead_status") in (None, "NEW")
    assert "used up" in " ".join(desk.agent.outages.troubles().values())
    desk.after(hours=12, minutes=5)
    for _ in range(3):
        desk.after(seconds=60)
    assert desk.row(contact)["hs_lead_status"] == "OPEN"
    assert len([task for task in desk.tasks() if task["properties"]["syncagent_key"].endswith("a1:task")]) == 1


def test_a_property_that_is_missing_parks_the_task_until_it_is_there(desk: Desk) -> None:
    desk.hubspot.act("remove_property", object="tasks", name="syncagent_key")
    contact = desk.asks()
    [parked] = [one for one in desk.agent.store.outbox() if one.state == "parked"]
    assert "syncagent check" in parked.why
    assert desk.row(contact)["hs_lead_status"] == "OPEN"
    desk.hubspot.act("add_property", object="tasks", name="syncagent_key", type="string", fieldType="text")
    desk.agent.store.retry([parked.command.key])
    for _ in range(4):
        desk.after(seconds=70)
    assert [one["properties"]["syncagent_key"] for one in desk.tasks()] == [parked.command.key]
