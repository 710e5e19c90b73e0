"""HubSpot as a marketing source keeps a source's promises, tells what people did, and hears no echo of ourselves."""

from datetime import timedelta

import msgspec
import pytest
from msgspec.structs import replace

from syncagent.connectors import hubspot
from syncagent.connectors.hubspot import Options
from syncagent.errors import ConnectorDownError
from syncagent.model import Activity, Deleted, Done, Identity, Lead, Merged, Notify, Nurture, Refused, Retry
from tests.contract.hubspot_portal import NOON, BoxClock, both
from tests.contract.source import SourceContract
from tests.contract.target import TargetContract
from tests.contract.test_hubspot import FAULTS, World

ACTIVITIES = {
    "form_submission": "form.submitted",
    "page_view": "page.visited",
    "email_open": "email.opened",
    "email_click": "email.clicked",
}


class MarketingWorld(World):
    """The suites' view of the sandbox portal as a marketing system."""

    can = World.can - {"lost", "unsent", "refused", "create"}
    idle_calls = 3

    def fresh(self):
        return connect(self.portal, overlap="3600s")

    def told(self, facts):
        return [fact.identity.id for fact in facts if isinstance(fact, Lead)]

    def record(self, email="", **fields):
        return Identity("marketing", "contact", super().record(email, **fields).id)


def connect(portal, **more):
    """The same portal as a marketing source."""
    table = {
        "base_url": portal.url,
        "access_token": portal.table["access_token"],
        "app_id": portal.known["app_id"],
        "index_lag": "30s",
        "searches": 0,
        "activities": ACTIVITIES,
        "crm_ids": {"hs_object_id": "hubspot/contact"},
        **more,
    }
    options = msgspec.convert(table, Options)
    source = hubspot.open("marketing", options, clock=BoxClock(portal.control), sleep=portal.sleep)
    portal.open.append(source)
    return source


class TestHubSpotMarketingSource(SourceContract):
    @pytest.fixture
    def world(self, portal):
        return MarketingWorld(portal, reading=True)


class NurtureWorld(MarketingWorld):
    """Leads given back go into a static list."""

    can = frozenset({"throttled", "quota", "credentials"})

    def __init__(self, portal, *, reading):
        super().__init__(portal, reading=reading)
        portal.control.seed(lists=[{"id": 77, "name": "Nurture"}])
        self.commands = {}

    def command(self, key, attempt=0):
        lead = self.commands.setdefault(key, self.record())
        return Nurture(key=key, target="marketing", person=1, lead=lead, reason="r", list_id=77, attempt=attempt)

    def effects(self, key):
        members = self.portal.control.dump()["lists"]["77"]["members"]
        return members.count(self.commands[key].id)

    def plant(self, fault):
        where = {"match": {"path": "/memberships/"}}
        if fault == "throttled":  # it may be told twice, so it is told again at once: only a whole refusal shows
            self.portal.control.plant(rate_limit="burst", times=4, **where)
        elif fault == "credentials":
            self.portal.control.plant(expire_token=True, **where)
        else:
            self.portal.control.plant(**FAULTS[fault], **where)


class TestHubSpotNurture(TargetContract):
    @pytest.fixture
    def world(self, portal):
        return NurtureWorld(portal, reading=False)


# -- what people do


@pytest.fixture
def source(portal):
    return connect(portal)


def begin(source):
    return list(source.pull(source.begin(NOON - timedelta(days=1))))[-1].cursor


def news(source, cursor):
    pages = list(source.pull(cursor))
    return [fact for page in pages for fact in page.facts], pages[-1].cursor


def activities(facts):
    return [fact for fact in facts if isinstance(fact, Activity)]


def test_a_contact_is_told_in_our_words_and_named_in_the_crm_too(portal, source):
    portal.contacts(1, jobtitle="CTO", country="Germany", hs_email_optout="true", hs_additional_emails="b@example.com")
    facts, _ = news(source, source.begin(NOON - timedelta(days=1)))
    [lead] = [fact for fact in facts if isinstance(fact, Lead)]
    assert lead.attributes["title"] == "CTO"
    assert lead.attributes["unsubscribed"] is True
    assert lead.emails == ("person0@example.com", "b@example.com")
    assert lead.also == (Identity("hubspot", "contact", lead.identity.id),)


def test_a_form_is_told_in_the_round_that_sees_its_contact(portal, source):
    cursor = begin(source)
    portal.control.clock_advance(5)
    sent = portal.act(
        "submit_form",
        form="demo-request",
        email="new@example.com",
        values={"need": "yes"},
        page="https://x.example/demo",
    )
    facts, cursor = news(source, cursor)
    [form] = activities(facts)
    assert form.identity == Identity("marketing", "contact", sent["id"])
    assert (form.key, form.kind, form.asset) == (sent["conversion"], "form.submitted", "demo-request")
    assert form.at == NOON + timedelta(seconds=5)
    assert form.attributes["need"] == "yes"
    assert "@" not in str(form.attributes)
    assert sent["id"] in [fact.identity.id for fact in facts if isinstance(fact, Lead)]
    again, _ = news(source, cursor)
    assert activities(again) == []


