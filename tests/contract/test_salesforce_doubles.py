"""One record a person in Salesforce, whatever people do between our look and our insert."""

import pytest

from syncagent.connectors.salesforce import write as writing
from syncagent.errors import RetryableError
from syncagent.model import Done, Identity, Refused
from tests.contract.salesforce_org import again, until_done

EMAILS = ("ana@example.com", "ana@example.org")
NEW = {"last_name": "Silva", "company": "Example", "email": "ana@example.com"}


def made(org):
    """The leads and contacts that are there, by what they are called."""
    rows = [row for kind in ("Lead", "Contact") for row in org.rows(kind)]
    return [row for row in rows if not row["IsDeleted"] and not row.get("IsConverted")]


def creation(org, **more):
    return org.write(None, emails=EMAILS, create=NEW, expects={}, **more)


def outcome_of(org, command):
    return dict(org.crm.apply([command]))[command.key]


@pytest.fixture
def meanwhile(monkeypatch):
    """`meanwhile(act)` lets somebody act between our look and our insert, once."""
    waiting = []
    send = writing.send

    def sent(crm, method, records, headers=None):
        while waiting and method == "POST":
            waiting.pop()()
        return send(crm, method, records, headers)

    monkeypatch.setattr(writing, "send", sent)
    return waiting.append


def known(org, **fields):
    given = {"LastName": "Silva", "Company": "Example", "Email": "ANA@example.org", "Status": "Open - Not Contacted"}
    return lambda: org.act("new_lead", fields=given | fields, **{"as": org.rep})


def test_several_leads_and_a_contact_are_one_record(org):
    [one, two] = org.leads(2, Email="ana@example.com")
    org.act("convert_lead", lead=two.id, **{"as": org.rep})
    outcome = outcome_of(org, creation(org))
    assert isinstance(outcome, Done) and outcome.receipt.adopted
    assert outcome.receipt.record.object == "Contact"
    assert org.row(one)["Status"] == "Open - Not Contacted", "what was found stays as it is"


def test_a_lead_that_somebody_makes_between_look_and_insert_is_taken_up(org, meanwhile):
    meanwhile(known(org))
    outcome = outcome_of(org, creation(org))
    assert isinstance(outcome, Done) and outcome.receipt.adopted
    [row] = made(org)
    assert row["Email"] == "ana@example.org" and outcome.receipt.record.id == row["Id"]
    assert not row.get("SyncAgent_Key__c"), "ours is gone again, theirs stands"


def test_without_the_right_to_delete_both_stand_and_it_is_told(org, meanwhile, caplog):
    meanwhile(known(org))
    org.control.plant(match={"method": "DELETE", "path": "sobjects/Lead"}, status=403)
    outcome = outcome_of(org, creation(org))
    assert isinstance(outcome, Done) and not outcome.receipt.adopted
    assert len(made(org)) == 2
    assert "merge the two" in caplog.text and "ana@" not in caplog.text


def test_a_duplicate_rule_that_stops_the_insert_names_whom_to_take_up(org, meanwhile):
    org.act("set_rule", kind="duplicate", object="Lead", fields=["LastName"], action="block")
    meanwhile(known(org))
    outcome = outcome_of(org, creation(org))
    assert isinstance(outcome, Done) and outcome.receipt.adopted
    assert len(made(org)) == 1


def test_a_duplicate_rule_by_something_else_is_obeyed(org):
    org.leads(1, LastName="Silva")
    org.act("set_rule", kind="duplicate", object="Lead", fields=["LastName"], action="block")
    outcome = outcome_of(org, creation(org))
    assert isinstance(outcome, Refused) and outcome.code == "DUPLICATES_DETECTED"
    assert len(made(org)) == 1


def test_whom_somebody_has_merged_away_is_followed_to_the_winner(org):
    [loser] = org.leads(1, Email="ana@example.com")
    [winner] = org.leads(1, Email="other@example.com")
    org.act("merge_leads", winner=winner.id, losers=[loser.id], **{"as": org.rep})
    outcome = outcome_of(org, creation(org))
    assert isinstance(outcome, Done) and outcome.receipt.record == winner
    assert len(made(org)) == 1


def test_a_converted_lead_whose_contact_has_another_address_is_followed(org):
    [lead] = org.leads(1, Email="ana@example.com")
    org.act("convert_lead", lead=lead.id, **{"as": org.rep})
    contact = Identity("salesforce", "Contact", org.row(lead)["ConvertedContactId"])
    org.act("edit", id=contact.id, fields={"Email": "new@example.net"}, **{"as": org.rep})
    outcome = outcome_of(org, creation(org))
    assert isinstance(outcome, Done) and outcome.receipt.record == contact
    assert len(made(org)) == 1


def test_a_lost_answer_makes_no_second_one(org):
    org.control.plant(match={"method": "POST", "path": "composite/sobjects"}, drop="after")
    command = creation(org)
    with pytest.raises(RetryableError):
        outcome_of(org, command)
    outcome = outcome_of(org, again(command))
    assert isinstance(outcome, Done) and outcome.receipt.adopted
    assert len(made(org)) == 1


@pytest.mark.parametrize("fault", [{"drop": "after"}, {"drop": "before"}, {"html": 503}], ids=str)
def test_a_deletion_without_an_answer_leaves_theirs_alone(org, meanwhile, fault):
    meanwhile(known(org))
    org.control.plant(match={"method": "DELETE", "path": "sobjects/Lead"}, **fault)
    command = creation(org)
    outcomes, errors = until_done(org, [command, org.task(None, depends_on=(command.key,))])
    assert len(errors) == 1
    [row] = made(org)
    assert row["Email"] == "ana@example.org"
    assert outcomes[command.key].receipt.record.id == row["Id"]
    assert not isinstance(outcomes["e1:1.1:task"], Done) and org.tasks() == [], "theirs is planned anew first"


def test_a_lead_of_ours_that_a_rep_works_on_already_stays_beside_theirs(org):
    org.control.plant(match={"method": "POST", "path": "composite/sobjects"}, drop="after")
    command = creation(org)
    with pytest.raises(RetryableError):
        outcome_of(org, command)
    [ours] = made(org)
    org.act("edit_lead", lead=ours["Id"], fields={"Status": "Working - Contacted"}, **{"as": org.rep})
    known(org)()
    outcome = outcome_of(org, again(command))
    assert outcome.receipt.record.id == ours["Id"]
    assert len(made(org)) == 2


def test_what_is_only_looked_for_is_never_taken_back(org):
    command = creation(org)
    outcome_of(org, command)
    known(org)()
    looked = outcome_of(org, org.write(None, emails=EMAILS, values={}, expects={}, attempt=1))
    assert looked.receipt.adopted and len(made(org)) == 2


def test_what_is_only_looked_for_is_never_made(org):
    """A creation whose person turned out to be known: it looks whether it was made, and makes nothing."""
    command = org.write(None, emails=EMAILS, values={}, expects={}, attempt=1)
    assert isinstance(outcome_of(org, command), Refused)
    assert made(org) == []
