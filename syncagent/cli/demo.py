"""`syncagent demo`: a story from the first visit to the return, on local servers, in fast time, checked at its end."""

import logging
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from syncagent.agent import Agent
from syncagent.cli import FAILED
from syncagent.clock import ManualClock
from syncagent.compose import compose
from syncagent.config import parse
from syncagent.sandbox import Control, Sandbox

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

PEOPLE = {
    f"{first.lower()}@{company.lower()}.example": {
        "firstName": first,
        "lastName": last,
        "title": title,
        "country": country,
        "company": company,
    }
    for first, last, title, country, company in (
        ("Lena", "Fischer", "Director of Sales", "Germany", "Nordwind"),
        ("Tom", "Baker", "Sales Manager", "Brazil", "Baker"),
        ("Priya", "Nair", "Head of Growth", "India", "Indus"),
        ("Max", "Muster", "Student", "Germany", "Campus"),
        ("Carla", "Gomez", "Chief Revenue Officer", "Brazil", "Mesa"),
        ("Otto", "Alt", "Director", "Germany", "Altbau"),
    )
}
QUIET = {"score", "score.held"}


class Story:
    """The stage: two vendors, an agent, one clock, and what the audience has seen so far."""

    def __init__(self, box: Sandbox, agent: Agent, clock: ManualClock, console: Console) -> None:
        self.agent = agent
        self.console = console
        self.ids = box.credentials("salesforce")
        self.marketo = Control(box.url("marketo"))
        self.salesforce = Control(box.url("salesforce"))
        self._clock = clock
        self._told = 0
        self._names: dict[int, str] = {}

    def close(self) -> None:
        """Hang up."""
        self.marketo.close()
        self.salesforce.close()

    def at(self, moment: datetime, title: str, act: Callable[[], None] | None = None) -> None:
        """Move to a moment, let people act, let the agent do its rounds, and show what it decided."""
        self._clock.move_to(moment)
        self.salesforce.clock_set(moment)
        self.console.print(f"\n[bold]{moment:%a %d %b %H:%M}[/bold]  {title}")
        if act is not None:
            act()
        for seconds in (30, *[15] * 8):
            self.agent.once()
            if seconds < 30 and not self._is_busy():
                break
            # Meetings and deals are read by turns, so one round has not seen all; and where an answer was lost, the
            # agent waits before it looks and repeats. So time has to pass.
            self._clock.advance(timedelta(seconds=seconds))
            self.salesforce.clock_set(self._clock.now())
        self._show()

    def _is_busy(self) -> bool:
        store = self.agent.store
        return bool(store.outbox(("queued", "sending")) or store.health(self._clock.now()).waiting_for_crm)

    def _show(self) -> None:
        news = [entry for entry in self.agent.store.journal(limit=400) if entry.id > self._told]
        for entry in sorted(news, key=lambda one: one.id):
            self._told = max(self._told, entry.id)
            if entry.kind not in QUIET:
                self.console.print(
                    f"    {self.name(entry.person):<14} {entry.kind:<15} {entry.why}", highlight=False, markup=False
                )

    def name(self, person: int) -> str:
        """What people call them."""
        if person not in self._names:
            dossier = self.agent.store.dossier(person)
            # Whom only the CRM knows so far has no lead of Marketo yet, but a mail address all the same.
            given = next((PEOPLE[email] for email in dossier.emails if email in PEOPLE), None) if dossier else None
            self._names[person] = f"{given['firstName']} {given['lastName']}" if given else f"#{person}"
        return self._names[person]

    def lead(self, email: str) -> dict[str, Any]:
        """That person's lead in the CRM, empty when there is none."""
        found = self.salesforce.act("find", object="Lead", where={"Email": email})["records"]
        return dict(found[0]) if found else {}

    def tasks(self, email: str) -> list[dict[str, Any]]:
        """Our tasks on that lead, oldest first."""
        lead = self.lead(email)
        found = self.salesforce.act("find", object="Task", where={"WhoId": lead["Id"]})["records"] if lead else []
        return sorted((dict(task) for task in found if task.get("SyncAgent_Key__c")), key=lambda one: one["Id"])

    def reads(self, email: str) -> None:
        """What the rep reads in the CRM: the newest task's brief, and the moments on the record."""
        record = self.lead(email)
        task = self.tasks(email)[-1]
        self._quote(f"Task: {task['Subject']}", task["Description"])
        self._quote("On the lead:", record["Lead_Insight__c"])

    def alerts(self, email: str) -> list[dict[str, Any]]:
        """What the owner of the open deal was told."""
        contact = self.lead(email)["ConvertedContactId"]
        found = self.salesforce.act("find", object="Task", where={"WhoId": contact})["records"]
        return [dict(task) for task in found if ":deal." in str(task["SyncAgent_Key__c"])]

    def hears(self, email: str) -> None:
        """Show what the owner of the open deal was told."""
        for task in self.alerts(email):
            self._quote(f"Alert: {task['Subject']}", task["Description"])

    def _quote(self, title: str, text: str) -> None:
        for line in (title, *text.split("\n")):
            self.console.print(f"      [dim]│[/dim] {escape(line)}", highlight=False)

    def visits(self, email: str, *pages: str) -> None:
        """Somebody looks at pages."""
        for page in pages:
            self.marketo.act("visit_page", email=email, url=page)

    def fills(self, email: str, form: str) -> None:
        """Somebody fills out a form."""
        self.marketo.act("fill_form", email=email, form=form)

    def calls(self, email: str) -> None:
        """The rep works the task: calls, ticks it off, says so in the status."""
        task = next(task for task in self.tasks(email) if not task.get("IsClosed"))
        self.salesforce.act("complete_task", task=task["Id"], **{"as": task["OwnerId"]})
        lead = self.lead(email)
        fields = {"Status": "Working - Contacted"}
        self.salesforce.act("edit_lead", lead=lead["Id"], fields=fields, **{"as": lead["OwnerId"]})


