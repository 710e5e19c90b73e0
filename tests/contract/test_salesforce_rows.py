"""What the org refuses of single rows, what people do in between, and what the admin sees of it."""

from datetime import timedelta

import pytest

from syncagent.model import CloseTask, Done, Identity, Refused, Retry
from tests.contract.salesforce_org import NOON, both

# -- single rows


def test_row_lock_on_the_first_two_tries(org):
    [lead] = org.leads(1)
    org.act("set_rule", kind="row_lock", object="Lead", field="Status", times=2)
    outcomes = [dict(org.crm.apply([org.write(lead)]))["e1:1.1:write"] for _ in range(3)]
    assert [type(outcome) for outcome in outcomes] == [Retry, Retry, Done]
    assert "locked or busy" in outcomes[0].why


def test_one_row_of_200_refused_by_a_validation_rule(org):
    leads = org.leads(200)
    org.act(
        "set_rule",
        kind="validation",
        object="Task",
        field="Subject",
        matches="^Bad",
        message="No bad subjects, please.",
    )
    batch = [org.task(lead, key=f"t{n}", subject="Bad" if n == 77 else "Good") for n, lead in enumerate(leads)]
    org.control.clear_calls()
    outcomes = dict(org.crm.apply(batch))
    assert [key for key, outcome in outcomes.items() if not isinstance(outcome, Done)] == ["t77"]
    assert "No bad subjects, please." in outcomes["t77"].why
    assert "validation rule of the org" in outcomes["t77"].why
    assert len(org.tasks()) == 199
    assert org.cost() == 1


def test_inactive_owner(org):
    [lead] = org.leads(1)
    org.act("deactivate_user", user=org.rep)
    outcomes = dict(org.crm.apply(both(org, lead)))
    assert outcomes["e1:1.1:write"].code == "INACTIVE_OWNER_OR_USER"
    assert "activate the user" in outcomes["e1:1.1:write"].why
    assert isinstance(outcomes["e1:1.1:task"], Retry)
    assert org.tasks() == []


def test_converted_lead_is_told_with_its_contact(org):
    [lead] = org.leads(1)
    contact = org.act("convert_lead", lead=lead.id)["contact"]
    outcome = dict(org.crm.apply([org.write(lead)]))["e1:1.1:write"]
    assert (outcome.kind, outcome.code) == ("conflict", "CANNOT_UPDATE_CONVERTED_LEAD")
    assert contact in outcome.why
    outcome = dict(org.crm.apply([org.task(lead)]))["e1:1.1:task"]
    assert (outcome.kind, outcome.code) == ("conflict", "CANNOT_UPDATE_CONVERTED_LEAD")
    page = org.crm.look([lead])
    records = {fact.identity: fact for fact in page.facts if hasattr(fact, "converted_to")}
    assert records[lead].converted_to == Identity("salesforce", "Contact", contact)
    assert records[lead].converted_to in records


def test_deleted_and_merged_leads_are_conflicts(org):
    gone, winner, loser = org.leads(3)
    org.act("delete_lead", lead=gone.id)
    org.act("merge_leads", winner=winner.id, losers=[loser.id])
    outcomes = dict(org.crm.apply([org.write(gone, key="g"), org.write(loser, key="l")]))
    assert [(outcomes[key].kind, outcomes[key].code) for key in "gl"] == [
        ("conflict", "ENTITY_IS_DELETED"),
        ("conflict", "MERGED"),
    ]
    assert winner.id in outcomes["l"].why


def test_closing_a_task_that_the_rep_has_deleted_or_completed(org):
    [lead] = org.leads(1)
    close = CloseTask(key="c", target="salesforce", person=1, task="e1:1.1:task", reason="Given to Ben.")
    list(org.crm.apply([org.task(lead)]))
    org.act("complete_task", task=org.tasks()[0]["Id"], description="Spoke to her.")
    outcome = dict(org.crm.apply([close]))["c"]
    assert outcome.receipt.adopted
    assert org.tasks()[0]["Description"] == "Spoke to her."
    org.act("delete_task", task=org.tasks()[0]["Id"])
    assert dict(org.crm.apply([close]))["c"].receipt.gone


