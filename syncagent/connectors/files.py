"""CSV and JSONL files as facts: a row is a person, and what they did if it says so.

Known columns: `email` and `id` (one of the two is needed), `kind` and `at` (together: an activity), `asset`, `key`.
Every other column is an attribute of the person. Without a `key` an activity's key is the digest of its row and how
often that row stood in the file before: a renamed or repeated file is no news.
"""

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from syncagent.errors import UserError
from syncagent.model import Activity, Fact, Identity, Lead, Value

AHEAD = timedelta(days=1)
"""So far a row's moment may lie in the future: clocks and time zones differ, but nobody acts next week."""
KNOWN = ("email", "id", "kind", "at", "asset", "key")


class Refusal(Struct, frozen=True):
    """A row that could not be read, as it was, and why."""

    line: int
    row: dict[str, Any]
    why: str


def read_file(path: Path, source: str, zone: ZoneInfo, now: datetime) -> Iterator[tuple[Fact, ...] | Refusal]:
    """Each row as facts, or why not. Moments without a zone are meant in `zone`. Raises `UserError` for the file."""
    latest = now + AHEAD
    seen: Counter[str] = Counter()
    seen_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    for line, row in _rows(path):
        if isinstance(row, str):
            yield Refusal(line, {"line": row}, "This line is not a JSON object.")
            continue
        try:
            yield _facts(row, source, zone, seen_at, latest, seen)
        except ValueError as error:
            yield Refusal(line, dict(row), str(error))


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
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
                yield reader.line_num, {key: value for key, value in row.items() if key is not None}
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


def _object(line: str) -> Mapping[str, Any] | str:
    try:
        made = json.loads(line)
    except ValueError:
        return line.strip()
    return made if isinstance(made, dict) else line.strip()


def _facts(
    row: Mapping[str, Any], source: str, zone: ZoneInfo, seen_at: datetime, latest: datetime, seen: Counter[str]
) -> tuple[Fact, ...]:
    given: dict[str, Value] = {
        key.strip(): value for key, value in row.items() if isinstance(value, int | float | bool) or value
    }
    email = str(given.get("email", "")).strip()
    if email and ("@" not in email or email.startswith("@") or email.endswith("@")):
        raise ValueError("The email is not an address.")
    who = str(given.get("id", "")).strip() or email.casefold()
    if not who:
        raise ValueError("There is neither an email nor an id.")
    identity = Identity(source, "lead", who)
    attributes = {key: value for key, value in given.items() if key not in KNOWN}
    kind, at = str(given.get("kind", "")), str(given.get("at", ""))
    facts: list[Fact] = [Lead(identity, seen_at, attributes, (email,) if email else ())]
    if bool(kind) != bool(at):
        raise ValueError("An activity needs both kind and at.")
    if kind:
        text = json.dumps({key: str(value) for key, value in sorted(given.items())}, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        seen[digest] += 1
        key = str(given.get("key", "")) or f"{digest}.{seen[digest]}"
        facts.append(Activity(identity, key, _moment(at, zone, latest), kind, str(given.get("asset", ""))))
    return tuple(facts)


def _moment(text: str, zone: ZoneInfo, latest: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError("`at` is not an ISO date or moment, such as 2026-01-31 or 2026-01-31T09:00:00Z.") from None
    moment = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    if moment > latest:
        raise ValueError("`at` lies in the future; write when it happened.")
    return moment


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
