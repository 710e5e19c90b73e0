"""One record a person: what stands under the addresses of a record that is to be made, before, during and after.

Salesforce keeps no address unique. So a creation looks before it inserts; a duplicate rule that stops it names somebody
to take up; and what somebody else made at the same moment is seen by a look afterwards: then ours goes again.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from syncagent.connectors.salesforce.org import Org, Row, chunks
from syncagent.connectors.salesforce.read import Reader

log = logging.getLogger(__name__)

Found = tuple[str, Row]
"""A row and what kind it is: "Lead" or "Contact"."""

_KINDS: Final = ("Lead", "Contact")


def is_alive(row: Row) -> bool:
    """Whether the record can be worked with: neither deleted, nor converted into another."""
    return not row.get("IsDeleted") and not row.get("IsConverted")


def best(found: Iterable[Found]) -> Found | None:
    """The record to go on with: a contact before a lead, then the one changed last."""
    alive = [one for one in found if is_alive(one[1])]
    return max(alive, key=lambda one: (one[0] == "Contact", one[1]["SystemModstamp"]), default=None)


def stand_under(org: Org, reader: Reader, emails: Iterable[str]) -> dict[str, list[Found]]:
    """The leads and contacts with these addresses, in small letters; who was merged or converted is followed."""
    wanted = sorted({email.lower() for email in emails})
    asked = [(kind, reader.by(kind, "Email", some)) for kind in _KINDS for some in chunks(wanted)]
    results, _ = org.queries([text for _, text in asked])
    rows: dict[str, list[Found]] = {}
    for (kind, _), found in zip(asked, results, strict=True):
        for row in found:
            rows.setdefault(str(row["Email"]).lower(), []).append((kind, row))
    follow(org, reader, rows)
    return rows


def follow(org: Org, reader: Reader, rows: dict[str, list[Found]]) -> None:
    """Put beside rows that are all gone what they were merged or converted into: the address was theirs."""
    winners: dict[str, list[str]] = {}
    for place, found in rows.items():
        if best(found) is None:
            for _, row in found:
                into = row.get("MasterRecordId") or row.get("ConvertedContactId")
                if into:
                    winners.setdefault(str(into), []).append(place)
    if not winners:
        return
    asked = [(kind, reader.by(kind, "Id", some)) for kind in _KINDS for some in chunks(sorted(winners))]
    results, _ = org.queries([text for _, text in asked])
    for (kind, _), known in zip(asked, results, strict=True):
        for row in known:
            for place in winners[row["Id"]]:
                rows[place].append((kind, row))


def others(rows: Iterable[Found], made: Mapping[str, Sequence[str]]) -> dict[str, Found]:
    """For each record that we have just made, with its addresses: whose record stands under one of them beside it."""
    by_email: dict[str, list[Found]] = {}
    for one in rows:
        if one[1]["Id"] not in made:
            by_email.setdefault(str(one[1].get("Email") or "").lower(), []).append(one)
    seen = {
        ident: best(one for email in some for one in by_email.get(email.lower(), ())) for ident, some in made.items()
    }
    return {ident: other for ident, other in seen.items() if other is not None}


def take_back(org: Org, ident: str, other: str) -> bool:
    """Delete the lead that we have just made beside another one; whether that was allowed."""
    reply = org.call("DELETE", f"/sobjects/Lead/{ident}")
    log.warning(
        "%s: %s was made at the same moment as %s, for the same address. %s",
        org.name,
        ident,
        other,
        "It was deleted again." if reply.ok else "It may not be deleted: merge the two.",
    )
    return reply.ok
