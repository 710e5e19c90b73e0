"""One person, announced by several at the same moment, on real threads: one person, one record, one task."""

import random
import threading
from datetime import UTC, datetime

import msgspec
import pytest

from syncagent.model import Activity, Identity, Lead
from syncagent.state.store import Post
from tests.web.doors import Client, secret  # noqa: F401 - a fixture
from tests.web.test_from_post_to_crm import DOOR, Running, form, running, until

pytestmark = pytest.mark.usefixtures("secret")
TWO_DOORS = DOOR + DOOR[DOOR.index("[sources.site]") :].replace("sources.site", "sources.fair")
PEOPLE = [f"p{number}" for number in range(25)]


def by_two_doors_in_one_commit(it: Running, name: str) -> None:
    body, now = msgspec.json.encode(form(name)), datetime.now(UTC)
    it.agent.store.receive([Post(door, now, "POST", f"/hooks/{door}", {}, body) for door in ("site", "fair")]).result(
        10
    )
    for door in ("site", "fair"):
        it.agent.posted[door].set()


def by_two_doors_at_once(it: Running, name: str) -> None:
    start = threading.Barrier(2)

    def post(path: str) -> None:
        client = Client(it.door.port)
        start.wait(10)
        assert client.ask(path=path, body=form(name))[0] == 204
        client.close()

    both = [threading.Thread(target=post, args=(f"/hooks/{door}",)) for door in ("site", "fair")]
    for one in both:
        one.start()
    for one in both:
        one.join()


def by_a_door_and_a_poll(it: Running, name: str) -> None:
    who, now = Identity("web", "lead", name), datetime.now(UTC)
    lead = Lead(who, now, {"title": "Director", "last_name": name.title()}, (f" {name.upper()}@example.com",))
    it.web.feed([lead, Activity(who, f"k-{name}", now, "form.submitted", "contact-sales")])
    it.post(form(name))


@pytest.mark.parametrize("how", [by_two_doors_in_one_commit, by_two_doors_at_once, by_a_door_and_a_poll])
def test_one_person_one_record_one_task(tmp_path, how):
    with running(tmp_path, doors=TWO_DOORS) as it:
        assert until(lambda: bool(it.agent.store.meta("crm_read")))
        for name in random.Random(7).sample(PEOPLE, len(PEOPLE)):
            how(it, name)
        assert until(lambda: len(it.crm.tasks) >= len(PEOPLE) and it.agent.store.health(datetime.now(UTC)).inbox == {})
        assert until(lambda: all(told_by_two(it, name) for name in PEOPLE))
        assert until(lambda: set(it.agent.store.health(datetime.now(UTC)).outbox) == {"done"})
        emails = [one for record in it.crm.records.values() for one in record.emails]
        assert sorted(emails) == sorted(f"{name}@example.com" for name in PEOPLE)
        assert len(it.crm.tasks) == len(PEOPLE)
        assert len(it.agent.store.people(0, 1000)) == len(PEOPLE)


def told_by_two(it: Running, name: str) -> bool:
    (person,) = it.agent.store.find(f"{name}@example.com")
    dossier = it.agent.store.dossier(person)
    return dossier is not None and len(dossier.leads) == 2
