"""`object = "leads"`: a handoff is a lead of Sales Hub beside its contact, made once, and its stage is the answer."""

import re
from datetime import timedelta

import msgspec
import pytest

from syncagent.connectors.hubspot import Options
from syncagent.errors import ConnectorDownError
from syncagent.model import CrmRecord, Deleted, Done, FieldChange, Hint, Identity, Refused, Retry, WriteLead
from tests.contract.hubspot_portal import KEY, NOON, again, until_done
from tests.contract.target import CrmContract
from tests.contract.test_hubspot import PlainWorld, World
from tests.contract.test_hubspot_check import posted, signed
from tests.contract.test_hubspot_reading import begin, changes, handoffs, news, one, ticking

STAGES = [
    {"id": "Open"},
    {"id": "MQL"},
    {"id": "Working"},
    {"id": "Recycled", "closed": True},
    {"id": "Unqualified", "closed": True},
]
CREATE = {"match": {"path": "/leads/batch/create"}}
UPDATE = {"match": {"path": "/leads/batch/update"}}


def with_leads(portal, *, unique):
    portal.control.seed(pipelines={"leads": [{"id": "ours", "label": "Ours", "stages": STAGES}]})
    if unique is not None:
        portal.act("add_property", object="leads", **KEY, hasUniqueValue=unique)
    portal.table["object"] = "leads"
    portal.crm = portal.connect()
    return portal


@pytest.fixture(params=[True, False, None], ids=["unique key", "plain key", "no key"])
def desk(portal, request):
    """A portal with the leads object; our key on leads is unique, or a property like any other, or not there."""
    return with_leads(portal, unique=request.param)


@pytest.fixture
def office(portal):
    return with_leads(portal, unique=True)


def leads(portal, contact=None):
    """The leads that stand, of a contact if one is named."""
    found = [row for row in portal.rows("leads") if not row["archived"]]
    return [row for row in found if contact is None or contact.id in row["associations"]["contacts"]]


def write(portal, contact, **more):
    return portal.write(contact, **{"expects": {"status": None}, "handoff": "1.1", **more})


def handed_off(portal, contact, stage="MQL"):
    """One lead stands for the handoff, in this stage, and the contact has the rest."""
    [lead] = leads(portal, contact)
    given = lead["properties"]
    assert (given["hs_pipeline_stage"], given["hs_pipeline"], given["hubspot_owner_id"]) == (stage, "ours", portal.rep)
    assert given["hs_lead_name"] == "Person 0"
    row = portal.row(contact)
    assert (row["hubspot_owner_id"], float(row["lead_score"])) == (portal.rep, 72.0)
    assert row["hs_lead_status"] == "Open", "the contact's own status is not ours here"
    return lead


# -- making


def test_a_handoff_makes_a_lead_beside_its_contact_and_tells_both_as_one_record(desk):
    [contact] = desk.contacts(1)
    receipt = dict(desk.crm.apply([write(desk, contact)]))["e1:1.1:write"].receipt
    assert (receipt.record, receipt.values["status"], receipt.values["owner"]) == (contact, "MQL", desk.rep)
    assert (receipt.before["status"], receipt.before["owner"]) == (None, None)
    lead = handed_off(desk, contact)
    fact = one(desk.crm.look([contact]).facts, CrmRecord)
    assert (fact.fields["status"], fact.fields["owner"], fact.fields["score"]) == ("MQL", desk.rep, 72)
    assert fact.modified_at == receipt.at
    if "syncagent_key" in lead["properties"]:
        assert lead["properties"]["syncagent_key"] == "e1:1.1:lead"


def test_a_second_revision_moves_the_same_lead_and_the_same_row_costs_no_write(desk):
    [contact] = desk.contacts(1)
    list(desk.crm.apply([write(desk, contact)]))
    second = write(desk, contact, values={"status": "Working", "owner": desk.second}, expects={"status": "MQL"})
    outcome = dict(desk.crm.apply([second]))["e1:1.1:write"]
    assert isinstance(outcome, Done)
    [lead] = leads(desk, contact)
    assert lead["properties"]["hs_pipeline_stage"] == "Working"
    assert lead["properties"]["hubspot_owner_id"] == desk.row(contact)["hubspot_owner_id"] == desk.second
    before = len(desk.paths())
    assert dict(desk.crm.apply([again(second)]))["e1:1.1:write"].receipt.adopted
    assert [path for path in desk.paths()[before:] if not path.endswith("/read")] == []


