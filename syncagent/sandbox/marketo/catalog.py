"""What a Marketo instance knows of itself: its activity types and its lead fields.

Activity type ids are metadata of an instance, read from `/rest/v1/activities/types.json`; those here are the ones
every instance seems to have. Source: marketing_automation.md 1.4 (ids, attributes) and 1.5 (fields).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

FIRST_CUSTOM_TYPE = 100_001
FIRST_CUSTOM_FIELD = 1_001

VISIT, FILL_FORM, CLICK_LINK, SEND, DELIVERED, BOUNCED, UNSUBSCRIBE, OPEN, CLICK = 1, 2, 3, 6, 7, 8, 9, 10, 11
NEW_LEAD, CHANGE_VALUE, CONVERT, CHANGE_SCORE, ADD_TO_LIST, REMOVE_FROM_LIST, SOFT_BOUNCED = 12, 13, 21, 22, 24, 25, 27
MERGE, DELETE, INTERESTING_MOMENT, REQUEST_CAMPAIGN, CHANGE_STATUS, PUSH_LEAD = 32, 37, 46, 47, 104, 145


@dataclass(slots=True)
class ActivityType:
    """One kind of thing that leads do; `attributes` maps a name to its data type and may grow."""

    id: int
    name: str
    primary: tuple[str, str] | None
    attributes: dict[str, str] = field(default_factory=dict)
    description: str = ""

    def described(self) -> dict[str, Any]:
        """This type as types.json gives it."""
        shown: dict[str, Any] = {"id": self.id, "name": self.name, "description": self.description or self.name}
        if self.primary:
            shown["primaryAttribute"] = {"name": self.primary[0], "dataType": self.primary[1]}
        shown["attributes"] = [{"name": name, "dataType": kind} for name, kind in self.attributes.items()]
        return shown


@dataclass(frozen=True, slots=True)
class LeadField:
    """One field of the lead object; `kind` is Marketo's dataType."""

    id: int
    name: str
    title: str
    kind: str = "string"
    length: int | None = None
    read_only: bool = False
    custom: bool = False

    @property
    def searchable(self) -> bool:
        """Whether leads.json takes this field as its filterType."""
        return self.name in SEARCHABLE or (self.custom and self.kind in {"string", "email", "integer"})

    def described(self) -> dict[str, Any]:
        """This field as describe.json gives it."""
        shown: dict[str, Any] = {"id": self.id, "displayName": self.title, "dataType": self.kind}
        if self.length:
            shown["length"] = self.length
        shown["rest"] = {"name": self.name, "readOnly": self.read_only}
        shown["soap"] = {"name": self.title.replace(" ", ""), "readOnly": self.read_only}
        return shown

    def described2(self) -> dict[str, Any]:
        """This field as describe2.json gives it."""
        shown: dict[str, Any] = {"name": self.name, "displayName": self.title, "dataType": self.kind}
        if self.length:
            shown["length"] = self.length
        return shown | {"updateable": not self.read_only, "crmManaged": False}

    def schema(self) -> dict[str, Any]:
        """This field as leads/schema/fields.json gives it."""
        shown: dict[str, Any] = {
            "displayName": self.title,
            "name": self.name,
            "description": None,
            "dataType": self.kind,
        }
        if self.length:
            shown["length"] = self.length
        return shown | {
            "isHidden": False,
            "isHtmlEncodingInEmail": self.kind == "string",
            "isSensitive": False,
            "isCustom": self.custom,
        }


SEARCHABLE = frozenset(
    [
        "id",
        "email",
        "cookies",
        "leadPartitionId",
        "sfdcLeadId",
        "sfdcContactId",
        "sfdcAccountId",
        "sfdcOpptyId",
        "externalSalesPersonId",
        "externalCompanyId",
    ]
)

_WEB = "Client IP Address,Query Parameters,Referrer URL,User Agent"
_MAIL = "Campaign Run ID:integer,Choice Number:integer,Has Predictive:boolean,Step ID:integer,Test Variant:integer"
_CLICK = "Campaign Run ID:integer,Choice Number:integer,Step ID:integer,Test Variant:integer"
_SEEN = "Bot Activity Pattern,Is Bot Activity:boolean,Device,Is Mobile Device:boolean,Platform,User Agent"
_API = "API Method Name,Modifying User,Request Id"

