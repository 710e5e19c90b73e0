"""Lists in CSV that a config names: lines by column, with every mistake told once and by its line."""

import csv
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from syncagent.config.reading import nearest
from syncagent.errors import Problem

_TOLD = 5


class Line(Struct, frozen=True):
    """One line of a list as it stands, by column; `number` counts the lines of the file from 1."""

    number: int
    cells: dict[str, str]


def lines_of(
    content: bytes, path: str, columns: Sequence[str], needed: Sequence[str], problems: list[Problem]
) -> Iterator[Line]:
    """The lines of a CSV in UTF-8 with a head, divided by commas or semicolons; `path`: where the config names it."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        problems.append(Problem(path, "The list is not a text in UTF-8.", "Save it as CSV in UTF-8."))
        return
    first = text.partition("\n")[0]
    rows = csv.reader(text.splitlines(), delimiter=";" if first.count(";") > first.count(",") else ",", strict=True)
    try:
        head = [one.strip().casefold() for one in next(rows, [])]
        unknown = [one for one in head if one not in columns]
        missing = [one for one in needed if one not in head]
        if unknown or missing:
            says = f"The list has a column {unknown[0]!r}." if unknown else f"The list has no column `{missing[0]}`."
            problems.append(Problem(path, says, nearest(unknown[0] if unknown else missing[0], columns)))
            return
        for row in rows:
            cells = {name: cell.strip() for name, cell in zip(head, row, strict=False) if cell.strip()}
            if cells:
                yield Line(rows.line_num, cells)
    except csv.Error as error:
        problems.append(Problem(path, f"Line {rows.line_num} of the list is no CSV: {error}."))


def few(tell: Callable[[str, str], None], path: str, found: list[str]) -> None:
    """Tell of the first few of what may be thousands of mistakes in one file, and how many there are."""
    for one in found[:_TOLD]:
        tell(path, one)
    if len(found) > _TOLD:
        tell(path, f"And {len(found) - _TOLD} more like these.")
