"""The mapping table: paths, conversions, what counts, keys that stand; and anything at all in a record."""

import json
import tomllib
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncagent.config import read_leniently
from syncagent.connectors.mapping import Field, Reading, Table, steps
from syncagent.model import Activity, Identity, Lead

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[3] / "docs" / "doors.toml"


def told(record, *, name="", zone="UTC", **table):
    return Reading(Table(**{"email": "email", **table}), "web", zone).told(record, NOW, Counter(), name)


def value(record, field, zone="UTC"):
    """What one field makes of a record."""
    found = told({"email": "a@example.com", **record}, attributes={"x": field}, zone=zone).facts[0]
    return found.attributes.get("x")


class TestPaths:
    RECORD = {
        "a": {"b": {"c": 1}},
        "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2}],
        "a.b": "dotted",
        "Job Title [now]": "CTO",
        "deep": [[1, 2], [3]],
    }

    @pytest.mark.parametrize(
        ("path", "found"),
        [
            ("a.b.c", 1),
            ("a.b", "dotted"),
            ("list[0].v", 1),
            ("list[-1].n", "y"),
            ("list[n=y].v", 2),
            ("list[v=2].n", "y"),
            ("deep[0][1]", 2),
            ("list[5].v", None),
            ("list[n=z].v", None),
            ("list.v", None),
            ("a[0]", None),
            ("a.x.y", None),
        ],
    )
    def test_a_path_finds(self, path, found):
        assert value(self.RECORD, path) == found

    @pytest.mark.parametrize("path", [".", "a..b", ".a", "a[", "a]", "a[x]", "[", "a[1", "a.[0].", "a[=]b["])
    def test_what_is_no_path_is_told(self, path):
        with pytest.raises(ValueError, match="not a path"):
            steps(path)

    def test_the_first_path_that_holds_something_counts(self):
        field = Field(path=("none", "empty", "a.b.c", "list"))
        assert value({**self.RECORD, "empty": " "}, field) == 1


class TestValues:
    @pytest.mark.parametrize(
        ("field", "given", "made"),
        [
            ("v", "  text ", "text"),
            ("v", "", None),
            ("v", 0, 0),
            ("v", False, False),
            ("v", 1.5, 1.5),
            ("v", ["a", 1], "a; 1"),
            ("v", {"b": 1, "a": 2}, '{"a": 2, "b": 1}'),
            ("v", [], None),
            (Field(path="v", lower=True), "CTO", "cto"),
            (Field(path="v", number=True), "42", 42),
            (Field(path="v", number=True), "-1.5", -1.5),
            (Field(path="v", number=True), 7, 7),
            (Field(path="v", split=" ", part=1), "Ana Maria Silva", "Ana"),
            (Field(path="v", split=" ", part=-1), "Ana Maria Silva", "Silva"),
            (Field(path="v", split="-", part=1, number=True), "51-200", 51),
            (Field(path="v", split=",", part=5), "a,b", None),
            (Field(path="v", split=",", part=5, default="none"), "a,b", "none"),
            (Field(path="v", values={"DE": "Germany"}), "DE", "Germany"),
            (Field(path="v", values={"DE": "Germany"}), "FR", "FR"),
            (Field(path="v", values={"DE": "Germany"}, default="other"), "FR", "other"),
            (Field(path="v", values={"1": True}), 1, True),
            (Field(path="v", lower=True, values={"yes": True}), "YES", True),
            (Field(constant="Web"), None, "Web"),
            (Field(path="v", default=3), None, 3),
            (Field(path="v", date="%d.%m.%Y"), "31.01.2026", "2026-01-31"),
            (Field(path="v", date="iso"), "2026-01-31", "2026-01-31"),
            (Field(path="v", date="iso"), "2026-01-31T10:00:00+02:00", "2026-01-31T08:00:00+00:00"),
            (Field(path="v", date="unix"), 1767225600, "2026-01-01T00:00:00+00:00"),
            (Field(path="v", date="unix_ms"), "1767225600000", "2026-01-01T00:00:00+00:00"),
        ],
    )
    def test_made(self, field, given, made):
        assert value({"v": given}, field) == made

    @pytest.mark.parametrize(
        ("field", "given"),
        [
            (Field(path="v", number=True), "many"),
            (Field(path="v", number=True), "nan"),
            (Field(path="v", date="iso"), "next week"),
            (Field(path="v", date="%d.%m.%Y"), "2026-01-31"),
            (Field(path="v", date="unix"), "9" * 40),
        ],
    )
    def test_what_cannot_be_made_is_told_without_the_value(self, field, given):
        with pytest.raises(ValueError) as caught:
            value({"v": given}, field)
        assert given not in str(caught.value)

    @pytest.mark.parametrize(
        "wrong",
        [{}, {"path": "a["}, {"path": "a", "part": 0}, {"path": "a", "date": "day"}, {"path": "a", "zone": "Mars/X"}],
    )
    def test_a_field_that_makes_no_sense_is_told(self, wrong):
        with pytest.raises(ValueError):
            Field(**wrong)

    @pytest.mark.parametrize(
        "wrong", [{}, {"email": "a["}, {"email": "e", "kinds": {"a": "b"}}, {"email": "e", "ids": {"salesforce": "x"}}]
    )
    def test_a_table_that_makes_no_sense_is_told(self, wrong):
        with pytest.raises(ValueError):
            Table(**wrong)


