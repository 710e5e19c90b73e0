"""Writing tasks, alerts and closings: once each, whatever becomes of the answers. Source: crm.md B5.

A task bears our key in a property of its own, and is made together with its association in one call. Two ways lead to
one task; which of them is taken, the portal's own definition of the property says:

* The property is unique: a creation is an insert, "taken" means that an earlier try has made it, and it stays as it is.
* It is not (the portal does not let it be): the outbox's `attempt` is the journal of intents. A key that was tried
  before is looked for by association, which does not lag (search would). When nothing is found, the lost call may
  still be at work: after `late` it is looked for once more, and only then made. The command goes back to the outbox for
  that time; when an earlier process sent it, that is waited for here, for nobody would remember the first look. A call
  that overtakes its repeat by more than `late` would make a second task: effectively once.

Either way a key that was tried before is looked for in the recycle bin, too: a task that a person has deleted is not
made again.
"""

import html
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct, field

from syncagent.clock import Clock
from syncagent.config import seconds
from syncagent.connectors.hubspot.answers import meaning, separable, taken
from syncagent.connectors.hubspot.portal import Portal, chunks
from syncagent.connectors.hubspot.read import Reader
from syncagent.connectors.hubspot.rows import send
from syncagent.connectors.hubspot.shapes import Error, Row
from syncagent.connectors.hubspot.values import millis, moment
from syncagent.errors import ConnectorDownError, RetryableError
from syncagent.model import Alert, CloseTask, CreateTask, Done, Identity, Key, Outcome, Receipt, Refused, Retry, Value

log = logging.getLogger(__name__)

WAVES: Final = 4
_OPTIONAL: Final = {"hs_task_reminders", "hs_task_priority"}
_PRIORITY: Final = {"high": "HIGH", "normal": "MEDIUM", "low": "LOW"}
_TO: Final = 204  # task -> contact, crm.md B6
_LEAD_TO: Final = 647
_NOTE_TO: Final = 202
_SUBJECT: Final = 255
_BODY: Final = 60_000
_BIN_PAGES: Final = 20
_KEYS_A_SEARCH: Final = 25  # a search's body ends at 3,000 characters (crm.md B7)
_CLOSED: Final = "COMPLETED"
_REMEMBERED: Final = 100_000

Placed = tuple[CreateTask | Alert, str]
"""A task and the id of the record that it belongs to."""


class Making(Struct):
    """A task on its way: the properties to send, and those that had to be left out."""

    task: CreateTask | Alert
    who: str
    body: dict[str, str]
    out: list[str] = field(default_factory=list)

    def without(self, names: Sequence[str]) -> bool:
        """Leave these out from now on; False when there is nothing to leave out."""
        gone = [name for name in names if self.body.pop(name, None) is not None]
        self.out += gone
        return bool(gone)


class Memo(Struct):
    """What one process remembers from batch to batch. Losing it costs calls and a wait, never a second task.

    `sent`: keys that this process has sent; `looked`: when one of them was looked for in vain, since it was last sent;
    `made`: the task of a key; `surplus`: tasks that were made beside it.
    """

    sent: set[Key] = field(default_factory=set)
    looked: dict[Key, datetime] = field(default_factory=dict)
    made: dict[Key, str] = field(default_factory=dict)
    surplus: set[str] = field(default_factory=set)

    def tidy(self) -> None:
        """Forget all when it is too much."""
        for one in (self.sent, self.looked, self.made):
            if len(one) > _REMEMBERED:
                one.clear()


