"""Plays the story, with kills where a case wants them, and tells what came of it.

The functions at the end are the cases; they run in processes of their own, one after the other.
"""

import functools
import json
import os
import random
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.crash import disk, hubspot_theatre
from tests.crash.reckoning import effects, reckon
from tests.crash.runner import Runner, Zygote, shot_after
from tests.crash.strace import Tracer
from tests.crash.theatre import BEATS, Theatre

ROUNDS = 12
TRIES = 60
LIVES = 3  # of a daemon in one beat, each of which ends at another window
PATIENCE, NUDGE = 60.0, 0.7  # seconds to wait for it to be idle, and after which time moves on for what waits for it
ASKED = 4  # calls to each vendor after which nothing more is expected

Point = tuple[str, int]
"""A failpoint by its name, and which time it is reached in one life."""


class World(Struct):
    """Whose story it is: the stage, what happens on it, and how it is reckoned up. `faults`: where answers are lost."""

    make: Callable[[Path], Any]
    beats: Sequence[tuple[datetime, str, Callable[[Any], None] | None]]
    reckon: Callable[[Any], dict[str, Any]]
    effects: Callable[[Any], int]
    faults: Sequence[tuple[str, str]]  # name of the vendor's control on the stage, path


WORLDS = {
    "salesforce": World(
        Theatre, BEATS, reckon, effects, (("salesforce", "composite/sobjects"), ("marketo", "/lists/"))
    ),
    **{
        name: World(
            make,
            hubspot_theatre.BEATS,
            hubspot_theatre.reckon,
            hubspot_theatre.effects,
            (
                ("hubspot", "/(contacts|leads)/batch/(create|update)"),
                ("hubspot", "/(tasks|leads)/batch/(create|update)"),
            ),
        )
        for name, make in (
            ("hubspot", hubspot_theatre.Theatre),
            ("hubspot plain", hubspot_theatre.PlainTheatre),
            ("hubspot leads", hubspot_theatre.LeadsTheatre),
        )
    },
}

Round = Callable[[Runner, int], int]
"""Runs one child in a beat; its exit code. A case that kills does it here."""


class Told(Struct):
    """What came of a story: what stands at the end, how many children were killed, and what the case has to say."""

    outcome: dict[str, Any]
    effects: int
    killed: int
    more: Any = None


@functools.cache
def zygote(preload: Path | None = None) -> Zygote:
    """One for each process that plays stories."""
    return Zygote(preload)


@contextmanager
def stage(
    preload: Path | None = None, synchronous: str | None = None, world: str = "salesforce"
) -> Iterator[tuple[Any, Runner]]:
    """A fresh world and a fresh state."""
    with tempfile.TemporaryDirectory(prefix="crash-") as folder, WORLDS[world].make(Path(folder)) as theatre:
        yield theatre, Runner(zygote(preload), theatre, synchronous)


def play(theatre: Any, runner: Runner, round_: Round, world: str = "salesforce") -> Told:
    """The whole story."""
    told = WORLDS[world]
    for number, (moment, _, act) in enumerate(told.beats):
        theatre.move_to(moment)
        if act is not None:
            act(theatre)
        _until_quiet(theatre, runner, number, round_)
    return Told(told.reckon(theatre), told.effects(theatre), runner.killed)


def _until_quiet(theatre: Any, runner: Runner, number: int, round_: Round) -> None:
    """Children until a whole round goes through and nothing waits for its time of a few seconds."""
    for _ in range(ROUNDS):
        if not any(round_(runner, number) == 0 for _ in range(TRIES)):
            raise AssertionError(f"no round went through in beat {number}: {runner.log()}")
        if not (_waits(theatre) or _unplanned(theatre)):
            return
        theatre.move_to(theatre.now + timedelta(seconds=15))
    raise AssertionError(f"never quiet in beat {number}: {runner.log()}")


