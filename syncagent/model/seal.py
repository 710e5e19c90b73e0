"""How a line of the journal is sealed: each line's hash is taken over the hash before it, so that no line can be
changed, removed, inserted or moved without breaking the chain (docs/trust.md tells how to check it by hand).

What a line says of a person is not hashed itself but *sealed*: the chain holds the SHA-256 of it with a random salt.
So it can be erased, salt and all, when somebody must be forgotten, and the chain still holds.
"""

import hashlib
from collections.abc import Sequence

from msgspec import Struct

FORMAT = 1
"""Of lines that were sealed when they were written; 0: they were older than the chain, and sealed at an upgrade."""
NOTHING_BEFORE = b"\0" * 32
"""Stands for the hash before the first line."""
SALT = 16
"""So many random bytes: what was sealed cannot be found by trying what it may have been."""


class Told(Struct, frozen=True):
    """What a line says of a person: erased, with its salt, when they must be forgotten.

    `inputs`: SHA-256 of all that was looked at; `plan`: of all that was decided. Empty where neither was kept.
    """

    salt: bytes
    why: str
    inputs: bytes = b""
    plan: bytes = b""


class Line(Struct, frozen=True):
    """One line as it is sealed. `at` in UTC milliseconds; `data` as its JSON text; `told` None: it was erased."""

    id: int
    at: int
    person: int
    kind: str
    handoff: str
    data: str
    config: str
    format: int
    engine: str
    sealed: bytes
    hash: bytes
    told: Told | None


def seal(salt: bytes, why: str, inputs: bytes, plan: bytes) -> bytes:
    """What the chain holds in place of what is told."""
    return hashlib.sha256(f"{salt.hex()}\n{inputs.hex()}\n{plan.hex()}\n{why}".encode()).digest()


def seal_of(told: Told) -> bytes:
    """`seal` of what a line tells."""
    return seal(told.salt, told.why, told.inputs, told.plan)


def rest_of(fields: Sequence[object], sealed: bytes) -> bytes:
    """What is hashed of a line behind its number: at, person, kind, handoff, data, config, format, engine, the seal."""
    at, person, kind, handoff, data, config, form, engine = fields
    told = f"{at}\n{person}\n{kind}\n{handoff}\n{data}\n{config}\n{form}\n{engine}\n{sealed.hex()}"
    return told.encode()


def hash_of(before: bytes, number: int, rest: bytes) -> bytes:
    """A line's hash, from the hash before it, its number, and `rest_of` it."""
    return hashlib.sha256(b"%b\n%d\n%b" % (before.hex().encode(), number, rest)).digest()


def hash_of_line(before: bytes, line: Line, number: int | None = None) -> bytes:
    """`hash_of` of a line as it stands; with `number` as if it had that one."""
    fields = (line.at, line.person, line.kind, line.handoff, line.data, line.config, line.format, line.engine)
    return hash_of(before, line.id if number is None else number, rest_of(fields, line.sealed))
