"""POST /crm/v3/objects/{type}/search over the index, which lags behind the records (crm.md B7)."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from syncagent.sandbox.hubspot.portal import Portal
from syncagent.sandbox.hubspot.refusal import invalid
from syncagent.sandbox.hubspot.request import Request
from syncagent.sandbox.hubspot.schema import Kind, Property
from syncagent.sandbox.hubspot.values import millis, moment_of, wire

WALL: Final = 10_000
_MOST_BODY: Final = 3_000
_GROUPS, _FILTERS, _ALL_FILTERS = 5, 6, 18
_NO_VALUE: Final = frozenset({"HAS_PROPERTY", "NOT_HAS_PROPERTY"})
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "EQ": lambda have, want: have == want,
    "NEQ": lambda have, want: have != want,
    "LT": lambda have, want: have < want,
    "LTE": lambda have, want: have <= want,
    "GT": lambda have, want: have > want,
    "GTE": lambda have, want: have >= want,
}
_TEXTS: Final = frozenset({"CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"})
_SETS: Final = frozenset({"IN", "NOT_IN"})
_OPERATORS: Final = frozenset(_COMPARE) | _NO_VALUE | _TEXTS | _SETS | {"BETWEEN"}

Test = Callable[[str, dict[str, str]], bool]


def search(portal: Portal, kind: Kind, request: Request) -> dict[str, Any]:
    """The answer's JSON; 400 beyond the limits of groups, filters, page, body and the wall at 10,000."""
    body = request.json()
    if len(request.call.body) > _MOST_BODY:
        raise invalid(f"The request body is longer than {_MOST_BODY} characters.")
    limit, after = int(body.get("limit") or 10), str(body.get("after") or "0")
    if not 0 < limit <= 200:
        raise invalid(f"limit must be between 1 and 200, it is {limit}.")
    if not after.isdigit():
        raise invalid(f"after must be a number, it is {after}.")
    if int(after) + limit > WALL:
        raise invalid(f"Cannot page beyond {WALL} results.")
    tests = _groups(portal, kind, body.get("filterGroups") or [])
    word = str(body.get("query") or "").lower()
    portal.index.settle(portal.clock.now().timestamp())
    found = [
        (ident, values)
        for ident, values in portal.index.rows(kind.plural)
        if (not tests or any(all(test(ident, values) for test in group) for group in tests))
        and (not word or any(word in value.lower() for value in values.values()))
    ]
    _sort(kind, body.get("sorts") or [], found)
    names = [name for name in body.get("properties") or kind.defaults if name in kind.properties]
    rows = []
    for ident, values in found[int(after) : int(after) + limit]:
        record = portal.records[kind.plural].get(ident)
        if record is None or record.archived_at is not None or record.survivor is not None:
            continue  # the index still counts it, the row cannot be filled any more
        shown = [*names, "hs_object_id", kind.created, kind.modified]
        rows.append(
            {
                "id": ident,
                "properties": {name: values.get(name) for name in shown},
                "createdAt": wire(record.created),
                "updatedAt": values[kind.modified],
                "archived": False,
            }
        )
    told: dict[str, Any] = {"total": len(found), "results": rows}
    if int(after) + limit < len(found):
        told["paging"] = {"next": {"after": str(int(after) + limit)}}
    return told


def _groups(portal: Portal, kind: Kind, groups: list[dict[str, Any]]) -> list[list[Test]]:
    filters = [list(group.get("filters") or []) for group in groups]
    if len(groups) > _GROUPS or any(len(each) > _FILTERS for each in filters) or sum(map(len, filters)) > _ALL_FILTERS:
        raise invalid(f"At most {_GROUPS} groups, {_FILTERS} filters in each and {_ALL_FILTERS} in all are allowed.")
    return [[_test(portal, kind, each) for each in group] for group in filters]


def _test(portal: Portal, kind: Kind, wish: dict[str, Any]) -> Test:
    name, operator = str(wish.get("propertyName", "")), str(wish.get("operator", ""))
    if operator not in _OPERATORS:
        raise invalid(f"There is no operator {operator!r}.")
    if name.startswith("associations."):
        return _association_test(portal, kind, name.removeprefix("associations."), operator, wish)
    known = kind.properties.get(name)
    if known is None:
        raise invalid(f"There was a problem with the request: property {name} does not exist", propertyName=name)
    if operator in _NO_VALUE:
        return lambda _, values: bool(values.get(name)) == (operator == "HAS_PROPERTY")
    if operator in _SETS:
        # text is compared in lower case, and the given values must be in it already (crm.md B7)
        given = {str(each) for each in wish.get("values") or []}
        fold = known.type == "string"
        return lambda _, values: (
            (name in values) and ((values[name].lower() if fold else values[name]) in given) == (operator == "IN")
        )
    if operator in _TEXTS:
        token = str(wish.get("value", "")).lower().strip("*")
        return lambda _, values: (token in values.get(name, "").lower()) == (operator == "CONTAINS_TOKEN")
    if operator == "BETWEEN":
        low, high = _sortable(known, str(wish.get("value", ""))), _sortable(known, str(wish.get("highValue", "")))
        return lambda _, values: name in values and low <= _sortable(known, values[name]) <= high
    want, compare = _sortable(known, str(wish.get("value", ""))), _COMPARE[operator]
    if operator == "NEQ":
        return lambda _, values: name not in values or _sortable(known, values[name]) != want
    return lambda _, values: name in values and compare(_sortable(known, values[name]), want)


def _association_test(portal: Portal, kind: Kind, name: str, operator: str, wish: dict[str, Any]) -> Test:
    other = portal.kind(name).plural
    wanted = {str(each) for each in wish.get("values") or [wish.get("value")]}

    def test(ident: str, _: dict[str, str]) -> bool:
        theirs = {each for plural, each in portal.links.get((kind.plural, ident), {}) if plural == other}
        return bool(theirs & wanted) == (operator in ("EQ", "IN"))

    return test


def _sortable(known: Property, text: str) -> Any:  # noqa: ANN401  a number or a text, one kind for each property
    try:
        if known.type in ("date", "datetime"):
            return _millis(text)
        if known.type == "number":
            return float(text)
    except ValueError as error:
        raise invalid(f"{text} is not a value for {known.name}.", propertyName=known.name) from error
    return text.lower() if known.type == "string" else text


@lru_cache(maxsize=65_536)
def _millis(text: str) -> int:
    return millis(moment_of(text))


def _sort(kind: Kind, sorts: list[Any], found: list[tuple[str, dict[str, str]]]) -> None:
    """One property; rows that are equal in it come in no order that means anything."""
    if len(sorts) > 1:
        raise invalid("Only one sort is allowed.")
    wish = sorts[0] if sorts else {"propertyName": kind.created}
    if isinstance(wish, str):
        wish = {"propertyName": wish.lstrip("-"), "direction": "DESCENDING" if wish.startswith("-") else "ASCENDING"}
    name = str(wish.get("propertyName", ""))
    known = kind.properties.get(name)
    if known is None:
        raise invalid(f"There is no property {name} to sort by.", propertyName=name)
    downwards = str(wish.get("direction", "ASCENDING")).upper() == "DESCENDING"
    found.sort(key=lambda row: int(row[0]) * 2_654_435_761 % 1_000_003)
    found.sort(
        key=lambda row: (name in row[1], _sortable(known, row[1][name]) if name in row[1] else 0), reverse=downwards
    )
