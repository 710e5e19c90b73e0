"""HubSpot's users who say that they are out of office, over real HTTP."""

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest

from syncagent.model import CrmUser
from tests.contract.hubspot_portal import NOON

HOUR = timedelta(hours=1)


def at(hours: float) -> datetime:
    return NOON + HOUR * hours


def out(*spans: tuple[float, float]) -> str:
    """Hours after NOON, from and until."""
    both = [
        {"startTimestamp": at(one).timestamp() * 1000, "endTimestamp": at(end).timestamp() * 1000} for one, end in spans
    ]
    return json.dumps(both)


def say(portal, owner, told):
    portal.control.seed(users=[{"hubspot_owner_id": owner, "hs_out_of_office_hours": told}])


def told(crm, since=NOON):
    facts = [fact for page in crm.pull(crm.begin(since)) for fact in page.facts]
    return {one.identity.id: (one.away_from, one.away_until) for one in facts if isinstance(one, CrmUser)}


def test_who_is_out_of_office_is_told_as_the_owner_that_they_are(portal):
    say(portal, portal.rep, out((-1, 5)))
    say(portal, portal.second, "")
    found = told(portal.connect(out_of_office=True))
    assert found[portal.rep] == (at(-1), at(5))
    assert found[portal.second] == (None, None) == found[portal.known["queue_owner_id"]]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        (((-30, -20), (-1, 2)), (-1, 2)),
        (((-30, -20), (4, 9), (24, 30)), (4, 9)),
        (((24, 30), (4, 9)), (4, 9)),
        (((-1, 2), (2, 5), (4, 9)), (-1, 9)),
        (((-30, -20),), None),
        (((5, 4),), None),
    ],
)
def test_of_several_absences_the_one_that_lasts_counts_else_the_next(portal, spans, expected):
    say(portal, portal.rep, out(*spans))
    found = told(portal.connect(out_of_office=True))[portal.rep]
    assert found == ((None, None) if expected is None else (at(expected[0]), at(expected[1])))


@pytest.mark.parametrize(
    "text", ["soon", "{}", "[1]", '[{"startTimestamp": 1}]', '[{"startTimestamp": 1, "endTimestamp": 1e30}]']
)
def test_what_cannot_be_read_is_no_absence_and_is_logged(portal, text, caplog):
    say(portal, portal.rep, text)
    with caplog.at_level(logging.WARNING):
        assert told(portal.connect(out_of_office=True))[portal.rep] == (None, None)
    assert ("cannot be read" in caplog.text) is (text != "{}")


def test_every_user_is_read_however_many_there_are(portal):
    owners = portal.control.seed(
        owners=[{"email": f"o{n}@example.com", "first": "O", "last": str(n)} for n in range(130)]
    )["owners"]
    for owner in owners:
        say(portal, owner, out((1, 2)))
    found = told(portal.connect(out_of_office=True))
    assert all(found[owner] == (at(1), at(2)) for owner in owners)


def test_nobody_is_asked_unless_the_config_does(portal):
    say(portal, portal.rep, out((-1, 5)))
    assert told(portal.crm)[portal.rep] == (None, None)
    assert not [one for one in portal.control.calls() if "/users" in one["path"]]


def test_an_absence_is_heard_of_within_the_hour_and_ends(portal):
    crm = portal.connect(out_of_office=True)
    cursor = list(crm.pull(crm.begin(NOON)))[-1].cursor
    say(portal, portal.rep, out((1, 3)))
    heard = []
    for _ in range(61):
        portal.control.clock_advance(60)
        for page in crm.pull(cursor):
            cursor = page.cursor or cursor
            heard += [
                fact.away_from for fact in page.facts if isinstance(fact, CrmUser) and fact.identity.id == portal.rep
            ]
    assert heard == [at(1)]


def test_an_app_that_may_not_read_users_goes_without_and_check_says_so(portal, caplog):
    say(portal, portal.rep, out((-1, 5)))
    crm = portal.connect(out_of_office=True)
    assert not [one for one in crm.check() if "out_of_office" in one.path]
    portal.control.plant(missing_scopes=["crm.objects.users.read"], times=None, match={"path": "objects/users"})
    found = told(crm)
    assert found[portal.rep] == (None, None) and portal.second in found
    assert "who is out of office is not known" in caplog.text
    [problem] = [one for one in crm.check() if one.path == "crm.out_of_office"]
    assert not problem.fatal and "crm.objects.users.read" in problem.help


def test_times_are_moments_in_utc(portal):
    say(portal, portal.rep, '[{"startTimestamp": 1795435200000, "endTimestamp": 1795521600000}]')
    since, until = told(portal.connect(out_of_office=True))[portal.rep]
    assert (since, until) == (datetime(2026, 11, 23, 12, 0, tzinfo=UTC), datetime(2026, 11, 24, 12, 0, tzinfo=UTC))
