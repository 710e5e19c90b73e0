"""Commands that change something: they go to the running agent, or are the writer themselves when none runs."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import msgspec
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from syncagent.agent.control import ask
from syncagent.agent.orders import carry_out
from syncagent.cli import REFUSALS, config_option, counted, json_option
from syncagent.cli.logs import shown
from syncagent.cli.look import open_to_look
from syncagent.clock import SystemClock
from syncagent.compose import compose, reading
from syncagent.compose import read_to_look as load
from syncagent.config import Config
from syncagent.connectors.files import Refusal, digest, read_file, write_refusals
from syncagent.errors import UserError
from syncagent.state import open_store
from syncagent.state import restore as restore_backup

PAGE = 500


def order(config: Config, told: Mapping[str, Any]) -> dict[str, Any]:
    """Give the order to the running agent, or carry it out here."""
    answer = ask(Path(config.agent.state), told)
    if answer is not None:
        return answer
    agent = compose(config)
    try:
        return carry_out(agent, told)
    finally:
        agent.close()


@click.command()
@config_option
@json_option
@click.option("--limit", type=click.IntRange(min=1), help="Let only so many go.")
@click.option("--scores", is_flag=True, help="Let the first mass write of scores go.")
@click.option("--deletions", metavar="SYSTEM", help="Believe SYSTEM that so many records were deleted.")
@click.option("--reapply", is_flag=True, help="Put live promises under today's terms.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def release(
    config_path: Path,
    *,
    limit: int | None,
    scores: bool,
    deletions: str | None,
    reapply: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Let go what the brake holds, after showing it."""
    config = load(config_path)
    open_to_look(Path(config.agent.state)).close()  # says so when there is no state; an order would make one
    if reapply:
        _reapply(config, yes=yes, as_json=as_json)
        return
    if not (scores or deletions):
        store = open_store(Path(config.agent.state), read_only=True)
        try:
            held = store.held(limit=100_000)
        finally:
            store.close()
        if not held:
            click.echo(json.dumps({"released": 0}) if as_json else "Nothing is held.")
            return
        causes: dict[str, int] = {}
        for one in held:
            causes[one.cause] = causes.get(one.cause, 0) + 1
        going = min(limit or len(held), len(held))
        if not as_json:
            for cause, count in sorted(causes.items()):
                click.echo(f"{count} held: {cause}. {shown(next(one.why for one in held if one.cause == cause))}")
        if not agreed(f"Let {going} go?", yes=yes, as_json=as_json):
            raise UserError("Nothing was released.")
    answer = order(config, {"do": "release", "limit": limit, "scores": scores, "deletions": deletions})
    if as_json:
        click.echo(json.dumps(answer))
    elif deletions:
        click.echo(
            f"What {shown(deletions)} says was deleted is believed for an hour from now, however much it is: the agent"
            " takes it in at its next reading and closes those people's handoffs. If it is not running, start it"
            " within the hour: syncagent run"
        )
    else:
        click.echo(f"Planned anew: {counted(answer['released'], 'person', 'people')}.")


def _reapply(config: Config, *, yes: bool, as_json: bool) -> None:
    moves = order(config, {"do": "reapply"})["moves"]
    if not as_json:
        for move in moves:
            click.echo(f"Person {move['person']}: from {move['before']} to {move['after']}.")
        if not moves:
            click.echo("Every live promise stands under today's terms already.")
    if moves and agreed(f"Move {counted(len(moves), 'promise')}?", yes=yes, as_json=as_json):
        moves = order(config, {"do": "reapply", "go": True})["moves"]
        if not as_json:
            click.echo(f"Moved: {counted(len(moves), 'promise')}.")
    if as_json:
        click.echo(json.dumps({"moves": moves}))


def agreed(question: str, *, yes: bool, as_json: bool) -> bool:
    """Whether to go on: `yes` said so before; a program (`as_json`) cannot be asked, and must have said it."""
    if as_json and not yes:
        raise click.UsageError(f"{question} With --json nobody is asked: add --yes, or leave out --json and be asked.")
    return yes or click.confirm(question)


