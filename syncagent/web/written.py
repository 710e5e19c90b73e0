"""What was written, and what the system answered, in pairs of words for a page."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from msgspec.structs import asdict

from syncagent.model import AnyCommand, Identity, Receipt

_NOT_TOLD: Final = frozenset(
    ("key", "target", "person", "handoff", "lane", "depends_on", "attempt", "not_before", "expects", "optional",
     "revision", "emails", "create", "values", "over")
)  # fmt: skip
_PEOPLE: Final = ("owner", "to")
Pairs = list[tuple[str, Any]]


def tells(command: AnyCommand, called: Callable[[str], str]) -> Pairs:
    """What a command says, in pairs: the values that it writes, else its words.

    Moments stay moments, for the page knows the zone. `called` names a user or queue of the CRM.
    """
    told = asdict(command)
    pairs = [
        (name, _named(value, called) if name == "owner" else value)
        for name, value in {**(told.get("create") or {}), **told.get("values", {})}.items()
    ]
    for name, value in told.items():
        if name not in _NOT_TOLD and value not in (None, False, "", (), {}):
            said = _named(value, called) if name in _PEOPLE else _flat(value)
            pairs.append((name.replace("_", " "), said))
    return pairs


def answers(receipt: Receipt | None) -> Pairs:
    """What the system answered, in pairs; empty where it has not."""
    if receipt is None:
        return []
    told: Pairs = [("record", _flat(receipt.record))]
    told += [("note", receipt.note)] if receipt.note else []
    told += [("left out", _flat(receipt.left_out))] if receipt.left_out else []
    return told + [(name, "yes") for name, said in (("adopted", receipt.adopted), ("gone", receipt.gone)) if said]


def _named(who: Any, called: Callable[[str], str]) -> str:  # noqa: ANN401 - one id, or several
    return ", ".join(
        one if called(one) == one else f"{called(one)} ({one})" for one in map(str, who if _several(who) else (who,))
    )


def _flat(value: Any) -> Any:  # noqa: ANN401 - whatever a command holds
    if isinstance(value, Identity):
        return f"{value.system} {value.object} {value.id}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_flat(one)}" for name, one in value.items())
    if _several(value):
        return ", ".join(str(_flat(one)) for one in value)
    return value if isinstance(value, datetime | bool) else str(value)


def _several(value: object) -> bool:
    return isinstance(value, list | tuple | set | frozenset)