# id, name, primary attribute, attributes (strings where nothing else is said)
_TYPES = (
    (VISIT, "Visit Webpage", "Webpage ID:integer", f"{_WEB},Search Engine,Search Query,Webpage URL"),
    (FILL_FORM, "Fill Out Form", "Webform ID:integer", f"{_WEB},Form Fields:text,Webpage ID:integer"),
    (CLICK_LINK, "Click Link", "Link ID:integer", f"{_WEB},Webpage ID:integer"),
    (SEND, "Send Email", "Mailing ID:integer", _MAIL),
    (DELIVERED, "Email Delivered", "Mailing ID:integer", _MAIL),
    (BOUNCED, "Email Bounced", "Mailing ID:integer", f"{_MAIL},Category,Details,Email,Subcategory"),
    (
        UNSUBSCRIBE,
        "Unsubscribe Email",
        "Mailing ID:integer",
        f"{_WEB},Form Fields:text,Webform ID:integer,Webpage ID:integer",
    ),
    (OPEN, "Open Email", "Mailing ID:integer", f"{_MAIL},{_SEEN}"),
    (CLICK, "Click Email", "Mailing ID:integer", f"{_CLICK},{_SEEN},Is Predictive:boolean,Link,Link ID"),
    (NEW_LEAD, "New Lead", "", f"Created Date:date,Form Name,Lead Source,List Name,SFDC Type,Source Type,{_API}"),
    (CHANGE_VALUE, "Change Data Value", "Attribute Name:string", f"New Value,Old Value,Reason,Source,{_API}"),
    (CONVERT, "Convert Lead", "Account ID:string", "Assigned To,Contact ID,Converted Status,Opportunity ID"),
    (CHANGE_SCORE, "Change Score", "Attribute Name:string", "Change Value,New Value:integer,Old Value:integer,Reason"),
    (ADD_TO_LIST, "Add to List", "List ID:integer", "Source"),
    (REMOVE_FROM_LIST, "Remove from List", "List ID:integer", "Source"),
    (SOFT_BOUNCED, "Email Bounced Soft", "Mailing ID:integer", f"{_MAIL},Category,Details,Email,Subcategory"),
    (
        MERGE,
        "Merge Leads",
        "Lead ID:integer",
        "Master Updated:boolean,Merge IDs:string,Merge Source,Merged in Sales:boolean",
    ),
    (DELETE, "Delete Lead", "Lead ID:integer", f"Remove from CRM:boolean,{_API}"),
    (38, "Send Alert", "Mailing ID:integer", "Alert Type,Send To List"),
    (39, "Send Sales Email", "Artifact ID:integer", "Sent By,Source"),
    (40, "Open Sales Email", "Artifact ID:integer", "Sent By,Source"),
    (41, "Click Sales Email", "Artifact ID:integer", "Link,Sent By,Source"),
    (INTERESTING_MOMENT, "Interesting Moment", "Milestone ID:integer", "Date:datetime,Description,Source,Type"),
    (REQUEST_CAMPAIGN, "Request Campaign", "Campaign ID:integer", "Source"),
    (
        100,
        "Change Lead Partition",
        "Lead Partition ID:integer",
        "New Partition ID:integer,Old Partition ID:integer,Reason",
    ),
    (101, "Change Revenue Stage", "Revenue Model ID:integer", "New Stage,Old Stage,Reason"),
    (
        CHANGE_STATUS,
        "Change Status in Progression",
        "Program ID:integer",
        "New Status,Old Status,Reason,Success:boolean,Program Member ID:integer",
    ),
    (113, "Add to Nurture", "Program ID:integer", "Track ID:integer,Track Name"),
    (114, "Change Nurture Track", "Program ID:integer", "New Track,Old Track"),
    (115, "Change Nurture Cadence", "Program ID:integer", "New Cadence,Old Cadence"),
    (123, "Change Program Member Data", "Program ID:integer", "Attribute Name,New Value,Old Value,Reason,Source"),
    (PUSH_LEAD, "Push Lead to Marketo", "Program ID:integer", "API Method Name,Lead Source,Reason,Source"),
    (155, "Execute Campaign", "Campaign ID:integer", "Qualified:boolean,Used Parent Campaign Token Context:boolean"),
)

