"""HubSpot: as the CRM (`crm`), as a source of marketing's facts (`marketing`), or as both in one config.

`portal` calls it, `facts` and `values` know what its rows say, `walk` goes through what has changed; `read`, `write`
and `tasks` are the CRM's work, `feed` and `activity` marketing's.
"""

from syncagent.clock import Clock
from syncagent.connectors.http import Sleep
from syncagent.connectors.hubspot.crm import HubSpotCrm
from syncagent.connectors.hubspot.marketing import HubSpotMarketing
from syncagent.connectors.hubspot.options import ApiBudget, Options

__all__ = ["ApiBudget", "HubSpotCrm", "HubSpotMarketing", "Options", "open"]


def open(  # noqa: A001 - the word of the contract
    name: str, options: Options, *, clock: Clock | None = None, sleep: Sleep | None = None
) -> HubSpotCrm | HubSpotMarketing:
    """The portal in the part that its table gives it; calls nobody yet. `sleep`: True when a stop was heard."""
    if options.part == "marketing":
        return HubSpotMarketing(name, options, clock=clock, sleep=sleep)
    return HubSpotCrm(name, options, clock=clock, sleep=sleep)