def test_an_open_lead_that_sales_has_is_kept_and_a_closed_one_is_followed_by_a_new_one(desk):
    opened, closed = desk.contacts(2)
    seeded = [
        {"hs_lead_name": "Theirs", "hs_pipeline_stage": "Open", "associate": {"contacts": [opened.id]}},
        {"hs_lead_name": "Past", "hs_pipeline_stage": "Unqualified", "associate": {"contacts": [closed.id]}},
    ]
    theirs, past = desk.control.seed(leads=seeded)["leads"]
    batch = [
        write(desk, opened, key="e1:1:write", expects={"status": "Open"}),
        write(desk, closed, key="e1:2:write", handoff="2.1", expects={"status": "Unqualified"}),
    ]
    assert all(isinstance(one, Done) for one in dict(desk.crm.apply(batch)).values())
    assert [(row["id"], row["properties"]["hs_pipeline_stage"]) for row in leads(desk, opened)] == [(theirs, "MQL")]
    stages = {row["id"]: row["properties"]["hs_pipeline_stage"] for row in leads(desk, closed)}
    assert stages.pop(past) == "Unqualified"
    assert list(stages.values()) == ["MQL"]


def test_a_new_contact_gets_its_lead_in_the_same_breath(desk):
    more = {"expects": {}, "emails": ("new@example.com",), "create": {"last_name": "New"}}
    batch = [write(desk, None, **more), desk.task(None, depends_on=("e1:1.1:write",))]
    outcomes = dict(desk.crm.apply(batch))
    assert all(isinstance(one, Done) for one in outcomes.values())
    [lead] = leads(desk, outcomes["e1:1.1:write"].receipt.record)
    assert (lead["properties"]["hs_lead_name"], lead["properties"]["hs_pipeline_stage"]) == ("New", "MQL")


def test_a_score_alone_makes_no_lead(desk):
    [contact] = desk.contacts(1)
    assert isinstance(
        dict(desk.crm.apply([write(desk, contact, values={"score": 5}, expects={})]))["e1:1.1:write"], Done
    )
    assert leads(desk) == []


def test_a_stage_that_a_rep_has_moved_is_a_conflict(desk):
    [contact] = desk.contacts(1)
    list(desk.crm.apply([write(desk, contact)]))
    desk.act("edit", object="leads", id=leads(desk)[0]["id"], values={"hs_pipeline_stage": "Working"})
    outcome = dict(desk.crm.apply([write(desk, contact, values={"status": "Open"}, expects={"status": "MQL"})]))
    assert outcome["e1:1.1:write"].kind == "conflict"
    assert leads(desk)[0]["properties"]["hs_pipeline_stage"] == "Working"


def test_a_stage_that_is_not_there_is_refused_and_harms_no_other(desk):
    contacts = desk.contacts(2)
    batch = [write(desk, one, key=f"e1:{n}:write", handoff=f"{n}.1") for n, one in enumerate(contacts)]
    batch[1] = write(desk, contacts[1], key="e1:1:write", handoff="1.1", values={"status": "Nonsense"})
    outcomes = dict(desk.crm.apply(batch))
    assert isinstance(outcomes["e1:0:write"], Done)
    assert isinstance(outcomes["e1:1:write"], Refused)
    assert "status" in outcomes["e1:1:write"].fields
    assert len(leads(desk)) == 1


# -- once


FAULTS = {
    "429": {"status": 429, "body": "{}"},
    "503": {"html": 503},
    "500": {"empty": 500},
    "cut": {"cut": True},
    "never arrived": {"drop": "before"},
    "answer lost": {"drop": "after"},
    "500 after it was done": {"empty": 500, "execute": True},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_broken_creation_leaves_one_lead(desk, fault):
    [contact] = desk.contacts(1)
    desk.control.plant(**fault, **CREATE)
    batch = [write(desk, contact), desk.task(contact, depends_on=("e1:1.1:write",))]
    outcomes, errors = until_done(desk, batch, wait=31)
    assert errors
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())
    handed_off(desk, contact)
    assert len(desk.tasks()) == 1


