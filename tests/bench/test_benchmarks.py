"""The benchmarks run; what they measure is nobody's test."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_quick_run_prints_every_benchmark() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name in ("ingest", "decide", "latency", "deliver", "hooks", "timers", "old_org", "memory"):
        assert f"│{name} " in done.stdout, done.stdout


def test_the_rescore_benchmark_says_how_long_a_million_would_take() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.rescore", "--people", "300", "--workers", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "score --all: 300 people in" in done.stdout and "1,000,000 would take" in done.stdout
    assert "one person, read and scored" in done.stdout
