"""What mail and chat have in common: notices that are told at most once, several to one place as one message."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from syncagent.model import AnyCommand, Done, Identity, Key, Notify, Outcome, Receipt, Refused, Retry

_LONGEST_TITLE = 180


def sorted_out(batch: Sequence[AnyCommand]) -> tuple[list[Notify], dict[Key, Outcome]]:
    """The notices that may be sent, and why the others may not."""
    go: list[Notify] = []
    outcomes: dict[Key, Outcome] = {}
    for command in batch:
        if not isinstance(command, Notify):
            outcomes[command.key] = Refused("Only notices can be told here.")
        elif command.attempt:
            outcomes[command.key] = Refused("It was sent once, and nobody knows whether it arrived.", "unknown")
        else:
            go.append(command)
    return go, outcomes


def by_place(notices: Sequence[Notify], places: Mapping[str, str]) -> Iterator[tuple[str, list[Notify]]]:
    """The notices of each place, in the order in which places come first; "" holds those for nobody who is known."""
    found: dict[str, list[Notify]] = {}
    for notice in notices:
        found.setdefault(next((places[who] for who in notice.to if who in places), ""), []).append(notice)
    yield from found.items()


def title_of(notices: Sequence[Notify]) -> str:
    """One line: of one notice its own title, else how many there are."""
    if len(notices) > 1:
        return f"{len(notices)} alerts: {_line(notices[0].title)} ..."[:_LONGEST_TITLE]
    return _line(notices[0].title)[:_LONGEST_TITLE]


def text_of(notices: Sequence[Notify]) -> str:
    """All of it in plain text; what is said twice is said once."""
    told = dict.fromkeys(f"{_line(one.title)}\n{one.body.strip()}" for one in notices)
    return "\n\n".join(told)


def done(name: str, notice: Notify, at: datetime) -> Done:
    """It was taken."""
    return Done(Receipt(notice.key, Identity(name, "Message", notice.key), at))


def answered(notices: Sequence[Notify], outcome: Retry | Refused) -> Iterator[tuple[Key, Outcome]]:
    """The same answer for all of them."""
    for one in notices:
        yield one.key, outcome


def _line(text: str) -> str:
    """Text as one line without anything that steers: a line break in a title must not forge a header."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
