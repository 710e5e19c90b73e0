"""Files that a config names: the territories and what was spent (CSV), reps' calendars (.ics), read with the config.

Territories and calendars are part of what was agreed: their bytes go into the config's hash. What was spent decides
nothing, so a new month of it sets nobody to be decided anew. `systemctl reload` reads them all again.
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec import Struct

from syncagent.config.lists import Line, lines_of
from syncagent.config.tables import AgreementTables
from syncagent.errors import Problem

COLUMNS = ("to", "account", "domain", "company", "country", "postal")
PATH = "routing.territories"
SPENT = ("month", "from", "to", "source", "campaign", "amount", "currency")
SPENT_PATH = "reports.costs.file"

Busy = tuple[tuple[datetime, datetime], ...]


class Files(Struct, frozen=True):
    """What stands in them: the territories' lines, and by calendar file when its rep is away (UTC); what was spent.

    `content`: all bytes of what was agreed.
    """

    lines: tuple[Line, ...] = ()
    calendars: dict[str, Busy] = {}
    content: bytes = b""
    costs: tuple[Line, ...] = ()


def read_files(tables: AgreementTables, folder: Path, zone: str, problems: list[Problem]) -> Files:
    """Every file that the tables name, meant from `folder`; what cannot be read is told."""
    content = b""
    lines: tuple[Line, ...] = ()
    if tables.routing.territories:
        read = _bytes(folder / tables.routing.territories, PATH, problems)
        content += read
        lines = tuple(lines_of(read, PATH, COLUMNS, ("to",), problems)) if read else ()
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
    costs: tuple[Line, ...] = ()
    if tables.reports.costs.file:
        read = _bytes(folder / tables.reports.costs.file, SPENT_PATH, problems)
        costs = tuple(lines_of(read, SPENT_PATH, SPENT, ("source", "amount"), problems)) if read else ()
    return Files(lines, calendars, content, costs)


def _bytes(path: Path, where: str, problems: list[Problem]) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        problems.append(Problem(where, f"{path} cannot be read: {error.strerror}.", "Name a file beside the config."))
        return b""


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
