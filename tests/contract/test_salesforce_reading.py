"""Reading the org: what may be late, equal, long or gone, and what it costs."""

import json
import logging
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import responses

from syncagent.clock import ManualClock
from syncagent.connectors import salesforce
from syncagent.connectors.salesforce import Options
from syncagent.errors import ConfigError, ConnectorDownError, RetryableError
from syncagent.model import Account, CrmRecord, CrmTask, CrmUser, Deleted, FieldChange, Identity, Merged, Opportunity
from tests.contract.salesforce_org import NOON


def pull(org, cursor, crm=None):
    pages = list((crm or org.crm).pull(cursor))
    return [fact for page in pages for fact in page.facts], pages[-1]


def start(org, **since):
    _, page = pull(org, org.crm.begin(NOON - timedelta(**(since or {"hours": 1}))))
    return page.cursor


def ids(facts, kind=CrmRecord):
    return [fact.identity.id for fact in facts if isinstance(fact, kind)]


def test_the_first_round_tells_people_and_queues_however_old_they_are(org):
    facts, _ = pull(org, org.crm.begin(NOON))
    people = [fact for fact in facts if isinstance(fact, CrmUser)]
    assert org.rep in [one.identity.id for one in people if not one.queue]
    assert any(one.queue and one.identity.object == "Queue" for one in people)


def test_what_reps_do_is_told_with_who_did_it_and_when(org):
    [lead] = org.leads(1)
    cursor = start(org)
    org.control.clock_advance(60)
    org.act("edit_lead", lead=lead.id, fields={"Status": "Working - Contacted", "OwnerId": org.rep}, **{"as": org.rep})
    call = org.act("log_call", lead=lead.id, subject="Spoke to her", **{"as": org.rep})["id"]
    facts, _ = pull(org, cursor)
    changes = {fact.field: fact for fact in facts if isinstance(fact, FieldChange)}
    assert (changes["status"].old, changes["status"].new) == ("Open - Not Contacted", "Working - Contacted")
    assert (changes["owner"].new, changes["owner"].by) == (org.rep, org.rep)
    assert changes["owner"].at == NOON + timedelta(seconds=60)
    assert len([fact for fact in facts if isinstance(fact, FieldChange)]) == 2
    [task] = [fact for fact in facts if isinstance(fact, CrmTask)]
    assert (task.identity.id, task.type, task.closed, task.record, task.key) == (call, "Call", True, lead, "")
    [record] = [fact for fact in facts if isinstance(fact, CrmRecord)]
    assert (record.fields["status"], record.modified_by) == ("Working - Contacted", org.rep)


def test_a_meeting_is_told_from_its_booking_with_who_booked_it(org):
    [lead] = org.leads(1)
    cursor = start(org)
    org.control.clock_advance(60)
    at = NOON + timedelta(days=7)
    made = org.act("book_meeting", lead=lead.id, subject="Demo", start=f"{at:%FT%TZ}", **{"as": org.rep})["id"]
    seen = []
    for _ in range(4):
        facts, page = pull(org, cursor)
        cursor, seen = page.cursor, seen + [fact for fact in facts if isinstance(fact, CrmTask)]
        org.control.clock_advance(60)
    [meeting] = seen
    assert (meeting.identity.object, meeting.identity.id, meeting.record) == ("Event", made, lead)
    assert (meeting.type, meeting.closed, meeting.key, meeting.subject) == ("Meeting", True, "", "Demo")
    assert (meeting.created_by, meeting.owner, meeting.closed_at) == (org.rep, org.rep, NOON + timedelta(seconds=60))
    assert org.crm.look([meeting.identity]).facts == (meeting,)
    org.act("delete", object="Event", id=made)
    for _ in range(2):
        facts, page = pull(org, cursor)
        cursor = page.cursor
        if gone := [fact for fact in facts if isinstance(fact, CrmTask)]:
            break
    assert [one.deleted for one in gone] == [True]


