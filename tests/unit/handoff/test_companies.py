"""Which company somebody belongs to; free mail makes none."""

import pytest

from syncagent.handoff.companies import Company, clean_name, company_of, is_free_mail, registered


@pytest.mark.parametrize(
    "domain",
    ["googlemail.com", "yahoo.co.uk", "hotmail.fr", "outlook.com", "web.de", "qq.com", "live.com.au", "gmx.net.de"],
)
def test_free_mail_makes_no_company(domain):
    assert is_free_mail(domain)
    assert company_of({}, [f"ana@{domain}"]) is None


@pytest.mark.parametrize("domain", ["acme.com", "outlook.studio", "live.agency", "gmxtech.de", "yahoo-fans.org"])
def test_what_only_looks_like_it_is_a_company(domain):
    assert company_of({}, [f"ana@{domain}"]) == Company(domain, "domain")


def test_the_admin_s_free_mail():
    assert company_of({}, ["ana@isp.test"], ["isp.test"]) is None
    assert company_of({}, ["ana@mail.isp.test"], ["isp.test"]) is None


def test_domain_then_website_then_name():
    known = {"company": "Acme Inc.", "website": "https://www.Acme.org/about"}
    free, own = "ana@web.de", "Ana <ana@eu.acme.com>"
    assert company_of(known, [free, own]) == Company("acme.com", "domain")
    assert company_of(known, [free]) == Company("acme.org", "domain")
    assert company_of(known | {"website": ""}, [free]) == Company("acme", "name")
    assert company_of({"company": "[not provided]"}, ["noemail"]) is None


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
