"""Whom all that is logged is about, from the decision down to the vendor's answer, whichever floor logs it.

A correlation id is a handoff's id ("7.1"), which begins with its person's number, or that number ("7") where there is
no handoff: never a name or an address. It is the thread's own; what is logged elsewhere is about nobody.
"""

from collections.abc import Sequence
from contextvars import ContextVar

MOST = 50
"""A batch may be about thousands: so many are named."""

_about: ContextVar[tuple[str, ...]] = ContextVar("about", default=())


def speak_of(ids: Sequence[str]) -> None:
    """All that this thread logs from now on is about these; of nobody: ()."""
    _about.set(tuple(dict.fromkeys(ids))[:MOST])


def spoken_of() -> tuple[str, ...]:
    """Whom this thread speaks of."""
    return _about.get()


def id_of(person: int, handoff: str) -> str:
    """The correlation id of what happens to a person in a handoff, or outside one."""
    return handoff or str(person)
