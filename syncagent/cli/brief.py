"""`syncagent brief WHO`: what the rep would read in the task, by the config as it stands, before it goes live."""

from datetime import datetime
from pathlib import Path

import click
import msgspec

from syncagent.cli import config_option, counted, json_option
from syncagent.cli.logs import plain, screen
from syncagent.cli.look import dossier_of, open_to_look
from syncagent.clock import SystemClock
from syncagent.compose import read_to_look as load
from syncagent.errors import UserError
from syncagent.handoff.preview import preview


@click.command(short_help="Show the brief that somebody's rep would get by this config.")
@config_option
@json_option
@click.argument("who")
def brief(config_path: Path, who: str, *, as_json: bool) -> None:
    """Show the task's subject and brief of WHO (an email, a person's number, or any system's id). Nothing is written.

    Try new lines under [handoff.brief] with --config other.toml before they go live. The person's name is shown.
    """
    config = load(config_path)
    store = open_to_look(Path(config.agent.state))
    try:
        dossier = dossier_of(store, who)
        live_from, roster = store.meta("live_from"), store.roster()
    finally:
        store.close()
    if dossier.erased:
        raise UserError(f"Person {dossier.person} was forgotten: there is nothing to tell of them.")
    now = SystemClock().now()
    made = preview(dossier, config.policy(datetime.fromisoformat(live_from) if live_from else now), roster, now)
    if as_json:
        click.echo(msgspec.json.encode({**msgspec.to_builtins(made), "words": made.words}).decode())
        return
    console = screen()
    console.print(plain(made.subject), soft_wrap=True)
    console.print()
    for line in made.body.split("\n"):
        console.print(plain(line), soft_wrap=True)
    most = config.tables.handoff.brief.words
    kind = "The brief of the present handoff" if made.real else "Nobody was handed off: as if they were, now"
    console.print(f"\n{kind}; {counted(made.words, 'word')} of {most}.", soft_wrap=True)
    for line in made.left_out:
        console.print(f"No room for: {plain(line)}", soft_wrap=True)


COMMANDS = {"brief": brief}
