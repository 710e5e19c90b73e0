"""The config of routing: what it means, and what is refused, saying how to mend it."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from syncagent.config import load, parse
from syncagent.config.routing import public_holidays, span
from syncagent.errors import ConfigError
from syncagent.handoff.territory import Map
from syncagent.policy import ORDER, Condition, Duration, Policy, WaitFor
from tests.unit.test_config import SMALL, T0, problems_of

PEOPLE = """
[team]
hours = "Mon-Fri 09:00-18:00"
timezone = "Europe/Berlin"
holidays = ["2026-12-24"]
country = "DE"
[[reps]]
name = "Ana"
crm_id = "a"
skills = { language = ["de", "en"], product = "Cloud" }
[[reps]]
name = "Ben"
crm_id = "b"
country = "BR"
subdivision = "SP"
timezone = "America/Sao_Paulo"
[[reps]]
name = "Cleo"
crm_id = "c"
hours = "Mon-Sun 00:00-24:00"
[teams.US]
members = ["Ben", "Cleo"]
hours = "Mon-Fri 08:00-16:00"
country = "US"
manager = "Ana"
"""
LAST = '\n[[routes]]\nname = "rest"\nto = { queue = "Inbound" }\n'
NO_ROUTES = SMALL[: SMALL.index("[[routes]]")]


def agreed(more: str, routes: str = "") -> Policy:
    return parse(NO_ROUTES + PEOPLE + routes + LAST + more).policy(T0)


def refused(more: str = "", routes: str = "", last: str = LAST) -> dict[str, str]:
    return problems_of(NO_ROUTES + PEOPLE + routes + last + more)


def route(to: str, when: str = "", more: str = "") -> str:
    return f'\n[[routes]]\nname = "r"\nwhen = {{ {when} }}\nto = {{ {to} }}\n{more}\n'


def test_reps_take_hours_holidays_and_managers_from_their_team_and_then_from_all() -> None:
    policy = agreed("")
    ana, ben, cleo = policy.reps
    assert ana.hours is not None and ana.hours.week[0] == ((540, 1080),) and ana.hours.zone == "Europe/Berlin"
    assert ana.holidays is None and "2026-10-03" in policy.holidays and "2026-12-24" in policy.holidays
    assert ben.hours is not None and ben.hours.week[0] == ((480, 960),) and ben.hours.zone == "America/Sao_Paulo"
    assert ben.holidays is not None and "2026-09-07" in ben.holidays and "2026-10-03" not in ben.holidays
    assert "2026-12-24" in ben.holidays, "what holds for all is his too"
    assert cleo.hours is not None and cleo.hours.week[6] == ((0, 1440),)
    assert cleo.holidays is not None and "2026-07-03" in cleo.holidays, "the fourth is a Saturday in 2026"
    assert cleo.manager == "a" and ana.manager == ""
    assert ana.skills == {"language": ("de", "en"), "product": ("Cloud",)}


def test_a_route_names_a_team_and_the_next_ones() -> None:
    to = 'team = "US", then = ["US"], pick = "least_busy", sticky = true, skills = ["language"], nobody = "wait"'
    target = agreed("", route(to, more='wait_for = { fields = ["employees"], at_most = "15m" }')).routes[0]
    assert target.to.pool == ("b", "c") and target.to.team == "US" and target.to.then[0].members == ("b", "c")
    assert (target.to.pick, target.to.sticky, target.to.nobody) == ("least_busy", True, "wait")
    assert target.wait == WaitFor(("employees",), Duration(minutes=15))


def test_regions_sizes_and_postal_codes_are_short_tests() -> None:
    when = 'region = "DACH", employees = "50..249", postal_code = ["10000-19999", "SW1*"], industry = ["a", "b"]'
    made = agreed(
        '\n[regions]\nDACH = ["Germany", "Austria", "Switzerland"]\nWest = ["USA/CA"]\n', route("team = 'US'", when)
    )
    found = made.routes[0]
    assert found.regions == ("DACH",)
    assert found.when["employees"] == Condition(minimum=50, maximum=249)
    assert found.when["postal_code"].spans[0][0] == "10000" and found.when["postal_code"].spans[1][0] == "SW1"
    assert made.routing.regions["West"] == (("usa", "ca"),)


def test_the_order_is_checked() -> None:
    assert agreed("").routing.order == ORDER
    assert agreed('\n[routing]\norder = ["account_owner", "routes"]\n').routing.order == ("account_owner", "routes")
    found = refused('\n[routing]\norder = ["acount_owner", "account_owner", "account_owner"]\nshort_promise = "2d"\n')
    assert "Did you mean account_owner?" in found["routing.order[1]"]
    assert "twice" in found["routing.order[3]"]
    assert 'write "routes" last' in found["routing.order"]
    assert "minutes or hours" in found["routing.short_promise"]


@pytest.mark.parametrize(
    ("routes", "last", "path", "says"),
    [
        (route('team = "EU"'), LAST, "routes[1].to.team", "'EU' is no team"),
        (route('team = "US", pool = ["Ana"]'), LAST, "routes[1].to", "a team, to a pool or to a queue"),
        (route('team = "US", then = ["US2"]'), LAST, "routes[1].to.then", "Did you mean US?"),
        (route('team = "US"', 'postal_code = "2..1"'), LAST, "routes[1].when.postal_code", "10000-19999"),
        (route('team = "US"', 'employees = "9..5"'), LAST, "routes[1].when.employees", "smaller number first"),
        (route('team = "US"', more="wait_for = { fields = [] }"), LAST, "routes[1].wait_for.fields", "Name what"),
        ("", route('team = "US"'), "routes[1]", "fallback_queue"),
        ("", route('queue = "Inbound"', 'country = "x"'), "routes[1]", "must catch all"),
        ("", route('team = "US", fallback_queue = "Inbound", nobody = "next"'), "routes[1].to.nobody", "no next one"),
        ("\n[teams.Nobody]\nmembers = []\n", LAST, "teams.Nobody.members", "has members"),
        ('\n[teams.Odd]\nmembers = ["Anna"]\n', LAST, "teams.Odd.members", "Did you mean Ana?"),
        ('\n[teams.Odd]\nmembers = ["Ana"]\ncountry = "XX"\n', LAST, "teams.Odd.country", "No public holidays"),
        (
            '\n[teams.Odd]\nmembers = ["Ana"]\ncountry = "DE"\nsubdivision = "ZZ"\n',
            LAST,
            "teams.Odd.country",
            "subdivision",
        ),
    ],
)
def test_what_would_leave_a_lead_with_nobody_is_refused(routes: str, last: str, path: str, says: str) -> None:
    assert says in refused("", routes, last)[path]


def test_a_region_that_is_not_there_is_told() -> None:
    found = refused('\n[regions]\nDACH = ["Germany"]\n', route("team = 'US'", 'region = "DAHC"'))
    assert "Did you mean DACH?" in found["routes[1].when.region"]


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("10000-19999", ["10000", "19999", "15"], ["1", "20000", "09999"]),
        ("10000..19999", ["12345"], ["2"]),
        ("SW1*", ["SW1A1AA", "SW1", "SW10AB"], ["SW2", "SW"]),
        ("sw1a 1aa", ["SW1A1AA"], ["SW1A1AB"]),
        ("00-950", ["00950"], ["00951"]),
        ("1010-1099", ["1050"], ["1100"]),
    ],
)
def test_postal_codes(text: str, inside: list[str], outside: list[str]) -> None:
    low, high = span(text)
    assert all(low <= one <= high for one in inside)
    assert not any(low <= one <= high for one in outside)


@pytest.mark.parametrize("text", ["", "*", "9-1", "20000-10000", "1..22", "a_b"])
def test_what_is_no_postal_code_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no postal codes"):
        span(text)


LIST = """to;domain;company;country;postal
Ana;www.BigCo.example;;;
US;;Große Werke AG;;
Inbound;;;Germany;10000-19999|20*
Ben;;;Germany;
"""


def with_files(tmp_path: Path, more: str, **files: str) -> Path:
    for name, content in files.items():
        (tmp_path / name.replace("_", ".")).write_text(content, encoding="utf-8-sig")
    path = tmp_path / "config.toml"
    path.write_text(NO_ROUTES + PEOPLE + LAST + more, encoding="utf-8")
    return path


def test_a_list_of_territories_is_read_beside_the_config(tmp_path: Path) -> None:
    path = with_files(tmp_path, '\n[routing]\nterritories = "list.csv"\n', list_csv=LIST)
    config = load(path)
    routing = config.policy(T0).routing
    where = Map(routing)
    named = where.named_account("", {}, ("eva@bigco.example",))
    assert named is not None and routing.targets[named.to].pool == ("a",)
    place = where.territory({"country": "Germany", "postal_code": "20095"})
    assert place is not None and place.row == "Line 4 of the territories" and routing.targets[place.to].queue == "q1"
    (tmp_path / "list.csv").write_text(LIST.replace("20*", "21*"))
    assert load(path).digest != config.digest, "the list is part of what was agreed"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("to,land\nAna,x\n", "a column 'land'"),
        ("domain\nx\n", "no column `to`"),
        ("to,domain\nEva,x.example\n", "Line 2: 'Eva' is no rep, team or queue"),
        ("to,domain,company\nAna,x.example,X\n", "Line 2: it needs `to` and one of"),
        ("to,domain,postal\nAna,x.example,1\n", "postal codes need their country"),
        ("to,country,postal\nAna,X,\n\nAna,X,1..22\n", "Line 4: '1..22' are no postal codes"),
        ('to,domain\n"Ana,x\n', "is no CSV"),
    ],
)
def test_what_is_wrong_in_the_list_is_told_with_its_line(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(with_files(tmp_path, '\n[routing]\nterritories = "list.csv"\n', list_csv=content))
    assert says in str(caught.value)


def test_of_thousands_of_mistakes_a_few_are_told(tmp_path: Path) -> None:
    content = "to,domain\n" + "Eva,x.example\n" * 3000
    with pytest.raises(ConfigError) as caught:
        load(with_files(tmp_path, '\n[routing]\nterritories = "list.csv"\n', list_csv=content))
    assert len(caught.value.problems) == 6 and "2995 more" in str(caught.value)


CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//example//EN
BEGIN:VEVENT
UID:1
DTSTART;VALUE=DATE:20260511
DTEND;VALUE=DATE:20260513
SUMMARY:Away
END:VEVENT
BEGIN:VEVENT
UID:2
DTSTART;TZID=Europe/Berlin:20260520T130000
DTEND;TZID=Europe/Berlin:20260520T170000
X-MICROSOFT-CDO-BUSYSTATUS:OOF
SUMMARY:Dent
 ist
END:VEVENT
BEGIN:VEVENT
UID:3
DTSTART:20260521T080000Z
DTEND:20260521T090000Z
SUMMARY:A meeting
END:VEVENT
BEGIN:VEVENT
UID:4
DTSTART;VALUE=DATE:20260601
TRANSP:TRANSPARENT
SUMMARY:Somebody's birthday
END:VEVENT
BEGIN:VEVENT
UID:5
DTSTART;VALUE=DATE:20260602
STATUS:CANCELLED
SUMMARY:No holiday after all
END:VEVENT
BEGIN:VEVENT
UID:6
DTSTART;VALUE=DATE:20260603
SUMMARY:One day
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")


def test_a_calendar_says_when_somebody_is_away(tmp_path: Path) -> None:
    more = '\n[[reps]]\nname = "Dora"\ncrm_id = "d"\ntimezone = "Europe/Berlin"\ncalendar = "dora.ics"\n'
    busy = load(with_files(tmp_path, more, dora_ics=CALENDAR)).policy(T0).reps[-1].busy
    assert busy == (
        (datetime(2026, 5, 10, 22, tzinfo=UTC), datetime(2026, 5, 12, 22, tzinfo=UTC)),
        (datetime(2026, 5, 20, 11, tzinfo=UTC), datetime(2026, 5, 20, 15, tzinfo=UTC)),
        (datetime(2026, 6, 2, 22, tzinfo=UTC), datetime(2026, 6, 3, 22, tzinfo=UTC)),
    )


def test_what_is_no_calendar_is_told(tmp_path: Path) -> None:
    more = '\n[[reps]]\nname = "Dora"\ncrm_id = "d"\ncalendar = "dora.ics"\n'
    with pytest.raises(ConfigError, match="no calendar"):
        load(with_files(tmp_path, more, dora_ics="Dear diary"))
    with pytest.raises(ConfigError, match="cannot be read"):
        load(with_files(tmp_path, more.replace("dora.ics", "nowhere.ics")))


def test_holidays_of_a_country_and_its_parts() -> None:
    assert "2026-11-01" in public_holidays("DE", "BY") and "2026-11-01" not in public_holidays("DE")


def test_what_the_page_shows_is_a_config(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "routing.md").read_text(encoding="utf-8")
    shown = "\n".join(re.findall(r"```toml\n(.*?)```", page, re.DOTALL))
    others = '\n[[reps]]\nname = "Ben Ode"\ncrm_id = "b"\n[teams.US]\nmembers = ["Ben Ode"]\n'
    rows = re.findall(r"```\n(to,.*?)```", page, re.DOTALL)[0]
    (tmp_path / "ana.ics").write_text(CALENDAR)
    (tmp_path / "territories.csv").write_text(rows)
    path = tmp_path / "config.toml"
    listed = shown.replace("[routing]\n", '[routing]\nterritories = "territories.csv"\n', 1)
    path.write_text(NO_ROUTES + listed + others + LAST, encoding="utf-8")
    made = load(path).policy(T0)
    assert made.routing.order == ORDER and len(made.routing.territories) == 3 and len(made.routes) == 2


@pytest.mark.parametrize(("country", "part"), [("XX", ""), ("DE", "XX")])
def test_a_place_whose_holidays_nobody_knows_is_told_in_a_sentence(country: str, part: str) -> None:
    with pytest.raises(ValueError, match=r"^No public holidays are known for it: .+\.$"):
        public_holidays(country, part)
