"""Who spoils a batch: what fails again and again is sent in ever smaller parts, until it stands alone (law 9).

Only failures that what was sent may be the reason of make anybody a suspect: a mistake of ours, or an answer that says
"failed" to a whole call. One who fails alone is told to be poison only when the system carries out others meanwhile:
an outage must not park what is well. The search costs about two calls for each time that the batch can be halved; it
goes on over restarts, for an agent that is run for one round at a time must come to its end, too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock

import msgspec
from msgspec import Struct

from syncagent.errors import ConfigError, ConnectorDownError, RetryableError, StoreBrokenError, StoreFullError
from syncagent.model import AnyCommand, Done, Key, Outcome
from syncagent.state.store import Store

FAILURES = 2
"""So many failures halve a batch. One who stands alone is parked when others like it went through before as many."""
FIRST, LONGEST = 5.0, 120.0
"""Seconds that one waits which has failed alone, doubled with each time."""
APART = 1.0
"""Seconds that a part which has failed waits longer than the others: they go first."""


class Suspect(Struct):
    """A command that was under way in failures. `most`: how many may be sent with it, itself counted (0: any number).

    `passed`: others like it were carried out since its last failure; `proofs`: how many failures came after that.
    `well`: the system has carried out something, and no call without this command has failed since.
    """

    verb: str
    failures: int = 0
    most: int = 0
    alone: int = 0
    passed: bool = False
    proofs: int = 0
    well: bool = False


class Verdict(Struct, frozen=True):
    """What to do after a failure: park `poison`; leave the whole system alone, unless `others_go`.

    What has failed comes again `apart` seconds later than the others.
    """

    poison: tuple[Key, ...] = ()
    others_go: bool = False
    apart: float = 0.0


class Suspects:
    """The suspects of one target. Safe to share between threads."""

    def __init__(self, store: Store, target: str) -> None:
        self._store, self._place = store, f"suspects/{target}"
        self._stored = store.meta(self._place) or ""
        self._known: dict[Key, Suspect] = msgspec.json.decode(self._stored or "{}", type=dict[Key, Suspect])
        self._lock = Lock()

    def at_most(self) -> Mapping[Key, int]:
        """How many commands a batch may hold that one of these is in."""
        with self._lock:
            return {key: one.most for key, one in self._known.items() if one.most}

    def answered(self, answers: Iterable[tuple[AnyCommand, Outcome]]) -> None:
        """The target has answered: whatever it said, these spoil no batch."""
        with self._remembered():
            went = set()
            for command, outcome in answers:
                self._known.pop(command.key, None)
                if isinstance(outcome, Done) and not outcome.receipt.adopted:
                    went.add(type(command).__name__)
            for one in self._known.values():
                one.passed = one.passed or one.verb in went
                one.well = one.well or bool(went)

    def failed(self, unanswered: Sequence[AnyCommand], error: Exception) -> Verdict:
        """These were under way when the target failed."""
        if not unanswered or not _may_be_the_content(error):
            return Verdict()
        with self._remembered():
            group = [self._known.setdefault(command.key, Suspect(type(command).__name__)) for command in unanswered]
            others_go = any(one.passed for one in group)
            for one in group:
                one.failures += 1
                one.proofs += one.passed
                one.passed = False
            failed = {command.key for command in unanswered}
            for key, other in self._known.items():
                other.well = other.well and key in failed
            if max(one.failures for one in group) < FAILURES:
                return Verdict()
            for one in group:
                one.most = max(1, len(group) // 2)
            if len(group) > 1:
                return Verdict((), others_go, APART)
            (one,) = group
            if one.well and one.proofs >= FAILURES:
                del self._known[unanswered[0].key]
                return Verdict((unanswered[0].key,), others_go=True)
            one.alone += 1
            return Verdict((), others_go, min(FIRST * 2 ** (one.alone - 1), LONGEST))

    @contextmanager
    def _remembered(self) -> Iterator[None]:
        """Change what is known, and keep it for the next start."""
        with self._lock:
            yield
            known = msgspec.json.encode(self._known).decode() if self._known else ""
            if known == self._stored:
                return
            try:
                self._store.set_meta(self._place, known)
            except StoreFullError:
                return  # kept with the next change; a search that begins anew loses nothing but time
            self._stored = known


def _may_be_the_content(error: Exception) -> bool:
    if isinstance(error, RetryableError):
        return error.suspect
    return not isinstance(error, ConnectorDownError | ConfigError | StoreFullError | StoreBrokenError)


def told(error: Exception) -> str:
    """Why it is parked, and what helps."""
    helps = "All others go on. Mend it, then run `syncagent outbox retry`; or give it up with `syncagent outbox drop`."
    if isinstance(error, RetryableError):
        return f"It fails whenever it is sent, also alone, while others go through: {error} {helps}"
    mistake = f"{type(error).__name__}: {str(error)[:200]}"
    return f"syncagent itself makes a mistake with it ({mistake}); please report that with the log. {helps}"
