"""Sending rows: batches of 100, a few calls at a time, and every row's own answer.

Every row bears an objectWriteTraceId: only then is a batch not all or nothing, and only by it can an error be told to
belong to a row (crm.md B4). The order of results says nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Literal

from msgspec import Struct

from syncagent.connectors.http import BusyError, Reply
from syncagent.connectors.hubspot.portal import BATCH, DeniedError, Portal
from syncagent.connectors.hubspot.shapes import Error, Row, error_of, json_of
from syncagent.correlation import speak_of, spoken_of
from syncagent.errors import ConnectorDownError, RetryableError

IN_FLIGHT: Final = 4

Match = Callable[[Mapping[str, Any], Row], bool]
"""Whether a result answers an input, where HubSpot does not give the trace back."""


class Sent(Struct):
    """The answers in the order of the rows: a record, an error, or None where nobody knows; `failure` says why.

    `undone`: the numbers of rows of which it is certain that nothing was done.
    """

    results: list[Row | Error | None]
    failure: RetryableError | ConnectorDownError | None = None
    undone: list[int] = []


def send(
    portal: Portal,
    verb: Literal["create", "update"],
    kind: str,
    inputs: Sequence[Mapping[str, Any]],
    match: Match,
) -> Sent:
    """Create or update records. One bad row does not harm the others; a call that fails leaves its rows unknown."""
    parts = [inputs[start : start + BATCH] for start in range(0, len(inputs), BATCH)]
    sent = Sent([])
    if len(parts) == 1:
        _collect(sent, len(parts[0]), lambda: _part(portal, verb, kind, parts[0], match))
    elif parts:
        count = min(IN_FLIGHT, len(parts))
        with ThreadPoolExecutor(count, portal.name, speak_of, (spoken_of(),)) as pool:
            futures: list[Future[list[Row | Error | None]]] = [
                pool.submit(_part, portal, verb, kind, part, match) for part in parts
            ]
            for part, future in zip(parts, futures, strict=True):
                _collect(sent, len(part), future.result)
    return sent


def _collect(sent: Sent, size: int, result: Callable[[], list[Row | Error | None]]) -> None:
    try:
        answers = result()
    except (RetryableError, ConnectorDownError) as error:
        if isinstance(error, BusyError | ConnectorDownError | DeniedError):
            sent.undone += range(len(sent.results), len(sent.results) + size)
        sent.results += [None] * size
        if not isinstance(sent.failure, ConnectorDownError):  # the one that lasts longer is told
            sent.failure = error
    else:
        sent.results += answers
        if None in answers and sent.failure is None:
            lost = sum(one is None for one in answers)
            sent.failure = RetryableError(f"HubSpot gave no answer to {lost} of {size} rows of a batch.", after=10)


def _part(
    portal: Portal,
    verb: Literal["create", "update"],
    kind: str,
    inputs: Sequence[Mapping[str, Any]],
    match: Match,
) -> list[Row | Error | None]:
    body = {"inputs": [{**one, "objectWriteTraceId": f"row-{n}"} for n, one in enumerate(inputs)]}
    call = portal.batch.create if verb == "create" else portal.batch.update
    reply: Reply = call(kind, body, _preload_content=False)
    if reply.ok:
        return _told(reply.decode(dict[str, Any]), inputs, match)
    error = error_of(json_of(reply), reply.status)
    if len(inputs) == 1:
        return [error]
    # The whole call was refused before a row was written: find out which rows were meant.
    missing = {name for name, code in error.properties.items() if code == "PROPERTY_DOESNT_EXIST"}
    bad = [bool(missing.intersection(one["properties"])) for one in inputs]
    if any(bad):
        rest = [one for one, out in zip(inputs, bad, strict=True) if not out]
        answered = iter(_part(portal, verb, kind, rest, match) if rest else ())
        return [error if out else next(answered) for out in bad]
    middle = len(inputs) // 2
    return _part(portal, verb, kind, inputs[:middle], match) + _part(portal, verb, kind, inputs[middle:], match)


def _told(body: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]], match: Match) -> list[Row | Error | None]:
    """Each input's own answer out of a whole or a partial success (207)."""
    answers: list[Row | Error | None] = [None] * len(inputs)
    left: list[Row] = []
    for row in body.get("results", ()):
        n = _number(row.get("objectWriteTraceId"), len(inputs))
        if n is None:
            left.append(row)
        else:
            answers[n] = row
    for one in body.get("errors") or ():
        error = error_of(one)
        for trace in error.context.get("objectWriteTraceId") or ():
            if (n := _number(trace, len(inputs))) is not None:
                answers[n] = error
    for row in left:
        for n, one in enumerate(inputs):
            if answers[n] is None and match(one, row):
                answers[n] = row
                break
    return answers


def _number(trace: object, size: int) -> int | None:
    text = str(trace or "")
    number = text.removeprefix("row-")
    return int(number) if text.startswith("row-") and number.isdigit() and int(number) < size else None