@pytest.mark.parametrize("drop", ["before", "after"])
def test_another_process_repeats_a_lost_creation_and_makes_no_second_lead(desk, drop):
    [contact] = desk.contacts(1)
    desk.control.plant(drop=drop, **CREATE)
    until_done(desk, [write(desk, contact)], rounds=1)
    outcomes = dict(desk.connect().apply([again(write(desk, contact))]))
    assert isinstance(outcomes["e1:1.1:write"], Done)
    handed_off(desk, contact)


@pytest.mark.parametrize("drop", ["before", "after"])
def test_a_lost_change_of_the_stage_is_repeated(desk, drop):
    [contact] = desk.contacts(1)
    list(desk.crm.apply([write(desk, contact, values={"status": "Open", "owner": desk.rep, "score": 72.0})]))
    desk.control.plant(drop=drop, **UPDATE)
    outcomes, errors = until_done(desk, [write(desk, contact, values={"status": "MQL"}, expects={"status": "Open"})])
    assert len(errors) == 1
    assert isinstance(outcomes["e1:1.1:write"], Done)
    handed_off(desk, contact)


def test_without_a_unique_key_a_lost_creation_is_only_made_again_after_a_while(plain_portal):
    desk = with_leads(plain_portal, unique=False)
    [contact] = desk.contacts(1)
    desk.control.plant(drop="before", **CREATE)
    until_done(desk, [write(desk, contact)], rounds=1)
    outcome = dict(desk.crm.apply([again(write(desk, contact))]))["e1:1.1:write"]
    assert isinstance(outcome, Retry)
    assert 50 < outcome.after <= 60
    assert leads(desk) == []
    desk.control.clock_advance(61)
    assert isinstance(dict(desk.crm.apply([again(write(desk, contact))]))["e1:1.1:write"], Done)
    handed_off(desk, contact)


def test_a_creation_of_another_life_that_comes_through_late_is_found(plain_portal):
    """Nobody remembers when it was sent: the second look comes after a minute, within which the lead appears."""
    desk = with_leads(plain_portal, unique=False)
    [contact] = desk.contacts(1)
    sleep = desk.sleep

    def meanwhile(seconds):
        if seconds > 30:
            late = {"hs_lead_name": "Person 0", "hs_pipeline_stage": "MQL", "hubspot_owner_id": desk.rep}
            desk.control.seed(leads=[{**late, "syncagent_key": "e1:1.1:lead", "associate": {"contacts": [contact.id]}}])
        return sleep(seconds)

    desk.sleep = meanwhile
    outcome = dict(desk.connect().apply([again(write(desk, contact))]))["e1:1.1:write"]
    assert isinstance(outcome, Done)
    assert desk.waits == [60.0]
    handed_off(desk, contact)


def test_a_second_lead_that_a_late_call_has_made_is_archived(plain_portal):
    desk = with_leads(plain_portal, unique=False)
    [contact] = desk.contacts(1)
    list(desk.crm.apply([write(desk, contact)]))
    late = {"hs_lead_name": "Late", "hs_pipeline_stage": "MQL", "syncagent_key": "e1:1.1:lead"}
    desk.control.seed(leads=[{**late, "associate": {"contacts": [contact.id]}}])
    desk.crm.look([contact])
    list(desk.crm.apply([write(desk, contact, values={"score": 72.0}, expects={})]))
    handed_off(desk, contact)


# -- reading


def test_the_stage_that_a_rep_sets_is_their_answer(desk):
    [contact] = desk.contacts(1)
    list(desk.crm.apply([write(desk, contact)]))
    cursor = begin(desk)
    desk.control.clock_advance(10)
    [lead] = leads(desk)
    desk.act("edit", object="leads", id=lead["id"], values={"hs_pipeline_stage": "Working"}, **{"as": desk.second})
    facts, cursor = news(desk, cursor)
    assert changes(facts, "status")[-2:] == [(None, "MQL", desk.crm.me()), ("MQL", "Working", desk.second)]
    fact = one(facts, CrmRecord)
    assert (fact.identity, fact.fields["status"], fact.modified_by) == (contact, "Working", desk.second)
    assert fact.modified_at == NOON + timedelta(seconds=10)
    desk.control.clock_advance(10)
    desk.act("edit", object="leads", id=lead["id"], values={"hubspot_owner_id": desk.second})
    facts, cursor = news(desk, cursor)
    assert one(facts, CrmRecord).fields["owner"] == desk.second
    desk.control.clock_advance(10)
    desk.act("edit", object="contacts", id=contact.id, values={"city": "Bonn"})
    facts, _ = news(desk, cursor)
    assert one(facts, CrmRecord).fields["status"] == "Working", "a change of the contact brings its lead along"


