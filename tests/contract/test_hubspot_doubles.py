"""One contact a person in HubSpot, whatever people do between our look and our insert (crm.md B3: 409 names it)."""

import pytest

from syncagent.model import CrmRecord, Done, Retry
from tests.contract.hubspot_portal import NOON, again, until_done
from tests.contract.test_hubspot_writing import new

CREATE = {"path": "/contacts/batch/create"}


@pytest.fixture
def meanwhile(portal):
    """`meanwhile(act)` lets somebody act between our look and our insert, once."""

    def between(act):
        look, pending = portal.crm.portal.read, [act]

        def then_somebody_acts(kind, ids, names, **more):
            found = look(kind, ids, names, **more)
            if more.get("by") == "email" and pending:
                pending.pop()()
            return found

        portal.crm.portal.read = then_somebody_acts

    return between


def people(portal, count):
    return [new(portal, f"w{n}", f"new{n}@example.com") for n in range(count)]


def alive(portal):
    return [row for row in portal.rows("contacts") if not row["archived"] and not row["survivor"]]


def made(portal, **values):
    return portal.control.seed(contacts=[{"lastname": "Theirs", "hs_lead_status": "Working", **values}])["contacts"][0]


def test_whom_somebody_makes_between_look_and_insert_is_taken_up_and_the_others_are_made(portal, meanwhile):
    theirs = {}
    meanwhile(lambda: theirs.update({n: made(portal, email=f"new{n}@example.com") for n in range(0, 100, 4)}))
    before = len(portal.paths())
    outcomes = dict(portal.crm.apply(people(portal, 100)))
    assert all(isinstance(one, Done) for one in outcomes.values())
    assert len(alive(portal)) == 100, "nobody twice"
    for n, ident in theirs.items():
        receipt = outcomes[f"w{n}"].receipt
        assert (receipt.record.id, receipt.adopted, receipt.values["status"]) == (ident, True, "Working")
        assert portal.row(ident)["hs_lead_status"] == "Working", "theirs stays as it is"
    told = [path for path in portal.paths()[before:] if path.endswith("/contacts/batch/read")]
    assert len(told) == 2, "one look before, one for all who were there"


def test_an_address_that_is_somebodys_second_one_makes_no_second_contact(portal, meanwhile):
    """HubSpot refuses a second address as it refuses a first one, also where the look has not found it."""
    [theirs] = portal.control.seed(contacts=[{"email": "old@example.com", "hs_lead_status": "Working"}])["contacts"]
    loser = {}
    portal.act("set_settings", merge_id="primary")

    def they_merge():
        loser["id"] = made(portal, email="new0@example.com")
        portal.act("merge_contacts", primary=theirs, loser=loser["id"])

    meanwhile(they_merge)
    receipt = dict(portal.crm.apply(people(portal, 1)))["w0"].receipt
    assert (receipt.record.id, receipt.adopted) == (theirs, True)
    assert portal.row(theirs)["hs_additional_emails"] == "new0@example.com"
    cursor = portal.crm.begin(NOON.replace(year=2027))
    told = [fact for page in portal.crm.pull(cursor) for fact in page.facts if isinstance(fact, CrmRecord)]
    assert [fact.emails for fact in told] == [("old@example.com", "new0@example.com")]


def test_a_second_address_is_found_by_the_look_itself(portal):
    theirs = made(portal, email="old@example.com", hs_additional_emails="new0@example.com;other@example.com")
    receipt = dict(portal.crm.apply(people(portal, 1)))["w0"].receipt
    assert (receipt.record.id, receipt.adopted) == (theirs, True)
    assert len(alive(portal)) == 1


@pytest.mark.parametrize("version", ["v3", "2026-09"])
def test_a_conflict_that_refuses_the_whole_call_leads_to_the_contact_too(portal, meanwhile, version):
    """The dated versions no longer promise an answer for each row (crm.md B1)."""
    portal.crm = portal.connect(api_version=version)
    theirs = {}

    def somebody_comes():
        theirs["id"] = made(portal, email="new7@example.com")
        text = f"Contact already exists. Existing ID: {theirs['id']}"
        body = f'{{"status":"error","category":"CONFLICT","message":"{text}","correlationId":"c"}}'
        path = {"path": "contacts/batch/create", "body": "new7@"}
        portal.control.plant(status=409, body=body, times=None, match=path)

    meanwhile(somebody_comes)
    outcomes = dict(portal.crm.apply(people(portal, 20)))
    assert outcomes["w7"].receipt.record.id == theirs["id"]
    assert sum(isinstance(one, Done) and not one.receipt.adopted for one in outcomes.values()) == 19
    assert len(alive(portal)) == 20


def test_a_contact_that_has_gone_again_is_made_by_the_repeat(portal, meanwhile):
    def somebody_comes_and_goes():
        ident = made(portal, email="new0@example.com")
        portal.act("set_settings", archived_keys="held")
        portal.act("delete", object="contacts", id=ident)

    meanwhile(somebody_comes_and_goes)
    [write] = people(portal, 1)
    outcome = dict(portal.crm.apply([write]))["w0"]
    assert isinstance(outcome, Retry)
    portal.act("set_settings", archived_keys="freed")
    gone = next(row["id"] for row in portal.rows("contacts"))
    portal.act("restore", object="contacts", id=gone)
    portal.act("delete", object="contacts", id=gone)
    outcome = dict(portal.crm.apply([again(write)]))["w0"]
    assert isinstance(outcome, Done)
    assert len(alive(portal)) == 1


def test_whom_somebody_has_merged_away_is_followed_to_the_survivor(portal, meanwhile):
    found = {}

    def they_merge():
        loser = made(portal, email="new0@example.com")
        found["id"] = portal.act("merge_contacts", primary=made(portal, email="a@example.com"), loser=loser)["id"]

    meanwhile(they_merge)
    receipt = dict(portal.crm.apply(people(portal, 1)))["w0"].receipt
    assert receipt.record.id == found["id"]
    assert len(alive(portal)) == 1


@pytest.mark.parametrize("drop", ["before", "after"])
def test_a_lost_answer_makes_no_second_one(portal, drop):
    portal.control.plant(drop=drop, match=CREATE)
    outcomes, errors = until_done(portal, people(portal, 3))
    assert len(errors) == 1
    assert all(isinstance(one, Done) for one in outcomes.values())
    assert len(alive(portal)) == 3


def test_what_is_only_looked_for_is_never_made(portal):
    """A creation whose person turned out to be known: it looks whether it was made, and makes nothing."""
    write = new(portal, "w0", "new0@example.com", create=None)
    assert not isinstance(dict(portal.crm.apply([again(write)]))["w0"], Done)
    assert alive(portal) == []
