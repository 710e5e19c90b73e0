"""A sample agreement between marketing and sales, so that `--write-config` writes a config that runs as it is."""

from collections.abc import Mapping

NURTURE_LIST = 1001
BOTH_PARTS = "hubspot_marketing"  # the source in a portal that is the CRM, too

HEAD = """# A config that runs against the sandbox. Everything is invented; try `syncagent check`, then `syncagent run`.

[agent]
state = "syncagent.db"
timezone = "UTC"

[probes]
serve = true
"""

RULES = """
[[score.fit]]
attribute = "title"
weight = 30
choices = [
  { matches = "chief|director|head", priority = 10 },
  { matches = "manager", priority = 6 },
  { matches = "student|intern", priority = -10 },
]

[[score.fit]]
attribute = "country"
weight = 10
choices = [{ values = ["Germany", "Brazil"], priority = 10 }]

[[score.interest]]
activity = "form.submitted"
asset = "demo-*"
weight = 35
choices = [{ at_least = 1, within = "30d", priority = 10 }]

[[score.interest]]
activity = "page.visited"
asset = "*pricing*"
weight = 15
choices = [{ at_least = 2, within = "14d", priority = 10 }, { at_least = 1, within = "14d", priority = 6 }]

[[score.interest]]
activity = "email.clicked"
weight = 10
choices = [{ at_least = 1, within = "30d", priority = 10 }]

[handoff]
mql = { any = { score = 60 } }

[[handoff.always]]
activity = "form.submitted"
asset = "contact-sales"

[insight]
titles = { "*pricing*" = "the prices" }

[[insight.moments]]
activity = "page.visited"
asset = "*pricing*"
says = "Looked at {asset}"
deal = true

[[insight.moments]]
activity = "form.submitted"
says = "Filled out the form {asset}"
deal = true

[[insight.moments]]
activity = "email.clicked"
says = "Clicked in the mail[ {asset}]"
"""

SALES = """
[team]
hours = "Mon-Fri 09:00-18:00"
manager = "{manager}"

[[reps]]
name = "Ana Silva"
crm_id = "{rep}"
hours = "Mon-Fri 09:00-18:00"

[[reps]]
name = "Ben Ode"
crm_id = "{second_rep}"
hours = "Mon-Fri 09:00-18:00"

[[routes]]
name = "everybody"
to = {{ pool = ["Ana Silva", "Ben Ode"], fallback_queue = "Inbound" }}

[[sla]]
name = "call within the hour"
first_touch = "60m"
clock = "rep"
touch = {{ tasks = ["Call", "Email", "Task"] }}
steps = [
  {{ at = "50%", do = "remind" }},
  {{ at = "100%", do = "reassign" }},
  {{ at = "200%", do = "escalate", to = "manager" }},
]
"""

RECYCLE = """
[recycle]
default = "30d"
wake_early = { points = 30, within = "7d" }
"""


def agreement(known: Mapping[str, str], nurture: str = "") -> str:
    """The tables that follow those of the systems.

    `known` are the CRM's ids of its people: a HubSpot record belongs to an owner, a Salesforce one to a user. `nurture`
    names the source whose list takes back who is recycled.
    """
    people = {
        role: known.get(f"{role}_owner_id") or known[f"{role}_user_id"] for role in ("rep", "second_rep", "manager")
    }
    back = f'nurture = {{ source = "{nurture}", list = {NURTURE_LIST} }}\n' if nurture else ""
    return RULES + SALES.format_map(people) + RECYCLE + back
