"""The crash tests' stage with one vendor in both parts: HubSpot is the CRM, and marketing too."""

import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from syncagent.sandbox import Control, Sandbox
from tests.audited import assert_nobody_lost_in

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LIST = 1001

PEOPLE = {
    "lena": ("Director of Sales", "Germany"),
    "tom": ("Sales Manager", "Brazil"),
    "priya": ("Head of Growth", "India"),
    "max": ("Student", "Germany"),
    "carla": ("Chief Revenue Officer", "Brazil"),
    "otto": ("Director", "Germany"),
    "noor": ("Head of Sales", "Brazil"),
    "gus": ("Chief of Staff", "Germany"),
    "dora": ("Director", "Brazil"),
    "hana": ("Director of Sales", "Germany"),
}
WORKED = ("otto",)  # sales is at work on him by itself
STATUSES = ("NEW", "OPEN", "IN_PROGRESS", "ATTEMPTED_TO_CONTACT", "CONNECTED", "OPEN_DEAL", "ON_HOLD")
CLOSING = ("BAD_TIMING", "UNQUALIFIED")
FIELDS = ("hs_lead_status", "lead_score", "lead_grade", "mql_date", "recycle_until", "recycle_reason")

Row = dict[str, Any]
Beat = tuple[datetime, str, Callable[["Theatre"], None] | None]


def mail(name: str) -> str:
    return f"{name}@{name}.example"


class Theatre:
    """One portal with its people; `config` is the agent's file beside its state. `table`: what stands in it on top."""

    unique = True
    table = 'late = "1s"\n'

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._box = Sandbox(["hubspot"])

    def __enter__(self) -> Self:
        self._box.__enter__()
        self.ids = self._box.credentials("hubspot")
        self.clock = self._box.url("hubspot")
        self.hubspot = Control(self.clock)
        self.hubspot.act("set_settings", limits_clock="off", index_lag_min=0, index_lag_max=0)
        if not self.unique:
            self.hubspot.act("set_settings", unique_task_properties="ignored")
        self.now = MONDAY
        self.move_to(MONDAY)
        # As in the other theatre: within this month no score falls by time alone.
        text = re.sub(r'(at_least = \d+, within = )"\d+d"', r'\1"90d"', self._box.config(self.folder))
        # The portal's clock stands still, so nobody need keep to five searches of a real second.
        text = text.replace("[crm.status]\n", '[crm.status]\non_hold = ["ON_HOLD"]\n')
        self.hubspot.act("set_options", object="contacts", name="hs_lead_status", values=[*STATUSES, *CLOSING])
        table = f"searches = 0\n{self.table}"
        text = text.replace('create = "when_missing"\n', f'create = "when_missing"\n{table}')
        self.config = self.folder / "agent.toml"
        self.config.write_text(text)
        self.state = self.folder / "syncagent.db"
        then = "2026-02-20T09:00:00Z"
        self.hubspot.seed(
            contacts=[
                {
                    "email": mail(name),
                    "firstname": name.title(),
                    "lastname": "Test",
                    "jobtitle": title,
                    "country": country,
                    "company": name,
                    "hs_lead_status": "IN_PROGRESS" if name in WORKED else "NEW",
                    "hubspot_owner_id": self.ids["rep_owner_id"] if name in WORKED else "",
                    "createdate": then,
                    "lastmodifieddate": then,
                }
                for name, (title, country) in PEOPLE.items()
            ]
        )
        self.prepare()
        return self

    def prepare(self) -> None:
        """What else stands there before the story begins."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hubspot.close()
        self._box.close()

    def move_to(self, moment: datetime) -> None:
        """The vendor's clock: a child reads it at its start."""
        self.now = max(self.now, moment)
        self.hubspot.clock_set(self.now)

    def rows(self, kind: str) -> list[Row]:
        """All records of a kind that no merge has swallowed, those in the recycle bin too."""
        return [row for row in self.hubspot.dump()["objects"][kind] if not row["survivor"]]

    def contact(self, name: str) -> Row:
        found = [row for row in self.rows("contacts") if mail(name) in _mails(row) and not row["archived"]]
        assert len(found) == 1, f"{name} has {len(found)} contacts"
        return found[0]

    # -- what people do

    def asks(self, name: str, form: str = "demo-request") -> None:
        contact = self.contact(name)["id"]
        for page in ("https://x.example/pricing", "https://x.example/pricing/enterprise"):
            self.hubspot.act("page_view", contact=contact, url=page)
        self.hubspot.act("submit_form", form=form, email=mail(name))

    def edits(self, name: str, by: str = "", **values: Any) -> None:
        contact = self.contact(name)
        who = by or contact["properties"]["hubspot_owner_id"]
        self.hubspot.act("edit", object="contacts", id=contact["id"], values=values, **{"as": who})

    def calls(self, name: str) -> None:
        """The rep ticks the open task off and says so in the status."""
        contact = self.contact(name)
        owner = contact["properties"]["hubspot_owner_id"]
        mine = [
            task["id"]
            for task in self.rows("tasks")
            if contact["id"] in task["associations"].get("contacts", ())
            and task["properties"]["hubspot_owner_id"] == owner
            and task["properties"]["hs_task_status"] != "COMPLETED"
            and task["properties"]["syncagent_key"].endswith(":task")
        ]
        self.hubspot.act("complete_task", task=mine[0], **{"as": owner})
        self.edits(name, hs_lead_status="IN_PROGRESS")

    def gives_back(self, name: str, until: datetime | None) -> None:
        more = {} if until is None else {"recycle_until": until.date().isoformat()}
        self.edits(name, hs_lead_status="BAD_TIMING", recycle_reason="no_budget", **more)

    def puts_on_hold(self, name: str, until: datetime | None) -> None:
        """The rep keeps the lead, and rests it."""
        self.edits(
            name, hs_lead_status="ON_HOLD", **({} if until is None else {"recycle_until": until.date().isoformat()})
        )

    def deletes(self, name: str) -> None:
        self.hubspot.act("delete", object="contacts", id=self.contact(name)["id"])

    def deals(self, name: str, *, won: bool) -> None:
        made = self.hubspot.act("create_deal", contact=self.contact(name)["id"], name=f"{name}, 40 seats", amount=900)
        if won:
            self.hubspot.act("win_deal", deal=made["id"])
        else:
            self.hubspot.act("lose_deal", deal=made["id"], reason="price")


