"""What others reach us by over HTTP: the listener for webhooks."""

from syncagent.web.listener import Limits, Listener

__all__ = ["Limits", "Listener"]
