"""Who of a pool gets the lead: who can take it now, and whose turn it is among them."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from syncagent.handoff.calendar import add_working, back_at, is_away
from syncagent.handoff.conditions import fold, is_known
from syncagent.handoff.team import Team
from syncagent.handoff.turns import LEAST_WEIGHT, Loads
from syncagent.model import Turn, Value
from syncagent.policy import Hours, Rep, RouteTarget

ALWAYS = ((0, 24 * 60),)
_LEAST = timedelta(microseconds=1)
_MOST_ABSENCES = 50


class Asked(NamedTuple):
    """What a pool is asked for: the lead's attributes, the time, whose turn is over, whether somebody must be there."""

    attributes: Mapping[str, Value]
    now: datetime
    exclude: Collection[str] = ()
    company: str = ""
    at_work: bool = False


class Picked(NamedTuple):
    """Who gets it, why, and the state of the pool; without anybody, `first_in` is when the first one is at work."""

    rep: Rep | None
    why: str
    states: tuple[str, ...]
    turn: Turn | None = None
    first_in: datetime | None = None


def pick(name: str, members: Collection[str], to: RouteTarget, asked: Asked, team: Team, loads: Loads) -> Picked:
    """Somebody of the pool `name`, by the rules of the route that leads to it; their turn is taken."""
    able: list[Rep] = []
    states: list[str] = []
    back: list[datetime] = []
    reps = [team.rep(one) for one in members]
    for rep in reps:
        why = barred(rep, to, asked, loads)
        if not why and (coming := absent_until(rep, asked, team, loads)) is not None:
            why, when = coming
            back.append(when)
        if why:
            states.append(f"{rep.name}: {why}")
        else:
            able.append(rep)
    ids = [rep.crm_id for rep in reps]
    if not able:
        loads.meet(name, ids)
        return Picked(None, "", tuple(states), first_in=min(back, default=None))
    credit = {rep.crm_id: loads.credit(name, rep.crm_id) for rep in able}
    rep, why, turn = _choose(name, ids, able, to, asked, loads, team)
    if turn is not None:
        credit = {one: held + turn.shares[one] for one, held in credit.items()}
    else:
        loads.meet(name, ids)
    by_turn = to.pick == "weighted"
    told = [_state(one, credit[one.crm_id] if by_turn else None, to, asked, team, loads) for one in able]
    if to.sticky and asked.company:
        loads.remember(name, asked.company, rep.crm_id)
    return Picked(rep, why, (*told, *states), turn)


def _choose(
    name: str, ids: list[str], able: list[Rep], to: RouteTarget, asked: Asked, loads: Loads, team: Team
) -> tuple[Rep, str, Turn | None]:
    if to.sticky and asked.company:
        known = loads.rep_of(name, asked.company)
        for rep in able:
            if rep.crm_id == known:
                return rep, f"{rep.name} has the company's last lead.", None
    if to.pick == "least_busy":
        rep = min(able, key=lambda one: (_load(one, loads), ids.index(one.crm_id)))
        return rep, f"{rep.name} has the least to do for their weight.", None
    if to.pick == "first_available":
        for rep in able:
            if first_moment(rep, asked.now, team, loads) <= asked.now:
                return rep, f"{rep.name} is the first of the list who is at work.", None
        return able[0], f"nobody is at work now, and {able[0].name} is the first of the list.", None
    rep, turn, _ = loads.turn(name, ids, able)
    return rep, f"it was {rep.name}'s turn.", turn


def barred(rep: Rep, to: RouteTarget, asked: Asked, loads: Loads) -> str:
    """Why this rep cannot take this lead, wherever they are; empty when they can."""
    if rep.crm_id in asked.exclude:
        return "had it before"
    if not loads.is_active(rep.crm_id):
        return "inactive in the CRM"
    for name in to.skills:
        value = asked.attributes.get(name)
        if is_known(value) and fold(value) not in {fold(one) for one in rep.skills.get(name, ())}:
            return f"does not have {name} {value}"
    return full(rep, loads)


def full(rep: Rep, loads: Loads) -> str:
    """Which of their caps a rep has reached; empty when none."""
    held, given = loads.open_of(rep.crm_id), loads.given_today(rep.crm_id)
    if rep.cap_open is not None and held >= rep.cap_open:
        return f"full, {held}/{rep.cap_open} open"
    if rep.cap_per_day is not None and given >= rep.cap_per_day:
        return f"has had {given}/{rep.cap_per_day} today"
    return ""


def absent_until(rep: Rep, asked: Asked, team: Team, loads: Loads) -> tuple[str, datetime] | None:
    """Why a rep is not there for this lead, and when they will be; None when they are.

    Without `at_work` any hour of a day on which they work will do.
    """
    away = is_away(asked.now, team.zone(rep), team.days_off(rep))
    gone = gone_until(rep, asked.now, team, loads) is not None
    if not away and not gone and not asked.at_work:
        return None
    moment = first_moment(rep, asked.now, team, loads)
    if moment <= asked.now:
        return None
    if away or gone:
        return "away today" if away else "away now", moment
    return f"not at work before {moment:%Y-%m-%d %H:%M} UTC", moment


def first_moment(rep: Rep, now: datetime, team: Team, loads: Loads) -> datetime:
    """The earliest moment from `now` on at which the rep is at work; `now` when they are."""
    hours = rep.hours or Hours((ALWAYS,) * 7, team.zone(rep))
    off = team.days_off(rep)
    moment = now
    for _ in range(_MOST_ABSENCES):
        moment = add_working(moment, _LEAST / timedelta(minutes=1), hours, off, team.busy(rep)) - _LEAST
        end = gone_until(rep, moment, team, loads)
        if end is None:
            break
        moment = end
    return moment


def gone_until(rep: Rep, now: datetime, team: Team, loads: Loads) -> datetime | None:
    """When an absence that holds this moment ends, by calendar or CRM; None when none does."""
    end, told = back_at(now, team.busy(rep)), loads.absent(rep.crm_id)
    if told is not None and told[0] <= now < told[1]:
        return max(end or told[1], told[1])
    return end


def _state(rep: Rep, credit: float | None, to: RouteTarget, asked: Asked, team: Team, loads: Loads) -> str:
    """One line on a rep who could take it: what the way of picking looks at, and what they have.

    `credit`: in a rotation, what they had to come with this lead's share.
    """
    held, given = loads.open_of(rep.crm_id), loads.given_today(rep.crm_id)
    told = [f"{held}/{rep.cap_open} open" if rep.cap_open is not None else f"{held} open"]
    if rep.cap_per_day is not None:
        told.append(f"{given}/{rep.cap_per_day} today")
    if credit is not None:
        told.insert(0, f"{round(credit, 2) + 0.0:.2f} leads to come")  # never -0.00
    elif to.pick == "least_busy":
        told.append(f"{_load(rep, loads):.2f} by their weight of {rep.weight:g}")
    else:
        moment = first_moment(rep, asked.now, team, loads)
        told.insert(0, "at work" if moment <= asked.now else f"not at work before {moment:%Y-%m-%d %H:%M} UTC")
    return f"{rep.name}: {', '.join(told)}"


def _load(rep: Rep, loads: Loads) -> float:
    """How much somebody has to do for their weight."""
    return loads.open_of(rep.crm_id) / max(rep.weight, LEAST_WEIGHT)