class PlainTheatre(Theatre):
    """A portal that does not keep our key on tasks unique."""

    unique = False


class LeadsTheatre(Theatre):
    """Handoffs are leads beside the contacts, and no key of ours is unique: the stage is what sales sets."""

    unique = False
    table = Theatre.table + 'object = "leads"\n'

    def prepare(self) -> None:
        stages = [{"id": one} for one in STATUSES] + [{"id": one, "closed": True} for one in CLOSING]
        then = {"hs_createdate": "2026-02-20T09:00:00Z", "hs_lastmodifieddate": "2026-02-20T09:00:00Z"}
        self.hubspot.seed(
            properties={"leads": [{"name": "syncagent_key"}]},
            pipelines={"leads": [{"id": "leads", "stages": stages}]},
            leads=[
                {
                    "hs_lead_name": name,
                    "hs_pipeline_stage": "IN_PROGRESS",
                    "hubspot_owner_id": self.ids["rep_owner_id"],
                    "associate": {"contacts": [self.contact(name)["id"]]},
                    **then,
                }
                for name in WORKED
            ],
        )

    def edits(self, name: str, by: str = "", **values: Any) -> None:
        """Sales works on the lead: its stage and owner are set there."""
        contact = self.contact(name)
        who = by or contact["properties"]["hubspot_owner_id"]
        lead = max(
            (row for row in self.rows("leads") if contact["id"] in row["associations"]["contacts"]),
            key=lambda row: int(row["id"]),
        )
        moved = {
            "hs_pipeline_stage": values.pop("hs_lead_status", None),
            "hubspot_owner_id": values.get("hubspot_owner_id"),
        }
        moved = {field: value for field, value in moved.items() if value}
        if values:
            super().edits(name, by, **values)
        self.hubspot.act("edit", object="leads", id=lead["id"], values=moved, **{"as": who})


