"""The leads of Sales Hub beside the contacts: with `object = "leads"` a handoff is an open lead, its stage the status.

A lead hangs on its contact and is found by that association, which does not lag. What the planner knows is one record
still, the contact: stage and owner of its lead are laid over the contact's row, with their histories. Of several leads
an open one counts, then the newest.

One handoff makes one lead, by the same two ways as a task (crm.md B5, `tasks`): where the portal keeps our key on leads
unique, a creation is an insert. Else a creation whose answer was lost is looked for on its contact, and only made again
once `late` has passed; an earlier process's is waited for here. A second lead that a late call has made all the same is
archived. Source: crm.md B3, B6.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from syncagent.clock import Clock
from syncagent.config import seconds
from syncagent.connectors.hubspot.answers import taken
from syncagent.connectors.hubspot.options import LEAD_STAGE, Options
from syncagent.connectors.hubspot.portal import Portal, chunks
from syncagent.connectors.hubspot.rows import Sent, send
from syncagent.connectors.hubspot.shapes import Error, Row
from syncagent.connectors.hubspot.values import moment

log = logging.getLogger(__name__)

OWNER: Final = "hubspot_owner_id"
_STAMP: Final = "hs_lastmodifieddate"
_NAMES: Final = ("hs_lead_name", "hs_pipeline", LEAD_STAGE, OWNER, "hs_createdate", _STAMP)
_TO: Final = 578  # lead -> its primary contact, crm.md B6
_OVER: Final = ("QUALIFIED", "UNQUALIFIED")
_REMEMBERED: Final = 50_000


class Wish(Struct):
    """How a contact's lead is to stand. `before`: the contact's row with its leads, as it was read just now."""

    key: str
    contact: str
    before: Row
    values: dict[str, str]
    tried: bool  # somebody may have sent this before
    answer: Row | Error | None = None
    wait: float = 0.0  # seconds until it may be sent


class Leads:
    """The leads of one portal. Lives as long as the connector: it remembers whose answers were lost."""

    def __init__(self, portal: Portal, options: Options, clock: Clock) -> None:
        self.portal = portal
        self.key = options.key_property
        self._clock = clock
        self._late = timedelta(seconds=seconds(options.late))
        self._lost: dict[str, datetime] = {}  # key -> when its answer was lost
        self._ours: set[str] = set()  # keys that this process has had in hand
        self._surplus: set[str] = set()
        self._wrote: dict[str, Wish] = {}  # how our own writes have left a lead
        self._open: dict[str, str] = {}  # contact -> its open lead, as it was seen last

    # -- reading

    def names(self) -> list[str]:
        """The properties to read of a lead."""
        known = self.portal.properties("leads")
        return [name for name in (*_NAMES, self.key) if name in known]

    def beside(self, contacts: Sequence[Row], *, history: bool = False) -> list[Row]:
        """The rows with what their leads say laid over them; `leads` are all of them."""
        near = self.portal.linked("contacts", [str(row["id"]) for row in contacts], "leads") if contacts else {}
        ids = sorted({ident for some in near.values() for ident in some})
        told = [LEAD_STAGE, OWNER] if history else []
        found, _ = self.portal.read("leads", ids, self.names(), history=told) if ids else ([], None)
        rows = {str(row["id"]): row for row in found}
        return [self._over(row, [rows[one] for one in near.get(str(row["id"]), ()) if one in rows]) for row in contacts]

    def _over(self, contact: Row, leads: list[Row]) -> Row:
        self._note_doubles(leads)
        lead = self.current(leads)
        self._note_open(str(contact["id"]), lead)
        if lead is None:
            return {**contact, "properties": {**contact["properties"], LEAD_STAGE: None}, "leads": leads}
        row = laid_over(contact, lead)
        row["leads"] = leads
        if "propertiesWithHistory" in contact:
            told = lead.get("propertiesWithHistory") or {}
            row["propertiesWithHistory"] = {**contact["propertiesWithHistory"], **told}
        return row

    def current(self, leads: Sequence[Row]) -> Row | None:
        """The lead that counts."""
        return max(
            leads, key=lambda row: (self.is_open(row["properties"].get(LEAD_STAGE)), int(row["id"])), default=None
        )

    def is_open(self, stage: str | None) -> bool:
        """Whether a lead in this stage is still to be worked."""
        about = self.portal.stages("leads").get(stage or "", {}).get("metadata") or {}
        return str(about.get("isClosed")).lower() != "true" and about.get("leadState") not in _OVER

    def _note_doubles(self, leads: Sequence[Row]) -> None:
        """Two with one key: a call overtook its repeat. The older one stays, unless only the younger one is open."""
        by_key: dict[str, list[Row]] = {}
        for row in sorted(leads, key=lambda row: int(row["id"])):
            if (key := row["properties"].get(self.key)) and self.is_open(row["properties"].get(LEAD_STAGE)):
                by_key.setdefault(key, []).append(row)
        self._surplus |= {str(row["id"]) for some in by_key.values() for row in some[1:]}

    def _note_open(self, contact: str, lead: Row | None) -> None:
        if len(self._open) > _REMEMBERED:
            self._open.clear()
        self._open.pop(contact, None)
        if lead is not None and self.is_open(lead["properties"].get(LEAD_STAGE)):
            self._open[contact] = str(lead["id"])

    def open_of(self, contact: str) -> str:
        """The open lead of a contact as it was seen last; "" when there is none."""
        return self._open.get(contact, "")

    def ours(self, row: Row) -> str:
        """The contact of a lead that stands as our own write has left it; "" when somebody else has changed it."""
        wish = self._wrote.pop(str(row["id"]), None)
        stands = wish is not None and all((row["properties"].get(one) or "") == wish.values[one] for one in wish.values)
        return wish.contact if wish is not None and stands else ""

    def holders(self, leads: Sequence[Row]) -> list[str]:
        """The contacts that these leads hang on."""
        near = self.portal.linked("leads", [str(row["id"]) for row in leads], "contacts") if leads else {}
        return sorted({contact for some in near.values() for contact in some})

    # -- writing

    def clear_away(self) -> None:
        """Archive second leads of one key. Once more when it fails."""
        for some in chunks(sorted(self._surplus)):
            log.warning("%s: %d leads were made twice; the second ones are archived.", self.portal.name, len(some))
            body = {"inputs": [{"id": ident} for ident in some]}
            self.portal.batch.archive("leads", body, _preload_content=False)
            self._surplus -= set(some)

    def put(self, wishes: Sequence[Wish]) -> Iterator[tuple[Wish, Sent]]:
        """Bring each contact's lead to what is wished, in the fewest calls; each wish has its `answer` afterwards.

        An answer of None with `wait` was not sent; without, nobody knows. `Sent` is what the call said as a whole.
        """
        unique = (known := self.portal.properties("leads").get(self.key)) is not None and known.unique
        changes = [(wish, lead) for wish in wishes if (lead := self._kept(wish)) is not None]
        fresh = [wish for wish in wishes if self._kept(wish) is None]
        if not unique:
            strange = [wish for wish in fresh if wish.tried and wish.key not in self._ours]
            if strange:
                why = f"{self.portal.name}: a second look for lost leads"
                self.portal.http.pause(self._late.total_seconds(), why)
                rows = self.beside([wish.before for wish in strange])
                for wish, row in zip(strange, rows, strict=True):
                    wish.before = row
                changes += [(wish, lead) for wish in strange if (lead := self._kept(wish)) is not None]
                fresh = [wish for wish in fresh if self._kept(wish) is None]
            for wish in fresh:
                wish.wait = self._rest(wish.key)
        self._ours |= {wish.key for wish in wishes}
        yield from self._change(changes)
        yield from self._make([wish for wish in fresh if not wish.wait])
        yield from ((wish, Sent([])) for wish in fresh if wish.wait)

    def _rest(self, key: str) -> float:
        lost = self._lost.get(key)
        return max((lost + self._late - self._clock.now()).total_seconds(), 0.0) if lost is not None else 0.0

    def _kept(self, wish: Wish) -> Row | None:
        """The lead that goes on: the handoff's own, else an open one; for a stage that closes, the newest."""
        leads: list[Row] = wish.before.get("leads") or []
        own = [row for row in leads if row["properties"].get(self.key) == wish.key]
        lead = self.current(own) or self.current(leads)
        if lead is None or own or self.is_open(lead["properties"].get(LEAD_STAGE)):
            return lead
        return None if self.is_open(wish.values.get(LEAD_STAGE)) else lead

    def _change(self, changes: Sequence[tuple[Wish, Row]]) -> Iterator[tuple[Wish, Sent]]:
        todo: list[tuple[Wish, dict[str, Any]]] = []
        for wish, lead in changes:
            given = lead["properties"]
            body = {name: value for name, value in wish.values.items() if (given.get(name) or "") != value}
            if body:
                todo.append((wish, {"id": str(lead["id"]), "properties": self._in_pipeline(body)}))
            else:
                wish.answer = lead
                yield wish, Sent([lead])
        yield from self._sent("update", todo)

    def _make(self, wishes: Sequence[Wish]) -> Iterator[tuple[Wish, Sent]]:
        known = self.portal.properties("leads")
        todo = []
        for wish in wishes:
            own = {self.key: wish.key} if self.key in known else {}
            body = {"hs_lead_name": _called(wish.before), **self._in_pipeline(wish.values), **own}
            kind = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": _TO}
            todo.append((wish, {"properties": body, "associations": [{"to": {"id": wish.contact}, "types": [kind]}]}))
        yield from self._sent("create", todo)

    def _sent(self, verb: Any, todo: Sequence[tuple[Wish, dict[str, Any]]]) -> Iterator[tuple[Wish, Sent]]:  # noqa: ANN401
        if not todo:
            return
        sent = send(self.portal, verb, "leads", [body for _, body in todo], self._answers)
        undone = set(sent.undone)
        for n, ((wish, _), result) in enumerate(zip(todo, sent.results, strict=True)):
            if verb == "create" and isinstance(result, Error) and taken(result, self.key):
                rows, _ = self.portal.read("leads", [wish.key], self.names(), by=self.key)
                wish.answer = rows[0] if rows else result
            else:
                wish.answer = result
            if verb == "create" and result is None and n not in undone:
                self._lost[wish.key] = self._clock.now()
            elif result is not None:
                self._lost.pop(wish.key, None)
            if isinstance(wish.answer, dict):
                if len(self._wrote) > _REMEMBERED:
                    self._wrote.clear()
                ident = str(wish.answer["id"])
                self._wrote[ident] = wish
                self._note_open(wish.contact, {"id": ident, "properties": wish.values})
        yield from ((wish, sent) for wish, _ in todo)

    def _answers(self, given: Mapping[str, Any], row: Row) -> bool:
        if given.get("id"):
            return bool(str(row["id"]) == given["id"])
        return self.key in given["properties"] and bool(
            row["properties"].get(self.key) == given["properties"][self.key]
        )

    def _in_pipeline(self, values: Mapping[str, str]) -> dict[str, str]:
        """The values with the pipeline that the stage belongs to: the same call moves a lead from one to another."""
        stage = self.portal.stages("leads").get(values.get(LEAD_STAGE, ""))
        return {**({"hs_pipeline": stage["pipeline"]} if stage else {}), **values}


def laid_over(contact: Row, lead: Row) -> Row:
    """The contact's row with stage and owner of its lead; the later stamp counts."""
    given = {name: lead["properties"].get(name) for name in (LEAD_STAGE, OWNER) if name in lead["properties"]}
    stamps = [contact["properties"].get("lastmodifieddate") or contact["updatedAt"], _stamp(lead)]
    properties = {**contact["properties"], **given, "lastmodifieddate": max(stamps, key=moment)}
    return {**contact, "properties": properties}


def _stamp(lead: Row) -> str:
    return str(lead["properties"].get(_STAMP) or lead["updatedAt"])


def _called(contact: Row) -> str:
    """What the lead is called: the person, else their company, else the number of the contact."""
    given = contact["properties"]
    name = " ".join(str(given[one]) for one in ("firstname", "lastname") if given.get(one))
    return name or str(given.get("company") or f"Contact {contact['id']}")
