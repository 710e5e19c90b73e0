"""`syncagent outbox`: what has not been delivered, and what to do about it."""

import json
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import click
import msgspec
from msgspec import structs

from syncagent.cli import FAILED, REFUSALS, config_option, counted, json_option
from syncagent.cli.change import order
from syncagent.cli.logs import masked, plain, screen, shown
from syncagent.cli.look import open_to_look
from syncagent.compose import read_to_look as load
from syncagent.model import OutboxEntry

STATES = get_args(get_type_hints(OutboxEntry)["state"])


@click.group(short_help="See what is not delivered; retry or drop what is parked.")
def outbox() -> None:
    """See commands that are not done; retry or drop those that are parked."""


@outbox.command("list")
@config_option
@json_option
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only these; may be given again.")
@click.option("--limit", default=200, show_default=True)
def list_(config_path: Path, states: tuple[str, ...], limit: int, *, as_json: bool) -> None:
    """List commands with the reason why they are not done."""
    store = open_to_look(Path(load(config_path).agent.state))
    try:
        items = store.outbox(states, limit)
    finally:
        store.close()
    if as_json:
        masks = [structs.replace(item, why=masked(item.why)) for item in items]
        click.echo(json.dumps(msgspec.to_builtins(masks)))
        return
    if not items:
        click.echo(f"No command is {' or '.join(states)}." if states else "The outbox is empty.")
        return
    console = screen()
    for item in items:  # a block each: keys are copied whole into `outbox retry`
        command = item.command
        console.print(plain(command.key), soft_wrap=True)
        tries = counted(command.attempt, "try", "tries")
        console.print(f"  {type(command).__name__}, person {command.person}: {item.state}, {tries}", soft_wrap=True)
        if item.why:
            console.print(f"  {shown(item.why)}", soft_wrap=True)


@outbox.command()
@config_option
@json_option
@click.argument("keys", nargs=-1, required=True)
def retry(config_path: Path, keys: tuple[str, ...], *, as_json: bool) -> None:
    """Queue parked commands again, after you mended what stopped them."""
    _order(config_path, "retry", "queued", keys, as_json=as_json)


@outbox.command()
@config_option
@json_option
@click.argument("keys", nargs=-1, required=True)
def drop(config_path: Path, keys: tuple[str, ...], *, as_json: bool) -> None:
    """Give parked commands up; their people are planned again.

    What was given up is not made anew: a rep whose task is dropped must hear of the lead from you. A handoff whose
    first write is dropped ends, for nobody has got it.
    """
    _order(config_path, "drop", "dropped", keys, as_json=as_json)


def _order(config_path: Path, verb: str, done: str, keys: tuple[str, ...], *, as_json: bool) -> None:
    """Exit 0: all of them; 3: some; 1: none. Whatever was refused is named with its reason."""
    config = load(config_path)
    open_to_look(Path(config.agent.state)).close()  # says so when there is no state; an order would make one
    answer = order(config, {"do": f"outbox {verb}", "keys": list(dict.fromkeys(keys))})
    if as_json:
        click.echo(json.dumps(answer))
    else:
        for why in answer["refused"].values():
            click.echo(f"✗ {plain(why)}", err=True)
        click.echo(f"{answer[done]} of {len(set(keys))} {'is' if answer[done] == 1 else 'are'} {done}.")
    if answer["refused"]:
        sys.exit(REFUSALS if answer[done] else FAILED)


COMMANDS = {"outbox": outbox}
