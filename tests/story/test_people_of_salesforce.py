"""Who did it: reps, automation and owners as Salesforce tells them, through the whole agent."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.story.office import Office, office


def test_a_config_with_ids_of_15_characters_is_as_good_as_one_with_18(tmp_path: Path) -> None:
    """From the handoff to the touch: nobody's own assignment is taken for a change, and automation is known."""
    with office(tmp_path, id_length=15) as desk:
        assert f'"{desk.reps[0][:15]}"' in (tmp_path / "config.toml").read_text()
        desk.ask(2)
        desk.after(seconds=1)
        desk.assert_right()
        first, second = desk.tasks()
        desk.salesforce.act("complete_task", task=first["Id"], **{"as": first["OwnerId"]})
        desk.salesforce.act("automation_edit", ids=[second["WhoId"]], fields={"Status": "Working - Contacted"})
        desk.until_quiet()
        for task, touched in ((first, True), (second, False)):
            lead = desk.salesforce.act("get", id=task["WhoId"])
            decision = desk.dossier(lead["Email"]).decision
            assert decision is not None
            (handoff,) = decision.handoffs
            assert [one.owner for one in handoff.assignments] == [task["OwnerId"]]
            assert (handoff.touched_by == task["OwnerId"]) is touched
            assert lead["Status"] == "Sales Ready", "what automation set is written again"
        assert len(desk.tasks()) == 2


def _contact(desk: Office, owner: str, **more: str) -> tuple[str, str]:
    """A contact who asks for a demo; its id and address."""
    [email] = desk.ask()
    fields = {"LastName": "Silva", "Email": email, "OwnerId": owner, **more}
    [ident] = desk.salesforce.seed(contacts=[fields])["contacts"]
    return str(ident), email


def _open_tasks(desk: Office) -> list[tuple[str, str]]:
    return [(task["WhoId"], task["OwnerId"]) for task in desk.tasks() if not task["IsClosed"]]


@pytest.mark.parametrize("who", ["manager_user_id", "automation_user_id"])
def test_the_task_of_a_contact_goes_with_the_owner_whom_the_crm_names(tmp_path: Path, who: str) -> None:
    with office(tmp_path) as desk:
        ana, ben = desk.reps
        contact, email = _contact(desk, ana)
        desk.until_quiet()
        assert _open_tasks(desk) == [(contact, ana)]
        desk.salesforce.act("edit", object="Contact", id=contact, fields={"OwnerId": ben}, **{"as": desk.ids[who]})
        desk.salesforce.act("automation_edit", ids=[contact], fields={"Title": "VP"})
        desk.until_quiet()
        assert _open_tasks(desk) == [(contact, ben)]
        assert len(desk.tasks()) == 2
        decision = desk.dossier(email).decision
        assert decision is not None
        assert [one.owner for one in decision.handoffs[-1].assignments] == [ana, ben]
        assert decision.handoffs[-1].clock_started_at is not None
        row = desk.salesforce.act("get", id=contact)
        assert row["OwnerId"] == ben
        told = [one for one in desk.journal(email) if one.kind == "assigned"]
        assert told[0].data["by"] == desk.ids[who], "the history tells whose change it was, not who wrote last"
        desk.salesforce.act("complete_task", task=desk.open_task()["Id"], **{"as": ben})
        desk.until_quiet()
        desk.salesforce.act("edit", object="Contact", id=contact, fields={"OwnerId": ana}, **{"as": desk.ids[who]})
        desk.until_quiet()
        assert not _open_tasks(desk), "who has been called is not called again by another"


