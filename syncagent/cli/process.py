"""`syncagent process`: the process map of the config that runs, with today's numbers on it."""

import json
from datetime import datetime
from pathlib import Path

import click
import msgspec

from syncagent.cli import config_option
from syncagent.cli.logs import screen, shown
from syncagent.cli.look import open_to_look
from syncagent.cli.tables import draw
from syncagent.clock import SystemClock
from syncagent.compose import read_to_look as load
from syncagent.reports.drawing import html, svg
from syncagent.reports.process import Picture, lasted, picture
from syncagent.reports.report import Column, Table

HEAD = ("stage", "answers for it", "here", "stuck", "median stay", "longest", "next", "who is told")


@click.command(short_help="Show the process map, and how many are where, since when.")
@config_option
@click.option("--format", "shape", type=click.Choice(["table", "json", "svg", "html"]), default="table")
def process(config_path: Path, shape: str) -> None:
    """Draw the process map from the config that runs, with today's numbers: who is in each stage, and who is stuck.

    Medians and moves are of the last 90 days. The picture needs nothing from outside: `--format html > map.html`.
    """
    config = load(config_path)
    store = open_to_look(Path(config.agent.state))
    try:
        now = SystemClock().now()
        live_from = store.meta("live_from")
        policy = config.policy(datetime.fromisoformat(live_from) if live_from else now)
        found = picture(store, policy, now, store.roster().names)
    finally:
        store.close()
    if shape == "json":
        click.echo(json.dumps(msgspec.to_builtins(found)))
    elif shape == "svg":
        click.echo(svg(found))
    elif shape == "html":
        click.echo(html(found, [HEAD, *_rows(found)]))
    else:
        _show(found)


def _rows(found: Picture) -> list[tuple[str, ...]]:
    return [
        (
            box.stage,
            box.owner,
            f"{box.here:,}",
            f"{box.stuck:,}" if box.stuck else "",
            lasted(box.median),
            box.longest,
            box.next,
            box.tell,
        )
        for box in found.boxes
        if box.on_the_map or box.here or box.left
    ]


def _show(found: Picture) -> None:
    console = screen()
    columns = tuple(Column(head.replace(" ", "_"), head) for head in HEAD)
    title = f"The process map, {found.at:%Y-%m-%d %H:%M} UTC"
    draw(Table("process", title, columns, tuple(_rows(found))), "UTC", console)
    moves = tuple(
        (one.before, one.after, f"{one.moved:,}" + ("" if one.allowed else ", not on the map: sales made it"))
        for one in found.arrows
        if one.moved
    )
    if moves:
        heads = (Column("before", "from"), Column("after", "to"), Column("moved", "went in 90 days"))
        draw(Table("moves", "Moves", heads, moves), "UTC", console)
    if not any(box.on_the_map for box in found.boxes):
        console.print(shown("The config draws no map yet: give each stage its table, for example [stages.mql]."))


COMMANDS = {"process": process}
