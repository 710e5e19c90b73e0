"""A simulated Marketo Engage subscription: its REST API as documents and recordings have it, held in memory."""

from syncagent.sandbox.clock import SandboxClock
from syncagent.sandbox.marketo.site import Marketo

__all__ = ["Marketo", "create"]


def create(clock: SandboxClock) -> Marketo:
    """A fresh, empty instance on this clock."""
    return Marketo(clock)
