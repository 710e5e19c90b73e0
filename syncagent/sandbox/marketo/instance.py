"""One Marketo subscription: its parts put together, and what a request to it is made of."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from syncagent.sandbox.clock import SandboxClock
from syncagent.sandbox.marketo.catalog import Catalog
from syncagent.sandbox.marketo.feed import Feed
from syncagent.sandbox.marketo.gate import Gate, RefusedError
from syncagent.sandbox.marketo.people import Hand, People
from syncagent.sandbox.vendor import Answer, Call

Reply = (
    dict[str, Any] | bytes | Answer
)  # members of the envelope, or those as JSON text without braces, or the whole answer
MAX_BATCH = 300


@dataclass(slots=True)
class Settings:
    """The instance's habits; what would only repeat or hide rows is off by default."""

    scan_window: int = 300  # rows of all types that one page looks at
    ids: bool = True  # whether activities carry the old integer `id` beside marketoGUID
    offset_dates: bool = False  # activityDate as ...+0000, as older examples have it
    omit_empty_result: bool = True  # an empty page has no `result` key
    repeat_last: bool = False  # each page begins with the last row of the one before
    empty_every: int = 0  # every nth page is empty, with moreResult true
    swap_guids: bool = False  # neighbouring GUIDs change places
    bad_token_code: str = "1003"  # noqa: S105 - an error code
    list_limit: int = 10_000
    deleted_days: int = 14
    too_many_leads: int = 1_000
    bulk_granularity: int = 60  # seconds between two updates of a job's visible status
    bulk_seconds: int = 60  # how long a job is processed
    bulk_daily_bytes: int = 500_000_000
    bulk_dirt: bool = False  # files hold NUL bytes and stray carriage returns, as some in the wild do
    announce_leads: bool = False  # seeded leads leave their New Lead activity, dated when they were created
    cancel_answer: str = "Cancelled"  # the documents and recordings disagree on the spelling
    cancel_status: str = "Canceled"

    def change(self, wanted: dict[str, Any]) -> None:
        """Set some of them; ValueError names what there is."""
        known = {each.name: each for each in fields(self)}
        for name, value in wanted.items():
            if name not in known:
                raise ValueError(f"There is no setting {name!r}. Known are: {', '.join(known)}, limits.")
            setattr(self, name, type(getattr(self, name))(value))


@dataclass(slots=True)
class Instance:
    """Everything that a subscription holds."""

    clock: SandboxClock
    settings: Settings = field(default_factory=Settings)
    gate: Gate = field(default_factory=Gate)
    catalog: Catalog = field(default_factory=Catalog)
    feed: Feed = field(default_factory=Feed)
    people: People = field(init=False)
    jobs: dict[str, Any] = field(default_factory=dict)
    epoch: int = 0  # raised to make all paging tokens stop working
    served: int = 0  # pages of the feed so far

    def __post_init__(self) -> None:
        self.people = People(self.feed, self.catalog)

    @property
    def now(self) -> int:
        """Unix seconds of the sandbox's clock; Marketo knows no fractions."""
        return int(self.clock.now().timestamp())

    def api(self) -> Hand:
        """The hand of the API user, now."""
        return Hand(self.now)


@dataclass(slots=True)
class Request:
    """A call as the API understands it: `_method` obeyed, a form body read as parameters."""

    method: str
    path: str
    params: dict[str, list[str]]
    body: bytes
    kind: str

    @classmethod
    def of(cls, call: Call) -> "Request":
        """The request behind a call."""
        kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
        pairs = list(call.query)
        body = call.body
        if kind == "application/x-www-form-urlencoded":
            pairs += parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
            body = b""
        params: dict[str, list[str]] = {}
        for name, value in pairs:
            params.setdefault(name, []).append(value)
        method = call.method
        if method == "POST" and "_method" in params:
            method = params["_method"][0].upper()
        return cls(method, call.path, params, body, kind)

    def one(self, name: str, default: str = "") -> str:
        """The first value of a parameter."""
        return self.params.get(name, [default])[0]

    def many(self, name: str) -> list[str]:
        """The values of a parameter that may be repeated and may hold commas."""
        return [part.strip() for value in self.params.get(name, []) for part in value.split(",") if part.strip()]

    def numbers(self, name: str) -> list[int]:
        """The same as integers; refuses others with 1001."""
        try:
            return [int(part) for part in self.many(name)]
        except ValueError as error:
            raise RefusedError("1001", f"Invalid value '{self.one(name)}'. Required of type 'integer'") from error

    def size(self) -> int:
        """The batchSize: 300 unless fewer are wanted."""
        wanted = self.numbers("batchSize")
        return max(1, min(MAX_BATCH, wanted[0])) if wanted else MAX_BATCH

    def json(self) -> dict[str, Any]:
        """The JSON object in the body; refuses what is none with 609 or 612."""
        if not self.body:
            return {}
        if self.kind != "application/json":
            raise RefusedError("612")
        try:
            found = msgspec.json.decode(self.body)
        except msgspec.DecodeError as error:
            raise RefusedError("609") from error
        if not isinstance(found, dict):
            raise RefusedError("609")
        return found

    def ids(self) -> list[int]:
        """Lead ids from `id` parameters or from `{"input": [{"id": 1}]}`: both are in use; at most 300."""
        listed: list[Any] = self.json().get("input", []) or [{"id": each} for each in self.many("id")]
        try:
            found = [int(each["id"] if isinstance(each, dict) else each) for each in listed]
        except (KeyError, TypeError, ValueError) as error:
            raise RefusedError("1001", "Invalid value for 'id'. Required of type 'integer'") from error
        if not found:
            raise RefusedError("1002", "Missing value for the required parameter 'id'")
        if len(found) > MAX_BATCH:
            raise RefusedError("1003", f"Too many ids: at most {MAX_BATCH} are allowed")
        return found


Handler = Callable[[Instance, Request, list[str]], Reply]


def moment(text: str) -> int:
    """ISO 8601 with a zone (`Z`, `+01:00`, `+0100`) to Unix seconds; refuses anything else with 704."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise RefusedError("704", f"Invalid date format '{text}'") from error
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
