"""The dossier: all that `plan` reads of a person, the roster beside it, and the plan that comes out."""

from datetime import datetime

from msgspec import Struct

from syncagent.model.commands import AnyCommand, OutboxEntry
from syncagent.model.facts import (
    Activity,
    CrmRecord,
    CrmTask,
    FieldChange,
    Identity,
    Key,
    Lane,
    Lead,
    Opportunity,
    Value,
)
from syncagent.model.figures import Entry, HandoffFigures
from syncagent.model.judgement import Decision, Event
from syncagent.model.profile import History


class AccountView(Struct, frozen=True):
    """The company as a dossier needs it.

    `owner`: the account's, `deal_owner`: that of its newest open deal, by CRM id. `engaged`: how many of its people
    have done something; `titles`: theirs, each once. `attributes`: what the CRM says of the account itself, by our
    names (industry, employees ...). `matched`: how the person was found to be of it, empty when the CRM says so.
    """

    id: str
    owner: str = ""
    name: str = ""
    open_deals: int = 0
    engaged: int = 0
    titles: tuple[str, ...] = ()
    attributes: dict[str, Value] = {}
    deal_owner: str = ""
    matched: str = ""


class Share(Struct, frozen=True):
    """A key (`model/company.py`) that a person and an account have in common.

    `told`: the account's own record has it; else the mail of so many of its `people` does.
    """

    key: str
    told: bool = True
    people: int = 0


class Candidate(Struct, frozen=True):
    """An account that somebody whom the CRM counts to none may belong to; `people`: how many the CRM counts to it."""

    view: AccountView
    shares: tuple[Share, ...]
    people: int = 0
    created_at: datetime | None = None


class CrmView(Struct, frozen=True):
    """What the CRM last said of a person: the one record that a handoff writes, and the names of the others."""

    record: CrmRecord
    others: tuple[Identity, ...]
    changes: tuple[FieldChange, ...]  # of that record, oldest first
    tasks: tuple[CrmTask, ...]
    opportunities: tuple[Opportunity, ...]

    @property
    def status(self) -> Value:
        return self.record.fields.get("status")

    @property
    def owner(self) -> Value:
        return self.record.fields.get("owner")


class Crowd(Struct, frozen=True):
    """So many people's records were changed by one CRM user within a second of `at`: a bulk edit, or a busy second."""

    by: str
    at: datetime
    people: int


class Dossier(Struct, frozen=True):
    """All facts of one person, as `plan` reads them.

    `leads` one snapshot a source record; `activities` oldest first; `absorbed` are decisions of persons that were
    merged into this one and are not yet folded in; `crm_seen_until` is the CRM's time up to which this person's
    records are known to have been read (law 12); `revision` rises with every accepted fact.
    """

    person: int
    revision: int
    lane: Lane = Lane.HOT
    identities: tuple[Identity, ...] = ()
    emails: tuple[str, ...] = ()
    leads: tuple[Lead, ...] = ()
    activities: tuple[Activity, ...] = ()
    records: tuple[CrmRecord, ...] = ()
    changes: tuple[FieldChange, ...] = ()
    tasks: tuple[CrmTask, ...] = ()
    opportunities: tuple[Opportunity, ...] = ()
    account: AccountView | None = None
    outbox: tuple[OutboxEntry, ...] = ()
    decision: Decision | None = None
    absorbed: tuple[Decision, ...] = ()
    crm_seen_until: datetime | None = None
    erased: bool = False
    released: bool = False  # an admin has let this person pass the brake (`syncagent release`)
    shared: tuple[str, ...] = ()  # addresses of theirs that are not only theirs: nobody may be looked up by them
    histories: tuple[History, ...] = ()  # what leads and records said before
    fresh_from: datetime | None = None  # split by an admin then: nothing from before counts as new
    candidates: tuple[Candidate, ...] = ()  # where the CRM says no account: those that `handoff/companies.py` weighs
    crowds: tuple[Crowd, ...] = ()  # of the changes to this person's records that were made together with others'


class Roster(Struct, frozen=True):
    """The reps' turns and loads, handed from plan to plan and stored with the decisions.

    `turns`: pool -> rep -> credit of the weighted rotation, in leads (`handoff/turns.py`). `open`: leads with each
    owner now. `today`: how many each owner was given on `day` (ISO date in the policy's zone). `active`: CRM users and
    queues known to be active, by id; an id that the CRM has not told yet counts as active. `companies`: "pool|company"
    -> the rep who got the company's last lead, the latest last. `absent`: users who say in the CRM that they are away,
    from when until when.
    """

    turns: dict[str, dict[str, float]] = {}
    open: dict[str, int] = {}
    today: dict[str, int] = {}
    day: str = ""
    active: dict[str, bool] = {}
    epoch: str = "e1"  # the installation's; part of every key
    names: dict[str, str] = {}  # what CRM users and queues are called, by id
    companies: dict[str, str] = {}
    absent: dict[str, tuple[datetime, datetime]] = {}
    reminded: dict[str, int] = {}  # how many alerts each person was sent on `day`


class Plan(Struct, frozen=True):
    """The decision, the commands it causes, the roster after its turn, and the one moment at which to look again.

    `cause` ("handoff", "reassign", "recycle", "score" or "") and `owner` are what the brake counts. `withdraw` are
    keys of commands that no longer make sense and have not been sent. `waits_on`: "roster:POOL", "account:ID".
    `entry` and `figures` (of a handoff each) are for reports; what a plan leaves out stays as it was kept.
    """

    decision: Decision
    commands: tuple[AnyCommand, ...] = ()
    events: tuple[Event, ...] = ()
    roster: Roster | None = None  # None: unchanged
    wake_at: datetime | None = None
    waits_on: tuple[str, ...] = ()
    withdraw: tuple[Key, ...] = ()
    cause: str = ""
    owner: str = ""
    entry: Entry | None = None
    figures: tuple[HandoffFigures, ...] = ()


class HealthSnapshot(Struct, frozen=True):
    """How the agent is, for `status`, pages and metrics. Counts by name; moments by system."""

    at: datetime
    people: int
    dirty: int
    with_sales: int
    outbox: dict[str, int]
    held: dict[str, int]
    cursors: dict[str, datetime | None]
    seen_until: dict[str, datetime | None]
    down: dict[str, str]
    calls_today: dict[str, int]
    unanswered: dict[str, int] = {}  # hints that a system has given and does not know how to answer, by system
    waiting_for_owner: dict[str, int] = {}  # leads that a route holds, by what for: "fields", "presence"
    waiting_for_crm: int = 0  # promises that are due, but not on a stale view (law 12)
    disk_full: bool = False
    inbox: dict[str, int] = {}  # deliveries: "waiting" to be read, "refused"
