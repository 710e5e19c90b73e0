"""Each fault and habit of Marketo's feed, by name, and what the admin sees of it."""

import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from syncagent.config import Secret, read_table
from syncagent.connectors.http import Http
from syncagent.connectors.marketo import Options
from syncagent.connectors.marketo import wire as wires
from syncagent.connectors.marketo.wire import moment
from syncagent.errors import ConnectorDownError, RetryableError
from syncagent.handoff import score
from syncagent.handoff.scoring import excluded
from syncagent.model import Activity, Deleted, Hint, Identity, Lead, Merged
from syncagent.policy import InterestChoice, InterestRule, Robots, ScoreModel
from tests.contract.marketo_world import FEED, marketo_world
from tests.contract.source import facts_of, read
from tests.unit.handoff.worlds import dossier, policy


@pytest.fixture
def world(monkeypatch):
    with marketo_world(monkeypatch) as world:
        yield world


def told(world, pages):
    return set(world.told(facts_of(pages)))


def paths(world, part):
    return [call for call in world.control.calls() if part in call["path"]]


# -- errors inside HTTP 200


@pytest.mark.parametrize("code", ["601", "602"])
def test_601_and_602_get_a_new_token_once_and_go_on(world, code):
    names = world.happen(20)
    world.source.look([world.one])
    world.control.act("expire_access_token", code=code)
    world.control.clear_calls()
    assert told(world, world.source.pull(world.start())) == names
    assert len(paths(world, "identity")) == 1


@pytest.mark.parametrize("code", ["601", "602"])
def test_601_and_602_that_stay_are_retried_later_and_not_at_once_for_ever(world, code):
    cursor = world.start()
    world.fault("/rest/", code=code, times=None)
    with pytest.raises(RetryableError, match=code):
        list(world.source.pull(cursor))
    assert len(paths(world, "/rest/")) == 2


