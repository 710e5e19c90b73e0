"""Whether a file has the schema of this version, and how it comes to it."""

from sqlite_utils import Database

from syncagent.errors import StoreBrokenError, UserError
from syncagent.state import views
from syncagent.state.migrations import migrations


def migrate(db: Database) -> None:
    """Bring the file to this version's schema. Raises `StoreBrokenError` for a file from a newer version."""
    refuse_newer(db)
    if not views.stand(db.conn):
        views.drop(db.conn)
    migrations.apply(db)
    if not views.stand(db.conn):
        views.make(db.conn)


def refuse_unfinished(db: Database) -> None:
    """Raise `UserError` when the agent has yet to bring the file to this version's schema, which needs the lock."""
    if _names() - {migration.name for migration in migrations.applied(db)} or not views.stand(db.conn):
        raise UserError(
            "The state file is not ready: its first start was cut short, or it is of an older version. "
            "Start the agent, which goes on with it: `syncagent run`."
        )


def refuse_newer(db: Database) -> None:
    """Raise `StoreBrokenError` when the file has seen migrations that this version does not know."""
    unknown = sorted({migration.name for migration in migrations.applied(db)} - _names())
    if unknown:
        raise StoreBrokenError(
            "The state file was written by a newer version of syncagent "
            f"(it knows the schema steps {', '.join(unknown)}). Install that version, or restore a backup."
        )


def _names() -> frozenset[str]:
    """The names of all steps that this version knows."""
    fresh = Database(memory=True)
    try:
        return frozenset(migration.name for migration in migrations.pending(fresh))
    finally:
        fresh.close()