class TestRecords:
    def test_whose_it_is(self):
        assert told({"email": "Ana@Example.com"}).facts[0].identity.id == "ana@example.com"
        assert told({"email": "ana@example.com", "n": 7}, id="n").facts[0].identity == Identity("web", "lead", "7")
        also = told({"email": "a@example.com", "sf": "00Q1"}, ids={"salesforce/Lead": "sf"}).facts[0].also
        assert also == (Identity("salesforce", "Lead", "00Q1"),)
        for record in ({}, {"email": "nobody"}, {"email": "@x"}, {"email": "x@"}, [], "x", None):
            with pytest.raises(ValueError):
                told(record)

    def test_only_what_counts_counts(self):
        table = {"kind": "type", "kinds": {"form": "form.submitted", "update": ""}, "at": "at"}
        record = {"email": "a@example.com", "at": "2026-03-02T08:00:00Z"}
        assert [type(f) for f in told({**record, "type": "form"}, **table).facts] == [Lead, Activity]
        assert [type(f) for f in told({**record, "type": "update"}, **table).facts] == [Lead]
        assert told({"type": "ping"}, **table).facts == ()
        only = {"only": {"state": ("won", "open"), "test": False}}
        assert told({**record, "state": "open", "test": False}, **only).facts
        assert not told({**record, "state": "lost", "test": False}, **only).facts
        assert not told({**record, "state": "won"}, **only).facts

    def test_keys_are_its_own_the_deliverys_or_its_digest(self):
        record = {"email": "a@example.com", "k": "form"}
        table = {"kind": "k"}
        assert told({**record, "id": 9}, key="id", **table).facts[1].key == "9"
        assert told(record, name="d1", **table).facts[1].key == "d1.1"
        first = told(record, **table).facts[1].key
        assert first == told(dict(reversed(record.items())), **table).facts[1].key
        assert first != told({**record, "page": "/x"}, **table).facts[1].key
        reading, seen = Reading(Table(email="email", **table), "web"), Counter()
        keys = [reading.told(record, NOW, seen).facts[1].key for _ in range(3)]
        assert len(set(keys)) == 3

    def test_moments(self):
        record = {"email": "a@example.com", "k": "form"}
        assert told({**record, "at": "2026-03-02"}, kind="k", at="at", zone="Europe/Berlin").facts[1].at == datetime(
            2026, 3, 1, 23, tzinfo=UTC
        )
        for stamp in (1772442000, "1772442000", 1772442000000):
            assert told({**record, "at": stamp}, kind="k", at="at").facts[1].at == NOW
        found = told(record, kind="k", at="at")
        assert found.undated
        assert {found.facts[0].seen_at, found.facts[1].at} == {NOW}
        with pytest.raises(ValueError, match="future"):
            told({**record, "at": (NOW + timedelta(days=2)).isoformat()}, kind="k", at="at")

    def test_everything_else_is_an_attribute_if_so_wished(self):
        record = {"email": "a@example.com", "title": "CTO", " Size ": 5, "empty": ""}
        assert told(record, rest=True).facts[0].attributes == {"title": "CTO", "Size": 5}

    def test_records_stand_where_each_says(self):
        reading = Reading(Table(email="email", each="data.rows"), "web")
        assert len(reading.records({"data": {"rows": [1, 2]}})) == 2
        assert reading.records({"data": {"rows": {"a": 1}}}) == ({"a": 1},)
        with pytest.raises(ValueError, match=r"data\.rows"):
            reading.records({"data": {}})
        assert len(Reading(Table(email="email"), "web").records([1, 2, 3])) == 3


