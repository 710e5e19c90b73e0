"""Alerts reach people when they may, as often as they may, and where they look: CRM, mail, chat."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from syncagent.cli import main
from syncagent.compose import from_next_start
from syncagent.config import parse
from syncagent.errors import ConfigError
from syncagent.handoff.alerting import after_quiet, next_time
from tests.contract.post_office import Channel, PostOffice
from tests.story.theatre import CONFIG, Theatre

BERLIN = "Europe/Berlin"


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with PostOffice() as made:
        yield made


def mail(office: PostOffice, *, more: str = "") -> str:
    return f"""
[alerts.sinks.post]
type = "mail"
host = "127.0.0.1"
port = {office.port}
security = "none"
sender = "agent@example.org"
to = {{ boss = "boss@example.com" }}
{more}
"""


def breached(stage: Theatre, *names: str) -> None:
    """Handed off, and left alone for so long that the manager is told (the pinned owners cannot be passed on)."""
    for name in names:
        stage.does(stage.person(name, title="Director"), "form.submitted", "demo-request")
    stage.agent.once()
    stage.after(minutes=1)
    for name in names:
        stage.crm.edit(stage.record(name).identity, "boss", stage.clock.now(), owner="carla")
    stage.after(minutes=1)
    stage.after(minutes=61)
    stage.after(minutes=1)


def begin(folder: Path, config: str) -> Theatre:
    stage = Theatre(folder, config)
    stage.agent.once()
    stage.clock.advance(timedelta(minutes=1))
    return stage


def test_the_manager_is_told_in_the_crm_and_by_mail_once(tmp_path: Path, office: PostOffice) -> None:
    with begin(tmp_path, CONFIG + mail(office)) as stage:
        breached(stage, "mia")
        (alert,) = [one for one in stage.crm.tasks.values() if one.key.endswith(":alert") and one.owner == "boss"]
        ((_, recipients, text),) = office.mails
        assert recipients == ["boss@example.com"]
        assert "Promise broken: Mia Test" in alert.subject
        assert "Promise broken: Mia Test" in text
        stage.restart()
        stage.after(minutes=5)
        assert len(office.mails) == 1


def test_a_mail_whose_answer_was_lost_is_shown_and_not_repeated(tmp_path: Path, office: PostOffice) -> None:
    office.answers["DATA"] = ["take and hang up"]
    with begin(tmp_path, CONFIG + mail(office)) as stage:
        breached(stage, "mia")
        (item,) = stage.agent.store.outbox(("unknown",))
        assert item.command.target == "post"
        stage.restart()
        stage.after(minutes=30)
        assert len(office.mails) == 1
        assert len(stage.agent.store.outbox(("unknown",))) == 1


def test_a_mail_server_that_is_down_holds_up_nothing_else(tmp_path: Path, office: PostOffice) -> None:
    office.answers["MAIL"] = ["421 not now"]
    with begin(tmp_path, CONFIG + mail(office)) as stage:
        breached(stage, "mia")
        assert office.mails == []
        assert [one for one in stage.crm.tasks.values() if one.owner == "boss"]
        stage.after(minutes=6)
        assert len(office.mails) == 1


def test_a_digest_is_one_mail_a_day(tmp_path: Path, office: PostOffice) -> None:
    config = CONFIG + '[alerts]\ndigest = "10:30"\n' + mail(office, more="digest = true")
    with begin(tmp_path, config) as stage:
        breached(stage, "mia", "tom", "eva")
        assert office.mails == []
        assert len([one for one in stage.crm.tasks.values() if one.owner == "boss"]) == 3, "the CRM knows at once"
        stage.clock.move_to(datetime(2026, 3, 2, 10, 29, tzinfo=UTC))
        stage.agent.once()
        assert office.mails == []
        stage.after(minutes=2)
        ((_, _, text),) = office.mails
        assert "3 alerts" in text
        assert all(name in text for name in ("Mia", "Tom", "Eva"))


def test_what_has_lost_its_sense_before_the_digest_is_not_mailed(tmp_path: Path, office: PostOffice) -> None:
    config = CONFIG + '[alerts]\ndigest = "16:30"\n' + mail(office, more="digest = true")
    with begin(tmp_path, config) as stage:
        breached(stage, "mia", "tom")
        stage.crm.edit(stage.record("mia").identity, "carla", stage.clock.now(), status="Unqualified")
        stage.after(minutes=1)
        stage.clock.move_to(datetime(2026, 3, 2, 16, 31, tzinfo=UTC))
        stage.agent.once()
        ((_, _, text),) = office.mails
        assert "Tom" in text
        assert "Mia" not in text


def test_beyond_the_budget_reminders_wait_for_the_digest(tmp_path: Path) -> None:
    config = CONFIG + '[alerts]\nbudget = 2\ndigest = "08:00"\n'
    with begin(tmp_path, config) as stage:
        breached(stage, "mia", "tom", "eva")
        queued = [item.command for item in stage.agent.store.outbox(("done",)) if item.command.key.endswith(":alert")]
        moments = sorted(one.remind_at for one in queued if getattr(one, "to", "") == "boss")  # type: ignore[union-attr]
        assert len(moments) == 3
        assert moments[1] < moments[2] == datetime(2026, 3, 3, 8, tzinfo=UTC)


def test_nobody_is_reminded_in_quiet_hours(tmp_path: Path) -> None:
    with begin(tmp_path, CONFIG + '[alerts]\nquiet = "09:30-12:00"\n') as stage:
        breached(stage, "mia")
        queued = [item.command for item in stage.agent.store.outbox(("done",)) if item.command.key.endswith(":alert")]
        assert queued
        assert {one.remind_at for one in queued} == {datetime(2026, 3, 2, 12, tzinfo=UTC)}  # type: ignore[union-attr]


def test_a_channel_hears_too_and_its_address_is_in_no_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Channel() as channel:
        monkeypatch.setenv("CHANNEL_URL", channel.url)
        channel.answers = [404]
        sink = '[alerts.sinks.room]\ntype = "chat"\ndialect = "slack"\nurl = { env = "CHANNEL_URL" }\nto = ["boss"]\n'
        with begin(tmp_path, CONFIG + sink) as stage:
            breached(stage, "mia")
            (item,) = stage.agent.store.outbox(("parked",))
            assert "404" in item.why
            stage.agent.store.retry([item.command.key])
            stage.after(minutes=1)
            ((_, body),) = channel.posts
            assert "Promise broken: Mia Test" in body["text"]
        assert "wOnDeRfUl" not in caplog.text


def test_another_sink_counts_from_the_next_start_on(tmp_path: Path, office: PostOffice) -> None:
    """A config that is read again while the agent runs must not tell anything to a sink that nobody has opened."""
    with begin(tmp_path, CONFIG) as stage:
        new = parse(CONFIG + mail(office), tmp_path)
        assert from_next_start(stage.config, new, listening=True) == ("alerts.sinks",)
        stage.agent.take_over(new.policy(stage.agent.policy.live_from))
        breached(stage, "mia")
        assert stage.agent.store.outbox() == ()
        assert [one for one in stage.crm.tasks.values() if one.owner == "boss"]


def test_check_asks_whether_the_mail_server_lets_us_in(tmp_path: Path, office: PostOffice) -> None:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG + mail(office))
    ready = CliRunner().invoke(main, ["check", "--config", str(path)])
    assert "post: everything that is needed is there" in ready.output
    office.answers["EHLO"] = ["hang up"]
    refused = CliRunner().invoke(main, ["check", "--config", str(path)])
    assert refused.exit_code == 1
    assert "The mail server cannot be reached" in refused.output
    assert office.mails == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('[alerts]\nquiet = "late"\n', "alerts.quiet"),
        ('[alerts]\ndigest = "25:00"\n', "alerts.digest"),
        ("[alerts]\nbudget = 0\n", "alerts.budget"),
        ("[alerts.rejections]\nshare = 40\n", "alerts.rejections.share"),
        ('[alerts.sinks.web]\ntype = "mail"\nto = ["boss"]\n', "alerts.sinks.web"),
        ('[alerts.sinks.x]\nto = ["boss"]\n', "alerts.sinks.x.type"),
        ('[stages.recycled]\nto = ["lost"]\n', "stages.recycled.to"),
        ('[stages.sal]\nstuck = "recycle"\n', "stages.sal.stuck"),
        ('[stages.sal]\nto = ["moon"]\n', "stages.sal.to[1]"),
        ("[recycle.on_behalf.no_answer]\ntries = 0\n", "recycle.on_behalf.no_answer.tries"),
        ('[recycle.reasons.x]\nback = "soon"\n', "recycle.reasons.x.back"),
        ('[recycle.statuses.Working]\nreason = "x"\n', "recycle.statuses.Working"),
        (
            '[recycle.reasons.x]\nnurture = { source = "nowhere", list = 1 }\n',
            "recycle.reasons.x.nurture.source",
        ),
        (
            '[recycle.reasons.x]\nnurture = { source = "web", list = 1, leave = 2 }\n',
            "recycle.reasons.x.nurture.leave",
        ),
        (
            '[recycle.reasons.x]\nnurture = { source = "web", campaign = 2, leave = 2 }\n',
            "recycle.reasons.x.nurture.leave",
        ),
    ],
)
def test_what_cannot_be_meant_so_is_told_with_its_path(text: str, path: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(CONFIG + text)
    assert path in [problem.path for problem in error.value.problems]


def test_times_of_day_are_those_of_the_clocks_there() -> None:
    evening = datetime(2026, 3, 28, 19, 30, tzinfo=UTC)  # 20:30 in Berlin, the night in which clocks go forward
    assert after_quiet(evening, (20 * 60, 7 * 60), BERLIN) == datetime(2026, 3, 29, 5, tzinfo=UTC)
    assert after_quiet(evening, (21 * 60, 7 * 60), BERLIN) == evening
    assert after_quiet(evening, (8 * 60, 9 * 60), BERLIN) == evening
    assert next_time(evening, 20 * 60 + 30, BERLIN) == datetime(2026, 3, 29, 18, 30, tzinfo=UTC)
    skipped = next_time(datetime(2026, 3, 28, 23, tzinfo=UTC), 2 * 60 + 30, BERLIN)
    assert skipped > datetime(2026, 3, 28, 23, tzinfo=UTC)
