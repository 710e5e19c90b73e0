"""Mail and chat over real lines: at most once, several as one, and nothing secret in any message."""

import email
import email.policy
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from syncagent.config import Secret
from syncagent.connectors import chat, mail
from syncagent.connectors.base import Sink
from syncagent.model import CloseTask, Done, Notify, Outcome, Refused, Retry
from tests.contract.post_office import Channel, PostOffice

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with PostOffice() as made:
        yield made


@pytest.fixture
def channel() -> Iterator[Channel]:
    with Channel() as made:
        yield made


def mailer(office: PostOffice, **given: Any) -> mail.Mail:
    to = {"boss": "boss@example.com", "ana": "ana@example.com"}
    options = {"host": "127.0.0.1", "port": office.port, "security": "none", "sender": "agent@example.org", "to": to}
    return mail.Mail("post", mail.Options(**{**options, **given}), clock=lambda: NOW)


def posts(channel: Channel, folder: Path, dialect: Any = "slack") -> chat.Chat:
    (folder / "url").write_text(channel.url)
    options = chat.Options(dialect=dialect, url=Secret(file=str(folder / "url")), to=("boss",))
    return chat.Chat("room", options, clock=lambda: NOW)


def notice(key: str = "k1", to: str = "boss", title: str = "Stuck: Mia", body: str = "Since Monday.") -> Notify:
    return Notify(key=key, target="post", person=1, record=None, to=(to,), title=title, body=body)


def told(sink: Sink, *notices: Any) -> dict[str, Outcome]:
    outcomes = list(sink.apply(notices))
    assert len(outcomes) == len(notices), "every key exactly once"
    return dict(outcomes)


