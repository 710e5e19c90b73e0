"""`syncagent check`: verify the config against the real systems, changing nothing."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import click

from syncagent.cli import FAILED, config_option, json_option
from syncagent.compose import connectors, sinks
from syncagent.compose import read as load
from syncagent.config import Config
from syncagent.connectors.base import Sink, Source
from syncagent.errors import ConfigError, Problem, SyncagentError
from syncagent.state import sqlite_version


@click.command()
@config_option
@json_option
def check(config_path: Path, *, as_json: bool) -> None:
    """Verify the config against the real systems, changing nothing.

    Asks every system: are the credentials right, can we see and edit the fields, do the statuses exist, are the keys
    there that make every task unique. Exit 0: ready; 1: something must be mended; 2: the config itself is wrong.
    """
    config = load(config_path)
    _find_secrets(config)
    found: dict[str, list[Problem]] = {}
    systems: dict[str, Source | Sink] = {**connectors(config), **sinks(config)}
    for name, system in systems.items():
        try:
            found[name] = list(system.check())
        except ConfigError:
            raise
        except SyncagentError as error:
            found[name] = [Problem(name, str(error))]
        finally:
            system.close()
    fatal = any(problem.fatal for problems in found.values() for problem in problems)
    warnings = config.files.passed_over
    if as_json:
        shown = {name: [vars_of(problem) for problem in problems] for name, problems in found.items()}
        told = [vars_of(problem) for problem in warnings]
        click.echo(
            json.dumps({"ready": not fatal, "sqlite": sqlite_version(), "config": told, "systems": shown}, indent=2)
        )
        sys.exit(FAILED if fatal else 0)
    click.echo(f"✓ config: {config_path} reads well (SQLite {sqlite_version()}).")
    for problem in warnings:
        click.echo(f"! {problem}")
    for name, problems in found.items():
        if not problems:
            click.echo(f"✓ {name}: everything that is needed is there.")
        for problem in problems:
            click.echo(f"{'✗' if problem.fatal else '!'} {problem}")
    if fatal:
        click.echo("Mend what is marked ✗, then run `syncagent check` again.", err=True)
        sys.exit(FAILED)
    click.echo("Ready. See what it would do with `syncagent run --dry-run`, then start it with `syncagent run`.")


def _find_secrets(config: Config) -> None:
    """Those that no system asks for: whoever starts the agent should know at once that nobody could sign in."""
    problems: list[Problem] = []
    places = {
        "pages.token": config.pages.token,
        "probes.token": config.probes.token,
        "heartbeat.url": config.heartbeat.url,
    }
    for path, secret in places.items():
        try:
            if secret is not None:
                secret.reveal()
        except ConfigError as error:
            problems += [replace(problem, path=path) for problem in error.problems]
    if problems:
        raise ConfigError(problems)


def vars_of(problem: Problem) -> dict[str, object]:
    """A problem for a program."""
    return {"path": problem.path, "message": problem.message, "help": problem.help, "fatal": problem.fatal}


COMMANDS = {"check": check}
