"""Files that a config names: the territories and what was spent (CSV), reps' calendars (.ics), read with the config.

Territories and calendars are part of what was agreed: their bytes go into the config's hash. What was spent decides
nothing, so a new month of it sets nobody to be decided anew. `systemctl reload` reads them all again.
"""

from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from syncagent.config.calendars import Absences, Busy, absences
from syncagent.config.lists import Line, few, lines_of
from syncagent.config.tables import AgreementTables, RepTable
from syncagent.errors import Problem

COLUMNS = ("to", "account", "domain", "company", "country", "postal")
PATH = "routing.territories"
SPENT = ("month", "from", "to", "source", "campaign", "amount", "currency")
SPENT_PATH = "reports.costs.file"


class Files(Struct, frozen=True):
    """What stands in them: the territories' lines; by calendar file and time zone when its rep is away (UTC).

    `content`: all bytes of what was agreed. `costs`: the lines of what was spent. `passed_over`: what could not be read
    in a calendar, as warnings.
    """

    lines: tuple[Line, ...] = ()
    calendars: dict[tuple[str, str], Busy] = {}
    content: bytes = b""
    passed_over: tuple[Problem, ...] = ()
    costs: tuple[Line, ...] = ()

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
        lines = tuple(lines_of(read, PATH, COLUMNS, ("to",), problems)) if read else ()
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
    costs: tuple[Line, ...] = ()
    if tables.reports.costs.file:
        read = _bytes(folder / tables.reports.costs.file, SPENT_PATH, problems)
        costs = tuple(lines_of(read, SPENT_PATH, SPENT, ("source", "amount"), problems)) if read else ()
    return Files(lines, calendars, content, tuple(warnings), costs)


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
