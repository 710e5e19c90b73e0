"""The score model as a sheet: nothing is lost on the way out and in, and every mistake is told with its row."""

import csv
import io
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncagent.config import load
from syncagent.config.reading import read_table
from syncagent.config.scoring import ScoringTranslation
from syncagent.config.sheet import COLUMNS, Sheet, check_sheet, read_sheet, write_sheet
from syncagent.config.tables import (
    AgreementTables,
    CrmPolicyTable,
    DecayTable,
    FitChoiceTable,
    FitTable,
    GradeTable,
    GroupCapTable,
    HandoffTable,
    InterestChoiceTable,
    InterestTable,
    ModelAlertTable,
    ModelTable,
    MqlTable,
    RobotsTable,
    ScoreTable,
)
from syncagent.config.written import toml_of
from syncagent.errors import ConfigError, Problem
from syncagent.policy import ScoreModel

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


def rows_of(text: str) -> list[dict[str, str]]:
    lines = [line for line in csv.reader(io.StringIO(text)) if not line[0].startswith("#")]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def back(text: str, path: str = "score") -> Any:
    """The table that a sheet's TOML gives, read as the config reads it."""
    sheet = read_sheet(text, path)
    assert sheet.problems == []
    raw: Any = tomllib.loads(toml_of(sheet.raw, path))
    for name in path.split("."):
        raw = raw[name]
    problems: list[Problem] = []
    table = read_table(ScoreTable if path == "score" else ModelTable, raw, path, problems)
    assert not problems
    return table


def model_of(score: ScoreTable) -> ScoreModel:
    """What the engine is given, whatever is wrong with it."""
    tables = AgreementTables(HandoffTable(MqlTable()), (), CrmPolicyTable({}), score)
    return ScoringTranslation(tables, lambda path, message, hint="": None, lambda _: False, []).live()


def problems(text: str, path: str = "score") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check_sheet(read_sheet(text, path), path)
    return [str(one) for one in caught.value.problems]


HEADER = "part,name,about,weight,priority,is,matches,from,to,at least,within,each,cap,where,decay\n"
GOOD = HEADER + "fit,,title,50,10,,chief,,,,,,,,\ninterest,,form.*,50,10,,,,,1,30d,,,,\n"


def test_the_example_goes_out_and_comes_back() -> None:
    tables = load(EXAMPLE).tables
    text = write_sheet(tables.score)
    assert back(text) == tables.score
    check_sheet(read_sheet(text, "score"), "score", tables)


def test_totals_run_and_points_are_worked_out() -> None:
    title = FitTable("title", 20, (FitChoiceTable(10, matches="vp"), FitChoiceTable(-5, matches="student")))
    country = FitTable("country", 12.5, (FitChoiceTable(4, values=("DE", "FR")),))
    forms, pages = (
        InterestTable(one, weight, (InterestChoiceTable(10),)) for one, weight in (("form.*", 30), ("x", 5))
    )
    rows = rows_of(write_sheet(ScoreTable((title, country), (forms, pages))))
    told = [tuple(row[name] for name in ("about", "weight", "total", "priority", "points")) for row in rows]
    assert [one for one in told if one[3]] == [
        ("title", "20", "20", "10", "20"),
        ("", "", "", "-5", "-10"),
        ("country", "12.5", "32.5", "4", "5"),
        ("form.*", "30", "30", "10", "30"),
        ("x", "5", "35", "10", "5"),
    ]


def test_formulas_give_what_the_numbers_say() -> None:
    """Worked out here by hand: only cells, +, * and /, so that every language's spreadsheet knows them."""
    score = load(EXAMPLE).tables.score
    plain = list(csv.reader(io.StringIO(write_sheet(score))))
    live = list(csv.reader(io.StringIO(write_sheet(score, formulas=True))))

    def worth(cell: str) -> float:
        if not cell.startswith("="):
            return float(cell or 0)
        return float(eval(cell[1:], {}, Cells(live, worth)))

    many = 0
    for row, expected in zip(live, plain, strict=True):
        for name in ("total", "points"):
            cell, number = row[COLUMNS.index(name)], expected[COLUMNS.index(name)]
            if cell.startswith("=") and number:
                assert worth(cell) == pytest.approx(float(number))
                many += 1
    assert many > 15
    assert read_sheet(write_sheet(score, formulas=True), "score").raw == read_sheet(write_sheet(score), "score").raw


