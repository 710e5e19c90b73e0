"""`syncagent journal`: the journal as evidence: exported whole, and checked."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import click
import msgspec

from syncagent.cli import FAILED, config_option, counted, json_option
from syncagent.cli.change import moment
from syncagent.cli.look import open_to_look
from syncagent.compose import read_to_look as load
from syncagent.errors import UserError
from syncagent.reports.chain import Link, Verdict, links, read, sentences, verify, written


@click.group(short_help="Export the journal of decisions; verify that nobody has changed it.")
def journal() -> None:
    """The journal of all decisions: export it, and verify that no line was changed, removed, inserted or moved."""


@journal.command()
@config_option
@click.option("--since", help="From this moment on (ISO 8601).")
@click.option("--until", help="Up to this moment.")
@click.option("--format", "_form", type=click.Choice(["jsonl"]), default="jsonl", show_default=True)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="A new file; else standard output.")
def export(config_path: Path, since: str | None, until: str | None, _form: str, output: Path | None) -> None:
    """Write the journal, a line each, with all that `syncagent journal verify FILE` needs.

    It says of people what was decided and why: keep it as safe as the state.
    """
    first = moment(since, "--since") if since is not None else None
    end = moment(until, "--until") if until is not None else None
    store = open_to_look(Path(load(config_path).agent.state))
    try:
        ledger = store.ledger()
        count = 0
        with _to(output) as file:
            before: bytes | None = None
            for line in ledger.lines(first, end):
                before = ledger.before(line.id) if before is None else before
                file.write(written(Link(before, line)) + "\n")
                before, count = line.hash, count + 1
    finally:
        store.close()
    click.echo(f"{counted(count, 'line')} written.", err=True)


@journal.command(name="verify")
@config_option
@json_option
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--head", help="NUMBER:HASH as a check before has told it: that line must stand there still.")
def verify_command(config_path: Path, file: Path | None, head: str | None, *, as_json: bool) -> None:
    """Check every line of the journal, or of an exported FILE (needs no config then). Exit 1 when one is not right."""
    noted = _head(head) if head else None
    if file is not None:
        with file.open("rb") as lines:
            verdict = verify(_read(lines), whole=False, head=noted)
    else:
        store = open_to_look(Path(load(config_path).agent.state))
        try:
            ledger = store.ledger()
            verdict = verify(links(ledger.lines()), ever=ledger.ever(), head=noted)
        finally:
            store.close()
    _show(verdict, as_json=as_json)
    if verdict.findings:
        sys.exit(FAILED)


def _show(verdict: Verdict, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(verdict)))
        return
    for sentence in sentences(verdict.findings):
        click.echo(f"✗ {sentence}")
    erased = f" Of {counted(verdict.erased, 'line')} nothing is told any more: somebody was forgotten."
    click.echo(f"{counted(verdict.lines, 'line')} checked.{erased if verdict.erased else ''}")
    if verdict.findings:
        click.echo("Keep the file as it is, and compare it with the newest backup or export that is right.")
    elif verdict.head:
        click.echo(
            f"All of them are as they were sealed. Note this elsewhere, so that nobody can cut the end off unseen:"
            f" --head {verdict.head}"
        )


def _read(lines: Iterator[bytes]) -> Iterator[Link]:
    for number, text in enumerate(lines, 1):
        if text.strip():
            try:
                yield read(text)
            except ValueError as error:
                raise UserError(f"Line {number} of the file is no line of an export: {error}.") from None


def _head(text: str) -> tuple[int, str]:
    number, colon, digest = text.partition(":")
    if not (colon and number.isdigit() and digest):
        raise UserError(f"{text!r} is no head; give it as `syncagent journal verify` has told it: NUMBER:HASH.")
    return int(number), digest.lower()


@contextlib.contextmanager
def _to(output: Path | None) -> Iterator[TextIO]:
    """A new file that only its owner may read, or standard output."""
    if output is None:
        yield sys.stdout
        return
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise UserError(f"{output} cannot be written ({error.strerror}). Name a new file.") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        yield file


COMMANDS = {"journal": journal}