def test_an_ended_token_is_renewed_by_one_thread_for_all(world):
    world.source.look([world.one])
    world.control.act("expire_access_token")
    world.control.clear_calls()
    world.fault("identity", delay=0.2)
    pages = []
    threads = [threading.Thread(target=lambda: pages.append(world.source.look([world.one]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pages) == 4
    assert len(paths(world, "identity")) == 1


@pytest.mark.parametrize("code", ["502", "604", "606", "608", "611", "614", "615", "713", "719"])
def test_606_611_615_713_and_their_like_are_retried_and_nothing_is_missing(world, code):
    cursor, names = world.start(), world.happen(120)
    world.fault(FEED, code=code, match={"after": 1})
    pages = []
    with pytest.raises(RetryableError, match=code) as caught:
        pages.extend(world.source.pull(cursor))
    assert caught.value.after >= (20 if code == "606" else 1)
    assert str(caught.value).startswith("marketo (GET /rest/v1/activities.json): ")
    assert not any(secret in str(caught.value) for secret in world.secrets)
    assert told(world, read(world.source, cursor)) == names


def test_607_parks_the_source_until_midnight_in_chicago(world):
    world.control.clock_set(datetime(2026, 7, 1, 12, 0, tzinfo=UTC))
    cursor = world.start()
    world.fault(FEED, code="607")
    with pytest.raises(ConnectorDownError, match="spent") as caught:
        list(world.source.pull(cursor))
    assert caught.value.until == datetime(2026, 7, 2, 0, 0, tzinfo=ZoneInfo("America/Chicago")).astimezone(UTC)
    assert caught.value.until == datetime(2026, 7, 2, 5, 0, tzinfo=UTC)
    assert "2026-07-02 05:00 UTC" in str(caught.value)


def test_603_says_which_right_the_role_needs(world):
    cursor = world.start()
    world.fault(FEED, code="603", times=None)
    with pytest.raises(ConnectorDownError, match="role") as caught:
        list(world.source.pull(cursor))
    assert caught.value.until is None


def test_the_vendors_message_is_told_without_a_full_email(world):
    world.fault("leads", code={"code": "1003", "message": "Invalid value jane.doe@example.com"})
    with pytest.raises(ConnectorDownError, match="1003 Invalid value") as caught:
        world.source.look([world.one])
    assert "jane" not in str(caught.value)


# -- pages and tokens


def test_every_third_page_empty_with_more_to_come(world):
    world.control.act("configure", empty_every=3)
    cursor, names = world.start(), world.happen(230)
    assert told(world, world.source.pull(cursor)) == names


def test_a_rare_type_among_many_others_is_found_behind_empty_pages(world):
    cursor = world.start()
    world.control.act("generate", leads=2, activities=2_000, types=["Open Email"], every=0)
    names = world.happen(2)
    pages = list(world.source.pull(cursor))
    assert told(world, pages) == names
    assert sum(not page.facts for page in pages) > 3


@pytest.mark.parametrize("code", ["1003", "1001", "702", "610"])
def test_a_token_that_no_longer_works_is_minted_anew_whatever_its_code(world, code, caplog):
    world.control.act("configure", bad_token_code=code)
    pages = read(world.source, world.start())
    names = world.happen(70)
    world.control.act("expire_tokens")
    found = read(world.source, pages[-1].cursor)
    assert names <= told(world, found)
    assert "no longer works" in caplog.text
    world.control.clear_calls()
    assert told(world, read(world.source, found[-1].cursor)) == set()
    assert len(paths(world, "/rest/")) == 1


def test_a_token_minted_anew_reaches_back_far_enough_for_late_commits(world):
    pages = read(world.source, world.start())
    late = world.happen(3, at=world.now() - timedelta(minutes=30))
    world.control.act("expire_tokens")
    assert late <= told(world, read(world.source, pages[-1].cursor))


def test_what_happened_in_the_second_of_the_start_is_told(world):
    start = world.now().replace(microsecond=0)
    names = world.happen(3, at=start)
    assert told(world, read(world.source, world.source.begin(start))) == names


def test_a_refusal_that_a_new_token_does_not_mend_is_told(world):
    cursor = world.start()
    world.fault(FEED, code="1003", times=None)
    with pytest.raises(ConnectorDownError, match="1003"):
        list(world.source.pull(cursor))


def test_a_late_commit_is_found_only_by_the_sweep(world):
    pages = read(world.source, world.start())
    late = world.happen(3, at=world.now() - timedelta(minutes=30))
    pages = read(world.source, pages[-1].cursor)
    assert told(world, pages) == set()
    world.advance(86_400)
    assert late <= told(world, read(world.source, pages[-1].cursor))


def test_a_late_commit_dated_long_before_the_last_sweep_is_found_by_the_next(world):
    pages = read(world.source, world.start(3 * 86_400))
    world.advance(86_400)
    pages = read(world.source, pages[-1].cursor)  # the first sweep
    late = world.happen(3, at=world.now() - timedelta(hours=20))
    world.advance(86_400)
    assert late <= told(world, read(world.source, pages[-1].cursor))


def test_a_long_sweep_does_not_keep_the_poll_waiting(world):
    pages = read(world.source, world.start())
    world.control.act("generate", leads=2, activities=3_000, every=0)
    pages = read(world.source, pages[-1].cursor)
    world.advance(86_400)
    names = world.happen(1)
    first = list(world.source.pull(pages[-1].cursor))
    assert told(world, first[:1]) == names
    assert len(first) < 30
    cursor, swept = first[-1].cursor, facts_of(first[1:])
    for _ in range(6):
        more = read(world.source, cursor)
        cursor, swept = more[-1].cursor, swept + facts_of(more)
    assert len({fact.key for fact in swept if isinstance(fact, Activity)}) >= 3_000


def test_unordered_guids_repeated_rows_and_missing_ids(world):
    world.control.act("configure", swap_guids=True, repeat_last=True, ids=False)
    cursor, names = world.start(), world.happen(120)
    assert told(world, read(world.source, cursor)) == names


def test_both_forms_of_the_date(world):
    world.control.act("configure", offset_dates=True)
    cursor = world.start()
    world.happen(1)
    [fact] = [fact for fact in facts_of(read(world.source, cursor)) if isinstance(fact, Activity)]
    assert abs(fact.at - world.now()) < timedelta(seconds=30)
    expected = datetime(2019, 8, 14, 17, 42, 4, tzinfo=UTC)
    for text in (
        "2019-08-14T17:42:04Z",
        "2019-08-14T17:42:04+0000",
        "2019-08-14T17:42:04Z+0000",
        "2019-08-14 17:42:04",
    ):
        assert moment(text) == expected
        assert moment(text).tzinfo is UTC
    assert moment("2019-08-14T12:42:04-0500") == expected
    assert moment("2019-08-14T12:42:04-0500").tzinfo is UTC


def test_a_restart_with_more_types_reads_them_too_and_misses_nothing(world):
    pages = read(world.source, world.start())
    seen = world.happen(3)
    many = {name: name.lower() for name in ("Send Email", "Email Delivered", "Change Score", "Click Email")}
    many |= {
        name: name.lower()
        for name in ("Add to List", "Remove from List", "Email Bounced", "Send Alert", "Convert Lead")
    }
    wider = world.fresh(activities={"Visit Webpage": "page.visited", **many, "Open Email": "email.opened"})
    world.control.act("open_email", leadId=int(world.one.id), asset="Hello")
    facts = [fact for fact in facts_of(read(wider, pages[-1].cursor)) if isinstance(fact, Activity)]
    assert seen <= {fact.key for fact in facts}
    assert [fact.asset for fact in facts if fact.kind == "email.opened"] == ["Hello"]


# -- what is told


def test_an_activity_has_its_key_kind_asset_and_attributes(world):
    cursor = world.start()
    done = world.control.act("visit_page", leadId=int(world.one.id), url="/pricing", referrer="https://example.org/")
    [fact] = [fact for fact in facts_of(read(world.source, cursor)) if isinstance(fact, Activity)]
    assert (fact.identity, fact.kind, fact.asset) == (world.one, "page.visited", "/pricing")
    assert fact.key == done["marketoGUID"]
    assert fact.attributes["Referrer URL"] == "https://example.org/"


def test_what_marketo_marks_as_a_bots_is_told_with_its_mark_for_scoring_to_leave_out(world):
    cursor = world.start()
    for bot in (True, False):
        world.control.act("click_email", leadId=int(world.one.id), asset=f"bot {bot}", bot=bot)
    source = world.fresh(activities={"Click Email": "email.clicked"})
    told = [fact for fact in facts_of(read(source, cursor)) if isinstance(fact, Activity)]
    assert [(fact.asset, fact.attributes["Is Bot Activity"]) for fact in told] == [
        ("bot True", True),
        ("bot False", False),
    ]
    person = dossier(leads=(), records=(), activities=tuple(told))
    clicks = InterestRule("clicks", "email.clicked", 50, (InterestChoice(2, each=True),))
    scores = {}
    for robots in (Robots(), Robots(admit="bot*")):
        terms = policy(scoring=ScoreModel(interest=(clicks,), robots=robots))
        out = [(one.activity.asset, one.why) for one in excluded(person, terms, world.now())]
        scores[score(person, terms, world.now()).interest] = out
    assert scores == {10: [("bot True", "marketo marks it as a bot's")], 20: []}


CAMPAIGNS = "/rest/v1/campaigns.json"


def campaigns_of(pages):
    return [fact.attributes.get("campaign") for fact in facts_of(pages) if isinstance(fact, Activity)]


def seed_campaigns(world, *numbers):
    rows = [{"leadId": int(world.one.id), "type": "Visit Webpage", "asset": f"/{n}", "campaignId": n} for n in numbers]
    world.control.seed(activities=rows)


def test_an_activity_carries_its_campaign_by_name_and_new_ones_cost_one_call(world):
    world.control.seed(
        campaigns=[{"id": 7, "name": "01 Invite", "program": "Spring Fair"}, {"id": 8, "name": "Newsletter"}]
    )
    cursor = world.start()
    seed_campaigns(world, 7, 8, 7, 99)
    visit = {"leadId": int(world.one.id), "url": "/pricing"}
    world.control.act("visit_page", **visit, query="gclid=1&utm_campaign=Winter+Sale%21&utm_source=x")
    world.control.act("visit_page", **visit, query="nothing=of-it")
    form = {"leadId": int(world.one.id), "form": "demo", "query": "?utm_medium=x&utm_campaign=winter"}
    world.control.act("fill_form", **form)
    pages = read(world.source, cursor)
    names = ["Spring Fair.01 Invite", "Newsletter", "Spring Fair.01 Invite", "99", "Winter Sale!", None, "winter"]
    assert campaigns_of(pages) == names
    assert len(paths(world, CAMPAIGNS)) == 1
    seed_campaigns(world, 8, 99)
    assert campaigns_of(read(world.source, pages[-1].cursor)) == ["Newsletter", "99"]
    assert len(paths(world, CAMPAIGNS)) == 1, "they are known now"


def test_a_role_that_may_not_read_campaigns_calls_them_by_their_numbers(world, caplog):
    cursor = world.start()
    world.fault(CAMPAIGNS, code="603", times=None)
    seed_campaigns(world, 601)
    assert campaigns_of(read(world.source, cursor)) == ["601"]
    assert "Campaigns go by their numbers" in caplog.text


def test_new_leads_and_changes_of_fields_that_we_read_are_hinted_once_and_others_not(world):
    read(world.source, world.start())
    other = world.record()
    cursor = read(world.source, world.start())[-1].cursor
    world.control.seed(fields=[{"name": "shoeSize"}])
    made = world.control.act("new_lead", email="new@example.com", title="CFO")["leadId"]
    for title in ("CEO", "COO"):
        world.control.act("edit_lead", leadId=int(world.one.id), fields={"title": title})
    world.control.act("edit_lead", leadId=int(other.id), fields={"shoeSize": "44"})
    hints = [fact.identity.id for fact in facts_of(read(world.source, cursor)) if isinstance(fact, Hint)]
    assert sorted(hints) == sorted([str(made), world.one.id])


def test_a_merge_tells_winner_and_losers_and_a_deletion_its_moment(world):
    winner, first, second, doomed = (world.record() for _ in range(4))
    cursor = world.start()
    world.control.act("merge_leads", winner=int(winner.id), losers=[int(first.id), int(second.id)])
    world.delete(doomed)
    facts = facts_of(read(world.source, cursor))
    [merged] = [fact for fact in facts if isinstance(fact, Merged)]
    assert (merged.winner, merged.losers) == (winner, (first, second))
    [deleted] = [fact for fact in facts if isinstance(fact, Deleted)]
    assert deleted.identity == doomed
    assert abs(deleted.at - world.now()) < timedelta(seconds=30)
    page = world.source.look([first, second, doomed, winner])
    assert {fact.identity for fact in page.facts if isinstance(fact, Lead)} == {winner}
    assert [fact for fact in page.facts if not isinstance(fact, Lead)] == [merged, deleted]


def test_looking_packs_300_leads_into_a_call_and_tells_the_crms_ids(world):
    world.source.look([world.one])
    leads = world.control.seed(
        leads=[{"email": f"l{n}@example.com", "sfdcLeadId": f"00Q{n:012}", "numberOfEmployees": n} for n in range(650)]
    )["leads"]
    source = world.fresh(crm_ids={"sfdcLeadId": "salesforce/Lead"}, fields={"size": "numberOfEmployees"})
    source.look([])
    source.look([world.one])
    world.control.clear_calls()
    page = source.look([Identity("marketo", "lead", str(one)) for one in leads])
    assert len(paths(world, "leads.json")) == 3
    found = {fact.identity.id: fact for fact in page.facts}
    assert len(found) == 650
    assert found[str(leads[7])].also == (Identity("salesforce", "Lead", "00Q000000000007"),)
    assert found[str(leads[7])].emails == ("l7@example.com",)
    assert found[str(leads[7])].attributes["size"] == 7


# -- what it costs


@pytest.mark.parametrize("types", [2, 14])
def test_an_idle_day_costs_at_most_one_call_a_minute(world, types):
    names = ["Visit Webpage", "Fill Out Form"]
    names += [f"Custom {n}" for n in range(types - 2)]
    for name in names[2:]:
        world.control.act("add_activity_type", name=name)
    source = world.fresh(activities={name: f"kind.{n}" for n, name in enumerate(names)}, page_size=300)
    cursor = source.begin(world.now())
    for minute in range(30 + 1_440):
        if minute == 30:  # the start costs a little more; and what is owed for the sweep is to be paid in this day
            world.control.clear_calls()
        for page in source.pull(cursor):
            cursor = page.cursor
        world.box.clock.advance(60)
    # what ends in an error is not counted by Marketo: in this hasty day every access token is found out by a 602
    calls = [call for call in world.control.calls() if call["cost"]]
    assert 1_300 < len(calls) <= 1_440
    assert sum("deletedleads" in call["path"] for call in calls) >= 20
    assert any("usage" in call["path"] for call in calls)


def test_more_than_ten_types_are_all_read(world):
    names = [f"Custom {n}" for n in range(23)]
    for name in names:
        world.control.act("add_activity_type", name=name)
    source = world.fresh(activities={name: name.lower() for name in names})
    cursor = source.begin(world.now() - timedelta(hours=1))
    rows = [{"leadId": int(world.one.id), "type": name} for name in names]
    guids = set(world.control.seed(activities=rows)["activities"])
    facts = [fact for fact in facts_of(read(source, cursor)) if isinstance(fact, Activity)]
    assert {fact.key for fact in facts} == guids
    assert {fact.kind for fact in facts} == {name.lower() for name in names}


# -- config


def test_the_options_are_checked_with_their_path():
    problems = []
    table = {"base_url": "https://x.mktorest.com", "client_id": {"env": "A"}, "client_secret": {"env": "B"}}
    assert read_table(Options, table, "sources.m", problems) is not None
    assert problems == []
    for wrong, path in (
        ({"pagesize": 5}, "sources.m.pagesize"),
        ({"page_size": 500}, "sources.m.page_size"),
        ({"poll": "soon"}, "sources.m.poll"),
        ({"crm_ids": {"sfdcLeadId": "Lead"}}, "sources.m.crm_ids"),
    ):
        problems = []
        assert read_table(Options, {**table, **wrong}, "sources.m", problems) is None
        assert [problem.path for problem in problems] == [path]


def test_the_pace_that_adobe_asks_for_is_kept_and_a_stop_ends_the_waiting(monkeypatch):
    now, waits = [1000.0], []

    def wait(self, event, seconds):
        waits.append(round(seconds, 3))
        now[0] += seconds
        return event.is_set()

    monkeypatch.setattr(wires, "monotonic", lambda: now[0])
    monkeypatch.setattr(wires.SystemClock, "wait", wait)
    wire = wires.Wire(Http("https://x.mktorest.com", name="m"), Secret(env="A"), Secret(env="B"), pace=50)
    for _ in range(50):
        wire._keep_pace()
        now[0] += 0.1
    assert waits == []
    wire._keep_pace()
    assert waits == [15.0]
    now[0] -= 15.0
    wire.close()
    with pytest.raises(RetryableError, match="stopping"):
        wire._keep_pace()