def moment(text: str, option: str, zone: str = "UTC") -> datetime:
    """A date or moment as somebody typed it after `option`, in UTC; without an offset it is meant in `zone`.

    What is none is wrong usage.
    """
    try:
        if len(text) == len("2026-01-01"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        says = f"{text!r} is not a moment; write 2026-01-31 or 2026-01-31T09:00:00+01:00. Dates are days in {zone}."
        raise click.BadParameter(says, param_hint=f"'{option}'") from None


@click.command(short_help="Read a source's history: scored, never handed off by itself.")
@config_option
@json_option
@click.argument("source")
@click.option("--since", required=True, help="A date or moment, in the config's time zone.")
@click.option("--until", help="A date or moment; default: now.")
@click.option("--handoff", is_flag=True, help="Then hand off who is ready by that history, after saying how many.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def backfill(
    config_path: Path, source: str, since: str, until: str | None, *, handoff: bool, yes: bool, as_json: bool
) -> None:
    """Read a source's history in the cold lane: it is scored, never handed off by itself.

    Stops and resumes anywhere: a running agent carries it on in the background; without one it is done here.
    """
    if handoff and as_json and not yes:  # before anything is read
        raise click.UsageError("With --json nobody is asked who is handed off: add --yes, or leave out --json.")
    config = load(config_path)
    told = {
        "do": "backfill",
        "source": source,
        "since": moment(since, "--since", config.agent.timezone).isoformat(),
        "until": moment(until, "--until", config.agent.timezone).isoformat() if until else None,
    }
    answer = ask(Path(config.agent.state), told)
    if answer is not None:
        click.echo(json.dumps(answer) if as_json else "The running agent carries it out; see `syncagent status`.")
        if handoff:
            click.echo("Hand off what it finds, once it is done, by the same command with no agent running.", err=True)
        return
    agent = compose(config)
    try:
        carry_out(agent, told)
        with Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), disable=not sys.stderr.isatty()
        ) as progress:
            task = progress.add_task(f"Reading {source}")
            new = 0
            while agent.backfills(source):
                found = agent.gather(source)
                new += found
                progress.update(task, description=f"Reading {source}: {new} new facts")
                if not found and agent.backfills(source):
                    raise UserError(f"{source} could not be read to the end; run the same command again to go on.")
            while planned := agent.decide():
                progress.update(task, description=f"Scoring: {planned} people")
        health = agent.store.health(agent.clock.now())
    finally:
        agent.close()
    handed = _hand_off_history(config, str(told["since"]), yes=yes, as_json=as_json) if handoff else 0
    if as_json:
        click.echo(json.dumps({"new": new, "handoffs": handed}))
        return
    click.echo(f"{counted(new, 'new fact')}; scored: {counted(health.people, 'person', 'people')}.")
    if handoff:
        click.echo(f"Handed off: {counted(handed, 'person', 'people')}; `syncagent run` tells the CRM.")


def _hand_off_history(config: Config, since: str, *, yes: bool, as_json: bool) -> int:
    count = int(order(config, {"do": "history", "since": since})["handoffs"])
    ready = f"Ready by that history: {counted(count, 'person', 'people')}. Hand off?"
    if count and agreed(ready, yes=yes, as_json=as_json):
        return int(order(config, {"do": "history", "since": since, "go": True})["handoffs"])
    return 0


@click.command("import")
@config_option
@json_option
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--source", required=True, help="The name that these people and activities are kept under.")
def import_(config_path: Path, file: Path, source: str, *, as_json: bool) -> None:
    """Import people and activities from a CSV or JSONL file. Importing a file twice changes nothing.

    If SOURCE is a source of the config with a mapping, that says what the columns mean. Otherwise they are: email, id,
    kind, at, asset, key; every other column is an attribute. Rows that cannot be read are written to a file beside the
    input, each with its reason (exit 3). After a kill, the same command goes on where it was.
    """
    config = load(config_path)
    how = reading(config, source)
    stream = f"import/{source}/{digest(file, how)}"
    place = _place(Path(config.agent.state), stream, file)
    refused: list[Refusal] = []
    new = rows = 0
    facts: list[Any] = []

    def send() -> int:
        cursor = json.dumps({**place, "rows": rows})
        told = {"do": "accept", "facts": msgspec.to_builtins(facts), "stream": stream, "cursor": cursor}
        facts.clear()
        return int(order(config, told)["new"])

    # What was stored by an earlier run is read again, for its refusals, and not sent again.
    for row in read_file(file, how, datetime.fromisoformat(place["seen_at"]), SystemClock().now()):
        rows += 1
        if isinstance(row, Refusal):
            refused.append(row)
        elif rows > place["rows"]:
            facts.extend(row)
        if len(facts) >= PAGE:
            new += send()
    if rows > place["rows"]:
        new += send()
    beside = write_refusals(file, refused)
    if as_json:
        click.echo(json.dumps({"rows": rows, "new": new, "refused": len(refused)}))
    else:
        click.echo(f"{counted(rows, 'row')} read, {counted(new, 'new fact')}.")
        if refused:
            was, them = ("was", "it") if len(refused) == 1 else ("were", "them")
            click.echo(f"{counted(len(refused), 'row')} {was} refused; mend {them} in {beside}, import that.", err=True)
    if refused:
        sys.exit(REFUSALS)


def _place(state: Path, stream: str, file: Path) -> dict[str, Any]:
    """How far a file was stored before, and of when it is: of its first import, whatever becomes of its copies."""
    cursor = None
    if state.exists():
        store = open_store(state, read_only=True)
        try:
            cursor = store.cursor(stream)
        finally:
            store.close()
    if cursor is None:
        return {"rows": 0, "seen_at": datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat()}
    return dict(json.loads(cursor))


@click.command(short_help="Copy the whole state to PATH, while the agent runs.")
@config_option
@click.argument("path", type=click.Path(path_type=Path))
def backup(config_path: Path, path: Path) -> None:
    """Write a whole, consistent copy of the state to PATH, while the agent runs."""
    if path.exists():
        raise UserError(f"{path} is there already; name a new file.")
    config = load(config_path)
    open_to_look(Path(config.agent.state)).close()  # says so when there is no state; an order would make one
    order(config, {"do": "backup", "path": str(path.resolve())})
    click.echo(f"The state was copied to {path}.")


@click.command()
@config_option
@click.argument("path", type=click.Path(path_type=Path, exists=True))
def restore(config_path: Path, path: Path) -> None:
    """Put the backup at PATH in the place of the state. Stop the agent first."""
    state = Path(load(config_path).agent.state)
    epoch = restore_backup(path, state)
    click.echo(f"{path} is the state now, under the new epoch {epoch}. Start the agent with `syncagent run`.")


COMMANDS = {"release": release, "backfill": backfill, "import": import_, "backup": backup, "restore": restore}