def _waits(theatre: Any) -> bool:
    db = sqlite3.connect(f"file:{theatre.state}?mode=ro", uri=True)
    try:
        (unsent,) = db.execute("select count(*) from outbox where state in ('queued', 'sending')").fetchone()
        cursors = [text for (text,) in db.execute("select cursor from stream") if text]
        down = [
            json.loads(note)
            for (note,) in db.execute("select value from meta where name like 'down/%' and value <> ''")
        ]
    finally:
        db.close()
    # A round that was left out to save calls (kills make more of them) is made up for by the next.
    left_out = any(json.loads(text).get("left_out", 0) for text in cursors)
    return bool(unsent or left_out) or any(datetime.fromisoformat(note["until"]) > theatre.now for note in down)


# -- cases


def undisturbed(world: str = "salesforce") -> Told:
    """Nobody is killed. `more`: the failpoints of the first round of each beat."""
    traces: dict[int, list[Point]] = {}
    with stage(world=world) as (theatre, runner):
        trace = theatre.folder / "trace"

        def round_(runner: Runner, number: int) -> int:
            trace.unlink(missing_ok=True)
            code = runner.run(trace=trace)
            if number not in traces:
                names = trace.read_text().split()
                traces[number] = [(name, names[: place + 1].count(name)) for place, name in enumerate(names)]
            return code

        told = play(theatre, runner, round_, world)
    told.more = traces
    return told


def dying_at(points: Mapping[int, Point], world: str = "salesforce") -> Told:
    """In each beat the first child that comes to that point dies there. `more`: the beats in which one did.

    After an earlier kill that need not be the beat's first child: a poll that was left out comes a round later.
    """
    hit: list[int] = []
    with stage(world=world) as (theatre, runner):

        def round_(runner: Runner, number: int) -> int:
            code = runner.run(die_at=None if number in hit else points.get(number))
            if code != 0:
                hit.append(number)
            return code

        told = play(theatre, runner, round_, world)
    told.more = hit
    return told


def shot(seed: int, shots: int, world: str = "salesforce") -> Told:
    """SIGKILL from outside at random moments, up to `shots` times in each beat."""
    dice = random.Random(seed)
    with stage(world=world) as (theatre, runner):
        fired: dict[int, int] = {}

        def round_(runner: Runner, number: int) -> int:
            fired[number] = fired.get(number, 0) + 1
            if fired[number] > shots:
                return runner.run()
            return runner.run(harm=shot_after(dice.uniform(0.0, runner.seconds)))

        return play(theatre, runner, round_, world)


def forgotten(shim: Path, seed: int, shots: int, synchronous: str | None = None) -> Told:
    """Killed at random moments on a disk that forgets what was not synced. `more`: how many bytes were lost."""
    dice = random.Random(seed)
    lost = 0
    with stage(shim, synchronous) as (theatre, runner):
        left = shots

        def round_(runner: Runner, number: int) -> int:
            nonlocal left, lost
            if not left or dice.random() < 0.5:
                return runner.run()
            code = runner.run(harm=shot_after(dice.uniform(0.0, runner.seconds)))
            if code != 0:
                left -= 1
                lost += disk.forget(theatre.state)
            return code

        told = play(theatre, runner, round_)
    told.more = lost
    return told


