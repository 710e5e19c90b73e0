"""A parent that has everything imported and forks a child for each run: a start costs milliseconds, a kill is real.

Reads one JSON object a line: {"config": path, "clock": control URL, "kill": [failpoint, n] or null, "trace": path or
null, "synchronous": "OFF" or null}. Answers two lines: {"pid": n}, then {"exit": code, or minus the signal}.
The child does one whole round (`run --once`) and ends.
"""

import importlib
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from syncagent.clock import ManualClock
from syncagent.compose import compose
from syncagent.config import load
from syncagent.sandbox import Control
from syncagent.state import writer

for name in ("marketo", "salesforce"):
    importlib.import_module(f"syncagent.connectors.{name}")


def failpoints(kill: list[Any] | None, trace: str | None) -> Callable[[str], None]:
    """Counts the points by name, kills the process at the one that was asked for, and writes down which there were."""
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def reached(point: str) -> None:
        with lock:
            seen[point] += 1
            count = seen[point]
        if trace:
            with Path(trace).open("a") as lines:
                lines.write(point + "\n")
        if kill and [point, count] == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    return reached


def child(order: dict[str, Any]) -> int:
    """One whole round, as `run --once` does it, with the sandbox's clock."""
    point = failpoints(order["kill"], order["trace"])
    with Control(order["clock"]) as control:
        clock = ManualClock(control.clock())
    agent = compose(load(Path(order["config"])), clock=clock)
    if order.get("synchronous"):
        agent.store.set_synchronous(order["synchronous"])
    writer.FAILPOINT = point
    agent._failpoint = point
    try:
        agent.once()
    finally:
        agent.store.close()
    return 0


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = child(order)
            except requests.ConnectionError:
                code = 3
            except BaseException as error:  # noqa: BLE001
                sys.stderr.write(f"{type(error).__name__}: {error}\n")
                if os.environ.get("CRASH_DEBUG"):
                    import traceback

                    traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        sys.stdout.write(json.dumps({"pid": pid}) + "\n")
        sys.stdout.flush()
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(json.dumps({"exit": os.waitstatus_to_exitcode(status)}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