def test_closing_uses_the_orgs_own_closed_status(org):
    [lead] = org.leads(1)
    org.control.seed(settings={"task_statuses": ["Offen", {"label": "Erledigt", "closed": True}]})
    list(org.crm.apply([org.task(lead)]))
    close = CloseTask(key="c", target="salesforce", person=1, task="e1:1.1:task", reason="Given to Ben.")
    assert isinstance(dict(org.crm.apply([close]))["c"], Done)
    [task] = org.tasks()
    assert (task["Status"], task["IsClosed"], task["Description"]) == (
        "Erledigt",
        True,
        "Asked for a demo.\n\nGiven to Ben.",
    )


def test_duplicate_rule(org):
    org.leads(1)
    org.act("set_rule", kind="duplicate", object="Lead", fields=["LastName"], action="block")
    write = org.write(None, emails=("new@example.com",), create={"last_name": "Person 0", "company": "Example"})
    outcome = dict(org.crm.apply([write]))["e1:1.1:write"]
    assert outcome.code == "DUPLICATES_DETECTED"
    assert "merge the records, or relax the rule" in outcome.why


def test_restricted_picklist_for_a_status_is_refused_with_what_helps(org):
    [lead] = org.leads(1)
    org.act("change_field", object="Lead", field="Status", restricted=True)
    outcome = dict(org.crm.apply([org.write(lead, values={"status": "Marketing Ready"})]))["e1:1.1:write"]
    assert outcome.code == "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
    assert "change it under [crm.status]" in outcome.why
    assert outcome.fields == ("status",)


def test_optional_fields_that_are_refused_are_split_off_and_the_rest_goes_on(org):
    [lead] = org.leads(1)
    org.act(
        "set_rule", kind="validation", object="Lead", field="Lead_Grade__c", matches="A1", message="Grades are closed."
    )
    outcome = dict(org.crm.apply([org.write(lead)]))["e1:1.1:write"]
    assert outcome.receipt.left_out == ("grade",)
    assert "Grades are closed." in outcome.receipt.note
    row = org.row(lead)
    assert (row["Status"], row["Lead_Score__c"], row.get("Lead_Grade__c")) == ("Sales Ready", 72.0, None)


@pytest.mark.parametrize("moment", ["before the describe", "after the describe"])
@pytest.mark.parametrize(
    "access", [{"read": False, "edit": False}, {"read": True, "edit": False}], ids=["hidden", "locked"]
)
def test_a_field_hidden_by_field_security_is_left_out(org, access, moment):
    warm, lead = org.leads(2)
    if moment == "after the describe":
        list(org.crm.apply([org.write(warm)]))
    org.act("set_field_access", object="Lead", field="Lead_Score__c", **access)
    outcome = dict(org.crm.apply([org.write(lead, key="w")]))["w"]
    assert isinstance(outcome, Done)
    assert outcome.receipt.left_out == ("score",)
    assert "Lead_Score__c" in outcome.receipt.note
    assert org.row(lead)["Status"] == "Sales Ready"
    pages = list(org.crm.pull(org.crm.begin(NOON - timedelta(days=1))))
    records = {fact.identity: fact for page in pages for fact in page.facts if hasattr(fact, "fields")}
    assert ("score" in records[lead].fields) is access["read"]
    assert any("Lead_Score__c" in problem.message and "Tick" in problem.help.title() for problem in org.crm.check())


def test_a_task_is_never_made_without_its_key(org):
    [lead] = org.leads(1)
    org.act("set_field_access", object="Task", field="SyncAgent_Key__c", read=False, edit=False)
    outcome = dict(org.crm.apply([org.task(lead)]))["e1:1.1:task"]
    assert isinstance(outcome, Refused)
    assert "Create it on Activity" in outcome.why
    assert org.rows("Task") == []


def test_an_assignment_rule_takes_over_no_lead_that_we_write_or_make(org):
    [lead] = org.leads(1)
    org.act("set_rule", kind="assignment", owner=org.known["manager_user_id"])
    new = {"last_name": "New", "company": "Example"}
    list(org.crm.apply([org.write(lead), org.write(None, key="made", emails=("new@example.com",), create=new)]))
    rows = org.rows("Lead")
    assert len(rows) == 2
    assert {row["OwnerId"] for row in rows} == {org.rep}


