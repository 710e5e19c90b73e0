"""Runs children of a zygote on one state file, and ends them as a test case says."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

Harm = Callable[[int], None]
"""Something done to a child from outside, given its process id."""


class Zygote:
    """The program of `zygote.py`; it ends when its input does, at the latest with this process."""

    def __init__(self, preload: Path | None = None) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        self.preloaded = preload is not None
        if preload is not None:
            environment["LD_PRELOAD"] = str(preload)
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
        )

    def order(self, order: dict[str, Any], harm: Harm | None) -> int:
        """Have a child born and wait for its end; its exit code, or minus the signal."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        pid = self._told("pid")
        try:
            if harm is not None:
                harm(pid)
        finally:
            code = self._told("exit")
        return code

    def _told(self, what: str) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the zygote has ended"
        return int(json.loads(line)[what])

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


class Runner:
    """The children of one story. `killed`: how many SIGKILL ended; `seconds`: what the last whole child took."""

    def __init__(self, zygote: Zygote, stage: Any, synchronous: str | None = None) -> None:
        self.folder = stage.config.parent
        self.killed = 0
        self.seconds = 0.1
        self._zygote = zygote
        self._stage = stage
        self._log = self.folder / "agent.log"
        self._log.touch()
        self._same = {
            "config": str(stage.config),
            "clock": stage.clock,
            "synchronous": synchronous,
            "log": str(self._log),
        }

    def run(
        self,
        *,
        die_at: tuple[str, int] | None = None,
        trace: Path | None = None,
        harm: Harm | None = None,
        go: Path | None = None,
        aim: Path | None = None,
    ) -> int:
        """One child, with `aim` a daemon: 0, or minus the signal that ended it. Raises `AssertionError` if broken."""
        born = time.monotonic()
        more = {"kill": die_at, "trace": trace and str(trace), "go": go and str(go)}
        more |= {"daemon": aim is not None, "aim": aim and str(aim)}
        # The disk that forgets watches a process that ends; a planted bug ends with its process.
        more["fork"] = bool(harm or die_at or go or self._zygote.preloaded or self._same["synchronous"])
        code = self._zygote.order(self._order() | more, harm)
        if code == 0:
            self.seconds = time.monotonic() - born if more["fork"] else self.seconds
        elif code == -signal.SIGKILL:
            self.killed += 1
        else:
            raise AssertionError(f"a child broke ({code}): {self.log()}")
        return code

    def _order(self) -> dict[str, Any]:
        return {**self._same, "now": self._stage.now.isoformat()}

    def log(self) -> str:
        """The end of what the children have told."""
        return self._log.read_text()[-3000:]


def shot_after(seconds: float) -> Harm:
    """SIGKILL from outside, so many seconds after the child's birth; it may have ended by then."""

    def harm(pid: int) -> None:
        time.sleep(seconds)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    return harm