def test_what_is_known_to_be_read_waits_for_the_meetings(org):
    """Law 12: they are read every other round, and count as a touch."""
    org.crm = org.connect(in_flight="0s")
    cursor = start(org)
    began = {}
    for n in range(1, 13):
        org.control.clock_advance(60)
        _, page = pull(org, cursor)
        cursor, began[n] = page.cursor, NOON + timedelta(seconds=60 * n)
        assert page.seen_until == began[n - n % 2] if n > 1 else page.seen_until == NOON


@pytest.mark.parametrize("held", ["0s", "10s", "25s"])
def test_what_was_being_saved_while_we_read_is_not_counted_as_read(org, held):
    """Law 12: an answer is saved at 12:00:55 and shows up at 12:01:03; the round between must not pass 12:00:55."""
    [lead] = org.leads(1, OwnerId=org.rep)
    org.crm = org.connect(in_flight=held)
    cursor = start(org)
    org.control.clock_advance(52)
    for _ in range(2):
        _, page = pull(org, cursor)
        cursor = page.cursor
    org.control.clock_advance(3)
    org.act("begin", name="flows")
    org.act("edit_lead", lead=lead.id, fields={"Status": "Working - Contacted"}, transaction="flows")
    org.control.clock_advance(5)
    for _ in range(2):
        facts, page = pull(org, cursor)
        cursor = page.cursor
        assert not ids(facts)
    org.control.clock_advance(3)
    org.act("commit", transaction="flows")
    facts, _ = pull(org, cursor)
    [change] = [fact for fact in facts if isinstance(fact, FieldChange)]
    assert (page.seen_until < change.at) is (held != "0s")
    begun = org.connect(in_flight=held)
    done = list(begun.pull(begun.begin(NOON - timedelta(hours=1), NOON)))[-1]
    assert done.seen_until == NOON, "a time that is long over is read whole"


def test_a_slow_save_of_a_meeting_is_found(org):
    [lead] = org.leads(1)
    cursor = start(org)
    org.control.clock_advance(60)
    org.act("begin", name="slow")
    made = org.act("book_meeting", lead=lead.id, transaction="slow", **{"as": org.rep})["id"]
    told = []
    for minute in range(12):
        org.control.clock_advance(60)
        if minute == 8:
            org.act("commit", transaction="slow")
        facts, page = pull(org, cursor)
        cursor, told = page.cursor, told + ids(facts, CrmTask)
    assert told == [made]


def test_an_org_whose_meetings_cannot_be_seen_is_read_without_them(org, caplog):
    for field in ("WhoId", "Subject", "OwnerId"):
        org.act("set_field_access", object="Event", field=field, read=False, edit=False)
    [lead] = org.leads(1)
    org.act("book_meeting", lead=lead.id, **{"as": org.rep})
    facts, page = pull(org, org.crm.begin(NOON - timedelta(hours=1)))
    assert ids(facts) == [lead.id]
    assert not ids(facts, CrmTask)
    assert page.seen_until is not None


def test_who_changed_a_contact_is_told_from_its_history(org):
    row = {"LastName": "Silva", "Email": "rosa@example.com", "OwnerId": org.rep}
    [contact] = org.control.seed(contacts=[row])["contacts"]
    other = org.known["second_rep_user_id"]
    cursor = start(org)
    org.control.clock_advance(60)
    org.control.clear_calls()
    org.act("edit", object="Contact", id=contact, fields={"OwnerId": other}, **{"as": org.rep})
    org.act("automation_edit", ids=[contact], fields={"Title": "VP"})
    facts, _ = pull(org, cursor)
    assert org.cost() == 2, "one round, and one call for the history of what has changed"
    [record] = [fact for fact in facts if isinstance(fact, CrmRecord)]
    assert record.modified_by == org.known["automation_user_id"]
    [change] = [fact for fact in facts if isinstance(fact, FieldChange)]
    assert (change.record.object, change.record.id, change.field) == ("Contact", contact, "owner")
    assert (change.old, change.new, change.by) == (org.rep, other, org.rep)
    assert change in org.crm.look([change.record]).facts


