"""[accounts]: lists of key accounts, and whether what rules and routes ask of them can be answered."""

from collections.abc import Iterator
from typing import Any

from syncagent.config.conditions import Tell
from syncagent.config.reading import nearest
from syncagent.config.tables import AccountsTable, AgreementTables, ModelTable, ScoreTable


def account_lists(table: AccountsTable, tell: Tell) -> dict[str, tuple[str, ...]]:
    """The lists as written; tells of those with nothing in them, and of what stands in two."""
    seen: dict[str, str] = {}
    for name, entries in table.lists.items():
        if not entries:
            tell(f"accounts.lists.{name}", f"The list {name!r} is empty: no account can be in it.")
        for n, entry in enumerate(entries, 1):
            path, key = f"accounts.lists.{name}[{n}]", entry.strip().casefold()
            if not key:
                tell(path, "This entry names no account.", "Write a name, a domain or a CRM id.")
            elif key in seen:
                tell(
                    path, f"{entry!r} stands in the list {seen[key]!r} already; the first one counts.", "Leave it out."
                )
            elif "*" in entry or "@" in entry:
                tell(path, f"{entry!r} is neither a name nor a domain.", "A list of accounts has no patterns.")
            seen.setdefault(key, name)
    return table.lists


def check_asked(tables: AgreementTables, tell: Tell) -> None:
    """Tell of rules, segments, routes and promises that ask for a list that does not exist."""
    lists = tables.accounts.lists
    for path, attribute, values in _asked(tables):
        if attribute in ("account.key", "account.list") and not lists:
            hint = 'For example: [accounts.lists] key = ["example.com"].'
            tell(path, "There are no lists of accounts.", hint)
        elif attribute == "account.list":
            for value in values:
                if isinstance(value, str) and not value.startswith("~") and value not in lists:
                    tell(path, f"{value!r} is none of the lists of [accounts.lists].", nearest(value, lists))


def _asked(tables: AgreementTables) -> Iterator[tuple[str, str, tuple[Any, ...]]]:
    models: dict[str, ScoreTable | ModelTable] = {f"models.{name}": one for name, one in tables.models.items()}
    for path, model in {"score": tables.score, **models}.items():
        for n, rule in enumerate(model.fit, 1):
            values = (one for choice in rule.choices for one in (choice.value, *choice.values))
            yield f"{path}.fit[{n}]", rule.attribute, tuple(values)
    conditions = [(f"handoff.segments[{n}]", one.when) for n, one in enumerate(tables.handoff.segments, 1)]
    conditions += [(f"routes[{n}]", one.when) for n, one in enumerate(tables.routes, 1)]
    conditions += [(f"sla[{n}]", one.when) for n, one in enumerate(tables.sla, 1)]
    for path, when in conditions:
        for attribute, test in when.items():
            yield f"{path}.when.{attribute}", attribute, tuple(test) if isinstance(test, list) else (test,)
