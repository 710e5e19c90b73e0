"""The mapping table: any JSON object or row of a table as leads and activities, without code.

    [sources.website.mapping]
    each = "entries"                                  # where the records are; without it, the body or each of a list
    email = "contact.email"                           # a path; or a table with a path and what to make of the value
    at = { path = "submitted", date = "%d.%m.%Y %H:%M", zone = "Europe/Berlin" }
    kind = "event"
    kinds = { "form_submitted" = "form.submitted", "contact_updated" = "" }   # others do not count; "": only the person
    asset = "form.name"
    [sources.website.mapping.attributes]
    title = { path = "contact.title", lower = true }
    country = { path = "country", values = { DE = "Germany" } }
    last_name = { path = "name", split = " ", part = -1 }
    source = { constant = "Web form" }

A path goes by names and dots, `[0]` or `[-1]` takes from a list, `[name=email]` takes the one whose `name` is `email`.
A name that is there as it is written, dots and all, comes first. What is empty or missing says nothing.
Messages name the path, never the value: that may be anybody's.
"""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from syncagent.model import Activity, Fact, Identity, Lead, Value

AHEAD: Final = timedelta(days=1)
"""So far a moment may lie in the future: clocks and time zones differ, but nobody acts next week."""
_STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[(-?\d+)\]|\[([^=\[\]]+)=([^\[\]]*)\]")
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d{1,2})?")
_MILLISECONDS: Final = 100_000_000_000  # a number above is no count of seconds, for that would be the year 5138

Step = str | int | tuple[str, str]
Make = Callable[[object], Value]


class Field(Struct, frozen=True, forbid_unknown_fields=True):
    """One value: where it stands, and what is made of it, in the order of these names.

    `path`: one, or several of which the first that holds something counts. `split` and `part`: cut at each `split`, and
    take the first (1), second ..., or last (-1) part. `values`: their word -> ours. `date`: "iso", "unix", "unix_ms",
    or a format of strptime; without a zone it is meant in `zone`. `constant` is always said, `default` when nothing is.
    """

    path: str | tuple[str, ...] = ()
    constant: Value = None
    split: str = ""
    part: int = 1
    lower: bool = False
    values: dict[str, Value] = {}
    number: bool = False
    date: str = ""
    zone: str = ""
    default: Value = None

    def __post_init__(self) -> None:
        for path in self.paths():
            steps(path)
        if not self.paths() and self.constant is None:
            raise ValueError("path or constant is needed.")
        if self.part == 0:
            raise ValueError("part counts from 1, or from -1 at the end.")
        if self.date not in ("", "iso", "unix", "unix_ms") and "%" not in self.date:
            raise ValueError('date is "iso", "unix", "unix_ms" or a format such as "%d.%m.%Y %H:%M".')
        if self.zone:
            _zone(self.zone)

    def paths(self) -> tuple[str, ...]:
        """Where it may stand."""
        return (self.path,) if isinstance(self.path, str) else self.path


class Table(Struct, frozen=True, forbid_unknown_fields=True):
    """How records become people and what they did. Each value is a path, or a `Field`.

    `id` or `email` is needed; the identity is the id, else the email. `ids`: "system/Object" -> the id there.
    `kind` and `kinds`: see above; without `kind` only people are told. `only`: path -> the value, or one of the values,
    that a record must have to count. `activity` are attributes of what was done, `attributes` of who did it; with
    `rest` everything else at the top of the record is one too.
    """

    each: str = ""
    id: str | Field | None = None
    email: str | Field | None = None
    ids: dict[str, str | Field] = {}
    kind: str | Field | None = None
    kinds: dict[str, str] = {}
    only: dict[str, str | int | bool | tuple[str | int, ...]] = {}
    at: str | Field | None = None
    key: str | Field | None = None
    asset: str | Field | None = None
    attributes: dict[str, str | Field] = {}
    activity: dict[str, str | Field] = {}
    rest: bool = False

    def __post_init__(self) -> None:
        for path in (self.each, *self.only, *(one for one in self._said() if isinstance(one, str))):
            steps(path)
        if self.id is None and self.email is None:
            raise ValueError("id or email is needed, to know whom a record tells of.")
        if self.kinds and self.kind is None:
            raise ValueError("kinds needs kind, which says where the type of an event stands.")
        for place in self.ids:
            if place.count("/") != 1 or not all(place.split("/")):
                raise ValueError(f'ids: "{place}" should look like "salesforce/Lead".')

    def _said(self) -> tuple[object, ...]:
        one = (self.id, self.email, self.kind, self.at, self.key, self.asset)
        return (*one, *self.ids.values(), *self.attributes.values(), *self.activity.values())


