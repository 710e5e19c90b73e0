"""The file: lock, readers beside the writer, kills, full disks, backups, damage, migrations."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlite_utils import Database
from sqlite_utils.utils import sqlite3

from syncagent.errors import AgentRunningError, StoreBrokenError, StoreFullError, UserError
from syncagent.model import Activity, Lane
from syncagent.state import activities, open_store, restore, writer
from syncagent.state.migrations import migrations
from syncagent.state.schema import migrate
from tests.state.story_values import act, at, create_task, lead, notify, page, settle


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


@contextlib.contextmanager
def opened(path, **rest):
    store = open_store(path, **rest)
    try:
        yield store
    finally:
        store.close()


class TestLock:
    def test_a_second_agent_is_refused_by_name(self, path):
        with opened(path), pytest.raises(AgentRunningError, match=str(os.getpid())):
            open_store(path)
        with opened(path):
            pass

    def test_the_state_is_private(self, path):
        with opened(path):
            assert path.stat().st_mode & 0o077 == 0


class TestKilledHalfWay:
    def test_a_rollback_journal_that_a_kill_left_is_rolled_back(self, path, tmp_path):
        """The very first writes of a file, before it keeps a write-ahead log, leave one."""
        with opened(path) as store:
            store.set_meta("known", "before")
        left = tmp_path / "left" / path.name
        left.parent.mkdir()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("pragma journal_mode = delete").fetchone()
            db.execute("pragma cache_size = 1")
            db.execute("begin")
            db.execute("update meta set value = 'half done' where name = 'known'")
            db.execute("create table ballast (text)")
            db.executemany("insert into ballast values (?)", [("x" * 4000,)] * 50)
            for each in (path, path.with_name(path.name + "-journal")):
                shutil.copy(each, left.parent)
            db.execute("rollback")
        assert left.with_name(left.name + "-journal").stat().st_size
        with opened(left) as store:
            assert store.meta("known") == "before"


class TestReadersBeside:
    def test_another_process_reads_while_the_agent_writes(self, path):
        with opened(path) as store:
            store.accept(page(lead(1, emails=["a@example.com"])), "s", now=at(1))
            code = (
                "import sys; from syncagent.state import open_store; s = open_store(sys.argv[1], read_only=True);"
                "print(s.find('a@example.com'), s.dossier(1).leads[0].identity.id); s.close()"
            )
            told = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=60)
            assert told.stdout == "(1,) 1\n", told.stderr
            store.accept(page(act(1, "a")), "s", now=at(2))

    def test_a_reader_sees_the_file_that_nobody_has_open(self, path):
        with opened(path) as store:
            store.accept(page(act(1, "a")), "s", now=at(1))
        with opened(path, read_only=True) as reader:
            assert reader.health(at(1)).people == 1
            with pytest.raises(UserError, match="read only"):
                reader.set_meta("a", "b")

    def test_nothing_to_read(self, path):
        with pytest.raises(UserError, match="no state file"):
            open_store(path, read_only=True)

    def test_reading_and_writing_from_many_threads(self, path):
        with opened(path) as store:
            wrong = []

            def read():
                for _ in range(60):
                    for dossier in store.unsettled(at(1), 50).dossiers:
                        # a page's two activities come together or not at all
                        if len(dossier.activities) % 2:
                            wrong.append(dossier)

            threads = [threading.Thread(target=read) for _ in range(3)]
            for thread in threads:
                thread.start()
            for n in range(150):
                store.accept(page(act(n % 9, f"a{n}"), act(n % 9, f"b{n}")), "s", now=at(1), lane=Lane(n % 2))
            for thread in threads:
                thread.join()
            assert wrong == []


KILLED = """
import os, signal, sys
from syncagent.state import open_store, writer
from tests.state.story_values import act, at, page
store = open_store(sys.argv[1])
where, after = sys.argv[2], int(sys.argv[3])
left = [after]
def fail(name):
    if name == where:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