def test_on_a_quiet_day_with_leads_a_change_is_heard_within_four_minutes_at_a_call_a_minute(office):
    [contact] = office.contacts(1)
    list(office.crm.apply([write(office, contact)]))
    cursor = begin(office)
    for _ in range(12):
        office.control.clock_advance(60)
        _, cursor = news(office, cursor)
    before = office.crm.calls()["made"]
    for _ in range(100):
        office.control.clock_advance(60)
        _, cursor = news(office, cursor)
    assert office.crm.calls()["made"] - before <= 100
    office.act("edit", object="leads", id=leads(office)[0]["id"], values={"hs_pipeline_stage": "Working"})
    heard = []
    for minute in range(5):
        facts, cursor = news(office, cursor)
        heard += [minute for fact in facts if isinstance(fact, FieldChange) and fact.new == "Working"]
        office.control.clock_advance(60)
    assert heard
    assert heard[0] <= 4


def test_a_contact_without_a_lead_has_an_empty_status(desk):
    desk.contacts(1)
    facts, _ = news(desk, desk.crm.begin(NOON - timedelta(days=1)))
    assert one(facts, CrmRecord).fields["status"] is None, "read, and empty: it is no record without a status"


def test_a_config_that_turns_to_leads_reads_them_from_where_it_stands(office):
    [contact] = office.contacts(1)
    contacts = office.connect(object="contacts")
    cursor = begin(office, contacts)
    stands = {"hs_lead_name": "Theirs", "hs_pipeline_stage": "Working", "associate": {"contacts": [contact.id]}}
    office.control.seed(leads=[{**stands, "hs_lastmodifieddate": (NOON - timedelta(hours=3)).isoformat()}])
    facts, _ = news(office, cursor)
    assert {fact.fields["status"] for fact in facts if isinstance(fact, CrmRecord)} == {"Working"}


def test_a_notification_about_a_lead_leads_to_its_contact(office):
    secret = {"command": ["echo", "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"]}
    crm = office.connect(signing_secret=secret, public_url="https://hooks.example.com")
    [contact] = office.contacts(1)
    list(crm.apply([write(office, contact)]))
    [lead] = leads(office)
    event = {"subscriptionType": "object.propertyChange", "objectTypeId": "0-136", "objectId": int(lead["id"])}
    [hint] = crm.read(signed(posted({**event, "propertyName": "hs_pipeline_stage"})), NOON).facts
    assert hint == Hint(Identity("hubspot", "lead", lead["id"]))
    facts = crm.look([hint.identity]).facts
    assert one(facts, CrmRecord).identity == contact
    assert not [fact for fact in facts if isinstance(fact, Deleted)]


# -- check


def test_check_is_content_with_a_portal_that_has_leads_and_names_stages_that_are_not_there(office):
    office.table["expect_status"] = ("Open", "MQL", "Working", "Recycled", "Unqualified")
    assert office.connect().check() == []
    problems = office.connect(expect_status=("Open", "Sales Ready")).check()
    assert {one.path for one in problems} == {"crm.status"}
    [fatal] = [one for one in problems if one.fatal]
    assert "'Sales Ready'" in fatal.message
    assert "Open, MQL, Working" in fatal.help


def test_check_says_that_a_lead_is_looked_for_where_its_key_is_not_unique(portal):
    problems = with_leads(portal, unique=None).crm.check()
    assert [(one.path, one.fatal) for one in problems] == [("crm.key_property", False)]
    assert "properties/leads" in problems[0].help


def test_a_portal_without_leads_is_told_by_check_and_puts_the_crm_down(office):
    office.act("set_settings", sales_hub=False)
    [problem] = [one for one in office.connect().check() if one.fatal]
    assert problem.path == "crm.object"
    assert "crm.objects.leads" in problem.help
    assert "Sales Hub" in problem.help
    with pytest.raises(ConnectorDownError, match=r"crm\.objects\.leads"):
        list(office.connect().apply([write(office, office.contacts(1)[0])]))
    contacts = office.connect(object="contacts")
    assert contacts.check() == [], "whoever does without is not told of it"


