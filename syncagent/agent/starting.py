"""What is settled before an agent works on a file: since when it is live, and that no lead loses its status."""

from datetime import UTC, datetime

from syncagent.clock import Clock
from syncagent.errors import ConfigError, Problem
from syncagent.policy import Policy
from syncagent.state.store import Store


def refuse_orphans(store: Store, policy: Policy) -> None:
    """A status in use cannot be removed without a mapping (law 13). Raises `ConfigError`."""
    known = {*policy.crm.write_status.values(), *policy.crm.answers, *policy.crm.untouched}
    problems = [
        Problem(
            "crm.status",
            f"{count} open handoffs have the status {status!r}, which is not there any more.",
            f'Keep it as an answer, for example: accepted = ["{status}"].',
        )
        for status, count in store.statuses_in_use().items()
        if status not in known
    ]
    if problems:
        raise ConfigError(problems)


def _short(moment: datetime) -> str:
    """A moment to the millisecond, in few characters."""
    number, text = int(moment.timestamp() * 1000), ""
    while number:
        number, digit = divmod(number, 36)
        text = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + text
    return text


def live_from(store: Store, clock: Clock) -> datetime:
    """The moment of the first start: only what happens from then on opens a handoff (law 11)."""
    known = store.meta("live_from")
    if known is None:
        # A second installation on the same CRM, or a new file in an old one's place, must never use a key again.
        # Before the other: a kill in between makes the next start a first one still.
        store.set_meta("epoch", f"{_short(clock.now())}-e1")
        # Sources tell whole seconds: what happens within this one must not seem to have been before.
        known = clock.now().replace(microsecond=0).isoformat()
        store.set_meta("live_from", known)
    return datetime.fromisoformat(known).astimezone(UTC)
