"""What stands on each page. Every one reads little: lists are bounded, and what takes long is worked out elsewhere."""

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from markupsafe import Markup
from msgspec import Struct

from syncagent.config.masked import masked_toml
from syncagent.handoff.calendar import start_of_day
from syncagent.handoff.team import called_by
from syncagent.model import Dossier, HealthSnapshot, Usage
from syncagent.policy import Policy
from syncagent.reports import person as persons
from syncagent.reports.board import Board
from syncagent.reports.board import board as board_of
from syncagent.reports.catalog import REPORTS, cuts, make
from syncagent.reports.drawing import svg
from syncagent.reports.formats.charts import drawn
from syncagent.reports.formats.page import body
from syncagent.reports.process import Picture, lasted, picture
from syncagent.reports.report import Ask, Chart, Column, Report, Table
from syncagent.reports.standing import NOT, Outage, outages, standing
from syncagent.state import open_store
from syncagent.state.store import Store
from syncagent.web.prepared import Ready
from syncagent.web.visit import Said, Visit, to
from syncagent.web.written import answers, tells

FEW_WITH_SALES: Final = 300
FEW_PEOPLE: Final = 3000
SHOWN: Final = 100
STUCK: Final = ("parked", "unknown", "conflict")
LATE: Final = timedelta(minutes=15)
SKEWED: Final = 30_000  # milliseconds; vendors' stamps are compared with their own only, but signatures and tokens age
_GLANCE_FRESH: Final = 3.0
_BOARD_FRESH, _MAP_FRESH, _REPORT_FRESH = 20.0, 300.0, 300.0
_DAY: Final = 86_400.0


# -- health


class System(Struct, frozen=True):
    """One system as the page shows it. `lag`: seconds since when it is known to have been read."""

    name: str
    kind: str
    seen: datetime | None
    read: datetime | None
    lag: float | None
    late: bool
    usage: Usage | None
    used: float | None
    pace: float | None
    out: tuple[Outage, ...]


def health(visit: Visit) -> Said:
    """How the agent is, at a glance."""
    ready = _glance(visit)
    told: HealthSnapshot | None = ready.value
    if told is None:
        return Said(
            "wait.html", {"failed": ready.failed, "refresh": 0 if ready.failed else 1}, 500 if ready.failed else 200
        )
    alarms = standing(visit.store)
    systems = _systems(visit, told)
    waiting = sum(told.outbox.get(state, 0) for state in ("queued", "sending"))
    stuck = sum(told.outbox.get(state, 0) for state in STUCK)
    troubles = [f"{one.name} is {'broken' if o.broken else f'not {NOT[o.part]}'}" for one in systems for o in one.out]
    troubles += ["The disk is full: nothing is acknowledged"] if told.disk_full else []
    scores_held = bool(visit.store.meta("scores_held"))
    for_you = bool(stuck or told.held or alarms or scores_held or told.inbox.get("refused"))
    odd = [f"{one.name} is behind" for one in systems if one.late and not one.out]
    odd += [
        f"the clock of {one.name} differs from ours"
        for one in systems
        if one.usage and abs(one.usage.skew or 0) > SKEWED
    ]
    values = {
        "health": told,
        "busy": ready.busy,
        "systems": systems,
        "waiting": waiting,
        "stuck": stuck,
        "held": sum(told.held.values()),
        "troubles": troubles,
        "alarms": alarms,
        "odd": odd,
        "for_you": for_you,
        "worst": "bad" if troubles else "warn" if for_you or odd else "good",
        "scores_held": scores_held,
        "skewed": SKEWED,
        "not_done": NOT,
        "refresh": 2 if ready.busy else 30,
    }
    return Said("health.html", values)


def _glance(visit: Visit) -> Ready:
    """How the agent is, as it said a few seconds ago: counting what waits among a million takes a while."""
    return visit.glances.get("health", _GLANCE_FRESH, visit.desk.health, visit.now)


def _systems(visit: Visit, told: HealthSnapshot) -> list[System]:
    config = visit.desk.config()
    found = []
    outs: dict[str, list[Outage]] = {}
    for one in outages(told, visit.now):
        outs.setdefault(one.name, []).append(one)
    for table in (*config.sources, config.crm):
        stream = "crm" if table.name == config.crm.name else table.name
        seen = _latest(told.seen_until, stream)
        read = _latest(told.cursors, stream)
        lag = (visit.now - seen).total_seconds() if seen is not None else None
        usage = told.usage.get(table.name)
        used = usage.used / usage.limit if usage is not None and usage.limit else None
        late = lag is not None and lag > LATE.total_seconds()
        out = tuple(outs.pop(table.name, ()))
        found.append(System(table.name, table.type, seen, read, lag, late, usage, used, _pace(usage), out))
    for name, more in sorted(outs.items()):
        found.append(System(name, "", None, None, None, late=False, usage=None, used=None, pace=None, out=tuple(more)))
    return found


