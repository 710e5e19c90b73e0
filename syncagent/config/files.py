"""Files that the routing names: the list of territories (CSV) and reps' calendars (.ics), read with the config.

They are part of what was agreed: their bytes go into the config's hash, and `systemctl reload` reads them again.
"""

import csv
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec import Struct

from syncagent.config.reading import nearest
from syncagent.config.tables import AgreementTables
from syncagent.errors import Problem

COLUMNS = ("to", "account", "domain", "company", "country", "postal")
PATH = "routing.territories"
_TOLD = 5

Busy = tuple[tuple[datetime, datetime], ...]


class Line(Struct, frozen=True):
    """One line of the list as it stands, by column; `number` counts the lines of the file from 1."""

    number: int
    cells: dict[str, str]


class Files(Struct, frozen=True):
    """What stands in them: the list's lines, and by calendar file when its rep is away (UTC). `content`: all bytes."""

    lines: tuple[Line, ...] = ()
    calendars: dict[str, Busy] = {}
    content: bytes = b""


def read_files(tables: AgreementTables, folder: Path, zone: str, problems: list[Problem]) -> Files:
    """Every file that the tables name, meant from `folder`; what cannot be read is told."""
    content = b""
    lines: tuple[Line, ...] = ()
    if tables.routing.territories:
        read = _bytes(folder / tables.routing.territories, PATH, problems)
        content += read
        lines = tuple(_lines(read, problems)) if read else ()
    calendars: dict[str, Busy] = {}
    for n, rep in enumerate(tables.reps, 1):
        if not rep.calendar or rep.calendar in calendars:
            continue
        path = f"reps[{n}].calendar"
        read = _bytes(folder / rep.calendar, path, problems)
        content += read
        try:
            calendars[rep.calendar] = _absences(read, rep.timezone or zone) if read else ()
        except ValueError as error:
            problems.append(Problem(path, f"This is no calendar: {error}.", "Export it as iCalendar (.ics)."))
    return Files(lines, calendars, content)


def _bytes(path: Path, where: str, problems: list[Problem]) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        problems.append(Problem(where, f"{path} cannot be read: {error.strerror}.", "Name a file beside the config."))
        return b""


def _lines(content: bytes, problems: list[Problem]) -> Iterator[Line]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        problems.append(Problem(PATH, "The list is not a text in UTF-8.", "Save it as CSV in UTF-8."))
        return
    first = text.partition("\n")[0]
    rows = csv.reader(text.splitlines(), delimiter=";" if first.count(";") > first.count(",") else ",", strict=True)
    try:
        head = [one.strip().casefold() for one in next(rows, [])]
        unknown = [one for one in head if one not in COLUMNS]
        if unknown or "to" not in head:
            says = f"The list has a column {unknown[0]!r}." if unknown else "The list has no column `to`."
            problems.append(Problem(PATH, says, nearest(unknown[0] if unknown else "to", COLUMNS)))
            return
        for row in rows:
            cells = {name: cell.strip() for name, cell in zip(head, row, strict=False) if cell.strip()}
            if cells:
                yield Line(rows.line_num, cells)
    except csv.Error as error:
        problems.append(Problem(PATH, f"Line {rows.line_num} of the list is no CSV: {error}."))


def few(tell: Callable[[str, str], None], path: str, found: list[str]) -> None:
    """Tell of the first few of what may be thousands of mistakes in one file, and how many there are."""
    for one in found[:_TOLD]:
        tell(path, one)
    if len(found) > _TOLD:
        tell(path, f"And {len(found) - _TOLD} lines more like these.")


def _absences(content: bytes, zone: str) -> Busy:
    """When a rep is away: whole days, and what is marked as out of office; never what is free or cancelled.

    Meetings are no absences. Repeated events are passed over: a free afternoon every week is part of the hours.
    Raises ValueError for what is no iCalendar.
    """
    import icalendar  # for who names a calendar

    found: list[tuple[datetime, datetime]] = []
    for event in icalendar.Calendar.from_ical(content).walk("VEVENT"):
        begin = event.decoded("DTSTART", None)
        if begin is None or "RRULE" in event:
            continue
        free = str(event.get("TRANSP", "")).upper() == "TRANSPARENT" or str(event.get("STATUS", "")) == "CANCELLED"
        out = str(event.get("X-MICROSOFT-CDO-BUSYSTATUS", "")).upper() == "OOF"
        if (free and not out) or not (out or not isinstance(begin, datetime)):
            continue
        whole = timedelta(0) if isinstance(begin, datetime) else timedelta(days=1)
        end = event.decoded("DTEND", None) or begin + (event.decoded("DURATION", None) or whole)
        found.append((_moment(begin, zone), _moment(end, zone)))
    return tuple(sorted(one for one in found if one[0] < one[1]))


def _moment(given: date | datetime, zone: str) -> datetime:
    if not isinstance(given, datetime):
        given = datetime(given.year, given.month, given.day, tzinfo=ZoneInfo(zone))
    return (given if given.tzinfo is not None else given.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
