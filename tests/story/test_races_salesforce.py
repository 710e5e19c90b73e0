"""Races in the full stack on the Salesforce and Marketo sandboxes."""

from datetime import timedelta
from io import StringIO

from rich.console import Console

from syncagent.cli.demo import PEOPLE, Story, stage
from syncagent.model import Activity, Identity, Lead, Page


def settle(story: Story, rounds: int = 12) -> None:
    for _ in range(rounds):
        story.agent.once()
        story._clock.advance(timedelta(seconds=15))
        story.salesforce.clock_set(story._clock.now())


def test_a_lead_that_marketos_own_sync_made_first_is_handed_off_once() -> None:
    """Marketo's own sync makes the lead in the CRM between our poll and our write."""
    with stage(Console(file=StringIO())) as story:
        settle(story, 2)
        lena = next(iter(PEOPLE))
        story.fills(lena, "contact-sales")
        story.agent.gather("marketo")
        story.agent.decide()
        known = {
            "FirstName": "Lena",
            "LastName": "Fischer",
            "Company": "Nordwind",
            "Email": lena,
            "Status": "Open - Not Contacted",
            "OwnerId": story.ids["manager_user_id"],
        }
        story.salesforce.act("new_lead", fields=known, **{"as": story.ids["manager_user_id"]})
        settle(story, 20)
        assert story.lead(lena)["Status"] == "Sales Ready"
        assert len(story.tasks(lena)) == 1


def test_a_task_for_a_lead_merged_meanwhile_hangs_on_the_winner() -> None:
    with stage(Console(file=StringIO())) as story:
        settle(story, 2)
        lena = next(iter(PEOPLE))
        known = {
            "FirstName": "Lena",
            "LastName": "Fischer",
            "Company": "Nordwind",
            "Email": lena,
            "Status": "Open - Not Contacted",
        }
        story.salesforce.act("new_lead", fields=known, **{"as": story.ids["manager_user_id"]})
        settle(story, 2)
        story.fills(lena, "contact-sales")
        story.agent.gather("marketo")
        story.agent.decide()
        # the write goes through; the task call is busy once
        story.salesforce.plant(match={"method": "POST", "path": "composite/sobjects"}, status=503)
        story.agent.deliver("crm" if "crm" in story.agent.targets else story.agent.settings.crm)
        lead = story.lead(lena)
        known["Email"] = "lena2@nordwind.example"
        b = story.salesforce.act("new_lead", fields=known, **{"as": story.ids["manager_user_id"]})
        bid = b.get("lead") or b.get("id")
        story.salesforce.act("merge_leads", winner=bid, losers=[lead["Id"]], **{"as": story.ids["manager_user_id"]})
        settle(story, 30)
        assert story.salesforce.act("find", object="Task", where={"WhoId": bid})["records"]


def test_two_sources_announce_one_person_in_the_same_second_and_the_answer_is_lost() -> None:
    with stage(Console(file=StringIO())) as story:
        settle(story, 2)
        lena = next(iter(PEOPLE))
        story.fills(lena, "contact-sales")
        now, fair = story._clock.now(), Identity("fair", "lead", "9")
        told = (
            Lead(fair, now, {"first_name": "Lena", "last_name": "Fisher"}, (f"Lena <{lena.upper()}>;",)),
            Activity(fair, "k1", now, "form.submitted", "contact-sales"),
        )
        story.agent.store.accept(Page(told, ""), "fair/poll", now=now)
        story.salesforce.plant(match={"method": "POST", "path": "composite/sobjects"}, drop="after")
        settle(story, 20)
        assert len(story.salesforce.act("find", object="Lead", where={"Email": lena})["records"]) == 1
        assert len(story.tasks(lena)) == 1
        (person,) = story.agent.store.find(lena)
        dossier = story.agent.store.dossier(person)
        assert dossier is not None
        assert {one.system for one in dossier.identities} >= {"fair", "marketo"}
