"""`python -m benchmarks [NAME ...]`: each runs in a process of its own, so that its memory is its own too."""

import importlib
import subprocess
import sys

import click
import msgspec

from benchmarks.report import Figure, Outcome, hand_over, peak_mb, table, tell
from syncagent.agent.process import tuned
from syncagent.clock import monotonic

NAMES = ("ingest", "decide", "rescore", "reports", "latency", "deliver", "hooks", "timers", "old_org", "pages")
MEMORY_MB = 300.0


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*NAMES, "memory"]))
@click.option(
    "--people",
    multiple=True,
    type=int,
    help="For decide (each size), latency (its backfill), rescore, reports and pages (1000000 is real). Repeatable.",
)
@click.option("--timers", type=int, help="For timers: how many promises run. Default 1,000,000.")
@click.option("--quick", is_flag=True, help="So small that the figures mean nothing: only to see that all of it runs.")
@click.option("--child", is_flag=True, hidden=True)
def main(names: tuple[str, ...], people: tuple[int, ...], *, timers: int | None, quick: bool, child: bool) -> None:
    """Print speed as ratios against ceilings measured in the same run; about ten minutes.

    ingest: activities from a local Marketo into the state. decide: dossiers read, planned, settled. latency: from an
    activity to the call of a slow CRM, beside a backfill. deliver: handoffs into a local Salesforce. hooks: signed
    posts, on the disk before they are answered. rescore: everybody scored anew on all cores. reports: each report,
    whole and by the cut that takes longest, against 10 s for a million people. timers: promises that fall due beside
    a million others. old_org: a first start beside 100,000 people who raised their hands long ago. pages: the admin's,
    and the probes, each against 300 ms. memory is the peak of each of these processes, and comes with any of them.

    Reports are measured with 100,000 people and projected, pages with 30,000. SYNCAGENT_BENCH_STATE names the file that
    both look at instead; where there is none yet, it is made there, of as many as --people says, and stays: 1000000 are
    6.5 GB and take five to ten minutes.
    """
    if child:
        start = monotonic()
        with tuned():  # as the daemon sets up its process
            figures: list[Figure] = importlib.import_module(f"benchmarks.{names[0]}").run(people, quick=quick)
        hand_over(Outcome(names[0], figures, monotonic() - start, peak_mb()))
        return
    asked = [name for name in NAMES if not names or name in names or "memory" in names]
    sizes = {name: (timers,) if name == "timers" and timers else () if name == "timers" else people for name in asked}
    outcomes = [_in_a_process(name, sizes[name], quick=quick) for name in asked]
    peaks = [
        Figure(f"peak of the process of {one.name}", one.peak_mb, "MB", MEMORY_MB, at_most=True) for one in outcomes
    ]
    all_met = table([*outcomes, Outcome("memory", peaks)])
    if quick:
        print("A quick run: the figures mean nothing.")
    elif not all_met:
        print("Not every target is met. The machine counts too: compare the ratios, and run it again on an idle one.")


def _in_a_process(name: str, people: tuple[int, ...], *, quick: bool) -> Outcome:
    tell(f"{name} ...")
    sizes = [f"--people={size}" for size in people]
    command = [sys.executable, "-m", "benchmarks", name, "--child", *sizes, *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(f"The benchmark {name} failed (exit {done.returncode}).")
    outcome = msgspec.json.decode(done.stdout.splitlines()[-1], type=Outcome)
    tell(f"{name}: {outcome.seconds:.0f} s")
    return outcome


main()
