"""The log of a whole story: one object a line, whom it is about on every floor, no secret and no full address."""

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from syncagent.cli import logs
from tests.story.office import Office, office

ADDRESS = re.compile(r"[A-Za-z0-9._+-]{2,}(@|%40)example\.(com|org|net)")


@pytest.fixture
def played(tmp_path: Path) -> Iterator[tuple[Office, str]]:
    """A story of some people, one refusal and one outage, and all that was logged of it at the loudest."""
    paper = io.StringIO()
    handler = logging.StreamHandler(paper)
    handler.setFormatter(logs._Json())
    logger = logging.getLogger("syncagent")
    logger.addHandler(handler)
    try:
        with office(tmp_path) as desk:
            logger.setLevel("DEBUG")
            desk.in_crm("known@example.com")
            desk.ask(3)
            desk.until_quiet()
            desk.salesforce.plant(status=503, times=2)
            desk.ask(2)
            desk.until_quiet()
            logger.warning("somebody says %s and %s", "mia.hidden@example.com", "/contacts/mia.hidden%40example.com")
            yield desk, paper.getvalue()
    finally:
        logger.removeHandler(handler)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_every_line_is_an_object_with_time_level_and_message(played: tuple[Office, str]) -> None:
    told = lines(played[1])
    assert len(told) > 50
    for line in told:
        assert {"time", "level", "message"} <= line.keys()
        assert line["level"] in ("debug", "info", "warning", "error")


def test_no_secret_and_no_full_address_is_logged(played: tuple[Office, str]) -> None:
    desk, text = played
    assert "m***@example.com" in text and "m***%40example.com" in text and "hidden" not in text
    assert not ADDRESS.search(text), ADDRESS.search(text)
    kept = [one for one in desk.folder.iterdir() if one.suffix in (".txt", ".pem", ".key", "")]
    secrets = {one.read_text(encoding="utf-8", errors="replace").strip() for one in kept if one.is_file()}
    secrets |= {
        str(value)
        for name in ("marketo", "salesforce")
        for value in desk.box.credentials(name).values()
        if len(str(value)) > 20
    }
    assert len(secrets) >= 2
    for secret in secrets:
        for piece in (secret, *secret.splitlines()):
            assert len(piece) < 12 or piece not in text
    assert "Bearer" not in text and "access_token" not in text


def test_a_handoff_is_followed_from_the_decision_to_the_vendors_answer(played: tuple[Office, str]) -> None:
    desk, text = played
    assert desk.agent is not None
    person = desk.dossier(desk.emails[0]).person
    handoff = f"{person}.1"

    def about(line: dict[str, Any]) -> bool:
        named = line.get("correlation", ())
        return handoff == named or (isinstance(named, list) and handoff in named)

    followed = [line["message"] for line in lines(text) if about(line)]
    decided = next(n for n, says in enumerate(followed) if "handoff.opened" in says)
    called = next(n for n, says in enumerate(followed) if re.search(r"salesforce \(POST .*\) answered HTTP 20", says))
    done = next(n for n, says in enumerate(followed) if "CreateTask is done" in says)
    assert decided < called < done, followed
    others = [line for line in lines(text) if "answered HTTP" in line["message"] and "correlation" not in line]
    assert others, "polls are about nobody"
    assert {line["level"] for line in others} == {"debug"}