def test_a_conversion_is_told_with_contact_and_deal(org):
    [lead] = org.leads(1, OwnerId=org.rep)
    cursor = start(org)
    org.control.clock_advance(60)
    made = org.act("convert_lead", lead=lead.id, opportunity="Ten seats")
    facts, page = pull(org, cursor)
    records = {fact.identity: fact for fact in facts if isinstance(fact, CrmRecord)}
    contact = Identity("salesforce", "Contact", made["contact"])
    assert records[lead].converted_to == contact
    assert records[contact].account == made["account"]
    assert records[contact].fields["company"] == "Example"
    [deal] = [fact for fact in facts if isinstance(fact, Opportunity)]
    assert (deal.people, deal.closed) == ((contact,), False)
    org.control.clock_advance(60)
    org.act("win_opportunity", opportunity=made["opportunity"], amount=1200)
    _, page = pull(org, page.cursor)  # deals are read every other round
    facts, _ = pull(org, page.cursor)
    [deal] = [fact for fact in facts if isinstance(fact, Opportunity)]
    assert (deal.won, deal.amount, deal.closed_on) == (True, 1200, "2026-11-23")


def test_the_currency_of_a_deal_is_told_where_the_org_has_several(org):
    """Not asked for without the option: in an org with one currency there is no such field."""
    org.act("add_field", object="Opportunity", field="CurrencyIsoCode string(3)")
    [lead] = org.leads(1, OwnerId=org.rep)
    several = org.connect(deal_currency="CurrencyIsoCode")
    made = org.act("convert_lead", lead=lead.id, opportunity="Ten seats")
    org.act("edit", object="Opportunity", id=made["opportunity"], fields={"CurrencyIsoCode": "USD"})
    deal = Identity("salesforce", "Opportunity", made["opportunity"])
    told = [[fact for fact in crm.look([deal]).facts if isinstance(fact, Opportunity)] for crm in (org.crm, several)]
    assert [fact.currency for (fact,) in told] == ["", "USD"]


def test_accounts_are_told_whole_at_the_start_and_by_turns_after_it(org):
    row = {"Name": "Nordvind", "Website": "nordvind.example", "Phone": "+46 8 987 650", "OwnerId": org.rep}
    [acme] = org.control.seed(accounts=[{**row, "Industry": "Steel", "NumberOfEmployees": 90}])["accounts"]
    told, page = pull(org, org.crm.begin(NOON - timedelta(days=1), None))
    [account] = [fact for fact in told if isinstance(fact, Account)]
    assert (account.identity, account.deleted) == (Identity("salesforce", "Account", acme), False)
    assert account.attributes == {
        "name": "Nordvind",
        "website": "nordvind.example",
        "phone": "+46 8 987 650",
        "owner": org.rep,
        "industry": "Steel",
        "employees": 90,
    }
    org.control.clock_advance(60)
    org.act("edit", object="Account", id=acme, fields={"Industry": "Coal"}, **{"as": org.rep})
    org.control.clear_calls()
    found = []
    for _ in range(10):
        facts, page = pull(org, page.cursor)
        found += [fact.attributes["industry"] for fact in facts if isinstance(fact, Account)]
    assert found == ["Coal"]
    assert org.cost() == 10, "an account costs no call of its own"
    org.act("delete", object="Account", id=acme, **{"as": org.rep})
    for _ in range(10):
        facts, page = pull(org, page.cursor)
        found += [fact.deleted for fact in facts if isinstance(fact, Account)]
    assert found == ["Coal", True]


def test_a_cursor_of_an_older_version_reads_all_accounts(org):
    cursor = json.loads(start(org))
    org.control.seed(accounts=[{"Name": "Nordvind"}])
    del cursor["marks"]["Account"]
    found: list[str] = []
    text = json.dumps(cursor)
    for _ in range(10):
        facts, page = pull(org, text)
        text = page.cursor
        found += [fact.attributes["name"] for fact in facts if isinstance(fact, Account)]
    assert found == ["Nordvind"]


def test_merged_and_deleted_leads_are_told(org):
    winner, loser, gone = org.leads(3)
    cursor = start(org)
    org.control.clock_advance(60)
    org.act("merge_leads", winner=winner.id, losers=[loser.id])
    org.act("delete_lead", lead=gone.id)
    for facts in (pull(org, cursor)[0], org.crm.look([loser, gone]).facts):
        assert [(one.winner, one.losers) for one in facts if isinstance(one, Merged)] == [(winner, (loser,))]
        assert ids(facts, Deleted) == [gone.id]


