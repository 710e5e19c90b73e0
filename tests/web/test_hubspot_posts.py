"""A portal posts what happens in it to the agent's own listener, over real HTTP and on real time.

Search finds nothing of it within the hour, so whatever is known here was told by a post.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncagent.agent.daemon import Daemon
from syncagent.clock import SystemClock
from syncagent.compose import compose, connectors
from syncagent.config import load
from syncagent.model import Dossier, Identity
from syncagent.sandbox import Control, Sandbox
from syncagent.serving import listener
from tests.web.test_from_post_to_crm import until

PUBLIC = "https://sync.example.com"
TOLD = ("contact.creation", "contact.merge", "contact.privacyDeletion")
PARTS = ("hubspot", "hubspot_marketing")


class Office:
    """One portal in both parts of a config, the daemon, and its door; the portal posts to `part`."""

    def __init__(self, folder: Path, box: Sandbox, part: str) -> None:
        self.part = part
        self.portal = Control(box.url("hubspot"))
        self.portal.act("set_settings", limits_clock="off", index_lag_min=3600, index_lag_max=3600)
        (folder / "config.toml").write_text(_with_doors(box.config(folder)), encoding="utf-8")
        config = load(folder / "config.toml")
        self.systems = connectors(config)
        self.agent = compose(config, systems=self.systems)
        door = listener(config, self.agent)
        assert door is not None
        self.door = door
        self.door.start()
        self._daemon = threading.Thread(target=Daemon(self.agent, folder / "syncagent.db").run)
        self._daemon.start()
        path = f"/hooks/{part}"
        self.portal.act(
            "set_webhooks",
            url=f"http://127.0.0.1:{self.door.port}{path}",
            signed_uri=PUBLIC + path,
            versions=["v1", "v3"],
            subscriptions=TOLD,
            twice=1.0,
            retry_after=[1.0] * 10,
        )
        assert until(lambda: bool(self.agent.store.meta("crm_read"))), "the first round, which reads all there is"

    def close(self) -> None:
        self.agent.stopping.set()
        self._daemon.join(12)
        self.door.close()
        self.agent.store.close()
        for system in self.systems.values():
            system.close()
        self.portal.close()

    def comes(self, name: str) -> str:
        """Somebody new is in the portal; the contact's id."""
        values = {"email": f"{name}@example.com", "lastname": name.title()}
        return str(self.portal.act("new_contact", values=values)["id"])

    def knows(self, name: str) -> bool:
        return bool(self.agent.store.find(f"{name}@example.com"))

    def person(self, name: str) -> Dossier:
        (number,) = self.agent.store.find(f"{name}@example.com")
        found = self.agent.store.dossier(number)
        assert found is not None
        return found

    def standing(self, name: str) -> list[str]:
        """The contacts that the part takes them for now."""
        known = self.person(name)
        if self.part == "hubspot":
            return [one.identity.id for one in known.records if not one.deleted and one.merged_into is None]
        return [one.identity.id for one in known.leads]

    def sent(self) -> list[int]:
        """How each post was answered."""
        return [one["status"] for one in self.portal.dump()["webhooks"]["sent"]]


def _with_doors(config: str) -> str:
    """Both parts listen, behind a proxy; the sandbox's config gives the source its secret only."""
    (secret,) = [line for line in config.splitlines() if line.startswith("signing_secret")]
    config = config.replace("[agent]\n", '[agent]\nlisten = "127.0.0.1:0"\n')
    config = config.replace("[crm]\n", f"[crm]\n{secret}\n")
    return config.replace(secret, f'{secret}\npublic_url = "{PUBLIC}"')


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with Sandbox(["hubspot"]) as box:
        yield box


@pytest.fixture
def right(box: Sandbox) -> str:
    """The secret that the portal's app signs with."""
    return box.credentials("hubspot")["client_secret"]


@pytest.fixture(params=PARTS)
def office(tmp_path: Path, box: Sandbox, request: pytest.FixtureRequest) -> Iterator[Office]:
    made = Office(tmp_path, box, request.param)
    yield made
    made.close()


def test_who_is_hinted_at_is_looked_up_and_stands_in_the_state(office: Office) -> None:
    contact = office.comes("ana")
    assert until(lambda: office.knows("ana"))
    assert office.standing("ana") == [contact]
    assert Identity(office.part, "contact", contact) in office.person("ana").identities
    assert until(lambda: office.agent.store.health(SystemClock().now()).inbox == {})
    assert until(lambda: set(office.sent()) == {204})


def test_what_is_forged_is_answered_401_and_changes_nothing_until_the_right_secret_signs_it(
    office: Office, right: str
) -> None:
    office.portal.act("set_webhooks", secret="somebody-elses")
    office.comes("ana")
    assert until(lambda: len(office.sent()) >= 2)
    assert set(office.sent()) == {401}
    assert office.agent.store.health(SystemClock().now()).inbox == {}
    assert office.agent.store.wanted(office.part, 10) == ()
    assert not office.knows("ana")
    office.portal.act("set_webhooks", secret=right)
    assert until(lambda: office.knows("ana")), "told again a second later, and now believed"


def test_a_merge_that_is_told_makes_two_people_one(office: Office) -> None:
    one, other = office.comes("ana"), office.comes("ben")
    assert until(lambda: office.knows("ana") and office.knows("ben"))
    assert office.person("ana").person != office.person("ben").person
    made = str(office.portal.act("merge_contacts", primary=one, loser=other)["id"])
    assert until(lambda: office.agent.store.find("ana@example.com") == office.agent.store.find("ben@example.com"))
    assert until(lambda: office.standing("ana") == [made])
    assert {Identity(office.part, "contact", each) for each in (one, other, made)} <= {*office.person("ana").identities}


def test_a_merge_is_believed_by_the_post_alone_while_nothing_can_be_looked_up(office: Office) -> None:
    one, other = office.comes("ana"), office.comes("ben")
    assert until(lambda: office.knows("ana") and office.knows("ben"))
    office.portal.plant(html=503, times=10_000, match={"path": "/crm/"})
    office.portal.act("merge_contacts", primary=one, loser=other)
    assert until(lambda: office.agent.store.find("ana@example.com") == office.agent.store.find("ben@example.com"))


def test_a_privacy_deletion_that_is_told_leaves_nobody_standing(office: Office) -> None:
    contact = office.comes("ana")
    office.comes("ben")
    assert until(lambda: office.knows("ana") and office.knows("ben"))
    number = office.person("ana").person
    office.portal.act("forget_contact", contact=contact)
    assert until(lambda: not office.knows("ana"))
    forgotten = office.agent.store.dossier(number)
    assert forgotten is not None and forgotten.erased
    assert not any("ana" in str(one) for one in (*forgotten.leads, *forgotten.records, *forgotten.histories))
    assert len(office.standing("ben")) == 1
    assert until(lambda: set(office.sent()) == {204})
