"""What an admin can tell an agent: one vocabulary, through the socket or from a command that is the writer itself."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import structs

from syncagent.agent.rounds import Agent
from syncagent.errors import UserError
from syncagent.handoff import adopt, mend, plan, renewed
from syncagent.model import Activity, Dossier, Identity, Lane, Lead, Page
from syncagent.state.journal import basis_of
from syncagent.state.store import Settlement

SWEEP = 2000
AT_ONCE = 500
EVERY = 1 << 40
STUCK = ("parked", "unknown", "conflict")
NOT_STUCK = ("queued", "sending", "done", "dropped")
SHOWN = "%Y-%m-%d %H:%M"


def carry_out(agent: Agent, order: Mapping[str, Any]) -> dict[str, Any]:
    """Do it and tell what came of it. Raises `UserError` for an order that is not known or does not fit."""
    verb = str(order.get("do"))
    doing = ORDERS.get(verb)
    if doing is None:
        raise UserError(f"The running agent does not know the order {verb!r}: it may be older than this command.")
    answer = doing(agent, order)
    agent.bell.set()
    for bell in agent.outgoing.values():
        bell.set()
    return answer


def _release(agent: Agent, order: Mapping[str, Any]) -> dict[str, Any]:
    if order.get("deletions"):
        _known(agent, order["deletions"])
        agent.store.set_meta(f"believe/{order['deletions']}", agent.clock.now().isoformat())
        return {"released": 0}
    if order.get("scores"):
        agent.store.set_meta("scores_released", agent.clock.now().isoformat())
        agent.store.set_meta("scores_held", "")
        return {"released": sweep(agent)}
    return {"released": agent.store.release(order.get("people"), limit=order.get("limit"))}


def _reapply(agent: Agent, order: Mapping[str, Any]) -> dict[str, Any]:
    """Which live promises today's terms would move; with "go", they move (law 13)."""
    moves: list[dict[str, Any]] = []
    for person in _people(agent, with_sales=True):
        with agent.deciding:  # the roster is read, planned with and stored as one
            dossier, now, roster = agent.store.dossier(person), agent.clock.now(), agent.store.roster()
            moved = renewed(dossier, agent.policy, now) if dossier is not None else None
            if dossier is None or moved is None:
                continue
            basis = basis_of(moved, dossier, agent.policy, roster, now, by="renewed")
            settlement = Settlement(person, dossier.revision, moved, basis=basis)
            if not order.get("go") or agent.store.settle([settlement], roster, now=now, config=agent.policy.digest):
                moves.append({"person": person, **moved.events[0].data})
    return {"moves": moves}


def _history(agent: Agent, order: Mapping[str, Any]) -> dict[str, Any]:
    """Who would be handed off if history since then counted; with "go", they are (law 11)."""
    policy = structs.replace(agent.policy, live_from=datetime.fromisoformat(order["since"]))
    count = 0
    for person in _people(agent, with_sales=False):
        with agent.deciding:
            dossier, now, roster = agent.store.dossier(person), agent.clock.now(), agent.store.roster()
            planned = plan(dossier, policy, roster, now) if dossier is not None else None
            if dossier is None or planned is None or planned.cause not in ("handoff", "handraiser"):
                continue
            if not order.get("go"):
                count += 1
                continue
            basis = basis_of(planned, dossier, policy, roster, now)
            settlement = Settlement(person, dossier.revision, planned, basis=basis)
            count += agent.store.settle([settlement], planned.roster or roster, now=now, config=policy.digest)
    return {"handoffs": count}


def _adopt(agent: Agent, order: Mapping[str, Any]) -> dict[str, Any]:
    """Whom sales works on, or has given back, without us; with "go", they are watched from now on (law 6)."""
    count, after = 0, 0
    while people := agent.store.people(after, AT_ONCE):
        with agent.deciding:
            now, roster = agent.clock.now(), agent.store.roster()
            taken = []
            for dossier in agent.store.dossiers(people):
                made = adopt(dossier, agent.policy, roster, now)
                if made is not None:
                    basis = basis_of(made, dossier, agent.policy, roster, now, by="adopt")
                    taken.append(Settlement(dossier.person, dossier.revision, made, basis=basis))
                    roster = made.roster or roster
            done = len(taken)
            if taken and order.get("go"):
                done = agent.store.settle(taken, roster, now=now, config=agent.policy.digest)
        count += done
        if done == len(taken):  # else something new was heard of one of them: these are read again
            after = people[-1]
    return {"people": count}


def _replan(agent: Agent, order: Mapping[str, Any]) -> dict[str, Any]:
    """These are planned anew, here and now when no daemon does it; what no plan would have decided is mended first."""
    people = [int(person) for person in order["people"]]
    for person in people:
        with agent.deciding:
            dossier, now, roster = agent.store.dossier(person), agent.clock.now(), agent.store.roster()
            mended = mend(dossier, agent.policy, roster, now) if dossier is not None else None
            if dossier is not None and mended is not None:
                basis = basis_of(mended, dossier, agent.policy, roster, now, by="mend")
                settlement = Settlement(person, dossier.revision, mended, basis=basis)
                agent.store.settle([settlement], mended.roster or roster, now=now, config=agent.policy.digest)
        agent.store.sweep(person - 1, 1, now=agent.clock.now())
    while agent.decide():
        pass
    return {"people": len(people)}


