"""When HubSpot's users are out of office, as they say themselves under their availability. Only where the config asks.

Source: HubSpot's guide to the Users API (2024-2026): `hs_out_of_office_hours` holds a JSON list of startTimestamp and
endTimestamp, milliseconds since 1970; `hubspot_owner_id` names the user as an owner. Scope crm.objects.users.read.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from syncagent.connectors.hubspot.portal import DeniedError, Portal
from syncagent.errors import Problem

OUT: Final = "hs_out_of_office_hours"
_OWNER: Final = "hubspot_owner_id"
_PAGES: Final = 100  # of a hundred users

log = logging.getLogger("syncagent")

Span = tuple[datetime, datetime]


def out_of_office(portal: Portal) -> dict[str, Span]:
    """By owner id from when until when they are away: the absence that lasts, else the next; {} where it is not asked.

    An app that may not read users goes without, and says so in the log.
    """
    if not portal.options.out_of_office:
        return {}
    now, found = portal.there(), dict[str, Span]()
    try:
        for rows in portal.pages("users", [OUT, _OWNER], _PAGES):
            for row in rows:
                given: Mapping[str, Any] = row["properties"]
                span = _next(_spans(given.get(OUT) or "[]"), now)
                if span is not None and given.get(_OWNER):
                    found[str(given[_OWNER])] = span
    except DeniedError as error:
        log.warning("%s: who is out of office is not known: %s Run: syncagent check", portal.name, error)
    return found


def check(portal: Portal) -> Iterator[Problem]:
    """What keeps us from reading it, as a warning: leads would go to people who are away."""
    if not portal.options.out_of_office:
        return
    try:
        for _ in islice(portal.pages("users", [OUT, _OWNER], 1), 1):
            pass
    except DeniedError as error:
        helps = "Give the app the scope crm.objects.users.read, or take the key out: leads go to people who are away."
        yield Problem("crm.out_of_office", str(error), helps, fatal=False)
        return
    portal.forget("properties/users")
    if OUT not in portal.properties("users"):
        says = f"Users have no property {OUT} here: nobody can say that they are away."
        yield Problem("crm.out_of_office", says, "Name absences under [[reps]]: away, or calendar.", fatal=False)


def _spans(told: str) -> list[Span]:
    """The absences that a user names, those that touch as one; [] for what cannot be read."""
    try:
        given = [(_moment(one["startTimestamp"]), _moment(one["endTimestamp"])) for one in json.loads(told)]
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        log.warning("The out of office hours of a HubSpot user cannot be read and are passed over.")
        return []
    made: list[Span] = []
    for begin, end in sorted(given):
        if made and begin <= made[-1][1]:
            made[-1] = (made[-1][0], max(end, made[-1][1]))
        elif begin < end:
            made.append((begin, end))
    return made


def _next(spans: Iterable[Span], now: datetime) -> Span | None:
    return next((one for one in spans if one[1] > now), None)


def _moment(stamp: float) -> datetime:
    return datetime.fromtimestamp(stamp / 1000, UTC)
