"""The journal's chain, checked line by line: whatever was changed, removed, inserted or moved is named.

A line's hash is taken over its number, its fields, the seal of what it says of a person, and the hash before it. So a
line that was changed fails by itself, and one that is missing, new or elsewhere does not fit between its neighbours.
What was cut off at the end shows only against something kept elsewhere: the file's own count, or a head noted before.
"""

import itertools
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from syncagent.model.seal import NOTHING_BEFORE, Line, Told, hash_of_line, seal_of
from syncagent.state.journal import FORGOTTEN

What = Literal["changed", "removed", "inserted", "moved", "resealed", "reason changed", "reason removed", "head"]
_NEAR = (1, -1, 2, -2, 3, -3)
_TRIED = 60
"""Among so many changed lines it is tried whether they have changed places."""


class Link(NamedTuple):
    """A line, and the hash before it."""

    before: bytes
    line: Line


class Finding(Struct, frozen=True):
    """What is wrong with a line, or with the lines `line` to `last`."""

    what: What
    line: int
    says: str
    last: int = 0


class Verdict(Struct, frozen=True):
    """All that was found, in the order of the lines; `head` is the last line's number and hash: worth noting elsewhere.

    `erased`: of so many lines nothing is told any more, for somebody was forgotten.
    """

    lines: int
    first: int
    head: str
    erased: int
    findings: tuple[Finding, ...]


def links(lines: Iterable[Line], before: bytes = NOTHING_BEFORE) -> Iterator[Link]:
    """Lines as they stand in a state, each behind the hash of the one before it."""
    for line in lines:
        yield Link(before, line)
        before = line.hash


# -- a file


def written(link: Link) -> str:
    """A line for an export: JSON, hashes and salts in hexadecimal."""
    line, told = link.line, link.line.told
    said = None
    if told is not None:
        said = {"salt": told.salt.hex(), "inputs": told.inputs.hex(), "plan": told.plan.hex(), "why": told.why}
    fields = {name: getattr(line, name) for name in Line.__struct_fields__ if name not in ("sealed", "hash", "told")}
    whole = {"before": link.before.hex(), **fields, "sealed": line.sealed.hex(), "hash": line.hash.hex(), "told": said}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))


class _Told(Struct, forbid_unknown_fields=True):
    salt: str
    inputs: str
    plan: str
    why: str


class _Link(Struct, forbid_unknown_fields=True):
    before: str
    id: int
    at: int
    person: int
    kind: str
    handoff: str
    data: str
    config: str
    format: int
    engine: str
    sealed: str
    hash: str
    told: _Told | None


_read = msgspec.json.Decoder(_Link).decode


def read(text: str | bytes) -> Link:
    """An exported line. Raises `ValueError` when it is none."""
    one = _read(text)
    told = None
    if one.told is not None:
        salt, inputs, plan = (bytes.fromhex(each) for each in (one.told.salt, one.told.inputs, one.told.plan))
        told = Told(salt, one.told.why, inputs, plan)
    fields = (one.id, one.at, one.person, one.kind, one.handoff, one.data, one.config, one.format, one.engine)
    line = Line(*fields, bytes.fromhex(one.sealed), bytes.fromhex(one.hash), told)
    return Link(bytes.fromhex(one.before), line)


# -- checking


def verify(chain: Iterable[Link], *, ever: int = 0, whole: bool = True, head: tuple[int, str] | None = None) -> Verdict:
    """Check every line. `whole`: it begins with the first line there ever was, and ends with number `ever`.

    `head` is a line's number and hash as noted before: it must stand there still.
    """
    check = _Check(whole=whole, head=head)
    for link in chain:
        check.take(link)
    return check.verdict(ever)


