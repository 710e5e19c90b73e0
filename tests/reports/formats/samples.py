"""Reports of our own, by which every format is tried."""

from datetime import UTC, date, datetime

from syncagent.reports.report import Chart, Column, Report, Table

HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)> & 'Co'",
    "=HYPERLINK(\"http://example.com\",\"click\")",
    "]]></style></title></svg><b>bold</b>",
    "line\nbreak\r\tand \x00\x1b[31mred\u202eesrever",
    "half a character: \ud800",
)  # fmt: skip

_MONTHS = tuple(
    (date(2026, month, 1), *counts)
    for month, *counts in (
        (2, 210, 160, 14), (3, 264, 212, 22), (4, 301, 240, 21), (5, None, None, None), (6, 342, 266, 31),
        (7, 330, 270, 28), (8, 402, 322, 30), (9, 440, 371, 24), (10, 466, 350, 12), (11, 290, 180, None),
    )
)  # fmt: skip
FUNNEL = Report(
    "funnel",
    "Funnel",
    datetime(2026, 11, 22, 12, 5, tzinfo=UTC),
    "Europe/Berlin",
    (
        Table(
            "stages",
            "People who reached each stage",
            (
                Column("stage", "Stage"),
                Column("reached", "Reached", "count"),
                Column("rate", "Of the stage before", "share"),
                Column("stuck", "Still there", "count"),
                Column("median", "Median stay", "duration"),
                Column("p90", "90 of 100 within", "duration"),
            ),
            (
                ("Prospect", 8420, None, 5210, 1_036_800.0, 3_300_000.0),
                ("MQL", 3210, 0.3812, 96, 7_980.0, 86_400.0),
                ("SAL", 2480, 0.7726, 310, 172_800.0, 900_000.0),
                ("SQL", 1104, 0.4452, 201, 604_800.0, 1_814_400.0),
                ("Opportunity", 612, 0.5543, 240, 2_160_000.0, 5_184_000.0),
                ("Won", 187, 0.3056, None, None, None),
            ),
            ("14 people came in before the first start: they are left out of the stays.",),
            Chart("funnel", "stage", ("reached", "rate")),
        ),
        Table(
            "months",
            "By the month of entry",
            (
                Column("month", "Month", "day"),
                Column("handed", "Handed off", "count"),
                Column("accepted", "Accepted", "count"),
                Column("won", "Won", "count"),
            ),
            _MONTHS,
            ("October and November are not mature: half of their deals are still open.",),
            Chart("lines", "month", ("handed", "accepted", "won")),
        ),
        Table(
            "sources",
            "By source",
            (
                Column("source", "Source"),
                Column("handed", "Handed off", "count"),
                Column("revenue", "Won (EUR)", "money"),
                Column("cost", "Cost (EUR)", "money"),
                Column("roi", "Return on investment", "ratio"),
            ),
            (
                ("Webinar “From lead to deal”, spring series with partners", 340, 41_250_000, 8_100_000, 4.09),
                ("Organic search", 910, 36_010_050, None, None),
                ("Paid social", 220, 1_240_000, 3_999_900, -0.69),
                ("Trade fair Hannover", 130, 12_300_000, 9_000_000, 0.37),
                ("<script>alert(1)</script>", 1, 0, 0, None),
            ),
            (),
            Chart("bars", "source", ("revenue", "cost", "roi")),
        ),
        Table(
            "grades",
            "By grade",
            (Column("grade", "Grade"), Column("handed", "Handed off", "count"), Column("won", "Won", "share")),
            (("A1", 120, 0.31), ("A2", 210, 0.22), ("B1", 340, 0.12), ("C3", 12, None)),
            (),
            Chart("bars", "grade", ("handed", "won")),
        ),
        Table("none", "Rejected leads", (Column("reason", "Reason"), Column("count", "Leads", "count")), ()),
    ),
    datetime(2026, 1, 31, 23, tzinfo=UTC),
    datetime(2026, 11, 22, 23, tzinfo=UTC),
    ("History before 2026-02-01 was read later: people are counted from what was known then.",),
)
"""A report as they really are, with a hostile name in it."""


def hostile(text: str) -> Report:
    """The text wherever a report may have one."""
    row = (text, 3, 1, datetime(2026, 1, 1, tzinfo=UTC))
    columns = (Column("name", text), Column("count", text, "count"), Column("money", text, "money"),
               Column("at", text, "moment"))  # fmt: skip
    tables = tuple(
        Table(f"t{n}", text, columns, (row, row), (text,), Chart(kind, x, ("count", "money")))
        for n, (kind, x) in enumerate((("bars", "name"), ("lines", "name"), ("funnel", "name"), ("lines", "at")))
    )
    return Report("hostile", text, datetime(2026, 1, 1, tzinfo=UTC), "UTC", tables, notes=(text,))


SMALL = Report(
    "small",
    "Small & whole",
    datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
    "Europe/Berlin",
    (
        Table(
            "all",
            "One of each kind",
            (
                Column("text", "Text"),
                Column("count", "Count", "count"),
                Column("share", "Share", "share"),
                Column("points", "Points", "points"),
                Column("ratio", "Ratio", "ratio"),
                Column("money", "Money (EUR)", "money"),
                Column("duration", "Duration", "duration"),
                Column("moment", "Moment", "moment"),
                Column("day", "Day", "day"),
            ),
            (
                ("Ünï <b>", 1234567, 0.125, 64.5, 1.5, -1234507, 93784.0, datetime(2026, 3, 29, 1, tzinfo=UTC),
                 date(2026, 3, 29)),
                ("=1+1", 0, 0.0, 0.0, 0.0, 0, 0.0, datetime(2026, 3, 29, 0, 59, tzinfo=UTC), date(1999, 12, 31)),
                (None,) * 9,
            ),
            ("A note, with a comma.",),
            Chart("bars", "text", ("count", "money")),
        ),
        Table("none", "Nothing", (Column("what", "What"), Column("count", "Count", "count")), (), (), None),
    ),
    datetime(2026, 3, 28, 23, tzinfo=UTC),
    datetime(2026, 3, 29, 22, tzinfo=UTC),
    ("The clocks went forward that day.",),
)  # fmt: skip
"""Each kind of cell: a usual one, zero, unknown."""
