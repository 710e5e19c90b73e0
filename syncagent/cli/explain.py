"""`syncagent explain WHO`: why this score, stage, owner and promise, and what would have changed it."""

import json
from datetime import datetime
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Column, Table

from syncagent.cli import config_option, json_option
from syncagent.cli.accounts import print_results
from syncagent.cli.change import moment
from syncagent.cli.logs import plain, screen, shown
from syncagent.cli.look import dossier_of, open_to_look
from syncagent.clock import SystemClock
from syncagent.compose import read_to_look as load
from syncagent.handoff import as_of, is_over, profile_of, score, score_lines, why
from syncagent.handoff.explain import Outlook, outlook, standing
from syncagent.handoff.profile import Claim
from syncagent.model import Dossier, Value
from syncagent.policy import Policy
from syncagent.reports.replay import Replay, again, until
from syncagent.state.proof import JournalEntry
from syncagent.state.results import subject_of
from syncagent.state.store import InUse, Result

Journal = tuple[JournalEntry, ...]
ALL = 1_000_000
_ID = len("00Q000000000000AAA,")
_NARROW = 100
"""On a screen with fewer columns, ids keep their whole width and the rest of the profile is folded."""


@click.command(short_help="Explain somebody's score, stage, owner, promise, commands.")
@config_option
@json_option
@click.argument("who")
@click.option("--at", "at_text", help="As of this past moment (ISO 8601): what was known then, by the policy of then.")
def explain(config_path: Path, who: str, at_text: str | None, *, as_json: bool) -> None:
    """Explain WHO (an email, a person's number, or any system's id): score, stage, owner, promise, commands.

    With --at: the last decision until then, made once more from all that it was made from, and whether it comes out
    the same. Where that was not kept, the score is told from the facts as they are dated, and companies and who is one
    person are as today.
    """
    config = load(config_path)
    store = open_to_look(Path(config.agent.state))
    try:
        dossier = dossier_of(store, who)
        journal = store.journal(dossier.person, limit=ALL if at_text else 200)
        live_from, roster = store.meta("live_from"), store.roster()
        now = moment(at_text, "--at") if at_text else SystemClock().now()
        kept = store.policy_at(now)
        about = dossier.decision.models if dossier.decision is not None else ()
        subjects = dict.fromkeys(
            (f"person:{dossier.person}", *(subject_of(dossier.person, one.about) for one in about))
        )
        said = tuple(one for subject in subjects for one in store.results(subject) if one.at <= now)
        made = until(store.ledger(), dossier.person, now) if at_text else None
        replay = again(store.ledger(), made, dossier) if made is not None else None
    finally:
        store.close()
    policy = config.policy(datetime.fromisoformat(live_from) if live_from else now)
    if at_text:
        policy = kept.policy if kept is not None and kept.policy is not None else policy
        dossier = as_of(dossier, now, guess=kept is None)
        journal = tuple(entry for entry in journal if entry.at <= now)
    if as_json:
        planned = None if at_text else outlook(dossier, policy, roster, now)
        _print_json(dossier, policy, now, kept, planned, journal, said, replay)
        return
    if replay is not None and replay.basis is not None and replay.basis.by == "plan":
        told = (_by(kept, policy, now), *_replayed(replay), *_told_otherwise(replay, dossier))
    elif at_text:
        told = (_by(kept, policy, now), *score_lines(dossier, policy, now), *_replayed(replay))
    else:
        told = (*why(dossier, policy, roster, now), *_too_early(dossier, policy, now))
    _print(dossier, told, policy, journal)
    print_results(screen(), said)


def _print_json(
    dossier: Dossier,
    policy: Policy,
    now: datetime,
    kept: InUse | None,
    planned: Outlook | None,
    journal: Journal,
    said: tuple[Result, ...],
    replay: Replay | None,
) -> None:
    """All that the text says, for a program. `policy.digest` names the policy that was used, `policy.kept` the one
    that decided at that moment (None: before the first that was kept), `decision` is our last word, `planned` what
    would be decided now (None with --at). `replay`: the last decision until --at, made once more.
    """
    known = standing(dossier, policy, now)
    told = msgspec.to_builtins(known)
    told["score"]["total"] = known.score.total
    by = {"digest": policy.digest, "kept": kept.digest if kept else None, "since": kept.since if kept else None}
    told |= msgspec.to_builtins(
        {
            "person": dossier.person,
            "at": now,
            "policy": by,
            "profile": profile_of(dossier, policy),
            "planned": planned,
            "too_early": planned is not None and bool(_too_early(dossier, policy, now)),
            "decision": dossier.decision,
            "outbox": dossier.outbox,
            "journal": journal,
            "said": said,
            "replay": _replay_json(replay) if replay is not None else None,
        }
    )
    click.echo(json.dumps(told))


def _replayed(replay: Replay | None) -> tuple[str, ...]:
    """The decision that stood at a past moment, as it was made then."""
    if replay is None:
        return ("Nothing had been decided of them until then.",)
    first, last = replay.made.lines[0], replay.made.lines[-1]
    numbers = f"line {first.id}" if first is last else f"lines {first.id} to {last.id}"
    by = f", by the policy {first.config}" if first.config else ""
    engine = f", syncagent {first.engine}" if first.engine else ""
    head = (
        f"The last decision until then: {replay.made.at:%Y-%m-%d %H:%M:%S} UTC ({numbers} of the journal{by}{engine})."
    )
    if replay.basis is None or replay.policy is None:
        return head, f"  {replay.says}"
    if replay.basis.by != "plan":  # an admin's order: its lines say all of it
        return head, f"  {replay.says}", *(f"  {line.told.why}" for line in replay.made.lines if line.told is not None)
    then = why(replay.basis.dossier, replay.policy, replay.basis.roster, replay.basis.now)
    return head, f"  {replay.says}", *(f"  {line}" for line in then)


