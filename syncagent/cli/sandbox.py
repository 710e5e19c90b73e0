"""`syncagent sandbox`: the local vendor servers by themselves."""

from pathlib import Path

import click

from syncagent.errors import UserError
from syncagent.sandbox import KNOWN, serve


@click.command(short_help="Serve local servers that answer as the real vendors do.")
@click.argument("systems", nargs=-1, required=True, type=click.Choice(KNOWN))
@click.option("--port", default=0, help="The first system's port; the others follow. Default: free ones.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON: addresses, credentials, control URL.")
@click.option(
    "--write-config", type=click.Path(path_type=Path, dir_okay=False), help="Write a config that runs against it."
)
@click.option("--force", is_flag=True, help="Let --write-config take the place of a file.")
def sandbox(systems: tuple[str, ...], port: int, write_config: Path | None, *, as_json: bool, force: bool) -> None:
    """Serve local servers that answer as the real vendors do, until SIGTERM or Ctrl-C."""
    if write_config is not None and write_config.exists() and not force:
        raise UserError(f"{write_config} is there already; name a new file, or overwrite it with --force.")
    if write_config is not None and not write_config.absolute().parent.is_dir():
        raise UserError(f"There is no folder {write_config.parent}; make it first, or name a file in another one.")
    ports = {system: port + n for n, system in enumerate(systems)} if port else {}
    serve(systems, ports, json_line=as_json, write_config=write_config)


COMMANDS = {"sandbox": sandbox}
