"""What stands before every page: its headers, its visitor, the forms that it takes. Plain ASGI, and no page."""

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from syncagent.web.entry import Entry, Head, Refusal, Visitor, cookie_of

LONGEST_FORM: Final = 64 * 1024
STATIC: Final = "/static/"
ICON: Final = "/favicon.ico"
LOGIN: Final = "/login"
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with none at all, browsers send forms from an origin called "null"
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "x-robots-tag": "noindex",
}
Refuse = Callable[[Refusal, Request], Response]


class Guard:
    """Lets a request through to `app` with `scope["state"]`: `visitor`, `csrf` (for forms), `form` (of a POST)."""

    def __init__(self, app: ASGIApp, entry: Entry, refuse: Refuse) -> None:
        self._app, self._entry, self._refuse = app, entry, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        static = scope["path"].startswith(STATIC) or scope["path"] == ICON
        visitor: Visitor | None = None

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
                if visitor is not None and visitor.fresh:
                    headers.append("set-cookie", cookie_of(visitor))
            await send(message)

        request = Request(scope, receive)
        peer, (_, port) = request.client, scope.get("server") or ("", 0)
        head = Head(dict(request.headers), peer.host if peer is not None else "", port or 0)
        refusal = self._entry.host(head)
        if refusal is None and scope["method"] not in ("GET", "HEAD", "POST"):
            refusal = Refusal(405, "Pages are read, and forms are posted: nothing else.")
        if refusal is None and not static:
            found = self._entry.visitor(head)
            if isinstance(found, Refusal) and found.login and scope["path"] == LOGIN:
                found = self._entry.stranger(head)
            if isinstance(found, Refusal):
                refusal = found
            else:
                visitor = found
                scope.setdefault("state", {})["visitor"] = visitor
                scope["state"]["csrf"] = self._entry.form_token(visitor.session)
        if refusal is None and visitor is not None and scope["method"] == "POST":
            form = await _form(request)
            given = form.get("csrf", [""])[0] if isinstance(form, Mapping) else ""
            refusal = form if isinstance(form, Refusal) else self._entry.form(head, visitor.session, given)
            scope["state"]["form"] = form
        if refusal is not None:
            await self._refuse(refusal, request)(scope, receive, sending)
            return
        await self._app(scope, receive, sending)


async def _form(request: Request) -> dict[str, list[str]] | Refusal:
    """The fields of a form, each as often as it stands there."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return Refusal(415, "This is no form.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_FORM:
            return Refusal(413, f"A form may have {LONGEST_FORM // 1024} KiB.")
    try:
        return parse_qs(body.decode("ascii"), max_num_fields=2000, keep_blank_values=True)
    except ValueError:
        return Refusal(400, "This form cannot be read.")
