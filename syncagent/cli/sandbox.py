"""`syncagent sandbox`: the local vendor servers by themselves."""

from pathlib import Path

import click

from syncagent.sandbox import KNOWN, serve


@click.command()
@click.argument("systems", nargs=-1, required=True, type=click.Choice(KNOWN))
@click.option("--port", default=0, help="The first system's port; the others follow. Default: free ones.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON: addresses, credentials, control URL.")
@click.option(
    "--write-config", type=click.Path(path_type=Path, dir_okay=False), help="Write a config that runs against it."
)
def sandbox(systems: tuple[str, ...], port: int, write_config: Path | None, *, as_json: bool) -> None:
    """Serve local servers that answer as the real vendors do, until SIGTERM or Ctrl-C."""
    ports = {system: port + n for n, system in enumerate(systems)} if port else {}
    serve(systems, ports, json_line=as_json, write_config=write_config)


COMMANDS = {"sandbox": sandbox}
