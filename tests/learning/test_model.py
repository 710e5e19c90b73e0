"""Training on orgs whose truth is known: near the oracle, leaks named, honest columns not, chance called chance."""

import random
import re
from datetime import timedelta

import pytest
from msgspec.structs import replace

from syncagent.errors import UserError
from syncagent.learning.card import Model, read, text, write
from syncagent.learning.fitting import measure
from syncagent.learning.leaks import leaks
from syncagent.learning.rows import Row, Settings, population
from syncagent.learning.training import chances, train
from tests.learning import orgs

SETTINGS = Settings(horizon_days=orgs.HORIZON)


def trained(humans: list[orgs.Human], settings: Settings = SETTINGS) -> Model:
    return train([orgs.dossier(human) for human in humans], settings, orgs.END, "digest")


def named(humans: list[orgs.Human]) -> dict[str, str]:
    rows = population([orgs.dossier(human) for human in humans], SETTINGS, orgs.END).rows
    return {leak.column: leak.why for leak in leaks(rows)}


@pytest.fixture(scope="module")
def humans() -> list[orgs.Human]:
    return orgs.org(5000)


@pytest.fixture(scope="module")
def model(humans: list[orgs.Human]) -> Model:
    return trained(humans)


def latest(model: Model, humans: list[orgs.Human]) -> list[Row]:
    rows = population([orgs.dossier(human) for human in humans], SETTINGS, orgs.END).rows
    return [row for row in rows if row.won is not None and row.start >= model.card.validated.begins]


def test_the_model_comes_near_the_oracle(model: Model, humans: list[orgs.Human]) -> None:
    rows, by_number = latest(model, humans), {human.number: human for human in humans}
    oracle = measure([orgs.truth(by_number[row.person], row.at) for row in rows], rows)
    mine = measure(chances(model.scorecard, rows), rows)
    assert mine.auc == pytest.approx(model.card.quality.auc)
    assert 0.78 < oracle.auc < 0.9
    assert mine.auc > oracle.auc - 0.02
    assert mine.brier < oracle.brier + 0.01
    assert mine.brier < mine.brier_of_base - 0.02
    assert mine.lift > 0.85 * oracle.lift
    assert model.card.verdict == "useful"


def test_chances_are_calibrated_on_people_whom_it_had_not_seen(model: Model) -> None:
    for foretold, came, rows in model.card.quality.calibration:
        assert abs(foretold - came) < 0.06 and rows > 400


def test_weights_go_the_way_of_the_truth(model: Model) -> None:
    title = next(feature for feature in model.scorecard.features if feature.of == "title")
    weight = dict(zip(title.labels, title.weights, strict=True))
    assert weight["chief"] > weight["director"] > weight["manager"] > weight["engineer"] > weight["student"]
    assert weight["chief"] - weight["student"] == pytest.approx(4.1, abs=1.0)
    origin = next((feature for feature in model.scorecard.features if feature.of == "origin"), None)
    assert origin is None or max(map(abs, origin.weights)) < 0.2


def test_the_parts_are_in_the_order_of_time_and_nobody_is_in_two(model: Model) -> None:
    card = model.card
    assert card.fitted.ends < card.calibrated.begins <= card.calibrated.ends < card.validated.begins
    assert card.validated.ends < orgs.END - timedelta(days=orgs.HORIZON)
    assert (
        card.fitted.people + card.calibrated.people + card.validated.people + sum(card.people_left_out.values()) <= 5000
    )
    assert card.immature_rows > 0


def test_planted_leaks_are_named_and_left_out_and_the_rest_stays_as_good(model: Model) -> None:
    leaky = orgs.org(5000)
    orgs.fill(leaky, "contract_number", lambda one: f"C-{one.number}" if one.won_at else None)
    orgs.fill(leaky, "relation", lambda one: "customer" if one.won_at else "closed" if one.lost_at else "lead")
    orgs.fill(leaky, "closing_note", lambda one: "called twice" if one.won_at or one.lost_at else None)
    orgs.fill(leaky, "lifetime_value", lambda one: 900 + one.number if one.won_at else 0)
    orgs.fill(leaky, "phone_checked", lambda one: (one.number % 9 < (8 if one.won_at else 2) and "yes") or None)
    found = trained(leaky)
    assert set(found.card.left_out) == {
        "status", "company", "contract_number", "relation", "closing_note", "lifetime_value", "phone_checked",
    }  # fmt: skip
    assert "nothing dates it before" in found.card.left_out["contract_number"]
    assert "'customer'" in found.card.left_out["relation"]
    assert "It is filled for 90% of winners and 22% of others" in found.card.left_out["phone_checked"]
    assert "still open" in found.card.left_out["closing_note"]
    assert found.card.quality.auc == pytest.approx(model.card.quality.auc, abs=1e-9)
    assert "contract_number: Of " in text(found)


def test_a_column_that_history_shows_to_be_filled_in_later_is_left_out_where_it_has_no_date() -> None:
    people = orgs.org(3000)
    for one in people:
        if one.won_at is None:
            continue
        if one.number % 2:
            one.changes = [(one.won_at + timedelta(days=2), "segment", None, "gold")]
        elif one.number % 5:
            one.attributes["segment"] = "gold"
    for one in people[::9]:
        one.attributes["segment"] = "gold"
    after = sum(one.won_at is not None and bool(one.changes) for one in people)
    told = re.findall(r"\d+", named(people)["segment"])
    later, dated, after_outcome, rest = map(int, told)
    assert after - 3 <= later == dated == after_outcome <= after  # nobody is looked at before the first win
    assert 600 < rest < 700


