"""How the agent itself is: whether it lives, whether it decides, and figures for metrics."""

from collections.abc import Mapping
from datetime import datetime

from syncagent.agent.outages import DECIDING, READING, WRITING
from syncagent.agent.rounds import AGENT, Agent
from syncagent.model.vitals import Figures, Vitals
from syncagent.state.journal import engine


def vitals(agent: Agent) -> Vitals:
    """It lives while what it decides is stored; it is ready when it decides, on a view that it believes."""
    alive = agent.store.alive()
    why = []
    if not alive:
        why.append("Nothing is stored any more: the writer has ended.")
    if agent.stopping.is_set():
        why.append("The agent is stopping.")
    if alive and agent.settings.crm in agent.sources and not agent.store.meta("crm_read"):
        why.append(f"{agent.settings.crm} has not been read whole once: nothing is decided before.")
    if agent.outages.rest(AGENT, DECIDING):
        why.append("Deciding has failed, and is tried again.")
    why += [
        f"{name} says that most of its records are gone, and is not believed."
        for name in agent.sources
        if agent.mistrusts(name)
    ]
    return Vitals(alive, not why, tuple(why))


def figures(agent: Agent, config: str, answered: Mapping[tuple[str, int], int]) -> Figures:
    """All but the counts that the state has."""
    systems = tuple(dict.fromkeys((*agent.sources, *agent.targets)))
    return Figures(
        version=engine(),
        config=config,
        journal=agent.store.ledger().ever(),
        systems=systems,
        calls={name: source.calls() for name, source in agent.sources.items()},
        read=_when(agent, systems, READING),
        written=_when(agent, systems, WRITING),
        silent=agent.silence.silent(),
        answered=answered,
    )


def _when(agent: Agent, systems: tuple[str, ...], part: str) -> dict[str, datetime]:
    return {name: at for name in systems if (at := agent.outages.heard(name, part)) is not None}
