"""The tables `[crm]` and `[sources.NAME]` of a HubSpot portal as this connector reads them, and what is called what."""

import re
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from syncagent.config import Secret, seconds

COMPANY: Final = "company."
"""Before a property of a contact's company, as the config names it."""

CONTACT: Final = {
    "status": "hs_lead_status",
    "owner": "hubspot_owner_id",
    "first_name": "firstname",
    "last_name": "lastname",
    "company": "company",
    "account_owner": "company.hubspot_owner_id",
    "title": "jobtitle",
    "country": "country",
    "email": "email",
    "phone": "phone",
    "website": "website",
    "industry": "industry",
}
"""Ours = HubSpot's, for contacts; the config adds to these and overrides them."""

LEAD_STAGE: Final = "hs_pipeline_stage"
"""Where the status stands with `object = "leads"`: on the contact's lead."""

ACCOUNT: Final = {
    "name": "name",
    "owner": "hubspot_owner_id",
    "website": "website",
    "domain": "domain",
    "phone": "phone",
    "country": "country",
    "industry": "industry",
    "employees": "numberofemployees",
}
"""Ours = HubSpot's, for companies."""

PROFILE: Final = {
    "first_name": "firstname",
    "last_name": "lastname",
    "email": "email",
    "title": "jobtitle",
    "company": "company",
    "industry": "industry",
    "phone": "phone",
    "website": "website",
    "city": "city",
    "state": "state",
    "postal_code": "zip",
    "country": "country",
    "source": "hs_analytics_source",
    "unsubscribed": "hs_email_optout",
}
"""Ours = HubSpot's, for the contacts of a marketing source."""


class ApiBudget(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What this agent may spend: calls in any 24 hours (0: no bound), and the share kept for hot work."""

    calls_per_day: int = 0
    hot_share: float = 0.3


class Options(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to reach the portal and what its properties are called. Raises ValueError with a sentence.

    `part` is filled in by the agent: "crm" for `[crm]`. Log in with `access_token` (private app, service key) or with
    `client_id`, `client_secret` and `refresh_token` (OAuth). `app_id`: the app whose writes are ours; asked for when it
    is not given. `api_version`: "v3", or a dated one like "2026-03".

    `searches`: at most so many in a second, of the five that the whole account has (0: no bound).

    As CRM. `fields`: our name -> the property; "company.PROPERTY" is one of the contact's company, only read.
    `object`: "contacts", whose lead status is the status; or "leads": a handoff is a lead of Sales Hub beside its
    contact, and the stage of that lead is the status. `account_fields`: the same of companies, read as "account.NAME".
    `lifecycle`: a status that we write -> the lifecycle stage written beside it; `lifecycle_keep`: stages that are
    never left. `key_property`: on tasks (and notes) it holds our key. `notes`: whether the brief also stands as a
    note on the timeline. `out_of_office`: who says in HubSpot that they are away gets no leads meanwhile. `index_lag`:
    how long a change may take to be found by search; `overlap`: how late it may come at worst and still be found.
    `late`: how long a call whose answer was lost may still be at work.

    As marketing source. `activities`: HubSpot's event -> our kind: "form_submission", "page_view", "email_click",
    "email_open" ..., or "property:NAME" for changes of a property; what is not here is not read. `forms`: form id ->
    what it is called; empty: all forms. `crm_ids`: a property -> "system/object" whose id it holds
    (`hs_object_id = "hubspot/contact"` when this very portal is the CRM, too). `signing_secret`: the app's client
    secret, for webhooks; `signing_secrets`: several that hold at once, while one takes the other's place;
    `public_url`: the address that HubSpot calls, when a proxy stands before us.
    """

    part: Literal["crm", "marketing"] = "marketing"
    base_url: str = "https://api.hubapi.com"
    api_version: str = "v3"
    access_token: Secret | None = None
    client_id: Secret | str = ""
    client_secret: Secret | None = None
    refresh_token: Secret | None = None
    app_id: str = ""
    object: Literal["contacts", "leads"] = "contacts"
    fields: dict[str, str] = {}
    account_fields: dict[str, str] = {}
    lifecycle: dict[str, str] = {}
    lifecycle_keep: tuple[str, ...] = ("customer", "evangelist")
    key_property: str = "syncagent_key"
    notes: bool = False
    out_of_office: bool = False
    api_budget: ApiBudget = ApiBudget()
    poll: str = "60s"
    searches: int = 4
    index_lag: str = "60s"
    overlap: str = "600s"
    late: str = "60s"
    timezone: str = "UTC"
    activities: dict[str, str] = {}
    forms: dict[str, str] = {}
    crm_ids: dict[str, str] = {}
    signing_secret: Secret | None = None
    signing_secrets: tuple[Secret, ...] = ()
    public_url: str = ""
    lists: tuple[int, ...] = ()
    expect_status: tuple[str, ...] = ()
    expect_owners: dict[str, str] = {}

    def __post_init__(self) -> None:
        oauth = (bool(self.client_id), self.client_secret is not None, self.refresh_token is not None)
        if (self.access_token is None) == (not any(oauth)):
            raise ValueError("Give access_token (private app), or client_id, client_secret and refresh_token (OAuth).")
        if any(oauth) and not all(oauth):
            raise ValueError("OAuth needs all of client_id, client_secret and refresh_token.")
        if not re.fullmatch(r"v3|20\d\d-\d\d", self.api_version):
            raise ValueError(f'api_version is "v3" or dated like "2026-03", not {self.api_version!r}.')
        named = (*(one.removeprefix(COMPANY) for one in self.fields.values()), *self.account_fields.values())
        for name in (*named, *self.crm_ids, self.key_property):
            if not re.fullmatch(r"[a-z]\w*", name):
                raise ValueError(f"{name!r} is not the internal name of a property (lower-case letters, digits, _).")
        for name, place in self.crm_ids.items():
            if place.count("/") != 1 or not all(place.split("/")):
                raise ValueError(f'crm_ids: {name} = "{place}" should look like "salesforce/Lead".')
        if self.object == "leads" and "status" in self.fields:
            raise ValueError('With object = "leads" the status is the stage of the lead: leave fields.status out.')
        for text in (self.poll, self.index_lag, self.overlap, self.late):
            seconds(text)
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{self.timezone!r} is not a time zone; write for example Europe/Berlin.") from None

    def names(self) -> dict[str, str]:
        """Our name -> the property, of the records that this part reads."""
        if self.part == "marketing":
            return PROFILE | self.fields
        return CONTACT | ({"status": LEAD_STAGE} if self.object == "leads" else {}) | self.fields
