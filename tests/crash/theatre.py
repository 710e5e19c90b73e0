"""The stage of the crash tests: two vendors that outlive every kill, and people who act on their screens."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from syncagent.sandbox import Control, Sandbox

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LIST = 1001

PEOPLE = {
    "lena": ("Director of Sales", "Germany"),
    "tom": ("Sales Manager", "Brazil"),
    "priya": ("Head of Growth", "India"),
    "max": ("Student", "Germany"),
    "carla": ("Chief Revenue Officer", "Brazil"),
    "otto": ("Director", "Germany"),
    "ines": ("Director of Finance", "Germany"),
    "noor": ("Head of Sales", "Brazil"),
    "yuki": ("Director of Operations", "Brazil"),
    "gus": ("Chief of Staff", "Germany"),
    "dora": ("Director", "Brazil"),
    "dora2": ("Director", "Brazil"),
    "hana": ("Director of Sales", "Germany"),
}
IN_CRM = {"otto": "Working - Contacted", "ines": "Open - Not Contacted", "noor": "Open - Not Contacted"}

PROMISES = """
[[sla]]
name = "talk the same morning"
first_conversation = "3h"
pause_on = ["Open - Not Contacted"]
steps = [{ at = "50%", do = "remind" }, { at = "100%", do = "alert" }, { at = "200%", do = "reassign" }]
[[sla]]
name = "work it within two days"
stage = "sal"
within = "2d"
steps = [{ at = "100%", do = "escalate" }]
[alerts.silence]
within = "365d"
"""
"""Beside the first touch that the sandbox's own agreement promises. Days pass here at once: that is no silence."""

Beat = tuple[datetime, str, Callable[["Theatre"], None] | None]


def mail(name: str) -> str:
    return f"{name}@{name}.example"


