"""Salesforce ids: three characters of prefix, twelve of base 62, three that make them safe where case is lost."""

from typing import Final

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SUFFIX: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_ALLOWED: Final = frozenset(_BASE62)
_POD: Final = "Sb0"


def suffix(fifteen: str) -> str:
    """The three characters that encode which of the fifteen are capitals."""
    return "".join(
        _SUFFIX[sum(1 << place for place, letter in enumerate(fifteen[start : start + 5]) if "A" <= letter <= "Z")]
        for start in (0, 5, 10)
    )


def make(prefix: str, number: int) -> str:
    """The id with that serial number; greater numbers sort later."""
    digits = ""
    for _ in range(9):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    fifteen = prefix + _POD + digits
    return fifteen + suffix(fifteen)


def full(text: object) -> str | None:
    """The 18-character form of a 15- or 18-character id, or None when it is not an id."""
    if not isinstance(text, str) or len(text) not in (15, 18) or not _ALLOWED.issuperset(text):
        return None
    whole = text[:15] + suffix(text[:15])
    return whole if len(text) == 15 or text == whole else None