def test_a_call_that_is_refused_as_a_whole_is_taken_apart(org):
    leads = org.leads(40)
    refusal = '[{"errorCode": "JSON_PARSER_ERROR", "message": "Cannot deserialize instance of date"}]'
    org.control.plant(status=400, body=refusal, times=None, match={"path": "/composite/sobjects", "body": "Poison"})
    batch = [org.task(lead, key=f"t{n}", subject="Poison" if n == 7 else "Good") for n, lead in enumerate(leads)]
    org.control.clear_calls()
    outcomes = dict(org.crm.apply(batch))
    assert [key for key, outcome in outcomes.items() if not isinstance(outcome, Done)] == ["t7"]
    assert "Cannot deserialize" in outcomes["t7"].why
    assert len(org.tasks()) == 39
    assert org.control.quota()["calls"] <= 14


def test_a_call_that_is_refused_for_a_field_goes_again_without_it(org):
    leads = org.leads(10)
    refusal = '[{"errorCode": "INVALID_FIELD", "message": "No such column \'Lead_Score__c\' on sobject of type Lead"}]'
    org.control.plant(
        status=400, body=refusal, times=None, match={"path": "/composite/sobjects", "body": "Lead_Score__c"}
    )
    outcomes = dict(org.crm.apply([org.write(lead, key=f"w{n}") for n, lead in enumerate(leads)]))
    assert {outcome.receipt.left_out for outcome in outcomes.values()} == {("score",)}
    assert {row["Status"] for row in org.rows("Lead")} == {"Sales Ready"}


def test_a_contact_gets_its_mapped_status_and_keeps_its_owner(org):
    manager = org.known["manager_user_id"]
    [ident] = org.control.seed(contacts=[{"LastName": "Ode", "OwnerId": manager}])["contacts"]
    contact = Identity("salesforce", "Contact", ident)
    outcome = dict(org.crm.apply([org.write(contact, expects={}), org.task(contact, depends_on=("e1:1.1:write",))]))
    assert outcome["e1:1.1:write"].receipt.left_out == ("owner",)
    row = org.row(contact)
    assert (row["Contact_Status__c"], row["OwnerId"], row["Lead_Score__c"]) == ("Sales Ready", manager, 72.0)
    assert org.tasks()[0]["WhoId"] == ident


def test_what_a_refusal_says_holds_no_whole_address(org):
    [lead] = org.leads(1)
    text = "Ann Lee (ann.lee@example.com) is the owner."
    org.act("set_rule", kind="validation", object="Lead", field="Status", matches="Sales", message=text)
    outcome = dict(org.crm.apply([org.write(lead)]))["e1:1.1:write"]
    assert "a***@example.com" in outcome.why
    assert "ann.lee" not in outcome.why


# -- people in between


def test_what_the_read_before_the_write_sees_is_never_overwritten(org):
    [lead] = org.leads(1)
    org.act("edit_lead", lead=lead.id, fields={"Status": "Working - Contacted"})
    outcomes = dict(org.crm.apply(both(org, lead)))
    assert outcomes["e1:1.1:write"].kind == "conflict"
    assert "status is 'Working - Contacted'" in outcomes["e1:1.1:write"].why
    assert isinstance(outcomes["e1:1.1:task"], Retry)
    assert (org.row(lead)["Status"], org.tasks()) == ("Working - Contacted", [])


LOST = {"no fault": {}, "never arrived": {"drop": "before"}, "no answer": {"drop": "after"}, "503": {"html": 503}}


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
def test_what_a_person_sets_between_our_read_and_our_write_is_put_back(org, fault):
    """Also when that call itself fails; and no assignment rule takes the lead over then."""
    [lead] = org.leads(1)
    call = org.crm._org.call

    def slow(method, path, **more):
        if method == "PATCH":
            org.crm._org.call = call
            org.act("edit_lead", lead=lead.id, fields={"Status": "Working - Contacted"}, **{"as": org.rep})
            reply = call(method, path, **more)
            org.act("set_rule", kind="assignment", owner=org.known["manager_user_id"])
            if fault:
                org.control.plant(match={"method": "PATCH", "path": "composite/sobjects"}, **fault)
            return reply
        return call(method, path, **more)

    org.crm._org.call = slow
    outcomes = dict(org.crm.apply(both(org, lead)))
    assert (outcomes["e1:1.1:write"].kind, outcomes["e1:1.1:write"].code) == ("conflict", "CHANGED_MEANWHILE")
    assert "status to 'Working - Contacted'. That stands again" in outcomes["e1:1.1:write"].why
    assert isinstance(outcomes["e1:1.1:task"], Retry)
    assert (org.row(lead)["Status"], org.tasks()) == ("Working - Contacted", [])
    assert org.row(lead)["OwnerId"] == org.rep


