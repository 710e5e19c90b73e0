"""`check` tells what the org lacks, with what helps, and changes nothing."""

import pytest

from syncagent.connectors.http import Http


def told(org, **options):
    before = org.control.dump()["objects"]
    problems = org.connect(**options).check()
    assert org.control.dump()["objects"] == before
    return problems


def one(problems, path, text):
    [found] = [problem for problem in problems if problem.path == path and text in problem.message]
    assert found.help
    return found


STATUSES = ("Open - Not Contacted", "Sales Ready", "Working - Contacted", "Recycled", "Unqualified")


def everybody(org):
    known = org.known
    return {
        "reps.Ana Silva": known["rep_user_id"],
        "reps.Ben Ode": known["second_rep_user_id"],
        "reps.Ben Ode.manager": known["manager_user_id"],
        "crm.queues.Inbound": known["queue_id"],
        "recycle.owner": known["integration_user_id"],
    }


def test_an_org_that_is_ready_has_no_problems_and_costs_two_calls_that_only_read(org, monkeypatch):
    sent, call = [], Http.call

    def watched(self, method, url, **more):
        sent.append((method, url, more.get("json")))
        return call(self, method, url, **more)

    monkeypatch.setattr(Http, "call", watched)
    org.control.clear_calls()
    assert told(org, expect_status=STATUSES, expect_owners=everybody(org)) == []
    assert org.cost() == 2
    calls = [(url, body) for _, url, body in sent if "oauth2/token" not in url]
    assert all(url.endswith("/composite") for url, _ in calls)
    subs = [sub for _, body in calls for sub in body["compositeRequest"]]
    assert len(subs) == 10
    assert {sub["method"] for sub in subs} == {"GET"}
    assert all("/query?q=SELECT" in sub["url"] or sub["url"].endswith("/describe") for sub in subs)


def test_statuses_that_are_mapped_nowhere_are_told_with_what_becomes_of_a_lead_in_them(org):
    problem = one(told(org, expect_status=("Open - Not Contacted", "Sales Ready")), "crm.status", "mapped nowhere")
    assert "'Working - Contacted', 'Recycled', 'Unqualified'." in problem.message
    assert "Sales Ready" not in problem.message
    assert "Closed - Converted" not in problem.message
    assert "adopted" in problem.message
    assert "[crm.status]" in problem.help
    assert not problem.fatal


def test_a_field_of_accounts_that_is_not_there_is_told(org):
    problems = told(org, account_fields={"tier": "Tier__c", "kind": "Type", "boss": "Owner.Name"})
    assert "Account.Tier__c does not exist" in one(problems, "crm.account_fields.tier", "").message
    assert [problem.path for problem in problems if problem.path.startswith("crm.account_fields")] == [
        "crm.account_fields.tier"
    ]


@pytest.mark.parametrize("cut", [15, 18])
@pytest.mark.parametrize(
    ("path", "ident", "says"),
    [
        ("reps.Ana Silva", "0058d000001AbCdAAK", "no user with the id"),
        ("team.manager", "0058d000001AbCdAAK", "no user with the id"),
        ("crm.queues.Inbound", "00G8d000001AbCdEAK", "no queue with the id"),
        ("recycle.owner", "00G8d000001AbCdEAK", "no queue with the id"),
    ],
)
def test_people_and_queues_that_are_not_there_are_fatal(org, path, ident, says, cut):
    problem = one(told(org, expect_owners={**everybody(org), path: ident[:cut]}), path, says)
    assert problem.fatal
    assert "Setup" in problem.help


@pytest.mark.parametrize("ident", ["Ana Silva", "005-1", "a' OR Id != '0058d00000", "0038d000001AbCdAAK"])
def test_what_is_no_id_at_all_is_fatal_and_spares_the_others(org, ident):
    owners = {**everybody(org), "reps.Eve": ident, "reps.Gone": "0058d000001AbCdAAK"}
    problems = told(org, expect_owners=owners)
    assert one(problems, "reps.Eve", "is not the id of a user").fatal
    assert one(problems, "reps.Gone", "no user").fatal
    assert len(problems) == 2


