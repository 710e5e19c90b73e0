"""Probes over real HTTP: whether it lives, whether it decides, and metrics that Prometheus reads and nobody else."""

import contextlib
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from syncagent.config import parse
from syncagent.errors import ConfigError
from syncagent.model import Deleted, Identity
from syncagent.serving import listener
from syncagent.web import Listener
from tests.story.theatre import CONFIG, Theatre

PROBES = CONFIG.replace("[agent]", '[probes]\nserve = true\n[agent]\nlisten = "127.0.0.1:0"')
GUARDED = PROBES.replace("serve = true", 'serve = true\ntoken = { env = "SYNCAGENT_TEST_TOKEN" }')


@contextlib.contextmanager
def listening(stage: Theatre) -> Iterator[Listener]:
    made = listener(stage.config, stage.agent)
    assert made is not None
    made.start()
    try:
        yield made
    finally:
        made.close()


def ask(doors: Listener, path: str, token: str = "") -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{doors.port}{path}")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def metrics(doors: Listener) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    status, text = ask(doors, "/metrics")
    assert status == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Theatre]:
    with Theatre(tmp_path, PROBES) as made:
        yield made


def test_it_lives_before_it_is_ready_and_says_why_not(stage: Theatre) -> None:
    with listening(stage) as doors:
        assert ask(doors, "/healthz") == (200, "ok\n")
        status, why = ask(doors, "/readyz")
        assert status == 503 and "crm has not been read whole once" in why
        stage.agent.once()
        assert ask(doors, "/readyz") == (200, '{"ready":true,"why":[]}')
        stage.agent.stopping.set()
        assert ask(doors, "/readyz")[0] == 503
        stage.agent.stopping.clear()


def test_whoever_stores_nothing_any_more_does_not_live(stage: Theatre) -> None:
    stage.agent.once()
    with listening(stage) as doors:
        stage.agent.store._writer.close()
        assert ask(doors, "/healthz")[0] == 503
        assert ask(doors, "/readyz")[0] == 503


def test_a_crm_that_is_suddenly_empty_is_not_ready(stage: Theatre) -> None:
    for number in range(60):
        stage.lead(f"lead{number}")
    stage.agent.once()
    stage.crm.feed([Deleted(Identity("crm", "Lead", f"lead{number}"), stage.clock.now()) for number in range(60)])
    stage.after(minutes=1)
    with listening(stage) as doors:
        status, why = ask(doors, "/readyz")
        assert status == 503 and "crm says that most of its records are gone" in why
        stage.agent.store.set_meta("believe/crm", stage.clock.now().isoformat())
        stage.after(minutes=6)
        assert ask(doors, "/readyz")[0] == 200


def test_metrics_are_the_figures_of_the_state(stage: Theatre) -> None:
    stage.agent.once()
    stage.clock.advance(timedelta(minutes=1))
    for name in ("mia", "tom"):
        stage.does(stage.person(name, title="Director"), "form.submitted", "demo-request")
    stage.after(seconds=30)
    stage.after(seconds=30)
    with listening(stage) as doors:
        told = metrics(doors)
        assert told["syncagent_people", ()] == 2
        assert told["syncagent_people_with_sales", ()] == 2
        assert (
            told["syncagent_commands", (("state", "done"),)]
            == stage.agent.store.health(stage.clock.now()).outbox["done"]
        )
        assert told["syncagent_journal_lines_total", ()] == stage.agent.store.ledger().ever() > 0
        assert told["syncagent_system_up", (("system", "crm"),)] == 1
        assert told["syncagent_system_silent", (("system", "web"),)] == 0
        assert told["syncagent_last_read_timestamp_seconds", (("system", "web"),)] == stage.clock.now().timestamp()
        assert told["syncagent_last_write_timestamp_seconds", (("system", "crm"),)] > 0
        assert any(name == "process_resident_memory_bytes" for name, _ in told)
        assert any(name == "syncagent_build_info" for name, _ in told)


def test_no_label_holds_data_of_people_and_none_grows_with_them(stage: Theatre) -> None:
    def labels() -> set[str]:
        with listening(stage) as doors:
            ask(doors, "/hooks/" + "mia@example.com")
            return {f"{name} {labels}" for name, labels in metrics(doors)}

    stage.agent.once()
    stage.clock.advance(timedelta(minutes=1))
    stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
    stage.after(seconds=30)
    few = labels()
    for number in range(20):
        stage.does(stage.person(f"someone{number}", title="Director"), "form.submitted", "demo-request")
    stage.after(seconds=30)
    stage.agent.start_backfill("web", stage.clock.now() - timedelta(days=3), None)
    stage.after(seconds=30)
    many = labels()
    assert many == few, many ^ few
    assert not any("@" in one or "someone" in one or "mia" in one for one in many)


def test_names_and_units_follow_the_conventions(stage: Theatre) -> None:
    stage.agent.once()
    with listening(stage) as doors:
        _, text = ask(doors, "/metrics")
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        if family.name.startswith("syncagent_"):
            assert family.name == family.name.lower() and "milli" not in family.name
            assert ("timestamp" in family.name) == family.name.endswith("_timestamp_seconds")
            assert all(one.name.endswith("_total") for one in family.samples if family.type == "counter")


def test_metrics_are_for_those_who_show_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCAGENT_TEST_TOKEN", "open sesame")
    with Theatre(tmp_path, GUARDED) as stage, listening(stage) as doors:
        for wrong in ("", "wrong", "open sesame ü"):
            request = ask(doors, "/metrics", wrong) if wrong.isascii() else (401, "")
            assert request[0] == 401 and "syncagent_people" not in request[1]
        assert ask(doors, "/metrics", "open sesame")[0] == 200
        assert ask(doors, "/healthz") == (200, "ok\n"), "whoever keeps it running needs none"
        assert ask(doors, "/readyz") == (503, '{"ready":false}')
        assert "why" in ask(doors, "/readyz", "open sesame")[1]


def test_where_others_can_come_metrics_need_a_token() -> None:
    with pytest.raises(ConfigError, match=r"probes\.token"):
        parse(PROBES.replace("127.0.0.1:0", "0.0.0.0:8474"))
    parse(GUARDED.replace("127.0.0.1:0", "0.0.0.0:8474"))
    parse(PROBES.replace("127.0.0.1:0", "[::1]:8474"))


def test_nobody_listens_where_nothing_is_to_be_served(tmp_path: Path) -> None:
    with Theatre(tmp_path, CONFIG + "[pages]\nserve = false\n") as stage:
        assert listener(stage.config, stage.agent) is None
