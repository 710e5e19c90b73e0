"""The policies that are kept beside what they decided."""

import contextlib
import zlib

from sqlite_utils.utils import sqlite3

from syncagent.state import open_store
from syncagent.state.store import InUse
from tests.state.story_values import T0
from tests.unit.handoff.worlds import policy


def test_a_policy_that_this_version_cannot_read_is_named_and_not_used(tmp_path):
    path = tmp_path / "state.db"
    with contextlib.closing(open_store(path)) as store:
        store.use_policy(policy(digest="a"), now=T0)
    with contextlib.closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("update policy set body = ?", (zlib.compress(b'{"timezone": 5}'),))
    with contextlib.closing(open_store(path, read_only=True)) as store:
        assert store.policy_at(T0) == InUse("a", T0, None)