def test_what_is_committed_late_is_found(org):
    """Law 12's other half: a row with an old stamp that shows up after we have read past it."""
    cursor = start(org)
    org.control.clock_advance(60)
    org.act("begin", name="slow")
    made = org.act("new_lead", fields={"LastName": "Late"}, transaction="slow")["id"]
    seen = []
    for second in range(60, 960, 60):
        org.control.clock_advance(60)
        if second == 540:
            org.act("commit", transaction="slow")
        facts, page = pull(org, cursor)
        seen += [second] * (made in ids(facts))
        cursor = page.cursor
    assert seen, "The late lead was never told."
    assert seen[0] <= 540 + 360
    assert len(seen) == 1, "It was told again although nothing had changed."


def test_thousands_with_one_stamp_across_pages_survive_a_restart_after_any_page(org):
    org.control.seed(settings={"page_size": 200})
    leads = {lead.id for lead in org.leads(1500)}
    pages = list(org.crm.pull(org.crm.begin(NOON - timedelta(hours=1))))
    assert len(pages) == 8
    before = set()
    for page in pages:
        before |= set(ids(page.facts))
        rest, _ = pull(org, page.cursor, org.connect())
        assert before | set(ids(rest)) == leads


def test_rows_that_change_while_pages_are_read_are_told_as_they_are_in_the_end(org):
    org.control.seed(settings={"page_size": 100})
    leads = org.leads(300)
    told = {}
    for n, page in enumerate(org.crm.pull(org.crm.begin(NOON - timedelta(hours=1)))):
        told |= {fact.identity: fact for fact in page.facts if isinstance(fact, CrmRecord)}
        if n == 0:
            org.act("automation_edit", ids=[lead.id for lead in leads], fields={"Status": "Recycled"})
    told |= {fact.identity: fact for fact in pull(org, page.cursor)[0] if isinstance(fact, CrmRecord)}
    assert {told[lead].fields["status"] for lead in leads} == {"Recycled"}


def test_a_page_that_was_not_stored_is_told_again(org):
    org.leads(3)
    cursor = org.crm.begin(NOON - timedelta(hours=1))
    first, _ = pull(org, cursor)
    second, _ = pull(org, cursor)
    assert ids(first) == ids(second) != []


def test_a_simulated_idle_day_costs_at_most_1440_calls(org):
    cursor = start(org)
    org.control.clear_calls()
    for _ in range(90):  # one day in sixteenths: the rare rounds come every thirty
        org.control.clock_advance(60)
        _, page = pull(org, cursor)
        cursor = page.cursor
    assert org.cost() * 16 <= 1440
    assert org.crm.calls()["limit"] == 15_000


def test_a_thousand_handoffs_cost_at_most_20_calls(org):
    leads = org.leads(1000)
    batch = [org.write(lead, key=f"w{n}") for n, lead in enumerate(leads)]
    batch += [org.task(lead, key=f"t{n}", depends_on=(f"w{n}",)) for n, lead in enumerate(leads)]
    org.control.clear_calls()
    outcomes = dict(org.crm.apply(batch))
    assert {type(outcome).__name__ for outcome in outcomes.values()} == {"Done"}
    assert len(outcomes) == 2000
    assert len(org.tasks()) == 1000
    assert org.cost() <= 20
    assert {row["Status"] for row in org.rows("Lead")} == {"Sales Ready"}


def test_looking_at_a_thousand_leads_costs_few_calls(org):
    leads = org.leads(1000)
    org.crm.me()
    org.control.clear_calls()
    page = org.crm.look(leads)
    assert set(ids(page.facts)) == {lead.id for lead in leads}
    assert org.cost() <= 3


def test_the_queues_and_users_that_come_later_are_told_within_half_an_hour(org):
    cursor = start(org)
    org.control.clock_advance(60)
    user = org.control.seed(users=[{"Name": "New Rep"}])["users"][0]
    told = []
    for _ in range(30):
        org.control.clock_advance(60)
        facts, page = pull(org, cursor)
        cursor, told = page.cursor, told + ids(facts, CrmUser)
    assert user in told