@pytest.mark.parametrize(
    ("act", "code"), [("convert_lead", "CANNOT_UPDATE_CONVERTED_LEAD"), ("delete_lead", "ENTITY_IS_DELETED")]
)
def test_a_lead_that_is_converted_or_deleted_between_our_read_and_our_write_is_a_conflict(org, act, code):
    lead, other = org.leads(2)
    call = org.crm._org.call

    def slow(method, path, **more):
        if method == "PATCH":
            org.crm._org.call = call
            org.act(act, lead=lead.id)
        return call(method, path, **more)

    org.crm._org.call = slow
    outcomes = dict(org.crm.apply([*both(org, lead), org.write(other, key="other")]))
    assert (outcomes["e1:1.1:write"].kind, outcomes["e1:1.1:write"].code) == ("conflict", code)
    assert "meanwhile; it is planned anew" in outcomes["e1:1.1:write"].why
    assert isinstance(outcomes["e1:1.1:task"], Retry) and org.tasks() == []
    assert isinstance(outcomes["other"], Done)


def test_what_a_person_sets_on_a_contact_between_our_read_and_our_write_is_put_back(org):
    [ident] = org.control.seed(contacts=[{"LastName": "Ode", "OwnerId": org.rep}])["contacts"]
    contact = Identity("salesforce", "Contact", ident)
    call = org.crm._org.call

    def slow(method, path, **more):
        if method == "PATCH":
            org.crm._org.call = call
            fields = {"Contact_Status__c": "Working - Contacted"}
            org.act("edit", object="Contact", id=ident, fields=fields, **{"as": org.rep})
        return call(method, path, **more)

    org.crm._org.call = slow
    outcomes = dict(org.crm.apply([org.write(contact, expects={})]))
    assert outcomes["e1:1.1:write"].code == "CHANGED_MEANWHILE"
    assert "status to 'Working - Contacted'" in outcomes["e1:1.1:write"].why
    assert org.row(contact)["Contact_Status__c"] == "Working - Contacted"


def test_a_thousand_contacts_cost_as_few_calls_as_leads(org):
    rows = [{"LastName": f"Person {n}", "OwnerId": org.rep} for n in range(1000)]
    found = [Identity("salesforce", "Contact", one) for one in org.control.seed(contacts=rows)["contacts"]]
    batch = [org.write(one, key=f"w{n}", expects={}) for n, one in enumerate(found)]
    batch += [org.task(one, key=f"t{n}", depends_on=(f"w{n}",)) for n, one in enumerate(found)]
    org.control.clear_calls()
    outcomes = dict(org.crm.apply(batch))
    assert {type(outcome).__name__ for outcome in outcomes.values()} == {"Done"}
    assert org.cost() <= 20


def test_a_record_that_nobody_knew_is_adopted_and_told_by_the_next_pull(org):
    cursor = list(org.crm.pull(org.crm.begin(NOON + timedelta(seconds=1))))[-1].cursor
    [lead] = org.leads(1, Status="Working - Contacted", SystemModstamp="2026-01-05T08:00:00.000+0000")
    org.control.clock_advance(120)
    write = org.write(
        None, expects={}, emails=("Person0@Example.com",), create={"last_name": "New", "company": "Example"}
    )
    task = org.task(None, depends_on=(write.key,))
    outcomes = dict(org.crm.apply([write, task]))
    assert outcomes[write.key].receipt.record == lead
    assert outcomes[write.key].receipt.values["status"] == "Working - Contacted"
    assert isinstance(outcomes[task.key], Retry)
    assert org.row(lead)["Status"] == "Working - Contacted"
    for _ in range(2):  # the first page may not have been stored
        pages = list(org.crm.pull(cursor))
        assert lead in [fact.identity for page in pages for fact in page.facts if hasattr(fact, "emails")]
    assert [fact for page in org.crm.pull(pages[-1].cursor) for fact in page.facts] == []
