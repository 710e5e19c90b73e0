"""The listener: `/hooks/NAME` takes what systems post to us, and answers 2xx only when it is on the disk.

    verify (pure) -> store.receive, many in one COMMIT -> answer -> ring: somebody reads what was stored

Bounds stand before anything else: the size of a body, the time it may take, how deep its brackets go, how much may wait
for the disk. A stranger costs little and learns nothing but why.

    2xx  stored, or nothing to store     405  another method than the door knows
    400  signed, and unreadable          408  the body did not come in time
    401  forged                          413  too large
    404  no such door                    503  the disk is full, or too much waits for it: come again
"""

import asyncio
import contextlib
import logging
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Final

import msgspec
import uvicorn
from msgspec import Struct
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from syncagent.clock import Clock, monotonic
from syncagent.connectors.base import Delivery, Reply, Webhook
from syncagent.errors import ForgedDeliveryError, SyncagentError, UnreadableDeliveryError, UserError
from syncagent.state.store import Post
from syncagent.web.probes import Probes

log = logging.getLogger("syncagent")

PREFIX: Final = "/hooks"
_START_WITHIN: Final = 10.0
_LONGEST_HEAD: Final = 1 << 17
_SWEEP_EVERY: Final = 1.0
_COMPLAIN_EVERY: Final = 60.0
_BRACKETS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
"""Texts as wholes, and brackets outside them. A text that never ends goes to the end: else its cost is squared."""


class Limits(Struct, frozen=True):
    """Bytes, seconds, levels and counts beyond which a delivery is turned away."""

    body: int = 1 << 20
    seconds: float = 10.0  # for a body to come
    idle: float = 30.0  # for a connection on which nothing is being asked, or a head that does not end
    depth: int = 64
    waiting_bytes: int = 64 << 20
    connections: int = 2000


