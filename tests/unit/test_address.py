"""Which addresses are one, which are none, and under which names a fact joins others."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncagent.model import Identity
from syncagent.model.address import Addresses, AddressRules, full_name, read_address, read_number

ANA = Identity("marketo", "lead", "17")
GMAIL = "gmail" + ".com"
NAMED = {"first_name": "Ana", "last_name": "Silva"}


@pytest.mark.parametrize(
    "written",
    [
        "ana@example.com",
        " Ana@Example.COM ",
        "Ana Silva <ana@example.com>",
        '"Silva, Ana" <ana@example.com>;',
        "mailto:ANA@example.com?subject=hi",
        "ana@example.com.",
        "'ana@example.com'",
        "ana@example.com (work)",
        "\u200bana\u200d@exam\u00adple.com\ufeff",
        "\uff41\uff4e\uff41@example.com",  # full-width letters
        "ana\uff20example\uff0ecom",
        "\u00a0ana@example.com\u00a0",
    ],
)
def test_one_mailbox_however_it_is_written(written):
    assert read_address(written) == "ana@example.com"


NONE = """
ana | @example.com | ana@ | none@none | ana@example | ana@example..com | ana@-example.com | ana@ben@example.com
| ana@example.com; ben@example.com | ana@example.com, ben@example.com | a..b@example.com | noemail@example.invalid
| ana@host.local | root@localhost | ana@10.0.0.1 | a na@example.com
"""


@pytest.mark.parametrize("written", ["", "x" * 65 + "@example.com", *NONE.split("|")])
def test_what_cannot_be_an_address(written):
    assert read_address(written) == ""


def test_domains_in_any_script_are_one():
    assert read_address("ana@BÜCHER.test.org") == read_address("ana@xn--bcher-kva.test.org")
    assert read_address("ana@bu\u0308cher.test.org") == read_address("ana@bücher.test.org")


def test_two_german_towns_are_two():
    """`casefold` would make one of them: ß and ss are different domains, and different people."""
    assert read_address("ana@straße.test.org") != read_address("ana@strasse.test.org")
    assert read_address("weiß@example.org") != read_address("weiss@example.org")


PLAIN = st.text(string.ascii_letters + string.digits, min_size=1, max_size=12)


@given(PLAIN, PLAIN)
def test_reading_what_was_read_changes_nothing(local, domain):
    once = read_address(f"{local}@{domain}.test.com")
    assert once and read_address(once) == once == once.lower()


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_none(text):
    once = read_address(text)
    assert not once or (once.count("@") == 1 and read_address(once) == once and " " not in once)


def keys(*emails, named=NAMED, identity=ANA, **rules):
    return Addresses(AddressRules(**rules)).keys(emails, named, identity)


def test_a_person_s_own_mailbox_is_its_address():
    assert keys("Ana@example.com", "ana@example.com ", "as@example.org") == ("ana@example.com", "as@example.org")


@pytest.mark.parametrize("written", ["noemail@acme.test", "none@acme.test", "No-Reply@acme.test", "test@test.test"])
def test_a_placeholder_joins_nobody(written):
    assert keys(written) == ()


def test_the_admin_s_placeholders_join_nobody():
    assert keys("x17@fill.test", placeholders=("*@FILL.test",)) == ()
    assert keys("x17@fill.test") == ("x17@fill.test",)


def test_a_shared_mailbox_joins_by_name_only():
    assert keys("info@acme.test") == ("info@acme.test ana silva",)
    assert keys("Info@acme.test", named={"first_name": "ANA ", "last_name": "Sílva"}) == keys("info@acme.test")
    assert keys("info@acme.test", named={"name": "Ana  Silva"}) == keys("info@acme.test")
    assert keys("info+fair@acme.test")[0].endswith(" ana silva")


@pytest.mark.parametrize(
    "named", [{}, {"first_name": "Ana"}, {"first_name": "Ana", "last_name": "[not provided]"}, {"name": "Ana"}]
)
def test_without_a_whole_name_a_shared_mailbox_joins_nobody(named):
    assert keys("info@acme.test", named=named) == ("info@acme.test #marketo/lead/17",)


def test_the_admin_says_which_mailboxes_are_shared():
    assert keys("bar@acme.test", shared=("bar@*",)) == ("bar@acme.test ana silva",)
    assert keys("info@tiny.test", not_shared=("info@tiny.test",)) == ("info@tiny.test",)


def test_plus_tags_and_dots_join_only_if_the_config_says_so():
    assert keys("ana+news@example.com") == ("ana+news@example.com",)
    assert keys("ana+news@example.com", plus_tags="ignore") == ("ana+news@example.com", "ana@example.com")
    assert keys("a.na@googlemail.com", gmail_dots="ignore") == ("a.na@googlemail.com", f"ana@{GMAIL}")
    assert keys("a.na@example.com", gmail_dots="ignore") == ("a.na@example.com",)


@pytest.mark.parametrize(
    "written",
    ["+49 171 1234567", "0171/1234567", "0049 (0)171-123 45 67", "+49 (0)171.1234567", 491711234567, "0171 1234567 "],
)
def test_a_mobile_number_joins_with_the_same_full_name_however_it_is_written(written):
    assert keys(named={**NAMED, "mobile": written}) == ("tel:711234567 ana silva",)
    assert keys(named={"mobile": written, "name": "ANA Silva"}) == ("tel:711234567 ana silva",)
    assert keys(named={"mobile": written, "first_name": "Ana"}) == (), "families share telephones"


@pytest.mark.parametrize(
    "written",
    [
        "",
        "n/a",
        "12345678",
        "000000000",
        "+49 000 0000000",
        "0123456789",
        "call me",
        True,
        None,
        1.5,
        "\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668",
    ],
)
def test_what_only_fills_the_field_of_a_number_joins_nobody(written):
    assert keys(named={**NAMED, "mobile": written}) == ()


def test_other_numbers_join_only_if_the_config_says_so():
    told = {**NAMED, "phone": "+49 30 1234567"}
    assert keys(named=told) == ()
    assert keys(named=told, phones=("phone",)) == ("tel:301234567 ana silva",)
    assert keys(named={**NAMED, "mobile": "+49 171 1234567"}, phones=()) == ()


@given(st.text(max_size=30) | st.integers() | st.none())
def test_any_value_is_a_number_or_none(value):
    assert read_number(value) == "" or len(read_number(value)) == 9


def test_names_as_compared():
    assert full_name({"first_name": "José", "last_name": "Núñez-Ruiz"}) == full_name({"name": "JOSE nunez ruiz"})
    assert full_name({"first_name": 7, "last_name": None}) == ""
