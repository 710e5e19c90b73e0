"""What names a company, and which account somebody is matched to: all that must, and all that must not."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from syncagent.handoff.companies import alike, match, placed
from syncagent.handoff.planner import plan
from syncagent.model import AccountView, Candidate, Roster, Share
from syncagent.model.company import (
    clean_name,
    is_free_mail,
    keys_of,
    keys_of_account,
    mail_domain,
    phone_numbers,
    registered,
    website_domain,
)
from tests.unit.handoff.worlds import NOW, accept, dossier, lead, policy


@pytest.mark.parametrize(
    "domain",
    ["googlemail.com", "yahoo.co.uk", "hotmail.fr", "outlook.com", "web.de", "qq.com", "live.com.au", "gmx.net.de"],
)
def test_free_mail_makes_no_company(domain):
    assert is_free_mail(domain)
    assert mail_domain(f"ana@{domain}") == ""


@pytest.mark.parametrize("domain", ["acme.com", "outlook.studio", "live.agency", "gmxtech.de", "yahoo-fans.org"])
def test_what_only_looks_like_it_is_a_company(domain):
    assert mail_domain(f"ana@{domain}") == domain


def test_the_admin_s_free_mail():
    assert mail_domain("ana@isp.test", ["isp.test"]) == ""
    assert mail_domain("ana@mail.isp.test", ["isp.test"]) == ""


@pytest.mark.parametrize(
    "page",
    ["", "https://www.linkedin.com/company/acme", "facebook.com/acme", "acme.wixsite.com/home", "gmail.com", "n/a"],
)
def test_a_page_that_says_nothing_of_whose_it_is(page):
    assert website_domain(page) == ""


def test_a_website_of_one_s_own():
    assert website_domain("HTTPS://www.Acme.co.uk:443/about?x=1") == "acme.co.uk"


@pytest.mark.parametrize(
    ("phone", "country", "found"),
    [
        ("+49 (0)30 9871-0", "", {"+493098710", "+49309871-"}),
        ("030 / 9871-56", "Deutschland", {"+4930987156", "+49309871-"}),
        ("0049 30 9871 56", "", {"+4930987156"}),
        ("(415) 555-0199 ext. 12", "USA", {"+14155550199"}),
        ("415 555 0199", "", set()),  # nobody can tell which country
        ("12345678", "DE", set()),
        ("+49 111 1111111", "", set()),
        ("+1 000", "", set()),
        ("call me", "DE", set()),
    ],
)
def test_phones_as_they_are_called_from_abroad(phone, country, found):
    assert set(phone_numbers(phone, country)) == found


@pytest.mark.parametrize(
    ("domain", "own"),
    [
        ("eu.mail.acme.co.uk", "acme.co.uk"),
        ("acme.com.br", "acme.com.br"),
        ("a.acme.de", "acme.de"),
        ("co.uk", "co.uk"),
    ],
)
def test_subdomains_are_their_company_s(domain, own):
    assert registered(domain) == own


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Acme, Inc.", "ACME"),
        ("Acme GmbH & Co. KG", "acme"),
        ("Müller & Söhne G.m.b.H.", "Muller and Sohne"),
        ("The Boring Company Ltd", "boring"),
        ("Café Ñandú S.A. de C.V.", "cafe nandu sa de"),
        ("Kowalski Sp. z o.o.", "Kowalski"),
        ("Padaria São João Ltda.", "padaria sao joao"),
    ],
)
def test_one_company_however_it_is_written(one, other):
    assert clean_name(one) == clean_name(other) != ""


@pytest.mark.parametrize("name", ["", "-", "[not provided]", "Self-employed", "N/A", "n.a.", "Student", "none"])
def test_what_names_no_company(name):
    assert clean_name(name) == ""


def test_a_name_that_is_only_a_legal_form_stays():
    assert clean_name("SAP SE") == "sap"
    assert clean_name("SE") == "se"
    assert clean_name("Acme") != clean_name("Acme Bau")


# -- who is matched


def account(ident="A1", *, people=0, open_deals=0, owner="", engaged=0, created_at=None, mail=(), **told):
    """An account with the keys that the state would have for it; `mail`: (domain, how many of its people)."""
    view = AccountView(
        ident,
        owner=owner,
        name=str(told.get("name", "")),
        open_deals=open_deals,
        engaged=engaged,
        attributes={name: value for name, value in told.items() if name != "name"},
    )
    shares = [Share(key) for key in sorted(keys_of_account(told))]
    shares += [Share(f"d:{domain}", told=False, people=count) for domain, count in mail]
    return Candidate(view, tuple(shares), people, created_at)


def somebody(*accounts, emails=(), **attributes):
    """A lead, and those of the accounts that the state would bring up."""
    told = lead(**{"company": "", **attributes})
    keys = keys_of(
        emails,
        attributes.get("website"),
        attributes.get("company"),
        attributes.get("phone"),
        attributes.get("country"),
    )
    found = [replace(one, shares=tuple(s for s in one.shares if s.key in keys)) for one in accounts]
    return dossier(
        leads=(told,), emails=tuple(emails), records=(), candidates=tuple(one for one in found if one.shares)
    )


def matched(*accounts, emails=(), **attributes):
    found = match(somebody(*accounts, emails=emails, **attributes), policy())
    return found.id if found is not None else None


ACME = {"name": "Acme Gelenkwellen GmbH", "website": "https://www.acme-wellen.example/", "country": "Germany"}

MUST = [
    # (the account, the person)
    (ACME, {"emails": ["eva@acme-wellen.example"]}),
    (ACME, {"emails": ["eva@eu.acme-wellen.example"], "company": "who knows"}),
    (ACME, {"emails": ["eva@web.de"], "website": "acme-wellen.example/kontakt"}),
    (ACME, {"emails": ["eva@web.de"], "company": "ACME Gelenkwellen", "country": "Deutschland"}),
    (ACME, {"company": "acme gelenkwellen g.m.b.h."}),  # two words of its own: no country is needed
    (ACME, {"emails": ["eva@acme-wellen.test"], "company": "Acme Gelenkwellen GmbH"}),  # one name, another ending
    ({"name": "Nordvind AB", "country": "Sweden"}, {"company": "Nordvind", "country": "SE"}),
    (
        {"name": "Brüder Söllner Maschinenbau", "country": "AT"},
        {"company": "Brueder Soellner Maschinenbau", "country": "Austria"},
    ),
    ({"name": "Castellani Frattini SpA", "country": "Italy"}, {"company": "Castelani Frattini", "country": "IT"}),
    ({"name": "Pfeffermühle Hagedorn", "country": "DE"}, {"company": "Hagedorn Pfeffermühle", "country": "DE"}),
    ({"name": "Vandersteen Windturbines", "country": "NL"}, {"company": "Vandersteen Windturbins", "country": "NL"}),
    ({"name": "Okonjo Group Ltd", "country": "NG"}, {"company": "Okonjo Holdings", "country": "Nigeria"}),
    (
        {"name": "Zerkovia", "phone": "+49 30 9871-0"},
        {"phone": "030 9871-56", "country": "DE", "company": "Zerkovia Nord"},
    ),
    ({"name": "Zerkovia", "phone": "+49 30 98710"}, {"phone": "0049 30 98710"}),
]
MUST_NOT = [
    # the same free mail, host, or address of nobody
    ({"name": "Globex", "website": "gmail.com"}, {"emails": ["eva@web.de"]}),
    ({"name": "Globex", "website": "linkedin.com/company/globex"}, {"website": "linkedin.com/in/eva"}),
    # names that anybody may have
    ({"name": "Delta", "country": "US"}, {"company": "Delta"}),
    ({"name": "Delta"}, {"company": "Delta", "country": "US"}),
    ({"name": "United Services", "country": "US"}, {"company": "United Services", "country": "US"}),
    ({"name": "City Hotel", "country": "DE"}, {"company": "City Hotel", "country": "DE"}),
    ({"name": "Müller Transporte", "country": "DE"}, {"company": "Müller Transporte GmbH"}),
    ({"name": "Schmidt Elektro"}, {"company": "Schmidt Elektro", "country": "DE"}),
    ({"name": "ABC", "country": "DE"}, {"company": "ABC GmbH", "country": "DE"}),
    # one name in two countries
    ({"name": "Borealis Kern", "country": "US"}, {"company": "Borealis Kern", "country": "Germany"}),
    # the same name, and mail from elsewhere
    (ACME, {"emails": ["eva@acme-consulting.test"], "company": "Acme Gelenkwellen GmbH", "country": "DE"}),
    (ACME, {"emails": ["eva@adviser.example"], "website": "acme-wellen.example"}),
    (ACME, {"emails": ["eva@acme-wellen.example.net"]}),
    (ACME, {"emails": ["eva@notacme-wellen.example"]}),
    # nearly the same name
    ({"name": "Nordwind Seefracht", "country": "DE"}, {"company": "Nordwand Seefracht", "country": "DE"}),
    ({"name": "Castellani Frattini", "country": "IT"}, {"company": "Castellani Frattina", "country": "IT"}),
    ({"name": "Ostermann Verpackung", "country": "DE"}, {"company": "Ostermann Verpackungen", "country": "DE"}),
    ({"name": "Vandersteen Windturbines", "country": "NL"}, {"company": "Vandersteen Windturbins", "country": "BE"}),
    ({"name": "Vandersteen Windturbines"}, {"company": "Vandersteen Windturbins", "country": "NL"}),
    ({"name": "Studio 54 Hagedornstrasse", "country": "DE"}, {"company": "Studio 55 Hagedornstrasse", "country": "DE"}),
    ({"name": "Mallo", "country": "ES"}, {"company": "Malo", "country": "ES"}),
    ({"name": "Hagedorn Bau", "country": "DE"}, {"company": "Hagedorn Bau Süd", "country": "DE"}),
    ({"name": "Nordvind Logistik", "country": "DE"}, {"company": "Nordvind Immobilien", "country": "DE"}),
    # a phone of many
    ({"name": "Zerkovia", "phone": "+49 30 9871-0"}, {"phone": "030 9871-56", "country": "DE", "company": "Tamboril"}),
    ({"name": "Zerkovia", "phone": "+49 30 9871-0"}, {"phone": "030 9871-56"}),
    ({"name": "Zerkovia", "phone": "+1 415 555 0100"}, {"phone": "+1 415 555-0199", "company": "Zerkovia"}),
    ({"name": "Zerkovia", "phone": "+49 30 98710", "country": "DE"}, {"phone": "+49 30 98710", "country": "FR"}),
]


@pytest.mark.parametrize(("company", "person"), MUST)
def test_they_are_of_it(company, person):
    assert matched(account(**company), **person) == "A1"


@pytest.mark.parametrize(("company", "person"), MUST_NOT)
def test_they_are_not_of_it(company, person):
    assert matched(account(**company), **person) is None


def test_mail_of_its_people_tells_a_domain_unless_it_may_be_an_adviser_s():
    eva = {"emails": ["eva@globex.example"]}
    assert matched(account(name="Globex", mail=[("globex.example", 1)], people=1), **eva) == "A1"
    assert matched(account(name="Initech", mail=[("globex.example", 1)], people=1), **eva) is None
    assert matched(account(name="Initech", mail=[("globex.example", 2)], people=4), **eva) == "A1"
    assert matched(account(name="Initech", mail=[("globex.example", 2)], people=5), **eva) is None


def test_the_address_that_counts_goes_before_the_others():
    accounts = account("A1", **ACME), account("A2", name="Globex", website="globex.example")
    both = ["eva@acme-wellen.example", "eva@globex.example"]
    assert matched(*accounts, emails=both) is None
    assert matched(*accounts, emails=both, email="Eva@Globex.example") == "A2"
    assert matched(*accounts, emails=both[::-1], email="eva@web.de") is None


TIES = [
    ({"country": "AT"}, {}, "in their country"),
    ({"open_deals": 1}, {"owner": "ana"}, "with an open deal"),
    ({"owner": "ana"}, {"created_at": NOW}, "with an owner"),
    ({"created_at": NOW}, {"created_at": NOW + timedelta(1)}, "that is the oldest"),
    ({}, {}, "with the lowest id"),
]


@pytest.mark.parametrize(("better", "worse", "why"), TIES)
def test_of_several_one_is_taken_by_rule_and_told(better, worse, why):
    one = account("A1" if not better else "A9", **{**ACME, **better})
    other = account("A5", **{**ACME, **worse})
    for found in ((one, other), (other, one)):
        view = match(somebody(*found, emails=["eva@acme-wellen.example"], country="Austria"), policy())
        assert view is not None and view.id == one.view.id
        assert view.matched == (
            "matched Acme Gelenkwellen GmbH by mail domain acme-wellen.example; 2 candidates, took the one " + why
        )


def test_two_companies_of_one_name_are_nobody_s():
    one, other = ({"name": "Borealis Kern", "website": f"{name}.example"} for name in ("borealis", "kern"))
    assert matched(account("A1", **one), company="Borealis Kern") == "A1"
    assert matched(account("A1", **one), account("A2", **other), company="Borealis Kern") is None
    assert matched(account("A1", **one), account("A2", **one), company="Borealis Kern") == "A1"


def test_what_the_admin_calls_free_mail_matches_nobody():
    facts = somebody(account(**ACME), emails=["eva@acme-wellen.example"])
    assert match(facts, policy(free_mail=("acme-wellen.example",))) is None


def test_what_the_crm_says_goes_before():
    own = AccountView("OWN")
    facts = replace(somebody(account(**ACME), emails=["eva@acme-wellen.example"]), account=own)
    assert placed(facts, policy()).account is own


def test_the_plan_knows_the_account_gives_its_owner_the_lead_and_tells_it_once():
    facts = somebody(account(owner="ben", **ACME), emails=["eva@acme-wellen.example"])
    terms = policy()
    planned = plan(facts, terms, Roster(), NOW)
    assert planned.decision.account == "A1"
    [event] = [one for one in planned.events if one.kind == "account"]
    assert event.why == "Matched Acme Gelenkwellen GmbH by mail domain acme-wellen.example."
    again = plan(replace(facts, decision=planned.decision), terms, Roster(), NOW)
    assert not again.events
    gone = plan(replace(facts, decision=planned.decision, candidates=()), terms, Roster(), NOW)
    assert [one.why for one in gone.events if one.kind == "account"] == ["No account fits any more."]
    assert gone.decision.account == ""


WORDS = st.lists(
    st.sampled_from(
        ["nordvind", "zerkovia", "hagedorn", "bau", "logistik", "gmbh", "delta", "abc", "müller", "mueller", "54"]
    ),
    max_size=4,
)
TOLD = st.fixed_dictionaries(
    {},
    optional={
        "company": WORDS.map(" ".join),
        "country": st.sampled_from(["DE", "Germany", "US", "Narnia", ""]),
        "website": st.sampled_from(["nordvind.example", "facebook.com/x", "zerkovia.example/a", "?"]),
        "phone": st.text("0123456789+-() x", max_size=18),
    },
)


@given(
    TOLD,
    st.lists(TOLD, max_size=4),
    st.lists(st.sampled_from(["a@nordvind.example", "b@web.de", "c@zerkovia.example"]), max_size=2),
    st.randoms(use_true_random=False),
)
def test_the_order_of_candidates_never_matters_and_a_match_is_always_told(person, companies, emails, dice):
    accounts = [
        account(f"A{n}", name=str(told.get("company", "")), **{k: v for k, v in told.items() if k != "company"})
        for n, told in enumerate(companies)
    ]
    facts = somebody(*accounts, emails=emails, **person)
    found = match(facts, policy())
    shuffled = list(facts.candidates)
    dice.shuffle(shuffled)
    assert match(replace(facts, candidates=tuple(shuffled)), policy()) == found
    assert found is None or found.matched


@given(TOLD, st.lists(TOLD, min_size=1, max_size=3), st.sampled_from(["a@nordvind.example", "b@web.de"]))
def test_planning_again_says_nothing_more_of_the_account(person, companies, email):
    accounts = [
        account(f"A{n}", name=str(told.get("company", "")), **{k: v for k, v in told.items() if k != "company"})
        for n, told in enumerate(companies)
    ]
    facts = somebody(*accounts, emails=[email], **person)
    planned = plan(facts, policy(), Roster(), NOW)
    found = match(facts, policy())
    assert planned.decision.account == (found.id if found is not None else "")
    assert sum(one.kind == "account" for one in planned.events) == (found is not None)
    again = plan(accept(planned, facts), policy(), Roster(), NOW)
    assert (again.decision, again.events, again.commands) == (planned.decision, (), ())


@given(WORDS.map(" ".join).map(clean_name), WORDS.map(" ".join).map(clean_name))
def test_likeness_has_no_direction(one, other):
    assert alike(one, other) == alike(other, one)