class _Mail:
    """Posts on their way to the disk: while one group is being committed the next one gathers.

    Lives in the event loop. One future and one wake-up a group: crossing threads costs more than storing.
    """

    def __init__(self, receive: Callable[[Sequence[Post]], "Future[None]"], ring: Callable[[str], None]) -> None:
        self.bytes = 0
        self._receive = receive
        self._ring = ring
        self._gathered: list[tuple[Post, asyncio.Future[None]]] = []
        self._under_way = False

    def keep(self, post: Post, loop: asyncio.AbstractEventLoop) -> "asyncio.Future[None]":
        """Done when it is on the disk."""
        stored = loop.create_future()
        self._gathered.append((post, stored))
        self.bytes += len(post.body)
        if not self._under_way:
            self._send(loop)
        return stored

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        group, self._gathered = self._gathered, []
        self._under_way = True

        def committed(done: "Future[None]") -> None:
            with contextlib.suppress(RuntimeError):  # the listener has ended: nobody waits for an answer any more
                loop.call_soon_threadsafe(self._answer, group, done.exception(), loop)

        try:
            self._receive([post for post, _ in group]).add_done_callback(committed)
        except Exception as error:  # noqa: BLE001 - it is raised again for each of those who wait
            self._answer(group, error, loop)

    def _answer(
        self,
        group: list[tuple[Post, "asyncio.Future[None]"]],
        error: BaseException | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._under_way = False
        for post, stored in group:
            self.bytes -= len(post.body)
            if stored.done():  # its sender has hung up
                continue
            if error is None:
                stored.set_result(None)
            else:
                stored.set_exception(error)
        if error is None:
            for name in {post.source for post, _ in group}:
                self._ring(name)
        if self._gathered:
            self._send(loop)


class Hooks:
    """The ASGI application behind `/hooks`. `answered` counts by (door, status)."""

    def __init__(
        self,
        doors: Mapping[str, Webhook],
        receive: Callable[[Sequence[Post]], "Future[None]"],
        ring: Callable[[str], None],
        clock: Clock,
        limits: Limits,
    ) -> None:
        self.answered: Counter[tuple[str, int]] = Counter()
        self.doors = doors
        self._mail = _Mail(receive, ring)
        self._clock = clock
        self._limits = limits
        self._complained: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        name = scope["path"].removeprefix(f"{PREFIX}/")
        door = self.doors.get(name)
        if door is None:
            name, reply = "", _refusal(404, "There is no such door. Doors are /hooks/NAME, by the sources' names.")
        elif scope["method"] not in door.methods:
            allowed = ", ".join(sorted(door.methods))
            reply = _refusal(405, "This door takes no such method.", {"allow": allowed})
        else:
            answer = await self._take(name, door, scope, receive)
            if answer is None:
                return
            reply = answer
        self.answered[name, reply.status] += 1
        if reply.status >= 400 and door is not None:
            self._complain(name, reply)
        await _send(reply, send)

    async def _take(self, name: str, door: Webhook, scope: Scope, receive: Receive) -> Reply | None:
        """What to answer; None when nobody waits for it any more."""
        headers = _headers(scope)
        try:
            body = await self._body(headers, receive)
        except TimeoutError:
            return _refusal(408, "The body did not come in time.", {"connection": "close"})
        if body is None:
            return None
        if isinstance(body, Reply):
            return body
        url = scope.get("raw_path", b"").partition(b"?")[0]
        query = scope["query_string"]
        delivery = Delivery(scope["method"], (url + b"?" + query if query else url).decode("latin-1"), headers, body)
        now = self._clock.now()
        try:
            reply = door.verify(delivery, now)
            if reply.keep is None:
                return reply
            _check_depth(body, self._limits.depth)
            post = Post(name, now, delivery.method, delivery.url, reply.keep, body)
            await self._mail.keep(post, asyncio.get_running_loop())
        except ForgedDeliveryError as error:
            return _refusal(401, str(error))
        except UnreadableDeliveryError as error:
            return _refusal(400, str(error))
        except SyncagentError as error:
            return _refusal(503, str(error), {"retry-after": "30"})
        except Exception as error:  # noqa: BLE001 - the state's own for this group, or a mistake of ours: never a 2xx
            log.error("%s: a delivery could not be taken (%s).", name, type(error).__name__)
            return _refusal(503, "It could not be stored; try again.", {"retry-after": "30"})
        return reply

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes | Reply | None:
        limits = self._limits
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > limits.body:
            return _too_large(limits.body)
        if self._mail.bytes > limits.waiting_bytes:
            return _refusal(503, "Too much waits to be stored; try again.", {"retry-after": "1"})
        parts: list[bytes] = []
        size = 0
        async with asyncio.timeout(limits.seconds):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                part = message.get("body", b"")
                size += len(part)
                if size > limits.body:
                    return _too_large(limits.body)
                parts.append(part)
                if not message.get("more_body"):
                    return parts[0] if len(parts) == 1 else b"".join(parts)

    def _complain(self, name: str, reply: Reply) -> None:
        """A line in the log, but not one for each of a flood."""
        now = monotonic()
        if now - self._complained.get(name, -_COMPLAIN_EVERY) < _COMPLAIN_EVERY:
            return
        self._complained[name] = now
        log.warning(
            "%s: a delivery was answered %d (%s); the next minute's are not told.",
            name,
            reply.status,
            msgspec.json.decode(reply.body)["error"],
        )


def _headers(scope: Scope) -> dict[str, str]:
    """By lower-case name; one that stands there twice is joined, so that nobody reads only the first."""
    headers: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name, text = raw.decode("latin-1"), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


def _check_depth(body: bytes, most: int) -> None:
    """Raise `UnreadableDeliveryError` when brackets outside texts go deeper than that."""
    if body.count(b"{") + body.count(b"[") <= most:
        return
    depth = 0
    for found in _BRACKETS.finditer(body):
        sign = found[0]
        if sign in (b"{", b"["):
            depth += 1
            if depth > most:
                raise UnreadableDeliveryError(f"Its brackets go deeper than {most}.")
        elif sign in (b"}", b"]"):
            depth -= 1


def _refusal(status: int, why: str, headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, msgspec.json.encode({"error": why}), {"content-type": "application/json", **(headers or {})})


def _too_large(most: int) -> Reply:
    return _refusal(413, f"A delivery may have {most} bytes.", {"connection": "close"})


async def _send(reply: Reply, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    if reply.status != 204:
        headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


class _Protocol(HttpToolsProtocol):
    """Hangs up on a head that is too long: nothing below bounds it."""

    _in_head = True
    _head = 0

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head += len(data)
            if self._head > _LONGEST_HEAD:
                self.transport.abort()
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._in_head, self._head = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()


class Listener:
    """Listens in a thread of its own from `start` to `close`. `port` is what it got when 0 was asked for."""

    def __init__(
        self,
        doors: Mapping[str, Webhook],
        receive: Callable[[Sequence[Post]], "Future[None]"],
        ring: Callable[[str], None],
        clock: Clock,
        address: str,
        limits: Limits | None = None,
        probes: Probes | None = None,
    ) -> None:
        limits = limits or Limits()
        self.hooks = Hooks(doors, receive, ring, clock, limits)
        self.port = 0
        self._paths = (*(f"{PREFIX}/{name}" for name in doors), *(("/metrics",) if probes is not None else ()))
        self._address = address
        self._limits = limits
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._server = uvicorn.Server(
            uvicorn.Config(
                Starlette(routes=[Mount(PREFIX, self.hooks), *(probes.routes() if probes is not None else ())]),
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=limits.connections,
                timeout_keep_alive=int(limits.idle),
                timeout_graceful_shutdown=5,
            )
        )

    def start(self) -> None:
        """Bind and listen. Raises `UserError` when the address cannot be had."""
        host, _, port = self._address.rpartition(":")
        host = host.strip("[]")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, int(port)))
        except (OSError, ValueError, OverflowError) as error:
            listening.close()
            why = getattr(error, "strerror", None) or "that is no address"
            raise UserError(
                f"Nobody can listen on {self._address}: {why}. Set another `listen` in [agent], such as 127.0.0.1:8474."
            ) from None
        self._socket = listening
        self.port = listening.getsockname()[1]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(listening)), name="listener", daemon=True)
        self._thread.start()
        until = monotonic() + _START_WITHIN
        while not self._server.started and self._thread.is_alive() and monotonic() < until:
            self._thread.join(0.005)
        if not self._server.started:
            self.close()
            raise UserError(f"The listener on {self._address} did not start; the log says why.")
        log.info("Listening on %s:%d for %s.", host, self.port, ", ".join(self._paths))

    def change(self, doors: Mapping[str, Webhook]) -> None:
        """These are the doors from now on, and no others. Any thread may call it."""
        self.hooks.doors = dict(doors)

    def close(self) -> None:
        """Take nothing new, answer what is under way, and end."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
        if self._socket is not None:
            self._socket.close()

    async def _run(self, listening: socket.socket) -> None:
        sweeping = asyncio.create_task(self._sweep())
        try:
            await self._server.serve(sockets=[listening])
        finally:
            sweeping.cancel()

    async def _sweep(self) -> None:
        """Hang up on connections that ask for nothing, or whose head comes drop by drop."""
        since: dict[object, float] = {}
        while True:
            await asyncio.sleep(_SWEEP_EVERY)
            now, quiet = monotonic(), since
            since = {}
            for connection in list(self._server.server_state.connections):
                cycle = getattr(connection, "cycle", None)
                if cycle is not None and not cycle.response_complete:
                    continue
                since[connection] = quiet.get(connection, now)
                transport = connection.transport
                if now - since[connection] > self._limits.idle and transport is not None:
                    transport.close()
