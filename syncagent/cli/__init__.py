"""Command line: `syncagent --help`. Thin: each command asks the rooms below and shows what they say."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from syncagent.errors import ConfigError, SyncagentError

DONE, FAILED, BAD_CONFIG, REFUSALS = 0, 1, 2, 3

COMMANDS = {
    "demo": "syncagent.cli.demo",
    "check": "syncagent.cli.check",
    "run": "syncagent.cli.run",
    "release": "syncagent.cli.change",
    "backfill": "syncagent.cli.change",
    "import": "syncagent.cli.change",
    "backup": "syncagent.cli.change",
    "restore": "syncagent.cli.change",
    "status": "syncagent.cli.look",
    "explain": "syncagent.cli.explain",
    "brief": "syncagent.cli.brief",
    "audit": "syncagent.cli.audit",
    "process": "syncagent.cli.process",
    "lint": "syncagent.cli.lint",
    "sheet": "syncagent.cli.sheet",
    "accounts": "syncagent.cli.accounts",
    "score": "syncagent.cli.score",
    "rescore": "syncagent.cli.score",
    "report": "syncagent.cli.report",
    "split": "syncagent.cli.person",
    "inbox": "syncagent.cli.inbox",
    "model": "syncagent.cli.model",
    "outbox": "syncagent.cli.outbox",
    "journal": "syncagent.cli.journal",
    "sandbox": "syncagent.cli.sandbox",
}
"""Where each command lives; a module is imported when its command is called, so that `--help` answers at once."""


class Commands(click.Group):
    """Imports a command when it is named, and turns syncagent's errors into sentences and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's own signature)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = __import__(COMMANDS[cmd_name], fromlist=["COMMANDS"])
        found: click.Command = module.COMMANDS[cmd_name]
        return found

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  (click's own signature)
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            for problem in error.problems:
                click.echo(f"✗ {problem}", err=True)
            noun = "problem" if len(error.problems) == 1 else "problems"
            click.echo(f"{len(error.problems)} {noun}. Nothing was started.", err=True)
            sys.exit(BAD_CONFIG)
        except SyncagentError as error:
            click.echo(f"✗ {error}", err=True)
            sys.exit(FAILED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="syncagent")
def main() -> None:
    """Hand leads from marketing to sales, exactly once, and watch that somebody calls.

    Begin with `syncagent demo`.
    """


def counted(count: int, one: str, many: str = "") -> str:
    """`1 row`, `2 rows`; `many` where an s does not make it."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--config PATH`, else $SYNCAGENT_CONFIG, else ./config.toml."""
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="SYNCAGENT_CONFIG",
        default=Path("config.toml"),
        show_default="./config.toml, or $SYNCAGENT_CONFIG",
        help="The config to go by.",
    )(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--json`: the result for a program."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for a program.")(command)
