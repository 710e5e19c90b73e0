"""The objects and fields of the simulated org, and how `describe` tells them.

Types, lengths and rights follow crm.md A14 (describes of real orgs; Task and Event from the object reference). One line
describes one field:

    Name type[(length)] [flags]

Flags: required; ro (never writable); new (writable at creation only); ext (external id); unique; cs (case sensitive);
idx (the sandbox keeps an index); open (unrestricted picklist); =default (a comma stands for a space);
>Parent,Other:Relation (what a reference points to, and its name in queries).
"""

import re
from dataclasses import dataclass, field, replace
from typing import Any, Final

_SOAP: Final = {
    "boolean": "xsd:boolean",
    "double": "xsd:double",
    "currency": "xsd:double",
    "percent": "xsd:double",
    "int": "xsd:int",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
    "id": "tns:ID",
    "reference": "tns:ID",
}
NUMBERS: Final = frozenset({"double", "currency", "percent", "int"})
PICKLISTS: Final = frozenset({"picklist", "combobox"})


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an object; `values` are a picklist's, `parents` the objects that a reference may point to."""

    name: str
    type: str
    length: int = 0
    required: bool = False
    createable: bool = True
    updateable: bool = True
    default: Any = None
    external: bool = False
    unique: bool = False
    case_sensitive: bool = False
    indexed: bool = False
    restricted: bool = False
    values: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    relation: str = ""
    label: str = ""

    @property
    def title(self) -> str:
        """The label: the given one, else the name in words."""
        if self.label:
            return self.label
        words = self.name.removesuffix("__c").replace("_", " ")
        return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", words).replace(" Id", " ID")

    @property
    def custom(self) -> bool:
        """Whether the admin made it."""
        return self.name.endswith("__c")

    @property
    def filterable(self) -> bool:
        """Long text can be read but not asked for in a WHERE."""
        return self.type != "textarea" or self.length <= 255

    def describe(self, *, editable: bool) -> dict[str, Any]:
        """The field as `describe` shows it to somebody who may (not) edit it."""
        return {
            "name": self.name,
            "label": self.title,
            "type": self.type,
            "soapType": _SOAP.get(self.type, "xsd:string"),
            "length": self.length,
            "createable": self.createable and editable,
            "updateable": self.updateable and editable,
            "nillable": not self.required and self.type != "boolean" and self.name != "Id",
            "defaultedOnCreate": self.default is not None or self.type == "boolean" or self.name in ("Id", "OwnerId"),
            "defaultValue": self.default,
            "externalId": self.external,
            "idLookup": self.external or self.name == "Id",
            "unique": self.unique,
            "caseSensitive": self.case_sensitive,
            "filterable": self.filterable,
            "sortable": self.filterable,
            "custom": self.custom,
            "calculated": False,
            "referenceTo": list(self.parents),
            "relationshipName": self.relation or None,
            "restrictedPicklist": self.restricted,
            "picklistValues": [
                {
                    "active": True,
                    "defaultValue": value == self.default,
                    "label": value,
                    "validFor": None,
                    "value": value,
                }
                for value in self.values
            ],
        }


@dataclass(slots=True)
class ObjectType:
    """One object: its fields by name, in the order of the describe."""

    name: str
    prefix: str
    writable: bool = True
    label: str = ""
    stamp: str = "SystemModstamp"
    fields: dict[str, Field] = field(default_factory=dict)

    def change(self, name: str, **changes: Any) -> Field:  # noqa: ANN401  a Field's own attributes
        """Replace attributes of a field; KeyError when there is none of that name."""
        self.fields[name] = replace(self.fields[name], **changes)
        return self.fields[name]


