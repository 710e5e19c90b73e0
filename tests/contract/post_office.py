"""A small SMTP server on loopback, as RFC 5321 says, and a channel that takes posts; faults can be planted."""

import contextlib
import json
import socketserver
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class PostOffice(socketserver.ThreadingTCPServer):
    """`mails` are (sender, recipients, text). `answers`: what the next command of that name is told instead.

    "hang up" as an answer closes the line; "take and hang up" for DATA takes the mail before it does. `tls`: what it
    shows when a line is encrypted, after STARTTLS or, `at_once`, before a word is said. `secret`: what was said so.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None, *, at_once: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.tls, self.at_once = tls, at_once
        self.secret: list[str] = []
        self.mails: list[tuple[str, list[str], str]] = []
        self.answers: dict[str, list[str]] = {}
        self.said: list[str] = []
        self.extensions = ["8BITMIME"] if tls is None or at_once else ["8BITMIME", "STARTTLS"]

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()


class _Session(socketserver.StreamRequestHandler):
    server: PostOffice

    def handle(self) -> None:
        with contextlib.suppress(ssl.SSLError, ConnectionError):  # who does not like our certificate hangs up
            if self.server.at_once:
                self.encrypt()
            self.talk()

    def encrypt(self) -> None:
        """From here on nobody on the way can read along."""
        assert self.server.tls is not None
        line = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.connection = line
        self.rfile, self.wfile = line.makefile("rb"), line.makefile("wb")

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def talk(self) -> None:
        self.say("220 office.test ready")
        sender, recipients = "", list[str]()
        while line := self.rfile.readline().decode().strip():
            verb = line.split(" ", maxsplit=1)[0].upper()
            is_secret = isinstance(self.connection, ssl.SSLSocket)
            (self.server.secret if is_secret else self.server.said).append(line)
            planted = self.server.answers.get(verb) or []
            answer = planted.pop(0) if planted else ""
            if answer == "hang up":
                return
            if answer and answer != "take and hang up":
                self.say(answer)
                continue
            if verb == "EHLO":
                for each in self.server.extensions:
                    self.say(f"250-{each}")
                self.say("250 office.test")
            elif verb == "STARTTLS" and self.server.tls is not None:
                self.say("220 go on")
                self.encrypt()
            elif verb == "AUTH":
                self.say("235 welcome")
            elif verb == "MAIL":
                sender, recipients = line, []
                self.say("250 ok")
            elif verb == "RCPT":
                recipients.append(line.partition("<")[2].rstrip(">"))
                self.say("250 ok")
            elif verb == "DATA":
                self.say("354 go on")
                text = b""
                while not text.endswith(b"\r\n.\r\n"):
                    text += self.rfile.readline()
                self.server.mails.append((sender, recipients, text[:-5].decode()))
                if answer:
                    return
                self.say("250 taken")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())
        self.wfile.flush()


class Channel(ThreadingHTTPServer):
    """Takes posts: `posts` are (path, body). `answers`: statuses for the next ones; 0 hangs up after taking it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.posts: list[tuple[str, Any]] = []
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/services/T000/B000/wOnDeRfUl"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()


class _Post(BaseHTTPRequestHandler):
    server: Channel

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.answers.pop(0) if self.server.answers else 200
        if status in (0, 200):
            self.server.posts.append((self.path, json.loads(body)))
        if status == 0:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        """Tests need no log."""
