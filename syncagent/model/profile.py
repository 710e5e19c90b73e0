"""What one record has said of each attribute, and when: the past behind the values that stand now."""

from datetime import datetime

from msgspec import Struct

from syncagent.model.facts import Identity, Value

WORK = frozenset(
    ("status", "owner", "recycle_until", "recycle_reason", "score", "grade", "stage_date", "insight", "contact_status")
)
"""Fields of the CRM in which the handoff itself is worked: `Dossier.changes` tell their past, no `History` does."""


class Seen(Struct, frozen=True):
    """One value: when it was told first, and when last."""

    value: Value
    first: datetime
    last: datetime


class History(Struct, frozen=True):
    """The past of one lead or CRM record. `born`: when it was told of first.

    `seen` names only attributes with more to tell than "this one value, from `born` until the record was last told".
    Earliest first; the earlier values of an attribute are bounded.
    """

    identity: Identity
    born: datetime
    seen: dict[str, tuple[Seen, ...]] = {}