_SYSTEM: Final = """
    CreatedDate datetime ro
    CreatedById reference ro >User:CreatedBy
    LastModifiedDate datetime ro
    LastModifiedById reference ro >User:LastModifiedBy
    SystemModstamp datetime ro
"""
_PERSON: Final = """
    LastName string(80) required
    FirstName string(40)
    Salutation picklist(40) open
    Name string(121) ro
    Title string(128)
    Phone phone(40)
    MobilePhone phone(40)
    Email email(80) idx
    Description textarea(32000)
    LeadSource picklist(255) open
    HasOptedOutOfEmail boolean =false
    LastActivityDate date ro
"""
_OURS: Final = """
    Lead_Score__c double
    Lead_Grade__c string(20)
    Lead_Insight__c textarea(1000)
    MQL_Date__c datetime
    Recycle_Until__c date
    Recycle_Reason__c picklist(255)
"""
_TEXT: Final = {
    "Lead 00Q": _PERSON
    + """
    MasterRecordId reference ro >Lead:MasterRecord
    Company string(255) required
    Street textarea(255)
    City string(40)
    State string(80)
    PostalCode string(20)
    Country string(80)
    Website url(255)
    Industry picklist(255) open
    Rating picklist(255) open
    AnnualRevenue currency
    NumberOfEmployees int
    Status picklist(255) open
    OwnerId reference >User,Group:Owner
    IsConverted boolean ro =false
    ConvertedDate date ro
    ConvertedAccountId reference ro >Account:ConvertedAccount
    ConvertedContactId reference ro idx >Contact:ConvertedContact
    ConvertedOpportunityId reference ro idx >Opportunity:ConvertedOpportunity
    IsUnreadByOwner boolean =true
    SyncAgent_Key__c string(80) ext unique cs
    """
    + _OURS,
    "Contact 003": _PERSON
    + """
    MasterRecordId reference ro >Contact:MasterRecord
    AccountId reference idx >Account:Account
    Department string(80)
    MailingCity string(40)
    MailingState string(80)
    MailingCountry string(80)
    OwnerId reference >User:Owner
    Contact_Status__c picklist(255) open
    """
    + _OURS,
    "Account 001": """
    MasterRecordId reference ro >Account:MasterRecord
    Name string(255) required
    Type picklist(255) open
    Website url(255)
    Phone phone(40)
    Industry picklist(255) open
    NumberOfEmployees int
    AnnualRevenue currency
    BillingCity string(40)
    BillingState string(80)
    BillingCountry string(80)
    Description textarea(32000)
    OwnerId reference >User:Owner
    """,
    "Opportunity 006": """
    AccountId reference idx >Account:Account
    ContactId reference new idx >Contact:Contact
    Name string(120) required
    StageName picklist(255) required open
    Amount currency
    Probability percent
    CloseDate date required
    Type picklist(255) open
    LeadSource picklist(255) open
    CampaignId reference >Campaign:Campaign
    IsClosed boolean ro =false
    IsWon boolean ro =false
    ForecastCategory picklist(40) ro
    LastStageChangeDate datetime ro
    Description textarea(32000)
    OwnerId reference >User:Owner
    """,
    "OpportunityContactRole 00K": """
    OpportunityId reference required idx >Opportunity:Opportunity
    ContactId reference required idx >Contact:Contact
    Role picklist(255) open
    IsPrimary boolean =false
    """,
    "Task 00T": """
    WhoId reference idx >Contact,Lead:Who
    WhatId reference idx >Account,Opportunity,Campaign:What
    Subject combobox(255) open
    ActivityDate date
    Status picklist(255) open =Not,Started
    Priority picklist(255) open =Normal
    Description textarea(32000)
    Type picklist(255) open
    TaskSubtype picklist(40) new =Task
    IsClosed boolean ro =false
    IsArchived boolean ro =false
    IsRecurrence boolean ro =false
    IsReminderSet boolean =false
    ReminderDateTime datetime
    CompletedDateTime datetime ro
    CallType picklist(40) open
    CallDisposition string(255)
    CallDurationInSeconds int
    AccountId reference ro >Account:Account
    OwnerId reference >User,Group:Owner
    SyncAgent_Key__c string(80) ext unique cs
    """,
    "Event 00U": """
    WhoId reference idx >Contact,Lead:Who
    WhatId reference idx >Account,Opportunity,Campaign:What
    Subject combobox(255) open
    Location string(255)
    StartDateTime datetime
    EndDateTime datetime
    ActivityDateTime datetime
    DurationInMinutes int
    IsAllDayEvent boolean =false
    Description textarea(32000)
    Type picklist(255) open
    EventSubtype picklist(40) new =Event
    IsChild boolean ro =false
    IsGroupEvent boolean ro =false
    IsRecurrence boolean ro =false
    IsArchived boolean ro =false
    AccountId reference ro >Account:Account
    OwnerId reference >User:Owner
    """,
    "Campaign 701": """
    Name string(80) required
    Type picklist(255) open
    Status picklist(255) open
    IsActive boolean =false
    StartDate date
    EndDate date
    OwnerId reference >User:Owner
    """,
    "CampaignMember 00v": """
    CampaignId reference new required idx >Campaign:Campaign
    LeadId reference new idx >Lead:Lead
    ContactId reference new idx >Contact:Contact
    Status picklist(40) open =Sent
    HasResponded boolean ro =false
    FirstRespondedDate date ro
    """,
    "PermissionSet 0PS": """
    Name string(80) required
    Label string(80) required
    """,
    "PermissionSetAssignment 0Pa": """
    PermissionSetId reference new required >PermissionSet:PermissionSet
    AssigneeId reference new required >User:Assignee
    """,
    "FieldPermissions 01k": """
    ParentId reference new required >PermissionSet:Parent
    SobjectType picklist(40) new required open
    Field picklist(255) new required open
    PermissionsRead boolean =false
    PermissionsEdit boolean =false
    """,
    "User 005 ro": """
    Username string(80)
    LastName string(80)
    FirstName string(40)
    Name string(121)
    Email email(128) idx
    Alias string(8)
    Title string(80)
    Phone phone(40)
    IsActive boolean =true
    UserType picklist(40) =Standard
    ManagerId reference >User:Manager
    TimeZoneSidKey picklist(40) =UTC
    Out_From__c datetime
    Out_Until__c date
    """,
    "Group 00G ro": """
    Name string(40)
    DeveloperName string(80)
    Type picklist(40) =Queue
    Email email(255)
    """,
    "GroupMember 011 ro": """
    GroupId reference idx >Group:Group
    UserOrGroupId reference >User,Group:UserOrGroup
    """,
    "QueueSobject 03g ro": """
    QueueId reference idx >Group:Queue
    SobjectType picklist(40) open
    """,
    "LeadStatus 01G ro": """
    MasterLabel string(255)
    ApiName string(255)
    SortOrder int
    IsDefault boolean =false
    IsConverted boolean =false
    """,
    "TaskStatus 01H ro": """
    MasterLabel string(255)
    ApiName string(255)
    SortOrder int
    IsDefault boolean =false
    IsClosed boolean =false
    """,
    "OpportunityStage 01J ro": """
    MasterLabel string(255)
    ApiName string(255)
    SortOrder int
    IsActive boolean =true
    IsClosed boolean =false
    IsWon boolean =false
    DefaultProbability percent
    ForecastCategory picklist(40)
    """,
    "CustomNotificationType 0ML ro": """
    DeveloperName string(80)
    MasterLabel string(80)
    CustomNotifTypeName string(80)
    Desktop boolean =true
    Mobile boolean =false
    """,
    "Organization 00D ro": """
    Name string(80)
    InstanceName string(5)
    IsSandbox boolean =false
    OrganizationType picklist(40)
    TimeZoneSidKey picklist(40) =UTC
    """,
}
_HISTORY: Final = """
    Field picklist(255) ro
    DataType picklist(40) ro
    OldValue string(255) ro
    NewValue string(255) ro
    CreatedById reference ro >User:CreatedBy
    CreatedDate datetime ro
"""
LEAD_STATUSES: Final = ("Open - Not Contacted", "Sales Ready", "Working - Contacted", "Recycled", "Unqualified")
CONVERTED_STATUS: Final = "Closed - Converted"
TASK_STATUSES: Final = ("Not Started", "In Progress", "Completed", "Waiting on someone else", "Deferred")
STAGES: Final = (
    ("Prospecting", 10, "Pipeline"),
    ("Qualification", 20, "Pipeline"),
    ("Proposal/Price Quote", 75, "Best Case"),
    ("Negotiation/Review", 90, "Commit"),
    ("Closed Won", 100, "Closed"),
    ("Closed Lost", 0, "Omitted"),
)
_VALUES: Final = {
    ("Lead", "Status"): (*LEAD_STATUSES, CONVERTED_STATUS),
    ("Lead", "Recycle_Reason__c"): ("No budget", "No need", "Bad timing", "No answer", "Competitor", "Other"),
    ("Contact", "Recycle_Reason__c"): ("No budget", "No need", "Bad timing", "No answer", "Competitor", "Other"),
    ("Contact", "Contact_Status__c"): LEAD_STATUSES,
    ("Task", "Status"): TASK_STATUSES,
    ("Task", "Priority"): ("High", "Normal", "Low"),
    ("Task", "TaskSubtype"): ("Task", "Call", "Email"),
    ("Event", "EventSubtype"): ("Event",),
    ("Opportunity", "StageName"): tuple(stage for stage, _, _ in STAGES),
    ("CampaignMember", "Status"): ("Sent", "Responded"),
}


