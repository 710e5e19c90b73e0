"""One command that spoils every batch it is in: the others go on, and it is found, parked and shown (law 9)."""

import math
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from syncagent.agent.outages import WRITING
from syncagent.errors import ConnectorDownError, RetryableError
from syncagent.model import AnyCommand, CreateTask, WriteLead
from tests.story.office import Office, office
from tests.story.theatre import CONFIG, Theatre

BRAKE = "[handoff.brake]\nper_hour = 100000\nper_rep = 100000\n"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Theatre]:
    with Theatre(tmp_path, CONFIG.replace("[team]", f"{BRAKE}[team]")) as theatre:
        theatre.agent.once()
        theatre.clock.advance(timedelta(minutes=1))
        yield theatre


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as made:
        yield made


def spoilt(stage: Theatre, monkeypatch: pytest.MonkeyPatch, verb: type, names: Sequence[str], error: Exception) -> list:
    """From now on a batch fails as a whole that one of these people's commands of that kind is in; all batches."""
    whole, batches = stage.crm.apply, []

    def apply(batch: Sequence[AnyCommand]):
        batches.append(batch)
        poison = {f"{name}@example.com" for name in names}
        people = {person for mail in poison for person in stage.agent.store.find(mail)}
        if any(isinstance(one, verb) and one.person in people for one in batch):
            raise error
        return whole(batch)

    monkeypatch.setattr(stage.crm, "apply", apply)
    return batches


def asks(stage: Theatre, count: int) -> list[str]:
    names = [f"person{number}" for number in range(count)]
    for name in names:
        stage.does(stage.person(name, title="Director"), "form.submitted", "demo-request")
    return names


def pass_by(stage: Theatre, minutes: float, seconds: float = 5) -> None:
    for _ in range(int(minutes * 60 / seconds)):
        stage.after(seconds=seconds)


MISTAKE = KeyError("surprise")
SERVER = RetryableError("crm is out of order: HTTP 500 with an empty body.", 5, suspect=True)


@pytest.mark.parametrize("error", [MISTAKE, SERVER], ids=["a mistake of ours", "500"])
@pytest.mark.parametrize("verb", [WriteLead, CreateTask])
@pytest.mark.parametrize("place", [0, 13, 31])
def test_one_command_that_spoils_its_batch_is_parked_and_the_others_go_on(
    stage: Theatre, monkeypatch: pytest.MonkeyPatch, error: Exception, verb: type, place: int
) -> None:
    names = asks(stage, 32)
    batches = spoilt(stage, monkeypatch, verb, [names[place]], error)
    pass_by(stage, 5)
    for number, name in enumerate(names):
        if number != place:
            assert len(stage.tasks(name, closed=False)) == 1, name
    parked = stage.agent.store.outbox(("parked",))
    assert [type(one.command) for one in parked] == [verb]
    assert str(error) in parked[0].why
    assert "`syncagent outbox retry`" in parked[0].why
    assert not stage.agent.store.outbox(("sending",))
    waiting = stage.agent.store.outbox(("queued",))
    assert {one.command.person for one in waiting} <= {parked[0].command.person}
    assert not stage.agent.outages.troubles()
    failed = sum(any(one.key == parked[0].command.key for one in batch) for batch in batches)
    assert failed <= math.log2(32 * 3) + 4, "the search costs two calls for each halving"
    assert len(batches) <= 3 * math.log2(32 * 3) + 8
    made = len(batches)
    pass_by(stage, 5)
    assert len(batches) <= made + 1, "what is parked is not sent again"


