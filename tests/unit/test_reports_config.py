"""[reports]: what was spent is read to the cent, and every mistake is told at its place."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from syncagent.config import load, parse
from syncagent.errors import ConfigError
from syncagent.policy import ReportPolicy
from tests.story.theatre import CONFIG

LIVE = datetime(2026, 1, 1, tzinfo=UTC)


def policy(more: str, folder: Path = Path()) -> ReportPolicy:
    return parse(f"{CONFIG}\n{more}", folder).policy(LIVE).reports


def problems(more: str, folder: Path = Path()) -> list[str]:
    with pytest.raises(ConfigError) as told:
        policy(more, folder)
    return [f"{one.path}: {one.message} {one.help}".strip() for one in told.value.problems]


def spent(line: str) -> str:
    return f"[reports.costs]\nspent = [{{ {line} }}]"


def test_without_the_table_nothing_was_spent() -> None:
    assert policy("") == ReportPolicy()


def test_months_and_days_become_whole_cents_in_a_currency() -> None:
    found = policy(
        '[reports]\ncurrency = "eur"\nattribution = "position"\n'
        + spent(
            'month = "2026-12", source = "Paid", amount = 1200.10 }, { from = 2026-02-01, to = 2026-02-01,'
            ' source = "Fair", campaign = "spring", amount = 0.29, currency = "USD"'
        )
    )
    assert (found.currency, found.attribution) == ("EUR", "position")
    december, fair = found.costs
    assert (december.cents, december.currency) == (120_010, "EUR")
    assert (december.begin, december.end) == (date(2026, 12, 1), date(2027, 1, 1))
    assert (fair.cents, fair.currency, fair.campaign) == (29, "USD", "spring")
    assert (fair.begin, fair.end) == (date(2026, 2, 1), date(2026, 2, 2))


def test_a_list_is_read_and_added(tmp_path: Path) -> None:
    (tmp_path / "costs.csv").write_text(
        "\ufeffmonth;source;amount;campaign\n2026-01;Paid;10.5;\n\n2026-01;Paid;7;brand\n", encoding="utf-8"
    )
    config = '[reports.costs]\nfile = "costs.csv"\nspent = [{ month = "2026-01", source = "Fair", amount = 1 }]'
    found = policy(config, tmp_path)
    assert [(one.source, one.campaign, one.cents, one.where) for one in found.costs] == [
        ("Fair", "", 100, "reports.costs.spent[1]"),
        ("Paid", "", 1050, "line 2 of the costs"),
        ("Paid", "brand", 700, "line 4 of the costs"),
    ]


def test_another_month_in_the_list_is_no_other_agreement(tmp_path: Path) -> None:
    """Else a new line would have everybody decided anew."""
    (tmp_path / "config.toml").write_text(f'{CONFIG}\n[reports.costs]\nfile = "costs.csv"\n')
    digests, costs = set(), []
    for lines in ("", "2026-01,Paid,10\n"):
        (tmp_path / "costs.csv").write_text(f"month,source,amount\n{lines}")
        config = load(tmp_path / "config.toml")
        digests.add(config.digest)
        costs.append(len(config.policy(LIVE).reports.costs))
    assert len(digests) == 1 and costs == [0, 1]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('source = "a", amount = 1', "for which days"),
        ('source = "a", amount = 1, month = "2026-13"', "'2026-13' is not a month"),
        ('source = "a", amount = 1, from = 2026-01-02', "for which days"),
        ('source = "a", amount = 1, from = 2026-01-02, to = 2026-01-01', "ends on 2026-01-01, before"),
        ('source = "a", amount = 1, month = "2026-01", to = 2026-01-01', "for which days"),
        ('source = "a", amount = 1.005, month = "2026-01"', "parts of a cent"),
        ('source = "a", amount = -1, month = "2026-01"', "below 0"),
        ('source = " ", amount = 1, month = "2026-01"', "which source"),
        ('source = "a", amount = 1, month = "2026-01", currency = "euros"', "three letters"),
    ],
)
def test_each_mistake_has_its_place_and_a_sentence(line: str, says: str) -> None:
    (told,) = problems(spent(line))
    assert told.startswith("reports.costs.spent[1]: ") and says in told


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("month,source,cost\n", "has a column 'cost'"),
        ("month,source\n", "no column `amount`"),
        ("month,source,amount\n2026-01,a,ten\n", "Line 2: 'ten' is not an amount"),
        ("month,source,amount\n2026-01,a,1.234\n", "Line 2: '1.234' has parts of a cent"),
        ("from,to,source,amount\n2026-01-01,soon,a,1\n", "Line 2: 'soon' is not a day"),
        ("month,source,amount\n2026-01,a,1\n2026-01,a,1\n", "stand at line 2 of the costs and at line 3"),
    ],
)
def test_a_mistake_in_the_list_names_its_line(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "costs.csv").write_text(content)
    (told,) = problems('[reports.costs]\nfile = "costs.csv"', tmp_path)
    assert told.startswith("reports.costs") and says in told


def test_a_list_that_is_not_there_is_told() -> None:
    (told,) = problems('[reports.costs]\nfile = "nowhere.csv"')
    assert told.startswith("reports.costs.file: ") and "cannot be read" in told


def test_a_currency_is_three_letters() -> None:
    (told,) = problems('[reports]\ncurrency = "Euro"')
    assert told.startswith("reports.currency: 'Euro' is no currency")
