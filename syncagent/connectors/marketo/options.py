"""The table of a Marketo source in the config."""

from typing import Final

from msgspec import Struct

from syncagent.config import Secret, seconds

FIELDS: Final = {
    "first_name": "firstName",
    "last_name": "lastName",
    "email": "email",
    "title": "title",
    "company": "company",
    "industry": "industry",
    "employees": "numberOfEmployees",
    "revenue": "annualRevenue",
    "phone": "phone",
    "website": "website",
    "city": "city",
    "state": "state",
    "postal_code": "postalCode",
    "country": "country",
    "source": "leadSource",
    "unsubscribed": "unsubscribed",
}
"""Ours = Marketo's REST name, for fields that every instance has; the config adds to these and overrides them."""

MAX_BATCH: Final = 300
MAX_TYPES: Final = 10


class ApiBudget(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`calls_per_day`: what this agent may spend in any 24 hours (0: no bound); `limit`: what the whole instance has.

    Marketo does not tell its limit; 50,000 is usual. Source: marketing_automation.md 1.1.
    """

    calls_per_day: int = 0
    limit: int = 50_000
    hot_share: float = 0.3


class Options(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to reach the instance, and which of its words mean what. Raises ValueError with a sentence.

    `activities`: Marketo's activity type (its name) -> our kind; what is not here is not read. `fields`: our name ->
    Marketo's REST name. `crm_ids`: Marketo's field -> "system/Object" whose id it holds. `sweep`: how late after its
    date an activity may be committed and still be found, looked for every `sweep_every`. `pace`: at most so many calls
    in 20 seconds (Adobe asks for 50; 0: no bound). `hook_secret` opens /hooks/NAME for webhooks of flow steps, which
    send it in `hook_header`.
    `lists` and `campaigns` are ids that recycled leads go to: `check` looks for them.
    """

    base_url: str
    client_id: Secret
    client_secret: Secret
    poll: str = "60s"
    activities: dict[str, str] = {}
    fields: dict[str, str] = {}
    crm_ids: dict[str, str] = {}
    sweep: str = "24h"
    sweep_every: str = "24h"
    page_size: int = MAX_BATCH
    pace: int = 50
    api_budget: ApiBudget = ApiBudget()
    lists: tuple[int, ...] = ()
    campaigns: tuple[int, ...] = ()
    hook_secret: Secret | None = None
    hook_header: str = "X-Hook-Secret"

    def __post_init__(self) -> None:
        for text in (self.poll, self.sweep, self.sweep_every):
            seconds(text)
        if not 1 <= self.page_size <= MAX_BATCH:
            raise ValueError(f"page_size is {self.page_size}; Marketo gives 1 to {MAX_BATCH} records a page.")
        for field, place in self.crm_ids.items():
            if place.count("/") != 1 or not all(place.split("/")):
                raise ValueError(f'crm_ids: {field} = "{place}" should look like "salesforce/Lead".')

    def mapped(self) -> dict[str, str]:
        """Our name -> Marketo's, the usual ones and those of the config."""
        return {**FIELDS, **self.fields}