def _people(agent: Agent, *, with_sales: bool) -> Iterator[int]:
    after = 0
    while people := agent.store.people(after, SWEEP, with_sales=with_sales):
        after = people[-1]
        yield from people


def sweep(agent: Agent) -> int:
    """Have everybody planned again, page by page, in the cold lane; how many."""
    count, after = 0, 0
    while (last := agent.store.sweep(after, SWEEP, now=agent.clock.now())) is not None:
        count += last - after
        after = last
    return count


def _retry(agent: Agent, order: Mapping[str, Any]) -> dict[str, Any]:
    stuck, refused = _stuck(agent, order["keys"])
    return {"queued": agent.store.retry(stuck), "refused": refused}


def _drop(agent: Agent, order: Mapping[str, Any]) -> dict[str, Any]:
    stuck, refused = _stuck(agent, order["keys"])
    return {"dropped": agent.store.drop(stuck, now=agent.clock.now()), "refused": refused}


def _stuck(agent: Agent, keys: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Which of the keys name commands that are stuck, and why the others cannot be meant."""
    found = agent.store.outbox((*STUCK, *NOT_STUCK), EVERY, keys=keys)
    states = {item.command.key: item.state for item in found}
    stuck = {key for key, state in states.items() if state in STUCK}
    others = [key for key in keys if key not in stuck]
    refused = {
        key: f"{key} is {states[key]}, not parked." if key in states else f"No command has the key {key}."
        for key in others
    }
    return [key for key in keys if key in stuck], refused


def _known(agent: Agent, name: str) -> None:
    if name not in agent.sources:
        raise UserError(f"{name!r} is none of the systems: {', '.join(agent.sources)}.")


def _backfill(agent: Agent, order: Mapping[str, Any]) -> dict[str, Any]:
    name = order["source"]
    _known(agent, name)
    since = datetime.fromisoformat(order["since"])
    until = datetime.fromisoformat(order["until"]) if order.get("until") else None
    if since >= agent.clock.now():
        raise UserError(f"--since {since:{SHOWN}} UTC lies in the future; there is no history yet. Name a past date.")
    if until is not None and until <= since:
        raise UserError(f"--until {until:{SHOWN}} UTC is not after --since {since:{SHOWN}} UTC. Exchange the two.")
    return {"stream": agent.start_backfill(name, since, until)}


def _accept(agent: Agent, order: Mapping[str, Any]) -> dict[str, Any]:
    # What a file tells: people, and what they did, which is an array.
    told = order["facts"]
    facts = [msgspec.convert(one, Activity) if isinstance(one, list) else msgspec.convert(one, Lead) for one in told]
    page = Page(tuple(facts), str(order.get("cursor", "")))
    accepted = agent.store.accept(page, str(order.get("stream", "")), now=agent.clock.now(), lane=Lane.COLD)
    return {"new": accepted.new}


def _retry_posts(agent: Agent, order: Mapping[str, Any]) -> dict[str, Any]:
    """Refused deliveries are read again, here and now when no daemon does it."""
    count = agent.store.retry_posts(order["ids"] or None)
    for name, bell in agent.posted.items():
        bell.set()
        while agent.unpack(name):
            pass
    return {"posts": count}


def _drop_posts(agent: Agent, order: Mapping[str, Any]) -> dict[str, Any]:
    return {"posts": agent.store.drop_posts(order["ids"])}


def _backup(agent: Agent, order: Mapping[str, Any]) -> dict[str, Any]:
    agent.store.backup(order["path"])
    return {"path": order["path"]}


def _split(agent: Agent, order: Mapping[str, Any]) -> dict[str, Any]:
    """What would part; with "go", it parts."""
    person = int(order["person"])
    dossier = agent.store.dossier(person)
    if dossier is None:
        raise UserError(f"There is no person {person}; `syncagent explain EMAIL` shows the number.")
    named = tuple(_one_of(dossier, text) for text in order["identities"])
    going = {one for one in dossier.identities if one in named}
    told = {
        "person": person,
        "identities": [_spelled(one) for one in sorted(going)],
        "leads": sum(one.identity in going for one in dossier.leads),
        "records": sum(one.identity in going for one in dossier.records),
        "activities": sum(one.identity in going for one in dossier.activities),
        "stay": [_spelled(one) for one in dossier.identities if one not in going],
    }
    if not order.get("go"):
        return told
    parted = agent.store.split(person, named, now=agent.clock.now())
    return told | {"other": parted.other, "moved": [_spelled(one) for one in parted.identities]}


def _spelled(one: Identity) -> str:
    return f"{one.system}/{one.object}/{one.id}"


def _one_of(dossier: Dossier, text: str) -> Identity:
    """The identity of theirs that is meant by its id, or by system/object/id."""
    meant = [one for one in dossier.identities if text in (one.id, _spelled(one))]
    if len(meant) != 1:
        how = "is none" if not meant else "is more than one"
        raise UserError(
            f"{text!r} {how} of the identities of person {dossier.person}: `syncagent explain {dossier.person}` lists "
            "them. Write system/object/id."
        )
    return meant[0]


ORDERS = {
    "split": _split,
    "release": _release,
    "outbox retry": _retry,
    "outbox drop": _drop,
    "inbox retry": _retry_posts,
    "inbox drop": _drop_posts,
    "backfill": _backfill,
    "accept": _accept,
    "backup": _backup,
    "reapply": _reapply,
    "history": _history,
    "adopt": _adopt,
    "replan": _replan,
}
