"""One task stays one task, by a unique key and without one, whatever becomes of the answers."""

from datetime import timedelta

import pytest

from syncagent.model import Alert, CloseTask, Done, Refused, Retry
from tests.contract.hubspot_portal import NOON, again, stands, until_done

CREATE = {"match": {"path": "/objects/tasks/batch/create"}}


def made(portal):
    return [row["properties"]["syncagent_key"] for row in portal.tasks() if not row["archived"]]


def test_a_task_stands_with_its_record_owner_due_moment_and_reminder_in_one_call(portal):
    [contact] = portal.contacts(1)
    portal.crm.check()
    portal.control.clear_calls()
    alert = Alert(
        key="e1:1.1:a1:alert", target="hubspot", person=1, record=contact, to=portal.second, subject="Late", body="Hm",
        remind_at=NOON,
    )  # fmt: skip
    outcomes = dict(portal.crm.apply([portal.task(contact, remind_at=NOON), alert]))
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())
    assert portal.paths() == ["/crm/v3/objects/tasks/batch/create"]
    rows = {row["properties"]["syncagent_key"]: row for row in portal.tasks()}
    task = rows["e1:1.1:task"]["properties"]
    assert rows["e1:1.1:task"]["associations"] == {"contacts": [contact.id]}
    assert task["hubspot_owner_id"] == portal.rep
    assert task["hs_timestamp"] == "2026-11-23T13:00:00.000Z"
    assert task["hs_task_reminders"] == str(int(NOON.timestamp() * 1000))
    assert task["hs_task_body"] == "Asked for a demo.<br>Likes &lt;tea&gt; &amp; cake."
    late = rows["e1:1.1:a1:alert"]["properties"]
    assert (late["hubspot_owner_id"], late["hs_task_priority"]) == (portal.second, "HIGH")


# -- by a unique key


@pytest.mark.parametrize("lag", [0.0, 600.0])
def test_a_lost_answer_is_found_by_the_key_at_once(portal, lag):
    portal.act("set_settings", index_lag_min=lag, index_lag_max=lag)
    [contact] = portal.contacts(1)
    portal.control.plant(drop="after", **CREATE)
    outcomes, errors = until_done(portal, [portal.task(contact)])
    assert len(errors) == 1
    assert outcomes["e1:1.1:task"].receipt.adopted
    assert made(portal) == ["e1:1.1:task"]


def test_a_call_that_overtakes_its_repeat_meets_the_key_and_is_adopted(portal):
    """The repeat looks, finds nothing, and while it creates, the lost call comes through."""
    [contact] = portal.contacts(1)
    portal.control.seed(tasks=[{"hs_task_subject": "x", "syncagent_key": "e1:1.1:task", "hs_timestamp": "1"}])
    outcomes = dict(portal.crm.apply([portal.task(contact)]))
    assert outcomes["e1:1.1:task"].receipt.adopted
    assert made(portal) == ["e1:1.1:task"]


def test_a_task_that_a_person_has_deleted_after_a_lost_answer_is_not_made_again(portal):
    [contact] = portal.contacts(1)
    portal.control.plant(drop="after", **CREATE)
    with pytest.raises(Exception, match="no connection"):
        list(portal.crm.apply([portal.task(contact)]))
    portal.act("delete_task", task=portal.tasks()[0]["id"])
    outcomes, _ = until_done(portal, [again(portal.task(contact))])
    assert outcomes["e1:1.1:task"].receipt.gone
    assert made(portal) == []


# -- without a unique key


def test_a_lost_answer_is_found_by_association_whatever_search_shows(plain_portal):
    portal = plain_portal
    portal.act("set_settings", index_lag_min=3600, index_lag_max=3600)
    [contact] = portal.contacts(1)
    portal.control.plant(drop="after", **CREATE)
    portal.control.clear_calls()
    outcomes, errors = until_done(portal, [portal.task(contact)])
    assert len(errors) == 1
    assert outcomes["e1:1.1:task"].receipt.adopted
    assert made(portal) == ["e1:1.1:task"]
    assert not any(path.endswith("/search") for path in portal.paths())


def test_what_is_not_found_is_looked_for_once_more_after_a_minute_and_only_then_sent_again(plain_portal):
    portal = plain_portal
    [contact] = portal.contacts(1)
    portal.control.plant(drop="before", **CREATE)
    task = portal.task(contact)
    with pytest.raises(Exception, match="no connection"):
        list(portal.crm.apply([task]))
    task = again(task)
    first = dict(portal.crm.apply([task]))["e1:1.1:task"]
    assert isinstance(first, Retry)
    assert 50 <= first.after <= 60
    portal.control.clock_advance(30)
    early = dict(portal.crm.apply([again(task)]))["e1:1.1:task"]
    assert isinstance(early, Retry)
    assert early.after <= 30
    assert made(portal) == []
    portal.control.clock_advance(31)
    assert isinstance(dict(portal.crm.apply([again(task)]))["e1:1.1:task"], Done)
    assert made(portal) == ["e1:1.1:task"]


