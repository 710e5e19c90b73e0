"""The objects of a portal, their properties, and the types of the associations between them (crm.md B3, B6).

A property is declared as "name type options": `string` unless another type is given; `ro` cannot be written over the
API, `unique` has hasUniqueValue, `custom` was made by an admin, `a|b|c` are the options of an enumeration.
"""

from dataclasses import dataclass, field
from typing import Any, Final

TYPES: Final = ("string", "number", "date", "datetime", "enumeration", "bool")


@dataclass(slots=True)
class Property:
    """One property of an object; `options` are the values of an enumeration, in their order."""

    name: str
    type: str = "string"
    label: str = ""
    field_type: str = ""
    group: str = ""
    options: list[dict[str, Any]] = field(default_factory=list)
    unique: bool = False
    read_only: bool = False
    custom: bool = False
    archived: bool = False

    def values(self) -> list[str]:
        """The values of the options, in order."""
        return [str(option["value"]) for option in sorted(self.options, key=lambda each: each["displayOrder"])]


@dataclass(slots=True)
class Kind:
    """One object type: `plural` names it in URLs, `required` is checked at creation, `modified` is its stamp."""

    plural: str
    singular: str
    type_id: str
    properties: dict[str, Property]
    defaults: tuple[str, ...]
    required: tuple[str, ...] = ()
    group: str = ""
    created: str = "hs_createdate"
    modified: str = "hs_lastmodifieddate"

    def names(self) -> set[str]:
        """All the ways to name the type in a URL."""
        return {self.plural, self.singular, self.type_id}


