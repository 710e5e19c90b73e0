"""The threads around the verbs: a source has one, deciding has one, each target has a cold one and a few hot ones.

They meet only in the store. A stop is heard at every wait; a full disk makes all of them wait and go on by themselves.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from syncagent.agent.control import Control, socket_path
from syncagent.agent.heartbeat import Heartbeat
from syncagent.agent.outages import DECIDING, READING, UNPACKING
from syncagent.agent.process import tuned
from syncagent.agent.rounds import AGENT, Agent
from syncagent.agent.unpacking import BATCH
from syncagent.clock import monotonic
from syncagent.errors import StoreFullError
from syncagent.model import Lane

log = logging.getLogger("syncagent")

FULL_AGAIN = 5.0
BETWEEN_PAGES = 0.05
LONGEST_SLEEP = 30.0
WATCH_EVERY = 15.0
DRAIN = 8.0
YIELD, LONGEST_YIELD = 3.0, 0.5
"""While deliveries flood in, so many times as long as a batch took to read nothing is read; seconds at most."""
IN_FLIGHT = {Lane.HOT: 4, Lane.COLD: 1}
"""Calls that a target gets at once: a hot command does not wait for the answer to another one."""


class Daemon:
    """Runs an agent until it is told to stop."""

    def __init__(self, agent: Agent, state: Path, heartbeat: Heartbeat | None = None) -> None:
        self._agent = agent
        self._heartbeat = heartbeat
        self._state = state
        self._full = False
        self._failed: BaseException | None = None

    def run(self) -> None:
        """Work until `agent.stopping` is set, then drain: what is under way is finished, nothing new is begun."""
        with tuned():
            self._run()

    def _run(self) -> None:
        agent = self._agent
        control = Control(agent, socket_path(self._state))
        threads = [
            *(self._thread(f"gather-{name}", self._gathering(name)) for name in agent.sources),
            self._thread("decide", self._deciding),
            self._thread("watch", self._watching),
            *([self._thread("heartbeat", self._beating(self._heartbeat))] if self._heartbeat is not None else ()),
            *(
                self._thread(f"deliver-{name}-{lane.name.lower()}-{number}", self._delivering(name, lane))
                for name in agent.targets
                for lane in Lane
                for number in range(IN_FLIGHT[lane])
            ),
        ]
        unpacking: dict[str, threading.Thread] = {}
        self._attend(unpacking)
        log.info("The agent runs: %d systems, state in %s.", len(agent.sources), self._state)
        try:
            for thread in threads:
                thread.start()
            while not agent.stopping.wait(1.0):
                self._attend(unpacking)
        finally:
            agent.stopping.set()
            for bell in (agent.bell, *agent.sooner.values(), *agent.posted.values(), *agent.outgoing.values()):
                bell.set()
            deadline = monotonic() + DRAIN
            for thread in (*threads, *unpacking.values()):
                thread.join(max(0.0, deadline - monotonic()))
            control.close()
        if self._failed is not None:
            raise self._failed
        log.info("The agent has stopped.")

    def _attend(self, unpacking: dict[str, threading.Thread]) -> None:
        """A thread for each door that has none yet: a config that is read again may open some."""
        for name in self._agent.webhooks.keys() - unpacking.keys():
            unpacking[name] = self._thread(f"unpack-{name}", self._unpacking(name))
            unpacking[name].start()

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        """A thread whose failure ends the whole agent: half an agent would lose promises in silence."""

        def guarded() -> None:
            try:
                work()
            except BaseException as error:
                log.exception("%s failed; the agent stops", name)
                self._failed = error
                self._agent.stopping.set()

        return threading.Thread(target=guarded, name=name, daemon=True)

    def _patiently(self, work: Callable[[], int]) -> int:
        """Do it; while the disk is full, say so once, acknowledge nothing, and try again."""
        try:
            done = work()
        except StoreFullError as error:
            if not self._full:
                self._full = True
                log.error("%s Nothing is acknowledged until there is room; make some, and the agent goes on.", error)
            self._agent.clock.wait(self._agent.stopping, FULL_AGAIN)
            return 0
        if self._full and done:
            self._full = False
            log.info("There is room on the disk again; the agent goes on.")
        return done

    def _gathering(self, name: str) -> Callable[[], None]:
        agent = self._agent
        pause = agent.settings.polls.get(name, 60.0)
        sooner = agent.sooner[name]

        def work() -> None:
            while not agent.stopping.is_set():
                self._patiently(lambda: agent.gather(name))
                if agent.may_carry_on(name):
                    agent.clock.wait(agent.stopping, BETWEEN_PAGES)  # on with it: the poll had its turn
                elif rest := agent.outages.rest(name, READING):
                    agent.clock.wait(agent.stopping, min(pause, rest))  # a failed poll is made up for before the next
                else:
                    # A promise that is due waits for a fresh view (law 12), or a delivery has hinted at news: look
                    # sooner, but not in a frenzy.
                    agent.clock.wait(agent.stopping, min(pause, agent.settings.poll_fast))
                    agent.clock.wait(sooner, max(0.0, pause - agent.settings.poll_fast))
                    sooner.clear()

        return work

    def _unpacking(self, name: str) -> Callable[[], None]:
        agent = self._agent
        bell = agent.posted[name]

        def work() -> None:
            while not agent.stopping.is_set():
                bell.clear()
                began = monotonic()
                read = self._patiently(lambda: agent.unpack(name))
                if read >= BATCH and bell.is_set():
                    # A flood: those who post wait for an answer, and go first; what they post is safe meanwhile.
                    agent.clock.wait(agent.stopping, min(YIELD * (monotonic() - began), LONGEST_YIELD))
                elif not read:
                    rest = agent.outages.rest(name, UNPACKING)
                    agent.clock.wait(agent.stopping if rest else bell, min(rest or LONGEST_SLEEP, LONGEST_SLEEP))

        return work

    def _deciding(self) -> None:
        agent = self._agent
        while not agent.stopping.is_set():
            agent.bell.clear()
            if self._patiently(agent.decide):
                continue
            agent.watch()
            wake = agent.store.next_wake()
            until = (wake - agent.clock.now()).total_seconds() if wake else LONGEST_SLEEP
            until = max(until, agent.outages.rest(AGENT, DECIDING), 0.02)
            agent.clock.wait(agent.bell, min(until, LONGEST_SLEEP))

    def _watching(self) -> None:
        """Whoever decides without a pause must not keep us from seeing that a system is silent."""
        agent = self._agent
        while not agent.clock.wait(agent.stopping, WATCH_EVERY):
            self._patiently(agent.watch)

    def _beating(self, heartbeat: Heartbeat) -> Callable[[], None]:
        agent = self._agent

        def work() -> None:
            heartbeat(agent)
            while not agent.clock.wait(agent.stopping, heartbeat.every):
                heartbeat(agent)

        return work

    def _delivering(self, name: str, lane: Lane) -> Callable[[], None]:
        agent = self._agent

        def work() -> None:
            bell = agent.outgoing[name, lane]
            while not agent.stopping.is_set():
                if not self._patiently(lambda: agent.deliver(name, lane)):
                    agent.clock.wait(bell, 1.0)
                    bell.clear()

        return work
