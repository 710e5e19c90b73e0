"""Posts signed deliveries as fast as they are answered, from a process of its own: `python -m benchmarks.poster ...`.

Everything is made and signed before the clock starts. Prints one JSON object: how long, the latencies, the answers.
"""

import asyncio
import hmac
import json
import sys
from collections import Counter
from itertools import islice

from syncagent.clock import monotonic

SECRET = "a-secret-of-the-benchmark"
HEAD = (
    "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: poster\r\nContent-Type: application/json\r\n"
    "X-GitHub-Event: lead\r\nX-GitHub-Delivery: {name}\r\nX-Hub-Signature-256: {signature}\r\n"
    "Content-Length: {length}\r\n\r\n"
)


def sign(body: bytes) -> str:
    """The signature of a body, as its header says it."""
    return "sha256=" + hmac.new(SECRET.encode(), body, "sha256").hexdigest()


def request(path: str, number: int) -> bytes:
    """One delivery: a form that somebody has filled in."""
    body = json.dumps(
        {
            "event": "form_submitted",
            "submission": f"s{number}",
            "submitted": "2026-03-02T09:00:00Z",
            "form": {"id": 17, "name": "newsletter"},
            "contact": {"email": f"person{number % 5000}@example.com", "first_name": "Mia", "title": "Engineer"},
            "page": {"url": "https://www.example.com/newsletter", "referrer": "https://www.example.com/blog/scoring"},
        }
    ).encode()
    head = HEAD.format(path=path, name=f"d{number}", signature=sign(body), length=len(body))
    return head.encode() + body


class Line(asyncio.Protocol):
    """One kept connection: the next delivery goes when the last one was answered."""

    def __init__(self, work: "Work") -> None:
        self.work = work

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""
        self._next()

    def _next(self) -> None:
        request = next(self.work.requests, None)
        if request is None:
            self.work.left(self)
            return
        self.began = monotonic()
        self.transport.write(request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        place = head.find(b"content-length:")
        length = int(head[place + 15 :].split(b"\r\n")[0]) if place >= 0 else 0
        if len(self.buffer) < end + 4 + length:
            return
        self.buffer = b""
        self.work.latencies.append(monotonic() - self.began)
        self.work.answers[head[9:12].decode()] += 1
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        self.work.left(self)


class Work:
    """What all lines share."""

    def __init__(self, requests: list[bytes], lines: int) -> None:
        self.requests = iter(requests)
        self.latencies: list[float] = []
        self.answers: Counter[str] = Counter()
        self.lines = lines
        self.gone: set[Line] = set()
        self.done = asyncio.Event()

    def left(self, line: Line) -> None:
        self.gone.add(line)
        if len(self.gone) == self.lines:
            self.done.set()


async def post(port: int, path: str, count: int, lines: int, first: int) -> dict[str, object]:
    requests = [request(path, first + number) for number in range(count)]
    work = Work(requests, lines)
    loop = asyncio.get_running_loop()
    began = monotonic()
    made = [await loop.create_connection(lambda: Line(work), "127.0.0.1", port) for _ in range(lines)]
    await work.done.wait()
    spent = monotonic() - began
    for transport, _ in made:
        transport.close()
    kept = sorted(islice(work.latencies, count))
    at = {percent: kept[int(len(kept) * percent / 100)] if kept else 0.0 for percent in (50, 95, 99)}
    return {"seconds": spent, "answered": dict(work.answers), "worst": kept[-1] if kept else 0.0, "at": at}


def main() -> None:
    port, path, count, lines, first = sys.argv[1:]
    print(json.dumps(asyncio.run(post(int(port), path, int(count), int(lines), int(first)))), flush=True)


if __name__ == "__main__":
    main()