class _Check:
    """One pass over a journal."""

    def __init__(self, *, whole: bool, head: tuple[int, str] | None) -> None:
        self._whole, self._head = whole, head
        self._found: list[Finding] = []
        self._broken: list[Link] = []  # of lines that were changed, for whether they have changed places
        self._hashes: deque[bytes] = deque([NOTHING_BEFORE], maxlen=4)  # that the next line may stand behind
        self._gaps: list[tuple[int, int]] = []
        self._erased: list[tuple[int, int]] = []
        self._forgotten: dict[str, int] = {}  # person -> up to which line they were forgotten
        self._last: Line | None = None
        self._shift = self._lines = self._first = 0
        self._saw_head = False

    def take(self, link: Link) -> None:
        line, last = link.line, self._last
        self._lines += 1
        self._first = self._first or line.id
        if line.told is not None and seal_of(line.told) != line.sealed:
            self._tell("reason changed", line.id, "what it says of the person is not what was sealed")
        if line.told is None:
            self._erased.append((line.id, line.person))
        if line.kind == FORGOTTEN:
            people, until = _of_forgotten(line)
            self._forgotten.update({one: max(until, self._forgotten.get(one, 0)) for one in people})
        if self._head is not None and line.id == self._head[0]:
            self._saw_head = line.hash.hex() == self._head[1]
        if last is not None and line.id <= last.id:
            self._earlier(link, last)
            return
        expected = last.id + 1 if last is not None else (1 if self._whole else line.id)
        if line.id > expected:
            self._gaps.append((expected, line.id - 1))
        self._fits(link, last, gap=line.id > expected)
        self._hashes.append(line.hash)
        self._last = line

    def _fits(self, link: Link, last: Line | None, *, gap: bool) -> None:
        before, line = link
        number = line.id - self._shift
        if hash_of_line(before, line, number) == line.hash:
            if not gap and last is not None and before != last.hash:
                self._tell("resealed", line.id, f"it does not stand behind line {last.id}: one of the two was replaced")
            if not gap and last is None and self._whole and before != NOTHING_BEFORE:
                self._tell("resealed", line.id, "it stands behind a line that is not here")
            return
        if last is not None and hash_of_line(hash_of_line(self._before_last(), last), line, number) == line.hash:
            return  # only the hash of the line before it was changed, which is told already
        if gap and self._behind_nothing(before, last):
            return  # its own predecessor is gone: whether it is as it was shows by the line after it only
        for step in _NEAR:
            if any(hash_of_line(each, line, number - step) == line.hash for each in self._hashes):
                self._shifted(step, line)
                return
        self._tell("changed", line.id, "it is not what was sealed")
        self._broken.append(link)

    def _before_last(self) -> bytes:
        return self._hashes[-2] if len(self._hashes) > 1 else NOTHING_BEFORE

    def _behind_nothing(self, before: bytes, last: Line | None) -> bool:
        return before == (last.hash if last is not None else NOTHING_BEFORE)

    def _earlier(self, link: Link, last: Line) -> None:
        """A number that should have come before: the line was moved, or is one too many."""
        line = link.line
        gap = next((gap for gap in self._gaps if gap[0] <= line.id <= gap[1]), None)
        if gap is None:
            self._tell("inserted", line.id, f"a second line of this number stands behind line {last.id}")
            return
        self._gaps.remove(gap)
        self._gaps += [one for one in ((gap[0], line.id - 1), (line.id + 1, gap[1])) if one[0] <= one[1]]
        self._tell("moved", line.id, f"it stands behind line {last.id}")
        if hash_of_line(link.before, line) != line.hash:
            self._tell("changed", line.id, "it is not what was sealed")

    def _shifted(self, step: int, line: Line) -> None:
        """From here on the numbers are others than were sealed: lines came in or went out before it."""
        self._shift += step
        said = {one.line for one in self._found if one.what == "changed" and line.id - max(step, 1) <= one.line}
        self._found = [one for one in self._found if not (one.what == "changed" and one.line in said)]
        self._broken = [one for one in self._broken if one.line.id not in said]
        if step > 0:
            says = "it was not there; the lines behind it have had other numbers since"
            self._tell("inserted", line.id - step, says, last=line.id - 1)
        else:
            first = min(said, default=line.id)
            says = f"{-step} that stood before it went; the lines behind it have had other numbers since"
            self._tell("removed", first, says)

    def _tell(self, what: What, number: int, says: str, last: int = 0) -> None:
        self._found.append(Finding(what, number, says, last if last > number else 0))

    def verdict(self, ever: int) -> Verdict:
        last = self._last
        self._places()
        for first, end in self._gaps:
            self._tell("removed", first, "it is missing", last=end)
        end = last.id if last is not None else 0
        if ever > end:
            self._tell("removed", end + 1, "it is missing at the end", last=ever)
        taken = [one for one in self._erased if self._whole and one[0] > self._forgotten.get(str(one[1]), 0)]
        for number, person in taken:
            says = f"what it says is gone, though no line says that person {person} was forgotten"
            self._tell("reason removed", number, says)
        if self._head is not None and not self._saw_head:
            says = "it was noted, and is not here" if self._head[0] > end else "it is not the line that was noted"
            self._tell("head", self._head[0], says)
        found = sorted(self._found, key=lambda one: (one.line, one.what))
        told = f"{last.id}:{last.hash.hex()}" if last is not None else ""
        return Verdict(self._lines, self._first, told, len(self._erased) - len(taken), tuple(found))

    def _places(self) -> None:
        """Lines that were changed may only have changed places: each fits a number and a neighbour of another."""
        if not 1 < len(self._broken) <= _TRIED:
            return
        befores = {*(one.before for one in self._broken), *(one.line.hash for one in self._broken)}
        for (_, line), other in itertools.product(self._broken, self._broken):
            number = other.line.id
            if any(hash_of_line(each, line, number) == line.hash for each in befores):
                self._found = [one for one in self._found if (one.what, one.line) != ("changed", line.id)]
                if number != line.id:  # else only the line before it is another
                    self._tell("moved", number, f"it stands as line {line.id}")


def _of_forgotten(line: Line) -> tuple[frozenset[str], int]:
    """Who was forgotten, up to which line."""
    try:
        data: Any = json.loads(line.data)
        return frozenset(str(data["people"]).split()), int(data["until"])
    except (ValueError, KeyError, TypeError):
        return frozenset(), 0


def sentences(findings: Sequence[Finding], most: int = 50) -> tuple[str, ...]:
    """What was found, for people."""
    told = [
        f"Line {one.line}{f' to {one.last}' if one.last else ''} ({one.what}): {one.says}." for one in findings[:most]
    ]
    if len(findings) > most:
        told.append(f"... and {len(findings) - most} more.")
    return tuple(told)
