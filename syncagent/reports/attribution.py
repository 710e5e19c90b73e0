"""Whose money it is: an amount shared among the touchpoints that came before it, exact to the cent.

Pure arithmetic: amounts are whole cents, shares are made by largest remainder, so that whatever is cut adds up again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, TypeVar

from msgspec import Struct

N = TypeVar("N")
Model = Literal["first", "last", "even", "position"]
MODELS: tuple[Model, ...] = ("first", "last", "even", "position")


class Touchpoint(Struct, frozen=True, gc=False):
    """Something that somebody with a deal did, or was told to have done; (`person`, `system`, `key`) is unique."""

    at: datetime
    person: int
    system: str
    key: str
    kind: str = ""
    source: str = ""
    campaign: str = ""
    content: str = ""


def shares(cents: int, weights: Sequence[int]) -> list[int]:
    """`cents` by `weights`: the sum is exact, nobody is a whole cent away from their part.

    What is left over by rounding down goes to the largest remainders, of equal ones to the first. A negative amount is
    shared as its opposite. Raises ValueError where no weight is above 0.
    """
    whole = sum(weights)
    if whole <= 0 or min(weights) < 0:
        raise ValueError("An amount can only be shared by weights of which one is above 0 and none below.")
    if cents < 0:
        return [-part for part in shares(-cents, weights)]
    parts = [divmod(cents * weight, whole) for weight in weights]
    found = [part for part, _ in parts]
    left = cents - sum(found)
    for place in sorted(range(len(parts)), key=lambda one: -parts[one][1])[:left]:
        found[place] += 1
    return found


def weights_of(model: Model, count: int) -> list[int]:
    """How much each of `count` touchpoints, oldest first, has part in a deal.

    "position": 40 % the first, 40 % the last, 20 % all between them; of two, each half.
    """
    if count == 1 or model == "even":
        return [1] * count
    if model == "first":
        return [1] + [0] * (count - 1)
    if model == "last":
        return [0] * (count - 1) + [1]
    if count == 2:
        return [1, 1]
    between = count - 2
    return [2 * between] + [1] * between + [2 * between]


def in_order(touchpoints: Iterable[Touchpoint]) -> list[Touchpoint]:
    """Oldest first, each once; in whatever order they were told, those of one moment stand alike."""
    once = {(one.person, one.system, one.key): one for one in touchpoints}
    return sorted(once.values(), key=lambda one: (one.at, one.system, one.key, one.person))


def credit(
    cents: int, touchpoints: Sequence[Touchpoint], model: Model, name_of: Callable[[Touchpoint], N]
) -> Mapping[N, int]:
    """Each name's part of a deal; empty where there is no touchpoint. `touchpoints` as `in_order` gives them."""
    found: dict[N, int] = {}
    if touchpoints:
        parts = shares(cents, weights_of(model, len(touchpoints)))
        for one, part in zip(touchpoints, parts, strict=True):
            name = name_of(one)
            found[name] = found.get(name, 0) + part
    return found