def test_an_agent_that_is_run_for_one_round_at_a_time_finds_it_too(
    stage: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`syncagent run --once` by cron: each round is a process of its own."""
    names = asks(stage, 32)
    for _ in range(20):
        with monkeypatch.context() as patched:
            spoilt(stage, patched, WriteLead, [names[13]], SERVER)
            stage.after(minutes=1)
        stage.restart()
    assert all(len(stage.tasks(name, closed=False)) == 1 for number, name in enumerate(names) if number != 13)
    (parked,) = stage.agent.store.outbox(("parked",))
    assert str(SERVER) in parked.why
    assert parked.command.key not in (stage.agent.store.meta("suspects/crm") or ""), "it is found: no suspect any more"


def test_two_that_spoil_a_batch_are_both_found(stage: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    names = asks(stage, 32)
    spoilt(stage, monkeypatch, WriteLead, [names[3], names[4]], SERVER)
    pass_by(stage, 6)
    assert sum(len(stage.tasks(name)) for number, name in enumerate(names) if number not in (3, 4)) == 30
    stage.does(stage.person("late", title="Director"), "form.submitted", "demo-request")
    pass_by(stage, 3)  # where nothing but the two is left, only the next one who comes proves that all else is well
    assert len(stage.tasks("late")) == 1
    assert len(stage.agent.store.outbox(("parked",))) == 2


def test_what_is_mended_goes_on_by_retry(stage: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    names = asks(stage, 8)
    with monkeypatch.context() as patched:
        spoilt(stage, patched, WriteLead, names[5:6], MISTAKE)
        pass_by(stage, 5)
    (parked,) = stage.agent.store.outbox(("parked",))
    assert stage.agent.store.retry([parked.command.key]) == 1
    pass_by(stage, 1)
    assert len(stage.tasks(names[5], closed=False)) == 1
    assert not stage.agent.store.outbox(("parked", "queued"))


@pytest.mark.parametrize("error", [MISTAKE, SERVER], ids=["a mistake of ours", "500"])
def test_an_outage_parks_nothing(stage: Theatre, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Everything fails for an hour, down to the last single command: nobody is to blame, and all comes through."""
    names = asks(stage, 8)
    with monkeypatch.context() as patched:
        batches = spoilt(stage, patched, object, names, error)
        pass_by(stage, 60, 10)
        assert min(len(batch) for batch in batches) == 1
        assert not stage.agent.store.outbox(("parked",))
        assert len(batches) <= 50, "it is asked ever more seldom, as in any outage"
    pass_by(stage, 10)
    assert all(len(stage.tasks(name, closed=False)) == 1 for name in names)
    assert not stage.agent.store.outbox(("parked", "queued"))
    assert not stage.agent.outages.troubles()


@pytest.mark.parametrize(
    "error",
    [RetryableError("No answer.", 1), ConnectorDownError("The day's calls are spent.")],
    ids=["silence", "down"],
)
def test_what_says_nothing_about_the_content_halves_nothing(
    stage: Theatre, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    names = asks(stage, 8)
    batches = spoilt(stage, monkeypatch, WriteLead, names[:1], error)
    pass_by(stage, 20)
    assert len(batches) > 3
    assert {len(batch) for batch in batches} == {len(batches[0])}
    assert not stage.agent.store.outbox(("parked",))
    assert stage.agent.outages.troubles()


# -- the real connector


@pytest.mark.parametrize("how", [{"empty": 500}, {"html": 502}], ids=["500", "502"])
@pytest.mark.parametrize("nth", ["lead", "task"])
def test_salesforce_fails_whenever_one_row_is_sent(desk: Office, how: dict[str, int], nth: str) -> None:
    desk.ask(40)
    name = "Person17" if nth == "lead" else "Task.*Person17"
    desk.salesforce.plant(match={"method": "POST", "path": "composite/sobjects", "body": name}, times=None, **how)
    for _ in range(20):
        desk.after(seconds=10)
    parked = [one for one in desk.command("outbox", "list") if one["state"] == "parked"]
    assert len(parked) == 1
    assert "out of order" in parked[0]["why"]
    rows = desk.rows("Task")
    assert len(rows) == 39
    assert desk.agent is not None
    assert not desk.agent.outages.rest("salesforce", WRITING)
    assert desk.salesforce.faults()[0]["struck"] <= 12
