"""`syncagent sheet`: the score model as a spreadsheet for a workshop, and back as TOML."""

from pathlib import Path

import click

from syncagent.cli import config_option
from syncagent.compose import read_to_look as load
from syncagent.config.reading import join, nearest
from syncagent.config.sheet import check_sheet, read_sheet, write_sheet
from syncagent.config.tables import AgreementTables, ModelTable, ScoreTable
from syncagent.config.written import toml_of
from syncagent.errors import UserError

_out = click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this new file instead of to the screen."
)
_model = click.option("--model", default="", help="The model of [models.NAME] instead of the live one, [score].")


@click.group(short_help="The score model as a spreadsheet, and back.")
def sheet() -> None:
    """The score model as a spreadsheet (CSV) that a workshop can fill in, and the filled-in one as TOML."""


@sheet.command(name="export", short_help="Write the model as CSV.")
@config_option
@_model
@_out
@click.option("--formulas", is_flag=True, help="Let the spreadsheet work out totals and points while it is filled in.")
def export(config_path: Path, model: str, out: Path | None, *, formulas: bool) -> None:
    """Write the config's model as CSV: rules, weights, choices, priorities, running totals, and how to fill it in.

    Without a config it is an empty sheet to begin with.
    """
    table: ScoreTable | ModelTable = ScoreTable()
    if config_path.exists() or model:
        tables = load(config_path).tables
        if model and model not in tables.models:
            hint = nearest(model, tables.models) if tables.models else "There is none in this config."
            raise UserError(f"{model!r} is none of the models. {hint}")
        table = tables.models[model] if model else tables.score
    _put(write_sheet(table, formulas=formulas), out)


@sheet.command(name="import", short_help="Turn a filled-in CSV into the tables of the config.")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@config_option
@_model
@_out
def read(file: Path, config_path: Path, model: str, out: Path | None) -> None:
    """Check a filled-in FILE as the config is checked, and print its tables as TOML; the config is not touched.

    Every problem is told with its row, and then the exit code is 2. Put the result in the place of the config's tables.
    """
    path = join("models", model) if model else "score"
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{file} is not a text in UTF-8: save it as “CSV UTF-8”.") from None
    tables: AgreementTables | None = load(config_path).tables if config_path.exists() else None
    filled = read_sheet(text, path)
    check_sheet(filled, path, tables)
    _put(toml_of(filled.raw, path), out)


def _put(text: str, out: Path | None) -> None:
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        with out.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{out} exists already; name another file, or remove it first.") from None
    click.echo(f"Written to {out}.", err=True)


COMMANDS = {"sheet": sheet}
