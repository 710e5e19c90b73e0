"""The past by its own lights: what is worked out for a moment is what was stored at that moment."""

import json
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from syncagent.cli import main
from syncagent.compose import compose
from syncagent.config import parse
from syncagent.handoff import as_of, score
from syncagent.model import Score
from syncagent.state import open_store
from tests.story.theatre import CONFIG, Theatre

FADES = CONFIG.replace(
    'choices = [{ at_least = 3, within = "30d", priority = 10 }]',
    'decay = { half_life = "5d" }\nchoices = [{ each = true, priority = 4 }]',
)
OTHER = FADES.replace('"director", priority = 10', '"director", priority = 7').replace("priority = 4", "priority = 3")
NAMES = ("mia", "tom")
TITLES = ("Clerk", "Director", "Student", "Head of it", "Director of it", "Chief")


class Watched(Theatre):
    """A stage whose decisions are written down: (moment, name) -> the score that stood in the state."""

    def __init__(self, folder: Path) -> None:
        self.stored: dict[tuple[datetime, str], Score] = {}
        self.told: dict[str, int] = dict.fromkeys(NAMES, 0)
        super().__init__(folder, FADES)

    def agree(self, config: str) -> None:
        """Another config is taken into use, at the next start."""
        self.config = parse(config, self.state.parent)
        self.agent.store.close()
        systems = {"web": self.web, "crm": self.crm}
        self.agent = compose(self.config, open_store(self.state), clock=self.clock, systems=systems)

    def write_down(self) -> None:
        for name in NAMES:
            people = self.agent.store.find(f"{name}@example.com")
            decision = self.dossier(name).decision if people else None
            if decision is not None and decision.score is not None:
                self.stored[self.clock.now(), name] = decision.score

    def act(self, what: str, name: str, hours: int) -> None:
        self.clock.advance(timedelta(seconds=1))  # what is told in the moment that was written down is told after it
        if what == "config":
            self.agree(OTHER if self.told["mia"] % 2 else FADES)
        elif what == "title":  # each only once: of a value that comes back the history knows no more than two moments
            self.person(name, title=TITLES[min(self.told[name], len(TITLES) - 1)])
            self.told[name] += 1
        else:
            who = self.person(name) if not self.told[name] else None
            self.does(who or self.identity(name), what, "demo-request" if what == "form.submitted" else "/pricing")
        self.after(hours=hours)
        self.write_down()

    def identity(self, name: str):
        return next(one for one in self.dossier(name).identities if one.system == "web")

    def holds(self) -> None:
        """What is worked out now, for each of the moments, is what was stored."""
        store = self.agent.store
        for (at, name), stored in self.stored.items():
            kept = store.policy_at(at)
            assert kept is not None and kept.policy is not None
            assert score(as_of(self.dossier(name), at), kept.policy, at) == stored, (at, name)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Watched]:
    with Watched(tmp_path) as watched:
        watched.agent.once()
        yield watched


def test_a_moment_is_told_by_the_title_the_clicks_and_the_policy_of_then(stage: Watched, tmp_path: Path) -> None:
    mia = stage.person("mia", title="Clerk")
    stage.after(minutes=1)
    stage.does(mia, "page.visited", "/pricing")
    stage.does(mia, "form.submitted", "demo-request")
    stage.after(minutes=1)
    stage.write_down()
    then = stage.clock.now()
    stage.clock.advance(timedelta(seconds=1))
    stage.person("mia", title="Director")
    stage.does(mia, "page.visited", "/pricing")
    stage.after(days=6)
    stage.agree(OTHER)
    stage.after(minutes=1)
    stage.write_down()
    assert [one.total for one in stage.stored.values()] == [48, 28 + 40 + 5.2]
    stage.holds()
    kept = stage.agent.store.policy_at(then)
    assert kept is not None and kept.policy is not None
    assert kept.digest != stage.config.digest
    config = tmp_path / "config.toml"
    config.write_text(OTHER.replace("[agent]\n", '[agent]\nstate = "state.db"\n', 1))

    def asked(*args: str) -> dict[str, Any]:
        given = [*args, "mia@example.com", "--json", "--at", then.isoformat(), "--config", str(config)]
        result = CliRunner().invoke(main, given)
        assert result.exit_code == 0, result.output
        told: dict[str, Any] = json.loads(result.output)
        return told

    explained = asked("explain")
    assert explained["score"]["total"] == 48 and explained["policy"]["digest"] == kept.digest
    assert asked("score", "--then")["score"] == 48
    assert asked("score")["score"] == 46
    today = stage.dossier("mia")
    assert score(as_of(today, then), stage.agent.policy, then).total == 46, "by today's policy it would be another one"


STEPS = st.tuples(
    st.sampled_from(("title", "page.visited", "form.submitted", "config")), st.sampled_from(NAMES), st.integers(1, 60)
)


@given(st.lists(STEPS, min_size=2, max_size=9))
@settings(max_examples=6, deadline=None)
def test_history_recomputed_at_each_moment_is_what_was_stored_then(steps: list[tuple[str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder, Watched(Path(folder)) as stage:
        stage.agent.once()
        for name in NAMES:
            stage.act("title", name, 1)
        for what, name, hours in steps:
            stage.act(what, name, hours)
        stage.holds()
