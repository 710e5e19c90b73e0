"""Rules of an admin: properties that are validated, workflows that answer a change with another one.

The act `set_rule` takes

    {"kind": "validation", "name"?, "object", "property", "matches": regular expression, "message"?}
        a value that is found to match is refused over the API (from 2026-09 on such rules hold there, crm.md B1)
    {"kind": "workflow", "name"?, "object", "property", "matches", "values": {property: value}}
        a change to a matching value, by whomever but a workflow, is followed by a change of the workflow's own
"""

import re
from typing import Any, Final

from syncagent.sandbox.hubspot.portal import Portal
from syncagent.sandbox.hubspot.refusal import problem
from syncagent.sandbox.hubspot.schema import Kind

WORKFLOW: Final = "AUTOMATION_PLATFORM"
_NEEDED: Final = {
    "validation": ("object", "property", "matches"),
    "workflow": ("object", "property", "matches", "values"),
}


def set_rule(portal: Portal, wish: dict[str, Any]) -> dict[str, Any]:
    """Keep a rule under its name; LookupError or ValueError say what is wrong."""
    kind = str(wish.get("kind"))
    if kind not in _NEEDED:
        raise ValueError(f"There is no rule {kind!r}; there are {', '.join(_NEEDED)}.")
    if missing := [name for name in _NEEDED[kind] if name not in wish]:
        raise LookupError(f"A rule of this kind needs {', '.join(missing)}.")
    name = str(wish.get("name", kind))
    portal.rules[name] = wish | {"object": portal.kind(wish["object"]).plural, "matches": re.compile(wish["matches"])}
    return {"name": name}


def broken(portal: Portal, kind: Kind, values: dict[str, str]) -> list[dict[str, Any]]:
    """The problems that validation rules have with these values."""
    found = []
    for rule in _about(portal, "validation", kind, values):
        told = str(rule.get("message", f"The value of {rule['property']} breaks a rule of this account."))
        found.append(problem(rule["property"], "FAILED_CUSTOM_VALIDATION", told))  # (memory): the name of the error
    return found


def following(portal: Portal, kind: Kind, changed: dict[str, str]) -> list[dict[str, str]]:
    """What workflows set when these values have been set."""
    return [rule["values"] for rule in _about(portal, "workflow", kind, changed)]


def _about(portal: Portal, rule_kind: str, kind: Kind, values: dict[str, str]) -> list[dict[str, Any]]:
    return [
        rule
        for rule in portal.rules.values()
        if rule["kind"] == rule_kind
        and rule["object"] == kind.plural
        and rule["property"] in values
        and rule["matches"].search(values[rule["property"]])
    ]