def test_a_user_is_no_queue_and_a_queue_no_user(org):
    swapped = {"reps.Ana Silva": org.known["queue_id"], "crm.queues.Inbound": org.rep, "sla.hot.queue": org.rep}
    problems = told(org, expect_owners=swapped)
    assert one(problems, "reps.Ana Silva", "is not the id of a user").fatal
    assert one(problems, "crm.queues.Inbound", "is not the id of a queue").fatal
    assert one(problems, "sla.hot.queue", "is not the id of a queue").fatal
    assert len(problems) == 3


@pytest.mark.parametrize(
    ("path", "fatal"),
    [
        ("reps.Ana Silva", True),
        ("reps.Ana Silva.away", False),
        ("reps.Ben Ode.manager", False),
        ("team.manager", False),
    ],
)
def test_inactive_users_are_told_and_are_fatal_for_reps_who_are_not_away(org, path, fatal):
    org.act("deactivate_user", user=org.rep)
    [problem] = told(org, expect_owners={path: org.rep, "crm.queues.Inbound": org.known["queue_id"]})
    assert "is inactive" in problem.message
    assert problem.path == path
    assert problem.fatal is fatal
    assert ("away = [" in problem.help) is fatal


def test_automation_users_are_looked_up_as_reps_are(org):
    path = "crm.automation_users[1]"
    unknown = one(told(org, expect_owners={path: "0058d000001AbCdAAK"}), path, "no user with the id")
    assert unknown.fatal
    assert "counts as a person" in unknown.help
    assert one(told(org, expect_owners={path: org.known["queue_id"]}), path, "is not the id of a user").fatal
    org.act("deactivate_user", user=org.rep)
    inactive = one(told(org, expect_owners={path: org.rep}), path, "is inactive")
    assert not inactive.fatal
    assert "leads nor tasks" not in inactive.message
    assert "changes nothing any more" in inactive.message


def test_groups_that_cannot_own_leads_are_fatal(org):
    groups = [{"Name": "Everybody", "Type": "Regular"}, {"Name": "Cases", "Type": "Queue"}]
    regular, cases = org.control.seed(records={"Group": groups})["Group"]
    org.control.seed(records={"QueueSobject": [{"QueueId": cases, "SobjectType": "Case"}]})
    problems = told(org, expect_owners={"crm.queues.All": regular, "crm.queues.Cases": cases})
    assert one(problems, "crm.queues.All", "is no queue").fatal
    assert "add Lead" in one(problems, "crm.queues.Cases", "is not allowed to own leads").help
    assert all(problem.fatal for problem in problems)


def test_an_id_of_15_characters_is_found_and_the_one_of_18_is_told(org):
    problem = one(told(org, expect_owners={"reps.Ana Silva": org.rep[:15]}), "reps.Ana Silva", "not written as")
    assert org.rep in problem.help
    assert not problem.fatal


def test_three_hundred_reps_are_looked_up_in_two_calls(org):
    rows = [{"Name": f"Rep {n}", "Email": f"rep{n}@example.com"} for n in range(300)]
    reps = org.control.seed(users=rows)["users"]
    org.control.clear_calls()
    assert told(org, expect_owners={f"reps.{n}": ident for n, ident in enumerate(reps)}) == []
    assert org.cost() == 2


@pytest.mark.parametrize(("kind", "field"), [("User", "IsActive"), ("Group", "Type"), ("QueueSobject", "SobjectType")])
def test_people_and_queues_that_the_user_may_not_look_up_are_a_warning_and_not_called_missing(org, kind, field):
    org.act("set_field_access", object=kind, field=field, read=False, edit=False)
    [problem] = told(org, expect_owners=everybody(org))
    assert f"cannot read {kind}" in problem.message
    assert problem.help
    assert not problem.fatal


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


def test_meetings_that_cannot_be_seen_are_told(org):
    org.act("set_field_access", object="Event", field="WhoId", read=False, edit=False)
    [problem] = told(org)
    assert "a meeting that a rep books does not count" in problem.message
    assert not problem.fatal


def test_required_fields_that_nobody_fills_are_told(org):
    org.act("add_field", object="Lead", field="Region__c string(40) required")
    assert not one(told(org), "crm.fields", "Lead.Region__c is required").fatal


def test_a_notification_type_that_is_not_there_is_told(org):
    one(told(org, notification_type="Nobody"), "crm.notification_type", "no custom notification type Nobody")


def test_an_allowance_that_is_nearly_used_is_told(org):
    assert told(org) == []
    org.act("use_quota", calls=14_000)
    assert not one(told(org), "crm.api_budget", "of the org's 15000").fatal
