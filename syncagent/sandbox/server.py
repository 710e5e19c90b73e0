"""Serves simulated vendors over real HTTP on 127.0.0.1, one port for each, all in one background thread.

Faults close real connections, so the protocol class hands its transport to the application through the ASGI scope.
The `Date` header tells the sandbox's time, not the machine's: a connector that trusts the server's clock must see the
one that stamps the records.
"""

import asyncio
import contextlib
import importlib
import logging
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from email.utils import format_datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl

import msgspec
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from syncagent.sandbox.agreement import BOTH_PARTS, HEAD, NURTURE_LIST, agreement
from syncagent.sandbox.clock import SandboxClock
from syncagent.sandbox.control import PREFIX, control
from syncagent.sandbox.faults import Fault, Faults
from syncagent.sandbox.ledger import Entry, Ledger
from syncagent.sandbox.vendor import Answer, Call, Vendor

KNOWN: Final = ("hubspot", "marketo", "salesforce")
_TRANSPORT: Final = "syncagent.transport"
_START_WITHIN: Final = 10.0


class _Protocol(HttpToolsProtocol):
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[_TRANSPORT] = self.transport  # type: ignore[typeddict-unknown-key]  # our own key in uvicorn's scope


class _Server(uvicorn.Server):
    """Stops at once: uvicorn's own loop looks only ten times a second, and all it does besides is the `Date` header."""

    async def main_loop(self) -> None:
        while not self.should_exit:
            await asyncio.sleep(0.005)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Hang up on everybody: uvicorn's own way is polite and takes a tenth of a second, for every test."""
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        for connection in list(self.server_state.connections):
            transport = connection.transport
            if transport is not None:
                transport.abort()
        while self.server_state.connections:
            await asyncio.sleep(0.001)
        for task in list(self.server_state.tasks):
            task.cancel()


