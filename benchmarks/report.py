"""What a benchmark says: figures, each with its target and the verdict; and the table that a reader sees."""

import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table


class Figure(Struct, frozen=True):
    """One measured value. `target` None: shown for comparison only. `at_most`: a smaller value is the better one."""

    what: str
    value: float
    unit: str
    target: float | None = None
    at_most: bool = False
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target

    def verdict(self) -> str:
        """A sentence: whether the target is met, and by how much."""
        if self.target is None:
            return ""
        away = abs(self.value / self.target - 1) if self.target else 0.0
        asked = f"{'at most' if self.at_most else 'at least'} {shown(self.target)} {self.unit}"
        if self.met:
            return f"Met: {asked}, with {away:.0%} to spare."
        return f"MISSED by {away:.0%}: {asked} is asked."


class Outcome(Struct):
    """What one benchmark's process hands to the one that started it."""

    name: str
    figures: list[Figure] = []
    seconds: float = 0.0
    peak_mb: float = 0.0


def shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


def peak_mb(status: Path = Path("/proc/self/status")) -> float:
    """The most memory that a process has held at once (VmHWM: `ru_maxrss` would count our parent's in)."""
    for line in status.read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def tell(text: str) -> None:
    """Progress, for whoever waits in front of it."""
    print(f"  {text}", file=sys.stderr, flush=True)


def hand_over(outcome: Outcome) -> None:
    print(msgspec.json.encode(outcome).decode(), flush=True)


def table(outcomes: Iterable[Outcome]) -> bool:
    """Print all figures; whether every target was met."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    grid = Table(show_lines=False, pad_edge=False)
    grid.add_column("benchmark")
    grid.add_column("figure", ratio=3)
    grid.add_column("value", justify="right", no_wrap=True)
    grid.add_column("verdict", ratio=2)
    all_met = True
    for outcome in outcomes:
        for place, figure in enumerate(outcome.figures):
            all_met &= figure.met is not False
            grid.add_row(
                outcome.name if place == 0 else "",
                figure.what,
                f"{shown(figure.value)} {figure.unit}",
                figure.verdict() or f"[dim]{figure.note}[/dim]",
                style="red" if figure.met is False else "",
                end_section=place == len(outcome.figures) - 1,
            )
    console.print(grid)
    return all_met
