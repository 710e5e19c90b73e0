"""Whose company a contact is of, who owns that, and what deals it has: as Salesforce tells of accounts."""

from datetime import timedelta

import pytest

from syncagent.connectors.hubspot import Options
from syncagent.model import Account, CrmRecord, Done, Identity, Opportunity
from tests.contract.hubspot_portal import NOON, both
from tests.contract.test_hubspot_reading import begin, hear, news, one


def firm(portal, *contacts, **values):
    given = {"name": "Acme GmbH", "domain": "acme.example", "hubspot_owner_id": portal.second, **values}
    [made] = portal.control.seed(companies=[{**given, "associate": {"contacts": [one.id for one in contacts]}}])[
        "companies"
    ]
    return made


def read_by_id(portal):
    return [path for path in portal.paths() if path.endswith("/companies/batch/read")]


def test_a_contact_tells_its_company_with_name_domain_and_owner(portal):
    one_, other = portal.contacts(2, company="acme, as they typed it")
    company = firm(portal, one_)
    facts, _ = news(portal, portal.crm.begin(NOON - timedelta(days=1)))
    by_id = {fact.identity: fact for fact in facts if isinstance(fact, CrmRecord)}
    told, alone = by_id[one_], by_id[other]
    assert (told.account, told.fields["company"], told.fields["account_owner"]) == (company, "Acme GmbH", portal.second)
    assert told.fields["website"] == "acme.example"
    assert told.fields["owner"] is None, "the company's owner is not the contact's"
    assert (alone.account, alone.fields["company"]) == ("", "acme, as they typed it")
    assert alone.fields["account_owner"] is None
    assert alone.fields["website"] is None


def test_a_contact_that_changes_its_company_is_told_anew(portal):
    [contact] = portal.contacts(1)
    firm(portal, contact)
    cursor = begin(portal)
    portal.control.clock_advance(5)
    [other] = portal.control.seed(companies=[{"name": "Bolt", "hubspot_owner_id": portal.rep}])["companies"]
    url = f"{portal.url}/crm/v4/objects/contacts/{contact.id}/associations/companies/{other}"
    spec = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 1}]
    portal.crm.portal.call("PUT", url.removeprefix(portal.url), json=spec)
    facts, _ = news(portal, cursor)
    fact = one(facts, CrmRecord)
    assert (fact.account, fact.fields["company"], fact.fields["account_owner"]) == (other, "Bolt", portal.rep)


def test_companies_are_read_by_the_hundred_and_once_in_an_hour(portal):
    contacts = portal.contacts(250)
    for start in range(0, 250, 2):
        firm(portal, *contacts[start : start + 2], name=f"Firm {start}")
    cursor = begin(portal)
    assert not read_by_id(portal), "the walk through companies comes first"
    portal.control.clock_advance(5)
    for contact in contacts:
        portal.act("edit", object="contacts", id=contact.id, values={"city": "Bonn"})
    fresh = portal.connect()
    facts, cursor = news(portal, cursor, fresh)
    told = {fact.fields["company"] for fact in facts if isinstance(fact, CrmRecord)}
    assert told == {f"Firm {n}" for n in range(0, 250, 2)}
    assert len(read_by_id(portal)) == 2, "125 of them"
    portal.act("edit", object="contacts", id=contacts[0].id, values={"city": "Berlin"})
    portal.control.clock_advance(5)
    news(portal, cursor, fresh)
    list(fresh.apply(both(portal, contacts[0])))
    assert len(read_by_id(portal)) == 2


def test_companies_are_accounts_and_told_anew_only_when_something_of_theirs_has_changed(portal):
    [contact] = portal.contacts(1)
    company = firm(portal, contact, numberofemployees=40, country="Germany")
    facts, cursor = news(portal, portal.crm.begin(NOON - timedelta(days=1)))
    told = one(facts, Account)
    assert told.identity == Identity("hubspot", "company", company)
    assert told.identity.id == one(facts, CrmRecord).account, "by this, people are counted to it"
    given = {"name": "Acme GmbH", "domain": "acme.example", "owner": portal.second, "country": "Germany"}
    assert told.attributes == {**given, "employees": 40}
    for values, expected in (({"city": "Bonn"}, []), ({"hubspot_owner_id": portal.rep}, [portal.rep])):
        portal.control.clock_advance(5)
        portal.act("edit", object="companies", id=company, values=values)
        owners = []
        for _ in range(30):
            portal.control.clock_advance(60)
            facts, cursor = news(portal, cursor)
            owners += [fact.attributes["owner"] for fact in facts if isinstance(fact, Account)]
        assert owners == expected
    portal.act("edit", object="contacts", id=contact.id, values={"city": "Bonn"})
    facts, _ = hear(portal, cursor, CrmRecord)
    assert facts[0].fields["account_owner"] == portal.rep


def test_a_deal_tells_its_company(portal):
    [contact] = portal.contacts(1)
    company = firm(portal, contact)
    cursor = begin(portal)
    portal.control.clock_advance(5)
    near = {"contacts": [contact.id], "companies": [company]}
    stamps = {name: (NOON + timedelta(seconds=4)).isoformat() for name in ("createdate", "hs_lastmodifieddate")}
    portal.control.seed(deals=[{"dealname": "Big", **stamps, "associate": near}])
    [fact], _ = hear(portal, cursor, Opportunity)
    assert (fact.account, fact.people) == (company, (contact,))


def test_other_properties_of_the_company_come_under_the_names_of_the_config(portal):
    [contact] = portal.contacts(1)
    firm(portal, contact, numberofemployees=1200)
    crm = portal.connect(fields={"employees": "company.numberofemployees"})
    assert one(crm.look([contact]).facts, CrmRecord).fields["employees"] == 1200
    outcome = dict(crm.apply([portal.write(contact, values={"status": "MQL"})]))["e1:1.1:write"]
    assert isinstance(outcome, Done)


def test_an_app_that_may_not_read_companies_goes_without_and_check_says_so(portal, caplog):
    [contact] = portal.contacts(1, company="typed")
    firm(portal, contact)
    portal.control.plant(missing_scopes=["crm.objects.companies.read"], times=None, match={"path": "companies"})
    fact = one(portal.crm.look([contact]).facts, CrmRecord)
    assert fact.fields["company"] == "typed"
    assert "account_owner" not in fact.fields, "not read, which is not: nobody's"
    assert "companies and their owners are left out" in caplog.text
    [problem] = portal.connect().check()
    assert (problem.path, problem.fatal) == ("crm", False)
    assert "companies" in problem.help


def test_check_names_a_property_of_companies_that_is_not_there(portal):
    problems = portal.connect(fields={"employees": "company.no_such"}).check()
    assert [(one.path, one.fatal) for one in problems] == [("crm.fields.employees", True)]


def test_a_property_of_a_company_is_written_as_it_is_read():
    with pytest.raises(ValueError, match="not the internal name"):
        Options(part="crm", access_token={"env": "X"}, fields={"employees": "company.No Such"})
