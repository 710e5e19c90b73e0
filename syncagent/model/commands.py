"""Commands: what a system is told; outcomes: what it answered."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from syncagent.model.facts import Identity, Key, Lane, Value


class Command(Struct, frozen=True, tag=True, kw_only=True):
    """What a system is told. `attempt` counts earlier tries: above 0 means look before you repeat.

    `not_before`: it waits in the outbox until then.
    """

    key: Key
    target: str  # the system's name
    person: int
    handoff: str = ""
    lane: Lane = Lane.HOT
    depends_on: tuple[Key, ...] = ()
    attempt: int = 0
    not_before: datetime | None = None


class WriteLead(Command, frozen=True, tag=True, kw_only=True):
    """*Set*: the one desired row of a CRM record; the newest revision replaces an unsent one.

    `expects` are preconditions on watched fields, checked again at delivery: a field whose value has moved away is a
    conflict and nothing is written. `record` None means: find by `emails`, else create from `create`, with `key` as
    the new record's unique key (only when the policy allows creating). An address that several people share stands
    in `create` and not in `emails`: nobody's record is found by it. `optional` fields may be split off when refused.
    `over`: a field is written over one of these values, or over nothing; over any other it is left out (a person's).
    """

    record: Identity | None
    values: dict[str, Value]
    revision: int
    expects: dict[str, Value] = {}
    emails: tuple[str, ...] = ()
    create: dict[str, Value] | None = None
    optional: tuple[str, ...] = ("score", "grade", "stage_date", "insight")
    over: dict[str, tuple[Value, ...]] = {}


class CreateTask(Command, frozen=True, tag=True, kw_only=True):
    """*Once*: a task in a rep's list. `record` None: the record that the command it depends on has made."""

    record: Identity | None
    owner: str
    subject: str
    body: str
    due: datetime
    remind_at: datetime | None = None
    priority: Literal["high", "normal", "low"] = "normal"


class CloseTask(Command, frozen=True, tag=True, kw_only=True):
    """*Once*: close the task made by `task` (a key), with the reason; one already closed or deleted stays as it is."""

    task: Key
    reason: str


class Alert(Command, frozen=True, tag=True, kw_only=True):
    """*Once*: a keyed task with a reminder for each of its recipients' eyes: delivered like `CreateTask`."""

    record: Identity | None
    to: str
    subject: str
    body: str
    remind_at: datetime


class Notify(Command, frozen=True, tag=True, kw_only=True):
    """*At most once*: a push that has no key at the vendor; an unknown outcome is shown, never repeated."""

    record: Identity | None
    to: tuple[str, ...]
    title: str
    body: str


class Nurture(Command, frozen=True, tag=True, kw_only=True):
    """*Once*: give the person back to marketing: a static list (repeatable), or a campaign (at most once).

    `remove`: take them out again, for they are back with sales: out of the list (one that is gone holds nobody), or by
    the campaign that ends what another began. The receipt's value "list" or "campaign" names which it was.
    """

    lead: Identity
    reason: str
    list_id: int | None = None
    campaign_id: int | None = None
    remove: bool = False


WITHDRAWN = "withdrawn"
"""Why a command was dropped by a plan, and not by an admin."""

AnyCommand = WriteLead | CreateTask | CloseTask | Alert | Notify | Nurture


class Receipt(Struct, frozen=True):
    """What stands in the CRM after a command: the proof that tells an echo from an answer.

    `before` are the watched values that the read before the write saw; `at` is the CRM's own stamp of the record.
    `adopted`: it was there already (an earlier answer was lost). `gone`: it was made, and a person has deleted it.
    """

    key: Key
    record: Identity
    at: datetime
    values: dict[str, Value] = {}
    before: dict[str, Value] = {}
    revision: int = 0
    adopted: bool = False
    gone: bool = False
    left_out: tuple[str, ...] = ()  # optional fields that the CRM refused
    note: str = ""


class Done(Struct, frozen=True, tag=True):
    """It stands."""

    receipt: Receipt


class Refused(Struct, frozen=True, tag=True):
    """It will not go through by itself: parked and shown.

    "refused": somebody must mend data or rights. "conflict": the record has moved on; planned anew. "unknown": sent,
    no answer, and no key to look by; never repeated blindly.
    """

    why: str
    kind: Literal["refused", "conflict", "unknown"] = "refused"
    code: str = ""
    fields: tuple[str, ...] = ()


class Retry(Struct, frozen=True, tag=True):
    """Not now: try again after so many seconds."""

    after: float
    why: str


Outcome = Done | Refused | Retry


class OutboxEntry(Struct, frozen=True):
    """What the dossier says of one command of ours. `state`: queued, sending, done, parked, unknown or dropped."""

    key: Key
    verb: str  # the command's class name
    state: Literal["queued", "sending", "done", "parked", "unknown", "dropped", "conflict"]
    revision: int = 0
    handoff: str = ""
    why: str = ""
    receipt: Receipt | None = None
    hangs_on: str = ""  # a queued task's record, by its id; empty: it is not known yet
    waits_for: Key = ""  # the write that a queued task depends on
    alert: Alert | None = None  # an alert that is in conflict: what it would have said


class Written(Struct, frozen=True):
    """A command, done or not, and what its system answered: the receipt, or `why` not."""

    command: AnyCommand
    state: str
    attempt: int
    why: str
    queued_at: datetime | None
    done_at: datetime | None
    receipt: Receipt | None
