"""A call to somebody else every so often, as long as the agent lives: they notice when it does not come any more."""

import logging
from collections.abc import Callable

from syncagent.agent.outages import DECIDING
from syncagent.agent.rounds import AGENT, Agent
from syncagent.errors import SyncagentError

log = logging.getLogger("syncagent")


class Heartbeat:
    """Calls `send` when what is decided can be stored, and deciding is not broken. `every` in seconds."""

    def __init__(self, send: Callable[[], None], every: float) -> None:
        self.every = every
        self._send = send
        self._failed = False

    def __call__(self, agent: Agent) -> bool:
        """Whether it was heard; a failure is logged once, until it is heard again."""
        if not lives(agent):
            return False
        try:
            self._send()
        except SyncagentError as error:
            if not self._failed:
                log.warning("The heartbeat was not heard: %s It goes on trying.", error)
            self._failed = True
            return False
        if self._failed:
            log.info("The heartbeat is heard again.")
        self._failed = False
        return True


def lives(agent: Agent) -> bool:
    """Whether the agent does its work: what it decides is stored, and it can decide."""
    return agent.store.alive() and not agent.stopping.is_set() and not agent.outages.rest(AGENT, DECIDING)
