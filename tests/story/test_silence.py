"""A system that has fallen silent is told of once, where people look, and is over when it speaks again."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from syncagent.cli import main
from syncagent.config import parse
from syncagent.errors import ConfigError, ConnectorDownError, RetryableError
from syncagent.model import CrmTask
from syncagent.reports.standing import SILENCE
from tests.contract.post_office import PostOffice
from tests.story.test_alerts import mail
from tests.story.theatre import CONFIG, Theatre


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with PostOffice() as made:
        yield made


class Deaf(Theatre):
    """A stage on which a system can be made to fail."""

    def deafen(self, name: str, error: Exception | None) -> None:
        def fail(*_args: object, **_named: object):
            raise error

        system = {"web": self.web, "crm": self.crm}[name]
        for verb in ("pull", "apply", "look"):
            if error is None:
                vars(system).pop(verb, None)
            else:
                setattr(system, verb, fail)

    def silent(self) -> list[CrmTask]:
        return [one for one in self.crm.tasks.values() if ":silent:" in one.key]


@pytest.fixture
def stage(tmp_path: Path, office: PostOffice) -> Iterator[Deaf]:
    with Deaf(tmp_path, CONFIG + mail(office)) as made:
        made.agent.once()
        made.clock.advance(timedelta(minutes=1))
        made.does(made.person("mia", title="Director"), "form.submitted", "demo-request")
        made.after(seconds=30)
        made.after(seconds=30)
        yield made


def test_a_source_that_cannot_be_read_is_told_once_and_is_over(stage: Deaf, office: PostOffice) -> None:
    stage.deafen("web", RetryableError("web gave no answer.", 5))
    for _ in range(14):
        stage.after(minutes=1)
    assert not stage.silent() and not office.mails, "ten polls, and a quarter of an hour at least"
    stage.after(minutes=2)
    stage.after(minutes=2)
    (alert,) = stage.silent()
    assert (alert.owner, alert.subject) == ("boss", "web is silent")
    assert alert.record == stage.record("mia").identity
    ((_, recipients, text),) = office.mails
    assert recipients == ["boss@example.com"] and "web could not be read since 2026-03-02 09:02 UTC" in text
    for _ in range(5):
        stage.after(minutes=30)
    assert len(stage.silent()) == 1, "once a matter"
    stage.restart()
    stage.after(minutes=30)
    assert len(stage.silent()) == 1, "also after a restart"
    assert stage.agent.silence.silent() == ("web",)
    stage.deafen("web", None)
    stage.after(minutes=5)
    stage.after(minutes=1)
    assert stage.agent.silence.silent() == ()
    stage.deafen("web", RetryableError("web gave no answer.", 5))
    stage.after(minutes=5)
    stage.after(minutes=20)
    stage.after(minutes=1)
    assert len(stage.silent()) == 2, "it began anew"
    assert len({one.key for one in stage.silent()}) == 2
    stage.deafen("web", None)


def test_who_restarts_again_and_again_is_told_all_the_same(stage: Deaf) -> None:
    stage.does(stage.person("tom", title="Director"), "form.submitted", "demo-request")
    stage.after(minutes=2)
    stage.deafen("web", RetryableError("web gave no answer.", 5))
    stage.crm.fail_next("conflict", "Alert", times=2)
    for _ in range(5):
        stage.after(minutes=5)
        stage.restart()
    stage.after(minutes=1)
    assert not stage.silent(), "the newest lead has moved on while the alert was being made"
    stage.crm.delete(stage.record("tom").identity, "boss", stage.clock.now())
    for _ in range(3):
        stage.after(minutes=5)
    (alert,) = stage.silent()
    assert alert.record == stage.record("mia").identity, "there is another lead to hang it on"
    assert not stage.agent.store.outbox(("conflict",))
    stage.deafen("web", None)


def test_a_start_after_a_long_night_blames_nobody(stage: Deaf) -> None:
    stage.after(minutes=2)
    stage.agent.store.close()
    stage.clock.advance(timedelta(hours=9))
    stage.start()
    assert stage.agent.watch() == 0, "before anything was read"
    stage.after(seconds=1)
    assert not stage.silent()


def test_a_silent_crm_is_told_by_mail(stage: Deaf, office: PostOffice) -> None:
    stage.deafen("crm", ConnectorDownError("crm refuses our credentials."))
    stage.after(minutes=1)
    stage.does(stage.person("tom", title="Director"), "form.submitted", "demo-request")
    stage.after(minutes=10)
    stage.after(minutes=10)
    stage.after(minutes=1)
    ((_, _, text),) = office.mails
    assert "crm is silent" in text and "refuses our credentials" in text.replace("=\r\n", "")
    stage.deafen("crm", None)
    for _ in range(3):
        stage.after(minutes=6)
    assert not stage.silent(), "nor does the CRM hear of it later"
    assert stage.agent.silence.silent() == ()


def test_a_target_that_is_told_nothing_is_not_silent(stage: Deaf) -> None:
    for _ in range(4):
        stage.after(hours=8)
    assert stage.agent.silence.silent() == ()


def test_the_config_says_how_long_and_whom(tmp_path: Path) -> None:
    more = '[alerts.silence]\nwithin = "2h"\nsystems = { web = "40m" }\ntell = "Ben Ode"\n'
    with Deaf(tmp_path, CONFIG + more) as stage:
        stage.agent.once()
        stage.clock.advance(timedelta(minutes=1))
        stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
        stage.after(seconds=30)
        stage.after(seconds=30)
        stage.deafen("web", RetryableError("web gave no answer.", 5))
        stage.after(minutes=38)
        stage.after(minutes=1)
        assert not stage.silent()
        stage.after(minutes=3)
        stage.after(minutes=1)
        assert [one.owner for one in stage.silent()] == ["ben"]
        standing = json.loads(stage.agent.store.meta(SILENCE) or "{}")
        assert standing["web"]["says"].startswith("web could not be read")
        config = tmp_path / "config.toml"
        config.write_text((CONFIG + more).replace("[agent]", f'[agent]\nstate = "{stage.state}"'), encoding="utf-8")
        told = CliRunner().invoke(main, ["status", "--config", str(config)])
        assert "web could not be read" in told.output
        stage.deafen("web", None)


def test_a_system_that_nobody_knows_is_a_problem_of_the_config() -> None:
    with pytest.raises(ConfigError, match=r"systems\.wep"):
        parse(CONFIG + '[alerts.silence]\nsystems = { wep = "40m" }\n')
    with pytest.raises(ConfigError, match="within"):
        parse(CONFIG + '[alerts.silence]\nwithin = "soon"\n')
