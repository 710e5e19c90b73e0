"""What an admin may write for reps to read: text, {placeholders}, and [parts that are left out]. It can run no code.

A line says nothing when a placeholder outside brackets has no value, or when none of its placeholders has one. A part
in square brackets is left out when one of its placeholders has none. {{ }} [[ ]] stand for single ones.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from msgspec import Struct

_TOKEN = re.compile(r"\{\{|\}\}|\[\[|\]\]|\{([^{}\[\]]*)\}|[\[\]{}]|[^\[\]{}]+")
_PLAIN = {"{{": "{", "}}": "}", "[[": "[", "]]": "]"}


class Place(Struct, frozen=True):
    """Where a value stands."""

    name: str


Pieces = tuple[str | Place, ...]


class Line(Struct, frozen=True):
    """A line, read: its parts in their order, each with whether it may be left out; and the names in it."""

    parts: tuple[tuple[bool, Pieces], ...]
    names: tuple[str, ...]

    def fill(self, values: Mapping[str, str]) -> str:
        """The line with these values; empty when it has nothing to say."""
        if self.names and not any(values.get(name) for name in self.names):
            return ""
        said = []
        for optional, pieces in self.parts:
            missing = any(isinstance(one, Place) and not values.get(one.name) for one in pieces)
            if missing and not optional:
                return ""
            if not missing:
                said += [values[one.name] if isinstance(one, Place) else one for one in pieces]
        return " ".join("".join(said).split())

    @property
    def words(self) -> int:
        """How many words are its own, at least."""
        own = "".join(one if isinstance(one, str) else "" for _, pieces in self.parts for one in pieces)
        return sum(any(char.isalnum() for char in word) for word in own.split())


@lru_cache(maxsize=512)
def line_of(text: str) -> Line:
    """A line, read. Raises ValueError with a sentence that says where it breaks."""
    if any(not char.isprintable() for char in text):
        raise ValueError("It is one line of text: write each line as a text of its own.")
    parts: list[tuple[bool, Pieces]] = []
    pieces: list[str | Place] = []
    inside = False
    names: list[str] = []
    for found in _TOKEN.finditer(text):
        mark, name = found[0], found[1]
        if name is not None:
            if not name.strip():
                raise ValueError("{} names no placeholder.")
            names.append(name.strip())
            pieces.append(Place(name.strip()))
        elif mark == ("]" if inside else "["):
            if inside and not any(isinstance(one, Place) for one in pieces):
                raise ValueError("A part in [brackets] needs a placeholder; write [[ and ]] for brackets as such.")
            parts.append((inside, tuple(pieces)))
            pieces, inside = [], not inside
        elif mark in ("[", "]", "{", "}"):
            raise ValueError(_broken(mark))
        else:
            pieces.append(_PLAIN.get(mark, mark))
    if inside:
        raise ValueError("A [ is never closed; write [[ for a bracket as such.")
    parts.append((False, tuple(pieces)))
    return Line(tuple((optional, some) for optional, some in parts if some), tuple(dict.fromkeys(names)))


def _broken(mark: str) -> str:
    if mark == "[":
        return "A [ stands inside brackets: they cannot be nested."
    if mark == "]":
        return "A ] closes nothing; write ]] for a bracket as such."
    return f"A {mark} stands alone; write {mark * 2} for a brace as such."
