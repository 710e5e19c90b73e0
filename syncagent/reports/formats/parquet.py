"""One table of a report as Parquet, for DuckDB, pandas, Spark and BI tools. It takes the extra `parquet` (pyarrow)."""

import io
import json
from decimal import Decimal
from typing import Any

from syncagent.errors import UserError
from syncagent.reports.formats.data import plain
from syncagent.reports.formats.words import known, whole
from syncagent.reports.report import Cell, Kind, Report, Table

_MISSING = "Parquet takes pyarrow, which is not installed: pip install 'syncagent[parquet]'. CSV and JSON need nothing."


def as_parquet(report: Report, table: Table) -> bytes:
    """Typed columns: money is decimal(38, 2), a duration is seconds, a moment has its zone (UTC), a day is a date.

    What the report says besides (title, bounds, zone, notes) stands under `syncagent` in the file's metadata, as JSON;
    a column's title and kind stand in its own. Raises `UserError` where pyarrow is missing.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise UserError(_MISSING) from None
    kinds: dict[Kind, Any] = {
        "text": pa.string(),
        "count": pa.int64(),
        "money": pa.decimal128(38, 2),
        "moment": pa.timestamp("us", tz="UTC"),
        "day": pa.date32(),
        "month": pa.date32(),
    }
    fields, arrays = [], []
    for n, column in enumerate(table.columns):
        kind = kinds.get(column.kind, pa.float64())
        fields.append(pa.field(column.name, kind, metadata={"title": whole(column.title), "kind": column.kind}))
        arrays.append(pa.array([_cell(row[n], column.kind) for row in table.rows], kind))
    said = {
        "report": report.name,
        "table": table.name,
        "title": table.title,
        "at": plain(report.at),
        "zone": report.zone,
        "since": plain(report.since),
        "until": plain(report.until),
        "notes": (*report.notes, *table.notes),
    }
    out = io.BytesIO()
    parquet.write_table(pa.table(arrays, pa.schema(fields, {"syncagent": json.dumps(said)})), out)
    return out.getvalue()


def _cell(cell: Cell, kind: Kind) -> Cell:
    if not known(cell):
        return None
    if kind == "money" and isinstance(cell, int):
        return Decimal(cell).scaleb(-2)
    if kind == "text":
        return whole(str(cell))
    return cell
