"""`check` tells what the instance lacks or refuses, with what helps, and only reads; what it cannot ask is fatal."""

import socket

import pytest

from syncagent.connectors.marketo import ApiBudget
from tests.contract.marketo_world import marketo_world
from tests.contract.source import read


@pytest.fixture
def world(monkeypatch):
    with marketo_world(monkeypatch) as world:
        yield world


def closed_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def hasty(source):
    """Without the waits between the attempts."""
    source._wire.http._sleep = lambda seconds: False
    return source


def test_an_instance_that_is_ready_has_no_problems_and_is_only_read(world):
    source = world.fresh(lists=(501,), campaigns=(601,))
    world.control.clear_calls()
    assert source.check() == ()
    calls = world.control.calls()
    assert {call["method"] for call in calls if "identity" not in call["path"]} == {"GET"}
    assert len(calls) <= 8


def test_check_names_what_marketo_does_not_have(world):
    world.control.seed(campaigns=[{"id": 602, "name": "Asleep", "active": False}])
    source = world.fresh(
        activities={"Fill Out Forms": "form.submitted"},
        fields={"size": "shoeSize"},
        crm_ids={"crmNumber": "salesforce/Lead"},
        lists=(501, 599),
        campaigns=(601, 602),
    )
    problems = {problem.path: problem for problem in source.check()}
    assert set(problems) == {
        'sources.marketo.activities."Fill Out Forms"',
        "sources.marketo.fields.size",
        "sources.marketo.crm_ids.crmNumber",
        "sources.marketo.lists",
        "sources.marketo.campaigns",
    }
    assert "Did you mean Fill Out Form?" in problems['sources.marketo.activities."Fill Out Forms"'].help
    assert "Marketo has no list 599" in problems["sources.marketo.lists"].message
    assert all(problem.help and problem.fatal for problem in problems.values())


def test_check_warns_of_a_day_that_is_nearly_spent_and_lives_without_the_right_to_know(world):
    source = world.fresh(api_budget=ApiBudget(limit=4))
    read(source, world.start())
    [problem] = source.check()
    assert not problem.fatal
    assert "of about 4" in problem.message
    world.fault("usage", code="603")
    assert world.source.check() == ()


def test_a_role_that_may_not_read_is_told_which_right_it_lacks_and_only_once(world):
    world.fault(r"/leads\.json|/leads/describe", code="603", times=None)
    [problem] = world.source.check()
    assert "does not let the API user read leads" in problem.message
    assert "Read-Only Person" in problem.help
    assert problem.fatal


@pytest.mark.parametrize(
    ("path", "where", "right"),
    [(r"pagingtoken", "", "Read-Only Activity"), (r"/lists/501", ".lists", "Read-Write Person")],
)
def test_other_rights_that_lack_are_told_by_name(world, path, where, right):
    world.fault(path, code="603", times=None)
    [problem] = world.fresh(lists=(501,)).check()
    assert problem.path == f"sources.marketo{where}"
    assert right in problem.help
    assert problem.fatal


@pytest.mark.parametrize("status", [503, 404])
def test_a_marketo_that_is_away_or_is_none_is_fatal(world, status):
    world.fault("identity", status=status, body="{}", times=None)
    [problem] = hasty(world.source).check()
    assert problem.fatal
    assert problem.path == "sources.marketo.base_url"
    assert "base_url" in problem.help


@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid"])
def test_an_address_where_nobody_answers_is_fatal(world, host):
    scheme = "http" if host[0].isdigit() else "https"
    [problem] = hasty(world.fresh(base_url=f"{scheme}://{host}:{closed_port()}")).check()
    assert problem.fatal
    assert problem.path == "sources.marketo.base_url"
    assert "no connection" in problem.message


def test_credentials_that_are_refused_are_fatal(world):
    world.plant("credentials")
    [problem] = world.fresh().check()
    assert problem.fatal
    assert problem.path == "sources.marketo.client_secret"
    assert "LaunchPoint" in problem.help


def test_what_goes_silent_after_the_login_is_fatal_too(world):
    world.fault("/rest/", html=503, times=None)
    problems = hasty(world.source).check()
    assert problems
    assert all(problem.fatal and problem.help for problem in problems)
