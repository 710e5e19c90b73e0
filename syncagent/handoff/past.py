"""How somebody's dossier stood at a past moment, as far as their past is known.

Activities are dated. Of attributes a history tells which value stood when; of what is worked in the CRM (status, owner)
the changes tell it. Companies and who is one person are as today. A value that went and came back is taken to have been
away until it was told last: of each value a history knows the first telling and the last.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec.structs import replace

from syncagent.handoff.conditions import is_known
from syncagent.model import CrmRecord, Dossier, Identity, Lead, Opportunity, Value
from syncagent.model.profile import WORK, History, Seen

_OURS = frozenset(("score", "grade", "stage_date", "insight"))


class Past(NamedTuple):
    """A dossier wound back. `undated`: attributes whose value may have been filled in later.

    `late`: attributes that were surely filled in later, and so are not in the dossier, and when.
    """

    dossier: Dossier
    undated: frozenset[str]
    late: dict[str, datetime]


def as_of(dossier: Dossier, at: datetime, *, guess: bool = False) -> Dossier:
    """The dossier as it was known at `at`, without what we decided.

    Somebody was known from the first telling on. With `guess` a record that was told of later counts all the same, by
    what was told of it first: so it can be said how those would have stood whose history came later.
    """
    return replace(past_of(dossier, at, guess=guess).dossier, decision=None, outbox=(), absorbed=())


def past_of(dossier: Dossier, at: datetime, *, guess: bool = True) -> Past:
    """`as_of`, and what of it is not sure."""
    wound = _Wound(dossier, at, guess=guess)
    leads = tuple(lead for one in dossier.leads if (lead := wound.lead(one)) is not None)
    records = tuple(record for one in dossier.records if (record := wound.record(one)) is not None)
    made = replace(
        dossier,
        leads=leads,
        records=records,
        activities=tuple(one for one in dossier.activities if one.at <= at),
        changes=tuple(one for one in dossier.changes if one.at <= at),
        opportunities=tuple(_deal(one, at) for one in dossier.opportunities if one.created_at <= at),
    )
    return Past(made, frozenset(wound.undated), wound.late)


def closing_of(deal: Opportunity) -> datetime:
    """When a closed deal was closed, at the latest: dates are all that CRMs keep, so its day's beginning."""
    try:
        day = datetime.fromisoformat(deal.closed_on)
    except ValueError:
        return deal.modified_at
    return min(day if day.tzinfo else day.replace(tzinfo=UTC), deal.modified_at)


class _Wound:
    """One dossier being wound back."""

    def __init__(self, dossier: Dossier, at: datetime, *, guess: bool) -> None:
        self._at, self._guess = at, guess
        self._histories = {one.identity: one for one in dossier.histories}
        self._changes = sorted(dossier.changes, key=lambda one: (one.at, one.key), reverse=True)
        self.undated: set[str] = set()
        self.late: dict[str, datetime] = {}

    def lead(self, lead: Lead) -> Lead | None:
        history = self._histories.get(lead.identity)
        born = history.born if history is not None else lead.seen_at
        if born > self._at and not self._guess:
            return None
        values, told = self._values(lead.attributes, history, born, lead.seen_at)
        return replace(lead, attributes=values, seen_at=told)

    def record(self, record: CrmRecord) -> CrmRecord | None:
        if record.created_at > self._at:
            return None
        history = self._histories.get(record.identity)
        born = history.born if history is not None else record.modified_at
        changed = self._changed(record.identity, record.fields)
        later = record.modified_at > self._at
        # What we write ourselves has no history: it may have been written since.
        lost = changed.keys() | _OURS if later else changed.keys()
        told_by_history = {name: value for name, value in record.fields.items() if name not in lost}
        if born > self._at and not self._guess:
            told_by_history = {name: value for name, value in told_by_history.items() if name in WORK}
        values, told = self._values(told_by_history, history, born, record.modified_at)
        values |= changed
        return replace(
            record,
            fields={name: values[name] for name in record.fields if name in values},
            modified_at=told,
            deleted=record.deleted and not later,
            merged_into=None if later else record.merged_into,
            converted_to=None if later else record.converted_to,
        )

    def _changed(self, identity: Identity, fields: dict[str, Value]) -> dict[str, Value]:
        """The fields whose changes are told, each as it stood."""
        values: dict[str, Value] = {}
        for change in self._changes:
            if change.record != identity or change.field not in fields:
                continue
            value = values.setdefault(change.field, fields[change.field])
            if change.at > self._at:
                if is_known(value) and not is_known(change.old):
                    self.late[change.field] = change.at
                values[change.field] = change.old
        return values

    def _values(
        self, given: dict[str, Value], history: History | None, born: datetime, last: datetime
    ) -> tuple[dict[str, Value], datetime]:
        """The values as they stood, and when they had been told last."""
        moment = max(self._at, born)
        values: dict[str, Value] = {}
        told = last if last <= self._at else born
        for name, value in given.items():
            seen = history.seen.get(name, ()) if history is not None else ()
            stood = _standing(seen, moment) if seen else Seen(value, born, last)
            if stood is None or not is_known(stood.value):
                known = (one for one in seen if is_known(one.value))
                filled = min((at for one in known for at in (one.first, one.last) if at > moment), default=None)
                if filled is not None:
                    self.late[name] = filled
            if stood is None:
                continue
            values[name] = stood.value
            told = max(told, min(_told(stood, moment), last))
            if is_known(stood.value) and (born > self._at or (name in WORK and last > self._at)):
                self.undated.add(name)
        return values, told


def _standing(seen: Sequence[Seen], at: datetime) -> Seen | None:
    """Which of the values stood: the one that was told last until then; None when none had been told."""
    return max((one for one in seen if one.first <= at), key=lambda one: (_told(one, at), one.first), default=None)


def _told(one: Seen, at: datetime) -> datetime:
    """When this value is known to have been told last until then: between its first and last telling nothing is."""
    return one.last if one.last <= at else one.first


def _deal(deal: Opportunity, at: datetime) -> Opportunity:
    """Open as long as it was; its stage and amount are today's."""
    if deal.closed and closing_of(deal) > at:
        deal = replace(deal, closed=False, won=False)
    return replace(deal, deleted=False) if deal.deleted and deal.modified_at > at else deal
