"""A local Salesforce: REST, SOQL, OAuth, replication and the people who work in it."""

from syncagent.sandbox.clock import SandboxClock
from syncagent.sandbox.salesforce.org import Salesforce

__all__ = ["Salesforce", "create"]


def create(clock: SandboxClock) -> Salesforce:
    """A fresh org that lives in the time of `clock`."""
    return Salesforce(clock)
