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
    for name in (
        "ingest",
        "decide",
        "rescore",
        "reports",
        "latency",
        "deliver",
        "hooks",
        "timers",
        "old_org",
        "pages",
        "memory",
    ):
        assert f"│{name} " in done.stdout, done.stdout
    assert "1,000,000 people, projected" in done.stdout, done.stdout