def parse_field(line: str) -> Field:
    """The field that one line of the notation above describes."""
    name, kind, *flags = line.split()
    plain, _, length = kind.partition("(")
    found = Field(name, plain, int(length.rstrip(")") or 0) if length else (18 if plain == "reference" else 0))
    changes: dict[str, Any] = {
        "restricted": plain in PICKLISTS and "open" not in flags,
        "required": "required" in flags,
    }
    changes |= {"external": "ext" in flags, "unique": "unique" in flags, "case_sensitive": "cs" in flags}
    changes |= {"indexed": "idx" in flags or "ext" in flags}
    changes |= {"createable": "ro" not in flags, "updateable": "ro" not in flags and "new" not in flags}
    for flag in flags:
        if flag.startswith(">"):
            parents, _, relation = flag[1:].partition(":")
            changes |= {"parents": tuple(parents.split(",")), "relation": relation}
        elif flag.startswith("="):
            changes["default"] = {"true": True, "false": False}.get(flag[1:], flag[1:].replace(",", " "))
    return replace(found, **changes)


def build() -> dict[str, ObjectType]:
    """A fresh org's objects, by name."""
    objects = {}
    for head, text in _TEXT.items():
        name, prefix, *flags = head.split()
        built = ObjectType(name, prefix, writable=not flags, label=re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
        built.fields = {"Id": Field("Id", "id", 18, createable=False, updateable=False)}
        built.fields["IsDeleted"] = Field("IsDeleted", "boolean", createable=False, updateable=False, default=False)
        for line in filter(str.strip, (text + _SYSTEM).splitlines()):
            found = parse_field(line)
            built.fields[found.name] = replace(found, values=_VALUES.get((name, found.name), ()))
        objects[name] = built
    for name in ("Lead", "Contact"):
        history = ObjectType(f"{name}History", "017", writable=False, label=f"{name} History", stamp="CreatedDate")
        history.fields = {"Id": objects[name].fields["Id"], "IsDeleted": objects[name].fields["IsDeleted"]}
        lines = [f"{name}Id reference ro idx >{name}:{name}", *filter(str.strip, _HISTORY.splitlines())]
        history.fields |= {found.name: found for found in map(parse_field, lines)}
        objects[history.name] = history
    objects["Lead"].change("Status", default=LEAD_STATUSES[0])
    return objects