def _told_otherwise(replay: Replay, dossier: Dossier) -> tuple[str, ...]:
    """That the facts as they are dated today would tell another score than that of then."""
    stood = replay.plan.decision.score if replay.plan is not None else None
    if replay.basis is None or replay.policy is None or stood is None:
        return ()
    at = replay.basis.now
    dated = score(as_of(dossier, at), replay.policy, at)
    if (round(stood.total), stood.grade) == (round(dated.total), dated.grade):
        return ()
    return (
        f"From the facts as they are dated today, the score of {at:%Y-%m-%d %H:%M} UTC would be {dated.total:.0f}"
        f" ({dated.grade}): some of them came later, or have changed without a date.",
    )


def _replay_json(replay: Replay) -> dict[str, object]:
    """`how` and `says` as in `Replay`; `inputs` is all that the decision was made from, the pool's state among it."""
    first = replay.made.lines[0]
    return {
        "at": replay.made.at,
        "lines": [line.id for line in replay.made.lines],
        "config": first.config,
        "engine": first.engine,
        "how": replay.how,
        "says": replay.says,
        "digest": {"inputs": replay.made.inputs.hex(), "plan": replay.made.plan.hex()},
        "inputs": replay.basis,
        "plan": replay.plan,
    }


def _by(kept: InUse | None, policy: Policy, at: datetime) -> str:
    """By which policy, and which attributes, a past moment is told."""
    as_then = f"As of {at:%Y-%m-%d %H:%M} UTC, by what was known then"
    if kept is None:
        return (
            f"As of {at:%Y-%m-%d %H:%M} UTC, before the first policy was kept: by today's ({policy.digest}), and by"
            " what was told of them first where it was told later."
        )
    since = f"in use since {kept.since:%Y-%m-%d %H:%M} UTC"
    if kept.policy is None:
        return f"{as_then}, and by today's policy ({policy.digest}): this version cannot read {kept.digest}, {since}."
    return f"{as_then}, and by the policy of then ({kept.digest}, {since})."


def _too_early(dossier: Dossier, policy: Policy, now: datetime) -> tuple[str, ...]:
    """Why somebody over the line was not handed off, when it is only history that speaks for them (law 11)."""
    over = is_over(dossier, policy, now)
    handed_off = dossier.decision is not None and (dossier.decision.handoffs or dossier.decision.waiting)
    newest = max((one.at for one in dossier.activities), default=None)
    if not over or handed_off or newest is None or newest >= policy.live_from:
        return ()
    return (
        f"Not handed off: all of it happened before {policy.live_from:%Y-%m-%d %H:%M} UTC, when the agent went live."
        " History is only scored; `syncagent backfill SOURCE --since D --handoff` hands it off, after asking.",
    )


def _print(dossier: Dossier, lines: tuple[str, ...], policy: Policy, journal: Journal) -> None:
    console = screen()
    ids = ", ".join(f"{one.system} {one.object} {one.id}" for one in dossier.identities)
    console.print(
        f"Person {dossier.person}: {shown(', '.join(dossier.emails)) or 'no email'} ({shown(ids)})", soft_wrap=True
    )
    for line in lines:
        console.print(shown(line), soft_wrap=True)
    _print_profile(console, dossier, policy)
    for entry in dossier.outbox:
        told = f": {shown(entry.why)}" if entry.why else ""
        console.print(f"  {entry.verb} {plain(entry.key)}: {entry.state}{told}", soft_wrap=True)
    if not journal:
        return
    history = Table("when (UTC)", "what", "why", title="What was decided", title_justify="left")
    for past in reversed(journal):
        history.add_row(f"{past.at:%Y-%m-%d %H:%M}", past.kind, shown(past.why))
    console.print(history)


def _print_profile(console: Console, dossier: Dossier, policy: Policy) -> None:
    """What counts of each attribute, who says so since when, and what others say or said."""
    rows: list[tuple[str, ...]] = []
    for one in profile_of(dossier, policy):
        winner = next((claim for claim in reversed(one.claims) if claim.value == one.value), None)
        others = [_otherwise(claim) for claim in reversed(one.claims) if claim.value != one.value]
        if winner is not None:
            who = f"{winner.identity.system} {winner.identity.object} {winner.identity.id}"
            days = ", ".join(dict.fromkeys(f"{at:%Y-%m-%d}" for at in (winner.first, winner.last)))
            rows.append((one.name, _value(one.value), f"{shown(who)}, by {one.rule}", days, ", ".join(others)))
    if not rows:
        return
    heads = ["what", "counts", "says who", "since, confirmed"]
    if any(row[-1] for row in rows):
        heads.append("otherwise")
    columns = [Column(head, overflow="fold") for head in heads]
    columns[0].no_wrap = True
    columns[3].width = len("2026-01-31,")  # a day a line: what is said needs the room
    if console.width < _NARROW:
        columns[2].width = min(_ID, max(len(word) for row in rows for word in row[2].split()))
    profile = Table(*columns, title="Profile", title_justify="left")
    for row in rows:
        profile.add_row(*row[: len(heads)])
    console.print(profile)


def _otherwise(claim: Claim) -> str:
    until = "" if claim.stands else f" until {claim.last:%Y-%m-%d}"
    return f"{_value(claim.value)} ({claim.identity.system}{until})"


def _value(value: Value) -> str:
    """A value in a table's cell: its lines, if it has several, one behind the other."""
    return shown("; ".join(line for line in str(value).splitlines() if line.strip()))


COMMANDS = {"explain": explain}
