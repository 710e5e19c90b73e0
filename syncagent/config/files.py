"""Files that the routing names: the list of territories (CSV) and reps' calendars (.ics), read with the config.

They are part of what was agreed: their bytes go into the config's hash, and `systemctl reload` reads them again.
"""

import csv
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from syncagent.config.calendars import Absences, Busy, absences
from syncagent.config.reading import nearest
from syncagent.config.tables import AgreementTables, RepTable
from syncagent.errors import Problem

COLUMNS = ("to", "account", "domain", "company", "country", "postal")
PATH = "routing.territories"
_TOLD = 5


class Line(Struct, frozen=True):
    """One line of the list as it stands, by column; `number` counts the lines of the file from 1."""

    number: int
    cells: dict[str, str]


class Files(Struct, frozen=True):
    """What stands in them: the list's lines, and by calendar file and time zone when its rep is away (UTC).

    `content`: all bytes. `passed_over`: what could not be read in a calendar, as warnings.
    """

    lines: tuple[Line, ...] = ()
    calendars: dict[tuple[str, str], Busy] = {}
    content: bytes = b""
    passed_over: tuple[Problem, ...] = ()

    def absences_of(self, calendar: str, zone: str) -> Busy:
        """When a rep is away by this calendar file, in this zone."""
        return self.calendars.get((calendar, zone), ())


def read_files(tables: AgreementTables, folder: Path, zone: str, problems: list[Problem]) -> Files:
    """Every file that the tables name, meant from `folder`; what cannot be read is told."""
    content = b""
    lines: tuple[Line, ...] = ()
    if tables.routing.territories:
        read = _bytes(folder / tables.routing.territories, PATH, problems)
        content += read
        lines = tuple(_lines(read, problems)) if read else ()
    calendars: dict[tuple[str, str], Busy] = {}
    warnings: list[Problem] = []
    for n, rep in enumerate(tables.reps, 1):
        where = zone_of(rep, tables) or zone
        if not rep.calendar or (rep.calendar, where) in calendars:
            continue
        path = f"reps[{n}].calendar"
        read = _bytes(folder / rep.calendar, path, problems)
        content += read
        try:
            away = absences(read, _zone(where)) if read else Absences((), ())
        except ValueError as error:
            problems.append(Problem(path, f"This is no calendar: {error}.", "Export it as iCalendar (.ics)."))
            continue
        calendars[rep.calendar, where] = away.busy
        few(partial(_warn, warnings), path, list(away.skipped))
    return Files(lines, calendars, content, tuple(warnings))


def zone_of(rep: RepTable, tables: AgreementTables) -> str:
    """The time zone that is named for a rep: their own, that of the first team that names them, or that of [team]."""
    named = rep.name.casefold()
    teams = (team for team in tables.teams.values() if named in (one.casefold() for one in team.members))
    return rep.timezone or next((team.timezone for team in teams), "") or tables.team.timezone


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):  # told with the rep's hours
        return ZoneInfo("UTC")


def _warn(warnings: list[Problem], path: str, says: str) -> None:
    warnings.append(Problem(path, says, fatal=False))


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
        tell(path, f"And {len(found) - _TOLD} more like these.")