def living(seed: int) -> Told:
    """The daemon itself, threads and all, is killed again and again in each beat, while answers to writes are lost.

    `more`: how many kills hit each of the `WINDOWS`, and how many of the faults struck.
    """
    dice = random.Random(seed)
    with stage() as (theatre, runner):
        aim = theatre.folder / "aim"
        hits: Counter[str] = Counter()
        struck, number, lives, begun = 0, 0, 0, False

        def arm() -> str:
            """At the window that was hit least; once there were lives enough in this beat, at none."""
            aim.unlink(missing_ok=True)
            if lives == LIVES:
                return ""
            window = min(sorted(WINDOWS), key=lambda each: (hits[each], dice.random()))
            if window == WRITTEN:
                theatre.salesforce.plant(match={"path": "composite/sobjects"}, delay=ON_ITS_WAY)
            else:
                ready = aim.with_suffix(".ready")
                ready.write_text(WINDOWS[window][0])
                ready.rename(aim)
            return window

        def life(pid: int) -> None:
            """From birth to the next kill, or to the end."""
            nonlocal window, struck, number, lives, begun
            while number < len(BEATS):
                moment, _, act = BEATS[number]
                if not begun:
                    begun = True
                    # It must not see the new moment before what people do at it: days pass at once here, and what
                    # they brought would be due.
                    os.kill(pid, signal.SIGSTOP)
                    try:
                        theatre.move_to(moment)
                        struck += _troubled(theatre, dice)
                        window = arm()
                        if act is not None:
                            act(theatre)
                    finally:
                        os.kill(pid, signal.SIGCONT)
                if _until_idle(theatre, runner, pid, shoot=window == WRITTEN):
                    number, lives, begun = number + 1, 0, False
                    continue
                lives += 1
                hits[window] += WINDOWS[window][1](theatre)
                return
            os.kill(pid, signal.SIGTERM)

        def guarded(pid: int) -> None:
            try:
                life(pid)
            except BaseException:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)  # nobody else would end it
                raise

        window = ""
        while runner.run(aim=aim, harm=guarded) != 0:
            window = arm()
        return Told(reckon(theatre), effects(theatre), runner.killed, {"hits": dict(hits), "struck": struck})


def _troubled(theatre: Theatre, dice: random.Random) -> int:
    """Now and then the next write goes wrong; how many faults of before have struck."""
    struck = 0
    for vendor, path in ((theatre.salesforce, "composite/sobjects"), (theatre.marketo, "/lists/")):
        struck += sum(fault["struck"] for fault in vendor.faults())
        vendor.clear_faults()
        if dice.random() < 0.5:
            fault = dice.choice(({"drop": "before"}, {"drop": "after"}, {"late": 0.05}, {"cut": True}))
            vendor.plant(match={"method": dice.choice(("POST", "PATCH", "POST")), "path": path}, **fault)
    return struck


def _until_idle(theatre: Theatre, runner: Runner, pid: int, *, shoot: bool) -> bool:
    """Until the daemon has asked both vendors again and again, and found nothing more to do; False when it was killed.

    `shoot`: it is killed once a write of its has arrived, before the answer.
    """
    quiet_since: list[int] | None = None
    nudged = deadline = time.monotonic()
    while time.monotonic() < deadline + PATIENCE:
        if shoot and any(fault["struck"] for fault in theatre.salesforce.faults() if "delay" in fault):
            os.kill(pid, signal.SIGKILL)
            shoot = False
        if not _lives(pid):
            return False
        asked = [vendor.quota()["calls"] for vendor in (theatre.marketo, theatre.salesforce)]
        if not _has_read(theatre) or _waits(theatre) or _unplanned(theatre):
            quiet_since = None
        elif quiet_since is None:
            quiet_since = asked
        elif all(now >= then + ASKED for now, then in zip(asked, quiet_since, strict=True)):
            return True
        if not _waits_for_time(theatre):
            nudged = time.monotonic()
        elif time.monotonic() > nudged + NUDGE:
            nudged = time.monotonic()
            theatre.move_to(theatre.now + timedelta(seconds=15))
        time.sleep(0.01)
    raise AssertionError(f"never idle: {runner.log()}")


def _waits_for_time(theatre: Theatre) -> bool:
    """Whether only a later moment helps: not that the machine is slow, for then the promises of the story run out."""
    if not theatre.state.exists():
        return False
    sql = (
        "select 1 from outbox where state = 'queued' and not_before > ?1"
        " union all select 1 from waits where what = 'crm'"
        " union all select 1 from meta where name like 'down/%' and json_valid(value)"
    )
    db = sqlite3.connect(f"file:{theatre.state}?mode=ro", uri=True)
    try:
        return db.execute(sql, (int(theatre.now.timestamp() * 1000),)).fetchone() is not None
    except sqlite3.OperationalError:  # its tables are still being made
        return False
    finally:
        db.close()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _has_read(theatre: Theatre) -> bool:
    """Whether a daemon has ever come so far as to read both vendors."""
    if not theatre.state.exists():
        return False
    db = sqlite3.connect(f"file:{theatre.state}?mode=ro", uri=True)
    try:
        return bool(db.execute("select count(*) = 2 from stream where name like '%/poll'").fetchone()[0])
    except sqlite3.OperationalError:  # its tables are still being made
        return False
    finally:
        db.close()


