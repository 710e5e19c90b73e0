"""Whose word counts: a rule an attribute, and every claim shown."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from syncagent.handoff.profile import attributes_of, profile_of
from syncagent.model import CrmRecord, Dossier, Identity, Lead
from syncagent.model.profile import History, Seen
from syncagent.policy import ProfilePolicy
from tests.unit.handoff.worlds import NOW, policy

DAY = timedelta(days=1)
WEB, FAIR, SF = Identity("web", "lead", "1"), Identity("fair", "lead", "9"), Identity("crm", "Contact", "C")


def dossier() -> Dossier:
    leads = (
        Lead(WEB, NOW - 5 * DAY, {"title": "CTO", "country": "Germany", "phone": "1"}),
        Lead(FAIR, NOW - DAY, {"title": "VP", "country": ""}),
    )
    records = (CrmRecord(SF, NOW, NOW - 9 * DAY, "rep", {"title": "Chief Technology Officer", "city": "Bonn"}),)
    old = (Seen("Intern", NOW - 90 * DAY, NOW - 60 * DAY), Seen("CTO", NOW - 50 * DAY, NOW - 5 * DAY))
    return Dossier(1, 1, leads=leads, records=records, histories=(History(WEB, NOW - 90 * DAY, {"title": old}),))


def known(default=("newest",), **rules):
    return attributes_of(dossier(), replace(policy(), profile=ProfilePolicy(default, rules)))


def test_by_itself_the_newest_source_wins_and_the_crm_fills():
    assert known() == {"title": "VP", "country": "Germany", "phone": "1", "city": "Bonn"}


@pytest.mark.parametrize(
    ("rule", "title"),
    [
        (("crm", "web"), "Chief Technology Officer"),
        (("web",), "CTO"),
        (("nobody", "web"), "CTO"),
        (("nobody",), "VP"),
        (("first",), "Intern"),
        (("longest",), "Chief Technology Officer"),
        (("nobody", "first"), "Intern"),
    ],
)
def test_a_rule_an_attribute(rule, title):
    assert known(title=rule) == {"title": title, "country": "Germany", "phone": "1", "city": "Bonn"}


def test_a_default_for_all_and_a_rule_for_one():
    assert known(("web",), title=("fair",))["title"] == "VP"
    assert known(("web",))["title"] == "CTO"
    assert known(("crm",))["country"] == "Germany", "who says nothing does not win"


def test_a_rule_makes_no_attribute():
    assert "budget" not in known(budget=("crm",))


def test_the_profile_shows_every_claim_and_the_winner_last():
    (title,) = [one for one in profile_of(dossier(), policy()) if one.name == "title"]
    assert (title.value, title.rule) == ("VP", "newest")
    assert [(claim.value, claim.stands) for claim in title.claims] == [
        ("Intern", False),
        ("CTO", True),
        ("Chief Technology Officer", True),
        ("VP", True),
    ]
    cto = title.claims[1]
    assert (cto.identity, cto.first, cto.last) == (WEB, NOW - 50 * DAY, NOW - 5 * DAY)


def test_the_order_of_telling_changes_nothing():
    one = dossier()
    other = replace(one, leads=one.leads[::-1])
    for rule in (("first",), ("longest",), ("crm",), ("newest",)):
        chosen = replace(policy(), profile=ProfilePolicy(rule))
        assert attributes_of(one, chosen) == attributes_of(other, chosen)
