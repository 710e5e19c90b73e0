"""`syncagent model`: train a likelihood on this org's own outcomes, read its card, hear whether the world has moved."""

import json
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
import msgspec

from syncagent.cli import REFUSALS, config_option, json_option
from syncagent.cli.change import moment
from syncagent.cli.logs import screen, shown
from syncagent.cli.look import open_to_look
from syncagent.clock import SystemClock
from syncagent.compose import read_to_train as load
from syncagent.config import Config
from syncagent.errors import UserError
from syncagent.learning import card as cards
from syncagent.learning.drift import drift as compared
from syncagent.learning.rows import Settings, people_of
from syncagent.state.store import Store

T = TypeVar("T")
USUAL = Settings()


@click.group(short_help="Train a likelihood of winning; read its card; see what has moved.")
def model() -> None:
    """Train a likelihood of winning on this org's own outcomes, read its card, and see whether the world has moved.

    What it says is one more attribute that scoring rules may use: see docs/model.md.
    """


@model.command()
@config_option
@json_option
@click.option("--until", help="A date or moment: what is dated later is left out. Default: now.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Where to put it instead.")
@click.option("--horizon", default=USUAL.horizon_days, show_default=True, type=click.IntRange(1, 1000), metavar="DAYS")
@click.option("--population", default=USUAL.population, show_default=True, type=click.Choice(["known", "handed-off"]))
@click.option("--without", multiple=True, metavar="COLUMN", help="Leave this column out; may be given several times.")
def train(
    config_path: Path,
    until: str | None,
    out: Path | None,
    horizon: int,
    population: Literal["known", "handed-off"],
    without: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Train on what is in the state, and print the card. A model that tells nobody apart is not put in place."""
    try:
        from syncagent.learning.training import train as learn
    except ModuleNotFoundError as error:
        raise UserError(
            f"Training needs scikit-learn ({error.name} is missing): `pip install 'syncagent[predict]'`."
            " A model that is trained is used without it."
        ) from None
    config = load(config_path)
    settings = Settings(horizon_days=horizon, population=population, without=without)
    end = _until(until, config)
    rules = config.policy(end).profile

    def learned(store: Store) -> cards.Model:
        people, not_drawn = people_of(store)
        return learn(people, settings, end, config.digest, not_drawn=not_drawn, rules=rules)

    made = _asked(config, learned)
    place = out or _file(config)
    useful = made.card.verdict == "useful"
    if useful:
        cards.write(made, place)
    if as_json:
        click.echo(json.dumps({"file": str(place) if useful else None, "card": msgspec.to_builtins(made.card)}))
    else:
        _print(cards.text(made))
        _print(_next(config, place) if useful else "It was not put in place.")
    if not useful:
        sys.exit(REFUSALS)


@model.command()
@config_option
@json_option
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
def card(config_path: Path, file: Path | None, *, as_json: bool) -> None:
    """Print the card of the model in FILE (default: the config's)."""
    found = cards.read(file or _file(load(config_path)))
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(found.card)))
    else:
        _print(cards.text(found))


@model.command()
@config_option
@json_option
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--until", help="A date or moment: what is dated later is left out. Default: now.")
@click.option(
    "--days", default=90, show_default=True, type=click.IntRange(1, 1000), help="How long the recent period is."
)
def drift(config_path: Path, file: Path | None, until: str | None, days: int, *, as_json: bool) -> None:
    """Compare the recent period with the training of the model in FILE. Exit 3 when something has moved."""
    config = load(config_path)
    known = cards.read(file or _file(config))
    end = _until(until, config)
    rules = config.policy(end).profile
    found = _asked(config, lambda store: compared(known, people_of(store)[0], end, days, rules))
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(found) | {"alarm": found.alarm}))
    else:
        _print("\n".join(found.says))
    if found.alarm:
        sys.exit(REFUSALS)


def _asked(config: Config, ask: Callable[[Store], T]) -> T:
    store = open_to_look(Path(config.agent.state))
    try:
        return ask(store)
    finally:
        store.close()


def _file(config: Config) -> Path:
    """Where the config has its model; else beside the state."""
    table = config.tables.score.model
    return config.folder / table.file if table is not None else Path(config.agent.state).with_name("model.json")


def _next(config: Config, place: Path) -> str:
    if config.tables.score.model is not None and place == _file(config):
        return f"Put in place: {place}. The agent uses it after `systemctl reload` (SIGHUP) or its next start."
    return (
        f'Written to {place}. To use it, write [score.model] file = "{place.name}" (a path from the config\'s folder).'
    )


def _until(text: str | None, config: Config) -> datetime:
    return SystemClock().now() if text is None else moment(text, config.agent.timezone)


def _print(text: str) -> None:
    console = screen()
    for line in text.splitlines():
        console.print(shown(line), soft_wrap=True)


COMMANDS: dict[str, Any] = {"model": model}
