"""The table of a source that only posts: `type = "webhook"`."""

from typing import Final, Literal

from msgspec import Struct

from syncagent.config import Secret
from syncagent.connectors.mapping import Table

MAPPED: Final = ("cloudevents", "github", "json", "standard")
"""Dialects whose bodies are anybody's: the mapping says what they mean."""


class Options(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who posts, in which dialect, signed with which secret. Raises ValueError with a sentence.

    `secrets` are several that hold at once, while one takes the other's place. `header`: where a sender of plain JSON
    puts the secret, if not into `Authorization: Bearer`. `events`: Mautic's and Segment's names of events -> our kinds,
    beside the usual ones; "" for one that does not count. `origins`: who may ask a CloudEvents door whether it is one
    ("*": anybody). `timezone` is the agent's.
    """

    dialect: Literal["cloudevents", "github", "json", "mautic", "segment", "standard"]
    secret: Secret | None = None
    secrets: tuple[Secret, ...] = ()
    header: str = ""
    mapping: Table | None = None
    events: dict[str, str] = {}
    origins: tuple[str, ...] = ()
    timezone: str = "UTC"
    poll: str = "1h"

    def __post_init__(self) -> None:
        if self.secret is None and not self.secrets:
            raise ValueError("secret is missing: without one anybody could post here.")
        if self.dialect in MAPPED and self.mapping is None:
            raise ValueError(f"mapping is missing: it says what {self.dialect} bodies mean.")
        if self.dialect not in MAPPED and self.mapping is not None:
            raise ValueError(f"mapping is not read: what {self.dialect} posts is known; see events.")
        if self.dialect in MAPPED and self.events:
            raise ValueError("events is not read here: use mapping.kinds.")
        if self.header and self.dialect != "json":
            raise ValueError('header is for dialect = "json"; the others have one of their own.')