def _latest(moments: Mapping[str, datetime | None], system: str) -> datetime | None:
    """The latest moment of a system's streams; backfills and imports promise nothing about today."""
    known = [
        at
        for name, at in moments.items()
        if at is not None and name.split("/")[0] == system and "/backfill/" not in name
    ]
    return max(known, default=None)


def _pace(usage: Usage | None) -> float | None:
    """Calls that a day like the time so far would take; None: too little is known."""
    if usage is None or usage.since is None or usage.at is None:
        return None
    seconds = (usage.at - usage.since).total_seconds()
    return usage.made / seconds * _DAY if seconds >= 600 else None


# -- the board


def board(visit: Visit) -> Said:
    """Promises by when they are due. Where many are with sales it is worked out beside the agent."""
    config = visit.desk.config()
    few = visit.store.people(0, FEW_WITH_SALES, with_sales=True)
    if len(few) < FEW_WITH_SALES:
        made: Board | None = board_of(visit.store, visit.policy, visit.now, SHOWN)
        values = _at_once()
    else:
        args = (Path(config.agent.state), visit.policy, visit.now)
        ready = visit.prepared.get(("board", visit.policy.digest), _BOARD_FRESH, prepare_board, *args)
        made, values = ready.value, _beside(ready)
    names = _names(visit, [row.person for row in made.rows]) if made is not None else {}
    return Said("board.html", {**values, "board": made, "names": names, "refresh": 20 if made is not None else 2})


def prepare_board(state: Path, policy: Policy, now: datetime) -> Board:
    """The board, for a process of its own."""
    store = open_store(state, read_only=True)
    try:
        return board_of(store, policy, now, SHOWN)
    finally:
        store.close()


def _names(visit: Visit, people: list[int]) -> dict[int, str]:
    """What these people are called; a number where nobody knows."""
    return {one.person: name_of(one) for one in visit.store.dossiers(list(dict.fromkeys(people)))}


def name_of(dossier: Dossier) -> str:
    """What a person is called: a name, else the company, else their number."""
    told: dict[str, str] = {}
    for fields in (*(one.attributes for one in dossier.leads), *(one.fields for one in dossier.records)):
        for name in ("first_name", "last_name", "company"):
            if fields.get(name):
                told[name] = str(fields[name])
    whole = " ".join(told[name] for name in ("first_name", "last_name") if name in told)
    return whole or told.get("company", "") or f"Person {dossier.person}"


# -- people


def people(visit: Visit) -> Said:
    """Find somebody: what is looked for comes in a form, and never in an address."""
    who = next(iter(visit.form.get("who", ())), "").strip()
    if not who:
        return Said("people.html", {"asked": False, "found": (), "names": {}, "more": False})
    found = visit.store.find(who)
    if len(found) == 1:
        return to(f"/people/{found[0]}")
    some = list(found[:SHOWN])
    values = {"asked": True, "found": some, "names": _names(visit, some), "more": len(found) > SHOWN}
    return Said("people.html", values, 200 if found else 404)


