"""`syncagent audit`: nobody past the line may be in no state, or in two; and what to do about those who are."""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.table import Table

from syncagent.cli import REFUSALS, config_option, counted, json_option
from syncagent.cli.change import agreed, order
from syncagent.cli.logs import screen, shown
from syncagent.cli.look import open_to_look
from syncagent.clock import SystemClock
from syncagent.compose import read_to_look as load
from syncagent.config import Config
from syncagent.errors import UserError
from syncagent.reports.audit import MOST, Audit, audit_file

_SHOWN = 50


@click.command(short_help="List whoever is past the line and in no state, or in two; exit 3 when there is anybody.")
@config_option
@json_option
@click.option("--mend", is_flag=True, help="Have everybody who is listed planned anew, then look again.")
@click.option("--adopt", is_flag=True, help="Watch those whom sales had before the agent did; asks first.")
@click.option("--rescore", is_flag=True, help="Work every score out anew, too: a minute or two for a million people.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def audit(config_path: Path, *, mend: bool, adopt: bool, rescore: bool, yes: bool, as_json: bool) -> None:
    """Look at everybody, across the whole CRM: each lead past the line is in exactly one state.

    The states: with sales (a timer runs), returning (on a date), closed (with an outcome), held or parked (and shown),
    about to be planned. Leads that were in work before the agent went live are counted apart, until --adopt. Scores are
    taken as they were decided last; --rescore also finds whom a lost fact has left below the line.
    """
    config = load(config_path)
    found = _look(config, rescore=rescore)
    if adopt:
        _adopt(config, yes=yes, as_json=as_json)
        found = _look(config, rescore=rescore)
    if mend and found.violations:
        order(config, {"do": "replan", "people": [one.person for one in found.violations]})
        found = _look(config, rescore=rescore)
    click.echo(json.dumps(_as_json(found))) if as_json else _show(found)
    if found.violations:
        sys.exit(REFUSALS)


def _look(config: Config, *, rescore: bool) -> Audit:
    state = Path(config.agent.state)
    store = open_to_look(state)
    try:
        live_from = store.meta("live_from")
    finally:
        store.close()
    now = SystemClock().now()
    return audit_file(state, config.policy(datetime.fromisoformat(live_from) if live_from else now), now, anew=rescore)


def _adopt(config: Config, *, yes: bool, as_json: bool) -> None:
    count = int(order(config, {"do": "adopt"})["people"])
    who = counted(count, "person", "people")
    if not count:
        if not as_json:
            click.echo("There is nobody to adopt.")
        return
    asked = f"{who} in work with sales, or given back, without the agent. Watch them?"
    if not agreed(asked, yes=yes, as_json=as_json):
        raise UserError("Nobody was adopted.")
    order(config, {"do": "adopt", "go": True})
    if not as_json:
        click.echo(f"Adopted: {who}. Nothing was told to the CRM; their timers run from now on.")


def _as_json(found: Audit) -> dict[str, Any]:
    violations = [
        {"person": one.person, "why": one.standing.why, "mend": one.standing.mend} for one in found.violations
    ]
    return {**msgspec.to_builtins(found), "violations": violations}


def _show(found: Audit) -> None:
    console = screen()
    table = Table("state", "people", title="Past the line", title_justify="left")
    for state, count in sorted(found.states.items()):
        table.add_row(state, f"{count:,}")
    console.print(table)
    for why, count in sorted(found.held.items(), key=lambda one: (-one[1], one[0])):
        console.print(f"Held: {count:,} ({shown(why)}).", soft_wrap=True)
    for why, count in sorted(found.before.items()):
        helps = "`syncagent backfill SOURCE --since D --handoff`" if "history" in why else "`syncagent audit --adopt`"
        console.print(f"From before the agent went live: {count:,} ({shown(why)}); {helps}.", soft_wrap=True)
    if not found.violations:
        console.print("Everybody past the line is in exactly one state.")
        return
    console.print(f"{counted(found.violating, 'person', 'people')} in no state, or in two:")
    for one in found.violations[:_SHOWN]:
        helps = f"`{one.standing.mend}`" if one.standing.mend.startswith("syncagent") else one.standing.mend
        console.print(f"  person {one.person}: {shown(one.standing.why)} Mend: {helps}.", soft_wrap=True)
    if found.violating > _SHOWN:
        console.print(f"  and {found.violating - _SHOWN:,} more: `syncagent audit --json` lists {MOST:,} at a time.")


COMMANDS = {"audit": audit}
