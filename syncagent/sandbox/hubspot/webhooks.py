"""Signed notifications to a URL: batches of up to 100 in no order, retried up to ten times over 24 hours.

Source: crm.md B11, marketing_automation.md 4.2. The act `set_webhooks` takes

    {"url": "http://127.0.0.1:1234/hooks/hubspot",   null: nobody is told any more
     "signed_uri": "https://...",   what HubSpot signs, where a proxy stands before the receiver; default: the url
     "secret": the app's,
     "versions": ["v1", "v3"],      of the signatures; v1 and v2 share a header, so give one of them at most
     "subscriptions": ["contact.creation", "contact.propertyChange:email", "object.creation:0-27",
                       "object.propertyChange:0-27:hs_task_status"],   default: everything of contacts
     "twice": 0.0,                  the share of notifications that come twice
     "shuffle": true,
     "retry_after": [seconds, ...]  how long after each failure the next try comes, in sandbox time
     "timeout": 5}

Sending runs beside the answers, in the server's own loop.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import re
from collections import deque
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from syncagent.sandbox.hubspot.portal import Portal, Record
from syncagent.sandbox.hubspot.values import millis

BATCH: Final = 100
AT_ONCE: Final = 10
_DECODED: Final = {
    "3A": ":", "2F": "/", "3F": "?", "40": "@", "21": "!", "24": "$", "27": "'", "28": "(", "29": ")", "2A": "*",
    "2C": ",", "3B": ";",
}  # fmt: skip
_ENCODED: Final = re.compile("%(" + "|".join(_DECODED) + ")", re.IGNORECASE)
_RETRY_AFTER: Final = (60, 180, 420, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 28_800)
_ALL: Final = tuple(
    f"contact.{event}"
    for event in ("creation", "propertyChange", "deletion", "merge", "restore", "privacyDeletion", "associationChange")
)
_KNOWN: Final = frozenset(
    {"url", "signed_uri", "secret", "versions", "subscriptions", "twice", "shuffle", "retry_after", "timeout"}
)
_FLAGS: Final = {"creation": "NEW", "deletion": "DELETED", "privacyDeletion": "DELETED"}


def sign(secret: str, body: bytes, uri: str, method: str, timestamp: str, versions: list[str]) -> dict[str, str]:
    """The headers of a signed call."""
    headers = {}
    source = secret.encode() + body
    if "v2" in versions:
        source = secret.encode() + method.encode() + uri.encode() + body
    if "v1" in versions or "v2" in versions:
        headers["X-HubSpot-Signature"] = hashlib.sha256(source).hexdigest()
        headers["X-HubSpot-Signature-Version"] = "v2" if "v2" in versions else "v1"
    if "v3" in versions:
        plain = _ENCODED.sub(lambda found: _DECODED[found.group(1).upper()], uri)
        source = method.encode() + plain.encode() + body + timestamp.encode()
        digest = hmac.new(secret.encode(), source, hashlib.sha256).digest()
        headers["X-HubSpot-Signature-v3"] = base64.b64encode(digest).decode()
        headers["X-HubSpot-Request-Timestamp"] = timestamp
    return headers


class Webhooks:
    """The notifications of one app in one portal."""

    def __init__(self, portal: Portal, secret: str) -> None:
        self._portal = portal
        self._wish: dict[str, Any] = {"url": None, "secret": secret}
        self._waiting: list[tuple[float, dict[str, Any]]] = []
        self._sent: deque[dict[str, Any]] = deque(maxlen=1_000)
        self._serial = 0
        self._given_up = 0
        self._pump: asyncio.Task[None] | None = None
        portal.listeners.append(self.hear)

    def set(self, wish: dict[str, Any]) -> None:
        """Change the subscription; ValueError names what there is."""
        if unknown := set(wish) - _KNOWN:
            raise ValueError(f"Webhooks have no {', '.join(sorted(unknown))}; they have {', '.join(sorted(_KNOWN))}.")
        self._wish |= wish
        self._wake()

    def view(self) -> dict[str, Any]:
        """{"waiting": notifications to be sent, "given_up", "sent": [{at, status, events, attempts}]}."""
        return {"waiting": len(self._waiting), "given_up": self._given_up, "sent": list(self._sent)}

    def hear(self, event: str, record: Record, more: dict[str, Any]) -> None:
        """Something happened in the portal."""
        if not self._wish["url"]:
            return
        for number, subscription in enumerate(self._wish.get("subscriptions") or _ALL):
            if _fits(str(subscription), event, record, more):
                told = self._notification(str(subscription).partition(":")[0], 7_001 + number, event, record, more)
                now = self._portal.clock.now().timestamp()
                copies = 2 if self._portal.dice.random() < float(self._wish.get("twice", 0.0)) else 1
                self._waiting += [(now, told)] * copies
        self._wake()

    def _notification(
        self, kind: str, subscription: int, event: str, record: Record, more: dict[str, Any]
    ) -> dict[str, Any]:
        self._serial += 1
        actor = more["actor"]
        told: dict[str, Any] = {
            "eventId": 1_000 + self._serial // 3,  # not unique, as documented
            "subscriptionId": subscription,
            "portalId": self._portal.settings.portal_id,
            "appId": self._portal.settings.app_id,
            "occurredAt": millis(self._portal.now()),
            "subscriptionType": kind,
            "attemptNumber": 0,
            "objectId": int(record.id),
            "changeSource": actor.source,
        }
        if actor.source_id:
            told["sourceId"] = actor.source_id
        if event in _FLAGS:
            told["changeFlag"] = _FLAGS[event]
        if kind.startswith("object."):
            told["objectTypeId"] = record.kind.type_id
        return told | {name: value for name, value in more.items() if name != "actor"}

    def _wake(self) -> None:
        if self._waiting and (self._pump is None or self._pump.done()):
            with contextlib.suppress(RuntimeError):  # no loop: somebody holds the portal in hand, without a server
                self._pump = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self._waiting and self._wish["url"]:
            await asyncio.sleep(0.02)  # what belongs together comes together
            now = self._portal.clock.now().timestamp()
            due = [told for at, told in self._waiting if at <= now]
            self._waiting = [(at, told) for at, told in self._waiting if at > now]
            if self._wish.get("shuffle", True):
                self._portal.dice.shuffle(due)
            parts = [due[start : start + BATCH] for start in range(0, len(due), BATCH)]
            for start in range(0, len(parts), AT_ONCE):
                await asyncio.gather(*(self._send(part) for part in parts[start : start + AT_ONCE]))

    async def _send(self, events: list[dict[str, Any]]) -> None:
        body = msgspec.json.encode(events)
        url = str(self._wish["url"])
        stamp = str(millis(self._portal.now()))
        uri = str(self._wish.get("signed_uri") or url)
        versions = list(self._wish.get("versions") or ["v1", "v3"])
        headers = sign(str(self._wish["secret"]), body, uri, "POST", stamp, versions)
        try:
            status = await asyncio.wait_for(_post(url, body, headers), float(self._wish.get("timeout", 5)))
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            status = 0
        attempts = [each["attemptNumber"] for each in events]
        self._sent.append({"at": stamp, "status": status, "events": len(events), "attempts": attempts})
        if not 200 <= status < 300:
            for each in events:
                self._again(each)

    def _again(self, told: dict[str, Any]) -> None:
        waits = self._wish.get("retry_after") or _RETRY_AFTER
        if told["attemptNumber"] >= len(waits):
            self._given_up += 1
            return
        due = self._portal.clock.now().timestamp() + float(waits[told["attemptNumber"]])
        self._waiting.append((due, {**told, "attemptNumber": told["attemptNumber"] + 1}))


def _fits(subscription: str, event: str, record: Record, more: dict[str, Any]) -> bool:
    kind, _, rest = subscription.partition(":")
    subject, _, wanted = kind.partition(".")
    if wanted != event:
        return False
    if subject == "object":
        type_id, _, rest = rest.partition(":")
        if type_id not in record.kind.names():
            return False
    elif subject != record.kind.singular:
        return False
    return event != "propertyChange" or not rest or more.get("propertyName") == rest


async def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """POST once, on a connection of its own; the status."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "127.0.0.1", parts.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(host, port, ssl=secure or None)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [
            f"POST {path} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Content-Type: application/json",
            "User-Agent: HubSpot Connect 2.0",
            f"Content-Length: {len(body)}",
            "Connection: close",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        head = (await reader.readline()).split()
        await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    if len(head) < 2:
        raise ValueError("no HTTP answer")
    return int(head[1])
