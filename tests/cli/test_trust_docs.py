"""docs/trust.md says what is so: its script checks an export, and its table names every metric there is."""

import re
import subprocess
import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from syncagent.reports.chain import links, written
from tests.story.theatre import Theatre
from tests.web.test_probes import PROBES, ask, listening

DOCS = (Path(__file__).parents[2] / "docs" / "trust.md").read_text(encoding="utf-8")


def test_the_script_of_ten_lines_finds_what_verify_finds(tmp_path: Path) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    assert len([line for line in script.splitlines() if line]) <= 10
    with Theatre(tmp_path) as stage:
        stage.agent.once()
        stage.after(minutes=1)
        stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
        stage.after(minutes=1)
        lines = [written(link) for link in links(stage.agent.store.ledger().lines())]
    file = tmp_path / "export.jsonl"

    def checked(some: list[str]) -> tuple[int, str]:
        file.write_text("\n".join(some) + "\n", encoding="utf-8")
        code = ["-X", "utf8", "-W", "ignore", "-c", script, str(file)]
        done = subprocess.run([sys.executable, *code], capture_output=True, text=True, check=False)
        return done.returncode, done.stderr.strip()

    assert len(lines) == 4 and checked(lines) == (0, "")  # score and move, opened, assigned, the clock
    assert checked([*lines[:2], lines[2].replace('"person":1', '"person":2'), *lines[3:]]) == (1, "line 3 is not right")
    assert checked([*lines[:2], *lines[3:]]) == (1, "line 4 is not right")
    assert checked([lines[0].replace('"why":"', '"why":"not '), *lines[1:]]) == (1, "line 1 is not right")


def test_the_table_of_metrics_is_whole(tmp_path: Path) -> None:
    told = set(re.findall(r"`(syncagent_[a-z_]+)", DOCS.partition("| metric | is |")[2].partition("```")[0]))
    with Theatre(tmp_path, PROBES) as stage:
        stage.agent.once()
        with listening(stage) as doors:
            _, text = ask(doors, "/metrics")
    found = {
        f"{one.name}_total" if one.type == "counter" else f"{one.name}_info" if one.type == "info" else one.name
        for one in text_string_to_metric_families(text)
        if one.name.startswith("syncagent_")
    }
    found = {"syncagent_build_info" if name.startswith("syncagent_build") else name for name in found}
    assert found == told


def test_the_rules_ask_for_metrics_that_there_are() -> None:
    asked = set(re.findall(r"syncagent_[a-z_]+", re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)[0]))
    assert asked and all(f"`{name}" in DOCS for name in asked)