def _mails(row: Row) -> list[str]:
    given = row["properties"]
    return [given.get("email", ""), *given.get("hs_additional_emails", "").split(";")]


# -- the story


def _first(stage: Theatre) -> None:
    for name in ("lena", "tom", "max", "otto"):
        stage.asks(name)
    stage.hubspot.act(
        "submit_form", form="demo-request", email=mail("yuki"),
        values={"firstname": "Yuki", "lastname": "Test", "jobtitle": "Director of Operations", "country": "Brazil"},
    )  # fmt: skip


def _more(stage: Theatre) -> None:
    stage.asks("priya", "contact-sales")
    for name in ("carla", "noor", "gus", "dora"):
        stage.asks(name)


def _merged(stage: Theatre) -> None:
    """Sales finds a second record of Dora."""
    values = {"email": "dora@other.example", "lastname": "Test"}
    other = stage.hubspot.act("new_contact", values=values)["id"]
    stage.hubspot.act("merge_contacts", primary=stage.contact("dora")["id"], loser=other)


def _manager_takes(stage: Theatre) -> None:
    manager = stage.ids["manager_owner_id"]
    stage.edits("carla", by=manager, hubspot_owner_id=manager)


def _after(**step: float) -> datetime:
    return MONDAY + timedelta(**step)


BEATS: tuple[Beat, ...] = (
    (_after(), "the agent starts", None),
    (_after(minutes=1), "five ask for a demo, one of them is new", _first),
    (_after(minutes=4), "five more, one of them raises her hand", _more),
    (_after(minutes=10), "Lena is called", lambda stage: stage.calls("lena")),
    (_after(minutes=13), "the manager takes Carla", _manager_takes),
    (_after(minutes=16), "Priya is given back with a date", lambda stage: stage.gives_back("priya", _after(days=21))),
    (_after(minutes=19), "Noor is disqualified", lambda stage: stage.edits("noor", hs_lead_status="UNQUALIFIED")),
    (_after(minutes=22), "two records of Dora become one", _merged),
    (_after(minutes=40), "half an hour: reminders", None),
    (_after(minutes=70), "an hour: others get them", None),
    (_after(minutes=78), "Tom is called", lambda stage: stage.calls("tom")),
    (_after(minutes=84), "Dora is given back without a date", lambda stage: stage.gives_back("dora", None)),
    (_after(hours=4), "the manager is told", None),
    (_after(hours=5), "Gus's record is deleted", lambda stage: stage.deletes("gus")),
    (_after(days=1, minutes=40), "Hana asks", lambda stage: stage.asks("hana")),
    (_after(days=1, minutes=55), "Hana is put on hold", lambda stage: stage.puts_on_hold("hana", _after(days=10))),
    (_after(days=2), "Lena buys", lambda stage: stage.deals("lena", won=True)),
    (_after(days=3), "Tom does not", lambda stage: stage.deals("tom", won=False)),
    (_after(days=4), "Dora looks around again", lambda stage: stage.asks("dora")),
    (_after(days=10, minutes=7), "Hana's hold is over", None),
    (_after(days=10, minutes=20), "Hana is called", lambda stage: stage.calls("hana")),
    (_after(days=11, minutes=9), "she is put on hold again", lambda stage: stage.puts_on_hold("hana", None)),
    (_after(days=12, minutes=11), "and taken up", lambda stage: stage.edits("hana", hs_lead_status="IN_PROGRESS")),
    (_after(days=13, minutes=13), "Hana does not buy", lambda stage: stage.deals("hana", won=False)),
    (_after(days=21, minutes=5), "Priya's day has come", None),
    (_after(days=22), "Priya is called", lambda stage: stage.calls("priya")),
    (_after(days=31), "the end of the month", None),
)  # fmt: skip


# -- what stands at the end


