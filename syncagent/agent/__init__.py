"""The daemon: four verbs in one direction. `rounds` holds the verbs, `daemon` the threads around them."""

from syncagent.agent.rounds import Agent, Settings

__all__ = ["Agent", "Settings"]
