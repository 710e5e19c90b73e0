"""`syncagent inbox`: what was posted to us and could not be read, and what to do about it."""

import json
import sys
from pathlib import Path

import click

from syncagent.cli import FAILED, config_option, counted, json_option
from syncagent.cli.change import order
from syncagent.cli.logs import masked, plain, screen, shown
from syncagent.cli.look import open_to_look
from syncagent.compose import read_to_look as load
from syncagent.config import Config
from syncagent.errors import UserError
from syncagent.state.store import MOST_REFUSED, Post


@click.group(short_help="See what was posted and could not be read; retry or drop it.")
def inbox() -> None:
    """See deliveries that were signed and could not be read; retry them after you mended the mapping, or drop them."""


def _refused(config: Config, limit: int) -> tuple[Post, ...]:
    store = open_to_look(Path(config.agent.state))
    try:
        return store.refused_posts(limit)
    finally:
        store.close()


@inbox.command("list")
@config_option
@json_option
@click.option("--limit", default=200, show_default=True)
def list_(config_path: Path, limit: int, *, as_json: bool) -> None:
    """List the deliveries that could not be read, each with its reason."""
    config = load(config_path)
    posts = _refused(config, limit)
    if as_json:
        told = [
            {"id": one.id, "source": one.source, "arrived": one.arrived.isoformat(), "why": masked(one.why)}
            for one in posts
        ]
        click.echo(json.dumps(told))
        return
    if not posts:
        click.echo("Everything that was posted could be read.")
        return
    console = screen()
    for one in posts:
        console.print(
            f"{one.id}  {plain(one.source)}, {one.arrived:%Y-%m-%d %H:%M:%S} UTC: {shown(one.why)}", soft_wrap=True
        )
    console.print("See one with `syncagent inbox show ID`; mend the mapping, then `syncagent inbox retry`.")
    kept = config.agent.keep_refused
    console.print(
        f"They are kept for {plain(kept)} (keep_refused under [agent]), the newest {MOST_REFUSED:,} at most.",
        soft_wrap=True,
    )


@inbox.command()
@config_option
@click.argument("number", metavar="ID", type=int)
def show(config_path: Path, number: int) -> None:
    """Print one delivery as it came, to mend the mapping by; addresses are shortened."""
    one = next((post for post in _refused(load(config_path), MOST_REFUSED) if post.id == number), None)
    if one is None:
        raise UserError(f"No delivery with the id {number} was refused; see `syncagent inbox list`.")
    click.echo(f"{one.method} {shown(one.url)}")
    for name, value in sorted(one.headers.items()):
        click.echo(f"{plain(name)}: {shown(value)}")
    click.echo("")
    click.echo(masked(one.body.decode("utf-8", "backslashreplace")))


@inbox.command()
@config_option
@json_option
@click.argument("numbers", metavar="[ID]...", nargs=-1, type=int)
def retry(config_path: Path, numbers: tuple[int, ...], *, as_json: bool) -> None:
    """Have refused deliveries read again: these, or all of them."""
    _order(config_path, "retry", numbers, as_json=as_json)


@inbox.command()
@config_option
@json_option
@click.argument("numbers", metavar="ID...", nargs=-1, type=int, required=True)
def drop(config_path: Path, numbers: tuple[int, ...], *, as_json: bool) -> None:
    """Give refused deliveries up: what they say is lost."""
    _order(config_path, "drop", numbers, as_json=as_json)


def _order(config_path: Path, verb: str, numbers: tuple[int, ...], *, as_json: bool) -> None:
    config = load(config_path)
    open_to_look(Path(config.agent.state)).close()  # says so when there is no state; an order would make one
    answer = order(config, {"do": f"inbox {verb}", "ids": list(dict.fromkeys(numbers))})
    count = int(answer["posts"])
    if as_json:
        click.echo(json.dumps(answer))
    else:
        done = "read again; `syncagent inbox list` shows what is refused still" if verb == "retry" else "dropped"
        click.echo(f"{counted(count, 'delivery', 'deliveries')} {'is' if count == 1 else 'are'} {done}.")
    if numbers and not count:
        sys.exit(FAILED)


COMMANDS = {"inbox": inbox}