def test_cold_work_waits_when_most_of_the_day_is_used(org):
    [lead] = org.leads(1)
    pull(org, org.crm.begin(NOON))
    org.act("use_quota", calls=11_000)
    pull(org, org.crm.begin(NOON))
    outcome = dict(org.crm.apply([org.write(lead, lane=1)]))["e1:1.1:write"]
    assert "Cold work waits" in outcome.why
    assert type(dict(org.crm.apply([org.write(lead)]))["e1:1.1:write"]).__name__ == "Done"


def test_an_object_that_is_not_there_is_left_out_with_a_warning(org, caplog):
    org.leads(1)
    org.control.plant(
        status=200,
        match={"path": "/composite$"},
        body=msgspec.json.encode(
            {
                "compositeResponse": [
                    {
                        "referenceId": f"r{n}",
                        "httpStatusCode": 400 if n == 3 else 200,
                        "httpHeaders": {},
                        "body": [
                            {"errorCode": "INVALID_TYPE", "message": "sObject type 'LeadHistory' is not supported."}
                        ]
                        if n == 3
                        else {"totalSize": 0, "done": True, "records": []},
                    }
                    for n in range(5)
                ]
            }
        ).decode(),
    )
    with caplog.at_level(logging.WARNING):
        facts, _ = pull(org, org.crm.begin(NOON - timedelta(hours=1)))
    assert ids(facts) == []
    assert "LeadHistory" in caplog.text


# -- logging in


def test_client_credentials_also_work(org):
    secret = org.known["client_secret"]
    org.table["client_secret"] = {"command": ["echo", secret]}
    crm = org.connect(private_key=None, username="")
    assert crm.me() == org.known["integration_user_id"]


def test_a_wrong_key_and_a_missing_secret_are_told_without_showing_them(org, tmp_path):
    (tmp_path / "bad.pem").write_text("not a key at all")
    with pytest.raises(ConnectorDownError, match="not an RSA key") as caught:
        org.connect(private_key={"file": str(tmp_path / "bad.pem")}).me()
    assert "not a key at all" not in repr(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        org.connect(private_key={"file": str(tmp_path / "none.pem")}).me()
    [problem] = org.connect(username="nobody@example.com").check()
    assert "refused the login" in problem.message
    assert "nobody@" not in str(problem)


def test_a_clock_that_is_hours_off_is_mended_by_the_orgs_own_time(org):
    options = msgspec.convert(org.table, Options)
    with salesforce.open("salesforce", options, clock=ManualClock(datetime(2020, 1, 1, tzinfo=UTC))) as crm:
        assert crm.me() == org.known["integration_user_id"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"private_key": None}, "exactly one of"),
        ({"username": ""}, "needs the integration user's username"),
        ({"api_version": "v60"}, "api_version is written like"),
        ({"fields": {"score": "Score') OR Id != ('"}}, "is not the API name of a field"),
        ({"timezone": "Mars/Olympus"}, "is not a time zone"),
        ({"overlap": "long"}, "is not a length of time"),
        ({"colour": "red"}, "unknown field"),
    ],
)
def test_wrong_options_are_told(org, wrong, told):
    with pytest.raises(msgspec.ValidationError, match=told):
        msgspec.convert({**org.table, **wrong}, Options)


@responses.activate
def test_the_same_page_twice_raises_instead_of_looping(org):
    """Recorded shapes; the sandbox cannot be made to loop."""
    responses.add(
        responses.POST,
        f"{org.url}/services/oauth2/token",
        json={"access_token": "t", "instance_url": org.url, "id": f"{org.url}/id/00D/005"},
    )
    page = {"done": False, "records": [], "nextRecordsUrl": "/services/data/v60.0/query/01g-2000"}

    def answer(request):
        asked = msgspec.json.decode(request.body)["compositeRequest"]
        parts = [{"referenceId": one["referenceId"], "httpStatusCode": 200, "body": page} for one in asked[:1]]
        parts += [
            {"referenceId": one["referenceId"], "httpStatusCode": 200, "body": {"done": True, "records": []}}
            for one in asked[1:]
        ]
        return 200, {}, msgspec.json.encode({"compositeResponse": parts})

    responses.add_callback(responses.POST, f"{org.url}/services/data/v60.0/composite", answer)
    options = msgspec.convert(org.table, Options)
    with (
        salesforce.open("salesforce", options, clock=ManualClock(NOON)) as crm,
        pytest.raises(RetryableError, match="twice"),
    ):
        list(crm.pull(crm.begin(NOON)))


