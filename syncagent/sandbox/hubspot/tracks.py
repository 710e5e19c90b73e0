"""What marketing keeps beside the records: forms and what was sent with them, e-mails, visits, lists."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class Submission:
    """A form that was sent."""

    conversion: str
    form: str
    at: datetime
    values: dict[str, str]
    page: str


@dataclass(slots=True)
class EmailEvent:
    """Something that happened to an e-mail; identified by (`id`, `created`) only."""

    id: str
    created: datetime
    type: str
    recipient: str
    campaign: int
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Visit:
    """An event of Events v3: a page that a contact saw, or another event type."""

    id: str
    type: str
    contact: str
    at: datetime
    properties: dict[str, str]


@dataclass(slots=True)
class StaticList:
    """A list; `members` are record ids with the moment of joining."""

    id: str
    name: str
    type_id: str
    processing: str
    created: datetime
    members: dict[str, datetime] = field(default_factory=dict)


@dataclass(slots=True)
class Tracks:
    """Everything of that kind; forms by guid, campaigns by number, lists by id."""

    forms: dict[str, str] = field(default_factory=dict)
    campaigns: dict[int, dict[str, Any]] = field(default_factory=dict)
    submissions: list[Submission] = field(default_factory=list)
    emails: list[EmailEvent] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    lists: dict[str, StaticList] = field(default_factory=dict)
