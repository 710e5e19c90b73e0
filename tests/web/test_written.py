"""What was written stands on the page as a person would say it, never as a program would."""

from datetime import UTC, datetime

from syncagent.model import Alert, CreateTask, Identity, Notify, Nurture, Receipt, WriteLead
from syncagent.web.shown import verb
from syncagent.web.written import answers, tells

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LEAD = Identity("crm", "Lead", "17")
WHOLE = {"key": "k", "target": "crm", "person": 1}
COMMANDS = (
    WriteLead(**WHOLE, record=LEAD, values={"owner": "005a", "score": 4.0}, revision=1, over={"insight": (None, None)}),
    CreateTask(**WHOLE, record=LEAD, owner="005a", subject="Follow up", body="Why now", due=NOW, remind_at=NOW),
    Alert(**WHOLE, record=None, to="005b", subject="s", body="b", remind_at=NOW),
    Notify(**WHOLE, record=LEAD, to=("005a", "005b"), title="t", body="b"),
    Nurture(**WHOLE, lead=Identity("web", "lead", "7"), reason="recycled", list_id=7, remove=True),
)


def called(who: str) -> str:
    return {"005a": "Ana Silva"}.get(who, who)


def test_no_command_says_what_only_a_program_understands() -> None:
    for command in COMMANDS:
        told = tells(command, called)
        assert told
        for name, value in told:
            assert isinstance(value, str | float | bool | datetime), (command, name)
            assert not any(part in str(value) for part in ("(None", "',", "Identity(", "None")), (name, value)
            assert "_" not in name


def test_people_are_named_and_moments_are_left_to_the_page() -> None:
    write, task, alert, push, nurture = (dict(tells(command, called)) for command in COMMANDS)
    assert write == {"owner": "Ana Silva (005a)", "score": 4.0, "record": "crm Lead 17"}
    assert (task["owner"], task["due"], task["remind at"]) == ("Ana Silva (005a)", NOW, NOW)
    assert alert["to"] == "005b"
    assert push["to"] == "Ana Silva (005a), 005b"
    assert nurture == {"lead": "web lead 7", "reason": "recycled", "list id": "7", "remove": True}
    assert [verb(command) for command in COMMANDS] == ["Write lead", "Create task", "Alert", "Notify", "Nurture"]


def test_an_answer_says_what_was_left_out() -> None:
    told = answers(Receipt("k", LEAD, NOW, left_out=("score", "grade"), adopted=True))
    assert told == [("record", "crm Lead 17"), ("left out", "score, grade"), ("adopted", "yes")]
    assert answers(None) == []
