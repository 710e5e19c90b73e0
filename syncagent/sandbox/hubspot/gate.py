"""Who may call and how often: tokens, the ten-second, search and daily limits, and the headers that tell of them.

Source: crm.md B1, B8; marketing_automation.md 4.1. All tokens are invented.
"""

import secrets
import time
from collections import deque
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from syncagent.sandbox.hubspot.portal import Portal
from syncagent.sandbox.hubspot.refusal import RefusedError

PRIVATE_TOKEN: Final = "pat-na1-5a9d2c1e-1111-4222-8333-9d0c5f4f1c2a"  # noqa: S105 - invented, and shown to everybody
CLIENT_ID: Final = "7fff1e36-2d40-4ae1-bbb1-5266d59564fb"
CLIENT_SECRET: Final = "sandbox-hubspot-secret"  # noqa: S105 - as above
REFRESH_TOKEN: Final = "na1-sandbox-refresh-token"  # noqa: S105 - as above
LIFE: Final = 1_800
SCOPES: Final = ["oauth", "crm.objects.contacts.read", "crm.objects.contacts.write", "crm.objects.owners.read"]
WINDOW: Final = 10.0
SECONDLY: Final = 10  # the legacy header says ten a second; nobody refuses by it


class Gate:
    """Tokens and tallies of one portal."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._tokens: dict[str, datetime] = {}
        self._dead: set[str] = set()
        self._recent: dict[bool, deque[float]] = {True: deque(), False: deque()}
        self._searches: deque[float] = deque()
        self._day = ""
        self.used = 0

    def refresh(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Answer POST /oauth/v1/token: status and body."""
        if form.get("grant_type") != "refresh_token":
            return 400, {"status": "BAD_GRANT_TYPE", "message": "missing or unknown grant type"}
        if form.get("client_id") != CLIENT_ID:
            return 400, {"status": "BAD_CLIENT_ID", "message": "missing or unknown client id"}
        if form.get("client_secret") != CLIENT_SECRET:
            return 400, {"status": "BAD_CLIENT_SECRET", "message": "missing or invalid client secret"}
        if form.get("refresh_token") != REFRESH_TOKEN:
            return 400, {"status": "BAD_REFRESH_TOKEN", "message": "missing or unknown refresh token"}
        token = "CO" + secrets.token_urlsafe(40)
        self._tokens[token] = self._portal.now() + timedelta(seconds=LIFE)
        told = {"token_type": "bearer", "refresh_token": REFRESH_TOKEN, "access_token": token, "expires_in": LIFE}
        return 200, told

    def describe(self, token: str) -> dict[str, Any] | None:
        """What GET /oauth/v1/access-tokens/{token} tells, None for an unknown one."""
        ends = self._tokens.get(token)
        if ends is None:
            return None
        left = int((ends - self._portal.now()).total_seconds())
        settings = self._portal.settings
        return {
            "token": token,
            "user": "integration@example.com",
            "hub_id": settings.portal_id,
            "app_id": settings.app_id,
            "expires_in": left,
            "token_type": "access",
            "scopes": SCOPES,
        }

    def introspect(self, form: dict[str, str]) -> dict[str, Any]:
        """What POST /oauth/v3/token/introspect tells of a token; without "active" it is a refusal."""
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return {"status": "error", "message": "missing or unknown client"}
        known = self.describe(form.get("token", ""))
        if known is None:
            return {"status": "error", "category": "VALIDATION_ERROR", "message": "Token is invalid"}
        return {**known, "active": known["expires_in"] > 0, "token_use": "access_token", "client_id": CLIENT_ID}

    def private_app(self, body: bytes) -> dict[str, Any] | None:
        """What POST /oauth/v2/private-apps/get/access-token-info {"tokenKey"} tells of the private app's token."""
        try:
            token = msgspec.json.decode(body, type=dict[str, str]).get("tokenKey")
        except (ValueError, msgspec.ValidationError):
            return None
        if token != PRIVATE_TOKEN or token in self._dead:
            return None
        settings = self._portal.settings
        return {"userId": 9_000_000, "hubId": settings.portal_id, "appId": settings.app_id, "scopes": SCOPES}

    def end(self, token: str | None = None) -> None:
        """End an access token at once; without one all OAuth tokens."""
        for each in list(self._tokens) if token is None else [token]:
            if self._tokens.pop(each, None) is None:
                self._dead.add(each)

    def revive(self) -> None:
        """The private app's token holds again."""
        self._dead.clear()

    def check_token(self, token: str) -> bool:
        """Whether it is an OAuth token; 401 for one that does not hold."""
        if token == PRIVATE_TOKEN and token not in self._dead:
            return False
        ends = self._tokens.get(token)
        if ends is None:
            told = "Authentication credentials not found. This API supports OAuth 2.0 authentication."
            raise RefusedError(401, "INVALID_AUTHENTICATION", told)
        ago = (self._portal.now() - ends).total_seconds()
        if ago >= 0:
            told = f"The OAuth token used to make this call expired {int(ago)} second(s) ago."
            raise RefusedError(401, "EXPIRED_AUTHENTICATION", told)
        return True

    def count(self, *, oauth: bool, search: bool) -> dict[str, str]:
        """Count a call; the headers to answer with. 429 when there are too many.

        The search bucket is its own: a search is not counted in the ten seconds, and its answers carry no headers of
        them.
        """
        settings = self._portal.settings
        self._turn_the_day()
        if self.used >= settings.daily_limit:
            raise self.refusal("daily")
        moment = self._moment()
        bucket, width = (self._searches, 1.0) if search else (self._recent[oauth], WINDOW)
        while bucket and not moment - width < bucket[0] <= moment:
            bucket.popleft()
        most = settings.search_limit if search else settings.oauth_burst_limit if oauth else settings.burst_limit
        if settings.limits_clock != "off" and len(bucket) >= most:
            raise self.refusal("search" if search else "burst", retry_after=width - (moment - bucket[0]))
        bucket.append(moment)
        self.used += 1
        headers = {}
        if not search:
            secondly = sum(1 for each in bucket if each > moment - 1)
            headers = {
                "X-HubSpot-RateLimit-Interval-Milliseconds": str(int(WINDOW * 1000)),
                "X-HubSpot-RateLimit-Max": str(most),
                "X-HubSpot-RateLimit-Remaining": str(max(0, most - len(bucket))),
                "X-HubSpot-RateLimit-Secondly": str(SECONDLY),
                "X-HubSpot-RateLimit-Secondly-Remaining": str(max(0, SECONDLY - secondly)),
            }
        if not oauth and (not search or self.used % 2):  # recorded: about half of the searches tell of the day
            headers["X-HubSpot-RateLimit-Daily"] = str(settings.daily_limit)
            headers["X-HubSpot-RateLimit-Daily-Remaining"] = str(max(0, settings.daily_limit - self.used))
        return headers

    def refusal(self, kind: str, retry_after: float = 1.0) -> RefusedError:
        """The 429 of the "search", "burst" or "daily" limit."""
        header = {"Retry-After": str(max(1, round(retry_after)))} if self._portal.settings.retry_after else {}
        if kind == "search":
            return RefusedError(429, "RATE_LIMITS", "You have reached your secondly limit.", headers=header)
        named = "daily" if kind == "daily" else "ten_secondly_rolling"
        more = {
            "errorType": "RATE_LIMIT",
            "policyName": named.upper(),
            "groupName": f"publicapi:private-apps-api-calls:{self._portal.settings.app_id}",
        }
        return RefusedError(429, "", f"You have reached your {named} limit.", more=more, headers=header)

    def usage(self) -> dict[str, Any]:
        """What account-info tells of today's calls."""
        self._turn_the_day()
        now = self._portal.now().astimezone(ZoneInfo(self._portal.settings.time_zone))
        midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        limit = self._portal.settings.daily_limit
        told = {"name": "private-apps-api-calls-daily", "usageLimit": limit, "currentUsage": self.used}
        stamps = {"collectedAt": now.isoformat(), "resetsAt": midnight.isoformat(), "fetchStatus": "SUCCESS"}
        return {"results": [told | stamps]}

    def _turn_the_day(self) -> None:
        day = self._portal.now().astimezone(ZoneInfo(self._portal.settings.time_zone)).date().isoformat()
        if day != self._day:
            self._day, self.used = day, 0

    def _moment(self) -> float:
        real = self._portal.settings.limits_clock != "sandbox"
        return time.monotonic() if real else self._portal.clock.now().timestamp()
