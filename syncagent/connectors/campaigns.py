"""The campaign behind an address: what a person followed, where the vendor itself names none."""

import re
from typing import Final
from urllib.parse import unquote_plus

CAMPAIGN: Final = "campaign"
"""The attribute of an activity that rules' `campaign` asks for."""

_UTM = re.compile(r"(?:^|[?&;])utm_campaign=([^&;#]*)", re.IGNORECASE)


def campaign_in(address: object) -> str:
    """`utm_campaign` of an address or of its query; empty when it names none."""
    found = _UTM.search(address) if isinstance(address, str) and "tm_campaign=" in address.lower() else None
    return unquote_plus(found.group(1)).strip() if found else ""
