"""The OAuth token endpoint and the sessions that it opens (crm.md A2).

JWT bearer (RS256, really verified against the registered public key or certificate) and client credentials. A token
reply has no `expires_in`; a session slides with its use and ends after `session_seconds` of sandbox time, or when a
fault or an act ends it.
"""

import base64
import binascii
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qs

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from syncagent.sandbox.salesforce.rest import Reply
from syncagent.sandbox.salesforce.world import Row, World

CLIENT_ID: Final = "3MVG9sandbox.consumer.key"
CLIENT_SECRET: Final = "sandbox-consumer-secret"  # noqa: S105  invented, and accepted nowhere else
USERNAME: Final = "integration@example.com"
_JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_AUDIENCES: Final = frozenset({"https://login.salesforce.com", "https://test.salesforce.com"})
_LONGEST: Final = timedelta(minutes=5)


@cache
def key_pair() -> tuple[str, str]:
    """The sandbox's own private and public key, PEM; made once in a process."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


class Sessions:
    """Who is signed in."""

    def __init__(self, world: World, integration: Callable[[], str], organization: Callable[[], str]) -> None:
        self._world = world
        self._integration = integration
        self._organization = organization
        self._open: dict[str, tuple[str, datetime]] = {}
        self.public_key: str | None = None

    def open(self, user: str) -> str:
        """A new access token of that user."""
        token = f"{self._organization()[:15]}!{secrets.token_hex(24)}"
        self._open[token] = (user, self._world.clock.now())
        return token

    def user(self, token: str) -> str | None:
        """The user of a session that is still good; using it keeps it so."""
        user, used = self._open.get(token, (None, self._world.clock.now()))
        if user is None or self._world.clock.now() - used > timedelta(seconds=self._world.settings.session_seconds):
            self._open.pop(token, None)
            return None
        self._open[token] = (user, self._world.clock.now())
        return user

    def close(self, token: str | None = None) -> None:
        """End one session, or all."""
        if token is None:
            self._open.clear()
        else:
            self._open.pop(token, None)

    def token(self, body: bytes, headers: dict[str, str], base_url: str) -> Reply:
        """Answer POST /services/oauth2/token."""
        form = {key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}
        match form.get("grant_type"):
            case grant if grant == _JWT_BEARER:
                found = self._bearer(form.get("assertion", ""), base_url)
            case "client_credentials":
                found = self._client(form, headers)
            case _:
                found = _error("unsupported_grant_type", "grant type not supported")
        if isinstance(found, Reply):
            return found
        if not found.get("IsActive"):
            return _error("invalid_grant", "inactive user")
        reply: dict[str, Any] = {"access_token": self.open(found["Id"]), "scope": "api web", "instance_url": base_url}
        return Reply(200, reply | {"id": self.identity(found["Id"], base_url), "token_type": "Bearer"})

    def identity(self, user: str, base_url: str) -> str:
        """The identity URL of a user."""
        return f"{base_url}/id/{self._organization()}/{user}"

    def _bearer(self, assertion: str, base_url: str) -> Row | Reply:
        try:
            key = _load(self.public_key or key_pair()[1])
            unchecked = {"verify_exp": False, "verify_aud": False}
            claims = jwt.decode(assertion, key, algorithms=["RS256"], options=unchecked)  # type: ignore[arg-type]
        except (jwt.InvalidTokenError, ValueError):
            return _error("invalid_grant", "invalid assertion")
        if claims.get("iss") != CLIENT_ID:
            return _error("invalid_client_id", "client identifier invalid")
        if claims.get("aud") not in _AUDIENCES | {base_url, base_url + "/services/oauth2/token"}:
            return _error("invalid_grant", "audience is invalid")
        # the agent under test may live in the sandbox's time, an unmodified client lives in the machine's
        times = (self._world.clock.now(), datetime.now(UTC))
        ends = datetime.fromtimestamp(float(claims.get("exp", 0)), UTC)
        if not any(now - timedelta(seconds=30) < ends <= now + _LONGEST for now in times):
            return _error("invalid_grant", "expired authorization code")
        users = self._world.tables["User"].rows.values()
        found = next((user for user in users if user.get("Username") == claims.get("sub")), None)
        return found or _error("invalid_grant", "user hasn't approved this consumer")

    def _client(self, form: dict[str, str], headers: dict[str, str]) -> Row | Reply:
        given = (form.get("client_id", ""), form.get("client_secret", ""))
        scheme, _, text = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                name, _, word = base64.b64decode(text, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return _error("invalid_client", "invalid client credentials")
            given = (name, word)
        if given[0] != CLIENT_ID:
            return _error("invalid_client_id", "client identifier invalid")
        if given[1] != CLIENT_SECRET:
            return _error("invalid_client", "invalid client credentials")
        return self._world.tables["User"].rows[self._integration()]


def _load(pem: str) -> Any:  # noqa: ANN401  whatever cryptography makes of it
    if "CERTIFICATE" in pem:
        return x509.load_pem_x509_certificate(pem.encode()).public_key()
    return serialization.load_pem_public_key(pem.encode())


def _error(code: str, text: str) -> Reply:
    return Reply(400, {"error": code, "error_description": text})
