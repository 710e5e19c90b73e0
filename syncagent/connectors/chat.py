"""Alerts in a channel of Slack or Teams, by an incoming webhook: at most once, several as one message.

Whoever knows the address of such a webhook may write to the channel: it is a secret as a whole, and stands in no
message. Slack takes {"text": ...} and asks for &, < and > to be escaped; a Teams workflow takes an adaptive card.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from syncagent.clock import SystemClock
from syncagent.config import Secret
from syncagent.connectors.http import BusyError, Http
from syncagent.connectors.notices import answered, done, sorted_out, text_of
from syncagent.errors import ConfigError, Problem, RetryableError
from syncagent.model import AnyCommand, Key, Notify, Outcome, Refused, Retry

_LONGEST = 3000  # Slack shortens texts beyond 4,000 characters, and escaping makes them longer


class Options(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table of a sink. `to`: whose alerts go there, by CRM id."""

    dialect: Literal["slack", "teams"]
    url: Secret
    to: dict[str, str] | tuple[str, ...]
    timeout: float = 10.0

    def __post_init__(self) -> None:
        table = isinstance(self.to, dict)
        if table:
            raise ValueError('to is a table: a channel has no addresses, for example to = ["Ana Silva"].')


def open(name: str, options: Options) -> "Chat":  # noqa: A001 - the word of the contract
    """A channel, not yet called."""
    return Chat(name, options)


class Chat:
    """A target for notices. It holds no connection between batches."""

    batch_size = 20

    def __init__(self, name: str, options: Options, clock: Callable[[], datetime] | None = None) -> None:
        self.name = name
        self.options = options
        self._now = clock or SystemClock().now

    def close(self) -> None:
        """Nothing is open."""

    def me(self) -> str:
        """A channel knows no user of ours."""
        return ""

    def check(self) -> Sequence[Problem]:
        """Whether there is an address; it cannot be tried without writing to the channel."""
        try:
            self._http().close()
        except ConfigError as error:
            return tuple(Problem(f"alerts.sinks.{self.name}.url", one.message, one.help) for one in error.problems)
        return ()

    def apply(self, batch: Sequence[AnyCommand]) -> Iterator[tuple[Key, Outcome]]:
        """One message for all of them."""
        go, outcomes = sorted_out(batch)
        yield from outcomes.items()
        if go:
            yield from self._send(go)

    def _send(self, notices: list[Notify]) -> Iterator[tuple[Key, Outcome]]:
        try:
            http = self._http()
        except ConfigError:
            yield from answered(notices, Retry(300.0, "The address of the channel cannot be read."))
            return
        with http:
            try:
                reply = http.call("POST", "", json=self._message(notices), safe=False)
            except BusyError as error:  # nothing was done
                yield from answered(notices, Retry(error.after, f"{self.name} asks for fewer messages."))
                return
            except RetryableError:
                why = f"{self.name} gave no clear answer: look into the channel whether it arrived."
                yield from answered(notices, Refused(why, "unknown"))
                return
        if not reply.ok:
            why = f"{self.name} does not take it: is the webhook still there? Make a new one, and put it in its place."
            yield from answered(notices, Refused(why, code=str(reply.status)))
            return
        for one in notices:
            yield one.key, done(self.name, one, self._now())

    def _http(self) -> Http:
        limits = (3.05, self.options.timeout)
        return Http(self.options.url.reveal(), name=self.name, timeout=limits, tries=1, secret_path=True)

    def _message(self, notices: list[Notify]) -> dict[str, Any]:
        text = text_of(notices)
        text = text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."
        if self.options.dialect == "slack":
            return {"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}
        # Runs of text are shown as they stand: nothing in them is taken for a link or a mention.
        lines = [
            {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": line}]}
            for line in text.split("\n")
            if line.strip()
        ]
        card = {"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard"}
        content = {**card, "version": "1.4", "body": lines}
        kind = "application/vnd.microsoft.card.adaptive"
        return {"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": content}]}
