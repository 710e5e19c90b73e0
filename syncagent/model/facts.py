"""Facts: what the systems say. All moments are aware datetimes in UTC."""

from datetime import datetime
from enum import IntEnum

from msgspec import Struct

Value = str | int | float | bool | None
"""What a field can hold. Dates and datetimes travel as ISO 8601 text."""

Cursor = str
"""Where to go on reading: JSON that only its own connector understands."""

BOT = "Is Bot Activity"
"""The attribute by which a source marks what a bot or a mail scanner did. Source: marketing_automation.md 1.4."""

Key = str
"""Names one command for ever: the installation's epoch, the handoff's stored id, the step and the verb."""


class Identity(Struct, frozen=True, order=True, gc=False):
    """An id in one system, e.g. ("marketo", "lead", "17") or ("salesforce", "Lead", "00Q...")."""

    system: str
    object: str
    id: str


class Lead(Struct, frozen=True, tag=True, tag_field="fact"):
    """What a marketing system says of a person at `seen_at` (the source's own stamp).

    `attributes` go by our names (title, company, country ...). `also` are ids of the same human in other systems.
    """

    identity: Identity
    seen_at: datetime
    attributes: dict[str, Value]
    emails: tuple[str, ...] = ()
    also: tuple[Identity, ...] = ()


class Activity(Struct, frozen=True, array_like=True, gc=False):
    """One thing somebody did. (`source`, `key`) is unique; the same one told twice is one.

    `gc=False` here and at `Identity`: there are millions of them, and none can ever be part of a circle. For the same
    reason its JSON is an array without names: half of what the state holds would be these names.
    """

    identity: Identity
    key: str
    at: datetime
    kind: str  # our word, e.g. "form.submitted"
    asset: str = ""  # which form, page, email
    attributes: dict[str, Value] = {}


class CrmRecord(Struct, frozen=True, tag=True, tag_field="fact"):
    """A Lead or Contact as the CRM last said. `modified_at` is the CRM's stamp, compared only with CRM stamps.

    `fields` hold the mapped fields by our names, `status` and `owner` among them; a missing key means "not read".
    """

    identity: Identity
    modified_at: datetime
    created_at: datetime
    modified_by: str
    fields: dict[str, Value]
    emails: tuple[str, ...] = ()
    converted_to: Identity | None = None
    merged_into: Identity | None = None
    deleted: bool = False
    account: str = ""  # the company's id in the CRM


class FieldChange(Struct, frozen=True, tag=True, tag_field="fact"):
    """Somebody changed one field of a CRM record (LeadHistory, propertiesWithHistory). `field` goes by our name."""

    record: Identity
    key: str
    field: str
    old: Value
    new: Value
    by: str
    at: datetime


class CrmTask(Struct, frozen=True, tag=True, tag_field="fact"):
    """A task, call or mail logged on a CRM record. `key` is ours, empty when somebody else made the task."""

    identity: Identity
    record: Identity
    owner: str
    modified_at: datetime
    created_by: str
    modified_by: str
    created_at: datetime
    key: Key = ""
    subject: str = ""
    status: str = ""
    type: str = ""  # "Task", "Call", "Email", "Meeting"
    closed: bool = False
    closed_at: datetime | None = None
    deleted: bool = False
    outcome: str = ""  # of a call or meeting, in the CRM's words ("Connected", "No Answer")


class Opportunity(Struct, frozen=True, tag=True, tag_field="fact"):
    """A deal; `people` are the contacts (or the converted leads) it belongs to."""

    identity: Identity
    people: tuple[Identity, ...]
    modified_at: datetime
    created_at: datetime
    owner: str = ""
    stage: str = ""
    closed: bool = False
    won: bool = False
    amount: float | None = None
    closed_on: str = ""  # ISO date
    account: str = ""
    deleted: bool = False
    currency: str = ""  # ISO code; empty: the CRM has only one


class Account(Struct, frozen=True, tag=True, tag_field="fact"):
    """A company as the CRM last said. `attributes` go by our names: name, owner, website, phone, country, industry ...

    What a page tells of it replaces what was told before, unless that was later.
    """

    identity: Identity
    modified_at: datetime
    attributes: dict[str, Value]
    created_at: datetime | None = None
    deleted: bool = False


class CrmUser(Struct, frozen=True, tag=True, tag_field="fact"):
    """A rep, a manager or a queue of the CRM; until `away_until` (exclusive) they say that they are out."""

    identity: Identity
    name: str
    active: bool = True
    queue: bool = False
    away_from: datetime | None = None  # None: already
    away_until: datetime | None = None


class Merged(Struct, frozen=True, tag=True, tag_field="fact"):
    """A system has made one record out of several; the losers' histories belong to the winner."""

    winner: Identity
    losers: tuple[Identity, ...]
    at: datetime


class Deleted(Struct, frozen=True, tag=True, tag_field="fact"):
    """A system has deleted this record. `privacy`: they asked to be forgotten, so what it told of them is not kept."""

    identity: Identity
    at: datetime
    privacy: bool = False


class Hint(Struct, frozen=True, tag=True, tag_field="fact"):
    """Something about this record is new: look it up (in a batch with others)."""

    identity: Identity


Fact = Lead | Activity | Account | CrmRecord | FieldChange | CrmTask | Opportunity | CrmUser | Merged | Deleted | Hint


class Page(Struct, frozen=True):
    """Facts and the cursor behind them: they are stored in one transaction.

    A page may be empty with more behind it. `seen_until` (the system's own time) promises that everything up to then
    has been read; None promises nothing.
    """

    facts: tuple[Fact, ...]
    cursor: Cursor
    seen_until: datetime | None = None


class Lane(IntEnum):
    """Hot goes first: what a person is waiting for. Cold: history, sweeps, scores."""

    HOT = 0
    COLD = 1
