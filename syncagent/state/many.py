"""Many rows with one statement.

At every statement, and at every row of `executemany`, SQLite's answer has to wait for the interpreter's lock: beside a
thread that plans, that is most of what a row costs.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

from sqlite_utils.utils import sqlite3

AT_ONCE = 50
"""So many rows are one statement: of each number of them SQLite keeps a statement that it has understood."""

ROWS = "{rows}"
"""Where the rows stand in a statement, as what `values` takes."""


def execute(db: sqlite3.Connection, sql: str, rows: Sequence[Sequence[object]]) -> None:
    """Run `sql`, which names `ROWS`, for rows of one width."""
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        db.execute(_told(sql, len(some), len(some[0])), tuple(chain.from_iterable(some)))


@lru_cache(maxsize=1024)
def _told(sql: str, rows: int, width: int) -> str:
    one = f"({','.join('?' * width)})"
    return sql.replace(ROWS, ",".join([one] * rows))
