"""Companies: as accounts of their own, and as what their contacts say of them.

HubSpot keeps a contact's primary company in `associatedcompanyid`. What the config calls "company.PROPERTY" is that
company's; its name stands in the place of what the contact says itself, as in every CRM that has accounts, and its
domain where the contact has no website. What the walk through companies has not told is read by the hundred, and
believed for an hour. An app that may not read companies goes without, and tries again in an hour.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from syncagent.clock import monotonic
from syncagent.connectors.hubspot.options import ACCOUNT, COMPANY, Options
from syncagent.connectors.hubspot.portal import DeniedError, Portal, chunks
from syncagent.connectors.hubspot.shapes import Row
from syncagent.connectors.hubspot.values import moment, read
from syncagent.model import Account, Fact, Identity, Value

log = logging.getLogger(__name__)

HOLDER: Final = "associatedcompanyid"
_KEPT: Final = 3600.0
_REMEMBERED: Final = 50_000
_OWN: Final = ("name", "domain", "hubspot_owner_id")


class Companies:
    """The companies of one portal, as far as contacts of theirs were read."""

    def __init__(self, portal: Portal, options: Options) -> None:
        self.portal = portal
        self._names = ACCOUNT | options.account_fields
        self._named = [one.removeprefix(COMPANY) for one in options.names().values() if one.startswith(COMPANY)]
        self._told: dict[str, int] = {}  # digests of what was told of each
        self._known: dict[str, tuple[float, Mapping[str, Any]]] = {}
        self._denied_at: float | None = None

    def asked(self) -> list[str]:
        """The properties to read of a company."""
        known = self.portal.properties("companies")
        wanted = dict.fromkeys((*self._names.values(), *self._named, "hs_lastmodifieddate"))
        return [name for name in wanted if name in known]

    def facts(self, rows: Sequence[Row]) -> Iterator[Fact]:
        """What is new of these; a company changes often, for HubSpot counts on it whatever its people do."""
        now, known = monotonic(), self.portal.properties("companies")
        for some in (self._told, self._known):
            if len(some) > _REMEMBERED:
                some.clear()
        for row in rows:
            ident, given = str(row["id"]), row["properties"]
            self._known[ident] = now, given
            values = {ours: read(given.get(theirs), known.get(theirs)) for ours, theirs in self._names.items()}
            told: dict[str, Value] = {ours: value for ours, value in values.items() if value is not None}
            if self._told.get(ident) != (digest := hash(msgspec.json.encode(told, order="sorted"))):
                self._told[ident] = digest
                stamp = moment(given.get("hs_lastmodifieddate") or row["updatedAt"])
                yield Account(Identity(self.portal.name, "company", ident), stamp, told, moment(row["createdAt"]))

    def beside(self, contacts: Sequence[Row]) -> list[Row]:
        """The rows with what their companies say laid over them; as they are where companies may not be read."""
        ids = [str(row["properties"].get(HOLDER) or "") for row in contacts]
        if not self._learn([one for one in ids if one]):
            return list(contacts)
        return [self._over(row, ident) for row, ident in zip(contacts, ids, strict=True)]

    def _over(self, contact: Row, ident: str) -> Row:
        given = contact["properties"]
        _, company = self._known.get(ident, (0.0, {}))
        told = {COMPANY + name: company.get(name) for name in self._named}
        if "company" in given and company.get("name"):
            told["company"] = company["name"]
        if "website" in given and not given["website"] and company.get("domain"):
            told["website"] = company["domain"]
        return {**contact, "properties": {**given, **told}}

    def _learn(self, ids: Sequence[str]) -> bool:
        """Read those that are not known, or long known; False when the app may not."""
        now = monotonic()
        if self._denied_at is not None and now - self._denied_at < _KEPT:
            return False
        unknown = [one for one in ids if now - self._known.get(one, (-_KEPT, {}))[0] >= _KEPT]
        if not unknown:
            return True
        if len(self._known) > _REMEMBERED:
            self._known.clear()
            unknown = list(ids)
        try:
            for some in chunks(unknown):
                rows, _ = self.portal.read("companies", some, [*dict.fromkeys((*_OWN, *self._named))])
                self._known |= dict.fromkeys(some, (now, {}))
                self._known |= {str(row["id"]): (now, row["properties"]) for row in rows}
        except DeniedError as error:
            log.warning("%s: companies and their owners are left out: %s Run: syncagent check", self.portal.name, error)
            self._denied_at = now
            return False
        self._denied_at = None
        return True
