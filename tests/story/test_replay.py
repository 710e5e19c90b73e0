"""Every past decision, made once more: the same to the last byte, or a sentence that says why it cannot be."""

import json
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils.utils import sqlite3

from syncagent.cli import main
from syncagent.config import parse
from syncagent.model import Activity, Deleted, Identity, Lane, Lead, Merged, Page
from syncagent.reports.chain import links, verify
from syncagent.reports.replay import Replay, again, until
from syncagent.state import open_store
from syncagent.state.journal import QUIET
from syncagent.state.store import Store
from tests.story.theatre import CONFIG, Theatre

NAMES = ("mia", "tom", "eva")
KEEP = ("handoffs", "live", "everything")
OTHER = CONFIG.replace('"director", priority = 10', '"director", priority = 9').replace('"50%"', '"40%"')


def keeping(config: str, of: str) -> str:
    return config.replace("[agent]", f'[agent]\nkeep_inputs_of = "{of}"')


class Played(Theatre):
    """A stage on which anything may happen to three people; what live decisions were made from is kept, or `of`."""

    def __init__(self, folder: Path, of: str = "live") -> None:
        self.of = of
        super().__init__(folder, keeping(CONFIG, of))

    def act(self, what: str, name: str, hours: int) -> None:
        self.clock.advance(timedelta(seconds=7))
        known = {each for one in self.web._log for each in getattr(one[1], "emails", ())}
        if f"{name}@example.com" not in known:
            self.person(name, title="Director")
        who = next(one for one in self._identities(name))
        if what in ("demo", "pricing"):
            self.does(who, "form.submitted" if what == "demo" else "page.visited", f"{what}-request")
        elif what == "title":
            self.person(name, title="Student" if hours % 2 else "Director")
        elif what == "config":
            self.config = parse(keeping(OTHER if hours % 2 else CONFIG, self.of), self.state.parent)
            self.restart()
        elif what in ("Working", "Recycled", "Unqualified", "cat") and self._records(name):
            record = self.record(name)
            value = {"owner": "cat"} if what == "cat" else {"status": what}
            self.crm.edit(record.identity, "ana", self.clock.now(), **value)
        self.after(hours=hours)

    def _identities(self, name: str):
        return (one[1].identity for one in self.web._log if f"{name}@example.com" in getattr(one[1], "emails", ()))

    def _records(self, name: str) -> bool:
        return any(f"{name}@example.com" in one.emails for one in self.crm.records.values())

    def replayed(self, store: Store | None = None) -> list[Replay]:
        """Every decision of everybody."""
        store = store or self.agent.store
        ledger = store.ledger()
        return [
            again(ledger, made, store.dossier(person))
            for person in store.people(0, 100)
            for made in ledger.decisions(person)
        ]


def kept_of(stage: Played, person: int) -> list[str]:
    """Of which of a person's decisions it is kept what they were made from, by the kind of their first line."""
    with sqlite3.connect(stage.state) as db:
        sql = "select kind from journal_basis join journal using (id) where person = ? order by id"
        found = [kind for (kind,) in db.execute(sql, (person,))]
    db.close()
    return found


def hows(stage: Played) -> Counter[str]:
    return Counter(one.how for one in stage.replayed())


ACTS = st.tuples(
    st.sampled_from(("demo", "pricing", "title", "Working", "Recycled", "Unqualified", "cat", "config", "wait")),
    st.sampled_from(NAMES),
    st.integers(0, 30),
)


@settings(max_examples=12, deadline=None)
@given(st.lists(ACTS, min_size=2, max_size=10), st.sampled_from(KEEP))
def test_every_decision_of_a_played_story_comes_out_the_same(acts: list[tuple[str, str, int]], of: str) -> None:
    with tempfile.TemporaryDirectory() as folder, Played(Path(folder), of) as stage:
        stage.agent.once()
        for what, name, hours in acts:
            stage.act(what, name, hours)
        for one in stage.replayed():
            kinds = {line.kind for line in one.made.lines}
            if one.made.inputs or of == "everything":
                assert one.how == "same", (one.says, kinds)
                assert one.plan is not None and [event.kind for event in one.plan.events] == [
                    line.kind for line in one.made.lines
                ]
            else:
                assert one.how in ("told again", "told otherwise", "not told"), one
                assert kinds <= QUIET
        ledger = stage.agent.store.ledger()
        assert verify(links(ledger.lines()), ever=ledger.ever()).findings == ()


@pytest.fixture
def stage(tmp_path: Path):
    with Played(tmp_path) as played:
        played.agent.once()
        for what, name, hours in (
            ("pricing", "eva", 1),
            ("demo", "mia", 0),
            ("demo", "tom", 1),
            ("config", "mia", 1),
            ("Working", "mia", 2),
            ("Recycled", "mia", 30),
            ("cat", "tom", 3),
        ):
            played.act(what, name, hours)
        yield played