def test_a_call_that_comes_through_late_is_found_by_the_second_look(plain_portal):
    portal = plain_portal
    [contact] = portal.contacts(1)
    portal.control.plant(drop="before", **CREATE)
    with pytest.raises(Exception, match="no connection"):
        list(portal.crm.apply([portal.task(contact)]))
    assert isinstance(dict(portal.crm.apply([again(portal.task(contact))]))["e1:1.1:task"], Retry)
    late = {"hs_task_subject": "x", "syncagent_key": "e1:1.1:task", "hs_timestamp": "1"}
    portal.control.seed(tasks=[{**late, "associate": {"contacts": [contact.id]}}])
    portal.control.clock_advance(61)
    outcome = dict(portal.crm.apply([again(portal.task(contact))]))["e1:1.1:task"]
    assert outcome.receipt.adopted
    assert made(portal) == ["e1:1.1:task"]


def test_after_a_restart_the_minute_between_the_looks_is_waited_for(plain_portal):
    """Nobody remembers the first look of another life, and `run --once` has a life for each round."""
    portal = plain_portal
    one, other = portal.contacts(2)
    portal.control.plant(drop="before", **CREATE)
    with pytest.raises(Exception, match="no connection"):
        list(portal.crm.apply([portal.task(one)]))
    outcomes = portal.connect().apply([again(portal.task(one)), portal.task(other, key="t2")])
    assert next(outcomes)[0] == "t2", "who has nothing to do with it does not wait"
    assert portal.waits == []
    assert isinstance(dict(outcomes)["e1:1.1:task"], Done)
    assert portal.waits == [60.0]
    assert sorted(made(portal)) == ["e1:1.1:task", "t2"]


def test_a_call_of_another_life_that_comes_through_late_is_found(plain_portal):
    portal = plain_portal
    [contact] = portal.contacts(1)
    late = {"hs_task_subject": "x", "syncagent_key": "e1:1.1:task", "hs_timestamp": "1"}

    def while_it_waits(seconds):
        portal.control.seed(tasks=[{**late, "associate": {"contacts": [contact.id]}}])
        return False

    portal.sleep = while_it_waits
    outcome = dict(portal.connect().apply([again(portal.task(contact))]))["e1:1.1:task"]
    assert outcome.receipt.adopted
    assert made(portal) == ["e1:1.1:task"]


@pytest.mark.parametrize("worked", [False, True])
def test_a_call_that_comes_through_after_its_repeat_leaves_one_open_task(plain_portal, worked, caplog):
    """Nothing at HubSpot stops the second one; the older stays, unless somebody has worked on the younger."""
    portal = plain_portal
    [contact, other] = portal.contacts(2)
    cursor = list(portal.crm.pull(portal.crm.begin(NOON - timedelta(hours=1))))[-1].cursor
    list(portal.crm.apply([portal.task(contact)]))
    [first] = portal.tasks()
    portal.control.clock_advance(5)
    late = {
        "hs_task_subject": "x",
        "syncagent_key": "e1:1.1:task",
        "hs_timestamp": "1",
        "hs_task_status": "NOT_STARTED",
    }
    [second] = portal.control.seed(tasks=[{**late, "associate": {"contacts": [contact.id]}}])["tasks"]
    if worked:
        portal.act("complete_task", task=second)
    list(portal.crm.pull(cursor))
    list(portal.crm.apply([portal.task(other, key="t2")]))
    left = {row["id"]: row["archived"] for row in portal.tasks() if row["properties"]["syncagent_key"] != "t2"}
    assert left == {first["id"]: False, second: not worked}
    assert ("made twice" in caplog.text) is not worked


def test_what_was_certainly_not_done_is_sent_again_without_a_wait(plain_portal):
    """A 429 has done nothing: no second look is needed."""
    portal = plain_portal
    [contact] = portal.contacts(1)
    portal.control.plant(rate_limit="burst", **CREATE)
    outcomes, errors = until_done(portal, [portal.task(contact)])
    assert len(errors) == 1
    assert 5 <= errors[0].after <= 15
    assert isinstance(outcomes["e1:1.1:task"], Done)
    assert made(portal) == ["e1:1.1:task"]


