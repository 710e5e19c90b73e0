"""Signing in at the simulated Salesforce and being thrown out (crm.md A2; Part C, point 6)."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import jwt
import pytest
import requests
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceExpiredSession

from tests.vendor.salesforce_org import Org, serve_org

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def org() -> Iterator[Org]:
    with serve_org() as served:
        yield served


def test_00_signs_in_with_jwt_client_credentials_and_session(org: Org) -> None:
    known = org.known
    by_key = Salesforce(
        username=known["username"],
        consumer_key=known["client_id"],
        privatekey=known["private_key"],
        session=org.session,
    )
    assert by_key.query("SELECT Id FROM Organization")["records"][0]["Id"] == known["organization_id"]
    form = {
        "grant_type": "client_credentials",
        "client_id": known["client_id"],
        "client_secret": known["client_secret"],
    }
    reply = org.session.post(org.url + "/services/oauth2/token", data=form, timeout=5)
    assert reply.status_code == 200
    assert "expires_in" not in reply.json()
    assert reply.json()["instance_url"] == org.url
    assert reply.json()["id"].endswith(known["integration_user_id"])
    form["client_secret"] = "wrong"
    reply = org.session.post(org.url + "/services/oauth2/token", data=form, timeout=5)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_client")


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"sub": "nobody@example.com"}, "invalid_grant"),
        ({"iss": "other"}, "invalid_client_id"),
        ({"aud": "https://example.com"}, "invalid_grant"),
        ({"exp": 1_000_000_000}, "invalid_grant"),
        ({"exp": 4_000_000_000}, "invalid_grant"),
    ],
)
def test_00_jwt_claims_are_verified(org: Org, claims: dict[str, object], error: str) -> None:
    good = {"iss": org.known["client_id"], "sub": org.known["username"], "aud": org.url, "exp": time.time() + 120}
    assert _bearer(org, good, org.known["private_key"]).status_code == 200
    reply = _bearer(org, good | claims, org.known["private_key"])
    assert (reply.status_code, reply.json()["error"]) == (400, error)


def test_00_jwt_signature_is_verified_against_the_registered_key(org: Org) -> None:
    good = {"iss": org.known["client_id"], "sub": org.known["username"], "aud": org.url, "exp": time.time() + 120}
    forged = _bearer(org, good, "s" * 40, "HS256")
    assert forged.json()["error_description"] == "invalid assertion"
    org.control.act("deactivate_user", user=org.known["integration_user_id"])
    assert _bearer(org, good, org.known["private_key"]).json()["error_description"] == "inactive user"


def _bearer(org: Org, claims: dict[str, object], key: str, algorithm: str = "RS256") -> requests.Response:
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": jwt.encode(claims, key, algorithm),
    }
    return org.session.post(org.url + "/services/oauth2/token", data=form, timeout=5)


def test_06_session_ends_in_mid_work_and_again_after_the_refresh(org: Org) -> None:
    ident = org.lead()
    org.control.plant(match={"after": 1}, times=2, expire_session=True)
    assert org.call("GET", f"sobjects/Lead/{ident}").status_code == 200
    reply = org.call("GET", f"sobjects/Lead/{ident}")
    assert reply.status_code == 401
    assert reply.json() == [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]
    form = {
        "grant_type": "client_credentials",
        "client_id": org.known["client_id"],
        "client_secret": org.known["client_secret"],
    }
    for status in (401, 200):
        fresh = org.session.post(org.url + "/services/oauth2/token", data=form, timeout=5).json()["access_token"]
        assert org.call("GET", f"sobjects/Lead/{ident}", Authorization=f"Bearer {fresh}").status_code == status
    with pytest.raises(SalesforceExpiredSession):
        org.sf.restful("limits")


def test_06_a_session_slides_with_its_use_and_then_ends(org: Org) -> None:
    org.control.clock_set(NOON)
    org.known["session_id"] = org.box.credentials("salesforce")["session_id"]
    for _ in range(3):
        org.control.clock_advance(7000)
        assert org.call("GET", "limits").status_code == 200
    org.control.clock_advance(7201)
    assert org.call("GET", "limits").status_code == 401
