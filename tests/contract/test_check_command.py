"""`syncagent check` on a whole config, against both sandboxes over real HTTP: what it says, and how it exits."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from syncagent.cli import main
from syncagent.compose import connectors
from syncagent.config import parse
from syncagent.sandbox import Control, Sandbox


@pytest.fixture
def box():
    with Sandbox(["marketo", "salesforce"]) as box:
        yield box


def check(tmp_path, text, *more):
    path = tmp_path / "config.toml"
    path.write_text(text)
    return CliRunner().invoke(main, ["check", "--config", str(path), *more])


def not_ready(result, *says):
    assert result.exit_code == 1, result.output
    assert "Ready." not in result.output
    for text in says:
        assert text in result.output


def test_the_sandbox_is_ready_without_a_warning(box, tmp_path):
    result = check(tmp_path, box.config(tmp_path))
    assert result.exit_code == 0, result.output
    assert "Ready." in result.output
    assert "!" not in result.output


@pytest.mark.parametrize("system", ["marketo", "salesforce"])
def test_a_system_at_a_wrong_port_is_not_ready(box, tmp_path, monkeypatch, system):
    monkeypatch.setattr("syncagent.connectors.http.Http.pause", lambda self, seconds, where: None)
    text = box.config(tmp_path).replace(box.url(system), "http://127.0.0.1:1")
    not_ready(check(tmp_path, text), "✗", "no connection")
    assert json.loads(check(tmp_path, text, "--json").stdout)["ready"] is False


def test_who_and_what_the_config_names_is_looked_for(box, tmp_path):
    known = box.credentials("salesforce")
    with Control(box.url("salesforce")) as control:
        control.act("deactivate_user", user=known["second_rep_user_id"])
    text = box.config(tmp_path).replace(known["manager_user_id"], "0058d000001AbCdAAK")
    text = text.replace(known["queue_id"], "00G8d000001AbCdEAK").replace("list = 1001", "list = 1999")
    text = text.replace('untouched = ["Open - Not Contacted"]\n', "")
    not_ready(
        check(tmp_path, text),
        "✗ reps.Ben Ode: ",
        "✗ team.manager: ",
        "✗ crm.queues.Inbound: ",
        "✗ sources.marketo.lists: Marketo has no list 1999",
        "! crm.status: These statuses of Lead are mapped nowhere: 'Open - Not Contacted'.",
    )


def test_every_id_of_the_config_is_asked_for_by_its_place_and_names_are_not(box, tmp_path):
    today = datetime.now(UTC).date()
    text = box.config(tmp_path)
    rep, other = (box.credentials("salesforce")[name] for name in ("rep_user_id", "second_rep_user_id"))
    text = text.replace(f'crm_id = "{rep}"', f'crm_id = "{rep}"\nmanager = "Ben Ode"\naway = ["{today}"]')
    late = today + timedelta(days=3)
    text = text.replace(f'crm_id = "{other}"', f'crm_id = "{other}"\nmanager = "005B"\naway = ["{late}"]')
    text = text.replace('fallback_queue = "Inbound"', 'fallback_queue = "00G000000000001"')
    text = text.replace('{ at = "100%", do = "reassign" }', '{ at = "100%", do = "queue", to = "00G000000000002" }')
    text = text.replace('{ at = "50%", do = "remind" }', '{ at = "50%", do = "escalate", to = "005E" }')
    text = text.replace("[recycle]\n", '[recycle]\nowner = "Inbound"\n')
    systems = connectors(parse(text, tmp_path))
    try:
        found = dict(systems["salesforce"].options.expect_owners)
    finally:
        for system in systems.values():
            system.close()
    assert found == {
        "reps.Ana Silva.away": rep,
        "reps.Ben Ode": other,
        "reps.Ben Ode.manager": "005B",
        "team.manager": box.credentials("salesforce")["manager_user_id"],
        "crm.queues.Inbound": box.credentials("salesforce")["queue_id"],
        "crm.automation_users[1]": box.credentials("salesforce")["automation_user_id"],
        "routes.everybody.fallback_queue": "00G000000000001",
        "sla.call within the hour.steps[2].queue": "00G000000000002",
        "sla.call within the hour.steps[1].escalate": "005E",
    }


def test_statuses_that_promises_go_by_are_asked_for(box, tmp_path):
    talk = '[[sla]]\nname = "talk"\nfirst_conversation = "1d"\nconversation = { statuses = ["Spoken to"] }\n'
    text = box.config(tmp_path).replace("touch = { tasks", 'pause_on = ["Waiting"]\ntouch = { tasks') + talk
    systems = connectors(parse(text, tmp_path))
    try:
        expected = systems["salesforce"].options.expect_status
        told = [one.message for one in systems["salesforce"].check() if one.path == "crm.status"]
    finally:
        for system in systems.values():
            system.close()
    assert set(expected) >= {"Sales Ready", "Waiting", "Spoken to"}
    assert told[:2] == ["Lead has no status 'Waiting'.", "Lead has no status 'Spoken to'."]
