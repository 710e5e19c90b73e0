"""`syncagent model` as somebody types it: on a real state file, from the first refusal to a likelihood in `explain`."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from syncagent.cli import main
from syncagent.compose import read_to_look
from syncagent.errors import ConfigError
from syncagent.model import Fact, Page
from syncagent.state import open_store
from tests.learning import orgs
from tests.story.theatre import CONFIG

UNTIL = orgs.END.date().isoformat()
MODEL = '[score.model]\nfile = "model.json"\n'
LIKELY = """
[[score.fit]]
attribute = "likelihood"
weight = 40
choices = [{ min = 20, priority = 10 }]
"""


def syncagent(folder: Path, *args: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(main, [*args, "--config", str(folder / "config.toml")])
    assert result.exit_code == exit_code, result.output
    return result


def told(humans: list[orgs.Human]) -> Iterator[Fact]:
    for human in humans:
        dossier = orgs.dossier(human)
        address = f"p{human.number}@example.com"
        yield from (type(lead)(lead.identity, lead.seen_at, lead.attributes, (address,)) for lead in dossier.leads)
        yield from (*dossier.activities, *dossier.records, *dossier.opportunities)


def state(folder: Path, humans: list[orgs.Human]) -> Path:
    (folder / "config.toml").write_text(CONFIG)
    store = open_store(folder / "syncagent.db")
    facts = tuple(told(humans))
    for start in range(0, len(facts), 5000):
        store.accept(Page(facts[start : start + 5000], ""), "import", now=orgs.END)
    store.close()
    return folder


@pytest.fixture(scope="module")
def org(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return state(tmp_path_factory.mktemp("org"), orgs.org(2000, base=-1.5))


@pytest.fixture
def configured(org: Path) -> Iterator[Path]:
    yield org / "config.toml"
    (org / "config.toml").write_text(CONFIG)
    (org / "model.json").unlink(missing_ok=True)


def test_train_card_drift_and_explain(org: Path, configured: Path) -> None:
    result = syncagent(org, "model", "train", "--until", UNTIL)
    assert "This model tells winners from others" in result.output
    assert "model.json" in result.output and "[score.model]" in result.output
    assert syncagent(org, "model", "card").output in result.output
    told = json.loads(syncagent(org, "model", "card", "--json").output)
    assert told["verdict"] == "useful" and told["quality"]["auc"] > 0.75
    assert "status" in told["left_out"]
    said = syncagent(org, "model", "drift", "--until", UNTIL, "--days", "200").output
    assert "Nothing has moved" in said

    configured.write_text(CONFIG.replace("[[score.fit]]\nattribute", MODEL + "[[score.fit]]\nattribute", 1))
    config = read_to_look(configured)
    assert config.likelihood is not None
    chief = next(one for one in orgs.org(2000, base=-1.5) if one.attributes["title"] == "chief" and not one.won_at)
    explained = syncagent(org, "explain", f"p{chief.number}@example.com").output
    assert "Likelihood of a win within 90 days: " in explained
    configured.write_text(configured.read_text().replace(MODEL, MODEL + "grade = [30, 10, 3]\n"))
    shown = json.loads(syncagent(org, "explain", f"p{chief.number}@example.com", "--json").output)
    percent = shown["likelihood"]["percent"]
    assert shown["likelihood_grade"] == (
        "A" if percent >= 30 else "B" if percent >= 10 else "C" if percent >= 3 else "D"
    )
    configured.write_text(configured.read_text().replace("[30, 10, 3]", "[10, 30, 3]"))
    assert "score.model.grade: The percentages" in syncagent(org, "status", exit_code=2).output
    assert " title: chief" in explained


def test_a_rule_may_use_it_and_a_new_model_is_a_new_agreement(org: Path, configured: Path) -> None:
    syncagent(org, "model", "train", "--until", UNTIL)
    before = read_to_look(configured).digest
    text = CONFIG.split("[[score.fit]]")
    configured.write_text(text[0] + MODEL + LIKELY + "[[score.interest]]" + text[1].split("[[score.interest]]", 1)[1])
    first = read_to_look(configured).digest
    told = [json.loads(syncagent(org, "explain", f"p{n}@example.com", "--json").output)["score"] for n in range(1, 60)]
    given = [one["contributions"] for one in told if one["fit"]]
    assert 5 < len(given) < 59
    assert all(part[0]["why"].startswith("likelihood is ") and part[0]["points"] == 40 for part in given)
    syncagent(org, "model", "train", "--until", UNTIL, "--horizon", "60")
    assert len({before, first, read_to_look(configured).digest}) == 3


def test_training_works_while_the_config_names_a_model_that_is_not_there_yet(org: Path, configured: Path) -> None:
    configured.write_text(CONFIG.replace("[[score.fit]]\nattribute", MODEL + "[[score.fit]]\nattribute", 1))
    refused = syncagent(org, "status", exit_code=2).output
    assert "score.model.file: There is no model at " in refused and "syncagent model train" in refused
    assert "SIGHUP" in syncagent(org, "model", "train", "--until", UNTIL).output
    syncagent(org, "status")


def test_a_file_that_is_no_model_is_refused_with_its_path(org: Path, configured: Path) -> None:
    syncagent(org, "model", "train", "--until", UNTIL)
    good = json.loads((org / "model.json").read_text())
    configured.write_text(CONFIG.replace("[[score.fit]]\nattribute", MODEL + "[[score.fit]]\nattribute", 1))
    weights = good["scorecard"]["features"][0]["weights"]
    for spoil, says in (
        (lambda: (org / "model.json").write_text("{}"), "no model of this version"),
        (lambda: (org / "model.json").write_bytes(b"\xff\xfe"), "no model of this version"),
        (lambda: good["card"].update(verdict="useless"), "useless"),
        (lambda: (good["card"].update(verdict="useful"), weights.pop()), "bins and weights do not match"),
    ):
        (org / "model.json").write_text(json.dumps(good))
        spoil()
        if "no model" not in says:
            (org / "model.json").write_text(json.dumps(good))
        with pytest.raises(ConfigError, match=says) as caught:
            read_to_look(configured)
        assert [problem.path for problem in caught.value.problems] == ["score.model.file"]


def test_too_little_is_refused_and_a_useless_model_is_not_put_in_place(tmp_path: Path) -> None:
    few = state(tmp_path, orgs.org(50))
    assert "too little to learn from" in syncagent(few, "model", "train", "--until", UNTIL, exit_code=1).output
    assert "syncagent model train" in syncagent(few, "model", "card", exit_code=1).output
    (tmp_path / "chance").mkdir()
    chance = state(tmp_path / "chance", orgs.org(2000, 2, strength=0.0, base=-1.0))
    (chance / "model.json").write_text("the one before")
    result = syncagent(chance, "model", "train", "--until", UNTIL, exit_code=3)
    assert "useless" in result.output and "not put in place" in result.output
    assert (
        json.loads(syncagent(chance, "model", "train", "--until", UNTIL, "--json", exit_code=3).output)["file"] is None
    )
    assert (chance / "model.json").read_text() == "the one before"


def test_drift_ends_with_3_and_says_what_has_moved(org: Path, configured: Path) -> None:
    assert configured.exists()
    early = (orgs.BEGIN + timedelta(days=450)).date().isoformat()
    syncagent(org, "model", "train", "--until", early)
    told = json.loads((org / "model.json").read_text())
    bins = told["card"]["profile"]["bins"]["title"]
    told["card"]["profile"]["bins"]["title"] = [0.96, *[0.01] * (len(bins) - 1)]
    (org / "model.json").write_text(json.dumps(told))
    found = syncagent(org, "model", "drift", "--until", UNTIL, "--days", "200", "--json", exit_code=3).output
    assert json.loads(found)["alarm"] is True
    assert [one["feature"] for one in json.loads(found)["moved"]] == ["title"]


@pytest.mark.parametrize("command", [["train"], ["card"], ["drift"]])
def test_without_scikit_learn_only_training_says_what_to_install(
    org: Path, command: list[str], configured: Path
) -> None:
    syncagent(org, "model", "train", "--until", UNTIL)
    hide = "import sys\nfor name in ('sklearn', 'numpy', 'scipy'): sys.modules[name] = None\n"
    arguments = ["model", *command, "--config", str(configured), *(["--until", UNTIL] if command != ["card"] else [])]
    ended = subprocess.run(
        [sys.executable, "-c", f"{hide}from syncagent.cli import main\nmain({arguments!r})"],
        capture_output=True,
        text=True,
    )
    if command == ["train"]:
        assert ended.returncode == 1 and "pip install 'syncagent[predict]'" in ended.stderr
    else:
        assert ended.returncode in (0, 3), ended.stderr
