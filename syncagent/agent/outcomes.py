"""What a system answered to a batch of commands: grouped for the store, and told in the log; and who is held."""

import logging
from collections.abc import Iterator, Mapping, Sequence

from syncagent import correlation
from syncagent.model import AnyCommand, Outcome, Refused, Retry
from syncagent.state.store import Held, OutboxItem

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


def log_answers(answers: Sequence[tuple[AnyCommand, Outcome]]) -> None:
    """A line for each command of a handoff, and for each refusal; what only waits, in one line a reason: a failed call
    postpones thousands.
    """
    waiting: dict[str, list[AnyCommand]] = {}
    for command, outcome in answers:
        about = {"person": command.person, "handoff": command.handoff, "key": command.key}
        if isinstance(outcome, Refused):
            log.warning("refused: %s: %s", command.key, outcome.why, extra=about)
        elif isinstance(outcome, Retry):
            waiting.setdefault(outcome.why, []).append(command)
        else:
            level = logging.INFO if command.handoff else logging.DEBUG
            log.log(level, "%s: %s is done.", command.target, type(command).__name__, extra=about)
    for why, commands in waiting.items():
        first, more = commands[0], f" and {len(commands) - 1} more" if len(commands) > 1 else ""
        about = {"person": first.person, "handoff": first.handoff, "key": first.key}
        log.warning("retry: %s%s: %s", first.key, more, why, extra=about)


def speak_of(items: Sequence[OutboxItem]) -> None:
    """What is logged until the next call is about these."""
    correlation.speak_of([correlation.id_of(item.command.person, item.command.handoff) for item in items])


def warn_held(held: Sequence[Held]) -> None:
    """A line for all whom the brake holds now."""
    causes = ", ".join(sorted({one.cause for one in held}))
    says = "%d people are held (%s); see `syncagent status`, let go with `syncagent release`"
    log.warning(says, len(held), causes)
