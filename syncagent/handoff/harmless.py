"""What strangers wrote, fit to stand in a rep's task: one line of visible text that steers nothing and links nowhere.

Names, companies, page addresses and answers come from forms that anybody can fill out. Nothing here knows how a system
shows text: what is HTML there is escaped by its connector.
"""

import re
import unicodedata
from functools import lru_cache

_WORD = 60
_MARKS = 3
_JOINERS = "\u200c\u200d"  # Persian and emoji need them; between Latin letters they only hide something
_LINK = re.compile(r"(?i)(?:\b[a-z][a-z0-9+.-]{0,30}:)?//+[^\s<>\"']+|\bwww\.[^\s<>\"']+")
_SCHEME = re.compile(r"(?i)^(?:[a-z][a-z0-9+.-]*:)?/*(?:[^/@?#]*@)?")


@lru_cache(maxsize=4096)
def harmless(text: str, words: int = 16, chars: int = 160) -> str:
    """One line, at most so many words and characters; what is cut ends in "…", between words.

    Control characters, line breaks, direction overrides and invisible characters are gone. An address of a page is no
    link any more, and has lost what stands behind "?". A word of more than 60 characters is none, and is shortened.
    """
    if not (text.isascii() and text.isprintable()):
        text = _visible(text)
    if "//" in text or "www." in text.casefold():
        text = _LINK.sub(lambda found: _no_link(found[0]), text)
    found = [one if len(one) <= _WORD else f"{one[: _WORD - 1]}…" for one in text.split()]
    kept = found[:words]
    while len(kept) > 1 and sum(map(len, kept)) + len(kept) > chars:
        kept.pop()
    return " ".join(kept) + ("…" if len(kept) < len(found) and not kept[-1].endswith("…") else "")


def page_of(address: str) -> str:
    """What a rep should read of a page's address: the path of a URL, without what stands behind "?"."""
    if "://" not in address:
        return address
    host, slash, path = _SCHEME.sub("", address).partition("/")
    path = re.split(r"[?#]", path)[0].rstrip("/")
    return f"{slash}{path}" if path else re.split(r"[?#]", host)[0]


def _no_link(address: str) -> str:
    plain = re.split(r"[?#]", _SCHEME.sub("", address))[0]
    host, slash, path = plain.partition("/")
    return host.replace(".", "[.]") + slash + path


def _visible(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if char.isprintable():
            if marks <= _MARKS:
                kept.append(char)
        elif char in _JOINERS:
            if kept and ord(kept[-1]) > 0x2FF:
                kept.append(char)
        elif unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp", "Zs"):
            kept.append(" ")
    return "".join(kept)
