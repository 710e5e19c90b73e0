"""What an instance calls things: activity types and lead fields, which are metadata of each instance.

Source: marketing_automation.md 1.4 (types) and 1.5 (describe).
"""

import logging
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from msgspec import Struct

from syncagent.connectors.marketo.options import MAX_BATCH, MAX_TYPES, Options
from syncagent.connectors.marketo.wire import Envelope, RefusedCallError, Wire

log = logging.getLogger(__name__)

NEW_LEAD: Final = 12
CHANGE_VALUE: Final = 13
MERGE: Final = 32
SYSTEM: Final = (NEW_LEAD, CHANGE_VALUE, MERGE)


class _Type(Struct):
    id: int
    name: str


class _Types(Envelope):
    result: tuple[_Type, ...] = ()


class _Rest(Struct):
    name: str = ""


class _Field(Struct):
    id: int
    rest: _Rest | None = None


class _Fields(Envelope):
    result: tuple[_Field, ...] = ()


class _Campaign(Struct, rename="camel"):
    id: int
    name: str = ""
    program_name: str = ""

    def called(self) -> str:
        """As Marketo's own pages write it: "Program.Campaign"."""
        return ".".join(part for part in (self.program_name, self.name or str(self.id)) if part)


class _Campaigns(Envelope):
    result: tuple[_Campaign, ...] = ()


class Words(Struct, frozen=True):
    """One reading of the instance's metadata.

    `kinds`: type id -> our kind. `groups`: type ids as calls take them, ten at most. `watched`: ids of the lead fields
    that we read. `fields`: ours -> Marketo's, those that exist. `types`: every type's name.
    """

    kinds: dict[int, str]
    groups: tuple[str, ...]
    watched: frozenset[int]
    fields: dict[str, str]
    crm_ids: dict[str, str]
    types: tuple[str, ...]
    unknown_types: tuple[str, ...]
    unknown_fields: tuple[str, ...]


class Catalog:
    """Reads the metadata once, and anew when it is told to forget. Thread safe."""

    def __init__(self, wire: Wire, options: Options) -> None:
        self._wire, self._options = wire, options
        self._words: Words | None = None
        self._campaigns: dict[int, str] = {}
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Read it anew at the next use."""
        self._words, self._campaigns = None, {}

    def campaigns(self, ids: Collection[int]) -> Mapping[int, str]:
        """What these smart campaigns are called; a call only for those that are new here.

        One that Marketo does not tell is called by its number. Source: marketing_automation.md 1.4 (campaignId), 1.6.
        """
        known = self._campaigns
        new = sorted(set(ids) - known.keys())
        for start in range(0, len(new), MAX_BATCH):
            some = new[start : start + MAX_BATCH]
            asked = {"id": ",".join(map(str, some)), "batchSize": str(MAX_BATCH)}
            try:
                answer, _ = self._wire.call(
                    "POST", "/rest/v1/campaigns.json", _Campaigns, params={"_method": "GET"}, form=asked, safe=True
                )
                told = {one.id: one.called() for one in answer.result}
            except RefusedCallError as error:  # a role that may not read campaigns is no reason to stop
                log.warning("%s Campaigns go by their numbers until it may.", error)
                told = {}
            known.update({one: told.get(one, str(one)) for one in some})
        return known

    def words(self) -> Words:
        """The instance's words; two calls the first time."""
        with self._lock:
            if self._words is None:
                types, _ = self._wire.call("GET", "/rest/v1/activities/types.json", _Types)
                fields, _ = self._wire.call("GET", "/rest/v1/leads/describe.json", _Fields)
                self._words = _words(self._options, types.result, fields.result)
            return self._words


def _words(options: Options, types: Sequence[_Type], fields: Sequence[_Field]) -> Words:
    by_name = {one.name.lower(): one for one in types}
    wanted = {name: by_name.get(name.lower()) for name in options.activities}
    found = {one.id: options.activities[name] for name, one in wanted.items() if one}
    ids = [*found, *(one for one in SYSTEM if one not in found)]
    known = {one.rest.name: one.id for one in fields if one.rest}
    mapped = options.mapped()
    present = {ours: theirs for ours, theirs in mapped.items() if theirs in known}
    crm_ids = {theirs: place for theirs, place in options.crm_ids.items() if theirs in known}
    absent = [theirs for theirs in (*options.fields.values(), *options.crm_ids) if theirs not in known]
    return Words(
        found,
        tuple(",".join(map(str, ids[n : n + MAX_TYPES])) for n in range(0, len(ids), MAX_TYPES)),
        frozenset(known[theirs] for theirs in (*present.values(), *crm_ids)),
        present,
        crm_ids,
        tuple(one.name for one in types),
        tuple(name for name, one in wanted.items() if one is None),
        tuple(absent),
    )
