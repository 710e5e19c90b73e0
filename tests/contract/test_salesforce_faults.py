"""What can go wrong between the connector and the org, one test for each, and what the admin sees of it."""

from datetime import timedelta

import pytest

from syncagent.errors import ConnectorDownError, RetryableError
from syncagent.model import Alert, CloseTask, Done, Notify, Refused, Retry
from tests.contract.salesforce_org import NOON, again, both, stands, until_done

WRITE = {"match": {"method": "PATCH", "path": "/composite/sobjects"}}
CREATE = {"match": {"method": "POST", "path": "/composite/sobjects"}}
NOTIFY = {"match": {"path": "customNotificationAction"}}


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
    org.control.plant(expire_session=True, times=5, delay=0.2, match={"path": "/composite/sobjects"})
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


@pytest.mark.parametrize("path", ["/composite$", "/composite/sobjects"])
def test_an_org_whose_api_is_off_is_down_and_refuses_no_single_command(org, path):
    [lead] = org.leads(1)
    refusal = '[{"errorCode": "API_DISABLED_FOR_ORG", "message": "API is not enabled for this Organization"}]'
    org.control.plant(status=403, body=refusal, match={"path": path})
    outcomes = {}
    with pytest.raises(ConnectorDownError, match="API_DISABLED_FOR_ORG") as caught:
        for key, outcome in org.crm.apply(both(org, lead)):
            outcomes[key] = outcome
    assert "API Enabled" in str(caught.value)
    assert {key: type(outcome) for key, outcome in outcomes.items()} == {"e1:1.1:task": Retry}
    until_done(org, [again(command) for command in both(org, lead)])
    stands(org, lead)


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


def test_a_lead_that_a_lost_call_has_made_is_known_as_ours_and_its_task_goes_on(org):
    write = org.write(None, emails=("new@example.com",), create={"last_name": "New", "company": "Example"})
    task = org.task(None, depends_on=(write.key,))
    org.control.plant(drop="after", **CREATE)
    with pytest.raises(RetryableError):
        list(org.crm.apply([write, task]))
    outcomes = dict(org.connect().apply([again(write), again(task)]))
    assert outcomes[write.key].receipt.adopted
    assert isinstance(outcomes[task.key], Done)
    assert org.tasks()[0]["WhoId"] == outcomes[write.key].receipt.record.id


def test_a_task_finds_the_lead_that_an_earlier_batch_has_made(org):
    write = org.write(None, emails=("new@example.com",), create={"last_name": "New", "company": "Example"})
    made = dict(org.crm.apply([write]))[write.key].receipt.record
    task = org.task(None, depends_on=(write.key,))
    assert isinstance(dict(org.connect().apply([task]))[task.key], Done)
    assert org.tasks()[0]["WhoId"] == made.id


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