class Told(Struct, frozen=True):
    """What one record says; `undated`: of the moment of its arrival, for it has none of its own."""

    facts: tuple[Fact, ...] = ()
    undated: bool = False


class Reading:
    """A table made ready for one source. Pure; made once, used by any thread."""

    def __init__(self, table: Table, source: str, zone: str = "UTC") -> None:
        home = _zone(zone)
        self.source = source
        self.table = table
        self._each = steps(table.each)
        self._only = [(path, _getter(path), _wished(wish)) for path, wish in table.only.items()]
        self._id, self._email = _maker(table.id, home), _maker(table.email, home)
        self._kind, self._key, self._asset = (_maker(one, home) for one in (table.kind, table.key, table.asset))
        self._at = _moment_maker(table.at, home)
        self._ids = [(place.split("/"), _maker(one, home)) for place, one in table.ids.items()]
        self._attributes = {ours: _maker(one, home) for ours, one in table.attributes.items()}
        self._activity = {ours: _maker(one, home) for ours, one in table.activity.items()}
        self._known = {path for one in table._said() for path in _paths_of(one)}  # noqa: SLF001 - our own table

    def records(self, body: object) -> Sequence[object]:
        """The records in a body. Raises ValueError when there are none where `each` says."""
        found = _walk(body, self._each) if self._each else body
        if isinstance(found, list):
            return found
        if found is None:
            raise ValueError(f"There is nothing at {self.table.each}.")
        return (found,)

    def told(
        self, record: object, arrived: datetime, seen: Counter[str], name: str = "", as_of: datetime | None = None
    ) -> Told:
        """What one record says. `name` is the delivery's own; `seen` counts equal records of one delivery or file.

        What somebody did has the record's moment, else that of its arrival; what is said of who they are was so `as_of`
        then, else at that same moment. Raises ValueError with a sentence that holds no value.
        """
        if not isinstance(record, dict):
            raise ValueError("A record is no object with names and values.")  # noqa: TRY004 - it is their value
        if any(str(get(record)) not in wished for _, get, wished in self._only):
            return Told()
        kind = _text(self._kind(record)) if self.table.kind is not None else ""
        if self.table.kinds:
            if kind not in self.table.kinds:
                return Told()
            kind = self.table.kinds[kind]
        identity, email = self._who(record)
        at = self._at(record)
        if at is not None and at > arrived + AHEAD:
            raise ValueError("It lies in the future; say when it happened.")
        facts: list[Fact] = [self._lead(record, identity, email, as_of or at or arrived)]
        if kind:
            key = _text(self._key(record)) if self.table.key is not None else ""
            if not key:
                called = name or _digest(record)
                seen[called] += 1
                key = f"{called}.{seen[called]}"
            attributes = _all_of(self._activity, record)
            asset = _text(self._asset(record)) if self.table.asset is not None else ""
            facts.append(Activity(identity, key, at or arrived, kind, asset, attributes))
        return Told(tuple(facts), undated=at is None)

    def _who(self, record: dict[str, Any]) -> tuple[Identity, str]:
        email = _text(self._email(record)) if self.table.email is not None else ""
        if email and ("@" not in email or email.startswith("@") or email.endswith("@")):
            raise ValueError("The email is not an address.")
        who = (_text(self._id(record)) if self.table.id is not None else "") or email.casefold()
        if not who:
            raise ValueError("There is neither an email nor an id.")
        return Identity(self.source, "lead", who), email

    def _lead(self, record: dict[str, Any], identity: Identity, email: str, at: datetime) -> Lead:
        attributes = _all_of(self._attributes, record)
        if self.table.rest:
            rest = {key.strip(): plain(value) for key, value in record.items() if key.strip() not in self._known}
            attributes = {**{key: value for key, value in rest.items() if value is not None}, **attributes}
        also = [(place, _text(make(record))) for place, make in self._ids]
        others = tuple(Identity(system, kind, one) for (system, kind), one in also if one)
        return Lead(identity, at, attributes, (email,) if email else (), others)


def steps(path: str) -> tuple[Step, ...]:
    """A path, taken apart. Raises ValueError when it is none."""
    found: list[Step] = []
    place = 0
    while place < len(path):
        step = _STEP.match(path, place)
        if step is None or (place == 0 and path[0] == "."):
            raise ValueError(
                f'"{path}" is not a path; write for example contact.email, items[0] or [name=email].value.'
            )
        name, index, key, value = step.groups()
        found.append(name if name is not None else int(index[:9]) if index is not None else (key, value))
        place = step.end()
    return tuple(found)


