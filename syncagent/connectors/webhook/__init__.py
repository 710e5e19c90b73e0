"""A source that is never asked and only posts to `/hooks/NAME`: one table of the config, one dialect.

`records` reads bodies that are anybody's by the mapping table, `cloudevents` too; `mautic` and `segment` are known.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Final, Protocol

from msgspec import structs

from syncagent.config import Secret
from syncagent.connectors import signatures
from syncagent.connectors.base import Delivered, Delivery, Reply
from syncagent.connectors.mapping import Reading
from syncagent.connectors.webhook.cloudevents import CloudEvents
from syncagent.connectors.webhook.mautic import Mautic
from syncagent.connectors.webhook.options import Options
from syncagent.connectors.webhook.records import Records, bearer, github, standard
from syncagent.connectors.webhook.segment import Segment
from syncagent.errors import ConfigError, Problem
from syncagent.model import Cursor, Identity, Page

__all__ = ["Hook", "Options", "open"]


class Dialect(Protocol):
    """How one kind of sender signs and speaks. Pure."""

    methods: frozenset[str]

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: datetime) -> Reply:
        """As `Webhook.verify`, with the secrets that hold at present."""
        ...

    def read(self, delivery: Delivery, arrived: datetime) -> Delivered:
        """As `Webhook.read`."""
        ...


def open(name: str, options: Options) -> "Hook":  # noqa: A001 - the word of the contract
    """A door for one sender. Raises `ConfigError` for a mapping that cannot be used."""
    return Hook(name, options)


USUAL: Final[dict[str, tuple[str | None, str | None]]] = {
    "cloudevents": ("type", "time"),
    "github": ("@event", None),
    "json": (None, None),
    "standard": ("type", "timestamp"),
}
"""Where the type of an event and its moment stand when the mapping does not say."""


def _dialect(name: str, options: Options) -> Dialect:
    if options.dialect == "mautic":
        return Mautic(name, options.events)
    if options.dialect == "segment":
        return Segment(name, options.events)
    if options.mapping is None:  # the options see to it
        raise ValueError("mapping is missing.")
    kind, at = USUAL[options.dialect]
    table = structs.replace(options.mapping, kind=options.mapping.kind or kind, at=options.mapping.at or at)
    reading = Reading(table, name, options.timezone)
    if options.dialect == "cloudevents":
        return CloudEvents(reading, options.origins)
    if options.dialect == "json":
        return Records(reading, bearer(options.header))
    return Records(reading, github() if options.dialect == "github" else standard())


class Hook:
    """A `Webhook`, and a `Source` with nothing to pull. Thread safe; has no connection."""

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self.options = options
        try:
            self._dialect = _dialect(name, options)
        except ValueError as error:
            raise ConfigError([Problem(f"sources.{name}.mapping", str(error))]) from None
        self.methods = self._dialect.methods

    @cached_property
    def _secrets(self) -> tuple[str, ...]:
        return tuple(secret.reveal() for secret in self._places())

    def _places(self) -> tuple[Secret, ...]:
        return (*((self.options.secret,) if self.options.secret else ()), *self.options.secrets)

    # -- Webhook

    def verify(self, delivery: Delivery, now: datetime) -> Reply:
        """Raises `ForgedDeliveryError`, `UnreadableDeliveryError`; `ConfigError` when the secret cannot be had."""
        return self._dialect.verify(delivery, self._secrets, now)

    def read(self, delivery: Delivery, arrived: datetime) -> Delivered:
        """Raises `UnreadableDeliveryError`."""
        return self._dialect.read(delivery, arrived)

    def renew(self) -> None:
        """What was read of the secrets is forgotten."""
        self.__dict__.pop("_secrets", None)

    # -- Source

    def check(self) -> Sequence[Problem]:
        """Whether the secrets are there, and such as this dialect signs with."""
        path = f"sources.{self.name}.secret"
        try:
            for secret in self._secrets:
                if self.options.dialect == "standard":
                    signatures.standard_key(secret)
        except ConfigError as error:
            return [Problem(path, problem.message, problem.help) for problem in error.problems]
        except ValueError as error:
            return [Problem(path, str(error), "Copy it from where the sender shows it, with whsec_ or whpk_.")]
        return ()

    def begin(self, since: datetime, until: datetime | None = None) -> Cursor:
        """There is nothing to pull: what is past can be imported."""
        return "posted"

    def pull(self, cursor: Cursor) -> Iterator[Page]:
        """Nothing."""
        return iter(())

    def look(self, identities: Sequence[Identity]) -> Page:
        """Nobody can be asked."""
        return Page((), "")

    def close(self) -> None:
        """There is nothing to let go of."""

    def calls(self) -> Mapping[str, int]:
        """None are made."""
        return {}
