"""What can go wrong between the connector and the org, one test for each, and what the admin sees of it."""

from datetime import timedelta

import pytest

from syncagent.errors import ConnectorDownError, RetryableError
from syncagent.model import Alert, CloseTask, Done, Identity, Notify, Refused, Retry
from tests.contract.salesforce_org import NOON, again

WRITE = {"match": {"method": "PATCH", "path": "/composite/sobjects"}}
CREATE = {"match": {"method": "POST", "path": "/composite/sobjects"}}
NOTIFY = {"match": {"path": "customNotificationAction"}}


def both(org, lead):
    return [org.write(lead), org.task(lead, depends_on=("e1:1.1:write",))]


def until_done(org, batch, crm=None, rounds=6):
    """As the agent does: what has no outcome or a `Retry` comes again, with one attempt more."""
    outcomes, errors = {}, []
    for _ in range(rounds):
        todo = [command for command in batch if not isinstance(outcomes.get(command.key), Done | Refused)]
        if not todo:
            break
        try:
            for key, outcome in (crm or org.crm).apply(todo):
                outcomes[key] = outcome
        except RetryableError as error:
            errors.append(error)
        batch = [again(command) if command in todo else command for command in batch]
    return outcomes, errors


def stands(org, lead):
    """One handoff is in the CRM, once."""
    row = org.row(lead)
    assert (row["Status"], row["OwnerId"], row["Lead_Score__c"]) == ("Sales Ready", org.rep, 72.0)
    assert len(org.tasks()) == 1
    assert org.tasks()[0]["WhoId"] == lead.id


# -- whole calls


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_401_in_mid_batch_is_healed_by_one_new_login(org, after):
    [lead] = org.leads(1)
    org.crm.me()
    org.control.plant(expire_session=True, match={"path": "/composite", "after": after})
    org.control.clear_calls()
    outcomes = dict(org.crm.apply(both(org, lead)))
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())
    assert len([call for call in org.control.calls() if "oauth2" in call["path"]]) == 1
    stands(org, lead)


def test_401_also_right_after_a_refresh_says_that_the_login_is_broken(org):
    [lead] = org.leads(1)
    org.control.plant(expire_session=True, times=2, match={"path": "/composite"})
    with pytest.raises(ConnectorDownError, match="rejects even a fresh session") as caught:
        list(org.crm.apply(both(org, lead)))
    assert "syncagent check" in str(caught.value)
    assert org.row(lead)["Status"] == "Open - Not Contacted"
    outcomes, _ = until_done(org, [again(command) for command in both(org, lead)])
    stands(org, lead)
    assert isinstance(outcomes["e1:1.1:task"], Done)


def test_many_threads_share_one_new_login(org):
    leads = org.leads(1000)
    org.crm.me()
    batch = [org.task(lead, key=f"t{n}") for n, lead in enumerate(leads)]
    org.act("expire_sessions")
    org.control.clear_calls()
    outcomes = dict(org.crm.apply(batch))
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())
    assert len([call for call in org.control.calls() if "oauth2" in call["path"]]) == 1
    assert len(org.tasks()) == 1000


def test_daily_quota_parks_until_when_and_goes_on(org):
    [lead] = org.leads(1)
    org.control.plant(daily_limit=True, match={"path": "/composite/sobjects"})
    with pytest.raises(ConnectorDownError) as caught:
        list(org.crm.apply(both(org, lead)))
    assert "used up its daily API calls" in str(caught.value)
    assert "12:15 UTC" in str(caught.value)
    assert caught.value.until == NOON + timedelta(minutes=15)
    until_done(org, [again(command) for command in both(org, lead)])
    stands(org, lead)


def test_concurrent_limit_waits_for_seconds_only(org):
    [lead] = org.leads(1)
    org.control.plant(concurrent_limit=True, match={"path": "/composite/sobjects"})
    with pytest.raises(RetryableError, match="too many long calls") as caught:
        list(org.crm.apply([org.write(lead)]))
    assert 5 <= caught.value.after <= 10


CALLS = {
    "429": {"status": 429, "body": "{}"},
    "503 with HTML": {"html": 503},
    "500 with an empty body": {"empty": 500},
    "cut chunked body": {"cut": True},
    "closed before": {"drop": "before"},
    "closed after": {"drop": "after"},
    "500 after it was done": {"empty": 500, "execute": True},
}