def read(office: PostOffice, number: int = 0) -> EmailMessage:
    found = email.message_from_string(office.mails[number][2], policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


# -- mail


def test_a_notice_is_a_mail(office: PostOffice) -> None:
    outcome = told(mailer(office), notice(title="Überfällig: Eva", body="Since 2026-11-20.\nCall her."))
    assert isinstance(outcome["k1"], Done)
    ((_, recipients, _),) = office.mails
    assert recipients == ["boss@example.com"]
    message = read(office)
    assert message["Subject"] == "Überfällig: Eva"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content().split() == ["Überfällig:", "Eva", "Since", "2026-11-20.", "Call", "her."]


def test_several_for_one_person_are_one_mail(office: PostOffice) -> None:
    notices = [notice(f"k{n}", title=f"Stuck: {n}") for n in range(3)]
    outcome = told(mailer(office), *notices, notice("other", to="ana"))
    assert all(isinstance(one, Done) for one in outcome.values())
    assert [recipients for _, recipients, _ in office.mails] == [["boss@example.com"], ["ana@example.com"]]
    message = read(office)
    assert message["Subject"] == "3 alerts: Stuck: 0 ..."
    assert all(f"Stuck: {n}" in message.get_content() for n in range(3))


def test_hostile_names_forge_no_header_and_no_recipient(office: PostOffice) -> None:
    hostile = "Mia\r\nBcc: all@example.net\r\n\r\n<html>\x00\u202e"
    told(mailer(office), notice(title=hostile, body="a\r\n.\r\nRSET\r\n" + hostile))
    ((_, recipients, _),) = office.mails
    assert recipients == ["boss@example.com"]
    assert read(office)["Bcc"] is None
    assert "\n" not in read(office)["Subject"]


@pytest.mark.parametrize(
    ("verb", "answer", "kind"),
    [
        ("MAIL", "451 try later", Retry),
        ("RCPT", "450 busy", Retry),
        ("RCPT", "hang up", Retry),
        ("DATA", "452 full", Retry),
        ("RCPT", "550 no such user", Refused),
        ("DATA", "554 spam", Refused),
    ],
)
def test_what_was_certainly_not_sent_is_tried_again_or_parked(
    office: PostOffice, verb: str, answer: str, kind: type[Outcome]
) -> None:
    office.answers[verb] = [answer]
    outcome = told(mailer(office), notice())["k1"]
    assert isinstance(outcome, kind)
    assert "example.com" not in outcome.why  # type: ignore[union-attr]
    assert office.mails == []
    if isinstance(outcome, Retry):
        assert isinstance(told(mailer(office), notice())["k1"], Done)


def test_a_mail_that_may_have_gone_is_never_sent_again(office: PostOffice) -> None:
    office.answers["DATA"] = ["take and hang up"]
    outcome = told(mailer(office), notice())["k1"]
    assert isinstance(outcome, Refused)
    assert outcome.kind == "unknown"
    assert len(office.mails) == 1
    again = told(mailer(office), replace(notice(), attempt=1))["k1"]
    assert isinstance(again, Refused)
    assert again.kind == "unknown"
    assert len(office.mails) == 1


def test_a_server_that_is_not_there_is_waited_for(office: PostOffice) -> None:
    sink = mailer(office)
    office.shutdown()
    office.server_close()
    assert isinstance(told(sink, notice())["k1"], Retry)
    (problem,) = sink.check()
    assert problem.path == "alerts.sinks.post"


def test_no_password_goes_over_a_bare_line(office: PostOffice, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    secret = Secret(file=str(tmp_path / "secret"))
    sink = mailer(office, security="starttls", user="agent", password=secret)
    outcome = told(sink, notice())["k1"]
    assert isinstance(outcome, Retry)
    assert "STARTTLS" in outcome.why
    assert not [line for line in office.said if "AUTH" in line]
    with pytest.raises(ValueError, match="on this machine"):
        mail.Options(host="mail.example.com", security="none", sender="a@example.org", to={"b": "b@example.org"})


def test_a_password_that_is_refused_is_told_without_it(office: PostOffice, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    office.extensions.append("AUTH PLAIN")
    office.answers["AUTH"] = ["535 no"]
    sink = mailer(office, user="agent", password=Secret(file=str(tmp_path / "secret")))
    (problem,) = sink.check()
    assert "refuses user and password (535)" in problem.message
    assert "hunter2" not in str(problem)


def test_nobody_known_and_other_commands_are_refused(office: PostOffice) -> None:
    other = CloseTask(key="c", target="post", person=1, task="t", reason="x")
    outcome = told(mailer(office), notice(to="stranger"), other)
    assert all(isinstance(one, Refused) and one.kind == "refused" for one in outcome.values())
    assert office.mails == []


# -- chat


def test_several_notices_are_one_message_in_slack(channel: Channel, tmp_path: Path) -> None:
    outcome = told(posts(channel, tmp_path), notice("k1", title="<!channel> & co"), notice("k2", title="Stuck: Tom"))
    assert all(isinstance(one, Done) for one in outcome.values())
    ((path, body),) = channel.posts
    assert path == "/services/T000/B000/wOnDeRfUl"
    assert body == {"text": "&lt;!channel&gt; &amp; co\nSince Monday.\n\nStuck: Tom\nSince Monday."}


def test_teams_gets_a_card_of_plain_text(channel: Channel, tmp_path: Path) -> None:
    told(posts(channel, tmp_path, "teams"), notice(title="[click](http://x.test)"))
    ((_, body),) = channel.posts
    (attachment,) = body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["content"]["body"][0]["inlines"] == [{"type": "TextRun", "text": "[click](http://x.test)"}]


@pytest.mark.parametrize(
    ("status", "kind"), [(429, "retry"), (404, "refused"), (500, "unknown"), (0, "unknown"), (302, "unknown")]
)
def test_a_channel_that_does_not_take_it(channel: Channel, tmp_path: Path, status: int, kind: str) -> None:
    channel.answers = [status]
    outcome = told(posts(channel, tmp_path), notice())["k1"]
    if kind == "retry":
        assert isinstance(outcome, Retry)
    else:
        assert isinstance(outcome, Refused)
        assert outcome.kind == kind
    assert "wOnDeRfUl" not in outcome.why  # type: ignore[union-attr]
    assert len(channel.posts) == (status == 0), "never sent twice"
    assert "wOnDeRfUl" not in str(posts(channel, tmp_path).check())