writer.FAILPOINT = fail
for n in range(1, 100):
    told = store.accept(page(act(1, f"a{n}"), cursor=str(n)), "s", now=at(n))
    print(n, flush=True)
"""


class TestKilled:
    @pytest.mark.parametrize("where", ["accept.before_commit", "accept.after_commit", "accept.before_reply"])
    def test_what_was_answered_stands_and_pages_are_whole(self, path, where):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, path, where, "7"], capture_output=True, text=True, timeout=60, cwd=Path.cwd()
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
        answered = len(done.stdout.split())
        assert answered == 6
        with opened(path) as store:
            stored = int(store.cursor("s") or 0)
            assert stored == (6 if where == "accept.before_commit" else 7)
            assert [a.key for a in store.dossier(1).activities] == [f"a{n}" for n in range(1, stored + 1)]

    def test_half_sent_commands_of_an_earlier_life(self, path):
        with opened(path) as store:
            store.accept(page(act(1, "a")), "s", now=at(1))
            settle(store, commands=(create_task(1, "t"), notify(1, "n")))
            assert len(store.due("salesforce", at(2), 10)) == 2
            settle(store, minute=2)
        with opened(path) as store:
            assert {i.command.key: i.state for i in store.outbox()} == {"t": "queued", "n": "unknown"}
            assert len(store.unsettled(at(3), 10).dossiers) == 1
            (item,) = store.due("salesforce", at(3), 10)
            assert (item.command.key, item.command.attempt) == ("t", 1)


class TestErased:
    def test_nothing_of_theirs_is_taken_in_any_more(self, path):
        with opened(path) as store:
            store.accept(page(lead(1, emails=["a@example.com"]), act(1, "a")), "s", now=at(1))
            store._writer.do("test", lambda db: db.execute("update person set erased = 1").rowcount)
            told = store.accept(page(lead(1, 5, emails=["b@example.com"]), act(1, "b"), act(2, "c")), "s", now=at(2))
            assert told.new == 1
            assert store.find("b@example.com") == ()
            (erased,) = (d for d in store.unsettled(at(3), 10).dossiers if d.erased)
            assert [a.key for a in erased.activities] == ["a"]


class TestFull:
    def test_a_full_file_refuses_and_goes_on_by_itself(self, path):
        with opened(path) as store:
            store.accept(page(act(1, "a"), cursor="1"), "s", now=at(1))
            store._writer.do("test", lambda db: db.execute("pragma max_page_count = 1").fetchall())
            big = page(*(act(n, f"b{n}", note="x" * 500) for n in range(300)), cursor="2")
            with pytest.raises(StoreFullError, match="full"):
                store.accept(big, "s", now=at(2))
            assert store.health(at(2)).disk_full
            assert store.cursor("s") == "1"
            assert len(store.unsettled(at(2), 10).dossiers) == 1
            store._writer.do("test", lambda db: db.execute("pragma max_page_count = 1000000").fetchall())
            assert store.accept(big, "s", now=at(3)).new == 300
            assert store.cursor("s") == "2"
            assert not store.health(at(3)).disk_full

    @pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="mounting a tmpfs needs root")
    def test_a_full_disk(self, tmp_path):
        disk = tmp_path / "disk"
        disk.mkdir()
        size = 4 << 20
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True)
        if mounted.returncode:
            pytest.skip("a tmpfs cannot be mounted here")
        try:
            with opened(disk / "state.db") as store:
                filler = disk / "filler"
                kept = 0
                with filler.open("wb", buffering=0) as out, contextlib.suppress(OSError):
                    while True:
                        out.write(b"x" * 4096)
                refused = False
                while not refused and kept < 5000:
                    facts = (act(kept + 1, f"{kept}.{k}", note="x" * 200) for k in range(50))
                    try:
                        store.accept(page(*facts, cursor=str(kept + 1)), "s", now=at(1))
                        kept += 1
                    except StoreFullError:
                        refused = True
                assert refused
                assert store.health(at(2)).disk_full
                assert store.cursor("s") == (str(kept) if kept else None)
                assert len(store.unsettled(at(2), 100).dossiers) == min(kept, 100)
                filler.unlink()
                store.accept(page(act("again", "a"), cursor="again"), "s", now=at(3))
                assert store.cursor("s") == "again"
                assert not store.health(at(3)).disk_full
                assert (disk / "state.db.ballast").stat().st_size == writer.BALLAST_BYTES
            with opened(disk / "state.db") as store:
                assert store.health(at(4)).people == kept + 1
        finally:
            subprocess.run(["umount", disk], check=True)


class TestBackup:
    def test_backup_and_restore(self, path, tmp_path):
        copy = tmp_path / "copy.db"
        with opened(path) as store:
            store.accept(page(act(1, "a"), cursor="1"), "s", now=at(1))
            store.backup(str(copy))
            store.accept(page(act(2, "b"), cursor="2"), "s", now=at(2))
            with pytest.raises(UserError, match="exists already"):
                store.backup(str(copy))
            with pytest.raises(AgentRunningError):
                restore(copy, path)
        assert copy.stat().st_mode & 0o077 == 0
        assert restore(copy, path) == "e2"
        with opened(path) as store:
            assert store.cursor("s") == "1"
            assert store.meta("epoch") == store.roster().epoch == "e2"
            assert store.health(at(3)).people == 1
            store.accept(page(act(2, "b"), cursor="2"), "s", now=at(2))
        assert restore(copy, path) == "e3"
        with contextlib.closing(sqlite3.connect(path.with_name("state.db.replaced"))) as old:
            assert old.execute("select cursor from stream").fetchall() == [("2",)]

    def test_a_restore_that_is_killed_leaves_a_state(self, path, tmp_path, monkeypatch):
        copy = tmp_path / "copy.db"
        with opened(path) as store:
            store.accept(page(act(1, "a"), cursor="1"), "s", now=at(1))
            store.backup(str(copy))
            store.accept(page(act(2, "b"), cursor="2"), "s", now=at(2))

        def killed(self, target):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(Path, "replace", killed)
            restore(copy, path)
        with opened(path) as store:
            assert store.cursor("s") == "2"
        assert restore(copy, path) == "e2"

    def test_a_damaged_backup_is_refused_and_the_state_kept(self, path, tmp_path):
        copy = tmp_path / "copy.db"
        with opened(path) as store:
            store.accept(page(*(act(n, "a") for n in range(500)), cursor="1"), "s", now=at(1))
            store.backup(str(copy))
        damage(copy)
        with pytest.raises(StoreBrokenError):
            restore(copy, path)
        with opened(path) as store:
            assert store.meta("epoch") == "e1"

    def test_a_damaged_state_says_how_to_restore(self, path, tmp_path):
        copy = tmp_path / "copy.db"
        with opened(path) as store:
            store.accept(page(*(act(n, "a") for n in range(500)), cursor="1"), "s", now=at(1))
            store.backup(str(copy))
        damage(path)
        with pytest.raises(StoreBrokenError, match="restore"):
            open_store(path)
        assert restore(copy, path) == "e2"
        with opened(path) as store:
            assert store.cursor("s") == "1"

    def test_not_a_database(self, path):
        path.write_bytes(b"nothing of the kind" * 1000)
        with pytest.raises(StoreBrokenError, match="restore"):
            open_store(path)
        with pytest.raises(StoreBrokenError):
            open_store(path, read_only=True)


def damage(path: Path) -> None:
    """Overwrite the middle of the file."""
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 9000] = b"\xa5" * 9000
    path.write_bytes(whole)


class TestMigrations:
    OLD = "2026-03-02T09:30:15.250000Z"

    def old_body(self, system, who, key, at=OLD, **rest):
        """An activity as the first schema kept it."""
        identity = {"system": system, "object": "lead", "id": who}
        whole = {"fact": "Activity", "identity": identity, "key": key, "at": at, "kind": "page.visited", **rest}
        return json.dumps(whole)

    def old_file(self, path, rows):
        """A file of the first schema with these activities."""
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
            db = Database(raw)
            migrations.apply(db, stop_before="brake_by_second")
            raw.execute("insert into person (id, dirty_since) values (1, 5), (2, 5)")
            raw.executemany("insert into activity values (?, ?, ?, ?, ?)", rows)

    def test_activities_of_the_first_schema_are_told_as_ever(self, path, monkeypatch):
        stamp = 1772443815250
        rest = {"asset": "/a?b=\u00e9", "attributes": {"n": 1, "r": 2.50, "t": None, "q": 'say "x"'}}
        rows = [
            (1, stamp, "web", "k1", self.old_body("web", "7", "k1", **rest)),
            (1, stamp, "web", "k2", self.old_body("web", "7", "k2")),
            (1, stamp + 86_400_000, "marketo", "k1", self.old_body("marketo", "8", "k1", "2026-03-03T09:30:15.25Z")),
            (2, stamp, "web", "k1", self.old_body("web", "9", "k1")),
        ]
        self.old_file(path, rows)
        with opened(path) as store:
            first = store.dossier(1)
            assert [(a.identity.system, a.key) for a in first.activities] == [
                ("web", "k1"),
                ("web", "k2"),
                ("marketo", "k1"),
            ]
            told = first.activities[0]
            assert (told.asset, told.attributes) == ("/a?b=\u00e9", rest["attributes"])
            assert told.at == datetime(2026, 3, 2, 9, 30, 15, 250_000, UTC)
            assert [a.identity.id for a in store.dossier(2).activities] == ["9"]
            # the same ones told again, after the migration, are known
            again = [Activity(a.identity, a.key, a.at, a.kind, a.asset) for a in first.activities]
            with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
                raw.execute(
                    "insert into identity (ext, object, system, person) values ('7','lead','web',1), ('8','lead',"
                    "'marketo',1)"
                )
            assert store.accept(page(*again), "s", now=at(1)).new == 0
            assert store.dossier(1).activities == first.activities

    def test_activities_with_one_number_are_migrated_side_by_side(self, path, monkeypatch):
        monkeypatch.setattr("syncagent.state.migrations.slot", lambda key: activities.LAST)
        rows = [(1, 1772443815250, "web", f"k{n}", self.old_body("web", "7", f"k{n}")) for n in range(5)]
        self.old_file(path, rows)
        with opened(path) as store:
            assert [a.key for a in store.dossier(1).activities] == ["k0", "k1", "k2", "k3", "k4"]

    def schema(self, db):
        return db.execute(
            "select type, name, sql from sqlite_master where name not like 'sqlite_%' order by 1, 2"
        ).fetchall()

    def test_all_on_an_empty_file_are_the_schema_and_idempotent(self, path):
        with opened(path):
            pass
        with contextlib.closing(sqlite3.connect(path)) as raw:
            first = self.schema(raw)
        text = "\n".join(f"{sql};" for _, _, sql in first if sql) + "\n"
        kept = Path(__file__).with_name("schema.sql")
        assert text == kept.read_text(), (
            "The schema moved: add a migration, never edit one, then renew tests/state/schema.sql."
        )
        with opened(path):
            pass
        with contextlib.closing(sqlite3.connect(path)) as raw:
            assert self.schema(raw) == first
            assert all(
                "strict" in sql.lower() for kind, name, sql in first if kind == "table" and not name.startswith("_")
            )

    def test_a_newer_file_is_refused(self, path):
        with opened(path):
            pass
        raw = sqlite3.connect(path)
        with contextlib.closing(raw), raw:
            raw.execute(
                "insert into _sqlite_migrations (migration_set, name, applied_at) values ('syncagent', 'flying', 'x')"
            )
        for read_only in (False, True):
            with pytest.raises(StoreBrokenError, match=r"newer version.*flying"):
                open_store(path, read_only=read_only)

    def test_nothing_is_pending_after_migrating(self):
        db = Database(memory=True)
        migrate(db)
        assert migrations.pending(db) == []
        db.close()
