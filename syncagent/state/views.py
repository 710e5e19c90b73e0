"""The views that reports, Datasette and BI tools read: stable names and columns, documented in `docs/reports.md`.

A column is never renamed or given another meaning; new ones are added at the end. Moments come twice: as ISO 8601 text
in UTC for people, and as UTC milliseconds (`*_ms`) for sums. They are made anew whenever this text and the file differ,
so a view needs no step in the migrations.
"""

from sqlite_utils.utils import sqlite3


def _moment(column: str, name: str = "") -> str:
    name = name or column.rpartition(".")[2]
    short = name.removesuffix("_at")
    return f"strftime('%Y-%m-%dT%H:%M:%SZ', {column} / 1000, 'unixepoch') as {name}, {column} as {short}_ms"


_BAND = 20
"""A score band is so many points wide, and called by its lowest."""


def _band(score: str) -> str:
    return f"cast({score} / {_BAND} as integer) * {_BAND}"


# In the very letters in which SQLite keeps them: "CREATE VIEW" in capitals, the rest as it is written here.
VIEWS = {
    "report_lead": f"""CREATE VIEW report_lead as select person, {_moment("entered_at")}, told_by, system,
  source, campaign, content, medium, segment, stage, fit, interest, fit + interest as score,
  {_band("(fit + interest)")} as score_band, grade, owner, handoffs,
  {_moment("(select min(v.entered_at) from visit as v where v.person = entry.person)", "moved_at")}
from entry""",  # noqa: S608
    "report_stage": f"""CREATE VIEW report_stage as select v.person, v.stage, {_moment("v.entered_at")},
  {_moment("v.left_at")}, (v.left_at - v.entered_at) / 1000.0 as seconds,
  (select stage from visit as n where n.person = v.person and n.entered_at = v.left_at) as next_stage,
  v.handoff, case when e.handoffs > 1 then v.handoff <> '' and substr(v.handoff, -2) <> '.1' else 0 end as is_return,
  e.source, e.campaign, e.content, e.medium, e.segment, {_band("(e.fit + e.interest)")} as score_band, e.grade, e.owner
from visit as v join entry as e on e.person = v.person""",  # noqa: S608
    "report_handoff": f"""CREATE VIEW report_handoff as select h.id as handoff, h.person, h.number,
  h.number > 1 as is_return, {_moment("h.opened_at")}, h.state, h.outcome, h.reason, h.cause, h.route, h.team,
  h.owner, h.first_owner, h.queue, h.assignments, h.attempts, h.grade, h.score, {_band("h.score")} as score_band,
  h.segment, e.source, e.campaign, e.content, e.medium, e.entered_at as entered_ms,
  h.system as trigger_system, h.campaign as trigger_campaign, h.rule as trigger_rule, {_moment("h.raised_at")},
  {_moment("h.clock_started_at", "delivered_at")}, {_moment("h.touched_at")},
  max(h.touched_at - h.opened_at, 0) / 1000.0 as seconds_to_touch,
  case when h.touched_at is not null then h.working end as working_seconds_to_touch,
  {_moment("h.closed_at")}, {_moment("h.come_back_at")}, h.sla
from handoff as h left join entry as e on e.person = h.person""",  # noqa: S608
    "report_promise": f"""CREATE VIEW report_promise as select p.handoff, p.clock, p.turn, p.promised, p.name as sla,
  p.owner, h.team, h.route, h.person, h.number > 1 as is_return, h.grade, h.score, {_band("h.score")} as score_band,
  h.segment, e.source, e.campaign, e.content, e.medium, {_moment("p.started_at")}, {_moment("p.due_at")},
  {_moment("p.ended_at")}, p.met, p.minutes
from promise as p join handoff as h on h.id = p.handoff left join entry as e on e.person = h.person""",  # noqa: S608
    "report_deal": f"""CREATE VIEW report_deal as select ext as deal, system, object, account, owner, stage, amount,
  currency, closed, won, not closed as open, closed_on, {_moment("created", "created_at")}, {_moment("closed_at")},
  {_moment("modified", "modified_at")},
  (select count(*) from child as c where (c.ext, c.object, c.system) = (deal.ext, deal.object, deal.system)) as people
from deal where deleted = 0""",  # noqa: S608
    "report_deal_person": """CREATE VIEW report_deal_person as select d.ext as deal, c.person
from deal as d join child as c on (c.ext, c.object, c.system) = (d.ext, d.object, d.system) where d.deleted = 0""",
    "report_missing": """CREATE VIEW report_missing as select count(*) as people from person as p
where dirty_since is not null and held is null and erased = 0 and exists (select 1 from judged where person = p.id)
and not exists (select 1 from entry where person = p.id)""",
    "report_since": """CREATE VIEW report_since as select (select min(entered_at) from entry) as entered_ms,
  (select min(entered_at) from visit) as stage_ms,
  (select min(closed_at) from deal where won and not deleted) as won_ms""",
    "report_rep": "CREATE VIEW report_rep as select id as owner, name, active, queue, system from crm_user",
}


def stand(db: sqlite3.Connection) -> bool:
    """Whether the file has exactly these views."""
    return _present(db) == VIEWS


def make(db: sqlite3.Connection) -> None:
    """Put them in the place of those of another version."""
    drop(db)
    for sql in VIEWS.values():
        db.execute(sql)


def drop(db: sqlite3.Connection) -> None:
    """Take them away: a step of the schema must not trip over what it is about to change."""
    for name in _present(db):
        db.execute(f"drop view {name}")


def _present(db: sqlite3.Connection) -> dict[str, str]:
    return dict(
        db.execute("select name, sql from sqlite_master where type = 'view' and name like 'report\\_%' escape '\\'")
    )