def test_two_hundred_submissions_of_two_forms_are_all_told(portal, source):
    cursor = begin(source)
    portal.control.clock_advance(5)
    sent = {
        portal.act("submit_form", form=f"form {n % 2}", email=f"p{n}@example.com")["conversion"] for n in range(200)
    }
    facts, _ = news(source, cursor)
    assert {one.key for one in activities(facts)} == sent


def test_a_submission_without_an_id_has_a_key_of_its_own(portal, source):
    portal.act("set_settings", conversion_ids=False)
    cursor = begin(source)
    portal.control.clock_advance(5)
    portal.act("submit_form", form="demo", email="a@example.com")
    portal.act("submit_form", form="demo", email="b@example.com")
    facts, _ = news(source, cursor)
    fresh, _ = news(connect(portal), cursor)
    assert len({one.key for one in activities(facts)}) == 2
    assert {one.key for one in activities(facts)} == {one.key for one in activities(fresh)}


def test_only_the_forms_that_are_named_are_read(portal):
    [named, other] = portal.control.seed(forms=[{"name": "Demo"}, {"name": "Newsletter"}])["forms"]
    source = connect(portal, forms={named: "demo-request"})
    cursor = begin(source)
    portal.control.clock_advance(5)
    for form in (named, other):
        portal.act("submit_form", form=form, email="a@example.com")
    facts, _ = news(source, cursor)
    assert [one.asset for one in activities(facts)] == ["demo-request"]


def test_emails_and_pages_are_told_with_what_they_were_about(portal, source):
    [contact] = portal.contacts(1)
    cursor = begin(source)
    portal.control.clock_advance(5)
    portal.act("email_event", type="CLICK", email="person0@example.com", campaign="Spring", url="https://x.example/a")
    portal.act("email_event", type="SENT", email="person0@example.com", campaign="Spring")
    portal.act("page_view", contact=contact.id, url="https://x.example/pricing")
    facts, _ = news(source, cursor)
    told = {(one.kind, one.asset, one.identity.id) for one in activities(facts)}
    assert told == {("email.clicked", "Spring", contact.id), ("page.visited", "https://x.example/pricing", contact.id)}


def test_emails_forms_and_pages_carry_the_campaign_that_was_followed(portal, source):
    [contact] = portal.contacts(1)
    cursor = begin(source)
    portal.control.clock_advance(5)
    address = "https://x.example/pricing?utm_source=mail&utm_campaign=Summer%20Fair"
    portal.act("email_event", type="CLICK", email="person0@example.com", campaign="Spring", url="https://x.example/a")
    portal.act("page_view", contact=contact.id, url=address)
    facts, _ = news(source, cursor)
    told = {one.kind: one.attributes.get("campaign") for one in activities(facts)}
    assert told == {"email.clicked": "Spring", "page.visited": "Summer Fair"}


def test_email_events_with_one_id_and_two_moments_are_two(portal, source):
    portal.contacts(1)
    cursor = begin(source)
    portal.control.clock_advance(5)
    for n in range(2):
        at = (NOON + timedelta(seconds=n)).isoformat()
        portal.act("email_event", type="OPEN", email="person0@example.com", campaign="S", id="e1", at=at)
    facts, _ = news(source, cursor)
    assert len({one.key for one in activities(facts)}) == 2


def test_email_events_that_are_known_late_are_found_by_the_sweep(portal, source):
    portal.contacts(1)
    cursor = begin(source)
    at = (NOON - timedelta(minutes=8)).isoformat()
    portal.act("email_event", type="OPEN", email="person0@example.com", campaign="S", at=at)
    told = []
    for _ in range(6):
        portal.control.clock_advance(70)
        facts, cursor = news(source, cursor)
        told += activities(facts)
    assert len(told) == 1


def test_a_backfill_reads_days_one_after_the_other_and_ends(portal, source):
    portal.contacts(1)
    for days in (1, 3, 9):
        at = (NOON - timedelta(days=days)).isoformat()
        portal.act("email_event", type="OPEN", email="person0@example.com", campaign="S", at=at)
    cursor = source.begin(NOON - timedelta(days=5), NOON - timedelta(days=2))
    facts, cursor = news(source, cursor)
    assert [one.at for one in activities(facts)] == [NOON - timedelta(days=3)]
    assert news(source, cursor)[0] == []


def test_a_portal_without_page_events_goes_on_without_them(portal, source, caplog):
    portal.act("set_settings", page_events=False)
    cursor = begin(source)
    portal.control.clock_advance(5)
    portal.act("submit_form", form="demo", email="a@example.com")
    facts, cursor = news(source, cursor)
    assert len(activities(facts)) == 1
    assert "events are left out" in caplog.text
    [problem] = source.check()
    assert not problem.fatal
    assert "no page events" in problem.message
    before = len(portal.paths())
    news(source, cursor)
    assert not any("/events/" in path for path in portal.paths()[before:])


