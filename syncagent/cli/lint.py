"""`syncagent lint`: what in the agreement cannot be meant so, in the words of marketing. It only reads."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click
import msgspec

from syncagent.agent.process import tuned
from syncagent.cli import BAD_CONFIG, REFUSALS, config_option, counted, json_option
from syncagent.cli.logs import screen, shown
from syncagent.clock import SystemClock
from syncagent.compose import read_to_look as load
from syncagent.errors import ConfigError, Problem
from syncagent.handoff.lint import Finding, Level, Look, Observed
from syncagent.handoff.lint import lint as findings_of
from syncagent.policy import Policy
from syncagent.reports.population import ask_all
from syncagent.state import open_store

_TITLES: dict[Level, str] = {
    "error": "This can never work",
    "warning": "This does nothing, or not all that it should",
    "advice": "This may surprise you",
}


@click.command(short_help="Find what in the agreement cannot be meant so.")
@config_option
@json_option
@click.option("--no-state", is_flag=True, help="Look at the config alone, even when there are people to ask.")
@click.pass_context
def lint(context: click.Context, config_path: Path, *, as_json: bool, no_state: bool) -> None:
    """Find what in the agreement cannot be meant so: lines and grades out of reach, choices that never count, rules
    that nobody meets, routes, promises and stages that nobody gets to.

    When there is a state, its people are asked too. Exit code 3 when something does not work, 2 when the config is
    refused (weights that do not add up ...), 0 otherwise, also with advice.
    """
    try:
        config = load(config_path)
    except ConfigError as error:
        _tell([_refusal(one) for one in error.problems], None, as_json=as_json)
        context.exit(BAD_CONFIG)
    now, state = SystemClock().now(), Path(config.agent.state)
    policy, observed = config.policy(now), None
    if state.exists() and not no_state:
        policy, observed = config.policy(_live_from(state) or now), Observed()
        with tuned():
            _ask(state, policy, now, observed)
    found = findings_of(policy, observed)
    _tell(found, observed, as_json=as_json)
    context.exit(REFUSALS if any(one.level != "advice" for one in found) else 0)


def _live_from(state: Path) -> datetime | None:
    store = open_store(state, read_only=True)
    try:
        known = store.meta("live_from")
    finally:
        store.close()
    return datetime.fromisoformat(known) if known else None


def _ask(state: Path, policy: Policy, now: datetime, into: Observed) -> None:
    for part in ask_all(state, Look(policy, now)):
        into.add(part)


def _refusal(problem: Problem) -> Finding:
    return Finding("refused", "error", problem.path, problem.message, problem.help)


def _tell(found: Sequence[Finding], observed: Observed | None, *, as_json: bool) -> None:
    asked = observed.people if observed is not None else 0
    if as_json:
        click.echo(json.dumps({"findings": msgspec.to_builtins(found), "people": asked}))
        return
    console = screen()
    for level, title in _TITLES.items():
        some = [one for one in found if one.level == level]
        if some:
            console.print(f"{title}:", soft_wrap=True)
        for one in some:
            console.print(f"  {shown(one.path or 'config')}", soft_wrap=True)
            console.print(f"    {shown(one.says)}", soft_wrap=True)
            if one.helps:
                console.print(f"    → {shown(one.helps)}", soft_wrap=True)
    if any(one.kind == "refused" for one in found):
        console.print(f"{counted(len(found), 'problem')}: the config is refused. Mend this first, then lint again.")
        return
    how = f"and {asked:,} people were asked" if asked else "there were no people to ask"
    console.print(f"{counted(len(found), 'finding')}; the config was looked at, {how}.", soft_wrap=True)


COMMANDS = {"lint": lint}