def _unplanned(theatre: Theatre) -> bool:
    """Whether somebody is to be planned: news of them, a wake-up, or a promise that waits for a fresh view."""
    sql = (
        "select 1 from person where held is null and (dirty_since is not null or wake_at <= ?)"
        " union all select 1 from waits where what = 'crm'"
    )
    db = sqlite3.connect(f"file:{theatre.state}?mode=ro", uri=True)
    try:
        return db.execute(sql, (int(theatre.now.timestamp() * 1000),)).fetchone() is not None
    finally:
        db.close()


def _holds(*states: str) -> Callable[[Theatre], bool]:
    """Whether the outbox holds a command that stands so."""

    def holds(theatre: Theatre) -> bool:
        db = sqlite3.connect(f"file:{theatre.state}?mode=ro", uri=True)
        try:
            found = {state for (state,) in db.execute("select distinct state from outbox")}
        finally:
            db.close()
        return not found.isdisjoint(states)

    return holds


WRITTEN = "a write has arrived, its answer has not"
ON_ITS_WAY = 0.15  # seconds that the answer to such a write takes
WINDOWS: Mapping[str, tuple[str, Callable[[Theatre], bool]]] = {
    "accepted, not settled": ("settle.before", _unplanned),
    "settled, not taken": ("settle.after_commit", _holds("queued")),
    "taken, not sent": ("due.after_commit", _holds("sending")),
    WRITTEN: ("", _holds("sending")),
    "answered, not confirmed": ("confirm.before", _holds("sending")),
    "confirmed, not planned": ("confirm.after_commit", _unplanned),
}
"""Where the daemon is killed: at which failpoint, and what its state must show for the kill to have hit."""


def traced(call: str, first_beat: int, at: Sequence[int]) -> Told:
    """From a beat on, dies on entering the nth `call` that all children together make, for each n in `at`.

    `more`: the numbers at which it did.
    """
    hit: list[int] = []
    with stage() as (theatre, runner):
        todo = sorted(at)
        made = 0

        def round_(runner: Runner, number: int) -> int:
            nonlocal made
            if not todo or number < first_beat:
                return runner.run()
            # strace counts by thread, we count all: what another thread has passed is taken at the next first call.
            with Tracer(theatre.folder, call, max(todo[0] - made, 1)) as tracer:
                code = runner.run(harm=tracer.attach, go=tracer.go)
            made += tracer.calls()
            if code != 0:
                hit.append(todo.pop(0))
            return code

        told = play(theatre, runner, round_)
    told.more = hit
    return told


def unanswered(seed: int, world: str = "salesforce") -> Told:
    """Nobody is killed, but answers to writes are lost: never arrived, done and not told, or done late.

    `more`: how many faults struck.
    """
    dice = random.Random(seed)
    with stage(world=world) as (theatre, runner):
        struck = 0

        def round_(runner: Runner, number: int) -> int:
            nonlocal struck
            for name in {name: None for name, _ in WORLDS[world].faults}:
                struck += sum(fault["struck"] for fault in getattr(theatre, name).faults())
                getattr(theatre, name).clear_faults()
            for name, path in WORLDS[world].faults:
                vendor = getattr(theatre, name)
                if dice.random() < 0.5:
                    fault = dice.choice(({"drop": "before"}, {"drop": "after"}, {"late": 0.05}, {"cut": True}))
                    method = dice.choice(("POST", "PATCH", "POST"))
                    vendor.plant(match={"method": method, "path": path, "after": dice.randrange(2)}, **fault)
            return runner.run()

        told = play(theatre, runner, round_, world)
    told.more = struck
    return told