def test_merges_and_deletions_are_told(portal, source):
    one, other, third = portal.contacts(3)
    cursor = begin(source)
    portal.control.clock_advance(5)
    made = portal.act("merge_contacts", primary=one.id, loser=other.id)["id"]
    portal.act("forget_contact", contact=third.id)
    facts, _ = news(source, cursor)
    [merged] = [fact for fact in facts if isinstance(fact, Merged)]
    assert (merged.winner.id, {loser.id for loser in merged.losers}) == (made, {one.id, other.id})
    looked = source.look([Identity("marketing", "contact", third.id)]).facts
    assert [type(fact) for fact in looked] == [Deleted]


# -- both parts in one portal


def test_what_we_write_as_crm_is_neither_an_activity_nor_news(portal):
    source = connect(portal, activities={**ACTIVITIES, "property:hs_lead_status": "status.changed"})
    [contact] = portal.contacts(1)
    portal.control.clock_advance(2)
    cursor = begin(source)
    portal.control.clock_advance(5)
    assert all(isinstance(one, Done) for _, one in portal.crm.apply(both(portal, contact)))
    facts, cursor = news(source, cursor)
    assert facts == []
    portal.control.clock_advance(5)
    portal.act("set_status", contact=contact.id, status="Working", **{"as": portal.rep})
    facts, _ = news(source, cursor)
    [change] = activities(facts)
    assert (change.kind, change.asset, change.attributes["old"]) == ("status.changed", "Working", "MQL")


def test_a_quiet_day_costs_at_most_a_call_a_minute(portal, source):
    portal.control.seed(forms=[{"name": f"Form {n}"} for n in range(5)])
    portal.contacts(20)
    cursor = begin(source)
    before = source.calls()["made"]
    for _ in range(230):  # not ending just after the forms were read: what they cost is made up for afterwards
        portal.control.clock_advance(60)
        _, cursor = news(source, cursor)
    assert source.calls()["made"] - before <= 230


# -- check, and what it does not do


def test_check_names_events_forms_properties_and_lists_that_are_not_there(portal):
    source = connect(
        portal,
        activities={"form_sumbission": "x", "form_submission": "form.submitted", "property:nope": "y"},
        forms={"1234": "demo"},
        fields={"budget": "no_such"},
        lists=[9],
    )
    paths = {problem.path for problem in source.check()}
    assert paths == {
        'sources.marketing.activities."form_sumbission"',
        'sources.marketing.activities."property:nope"',
        "sources.marketing.fields.budget",
        "sources.marketing.forms.1234",
        "sources.marketing.lists",
    }


def test_it_gives_back_by_lists_only(portal, source):
    lead = Identity("marketing", "contact", portal.contacts(1)[0].id)
    campaign = Nurture(key="a", target="marketing", person=1, lead=lead, reason="r", campaign_id=5)
    push = Notify(key="b", target="marketing", person=1, record=None, to=("1",), title="x", body="y")
    nowhere = Nurture(key="c", target="marketing", person=1, lead=lead, reason="r", list_id=404)
    outcomes = dict(source.apply([campaign, push, nowhere]))
    assert all(isinstance(one, Refused) for one in outcomes.values())
    assert "404" in outcomes["c"].why


def test_without_the_scope_for_contacts_the_source_is_down(portal, source):
    portal.control.plant(missing_scopes=["crm.objects.contacts.read"], match={"path": "/contacts/search"})
    with pytest.raises(ConnectorDownError, match=r"crm\.objects\.contacts\.read"):
        list(source.pull(source.begin(NOON)))


def test_who_comes_up_again_is_taken_out_and_a_list_that_is_gone_holds_nobody(portal, source):
    portal.control.seed(lists=[{"id": 77, "name": "Nurture"}])
    leads = [Identity("marketing", "contact", one.id) for one in portal.contacts(2)]
    into = [Nurture(key=one.id, target="marketing", person=1, lead=one, reason="r", list_id=77) for one in leads]
    assert all(isinstance(one, Done) for one in dict(source.apply(into)).values())
    out = replace(into[0], key="out", remove=True)
    for attempt in range(2):
        [(_, outcome)] = source.apply([replace(out, attempt=attempt)])
        assert outcome.receipt.values == {"list": 77}
        assert portal.control.dump()["lists"]["77"]["members"] == [leads[1].id]
    waits = replace(into[0], key="in", depends_on=("out",))
    outcomes = dict(source.apply([waits, out]))
    assert (isinstance(outcomes["in"], Retry), isinstance(outcomes["out"], Done)) == (True, True)
    [(_, gone)] = source.apply([replace(out, list_id=404)])
    assert isinstance(gone, Done)
    assert "no list 404" in gone.receipt.note