def test_a_status_property_beside_the_stage_is_refused(office):
    given = {**office.table, "fields": {"status": "hs_lead_status"}, "access_token": None, "part": "crm"}
    with pytest.raises(ValueError, match=r"leave fields\.status out"):
        Options(**{**given, "access_token": office.crm.options.access_token})


# -- the suite of all CRMs


class LeadsWorld(World):
    """As the suite sees it, a lead's stage is the status of its contact."""

    def record(self, email="", status=None, **fields):
        contact = super().record(email, **fields)
        if status is not None:
            self.edit(contact, status=status)
        return contact

    def _lead(self, contact):
        return next(iter(leads(self.portal, contact)), None)

    def values(self, identity):
        lead = self._lead(identity)
        stands = {"status": lead and lead["properties"]["hs_pipeline_stage"]}
        return {**super().values(identity), **stands}

    def edit(self, identity, **fields):
        status, lead = fields.pop("status", None), self._lead(identity)
        if status and lead:
            values = {"hs_pipeline_stage": status}
            self.portal.act("edit", object="leads", id=lead["id"], values=values)
        elif status:
            made = {"hs_lead_name": "Person", "hs_pipeline_stage": status, "associate": {"contacts": [identity.id]}}
            self.portal.control.seed(leads=[made])
        if fields:
            super().edit(identity, **fields)


class TestHubSpotLeads(CrmContract):
    @pytest.fixture
    def world(self, office):
        return LeadsWorld(office, reading=False)


class PlainLeadsWorld(LeadsWorld):
    can = PlainWorld.can


class TestHubSpotLeadsWithoutUniqueKeys(CrmContract):
    @pytest.fixture
    def world(self, plain_portal):
        return PlainLeadsWorld(with_leads(plain_portal, unique=False), reading=False)


def test_the_task_hangs_on_the_lead_too_and_a_lead_that_has_gone_holds_up_no_task(desk):
    one_, other = desk.contacts(2)
    batch = [write(desk, one_), desk.task(one_, depends_on=("e1:1.1:write",))]
    assert all(isinstance(outcome, Done) for _, outcome in desk.crm.apply(batch))
    [lead] = leads(desk, one_)
    [task] = desk.tasks()
    assert (task["associations"]["contacts"], task["associations"]["leads"]) == ([one_.id], [lead["id"]])
    list(desk.crm.apply([write(desk, other, key="e1:2:write", handoff="2.1")]))
    desk.act("delete", object="leads", id=leads(desk, other)[0]["id"])
    outcome = dict(desk.crm.apply([desk.task(other, key="e1:2:task")]))["e1:2:task"]
    assert outcome.kind == "conflict"
    list(desk.crm.pull(desk.crm.begin(NOON)))
    assert isinstance(dict(desk.crm.apply([desk.task(other, key="e1:2:task", attempt=1)]))["e1:2:task"], Done)


def test_a_thousand_handoffs_as_leads_cost_at_most_seventy_five_calls_with_everything_counted(office):
    """One more object: 41 calls to read and write, and what its reading back costs."""
    contacts, batch = handoffs(office, 1000)
    batch = [
        msgspec.structs.replace(one, expects={}, handoff=f"{n}.1") if isinstance(one, WriteLead) else one
        for n, one in enumerate(batch)
    ]
    cursor = begin(office)
    ticking(office, office.crm)
    before = office.crm.calls()["made"]
    office.control.clock_advance(60)
    _, cursor = news(office, cursor)
    assert all(isinstance(outcome, Done) for _, outcome in office.crm.apply(batch))
    told = {}
    for n, step in enumerate((5, 5, 60, *[5] * 20)):
        office.control.clock_advance(step)
        facts, cursor = news(office, cursor)
        told |= {fact.identity: fact.fields["status"] for fact in facts if isinstance(fact, CrmRecord)}
        assert n != 2 or office.crm.calls()["made"] - before <= 75
    assert told == dict.fromkeys(contacts, "MQL"), "each is looked at by and by"


def test_three_hundred_handoffs_as_leads_are_written_by_the_hundred(office):
    contacts = office.contacts(300)
    batch = [write(office, one, key=f"e1:{n}:write", handoff=f"{n}.1") for n, one in enumerate(contacts)]
    office.control.clear_calls()
    assert all(isinstance(outcome, Done) for _, outcome in office.crm.apply(batch))
    assert len(leads(office)) == 300
    made = [path for path in office.paths() if re.search(r"/batch/(create|update)$", path)]
    assert len(made) == 6
