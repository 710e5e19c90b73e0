"""Mail over lines that are really encrypted: the certificate is checked before user, password or a word of the mail."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from syncagent.config import Secret
from syncagent.connectors import mail
from syncagent.model import Done, Retry
from tests.contract.certificates import Certificates
from tests.contract.post_office import PostOffice
from tests.contract.test_notices import NOW, notice, told

Security = Literal["starttls", "tls"]


@pytest.fixture
def certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certificates:
    """An authority that this machine trusts for the time of the test."""
    made = Certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
    return made


@contextmanager
def office(context: ssl.SSLContext, security: Security) -> Iterator[PostOffice]:
    with PostOffice(context, at_once=security == "tls") as made:
        made.extensions.append("AUTH PLAIN")
        yield made


def mailer(place: PostOffice, folder: Path, **given: Any) -> mail.Mail:
    (folder / "secret").write_text("hunter2")
    options = {
        "host": "127.0.0.1",
        "port": place.port,
        "sender": "agent@example.org",
        "to": {"boss": "boss@example.com"},
        "user": "agent",
        "password": Secret(file=str(folder / "secret")),
    }
    return mail.Mail("post", mail.Options(**{**options, **given}), clock=lambda: NOW)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_and_password_go_over_the_encrypted_line_only(
    certificates: Certificates, tmp_path: Path, security: Security
) -> None:
    with office(certificates.server("good"), security) as place:
        sink = mailer(place, tmp_path, security=security)
        assert sink.check() == ()
        assert isinstance(told(sink, notice())["k1"], Done)
    ((_, recipients, text),) = place.mails
    assert recipients == ["boss@example.com"]
    assert "Stuck: Mia" in text
    verbs = {line.split(" ")[0].upper() for line in place.said}
    assert verbs <= {"EHLO", "STARTTLS"}, "nothing else is said in the open"
    assert {"AUTH", "MAIL", "RCPT", "DATA"} <= {line.split(" ")[0].upper() for line in place.secret}


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("shown", ["other", "expired", "unknown"])
def test_a_wrong_certificate_is_refused_with_a_sentence_and_nothing_is_said_after_it(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: Security, shown: str
) -> None:
    context = certificates.server("good" if shown == "unknown" else shown)
    if shown == "unknown":  # nobody here knows who has signed it
        (tmp_path / "another").mkdir()
        monkeypatch.setenv("SSL_CERT_FILE", str(Certificates(tmp_path / "another").authority))
    with office(context, security) as place:
        sink = mailer(place, tmp_path, security=security)
        outcome = told(sink, notice())["k1"]
        (problem,) = sink.check()
    assert isinstance(outcome, Retry), "it is waited for, and shown"
    assert (
        outcome.why
        == problem.message
        == "The certificate of the mail server is not accepted, or the port speaks no TLS."
    )
    assert problem.path == "alerts.sinks.post"
    assert place.mails == []
    assert not [line for line in (*place.said, *place.secret) if line.split(" ")[0].upper() in ("AUTH", "MAIL")]


def test_tls_against_a_server_that_speaks_none_is_told(certificates: Certificates, tmp_path: Path) -> None:
    assert certificates.authority.exists()
    with PostOffice() as place:
        sink = mailer(place, tmp_path, security="tls", timeout=2.0)
        outcome = told(sink, notice())["k1"]
    assert isinstance(outcome, Retry)
    assert "speaks no TLS" in outcome.why
    assert place.mails == []