def test_an_expired_locator_starts_the_walk_again_from_the_cursor(org):
    org.control.seed(settings={"page_size": 100})
    leads = {lead.id for lead in org.leads(450)}
    cursor = org.crm.begin(NOON - timedelta(hours=1))
    told = set()
    with pytest.raises(RetryableError, match="INVALID_QUERY_LOCATOR"):
        for page in org.crm.pull(cursor):
            told, cursor = told | set(ids(page.facts)), page.cursor
            org.act("expire_locators")
    assert told < leads
    assert told | set(ids(pull(org, cursor)[0])) == leads


@pytest.mark.parametrize(
    ("zone", "day"), [("UTC", "2026-11-23"), ("Asia/Tokyo", "2026-11-24"), ("America/Sao_Paulo", "2026-11-23")]
)
def test_a_task_is_due_on_the_day_of_the_orgs_people(org, zone, day):
    [lead] = org.leads(1)
    due = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)
    list(org.connect(timezone=zone).apply([org.task(lead, due=due, remind_at=due, priority="high")]))
    [task] = org.tasks()
    assert (task["ActivityDate"], task["Priority"], task["IsReminderSet"]) == (day, "High", True)
    assert task["ReminderDateTime"] == "2026-11-23T23:00:00.000+0000"


def test_long_texts_are_cut_to_what_a_task_holds(org):
    [lead] = org.leads(1)
    list(org.crm.apply([org.task(lead, subject="s" * 300, body="b" * 40_000)]))
    [task] = org.tasks()
    assert (len(task["Subject"]), len(task["Description"])) == (255, 32_000)


def test_an_allowance_of_our_own_stops_us_and_says_until_when(org):
    crm = org.connect(api_budget={"calls_per_day": 3})
    cursor = list(crm.pull(crm.begin(NOON)))[-1].cursor
    list(crm.pull(cursor))
    with pytest.raises(ConnectorDownError, match="3 calls a day that the config allows") as caught:
        list(crm.pull(cursor))
    assert caught.value.until > NOON + timedelta(hours=23)


def test_users_who_say_that_they_are_out(org):
    started = {"Out_From__c": "2026-11-23T15:00:00Z"}
    org.control.seed(
        users=[
            {"Name": "Away", "Email": "a@example.com", **started, "Out_Until__c": "2026-11-25"},
            {"Name": "Ill", "Email": "i@example.com", "Out_Until__c": "2026-11-25"},
            {"Name": "Open end", "Email": "o@example.com", **started},
        ]
    )
    fields = {"away_from": "Out_From__c", "away_until": "Out_Until__c"}
    crm = org.connect(user_fields=fields, timezone="Europe/Berlin")
    facts, _ = pull(org, crm.begin(NOON), crm)
    told = {one.name: (one.away_from, one.away_until) for one in facts if isinstance(one, CrmUser)}
    end = datetime(2026, 11, 25, 23, 0, tzinfo=UTC)  # the last day is one of them, in Berlin
    assert told["Away"] == (datetime(2026, 11, 23, 15, 0, tzinfo=UTC), end)
    assert told["Ill"] == (None, end)
    assert told["Open end"] == (None, None), "without an end it may be left over"
    assert not [one for one in crm.check() if "user_fields" in one.path]
    wrong = org.connect(user_fields={**fields, "away_from": "Nowhere__c"})
    [problem] = [one for one in wrong.check() if "user_fields" in one.path]
    assert problem.path == "crm.user_fields.away_from" and "does not exist" in problem.message and not problem.fatal
    assert isinstance(pull(org, wrong.begin(NOON), wrong)[0], list), "all else is read"
