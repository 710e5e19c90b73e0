"""`syncagent score` and `rescore`: scores recomputed now, of one or of all, and how a config would move them.

They only read, and may run beside the agent.
"""

import csv
import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.table import Table

from syncagent.agent.process import tuned
from syncagent.cli import config_option, counted, json_option
from syncagent.cli.change import moment
from syncagent.cli.logs import plain, screen, shown
from syncagent.cli.look import dossier_of, open_to_look
from syncagent.clock import SystemClock
from syncagent.compose import read_to_look as load
from syncagent.config import Config
from syncagent.errors import UserError
from syncagent.handoff import as_of
from syncagent.handoff import score as score_of
from syncagent.model import Dossier, Score
from syncagent.policy import Policy
from syncagent.reports.population import ask_all
from syncagent.reports.scores import GRADES, Moves, Past, Rescore, Scored, Scores, scored, together
from syncagent.state.store import InUse

_workers = click.option(
    "--workers", type=click.IntRange(1, 64), help="Processes to share the work; one for each core, if not given."
)


@click.command(short_help="Score one person, or all of them, as of now or of a past moment.")
@config_option
@json_option
@click.argument("who", required=False)
@click.option("--all", "everybody", is_flag=True, help="Everybody, as CSV (with --json: one object a line).")
@click.option("--at", "at_text", help="As of this past moment (ISO 8601): what was known then.")
@click.option("--then", is_flag=True, help="With --at: by the policy that was in use then, not by the config at hand.")
@_workers
def score(
    config_path: Path,
    who: str | None,
    at_text: str | None,
    workers: int | None,
    *,
    then: bool,
    everybody: bool,
    as_json: bool,
) -> None:
    """Score WHO (an email, a person's number, or any system's id), or with --all everybody. Nothing is written.

    Scores are recomputed from what is known, by the config at hand; `explain` tells also what was decided.
    """
    if bool(who) == everybody:
        raise click.UsageError("Name somebody, or give --all.")
    if then and not at_text:
        raise click.UsageError("--then needs --at: by the policy of when?")
    config = load(config_path)
    now = moment(at_text, "--at") if at_text else SystemClock().now()
    policy, kept = _policy(config, now), _kept(config, now)
    if then:
        if kept is None or kept.policy is None:
            raise UserError("No policy of that moment is kept that this version can read; leave --then out.")
        policy = kept.policy
    if everybody:
        with tuned():
            past = Past.NO if not at_text else Past.KNOWN if kept is not None else Past.GUESSED
            found = ask_all(Path(config.agent.state), Scores(policy, now, past), workers)
            _stream((row for rows in found for row in rows), as_json=as_json)
        return
    dossier = _one(config, who or "")
    if at_text:
        dossier = as_of(dossier, now, guess=kept is None)
    row, whole = scored(dossier, policy, now), score_of(dossier, policy, now)
    if as_json:
        parts = msgspec.to_builtins(whole.contributions)
        click.echo(json.dumps({"at": now.isoformat(), **row._asdict(), "contributions": parts}))
        return
    _print(row, whole, now)


def _policy(config: Config, now: datetime) -> Policy:
    store = open_to_look(Path(config.agent.state))
    try:
        live_from = store.meta("live_from")
    finally:
        store.close()
    return config.policy(datetime.fromisoformat(live_from) if live_from else now)


def _kept(config: Config, at: datetime) -> InUse | None:
    store = open_to_look(Path(config.agent.state))
    try:
        return store.policy_at(at)
    finally:
        store.close()


def _one(config: Config, who: str) -> Dossier:
    store = open_to_look(Path(config.agent.state))
    try:
        return dossier_of(store, who)
    finally:
        store.close()


def _stream(rows: Iterable[Scored], *, as_json: bool) -> None:
    """Row by row: it can be as long as the population."""
    if as_json:
        for row in rows:
            click.echo(json.dumps(row._asdict()))
        return
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(Scored._fields)
    for row in rows:
        out.writerow((*row[:1], *(f"{points:g}" for points in row[1:4]), *row[4:7], "yes" if row.over else "no"))


def _print(row: Scored, whole: Score, now: datetime) -> None:
    console = screen()
    by = f", by the model {row.model}" if row.model else ""
    line = f"{'past' if row.over else 'below'} the line{f' of {row.segment}' if row.segment else ''}"
    console.print(
        f"Person {row.person} at {now.astimezone(UTC):%Y-%m-%d %H:%M} UTC{by}: {row.score:g} points"
        f" = fit {row.fit:g} + interest {row.interest:g}, grade {row.grade}, {line}.",
        soft_wrap=True,
    )
    table = Table("points", "lost", "rule", "why")
    for one in sorted(whole.contributions, key=lambda each: -abs(each.points)):
        table.add_row(f"{one.points:+g}", f"{one.lost:g}" if one.lost else "", plain(one.rule), shown(one.why))
    if whole.contributions:
        console.print(table)
    console.print("What would bring them over the line: `syncagent explain`." if not row.over else "", end="")


@click.command(short_help="Show how everybody would move under the config at hand; writes nothing.")
@config_option
@json_option
@click.option(
    "--before",
    "before_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Compare with this config instead of with the scores that are stored.",
)
@_workers
def rescore(config_path: Path, before_path: Path | None, workers: int | None, *, as_json: bool) -> None:
    """Score everybody by the config at hand, and show how they would move: grades, and who crosses the line.

    Nothing is written. Without --before the other side are the scores that the agent has stored, held against the
    line of this config; with it, both configs score the same people at the same moment.
    """
    config = load(config_path)
    now = SystemClock().now()
    policy = _policy(config, now)
    before = load(before_path).policy(policy.live_from) if before_path is not None else None
    with tuned():
        moves = together(ask_all(Path(config.agent.state), Rescore(policy, now, before), workers))
    if as_json:
        click.echo(json.dumps(_as_json(moves)))
        return
    _show(moves, before_path)


def _as_json(moves: Moves) -> dict[str, Any]:
    grades = [{"before": old, "after": new, "people": count} for (old, new), count in sorted(moves.grades.items())]
    largest = [{"person": person, "before": old, "after": new} for person, old, new in moves.largest]
    return {**moves._asdict(), "grades": grades, "largest": largest}


def _show(moves: Moves, before: Path | None) -> None:
    console = screen()
    table = Table("grade", "before", "after", "stay", "come", "go", title="Grades", title_justify="left")
    for grade in ("", *GRADES):
        old = sum(count for (was, _), count in moves.grades.items() if was == grade)
        new = sum(count for (_, now), count in moves.grades.items() if now == grade)
        if old or new:
            stay = moves.grades[grade, grade]
            cells = (old, new, stay, new - stay, old - stay)
            table.add_row(grade or "no score yet", *(f"{count:,}" for count in cells))
    console.print(table)
    what = f"by {before}" if before is not None else "by the stored scores"
    console.print(
        f"{counted(moves.people, 'person', 'people')}. Past the line: {moves.were_over:,} {what}, {moves.over:,} by"
        f" this config: {moves.newly:,} come over it ({moves.never_handed:,} of them were never handed off),"
        f" {moves.no_longer:,} fall below.",
        soft_wrap=True,
    )
    console.print(
        "Crossing is not yet handing off: only what happens after the agent went live opens a handoff, and the brake"
        " holds a flood. Nothing was written.",
        soft_wrap=True,
    )
    for person, old_score, new_score in moves.largest:
        console.print(f"  person {person}: {old_score:g} -> {new_score:g} points")


COMMANDS = {"score": score, "rescore": rescore}
