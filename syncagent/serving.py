"""What a running agent serves (webhooks, probes, the admin's pages), and whom it calls as long as it lives."""

from collections.abc import Callable
from pathlib import Path

from syncagent.agent import Agent
from syncagent.agent.heartbeat import Heartbeat
from syncagent.agent.orders import carry_out
from syncagent.agent.vitals import figures, vitals
from syncagent.config import Config, is_loopback, seconds
from syncagent.connectors.http import Http
from syncagent.errors import RetryableError
from syncagent.model import HealthSnapshot
from syncagent.model.vitals import Figures
from syncagent.web import Desk, Entry, Listener, Pages, Probes


def listener(config: Config, agent: Agent, running: Callable[[], Config] | None = None) -> Listener | None:
    """What others post to, probes, and the admin's pages, not yet listening; None when there is none of them.

    `running`: the config as it is now, for the pages; this one, if none is given.
    """
    if not (agent.webhooks or config.probes.serve or config.pages.serve):
        return None

    def ring(name: str) -> None:
        agent.posted[name].set()

    def health() -> HealthSnapshot:
        return agent.store.health(agent.clock.now())

    def told() -> Figures:
        return figures(agent, agent.policy.digest, made.hooks.answered)

    token = config.probes.token.reveal if config.probes.token is not None else None
    probes = Probes(lambda: vitals(agent), health, told, token) if config.probes.serve else None
    pages = _pages(config, agent, running or (lambda: config)) if config.pages.serve else None
    made = Listener(
        agent.webhooks, agent.store.receive, ring, agent.clock, config.agent.listen, probes=probes, pages=pages
    )
    return made


def _pages(config: Config, agent: Agent, running: Callable[[], Config]) -> Pages:
    """The admin's pages: they read for themselves, and what they change goes the way of the command line's orders."""
    desk = Desk(
        Path(config.agent.state),
        agent.clock,
        running,
        lambda: agent.policy,
        agent.store.health,
        lambda order: carry_out(agent, order),
    )
    return Pages(desk, Entry(config.pages, local=is_loopback(config.agent.listen)))


def heartbeat(config: Config) -> Heartbeat | None:
    """Whom the agent calls as long as it lives; None: nobody. Raises `ConfigError` for an address that is none."""
    url = config.heartbeat.url
    if url is None:
        return None

    def send() -> None:
        with Http(url.reveal(), name="heartbeat", timeout=(3.05, 10.0), tries=1, secret_path=True) as http:
            reply = http.call("GET", "")
        if not reply.ok:
            raise RetryableError(f"the heartbeat was answered HTTP {reply.status}.")

    return Heartbeat(send, seconds(config.heartbeat.every))
