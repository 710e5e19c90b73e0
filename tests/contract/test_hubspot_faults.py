"""What can go wrong between the connector and the portal, one test for each, and what the admin sees of it."""

import threading
from datetime import UTC, datetime

import pytest

from syncagent.connectors import hubspot
from syncagent.errors import ConnectorDownError, RetryableError
from syncagent.model import Deleted, Done, Lane, Notify, Refused, Retry
from tests.contract.hubspot_portal import NOON, again, both, stands, until_done

READ = {"match": {"path": "/contacts/batch/read"}}
WRITE = {"match": {"path": "/contacts/batch/update"}}
CREATE = {"match": {"path": "/tasks/batch/create"}}


# -- whole calls


def test_401_says_that_the_token_is_refused_and_nothing_was_written(portal):
    [contact] = portal.contacts(1)
    portal.control.plant(expire_token=True, **WRITE)
    outcomes = {}
    with pytest.raises(ConnectorDownError, match="does not accept the access token") as caught:
        for key, outcome in portal.crm.apply(both(portal, contact)):
            outcomes[key] = outcome
    assert "syncagent check" in str(caught.value)
    assert portal.known["token"] not in str(caught.value)
    assert {key: type(one) for key, one in outcomes.items()} == {"e1:1.1:write": Retry, "e1:1.1:task": Retry}
    portal.act("revive_token")
    until_done(portal, [again(command) for command in both(portal, contact)])
    stands(portal, contact)


def oauth(portal, **more):
    known = portal.known
    secret = {"command": ["echo", known["client_secret"]]}
    refresh = {"command": ["echo", known["refresh_token"]]}
    given = {"client_id": known["client_id"], "client_secret": secret, "refresh_token": refresh, **more}
    return portal.connect(access_token=None, **given)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_401_in_mid_batch_is_healed_by_one_renewal(portal, after):
    [contact] = portal.contacts(1)
    crm = oauth(portal)
    crm.check()
    portal.control.plant(expire_token=True, match={"path": "/batch/", "after": after})
    portal.control.clear_calls()
    outcomes = dict(crm.apply(both(portal, contact)))
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())
    assert len([path for path in portal.paths() if "/oauth/" in path]) == 1
    stands(portal, contact)


def test_many_threads_share_one_renewal(portal):
    contacts = portal.contacts(1000)
    crm = oauth(portal)
    crm.check()
    portal.control.plant(expire_token=True, times=1, delay=0.2, **CREATE)
    portal.control.clear_calls()
    outcomes = dict(crm.apply([portal.task(one, key=f"t{n}") for n, one in enumerate(contacts)]))
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())
    assert len([path for path in portal.paths() if "/oauth/" in path]) == 1
    assert len(portal.tasks()) == 1000


def test_a_refused_renewal_puts_the_system_down_and_shows_no_secret(portal):
    crm = oauth(portal, refresh_token={"command": ["echo", "r3fresh-t0ken"]})
    with pytest.raises(ConnectorDownError, match="refused to renew") as caught:
        crm.look(portal.contacts(1))
    assert not any(one in str(caught.value) for one in ("r3fresh", portal.known["client_secret"]))


def test_the_daily_limit_parks_until_the_portals_midnight_and_goes_on(portal):
    [contact] = portal.contacts(1)
    crm = portal.connect(timezone="Europe/Berlin")
    portal.control.plant(rate_limit="daily", **WRITE)
    with pytest.raises(ConnectorDownError, match="API calls of the day are used up") as caught:
        list(crm.apply(both(portal, contact)))
    assert caught.value.until == datetime(2026, 11, 23, 23, 1, tzinfo=UTC)
    until_done(portal, [again(command) for command in both(portal, contact)], crm)
    stands(portal, contact)


@pytest.mark.parametrize(("bucket", "least", "most"), [("burst", 9, 11), ("search", 0.5, 2)])
def test_a_full_bucket_asks_for_its_own_pause(portal, bucket, least, most):
    [contact] = portal.contacts(1)
    portal.control.plant(rate_limit=bucket, **WRITE)
    outcomes = {}
    with pytest.raises(RetryableError, match="asks for fewer calls") as caught:
        for key, outcome in portal.crm.apply(both(portal, contact)):
            outcomes[key] = outcome
    assert least <= caught.value.after <= most
    assert set(outcomes) == {"e1:1.1:write", "e1:1.1:task"}, "nothing was done: both come again untried"
    until_done(portal, [again(command) for command in both(portal, contact)])
    stands(portal, contact)


