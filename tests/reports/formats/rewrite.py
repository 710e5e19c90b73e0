"""`python -m tests.reports.formats.rewrite`: write the golden files anew, to be looked at before they are kept."""

from pathlib import Path

from syncagent.cli.tables import as_text
from syncagent.reports.formats.data import as_csv, as_json
from syncagent.reports.formats.page import as_html
from tests.reports.formats.samples import SMALL

GOLDEN = Path(__file__).parent / "golden"
for name, text in (("json", as_json(SMALL)), ("csv", as_csv(SMALL.tables[0])), ("html", as_html(SMALL)),
                   ("txt", as_text(SMALL))):  # fmt: skip
    (GOLDEN / f"small.{name}").write_text(text)