def test_a_whole_life_is_made_again(stage: Played) -> None:
    told = hows(stage)
    assert told["same"] >= 8 and set(told) <= {"same", "told again", "not told"}, told
    opened = next(one for one in stage.replayed() if "handoff.opened" in {line.kind for line in one.made.lines})
    assert opened.basis is not None and opened.plan is not None
    assignment = opened.plan.decision.handoffs[-1].assignments[-1]
    assert assignment.pool, "how the pool stood"
    assert opened.basis.roster.open.get(assignment.owner, 0) == 0, "the roster from before the turn, not from after"


def test_who_was_forgotten_is_not_made_again(stage: Played) -> None:
    (mia,) = stage.agent.store.find("mia@example.com")
    identity = next(stage._identities("mia"))
    record = stage.record("mia").identity
    now = stage.clock.now()
    stage.web.feed([Deleted(identity, now, privacy=True)])
    stage.crm.feed([Deleted(record, now, privacy=True)])
    stage.after(hours=1)
    ledger = stage.agent.store.ledger()
    told = [again(ledger, made, stage.agent.store.dossier(mia)) for made in ledger.decisions(mia)]
    assert {one.how for one in told[:-2]} == {"forgotten"}
    assert kept_of(stage, mia) == [], "and nothing that was looked at is left"
    assert verify(links(ledger.lines()), ever=ledger.ever()).findings == ()


def test_what_was_kept_and_is_not_what_was_sealed_is_not_used(stage: Played) -> None:
    copy = stage.state.with_name("copy.db")
    stage.agent.store.backup(str(copy))
    with sqlite3.connect(copy) as db:
        db.execute("update journal_basis set body = (select body from journal_basis order by id desc limit 1)")
        db.execute("delete from policy where digest = (select config from journal order by id limit 1)")
    db.close()
    store = open_store(copy, read_only=True)
    told = Counter(one.how for one in stage.replayed(store))
    store.close()
    assert told["lost"] >= 3 and told["no policy"] >= 1 and told["same"] <= 1, told


