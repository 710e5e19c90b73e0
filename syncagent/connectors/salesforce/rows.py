"""Sending rows: collections of 200, a few calls at a time, and every row's own answer."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from syncagent.connectors.salesforce.answers import named_fields
from syncagent.connectors.salesforce.org import Error, Org, errors
from syncagent.correlation import speak_of, spoken_of
from syncagent.errors import ConnectorDownError, RetryableError

SIZE: Final = 200  # crm.md A6
IN_FLIGHT: Final = 5


class Sent(Struct):
    """The answers in the order of the rows: an id, an error, or None where nobody knows; `failure` says why."""

    results: list[str | Error | None]
    at: datetime | None
    failure: RetryableError | ConnectorDownError | None = None


def send(
    org: Org,
    method: str,
    records: Sequence[dict[str, Any]],
    headers: Mapping[str, str] | None = None,
    *,
    safe: bool = False,
) -> Sent:
    """Create (POST) or update (PATCH) records; each has its `attributes`. One bad row does not harm the others.

    A call that fails as a whole leaves its rows unknown, and the others go on; one that is `safe` is repeated first.
    """
    parts = [records[start : start + SIZE] for start in range(0, len(records), SIZE)]
    sent = Sent([], None)
    if len(parts) == 1:
        _collect(sent, len(parts[0]), lambda: _part(org, method, parts[0], headers, safe=safe))
    elif parts:
        count = min(IN_FLIGHT, len(parts))
        with ThreadPoolExecutor(count, org.name, speak_of, (spoken_of(),)) as pool:
            futures: list[Future[tuple[list[str | Error], datetime | None]]] = [
                pool.submit(_part, org, method, part, headers, safe=safe) for part in parts
            ]
            for part, future in zip(parts, futures, strict=True):
                _collect(sent, len(part), future.result)
    return sent


def _collect(sent: Sent, size: int, result: "Any") -> None:  # noqa: ANN401 - a function of a part's answer
    try:
        results, at = result()
    except (RetryableError, ConnectorDownError) as error:
        sent.results += [None] * size
        if not isinstance(sent.failure, ConnectorDownError):  # the one that lasts longer is told
            sent.failure = error
    else:
        sent.results += results
        sent.at = max(filter(None, (sent.at, at)), default=None)


def _part(
    org: Org, method: str, records: Sequence[dict[str, Any]], headers: Mapping[str, str] | None, *, safe: bool
) -> tuple[list[str | Error], datetime | None]:
    body = {"allOrNone": False, "records": list(records)}
    reply = org.call(method, "/composite/sobjects", json=body, headers=headers, safe=safe)
    if reply.ok:
        answers = reply.decode(list[dict[str, Any]])
        if len(answers) != len(records):
            told = f"{reply.where} answered {len(answers)} of {len(records)} rows."
            raise RetryableError(told, after=10, suspect=True)
        return [one["id"] if one.get("success") else errors(one.get("errors"))[0] for one in answers], reply.date
    error = errors(reply.decode(object))[0]
    if len(records) == 1:
        return [error], reply.date
    # The whole call was refused before a row was written (crm.md A6): find out which rows were meant.
    named = set(named_fields(error))
    guilty = [bool(named.intersection(record)) for record in records]
    if any(guilty):
        rest = [record for record, bad in zip(records, guilty, strict=True) if not bad]
        answered = iter(_part(org, method, rest, headers, safe=safe)[0] if rest else [])
        return [error if bad else next(answered) for bad in guilty], reply.date
    if reply.status != 400:
        return [error] * len(records), reply.date
    middle = len(records) // 2
    first, _ = _part(org, method, records[:middle], headers, safe=safe)
    second, at = _part(org, method, records[middle:], headers, safe=safe)
    return first + second, at
