"""`check` tells what the org lacks, with what helps, and changes nothing."""

import pytest


def told(org, **options):
    before = org.control.dump()["objects"]
    problems = org.connect(**options).check()
    assert org.control.dump()["objects"] == before
    return problems


def one(problems, path, text):
    [found] = [problem for problem in problems if problem.path == path and text in problem.message]
    assert found.help
    return found


def test_an_org_that_is_ready_has_no_problems_and_costs_one_call(org):
    org.control.clear_calls()
    assert told(org, expect_status=("Sales Ready", "Recycled")) == []
    assert org.cost() == 1


def test_a_status_that_is_not_in_the_picklist_is_told_with_those_that_are(org):
    problem = one(told(org, expect_status=("Sales Ready", "Marketing Ready")), "crm.status", "'Marketing Ready'")
    assert "Working - Contacted" in problem.help
    assert problem.fatal


@pytest.mark.parametrize("kind", ["Task", "Lead"])
def test_a_missing_key_field_is_told_with_how_to_make_it(org, kind):
    org.act("remove_field", object=kind, field="SyncAgent_Key__c")
    problem = one(told(org), f"crm.{kind.lower()}_key_field", "does not exist")
    assert f"FullName {'Activity' if kind == 'Task' else 'Lead'}.SyncAgent_Key__c" in problem.help
    assert problem.fatal is (kind == "Task")


@pytest.mark.parametrize(("change", "word"), [({"unique": False}, "Unique"), ({"external": False}, "External ID")])
def test_a_key_field_of_the_wrong_kind_is_told(org, change, word):
    org.act("change_field", object="Task", field="SyncAgent_Key__c", **change)
    assert one(told(org), "crm.task_key_field", f"not {word}").fatal


def test_fields_that_cannot_be_seen_or_edited_are_told(org):
    org.act("set_field_access", object="Lead", field="Lead_Score__c", read=False, edit=False)
    org.act("set_field_access", object="Lead", field="Status", read=True, edit=False)
    problems = told(org)
    assert not one(problems, "crm.fields.score", "Lead.Lead_Score__c does not exist").fatal
    assert one(problems, "crm", "cannot edit Lead.Status").fatal


def test_a_field_that_is_mapped_wrongly_is_told(org):
    one(told(org, fields={"score": "Score__c"}), "crm.fields.score", "Lead.Score__c does not exist")


def test_required_fields_that_nobody_fills_are_told(org):
    org.act("add_field", object="Lead", field="Region__c string(40) required")
    assert not one(told(org), "crm.fields", "Lead.Region__c is required").fatal


def test_a_notification_type_that_is_not_there_is_told(org):
    one(told(org, notification_type="Nobody"), "crm.notification_type", "no custom notification type Nobody")


def test_an_allowance_that_is_nearly_used_is_told(org):
    assert told(org) == []
    org.act("use_quota", calls=14_000)
    assert not one(told(org), "crm.api_budget", "of the org's 15000").fatal
