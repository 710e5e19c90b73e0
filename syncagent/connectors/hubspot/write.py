"""Writing records: read, compare, write. Law 5: what a read before the write can see is never overwritten.

HubSpot has no compare-and-set (crm.md B10): a value that is neither expected nor ours already is a conflict; what a
person changes between that read and our write shows in the history that the next round reads back, from which the
planner puts it back.

A contact that is found by an address, and that nobody knew, is not written at all: the command is `Done` with
`adopted` and the values that stand, what depends on it waits, and the next `pull` tells it. An address is unique in a
portal, so a second contact cannot be made: "already exists" leads to the one that is there.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, field

from syncagent.connectors.base import not_ours
from syncagent.connectors.hubspot.answers import existing, meaning, separable
from syncagent.connectors.hubspot.facts import CONTACT, emails_of
from syncagent.connectors.hubspot.leads import OWNER, Leads, Wish, laid_over
from syncagent.connectors.hubspot.options import LEAD_STAGE
from syncagent.connectors.hubspot.portal import Portal
from syncagent.connectors.hubspot.read import Reader
from syncagent.connectors.hubspot.rows import send
from syncagent.connectors.hubspot.shapes import Error, Row
from syncagent.connectors.hubspot.values import same, written
from syncagent.errors import ConnectorDownError, RetryableError
from syncagent.model import Done, Identity, Key, Outcome, Receipt, Refused, Retry, Value, WriteLead

log = logging.getLogger(__name__)

WAVES: Final = 6  # one property may be refused after the other
_WATCHED: Final = ("status", "owner")
_STAGE: Final = "lifecyclestage"


class Write(Struct):
    """One command on its way: the row before, the properties to send, and what had to be left out."""

    command: WriteLead
    id: str = ""
    before: Row = field(default_factory=dict)
    body: dict[str, str] = field(default_factory=dict)
    lead: dict[str, str] = field(default_factory=dict)  # how its lead is to stand, where handoffs are leads
    stage: str = ""  # the lifecycle stage to set once the one that stands is cleared
    answer: Row = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class LeadWriter:
    """Carries out `WriteLead` commands of one batch; `failure` is what broke, `sent` the keys that nobody knows of."""

    def __init__(self, portal: Portal, reader: Reader, fresh: Collection[Key] = ()) -> None:
        self.portal = portal
        self.reader = reader
        self.words = reader.words
        self._fresh = fresh  # came back without having been sent
        self.failure: RetryableError | ConnectorDownError | None = None
        self.sent: set[Key] = set()
        self.held: set[Key] = set()  # what depends on these waits: the record was not known
        self.found: dict[str, Row] = {}
        self.missed: set[str] = set()  # records that were there once, and are not any more

    def apply(self, commands: Sequence[WriteLead]) -> Iterator[tuple[Key, Outcome]]:
        """Outcomes as they are known. Raises nothing: see `failure`."""
        try:
            writes: list[Write] = []
            for command, outcome in self._judged(commands):
                if isinstance(outcome, Write):
                    writes.append(outcome)
                else:
                    yield command.key, outcome
            if self.reader.leads is not None:
                self.reader.leads.clear_away()
            yield from self._carry_out([one for one in writes if one.id])
            yield from self._carry_out([one for one in writes if not one.id])
        except (RetryableError, ConnectorDownError) as error:
            self.failure = self.failure or error

    # -- before

    def _judged(self, commands: Sequence[WriteLead]) -> Iterator[tuple[WriteLead, Outcome | Write]]:
        ids = [one.record.id for one in commands if one.record is not None]
        rows = self.reader.rows_of(ids)[0] if ids else {}
        by_email = self._by_email([email for one in commands if one.record is None for email in one.emails])
        busy: set[str] = set()
        for command in commands:
            row = rows.get(command.record.id) if command.record is not None else None
            target = str(row["id"]) if row else (*command.emails, command.key)[0].lower()
            if target in busy:
                yield command, Retry(1.0, "Another command of this batch writes the same record first.")
                continue
            busy.add(target)
            if command.record is None:
                yield command, self._missing(command, by_email)
            elif row is None:
                self.missed.add(command.record.id)
                yield command, meaning(Error("OBJECT_NOT_FOUND", "no record with this id"), "The record", {})
            else:
                yield command, self._judge(command, row)

    def _by_email(self, emails: Sequence[str]) -> dict[str, Row]:
        """The contacts with these addresses, read by a path that does not lag."""
        if not emails:
            return {}
        asked = sorted({email.lower() for email in emails})
        rows, _ = self.portal.read("contacts", asked, self.words.asked(), by="email")
        return {email: row for row in self.reader.whole(rows) for email in emails_of(row["properties"])}

    def _missing(self, command: WriteLead, by_email: Mapping[str, Row]) -> Outcome | Write:
        """A command without a record: somebody's by an address, or a new one."""
        there = {str(row["id"]): row for email in command.emails if (row := by_email.get(email.lower()))}
        if there:
            return self._found(Write(command), max(there.values(), key=self.words.at))
        if command.create is None:
            return Refused(
                "There is no contact with this email address in HubSpot, and none may be created."
                ' Set create = "when_missing" under [crm], or create the contact in HubSpot.',
                code="NOT_FOUND",
            )
        if not command.emails:
            return Refused(
                "A contact without an email address cannot be created exactly once: create it in HubSpot by hand.",
                code="NO_EMAIL",
            )
        write = Write(command)
        given = {**command.create, **command.values}
        given["email"] = given.get("email") or command.emails[0]
        self._fill(write, given)
        return write

    def _found(self, write: Write, row: Row) -> Done:
        """The contact was there already, and stays as it is."""
        self.found[str(row["id"])] = row
        self.held.add(write.command.key)
        return self._stands(write, row, adopted=True)

    def _stands(self, write: Write, row: Row, *, adopted: bool) -> Done:
        values = self.words.values(row)
        shown = {name: values[name] for name in self._told(write) if name in values}
        command = write.command
        return Done(
            Receipt(
                command.key,
                self.words.identity(str(row["id"])),
                self.words.at(row),
                shown,
                shown,
                command.revision,
                adopted=adopted,
                left_out=tuple(write.left_out),
                note=" ".join(write.notes),
            )
        )

    def _judge(self, command: WriteLead, row: Row) -> Outcome | Write:
        """What the read before the write says: moved on, done already, or to be written."""
        assert command.record is not None  # noqa: S101 - the caller has looked it up
        ident = str(row["id"])
        if ident != command.record.id:
            self.missed.add(command.record.id)
            text = f"The record has moved on: it is part of {ident} now. It is planned anew."
            return Refused(text, "conflict", "MERGED")
        values = self.words.values(row)
        moved = [
            name
            for name, expected in command.expects.items()
            if name in values
            and not same(values[name], expected)
            and not (name in command.values and same(values[name], command.values[name]))
        ]
        if moved:
            told = ", ".join(f"{name} is {values[name]!r}, not {command.expects[name]!r}" for name in moved)
            text = f"Somebody has changed the record: {told}. It is planned anew."
            return Refused(text, "conflict", fields=tuple(moved))
        write = Write(command, ident, row)
        theirs = not_ours(command, values)
        write.left_out += theirs
        write.notes += [f"{name} holds what a person wrote, and is left as it is." for name in theirs]
        wanted = {
            name: value
            for name, value in command.values.items()
            if name not in theirs and (name not in values or not same(values[name], value))
        }
        self._fill(write, wanted)
        return write if write.body or write.lead else self._stands(write, row, adopted=command.attempt > 0)

    def _fill(self, write: Write, values: Mapping[str, Value]) -> None:
        """The properties to send, as text; optional ones that the portal does not have are left out."""
        known = self.portal.properties("contacts")
        for name, value in values.items():
            theirs = self.words.names.get(name)
            there = known.get(theirs) if theirs is not None else None
            if theirs is None or (name in write.command.optional and there is None):
                write.left_out.append(name)
                why = "is mapped to no property" if theirs is None else f"has no property {theirs} in this portal"
                write.notes.append(f"{name} {why}.")
                continue
            (write.lead if theirs == LEAD_STAGE else write.body)[theirs] = written(value, there)
            if theirs == OWNER and write.before.get("leads"):
                write.lead[OWNER] = write.body[OWNER]
        if LEAD_STAGE in write.lead and (owner := write.command.values.get("owner")):
            write.lead[OWNER] = str(owner)
        status = write.command.values.get("status")
        stage = self.words.options.lifecycle.get(str(status), "")
        now = (write.before.get("properties") or {}).get(_STAGE) or ""
        if not stage or stage == now or now in self.words.options.lifecycle_keep or _STAGE not in known:
            return
        order = known[_STAGE].values
        if now in order and stage in order and order.index(stage) < order.index(now):
            # A stage moves forward only, going back is silently not done: it is cleared, then set (crm.md B3).
            write.body[_STAGE], write.stage = "", stage
        else:
            write.body[_STAGE] = stage

    def _told(self, write: Write) -> Iterable[str]:
        return dict.fromkeys((*write.command.values, *write.command.expects, *_WATCHED))

    # -- the write itself

    def _carry_out(self, writes: Sequence[Write]) -> Iterator[tuple[Key, Outcome]]:
        todo = [write for write in writes if write.body]
        done = [write for write in writes if not write.body]
        doubles: dict[str, str] = {}  # command -> the contact that has the address already
        for wave in range(WAVES):
            if not todo:
                break
            again: list[Write] = []
            for write, result in self._send(todo):
                if isinstance(result, Error) and not write.id and (ident := existing(result)):
                    doubles[write.command.key] = ident
                elif isinstance(result, Error):
                    outcome = self._refused(write, result, last=wave == WAVES - 1)
                    if outcome is not None:
                        yield write.command.key, outcome
                    elif write.body:
                        again.append(write)
                    elif write.lead:
                        done.append(write)
                    else:
                        yield write.command.key, self._stands(write, write.before, adopted=False)
                elif result is not None:
                    write.id, write.answer = str(result["id"]), result
                    done.append(write)
            todo = again
        yield from self._taken_up([one for one in writes if one.command.key in doubles], doubles)
        yield from self._finish([one for one in done if not one.stage])
        yield from self._set_back([one for one in done if one.stage])

    def _set_back(self, writes: Sequence[Write]) -> Iterator[tuple[Key, Outcome]]:
        """Set the lifecycle stage that has been cleared. When that is refused, the row stands without it, and says so.

        A kill in between leaves it empty until the command comes again, and finds that it is not what it should be.
        """
        done: list[Write] = []
        for write in writes:
            write.body = {_STAGE: write.stage}
        for write, result in self._send(writes):
            if isinstance(result, Error):
                write.notes.append(f"HubSpot refused to set the lifecycle stage to {write.stage}: {result.text}.")
            elif result is not None:
                write.answer = {**result, "properties": {**write.answer["properties"], **result["properties"]}}
            else:
                continue  # nobody knows: it comes again
            done.append(write)
        yield from self._finish(done)

    def _taken_up(self, writes: Sequence[Write], doubles: Mapping[str, str]) -> Iterator[tuple[Key, Outcome]]:
        """Somebody made these between our look and our insert, or has the address as a second one."""
        rows = self.reader.rows_of(list(doubles.values()))[0] if writes else {}
        for write in writes:
            row = rows.get(doubles[write.command.key])
            why = "The contact was there a moment ago, and is not any more."
            yield write.command.key, Retry(5.0, why) if row is None else self._found(write, row)

    def _finish(self, writes: Sequence[Write]) -> Iterator[tuple[Key, Outcome]]:
        """The receipts, once the leads of those that have one stand as well."""
        yield from ((one.command.key, self._receipt(one)) for one in writes if not one.lead)
        if self.reader.leads is not None:
            yield from self._with_leads([one for one in writes if one.lead], self.reader.leads)

    def _with_leads(self, writes: Sequence[Write], leads: Leads) -> Iterator[tuple[Key, Outcome]]:
        wishes: dict[str, Write] = {}
        asked: list[Wish] = []
        for write in writes:
            command = write.command
            # Made of the handoff's own id: one handoff, one lead, however often it is told.
            key = f"{command.key.partition(':')[0]}:{command.handoff or command.person}:lead"
            row = {**write.before, **write.answer, "leads": write.before.get("leads") or []}
            row["properties"] = {**write.before.get("properties", {}), **write.answer.get("properties", {})}
            tried = command.attempt > 0 and command.key not in self._fresh
            asked.append(Wish(key, write.id, row, write.lead, tried))
            wishes[write.id] = write
            self.sent.add(command.key)
        for wish, sent in leads.put(asked):
            write = wishes[wish.contact]
            self.failure = self.failure or sent.failure
            if isinstance(wish.answer, Error):
                yield write.command.key, meaning(wish.answer, "The lead", {LEAD_STAGE: "status", OWNER: "owner"})
            elif wish.answer is not None:
                write.answer = laid_over(wish.before, wish.answer)
                yield write.command.key, self._receipt(write)
            elif wish.wait:
                self.sent.discard(write.command.key)
                yield write.command.key, Retry(wish.wait, "Nobody knows whether its lead was made; it is looked for.")

    def _send(self, writes: Sequence[Write]) -> Iterator[tuple[Write, Row | Error | None]]:
        if not writes:
            return
        self.sent |= {one.command.key for one in writes}
        updates = bool(writes[0].id)
        inputs = [{**({"id": one.id} if updates else {}), "properties": one.body} for one in writes]
        sent = send(self.portal, "update" if updates else "create", "contacts", inputs, _answers)
        self.failure = self.failure or sent.failure
        self.sent -= {writes[n].command.key for n in sent.undone}
        yield from zip(writes, sent.results, strict=True)

    def _refused(self, write: Write, error: Error, *, last: bool) -> Outcome | None:
        """None: the optional properties that were refused are taken out, and the rest may go."""
        names = {theirs: ours for ours, theirs in self.words.names.items()}
        optional = {theirs for theirs, ours in names.items() if ours in write.command.optional}
        if "PROPERTY_DOESNT_EXIST" in error.properties.values():
            self.portal.forget("properties/contacts")
        if not last and (split := separable(error, {*optional, _STAGE})):
            for theirs in split:
                write.body.pop(theirs, None)
                write.left_out.append(names.get(theirs, theirs))
            write.stage = "" if _STAGE in split else write.stage
            write.notes.append(f"HubSpot refused {', '.join(split)}: {error.text}.")
            return None
        outcome = meaning(error, f"The {CONTACT}", names)
        if write.id and isinstance(outcome, Refused) and outcome.kind == "conflict":
            self.missed.add(write.id)
        return outcome

    def _receipt(self, write: Write) -> Done:
        before = self.words.values(write.before) if write.before else {}
        standing = {**write.before.get("properties", {}), **write.answer["properties"]}
        self.reader.wrote(write.id, {"properties": standing})
        after = before | self.words.values(write.answer)
        told = list(self._told(write))
        return Done(
            Receipt(
                write.command.key,
                Identity(self.reader.name, CONTACT, write.id),
                self.words.at(write.answer),
                {name: after[name] for name in told if name in after},
                {name: before[name] for name in told if name in before},
                write.command.revision,
                left_out=tuple(dict.fromkeys(write.left_out)),
                note=" ".join(dict.fromkeys(write.notes)),
            )
        )


def _answers(given: Mapping[str, Any], row: Row) -> bool:
    """Whether a result without a trace answers this input: by id, a new contact by its address."""
    if given.get("id"):
        return bool(str(row["id"]) == given["id"])
    email = str(given["properties"].get("email") or "").lower()
    return bool(email) and email in emails_of(row["properties"])
