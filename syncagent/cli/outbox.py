"""`syncagent outbox`: what has not been delivered, and what to do about it."""

import json
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from syncagent.cli import config_option, json_option
from syncagent.cli.change import order
from syncagent.cli.logs import masked
from syncagent.cli.look import open_to_look
from syncagent.compose import read_to_look as load


@click.group()
def outbox() -> None:
    """See commands that are not done; retry or drop those that are parked."""


@outbox.command("list")
@config_option
@json_option
@click.option("--state", "states", multiple=True, help="Only these: queued, sending, parked, unknown, done, dropped.")
@click.option("--limit", default=200, show_default=True)
def list_(config_path: Path, states: tuple[str, ...], limit: int, *, as_json: bool) -> None:
    """List commands with the reason why they are not done."""
    store = open_to_look(Path(load(config_path).agent.state))
    try:
        items = store.outbox(states, limit)
    finally:
        store.close()
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(items)))
        return
    if not items:
        click.echo("The outbox is empty.")
        return
    table = Table("key", "command", "person", "state", "tries", "why")
    for item in items:
        command = item.command
        table.add_row(
            command.key, type(command).__name__, str(command.person), item.state, str(command.attempt), masked(item.why)
        )
    Console().print(table)


@outbox.command()
@config_option
@json_option
@click.argument("keys", nargs=-1, required=True)
def retry(config_path: Path, keys: tuple[str, ...], *, as_json: bool) -> None:
    """Queue parked commands again, after you mended what stopped them."""
    answer = order(load(config_path), {"do": "outbox retry", "keys": list(keys)})
    click.echo(json.dumps(answer) if as_json else f"{answer['queued']} of {len(keys)} are queued again.")


@outbox.command()
@config_option
@json_option
@click.argument("keys", nargs=-1, required=True)
def drop(config_path: Path, keys: tuple[str, ...], *, as_json: bool) -> None:
    """Give parked commands up; their people are planned again."""
    answer = order(load(config_path), {"do": "outbox drop", "keys": list(keys)})
    click.echo(json.dumps(answer) if as_json else f"{answer['dropped']} of {len(keys)} were dropped.")


COMMANDS = {"outbox": outbox}