@pytest.mark.parametrize("where", [{"match": {"path": "/composite$"}}, WRITE, CREATE], ids=["read", "write", "create"])
@pytest.mark.parametrize("fault", CALLS.values(), ids=CALLS.keys())
def test_a_broken_call_leaves_one_handoff(org, fault, where):
    [lead] = org.leads(1)
    org.control.plant(**fault, **where)
    outcomes, errors = until_done(org, both(org, lead))
    stands(org, lead)
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())
    reading = where["match"]["path"] == "/composite$"
    assert bool(errors) is not reading, "reads are tried again at once, writes come again through the outbox"
    assert all("@" not in str(error) and "Bearer" not in str(error) for error in errors)


def test_one_broken_call_of_five_harms_only_its_own_rows(org):
    leads = org.leads(1000)
    batch = [org.task(lead, key=f"t{n}") for n, lead in enumerate(leads)]
    org.control.plant(drop="after", **CREATE)
    outcomes = {}
    with pytest.raises(RetryableError):
        for key, outcome in org.crm.apply(batch):
            outcomes[key] = outcome
    assert len(outcomes) == 800
    rest = [again(command) for command in batch if command.key not in outcomes]
    found = dict(org.crm.apply(rest))
    assert all(outcome.receipt.adopted for outcome in found.values())
    assert len(org.tasks()) == 1000


# -- lost answers, for every verb


def timed_out(org, **where):
    """A call that is executed only after the client has given up."""
    org.crm._org.http.timeout = (3.05, 0.2)
    org.control.plant(late=0.4, **where)


@pytest.mark.parametrize("how", ["lost", "late"])
@pytest.mark.parametrize("verb", ["write", "create lead", "task", "alert", "close"])
def test_a_lost_answer_leaves_one_effect(org, verb, how):
    [lead] = org.leads(1)
    command = {
        "write": org.write(lead),
        "create lead": org.write(None, emails=("new@example.com",), create={"last_name": "New", "company": "Example"}),
        "task": org.task(lead),
        "alert": Alert(
            key="a", target="salesforce", person=1, record=lead, to=org.rep, subject="Now", body="!", remind_at=NOON
        ),
        "close": CloseTask(key="c", target="salesforce", person=1, task="e1:1.1:task", reason="Given to Ben."),
    }[verb]
    if verb == "close":
        list(org.crm.apply([org.task(lead)]))
    where = WRITE if verb in ("write", "close") else CREATE
    if how == "lost":
        org.control.plant(drop="after", **where)
    else:
        timed_out(org, **where)
    with pytest.raises(RetryableError):
        list(org.crm.apply([command]))
    outcomes, _ = until_done(org, [again(command)], org.connect())
    if how == "late":
        import time

        time.sleep(0.6)
    assert isinstance(outcomes[command.key], Done)
    tasks = org.tasks()
    if verb == "write":
        assert org.row(lead)["Status"] == "Sales Ready"
    elif verb == "create lead":
        assert len([row for row in org.rows("Lead") if row.get("Email") == "new@example.com"]) == 1
    elif verb == "close":
        assert [task["IsClosed"] for task in tasks] == [True]
        assert tasks[0]["Description"].count("Given to Ben.") == 1
    else:
        assert len(tasks) == 1
        assert tasks[0].get("IsReminderSet") is (verb == "alert")


@pytest.mark.parametrize("act", ["complete_task", "reassign_task", "delete_task"])
def test_what_the_rep_did_between_a_lost_answer_and_the_repeat_stands(org, act):
    [lead] = org.leads(1)
    org.control.plant(drop="after", **CREATE)
    with pytest.raises(RetryableError):
        list(org.crm.apply([org.task(lead)]))
    [task] = org.tasks()
    org.act(act, task=task["Id"], to=org.known["manager_user_id"])
    before = org.tasks()
    outcome = dict(org.connect().apply([again(org.task(lead))]))["e1:1.1:task"]
    assert outcome.receipt.adopted
    assert outcome.receipt.gone is (act == "delete_task")
    assert outcome.receipt.values["closed"] is (act == "complete_task")
    assert org.tasks() == before


def test_a_repeat_without_looking_first_meets_the_unique_key_and_adopts(org):
    [lead] = org.leads(1)
    list(org.crm.apply([org.task(lead)]))
    outcome = dict(org.connect().apply([org.task(lead)]))["e1:1.1:task"]
    assert outcome.receipt.adopted
    assert len(org.tasks()) == 1


