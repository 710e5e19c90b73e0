"""What people ask of a model, by its name: the recipes of docs/scoring.md, read from the page, reckoned by hand."""

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from syncagent.config import parse
from syncagent.handoff import score
from syncagent.handoff.lint import lint
from syncagent.model import AccountView, Activity, Dossier, Identity
from syncagent.policy import Policy
from tests.unit.handoff.worlds import LIVE, NOW, activity, dossier, lead
from tests.unit.test_scoring_config import HANDOFF, REST

PAGE = (Path(__file__).parents[3] / "docs" / "scoring.md").read_text()


def recipes() -> Policy:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    return parse(text + HANDOFF + REST).policy(LIVE)


RECIPES = recipes()


def did(kind: str, *days_ago: float, asset: str = "") -> list[Activity]:
    return [activity(f"{kind}{asset}{ago}", NOW - timedelta(days=ago), kind, asset) for ago in days_ago]


def person(*done: Sequence[Activity], mail: str = "example.com", **known: Any) -> Dossier:
    told = lead(**{"title": None, "email": f"eva@{mail}", **known})
    return dossier(leads=(told,), records=(), activities=tuple(each for some in done for each in some))


def points(facts: Dossier) -> dict[str, float]:
    """Points by rule."""
    return {one.rule: one.points for one in score(facts, RECIPES, NOW).contributions}


def test_the_recipes_are_a_model_in_which_nothing_is_to_be_mended() -> None:
    assert [one for one in lint(RECIPES) if one.level != "advice"] == []


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        ("webinar.attended", "form.submitted", 10),
        ("form.submitted", "webinar.attended", 6),
        ("page.visited", "webinar.attended", None),  # they came by a page; what they did later is no channel
    ],
)
def test_the_channel_by_which_a_person_came_counts(first: str, then: str, expected: float | None) -> None:
    for facts in (person(did(first, 9), did(then, 3)), person(did(then, 3), did(first, 9))):
        assert points(facts).get("channel") == expected


@pytest.mark.parametrize(("count", "expected"), [(0, None), (1, 3), (2, 3), (3, 9), (4, 9), (5, 15), (12, 15)])
def test_download_quantity(count: int, expected: float | None) -> None:
    assert points(person(did("file.downloaded", *range(count)))).get("downloads") == expected


def test_asset_groups_are_worth_what_their_content_is_worth() -> None:
    found = points(person(did("page.visited", 0, asset="/pricing"), did("page.visited", 0, 1, asset="/blog/a")))
    assert (found["solution pages"], found["other pages"]) == (6, pytest.approx(0.6))
    everything = person(
        did("page.visited", 0, asset="/pricing/eu"), did("page.visited", 0, asset="/compare"),
        did("page.visited", 14, asset="/pricing"), did("page.visited", 0, asset="/careers"),
    )  # fmt: skip
    found = points(everything)  # 6 + 6 + half of 6, and no more than its weight of 12; careers are in no group of them
    assert (found["solution pages"], found.get("other pages"), found["careers"]) == (12, None, -2)


@pytest.mark.parametrize(("days", "expected"), [(0, 10), (6.9, 10), (7.1, 5), (29, 5), (31, None)])
def test_recency(days: float, expected: float | None) -> None:
    assert points(person(did("page.visited", days, asset="/blog"))).get("recency") == expected


@pytest.mark.parametrize(("days", "expected"), [(1, None), (59, None), (61, -3), (89, -3), (91, -6), (900, -6)])
def test_inactivity_steps(days: float, expected: float | None) -> None:
    assert points(person(did("form.submitted", days))).get("silence") == expected
    assert "silence" not in points(person()), "who never did anything has not fallen silent"


@pytest.mark.parametrize(
    ("mail", "expected"),
    [
        ("rival.example", -10), ("mail.rival.example", -10), ("mailinator.com", -10), ("cs.univ.edu", -5),
        ("example.com", None),
    ],
)  # fmt: skip
def test_competitors_students_and_disposable_mail(mail: str, expected: float | None) -> None:
    assert points(person(mail=mail)).get("email.domain") == expected


def test_unsubscribes_and_careers_pages() -> None:
    found = points(person(did("email.unsubscribed", 300), did("page.visited", 5, asset="/careers/dev")))
    assert (found["unsubscribed"], found["careers"]) == (-2, -2)


@pytest.mark.parametrize(("engaged", "expected"), [(2, None), (3, 5), (4, 5), (5, 10)])
def test_the_number_of_engaged_people_of_a_company(engaged: int, expected: float | None) -> None:
    assert points(replace(person(), account=AccountView("A1", engaged=engaged))).get("account.engaged") == expected


def test_merged_doubled_and_late_activities_count_once() -> None:
    one, other = did("file.downloaded", 1, 2)
    alone = score(person([one, other]), RECIPES, NOW)
    doubled = score(person([one, other, one, other]), RECIPES, NOW)
    late = score(person([other, one]), RECIPES, NOW)
    assert alone == doubled == late
    assert {each.rule: each.points for each in alone.contributions}["downloads"] == 3
    # one system knew them twice, has merged the two, and tells what they did again under the record that stays
    before = Identity("marketo", "lead", "99")
    again = [replace(each, identity=before, key=f"{each.key}-again") for each in (one, other)]
    merged = replace(person([one, other, *again]), identities=(one.identity, before))
    assert score(merged, RECIPES, NOW).total == alone.total
    assert {each.rule: each.points for each in score(merged, RECIPES, NOW).contributions}["downloads"] == 3
