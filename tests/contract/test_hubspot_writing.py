"""Writing contacts: stages that go back, dates and numbers, and never a second contact with one address."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from syncagent.connectors.hubspot.shapes import Property
from syncagent.connectors.hubspot.values import actor, read, same, written
from syncagent.model import CrmRecord, Done, Refused, Retry
from tests.contract.hubspot_portal import NOON, again, until_done

STAGES = {"MQL": "marketingqualifiedlead", "Recycled": "lead"}


def new(portal, key="e1:1.1:write", email="new@example.com", **more):
    given = {"expects": {}, "emails": (email,), "create": {"last_name": "New", "company": "Example"}, **more}
    return portal.write(None, key, **given)


# -- lifecycle stages


@pytest.mark.parametrize("stage", ["", "subscriber", "lead"])
def test_a_stage_goes_forward_beside_the_status_in_one_call(portal, stage):
    crm = portal.connect(lifecycle=STAGES)
    [contact] = portal.contacts(1, lifecyclestage=stage)
    crm.look([contact])
    before = len(portal.paths())
    assert isinstance(dict(crm.apply([portal.write(contact)]))["e1:1.1:write"], Done)
    assert portal.row(contact)["lifecyclestage"] == "marketingqualifiedlead"
    assert len([path for path in portal.paths()[before:] if path.endswith("/update")]) == 1


@pytest.mark.parametrize("setting", ["kept", "refused"])
def test_a_stage_goes_back_by_clearing_it_first(portal, setting):
    portal.act("set_settings", lifecycle_backwards=setting)
    crm = portal.connect(lifecycle=STAGES)
    contacts = portal.contacts(3, lifecyclestage="opportunity")
    batch = [portal.write(one, f"w{n}") for n, one in enumerate(contacts)]
    outcomes = dict(crm.apply(batch))
    assert all(isinstance(one, Done) for one in outcomes.values())
    assert [portal.row(one)["lifecyclestage"] for one in contacts] == ["marketingqualifiedlead"] * 3
    assert len([path for path in portal.paths() if path.endswith("/update")]) == 2, "two calls for all of them"
    assert outcomes["w0"].receipt.values["status"] == "MQL"
    assert not outcomes["w0"].receipt.note


@pytest.mark.parametrize("drop", ["before", "after"])
def test_a_stage_that_was_cleared_is_set_by_the_repeat_when_an_answer_is_lost(portal, drop):
    crm = portal.connect(lifecycle=STAGES)
    [contact] = portal.contacts(1, lifecyclestage="opportunity")
    portal.control.plant(drop=drop, match={"path": "/contacts/batch/update", "after": 1})
    outcomes, errors = until_done(portal, [portal.write(contact)], crm)
    assert len(errors) == 1
    assert isinstance(outcomes["e1:1.1:write"], Done)
    assert portal.row(contact)["lifecyclestage"] == "marketingqualifiedlead"


def test_a_customer_stays_one(portal):
    crm = portal.connect(lifecycle=STAGES)
    [contact] = portal.contacts(1, lifecyclestage="customer")
    assert isinstance(dict(crm.apply([portal.write(contact)]))["e1:1.1:write"], Done)
    assert portal.row(contact)["lifecyclestage"] == "customer"
    assert portal.row(contact)["hs_lead_status"] == "MQL"


# -- values


def test_the_same_row_once_more_costs_no_write(portal):
    [contact] = portal.contacts(1)
    write = portal.write(contact, values={**portal.write(contact).values, "recycle_until": "2027-01-31"})
    list(portal.crm.apply([write]))
    row = portal.row(contact)
    assert row["mql_date"] == "2026-11-23T12:00:00.000Z"
    assert row["recycle_until"] == "2027-01-31"
    before = len(portal.paths())
    outcome = dict(portal.crm.apply([again(write)]))["e1:1.1:write"]
    assert outcome.receipt.adopted
    assert [path for path in portal.paths()[before:] if not path.endswith("/read")] == []


def test_a_value_is_cleared_by_nothing(portal):
    [contact] = portal.contacts(1, recycle_until="2027-01-31", hubspot_owner_id=portal.rep)
    list(portal.crm.apply([portal.write(contact, values={"recycle_until": None, "owner": None})]))
    row = portal.row(contact)
    assert "recycle_until" not in row
    assert "hubspot_owner_id" not in row


NUMBER, DATE, MOMENT, FLAG = (Property("p", kind) for kind in ("number", "date", "datetime", "bool"))


@pytest.mark.parametrize(
    ("known", "text", "value"),
    [
        (NUMBER, "72", 72),
        (NUMBER, "72.5", 72.5),
        (NUMBER, "many", "many"),
        (NUMBER, "", None),
        (DATE, "2027-01-31", "2027-01-31"),
        (DATE, "1801353600000", "2027-01-31"),
        (MOMENT, "2026-11-23T12:00:00.5Z", "2026-11-23T12:00:00.500000+00:00"),
        (MOMENT, "1795435200000", "2026-11-23T12:00:00+00:00"),
        (FLAG, "true", True),
        (FLAG, "maybe", "maybe"),
        (None, "x", "x"),
    ],
)
def test_values_become_ours_and_go_back_as_they_were(known, text, value):
    assert read(text, known) == value
    assert same(read(written(value, known), known), value)


@pytest.mark.parametrize(
    ("one", "other", "are"),
    [
        (None, "", True),
        ("72", 72, True),
        (72.0, 72, True),
        (True, "true", True),
        ("2026-11-23", "2026-11-23T12:00:00+00:00", True),
        ("2026-11-23T12:00:00.001Z", "2026-11-23T12:00:00Z", False),
        ("A", "B", False),
        (0, None, False),
        ("x", 1, False),
    ],
)
def test_two_values_are_one_or_are_not(one, other, are):
    assert same(one, other) is are
    assert same(other, one) is are


@pytest.mark.parametrize(
    ("entry", "who"),
    [
        ({"sourceType": "INTEGRATION", "sourceId": "54321"}, "app:54321"),
        ({"sourceType": "INTEGRATION", "sourceId": "99"}, "automation"),
        ({"sourceType": "CRM_UI", "sourceId": "userId:7"}, "owner of 7"),
        ({"sourceType": "MOBILE_IOS", "updatedByUserId": 7}, "owner of 7"),
        ({"sourceType": "IMPORT", "updatedByUserId": 8}, "user:8"),
        ({"sourceType": "AUTOMATION_PLATFORM", "sourceId": "enrollmentId:1"}, "automation"),
        ({"sourceType": "AUTOMATION_PLATFORM", "updatedByUserId": 7}, "automation"),
        ({"sourceType": "FORM"}, "automation"),
        ({}, "automation"),
    ],
)
def test_who_made_an_entry_of_a_history(entry, who):
    owners = {7: "owner of 7"}
    assert actor(entry, "54321", lambda user: owners.get(user, ""), "app:54321") == who


# -- new contacts


def test_a_contact_that_is_there_is_found_by_a_second_address_and_left_as_it_is(portal):
    [contact] = portal.contacts(1, hs_lead_status="Working")
    [second] = portal.control.seed(contacts=[{"email": "new@example.com"}])["contacts"]
    portal.act("set_settings", merge_id="primary")
    portal.act("merge_contacts", primary=contact.id, loser=second)
    outcomes = dict(portal.crm.apply([new(portal), portal.task(None, depends_on=("e1:1.1:write",))]))
    receipt = outcomes["e1:1.1:write"].receipt
    assert receipt.record == contact
    assert receipt.adopted
    assert receipt.values["status"] == "Working"
    assert isinstance(outcomes["e1:1.1:task"], Retry), "it is planned anew first"
    assert portal.row(contact)["hs_lead_status"] == "Working"
    assert [row["id"] for row in portal.rows("contacts") if not row["survivor"]] == [contact.id]
    cursor = portal.crm.begin(NOON.replace(year=2027))
    told = {fact.identity for page in portal.crm.pull(cursor) for fact in page.facts if isinstance(fact, CrmRecord)}
    assert told == {contact}, "the next round tells it, whenever it was changed"


def test_somebody_who_appears_between_the_look_and_the_creation_is_adopted(portal):
    look = portal.crm.portal.read

    def then_somebody_comes(kind, ids, names, **more):
        found = look(kind, ids, names, **more)
        if more.get("by") == "email":
            portal.contacts(1, email="new@example.com")
        return found

    portal.crm.portal.read = then_somebody_comes
    receipt = dict(portal.crm.apply([new(portal)]))["e1:1.1:write"].receipt
    portal.crm.portal.read = look
    assert receipt.adopted
    assert receipt.values["status"] == "Open"
    assert len(portal.rows("contacts")) == 1


def test_two_at_once_make_one_contact(portal):
    crms = [portal.connect() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda n: dict(crms[n].apply([new(portal, f"w{n}")]))[f"w{n}"], range(4)))
    assert all(isinstance(one, Done) for one in outcomes)
    assert len(portal.rows("contacts")) == 1
    assert len({one.receipt.record for one in outcomes}) == 1


def test_one_address_in_another_case_is_one(portal):
    outcomes = dict(portal.crm.apply([new(portal, "w1", "New@Example.com"), new(portal, "w2", "new@example.com")]))
    assert sorted(type(one).__name__ for one in outcomes.values()) == ["Done", "Retry"]
    list(portal.crm.apply([again(new(portal, "w2", "new@example.com"))]))
    assert len(portal.rows("contacts")) == 1


def test_nobody_is_created_without_an_address_or_against_the_config(portal):
    outcomes = dict(portal.crm.apply([new(portal, "w1", emails=()), new(portal, "w2", create=None)]))
    assert all(isinstance(one, Refused) for one in outcomes.values())
    assert "when_missing" in outcomes["w2"].why
    assert portal.rows("contacts") == []


@pytest.mark.parametrize("version", ["v3", "2026-03"])
def test_the_version_of_the_paths_stands_in_one_place(portal, version):
    crm = portal.connect(api_version=version)
    [contact] = portal.contacts(1)
    outcomes = dict(crm.apply([portal.write(contact), portal.task(contact, depends_on=("e1:1.1:write",))]))
    assert all(isinstance(one, Done) for one in outcomes.values())
    list(crm.pull(crm.begin(NOON)))
    assert crm.check() == []
    paths = [call["path"] for call in portal.control.calls() if call["path"].startswith("/crm/")]
    assert paths
    assert all((f"/{version}" in path) or (version == "v3" and "/v4/" in path) for path in paths)
