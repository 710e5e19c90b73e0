"""Which of a person's CRM records a handoff writes."""

from typing import Any

from msgspec.structs import replace

from syncagent.handoff.view import is_contact, view_of
from syncagent.model import CrmRecord, Identity, Opportunity
from tests.unit.handoff.worlds import ANA, NOW, dossier, minutes, policy


def a_lead(name: str, worked: float, created: float = 0, **changes: Any) -> CrmRecord:
    place = Identity("crm", "Lead", name)
    fields = {"status": changes.pop("status", "Open"), "owner": ANA}
    made = CrmRecord(place, NOW + minutes(worked), NOW + minutes(created), ANA, fields)
    return replace(made, **changes)


def a_contact(name: str, worked: float = 0, **changes: Any) -> CrmRecord:
    place = Identity("crm", "Contact", name)
    return replace(CrmRecord(place, NOW + minutes(worked), NOW, ANA, {"owner": ANA}), **changes)


def a_deal(*people: CrmRecord, closed: bool = False) -> Opportunity:
    return Opportunity(
        Identity("crm", "Opportunity", "O"), tuple(one.identity for one in people), NOW, NOW, closed=closed
    )


def chosen(*records: CrmRecord, keep: Identity | None = None, deals: tuple[Opportunity, ...] = ()) -> str:
    view = view_of(dossier(records=records, opportunities=deals), policy(), keep)
    return view.record.identity.id if view is not None else ""


def test_the_open_lead_last_worked_else_the_newest() -> None:
    assert chosen(a_lead("a", 5), a_lead("b", 9), a_lead("c", 7, 99)) == "b"
    assert chosen(a_lead("a", 5), a_lead("b", 9, status="Unqualified")) == "a"
    assert chosen(a_lead("a", 9, 1, status="Unqualified"), a_lead("b", 5, 2, status="Unqualified")) == "b"


def test_a_contact_before_a_lead_and_the_one_with_an_open_deal_before_others() -> None:
    first, second = a_contact("x", 9), a_contact("y", 1)
    assert chosen(a_lead("a", 99), first, second) == "x"
    assert chosen(a_lead("a", 99), first, second, deals=(a_deal(second),)) == "y"
    assert chosen(first, second, deals=(a_deal(second, closed=True),)) == "x"


def test_the_record_of_an_open_handoff_is_kept() -> None:
    assert chosen(a_lead("a", 5), a_lead("b", 9), keep=Identity("crm", "Lead", "a")) == "a"
    assert chosen(a_lead("a", 5, deleted=True), a_lead("b", 9), keep=Identity("crm", "Lead", "a")) == "b"


def test_converted_and_merged_records_are_followed() -> None:
    contact = a_contact("x", -99)
    converted = a_lead("a", 5, converted_to=contact.identity)
    assert chosen(converted, contact, keep=converted.identity) == "x"
    assert chosen(converted) == "a", "until the contact has been read"
    winner = a_lead("w", -99)
    loser = a_lead("l", 9, merged_into=winner.identity)
    assert chosen(loser, winner, a_lead("b", 50), keep=loser.identity) == "w"
    assert chosen(loser) == ""
    again = a_lead("w", 1, merged_into=loser.identity)
    assert chosen(loser, again, keep=loser.identity) == "", "a circle ends"


def test_deleted_ones_are_passed_over_and_the_others_are_named() -> None:
    assert chosen(a_lead("a", 5, deleted=True)) == ""
    view = view_of(dossier(records=(a_lead("a", 5), a_lead("b", 9), a_lead("c", 99, deleted=True))), policy())
    assert view is not None
    assert [one.id for one in view.others] == ["a"]


def test_only_records_without_a_lead_status_count_as_contacts() -> None:
    assert is_contact(a_contact("x"))
    assert not is_contact(a_lead("a", 0))
    hubspot = CrmRecord(Identity("hubspot", "contact", "1"), NOW, NOW, "", {"status": None, "owner": ANA})
    assert not is_contact(hubspot)


def test_the_newest_telling_of_a_record_counts() -> None:
    old, new = a_lead("a", 1, status="Working"), a_lead("a", 2, status="Open")
    for records in ((old, new), (new, old)):
        view = view_of(dossier(records=records), policy())
        assert view is not None and view.status == "Open"
    assert view_of(dossier(records=()), policy()) is None
