"""A config is told whole: the agreement, the connectors' tables and the secrets in one go, and no secret's value."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from syncagent.cli import main
from syncagent.compose import connectors, read, read_to_look
from syncagent.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
HIDDEN = "hush-4711"

# path: what stands there wrongly is planted below; the sentence must hold these words
PLANTED = {
    "recycel": "Did you mean recycle?",
    "agent.timezone": "'Mars/Olympus' is not a time zone",
    "agent.lisen": "Did you mean listen?",
    "sources.web.type": "Did you mean marketo?",
    "sources.nameless.type": "which system",
    "sources.marketo.base_url": "is not an address",
    "sources.marketo.client_id": "environment variable NOT_SET_ANYWHERE",
    "sources.marketo.client_secret": "cannot be read",
    "sources.marketo.poll": "is not a length of time",
    "sources.marketo.page_size": "1 to 300",
    "sources.marketo.fields.email": "A text is needed here, not a whole number.",
    "sources.marketo.crm_idz": "Did you mean crm_ids?",
    "crm.client_secret": "{ env =",
    "crm.api_version": "60.0",
    "crm.create": "Did you mean when_missing?",
    "crm.status.mgl": "Did you mean mql?",
    "crm.status.mql": "which status",
    "crm.automation_users[2]": "A text is needed here",
    "score.grade.letters": "A list of 3 numbers is needed here",
    "score.fit[1].choices[1].matches": "regular expression",
    "score.fit[1].choices[2]": "has no test",
    "score.interest[1].choices[1].priority": "A number is needed here, not a text.",
    "score": "10 too few",
    "handoff.mql": "'E9' is not a grade",
    "handoff.live_from": "2026-01-31",
    "handoff.gate.bantfo.unknown": "ask, wait",
    "team.timezone": "'Nowhere/Else' is not a time zone",
    "team.hours": "working hours",
    "team.holidays": "is not a date",
    "reps[1].hours": "working hours",
    "reps[2].name": "somebody above",
    "reps[2].crm_id": "somebody above",
    "reps[2].timezone": "is not a time zone",
    "reps[3].crm_id": "missing",
    "reps[3].wieght": "Did you mean weight?",
    "routes[1].to.pool": "Did you mean Ana?",
    "routes[1].to.pick": "Did you mean weighted?",
    "routes[2].to.queue": "crm.queues",
    "sla[1].first_touch": "length of time",
    "sla[1].steps[1].do": "Did you mean remind?",
    "sla[1].steps[2].at": "share of the promise",
    "recycle.nurture.source": "Did you mean marketo?",
    "stages.mqll": "Did you mean mql?",
}

WRONG = f"""
[recycel]
[agent]
timezone = "Mars/Olympus"
lisen = "127.0.0.1:1"
[sources.web]
type = "marketto"
[sources.nameless]
poll = "60s"
[sources.marketo]
type = "marketo"
base_url = "somewhere"
client_id = {{ env = "NOT_SET_ANYWHERE" }}
client_secret = {{ file = "no-such-file" }}
poll = "soon"
page_size = 500
crm_idz = {{}}
fields = {{ email = 3 }}
[crm]
type = "salesforce"
client_id = "the-consumer-key"
client_secret = "{HIDDEN}"
api_version = "sixty"
create = "when_mising"
automation_users = ["005A", 5]
[crm.status]
mgl = "Sales Ready"
[crm.queues]
Inbound = "q1"
[score.grade]
letters = [0.5]
[[score.fit]]
attribute = "title"
weight = 40
choices = [{{ matches = "(", priority = 1 }}, {{ priority = 1 }}]
[[score.interest]]
activity = "page.visited"
weight = 50
choices = [{{ priority = "high" }}]
[handoff]
mql = {{ any = {{ grades = ["E9"] }} }}
live_from = "soon"
gate = {{ bantfo = {{ unknown = "perhaps" }} }}
[team]
timezone = "Nowhere/Else"
hours = "always"
holidays = ["Christmas"]
[[reps]]
name = "Ana"
crm_id = "1"
hours = "never"
[[reps]]
name = "ana"
crm_id = "1"
timezone = "Lagos"
[[reps]]
name = "Cem"
wieght = 2
[[routes]]
name = "first"
to = {{ pool = ["Anna"], pick = "wieghted", fallback_queue = "Inbound" }}
[[routes]]
name = "all"
to = {{ queue = "Inbuond" }}
[[sla]]
name = "hot"
first_touch = "quickly"
steps = [{{ at = "50%", do = "remnid" }}, {{ at = "half", do = "remind" }}]
[recycle]
nurture = {{ source = "market", list = 1 }}
[stages.mqll]
"""


def problems_of(path: Path) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        read(path)
    told = [problem.path for problem in caught.value.problems]
    assert len(told) == len(set(told)), "one place is told twice"
    return {problem.path: str(problem) for problem in caught.value.problems}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(WRONG)
    return path


def test_every_mistake_is_told_at_once_and_nothing_that_only_follows_from_it(config: Path) -> None:
    found = problems_of(config)
    assert set(found) == set(PLANTED)
    for path, words in PLANTED.items():
        assert words in found[path], found[path]
    assert HIDDEN not in "".join(found.values())
    assert not re.search("Expected `|Invalid enum|Object missing|msgspec", "".join(found.values()))


def test_the_command_line_tells_them_all_with_exit_2(config: Path) -> None:
    for command in (["check"], ["run", "--once"]):
        told = CliRunner().invoke(main, [*command, "--config", str(config)])
        assert told.exit_code == 2
        assert all(f"✗ {path}: " in told.output for path in PLANTED), told.output
        assert HIDDEN not in told.output


def example(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    """The example with secrets that can be read, and some changes."""
    text = EXAMPLE.read_text()
    for place in ('{ env = "MARKETO_CLIENT_ID" }', '{ file = "/run/secrets/marketo" }', '{ env = "SF_CLIENT_ID" }'):
        text = text.replace(place, f'{{ command = ["echo", "{HIDDEN}"] }}')
    text = text.replace("/etc/syncagent/salesforce.pem", str(tmp_path / "key.pem"))
    (tmp_path / "key.pem").write_text(HIDDEN)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def test_a_config_that_is_right_is_read(tmp_path: Path) -> None:
    assert read(example(tmp_path)).crm.name == "salesforce"


SECRET = f'client_secret = {{ command = ["echo", "{HIDDEN}"] }}'


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (f'{{ env = "{HIDDEN}" }}', "environment variable that env names"),
        ('{ file = "." }', "cannot be read"),
        ('{ file = "BINARY" }', "UTF-8"),
        ('{ command = ["false"] }', "The command false did not print it."),
        ('{ command = ["no-such-command-here"] }', "did not print it"),
        ('{ command = ["true"] }', "no secret in"),
        (f'{{ command = "echo {HIDDEN}" }}', "A list of texts is needed here"),
        (f'{{ env = "A", file = "{HIDDEN}" }}', "one of env, file and command"),
        ("{}", "one of env, file and command"),
        (f'{{ value = "{HIDDEN}" }}', "not known"),
        (f'"{HIDDEN}"', "never stands in the config itself"),
        (f'["{HIDDEN}"]', "never stands in the config itself"),
        ("4711", "never stands in the config itself"),
    ],
)
def test_a_secret_that_cannot_be_read_is_told_under_its_path_without_its_value(
    tmp_path: Path, given: str, says: str
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    given = given.replace("BINARY", str(tmp_path / "binary"))
    found = problems_of(example(tmp_path, (SECRET, f"client_secret = {given}")))
    [(path, told)] = found.items()
    assert path.startswith("sources.marketo.client_secret")
    assert says in told
    assert HIDDEN not in told


def test_a_relative_secret_file_stands_beside_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = example(tmp_path, (SECRET, 'client_secret = { file = "hushed/marketo" }'))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert str(tmp_path / "hushed" / "marketo") in problems_of(path)["sources.marketo.client_secret"]
    (tmp_path / "hushed").mkdir()
    (tmp_path / "hushed" / "marketo").write_text("s3cret")
    opened = connectors(read(path))
    try:
        assert opened["marketo"].options.client_secret.reveal() == "s3cret"
    finally:
        for system in opened.values():
            system.close()


SHORT = {"0058d000004AnAS": "0058d000004AnASAA0", "00G8d000001AbCd": "00G8d000001AbCdEAK"}


def test_ids_of_15_characters_become_those_that_salesforce_tells(tmp_path: Path) -> None:
    """Wherever an admin may name a person or a queue by id."""
    (ana, whole), (queue, inbound) = SHORT.items()
    path = example(
        tmp_path,
        (whole, ana),
        ("00G8d000001AbCdEAK", queue),
        ("automation_users = []", f'automation_users = ["{ana}"]'),
        ('to = { queue = "Inbound" }', f'to = {{ queue = "{queue}" }}'),
        ('manager = "0058d000004MaNaAAK"', f'manager = "{ana}"'),
        ('do = "escalate", to = "manager"', f'do = "escalate", to = "{ana}"'),
        ('not_by = ["automation"]', f'not_by = ["automation", "{ana}"]'),
        ("[recycle]", f'[recycle]\nowner = "{queue}"'),
    )
    config = read(path)
    tables = config.tables
    assert tables.reps[0].crm_id == whole
    assert tables.crm.queues == {"Inbound": inbound}
    assert tables.crm.automation_users == (whole,)
    assert tables.routes[-1].to.queue == inbound
    assert tables.team.manager == whole
    assert whole in {step.to for sla in tables.sla for step in sla.steps}
    assert whole in {one for sla in tables.sla for one in sla.touch.not_by}
    assert tables.recycle.owner == inbound
    policy = repr(config.policy(datetime(2026, 1, 1, tzinfo=UTC)))
    assert f"'{whole}'" in policy
    assert f"'{ana}'" not in policy
    assert f"'{queue}'" not in policy


def test_who_only_looks_needs_no_secrets(tmp_path: Path) -> None:
    path = example(tmp_path, (SECRET, 'client_secret = { env = "NOT_SET_ANYWHERE" }'))
    assert read_to_look(path).crm.name == "salesforce"
    assert set(problems_of(path)) == {"sources.marketo.client_secret"}
    path = example(tmp_path, (SECRET, 'client_secret = { env = "NOT_SET_ANYWHERE" }'), ("poll =", "pol ="))
    with pytest.raises(ConfigError, match="Did you mean poll"):
        read_to_look(path)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ([("base_url = ", "# ")], "sources.marketo.base_url"),
        ([('"https://123-ABC-456.mktorest.com"', '"http://marketo.example.com"')], "sources.marketo.base_url"),
        ([('"https://login.salesforce.com"', '"login"')], "crm.login_url"),
        ([("private_key =", "privat_key =")], "crm.privat_key"),
        ([("[recycle]", "[recylce]")], "recylce"),
        ([("mql = { any =", "mql = { anny =")], "handoff.mql.anny"),
        ([('first_touch = "30m"', "first_touch = 30")], "sla[1].first_touch"),
        ([("private_key =", "# ")], "crm"),
        ([('username = "integration@example.com"', "")], "crm.private_key"),
        ([('name = "Ben Ode"', "name = 3")], "reps[2].name"),
        ([("weight = 20", 'weight = "20"')], "score.fit[1].weight"),
        ([("[crm.queues]", "[crm.queuez]")], "crm.queuez"),
        ([("base_url = ", "base_ulr = ")], "sources.marketo.base_ulr"),
        ([('crm_id = "0058d000004AnASAA0"', 'crm_ids = "0058d000004AnASAA0"')], "reps[1].crm_ids"),
        ([("[crm.status]", "[crm.statuz]")], "crm.statuz"),
        ([('"127.0.0.1:8474"', '"8474"')], "agent.listen"),
        ([('"127.0.0.1:8474"', '"127.0.0.1:http"')], "agent.listen"),
        ([('"127.0.0.1:8474"', '"127.0.0.1:65536"')], "agent.listen"),
        ([('"127.0.0.1:8474"', '"::1:8474"')], "agent.listen"),
        ([('type = "salesforce"', 'type = "salesforce"\nname = "marketo"')], "crm.name"),
    ],
)
def test_one_mistake_is_one_problem(tmp_path: Path, changes: list[tuple[str, str]], path: str) -> None:
    assert [*problems_of(example(tmp_path, *changes))] == [path]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[crm", "not TOML"),
        (b"[crm]\ntype = '\xff'\n", "UTF-8: look at line 2"),
        (b"", "config.example.toml"),
        (None, "cannot be read: Is a directory"),
    ],
)
def test_a_file_that_is_no_config_is_one_sentence(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "config.toml"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read(path)
    [problem] = caught.value.problems
    assert says in str(problem)
    assert "config.toml" in str(problem) or not content
