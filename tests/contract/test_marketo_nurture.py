"""Recycled leads go back to nurturing: by list (repeatable), by requested campaign (at most once)."""

import pytest
from msgspec.structs import replace

from syncagent.errors import ConnectorDownError, RetryableError
from syncagent.model import CloseTask, Done, Identity, Refused, Retry
from tests.contract.marketo_world import marketo_world
from tests.contract.target import carry_out

TRIGGER = r"/campaigns/\d+/trigger"


@pytest.fixture
def world(monkeypatch):
    with marketo_world(monkeypatch) as world:
        yield world


def commands(world, count, **where):
    leads = world.control.seed(leads=[{"email": f"n{n}@example.com"} for n in range(count)])["leads"]
    first = world.command("e1/x", **where)
    return [replace(first, key=f"e1/{n}", lead=Identity("marketo", "lead", str(lead))) for n, lead in enumerate(leads)]


def requested(world):
    return sorted(lead for each in world.control.dump()["requests"] for lead in each["leads"])


def numbers(batch):
    return sorted(int(command.lead.id) for command in batch)


def test_700_leads_go_into_a_list_with_three_calls(world):
    batch = commands(world, 700)
    world.source.look([world.one])
    world.control.clear_calls()
    outcomes = carry_out(world.target, batch)
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())
    assert len(world.control.calls()) == 3
    [members] = [one["members"] for one in world.control.dump()["lists"] if one["id"] == world.list_id]
    assert sorted(members) == numbers(batch)


def test_a_list_that_is_not_there_is_refused_and_the_others_go_on(world):
    [first, second] = commands(world, 2)
    outcomes = carry_out(world.target, [replace(first, list_id=999), second])
    assert isinstance(outcomes[first.key], Refused)
    assert "list 999" in outcomes[first.key].why
    assert isinstance(outcomes[second.key], Done)


def test_250_leads_are_requested_with_three_calls(world):
    batch = commands(world, 250, campaign_id=world.campaign_id)
    world.source.look([world.one])
    world.control.clear_calls()
    outcomes = carry_out(world.target, batch)
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())
    assert len(world.control.calls()) == 3
    assert requested(world) == numbers(batch)
    assert {outcome.receipt.values["campaign"] for outcome in outcomes.values()} == {world.campaign_id}
    made = world.control.seed(campaigns=[{"name": "Back with sales"}])["campaigns"][0]
    out = replace(batch[0], key="e1/out", campaign_id=made, remove=True)
    assert isinstance(carry_out(world.target, [out])["e1/out"], Done)
    asked = [(each["campaignId"], each["leads"]) for each in world.control.dump()["requests"]]
    assert asked[-1] == (made, [int(out.lead.id)])


@pytest.mark.parametrize(("fault", "arrived"), [({"drop": "after"}, 1), ({"drop": "before"}, 0), ({"html": 503}, 0)])
def test_a_campaign_without_an_answer_is_unknown_and_never_asked_again(world, fault, arrived):
    [command] = commands(world, 1, campaign_id=world.campaign_id)
    world.fault(TRIGGER, **fault)
    outcome = carry_out(world.target, [command])[command.key]
    assert (outcome.kind, len(requested(world))) == ("unknown", arrived)
    assert "Request Campaign" in outcome.why
    again = carry_out(world.fresh(), [replace(command, attempt=1)])[command.key]
    assert (again.kind, len(requested(world))) == ("unknown", arrived)


@pytest.mark.parametrize("code", ["611", "713", "604"])
def test_an_error_that_may_have_come_after_the_effect_is_unknown(world, code):
    [command] = commands(world, 1, campaign_id=world.campaign_id)
    world.fault(TRIGGER, code={"code": code, "execute": True})
    assert carry_out(world.target, [command])[command.key].kind == "unknown"
    assert len(requested(world)) == 1


@pytest.mark.parametrize("code", ["606", "615", "607"])
def test_a_campaign_that_was_turned_away_at_the_door_may_be_asked_again(world, code):
    [command] = commands(world, 1, campaign_id=world.campaign_id)
    world.fault(TRIGGER, code=code)
    with pytest.raises(ConnectorDownError if code == "607" else RetryableError):
        list(world.target.apply([command]))
    assert requested(world) == []


def test_one_lead_that_is_gone_does_not_keep_the_others_from_the_campaign(world):
    batch = commands(world, 20, campaign_id=world.campaign_id)
    world.delete(batch[7].lead)
    outcomes = carry_out(world.target, batch)
    assert [key for key, outcome in outcomes.items() if isinstance(outcome, Refused)] == [batch[7].key]
    assert requested(world) == numbers(one for one in batch if one is not batch[7])


def test_a_campaign_that_sleeps_is_refused_with_what_helps_and_asked_once(world):
    batch = commands(world, 20, campaign_id=world.campaign_id)
    world.control.act("set_campaign_active", id=world.campaign_id, active=False)
    world.control.clear_calls()
    outcomes = carry_out(world.target, batch)
    assert all("active" in outcome.why for outcome in outcomes.values())
    assert len([call for call in world.control.calls() if "trigger" in call["path"]]) == 1


def test_what_marketo_cannot_do_is_refused_and_what_waits_for_it_is_left_untried(world):
    [first] = commands(world, 1)
    close = CloseTask(key="e1/c", target="marketo", person=1, task="e1/t", reason="Done")
    outcomes = carry_out(world.target, [replace(first, depends_on=("e1/c",)), close])
    assert outcomes["e1/c"].code == "unsupported"
    assert isinstance(outcomes[first.key], Retry)
    nowhere = carry_out(world.target, [replace(first, list_id=None)])[first.key]
    assert "recycle.nurture" in nowhere.why


def members(world):
    [found] = [one["members"] for one in world.control.dump()["lists"] if one["id"] == world.list_id]
    return sorted(found)


def test_who_comes_up_again_is_taken_out_of_the_list_and_twice_is_once(world):
    batch = commands(world, 3)
    carry_out(world.target, batch)
    out = [replace(one, key=f"{one.key}/b", remove=True) for one in batch[:2]]
    outcomes = carry_out(world.target, out)
    assert [outcomes[one.key].receipt.values for one in out] == [{"list": world.list_id}] * 2
    assert members(world) == numbers(batch[2:])
    again = carry_out(world.fresh(), [replace(one, attempt=1) for one in out])
    assert all(isinstance(one, Done) for one in again.values())
    assert members(world) == numbers(batch[2:])


def test_a_list_that_is_gone_holds_nobody_and_neither_does_a_lead_that_is(world):
    first, second = commands(world, 2)
    world.delete(second.lead)
    out = [replace(first, list_id=999, remove=True), replace(second, remove=True)]
    outcomes = carry_out(world.target, out)
    assert all(isinstance(one, Done) for one in outcomes.values())
    assert "no list 999" in outcomes[first.key].receipt.note


@pytest.mark.parametrize("fault", [{"drop": "after"}, {"drop": "before"}, {"html": 503}])
def test_taking_out_is_repeated_when_no_answer_came(world, fault):
    batch = commands(world, 1)
    carry_out(world.target, batch)
    world.fault(r"/lists/\d+/leads", **fault)
    out = replace(batch[0], key="e1/out", remove=True)
    assert isinstance(carry_out(world.target, [out])["e1/out"], Done)
    assert members(world) == []


def test_in_and_out_of_one_batch_keep_their_order(world):
    [into] = commands(world, 1)
    out = replace(into, key="e1/out", remove=True, depends_on=(into.key,))
    outcomes = carry_out(world.target, [out, into])
    assert isinstance(outcomes["e1/out"], Retry)
    assert members(world) == numbers([into])
