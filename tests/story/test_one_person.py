"""One person out of many records: joined, merged, split again; one score, one handoff, one CRM record."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from syncagent.agent.orders import carry_out
from syncagent.compose import compose
from syncagent.connectors.memory import Memory, Options
from syncagent.errors import UserError
from syncagent.model import Activity, CrmRecord, Dossier, HandoffState, Hint, Identity, Lead, Merged
from syncagent.state import open_store
from tests.story.theatre import CONFIG, Theatre

TWO = CONFIG.replace("[crm]\n", '[sources.fair]\ntype = "memory"\n[crm]\n', 1)


class TwoSources(Theatre):
    """Marketing is two systems: "web" and "fair"."""

    def __init__(self, folder: Path, config: str = TWO) -> None:
        self.fair: Memory | None = None
        super().__init__(folder, config)

    def start(self):
        self.fair = self.fair or Memory("fair", Options(), clock=self.clock.now)
        systems = {"web": self.web, "fair": self.fair, "crm": self.crm}
        store = open_store(self.state, clock=self.clock, addresses=self.config.addresses)
        self.agent = compose(self.config, store, clock=self.clock, systems=systems)
        return self.agent

    def says(self, system: str, number: str, email: str, first: str, last: str, also=(), **more) -> Identity:
        identity = Identity(system, "lead", number)
        given = {"first_name": first, "last_name": last, **more}
        source = self.web if system == "web" else self.fair
        source.feed([Lead(identity, self.clock.now(), given, (email,) if email else (), tuple(also))])
        return identity

    def acts(self, who: Identity, kind: str, asset: str = "", key: str = "") -> None:
        source = self.web if who.system == "web" else self.fair
        key = key or f"k{len(source._log)}"
        source.feed([Activity(who, key, self.clock.now(), kind, asset)])

    def everybody(self) -> list[Dossier]:
        store = self.agent.store
        return [dossier for dossier in map(store.dossier, store.people(0, 100_000)) if dossier is not None]

    def of(self, who: Identity) -> Dossier:
        (dossier,) = [one for one in self.everybody() if who in one.identities]
        return dossier

    def living(self):
        return [one for one in self.crm.records.values() if not (one.deleted or one.merged_into or one.converted_to)]

    def open_tasks(self):
        return [one for one in self.crm.tasks.values() if not one.closed and not one.deleted]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[TwoSources]:
    with TwoSources(tmp_path) as theatre:
        theatre.agent.once()
        theatre.clock.advance(timedelta(minutes=1))
        yield theatre


def wants_a_demo(stage: TwoSources, who: Identity) -> None:
    stage.acts(who, "form.submitted", "demo-request")


def test_two_sources_announce_the_same_person_in_the_same_second(stage):
    one = stage.says("web", "1", "Ana@Example.com", "Ana", "Silva", title="Director")
    other = stage.says("fair", "9", " ana@example.com", "Anna", "Silva", title="Director")
    wants_a_demo(stage, one)
    wants_a_demo(stage, other)
    stage.agent.once()
    stage.after(minutes=1)
    assert stage.of(one).person == stage.of(other).person
    assert len(stage.living()) == len(stage.open_tasks()) == 1


def test_a_shared_mailbox_does_not_glue_two_people_together(stage):
    one = stage.says("web", "1", "info@example.com", "Ana", "Silva", title="Director")
    other = stage.says("fair", "9", "Info@example.com", "Ben", "Ode", title="Director")
    again = stage.says("fair", "10", "info@example.com", "ANA", "Silva")
    for who in (one, other, again):
        wants_a_demo(stage, who)
    stage.agent.once()
    stage.after(minutes=1)
    stage.after(minutes=1)
    assert stage.of(one).person == stage.of(again).person != stage.of(other).person
    assert sorted(record.fields["first_name"] for record in stage.living()) == ["Ana", "Ben"]
    assert {record.fields["email"] for record in stage.living()} == {"info@example.com"}


def test_a_changed_address_makes_no_second_person_and_no_second_record(stage):
    who = stage.says("web", "1", "ana@example.com", "Ana", "Silva", title="Director")
    wants_a_demo(stage, who)
    stage.agent.once()
    stage.clock.advance(timedelta(minutes=1))
    stage.says("web", "1", "ana@example.org", "Ana", "Silva", title="Director")
    later = stage.says("fair", "9", "ana@example.org", "Ana", "Silva")
    stage.agent.once()
    assert stage.of(later).person == stage.of(who).person
    assert stage.of(who).emails == ("ana@example.com", "ana@example.org")
    assert len(stage.living()) == 1


def test_three_small_leads_with_the_same_activity_never_become_a_big_one(stage):
    three = [stage.says("web", str(n), f"ana{n}@example.com", "Ana", "Silva") for n in (1, 2, 3)]
    for who in three:  # the one visit, told for each of them with a key of its own
        stage.acts(who, "page.visited", "/pricing")
    stage.agent.once()
    before = [stage.of(who).decision.score.total for who in three]
    stage.clock.advance(timedelta(minutes=1))
    stage.web.feed([Merged(three[0], tuple(three[1:]), stage.clock.now())])
    stage.agent.once()
    whole = stage.of(three[2])
    assert whole.person == stage.of(three[0]).person and len(whole.activities) == 3
    assert whole.decision.score.total == before[0] == 0, "three visits would be 20 points"
    stage.acts(three[0], "page.visited", "/pricing")
    stage.after(minutes=1)
    stage.acts(three[0], "page.visited", "/pricing")
    stage.after(minutes=1)
    assert stage.of(three[0]).decision.score.total == 20, "visits at three moments are three"


def test_what_a_system_tells_again_under_the_winner_counts_once(stage):
    old = stage.says("web", "1", "ana1@example.com", "Ana", "Silva")
    new = stage.says("web", "2", "ana2@example.com", "Ana", "Silva")
    moment = stage.clock.now()
    for key in ("g1", "g2"):
        stage.web.feed([Activity(old, key, moment, "page.visited", f"/{key}")])
    stage.agent.once()
    stage.web.feed([Activity(new, key, moment, "page.visited", f"/{key}") for key in ("g1", "g2")])
    stage.after(seconds=1)
    stage.web.feed([Merged(new, (old,), stage.clock.now())])
    stage.after(minutes=1)
    assert [one.key for one in stage.of(new).activities] == ["g1", "g2"]
    assert stage.of(new).decision.score.total == 0


def test_of_two_open_handoffs_the_touched_one_stays_and_the_other_s_task_is_closed(stage):
    one = stage.says("web", "1", "ana@example.com", "Ana", "Silva", title="Director")
    wants_a_demo(stage, one)
    stage.agent.once()
    stage.clock.advance(timedelta(minutes=1))
    other = stage.says("fair", "9", "ana@example.org", "Ana", "Silva", title="Director")
    wants_a_demo(stage, other)
    stage.agent.once()
    assert len(stage.open_tasks()) == 2
    touched, untouched = stage.of(one).decision.handoff, stage.of(other).decision.handoff
    (record,) = [r for r in stage.living() if "ana@example.com" in r.emails]
    stage.clock.advance(timedelta(minutes=1))
    stage.crm.edit(record.identity, "ana", stage.clock.now(), status="Working")
    stage.agent.once()
    assert stage.of(one).decision.handoff.touched_at is not None
    stage.clock.advance(timedelta(minutes=1))
    stage.says("fair", "9", "ana@example.com", "Ana", "Silva", title="Director")
    stage.agent.once()
    stage.after(minutes=1)
    whole = stage.of(other)
    assert whole.person == stage.of(one).person
    states = {handoff.id: (handoff.state, handoff.outcome) for handoff in whole.decision.handoffs}
    assert states[touched.id][0] is not HandoffState.RETURNING and states[touched.id][1] != "withdrawn"
    assert states[untouched.id] == (HandoffState.CLOSED, "withdrawn")
    closed = [task for task in stage.crm.tasks.values() if untouched.id in task.key and task.closed]
    assert len(closed) == 1, "its task was closed"
    (reason,) = [
        i.command.reason for i in stage.agent.store.outbox(["done"]) if type(i.command).__name__ == "CloseTask"
    ]
    assert "withdrawn" in reason


def glued(stage: TwoSources) -> tuple[Identity, Identity]:
    """Ana and Ben, whom one address has made one person, handed off as one."""
    ana = stage.says("web", "1", "family@example.com", "Ana", "Silva", title="Director")
    wants_a_demo(stage, ana)
    stage.agent.once()
    stage.clock.advance(timedelta(minutes=1))
    ben = stage.says("fair", "9", "family@example.com", "Ben", "Silva", title="Director")
    wants_a_demo(stage, ben)
    stage.agent.once()
    stage.after(minutes=1)
    assert stage.of(ana).person == stage.of(ben).person
    assert len(stage.open_tasks()) == 1
    return ana, ben


def split(stage: TwoSources, who: Identity, *ids: str) -> dict:
    told = {"do": "split", "person": stage.of(who).person, "identities": list(ids)}
    carry_out(stage.agent, told)
    assert stage.of(who).person == told["person"], "asking parts nobody"
    return carry_out(stage.agent, told | {"go": True})


def test_a_split_opens_no_handoff_and_doubles_no_task(stage):
    ana, ben = glued(stage)
    number, handoff = stage.of(ana).person, stage.of(ana).decision.handoff.id
    stage.clock.advance(timedelta(minutes=1))
    split(stage, ana, "fair/lead/9")
    for _ in range(3):
        stage.after(minutes=1)
    assert stage.of(ana).person == number != stage.of(ben).person
    assert [one.id for one in stage.of(ana).decision.handoffs] == [handoff]
    assert stage.of(ben).decision.handoffs == ()
    assert len(stage.open_tasks()) == len(stage.living()) == 1
    assert [a.identity for a in stage.of(ana).activities] == [ana]
    assert [a.identity for a in stage.of(ben).activities] == [ben]
    assert stage.of(ben).emails == () and stage.of(ben).shared == ("family@example.com",)
    assert {entry.kind for entry in stage.agent.store.journal(stage.of(ben).person)} >= {"split"}


def test_the_side_with_the_crm_record_keeps_number_and_handoff(stage):
    ana, ben = glued(stage)
    number = stage.of(ana).person
    (record,) = stage.living()
    stage.clock.advance(timedelta(minutes=1))
    done = split(stage, ana, ana.id, record.identity.id)
    assert stage.of(ana).person == number and record.identity in stage.of(ana).identities
    assert done["moved"] == ["fair/lead/9"]
    stage.after(minutes=1)
    assert len(stage.open_tasks()) == 1 and not stage.of(ben).decision.handoffs


def test_a_split_is_remembered_whatever_is_told_again(stage):
    ana, ben = glued(stage)
    split(stage, ana, ben.id)
    stage.clock.advance(timedelta(minutes=1))
    stage.says("fair", "9", "family@example.com", "Ben", "Silva", title="Director", also=[ana])
    stage.says("web", "1", "family@example.com", "Ana", "Silva", title="Director")
    stage.web.feed([Merged(ana, (ben,), stage.clock.now() - timedelta(hours=1))])  # told late: it was before
    stage.after(minutes=1)
    assert stage.of(ana).person != stage.of(ben).person
    stage.restart()
    third = stage.says("web", "2", "family@example.com", "Ana", "Silva")
    stage.after(minutes=1)
    assert stage.of(third).person == stage.of(ana).person, "the address is still somebody's"
    stage.web.feed([Merged(ana, (ben,), stage.clock.now())])
    stage.after(minutes=1)
    assert stage.of(ana).person == stage.of(ben).person, "a later merge by a system ends it"


def test_only_what_happens_after_a_split_hands_off(stage):
    ana, ben = glued(stage)
    split(stage, ana, ben.id)
    stage.after(minutes=1)
    wants_a_demo(stage, ben)
    stage.after(minutes=1)
    stage.after(minutes=1)
    assert len(stage.of(ben).decision.handoffs) == 1
    assert len(stage.open_tasks()) == 2
    assert len(stage.living()) == 2, "the record of the other was not taken for theirs"


def test_a_split_of_all_or_nobody_is_refused(stage):
    ana, ben = glued(stage)
    (record,) = stage.living()
    with pytest.raises(UserError, match="not all of them"):
        stage.agent.store.split(stage.of(ana).person, [ana, ben, record.identity], now=stage.clock.now())
    with pytest.raises(UserError, match="is none of the identities"):
        split(stage, ana, "17")


@pytest.mark.parametrize("kind", ["Lead", "Contact"])
@pytest.mark.parametrize("how", ["unsent", "lost", "", "in flight"])
def test_somebody_new_turns_out_to_be_known_before_their_record_was_made(stage, kind, how):
    """Announced by one source, about to be made in the CRM; then the other source says who it is."""
    record = Identity("crm", kind, "R-1")
    fields = {"first_name": "Ana", "last_name": "Silva"} | (
        {"status": "Open", "owner": "queue"} if kind == "Lead" else {}
    )
    stage.crm.feed([CrmRecord(record, stage.clock.now(), stage.clock.now(), "somebody", fields)])
    web = stage.says("web", "1", "ana@example.com", "Ana", "Silva", title="Director", also=[record])
    stage.agent.once()
    stage.clock.advance(timedelta(seconds=5))
    fair = stage.says("fair", "9", "ana@example.org", "Ana", "Silva", title="Director")
    wants_a_demo(stage, fair)
    stage.agent.gather("fair")
    stage.agent.decide()
    flying = (
        [item.command.key for item in stage.agent.store.due("crm", stage.clock.now(), 9)] if how == "in flight" else []
    )
    if how in ("unsent", "lost"):
        stage.crm.fail_next(how, "WriteLead")
        stage.agent.deliver("crm")
    stage.clock.advance(timedelta(seconds=1))
    stage.says("web", "1", "ana@example.org", "Ana", "Silva", title="Director", also=[record])
    stage.agent.gather("web")
    stage.agent.decide()
    stage.agent.store.postpone(flying, stage.clock.now() + timedelta(seconds=5), "no answer")
    for _ in range(4):
        stage.after(minutes=1)
    made = [one.identity for one in stage.living() if one.identity != record]
    assert len(made) == (how == "lost"), "only what was made before anybody could know stands beside it"
    assert len(stage.of(web).decision.handoffs) == 1 == len(stage.open_tasks())
    assert not [item for item in stage.agent.store.outbox() if item.state != "done"]
    kinds = {entry.kind for entry in stage.agent.store.journal() if entry.handoff}
    assert "closed" not in kinds and "withdrawn" not in kinds
    if kind == "Lead" and not made:
        assert (
            stage.of(web).decision.handoff.assignments[-1].owner == stage.crm.records[record].fields["owner"] != "queue"
        )


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("first", ["web", "fair"])
def test_two_who_are_about_to_be_made_turn_out_to_be_one(stage, first, sent):
    ids = {"web": "1", "fair": "9"}
    for system in (first, *({"web", "fair"} - {first})):
        who = stage.says(system, ids[system], f"ana@{system}.test", "Ana", "Silva", title="Director")
        wants_a_demo(stage, who)
        stage.agent.gather(system)
        stage.agent.decide()
        stage.clock.advance(timedelta(seconds=1))
    if sent:
        stage.crm.fail_next("unsent", "WriteLead")
        stage.agent.deliver("crm")
    stage.says("fair", "9", "ana@web.test", "Ana", "Silva", title="Director")
    stage.agent.gather("fair")
    for _ in range(4):
        stage.after(minutes=1)
    whole = stage.of(Identity("web", "lead", "1"))
    assert len(whole.decision.handoffs) == 2
    assert len(stage.living()) == 1, stage.crm.records
    assert len(stage.open_tasks()) == 1
    assert not [item for item in stage.agent.store.outbox() if item.state != "done"]


def test_hints_are_looked_up_in_whole_batches_and_what_is_not_known_does_not_hammer(stage, monkeypatch):
    looks: list[int] = []
    look = stage.web.look
    monkeypatch.setattr(stage.web, "look", lambda ids: (looks.append(len(ids)), look(ids))[1])
    ids = [Identity("web", "lead", str(n)) for n in range(700)]
    for who in ids[2:]:
        stage.web.leads[who] = Lead(who, stage.clock.now(), {"title": "Director"}, (f"n{who.id}@example.com",))
    stage.web.feed([Hint(who) for who in ids])
    stage.agent.once()
    assert looks == [300, 300, 100]
    assert len(stage.everybody()) == 698
    assert stage.agent.store.health(stage.clock.now()).unanswered == {"web": 2}
    for _ in range(30):
        stage.after(minutes=1)
    assert looks == [300, 300, 100, 2, 2], "asked again after one minute and after ten"


@pytest.fixture
def unread(tmp_path: Path) -> Iterator[TwoSources]:
    """A first start: "web" will tell that fair's 9 has a record in the CRM already; only fair was read so far."""
    with TwoSources(tmp_path) as theatre:
        record = Identity("crm", "Contact", "C-1")
        now = theatre.clock.now()
        theatre.crm.feed([CrmRecord(record, now, now, "somebody", {"first_name": "Ana", "last_name": "Silva"})])
        theatre.says("web", "1", "ana@example.com", "Ana", "Silva", title="Director", also=[record])
        fair = theatre.says("fair", "9", "ana@example.com", "Ana", "Silva", title="Director")
        wants_a_demo(theatre, fair)
        theatre.agent.gather("crm")
        theatre.agent.gather("fair")
        yield theatre


def test_nothing_is_made_at_the_first_start_before_every_source_was_read(unread):
    unread.agent.settle_down()
    assert not unread.crm.tasks and len(unread.living()) == 1
    unread.agent.gather("web")
    unread.agent.settle_down()
    unread.after(minutes=1)
    assert len(unread.living()) == len(unread.open_tasks()) == 1


@pytest.mark.parametrize("how", ["it cannot be read", "it takes too long", "it is no first start"])
def test_a_source_that_does_not_come_holds_nobody_up_for_ever(unread, how):
    if how == "it cannot be read":
        unread.web.fail_next("retry", "pull")
        unread.agent.gather("web")
    elif how == "it takes too long":
        unread.clock.advance(timedelta(minutes=10))
    else:
        unread.restart()
    unread.agent.settle_down()
    assert len(unread.crm.tasks) == 1
