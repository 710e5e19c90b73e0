"""A length of time and a test of one attribute: what every part of the agreement is written with."""

from msgspec import Struct

from syncagent.model import Value


class Duration(Struct, frozen=True):
    """Calendar days or minutes; one of the two is 0."""

    days: int = 0
    minutes: int = 0


class Condition(Struct, frozen=True):
    """One test of an attribute; all that is given must hold. Texts compare without case.

    `matches` is a regular expression searched in the text; `globs` are names of which one must fit ("*.edu"), as the
    lists of the config are; `minimum`/`maximum` are inclusive numbers; `present` asks whether there is a value at all.
    `spans` are first and last texts of ranges: the value counts without spaces and hyphens, in capitals (postal codes).
    `newer`/`older` test the age of a date: at most, or more than, so long ago. Only fit rules know the time.
    """

    values: tuple[Value, ...] = ()
    matches: str = ""
    minimum: float | None = None
    maximum: float | None = None
    present: bool | None = None
    globs: tuple[str, ...] = ()
    newer: Duration | None = None
    older: Duration | None = None
    spans: tuple[tuple[str, str], ...] = ()
