"""An unmodified hubspot-api-client runs against the simulated HubSpot."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hubspot import HubSpot
from hubspot.crm.contacts import ApiException
from hubspot.crm.objects.leads import ApiException as LeadsException
from hubspot.crm.objects.tasks import BatchInputSimplePublicObjectBatchInputForCreate

from syncagent.sandbox import Sandbox
from tests.vendor.hubspot_portal import Portal, serve_portal, task


@pytest.fixture
def portal() -> Iterator[Portal]:
    with serve_portal() as served:
        yield served


def test_contacts_are_created_read_changed_archived(portal: Portal) -> None:
    api = portal.hs.crm.contacts.basic_api
    made = api.create({"properties": {"email": "Jo@Example.com", "firstname": "Jo"}, "associations": []})
    assert (made.properties["email"], made.archived) == ("jo@example.com", False)
    changed = api.update(made.id, {"properties": {"hubspot_owner_id": portal.known["rep_owner_id"]}})
    assert changed.properties["hubspot_owner_id"] == portal.known["rep_owner_id"]
    read = api.get_by_id("jo@example.com", id_property="email", properties=["firstname", "phone"])
    assert (read.id, read.properties["firstname"], read.properties["phone"]) == (made.id, "Jo", None)
    with pytest.raises(ApiException) as conflict:
        api.create({"properties": {"email": "jo@example.com"}, "associations": []})
    assert conflict.value.status == 409
    assert f"Existing ID: {made.id}" in conflict.value.body
    api.archive(made.id)
    with pytest.raises(ApiException) as gone:
        api.get_by_id(made.id)
    assert gone.value.status == 404
    assert api.get_by_id(made.id, archived=True).archived is True


def test_tasks_are_created_with_their_association_and_a_207_is_no_exception(portal: Portal) -> None:
    [contact] = portal.contacts()
    inputs = [task(contact, "good"), task(contact, "bad", hs_task_priority="URGENT")]
    batch = BatchInputSimplePublicObjectBatchInputForCreate(inputs=inputs)
    reply = portal.hs.crm.objects.tasks.batch_api.create(batch)
    assert type(reply).__name__ == "BatchResponseSimplePublicObjectWithErrors"
    assert [row.object_write_trace_id for row in reply.results] == ["good"]
    assert (reply.num_errors, reply.errors[0].context) == (1, {"objectWriteTraceId": ["bad"]})
    near = portal.hs.crm.associations.v4.basic_api.get_page("contacts", contact, "tasks").results
    assert [(row.to_object_id, row.association_types[0].type_id) for row in near] == [(reply.results[0].id, 203)]


def test_search_owners_properties_pipelines_history(portal: Portal) -> None:
    [contact] = portal.contacts(hs_lead_status="NEW")
    portal.control.act("set_status", contact=contact, status="OPEN")
    wish = {
        "filterGroups": [{"filters": [{"propertyName": "email", "operator": "EQ", "value": "person0@example.com"}]}]
    }
    assert [row.id for row in portal.hs.crm.contacts.search_api.do_search(wish).results] == [contact]
    owners = portal.hs.crm.owners.owners_api.get_page().results
    assert {owner.id for owner in owners} >= {portal.known["rep_owner_id"], portal.known["queue_owner_id"]}
    wish = {
        "name": "syncagent_key",
        "label": "Key",
        "type": "string",
        "fieldType": "text",
        "groupName": "task_information",
    }
    made = portal.hs.crm.properties.core_api.create("tasks", wish | {"hasUniqueValue": True})
    assert (made.has_unique_value, made.hubspot_defined) == (True, False)
    stages = portal.hs.crm.pipelines.pipelines_api.get_all("deals").results[0].stages
    assert {stage.metadata["isClosed"] for stage in stages} == {"true", "false"}
    read = portal.hs.crm.contacts.basic_api.get_by_id(contact, properties_with_history=["hs_lead_status"])
    rep = next(owner for owner in owners if owner.id == portal.known["rep_owner_id"])
    newest, oldest = read.properties_with_history["hs_lead_status"]
    assert (newest.value, newest.source_type, newest.updated_by_user_id) == ("OPEN", "CRM_UI", rep.user_id)
    assert (oldest.value, oldest.source_type) == ("NEW", "IMPORT")


def test_config_names_files_for_its_secrets_and_what_the_portal_has(portal: Portal, tmp_path: Path) -> None:
    config = tomllib.loads(portal.box.config(tmp_path))
    crm, source = config["crm"], config["sources"]["hubspot_marketing"]
    assert (crm["type"], crm["base_url"], source["type"]) == ("hubspot", portal.url, "hubspot")
    token = Path(crm["access_token"]["file"])
    assert (token.stat().st_mode & 0o777, token.read_text()) == (0o600, portal.known["token"])
    assert Path(source["signing_secret"]["file"]).read_text() == portal.known["client_secret"]
    known = {each.name: each for each in portal.hs.crm.properties.core_api.get_all("contacts").results}
    assert set(crm["fields"].values()) <= set(known)
    mapped = [crm["status"]["mql"], *(one for each in crm["status"].values() if each != "OPEN" for one in each)]
    assert sorted(mapped) == sorted(option.value for option in known["hs_lead_status"].options)
    owners = {owner.id for owner in portal.hs.crm.owners.owners_api.get_page().results}
    assert {rep["crm_id"] for rep in config["reps"]} | {config["team"]["manager"]} <= owners
    assert portal.hs.crm.properties.core_api.get_by_name("tasks", "syncagent_key").has_unique_value
    portal.box.config(tmp_path)
    nurture = config["recycle"]["nurture"]
    assert nurture["source"] == "hubspot_marketing"
    assert portal.hs.crm.lists.lists_api.get_by_id(str(nurture["list"])).list.name == "Nurture"


@pytest.mark.parametrize(
    ("systems", "crm", "sources", "nurture"),
    [
        (["hubspot", "marketo"], "hubspot", {"marketo"}, "marketo"),
        (["hubspot", "salesforce"], "salesforce", {"hubspot"}, "hubspot"),
        (["marketo", "salesforce", "hubspot"], "salesforce", {"marketo", "hubspot"}, "marketo"),
    ],
)
def test_hubspot_plays_the_part_that_is_free(
    tmp_path: Path, systems: list[str], crm: str, sources: set[str], nurture: str
) -> None:
    with Sandbox(systems) as box:
        config = tomllib.loads(box.config(tmp_path))
    assert (config["crm"]["type"], set(config["sources"])) == (crm, sources)
    assert config["recycle"]["nurture"]["source"] == nurture


def test_the_rest_of_the_client_with_its_own_validation_on(portal: Portal) -> None:
    hs = HubSpot(access_token=portal.known["token"], host=portal.url)
    one, two, three = portal.contacts(3)
    portal.control.act("page_view", contact=one)
    portal.control.act("submit_form", form="demo", email="person0@example.com")
    assert [
        each.object_id for each in hs.events.events_api.get_page(object_type="contact", object_id=int(one)).results
    ] == [one]
    assert [each.name for each in hs.marketing.forms.forms_api.get_page().results] == ["demo"]
    credentials = {name: portal.known[name] for name in ("client_id", "client_secret", "refresh_token")}
    token = hs.oauth.tokens_api.create(grant_type="refresh_token", **credentials)
    assert hs.oauth.access_tokens_api.get(token.access_token).hub_id == int(portal.known["portal_id"])
    upserted = hs.crm.contacts.batch_api.upsert(
        {"inputs": [{"id": "person1@example.com", "idProperty": "email", "properties": {"city": "Rome"}}]}
    )
    assert [(row.id, row.new) for row in upserted.results] == [(two, False)]
    assert hs.crm.contacts.basic_api.merge({"primaryObjectId": one, "objectIdToMerge": two}).id not in (one, two)
    hs.crm.contacts.basic_api.purge({"objectId": three})
    assert len(hs.crm.contacts.get_all()) == 1
    assert hs.crm.owners.owners_api.get_by_id(int(portal.known["rep_owner_id"])).email == "ana.silva@example.com"
    assert hs.crm.pipelines.pipeline_stages_api.get_all("deals", "default").results
    assert hs.crm.properties.groups_api.get_all("tasks").results[0].name == "task_information"


def test_leads_hang_on_a_contact_from_their_creation_and_stand_in_a_pipeline(portal: Portal) -> None:
    [contact] = portal.contacts()
    api = portal.hs.crm.objects.leads
    near = [{"to": {"id": contact}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 578}]}]
    lead = {"hs_lead_name": "Jo", "hs_pipeline_stage": "connected-stage-id"}
    made = api.basic_api.create({"properties": lead, "associations": near})
    read = api.basic_api.get_by_id(made.id, properties=["hs_pipeline", "hs_pipeline_stage"])
    assert read.properties["hs_pipeline"] == "lead-pipeline-id"
    linked = portal.hs.crm.associations.v4.basic_api.get_page("contacts", contact, "leads").results
    assert [row.to_object_id for row in linked] == [made.id]
    for wrong in ({"properties": lead, "associations": []}, {"properties": {}, "associations": near}):
        with pytest.raises(LeadsException) as refused:
            api.basic_api.create(wrong)
        assert refused.value.status == 400
    stages = portal.hs.crm.pipelines.pipelines_api.get_all("leads").results[0].stages
    assert {stage.metadata["isClosed"] for stage in stages} == {"true", "false"}
    portal.control.act("set_settings", sales_hub=False)
    with pytest.raises(LeadsException) as denied:
        api.basic_api.get_by_id(made.id)
    assert (denied.value.status, "crm.objects.leads.read" in denied.value.body) == (403, True)


def test_calls_emails_and_meetings_are_objects_of_their_own_with_their_associations(portal: Portal) -> None:
    [contact] = portal.contacts()
    for kind, number in (("calls", 194), ("emails", 198), ("meetings", 200)):
        api = getattr(portal.hs.crm.objects, kind)
        types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": number}]
        given = {
            "properties": {"hs_timestamp": "2026-11-22T10:00:00Z"},
            "associations": [{"to": {"id": contact}, "types": types}],
        }
        made = api.basic_api.create(given)
        logged = portal.control.act("log", object=kind, contact=contact)["id"]
        portal.control.act("settle_index")
        stamps = {
            "sorts": [{"propertyName": "hs_createdate", "direction": "ASCENDING"}],
            "properties": ["hs_object_source"],
        }
        found = api.search_api.do_search({"filterGroups": [], **stamps}).results
        assert [(row.id, row.properties["hs_object_source"]) for row in found] == [
            (made.id, "INTEGRATION"),
            (logged, "CRM_UI"),
        ]
        linked = portal.hs.crm.associations.v4.basic_api.get_page(kind, logged, "contacts").results
        assert [row.to_object_id for row in linked] == [contact]


def test_the_first_company_of_a_contact_is_its_primary_one(portal: Portal) -> None:
    [contact] = portal.contacts()
    first, second = portal.control.seed(companies=[{"name": "One"}, {"name": "Two"}])["companies"]
    api = portal.hs.crm.associations.v4.basic_api

    def primary() -> str | None:
        read = portal.hs.crm.contacts.basic_api.get_by_id(contact, properties=["associatedcompanyid"])
        return read.properties["associatedcompanyid"]

    assert primary() is None
    api.create_default("contacts", contact, "companies", first)
    api.create_default("contacts", contact, "companies", second)
    assert primary() == first
    api.create(
        "contacts", contact, "companies", second, [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 1}]
    )
    assert primary() == second
    api.archive("contacts", contact, "companies", second)
    assert primary() is None


def test_a_token_tells_its_app_to_whoever_knows_the_client(portal: Portal) -> None:
    token = portal.hs.oauth.tokens_api.create(
        grant_type="refresh_token",
        refresh_token=portal.known["refresh_token"],
        client_id=portal.known["client_id"],
        client_secret=portal.known["client_secret"],
    ).access_token
    form = {"client_id": portal.known["client_id"], "client_secret": portal.known["client_secret"], "token": token}
    url = f"{portal.url}/oauth/v3/token/introspect"
    told = portal.session.post(url, data=form, timeout=5).json()
    assert (told["active"], str(told["app_id"])) == (True, portal.known["app_id"])
    for wrong in ({**form, "client_secret": "x"}, {**form, "token": "x"}):
        assert portal.session.post(url, data=wrong, timeout=5).status_code == 400
