"""How the agent sets up its Python process: threads that share one interpreter, and many small facts."""

import contextlib
import gc
import sys
from collections.abc import Iterator

SWITCH = 0.0005
"""Seconds after which a thread that computes lets another one go on. Python's own 5 ms are waited for after every
answer of SQLite and of a socket, so that beside a busy thread all others crawl."""
COLLECT = 50_000
"""So many new objects before Python looks for circles among them (its own: 700). A batch of dossiers makes tens of
thousands, hardly any of them in a circle: looking was a fifth of what deciding cost."""


@contextlib.contextmanager
def tuned() -> Iterator[None]:
    """The process as the agent wants it, and afterwards as it was."""
    switch, collect = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(SWITCH)
    gc.set_threshold(COLLECT, *collect[1:])
    try:
        yield
    finally:
        sys.setswitchinterval(switch)
        gc.set_threshold(*collect)