class Cells(dict[str, float]):
    """`F12` of a sheet."""

    def __init__(self, rows: list[list[str]], worth: Any) -> None:
        self._rows, self._worth = rows, worth

    def __missing__(self, name: str) -> float:
        return float(self._worth(self._rows[int(name[1:]) - 1][ord(name[0]) - ord("A")]))


def test_an_empty_sheet_can_be_filled_in() -> None:
    text = write_sheet(ScoreTable())
    assert read_sheet(text, "score").problems == []
    assert {row["part"] for row in rows_of(text)} == {"fit", "interest", "grade"}
    assert any("50" in line and line.startswith("#") for line in text.splitlines())


def test_what_europe_s_spreadsheets_save_is_read() -> None:
    text = "\ufeff" + GOOD.replace(",", ";").replace("title;50;10", "title;49,5;10").replace("*;50", "*;50,5")
    sheet = read_sheet(text, "score")
    check_sheet(sheet, "score")
    assert sheet.raw["fit"][0]["weight"] == 49.5 and sheet.raw["interest"][0]["weight"] == 50.5


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("title,50", "title,60", "score.fit: All fit weights together are 60, 10 above the 50"),
        ("title,50", "title,40", "must be 100 together: 10 too few"),
        ("title,50,10", "title,50,11", "row 2, score.fit[1].choices[1]: A priority is between -10 and 10; this is 11"),
        ("title,50,10", "title,fifty,10", "row 2, score.fit[1].weight: A number is needed here, not a text"),
        ("title,50,10", 'title,"1,000",10', "row 2, score.fit[1].weight: A number is needed here, not a text"),
        ("chief", "(chief", "row 2, score.fit[1].choices[1].matches: This is not a regular expression"),
        ("30d", "soon", "row 3, score.interest[1].choices[1].within: 'soon' is not a length of time"),
        ("fit,,", "fitt,,", "row 2: 'fitt' is no part of a model. Did you mean fit?"),
        ("fit,,", ",,", "row 2: Say which part this is."),
        ("about,", "abuot,", "row 1: The column 'abuot' is not known. Did you mean about?"),
        ("fit,,title,50", "fit,,,", "row 2: This choice belongs to no rule."),
        ("10,,chief", '10,"""ch",', 'row 2: "ch has a quote that does not end.'),
        ("50,10,,,,,1", "50,10,x,,,,1", "row 3: The column 'is' says nothing of interest."),
        ("30d,,,,\n", "30d,,,{oops,\n", "row 3: '{oops' is no table of tests."),
        ("30d,,,,\n", "30d,,,,\ninterest,,,,5,,,,,1,,,7,,\n", "row 4: 'cap' is the rule's"),
        ("30d,,,,\n", "30d,,,,fast\n", "row 3, score.interest[1].decay.steps"),
        ("part,", "prat,", "The names of the columns are missing"),
    ],
)
def test_every_mistake_is_told_with_its_row(old: str, new: str, says: str) -> None:
    assert old in GOOD
    told = problems(GOOD.replace(old, new, 1))
    assert any(says in one for one in told), told


def test_the_good_one_is_good() -> None:
    check_sheet(read_sheet(GOOD, "score"), "score")


def test_nothing_at_all_is_told() -> None:
    assert "syncagent sheet export" in problems("")[0]


def test_a_model_is_checked_beside_the_others() -> None:
    tables = load(EXAMPLE).tables
    text = GOOD + "model,of,,,,customers,,,,,,,,,\nmodel,below,,,,30,,,,,,,,,\n"
    sheet = read_sheet(text, "models.risk")
    check_sheet(sheet, "models.risk", tables)
    assert back(text, "models.risk") == ModelTable(
        of="customers",
        alert=ModelAlertTable(below=30),
        fit=(FitTable("title", 50, (FitChoiceTable(10, matches="chief"),)),),
        interest=(InterestTable("form.*", 50, (InterestChoiceTable(10, within="30d"),)),),
    )
    wrong = read_sheet(text.replace("customers", "strangers"), "models.risk")
    with pytest.raises(ConfigError, match=r"row 4, models\.risk\.of"):
        check_sheet(wrong, "models.risk", tables)


# -- nothing is lost

