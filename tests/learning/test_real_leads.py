"""A likelihood learned from 8,000 real leads, 842 of them won. Facts: the data's README.

The deals' own columns (business segment, lead type ...) exist for winners only: using them to foretell a win is the
mistake that the leak detector is there for.
"""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from syncagent.errors import UserError
from syncagent.learning.card import Model, text
from syncagent.learning.drift import drift
from syncagent.learning.rows import Settings, people_of
from syncagent.learning.training import train
from syncagent.model import Activity, CrmRecord, Fact, Identity, Lead, Opportunity, Page, Value
from syncagent.state import open_store
from syncagent.state.store import Store
from tests.story import olist

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (olist.folder() / "olist_mql.csv").exists(),
        reason="The real leads are not here: put olist_mql.csv and olist_closed_deals.csv into ../shared/data beside"
        " the repository, or name their folder in SYNCAGENT_TEST_DATA.",
    ),
]

READ_AT = datetime(2018, 12, 1, tzinfo=UTC)
DEAL_COLUMNS = (
    "business_segment", "lead_type", "lead_behaviour_profile", "business_type", "seller_id", "declared_monthly_revenue",
)  # fmt: skip
MONTH = Settings(horizon_days=30, ages_days=(1, 7))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = open_store(tmp_path_factory.mktemp("real") / "state.db")
    told = tuple(facts())
    for start in range(0, len(told), 2000):
        store.accept(Page(told[start : start + 2000], ""), "import", now=READ_AT)
    yield store
    store.close()


def facts() -> Iterator[Fact]:
    """As Marketo and a CRM without field history tell them, read long after."""
    with (olist.folder() / "olist_closed_deals.csv").open(encoding="utf-8", newline="") as file:
        columns = {row["mql_id"]: row for row in csv.DictReader(file)}
    deals = {deal.lead: deal for deal in olist.deals()}
    for one in olist.leads():
        mine, record = Identity("marketo", "lead", one.id), Identity("crm", "Lead", one.id)
        yield Lead(mine, READ_AT, {"source": one.origin or None}, (one.email,))
        yield Activity(mine, one.id, one.first_contact, "form.submitted", one.landing_page)
        deal = deals.get(one.id)
        fields: dict[str, Value] = {}
        if deal is not None:
            fields = {name: columns[one.id][name] for name in DEAL_COLUMNS if columns[one.id][name]}
        yield CrmRecord(record, READ_AT, one.first_contact, "me", fields, (one.email,))
        if deal is not None:
            yield Opportunity(
                Identity("crm", "Opportunity", one.id), (record,), deal.won_at, one.first_contact,
                closed=True, won=True, closed_on=deal.won_at.date().isoformat(),
            )  # fmt: skip


@pytest.fixture(scope="module")
def model(store: Store) -> Model:
    return train(people_of(store)[0], MONTH, READ_AT, "digest")


def test_the_columns_of_the_deals_are_named_as_leaks(model: Model) -> None:
    for name in DEAL_COLUMNS:
        assert "nothing dates it before the outcome" in model.card.left_out[name], name
    assert "source" not in model.card.left_out
    used = {feature.of or feature.kind for feature in model.scorecard.features}
    assert not used & set(DEAL_COLUMNS)


def test_what_is_left_foretells_a_little_and_the_card_says_how_little(model: Model) -> None:
    quality = model.card.quality
    print(text(model))
    assert model.card.verdict == "useful"
    assert 0.6 < quality.auc < 0.75 and quality.auc_low > 0.55
    assert quality.lift_top_tenth > 1.2
    assert quality.brier < quality.brier_of_base_rate


def test_everybody_is_accounted_for(model: Model) -> None:
    card = model.card
    judged = card.fitted.people + card.calibrated.people + card.validated.people
    assert judged + sum(card.people_left_out.values()) == 8_000
    assert card.people_left_out["too new"] == card.people_left_out["no moment known"] == 0
    assert card.immature_rows == 0


def test_in_the_beginning_there_are_no_deals_and_training_is_refused(store: Store) -> None:
    with pytest.raises(UserError, match="too little to learn from"):
        train(people_of(store)[0], MONTH, datetime(2017, 12, 20, tzinfo=UTC), "digest")


def test_who_came_before_the_first_deal_was_written_down_is_left_out(model: Model) -> None:
    """The trap of these data: deals begin on 2017-12-05, so the first cohorts are cut off on the left."""
    assert model.card.people_left_out["looked at before any win is known"] > 1_500
    assert model.card.fitted.begins > datetime(2017, 11, 27, tzinfo=UTC)
    assert model.card.profile.base_rate > 0.06


def test_drift_of_the_real_leads_is_told_in_sentences(store: Store) -> None:
    early = train(people_of(store)[0], MONTH, datetime(2018, 4, 15, tzinfo=UTC), "digest")
    found = drift(early, people_of(store)[0], datetime(2018, 7, 1, tzinfo=UTC))
    print(found.says)
    assert found.until - found.since == timedelta(days=90) and found.base_rate_now is not None
    assert set(found.indices) == {feature.name for feature in early.scorecard.features}
    assert {one.feature for one in found.moved} <= {"how they came", "source"}
