"""Between the model's words and the file's: JSON text for open maps and whole structs, UTC milliseconds for moments."""

from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from syncagent.model import (
    Account,
    Activity,
    AnyCommand,
    CrmRecord,
    CrmTask,
    Decision,
    FieldChange,
    Identity,
    Lead,
    Opportunity,
    Receipt,
    Roster,
    Value,
)
from syncagent.model.profile import History


class Said(Struct):
    """What the systems say of one person besides activities: one JSON text, for it is always read and written whole."""

    leads: tuple[Lead, ...] = ()
    records: tuple[CrmRecord, ...] = ()
    changes: tuple[FieldChange, ...] = ()
    tasks: tuple[CrmTask, ...] = ()
    opportunities: tuple[Opportunity, ...] = ()
    histories: tuple[History, ...] = ()


class Gone(Struct):
    """A system has deleted this record, or merged it into `winner`, at `at`; older facts of it change nothing."""

    at: datetime
    winner: Identity | None = None


_encode = msgspec.json.Encoder(order=None).encode

decode_activity = msgspec.json.Decoder(Activity).decode
decode_activities = msgspec.json.Decoder(tuple[Activity, ...]).decode
decode_account = msgspec.json.Decoder(Account).decode
decode_said = msgspec.json.Decoder(Said).decode
decode_decision = msgspec.json.Decoder(Decision).decode
decode_decisions = msgspec.json.Decoder(tuple[Decision, ...]).decode
decode_command = msgspec.json.Decoder(AnyCommand).decode
decode_receipt = msgspec.json.Decoder(Receipt).decode
decode_roster = msgspec.json.Decoder(Roster).decode
decode_keys = msgspec.json.Decoder(tuple[str, ...]).decode
decode_names = decode_keys
decode_ids = msgspec.json.Decoder(dict[str, int]).decode
decode_data = msgspec.json.Decoder(dict[str, Value]).decode
decode_gone = msgspec.json.Decoder(Gone).decode


_BIRTH = datetime(1970, 1, 1, tzinfo=UTC)


def text(value: object) -> str:
    """Any of the model's structs, or a plain map, as JSON text."""
    return _encode(value).decode()


def ms(moment: datetime) -> int:
    """UTC milliseconds since 1970; what is finer is cut off."""
    since = moment - _BIRTH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def maybe_ms(moment: datetime | None) -> int | None:
    """`ms`, and None for None."""
    return None if moment is None else ms(moment)


def not_before(moment: datetime | None) -> int | None:
    """The first UTC millisecond that is no earlier than the moment; None for None.

    Who wakes a part of a millisecond too soon finds nothing due, and has to wake again.
    """
    if moment is None:
        return None
    stamp = ms(moment)
    return stamp + 1 if moment.microsecond % 1000 else stamp


def moment(stamp: int) -> datetime:
    """The aware moment of so many UTC milliseconds."""
    return datetime.fromtimestamp(stamp / 1000, UTC)


def maybe_moment(stamp: int | None) -> datetime | None:
    """`moment`, and None for None."""
    return None if stamp is None else datetime.fromtimestamp(stamp / 1000, UTC)