def test_a_task_is_closed_also_when_only_search_knows_its_key(plain_portal):
    portal = plain_portal
    portal.act("set_settings", index_lag_min=20, index_lag_max=20)
    [contact] = portal.contacts(1)
    list(portal.crm.apply([portal.task(contact)]))
    close = CloseTask(key="e1:1.1:a1:close", target="hubspot", person=1, task="e1:1.1:task", reason="Passed on.")
    fresh = portal.connect()
    assert isinstance(dict(fresh.apply([close]))[close.key], Done)
    assert portal.waits == [60.0]
    [row] = portal.tasks()
    assert row["properties"]["hs_task_status"] == "COMPLETED"
    assert "Passed on." in row["properties"]["hs_task_body"]


# -- the property itself


@pytest.mark.parametrize("unknown", ["refused", "ignored"])
def test_without_the_property_no_task_is_made_and_the_admin_is_told_how_to_make_it(portal, unknown):
    """HubSpot's documents disagree on what becomes of an unknown property: a task without its key must never be."""
    portal.act("set_settings", unknown_task_properties=unknown)
    portal.act("remove_property", object="tasks", name="syncagent_key")
    [contact] = portal.contacts(1)
    outcome = dict(portal.crm.apply([portal.task(contact)]))["e1:1.1:task"]
    assert isinstance(outcome, Refused)
    assert "syncagent check" in outcome.why
    assert portal.rows("tasks") == []
    [problem] = [one for one in portal.crm.check() if one.path == "crm.key_property"]
    assert problem.fatal
    assert "hasUniqueValue" in problem.help
    assert portal.known["token"] not in str(problem)
    portal.act("add_property", object="tasks", name="syncagent_key", type="string", fieldType="text")
    assert isinstance(dict(portal.crm.apply([again(portal.task(contact))]))["e1:1.1:task"], Retry | Done)


def test_check_says_which_of_the_two_ways_is_taken(portal, plain_portal):
    assert not [one for one in portal.crm.check() if one.path == "crm.key_property"]
    [problem] = [one for one in plain_portal.crm.check() if one.path == "crm.key_property"]
    assert not problem.fatal
    assert "is not unique" in problem.message


# -- what may be refused


def test_an_archived_owner_refuses_one_task_and_says_whom(portal):
    contacts = portal.contacts(3)
    portal.act("archive_owner", owner=portal.second)
    batch = [portal.task(one, key=f"t{n}", owner=portal.second if n == 1 else portal.rep)
             for n, one in enumerate(contacts)]  # fmt: skip
    outcomes = dict(portal.crm.apply(batch))
    assert sorted(made(portal)) == ["t0", "t2"]
    assert isinstance(outcomes["t1"], Refused)
    assert outcomes["t1"].fields == ("owner",)
    assert "active owner" in outcomes["t1"].why


def test_a_refused_reminder_is_left_out_and_the_task_goes_on(portal):
    portal.act("remove_property", object="tasks", name="hs_task_reminders")
    [contact] = portal.contacts(1)
    outcome = dict(portal.crm.apply([portal.task(contact, remind_at=NOON)]))["e1:1.1:task"]
    assert outcome.receipt.left_out == ("hs_task_reminders",)
    assert made(portal) == ["e1:1.1:task"]


def test_the_contact_of_a_task_that_is_gone_is_a_conflict(portal):
    one, other = portal.contacts(2)
    portal.act("delete", object="contacts", id=one.id)
    outcomes = dict(portal.crm.apply([portal.task(one), portal.task(other, key="t2")]))
    assert outcomes["e1:1.1:task"].kind == "conflict"
    assert made(portal) == ["t2"]


def test_a_note_beside_the_task_where_it_is_wished(portal):
    crm = portal.connect(notes=True)
    [contact] = portal.contacts(1)
    list(crm.apply([portal.write(contact), portal.task(contact, depends_on=("e1:1.1:write",))]))
    stands(portal, contact)
    [note] = portal.rows("notes")
    assert note["associations"]["contacts"] == [contact.id]
    assert "Asked for a demo.<br>" in note["properties"]["hs_note_body"]
    portal.control.plant(html=503, match={"path": "/notes/"})
    outcome = dict(crm.apply([portal.task(contact, key="t2")]))["t2"]
    assert isinstance(outcome, Done)


def test_a_task_due_in_an_hour_is_due_then(portal):
    [contact] = portal.contacts(1)
    list(portal.crm.apply([portal.task(contact, due=NOON + timedelta(hours=1, milliseconds=5))]))
    assert portal.tasks()[0]["properties"]["hs_timestamp"] == "2026-11-23T13:00:00.005Z"
