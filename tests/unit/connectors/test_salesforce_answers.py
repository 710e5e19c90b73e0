"""What Salesforce's answers mean, and when two values are one."""

import pytest

from syncagent.connectors.salesforce.answers import meaning, named_fields, same, separable
from syncagent.connectors.salesforce.org import Error, chunks, errors
from syncagent.connectors.salesforce.write import fitted
from syncagent.model import Refused, Retry


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (None, "", True),
        (None, 0, False),
        ("", False, False),
        (72, 72.0, True),
        (1, True, False),
        ("72", 72, False),
        ("A1", "a1", False),
        ("00Q5g00000AbCdE", "00Q5g00000AbCdEEAV", True),
        ("00Q5g00000AbCdE", "00Q5g00000AbCdFEAV", False),
        ("2026-11-23T12:00:00.000+0000", "2026-11-23T12:00:00+00:00", True),
        ("2026-11-23T13:00:00+01:00", "2026-11-23T12:00:00Z", True),
        ("2026-11-23T12:00:01Z", "2026-11-23T12:00:00Z", False),
        ("2026-11-23", "2026-11-23T12:00:00Z", True),
        ("2026-11-23", "2026-11-24", False),
        ("2026-99-99", "2026-99-98", False),
    ],
)
def test_same(one, other, equal):
    assert same(one, other) is equal
    assert same(other, one) is equal


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        ("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record", Retry),
        ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "Trigger: UNABLE_TO_LOCK_ROW, unable to obtain", Retry),
        ("CANNOT_EXECUTE_FLOW_TRIGGER", "unable to obtain exclusive access to this record or 2 records", Retry),
        ("ALL_OR_NONE_OPERATION_ROLLED_BACK", "", Retry),
        ("PROCESSING_HALTED", "", Retry),
        ("ENTITY_IS_LOCKED", "", Retry),
        ("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead", "conflict"),
        ("ENTITY_IS_DELETED", "entity is deleted", "conflict"),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "No.", "refused"),
        ("INACTIVE_OWNER_OR_USER", "operation performed with inactive user", "refused"),
        ("SOMETHING_NEW", "", "refused"),
    ],
)
def test_meaning(code, text, kind):
    outcome = meaning(Error(code, text), "The task", {})
    if kind is Retry:
        assert isinstance(outcome, Retry)
    else:
        assert isinstance(outcome, Refused)
        assert (outcome.kind, outcome.code) == (kind, code)
        assert text in outcome.why


def test_fields_are_read_out_of_the_recorded_texts():
    column = "No such column 'X__c' on sobject of type Lead"
    rights = "Unable to create/update fields: Name, X__c. Please check the security settings of this field"
    assert named_fields(Error("INVALID_FIELD", column)) == ("X__c",)
    assert named_fields(Error("INVALID_FIELD_FOR_INSERT_UPDATE", rights)) == ("Name", "X__c")
    assert named_fields(Error("REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]")) == ("Name",)


def test_only_what_is_all_optional_is_split_off():
    error = Error("STRING_TOO_LONG", "data value too large", ("Grade__c",))
    assert separable(error, {"Grade__c", "Score__c"}) == ("Grade__c",)
    assert separable(error, {"Score__c"}) == ()
    assert separable(Error("STRING_TOO_LONG", "", ("Grade__c", "Status")), {"Grade__c"}) == ()
    assert separable(Error("INACTIVE_OWNER_OR_USER", "", ("Grade__c",)), {"Grade__c"}) == ()


def test_both_spellings_of_errors_and_of_duplicate_results_are_read():
    one = errors([{"errorCode": "A", "message": "to ann@example.com", "fields": ["F"]}])[0]
    assert (one.code, one.text, one.fields) == ("A", "to a***@example.com", ("F",))
    assert errors([{"statusCode": "B", "message": "m"}])[0].code == "B"
    assert errors({"error": "invalid_grant", "error_description": "inactive user"})[0].text == "inactive user"
    assert errors(None)[0].code == "UNKNOWN"
    found = {"duplicateRule": "R", "matchResults": [{"matchRecords": [{"record": {"Id": "00Q1"}}]}]}
    for key in ("duplicateResult", "duplicateResut"):
        why = meaning(errors([{"errorCode": "DUPLICATES_DETECTED", key: found}])[0], "The lead", {}).why
        assert "rule R" in why
        assert "00Q1" in why


def test_lists_fit_an_address():
    lists = chunks(["x" * 80] * 500)
    assert sum(len(one) for one in lists) == 500
    assert max(sum(len(value) + 9 for value in one) for one in lists) <= 7_000
    assert [len(one) for one in chunks(["00Q5g00000AbCdEEAV"] * 1000)] == [200] * 5


@pytest.mark.parametrize(
    ("value", "kind", "length", "sent"),
    [
        ("2026-11-23T12:00:00+00:00", "date", 0, "2026-11-23"),
        ("2026-11-23", "datetime", 0, "2026-11-23T00:00:00Z"),
        ("2026-11-23T12:00:00+00:00", "datetime", 0, "2026-11-23T12:00:00+00:00"),
        ("abcdef", "string", 4, "abc…"),
        ("abcdef", "picklist", 4, "abcdef"),
    ],
)
def test_fitted(value, kind, length, sent):
    assert fitted(value, kind, length) == sent
