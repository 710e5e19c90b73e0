"""The writer: what shares a commit, whom a failure concerns, and when the log is checkpointed."""

import threading
from concurrent.futures import Future
from contextlib import closing

import pytest
from sqlite_utils.utils import sqlite3

from syncagent.errors import StoreBrokenError
from syncagent.model import Lane
from syncagent.state import open_store, writer


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


def wait_for_the_writer(store):
    """Hold the writer's thread in a job, so that what follows falls into one group."""
    go, inside = threading.Event(), threading.Event()

    def job(db):
        inside.set()
        go.wait(20)

    held = store._writer.submit("test", job)
    assert inside.wait(20)
    return go, held


class TestGroups:
    def test_many_callers_share_a_commit_and_hot_goes_first(self, path, monkeypatch):
        told = []
        with closing(open_store(path)) as store:
            go, held = wait_for_the_writer(store)
            monkeypatch.setattr(writer, "FAILPOINT", told.append)
            monkeypatch.setattr(writer, "GROUP_SECONDS", 60)
            cold = store._writer.submit("cold", lambda db: len(told), Lane.COLD)
            hot = store._writer.submit("hot", lambda db: len(told), Lane.HOT)
            go.set()
            for future in (held, cold, hot):
                future.result(20)
        assert told[:3] == ["test.before_commit", "hot.before_commit", "cold.before_commit"] or told[:9] == [
            *(f"test.{w}" for w in ("before_commit", "after_commit", "before_reply")),
            *(f"{j}.{w}" for w in ("before_commit", "after_commit") for j in ("hot", "cold")),
            "hot.before_reply",
            "cold.before_reply",
        ]

    def test_a_group_that_fails_is_tried_caller_by_caller(self, path, monkeypatch):
        monkeypatch.setattr(writer, "GROUP_SECONDS", 60)
        with closing(open_store(path)) as store:
            go, held = wait_for_the_writer(store)
            runs: list[str] = []

            def good(name):
                def job(db):
                    runs.append(name)
                    db.execute("insert into meta values (?, 'x')", (name,))
                    return name

                return job

            def bad(db):
                db.execute("insert into meta values ('half', 'x')")
                raise ValueError("mine alone")

            futures: list[Future] = [
                store._writer.submit("a", good("a")),
                store._writer.submit("bad", bad),
                store._writer.submit("b", good("b")),
            ]
            go.set()
            held.result(20)
            assert futures[0].result(20) == "a"
            with pytest.raises(ValueError, match="mine alone"):
                futures[1].result(20)
            assert futures[2].result(20) == "b"
            assert (store.meta("a"), store.meta("b"), store.meta("half")) == ("x", "x", None)
            assert runs[-2:] == ["a", "b"]

    def test_a_disk_that_cannot_sync_breaks_the_store_and_stores_nothing(self, path, monkeypatch):
        def fail(name):
            if name.endswith("before_commit"):
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
                raise error

        with closing(open_store(path)) as store:
            with monkeypatch.context() as patched, pytest.raises(StoreBrokenError, match="look at the disk"):
                patched.setattr(writer, "FAILPOINT", fail)
                store.set_meta("a", "b")
            assert store.meta("a") is None

    def test_nobody_waits_for_a_dead_writer(self, path, monkeypatch):
        def die(name):
            if name == "set_meta.after_commit":
                raise ZeroDivisionError

        monkeypatch.setattr(threading, "excepthook", lambda args: None)
        with closing(open_store(path)) as store:
            monkeypatch.setattr(writer, "FAILPOINT", die)
            with pytest.raises(ZeroDivisionError):
                store.set_meta("a", "b")


class TestCheckpoints:
    def happenings(self, path, monkeypatch, *, pages, beside=lambda writer, name: None):
        """What the thread did, in order, around a job named "large" that writes so many pages."""
        told = []

        def happened(name):
            told.append(name)
            beside(store._writer, name)

        monkeypatch.setattr(writer, "CHECKPOINT_PAGES", 1500)
        with closing(open_store(path)) as store:
            store._writer.do("trace", lambda db: db.set_trace_callback(told.append))
            monkeypatch.setattr(writer, "FAILPOINT", happened)
            told.clear()
            rows = [(f"m{n}", "x" * 5000) for n in range(pages)]  # a row is a page, and a little
            store._writer.do("large", lambda db: db.executemany("insert into meta values (?, ?)", rows).rowcount)
        end = told.index("pragma wal_checkpoint(truncate)")
        kept = ("commit", "pragma wal_checkpoint(passive)")
        return [one for one in told[:end] if one in kept or one.endswith("before_reply")]

    def test_nobody_waits_for_one(self, path, monkeypatch):
        assert self.happenings(path, monkeypatch, pages=1500) == [
            "commit",
            "large.before_reply",
            "pragma wal_checkpoint(passive)",
        ]

    def test_whoever_came_meanwhile_goes_first(self, path, monkeypatch):
        def one_more(thread, name):
            if name == "large.before_reply":
                thread.submit("small", lambda db: None)

        assert self.happenings(path, monkeypatch, pages=1500, beside=one_more) == [
            "commit",
            "large.before_reply",
            "commit",
            "small.before_reply",
            "pragma wal_checkpoint(passive)",
        ]

    def test_few_pages_are_worth_none(self, path, monkeypatch):
        assert self.happenings(path, monkeypatch, pages=500) == ["commit", "large.before_reply"]

    def test_what_was_checkpointed_counts_no_more(self, path):
        """The log begins anew behind a checkpoint, in the same file, which grows no shorter."""
        log = path.with_name(path.name + "-wal")
        with closing(open_store(path)) as store:
            rows = [(f"m{n}", "x" * 5000) for n in range(500)]
            store._writer.do("large", lambda db: db.executemany("insert into meta values (?, ?)", rows).rowcount)
            assert writer._holds(log, 500)
            assert not writer._holds(log, 2000)
            with closing(sqlite3.connect(path)) as other:
                other.execute("pragma wal_checkpoint(passive)")
            assert writer._holds(log, 500)
            store.set_meta("one", "more")
            assert writer._holds(log, 1)
            assert not writer._holds(log, 500)
        assert not writer._holds(log, 1)