class Theatre:
    """Marketo and Salesforce with their people; `config` is the agent's file beside its state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._box = Sandbox(["marketo", "salesforce"])

    def __enter__(self) -> Self:
        self._box.__enter__()
        self.ids = self._box.credentials("salesforce")
        self.marketo = Control(self._box.url("marketo"))
        self.salesforce = Control(self._box.url("salesforce"))
        self.clock = self._box.url("salesforce")
        self.config = self.folder / "agent.toml"
        # A score that falls by time alone is told when its person is next planned, which a kill may put off or hasten:
        # within this month no score falls.
        text = self._box.config(self.folder)
        text = text.replace("touch = { tasks", 'pause_on = ["Open - Not Contacted"]\ntouch = { tasks')
        text = text.replace("[crm.status]\n", '[crm.status]\non_hold = ["On Hold"]\n')
        self.config.write_text(re.sub(r'(at_least = \d+, within = )"\d+d"', r'\1"90d"', text) + PROMISES)
        self.state = self.folder / "syncagent.db"
        self.now = MONDAY
        self.move_to(MONDAY)
        self.salesforce.seed(
            leads=[
                {
                    "FirstName": name.title(),
                    "LastName": "Test",
                    "Company": name,
                    "Email": mail(name),
                    "Status": status,
                    "OwnerId": self.ids["rep_user_id"] if status.startswith("Working") else self.ids["queue_id"],
                    "CreatedDate": "2026-02-20T09:00:00.000+0000",
                    "SystemModstamp": "2026-02-20T09:00:00.000+0000",
                }
                for name, status in IN_CRM.items()
            ]
        )
        self.marketo.act("set_limits", clock="off")
        self.marketo.seed(
            leads=[
                {
                    "email": mail(name),
                    "firstName": name.title(),
                    "lastName": "Test",
                    "title": title,
                    "country": country,
                    "company": name.rstrip("2"),
                }
                for name, (title, country) in PEOPLE.items()
            ]
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.marketo.close()
        self.salesforce.close()
        self._box.close()

    def move_to(self, moment: datetime) -> None:
        """All clocks: the vendors share one, and a child reads it at its start."""
        self.now = max(self.now, moment)
        self.salesforce.clock_set(self.now)

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """All rows of an object, those in the recycle bin too."""
        return [dict(row) for row in self.salesforce.act("find", object=kind)["records"]]

    # -- what people do

    def asks(self, name: str, form: str = "demo-request") -> None:
        for page in ("/pricing", "/pricing/enterprise"):
            self.marketo.act("visit_page", email=mail(name), url=page)
        self.marketo.act("fill_form", email=mail(name), form=form)

    def lead(self, name: str) -> dict[str, Any]:
        found = self.salesforce.act("find", object="Lead", where={"Email": mail(name), "IsDeleted": False})["records"]
        assert len(found) == 1, f"{name} has {len(found)} leads"
        return dict(found[0])

    def edits(self, name: str, by: str = "", **fields: Any) -> None:
        lead = self.lead(name)
        self.salesforce.act("edit_lead", lead=lead["Id"], fields=fields, **{"as": by or lead["OwnerId"]})

    def calls(self, name: str) -> None:
        """The rep ticks the open task off and says so in the status."""
        lead = self.lead(name)
        tasks = self.salesforce.act("find", object="Task", where={"WhoId": lead["Id"], "IsClosed": False})["records"]
        mine = [task for task in tasks if task["OwnerId"] == lead["OwnerId"] and ":a" in task["SyncAgent_Key__c"]]
        self.salesforce.act("complete_task", task=mine[0]["Id"], **{"as": lead["OwnerId"]})
        self.edits(name, Status="Working - Contacted")

    def talks(self, name: str) -> None:
        """The rep logs a call in which they spoke."""
        lead = self.lead(name)
        self.salesforce.act("log_call", lead=lead["Id"], outcome="Connected", **{"as": lead["OwnerId"]})

    def gives_back(self, name: str, until: datetime | None, reason: str) -> None:
        fields: dict[str, Any] = {"Status": "Recycled", "Recycle_Reason__c": reason}
        if until is not None:
            fields["Recycle_Until__c"] = until.date().isoformat()
        self.edits(name, **fields)

    def puts_on_hold(self, name: str, until: datetime | None) -> None:
        """The rep keeps the lead, and rests it."""
        fields: dict[str, Any] = {"Status": "On Hold"}
        if until is not None:
            fields["Recycle_Until__c"] = until.date().isoformat()
        self.edits(name, **fields)

    def takes(self, name: str) -> None:
        self.salesforce.act("take_from_queue", lead=self.lead(name)["Id"], **{"as": self.ids["second_rep_user_id"]})

    def converts(self, name: str, *, won: bool) -> None:
        lead = self.lead(name)
        made = self.salesforce.act(
            "convert_lead", lead=lead["Id"], opportunity=f"{name}, 40 seats", **{"as": lead["OwnerId"]}
        )
        self.salesforce.act("win_opportunity" if won else "lose_opportunity", opportunity=made["opportunity"])


# -- the story


def _first_hour(stage: Theatre) -> None:
    for name in ("lena", "tom", "max", "otto", "ines"):
        stage.asks(name)


def _hand_raisers(stage: Theatre) -> None:
    stage.asks("priya", "contact-sales")
    for name in ("carla", "noor", "yuki"):
        stage.asks(name)


def _late_comers(stage: Theatre) -> None:
    for name in ("gus", "dora"):
        stage.asks(name)


def _manager_takes(stage: Theatre) -> None:
    manager = stage.ids["manager_user_id"]
    stage.edits("carla", by=manager, OwnerId=manager)
    stage.edits("yuki", Status="Open - Not Contacted")  # on which her clocks stand still


def _tom_is_called(stage: Theatre) -> None:
    stage.calls("tom")
    stage.talks("tom")
    stage.edits("yuki", Status="Sales Ready")


def _hana_answers(stage: Theatre) -> None:
    """After her hold she is called, and spoken to."""
    stage.calls("hana")
    stage.talks("hana")


def _merged(stage: Theatre) -> None:
    """Sales finds a second record of Ines; marketing finds a second one of Dora."""
    lead = stage.lead("ines")
    fields = {"LastName": "Test", "FirstName": "Ines", "Email": "ines@other.example", "OwnerId": lead["OwnerId"]}
    other = stage.salesforce.act("new_lead", fields=fields, **{"as": lead["OwnerId"]})["id"]
    stage.salesforce.act("merge_leads", winner=lead["Id"], losers=[other], **{"as": lead["OwnerId"]})
    stage.marketo.act("merge_leads", winner=mail("dora"), losers=[mail("dora2")])


def _deleted(stage: Theatre) -> None:
    lead = stage.lead("gus")
    stage.salesforce.act("delete_lead", lead=lead["Id"], **{"as": lead["OwnerId"]})


def _after(**step: float) -> datetime:
    return MONDAY + timedelta(**step)


BEATS: tuple[Beat, ...] = (
    (_after(), "the agent starts", None),
    (_after(minutes=1), "five ask for a demo", _first_hour),
    (_after(minutes=3), "four more, one of them raises her hand", _hand_raisers),
    (_after(minutes=5), "two more", _late_comers),
    (_after(minutes=10), "Lena is called", lambda stage: stage.calls("lena")),
    (_after(minutes=12), "the manager takes Carla, Yuki is put on hold", _manager_takes),
    (
        _after(minutes=15),
        "Priya is given back with a date",
        lambda stage: stage.gives_back("priya", _after(days=21), "No budget"),
    ),
    (_after(minutes=17), "Noor is disqualified", lambda stage: stage.edits("noor", Status="Unqualified")),
    (_after(minutes=20), "two records of Ines become one, and two of Dora", _merged),
    (_after(minutes=36), "half an hour: reminders", None),
    (_after(minutes=50), "Ines is called", lambda stage: stage.calls("ines")),
    (_after(minutes=66), "an hour: others get them", None),
    (_after(minutes=74), "Tom is called and answers, Yuki's clocks go on", _tom_is_called),
    (
        _after(minutes=80),
        "Dora is given back without a date",
        lambda stage: stage.gives_back("dora", None, "Bad timing"),
    ),
    (_after(minutes=100), "reminders again", None),
    (_after(minutes=130), "another hour", None),
    (_after(hours=4), "the manager is told, also of who was called and not spoken to", None),
    # Between this and the next lies the queue's hour: two promises must not run out within a few seconds, for of what
    # is due at once only the highest acts, and a kill may put a look off.
    (_after(hours=4, minutes=30), "Gus's record is deleted", _deleted),
    (_after(hours=5, minutes=30), "nobody of the queue has taken Yuki", None),
    (_after(days=1), "a rep takes Yuki from the queue", lambda stage: stage.takes("yuki")),
    (_after(days=1, minutes=40), "Hana asks", lambda stage: stage.asks("hana")),
    (
        _after(days=1, minutes=55),
        "Hana is put on hold with a date",
        lambda stage: stage.puts_on_hold("hana", _after(days=10)),
    ),
    (_after(days=2), "Lena buys", lambda stage: stage.converts("lena", won=True)),
    (_after(days=3), "Tom does not", lambda stage: stage.converts("tom", won=False)),
    (_after(days=4), "Dora looks around again", lambda stage: stage.asks("dora")),
    (_after(days=7), "a quiet week", None),
    (_after(days=10, minutes=7), "Hana's hold is over", None),
    (_after(days=10, minutes=20), "Hana is called, and answers", _hana_answers),
    (
        _after(days=11, minutes=9),
        "Hana is put on hold again, without a date",
        lambda stage: stage.puts_on_hold("hana", None),
    ),
    (
        _after(days=12, minutes=11),
        "Hana is taken up again",
        lambda stage: stage.edits("hana", Status="Working - Contacted"),
    ),
    (_after(days=13, minutes=13), "Hana does not buy", lambda stage: stage.converts("hana", won=False)),
    (_after(days=21, minutes=5), "Priya's day has come", None),
    (_after(days=21, minutes=45), "Priya's rep is reminded", None),
    (_after(days=22), "Priya is called", lambda stage: stage.calls("priya")),
    (_after(days=31), "the end of the month", None),
)
