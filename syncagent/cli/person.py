"""`syncagent split`: an admin says that one person is two."""

import json
from pathlib import Path
from typing import Any

import click

from syncagent.cli import config_option, counted, json_option
from syncagent.cli.change import agreed, order
from syncagent.cli.logs import shown
from syncagent.cli.look import open_to_look, person_of
from syncagent.compose import read_to_look as load
from syncagent.errors import UserError


@click.command(short_help="Make two people of one, after showing what parts.")
@config_option
@json_option
@click.argument("who")
@click.argument("identities", nargs=-1, required=True, metavar="IDENTITY...")
@click.option("--yes", is_flag=True, help="Do not ask.")
def split(config_path: Path, who: str, identities: tuple[str, ...], *, yes: bool, as_json: bool) -> None:
    """Part each IDENTITY (an id, or system/object/id) of WHO (an email, a number, any id) from the others.

    Activities, leads and records go back by their own identity, and the two stay apart: no address that both tell joins
    them again. Nothing from before counts as new, so the split hands nobody off.
    """
    config = load(config_path)
    store = open_to_look(Path(config.agent.state))
    try:
        person = person_of(store, who)
    finally:
        store.close()
    told: dict[str, Any] = {"do": "split", "person": person, "identities": list(identities)}
    seen = order(config, told)
    if not as_json:
        records = counted(seen["leads"] + seen["records"], "record")
        did = counted(seen["activities"], "activity", "activities")
        parts, stay = (shown(", ".join(seen[side])) for side in ("identities", "stay"))
        click.echo(f"Person {person}: {parts} with {records} and {did} parts from {stay}.")
    if not agreed("Split them?", yes=yes, as_json=as_json):
        raise UserError("Nothing was split.")
    done = order(config, told | {"go": True})
    if as_json:
        click.echo(json.dumps(done))
        return
    moved = shown(", ".join(done["moved"]))
    click.echo(f"Person {done['other']} has {moved}; person {person} kept number and handoffs.")


COMMANDS = {"split": split}
