"""Alerts by mail (SMTP, RFC 5321): at most once, several for one person as one mail.

A server that answers 4yz before it has taken the text has certainly sent nothing: it is tried again. When the line
breaks after the text was given, nobody knows: the notice is shown as unknown, and never repeated by itself.
"""

import hashlib
import smtplib
import ssl
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Literal

from msgspec import Struct

from syncagent.clock import SystemClock
from syncagent.config import Secret
from syncagent.connectors.notices import answered, by_place, done, sorted_out, text_of, title_of
from syncagent.errors import ConfigError, Problem
from syncagent.model import AnyCommand, Key, Notify, Outcome, Refused, Retry
from syncagent.model.address import read_address

_LOCAL = ("localhost", "127.0.0.1", "::1")
_AGAIN, _LATER = 60.0, 300.0
_TEMPORARY = range(400, 500)
_SEVEN_BITS = policy.SMTP.clone(cte_type="7bit")  # not every server takes more


class Options(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table of a sink: `to` is CRM id -> address. Raises ValueError with a sentence.

    `security`: "starttls" (port 587), "tls" from the first byte (465), or "none", which only this machine may be sent.
    """

    host: str
    sender: str
    to: dict[str, str] | tuple[str, ...]
    port: int = 0
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: Secret | None = None
    timeout: float = 10.0

    def __post_init__(self) -> None:
        places = self.to if isinstance(self.to, dict) else {}
        if not places:
            raise ValueError('to names no address, for example to = { "Ana Silva" = "ana@example.com" }.')
        if not read_address(self.sender):
            raise ValueError("sender is not an email address.")
        for who, address in places.items():
            if not read_address(address):
                raise ValueError(f"to: what stands for {who} is not an email address.")
        if self.security == "none" and self.host not in _LOCAL:
            raise ValueError('security is "none": unencrypted mail is only given to a server on this machine.')
        if bool(self.user) != (self.password is not None):
            raise ValueError("user and password belong together.")


def open(name: str, options: Options) -> "Mail":  # noqa: A001 - the word of the contract
    """A mail server, not yet called."""
    return Mail(name, options)


class Mail:
    """A target for notices. It holds no connection between batches."""

    batch_size = 50

    def __init__(self, name: str, options: Options, clock: Callable[[], datetime] | None = None) -> None:
        self.name = name
        self.options = options
        self._now = clock or SystemClock().now
        self._places = dict(options.to) if isinstance(options.to, dict) else {}

    def close(self) -> None:
        """Nothing is open."""

    def me(self) -> str:
        """A mail server knows no user of ours."""
        return ""

    def check(self) -> Sequence[Problem]:
        """Whether the server lets us in; nothing is sent."""
        try:
            self._connect().quit()
        except (OSError, smtplib.SMTPException, ConfigError) as error:
            return (Problem(f"alerts.sinks.{self.name}", _told(error), "Check host, port, security and password."),)
        return ()

    def apply(self, batch: Sequence[AnyCommand]) -> Iterator[tuple[Key, Outcome]]:
        """One mail for each person. Nothing is raised: what fails before it was sent comes again."""
        go, outcomes = sorted_out(batch)
        yield from outcomes.items()
        if not go:
            return
        try:
            server = self._connect()
        except (OSError, smtplib.SMTPException, ConfigError) as error:
            yield from answered(go, Retry(_LATER, _told(error)))
            return
        try:
            for address, notices in by_place(go, self._places):
                yield from self._send(server, address, notices)
        finally:
            server.close()

    def _connect(self) -> smtplib.SMTP:
        """A server that has let us in. The password is never sent before the line is encrypted."""
        given = self.options
        port = given.port or {"starttls": 587, "tls": 465, "none": 25}[given.security]
        context = ssl.create_default_context()
        server: smtplib.SMTP
        if given.security == "tls":
            server = smtplib.SMTP_SSL(given.host, port, timeout=given.timeout, context=context)
        else:
            server = smtplib.SMTP(given.host, port, timeout=given.timeout)
        try:
            server.ehlo_or_helo_if_needed()
            if given.security == "starttls":
                server.starttls(context=context)
                server.ehlo()
            if given.password is not None:
                server.login(given.user, given.password.reveal())
        except BaseException:
            server.close()
            raise
        return server

    def _send(self, server: smtplib.SMTP, address: str, notices: list[Notify]) -> Iterator[tuple[Key, Outcome]]:
        if not address:
            yield from answered(notices, Refused("No address is known for this person: see `to` in the config."))
            return
        try:
            for code, _ in (server.mail(self.options.sender), server.rcpt(address)):
                if code not in (250, 251):
                    server.rset()
                    yield from answered(notices, _refused(code))
                    return
        except (OSError, smtplib.SMTPException) as error:
            yield from answered(notices, Retry(_AGAIN, _told(error)))
            return
        try:
            code, _ = server.data(self._message(address, notices).as_bytes())
        except smtplib.SMTPDataError as error:
            yield from answered(notices, _refused(error.smtp_code))
            return
        except (OSError, smtplib.SMTPException):
            why = "The line to the mail server broke while it was being sent."
            yield from answered(notices, Refused(why, "unknown"))
            return
        if code != 250:
            yield from answered(notices, _refused(code))
            return
        for one in notices:
            yield one.key, done(self.name, one, self._now())

    def _message(self, address: str, notices: list[Notify]) -> EmailMessage:
        message = EmailMessage(_SEVEN_BITS)
        message["From"], message["To"], message["Subject"] = self.options.sender, address, title_of(notices)
        message["Date"] = format_datetime(self._now())
        # The same mail has the same id, whoever sends it: a mailbox that sees it twice may show it once.
        keys = "\n".join(sorted(one.key for one in notices))
        domain = self.options.sender.rpartition("@")[2].rstrip(">")
        message["Message-ID"] = f"<{hashlib.sha256(keys.encode()).hexdigest()[:32]}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text_of(notices) + "\n")
        return message


def _refused(code: int) -> Retry | Refused:
    if code in _TEMPORARY:
        return Retry(_LATER, f"The mail server asks to try again later ({code}).")
    return Refused("The mail server does not take it: check the addresses in the config.", code=str(code))


def _told(error: BaseException) -> str:
    """What went wrong, without what a server says: it may hold addresses."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"The mail server refuses user and password ({error.smtp_code})."
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "The mail server offers no encryption (STARTTLS), or no login: nothing was sent."
    if isinstance(error, ssl.SSLError):
        return "The certificate of the mail server is not accepted, or the port speaks no TLS."
    if isinstance(error, ConfigError):
        return "The password of the mail server cannot be read."
    if isinstance(error, smtplib.SMTPResponseException):
        return f"The mail server does not let us in ({error.smtp_code})."
    return "The mail server cannot be reached."
