"""Placeholders of the brief that nothing fills: {lead.NAME}, {account.NAME} that nobody has, or that are misspelt."""

import difflib
from collections.abc import Iterable, Iterator

from syncagent.handoff.lint.asked import asked
from syncagent.handoff.lint.observed import Observed, open_places
from syncagent.handoff.lint.words import Finding
from syncagent.policy import Policy
from syncagent.policy.template import line_of

_ALIKE = 0.8
_USUAL = ("first_name", "last_name", "email", "company", "title", "phone", "country", "website", "industry")


def unfilled(policy: Policy, seen: Observed | None) -> Iterator[Finding]:
    """Told of each line: by what people have, or by what else the agreement names where there are no people to ask."""
    asks_people = seen is not None and seen.people > 0
    known = set(seen.placeholders) if seen is not None and asks_people else _named(policy)
    for n, text in enumerate(policy.brief.lines, 1):
        for name in open_places(line_of(text).names):
            if name in known:
                continue
            meant = _meant(name, known)
            path = f"handoff.brief.lines[{n}]"
            if seen is not None and asks_people:
                says = (
                    f"{{{name}}} is not known of anybody among {seen.people:,} people: what stands with it is left out."
                )
                yield Finding("never", "warning", path, says, meant or "Map a field to it, or take it out.")
            elif meant:
                yield Finding("name", "advice", path, f"Nothing else in the config is called {name}.", meant)


def _named(policy: Policy) -> set[str]:
    """What the agreement speaks of: nobody can list what doors and files may tell."""
    names = {name for _, name, _ in asked(policy)} | {*_USUAL, *policy.crm.fields}
    return {name if name.startswith("account.") else f"lead.{name}" for name in names}


def _meant(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name.casefold(), sorted(known), n=1, cutoff=_ALIKE)
    return f"Did you mean {{{near[0]}}}?" if near else ""
