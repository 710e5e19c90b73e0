"""What a system answered to a batch of commands: grouped for the store, and told in the log."""

import logging
from collections.abc import Iterator, Mapping

from syncagent.model import Outcome, Refused, Retry
from syncagent.state.store import OutboxItem

log = logging.getLogger("syncagent")


def chunks(
    answers: Iterator[tuple[str, Outcome]], unanswered: dict[str, OutboxItem], size: int = 400
) -> Iterator[list[tuple[str, int, Outcome]]]:
    """Answers in groups worth a transaction. What was answered before a failure is handed on before it is raised."""
    ready: list[tuple[str, int, Outcome]] = []
    try:
        for key, outcome in answers:
            item = unanswered.pop(key)
            ready.append((key, item.revision, outcome))
            if len(ready) >= size:
                yield ready
                ready = []
    except Exception:
        if ready:
            yield ready
        raise
    if ready:
        yield ready


def all_answered(unanswered: Mapping[str, OutboxItem]) -> None:
    """Raise `LookupError` when a target has ended without a word on some commands."""
    if unanswered:
        raise LookupError(f"no answer for {next(iter(unanswered))}, and {len(unanswered) - 1} more")


def log_refusals(outcomes: list[tuple[str, int, Outcome]]) -> None:
    """A line for each refusal; what only waits, in one line a reason: a failed call postpones thousands."""
    waiting: dict[str, list[str]] = {}
    for key, _, outcome in outcomes:
        if isinstance(outcome, Refused):
            log.warning("refused: %s: %s", key, outcome.why, extra={"key": key})
        elif isinstance(outcome, Retry):
            waiting.setdefault(outcome.why, []).append(key)
    for why, keys in waiting.items():
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        log.warning("retry: %s%s: %s", keys[0], more, why, extra={"key": keys[0]})
