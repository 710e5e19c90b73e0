"""The table `[crm]` of the config as this connector reads it, and which field is called what."""

import re
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from syncagent.config import Secret, seconds

LEAD: Final = {
    "status": "Status",
    "owner": "OwnerId",
    "first_name": "FirstName",
    "last_name": "LastName",
    "company": "Company",
    "title": "Title",
    "country": "Country",
    "email": "Email",
}
CONTACT: Final = {
    "owner": "OwnerId",
    "first_name": "FirstName",
    "last_name": "LastName",
    "company": "Account.Name",
    "account_owner": "Account.OwnerId",
    "title": "Title",
    "country": "MailingCountry",
    "email": "Email",
}
ACCOUNT: Final = {
    "name": "Name",
    "owner": "OwnerId",
    "website": "Website",
    "phone": "Phone",
    "country": "BillingCountry",
    "industry": "Industry",
    "employees": "NumberOfEmployees",
}


_SUFFIX: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def whole_id(text: str) -> str:
    """A user's or queue's id of 15 characters as the API tells it: with the 3 that say which of them are capitals.

    Anything else is returned as it is. Source: crm.md A1; each of the three stands for five characters, as a binary
    number whose lowest digit is the first of them.
    """
    if not re.fullmatch(r"(?:005|00G)[A-Za-z0-9]{12}", text):
        return text
    fives = (text[start : start + 5] for start in (0, 5, 10))
    return text + "".join(_SUFFIX[sum(one.isupper() << n for n, one in enumerate(five))] for five in fives)


class ApiBudget(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What this agent may spend: calls in any 24 hours (0: no bound), and the share kept for hot work."""

    calls_per_day: int = 0
    hot_share: float = 0.3


class Options(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to reach the org and what its fields are called. Raises ValueError with a sentence.

    Log in with `private_key` (JWT bearer: the PEM; needs `username`; `audience` defaults to what `login_url` implies)
    or with `client_secret` (client credentials; `login_url` is then the org's My Domain). `instance_url` overrides the
    address that the login tells. `fields`: our name -> the API name on leads; `contact_fields` the same for contacts,
    over and above `fields` (`contact_fields = {status = "Contact_Status__c"}` gives contacts a status, written and
    heard as that of leads); `account_fields` those of accounts, read as "account.<our name>". `user_fields`: in which
    users say that they are out: dates or moments (`away_from` and `away_until`, the last day included).
    `deal_currency`: the field of opportunities that names their currency; in an org with several: CurrencyIsoCode.
    `overlap`: how late after its stamp a change may be committed and still be found; `in_flight`: how long a save takes
    at the most as a rule, with the org's flows and triggers: a promise counts as broken so much later. `timezone`: in
    which a task's due moment becomes a date. `expect_status`: what `check` looks for among the statuses;
    `expect_owners`: whom it looks for, what each is in the config ("reps.Ana Silva",
    "crm.queues.Inbound") -> the id; one that ends in ".away" or ".manager" may be inactive (both told by the agent).
    """

    client_id: Secret | str  # the consumer key is a name, not a secret
    login_url: str = "https://login.salesforce.com"
    instance_url: str = ""
    audience: str = ""
    username: str = ""
    private_key: Secret | None = None
    client_secret: Secret | None = None
    api_version: str = "60.0"
    fields: dict[str, str] = {}
    contact_fields: dict[str, str] = {}
    user_fields: dict[str, str] = {}
    account_fields: dict[str, str] = {}
    task_key_field: str = "SyncAgent_Key__c"
    lead_key_field: str = "SyncAgent_Key__c"
    notification_type: str = ""
    deal_currency: str = ""
    api_budget: ApiBudget = ApiBudget()
    poll: str = "60s"
    overlap: str = "600s"
    in_flight: str = "10s"
    timezone: str = "UTC"
    expect_status: tuple[str, ...] = ()
    expect_owners: dict[str, str] = {}

    def __post_init__(self) -> None:
        if (self.private_key is None) == (self.client_secret is None):
            raise ValueError("Give exactly one of private_key (JWT bearer) and client_secret (client credentials).")
        if self.private_key is not None and not self.username:
            raise ValueError("A login with private_key needs the integration user's username.")
        if not re.fullmatch(r"\d+\.0", self.api_version):
            raise ValueError(f'api_version is written like "60.0", not {self.api_version!r}.')
        fields = (*self.fields.values(), *self.contact_fields.values(), *self.account_fields.values())
        more = (self.deal_currency,) if self.deal_currency else ()
        for name in (*fields, *more, *self.user_fields.values(), self.task_key_field, self.lead_key_field):
            if not re.fullmatch(r"[A-Za-z]\w*(?:\.[A-Za-z]\w*)?", name):
                raise ValueError(f"{name!r} is not the API name of a field.")
        if self.user_fields and (unknown := set(self.user_fields) ^ {"away_from", "away_until"}):
            raise ValueError(f"user_fields names away_from and away_until; look at {', '.join(sorted(unknown))}.")
        seconds(self.poll)
        seconds(self.overlap)
        seconds(self.in_flight)
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{self.timezone!r} is not a time zone; write for example Europe/Berlin.") from None

    def names(self, kind: str) -> dict[str, str]:
        """Our name -> the API name, for "Lead", "Contact" or "Account"."""
        if kind == "Account":
            return ACCOUNT | self.account_fields
        return LEAD | self.fields if kind == "Lead" else CONTACT | self.fields | self.contact_fields

    def jwt_audience(self) -> str:
        """Whom the login assertion is for: Salesforce's login host, not My Domain. Source: crm.md A2."""
        if self.audience:
            return self.audience
        host = urlsplit(self.login_url).hostname or ""
        if not host.endswith("salesforce.com"):
            return self.login_url.rstrip("/")
        sandbox = host.startswith("test.") or ".sandbox." in host or "--" in host
        return "https://test.salesforce.com" if sandbox else "https://login.salesforce.com"
