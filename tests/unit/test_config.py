"""The config: whole example, all problems at once, each with its path and the nearest known key."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from syncagent.config import Secret, load, parse, read_table
from syncagent.config.reading import days, duration, hours, seconds
from syncagent.connectors.base import Source
from syncagent.errors import ConfigError, Problem
from syncagent.model import Stage
from syncagent.model.address import AddressRules
from syncagent.policy import Duration, ProfilePolicy

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
T0 = datetime(2026, 1, 1, tzinfo=UTC)

SMALL = """
[crm]
type = "memory"
[crm.status]
mql = "Sales Ready"
recycled = ["Recycled"]
[crm.queues]
Inbound = "q1"
[handoff]
mql = { any = { score = 10 } }
[[routes]]
name = "all"
to = { queue = "Inbound" }
"""


def problems_of(text: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return {problem.path: str(problem) for problem in caught.value.problems}


def test_the_example_reads_whole() -> None:
    config = load(EXAMPLE)
    policy = config.policy(T0)
    assert [source.name for source in config.sources] == ["marketo"]
    assert policy.crm.answers["Working - Contacted"] is Stage.SAL
    assert policy.crm.write_status["recycled"] == "Recycled"
    assert policy.slas[0].steps[2].at == 2.0
    assert policy.routes[0].when["employees"].minimum == 1000
    assert policy.reps[0].away[0] == "2026-12-21" and len(policy.reps[0].away) == 15
    assert policy.recycle.nurture is not None and policy.recycle.nurture.list_id == 1234
    assert sum(rule.weight for rule in (*policy.scoring.fit, *policy.scoring.interest)) == 100


def test_a_small_config_is_enough() -> None:
    assert parse(SMALL).policy(T0).routes[0].to.queue == "q1"


def test_all_problems_are_told_at_once() -> None:
    text = SMALL.replace("score = 10", "scor = 10").replace('name = "all"', 'name = "all"\nwhne = {}') + "\n[agnet]\n"
    found = problems_of(text + '\n[agent]\ntimezone = "Mars/Olympus"\n')
    assert "Did you mean score?" in found["handoff.mql.any.scor"]
    assert "Did you mean when?" in found["routes[1].whne"]
    assert "Did you mean agent?" in found["agnet"]
    assert "Mars/Olympus" in found["agent.timezone"]


def test_what_decisions_were_made_from_is_kept_of_live_work_unless_it_says_otherwise() -> None:
    assert parse(SMALL).agent.keep_inputs_of == "live"
    assert parse(f'[agent]\nkeep_inputs_of = "everything"\n{SMALL}').agent.keep_inputs_of == "everything"
    assert "handoffs" in problems_of(f'[agent]\nkeep_inputs_of = "scores"\n{SMALL}')["agent.keep_inputs_of"]


@pytest.mark.parametrize(
    ("weights", "says"),
    [((60, 40), "10 above the 50"), ((40, 50), "10 too few"), ((50, 70), "20 too many")],
)
def test_weights_that_do_not_add_up_are_refused_saying_by_how_much(weights: tuple[int, int], says: str) -> None:
    fit, interest = weights
    found = problems_of(
        SMALL
        + f'\n[[score.fit]]\nattribute = "title"\nweight = {fit}\nchoices = [{{ present = true, priority = 1 }}]\n'
        + f'[[score.interest]]\nactivity = "x"\nweight = {interest}\nchoices = [{{ priority = 11 }}]\n'
    )
    assert any(says in text for text in found.values()), found
    assert "between -10 and 10" in found["score.interest[1].choices[1]"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (('to = { queue = "Inbound" }', 'to = { queue = "Nowhere" }'), "routes[1].to.queue"),
        (('to = { queue = "Inbound" }', 'to = { pool = ["Nobody"] }'), "routes[1].to.pool"),
        (('name = "all"', 'name = "all"\nwhen = { country = ["US"] }'), "routes[1]"),
        (('mql = "Sales Ready"', 'mgl = "Sales Ready"'), "crm.status.mgl"),
        (('recycled = ["Recycled"]', "recycled = 3"), "crm.status.recycled"),
        (("score = 10", 'grades = ["E9"]'), "handoff.mql"),
        (('type = "memory"', ""), "crm.type"),
    ],
)
def test_what_does_not_fit_is_told_with_its_path(change: tuple[str, str], path: str) -> None:
    assert path in problems_of(SMALL.replace(*change))


def test_a_config_that_is_not_toml() -> None:
    assert "not TOML" in problems_of("[crm")[""]


def test_lengths_of_time_and_hours() -> None:
    assert seconds("1.5h") == 5400
    assert duration("90d") == Duration(days=90)
    assert duration("2h") == Duration(minutes=120)
    nights = hours("Sat-Sun 22:00-06:00, Tue 18:00-00:00", "UTC").week
    assert nights == (((0, 360),), ((1080, 1440),), (), (), (), ((1320, 1440),), ((0, 360), (1320, 1440)))
    week = hours("Fri-Mon 09:00-12:30, Wed 08:00-10:00", "UTC").week
    assert [bool(day) for day in week] == [True, False, True, False, True, True, True]
    assert week[0] == ((540, 750),)
    assert days(("2026-12-31..2027-01-02",)) == ("2026-12-31", "2027-01-01", "2027-01-02")
    for bad in ("soon", "5"):
        with pytest.raises(ValueError, match="length of time"):
            seconds(bad)
    with pytest.raises(ValueError, match="working hours"):
        hours("always", "UTC")
    with pytest.raises(ValueError, match="at another time"):
        hours("Mon 18:00-18:00", "UTC")


def test_secrets_are_read_where_they_are_kept_and_never_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "s3cret")
    assert Secret(env="A_SECRET").reveal() == "s3cret"
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    assert Secret(file=str(file)).reveal() == "s3cret"
    assert Secret(command=("echo", "s3cret")).reveal() == "s3cret"
    for nowhere in (Secret(env="NO_SUCH"), Secret(file=str(tmp_path / "no")), Secret(command=("false",)), Secret()):
        with pytest.raises(ConfigError) as caught:
            nowhere.reveal()
        assert "s3cret" not in str(caught.value)


def test_a_plain_secret_is_refused() -> None:
    problems: list[Problem] = []
    assert read_table(Secret, "s3cret", "crm.client_secret", problems) is None
    assert problems
    assert all("s3cret" not in str(problem) for problem in problems)


def test_the_contract_is_a_protocol_that_can_be_asked() -> None:
    assert not isinstance(object(), Source)


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        ("2026-03-01", datetime(2026, 2, 28, 23, tzinfo=UTC)),
        ("2026-03-01T09:00:00", datetime(2026, 3, 1, 8, tzinfo=UTC)),
        ("2026-03-01T09:00:00Z", datetime(2026, 3, 1, 9, tzinfo=UTC)),
    ],
)
def test_live_from_is_a_day_or_a_moment(given: str, moment: datetime) -> None:
    text = '[agent]\ntimezone = "Europe/Berlin"\n' + SMALL.replace("[handoff]", f"[handoff]\nlive_from = {given}")
    assert parse(text).policy(T0).live_from == moment


def test_live_from_in_quotes_is_told() -> None:
    problems = problems_of(SMALL.replace("[handoff]", '[handoff]\nlive_from = "soon"'))
    assert "2026-01-31" in problems["handoff.live_from"]


def test_who_is_one_person_is_agreed_in_the_config() -> None:
    text = SMALL + (
        '[sources.web]\ntype = "memory"\n'
        '[identity]\nplus_tags = "ignore"\nshared = ["bar@*"]\nfree_mail = ["ISP.example.net"]\n'
        '[profile]\ndefault = ["web", "longest"]\ntitle = "crm"\n'
    )
    config = parse(text)
    assert config.addresses == AddressRules(plus_tags="ignore", shared=("bar@*",))
    policy = config.policy(T0)
    assert policy.free_mail == ("isp.example.net",)
    assert policy.profile == ProfilePolicy(("web", "longest"), {"title": ("memory",)}), "crm is the CRM's name"


def test_what_cannot_be_meant_of_a_person_is_told() -> None:
    found = problems_of(
        SMALL + '[identity]\nshared = ["info"]\nfree_mail = ["isp"]\ngmail_dots = "drop"\n'
        '[profile]\ntitle = []\ncountry = ["first", "crm"]\nphone = "newset"\n'
    )
    assert "has no @" in found["identity.shared[1]"]
    assert "not a mail domain" in found["identity.free_mail[1]"]
    assert "identity.gmail_dots" in found
    assert "whose value counts" in found["profile.title"]
    assert "never asked" in found["profile.country"]
    assert "Did you mean 'newest'?" in found["profile.phone"]
