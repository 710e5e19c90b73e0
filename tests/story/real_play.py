"""The play of the real leads: 8,000 people fill out a form in Marketo, 842 of them become customers in Salesforce."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.story import olist
from tests.story.vendors import Stage

START = datetime(2017, 6, 1, tzinfo=UTC)
DAY, WEEK = timedelta(days=1), timedelta(days=7)
REPS = 32
HEAVY = 8  # of them take twice as many

AGREEMENT = """
[[score.fit]]
attribute = "source"
weight = 40
choices = [
  { values = ["organic_search", "paid_search"], priority = 10 },
  { values = ["social", "email", "referral", "direct_traffic"], priority = 5 },
]
[[score.interest]]
activity = "form.submitted"
weight = 60
choices = [{ at_least = 1, priority = 10 }]
[handoff]
live_from = 2017-01-01
mql = { any = { score = 60 } }
[handoff.brake]
per_hour = 100000
per_rep = 100000
hand_raisers_per_hour = 100000
[[sla]]
name = "two days"
first_touch = "48h"
steps = []
[recycle]
default = "365d"
"""


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Both vendors with all that will ever happen in Marketo, and an agent that has not begun."""
    with Stage(folder, START) as set_up:
        reps = set_up.salesforce.seed(
            settings={"daily_limit": 10_000_000, "session_seconds": 30 * 86_400},
            users=[{"Name": f"Rep {n:02}", "Email": f"rep{n:02}@example.com"} for n in range(REPS)],
        )["users"]
        leads = olist.leads()
        set_up.marketo.seed(
            leads=[
                {
                    "email": one.email,
                    "lastName": one.id[:6],
                    "leadSource": one.origin or None,
                    "createdAt": one.first_contact.isoformat(),
                }
                for one in leads
            ],
            activities=[
                {
                    "email": one.email,
                    "type": "Fill Out Form",
                    "at": one.first_contact.isoformat(),
                    "asset": one.landing_page,
                }
                for one in leads
            ],
        )
        team = "".join(
            f'[[reps]]\nname = "Rep {n:02}"\ncrm_id = "{rep}"\nweight = {2 if n < HEAVY else 1}\n'
            for n, rep in enumerate(reps)
        )
        pool = ", ".join(f'"Rep {n:02}"' for n in range(REPS))
        route = f'[[routes]]\nname = "all"\nto = {{ pool = [{pool}], fallback_queue = "Inbound" }}\n'
        set_up.start(set_up.tables() + AGREEMENT + team + route)
        set_up.reps = reps
        yield set_up


def play(stage: Stage) -> None:
    """Weeks without deals in one step, all others day by day; each deal is won at its own moment."""
    deals = olist.deals()
    last = max(one.first_contact for one in olist.leads())
    first_deal = deals[0].won_at
    while deals:
        now = stage.clock.now()
        quiet = now + WEEK < first_deal or now > last
        until = now + (WEEK if quiet else DAY)
        stage.once()
        while deals and deals[0].won_at < until:
            deal = deals.pop(0)
            stage.move_to(deal.won_at)
            win(stage, deal)
        stage.move_to(until)
    stage.once()
    stage.after(days=1)


def win(stage: Stage, deal: olist.Deal) -> None:
    """The owner converts the lead and wins the deal; somebody nobody knows yet, a rep has put in first."""
    assert stage.agent is not None
    act, email = stage.salesforce.act, olist.email_of(deal.lead)
    if stage.agent.store.find(email):
        lead = stage.dossier(email).records[0].identity.id
        owner = act("get", id=lead)["OwnerId"]
    else:
        owner = stage.reps[0]
        fields = {"LastName": deal.lead[:6], "Email": email, "OwnerId": owner}
        lead = act("new_lead", fields=fields, **{"as": owner})["id"]
    made = act("convert_lead", lead=lead, opportunity=f"Shop {deal.lead[:6]}", **{"as": owner})
    act("win_opportunity", opportunity=made["opportunity"], amount=1000, **{"as": owner})
