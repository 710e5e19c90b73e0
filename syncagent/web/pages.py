"""The admin's pages: they read the state for themselves, and change it only as the command line does.

    GET  /            how the agent is            GET/POST /outbox      what is parked; try again, give up
    GET  /board       promises by due time        GET  /reports[/NAME]  reports
    GET/POST /people  find somebody               GET  /process         the map with its numbers
    GET  /people/ID   all about them              GET  /config          what runs, and what changed last

A page costs the agent little: two at a time are made, in threads of their own, from a read-only connection of their
own; what takes long is worked out in another process. No name and no address of anybody stands in a URL.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from syncagent.errors import StoreBrokenError, StoreFullError, SyncagentError, UserError
from syncagent.state import open_store
from syncagent.state.store import Store
from syncagent.web import views
from syncagent.web.entry import Entry, Refusal, Visitor, cookie_of
from syncagent.web.guard import ICON, LOGIN, STATIC, Guard
from syncagent.web.prepared import Prepared
from syncagent.web.shown import icon, render, stylesheet, visible
from syncagent.web.visit import Desk, Said, Visit

log = logging.getLogger("syncagent")

AT_ONCE: Final = 2
WAITING: Final = 32
NAV: Final = (
    ("/", "Health"),
    ("/board", "Promises"),
    ("/people", "People"),
    ("/outbox", "Parked"),
    ("/reports", "Reports"),
    ("/process", "Process"),
    ("/config", "Config"),
)


Handler = Callable[[Visit], Said]


class Pages:
    """The ASGI application `app`. `close` ends what is being worked out."""

    def __init__(self, desk: Desk, entry: Entry) -> None:
        self._desk, self._entry = desk, entry
        self._prepared = Prepared(desk.clock)
        self._glances = Prepared(desk.clock, apart=False)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="pages")
        self._waiting = 0
        self._store: Store | None = None
        self._opening = threading.Lock()
        get, both = ["GET"], ["GET", "POST"]
        routes = [
            self._route("/", views.health, get),
            self._route("/board", views.board, get),
            self._route("/people", views.people, both),
            self._route("/people/{number:int}", views.person, get),
            self._route("/outbox", views.outbox, both),
            self._route("/reports", views.reports, get),
            self._route("/reports/{name:str}", views.report, get),
            self._route("/process", views.process, get),
            self._route("/process.svg", views.process_picture, get),
            self._route("/config", views.config, get),
            Route(LOGIN, self._login, methods=both),
            Route("/logout", self._logout, methods=["POST"]),
            Route(STATIC + "pages.css", _style),
            Route(ICON, _icon),
        ]
        inner = Starlette(routes=routes, exception_handlers={HTTPException: self._missing})
        self.app: ASGIApp = Guard(inner, entry, self._refused)

    def close(self) -> None:
        """Nothing more is made."""
        self._prepared.close()
        self._glances.close()
        self._pool.shutdown(cancel_futures=True)
        if self._store is not None:
            self._store.close()

    # -- one page

    def _route(self, path: str, handler: Handler, methods: list[str]) -> Route:
        async def endpoint(request: Request) -> Response:
            if self._waiting >= WAITING:
                return self._page(request, Said("said.html", _told("Many pages are being made", _BUSY), 503))
            self._waiting += 1
            try:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._pool, partial(self._made, path, handler, request))
            finally:
                self._waiting -= 1

        return Route(path, endpoint, methods=methods)

    def _made(self, path: str, handler: Handler, request: Request) -> Response:
        """A page, or a page that says what is wrong. Runs in a thread of the pages' own."""
        try:
            said = handler(self._visit(request))
        except StoreBrokenError as error:
            said = Said("said.html", _told("The state cannot be read", str(error)), 503)
        except StoreFullError as error:
            said = Said("said.html", _told("The disk is full", str(error)), 503)
        except SyncagentError as error:
            said = Said("said.html", _told("That did not work", str(error)), 409)
        except Exception:
            # The path is the route's, with no number in it, and what was looked for stands nowhere.
            log.exception("The page %s could not be made; the agent goes on.", path)
            said = Said("said.html", _told("This page could not be made", _BROKEN), 500)
        try:
            return self._page(request, said)
        except Exception:
            log.exception("The page %s could not be written; the agent goes on.", path)
            return self._page(request, Said("said.html", _told("This page could not be made", _BROKEN), 500))

    def _visit(self, request: Request) -> Visit:
        desk = self._desk
        with self._opening:
            if self._store is None:
                try:
                    self._store = open_store(desk.state, read_only=True, clock=desk.clock)
                except UserError as error:  # it is not there, locked, not ready: whatever it is, no page can be made
                    raise StoreBrokenError(str(error)) from error
        config = desk.config()
        return Visit(
            self._store,
            desk,
            self._prepared,
            self._glances,
            desk.policy(),
            desk.clock.now(),
            ZoneInfo(config.agent.timezone),
            request.path_params,
            request.query_params,
            request.scope["state"].get("form", {}),
            not config.pages.read_only,
        )

    def _page(self, request: Request, said: Said) -> Response:
        if said.to:
            return RedirectResponse(said.to, 303)
        if not said.template:
            return Response(str(said.values["body"]), said.status, media_type=said.kind)
        config, state = self._desk.config(), request.scope.get("state", {})
        visitor: Visitor | None = state.get("visitor")
        common = {
            "nav": NAV if visitor is not None and said.template != "login.html" else (),
            "here": request.url.path,
            "csrf": state.get("csrf", ""),
            "zone": ZoneInfo(config.agent.timezone),
            "now": self._desk.clock.now(),
            "changes": not config.pages.read_only,
            "who": visitor.name if visitor is not None else "",
            "signed_in": self._entry.asks_for_token and visitor is not None and not visitor.name,
            "refresh": 0,
        }
        values = common | said.values
        if "still" in request.query_params:
            values["refresh"] = 0
        body = render(said.template, values)
        return Response(body, said.status, media_type="text/html")

    # -- coming in

    async def _login(self, request: Request) -> Response:
        if not self._entry.asks_for_token:
            return RedirectResponse("/", 303)
        if request.method == "GET":
            return self._page(request, Said("login.html", {"why": ""}))
        loop = asyncio.get_running_loop()
        given = _first(request.scope["state"]["form"], "token")
        session = await loop.run_in_executor(self._pool, self._entry.sign_in, given)
        if isinstance(session, Refusal):
            return self._page(request, Said("login.html", {"why": session.why}, session.status))
        visitor: Visitor = request.scope["state"]["visitor"]
        answer = RedirectResponse("/", 303)
        request.scope["state"]["visitor"] = None
        answer.headers.append("set-cookie", cookie_of(replace(visitor, session=session)))
        return answer

    async def _logout(self, request: Request) -> Response:
        visitor: Visitor = request.scope["state"]["visitor"]
        self._entry.sign_out(visitor.session)
        return RedirectResponse(LOGIN, 303)

    # -- staying out

    def _refused(self, refusal: Refusal, request: Request) -> Response:
        if refusal.login and request.method == "GET":
            return RedirectResponse(LOGIN, 303)
        return self._page(request, Said("said.html", _told("Not here", refusal.why), refusal.status))

    async def _missing(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        why = _NO_POST if status == 405 else "Nothing is kept under this address. The pages there are stand above."
        return self._page(request, Said("said.html", _told("There is no such page", why), status))


_BUSY: Final = (
    "More pages are asked for than are made at a time, so that the agent has room. Load it again in a moment."
)
_BROKEN: Final = (
    "A mistake in syncagent itself: the log says where. The agent goes on; `syncagent status` tells how it is, and "
    "please report what the log says."
)
_NO_POST: Final = "This page is only read: nothing can be sent to it."


def _told(title: str, why: str) -> dict[str, Any]:
    return {"title": title, "why": visible(why, 2000)}


def _first(form: Mapping[str, Sequence[str]], name: str) -> str:
    return next(iter(form.get(name, ())), "")


async def _style(_request: Request) -> Response:
    body, _ = stylesheet()
    return Response(body, media_type="text/css", headers={"cache-control": "public, max-age=31536000, immutable"})


async def _icon(_request: Request) -> Response:
    return Response(icon(), media_type="image/svg+xml", headers={"cache-control": "public, max-age=86400"})
