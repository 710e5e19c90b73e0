"""SIGHUP and the doors: secrets, mappings, doors change while the agent runs; what cannot is said in one sentence."""

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from syncagent.state import open_store
from tests.cli.test_daemon_process import OURS, Daemon, daemon, until
from tests.web.doors import Client

DOOR = """
[sources.{name}]
type = "webhook"
dialect = "json"
secret = {{ file = "{secret}" }}
{more}
[sources.{name}.mapping]
email = "{email}"
kind = {{ constant = "form.submitted" }}
"""


def config(*doors: str, listen: str = "127.0.0.1:0", web: str = "1s") -> str:
    text = OURS.replace("[agent]", f'[agent]\nlisten = "{listen}"').replace('poll = "1s"', f'poll = "{web}"', 1)
    return text + "".join(doors)


def door(name: str = "site", secret: str = "secret", email: str = "email", more: str = "") -> str:
    return DOOR.format(name=name, secret=secret, email=email, more=more)


class Doors:
    def __init__(self, it: Daemon, folder: Path) -> None:
        self.it, self.folder = it, folder
        self.reloads = 0
        assert until(lambda: it.says("Listening on"))
        (line,) = [line["message"] for line in it.lines() if "Listening on" in line["message"]]
        found = re.search(r":(\d+) ", line)
        assert found
        self.client = Client(int(found[1]))

    def reload(self, text: str | None = None, says: str = "people are planned by it") -> None:
        if text is not None:
            (self.folder / "config.toml").write_text(text)
        self.reloads += 1
        before = sum(says in line["message"] for line in self.it.lines())
        self.it.process.send_signal(signal.SIGHUP)
        assert until(lambda: sum(says in line["message"] for line in self.it.lines()) > before), self.it.log.read_text()

    def post(self, secret: str, path: str = "/hooks/site", **body: str) -> int:
        told = {**body, "at": datetime.now(UTC).isoformat()}
        return self.client.ask(path=path, body=json.dumps(told).encode(), Authorization=f"Bearer {secret}")[0]

    def knows(self, email: str) -> bool:
        store = open_store(self.it.state, read_only=True)
        try:
            return bool(store.find(email)) and not store.health(datetime.now(UTC)).inbox
        finally:
            store.close()

    def later(self) -> list[str]:
        return [line["message"] for line in self.it.lines() if "from the next start on" in line["message"]]


@contextmanager
def doors(folder: Path, text: str) -> Iterator[Doors]:
    (folder / "secret").write_text("first-secret")
    (folder / "config.toml").write_text(text)
    with daemon(folder) as it:
        made = Doors(it, folder)
        try:
            yield made
        finally:
            made.client.close()
        assert it.stop() == 0


def test_a_secret_that_was_changed_where_it_is_kept_holds_after_sighup(tmp_path: Path) -> None:
    with doors(tmp_path, config(door())) as it:
        assert (it.post("first-secret", email="ana@example.com"), it.post("second", email="ana@example.com")) == (
            204,
            401,
        )
        (tmp_path / "secret").write_text("second")
        assert it.post("first-secret", email="ana@example.com") == 204, "until SIGHUP nothing changes"
        it.reload()
        assert (it.post("first-secret", email="ana@example.com"), it.post("second", email="ana@example.com")) == (
            401,
            204,
        )
        (tmp_path / "old").write_text("first-secret")
        it.reload(config(door(more='secrets = [{ file = "old" }]')))
        assert (it.post("first-secret", email="ana@example.com"), it.post("second", email="ana@example.com")) == (
            204,
            204,
        )
        (tmp_path / "secret").unlink()
        it.reload(says="The config was not taken over")
        assert it.post("second", email="ana@example.com") == 204, "the old config goes on"
        assert not it.later()


def test_a_mapping_a_new_door_and_one_that_is_closed(tmp_path: Path) -> None:
    with doors(tmp_path, config(door(), door("phone"))) as it:
        assert it.post("first-secret", mail="ana@example.com") == 204
        assert until(lambda: '"refused": 1' in it.it.command("status", "--json"))
        assert it.post("first-secret", "/hooks/phone", email="tom@example.com") == 204
        it.reload(config(door(email="mail"), door("fair")))
        assert it.post("first-secret", mail="ben@example.com") == 204
        assert it.post("first-secret", "/hooks/fair", email="eva@example.com") == 204
        assert it.post("first-secret", "/hooks/phone", email="uwe@example.com") == 404
        it.it.command("inbox", "retry")
        for email in ("ana@example.com", "ben@example.com", "eva@example.com", "tom@example.com"):
            assert until(lambda email=email: it.knows(email)), email
        assert not it.later()


def test_what_takes_a_restart_is_said_in_one_sentence(tmp_path: Path) -> None:
    with doors(tmp_path, config(door())) as it:
        it.reload(config(door(), "[identity]\nplus_tags = 'ignore'\n", listen="127.0.0.1:1", web="2s"))
        assert it.later() == [
            "The config was read again; this of it counts from the next start on: agent.listen, sources.web, identity."
        ]
        assert it.post("first-secret", email="ana@example.com") == 204
        it.reload(config(door()))
        assert len(it.later()) == 1


def test_without_pages_the_first_door_takes_a_restart(tmp_path: Path) -> None:
    shut = "[pages]\nserve = false\n"
    (tmp_path / "secret").write_text("s")
    (tmp_path / "config.toml").write_text(OURS + shut)
    with daemon(tmp_path) as it:
        (tmp_path / "config.toml").write_text(config(door(), shut).replace('listen = "127.0.0.1:0"\n', ""))
        it.process.send_signal(signal.SIGHUP)
        assert until(lambda: it.says("counts from the next start on: sources.site."))
        assert it.stop() == 0


def test_beside_the_pages_the_first_door_opens_at_once(tmp_path: Path) -> None:
    with doors(tmp_path, config()) as it:
        assert it.post("first-secret", email="ana@example.com") == 404
        it.reload(config(door()))
        assert it.later() == []
        assert it.post("first-secret", email="ana@example.com") == 204
        assert until(lambda: it.knows("ana@example.com"))
