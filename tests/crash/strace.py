"""Kills a child on entering its nth call of one kind, with strace."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self


def why_not(folder: Path) -> str:
    """Why strace cannot be used here; empty when it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    log = folder / "probe"
    command = ["strace", "-f", "-o", str(log), "-e", "trace=fsync", "-e", "inject=fsync:signal=KILL:when=1"]
    probe = [*command, sys.executable, "-c", "import os, sys; os.fsync(os.open(sys.argv[1], os.O_RDONLY))", str(folder)]
    tried = subprocess.run(probe, capture_output=True, text=True)
    if tried.returncode in (-9, 137):
        return ""
    return f"strace may not trace here: {tried.stderr.strip()[-200:] or tried.returncode}"


class Tracer:
    """One strace on one child: `attach` is done to the child, which waits for the file `go`."""

    def __init__(self, folder: Path, call: str, nth: int) -> None:
        self.go = folder / "go"
        self.go.unlink(missing_ok=True)
        self._call, self._nth = call, nth
        self._log = folder / "strace"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def attach(self, pid: int) -> None:
        self._log.write_text("")
        inject = f"inject={self._call}:signal=KILL:when={self._nth}"
        command = [
            "strace",
            "-f",
            "-q",
            "-p",
            str(pid),
            "-o",
            str(self._log),
            "-e",
            f"trace={self._call}",
            "-e",
            inject,
        ]
        with self._log.with_suffix(".said").open("w") as said:
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        status = Path(f"/proc/{pid}/status")
        for _ in range(5000):
            if f"TracerPid:\t{self._process.pid}\n" in status.read_text():
                break
            time.sleep(0.001)
        else:
            os.kill(pid, signal.SIGKILL)  # it waits for us
            raise AssertionError(f"strace did not take hold: {self._log.with_suffix('.said').read_text()}")
        self.go.touch()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.wait(30)

    def calls(self) -> int:
        """How many of these calls the child made, the deadly one counted."""
        return sum(f" {self._call}(" in line for line in self._log.read_text().splitlines())
