"""Salesforce with a client secret instead of a key: the whole way, from `check` to a task, as an admin types it."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from syncagent.cli import main
from syncagent.sandbox import Control, Sandbox


def syncagent(config: Path, *args: str) -> Result:
    return CliRunner(env={"COLUMNS": "300"}).invoke(main, [*args, "--config", str(config)])


@pytest.mark.parametrize("secret", ["right", "wrong"])
def test_a_client_secret_is_enough_to_hand_a_lead_off(tmp_path: Path, secret: str) -> None:
    with Sandbox(["marketo", "salesforce"]) as box:
        known = box.credentials("salesforce")
        text = re.sub(r"(?m)^(username|private_key) = .*\n", "", box.config(tmp_path))
        given = known["client_secret"] if secret == "right" else "wrong"
        (tmp_path / "secret").write_text(given)
        text = re.sub(r"(?m)^login_url = .*\n", '\\g<0>client_secret = { file = "FILE" }\n', text).replace(
            "FILE", str(tmp_path / "secret")
        )
        config = tmp_path / "config.toml"
        config.write_text(text)
        checked = syncagent(config, "check")
        assert given not in checked.output
        if secret == "wrong":
            assert checked.exit_code == 1
            assert "refused the login" in checked.output
            return
        assert checked.exit_code == 0, checked.output
        assert "Ready." in checked.output
        assert syncagent(config, "run", "--once").exit_code == 0
        email = "mia@acme.example"
        with Control(box.url("marketo")) as marketo:
            marketo.act("new_lead", email=email, firstName="Mia", lastName="Test", title="Director", country="Germany")
            marketo.act("fill_form", email=email, form="demo-request")
        with Control(box.url("salesforce")) as salesforce:
            for _ in range(3):  # what was filled in just now may be told in the next round
                done = syncagent(config, "run", "--once")
                assert done.exit_code == 0, done.output
            (task,) = [row for row in salesforce.act("find", object="Task")["records"] if row.get("SyncAgent_Key__c")]
            (lead,) = salesforce.act("find", object="Lead", where={"Email": email})["records"]
            assert task["WhoId"] == lead["Id"]
            assert task["CreatedById"] == known["integration_user_id"]
            logins = [call for call in salesforce.calls() if call["path"].endswith("/oauth2/token")]
            assert logins and {call["status"] for call in logins} == {200}