def moment(value: object, form: str, zone: ZoneInfo) -> datetime | None:
    """A moment in UTC; None for nothing. Raises ValueError. `form` as in `Field.date`; "" takes ISO text and counts."""
    value = plain(value)
    if value is None or isinstance(value, bool):
        return None
    text = str(value).strip()
    try:
        if form in ("unix", "unix_ms") or (not form and _NUMBER.fullmatch(text)):
            count = float(text)
            per = 1000 if form == "unix_ms" or (not form and abs(count) > _MILLISECONDS) else 1
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=round(count * 1000 / per))
        said = datetime.strptime(text, form) if "%" in form else datetime.fromisoformat(text)  # noqa: DTZ007 - below
        return (said if said.tzinfo else said.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        wanted = f"like {form}" if form else "an ISO date or moment, such as 2026-01-31 or 2026-01-31T09:00:00Z"
        raise ValueError(f"A moment is not {wanted}.") from None


def _wished(wish: object) -> frozenset[str]:
    return frozenset(str(one) for one in (wish if isinstance(wish, tuple) else (wish,)))


def _paths_of(one: object) -> tuple[str, ...]:
    return (one,) if isinstance(one, str) else one.paths() if isinstance(one, Field) else ()


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ValueError(f"zone {name!r} is not a time zone; write for example Europe/Berlin.") from None


def _getter(path: str) -> Callable[[object], object]:
    taken = steps(path)

    def get(record: object) -> object:
        if isinstance(record, dict) and path in record:
            return record[path]
        return _walk(record, taken)

    return get


def _walk(value: object, taken: Sequence[Step]) -> object:
    for step in taken:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        elif isinstance(step, int):
            inside = isinstance(value, list) and -len(value) <= step < len(value)
            value = value[step] if isinstance(value, list) and inside else None
        else:
            key, wished = step
            items = value if isinstance(value, list) else ()
            value = next((one for one in items if isinstance(one, dict) and str(one.get(key)) == wished), None)
        if value is None:
            return None
    return value


def _maker(one: str | Field | None, home: ZoneInfo) -> Make:
    if one is None:
        return lambda _record: None
    if isinstance(one, str):
        get = _getter(one)
        return lambda record: plain(get(record))
    field, gets = one, [_getter(path) for path in one.paths()]
    zone = _zone(field.zone) if field.zone else home

    def make(record: object) -> Value:
        value = field.constant
        for get in gets:
            if value is None:
                value = plain(get(record))
        return field.default if value is None else _converted(value, field, zone)

    return make


def _moment_maker(one: str | Field | None, home: ZoneInfo) -> Callable[[object], datetime | None]:
    if not isinstance(one, Field):
        make = _maker(one, home)
        return lambda record: moment(make(record), "", home)
    raw = _maker(Field(path=one.path, constant=one.constant, default=one.default), home)
    zone = _zone(one.zone) if one.zone else home
    return lambda record: moment(raw(record), one.date, zone)


def _converted(value: Value, field: Field, zone: ZoneInfo) -> Value:
    if field.split:
        parts = [part for part in str(value).split(field.split) if part.strip()]
        place = field.part - 1 if field.part > 0 else field.part
        value = parts[place].strip() if -len(parts) <= place < len(parts) else None
    if field.lower and isinstance(value, str):
        value = value.lower()
    if field.values and value is not None:
        value = field.values.get(str(value), value if field.default is None else field.default)
    if field.number and isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            raise ValueError(f"{field.paths()[0] if field.paths() else 'A value'} is not a number.")
        value = float(value) if "." in value or "e" in value.lower() else int(value)
    if field.date and (said := moment(value, field.date, zone)) is not None:
        return said.astimezone(zone).date().isoformat() if _is_day(value, field.date) else said.isoformat()
    return field.default if value is None else value


def _is_day(value: Value, form: str) -> bool:
    return len(str(value).strip()) == len("2026-01-31") if form == "iso" else not re.search("%[HIMscXf]|unix", form)


def plain(value: object) -> Value:
    """As a fact's value: text without the space around it, numbers as they are; lists and objects as text."""
    if isinstance(value, str):
        return _whole(value.strip()) or None
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return _whole("; ".join(str(one) for one in value)) or None
    return _whole(json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)) if value else None


def _whole(text: str) -> str:
    """Half a character, which JSON can hold and UTF-8 cannot, becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _text(value: Value) -> str:
    return "" if value is None else str(value).strip()


def _all_of(makers: Mapping[str, Make], record: object) -> dict[str, Value]:
    made = ((ours, make(record)) for ours, make in makers.items())
    return {ours: value for ours, value in made if value is not None}


def _digest(record: Mapping[str, Any]) -> str:
    """Of what a record says, whatever the order of its names; a number and its text are the same."""
    said = {
        key.strip(): value if isinstance(value, dict | list) else str(value)
        for key, value in record.items()
        if isinstance(value, int | float) or value
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode("utf-8", "replace")).hexdigest()[:32]
