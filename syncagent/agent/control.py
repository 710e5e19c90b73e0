"""The Unix socket beside the state file (0600): commands that change something go to the running agent through it.

One JSON object a connection, answered by one: {"do": "release", ...} -> {"ok": {...}} or {"error": "a sentence"}.
"""

import json
import os
import socket
import socketserver
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from syncagent.agent.orders import carry_out
from syncagent.agent.rounds import Agent
from syncagent.errors import SyncagentError, UserError

LONGEST = 64 * 1024 * 1024


def socket_path(state: Path) -> Path:
    """Where the agent of this state file listens."""
    return state.with_name(state.name + ".sock")


class Control:
    """Listens until `close`; orders are carried out one at a time a connection."""

    def __init__(self, agent: Agent, path: Path) -> None:
        path.unlink(missing_ok=True)  # we hold the lock: whoever left it here is gone

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(msgspec.json.encode(_answer(agent, self.rfile.readline(LONGEST))) + b"\n")

        old = os.umask(0o177)
        try:
            self._server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        finally:
            os.umask(old)
        self._server.daemon_threads = True
        self._path = path
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="control"
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


def _answer(agent: Agent, line: bytes) -> dict[str, Any]:
    try:
        return {"ok": carry_out(agent, msgspec.json.decode(line, type=dict[str, Any]))}
    except (SyncagentError, msgspec.DecodeError, KeyError, ValueError) as error:
        return {"error": str(error) or type(error).__name__}


def ask(state: Path, order: Mapping[str, Any], *, timeout: float = 600.0) -> dict[str, Any] | None:
    """Give the running agent an order; None when no agent listens. Raises `UserError` with its refusal."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(timeout)
        try:
            line.connect(str(socket_path(state)))
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return None
        except PermissionError:
            raise UserError(
                f"The agent of {state} takes no orders from this user. Run as the user it runs as."
            ) from None
        line.sendall(msgspec.json.encode(order) + b"\n")
        with suppress(OSError):
            line.shutdown(socket.SHUT_WR)
        with line.makefile("rb") as answer:
            text = answer.readline()
    if not text:
        raise UserError("The agent ended before it answered; look at `syncagent status`, then try again.")
    said: dict[str, Any] = json.loads(text)
    if "error" in said:
        raise UserError(str(said["error"]))
    return dict(said["ok"])