def perform(story: Story) -> list[tuple[str, bool]]:
    """Play it; what should have come out, and whether it did."""
    sf, minute = story.salesforce, timedelta(minutes=1)
    lena, tom, priya, student, carla, otto = PEOPLE
    came: list[tuple[str, bool]] = []

    def visit() -> None:
        story.visits(lena, "/pricing", "/pricing/enterprise")
        story.fills(lena, "demo-request")
        story.visits(tom, "/pricing", "/pricing/team")
        story.fills(tom, "demo-request")
        story.fills(student, "demo-request")
        story.fills(otto, "demo-request")

    def raise_hand() -> None:
        sf.plant(match={"method": "POST", "path": "composite/sobjects"}, drop="after")
        story.fills(priya, "contact-sales")
        story.fills(carla, "demo-request")

    def give_back() -> None:
        lead = story.lead(priya)
        until = (MONDAY + timedelta(days=21)).date().isoformat()
        fields = {"Status": "Recycled", "Recycle_Reason__c": "No budget", "Recycle_Until__c": until}
        sf.act("edit_lead", lead=lead["Id"], fields=fields, **{"as": lead["OwnerId"]})

    def take_over() -> None:
        manager = story.ids["manager_user_id"]
        sf.act("edit_lead", lead=story.lead(carla)["Id"], fields={"OwnerId": manager}, **{"as": manager})

    def convert() -> None:
        lead = story.lead(lena)
        sf.act("convert_lead", lead=lead["Id"], opportunity="Nordwind, 40 seats", **{"as": lead["OwnerId"]})

    def win() -> None:
        sf.act("win_opportunity", opportunity=story.lead(lena)["ConvertedOpportunityId"], amount=48_000)

    story.at(MONDAY, "The agent starts. Otto has been in work with sales for weeks.")
    story.at(MONDAY + minute, "Lena and Tom look at prices and ask for a demo; so do a student and Otto.", visit)
    story.reads(lena)
    first_owner = story.lead(tom).get("OwnerId")
    came += [
        ("Lena was handed off with a task", len(story.tasks(lena)) == 1),
        ("The student was not handed off", not story.lead(student)),
        ("Otto, in work already, was adopted and left alone", not story.tasks(otto)),
    ]
    story.at(
        MONDAY + 3 * minute,
        "Priya wants to talk, Carla a demo. An answer of the CRM is lost.",
        raise_hand,
    )
    came.append(
        ("One task each, although an answer was lost", [len(story.tasks(who)) for who in (priya, carla)] == [1, 1])
    )
    priya_owner = story.lead(priya).get("OwnerId")
    story.at(MONDAY + 10 * minute, "Lena is called.", lambda: story.calls(lena))
    story.at(MONDAY + 12 * minute, "Mia Chan, the manager, takes Carla herself.", take_over)
    story.at(MONDAY + 15 * minute, "Priya has no budget: her rep gives her back until the 23rd.", give_back)
    nurtured = story.marketo.dump()["lists"][0]["members"]
    came += [
        ("Priya went back to nurture", len(nurtured) == 1),
        ("Priya's task was closed", all(task.get("IsClosed") for task in story.tasks(priya))),
    ]
    story.at(MONDAY + 33 * minute, "Half an hour, and nobody has called Tom.")
    story.at(MONDAY + 64 * minute, "An hour, and still nobody.")
    owner = story.lead(tom).get("OwnerId")
    came += [
        ("Tom's rep was reminded", any(":s1." in task["SyncAgent_Key__c"] for task in story.tasks(tom))),
        ("Tom went to the other rep", owner not in (None, first_owner)),
    ]
    story.at(MONDAY + 70 * minute, "The other rep calls Tom.", lambda: story.calls(tom))
    story.at(MONDAY + timedelta(hours=5), "A quiet afternoon.")
    came += [
        ("Carla stays with Mia, who took her", story.lead(carla).get("OwnerId") == story.ids["manager_user_id"]),
        ("Whoever was called heard no more reminders", len(story.tasks(lena)) == 1),
    ]
    story.at(MONDAY + timedelta(days=2), "Lena's rep opens a deal.", convert)
    prices = "While the deal is open, Lena looks at the prices again."
    story.at(MONDAY + timedelta(days=2, hours=4), prices, lambda: story.visits(lena, "/pricing/enterprise"))
    story.hears(lena)
    came.append(("The deal's owner was told, once", len(story.alerts(lena)) == 1))
    story.at(MONDAY + timedelta(days=3), "Lena becomes a customer.", win)
    story.at(MONDAY + timedelta(days=21, minutes=5), "The 23rd: Priya's day has come.")
    came += [
        ("Priya came back on her date", story.lead(priya).get("Status") == "Sales Ready"),
        ("Priya came back to the same rep", story.lead(priya).get("OwnerId") == priya_owner),
        ("Priya has one open task", sum(not task.get("IsClosed") for task in story.tasks(priya)) == 1),
        ("Lena's deal is won", _stage_of(story, lena) == "won"),
        ("Nothing is parked", not story.agent.store.outbox(("parked", "unknown"))),
    ]
    return came


