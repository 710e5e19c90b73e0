"""Who did it: reps, automation and owners as Salesforce tells them, through the whole agent."""

from pathlib import Path

from tests.story.office import office


def test_a_config_with_ids_of_15_characters_is_as_good_as_one_with_18(tmp_path: Path) -> None:
    """From the handoff to the touch: nobody's own assignment is taken for a change, and automation is known."""
    with office(tmp_path, id_length=15) as desk:
        assert f'"{desk.reps[0][:15]}"' in (tmp_path / "config.toml").read_text()
        desk.ask(2)
        desk.after(seconds=1)
        desk.assert_right()
        first, second = desk.tasks()
        desk.salesforce.act("complete_task", task=first["Id"], **{"as": first["OwnerId"]})
        desk.salesforce.act("automation_edit", ids=[second["WhoId"]], fields={"Status": "Working - Contacted"})
        desk.until_quiet()
        for task, touched in ((first, True), (second, False)):
            lead = desk.salesforce.act("get", id=task["WhoId"])
            decision = desk.dossier(lead["Email"]).decision
            assert decision is not None
            (handoff,) = decision.handoffs
            assert [one.owner for one in handoff.assignments] == [task["OwnerId"]]
            assert (handoff.touched_by == task["OwnerId"]) is touched
            assert lead["Status"] == "Sales Ready", "what automation set is written again"
        assert len(desk.tasks()) == 2
