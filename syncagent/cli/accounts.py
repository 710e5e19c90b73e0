"""`syncagent accounts`: the companies, their scores, and what was said of one of them when."""

import csv
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
from rich.console import Console
from rich.table import Table

from syncagent.cli import config_option, json_option
from syncagent.cli.logs import plain, screen, shown
from syncagent.cli.look import open_to_look
from syncagent.clock import SystemClock
from syncagent.compose import read_to_look as load
from syncagent.errors import UserError
from syncagent.handoff.scoring import Judged, judge_account, list_of
from syncagent.model import AccountView, Dossier
from syncagent.policy import Policy
from syncagent.state.store import Result, Store

_PART = 500


class Row(NamedTuple):
    """One company. `score` and `grade` are empty where no model scores accounts."""

    id: str
    name: str
    score: float | None
    grade: str
    list: str
    engaged: int
    open_deals: int
    owner: str
    deal_owner: str


@click.command(short_help="Show the companies of the CRM: score, people who do something, deals, lists.")
@config_option
@json_option
@click.argument("who", required=False)
def accounts(config_path: Path, who: str | None, *, as_json: bool) -> None:
    """Show every account as CSV (with --json: one object a line), or explain WHO (a CRM id, a domain, a name).

    Scores are recomputed from what is known, by the config at hand; what was said at earlier times is told beside it.
    """
    config = load(config_path)
    now = SystemClock().now()
    store = open_to_look(Path(config.agent.state))
    try:
        live_from = store.meta("live_from")
        policy = config.policy(datetime.fromisoformat(live_from) if live_from else now)
        if who is None:
            _stream((_row(one, policy, now) for one in _all(store)), as_json=as_json)
            return
        found = store.company(who)
        if not found:
            raise UserError(f"No account here has the id, domain or name {who}; `syncagent accounts` lists all.")
        for one in found:
            _explain(one, policy, now, store.results(f"account:{one.id}"), as_json=as_json)
    finally:
        store.close()


def _all(store: Store) -> Iterator[AccountView]:
    last = ""
    while some := store.companies(last, _PART):
        yield from some
        last = some[-1].id


def _row(account: AccountView, policy: Policy, now: datetime) -> Row:
    return _with(account, judge_account(account, policy, now), policy, now)


def _with(account: AccountView, judged: Judged | None, policy: Policy, now: datetime) -> Row:
    return Row(
        account.id,
        account.name,
        judged.score.total if judged is not None else None,
        judged.score.grade[0] if judged is not None else "",
        list_of(Dossier(0, 0, account=account), policy, now),
        account.engaged,
        account.open_deals,
        account.owner,
        account.deal_owner,
    )


def _stream(rows: Iterator[Row], *, as_json: bool) -> None:
    out = csv.writer(sys.stdout, lineterminator="\n")
    if not as_json:
        out.writerow(Row._fields)
    for row in rows:
        if as_json:
            click.echo(json.dumps(row._asdict()))
        else:
            out.writerow("" if value is None else value for value in row)


def _explain(account: AccountView, policy: Policy, now: datetime, said: tuple[Result, ...], *, as_json: bool) -> None:
    judged = judge_account(account, policy, now)
    row = _with(account, judged, policy, now)
    if as_json:
        contributions = msgspec.to_builtins(judged.score.contributions) if judged is not None else []
        known: dict[str, Any] = msgspec.to_builtins(account)
        history = msgspec.to_builtins(said)
        click.echo(json.dumps({**row._asdict(), "known": known, "contributions": contributions, "said": history}))
        return
    console = screen()
    scored = f": {row.score:g} points, grade {row.grade}" if row.score is not None else ""
    console.print(shown(f"{row.name or 'nameless'} ({row.id}){scored}."), soft_wrap=True)
    for one in judged.score.contributions if judged is not None else ():
        console.print(shown(f"  {one.points:+g} {one.rule}: {one.why}"), soft_wrap=True)
    listed = f" On the list {row.list}." if row.list else ""
    owners = f" Owner {row.owner or 'nobody'}" + (f", of the newest deal {row.deal_owner}." if row.deal_owner else ".")
    deals = f"{row.engaged} of its people have done something; {row.open_deals} open deals.{owners}{listed}"
    console.print(shown(deals), soft_wrap=True)
    if account.titles:
        console.print(shown(f"Among them: {', '.join(account.titles)}."), soft_wrap=True)
    print_results(console, said)


def print_results(console: Console, said: tuple[Result, ...]) -> None:
    """What models beside the live one have said of somebody or something, oldest first; nothing where none has."""
    table = Table("since (UTC)", "model", "score", "grade", title="What models said", title_justify="left")
    for past in said:
        points = f"{past.fit + past.interest:g}"
        table.add_row(f"{past.at.astimezone(UTC):%Y-%m-%d %H:%M}", plain(past.model), points, past.grade)
    if said:
        console.print(table)


COMMANDS = {"accounts": accounts}
