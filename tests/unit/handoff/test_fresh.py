"""What is kept fresh on the record: the latest moments, once a day, and never over what a person wrote."""

from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from syncagent.connectors.base import not_ours
from syncagent.handoff import plan
from syncagent.handoff.fresh import FRESH
from syncagent.model import Dossier, Lane, Plan, Roster, WriteLead
from syncagent.policy import CrmPolicy, InsightPolicy, MomentRule, Policy
from tests.unit.handoff.worlds import (
    ANA,
    ME,
    NOW,
    activity,
    answer,
    apply,
    dossier,
    dossiers,
    lead,
    minutes,
    policy,
    record,
    roster_after,
)

DAY = timedelta(days=1)
FIRST = "2026-03-10 09:55 Visited the page /pricing"


def agreed(**changes: object) -> Policy:
    crm: CrmPolicy = policy().crm
    return policy(crm=replace(crm, fields=(*crm.fields, "insight")), **changes)


def visitor(*assets: str, **fields: object) -> Dossier:
    """Somebody not ready, with an untouched lead, who has looked at pages a minute apart."""
    done = tuple(activity(f"v{n}", NOW + minutes(n - 5), "page.visited", asset) for n, asset in enumerate(assets))
    return dossier(leads=(lead(title=""),), activities=done, records=(record(**fields),))  # type: ignore[arg-type]


def write_of(result: Plan) -> WriteLead | None:
    return next((one for one in result.commands if isinstance(one, WriteLead)), None)


def run(facts: Dossier, at: datetime = NOW, given: Policy | None = None) -> Plan:
    return plan(facts, given or agreed(), Roster(), at)


def more(stored: Dossier, *assets: str, at: datetime) -> Dossier:
    known = len(stored.activities)
    new = tuple(activity(f"v{known + n}", at + minutes(n), "page.visited", one) for n, one in enumerate(assets))
    return replace(stored, activities=(*stored.activities, *new), crm_seen_until=at + DAY)


def test_the_latest_moments_stand_on_the_record_and_our_own_result_is_silent() -> None:
    first = run(visitor("/pricing"))
    write = write_of(first)
    assert write is not None
    assert (write.values["insight"], write.lane, first.cause) == (FIRST, Lane.COLD, "score")
    stored = apply(first, visitor("/pricing"))
    again = run(stored)
    assert (again.commands, again.events) == ((), ())
    assert run(stored, NOW + 2 * DAY).commands == ()


def test_without_the_field_nothing_is_written_and_nothing_looked_for() -> None:
    write = write_of(plan(visitor("/pricing"), policy(), Roster(), NOW))
    assert write is not None and "insight" not in write.values


def test_new_moments_go_out_once_a_day_the_newest_first() -> None:
    stored = apply(run(visitor("/pricing")), visitor("/pricing"))
    busy = more(stored, "/team", "/demo", "/docs", at=NOW + minutes(10))
    soon = run(busy, NOW + minutes(20))
    assert (soon.commands, soon.wake_at) == ((), NOW + DAY)
    write = write_of(run(busy, NOW + DAY))
    assert write is not None
    told = str(write.values["insight"]).split("\n")
    assert [line.rpartition(" ")[2] for line in told] == ["/docs", "/demo", "/team"]


def test_the_agreement_says_how_many_which_and_in_what_words() -> None:
    rules = (MomentRule("page.visited", asset="/jobs"), MomentRule("page.visited", "Looked at {asset}"))
    insight = InsightPolicy(moments=rules, titles={"/pric*": "the prices"}, shown=1)
    write = write_of(run(visitor("/pricing", "/jobs"), given=agreed(insight=insight)))
    assert write is not None
    assert write.values["insight"] == "2026-03-10 09:55 Looked at the prices"


def test_a_new_handoff_brings_it_along_at_once() -> None:
    write = write_of(run(dossier()))
    assert write is not None
    assert write.values["status"] == "Sales Ready"
    assert write.values["insight"] == "2026-03-10 09:55 Filled out the form guide"
    assert write.lane is Lane.HOT


def test_while_sales_is_at_work_news_go_out_in_the_cold_lane() -> None:
    opened = apply(run(dossier()), dossier())
    write = write_of(run(more(opened, "/team", at=NOW + minutes(10)), NOW + DAY, agreed(slas=())))
    assert write is not None
    assert write.lane is Lane.COLD
    assert FRESH.issuperset(write.values)


def test_what_a_person_writes_stays_until_it_is_emptied() -> None:
    stored = apply(run(visitor("/pricing")), visitor("/pricing"))
    theirs = answer(stored, NOW + minutes(9), insight=f"{FIRST}\nShe only calls back on Fridays.")
    busy = more(theirs, "/team", at=NOW + minutes(10))
    for days in (1, 2, 5):
        write = write_of(run(busy, NOW + days * DAY))
        assert write is None or "insight" not in write.values
    emptied = answer(busy, NOW + 3 * DAY, insight=None)
    write = write_of(run(emptied, NOW + 4 * DAY))
    assert write is not None
    assert str(write.values["insight"]).startswith("2026-03-10 10:10 Visited the page /team")


