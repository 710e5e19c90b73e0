"""Ten thousand people over three systems: nobody is joined with somebody else, nobody gets a second CRM record."""

import itertools
import random
from collections import Counter, defaultdict
from datetime import timedelta

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
    named = {name: value for name, value in (("first_name", told.first), ("last_name", told.last)) if value}
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
        order = ["crm", *dice.sample(["web", "fair"], 2)]
        for name in order:
            stage.agent.gather(name)
            stage.agent.settle_down()
            stage.clock.advance(timedelta(seconds=7))
        stage.clock.advance(timedelta(minutes=20))
    for _ in range(3):
        stage.after(minutes=20)


def reckon(stage: TwoSources, crowd: Crowd) -> tuple[int, int, Counter, Counter]:
    """Wrong joins, second CRM records, and by reason: missed joins, and the second records that follow from them."""
    human_of = {who: human for human in crowd.humans for who in human.identities}
    made = {record.identity for record in stage.crm.records.values() if record.identity.id[1:].isdigit()}
    people: dict[int, set[int]] = defaultdict(set)
    of: dict[int, set[int]] = defaultdict(set)
    records: dict[int, set[Identity]] = defaultdict(set)
    for dossier in stage.everybody():
        for who in dossier.identities:
            if who in human_of:
                people[dossier.person].add(human_of[who].number)
                of[human_of[who].number].add(dossier.person)
        living = {one.identity for one in dossier.records if not one.deleted}
        for human in people[dossier.person]:
            records[human] |= living
    wrong = sum(len(humans) > 1 for humans in people.values())
    missed = Counter(human.why for human in crowd.humans if len(of[human.number]) > 1)
    second = Counter(
        human.why for human in crowd.humans if records[human.number] & made and len(records[human.number]) > 1
    )
    return wrong, second.pop("", 0), missed, second


@pytest.mark.parametrize(("count", "plus"), [(10_000, "ignore"), (1_000, "keep")])
def test_no_wrong_join_and_no_second_record(tmp_path, count, plus):
    crowd, dice = Crowd(count, WAVES, seed=count, plus=plus), random.Random(count)
    with TwoSources(tmp_path, config(plus)) as stage:
        stage.agent.once()
        stage.clock.advance(timedelta(minutes=1))
        play(stage, crowd, dice)
        wrong, second, missed, second_of_missed = reckon(stage, crowd)
        cannot = Counter(human.why for human in crowd.humans if human.why)
        ready = sum(human.ready for human in crowd.humans)
        print(
            f"{count} people, {ready} ready, {len(stage.crm.tasks)} tasks; {wrong} wrong joins, {second} second records"
        )
        print(f"missed {dict(missed)}, of them with two records {dict(second_of_missed)}")
        assert (wrong, second) == (0, 0)
        assert missed == cannot, "whoever can be joined is joined; the others have a reason"
        assert not missed.get("")
