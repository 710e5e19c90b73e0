"""Writing tasks, alerts, closings and notifications: once each, whatever becomes of the answers.

A task is an insert with a unique key: "duplicate value" means that an earlier try has made it, and it stays as it is.
A key that was tried before is looked for first, in the recycle bin, too: a task that a person has deleted is not made
again. Notifications have no key: one whose answer is lost is told as unknown, and never repeated.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from simple_salesforce.format import format_soql

from syncagent.clock import Clock
from syncagent.connectors.salesforce.answers import meaning, separable
from syncagent.connectors.salesforce.org import Error, Org, Row, chunks, errors
from syncagent.connectors.salesforce.read import Reader, moment
from syncagent.connectors.salesforce.rows import SIZE, send
from syncagent.errors import ConnectorDownError, RetryableError
from syncagent.model import (
    Alert,
    CloseTask,
    CreateTask,
    Done,
    Identity,
    Key,
    Notify,
    Outcome,
    Receipt,
    Refused,
    Retry,
    Value,
)

WAVES: Final = 4
_OPTIONAL: Final = {"IsReminderSet", "ReminderDateTime", "Priority"}
_PRIORITY: Final = {"high": "High", "low": "Low"}  # normal is what an org gives by itself
_SUBJECT: Final = 255
_BODY: Final = 32_000  # crm.md A14
_NOBODY: Final = "000000000000000AAA"  # what a notification leads to when there is no record (crm.md A15)

Placed = tuple[CreateTask | Alert, str]
"""A task and the id of the lead or contact that it belongs to."""


class TaskWriter:
    """Carries out one batch; `failure` is what broke, `sent` the keys that nobody knows of."""

    def __init__(self, org: Org, reader: Reader, clock: Clock, known: dict[str, Any]) -> None:
        self.org = org
        self.reader = reader
        self.key = reader.options.task_key_field
        self.failure: RetryableError | ConnectorDownError | None = None
        self.sent: set[Key] = set()
        self._clock = clock
        self._known = known  # what does not change from batch to batch: closed status, notification type

    def _guarded(self, work: Callable[[], Iterator[tuple[Key, Outcome]]]) -> Iterator[tuple[Key, Outcome]]:
        try:
            yield from work()
        except (RetryableError, ConnectorDownError) as error:
            self.failure = self.failure or error

    # -- tasks and alerts

    def create(self, placed: Sequence[Placed]) -> Iterator[tuple[Key, Outcome]]:
        """Make the tasks. Raises nothing: see `failure`."""
        return self._guarded(lambda: self._create(placed))

    def _create(self, placed: Sequence[Placed]) -> Iterator[tuple[Key, Outcome]]:
        there = self._find([task.key for task, _ in placed if task.attempt])
        todo: list[tuple[Placed, dict[str, Value], list[str]]] = []
        for task, who in placed:
            if task.key in there:
                yield task.key, self._adopted(task.key, there[task.key])
            else:
                todo.append(((task, who), self._body(task, who), []))
        todo.sort(key=lambda one: one[0][1])  # tasks of one record beside each other: fewer row locks (crm.md A13)
        twice: list[Key] = []
        for wave in range(WAVES):
            self.sent |= {task.key for (task, _), _, _ in todo}
            sent = send(self.org, "POST", [{"attributes": {"type": "Task"}, **body} for _, body, _ in todo])
            self.failure = self.failure or sent.failure
            again = []
            for ((task, who), body, out), result in zip(todo, sent.results, strict=True):
                if isinstance(result, str):
                    identity = Identity(self.reader.name, "Task", result)
                    values: dict[str, Value] = {"owner": body["OwnerId"], "record": who, "closed": False}
                    note = f"Salesforce refused {', '.join(out)}." if out else ""
                    at = sent.at or self._clock.now()
                    yield task.key, Done(Receipt(task.key, identity, at, values, left_out=tuple(out), note=note))
                elif isinstance(result, Error):
                    split = separable(result, _OPTIONAL.intersection(body)) if wave < WAVES - 1 else ()
                    if result.code == "DUPLICATE_VALUE" and self.key in result.text:
                        twice.append(task.key)
                    elif split:
                        rest = {name: value for name, value in body.items() if name not in split}
                        again.append(((task, who), rest, [*out, *split]))
                    else:
                        yield task.key, self._refused(result)
            todo = again
            if not todo:
                break
        there = self._find(twice)
        for key in twice:
            if key in there:
                yield key, self._adopted(key, there[key])
            else:
                text = "The key is taken by a task that the integration user cannot see. Give it View All on tasks."
                yield key, Refused(text, "refused", "DUPLICATE_VALUE", (self.key,))

    def _body(self, task: CreateTask | Alert, who: str) -> dict[str, Value]:
        due = task.remind_at if isinstance(task, Alert) else task.due
        zone = ZoneInfo(self.reader.options.timezone)
        body: dict[str, Value] = {
            "WhoId": who,
            "OwnerId": task.to if isinstance(task, Alert) else task.owner,
            "Subject": _cut(task.subject, _SUBJECT),
            "Description": _cut(task.body, _BODY),
            "ActivityDate": due.astimezone(zone).date().isoformat(),
            self.key: task.key,
        }
        if task.remind_at is not None:
            body |= {
                "IsReminderSet": True,
                "ReminderDateTime": task.remind_at.astimezone(UTC).isoformat(timespec="seconds"),
            }
        priority = "high" if isinstance(task, Alert) else task.priority
        if priority in _PRIORITY:
            body["Priority"] = _PRIORITY[priority]
        return body

    def _refused(self, error: Error) -> Outcome:
        if error.code.startswith("INVALID_FIELD") and self.key in error.text:
            return Refused(
                f"Tasks cannot be made exactly once without the field {self.key}; Salesforce says: {error.text}."
                " Create it on Activity (Text 80, External ID, Unique), give the integration user access to it,"
                " then run: syncagent check",
                "refused",
                error.code,
                (self.key,),
            )
        return meaning(error, "The task", {"OwnerId": "owner", "WhoId": "record"})

    def _find(self, keys: Sequence[Key]) -> dict[Key, Row]:
        """The tasks with these keys, deleted ones only where there is no other."""
        texts = [self.reader.by("Task", self.key, some) for some in chunks(sorted(set(keys)))]
        if not texts:
            return {}
        results, _ = self.org.queries(texts)
        rows = sorted((row for some in results for row in some), key=lambda row: not row.get("IsDeleted"))
        return {row[self.key]: row for row in rows}

    def _adopted(self, key: Key, row: Row, *, adopted: bool = True) -> Done:
        values: dict[str, Value] = {
            "owner": row.get("OwnerId"),
            "record": row.get("WhoId"),
            "closed": bool(row.get("IsClosed")),
        }
        identity = Identity(self.reader.name, "Task", row["Id"])
        gone = bool(row.get("IsDeleted"))
        return Done(Receipt(key, identity, moment(row["SystemModstamp"]), values, adopted=adopted, gone=gone))

    # -- closing

    def close(self, closings: Sequence[CloseTask]) -> Iterator[tuple[Key, Outcome]]:
        """Close the tasks that are still open. Raises nothing: see `failure`."""
        return self._guarded(lambda: self._close(closings))

    def _close(self, closings: Sequence[CloseTask]) -> Iterator[tuple[Key, Outcome]]:
        texts: list[Callable[[], str | None]] = [
            self.reader.by("Task", self.key, some, also=("Description",)) for some in chunks([c.task for c in closings])
        ]
        status = self._known.get("closed")
        if status is None:
            texts.append(lambda: "SELECT ApiName, MasterLabel, SortOrder FROM TaskStatus WHERE IsClosed = true")
        results, _ = self.org.queries(texts)
        if status is None:
            names = [row["ApiName"] for row in sorted(results.pop(), key=lambda row: row.get("SortOrder") or 0)]
            status = "Completed" if "Completed" in names else names[0] if names else "Completed"
            self._known["closed"] = status
        rows = sorted((row for some in results for row in some), key=lambda row: not row.get("IsDeleted"))
        there = {row[self.key]: row for row in rows}
        todo: list[tuple[CloseTask, Row]] = []
        for closing in closings:
            row = there.get(closing.task)
            if row is None:
                nothing = Identity(self.reader.name, "Task", "")
                note = "There is no task with this key (any more)."
                yield closing.key, Done(Receipt(closing.key, nothing, self._clock.now(), gone=True, note=note))
            elif row.get("IsClosed") or row.get("IsDeleted"):
                yield closing.key, self._adopted(closing.key, row)
            else:
                todo.append((closing, row))
        self.sent |= {closing.key for closing, _ in todo}
        records = [
            {
                "attributes": {"type": "Task"},
                "id": row["Id"],
                "Status": status,
                "Description": _cut(f"{row.get('Description') or ''}\n\n{closing.reason}".strip(), _BODY),
            }
            for closing, row in todo
        ]
        sent = send(self.org, "PATCH", records)
        self.failure = self.failure or sent.failure
        for (closing, row), result in zip(todo, sent.results, strict=True):
            if isinstance(result, str):
                stamp = {"IsClosed": True, "SystemModstamp": (sent.at or self._clock.now()).isoformat()}
                yield closing.key, self._adopted(closing.key, row | stamp, adopted=False)
            elif isinstance(result, Error) and result.code in ("ENTITY_IS_DELETED", "NOT_FOUND"):
                yield closing.key, self._adopted(closing.key, row | {"IsDeleted": True})
            elif isinstance(result, Error):
                yield closing.key, meaning(result, "The task", {"Status": "status"})

    # -- notifications

    def notify(self, notices: Sequence[Notify]) -> Iterator[tuple[Key, Outcome]]:
        """Push the notifications, at most once each. Raises nothing: see `failure`."""
        return self._guarded(lambda: self._notify(notices))

    def _notify(self, notices: Sequence[Notify]) -> Iterator[tuple[Key, Outcome]]:
        name = self.reader.options.notification_type
        kind = self._notification_type(name) if name else ""
        if not kind:
            why = (
                f"The org has no custom notification type {name}. Create it under Setup > Custom Notifications."
                if name
                else "No custom notification type is named. Set notification_type under [crm]."
            )
            yield from ((one.key, Refused(why, code="NO_NOTIFICATION_TYPE")) for one in notices)
            return
        for start in range(0, len(notices), SIZE):
            part = notices[start : start + SIZE]
            inputs = [
                {
                    "customNotifTypeId": kind,
                    "recipientIds": list(one.to),
                    "title": _cut(one.title, 250),
                    "body": _cut(one.body, 750),
                    "targetId": one.record.id if one.record is not None else _NOBODY,
                }
                for one in part
            ]
            action = "/actions/standard/customNotificationAction"
            try:
                reply = self.org.call("POST", action, json={"inputs": inputs}, safe=False)
                answers = reply.decode(list[dict[str, Any]])
            except RetryableError as error:
                why = f"Nobody knows whether the notification arrived, and it is not repeated: {error}"
                yield from ((one.key, Refused(why, "unknown")) for one in part)
                continue
            for n, one in enumerate(part):
                answer = answers[n] if n < len(answers) else answers[0] if not reply.ok else {}
                yield one.key, self._notified(one, answer, reply.date or self._clock.now())

    def _notified(self, notice: Notify, answer: Mapping[str, Any], at: datetime) -> Outcome:
        if answer.get("isSuccess"):
            about = notice.record or Identity(self.reader.name, "Notification", "")
            return Done(Receipt(notice.key, about, at))
        if not answer:
            return Refused("Salesforce did not say what became of this notification.", "unknown")
        error = errors(answer.get("errors") or answer)[0]
        outcome = meaning(error, "The notification", {})
        return Refused(outcome.why, code=error.code) if isinstance(outcome, Retry) else outcome

    def _notification_type(self, name: str) -> str:
        if "notification" not in self._known:
            text = format_soql("SELECT Id FROM CustomNotificationType WHERE DeveloperName = {}", name)
            (rows,), _ = self.org.queries([lambda: text], deleted=False)
            if not rows:
                return ""
            self._known["notification"] = rows[0]["Id"]
        return str(self._known["notification"])


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
