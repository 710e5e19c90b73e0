"""Tables as TOML text, in the order and the shapes of the example config."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

_WIDTH = 100


def toml_of(raw: Mapping[str, Any], path: str) -> str:
    """A table and all below it: plain keys first, then tables, then lists of tables. Reads back as it was given."""
    return "\n".join(_table(raw, path)).strip() + "\n"


def _table(raw: Mapping[str, Any], path: str) -> Iterator[str]:
    plain = {key: value for key, value in raw.items() if not _is_table(value) and not _is_tables(value)}
    if plain or not raw:
        yield f"\n[{path}]"
        yield from (f"{key_of(key)} = {_value(value)}" for key, value in plain.items())
    for key, value in raw.items():
        if _is_table(value):
            yield f"\n[{path}.{key_of(key)}]"
            yield from (f"{key_of(name)} = {_value(one)}" for name, one in value.items())
    for key, value in raw.items():
        if _is_tables(value):
            for one in value:
                yield f"\n[[{path}.{key_of(key)}]]"
                yield from (f"{key_of(name)} = {_wrapped(each)}" for name, each in one.items())


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _wrapped(value: object) -> str:
    line = _value(value)
    if isinstance(value, list) and _is_tables(value) and len(line) > _WIDTH:
        return "[\n" + "".join(f"  {_value(one)},\n" for one in value) + "]"
    return line


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float):
        return str(int(value)) if math.isfinite(value) and value == int(value) else repr(value)
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key_of(key)} = {_value(one)}" for key, one in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(one) for one in value)}]"
    return str(value)


def key_of(key: str) -> str:
    """A key as TOML wants it: bare, or in quotes."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _quoted(key)


def _quoted(text: str) -> str:
    """As JSON has it, but for what TOML forbids: surrogate pairs as escapes, and DEL as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