class _Host:
    """One vendor behind ASGI, with its faults and its ledger."""

    def __init__(self, vendor: Vendor, clock: SandboxClock) -> None:
        self.vendor = vendor
        self.faults = Faults(vendor.fault_kinds, getattr(vendor, "fault_path", None))
        self.ledger = Ledger()
        self._clock = clock
        self._control = control(vendor, clock, self.faults, self.ledger)
        self._late: set[asyncio.Task[None]] = set()
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"].startswith(PREFIX):
            await self._control(scope, receive, send)
            return
        self._in_flight += 1
        try:
            call = await _read(scope, receive, self._in_flight)
            if call is not None:
                # only our own stopping cancels a call, one that a fault holds back: nobody is left to hear of it
                with contextlib.suppress(asyncio.CancelledError):
                    await self._serve(call, scope, receive, send)
        finally:
            self._in_flight -= 1

    async def _serve(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        entry = self.ledger.open(self._clock.now(), call.method, call.path, scope["query_string"].decode("latin-1"))
        fault = self.faults.take(call)
        if fault is None:
            await self._reply(self._execute(call, entry), entry, send)
        else:
            entry.fault = fault.action
            await self._strike(fault, call, entry, scope, receive, send)

    def _execute(self, call: Call, entry: Entry) -> Answer:
        entry.status = 500  # stands if the vendor breaks
        answer = self.vendor.answer(call)
        entry.executed = True
        entry.status = None
        self.ledger.charge(entry, answer.cost)
        return answer

    async def _reply(self, answer: Answer, entry: Entry, send: Send, cut: Scope | None = None) -> None:
        entry.status = answer.status
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
        headers.append((b"date", format_datetime(self._clock.now(), usegmt=True).encode()))
        if cut is None and answer.status not in (204, 304):
            headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if cut is None:
            await send({"type": "http.response.body", "body": answer.body})
        else:
            await send(
                {"type": "http.response.body", "body": answer.body[: len(answer.body) // 2] or b"{", "more_body": True}
            )
            cut[_TRANSPORT].close()

    async def _strike(self, fault: Fault, call: Call, entry: Entry, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if (planted := fault.answer()) is not None:
            if fault.execute:
                self._execute(call, entry)
            await self._reply(planted, entry, send)
        elif fault.action == "drop":
            if fault.value == "after":
                self._execute(call, entry)
            entry.status = None
            await _hang_up(scope, receive)
        elif fault.action == "late":
            # a task of its own: the client's hanging up must not stop what the vendor has already taken in
            task = asyncio.create_task(self._later(float(fault.value), call, entry))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            await asyncio.wait([task])
            await _hang_up(scope, receive)
        elif fault.action == "cut":
            await self._reply(self._execute(call, entry), entry, send, cut=scope)
        else:
            answer = (
                self.vendor.fault(fault.action, fault.value, call) if fault.action in self.vendor.fault_kinds else None
            )
            if answer is None:
                answer = self._execute(call, entry)
            else:
                self.ledger.charge(entry, answer.cost)
            await self._reply(answer, entry, send)

    async def _later(self, seconds: float, call: Call, entry: Entry) -> None:
        await asyncio.sleep(seconds)
        self._execute(call, entry)


async def _read(scope: Scope, receive: Receive, in_flight: int) -> Call | None:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return Call(
        method=scope["method"],
        path=scope["path"],
        query=parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body=body,
        raw_path=scope["raw_path"].decode("latin-1"),
        in_flight=in_flight,
    )


async def _hang_up(scope: Scope, receive: Receive) -> None:
    scope[_TRANSPORT].abort()
    while (await receive())["type"] != "http.disconnect":
        pass


def _listen(port: int) -> socket.socket:
    # the protocol must be named: asyncio turns Nagle's delay (40 ms a call) off only for sockets that say TCP
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    return listener


class Sandbox:
    """Serves simulated vendors as long as the `with` block lasts.

    `ports` names a port for a system; all others get a free one. `box.vendor(name)` is the object itself: use it only
    while no call is in flight, else speak to it through `Control(box.url(name))`. ValueError for a system that is not
    simulated.
    """

    def __init__(self, systems: Iterable[str], ports: Mapping[str, int] | None = None) -> None:
        self.clock = SandboxClock()
        self._hosts: dict[str, _Host] = {}
        for name in systems:
            if name not in KNOWN:
                msg = f"There is no simulated {name!r}; known are {', '.join(KNOWN)}."
                raise ValueError(msg)
            vendor: Vendor = importlib.import_module(f"syncagent.sandbox.{name}").create(self.clock)
            self._hosts[name] = _Host(vendor, self.clock)
        self._ports = dict(ports or {})
        self._urls: dict[str, str] = {}
        self._stop = threading.Event()
        self._up = threading.Event()
        self._thread: threading.Thread | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        sockets: dict[str, socket.socket] = {}
        try:
            for name in self._hosts:
                sockets[name] = _listen(self._ports.get(name, 0))
                self._urls[name] = f"http://127.0.0.1:{sockets[name].getsockname()[1]}"
        except OSError:
            for listener in sockets.values():
                listener.close()
            raise
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(sockets)), name="sandbox", daemon=True)
        self._thread.start()
        waited = 0.0
        while not self._up.wait(0.1) and self._thread.is_alive() and waited < _START_WITHIN:
            waited += 0.1
        if not self._up.is_set():
            self.close()
            msg = "The sandbox did not start within ten seconds. Look for an error of uvicorn above."
            raise RuntimeError(msg)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving and forget everything."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def url(self, name: str) -> str:
        """The base URL of a vendor's server."""
        return self._urls[name]

    def vendor(self, name: str) -> Any:  # noqa: ANN401  tests reach into the vendor's own class
        """The simulated vendor itself."""
        return self._hosts[name].vendor

    def credentials(self, name: str) -> dict[str, str]:
        """What a client needs to sign in at a vendor."""
        return self._hosts[name].vendor.credentials(self._urls[name])

    def config(self, folder: Path | None = None) -> str:
        """A syncagent config that runs against all vendors here; secrets go into files in `folder` (default: our own).

        With a CRM among them it is whole: a sample agreement follows. HubSpot is the CRM where there is no Salesforce,
        and a source where there is no other. A marketing system gets the list that it nurtures with.
        """
        if folder is None:
            self._folder = self._folder or tempfile.TemporaryDirectory(prefix="syncagent-sandbox-")
            folder = Path(self._folder.name)
        crm = next((name for name in ("salesforce", "hubspot") if name in self._hosts), None)
        tables = [
            host.vendor.config(self._urls[name], folder) for name, host in self._hosts.items() if name != "hubspot"
        ]
        if "hubspot" in self._hosts:
            tables += self._hubspot(folder, crm=crm == "hubspot")
        if crm is None:
            return "\n".join(tables)
        nurture = next((name for name in ("marketo", "hubspot") if name in self._hosts), "")
        if nurture:
            self._make_nurture_list(self._hosts[nurture].vendor)
        back = BOTH_PARTS if nurture == crm else nurture
        return HEAD + "\n" + "\n".join(tables) + agreement(self.credentials(crm), back)

    def _hubspot(self, folder: Path, *, crm: bool) -> list[str]:
        portal, url = self.vendor("hubspot"), self._urls["hubspot"]
        tables = [portal.config(url, folder)] if crm else []
        if not crm or "marketo" not in self._hosts:
            tables.append(portal.source_config(url, folder, BOTH_PARTS if crm else "hubspot", crm=crm))
        return tables

    @staticmethod
    def _make_nurture_list(vendor: Vendor) -> None:
        lists = vendor.dump()["lists"]
        known = lists if isinstance(lists, dict) else {str(each["id"]) for each in lists}
        if str(NURTURE_LIST) not in known:
            vendor.seed({"lists": [{"id": NURTURE_LIST, "name": "Nurture"}]})

    def describe(self) -> dict[str, dict[str, Any]]:
        """Where each vendor is and how to sign in: {name: {"base_url", "credentials", "control_url"}}."""
        return {
            name: {"base_url": url, "credentials": self.credentials(name), "control_url": url + PREFIX}
            for name, url in self._urls.items()
        }

    async def _run(self, sockets: dict[str, socket.socket]) -> None:
        servers = [
            _Server(
                uvicorn.Config(
                    self._hosts[name],
                    http=_Protocol,
                    ws="none",
                    lifespan="off",
                    log_config=None,
                    log_level=logging.WARNING,
                    access_log=False,
                    proxy_headers=False,
                    date_header=False,
                    server_header=False,
                    timeout_keep_alive=300,
                    timeout_graceful_shutdown=1,
                )
            )
            for name in sockets
        ]
        running = [
            asyncio.create_task(server.serve(sockets=[listener]))
            for server, listener in zip(servers, sockets.values(), strict=True)
        ]
        while not all(server.started for server in servers) and not any(task.done() for task in running):
            await asyncio.sleep(0.005)
        self._up.set()
        while not self._stop.is_set() and not all(task.done() for task in running):
            await asyncio.sleep(0.005)
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*running)
        for listener in sockets.values():
            listener.close()


def serve(
    systems: Sequence[str],
    ports: Mapping[str, int] | None = None,
    *,
    json_line: bool = False,
    write_config: Path | None = None,
) -> None:
    """Serve `systems` until SIGTERM or SIGINT; must be called from the main thread.

    With `json_line` the first and only line on standard output is `describe()` as JSON; else a sentence for each
    vendor. `write_config` gets a syncagent config that runs against them, its secrets in files beside it that only
    their owner can read.
    """
    asked = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  the signature is the system's
        asked.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with Sandbox(systems, ports) as box:
            if write_config is not None:
                write_config.write_text(box.config(write_config.parent), encoding="utf-8")
            places = box.describe()
            if json_line:
                sys.stdout.write(msgspec.json.encode(places).decode() + "\n")
            else:
                for name, place in places.items():
                    sys.stdout.write(f"{name} is at {place['base_url']}, its control API at {place['control_url']}\n")
            with contextlib.suppress(BrokenPipeError):
                sys.stdout.flush()
            asked.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