class TestExample:
    """The doors of docs/doors.toml, each with what such a system sends."""

    def reading(self, name: str) -> Reading:
        raw = tomllib.loads(EXAMPLE.read_text())["sources"][name]["mapping"]
        problems: list = []
        table = read_leniently(Table, raw, name, problems)
        assert not problems
        return Reading(table, name, "Europe/Berlin")

    def test_a_web_form(self):
        fields = {
            "email": "ana@example.com",
            "name": "Ana Maria Silva",
            "job": "CTO",
            "company": "Acme",
            "country": "DE",
        }
        body = {
            "id": "s-1",
            "form": {"slug": "contact-sales"},
            "submitted_at": "2026-03-02T08:00:00Z",
            "fields": [{"name": name, "value": text} for name, text in fields.items()],
        }
        lead, done = self.reading("website").told(body, NOW, Counter()).facts
        assert lead.attributes == {
            "first_name": "Ana",
            "last_name": "Silva",
            "title": "CTO",
            "company": "Acme",
            "country": "Germany",
            "source": "Web form",
        }
        assert (done.kind, done.asset, done.key, done.at.hour) == ("form.submitted", "contact-sales", "s-1", 8)

    def test_a_phone_log(self):
        call = {"call_id": 5, "direction": "inbound", "result": "answered", "line": "sales", "started": 1772438400}
        caller = {"number": "+49 30 555", "name": "Silva", "email": "ana@example.com"}
        body = {"calls": [{**call, "duration": "65", "caller": caller}, {**call, "direction": "outbound"}]}
        reading = self.reading("phone")
        found = [reading.told(one, NOW, Counter()).facts for one in reading.records(body)]
        lead, done = found[0]
        assert (lead.identity.id, lead.attributes["last_name"]) == ("+49 30 555", "Silva")
        assert (done.kind, done.key, done.attributes) == ("phone.called", "5", {"seconds": 65})
        assert found[1] == ()

    def test_an_event_check_in(self):
        row = {
            "Badge": "B7",
            "E-Mail": "Ana@Example.com",
            "Status": "checked in",
            "Registered at": "01.02.2026 10:00",
            "Checked in at": "02.03.2026 09:30",
            "Company": "Acme",
        }
        lead, done = self.reading("fair").told(row, NOW, Counter()).facts
        assert (lead.emails, lead.attributes) == (("ana@example.com",), {"company": "Acme"})
        assert (done.kind, done.at) == ("event.attended", datetime(2026, 3, 2, 8, 30, tzinfo=UTC))
        assert len(self.reading("fair").told({**row, "Status": "cancelled"}, NOW, Counter()).facts) == 1

    def test_a_linkedin_export(self):
        row = {
            "Lead ID": "L1",
            "Email Address": "",
            "Work Email": "ana@example.com",
            "Form Name": "Ebook",
            "Lead Submitted At": "2026-03-01 12:00:00",
            "Job Title": "CTO",
            "Company Size": "201-500",
        }
        lead, done = self.reading("linkedin").told(row, NOW, Counter()).facts
        assert (lead.emails, lead.attributes["employees"]) == (("ana@example.com",), 201)
        assert (done.key, done.asset) == ("L1", "Ebook")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12, alphabet=st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=10,
)
WIDE = Table(
    id="id",
    email=Field(path=("email", "a[0].b"), lower=True),
    kind="kind",
    at=Field(path="at", date="iso"),
    key="key",
    asset=Field(path="asset", split="/", part=-1),
    ids={"salesforce/Lead": "sf"},
    attributes={
        "n": Field(path="n", number=True),
        "d": Field(path="d", date="%d.%m.%Y"),
        "u": Field(path="u", date="unix_ms"),
        "v": Field(path="v", values={"1": "one"}, default="x"),
    },
    activity={"list": "list"},
    only={"state": ("a", "b")},
    rest=True,
)
NAMES = ("id", "email", "kind", "at", "key", "asset", "sf", "n", "d", "u", "v", "list", "a")


@given(st.fixed_dictionaries({"state": st.just("a")}, optional=dict.fromkeys(NAMES, JSON)) | JSON)
def test_any_record_is_read_or_refused_and_can_be_stored(record):
    try:
        found = Reading(WIDE, "web").told(record, NOW, Counter())
    except ValueError:
        return
    assert isinstance(msgspec.json.decode(msgspec.json.encode(found.facts)), list)


@given(st.text(max_size=30))
def test_any_text_is_a_path_or_is_told(path):
    try:
        steps(path)
    except ValueError:
        return
    assert value({path: "there"}, path or "x") in ("there", None)


@given(JSON)
def test_what_is_read_twice_has_the_same_keys(record):
    reading = Reading(Table(email=Field(constant="a@example.com"), kind=Field(constant="seen")), "web")
    body = json.loads(json.dumps(record)) if record == record else None
    for one in reading.records(body) if body else ():
        if isinstance(one, dict):
            first, second = (reading.told(one, NOW, Counter()) for _ in range(2))
            assert first == second