texts = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.sampled_from(
        ["12", "1.5", "true", "No", "a;b", 'a"b', ";", "=A1", "#x", " x ", "a,b", "x\ny", "1e5", "-3", "\x7f"]
    ),
)
filled = texts.filter(bool)
numbers = st.one_of(st.integers(-50, 100).map(float), st.sampled_from([0.1, 33.333, 12.5, 1e-7, 1e21]))
names: st.SearchStrategy[Any] = st.one_of(texts, st.lists(filled, min_size=1, max_size=3).map(tuple))
values: st.SearchStrategy[Any] = st.one_of(
    texts, numbers, st.integers(), st.just(2**53 + 1), st.just(10**400), st.booleans()
)
lengths = st.sampled_from(["", "30d", "5m", " 7d "])
fit_choices = st.builds(
    FitChoiceTable,
    priority=numbers,
    value=st.none() | values,
    values=st.lists(values, max_size=3).map(tuple),
    list=st.just(""),
    matches=texts,
    min=st.none() | numbers,
    max=st.none() | numbers,
    present=st.none() | st.booleans(),
    newer=lengths,
    older=lengths,
)
fit_rules = st.builds(FitTable, filled, numbers, st.lists(fit_choices, min_size=1, max_size=2).map(tuple), name=texts)
times = st.builds(
    InterestChoiceTable,
    numbers,
    at_least=st.integers(-1, 9),
    exactly=st.none() | st.integers(0, 9),
    within=lengths,
    each=st.booleans(),
    idle=lengths,
)
decays = st.one_of(
    st.none(),
    st.builds(DecayTable, half_life=st.sampled_from(["30d", "7d"])),
    st.builds(DecayTable, steps=st.dictionaries(st.sampled_from(["1d", "30d", "90d"]), numbers, min_size=1)),
)
interest_rules = st.builds(
    InterestTable,
    names.filter(bool),
    numbers,
    st.lists(times, min_size=1, max_size=2).map(tuple),
    asset=names,
    not_asset=names,
    source=names,
    campaign=names,
    where=st.dictionaries(
        texts, st.one_of(texts, st.booleans(), st.integers(), st.lists(texts, max_size=2)), max_size=2
    ),
    decay=decays,
    cap=st.none() | numbers,
    cap_per_day=st.none() | numbers,
    group=texts,
    name=texts,
)
shares = st.tuples(numbers, numbers, numbers)
robots = st.builds(
    RobotsTable,
    exclude=st.booleans(),
    marked=st.booleans(),
    after_delivery=st.sampled_from(["", "1s", "500ms"]),
    links=st.integers(0, 9),
    clicked=names,
    delivered=names,
    admit=names,
)
shared: dict[str, Any] = {
    "fit": st.lists(fit_rules, max_size=2).map(tuple),
    "interest": st.lists(interest_rules, max_size=2).map(tuple),
    "grade": st.builds(GradeTable, shares, shares),
    "caps": st.dictionaries(filled, st.builds(GroupCapTable, st.none() | numbers, st.none() | numbers), max_size=2),
}
scores = st.builds(
    ScoreTable,
    **shared,
    bots=robots,
    lists=st.dictionaries(filled, st.lists(filled, max_size=3).map(tuple), max_size=2),
    write=st.booleans(),
)
alerts = st.builds(ModelAlertTable, st.none() | numbers, st.none() | numbers, texts)


@given(scores)
def test_a_score_model_comes_back_as_it_went_out(score: ScoreTable) -> None:
    text = write_sheet(score)
    again = back(text)
    assert model_of(again) == model_of(score)
    assert (again.lists, again.write, again.grade, again.caps) == (score.lists, score.write, score.grade, score.caps)
    assert write_sheet(again) == text


@given(
    st.builds(
        ModelTable, st.sampled_from(["leads", "customers", "deals"]), st.booleans(), **shared, bots=st.none() | robots
    ),
    alerts,
)
def test_a_named_model_comes_back_as_it_went_out(model: ModelTable, alert: ModelAlertTable) -> None:
    path = "models.one"
    again = back(write_sheet(model), path)
    assert (again.of, again.shadow, again.bots, again.alert) == (model.of, model.shadow, model.bots, None)
    told = ModelTable(alert=alert)
    assert back(write_sheet(told), path).alert == (alert if alert != ModelAlertTable() else None)


@given(st.text(max_size=200))
def test_no_text_breaks_the_reading(text: str) -> None:
    sheet = read_sheet(text, "score")
    assert isinstance(sheet, Sheet)
    read_sheet(HEADER + text, "score")