def person(visit: Visit) -> Said:
    """Everything about one person."""
    number = min(int(visit.path["number"]), (1 << 63) - 1)
    page = _whole(visit.query.get("page", "1"))
    first = (page - 1) * SHOWN
    made = persons.person(visit.store, visit.policy, number, visit.now, first=first, most=SHOWN)
    if made is None:
        into = visit.store.merged_into(number)
        if into is not None:
            return to(f"/people/{into}")
        why = "Nobody here has this number. Look for them by email or by any system's id."
        return Said("said.html", {"title": "Nobody is there", "why": why}, 404)
    called = partial(called_by, visit.policy, visit.store.roster())
    values = {
        "person": made,
        "name": name_of(made.dossier),
        "curve": Markup(drawn(_curve(made), visit.zone.key)),  # noqa: S704 - it escapes whatever it is given
        "page": page,
        "pages": max(1, -(-made.did // SHOWN)),
        "written": [(one, tells(one.command, called), answers(one.receipt)) for one in made.written],
        "called": called,
    }
    return Said("person.html", values)


def _curve(made: persons.Person) -> Table:
    """The score over time, with the line to be handed off where there is one."""
    line = made.known.line.score
    columns = [Column("at", "When", "moment"), Column("score", "Score", "points"), Column("fit", "Of it fit", "points")]
    columns += [Column("line", "The line", "points")] if line is not None else []
    rows = tuple((one.at, one.total, one.fit, line)[: len(columns)] for one in made.curve)
    return Table(
        "curve",
        "Score over time",
        tuple(columns),
        rows,
        chart=Chart("lines", "at", tuple(one.name for one in columns[1:])),
    )


def _whole(text: str) -> int:
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 7 else 1


# -- what is parked


def outbox(visit: Visit) -> Said:
    """What was refused, and what to do about it; the same orders as `syncagent outbox retry` and `drop`."""
    keys = [key for key in visit.form.get("key", ()) if len(key) < 500][:SHOWN]
    doing = next(iter(visit.form.get("do", ())), "")
    if doing in ("retry", "drop") and keys and visit.changes:
        if doing == "drop" and "sure" not in visit.form:
            items = visit.store.outbox(STUCK, SHOWN, keys=keys)
            return Said("drop.html", {"items": items, "names": _names(visit, [one.command.person for one in items])})
        answer = visit.desk.order({"do": f"outbox {doing}", "keys": list(dict.fromkeys(keys))})
        visit.glances.forget("health")
        done = int(answer["queued" if doing == "retry" else "dropped"])
        return to("/outbox", did=doing, done=done, refused=len(answer["refused"]))
    if visit.form and not visit.changes:
        why = "These pages are read-only here: [pages] read_only says so. Use `syncagent outbox retry` or `drop`."
        return Said("said.html", {"title": "Nothing was changed", "why": why}, 403)
    told: HealthSnapshot | None = _glance(visit).value
    counts = told.outbox if told is not None else {}
    items = visit.store.outbox(STUCK, SHOWN)
    did = visit.query.get("did", "")
    news = (did, _count(visit.query.get("done", "")), _count(visit.query.get("refused", "")))
    values = {
        "items": items,
        "names": _names(visit, [one.command.person for one in items]),
        "stuck": max(len(items), sum(counts.get(state, 0) for state in STUCK)) if len(items) >= SHOWN else len(items),
        "counts": {state: count for state, count in sorted(counts.items()) if count},
        "did": news if did in ("retry", "drop") else None,
        "nothing_chosen": doing in ("retry", "drop"),
    }
    return Said("outbox.html", values)


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0


# -- reports


def reports(_visit: Visit) -> Said:
    """Which reports there are."""
    return Said("reports.html", {"reports": REPORTS})


def report(visit: Visit) -> Said:
    """One report: worked out beside the agent where there are many people, and shown with its time."""
    name = str(visit.path["name"])
    if name not in REPORTS:
        why = f"There are these: {', '.join(REPORTS)}."
        return Said("said.html", {"title": "There is no such report", "why": why}, 404)
    by, since, until = (visit.query.get(word, "") for word in ("by", "since", "until"))
    known = cuts(name)
    begin, end = _day(since, visit.zone), _day(until, visit.zone, later=1)
    wrong = (since and begin is None) or (until and end is None) or (by and by not in known)
    if wrong or (begin and end and begin >= end):
        why = "The days are no days, the first is not before the last, or the report cannot be cut so."
        return Said("said.html", {"title": "That cannot be asked", "why": why}, 400)
    ask = Ask(visit.now, visit.zone.key, begin, end, by)
    made: Report | None
    if len(visit.store.people(0, FEW_PEOPLE)) < FEW_PEOPLE:
        made, values = make(name, visit.store, ask, visit.policy), _at_once()
    else:
        args = (Path(visit.desk.config().agent.state), name, ask, visit.policy)
        key = ("report", name, begin, end, by, visit.policy.digest)
        ready = visit.prepared.get(key, _REPORT_FRESH, prepare_report, *args)
        made, values = ready.value, _beside(ready)
    values |= {
        "name": name,
        "says": REPORTS[name],
        "report": made,
        "body": Markup(body(made)) if made is not None else "",  # noqa: S704 - it escapes whatever it is given
        "cuts": known,
        "by": by,
        "since": since,
        "until": until,
        "refresh": 0 if made is not None or values["failed"] else 2,
    }
    return Said("report.html", values)


def prepare_report(state: Path, name: str, ask: Ask, policy: Policy) -> Report:
    """A report, for a process of its own."""
    store = open_store(state, read_only=True)
    try:
        return make(name, store, ask, policy)
    finally:
        store.close()


def _day(text: str, zone: ZoneInfo, *, later: int = 0) -> datetime | None:
    """The beginning of a day in the zone, or of one so many days later; None for none."""
    try:
        return start_of_day(date.fromisoformat(text) + timedelta(days=later), zone.key)
    except (ValueError, OverflowError):
        return None


def _at_once() -> dict[str, Any]:
    return {"took": 0.0, "busy": False, "failed": ""}


def _beside(ready: Ready) -> dict[str, Any]:
    return {"took": ready.seconds, "busy": ready.busy, "failed": ready.failed}


# -- the process map


def process(visit: Visit) -> Said:
    """The process map with its numbers; the picture comes by itself."""
    made, values = _picture(visit)
    return Said("process.html", {**values, "picture": made, "lasted": lasted, "refresh": 0 if made is not None else 2})


def process_picture(visit: Visit) -> Said:
    """The picture alone, as SVG."""
    made, _ = _picture(visit)
    if made is None:
        return Said("said.html", {"title": "Not yet", "why": "The map is being worked out; load it again."}, 503)
    return Said(values={"body": svg(made)}, kind="image/svg+xml")


def _picture(visit: Visit) -> tuple[Picture | None, dict[str, Any]]:
    if len(visit.store.people(0, FEW_PEOPLE)) < FEW_PEOPLE:
        made = prepare_picture(visit.store, visit.policy, visit.now)
        return made, _at_once()
    args = (Path(visit.desk.config().agent.state), visit.policy, visit.now)
    ready = visit.prepared.get(("process", visit.policy.digest), _MAP_FRESH, prepare_picture, *args)
    return ready.value, _beside(ready)


def prepare_picture(state: Path | Store, policy: Policy, now: datetime) -> Picture:
    """The map with its numbers, also for a process of its own."""
    if not isinstance(state, Path):
        return picture(state, policy, now, state.roster().names)
    store = open_store(state, read_only=True)
    try:
        return picture(store, policy, now, store.roster().names)
    finally:
        store.close()


# -- the config


class Changed(Struct, frozen=True):
    """One place of the agreement that is not as it was before."""

    path: str
    before: str
    after: str


def config(visit: Visit) -> Said:
    """The config as it runs, with its hash, and what of the agreement changed last. No secret is in it."""
    running = visit.desk.config()
    now = visit.store.policy_at(visit.now)
    before = visit.store.policy_at(now.since - timedelta(milliseconds=1)) if now is not None else None
    changes: list[Changed] | None = None
    if now is not None and before is not None and now.policy is not None and before.policy is not None:
        changes = changed(before.policy, now.policy)
    values = {
        "digest": visit.policy.digest,
        "since": now.since if now is not None else None,
        "before": before,
        "differences": changes,
        "toml": masked_toml(running.raw),
        "state": str(Path(running.agent.state).name),
    }
    return Said("config.html", values)


def changed(before: Policy, after: Policy, most: int = 200) -> list[Changed]:
    """Where two policies differ, each value by its path."""
    old, new = dict(_leaves(msgspec.to_builtins(before), "")), dict(_leaves(msgspec.to_builtins(after), ""))
    paths = [path for path in (*old, *(path for path in new if path not in old)) if old.get(path) != new.get(path)]
    return [Changed(path, old.get(path, ""), new.get(path, "")) for path in paths if path != "digest"][:most]


def _leaves(value: Any, path: str) -> list[tuple[str, str]]:  # noqa: ANN401 - whatever a policy holds
    if isinstance(value, Mapping) and value:
        return [one for key, inner in value.items() for one in _leaves(inner, f"{path}.{key}" if path else str(key))]
    if isinstance(value, list | tuple) and any(isinstance(one, Mapping) for one in value):
        return [
            one for place, inner in enumerate(value, 1) for one in _leaves(inner, f"{path}[{_called(inner, place)}]")
        ]
    return [(path, value if isinstance(value, str) else json.dumps(value, default=str))]


def _called(value: Any, place: int) -> str:  # noqa: ANN401 - whatever a policy holds
    """An item of a list by its name, so that one that was put in between does not look like a change of all."""
    name = value.get("name") if isinstance(value, Mapping) else None
    return str(name) if name else str(place)


__all__ = ["board", "config", "health", "outbox", "people", "person", "process", "process_picture", "report", "reports"]
