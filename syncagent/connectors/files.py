"""CSV and JSONL files as facts: a row is a person, and what they did if it says so.

Without a mapping of its own (`type = "files"` or `"webhook"` in the config) a file has these columns: `email` and `id`
(one of the two is needed), `kind` and `at` (together: an activity), `asset`, `key`; every other column is an attribute
of the person. Without a `key` an activity's key is the digest of its row and how often that row stood in the file
before: a renamed or repeated file is no news.
"""

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from syncagent.connectors.mapping import Reading, Table
from syncagent.errors import Problem, UserError
from syncagent.model import Activity, Cursor, Fact, Identity, Page

ROWS: Final = Table(email="email", id="id", kind="kind", at="at", key="key", asset="asset", rest=True)
"""How a file is read that has no mapping of its own."""


_MORE: Final = "more_columns"
"""Where a refused row keeps what stood in no column."""


class Options(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A source that only files are imported for: `syncagent import FILE --source NAME`."""

    mapping: Table | None = None
    timezone: str = "UTC"
    poll: str = "1h"


def open(name: str, options: Options) -> "Files":  # noqa: A001 - the word of the contract
    """A source with nothing to pull."""
    return Files(name, options)


class Files:
    """Stands among the sources so that its files have a name and a mapping; it is never asked."""

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self.options = options

    def check(self) -> Sequence[Problem]:
        """There is nobody to ask."""
        return ()

    def begin(self, since: datetime, until: datetime | None = None) -> Cursor:
        """There is nothing to pull."""
        return "imported"

    def pull(self, cursor: Cursor) -> Iterator[Page]:
        """Nothing."""
        return iter(())

    def look(self, identities: Sequence[Identity]) -> Page:
        """Nobody can be asked."""
        return Page((), "")

    def close(self) -> None:
        """There is nothing to let go of."""

    def calls(self) -> Mapping[str, int]:
        """None are made."""
        return {}


class Refusal(Struct, frozen=True):
    """A row that could not be read, as it was, and why."""

    line: int
    row: dict[str, Any]
    why: str


def digest(path: Path, reading: Reading) -> str:
    """Names a file by what stands in it and how it is read: a copy under another name is the same file."""
    whole = hashlib.sha256(msgspec.json.encode(reading.table))
    with path.open("rb") as content:
        while part := content.read(1 << 20):
            whole.update(part)
    return whole.hexdigest()[:32]


def read_file(path: Path, reading: Reading, seen_at: datetime, now: datetime) -> Iterator[tuple[Fact, ...] | Refusal]:
    """Each row as facts, or why not; what it says of people was so at `seen_at`. Raises `UserError` for the file."""
    seen: Counter[str] = Counter()
    for line, row in _rows(path):
        if isinstance(row, str):
            yield Refusal(line, {"line": row}, "This line is not a JSON object.")
            continue
        if None in row:  # a comma without quotes: nobody knows which value stands in which column
            known = {key: value for key, value in row.items() if key is not None}
            yield Refusal(line, {**known, _MORE: row[None]}, "This row has more columns than the first line names.")
            continue
        try:
            yield _facts(row, reading, seen_at, now, seen)
        except ValueError as error:
            yield Refusal(line, dict(row), str(error))


def _facts(
    row: Mapping[Any, Any], reading: Reading, seen_at: datetime, now: datetime, seen: Counter[str]
) -> tuple[Fact, ...]:
    facts: list[Fact] = []
    for record in reading.records(dict(row)):
        told = reading.told(record, now, seen, as_of=seen_at)
        done = any(isinstance(fact, Activity) for fact in told.facts)
        if done and told.undated:  # nothing arrives with a file: what was done has a moment of its own
            raise ValueError("An activity needs both kind and at.")
        if told.facts and not done and not told.undated and reading.table is ROWS:
            raise ValueError("An activity needs both kind and at.")
        facts += told.facts
    return tuple(facts)


def _rows(path: Path) -> Iterator[tuple[int, Mapping[Any, Any] | str]]:
    try:
        if path.suffix.lower() in (".jsonl", ".ndjson"):
            with path.open(encoding="utf-8-sig") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield number, _object(line)
            return
        with path.open(encoding="utf-8-sig", newline="") as table:
            reader = csv.DictReader(table)
            _refuse_other_commas(path, reader.fieldnames or ())
            for row in reader:
                yield reader.line_num, row
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8 and import it again.") from None
    except csv.Error as error:
        raise UserError(
            f"{path} is not a CSV file ({error}); save it as CSV with commas and import it again."
        ) from None


def _refuse_other_commas(path: Path, header: Sequence[str]) -> None:
    if len(header) != 1:
        return
    for sign, name in ((";", "semicolons"), ("\t", "tabs")):
        if sign in header[0]:
            raise UserError(f"{path} separates its columns by {name}; save it with commas and import it again.")


def _object(line: str) -> Mapping[Any, Any] | str:
    try:
        made = json.loads(line)
    except (ValueError, RecursionError):
        return line.strip()
    return made if isinstance(made, dict) else line.strip()


def write_refusals(path: Path, refused: Sequence[Refusal]) -> Path:
    """Write refused rows beside the input, with a column that says why; an old list of refusals is removed."""
    beside = path.with_name(f"{path.stem}.refused{path.suffix}")
    if not refused:
        beside.unlink(missing_ok=True)
        return beside
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        beside.write_text("".join(json.dumps({**one.row, "why_refused": one.why}) + "\n" for one in refused), "utf-8")
        return beside
    columns = list(dict.fromkeys([key for one in refused for key in one.row] + ["why_refused"]))
    with beside.open("w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, columns)
        writer.writeheader()
        writer.writerows({**one.row, "why_refused": one.why} for one in refused)
    return beside
