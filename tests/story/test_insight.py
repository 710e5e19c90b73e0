"""What the rep reads in the CRM, through the whole agent: brief, moments on the record, news while a deal is open."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from syncagent.model import Identity, Opportunity
from tests.story.office import Office, office
from tests.story.test_hubspot import Desk, opened
from tests.story.theatre import CONFIG, T0, Theatre

INSIGHT = """
[insight]
titles = { "*pricing*" = "the prices" }
[[insight.moments]]
activity = "page.visited"
asset = "*pricing*"
says = "Looked at {asset}"
deal = true
[[insight.moments]]
activity = "form.submitted"
says = "Filled out {asset}"
deal = true
"""
MAPPED = CONFIG.replace('stage_date = "stage_date"', 'stage_date = "stage_date"\ninsight = "insight"') + INSIGHT
NASTY = "<b>Eva</b>\u202e\r\nhttps://evil.example/x"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Theatre]:
    with Theatre(tmp_path, MAPPED) as theatre:
        theatre.agent.once()
        theatre.clock.advance(timedelta(minutes=1))
        yield theatre


def begin_deal(stage: Theatre, owner: str = "carla") -> Identity:
    """A contact with an open deal, whom nobody has handed off; the deal."""
    stage.lead("mia")
    who = stage.crm.convert(Identity("crm", "Lead", "mia"), "carla", stage.clock.now())
    return sell(stage, who, owner)


def sell(stage: Theatre, who: Identity, owner: str = "carla", **changes: Any) -> Identity:
    now, deal = stage.clock.now(), Identity("crm", "Opportunity", "O1")
    stage.crm.feed([Opportunity(deal, (who,), now, T0 + timedelta(minutes=1), owner, "Offer", **changes)])
    return deal


def alerts(stage: Theatre) -> list[Any]:
    return [one for one in stage.crm.tasks.values() if ":deal." in one.key]


# -- on memory systems


def test_the_latest_moments_are_on_the_record_with_the_handoff_and_then_once_a_day(stage: Theatre) -> None:
    mia = stage.person("mia", title="Director")
    stage.does(mia, "form.submitted", "demo-request")
    stage.after(seconds=1)
    first = "2026-03-02 09:01 Filled out demo-request"
    assert stage.record("mia").fields["insight"] == first
    for hours in (1, 2, 3):
        stage.does(mia, "page.visited", f"/pricing/{hours}")
        stage.after(hours=1)
    assert stage.record("mia").fields["insight"] == first
    stage.after(hours=21)
    assert stage.record("mia").fields["insight"] == f"2026-03-02 11:01 Looked at the prices\n{first}"
    stage.restart()
    changed = stage.record("mia").modified_at
    stage.after(hours=1)
    assert stage.record("mia").modified_at == changed, "nothing new, nothing written"


def test_what_the_rep_writes_there_stays(stage: Theatre) -> None:
    mia = stage.person("mia", title="Director")
    stage.does(mia, "form.submitted", "demo-request")
    stage.after(seconds=1)
    note = "Only calls back on Fridays."
    stage.crm.edit(stage.record("mia").identity, "ana", stage.clock.now(), insight=note)
    stage.does(mia, "page.visited", "/pricing")
    for _ in range(3):
        stage.after(hours=25)
    assert stage.record("mia").fields["insight"] == note


def test_a_note_in_the_gap_between_deciding_and_writing_stays_too(stage: Theatre) -> None:
    """The CRM was read before the rep wrote: only the read before the write can see it."""
    mia = stage.person("mia", title="Director")
    stage.does(mia, "form.submitted", "demo-request")
    stage.after(seconds=1)
    stage.does(mia, "page.visited", "/pricing")
    stage.clock.advance(timedelta(days=1, minutes=5))
    for source in ("web", "crm"):
        stage.agent.gather(source)
    assert stage.agent.decide()
    queued = [item.command for item in stage.agent.store.outbox(("queued",))]
    assert any("insight" in getattr(one, "values", {}) for one in queued)
    stage.crm.edit(stage.record("mia").identity, "ana", stage.clock.now(), insight="Spoke today.")
    stage.agent.settle_down()
    stage.after(minutes=1)
    assert stage.record("mia").fields["insight"] == "Spoke today."
    assert not stage.agent.store.outbox(("parked", "queued"))


def test_the_owner_of_an_open_deal_hears_of_it_once_and_after_a_crash_not_again(stage: Theatre) -> None:
    begin_deal(stage)
    mia = stage.person("mia")
    stage.does(mia, "page.visited", "/pricing")
    stage.after(seconds=30)
    stage.after(seconds=30)
    (alert,) = alerts(stage)
    assert (alert.owner, alert.subject) == ("carla", "Open deal: Mia Test: Looked at the prices")
    assert alert.record.object == "Contact"
    stage.restart()
    for minutes in (1, 60, 600):
        stage.does(mia, "page.visited", "/pricing")
        stage.after(minutes=minutes)
    assert len(alerts(stage)) == 1, "one alert a matter"
    stage.does(mia, "form.submitted", "webinar")
    for _ in range(2):
        stage.after(minutes=1)
    assert len(alerts(stage)) == 2, "another matter"
    assert [one.target for one in (item.command for item in stage.agent.store.outbox())] == []


def test_killed_before_the_alert_is_sent_it_is_sent_once(stage: Theatre) -> None:
    begin_deal(stage)
    stage.does(stage.person("mia"), "page.visited", "/pricing")
    stage.after(seconds=30)
    stage.clock.advance(timedelta(seconds=30))
    stage.crm.fail_next("lost", "Alert")
    stage.agent.once()
    stage.restart()
    for _ in range(3):
        stage.after(minutes=1)
    assert len(alerts(stage)) == 1
    (item,) = [one for one in stage.agent.store.outbox(("done",)) if ":deal." in one.command.key]
    assert item.command.key == alerts(stage)[0].key


def test_nobody_is_told_of_a_deal_that_ended_before_the_crm_was_read(stage: Theatre) -> None:
    begin_deal(stage)
    stage.after(minutes=1)
    stage.clock.advance(timedelta(seconds=10))
    stage.does(stage.person("mia"), "page.visited", "/pricing")
    contact = next(one.identity for one in stage.crm.records.values() if one.identity.object == "Contact")
    sell(stage, contact, closed=True, won=True)
    stage.crm.fail_next("unread", "pull", times=3)  # it can still be written to
    for _ in range(40):
        stage.after(minutes=1)
    assert alerts(stage) == []


def test_an_owner_s_reminders_stay_in_the_budget_over_many_contacts_and_a_restart(tmp_path: Path) -> None:
    with Theatre(tmp_path, MAPPED + '[alerts]\nbudget = 2\ndigest = "08:00"\nquiet = "20:00-07:00"\n') as stage:
        stage.agent.once()
        stage.clock.advance(timedelta(minutes=1))
        names = ("ada", "bob", "cem", "dee", "eli")
        for n, name in enumerate(names):
            contact = stage.crm.convert(stage.lead(name), "carla", stage.clock.now())
            now, deal = stage.clock.now(), Identity("crm", "Opportunity", f"O{n}")
            stage.crm.feed([Opportunity(deal, (contact,), now, now, "carla", "Offer")])
        for n, name in enumerate(names):
            stage.does(stage.person(name), "page.visited", "/pricing")
            if n == 2:
                stage.after(minutes=1)
                stage.restart()
        for _ in range(3):
            stage.after(minutes=1)
        told = [item.command for item in stage.agent.store.outbox(("done",)) if ":deal." in item.command.key]
        moments = sorted(getattr(one, "remind_at") for one in told)  # noqa: B009
        assert len(alerts(stage)) == len(moments) == 5, "all of them stand in the CRM at once"
        assert [one.date() for one in moments] == [T0.date()] * 2 + [T0.date() + timedelta(days=1)] * 3
        assert {f"{one:%H:%M}" for one in moments[2:]} == {"08:00"}


def test_without_rules_of_its_own_an_agreement_alarms_nobody(tmp_path: Path) -> None:
    with Theatre(tmp_path, CONFIG) as stage:
        stage.agent.once()
        stage.clock.advance(timedelta(minutes=1))
        begin_deal(stage)
        mia = stage.person("mia")
        stage.does(mia, "page.visited", "/pricing")
        for _ in range(3):
            stage.after(minutes=1)
        assert alerts(stage) == []


# -- on Salesforce


def test_salesforce_shows_brief_and_moments_and_tells_the_owner_of_an_open_deal(tmp_path: Path) -> None:
    with office(tmp_path, more=INSIGHT) as desk:
        [email] = desk.ask()
        desk.until_quiet()
        (task,) = desk.tasks()
        lead = desk.salesforce.act("get", id=task["WhoId"])
        assert lead["Lead_Insight__c"].endswith("Filled out demo")
        assert "Filled out demo" in task["Description"]
        assert len(task["Description"].split()) <= 120
        made = desk.salesforce.act("convert_lead", lead=lead["Id"], opportunity="Big", **{"as": task["OwnerId"]})
        desk.after(minutes=5)
        desk.until_quiet()
        desk.marketo.act("visit_page", email=email, url="/pricing/team")
        desk.until_quiet()
        desk.after(minutes=10)
        told = _deal_tasks(desk)
        assert [(row["OwnerId"], row["WhoId"]) for row in told] == [(task["OwnerId"], made["contact"])]
        assert told[0]["Subject"].endswith("Looked at the prices")
        assert told[0]["IsReminderSet"]
        desk.after(days=1)
        desk.until_quiet()
        shown = desk.salesforce.act("get", id=made["contact"])["Lead_Insight__c"]
        assert [line[17:] for line in shown.splitlines()] == ["Looked at the prices", "Filled out demo"]
        desk.marketo.act("visit_page", email=email, url="/pricing/team")
        desk.until_quiet()
        assert len(_deal_tasks(desk)) == 1
        desk.salesforce.act("edit", object="Contact", id=made["contact"], fields={"Lead_Insight__c": "Mine."})
        desk.after(days=2)
        desk.until_quiet()
        assert desk.salesforce.act("get", id=made["contact"])["Lead_Insight__c"] == "Mine."


def test_salesforce_s_note_in_the_gap_stays(tmp_path: Path) -> None:
    with office(tmp_path, more=INSIGHT) as desk:
        [email] = desk.ask()
        desk.until_quiet()
        (task,) = desk.tasks()
        assert desk.agent is not None
        desk.marketo.act("visit_page", email=email, url="/pricing")
        desk.move_to(desk.clock.now() + timedelta(days=1, minutes=5))
        for source in ("marketo", "salesforce"):
            desk.agent.gather(source)
        while desk.agent.decide():
            pass
        desk.salesforce.act(
            "edit_lead", lead=task["WhoId"], fields={"Lead_Insight__c": "Spoke."}, **{"as": desk.reps[0]}
        )
        desk.agent.settle_down()
        desk.until_quiet()
        assert desk.salesforce.act("get", id=task["WhoId"])["Lead_Insight__c"] == "Spoke."
        assert desk.command("outbox", "list") == []


def test_hubspot_s_note_in_the_gap_stays(desk: Desk) -> None:
    contact = desk.asks()
    desk.hubspot.act("page_view", contact=contact, url="https://www.example.com/pricing")
    desk.clock.move_to(desk.clock.now() + timedelta(days=1, minutes=5))
    desk.box.clock.set(desk.clock.now())
    for source in desk.agent.sources:
        desk.agent.gather(source)
    while desk.agent.decide():
        pass
    assert any("insight" in getattr(one.command, "values", {}) for one in desk.agent.store.outbox(("queued",)))
    desk.hubspot.act("edit", object="contacts", id=contact, values={"lead_insight": "Spoke."})
    desk.agent.settle_down()
    desk.after(minutes=1)
    assert desk.row(contact)["lead_insight"] == "Spoke."


def _deal_tasks(desk: Office) -> list[dict[str, Any]]:
    return [row for row in desk.rows("Task") if ":deal." in str(row.get("SyncAgent_Key__c"))]


# -- on HubSpot


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with opened(tmp_path) as made:
        yield made


def test_hubspot_shows_brief_and_moments_and_tells_the_owner_of_an_open_deal(desk: Desk) -> None:
    contact = desk.asks(lastname=NASTY)
    [task] = desk.tasks()
    body = task["properties"]["hs_task_body"]
    assert "<br>- 2026-11-23 " in body and "Filled out the form demo-request" in body
    assert "<b>" not in body.replace("<br>", "") and "evil.example" not in body
    assert "&lt;b&gt;Eva" not in body, "names stand in the subject"
    assert "\n" not in task["properties"]["hs_task_subject"] and "//" not in task["properties"]["hs_task_subject"]
    assert str(desk.row(contact)["lead_insight"]).endswith("Filled out the form demo-request")
    desk.hubspot.act("create_deal", contact=contact, name="Big", amount=900, **{"as": desk.second})
    desk.after(minutes=5)
    desk.after(minutes=5)
    desk.hubspot.act("page_view", contact=contact, url="https://www.example.com/pricing?x=1")
    for _ in range(12):
        desk.after(minutes=1)
    told = [one for one in desk.tasks() if ":deal." in one["properties"]["syncagent_key"]]
    assert [one["properties"]["hubspot_owner_id"] for one in told] == [desk.second]
    assert "Looked at the prices" in told[0]["properties"]["hs_task_subject"]
    assert told[0]["associations"]["contacts"] == [contact]
    for _ in range(2):
        desk.after(hours=13)
    assert [line[17:] for line in str(desk.row(contact)["lead_insight"]).splitlines()] == [
        "Looked at the prices",
        "Filled out the form demo-request",
    ]
    desk.hubspot.act("edit", object="contacts", id=contact, values={"lead_insight": "Mine."})
    desk.hubspot.act("page_view", contact=contact, url="https://www.example.com/pricing")
    for _ in range(3):
        desk.after(hours=13)
    assert desk.row(contact)["lead_insight"] == "Mine."
    assert len([one for one in desk.tasks() if ":deal." in one["properties"]["syncagent_key"]]) == 1