def test_a_rep_who_takes_the_lead_between_a_lost_answer_and_the_repeat_keeps_it(org):
    [lead] = org.leads(1)
    org.control.plant(drop="after", **WRITE)
    with pytest.raises(RetryableError):
        list(org.crm.apply([org.write(lead)]))
    org.act("edit_lead", lead=lead.id, fields={"Status": "Working - Contacted"})
    outcome = dict(org.connect().apply([again(org.write(lead))]))["e1:1.1:write"]
    assert isinstance(outcome, Refused)
    assert outcome.kind == "conflict"
    assert org.row(lead)["Status"] == "Working - Contacted"


def notify(org, lead):
    return Notify(key="n", target="salesforce", person=1, record=lead, to=(org.rep,), title="A lead", body="Call now.")


def with_type(org):
    org.act(
        "create",
        object="CustomNotificationType",
        fields={"DeveloperName": "SyncAgent", "CustomNotifTypeName": "SyncAgent"},
    )
    return org.connect(notification_type="SyncAgent")


def test_notifications_are_sent_once(org):
    [lead] = org.leads(1)
    outcome = dict(with_type(org).apply([notify(org, lead)]))["n"]
    assert isinstance(outcome, Done)
    assert len(org.control.dump()["notifications"]) == 1


@pytest.mark.parametrize("fault", [{"drop": "after"}, {"drop": "before"}, {"empty": 500}])
def test_a_notification_whose_answer_is_lost_is_unknown_and_never_repeated(org, fault):
    [lead] = org.leads(1)
    crm = with_type(org)
    org.control.plant(**fault, **NOTIFY)
    outcome = dict(crm.apply([notify(org, lead)]))["n"]
    assert isinstance(outcome, Refused)
    assert outcome.kind == "unknown"
    assert "not repeated" in outcome.why
    sent = len(org.control.dump()["notifications"])
    outcome = dict(crm.apply([again(notify(org, lead))]))["n"]
    assert (outcome.kind, len(org.control.dump()["notifications"])) == ("unknown", sent)


def test_a_notification_that_waited_for_its_task_is_still_sent(org):
    [lead] = org.leads(1)
    crm = with_type(org)
    org.act("set_rule", kind="row_lock", object="Task", field="Subject", times=1)
    chain = [
        org.task(lead),
        Notify(
            **{**{f: getattr(notify(org, lead), f) for f in Notify.__struct_fields__}, "depends_on": ("e1:1.1:task",)}
        ),
    ]
    first = dict(crm.apply(chain))
    assert {type(outcome) for outcome in first.values()} == {Retry}
    second = dict(crm.apply([again(command) for command in chain]))
    assert {type(outcome) for outcome in second.values()} == {Done}
    assert len(org.control.dump()["notifications"]) == 1


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


def test_an_assignment_rule_does_not_take_the_lead_over(org):
    [lead] = org.leads(1)
    org.act("set_rule", kind="assignment", owner=org.known["manager_user_id"])
    list(org.crm.apply([org.write(lead)]))
    assert org.row(lead)["OwnerId"] == org.rep


# -- people in between


def test_what_the_read_before_the_write_sees_is_never_overwritten(org):
    [lead] = org.leads(1)
    org.act("edit_lead", lead=lead.id, fields={"Status": "Working - Contacted"})
    outcomes = dict(org.crm.apply(both(org, lead)))
    assert outcomes["e1:1.1:write"].kind == "conflict"
    assert "status is 'Working - Contacted'" in outcomes["e1:1.1:write"].why
    assert isinstance(outcomes["e1:1.1:task"], Retry)
    assert (org.row(lead)["Status"], org.tasks()) == ("Working - Contacted", [])


def test_what_a_person_sets_between_our_read_and_our_write_is_put_back(org):
    [lead] = org.leads(1)
    call = org.crm._org.call

    def slow(method, path, **more):
        if method == "PATCH":
            org.crm._org.call = call
            org.act("edit_lead", lead=lead.id, fields={"Status": "Working - Contacted"}, **{"as": org.rep})
        return call(method, path, **more)

    org.crm._org.call = slow
    outcomes = dict(org.crm.apply(both(org, lead)))
    assert (outcomes["e1:1.1:write"].kind, outcomes["e1:1.1:write"].code) == ("conflict", "CHANGED_MEANWHILE")
    assert "status to 'Working - Contacted'" in outcomes["e1:1.1:write"].why
    assert isinstance(outcomes["e1:1.1:task"], Retry)
    assert (org.row(lead)["Status"], org.tasks()) == ("Working - Contacted", [])


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
    facts = [fact for page in org.crm.pull(cursor) for fact in page.facts]
    assert lead in [fact.identity for fact in facts if hasattr(fact, "emails")]
