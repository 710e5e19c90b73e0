"""A parent that has everything imported and forks a child for each run: a start costs milliseconds, a kill is real.

Started as a program of its own, so that a shim can be preloaded. Reads one order a line, as JSON:

    {"config": path, "clock": control URL, "now": moment, "kill": [point, n] or null, "trace": path or null,
     "synchronous": "off" or null, "go": path or null, "log": path, "daemon": true or null, "aim": path or null,
     "fork": whether a child does it}

and answers two lines: {"pid": n, or 0 for itself}, then {"exit": code, or minus the signal}. The child does one whole
round, as `run --once` does, at the moment `now`. With `go` it waits for that file first, so that somebody can attach
to it. With `daemon` it runs as `run` does, threads and all, until SIGTERM, or until it comes to the point that the file
`aim` names at that moment.

Where nobody is to be killed the parent does the round (`fork` is false): on disk and at the vendors that is the same, a
new agent on the file that the last one left, and it takes half of the time. What it loads its later children find.
"""

import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt.algorithms

from syncagent.agent.daemon import Daemon
from syncagent.clock import ManualClock
from syncagent.compose import compose
from syncagent.config import Config, load
from syncagent.sandbox import Control
from syncagent.state import sqlite, writer

for name in ("hubspot", "marketo", "salesforce"):
    importlib.import_module(f"syncagent.connectors.{name}")

# Checking a private key costs a third of a round; forked children find it checked.
jwt.algorithms.load_pem_private_key = functools.cache(jwt.algorithms.load_pem_private_key)

_PR_SET_PTRACER = 0x59616D61
_ANYBODY = ctypes.c_ulong(-1)


def failpoints(kill: list[Any] | None, trace: str | None) -> Callable[[str], None]:
    """Counts the points by name, kills the process at the one that was asked for, and writes down which there were."""
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def reached(point: str) -> None:
        with lock:
            seen[point] += 1
            if trace:
                with Path(trace).open("a") as lines:
                    lines.write(f"{point}\n")
            if [point, seen[point]] == kill:
                os.kill(os.getpid(), signal.SIGKILL)

    return reached


def aimed(aim: Path) -> Callable[[str], None]:
    """Kills the process at the point that stands in the file, if there is one."""

    def reached(point: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            if aim.read_text() == point:
                os.kill(os.getpid(), signal.SIGKILL)

    return reached


def _wait_for(go: Path) -> None:
    # Where Yama guards processes, a tracer must be invited.
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)
    while not go.exists():
        time.sleep(0.001)


def _careless(level: str) -> None:
    """A planted bug: commits that are not synced."""
    real = sqlite._pragma

    def pragma(connection: Any, name: str, value: str) -> None:
        real(connection, name, level if name == "synchronous" else value)

    sqlite._pragma = pragma


class StageClock(ManualClock):
    """The sandbox's clock as it moves on; what waits for minutes waits for a moment, for the stage has no time."""

    MOMENT = 0.03

    def __init__(self, control: Control) -> None:
        super().__init__(control.clock())
        self._control = control
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        while True:
            self.move_to(self._control.clock())
            time.sleep(self.MOMENT / 3)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(min(seconds, self.MOMENT))


def service(order: dict[str, Any]) -> int:
    """The daemon until SIGTERM; 0 when it has drained."""
    clock = StageClock(Control(order["clock"]))
    writer.FAILPOINT = reached = aimed(Path(order["aim"]))
    agent = compose(configured(order["config"]), clock=clock)
    agent._failpoint = reached
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=agent.stopping.set, daemon=True).start())
    try:
        Daemon(agent, Path(order["config"]).with_name("syncagent.db")).run()
    finally:
        agent.close()
    return 0


def child(order: dict[str, Any]) -> int:
    """One whole round; 0 when it went through."""
    if order.get("go"):
        _wait_for(Path(order["go"]))
    if order.get("synchronous"):
        _careless(order["synchronous"])
    writer.FAILPOINT = reached = failpoints(order.get("kill"), order.get("trace"))
    agent = compose(configured(order["config"]), clock=ManualClock(datetime.fromisoformat(order["now"])))
    agent._failpoint = reached
    try:
        agent.once()
    finally:
        agent.close()
    return 0


@functools.cache
def configured(config: str) -> Config:
    """The settings, read once for all children of a story: also a third of a round; and the keys beside them."""
    for key in Path(config).parent.glob("*.pem"):
        jwt.algorithms.load_pem_private_key(key.read_bytes(), password=None)
    return load(Path(config))


def _settled() -> None:
    """What a child's garbage collection walks through it copies, page by page: what is here before is left alone."""
    assert threading.active_count() == 1, f"a fork would lose {threading.enumerate()}"
    gc.collect()
    gc.freeze()


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 2)
        os.close(log)
        configured(order["config"])
        _settled()
        pid = os.fork() if order["fork"] else 0
        if pid == 0:
            code = 1
            try:
                code = service(order) if order.get("daemon") else child(order)
            except BaseException:  # noqa: BLE001 - a forked child must never come back to the loop
                traceback.print_exc()
            with contextlib.suppress(OSError):
                sys.stderr.flush()
            if order["fork"]:
                os._exit(code)
        _say({"pid": pid})
        if pid:
            _, status = os.waitpid(pid, 0)
            code = os.waitstatus_to_exitcode(status)
        _say({"exit": code})


def _say(what: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
