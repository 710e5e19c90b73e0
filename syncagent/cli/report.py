"""`syncagent report`: questions asked of the state. They only read, and may run beside the agent."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from syncagent.agent.process import tuned
from syncagent.cli import config_option, counted, json_option
from syncagent.cli.logs import plain, screen
from syncagent.cli.look import open_to_look
from syncagent.clock import SystemClock
from syncagent.compose import read_to_look as load
from syncagent.handoff.gate import GateCheck
from syncagent.policy import Policy
from syncagent.reports.gate import Gated, Gates, together
from syncagent.reports.population import ask_all


@click.group(short_help="Ask the state: would the gate have refused deals that were won?")
def report() -> None:
    """Reports on what the state knows. Nothing is written."""


@report.command()
@config_option
@json_option
def gate(config_path: Path, *, as_json: bool) -> None:
    """Show how many won deals the gate of the config would have refused.

    A handoff is judged by the answers that were known at its opening, a deal that no handoff led to by what was known
    when it was made. Whoever the gate holds back now and sales never met is in neither.
    """
    config = load(config_path)
    store = open_to_look(Path(config.agent.state))
    try:
        live_from = store.meta("live_from")
    finally:
        store.close()
    policy = config.policy(datetime.fromisoformat(live_from) if live_from else SystemClock().now())
    with tuned():
        found = together(ask_all(Path(config.agent.state), Gates(policy)))
    if as_json:
        click.echo(json.dumps(_as_json(found, policy)))
        return
    _show(found, policy)


def _as_json(found: Gated, policy: Policy) -> dict[str, Any]:
    words = [{"question": name, "answer": word, "deals": count} for (name, word), count in sorted(found.words.items())]
    parts = {name: _check_as_json(getattr(found, name)) for name in ("won", "lost", "unled")}
    return {"required": policy.gate.required, **parts, "answers": words}


def _check_as_json(check: GateCheck) -> dict[str, int]:
    return {"deals": check.deals, "known": check.known, "refused": check.refused}


def _show(found: Gated, policy: Policy) -> None:
    console = screen()
    required = policy.gate.required
    if not required:
        console.print(
            "The gate requires no answers, so it refuses nobody: name them in [handoff.gate.bantfo] required.",
            soft_wrap=True,
        )
    console.print(_sentence("won", "handed off here, by what was known at the opening", found.won))
    console.print(_sentence("lost or disqualified", "likewise", found.lost))
    if found.unled.deals:
        how = (
            f"with no handoff before, by what was known when {'it was' if found.unled.deals == 1 else 'they were'} made"
        )
        console.print(_sentence("won", how, found.unled))
    table = Table("question", "yes", "no", "unknown", title="Answers of won deals", title_justify="left")
    for name in required:
        table.add_row(plain(name), *(f"{found.words[name, word]:,}" for word in ("yes", "no", "unknown")))
    if found.won.known and required:
        console.print(table)


def _sentence(outcome: str, how: str, check: GateCheck) -> str:
    share = f" ({check.refused / check.known:.0%})" if check.known else ""
    return (
        f"{counted(check.deals, 'deal')} {outcome} ({how}): of {check.known:,} with known answers this gate would have"
        f" refused {check.refused:,}{share}."
    )


COMMANDS = {"report": report}
