"""Whose money it is: an amount shared among the touchpoints that came before it, exact to the cent.

Pure arithmetic: amounts are whole cents, shares are made by largest remainder, so that whatever is cut adds up again.
"""

from collections.abc import Iterable, Mapping, Sequence
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
    parts = [cents * weight for weight in weights]
    found = [part // whole for part in parts]
    left = cents - sum(found)
    if left:
        rests = [part % whole for part in parts]
        for place in sorted(range(len(parts)), key=rests.__getitem__, reverse=True)[:left]:
            found[place] += 1
    return found


def weights_of(model: Literal["even", "position"], count: int) -> list[int]:
    """How much each of `count` touchpoints, oldest first, has part in a deal.

    "position": 40 % the first, 40 % the last, 20 % all between them; of two, each half.
    """
    between = count - 2
    if model == "even" or between <= 0:
        return [1] * count
    return [2 * between] + [1] * between + [2 * between]


def in_order(touchpoints: Iterable[Touchpoint]) -> list[Touchpoint]:
    """Oldest first, each once; in whatever order they were told, those of one moment stand alike."""
    once = {(one.person, one.system, one.key): one for one in touchpoints}
    return sorted(once.values(), key=lambda one: (one.at, one.system, one.key, one.person))


def credit(cents: int, names: Sequence[N], model: Model) -> Mapping[N, int]:
    """Each name's part of a deal. `names`: what each touchpoint is called, oldest first; of none nobody has a part."""
    if not names:
        return {}
    if model == "first" or model == "last":
        return {names[0 if model == "first" else -1]: cents}
    found: dict[N, int] = {}
    for name, part in zip(names, shares(cents, weights_of(model, len(names))), strict=True):
        found[name] = found.get(name, 0) + part
    return found
