"""The profile's past: every telling of a record widens what is known of when its values held.

A value's first and last telling are a minimum and a maximum, so that order and repetition change nothing.
"""

from collections.abc import Mapping
from datetime import datetime

from syncagent.model import Identity, Value
from syncagent.model.profile import WORK, History, Seen

KEPT = 10
"""So many values of one attribute are kept: the first one ever, and the latest."""

Told = tuple[Mapping[str, Value], datetime]
"""Values by name, and when the system told them."""


def remember(histories: tuple[History, ...], identity: Identity, stored: Told, told: Told) -> tuple[History, ...]:
    """The histories with one more telling of a record that is `stored` as the tellings before have left it."""
    old = next((each for each in histories if each.identity == identity), None)
    values, at = stored
    born = at if old is None else old.born
    past = {} if old is None else old.seen
    news, moment = told
    if old is None and moment == at and all(values.get(name) == value for name, value in news.items()):
        return histories
    names = [name for name in {**values, **news} if name not in WORK]
    if not names:
        return histories
    earliest, latest = min(born, moment), max(at, moment)
    seen: dict[str, tuple[Seen, ...]] = {}
    for name in names:
        known = past.get(name) or ((Seen(values[name], born, at),) if name in values else ())
        if name in news:
            known = _widened(known, news[name], moment)
        if len(known) > 1 or known[0].first != earliest or known[0].last != latest:
            seen[name] = known
    new = History(identity, earliest, seen)
    if new == old:
        return histories
    return tuple(sorted((*(each for each in histories if each is not old), new), key=lambda each: each.identity))


def _widened(known: tuple[Seen, ...], value: Value, moment: datetime) -> tuple[Seen, ...]:
    same = next((each for each in known if each.value == value), None)
    if same is None:
        now = Seen(value, moment, moment)
    else:
        now = Seen(same.value, min(same.first, moment), max(same.last, moment))
    whole = sorted((*(each for each in known if each is not same), now), key=lambda each: (each.first, str(each.value)))
    if len(whole) > KEPT:
        dropped = min(whole[1:], key=lambda each: (each.last, str(each.value)))
        whole.remove(dropped)
    return tuple(whole)


def newest(histories: tuple[History, ...], identity: Identity, values: dict[str, Value]) -> dict[str, Value]:
    """The values with what was told last of each: tellings that name only some may come late, in any order."""
    past = next((each for each in histories if each.identity == identity), None)
    if past is None:
        return values
    late: dict[str, Value] = {}
    for name, seen in past.seen.items():
        last = max(each.last for each in seen)
        if not any(each.last == last and each.value == values[name] for each in seen):
            late[name] = next(each.value for each in seen if each.last == last)
    return {**values, **late}
