"""Ten thousand people over three systems: nobody is joined with somebody else, nobody gets a second CRM record."""

import itertools
import random
from collections import Counter, defaultdict
from datetime import timedelta
from functools import partial

import pytest

from syncagent.model import Activity, CrmRecord, Identity, Lead, Merged
from tests.story.crowd import Crowd, Told
from tests.story.test_one_person import TWO, TwoSources

WAVES = 5
CALM = """[handoff.brake]
per_hour = 1000000
per_rep = 1000000
hand_raisers_per_hour = 1000000
[team]"""
SLA = TWO[TWO.index("[[sla]]") : TWO.index("[recycle]")]  # promises are another story


def config(plus: str) -> str:
    return TWO.replace("[team]", CALM, 1).replace(SLA, "") + f'[identity]\nplus_tags = "{plus}"\n'


def tell(stage: TwoSources, told: Told) -> None:
    now, who = stage.clock.now(), told.identity
    given = {"first_name": told.first, "last_name": told.last, "mobile": told.mobile, "phone": told.phone}
    named = {name: value for name, value in given.items() if value}
    emails = (told.email,) if told.email else ()
    if who.system == "crm":
        fields = {**named, "status": "Open", "owner": "queue"} if who.object == "Lead" else named
        stage.crm.feed([CrmRecord(who, now, now, "somebody", fields, emails)])
        return
    source = stage.web if who.system == "web" else stage.fair
    source.feed([Lead(who, now, {**named, "title": "Director"}, emails, told.also)])


def play(stage: TwoSources, crowd: Crowd, dice: random.Random) -> None:
    """Wave after wave; sources are read in any order, with decisions and writes in between, some of them lost."""
    number = itertools.count()
    for wave in range(WAVES + 2):
        here = [human for human in crowd.humans if human.wave == wave]
        told = [one for human in here for one in human.told]
        told += [one for human in crowd.humans if human.wave == wave - 1 for one in human.later]
        dice.shuffle(told)
        for one in sorted(told, key=lambda each: each.identity.system != "crm"):
            tell(stage, one)
        for human in here:
            if human.merge:
                stage.web.feed([Merged(human.merge[0], human.merge[1:], stage.clock.now())])
        for human in [human for human in crowd.humans if human.ready and human.asks_in == wave]:
            for who in sorted(human.identities):
                if who.system != "crm":
                    source = stage.web if who.system == "web" else stage.fair
                    key, now = f"k{next(number)}", stage.clock.now()
                    source.feed([Activity(who, key, now, "form.submitted", "demo-request")])
        stage.crm.fail_next("lost", "WriteLead", times=3)
        for name in ["crm", *dice.sample(["web", "fair"], 2)]:
            stage.agent.gather(name)
            stage.agent.settle_down()
            stage.clock.advance(timedelta(seconds=7))
        for _ in range(6):  # what was lost is looked up and sent again, ever later
            stage.after(minutes=3)
    for _ in range(3):
        stage.after(minutes=20)


def reckon(stage: TwoSources, crowd: Crowd) -> None:
    """Everybody is who they are, has the records that are needed and no more, and one open task."""
    human_of = {who: human for human in crowd.humans for who in human.identities}
    living = {record.identity for record in stage.living()}
    made = {identity for identity in living if identity.id[1:].isdigit()}
    people: dict[int, set[int]] = defaultdict(set)
    records: dict[int, set[Identity]] = defaultdict(set)
    persons: dict[int, list[int]] = defaultdict(list)
    for dossier in stage.everybody():
        humans = {human_of[who].number for who in dossier.identities if who in human_of}
        people[dossier.person] |= humans
        for human in humans:
            records[human] |= {one.identity for one in dossier.records} & living
            persons[human].append(dossier.person)
    wrong = sum(len(humans) > 1 for humans in people.values())
    missed = Counter(human.why for human in crowd.humans if len(persons[human.number]) != human.seem)
    second = Counter(human.why for human in crowd.humans if len(records[human.number] & made) != human.to_make)
    tasks = Counter(task.record for task in stage.open_tasks())
    undone = [human for human in crowd.humans if human.goes and not any(tasks[one] for one in records[human.number])]
    doubled = [one for one in crowd.humans if one.ready and sum(tasks[each] for each in records[one.number]) > one.seem]
    untold = [
        human
        for human in crowd.humans
        if human.early and human.ready and not any(map(partial(_told_as_double, stage), persons[human.number]))
    ]
    kinds = Counter(human.why for human in crowd.humans)
    print(f"{len(crowd.humans)} people, {sum(tasks.values())} open tasks, {len(made)} records made; by class {kinds}")
    assert wrong == 0, "somebody was joined with somebody else"
    assert not missed, "whoever can be joined is joined, and nobody else"
    assert not second, "a record too many, or too few"
    assert (undone, doubled, untold) == ([], [], [])
    assert sum(tasks.values()) >= sum(human.goes for human in crowd.humans) > len(crowd.humans) // 5


def _told_as_double(stage: TwoSources, person: int) -> bool:
    return any(entry.kind == "doubled" for entry in stage.agent.store.journal(person))


@pytest.mark.parametrize(("count", "plus"), [(10_000, "ignore"), (1_000, "keep")])
def test_no_wrong_join_and_no_second_record(tmp_path, count, plus):
    crowd, dice = Crowd(count, WAVES, seed=count, plus=plus), random.Random(count)
    with TwoSources(tmp_path, config(plus)) as stage:
        stage.agent.once()
        stage.clock.advance(timedelta(minutes=1))
        play(stage, crowd, dice)
        reckon(stage, crowd)