def reckon(stage: Theatre) -> dict[str, Any]:
    """Everything that must be equal, whatever was killed. Asserts what must hold in every story."""
    contacts, tasks = stage.rows("contacts"), stage.rows("tasks")
    assert_nobody_lost_in(stage.state, stage.config, stage.now)
    names = {row["id"]: row["properties"].get("email", "") for row in contacts}
    return {
        "contacts": sorted(_contact(row) for row in contacts),
        "leads": _leads(stage.rows("leads"), names),
        "tasks": _tasks(tasks, names),
        "owners": _owners(contacts, tasks),
        "list": sorted(names.get(one, one) for one in stage.hubspot.dump()["lists"][str(LIST)]["members"]),
        "state": _state(stage.state),
    }


def effects(stage: Theatre) -> int:
    """Tasks that stand, those of them that were closed, contacts that carry a score, members of the list."""
    tasks = stage.rows("tasks") + [row for row in stage.rows("leads") if row["properties"].get("syncagent_key")]
    closed = sum(row["properties"].get("hs_task_status") == "COMPLETED" for row in tasks)
    scored = sum("lead_score" in row["properties"] for row in stage.rows("contacts"))
    return len(tasks) + closed + scored + len(stage.hubspot.dump()["lists"][str(LIST)]["members"])


def _contact(row: Row) -> tuple[str, ...]:
    given = row["properties"]
    told = [f"{name}={_minute(given.get(name))}" for name in FIELDS]
    return (given.get("email", ""), "deleted" if row["archived"] else "", *told)


def _leads(leads: list[Row], names: dict[str, str]) -> list[tuple[str, ...]]:
    """Each by its key, with whom it is about and where it stands; of one handoff there is one."""
    keys = Counter(row["properties"].get("syncagent_key") for row in leads if not row["archived"])
    twice = [key for key, times in keys.items() if key and times > 1]
    assert not twice, f"made twice: {twice}"
    return sorted(
        (
            *(names.get(one, one) for one in row["associations"].get("contacts", ("nobody",))),
            re.sub(r"^[^:]*:", "", row["properties"].get("syncagent_key", "")),
            row["properties"]["hs_pipeline_stage"],
            "archived" if row["archived"] else "",
        )
        for row in leads
    )


def _minute(value: Any) -> Any:
    return value[:16] if isinstance(value, str) and len(value) > 16 and value[10] == "T" else value


def _tasks(tasks: list[Row], names: dict[str, str]) -> list[tuple[str, ...]]:
    """Each by its key, with whom it is about and how it stands."""
    keys = Counter(re.sub(r"^[^:]*:", "", row["properties"]["syncagent_key"]) for row in tasks)
    twice = [key for key, times in keys.items() if times > 1]
    assert not twice, f"told twice: {twice}"
    return sorted(
        (
            *(names.get(one, one) for one in row["associations"].get("contacts", ("nobody",))),
            re.sub(r"^[^:]*:", "", row["properties"]["syncagent_key"]),
            row["properties"]["hs_task_status"],
            "deleted" if row["archived"] else "",
        )
        for row in tasks
    )


def _owners(contacts: list[Row], tasks: list[Row]) -> str:
    """A contact and its open task of the present assignment belong to the same person."""
    owner = {row["id"]: row["properties"].get("hubspot_owner_id") for row in contacts if not row["archived"]}
    for task in tasks:
        given = task["properties"]
        is_open = given["hs_task_status"] != "COMPLETED" and not task["archived"]
        for who in task["associations"].get("contacts", ()):
            if given["syncagent_key"].endswith(":task") and is_open and who in owner:
                assert given["hubspot_owner_id"] == owner[who], f"{given['syncagent_key']} is not its contact's owner's"
    return "agree"


def _state(path: Path) -> dict[str, Any]:
    """The state's own audit."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        (fine,) = db.execute("pragma integrity_check").fetchone()
        outbox = db.execute("select key, verb, state from outbox").fetchall()
        journal = db.execute("select handoff, kind, count(*) from journal group by 1, 2 order by 1, 2").fetchall()
    finally:
        db.close()
    assert fine == "ok"
    stuck = [row for row in outbox if row[2] not in ("done", "dropped")]
    assert not stuck, f"not delivered: {stuck}"
    told = sorted((re.sub(r"^[^:]*:", "", key) if ":" in key else key, verb, state) for key, verb, state in outbox)
    return {"outbox": told, "journal": [row for row in journal if row[1] not in ("score", "stage")]}