def test_after_its_time_it_is_folded_and_says_so(stage: Played) -> None:
    store = stage.agent.store
    before = hows(stage)
    middle = [one.made.at for one in stage.replayed() if one.how == "same"][before["same"] // 2]
    assert 0 < store.fold(middle) < before["same"]
    assert store.fold(middle) == 0
    after = hows(stage)
    assert after["folded"] + after["same"] == before["same"] and after["folded"] and after["same"]
    assert after["lost"] == 0, "what later ones share with those that are folded is still there"
    stage.after(hours=500 * 24)
    stage.agent.watch()
    with sqlite3.connect(stage.state) as db:
        assert db.execute("select count(*) from journal_basis where id < 3").fetchone() == (0,)
    db.close()
    ledger = store.ledger()
    assert verify(links(ledger.lines()), ever=ledger.ever()).findings == ()


def first_scores(stage: Played, *names: str) -> list[Replay]:
    """Of each of these: the first decision that tells a score, made again."""
    store, ledger = stage.agent.store, stage.agent.store.ledger()
    found = []
    for name in names:
        (person,) = store.find(f"{name}@example.com")
        mine = (one for one in ledger.decisions(person) if one.lines[0].kind == "score")
        found.append(again(ledger, next(mine), store.dossier(person)))
    return found


@pytest.mark.parametrize(("of", "how"), [("live", "same"), ("handoffs", "told otherwise")])
def test_facts_that_came_late_change_no_live_decision(tmp_path: Path, of: str, how: str) -> None:
    with Played(tmp_path, of) as stage:
        stage.agent.once()
        stage.after(hours=2)
        mia, tom, eva, ada = (stage.person(name, title="Director") for name in (*NAMES, "ada"))
        for who in (mia, tom, eva):
            stage.does(who, "form.submitted", "newsletter")
        stage.does(ada, "form.submitted", "demo-request", at=stage.clock.now() - timedelta(hours=1))
        stage.after(minutes=1)
        assert {one.how for one in first_scores(stage, *NAMES)} == {"same" if of == "live" else "told again"}
        early = stage.clock.now() - timedelta(seconds=30)  # told only now
        stage.does(mia, "form.submitted", "demo-request", at=early)
        named = {"first_name": "Tom", "last_name": "Test", "title": "Student"}
        stage.web.feed([Lead(tom, early, named, ("tom@example.com",)), Merged(eva, (ada,), stage.clock.now())])
        stage.after(minutes=1)
        told = first_scores(stage, *NAMES)
        assert [one.how for one in told] == [how] * 3, [one.says for one in told]
        for one in told if of == "live" else ():
            assert one.plan is not None and one.plan.decision.score is not None
            assert one.plan.decision.score.total == json.loads(one.made.lines[0].data)["total"] == 40
        text = " ".join(explained(stage, "mia@example.com", told[0].made.at).split())
        then, dated = "Score: 40 = fit 40 + interest 0, A4.", "Score: 80 = fit 40 + interest 40, A2."
        if of == "live":
            assert f"the same to the last byte. Stage: suspect. {then} +40 title" in text, "as of then"
            assert dated not in text and "From the facts as they are dated today, the score of" in text
            assert "would be 80 (A2): some of them came later" in text
        else:
            assert dated in text and then not in text and "it came with mass work" in text
            assert "the score of then would be 80 (A2), not 40 (A4)" in text
        (eva_now,) = stage.agent.store.find("eva@example.com")
        assert ("score" in kept_of(stage, eva_now)) == (of == "live")
        stage.web.feed([Deleted(eva, stage.clock.now(), privacy=True)])
        stage.after(minutes=1)
        assert kept_of(stage, eva_now) == []
        made = stage.agent.store.ledger().decisions(eva_now)[0]
        assert again(stage.agent.store.ledger(), made, None).how == "forgotten"


@pytest.mark.parametrize("of", KEEP)
def test_mass_work_is_made_again_only_where_everything_is_kept(tmp_path: Path, of: str) -> None:
    with Played(tmp_path, of) as stage:
        stage.agent.once()
        who, then = Identity("web", "lead", "old"), stage.clock.now() - timedelta(days=2)
        said = Lead(who, then, {"title": "Director"}, ("old@example.com",))
        history = Page((said, Activity(who, "k", then, "form.submitted", "newsletter")), "")
        stage.agent.store.accept(history, "", now=stage.clock.now(), lane=Lane.COLD)
        stage.person("mia", title="Director")
        stage.after(minutes=1)
        told = [one.how for one in first_scores(stage, "old", "mia")]
        assert told == {
            "handoffs": ["told again", "told again"],
            "live": ["told again", "same"],
            "everything": ["same", "same"],
        }.get(of)
        stage.agent.store.fold(stage.clock.now() + timedelta(days=1))
        folded = [one.how for one in first_scores(stage, "old", "mia")]
        assert folded == ["folded" if one == "same" else one for one in told], "neither lost nor told again"


def test_a_merged_persons_decisions_are_found(stage: Played) -> None:
    mia, tom = (next(stage._identities(name)) for name in ("mia", "tom"))
    (winner,) = stage.agent.store.find("tom@example.com")
    before = len(stage.agent.store.ledger().decisions(winner))
    stage.web.feed([Merged(tom, (mia,), stage.clock.now())])
    stage.after(hours=1)
    (now_one,) = stage.agent.store.find("tom@example.com")
    decisions = stage.agent.store.ledger().decisions(now_one)
    assert len(decisions) > before and len({made.lines[0].person for made in decisions}) == 2
    assert hows(stage)["other"] == hows(stage)["lost"] == 0


def explained(stage: Played, who: str, at: datetime, *more: str) -> str:
    """What `explain WHO --at T` prints."""
    config = stage.state.parent / "config.toml"
    config.write_text(CONFIG.replace("[agent]", f'[agent]\nstate = "{stage.state}"'), encoding="utf-8")
    told = CliRunner().invoke(main, ["explain", "--config", str(config), who, "--at", at.isoformat(), *more])
    assert told.exit_code == 0, told.output
    return told.output


def test_explain_tells_a_past_decision_as_it_was(stage: Played) -> None:
    (mia,) = stage.agent.store.find("mia@example.com")
    ledger = stage.agent.store.ledger()
    at = next(one for one in ledger.decisions(mia) if "handoff.opened" in {line.kind for line in one.lines}).at
    made = until(ledger, mia, at)
    assert made is not None and made.at == at and "clock.started" in {line.kind for line in made.lines}, "the last one"
    text = explained(stage, str(mia), made.at)
    assert "the same to the last byte" in text and "Handoff" in text
    data = json.loads(explained(stage, str(mia), made.at, "--json"))["replay"]
    assert data["how"] == "same"
    assert data["plan"]["decision"]["handoffs"][-1]["assignments"][-1]["pool"]
    assert data["inputs"]["roster"]["turns"] is not None and data["config"]
    early = explained(stage, str(mia), datetime(2020, 1, 1, tzinfo=UTC))
    assert "Nothing had been decided of them until then." in early
