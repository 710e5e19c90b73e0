"""The config as it may be shown: as TOML, and nothing in it that opens a door."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from syncagent.config.written import key_of, toml_of

HIDDEN = "(hidden)"
_TELLING = re.compile(r"secret|token|passw|private_key|api_?key|credential", re.IGNORECASE)
_USUAL_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_PLACES = frozenset(("env", "file", "command"))


def masked_toml(raw: Mapping[str, Any]) -> str:
    """The tables of a config file as TOML. Of a secret only its place is told: a variable, a file, a program's name."""
    return "".join(_tables(_masked(raw, ""), "")).lstrip()


def _masked(value: Any, key: str) -> Any:  # noqa: ANN401 - whatever TOML holds
    if isinstance(value, Mapping):
        if _is_place(value):
            return {name: _place(name, one) for name, one in value.items()}
        return {name: _masked(one, str(name)) for name, one in value.items()}
    if isinstance(value, list):
        return [_masked(one, key) for one in value]
    if isinstance(value, str):
        return HIDDEN if _TELLING.search(key) else _without_credentials(value)
    return value


def _is_place(table: Mapping[str, Any]) -> bool:
    """Whether this says where a secret is."""
    return bool(table) and table.keys() <= _PLACES


def _place(kind: str, value: Any) -> Any:  # noqa: ANN401 - whatever TOML holds
    """Where a secret is. What is no usual variable may be the secret itself; what follows a program may hold it."""
    if kind == "env":
        return value if isinstance(value, str) and _USUAL_VARIABLE.fullmatch(value) else HIDDEN
    if kind == "command":
        return [*value[:1], *([HIDDEN] if len(value) > 1 else [])] if isinstance(value, list) else HIDDEN
    return value if isinstance(value, str) else HIDDEN


def _without_credentials(text: str) -> str:
    """An address without user, password, query and fragment; any other text as it is."""
    if "://" not in text:
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return HIDDEN
    place = parts.netloc.rpartition("@")[2]
    more = f"?{HIDDEN}" if parts.query or parts.fragment else ""
    return f"{parts.scheme}://{HIDDEN + '@' if '@' in parts.netloc else ''}{place}{parts.path}{more}"


def _tables(raw: Mapping[str, Any], path: str) -> Iterator[str]:
    """Plain keys under the table's own heading, then the tables below it, each under its own."""
    below: dict[str, Any] = {
        key: value for key, value in raw.items() if isinstance(value, Mapping) and not _is_place(value)
    }
    here = {key: value for key, value in raw.items() if key not in below}
    if path:
        if here:
            yield "\n" + toml_of(here, path)
    else:  # a list of tables at the top has no table above it
        below |= {key: value for key, value in here.items() if isinstance(value, list)}
    for key, value in below.items():
        if isinstance(value, list):
            yield "\n" + re.sub(r"^\[\[top\.", "[[", toml_of({key: value}, "top"), flags=re.MULTILINE)
        else:
            yield from _tables(value, f"{path}.{key_of(key)}" if path else key_of(key))
