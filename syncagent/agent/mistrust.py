"""A system that is suddenly empty is not believed (law 11)."""

from collections.abc import Callable
from datetime import datetime, timedelta

from syncagent.errors import RetryableError
from syncagent.model import CrmRecord, Deleted, Page
from syncagent.state.store import Store

BELIEVED = timedelta(hours=1)
"""How long an admin's word holds that so many deletions are right."""
_MAY_END = (Deleted, CrmRecord)


class Mistrust:
    """Asked of every page before it is stored. More than `most` deletions that are a fifth of all are too many."""

    def __init__(self, store: Store, now: Callable[[], datetime], most: int, again: float) -> None:
        self._store, self._now, self._most, self._again = store, now, most, again
        self._doubted: set[str] = set()

    def __call__(self, page: Page, name: str) -> None:
        """Raise `RetryableError` when too many are gone at once, and no admin has said that it is right."""
        ended = [fact for fact in page.facts if isinstance(fact, _MAY_END)]
        gone = sum(not isinstance(fact, CrmRecord) or fact.deleted for fact in ended)
        if gone <= self._most:
            self._doubted.discard(name)
            return
        believed = self._store.meta(f"believe/{name}")
        if believed and self._now() - datetime.fromisoformat(believed) < BELIEVED:
            self._doubted.discard(name)
            return
        people = self._store.health(self._now()).people
        if gone > people / 5:
            self._doubted.add(name)
            raise RetryableError(
                f"{name} says that {gone} records were deleted at once; nobody is treated as gone. "
                f"If that is right, run `syncagent release --deletions {name}`.",
                self._again,
            )

    def doubts(self, name: str) -> bool:
        """Whether what this system said last was not believed."""
        return name in self._doubted