def _stage_of(story: Story, email: str) -> str:
    person = story.agent.store.find(email)
    dossier = story.agent.store.dossier(person[0]) if person else None
    return dossier.decision.stage.value if dossier and dossier.decision else ""


@contextmanager
def stage(console: Console) -> Iterator[Story]:
    """Local Marketo and Salesforce, seeded, with an agent between them."""
    with tempfile.TemporaryDirectory(prefix="syncagent-demo-") as folder, Sandbox(["marketo", "salesforce"]) as box:
        clock = ManualClock(MONDAY)
        with Control(box.url("salesforce")) as salesforce:
            salesforce.clock_set(MONDAY)
            rep = box.credentials("salesforce")["rep_user_id"]
            otto = {"FirstName": "Otto", "LastName": "Alt", "Company": "Altbau", "Email": "otto@altbau.example"}
            salesforce.seed(leads=[{**otto, "Status": "Working - Contacted", "OwnerId": rep}])
        with Control(box.url("marketo")) as marketo:
            marketo.act("set_limits", clock="off")
            marketo.seed(leads=[{"email": email, **known} for email, known in PEOPLE.items()])
        agent = compose(parse(box.config(Path(folder)), Path(folder)), clock=clock)
        story = Story(box, agent, clock, console)
        try:
            yield story
        finally:
            story.close()
            agent.close()


@click.command(short_help="Watch leads from first visit to return, on local servers.")
def demo() -> None:
    """Watch leads being scored, handed off, answered, breached, reassigned, recycled and brought back.

    Starts local servers that behave like Marketo and Salesforce, plays three weeks in seconds, and checks the outcome.
    Needs no config, no account, no network. Exit 1 if the story did not come out.
    """
    console = Console(soft_wrap=True)
    logging.getLogger("syncagent").setLevel(logging.ERROR)
    console.print("Three weeks of lead handoff in seconds, on local servers that behave like Marketo and Salesforce.")
    with stage(console) as story:
        came = perform(story)
        calls = {"Marketo": story.marketo.quota(), "Salesforce": story.salesforce.quota()}
    table = Table("", "what should have come out", title="Summary", title_justify="left")
    for sentence, true in came:
        table.add_row("✓" if true else "✗", sentence)
    console.print("\n", table)
    console.print("API calls: " + ", ".join(f"{count['cost']} to {name}" for name, count in calls.items()))
    if not all(true for _, true in came):
        console.print("The story did not come out as it should; please report this with the lines above.")
        sys.exit(FAILED)
    console.print(
        f"Next: `{_called()} sandbox marketo salesforce --write-config sandbox.toml`, to try things yourself:"
    )
    console.print("docs/sandbox.md puts people in and plays the rep.")


def _called() -> str:
    """How the command is typed here: `make demo` installs into a place where no shell looks."""
    typed = Path(sys.argv[0])
    return str(typed) if typed.name == "syncagent" and shutil.which("syncagent") is None else "syncagent"


COMMANDS = {"demo": demo}