@pytest.mark.parametrize("fault", [{"rate_limit": "burst"}, {"rate_limit": "search"}, {"locked": True}])
def test_a_read_waits_for_the_bucket_by_itself(portal, fault):
    [contact] = portal.contacts(1)
    portal.control.plant(**fault, **READ)
    outcomes = dict(portal.crm.apply(both(portal, contact)))
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())
    assert len(portal.waits) == 1
    stands(portal, contact)


def test_a_portal_that_moves_is_left_alone_until_then(portal):
    portal.control.plant(migration=7200, match={"path": "/crm/"})
    with pytest.raises(ConnectorDownError, match="moving this portal") as caught:
        portal.crm.look(portal.contacts(1))
    assert caught.value.until.replace(microsecond=0) == NOON.replace(hour=14)


def test_missing_scopes_put_the_crm_down_with_their_names(portal):
    [contact] = portal.contacts(1)
    portal.control.plant(missing_scopes=["crm.objects.contacts.write"], **WRITE)
    with pytest.raises(ConnectorDownError, match=r"MISSING_SCOPES.*crm\.objects\.contacts\.read"):
        list(portal.crm.apply(both(portal, contact)))


def test_missing_scopes_for_deals_leave_deals_out_and_nothing_else(portal, caplog):
    portal.contacts(1)
    portal.control.plant(missing_scopes=["crm.objects.deals.read"], times=None, match={"path": "/deals"})
    pages = list(portal.crm.pull(portal.crm.begin(NOON.replace(hour=1))))
    assert pages[-1].seen_until is not None
    assert "deals are left out" in caplog.text
    problems = portal.crm.check()
    assert any("deals" in one.help for one in problems)
    assert not [one for one in problems if one.fatal]


CALLS = {
    "429": {"status": 429, "body": "{}"},
    "503 with HTML": {"html": 503},
    "500 with an empty body": {"empty": 500},
    "cut chunked body": {"cut": True},
    "closed before": {"drop": "before"},
    "closed after": {"drop": "after"},
    "500 after it was done": {"empty": 500, "execute": True},
}


@pytest.mark.parametrize("where", [READ, WRITE, CREATE], ids=["read", "write", "create"])
@pytest.mark.parametrize("fault", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("which", ["portal", "plain_portal"])
def test_a_broken_call_leaves_one_handoff(which, fault, where, request):
    portal = request.getfixturevalue(which)
    [contact] = portal.contacts(1)
    portal.control.plant(**fault, **where)
    outcomes, errors = until_done(portal, both(portal, contact), wait=31)
    stands(portal, contact)
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())
    assert bool(errors) is (where is not READ), "reads are tried again at once, writes come again through the outbox"
    assert all("@" not in str(error) and "Bearer" not in str(error) for error in errors)


@pytest.mark.parametrize("fault", [{"late": 0.5}, {"delay": 0.4}], ids=["done late", "slow"])
def test_an_answer_that_comes_too_late_leaves_one_task(portal, fault, monkeypatch):
    [contact] = portal.contacts(1)
    portal.crm.check()
    monkeypatch.setattr(portal.crm.portal.http, "timeout", (1.0, 0.2))
    portal.control.plant(**fault, **CREATE)
    done = threading.Event()
    with pytest.raises(RetryableError, match="no answer within"):
        list(portal.crm.apply([portal.task(contact)]))
    done.wait(0.8)
    monkeypatch.setattr(portal.crm.portal.http, "timeout", (3.0, 20.0))
    outcomes, _ = until_done(portal, [again(portal.task(contact))])
    assert outcomes["e1:1.1:task"].receipt.adopted
    assert len(portal.tasks()) == 1


