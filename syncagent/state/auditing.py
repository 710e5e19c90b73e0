"""Reading everybody whom an audit asks about, and what the file holds of them beside their dossiers."""

from sqlite_utils.utils import sqlite3

from syncagent.model import Dossier
from syncagent.state.codec import maybe_moment
from syncagent.state.dossiers import dossiers
from syncagent.state.store import Watched


def watched(db: sqlite3.Connection, after: int, limit: int) -> tuple[Watched, ...]:
    """The next people behind `after`, in the order of their ids."""
    sql = (
        "select id, wake_at, held, dirty_since is not null from person where id > ? and merged_into is null"
        " order by id limit ?"
    )
    rows = {row[0]: row for row in db.execute(sql, (after, limit)).fetchall()}
    found: list[Dossier] = dossiers(db, list(rows))
    return tuple(
        Watched(one, maybe_moment(rows[one.person][1]), rows[one.person][2] or "", bool(rows[one.person][3]))
        for one in found
    )
