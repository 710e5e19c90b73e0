"""`syncagent report`: questions asked of the state. They only read, and may run beside the agent."""

import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from msgspec import Struct
from msgspec.structs import replace

from syncagent.cli import config_option
from syncagent.cli.change import moment
from syncagent.cli.look import open_to_look
from syncagent.cli.tables import as_text, show
from syncagent.clock import SystemClock
from syncagent.compose import read_to_look as load
from syncagent.config.reading import close, nearest
from syncagent.errors import UserError
from syncagent.reports.catalog import REPORTS, cuts, make
from syncagent.reports.formats.data import as_csv, as_json
from syncagent.reports.formats.page import as_html
from syncagent.reports.formats.parquet import as_parquet
from syncagent.reports.report import Ask, Report, Table

FORMATS = ("table", "json", "csv", "html", "parquet")

_WHOLE: dict[str, Callable[[Report], str]] = {
    "table": as_text,
    "json": lambda made: as_json(made) + "\n",
    "html": as_html,
}


class Wanted(Struct, frozen=True):
    """What somebody typed: in which form, to where (None: standard output), which table only ("": all)."""

    form: str
    output: Path | None
    table: str


def _output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--format`, `--json`, `--table`, `--output`."""
    for option in (
        click.option("--output", type=click.Path(path_type=Path), help="Write to this file; several CSV or Parquet "
                     "tables to this folder, a file each."),
        click.option("--table", "table", default="", metavar="NAME", help="Only this table of the report."),
        click.option("--json", "as_json", is_flag=True, help="The same as --format json."),
        click.option("--format", "form", type=click.Choice(FORMATS), help="Default: as the output's ending says, "
                     "else a table."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.group(short_help="Measure: funnel, speed, promises, sources, reps, revenue, scores, gate.")
def report() -> None:
    """Reports on what the state knows. Nothing is written to it, and the agent may run meanwhile.

    Each comes as a table, JSON, CSV, one self-contained HTML page with charts, or Parquet. Days are those of the
    config's time zone. See docs/reports.md.
    """


def _command(name: str, about: str) -> click.Command:
    """The command of one report."""

    @config_option
    @click.option("--since", help="Count from this date or moment on, in the config's time zone.")
    @click.option("--until", help="Count up to this date or moment, which itself no longer counts.")
    @click.option("--by", default="", metavar="WORD", help="Cut the report by this; a wrong word lists all.")
    @_output_options
    def run(config_path: Path, *, since: str | None, until: str | None, by: str, as_json: bool, form: str | None,
            table: str, output: Path | None) -> None:  # fmt: skip
        wanted = _wanted(form, output, table, as_json=as_json)
        _check_cut(name, by)
        config = load(config_path)
        zone = config.agent.timezone
        first = moment(since, "--since", zone) if since is not None else None
        ask = Ask(SystemClock().now(), zone, first, moment(until, "--until", zone) if until is not None else None, by)
        if ask.since and ask.until and ask.since >= ask.until:
            raise click.UsageError(f"--since {since} is not before --until {until}: nothing lies between them.")
        store = open_to_look(Path(config.agent.state))
        try:
            live_from = store.meta("live_from")
            policy = config.policy(datetime.fromisoformat(live_from) if live_from else ask.at)
            made = make(name, store, ask, policy)
        finally:
            store.close()
        _write(made, wanted)

    return click.command(name=name, help=about, short_help=about)(run)


for _name, _about in REPORTS.items():
    report.add_command(_command(_name, _about))


def _wanted(form: str | None, output: Path | None, table: str, *, as_json: bool) -> Wanted:
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form} are two forms; name one.")
    ending = output.suffix.lstrip(".").lower() if output is not None else ""
    return Wanted("json" if as_json else form or (ending if ending in FORMATS else "table"), output, table)


def _check_cut(name: str, by: str) -> None:
    if not by or by in (known := cuts(name)):
        return
    every = f"It can be cut by {', '.join(known)}." if known else f"The report {name} cannot be cut."
    near = f" Did you mean {word}?" if (word := close(by, known)) else ""
    raise click.BadParameter(f"{by!r} is no cut of {name}.{near} {every}", param_hint="'--by'")


def _write(made: Report, wanted: Wanted) -> None:
    """Print a report, or put it into its file."""
    if wanted.table:
        names = [one.name for one in made.tables]
        if wanted.table not in names:
            raise click.BadParameter(f"{wanted.table!r} is no table of {made.name}. {nearest(wanted.table, names)}",
                                     param_hint="'--table'")  # fmt: skip
        made = replace(made, tables=tuple(one for one in made.tables if one.name == wanted.table))
    if wanted.form in ("csv", "parquet"):
        _write_tables(made, wanted)
    elif wanted.output is None and wanted.form == "table":
        show(made)
    else:
        _put(_WHOLE[wanted.form](made).encode(), wanted.output)


def _write_tables(made: Report, wanted: Wanted) -> None:
    """CSV and Parquet hold one table: several go into a folder. What the report says besides is told on the side."""

    def coded(one: Table) -> bytes:
        return as_csv(one).encode() if wanted.form == "csv" else as_parquet(made, one)

    output, several = wanted.output, len(made.tables) > 1
    if not made.tables:
        click.echo(f"{made.title} has no table yet: nothing was written.", err=True)
    elif output is not None and (output.is_dir() or (several and output.suffix != f".{wanted.form}")):
        _make_folder(output)
        for name, one in zip(_file_names(made), made.tables, strict=True):
            _put(coded(one), output / f"{name}.{wanted.form}")
    elif several:
        raise click.UsageError(
            f"{wanted.form} holds one table, and the report has {len(made.tables)}: "
            f"{', '.join(one.name for one in made.tables)}. "
            "Name one with --table, or a folder with --output, for a file each."
        )
    elif wanted.form == "parquet" and output is None and sys.stdout.isatty():
        raise click.UsageError("Parquet is not for a screen: give --output FILE.")
    else:
        _put(coded(made.tables[0]), output)
    for note in (*made.notes, *(note for one in made.tables for note in one.notes)):
        click.echo(f"* {note}", err=True)


def _file_names(made: Report) -> list[str]:
    """One for each table. Some are named after what a CRM says, a currency: no name leads out of the folder."""
    names: list[str] = []
    for n, one in enumerate(made.tables):
        name = re.sub(r"[^\w-]", "_", f"{made.name}-{one.name}")
        names.append(f"{name}-{n + 1}" if name in names else name)
    return names


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be a folder: {error.strerror}. Name another with --output.") from None


def _put(content: bytes, output: Path | None) -> None:
    """To standard output, or whole into the file: whoever reads it meanwhile sees the old one."""
    if output is None:
        click.echo(content, nl=False)
        return
    if output.is_dir():
        raise UserError(f"{output} is a folder. Name a file in it with --output.")
    draft = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        draft.write_bytes(content)
        draft.replace(output)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise UserError(f"{output} cannot be written: {error.strerror}. Name another file with --output.") from None
    click.echo(f"Wrote {output}.", err=True)


COMMANDS = {"report": report}