def test_the_owners_of_deal_and_account_come_before_the_contacts_own(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        ana, ben = desk.reps
        boss = desk.ids["manager_user_id"]
        [account] = desk.salesforce.seed(accounts=[{"Name": "Nordwind", "OwnerId": ben}])["accounts"]
        contact, _ = _contact(desk, ana, AccountId=account)
        known = {"Name": "Nordwind", "AccountId": account, "OwnerId": boss, "StageName": "Prospecting"}
        [deal] = desk.salesforce.seed(opportunities=[{**known, "CloseDate": "2027-01-31"}])["opportunities"]
        desk.salesforce.seed(contact_roles=[{"OpportunityId": deal, "ContactId": contact}])
        desk.until_quiet()
        assert _open_tasks(desk) == [(contact, boss)]
        edit = {"object": "Opportunity", "id": deal, "fields": {"OwnerId": ana}, "as": boss}
        desk.salesforce.act("edit", **edit)
        desk.until_quiet()
        assert _open_tasks(desk) == [(contact, ana)]
        edit = {"object": "OpportunityContactRole", "id": desk.rows("OpportunityContactRole")[0]["Id"], "as": boss}
        desk.salesforce.act("delete", **edit)
        desk.salesforce.act("delete", object="Opportunity", id=deal, **{"as": boss})
        desk.until_quiet()
        desk.until_quiet()  # deals are read by turns
        assert _open_tasks(desk) == [(contact, ben)]
        edit = {"object": "Account", "id": account, "fields": {"OwnerId": boss}, "as": boss}
        desk.salesforce.act("edit", **edit)
        desk.until_quiet()
        desk.after(minutes=10)
        desk.until_quiet()
        assert _open_tasks(desk) == [(contact, boss)]


def test_a_meeting_that_the_rep_books_keeps_the_promise(tmp_path: Path) -> None:
    with office(tmp_path) as desk:
        ours, theirs = desk.ask(2)
        desk.until_quiet()
        leads = {row["Email"]: row for row in desk.rows("Lead")}
        owner = leads[ours]["OwnerId"]
        start = f"{desk.clock.now() + timedelta(days=5):%FT%TZ}"
        desk.salesforce.act("book_meeting", lead=leads[ours]["Id"], start=start, **{"as": owner})
        robot = desk.ids["automation_user_id"]
        other = leads[theirs]
        desk.salesforce.act("book_meeting", lead=other["Id"], owner=other["OwnerId"], start=start, **{"as": robot})
        desk.until_quiet()
        touched = {}
        for email in (ours, theirs):
            decision = desk.dossier(email).decision
            assert decision is not None
            touched[email] = decision.handoffs[-1].touched_how
        assert touched == {ours: "logged: Meeting", theirs: ""}, "what a booking tool enters is no rep's act"


def test_a_contact_with_a_status_of_its_own_answers_as_a_lead_does_and_keeps_its_owner(tmp_path: Path) -> None:
    status = '[crm.contact_fields]\nstatus = "Contact_Status__c"\n'
    with office(tmp_path, more=status) as desk:
        boss = desk.ids["manager_user_id"]  # in no pool
        contact, email = _contact(desk, boss)
        desk.until_quiet()
        row = desk.salesforce.act("get", id=contact)
        assert (row["Contact_Status__c"], row["OwnerId"]) == ("Sales Ready", boss)
        assert _open_tasks(desk) == [(contact, boss)]
        robot = {"object": "Contact", "id": contact, "fields": {"Contact_Status__c": "Recycled"}}
        desk.salesforce.act("edit", **robot, **{"as": desk.ids["automation_user_id"]})
        desk.until_quiet()
        assert desk.salesforce.act("get", id=contact)["Contact_Status__c"] == "Sales Ready", "automation is no answer"
        person = {**robot, "fields": {"Contact_Status__c": "Working - Contacted"}}
        desk.salesforce.act("edit", **person, **{"as": boss})
        desk.salesforce.act("automation_edit", ids=[contact], fields={"Title": "VP"})
        desk.until_quiet()
        decision = desk.dossier(email).decision
        assert decision is not None
        assert decision.handoffs[-1].clock_started_at is not None
        assert decision.handoffs[-1].touched_by == boss
        assert [one.owner for one in decision.handoffs[-1].assignments] == [boss]
        assert desk.salesforce.act("get", id=contact)["OwnerId"] == boss
