"""Local servers that answer as the real vendors do; they know nothing of the rest of syncagent.

`with Sandbox(["marketo", "salesforce"]) as box:` serves them in a background thread; `Control(box.url("salesforce"))`
seeds, looks, plants faults, moves time and acts as people do; `serve(...)` blocks until it is told to stop.
"""

from syncagent.sandbox.remote import Control, ControlError
from syncagent.sandbox.server import KNOWN, Sandbox, serve

__all__ = ["KNOWN", "Control", "ControlError", "Sandbox", "serve"]
