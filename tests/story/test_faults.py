"""Each fault by name, through the whole agent and the real connectors: what the admin sees, and that it ends well.

The details of each connector stand in tests/contract. Here the clock moves on until things are right again: every
person once in the CRM, one task each, nothing lost, nothing left in the outbox.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from syncagent.connectors.salesforce import Salesforce
from tests.story.office import Office, office

FEED = r"/activities\.json"
WRITES = {"method": "POST", "path": "composite/sobjects"}
LOOKS = {"path": r"/composite$"}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as made:
        yield made


def test_without_a_fault_all_is_right_at_once(desk: Office) -> None:
    desk.ask(5)
    desk.after(seconds=1)
    desk.assert_right()
    assert len(desk.salesforce.dump()["notifications"]) == 5
    log = desk.news()
    assert "Handed off: score 60" in log
    assert not re.search("warning|error", log)


# -- Salesforce: a whole call fails while leads and tasks are written

CALLS: dict[str, tuple[dict[str, Any], str]] = {
    "429": ({"status": 429, "headers": {"Retry-After": "30"}}, r"wait 30 s: .*asks for fewer calls \(HTTP 429\)"),
    "503 with HTML": ({"html": 503}, r"wait \d+ s: .*out of order: HTTP 503 with a web page"),
    "500 with an empty body": ({"empty": 500}, r"wait \d+ s: .*out of order: HTTP 500 with an empty body"),
    "500 with an empty body, but it was done": (
        {"empty": 500, "execute": True},
        r"wait \d+ s: .*out of order: HTTP 500 with an empty body",
    ),
    "a cut chunked body": ({"cut": True}, r"wait \d+ s: .*the answer was cut off"),
    "a dropped answer": ({"drop": "after"}, r"wait \d+ s: .*no connection"),
    "403 concurrent": ({"concurrent_limit": True}, r"wait 7 s: .*too many long calls are running in this org"),
    "401 right after a refresh": (
        {"expire_session": True, "times": 2},
        r"not used until .*rejects even a fresh session.*syncagent check",
    ),
}


@pytest.mark.parametrize("nth", [0, 1], ids=["the leads", "the tasks"])
@pytest.mark.parametrize("fault", list(CALLS))
def test_a_call_to_salesforce_fails(desk: Office, fault: str, nth: int) -> None:
    planted, told = CALLS[fault]
    desk.ask(5)
    desk.salesforce.plant(match={**WRITES, "after": nth}, **planted)
    desk.after(seconds=1)
    assert re.search(told, desk.news())
    waiting = desk.command("outbox", "list")
    assert waiting
    assert all(one["state"] == "queued" and one["not_before"] for one in waiting)
    assert any(one["why"] for one in waiting)
    desk.until_quiet()
    desk.assert_right()


def test_401_in_mid_batch_is_not_even_seen(desk: Office) -> None:
    desk.ask(450)
    desk.salesforce.plant(match={**WRITES, "body": "person250@"}, expire_session=True)
    desk.after(seconds=1)
    assert [one["struck"] for one in desk.salesforce.faults()] == [1]
    desk.assert_right()
    assert not re.search("warning|error", desk.news())


def test_401_in_mid_batch_right_after_a_refresh(desk: Office) -> None:
    desk.ask(450)
    desk.salesforce.plant(match={**WRITES, "body": "person250@"}, expire_session=True, times=2)
    desk.after(seconds=1)
    log = desk.news()
    assert "rejects even a fresh session" in log
    assert re.search(r"retry: .* and \d+ more: A call before it failed; it was not tried", log)
    assert len(re.findall(" (?:warning|error) ", log)) < 6  # not a line for each of 450
    down = desk.command("status")["down"]["salesforce"]
    assert "syncagent check" in down["why"]
    assert "salesforce is not used until 2026-11-23 12:06:01 UTC: salesforce: Salesforce rejects" in desk.screen(
        "status"
    )
    desk.until_quiet()
    desk.assert_right()
    assert "not used" not in desk.screen("status")


def test_403_daily_quota(desk: Office) -> None:
    desk.ask(5)
    desk.salesforce.plant(match=WRITES, daily_limit=True)
    desk.after(seconds=1)
    assert re.search(r"not used until .*used up its daily API calls.*asking again at .*Nothing is lost", desk.news())
    down = desk.command("status")["down"]["salesforce"]
    until = (desk.clock.now() + timedelta(minutes=15)).strftime("%Y-%m-%dT%H:%M")
    assert down["until"].startswith(until)
    assert "daily API calls" in desk.screen("status")
    before = desk.salesforce.quota()["calls"]
    for _ in range(10):
        desk.after(minutes=1)
    assert desk.salesforce.quota()["calls"] == before
    assert not desk.rows("Lead")
    desk.until_quiet()
    desk.assert_right()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"html": 503, "times": 8}, "HTTP 503 with a web page"),
        ({"empty": 500, "times": 8}, "HTTP 500 with an empty body"),
        ({"cut": True, "times": 8}, "the answer was cut off"),
        ({"status": 429, "times": 8}, "asks for fewer calls"),
        ({"concurrent_limit": True, "times": 2}, "too many long calls are running in this org"),
        ({"daily_limit": True}, "used up its daily API calls"),
        ({"expire_session": True, "times": 2}, "rejects even a fresh session"),
    ],
    ids=["503 with HTML", "500 empty", "cut", "429", "403 concurrent", "403 daily", "401 after a refresh"],
)
def test_salesforce_cannot_be_read_for_a_while(desk: Office, fault: dict[str, Any], told: str) -> None:
    """What is read before the write fails, too: nothing is written on a view that nobody has."""
    desk.ask(5)
    desk.salesforce.plant(match=LOOKS, **fault)
    desk.after(seconds=1)
    assert re.search(rf"salesforce is not (read|used) until .*{told}", desk.news())
    down = desk.command("status")["down"]["salesforce"]
    assert told in down["why"]
    assert re.search("salesforce is not (read|used) until", desk.screen("status"))
    assert not desk.rows("Lead")
    assert len(desk.command("outbox", "list")) == 15  # a lead, a task and a push each
    desk.until_quiet()
    desk.assert_right()


@pytest.mark.parametrize(
    "fault", [{"html": 503, "times": 4}, {"concurrent_limit": True}], ids=["503 with HTML", "403 concurrent"]
)
def test_a_poll_of_salesforce_fails_and_the_writes_go_on(desk: Office, fault: dict[str, Any]) -> None:
    desk.ask(5)
    desk.salesforce.plant(match=LOOKS, **fault)
    desk.after(seconds=1)
    assert "salesforce is not read until" in desk.news()
    assert len(desk.rows("Lead")) == len(desk.tasks()) == 5
    assert desk.command("status")["down"]["salesforce"]["part"] == "reading"
    desk.until_quiet()
    desk.assert_right()


# -- Salesforce: single rows are refused


def test_row_lock_on_the_first_two_tries(desk: Office) -> None:
    desk.salesforce.act("set_rule", kind="row_lock", object="Task", field="WhoId", times=2)
    desk.ask(5)
    desk.after(seconds=1)
    assert re.search(r"retry: .*locked or busy in Salesforce right now \(UNABLE_TO_LOCK_ROW\)", desk.news())
    assert desk.until_quiet() < 5
    desk.assert_right()


def test_one_row_of_200_is_refused_by_a_validation_rule(desk: Office) -> None:
    rule = {"kind": "validation", "object": "Lead", "field": "LastName", "matches": "Person7$"}
    desk.salesforce.act("set_rule", message="Sevens are not leads.", **rule)
    desk.ask(200)
    desk.after(seconds=1)
    assert re.search(r"refused: .*Sevens are not leads.*validation rule of the org: mend", desk.news())
    assert len(desk.tasks()) == len(desk.rows("Lead")) == 199
    (parked,) = desk.parked()
    assert "mend the record or the rule" in parked["why"]
    assert "syncagent outbox list" in desk.screen("status")
    desk.after(minutes=6)
    assert re.search("warning .*undelivered: Not delivered in time: .*Sevens are not leads.*or the rule.$", desk.news())
    desk.salesforce.act("clear_rule", name="validation")
    desk.retry()
    desk.until_quiet()
    desk.assert_right()


def test_a_duplicate_rule(desk: Office) -> None:
    other = desk.in_crm("somebody@example.com", LastName="Person0")
    desk.salesforce.act("set_rule", kind="duplicate", object="Lead", fields=["LastName"], action="block", name="Twins")
    desk.ask(3)
    desk.after(seconds=1)
    (parked,) = desk.parked()
    assert re.search("DUPLICATES_DETECTED.*merge the records, or relax the rule", parked["why"])
    assert "Twins" in parked["why"]
    assert len(desk.tasks()) == 2
    desk.salesforce.act("clear_rule", name="Twins")
    desk.salesforce.act("delete_lead", lead=other)
    desk.retry()
    desk.until_quiet()
    desk.assert_right()


def test_a_restricted_picklist(desk: Office) -> None:
    known = ["Open - Not Contacted", "Working - Contacted", "Recycled", "Unqualified", "Sales Ready"]
    change = {"object": "Lead", "field": "Status", "restricted": True}
    desk.salesforce.act("change_field", values=known[:-1], **change)
    desk.ask(3)
    desk.after(seconds=1)
    assert len(desk.parked()) == 3
    assert "Add the value to the picklist, or change it under [crm.status]." in desk.parked()[0]["why"]
    assert "Add the value to the picklist" in desk.news()
    desk.salesforce.act("change_field", values=known, **change)
    desk.retry()
    desk.until_quiet()
    desk.assert_right()


def test_an_inactive_owner(desk: Office) -> None:
    ana = desk.reps[0]
    desk.salesforce.act("deactivate_user", user=ana)
    desk.ask(4)
    desk.after(seconds=1)
    parked = desk.parked()
    assert len(parked) == 2
    assert all("Name an active owner in the config, or activate the user." in one["why"] for one in parked)
    desk.salesforce.act("activate_user", user=ana)
    desk.retry()
    desk.until_quiet()
    desk.assert_right()


@pytest.mark.parametrize("before", [0, 2], ids=["before the first write", "between two writes"])
def test_a_field_hidden_by_field_security_is_left_out_and_told(desk: Office, before: int) -> None:
    if before:
        desk.ask(before)
        desk.until_quiet()
    desk.salesforce.act("set_field_access", object="Lead", field="Lead_Score__c", read=False, edit=False)
    desk.ask(3)
    desk.until_quiet()
    log = desk.news()
    assert re.search("cannot see something of Lead, which is left out: .*Lead_Score__c.*syncagent check", log)
    assert not desk.parked()
    desk.assert_right()
    rows = desk.rows("Lead")
    assert sorted(row.get("Lead_Score__c") or 0 for row in rows) == [0, 0, 0] + [60] * before
    assert {row["Lead_Grade__c"] for row in rows} == {"D1"}


def test_a_hidden_task_key_parks_the_tasks_until_it_is_shown(desk: Office) -> None:
    field = {"object": "Task", "field": "SyncAgent_Key__c"}
    desk.salesforce.act("set_field_access", read=False, edit=False, **field)
    desk.ask(3)
    for _ in range(4):
        desk.after(minutes=2)
    parked = desk.parked()
    assert len([one for one in parked if one["command"]["key"].endswith(":task")]) == 3
    assert "cannot be made exactly once without the field SyncAgent_Key__c" in parked[0]["why"]
    assert not desk.tasks()
    desk.salesforce.act("set_field_access", read=True, edit=True, **field)
    desk.retry()
    desk.until_quiet()
    desk.assert_right()


# -- Salesforce: the record has moved on


def decided_but_not_written(desk: Office, email: str) -> str:
    """A lead that Salesforce has already; its handoff is decided, and nothing of it is written yet."""
    assert desk.agent is not None
    lead = desk.in_crm(email, OwnerId=desk.reps[1])
    desk.move_to(desk.clock.now() + timedelta(seconds=30))
    for _ in range(4):  # idle rounds are left out
        for name in desk.agent.sources:
            desk.agent.gather(name)
    while desk.agent.decide():
        pass
    assert [one.state for one in desk.agent.store.outbox()] == ["queued"] * 3
    return lead


def test_a_lead_that_is_converted_before_the_write(desk: Office) -> None:
    assert desk.agent is not None
    (email,) = desk.ask()
    lead = decided_but_not_written(desk, email)
    made = desk.salesforce.act("convert_lead", lead=lead, **{"as": desk.reps[1]})
    desk.agent.settle_down()
    assert f"has been converted to the contact {made['contact']}; it is planned anew" in desk.news()
    assert "has been converted to the contact" in desk.screen("outbox", "list")
    desk.until_quiet()
    assert [(row["WhoId"], row["OwnerId"]) for row in desk.tasks()] == [(made["contact"], desk.reps[1])]
    decision = desk.dossier(email).decision
    assert decision is not None
    assert decision.stage == "sql"
    assert len(desk.salesforce.dump()["notifications"]) == 1
    desk.assert_nothing_left()


def test_a_lead_that_is_merged_before_the_write(desk: Office) -> None:
    assert desk.agent is not None
    (email,) = desk.ask()
    lead = decided_but_not_written(desk, email)
    winner = desk.in_crm(email, OwnerId=desk.reps[1])
    desk.salesforce.act("merge_leads", winner=winner, losers=[lead])
    desk.agent.settle_down()
    assert f"it is part of {winner} now. It is planned anew" in desk.news()
    desk.until_quiet()
    assert [row["WhoId"] for row in desk.tasks()] == [winner]
    desk.assert_right()


@pytest.mark.parametrize("field", ["Status", "OwnerId"])
@pytest.mark.parametrize("fault", [{}, {"drop": "after"}, {"late": 0.05}], ids=["no fault", "answer lost", "done late"])
def test_what_a_rep_sets_between_our_read_and_our_write_stands(desk: Office, fault: dict[str, Any], field: str) -> None:
    """Law 5: the connector puts it back, or the next plan does where the answer was lost; and it is their answer."""
    assert desk.agent is not None
    (email,) = desk.ask()
    lead = decided_but_not_written(desk, email)
    theirs = {"Status": "Working - Contacted", "OwnerId": desk.reps[0]}[field]
    org = cast("Salesforce", desk.agent.targets["salesforce"])._org
    call = org.call

    def slow(method: str, path: str, **more: Any) -> Any:
        if method == "PATCH":
            org.call = call  # type: ignore[method-assign]
            who = desk.reps[field == "Status"]  # the owner says how it stands, the other one takes it
            desk.salesforce.act("edit_lead", lead=lead, fields={field: theirs}, **{"as": who})
            if fault:
                desk.salesforce.plant(match={"method": "PATCH", "path": "composite/sobjects"}, **fault)
        return call(method, path, **more)

    org.call = slow  # type: ignore[method-assign]
    desk.agent.settle_down()
    desk.until_quiet()
    (row,) = desk.rows("Lead")
    assert row[field] == theirs
    told = {entry.kind for entry in desk.journal(email)}
    assert {"Status": "touched", "OwnerId": "assigned"}[field] in told
    assert not told & {"overwritten", "contested"}
    decision = desk.dossier(email).decision
    assert decision is not None and decision.handoff is not None
    assert decision.stage == ("sal" if field == "Status" else "mql")
    assert decision.handoff.assignments[-1].owner == row["OwnerId"] == desk.open_task()["OwnerId"]
    desk.assert_nothing_left()


@pytest.mark.parametrize("act", ["complete_task", "reassign_task", "delete_task"])
def test_what_the_rep_does_to_a_task_before_its_lost_answer_is_repeated_stands(desk: Office, act: str) -> None:
    desk.ask(2)
    desk.salesforce.plant(match={**WRITES, "after": 1}, drop="after")
    desk.after(seconds=1)
    first, other = desk.tasks()
    to = next(rep for rep in desk.reps if rep != first["OwnerId"])
    desk.salesforce.act(act, task=first["Id"], **{"to": to} if act == "reassign_task" else {})
    done = next((row for row in desk.tasks() if row["Id"] == first["Id"]), None)
    desk.until_quiet()
    for _ in range(5):
        desk.after(minutes=10)
    about = [row for row in desk.tasks() if row["WhoId"] == first["WhoId"]]
    if act == "delete_task":
        assert about == []
    else:
        assert [(row["Id"], row["IsClosed"], row["OwnerId"]) for row in about] == [
            (first["Id"], act == "complete_task", to if act == "reassign_task" else first["OwnerId"])
        ]
    assert done == (about[0] if about else None)
    assert [row["Id"] for row in desk.tasks() if row not in about] == [other["Id"]]
    desk.assert_nothing_left()


# -- Marketo: errors inside HTTP 200, and elsewhere

CODES = {
    "601": "A new token was turned away as well",
    "602": "A new token was turned away as well",
    "606": "Marketo asks for fewer calls",
    "607": r"the day's API calls of this Marketo instance are spent \(607\); going on at 2026-11-24 06:00 UTC",
    "611": "611 System error",
    "615": "Marketo asks for fewer calls",
    "713": "713 Transient Error",
}


@pytest.mark.parametrize("code", ["601", "602"])
def test_a_marketo_token_that_ends_is_not_even_seen(desk: Office, code: str) -> None:
    desk.ask(3)
    desk.marketo.act("expire_access_token", code=code)
    desk.until_quiet()
    desk.assert_right()
    assert not re.search("warning|error", desk.news())


@pytest.mark.parametrize("code", list(CODES))
def test_a_marketo_error_inside_http_200(desk: Office, code: str) -> None:
    desk.ask(3)
    desk.marketo.plant(match={"path": FEED}, code=code, times=2 if code in ("601", "602") else 1)
    log = ""
    for _ in range(6):  # idle rounds are left out
        desk.after(seconds=1)
        log += desk.news()
        if re.search("not (read|used) until", log):
            break
    assert re.search(rf"marketo is not (read|used) until .*{CODES[code]}", log)
    down = desk.command("status")["down"]["marketo"]
    assert re.search(CODES[code], down["why"])
    assert re.search("not (read|used) until", desk.screen("status"))
    if code == "607":
        assert down["until"] == "2026-11-24T06:00:00+00:00"
    desk.until_quiet(minutes=19 * 60 if code == "607" else 5, step=600 if code == "607" else 5)
    desk.assert_right()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"html": 503}, "HTTP 503 with a web page"),
        ({"empty": 500}, "HTTP 500 with an empty body"),
        ({"cut": True}, "the answer was cut off"),
        ({"status": 429}, "asks for fewer calls"),
    ],
    ids=["503 with HTML", "500 with an empty body", "a cut chunked body", "429"],
)
def test_marketo_is_out_of_order_for_longer_than_a_call_is_repeated(
    desk: Office, fault: dict[str, Any], told: str
) -> None:
    desk.ask(3)
    desk.marketo.plant(match={"path": FEED}, times=4, **fault)
    log = ""
    for _ in range(6):
        desk.after(seconds=1)
        log += desk.news()
        if re.search("not (read|used) until", log):
            break
    assert re.search(rf"marketo is not (read|used) until .*{told}", log)
    desk.until_quiet(minutes=5, step=5)
    desk.assert_right()


def test_an_empty_page_with_more_to_come(desk: Office) -> None:
    desk.ask(3)
    desk.marketo.plant(match={"path": FEED}, empty_page=True)
    while not desk.marketo.faults()[0]["struck"]:  # idle rounds are left out
        assert not desk.rows("Lead")
        desk.after(seconds=1)
    desk.assert_right()  # in the same round
    assert not re.search("warning|error", desk.news())


def test_a_paging_token_that_no_longer_works(desk: Office) -> None:
    desk.ask(3)
    desk.marketo.act("expire_tokens")
    desk.until_quiet()
    assert re.search(r"a paging token no longer works \(1003\); reading again", desk.news())
    desk.assert_right()


def test_late_commits_are_found_by_the_sweep(desk: Office) -> None:
    desk.ask(2)
    desk.until_quiet()
    desk.ask(2, at=(desk.clock.now() - timedelta(seconds=30)).isoformat(), late="lost")
    desk.until_quiet()
    assert len(desk.tasks()) == 2  # no token shows them any more
    desk.after(hours=25)
    desk.until_quiet()
    desk.assert_right()


def test_late_commits_in_salesforce_are_found(desk: Office) -> None:
    (email,) = desk.ask()
    desk.after(seconds=1)
    (lead,) = desk.rows("Lead", Email=email)
    act = desk.salesforce.act
    saving = act("begin")["transaction"]
    act("edit_lead", lead=lead["Id"], fields={"Status": "Working - Contacted"}, transaction=saving)
    desk.after(minutes=4)  # the stamp is four minutes old when the change is seen
    act("commit", transaction=saving)
    for _ in range(12):
        desk.after(minutes=1)
    decision = desk.dossier(email).decision
    assert decision is not None
    assert decision.stage == "sal"
    assert len(desk.tasks()) == 1
    desk.assert_nothing_left()


def test_12000_activities_with_one_timestamp(desk: Office) -> None:
    assert desk.agent is not None
    at = desk.clock.now().isoformat()
    desk.ask(4, at=at)
    visits = [
        {"email": desk.emails[n % 4], "type": "Visit Webpage", "asset": f"/p{n % 100}", "at": at} for n in range(11_996)
    ]
    desk.marketo.seed(activities=visits)
    desk.until_quiet()
    desk.assert_right()
    assert sum(len(desk.dossier(email).activities) for email in desk.emails) == 12_000
    assert not re.search("warning|error", desk.news())