def test_close_ends_a_wait_and_says_so(portal):
    options = portal.crm.options
    crm = hubspot.open("hubspot", options)
    portal.control.plant(rate_limit="burst", times=None, match={"path": "/crm/"})
    found = []

    def look():
        try:
            crm.look(portal.contacts(1))
        except RetryableError as error:
            found.append(str(error))

    thread = threading.Thread(target=look)
    thread.start()
    threading.Event().wait(0.3)
    crm.close()
    thread.join(3)
    assert not thread.is_alive()
    assert "the agent is stopping" in found[0]


# -- rows


@pytest.mark.parametrize("sparse", [True, False])
def test_207_with_one_bad_row_in_a_shuffled_hundred_is_read_row_by_row(portal, sparse):
    portal.act("set_settings", sparse_errors=sparse, shuffle=True)
    contacts = portal.contacts(150)
    writes = [
        portal.write(one, f"w{n}", values={"status": "Nonsense" if n == 77 else "MQL", "score": n})
        for n, one in enumerate(contacts)
    ]
    outcomes = dict(portal.crm.apply(writes))
    refused = {key: one for key, one in outcomes.items() if not isinstance(one, Done)}
    assert list(refused) == ["w77"]
    assert refused["w77"].fields == ("status",)
    for n, one in enumerate(contacts):
        if n != 77:
            assert outcomes[f"w{n}"].receipt.record == one
            assert portal.row(one)["lead_score"] == str(n)


def test_a_batch_that_is_refused_as_a_whole_is_taken_apart(portal):
    """From the dated versions on, 207 is not promised any more (crm.md B1)."""
    contacts = portal.contacts(20)
    body = '{"status":"error","category":"VALIDATION_ERROR","message":"No."}'
    portal.control.plant(status=400, body=body, times=None, match={"path": "/contacts/batch/update", "body": "w-bad"})
    writes = [
        portal.write(one, f"w{n}", values={"status": "MQL", "last_name": "w-bad" if n == 7 else "x"})
        for n, one in enumerate(contacts)
    ]  # fmt: skip
    outcomes = dict(portal.crm.apply(writes))
    assert [key for key, one in outcomes.items() if isinstance(one, Refused)] == ["w7"]


def test_a_hidden_optional_property_is_left_out_and_a_needed_one_is_told(portal):
    contacts = portal.contacts(3)
    portal.crm.look(contacts)
    portal.act("remove_property", object="contacts", name="lead_grade")
    outcomes = dict(portal.crm.apply([portal.write(one, f"w{n}") for n, one in enumerate(contacts)]))
    for outcome in outcomes.values():
        assert outcome.receipt.left_out == ("grade",)
    assert all(portal.row(one)["hs_lead_status"] == "MQL" for one in contacts)
    portal.act("remove_property", object="contacts", name="recycle_until")
    write = portal.write(contacts[0], "w9", values={"recycle_until": "2027-01-01"}, expects={}, optional=())
    outcome = dict(portal.crm.apply([write]))["w9"]
    assert isinstance(outcome, Refused)
    assert outcome.fields == ("recycle_until",)
    assert "syncagent check" in outcome.why
    paths = [one.path for one in portal.crm.check() if one.fatal]
    assert {"crm.fields.grade", "crm.fields.recycle_until"} <= set(paths)


def test_an_archived_owner_is_told_and_harms_nobody_else(portal):
    one, other = portal.contacts(2)
    portal.act("archive_owner", owner=portal.second)
    bad = portal.write(one, "w1", values={"owner": portal.second, "status": "MQL"})
    outcomes = dict(portal.crm.apply([bad, portal.write(other, "w2")]))
    assert isinstance(outcomes["w1"], Refused)
    assert outcomes["w1"].fields == ("owner",)
    assert portal.row(one)["hs_lead_status"] == "Open"
    assert isinstance(outcomes["w2"], Done)