def test_a_new_handoff_leaves_what_a_person_wrote() -> None:
    told = apply(run(visitor("/pricing")), visitor("/pricing"))
    theirs = answer(told, NOW + minutes(9), insight=FIRST.replace("09:55", "09:00"))
    asked = replace(
        theirs, activities=(*theirs.activities, activity("f", NOW + minutes(9), asset="demo-request")),
        crm_seen_until=NOW + DAY,
    )  # fmt: skip
    opened = run(asked, NOW + minutes(10))
    write = write_of(opened)
    assert write is not None
    assert write.values["status"] == "Sales Ready"
    assert "insight" not in write.values
    later = apply(opened, asked, NOW + minutes(11))
    after = write_of(run(more(later, "/team", at=NOW + minutes(30)), NOW + 3 * DAY))
    assert after is None or "insight" not in after.values, "nor does what follows"


def test_a_field_that_is_full_of_somebody_s_text_is_left_alone_from_the_start() -> None:
    write = write_of(run(visitor("/pricing", insight="Met at the fair.")))
    assert write is not None and "insight" not in write.values


def test_lines_of_an_earlier_life_of_ours_are_ours() -> None:
    write = write_of(run(visitor("/pricing", insight="2026-01-10 09:55 Visited the page /old")))
    assert write is not None
    assert write.values["insight"] == FIRST


def test_a_field_that_is_too_short_or_keeps_line_breaks_otherwise_is_still_ours() -> None:
    for shown in (FIRST[:30] + "…", f"{FIRST}\r\n"):
        stored = apply(run(visitor("/pricing")), visitor("/pricing"))
        cut = replace(
            stored, records=(replace(stored.records[0], fields={**stored.records[0].fields, "insight": shown}),)
        )
        assert run(cut, NOW + 2 * DAY).commands == ()
        write = write_of(run(more(cut, "/team", at=NOW + minutes(10)), NOW + 2 * DAY))
        assert write is not None and str(write.values["insight"]).endswith(FIRST)


def test_the_write_itself_goes_over_nothing_else_than_it_was_decided_on() -> None:
    stored = apply(run(visitor("/pricing")), visitor("/pricing"))
    write = write_of(run(more(stored, "/team", at=NOW + minutes(10)), NOW + DAY))
    assert write is not None
    assert not_ours(write, {"insight": FIRST}) == ()
    assert not_ours(write, {"insight": f"{FIRST}\r\n"}) == ()
    assert not_ours(write, {"insight": None}) == ()
    assert not_ours(write, {}) == ()
    assert not_ours(write, {"insight": write.values["insight"]}) == ()
    assert not_ours(write, {"insight": "Call on Friday."}) == ("insight",)


@given(dossiers(), st.sampled_from((None, "", "a note", FIRST)), st.randoms(use_true_random=False))
def test_planning_it_again_is_silent_and_order_never_matters(facts: Dossier, shown: str | None, dice: object) -> None:
    records = tuple(replace(one, fields={**one.fields, "insight": shown}) for one in facts.records)
    facts = replace(facts, records=records)
    first = plan(facts, agreed(), Roster(), NOW)
    mixed = list(facts.activities) * 2
    dice.shuffle(mixed)  # type: ignore[attr-defined]
    assert plan(replace(facts, activities=tuple(mixed)), agreed(), Roster(), NOW) == first
    for write in (one for one in first.commands if isinstance(one, WriteLead)):
        assert "insight" not in write.values or shown != "a note" or not records
    stored = apply(first, facts)
    again = plan(replace(stored, crm_seen_until=facts.crm_seen_until), agreed(), roster_after(first, Roster()), NOW)
    assert not [one for one in again.commands if isinstance(one, WriteLead) and "insight" in one.values]


@given(st.lists(st.tuples(st.integers(0, 14 * 24 * 60), st.sampled_from(("/a", "/b", "/c"))), max_size=30))
def test_it_is_written_at_most_once_a_day_whatever_they_do(visits: list[tuple[int, str]]) -> None:
    stored, written = visitor(), list[datetime]()
    for n, (minute, asset) in enumerate(sorted(visits)):
        at = NOW + minutes(minute)
        known = (*stored.activities, activity(f"v{n}", at, "page.visited", asset))
        stored = replace(stored, activities=known, crm_seen_until=at)
        result = run(stored, at)
        if any("insight" in one.values for one in result.commands if isinstance(one, WriteLead)):
            written.append(at)
        stored = apply(result, stored, at)
    assert all(after - before >= DAY for before, after in pairwise(written))
    assert all(one.modified_by == ME or one.modified_by == ANA for one in stored.records)