def options(values: list[str] | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Options of an enumeration out of bare values or whole options."""
    whole = []
    for place, value in enumerate(values):
        given = value if isinstance(value, dict) else {"value": value}
        label = str(given.get("label") or given["value"])
        whole.append({"label": label, "displayOrder": place, "hidden": False, "description": "", **given})
    return whole


_FIELD_TYPES: Final = {
    "string": "text",
    "number": "number",
    "date": "date",
    "datetime": "date",
    "enumeration": "select",
    "bool": "booleancheckbox",
}


def parse(text: str, group: str) -> Property:
    """A property out of its declaration."""
    name, *words = text.split()
    known = Property(name, label=name.removeprefix("hs_").replace("_", " ").capitalize(), group=group)
    for word in words:
        if word in TYPES:
            known.type = word
        elif word == "ro":
            known.read_only = True
        elif word == "unique":
            known.unique = True
        elif word == "custom":
            known.custom = True
        elif "|" in word:
            known.options = options(word.split("|"))
        else:
            raise ValueError(f"A property is not {word!r}.")
    known.field_type = _FIELD_TYPES[known.type]
    if known.type == "bool" and not known.options:
        known.options = options(["true", "false"])
    return known


LIFECYCLE: Final = (
    "subscriber|lead|marketingqualifiedlead|salesqualifiedlead|opportunity|customer|evangelist|other"  # in this order
)
_LEAD_STATUS: Final = "NEW|OPEN|IN_PROGRESS|OPEN_DEAL|UNQUALIFIED|ATTEMPTED_TO_CONTACT|CONNECTED|BAD_TIMING"
_OWNED: Final = """
hubspot_owner_id
hubspot_owner_assigneddate datetime ro
hs_object_id number ro
hs_merged_object_ids ro
hs_unique_creation_key ro
"""
_PERSON: Final = f"""
email unique
hs_additional_emails ro
firstname
lastname
jobtitle
company
phone
mobilephone
website
address
city
state
zip
country
industry
hs_linkedin_url
lifecyclestage enumeration {LIFECYCLE}
hs_lead_status enumeration {_LEAD_STATUS}
hs_email_optout bool
associatedcompanyid number ro
hs_analytics_source ro
num_conversion_events number ro
recent_conversion_date datetime ro
recent_conversion_event_name ro
createdate datetime ro
lastmodifieddate datetime ro
lead_score number custom
lead_grade custom
mql_date datetime custom
lead_insight custom
recycle_until date custom
recycle_reason enumeration custom bad_timing|no_budget|wrong_person|not_responsive
"""
_COMPANY: Final = f"""
name
domain
website
phone
city
country
industry
numberofemployees number
annualrevenue number
lifecyclestage enumeration {LIFECYCLE}
createdate datetime ro
hs_lastmodifieddate datetime ro
"""
_DEAL: Final = """
dealname
dealstage
pipeline
amount number
closedate datetime
dealtype enumeration newbusiness|existingbusiness
hs_is_closed bool ro
hs_is_closed_won bool ro
hs_is_closed_lost bool ro
closed_lost_reason
closed_won_reason
createdate datetime ro
hs_lastmodifieddate datetime ro
"""
_TASK: Final = """
hs_timestamp datetime
hs_task_subject
hs_task_body
hs_task_status enumeration NOT_STARTED|IN_PROGRESS|WAITING|DEFERRED|COMPLETED
hs_task_priority enumeration NONE|LOW|MEDIUM|HIGH
hs_task_type enumeration TODO|CALL|EMAIL
hs_task_reminders
hs_task_completion_date datetime ro
hs_createdate datetime ro
hs_lastmodifieddate datetime ro
"""
_NOTE: Final = """
hs_timestamp datetime
hs_note_body
hs_attachment_ids
hs_createdate datetime ro
hs_lastmodifieddate datetime ro
"""
_CALL_STATUS: Final = "BUSY|CALLING_CRM_USER|CANCELED|COMPLETED|CONNECTING|FAILED|IN_PROGRESS|NO_ANSWER|QUEUED|RINGING"
_CALL: Final = f"""
hs_timestamp datetime
hs_call_title
hs_call_body
hs_call_direction enumeration INBOUND|OUTBOUND
hs_call_status enumeration {_CALL_STATUS}
hs_call_disposition
hs_object_source ro
hs_createdate datetime ro
hs_lastmodifieddate datetime ro
"""
_EMAIL: Final = """
hs_timestamp datetime
hs_email_subject
hs_email_text
hs_email_direction enumeration EMAIL|INCOMING_EMAIL|FORWARDED_EMAIL
hs_email_status enumeration BOUNCED|FAILED|SCHEDULED|SENDING|SENT
hs_object_source ro
hs_createdate datetime ro
hs_lastmodifieddate datetime ro
"""
_MEETING: Final = """
hs_timestamp datetime
hs_meeting_title
hs_meeting_body
hs_meeting_start_time datetime
hs_meeting_end_time datetime
hs_meeting_outcome enumeration SCHEDULED|COMPLETED|RESCHEDULED|NO_SHOW|CANCELED
hs_object_source ro
hs_createdate datetime ro
hs_lastmodifieddate datetime ro
"""
_LEAD: Final = """
hs_lead_name
hs_lead_type enumeration NEW_BUSINESS|RE_ATTEMPTING|UPSELL
hs_lead_label enumeration HOT|WARM|COLD
hs_pipeline
hs_pipeline_stage
hs_createdate datetime ro
hs_lastmodifieddate datetime ro
"""


_USER: Final = """
hs_email ro
hs_internal_user_id number ro
hs_job_title
hs_availability_status enumeration available|away
hs_standard_time_zone
hs_working_hours
hs_out_of_office_hours
hs_createdate datetime ro
hs_lastmodifieddate datetime ro
"""  # HubSpot's guide to the Users API


def _kind(plural: str, singular: str, type_id: str, group: str, declared: str, defaults: str, required: str) -> Kind:
    known = [parse(line, group) for line in (declared + _OWNED).splitlines() if line]
    made = Kind(plural, singular, type_id, {each.name: each for each in known}, tuple(defaults.split()), group=group)
    made.required = tuple(required.split())
    if "createdate" in made.properties:
        made.created = "createdate"
    if "lastmodifieddate" in made.properties:
        made.modified = "lastmodifieddate"
    return made


def kinds() -> dict[str, Kind]:
    """The object types of a fresh portal by plural name."""
    stamps = "hs_createdate hs_lastmodifieddate hs_object_id"
    person = "createdate email firstname hs_object_id lastmodifieddate lastname"
    made = [
        _kind("contacts", "contact", "0-1", "contactinformation", _PERSON, person, ""),
        _kind(
            "companies",
            "company",
            "0-2",
            "companyinformation",
            _COMPANY,
            "createdate domain hs_lastmodifieddate hs_object_id name",
            "",
        ),
        _kind(
            "deals",
            "deal",
            "0-3",
            "dealinformation",
            _DEAL,
            "amount closedate createdate dealname dealstage hs_lastmodifieddate hs_object_id pipeline",
            "dealname",
        ),
        _kind("tasks", "task", "0-27", "task_information", _TASK, stamps, "hs_timestamp"),
        _kind("notes", "note", "0-46", "note_information", _NOTE, stamps, "hs_timestamp"),
        _kind("calls", "call", "0-48", "call_information", _CALL, stamps, "hs_timestamp"),
        _kind("emails", "email", "0-49", "email_information", _EMAIL, stamps, "hs_timestamp"),
        _kind("meetings", "meeting", "0-47", "meeting_information", _MEETING, stamps, "hs_timestamp"),
        _kind("leads", "lead", "0-136", "lead_information", _LEAD, stamps + " hs_lead_name", "hs_lead_name"),
        _kind("users", "user", "0-115", "userinformation", _USER, stamps, ""),
    ]
    return {each.plural: each for each in made}


# from, to: the type id and, seen from the other side, its inverse. Those of the leads' other side, and of calls,
# emails and meetings, are (memory).
_PAIRS: Final = [
    ("contacts", "companies", 279, 280),
    ("contacts", "companies", 1, 2),
    ("deals", "contacts", 3, 4),
    ("deals", "companies", 341, 342),
    ("deals", "companies", 5, 6),
    ("notes", "companies", 190, 189),
    ("notes", "contacts", 202, 201),
    ("notes", "deals", 214, 213),
    ("tasks", "companies", 192, 191),
    ("tasks", "contacts", 204, 203),
    ("tasks", "deals", 216, 215),
    ("tasks", "leads", 647, 646),
    ("calls", "contacts", 194, 193),
    ("emails", "contacts", 198, 197),
    ("meetings", "contacts", 200, 199),
    ("leads", "contacts", 608, 609),
    ("leads", "contacts", 578, 579),
    ("leads", "deals", 1037, 1036),
]
INVERSE: Final = {
    (one, other, number): back
    for ours, theirs, ahead, behind in _PAIRS
    for one, other, number, back in ((ours, theirs, ahead, behind), (theirs, ours, behind, ahead))
}
PRIMARY: Final = frozenset({1, 2, 5, 6, 578, 579})
UNLABELLED: Final = {
    (one, other): number for one, other, number in reversed(INVERSE) if number not in PRIMARY
}  # the type that the /default/ resources use