@pytest.mark.parametrize("when", ["before", "between"])
def test_a_deleted_contact_is_a_conflict_and_then_told(portal, when):
    one, other = portal.contacts(2)
    if when == "before":
        portal.act("delete", object="contacts", id=one.id)
    else:
        gone = '{"status":"COMPLETE","results":[],"numErrors":1,"errors":[{"status":"error","category":"OBJECT_NOT_FOUND","message":"No contact.","context":{"objectWriteTraceId":["row-0"]}}]}'  # noqa: E501
        portal.control.plant(status=207, body=gone, headers={"Content-Type": "application/json"}, **WRITE)
    outcome = dict(portal.crm.apply([portal.write(one)]))["e1:1.1:write"]
    assert outcome.kind == "conflict"
    if when == "before":
        facts = portal.crm.look([one, other]).facts
        assert [fact.identity for fact in facts if isinstance(fact, Deleted)] == [one]


def test_a_contact_that_a_task_did_not_come_upon_is_told_gone_by_the_next_round(portal):
    """The recycle bin is read now and then only: whoever meets a hole tells of it."""
    one, other = portal.contacts(2)
    cursor = list(portal.crm.pull(portal.crm.begin(NOON.replace(hour=1))))[-1].cursor
    cursor = list(portal.crm.pull(cursor))[-1].cursor
    portal.control.clock_advance(60)
    portal.act("delete", object="contacts", id=one.id)
    portal.act("delete", object="contacts", id=other.id)
    list(portal.crm.apply([portal.task(one), portal.write(other)]))
    pages = list(portal.crm.pull(cursor))
    gone = {fact.identity for page in pages for fact in page.facts if isinstance(fact, Deleted)}
    assert gone == {one, other}
    again_ = list(portal.crm.pull(pages[-1].cursor))
    assert not [fact for page in again_ for fact in page.facts]


@pytest.mark.parametrize("merge_id", ["new", "primary"])
def test_a_merged_contact_is_a_conflict_and_followed(portal, merge_id):
    portal.act("set_settings", merge_id=merge_id)
    one, other = portal.contacts(2)
    made = portal.act("merge_contacts", primary=other.id, loser=one.id)["id"]
    outcome = dict(portal.crm.apply([portal.write(one)]))["e1:1.1:write"]
    assert (outcome.kind, outcome.code) == ("conflict", "MERGED")
    merged = [fact for fact in portal.crm.look([one]).facts if type(fact).__name__ == "Merged"]
    assert any(one in fact.losers and fact.winner.id == made for fact in merged)


def test_a_push_is_refused_with_what_stands_in_its_place(portal):
    [contact] = portal.contacts(1)
    push = Notify(key="n", target="hubspot", person=1, record=contact, to=(portal.rep,), title="x", body="y")
    assert "reminder" in dict(portal.crm.apply([push]))["n"].why


def test_cold_work_waits_once_the_day_is_nearly_used(portal):
    [contact] = portal.contacts(1)
    portal.crm.look([contact])
    portal.act("use_quota", calls=200_000)
    portal.crm.look([contact])
    cold = portal.write(contact, lane=Lane.COLD)
    assert isinstance(dict(portal.crm.apply([cold]))[cold.key], Retry)
    assert isinstance(dict(portal.crm.apply([portal.write(contact)]))[cold.key], Done)


def test_a_thousand_handoffs_cost_at_most_fifty_calls(portal):
    contacts = portal.contacts(1000)
    batch = [portal.write(one, f"e1:{n}.1:write") for n, one in enumerate(contacts)]
    batch += [portal.task(one, f"e1:{n}.1:task", depends_on=(f"e1:{n}.1:write",)) for n, one in enumerate(contacts)]
    portal.control.clear_calls()
    outcomes = dict(portal.crm.apply(batch))
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())
    assert len(portal.tasks()) == 1000
    assert portal.control.quota()["calls"] <= 32
    cost = portal.crm.calls()["made"]
    assert cost <= 50


def test_a_thousand_handoffs_of_new_contacts_cost_at_most_fifty_calls(portal):
    batch = [
        portal.write(None, f"e1:{n}.1:write", expects={}, emails=(f"new{n}@example.com",), create={"last_name": "N"})
        for n in range(1000)
    ]
    batch += [portal.task(None, f"e1:{n}.1:task", depends_on=(f"e1:{n}.1:write",)) for n in range(1000)]
    outcomes = dict(portal.crm.apply(batch))
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())
    assert len(portal.tasks()) == 1000
    assert portal.crm.calls()["made"] <= 50
