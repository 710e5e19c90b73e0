"""What others reach us by over HTTP: the listener for webhooks, probes, and the admin's pages."""

from syncagent.web.entry import Entry
from syncagent.web.listener import Limits, Listener
from syncagent.web.pages import Pages
from syncagent.web.probes import Probes
from syncagent.web.visit import Desk

__all__ = ["Desk", "Entry", "Limits", "Listener", "Pages", "Probes"]
