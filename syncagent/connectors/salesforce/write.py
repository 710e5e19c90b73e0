"""Writing records: read, compare, write, read back. Law 5: what a read before the write can see is never overwritten.

A value that is neither expected nor ours already is a conflict. What a person changes between that read and our write
shows in the history of the read back: our own change then replaced a value that we had not read. Their value is put
back, and the command is a conflict.

A record that is found by its email, and that nobody knew, is not written at all: the command is `Done` with
`adopted` and the values that stand, what depends on it waits, and the next `pull` tells the record.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from msgspec import Struct, field
from simple_salesforce.format import format_soql

from syncagent.connectors.base import not_ours
from syncagent.connectors.salesforce.answers import meaning, same, separable
from syncagent.connectors.salesforce.doubles import Found, best, follow, is_alive, others, stand_under, take_back
from syncagent.connectors.salesforce.org import Error, Org, Row, chunks
from syncagent.connectors.salesforce.read import Reader, moment, plain
from syncagent.connectors.salesforce.rows import send
from syncagent.errors import ConnectorDownError, RetryableError
from syncagent.model import Done, Identity, Key, Outcome, Receipt, Refused, Retry, Value, WriteLead

log = logging.getLogger(__name__)

WAVES: Final = 6  # one field may be refused after the other
_WATCHED: Final = ("status", "owner")
_HEADERS: Final = {"Sforce-Auto-Assign": "FALSE"}  # or an assignment rule takes the lead over (crm.md A4)
_NEW_IS_CLOSE: Final = timedelta(seconds=5)


class Write(Struct):
    """One command on its way: the row before, the body to send, and what had to be left out."""

    command: WriteLead
    kind: str
    id: str = ""
    before: Row = field(default_factory=dict)
    body: dict[str, Value] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class LeadWriter:
    """Carries out `WriteLead` commands of one batch; `failure` is what broke, `sent` the keys that nobody knows of."""

    def __init__(self, org: Org, reader: Reader) -> None:
        self.org = org
        self.reader = reader
        self.failure: RetryableError | ConnectorDownError | None = None
        self.sent: set[Key] = set()
        self.held: set[Key] = set()  # what depends on these waits: the record was not known
        self.found: list[tuple[str, Row]] = []

    def apply(self, commands: Sequence[WriteLead]) -> Iterator[tuple[Key, Outcome]]:
        """Outcomes as they are known. Raises nothing: see `failure`."""
        try:
            rows, began = self._read(commands)
            writes: list[Write] = []
            for command, outcome in self._judged(commands, rows):
                if isinstance(outcome, Write):
                    writes.append(outcome)
                else:
                    yield command.key, outcome
            written: list[Write] = []
            created: list[Write] = []
            yield from self._send("PATCH", [one for one in writes if one.id], written)
            yield from self._send("POST", [one for one in writes if not one.id], created)
            yield from self._confirmed(written, created, began)
        except (RetryableError, ConnectorDownError) as error:
            self.failure = self.failure or error

    # -- before

    def _read(self, commands: Sequence[WriteLead]) -> tuple[dict[str, list[tuple[str, Row]]], datetime]:
        """The rows by what they were asked for: "id:...", "key:..." or "email:..."."""
        reader, key = self.reader, self.reader.options.lead_key_field
        lost = [one for one in commands if one.record is None]
        asked: list[tuple[str, str, Callable[[], str | None]]] = []
        for kind in ("Lead", "Contact"):
            ids = {one.record.id for one in commands if one.record is not None and one.record.object == kind}
            asked += [
                ("id", kind, reader.by(kind, "Id", some)) for some in chunks(sorted(filter(reader.well_formed, ids)))
            ]
            emails = {email.lower() for one in lost for email in one.emails}
            asked += [("email", kind, reader.by(kind, "Email", some)) for some in chunks(sorted(emails))]
        keys = sorted(one.key for one in lost if one.attempt)
        asked += [("key", "Lead", reader.by("Lead", key, some, also=(key,))) for some in chunks(keys)]
        results, began = self.org.queries([text for _, _, text in asked])
        rows: dict[str, list[tuple[str, Row]]] = {}
        names = {"id": "Id", "email": "Email", "key": key}
        for (how, kind, _), found in zip(asked, results, strict=True):
            for row in found:
                value = str(row[names[how]])
                rows.setdefault(f"{how}:{value.lower() if how == 'email' else value}", []).append((kind, row))
        follow(self.org, reader, {place: found for place, found in rows.items() if place.startswith("email:")})
        return rows, began

    def _judged(
        self, commands: Sequence[WriteLead], rows: dict[str, list[tuple[str, Row]]]
    ) -> Iterator[tuple[WriteLead, Outcome | Write]]:
        busy: set[str] = set()
        for command in commands:
            target = command.record.id if command.record is not None else (*command.emails, command.key)[0].lower()
            if target in busy:
                yield command, Retry(1.0, "Another command of this batch writes the same record first.")
                continue
            busy.add(target)
            if command.record is None:
                yield command, self._missing(command, rows)
            elif found := rows.get(f"id:{command.record.id}"):
                yield command, self._judge(command, *found[0])
            else:
                yield command, meaning(Error("NOT_FOUND", "no row with this id"), "The record", {})

    def _missing(self, command: WriteLead, rows: dict[str, list[tuple[str, Row]]]) -> Outcome | Write:
        """A command without a record: ours by key, somebody's by email, or a new one."""
        ours = rows.get(f"key:{command.key}", ())
        known = {row["Id"] for _, row in ours}
        under = [one for email in command.emails for one in rows.get(f"email:{email.lower()}", ())]
        theirs = best(one for one in under if one[1]["Id"] not in known)
        if ours:
            kind, row = min(ours, key=lambda one: bool(one[1].get("IsDeleted")))
            if theirs is not None and self._gives_way(command, kind, row, theirs):
                return self._taken_up(Write(command, kind), theirs)
            return self._stands(Write(command, kind, row["Id"], row), row)
        write = Write(command, "Lead")
        if theirs is not None:
            return self._taken_up(write, theirs)
        if command.create is None:
            return Refused(
                "There is no lead or contact with this email address in Salesforce, and none may be created."
                ' Set create = "when_missing" under [crm], or create the lead in Salesforce.',
                code="NOT_FOUND",
            )
        # Without its address the new lead would be found by nobody, and made once more by the next handoff.
        address = {"email": command.emails[0]} if command.emails else {}
        self._fill(write, {**address, **command.create, **command.values})
        write.body[self.reader.options.lead_key_field] = command.key
        return write

    def _gives_way(self, command: WriteLead, kind: str, row: Row, theirs: Found) -> bool:
        """Whether a lead that an earlier try has made is gone, or goes now, for theirs was made beside it.

        That try broke off before it could look, or while it took its lead back. What a person has touched stays.
        """
        if row.get("IsDeleted"):
            return True
        if command.create is None:
            return False  # it only looks
        values = self.reader.values(kind, row)
        ours = all(same(values[name], value) for name, value in command.values.items() if name in values)
        return ours and is_alive(row) and take_back(self.org, row["Id"], theirs[1]["Id"])

    def _taken_up(self, write: Write, theirs: Found) -> Done:
        """Somebody else's record is the person's: it stays as it is, and the next pull tells it."""
        self.found.append(theirs)
        self.held.add(write.command.key)
        write.kind, write.id = theirs[0], theirs[1]["Id"]
        return self._stands(write, theirs[1])

    def _stands(self, write: Write, row: Row) -> Done:
        """The record was there already, and stays as it is."""
        values = self.reader.values(write.kind, row)
        gone = bool(row.get("IsDeleted"))
        shown = {name: values[name] for name in self._told(write) if name in values}
        identity = Identity(self.reader.name, write.kind, row["Id"])
        at = moment(row["SystemModstamp"])
        revision = write.command.revision
        return Done(Receipt(write.command.key, identity, at, shown, shown, revision, adopted=True, gone=gone))

    def _judge(self, command: WriteLead, kind: str, row: Row) -> Outcome | Write:
        """What the read before the write says: moved on, done already, or to be written."""
        if row.get("IsDeleted"):
            winner = row.get("MasterRecordId")
            code, text = (
                ("MERGED", f"it is part of {winner} now") if winner else ("ENTITY_IS_DELETED", "it was deleted")
            )
            return Refused(f"The record has moved on: {text}. It is planned anew.", "conflict", code)
        if row.get("IsConverted"):
            text = f"The lead has been converted to the contact {row.get('ConvertedContactId')}; it is planned anew."
            return Refused(text, "conflict", "CANNOT_UPDATE_CONVERTED_LEAD")
        values = self.reader.values(kind, row)
        moved = [
            name
            for name, expected in command.expects.items()
            if name in values
            and not same(values[name], expected)
            and not (name in command.values and same(values[name], command.values[name]))
        ]
        if moved:
            told = ", ".join(f"{name} is {values[name]!r}, not {command.expects[name]!r}" for name in moved)
            return Refused(
                f"Somebody has changed the record: {told}. It is planned anew.", "conflict", fields=tuple(moved)
            )
        write = Write(command, kind, row["Id"], row)
        theirs = not_ours(command, values)
        write.left_out += theirs
        write.notes += [f"{name} holds what a person wrote, and is left as it is." for name in theirs]
        self._fill(
            write,
            {
                name: value
                for name, value in command.values.items()
                if name not in theirs and (name not in values or not same(values[name], value))
            },
        )
        if write.body:
            return write
        shown = {name: values[name] for name in self._told(write) if name in values}
        identity = Identity(self.reader.name, kind, row["Id"])
        return Done(
            Receipt(
                command.key,
                identity,
                moment(row["SystemModstamp"]),
                shown,
                shown,
                command.revision,
                adopted=command.attempt > 0,
                left_out=tuple(write.left_out),
                note=" ".join(write.notes),
            )
        )

    def _fill(self, write: Write, values: dict[str, Value]) -> None:
        """The body to send: API names, types and lengths as the describe says; what cannot be sent is left out."""
        names = self.reader.options.names(write.kind)
        known = self.org.describe(write.kind)
        optional = set(write.command.optional)
        for name, value in values.items():
            theirs = names.get(name)
            field = known.get(theirs) if theirs else None
            if theirs is None or (write.kind == "Contact" and name == "owner"):
                write.left_out.append(name)
                write.notes.append(f"{name} is not written on a {write.kind}.")
            elif name in optional and (field is None or not field.updateable):
                write.left_out.append(name)
                write.notes.append(f"The integration user may not edit {write.kind}.{theirs}.")
            elif field is not None and isinstance(value, str):
                write.body[theirs] = fitted(value, field.type, field.length)
            else:
                write.body[theirs] = value

    def _told(self, write: Write) -> Iterable[str]:
        return dict.fromkeys((*write.command.values, *write.command.expects, *_WATCHED))

    # -- the write itself

    def _send(self, method: str, writes: Sequence[Write], done: list[Write]) -> Iterator[tuple[Key, Outcome]]:
        """Outcomes of what is refused; what went through is put into `done`."""
        todo = sorted(writes, key=lambda one: (one.kind, one.id))
        for wave in range(WAVES):
            if not todo:
                return
            self.sent |= {one.command.key for one in todo}
            records = [
                {"attributes": {"type": one.kind}, **({"id": one.id} if one.id else {}), **one.body} for one in todo
            ]
            sent = send(self.org, method, records, _HEADERS)
            self.failure = self.failure or sent.failure
            again: list[Write] = []
            for write, result in zip(todo, sent.results, strict=True):
                if isinstance(result, str):
                    write.id = result
                    done.append(write)
                elif isinstance(result, Error):
                    outcome = self._refused(write, result, method, last=wave == WAVES - 1)
                    if outcome is not None:
                        yield write.command.key, outcome
                    elif write.body:
                        again.append(write)
                    else:
                        done.append(write)
            todo = again

    def _refused(self, write: Write, error: Error, method: str, *, last: bool) -> Outcome | None:
        """None: the optional fields that were refused are taken out, and the rest may go."""
        names = {theirs: ours for ours, theirs in self.reader.options.names(write.kind).items()}
        optional = {theirs for theirs, ours in names.items() if ours in write.command.optional and theirs in write.body}
        if error.code in ("INVALID_FIELD", "INVALID_FIELD_FOR_INSERT_UPDATE"):
            self.org.forget(write.kind)
        if not last and (split := separable(error, optional)):
            for theirs in split:
                write.body.pop(theirs, None)
                write.left_out.append(names[theirs])
            write.notes.append(f"Salesforce refused {', '.join(split)}: {error.text} ({error.code}).")
            return None
        if method == "POST" and error.code == "DUPLICATE_VALUE" and self.reader.options.lead_key_field in error.text:
            return self._adopt(write)
        if method == "POST" and error.code == "DUPLICATES_DETECTED" and write.command.emails:
            found = stand_under(self.org, self.reader, write.command.emails)
            double = best(one for some in found.values() for one in some)
            if double is not None:
                return self._taken_up(write, double)
        return meaning(error, f"The {write.kind.lower()}", names)

    def _adopt(self, write: Write) -> Outcome:
        """Somebody was faster, and it was us: an earlier try whose answer was lost."""
        key = self.reader.options.lead_key_field
        results, _ = self.org.queries([self.reader.by("Lead", key, [write.command.key], also=(key,))])
        if not results[0]:
            return Retry(5.0, "The lead was created by an earlier try, and is not readable yet.")
        row = min(results[0], key=lambda one: bool(one.get("IsDeleted")))
        return self._stands(write, row)

    # -- after

    def _confirmed(
        self, written: Sequence[Write], created: Sequence[Write], began: datetime
    ) -> Iterator[tuple[Key, Outcome]]:
        writes = [*written, *created]
        if not writes:
            return
        texts: list[partial[str | None]] = []
        for kind in ("Lead", "Contact"):
            texts += [
                self.reader.by(kind, "Id", some) for some in chunks([one.id for one in writes if one.kind == kind])
            ]
        since = format_soql(" AND CreatedDate >= {}", began - _NEW_IS_CLOSE)
        histories: list[partial[str | None]] = []
        for kind in ("Lead", "Contact"):
            names = self.reader.options.names(kind)
            watched = {names[name] for name in _WATCHED if name in names}
            historic = [one.id for one in written if one.kind == kind and watched.intersection(one.body)]
            histories += [self.reader.by(f"{kind}History", f"{kind}Id", some, more=since) for some in chunks(historic)]
        emails = sorted({email.lower() for one in created for email in one.command.emails})
        under = [(kind, self.reader.by(kind, "Email", some)) for kind in ("Lead", "Contact") for some in chunks(emails)]
        results, _ = self.org.queries([*texts, *(text for _, text in under), *histories])
        rows = {row["Id"]: row for some in results[: len(texts)] for row in some}
        named, results = results[len(texts) :][: len(under)], results[len(texts) + len(under) :]
        changes: dict[str, list[Row]] = {}
        for change in (change for some in results for change in some):
            changes.setdefault(change.get("LeadId") or change["ContactId"], []).append(change)
        back: list[tuple[Write, dict[str, Value]]] = []
        living = [(kind, row) for (kind, _), some in zip(under, named, strict=True) for row in some]
        beside = others(living, {one.id: one.command.emails for one in created})
        for write in writes:
            row = rows.get(write.id)
            theirs = beside.get(write.id)
            if theirs is not None and take_back(self.org, write.id, theirs[1]["Id"]):
                yield write.command.key, self._taken_up(write, theirs)
            elif row is None:
                yield write.command.key, meaning(Error("NOT_FOUND", "it was gone after the write"), "The record", {})
            elif trampled := self._trampled(write, row, changes.get(write.id, [])):
                back.append((write, trampled))
            else:
                yield write.command.key, self._receipt(write, row)
        if back:
            yield from self._put_back(back)

    def _receipt(self, write: Write, row: Row) -> Done:
        now, before = self.reader.values(write.kind, row), self.reader.values(write.kind, write.before)
        told = list(self._told(write))
        return Done(
            Receipt(
                write.command.key,
                Identity(self.reader.name, write.kind, write.id),
                moment(row["SystemModstamp"]),
                {name: now[name] for name in told if name in now},
                {name: before[name] for name in told if name in before} if write.before else {},
                write.command.revision,
                left_out=tuple(dict.fromkeys(write.left_out)),
                note=" ".join(dict.fromkeys(write.notes)),
            )
        )

    def _trampled(self, write: Write, row: Row, changes: Iterable[Row]) -> dict[str, Value]:
        """Values that a person set after our read, and that our write replaced: API name -> their value."""
        me = self.org.token().user
        found: dict[str, Value] = {}
        for change in changes:
            theirs = "OwnerId" if change["Field"] == "Owner" else change["Field"]
            old, new = plain(change.get("OldValue")), plain(change.get("NewValue"))
            if theirs not in write.body or theirs not in write.before or change.get("CreatedById") != me:
                continue
            if theirs == "OwnerId" and not str(new).startswith(("005", "00G")):
                continue  # the same change once more, by name
            ours = same(new, write.body[theirs]) and same(plain(row.get(theirs)), new)
            if ours and not same(old, plain(write.before.get(theirs))):
                found[theirs] = old
        return found

    def _put_back(self, back: Sequence[tuple[Write, dict[str, Value]]]) -> Iterator[tuple[Key, Outcome]]:
        records = [{"attributes": {"type": one.kind}, "id": one.id, **values} for one, values in back]
        sent = send(self.org, "PATCH", records, _HEADERS, safe=True)
        self.failure = self.failure or sent.failure
        for (write, values), result in zip(back, sent.results, strict=True):
            names = {theirs: ours for ours, theirs in self.reader.options.names(write.kind).items()}
            told = ", ".join(f"{names[theirs]} to {value!r}" for theirs, value in values.items())
            how = (
                "That stands again, and it is planned anew."
                if isinstance(result, str)
                else f"It may not have been put back: look at {write.id}, and set it by hand."
                if result is None
                else f"It could not be put back: set it by hand on {write.id}."
            )
            log.warning("%s: %s was changed while it was written: %s. %s", self.org.name, write.id, told, how)
            yield (
                write.command.key,
                Refused(
                    f"While the lead was being written, somebody set {told}. {how}",
                    "conflict",
                    "CHANGED_MEANWHILE",
                    tuple(names[theirs] for theirs in values),
                ),
            )


def fitted(value: str, kind: str, length: int) -> str:
    """A text as a field of that type takes it: dates without, moments with a time, texts cut to their length."""
    if kind == "date" and len(value) > 10 and value[10] == "T":
        return value[:10]
    if kind == "datetime" and len(value) == 10:
        return f"{value}T00:00:00Z"
    if kind in ("string", "textarea") and length and len(value) > length:
        return value[: length - 1] + "…"
    return value
