"""Giving leads back to marketing: into a static list (repeatable), or by a requested campaign (at most once).

Source: marketing_automation.md 1.6. A list call tells each record's fate. A campaign call tells only that the request
was taken, and refuses it whole for one bad lead: then its halves are tried.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

from syncagent.connectors.marketo.options import MAX_BATCH
from syncagent.connectors.marketo.wire import Envelope, Fault, RefusedCallError, Statuses, Wire, unsent
from syncagent.errors import RetryableError
from syncagent.model import AnyCommand, Done, Key, Nurture, Outcome, Receipt, Refused, Retry, Value

_MAX_REQUESTED: Final = 100
_LEAD_NOT_FOUND: Final = "1004"
_NO_SUCH_LIST: Final = "1013"
_NOT_IN_IT: Final = frozenset({_LEAD_NOT_FOUND, "1015"})
_ABOUT_ONE_LEAD: Final = frozenset({"1001", "1002", "1003", _LEAD_NOT_FOUND})

_Sent = Iterator[tuple[Key, Outcome]]
_Send = Callable[[Wire, int, Sequence[Nurture]], _Sent]


def nurture(wire: Wire, batch: Sequence[AnyCommand]) -> _Sent:
    """Carry the batch out in the fewest calls. Raises `RetryableError`, `ConnectorDownError`."""
    keys = {command.key for command in batch}
    lists: dict[tuple[int, bool], list[Nurture]] = defaultdict(list)
    campaigns: dict[int, list[Nurture]] = defaultdict(list)
    for command in batch:
        if keys.intersection(command.depends_on):
            yield command.key, Retry(60.0, "It waits for another command of the same batch.")
        elif not isinstance(command, Nurture):
            yield command.key, Refused(f"Marketo cannot carry out {type(command).__name__}.", code="unsupported")
        elif not command.lead.id.isdigit():
            yield command.key, Refused("A lead of Marketo has a number; this one has none.", code=_LEAD_NOT_FOUND)
        elif command.list_id is not None:
            lists[command.list_id, command.remove].append(command)
        elif command.campaign_id is None:
            yield (
                command.key,
                Refused("Neither a list nor a campaign is named. Complete recycle.nurture.", code="config"),
            )
        elif command.attempt:
            yield command.key, _unknown()
        else:
            campaigns[command.campaign_id].append(command)
    for (number, remove), listed in lists.items():
        for start in range(0, len(listed), MAX_BATCH):
            yield from _enlist(wire, number, listed[start : start + MAX_BATCH], remove=remove)
    for number, asked in campaigns.items():
        for start in range(0, len(asked), _MAX_REQUESTED):
            yield from _request(wire, number, asked[start : start + _MAX_REQUESTED])


def _enlist(wire: Wire, number: int, commands: Sequence[Nurture], *, remove: bool) -> _Sent:
    verb, how = ("DELETE", "not in") if remove else ("POST", "in")
    body = {"input": [{"id": int(lead)} for lead in dict.fromkeys(one.lead.id for one in commands)]}
    try:
        answer, now = wire.call(verb, f"/rest/v1/lists/{number}/leads.json", Statuses, json=body, safe=True)
    except RefusedCallError as error:
        at = error.at if remove and error.fault.code == _NO_SUCH_LIST else None
        for command in commands:
            if at is not None:
                yield command.key, _done(command, at, f"there is no list {number} any more", adopted=True)
            else:
                yield command.key, _refused(error.fault, f"list {number}")
        return
    fates = {str(one.id): one for one in answer.result}
    for command in commands:
        fate = fates.get(command.lead.id)
        if fate is None:
            yield command.key, Retry(60.0, "Marketo's answer did not tell what became of it.")
        elif fate.status == "skipped" and fate.reasons and not (remove and fate.reasons[0].code in _NOT_IN_IT):
            yield command.key, _refused(fate.reasons[0], f"list {number}")
        else:  # added or removed; or skipped without a reason: it was so already
            yield command.key, _done(command, now, f"{how} list {number}", adopted=fate.status == "skipped")


def _request(wire: Wire, number: int, commands: Sequence[Nurture]) -> _Sent:
    leads = dict.fromkeys(one.lead.id for one in commands)
    body = {"input": {"leads": [{"id": int(lead)} for lead in leads]}}
    try:
        _, now = wire.call("POST", f"/rest/v1/campaigns/{number}/trigger.json", Envelope, json=body, safe=False)
    except RefusedCallError as error:
        if error.fault.code in _ABOUT_ONE_LEAD and len(leads) > 1 and "campaign" not in error.fault.message.lower():
            half = len(commands) // 2
            yield from _request(wire, number, commands[:half])
            yield from _request(wire, number, commands[half:])
        else:
            for command in commands:
                yield command.key, _refused(error.fault, f"campaign {number}")
    except RetryableError as error:
        if unsent(error):
            raise
        for command in commands:
            yield command.key, _unknown()
    else:
        for command in commands:
            yield command.key, _done(command, now, f"campaign {number} requested")


def _done(command: Nurture, at: datetime, note: str, *, adopted: bool = False) -> Done:
    which: dict[str, Value] = {"list": command.list_id, "campaign": command.campaign_id}
    told: dict[str, Value] = {name: number for name, number in which.items() if number is not None}
    return Done(Receipt(command.key, command.lead, at, told, adopted=adopted, note=note))


def _unknown() -> Refused:
    return Refused(
        "The campaign was requested and no answer came; asking again might run it twice. Look in Marketo at the lead's"
        " activity log for Request Campaign, then retry or drop this.",
        "unknown",
    )


def _refused(fault: Fault, where: str) -> Refused:
    if fault.code == _LEAD_NOT_FOUND:
        return Refused(f"Marketo has no such lead (any more): {where}.", code=fault.code)
    if fault.code == "603":
        why = f"Marketo does not let the API user use {where}: its role needs Read-Write Person and Execute Campaign."
        return Refused(why, code=fault.code)
    return Refused(
        f"Marketo refused {where}: {fault.told()}. Check that it exists and, for a campaign, that it is active and has"
        " the trigger Campaign is Requested by Web Service API.",
        code=fault.code,
    )