# id, name, title, kind, length
_FIELDS = (
    (1, "id", "Id", "integer", None),
    (2, "company", "Company Name", "string", 255),
    (3, "site", "Site", "string", 255),
    (4, "billingCity", "Billing City", "string", 255),
    (5, "billingState", "Billing State", "string", 255),
    (6, "billingCountry", "Billing Country", "string", 255),
    (7, "website", "Website", "url", 255),
    (8, "mainPhone", "Main Phone", "phone", 255),
    (9, "annualRevenue", "Annual Revenue", "currency", None),
    (10, "numberOfEmployees", "Num Employees", "integer", None),
    (11, "industry", "Industry", "string", 255),
    (12, "sicCode", "SIC Code", "string", 40),
    (48, "firstName", "First Name", "string", 255),
    (49, "middleName", "Middle Name", "string", 255),
    (50, "lastName", "Last Name", "string", 255),
    (51, "email", "Email Address", "email", 255),
    (52, "phone", "Phone Number", "phone", 255),
    (53, "mobilePhone", "Mobile Phone Number", "phone", 255),
    (54, "title", "Job Title", "string", 255),
    (55, "department", "Department", "string", 255),
    (56, "address", "Address", "text", 2000),
    (57, "city", "City", "string", 255),
    (58, "state", "State", "string", 255),
    (59, "country", "Country", "string", 255),
    (60, "postalCode", "Postal Code", "string", 255),
    (61, "leadSource", "Lead Source", "string", 255),
    (62, "leadStatus", "Lead Status", "string", 255),
    (63, "leadScore", "Lead Score", "score", None),
    (64, "rating", "Lead Rating", "string", 255),
    (65, "unsubscribed", "Unsubscribed", "boolean", None),
    (66, "unsubscribedReason", "Unsubscribed Reason", "text", 2000),
    (67, "emailInvalid", "Email Invalid", "boolean", None),
    (68, "doNotCall", "Do Not Call", "boolean", None),
    (69, "marketingSuspended", "Marketing Suspended", "boolean", None),
    (70, "blackListed", "Black Listed", "boolean", None),
    (71, "sfdcLeadId", "SFDC Lead Id", "string", 18),
    (72, "sfdcContactId", "SFDC Contact Id", "string", 18),
    (73, "sfdcAccountId", "SFDC Account Id", "string", 18),
    (74, "sfdcLeadOwnerId", "SFDC Lead Owner Id", "string", 18),
    (75, "sfdcType", "SFDC Type", "string", 255),
    (76, "leadPartitionId", "Lead Partition Id", "integer", None),
    (77, "leadRole", "Role", "string", 50),
    (78, "originalSourceType", "Original Source Type", "string", 255),
    (79, "originalReferrer", "Original Referrer", "url", 255),
    (80, "originalSearchEngine", "Original Search Engine", "string", 255),
    (81, "acquisitionProgramId", "Acquisition Program", "integer", None),
    (82, "cookies", "Cookies", "string", 255),
    (83, "isAnonymous", "Is Anonymous", "boolean", None),
    (84, "externalSalesPersonId", "External Sales Person Id", "string", 255),
    (85, "externalCompanyId", "External Company Id", "string", 255),
    (90, "createdAt", "Created At", "datetime", None),
    (91, "updatedAt", "Updated At", "datetime", None),
)

_READ_ONLY = {
    "id",
    "createdAt",
    "updatedAt",
    "cookies",
    "isAnonymous",
    "sfdcLeadId",
    "sfdcContactId",
    "sfdcAccountId",
    "sfdcLeadOwnerId",
    "sfdcType",
}


def _attributes(text: str) -> dict[str, str]:
    return {name: kind or "string" for name, _, kind in (part.partition(":") for part in sorted(text.split(",")))}


class Catalog:
    """The types and fields of one instance, findable by id and by name."""

    def __init__(self) -> None:
        self.types: dict[int, ActivityType] = {}
        self.fields: dict[str, LeadField] = {}
        for number, name, primary, attributes in _TYPES:
            title, _, kind = primary.partition(":")
            self.types[number] = ActivityType(number, name, (title, kind) if primary else None, _attributes(attributes))
        for number, name, title, kind, length in _FIELDS:
            self.fields[name] = LeadField(number, name, title, kind, length, read_only=name in _READ_ONLY)
        self._by_name = {known.name.lower(): known for known in self.types.values()}
        self._by_field_id = {known.id: known for known in self.fields.values()}

    def type(self, wanted: int | str) -> ActivityType:
        """The type with this id or name (case does not matter); raises ValueError that names the known ones."""
        found = (
            self._by_name.get(wanted.lower())
            if isinstance(wanted, str) and not wanted.isdigit()
            else self.types.get(int(wanted))
        )
        if found is None:
            known = ", ".join(sorted(kind.name for kind in self.types.values()))
            raise ValueError(
                f"There is no activity type {wanted!r}. Known are: {known}. Add one with the act add_activity_type."
            )
        return found

    def add_type(
        self,
        name: str,
        number: int | None = None,
        primary: str = "Name",
        attributes: Iterable[str | dict[str, str]] = (),
    ) -> ActivityType:
        """A custom activity type; attributes are names, or {"name", "dataType"}."""
        number = number or max(FIRST_CUSTOM_TYPE - 1, *self.types) + 1
        named = [
            (each, "string") if isinstance(each, str) else (each["name"], each.get("dataType", "string"))
            for each in attributes
        ]
        made = self.types[number] = ActivityType(number, name, (primary, "string"), dict(named))
        self._by_name[name.lower()] = made
        return made

    def add_field(self, name: str, kind: str = "string", title: str = "") -> LeadField:
        """A custom lead field; the one that is there already is kept."""
        if name not in self.fields:
            number = max(FIRST_CUSTOM_FIELD - 1, *self._by_field_id) + 1
            made = LeadField(number, name, title or name, kind, 255 if kind == "string" else None, custom=True)
            self.fields[name] = self._by_field_id[number] = made
        return self.fields[name]

    def field_by_id(self, number: int) -> LeadField | None:
        """The field that activities 13 and 22 mean by their primaryAttributeValueId."""
        return self._by_field_id.get(number)
