"""Files: any content is read, refused row by row, or told to be no such file; nothing else happens."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncagent.connectors.files import ROWS, Refusal, read_file, write_refusals
from syncagent.connectors.mapping import Field, Reading, Table
from syncagent.errors import UserError

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TABLES = (ROWS, Table(email="E-Mail", kind=Field(constant="form.submitted"), at="When", attributes={"title": "a.b"}))
HEADERS = ("email,kind,at,asset,title\n", "E-Mail,When,a.b\n", "E-Mail;When\n", "")
CELLS = st.sampled_from(
    ["ana@example.com", "2026-03-02", "form.submitted", "", '"', '"a,b"', "\ud7ff", "=1+1", "@", "\x00"]
)


def read(folder: Path, name: str, content: bytes, table: Table) -> list[object]:
    path = folder / name
    path.write_bytes(content)
    said = list(read_file(path, Reading(table, "fair"), NOW, NOW))
    write_refusals(path, [one for one in said if isinstance(one, Refusal)])
    return said


def survives(name: str, content: bytes, table: Table) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            said = read(Path(folder), name, content, table)
        except UserError:
            return
        msgspec.json.encode([one for one in said if not isinstance(one, Refusal)]).decode()
        assert read(Path(folder), name, content, table) == said
        assert all(one.why.endswith(".") for one in said if isinstance(one, Refusal))


@given(st.sampled_from(["a.csv", "a.jsonl"]), st.binary(max_size=200), st.sampled_from(TABLES))
def test_any_bytes_are_read_or_refused(name: str, content: bytes, table: Table) -> None:
    survives(name, content, table)


@given(st.sampled_from(HEADERS), st.lists(st.lists(CELLS, max_size=7), max_size=5), st.sampled_from(TABLES))
def test_any_rows_below_a_header_are_read_or_refused(header: str, rows: list[list[str]], table: Table) -> None:
    survives("a.csv", (header + "\n".join(map(",".join, rows))).encode(), table)


@given(st.lists(st.dictionaries(st.sampled_from(["email", "at", "kind", "E-Mail", "When"]), st.text() | st.floats())))
def test_any_json_lines_are_read_or_refused(rows: list[dict[str, object]]) -> None:
    for table in TABLES:
        survives("a.jsonl", b"\n".join(map(msgspec.json.encode, rows)), table)


def test_a_row_with_a_comma_too_many_is_refused_whole(tmp_path: Path) -> None:
    content = b"email,title,company\nana@example.com,Head, of Sales,Acme\nben@example.com,CTO,Acme\n"
    refused, facts = read(tmp_path, "a.csv", content, ROWS)
    assert isinstance(refused, Refusal)
    assert refused.why == "This row has more columns than the first line names."
    assert not isinstance(facts, Refusal)
    beside = (tmp_path / "a.refused.csv").read_text()
    assert "ana@example.com" in beside and "Acme" in beside and "ben@" not in beside


def test_one_row_that_is_short_has_nothing_in_the_rest(tmp_path: Path) -> None:
    ((lead,),) = read(tmp_path, "a.csv", b"email,title\nana@example.com\n", ROWS)
    assert lead.attributes == {}


@pytest.mark.parametrize(
    "line", ["NaN", '{"email": "a@example.com", "title": NaN}', '{"email": "\\ud800@example.com"}']
)
def test_what_json_has_not_is_no_value(tmp_path: Path, line: str) -> None:
    survives("a.jsonl", line.encode(), ROWS)
