"""A local HubSpot: CRM objects, search that lags, forms and events, webhooks, and the people who work in it."""

from syncagent.sandbox.clock import SandboxClock
from syncagent.sandbox.hubspot.site import HubSpot

__all__ = ["HubSpot", "create"]


def create(clock: SandboxClock) -> HubSpot:
    """A fresh portal that lives in the time of `clock`."""
    return HubSpot(clock)