def test_honest_columns_are_not_named() -> None:
    people = orgs.org(5000)
    # Strong, undated, filled for everybody; filled in more by those who buy; proven early, though only winners have it.
    orgs.fill(people, "seniority", lambda one: round(100 * one.chance) // 4 * 4)
    orgs.fill(people, "budget", lambda one: "yes" if one.number % 3 == 0 and one.chance > 0.2 else None)
    orgs.fill(people, "campaign", lambda one: f"campaign {one.number // 500}")
    for one in people:
        if one.won_at is not None and one.number % 2:
            one.changes = [(one.start, "asked_for_offer", None, "yes")]
    assert set(named(people)) == {"status"}


@pytest.mark.parametrize("base", [-5.0, -3.0, 0.0])
def test_mild_leaks_are_found_among_honest_hints_however_many_win(base: float) -> None:
    people, dice = orgs.org(4000, 7, base=base), random.Random(7)
    orgs.fill(people, "phone", lambda one: "given" if dice.random() < (0.7 if one.chance > 0.2 else 0.4) else None)
    orgs.fill(people, "partner", lambda one: "yes" if dice.random() < one.chance / 2 else None)
    orgs.fill(people, "temperature", lambda one: "hot" if dice.random() < one.chance else "cold")
    orgs.fill(people, "contract", lambda one: "signed" if one.won_at and dice.random() < 0.15 else "none")
    orgs.fill(people, "invoice", lambda one: "sent" if dice.random() < (0.6 if one.won_at else 0.002) else None)
    assert set(named(people)) == {"status", "contract", "invoice"}


def test_what_somebody_asks_to_leave_out_is_left_out(humans: list[orgs.Human]) -> None:
    people = [orgs.dossier(human) for human in humans]
    found = train(people, replace(SETTINGS, without=("title",)), orgs.END, "digest")
    assert "--without" in found.card.left_out["title"]
    assert "title" not in {feature.of for feature in found.scorecard.features}
    with pytest.raises(UserError, match=r"'titel'; there are .*country.*title"):
        train(people, replace(SETTINGS, without=("titel",)), orgs.END, "digest")


def test_what_changes_with_the_years_is_not_taken_for_a_leak() -> None:
    """An old form's field: by now the outcome of nearly all who filled it in is known, and new people have none."""
    people = orgs.org(5000)
    for one in people[:3500]:
        if one.won_at is None:
            one.lost_at = one.start + timedelta(days=30)
    orgs.fill(people[:3400], "old_form", lambda one: "yes" if one.number % 4 else "no")
    assert set(named(people)) == {"status"}


def test_a_column_that_is_proven_early_is_used() -> None:
    people = orgs.org(3000)
    for one in people:
        if one.won_at is not None and one.number % 2:
            one.changes = [(one.start, "asked_for_offer", None, "yes")]
    found = trained(people)
    assert found.card.left_out.keys() == {"status", "company"}
    assert "asked_for_offer" not in found.card.undated


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_of_an_org_of_chance_it_is_said_that_nothing_can_be_told(seed: int) -> None:
    found = trained(orgs.org(3000, seed, strength=0.0, base=-1.6))
    assert found.card.quality.auc == pytest.approx(0.5, abs=0.08)
    assert found.card.verdict == "useless"
    assert "no better than chance" in text(found)


@pytest.mark.parametrize(
    ("count", "base", "says"),
    [(400, -2.2, "people whose outcome is known"), (3000, -7.0, "needed are 1000 and 100")],
)
def test_too_little_is_refused_with_a_sentence(count: int, base: float, says: str) -> None:
    with pytest.raises(UserError, match=says):
        trained(orgs.org(count, base=base))


def test_winners_at_one_end_only_cannot_be_checked_over_time() -> None:
    people = orgs.org(3000, base=-1.0)
    for one in people[:2000]:
        if one.number > 5:
            one.won_at = one.lost_at = None
    with pytest.raises(UserError, match="cannot be checked over time"):
        trained(people)


def hint(one: orgs.Human, n: int) -> str:
    """A note that is right three times out of four, each in its own cases."""
    wrong = (one.number * 7919 + n * 104_729) % 101 < 25
    return "a" if (one.won_at is not None) != wrong else "b"


def test_what_is_too_good_to_be_true_is_called_so() -> None:
    """A leak that looks honest in every way: everybody has it, no value is only for winners."""
    people = orgs.org(3000, base=-1.0, strength=0.0)
    for n in range(6):
        orgs.fill(
            people,
            f"hint{n}",
            lambda one, n=n: hint(one, n),
        )
    found = trained(people)
    assert found.card.says.startswith("Too good to be true")


def test_a_model_is_written_and_read_back(model: Model, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("model") / "model.json"
    write(model, path)
    assert read(path) == model
    path.write_text("{}")
    with pytest.raises(UserError, match="no model of this version"):
        read(path)
    with pytest.raises(UserError, match="syncagent model train"):
        read(path.with_name("none.json"))


def test_training_twice_gives_the_same(model: Model, humans: list[orgs.Human]) -> None:
    again = trained(list(reversed(humans)))
    assert replace(again.card, strength=model.card.strength) == model.card
    assert again.scorecard == model.scorecard
