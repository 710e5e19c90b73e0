"""The local vendors in a process of their own, as an admin would start them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def sandbox(*systems: str, config: Path | None = None) -> Iterator[dict[str, Any]]:
    """`syncagent sandbox SYSTEMS --json` until the end of the block; yields its line: {system: {base_url ...}}."""
    command = [sys.executable, "-m", "syncagent", "sandbox", *systems, "--json"]
    if config is not None:
        command += ["--write-config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
