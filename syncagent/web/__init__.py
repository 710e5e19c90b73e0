"""What others reach us by over HTTP: the listener for webhooks, and probes beside it."""

from syncagent.web.listener import Limits, Listener
from syncagent.web.probes import Probes

__all__ = ["Limits", "Listener", "Probes"]