class TaskWriter:
    """Carries out one batch; `failure` is what broke, `sent` the keys that nobody knows of."""

    def __init__(self, portal: Portal, reader: Reader, clock: Clock, memo: Memo, fresh: set[Key]) -> None:
        self.portal = portal
        self.reader = reader
        self.options = reader.words.options
        self.key = self.options.key_property
        self.failure: RetryableError | ConnectorDownError | None = None
        self.sent: set[Key] = set()
        self.missed: set[str] = set()  # records that were there once, and are not any more
        self._clock = clock
        self._memo = memo
        self._fresh = fresh  # came back without having been sent
        self._late = timedelta(seconds=seconds(self.options.late))

    def _guarded(self, work: Callable[[], Iterator[tuple[Key, Outcome]]]) -> Iterator[tuple[Key, Outcome]]:
        try:
            yield from work()
        except (RetryableError, ConnectorDownError) as error:
            self.failure = self.failure or error

    def unique(self, *, sure: bool = False) -> bool | None:
        """Whether the portal keeps our key unique; None when it has no such property (`sure`: by now)."""
        if sure and self.key not in self.portal.properties("tasks"):
            self.portal.forget("properties/tasks")
        known = self.portal.properties("tasks").get(self.key)
        return None if known is None else known.unique

    def clear_away(self) -> None:
        """Move second tasks of one key into the recycle bin; a rep works on the older one. Once more when it fails."""
        self._memo.tidy()
        for some in chunks(sorted(self._memo.surplus)):
            rows = [row for row in self.portal.read("tasks", some, self.reader.task_names())[0] if _is_open(row)]
            if rows:
                log.warning("%s: %d tasks were made twice; the second ones are removed.", self.portal.name, len(rows))
                body = {"inputs": [{"id": str(row["id"])} for row in rows]}
                self.portal.batch.archive("tasks", body, _preload_content=False)
            self._memo.surplus -= set(some)

    # -- making

    def create(self, placed: Sequence[Placed]) -> Iterator[tuple[Key, Outcome]]:
        """Make the tasks. Raises nothing: see `failure`."""
        return self._guarded(lambda: self._create(placed))

    def _create(self, placed: Sequence[Placed]) -> Iterator[tuple[Key, Outcome]]:
        unique = self.unique(sure=True)
        if unique is None:
            yield from ((task.key, self._no_key()) for task, _ in placed)
            return
        again = {task.key for task, _ in placed if task.attempt} - self._fresh
        there = self._find([(task, who) for task, who in placed if task.key in again], unique=unique)
        making: list[Making] = []
        strange: list[Placed] = []
        for task, who in placed:
            if task.key in there:
                yield task.key, self._adopted(task.key, there[task.key], who)
            elif unique or task.key not in again:
                making.append(Making(task, who, self._body(task)))
            elif task.key not in self._memo.sent:
                strange.append((task, who))
            elif wait := self._wait(task.key):
                why = "Nobody knows whether it was made; it is looked for once more before it is sent again."
                yield task.key, Retry(wait, why)
            else:
                making.append(Making(task, who, self._body(task)))
        yield from self._make(making)
        if strange:
            self.portal.http.pause(self._late.total_seconds(), f"{self.portal.name}: a second look for lost tasks")
            there = self._find(strange, unique=False)
            yield from (
                (task.key, self._adopted(task.key, there[task.key], who)) for task, who in strange if task.key in there
            )
            yield from self._make(
                [Making(task, who, self._body(task)) for task, who in strange if task.key not in there]
            )

    def _make(self, making: list[Making]) -> Iterator[tuple[Key, Outcome]]:
        twice, fresh = list[Placed](), list[Placed]()
        for wave in range(WAVES):
            following: list[Making] = []
            for one, result in self._send(making):
                if isinstance(result, dict):
                    fresh.append((one.task, one.who))
                    yield one.task.key, self._made(one, result)
                elif result is not None and taken(result, self.key):
                    twice.append((one.task, one.who))
                elif result is not None and wave < WAVES - 1 and one.without(separable(result, _OPTIONAL)):
                    following.append(one)
                elif result is not None:
                    yield one.task.key, self._refused(one, result)
            making = following
        yield from self._adopt(twice)
        if self.options.notes:
            self._note(fresh)

    def _adopt(self, twice: Sequence[Placed]) -> Iterator[tuple[Key, Outcome]]:
        """Those whose key is taken: an earlier try has made them."""
        there = self._find(twice, unique=True)
        for task, who in twice:
            if task.key in there:
                yield task.key, self._adopted(task.key, there[task.key], who)
            else:
                text = f"The key is taken by a task that the app cannot see. Look for it in the property {self.key}."
                yield task.key, Refused(text, "refused", "DUPLICATE_VALUE", (self.key,))

    def _send(self, making: Sequence[Making]) -> Iterator[tuple[Making, Row | Error | None]]:
        if not making:
            return
        inputs = [{"properties": one.body, "associations": self._links(one.who)} for one in making]
        for one in making:
            self.sent.add(one.task.key)
            self._memo.sent.add(one.task.key)
            self._memo.looked.pop(one.task.key, None)
        sent = send(self.portal, "create", "tasks", inputs, self._answers)
        self.failure = self.failure or sent.failure
        self.sent -= {making[n].task.key for n in sent.undone}
        yield from zip(making, sent.results, strict=True)

    def _links(self, who: str) -> list[dict[str, Any]]:
        """The contact, and its open lead, where handoffs are leads: reps work them in a place of their own."""
        lead = self.reader.leads.open_of(who) if self.reader.leads is not None else ""
        return [_link(who, _TO), *([_link(lead, _LEAD_TO)] if lead else [])]

    def _answers(self, given: Mapping[str, Any], row: Row) -> bool:
        return bool(row["properties"].get(self.key) == given["properties"][self.key])

    def _body(self, task: CreateTask | Alert) -> dict[str, str]:
        due = task.remind_at if isinstance(task, Alert) else task.due
        body = {
            "hs_timestamp": str(millis(due)),
            "hs_task_subject": _cut(task.subject, _SUBJECT),
            "hs_task_body": _page(task.body),
            "hs_task_status": "NOT_STARTED",
            "hs_task_priority": "HIGH" if isinstance(task, Alert) else _PRIORITY[task.priority],
            "hubspot_owner_id": task.to if isinstance(task, Alert) else task.owner,
            self.key: task.key,
        }
        if task.remind_at is not None:
            body["hs_task_reminders"] = str(millis(task.remind_at))
        return body

    def _made(self, making: Making, row: Row) -> Done:
        self._memo.made[making.task.key] = str(row["id"])
        self.reader.placed(row, making.who)
        values: dict[str, Value] = {"owner": making.body["hubspot_owner_id"], "record": making.who, "closed": False}
        note = f"HubSpot refused {', '.join(making.out)}." if making.out else ""
        identity = Identity(self.reader.name, "task", str(row["id"]))
        at = moment(row["updatedAt"])
        return Done(Receipt(making.task.key, identity, at, values, left_out=tuple(making.out), note=note))

    def _refused(self, making: Making, error: Error) -> Outcome:
        if error.properties.get(self.key) == "PROPERTY_DOESNT_EXIST":
            self.portal.forget("properties/tasks")
            return self._no_key()
        outcome = meaning(error, "The task", {"hubspot_owner_id": "owner"})
        if isinstance(outcome, Refused) and outcome.kind == "conflict":
            self.missed.add(making.who)
        return outcome

    def _no_key(self) -> Refused:
        return Refused(
            f"Tasks cannot be made exactly once without the property {self.key}. Create it on tasks (single-line text,"
            " unique if the portal lets you; `syncagent check` shows the call), and try again with:"
            " syncagent outbox retry",
            "refused",
            "PROPERTY_DOESNT_EXIST",
            (self.key,),
        )

    def _wait(self, key: Key) -> float:
        """How many seconds are left until a key that was not found may be sent again; 0 when it may."""
        first = self._memo.looked.setdefault(key, self._clock.now())
        return max((first + self._late - self._clock.now()).total_seconds(), 0.0)

    # -- looking

    def _find(self, placed: Sequence[Placed], *, unique: bool) -> dict[Key, Row]:
        """The tasks with these keys, deleted ones only where there is no other; of two with one key the older."""
        keys = {task.key for task, _ in placed}
        if not keys:
            return {}
        if unique:
            rows, _ = self.portal.read("tasks", sorted(keys), self.reader.task_names(), by=self.key)
        else:
            rows, _ = self.reader.tasks_on(sorted({who for _, who in placed}))
        there: dict[Key, Row] = {}
        for row in sorted(rows, key=lambda row: int(row["id"]), reverse=True):
            there[row["properties"][self.key]] = row
        lost = keys - there.keys()
        if lost:
            there |= {key: row for key, row in self._deleted(lost).items() if key not in there}
        return {key: row for key, row in there.items() if key in keys}

    def _deleted(self, keys: set[Key]) -> dict[Key, Row]:
        """Tasks in the recycle bin with these keys, as far as it is worth turning its pages."""
        found: dict[Key, Row] = {}
        for rows in self.portal.pages("tasks", self.reader.task_names(), _BIN_PAGES, archived=True):
            found |= {key: row for row in rows if (key := row["properties"].get(self.key)) in keys}
            if len(found) == len(keys):
                break
        return found

    def _adopted(self, key: Key, row: Row, who: str = "", *, adopted: bool = True) -> Done:
        given = row["properties"]
        self._memo.made[key] = str(row["id"])
        values: dict[str, Value] = {
            "owner": given.get("hubspot_owner_id"),
            "closed": given.get("hs_task_status") == _CLOSED,
        }
        if who:
            values["record"] = who
        identity = Identity(self.reader.name, "task", str(row["id"]))
        gone = bool(row.get("archived"))
        return Done(Receipt(key, identity, moment(row["updatedAt"]), values, adopted=adopted, gone=gone))

    # -- closing

    def close(self, closings: Sequence[CloseTask]) -> Iterator[tuple[Key, Outcome]]:
        """Close the tasks that are still open. Raises nothing: see `failure`."""
        return self._guarded(lambda: self._close(closings))

    def _close(self, closings: Sequence[CloseTask]) -> Iterator[tuple[Key, Outcome]]:
        there = self._open([closing.task for closing in closings])
        lost = [one.task for one in closings if one.task not in there and one.task not in self._memo.made]
        if lost and not self.unique():  # search alone knows them, and may not yet
            self.portal.http.pause(self._late.total_seconds(), f"{self.portal.name}: a second look for tasks to close")
            there |= self._open(lost)
        todo: list[tuple[CloseTask, Row]] = []
        for closing in closings:
            row = there.get(closing.task)
            if row is None:
                nothing = Identity(self.reader.name, "task", self._memo.made.get(closing.task, ""))
                note = "There is no task with this key (any more)."
                yield closing.key, Done(Receipt(closing.key, nothing, self._clock.now(), gone=True, note=note))
            elif row.get("archived") or row["properties"].get("hs_task_status") == _CLOSED:
                yield closing.key, self._adopted(closing.key, row)
            else:
                todo.append((closing, row))
        inputs = [
            {
                "id": str(row["id"]),
                "properties": {
                    "hs_task_status": _CLOSED,
                    "hs_task_body": f"{row['properties'].get('hs_task_body') or ''}<p>{_page(closing.reason)}</p>",
                },
            }
            for closing, row in todo
        ]
        self.sent |= {closing.key for closing, _ in todo}
        sent = send(self.portal, "update", "tasks", inputs, lambda given, row: bool(str(row["id"]) == given["id"]))
        self.failure = self.failure or sent.failure
        self.sent -= {todo[n][0].key for n in sent.undone}
        for (closing, row), result in zip(todo, sent.results, strict=True):
            if isinstance(result, Error) and result.category == "OBJECT_NOT_FOUND":
                yield closing.key, self._adopted(closing.key, row | {"archived": True})
            elif isinstance(result, Error):
                yield closing.key, meaning(result, "The task", {})
            elif result is not None:
                stands = {**row["properties"], "hs_task_status": _CLOSED}
                done = row | {"properties": stands, "updatedAt": result["updatedAt"]}
                yield closing.key, self._adopted(closing.key, done, adopted=False)

    def _open(self, keys: Sequence[Key]) -> dict[Key, Row]:
        """The tasks with these keys as they are now, read by a path that does not lag."""
        names = [*self.reader.task_names(), "hs_task_body"]
        ids = {self._memo.made[key] for key in keys if key in self._memo.made}
        rows = self.portal.read("tasks", sorted(ids), names)[0] if ids else []
        unknown = [key for key in keys if key not in self._memo.made]
        if unknown and self.unique():
            rows += self.portal.read("tasks", unknown, names, by=self.key)[0]
        elif unknown and self.unique() is not None:
            found: set[str] = set()
            for some in chunks(unknown, _KEYS_A_SEARCH):
                filters = [{"propertyName": self.key, "operator": "IN", "values": some}]
                told, _, _ = self.portal.search("tasks", [filters], "hs_object_id", [self.key])
                found |= {str(row["id"]) for row in told}
            rows += self.portal.read("tasks", sorted(found), names)[0] if found else []
        return {row["properties"].get(self.key): row for row in rows}

    # -- notes

    def _note(self, placed: Sequence[Placed]) -> None:
        """The brief on the timeline, too. At most once: a note has no key, and a task never waits for its note."""
        inputs = [
            {
                "properties": {
                    "hs_timestamp": str(millis(self._clock.now())),
                    "hs_note_body": f"<p><b>{html.escape(task.subject)}</b></p>{_page(task.body)}",
                    "hubspot_owner_id": task.owner,
                },
                "associations": [_link(who, _NOTE_TO)],
            }
            for task, who in placed
            if isinstance(task, CreateTask)
        ]
        sent = send(self.portal, "create", "notes", inputs, lambda _given, _row: True)
        lost = sum(not isinstance(one, dict) for one in sent.results)
        if lost:
            told = "%s: %d notes may be missing on the timeline; the tasks hold the same text."
            log.warning(told, self.portal.name, lost)


def _is_open(row: Row) -> bool:
    return bool(row["properties"].get("hs_task_status") != _CLOSED)


def _link(who: str, number: int) -> dict[str, Any]:
    return {"to": {"id": who}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": number}]}


def _page(text: str) -> str:
    """Plain text as the body of a task: HubSpot shows bodies as HTML."""
    return html.escape(_cut(text, _BODY), quote=False).replace("\n", "<br>")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
