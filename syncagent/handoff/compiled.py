"""A policy is read once and turned into closures and tables; they live as long as the policy is in use.

Settings hold dicts, so they cannot be hashed: the memory goes by identity, and keeps the policy alive meanwhile so
that its identity cannot be taken by another one. What is remembered can always be built again: nothing here is state.
"""

from collections.abc import Callable
from typing import TypeVar

from syncagent.policy import Policy

T = TypeVar("T")
_KEPT = 16


def once_per_policy(build: Callable[[Policy], T]) -> Callable[[Policy], T]:
    """`build`, called once for each policy object among the last few in use."""
    kept: dict[int, tuple[Policy, T]] = {}

    def get(policy: Policy) -> T:
        found = kept.get(id(policy))
        if found is not None and found[0] is policy:
            return found[1]
        made = build(policy)
        if len(kept) >= _KEPT:
            kept.clear()
        kept[id(policy)] = (policy, made)
        return made

    return get
