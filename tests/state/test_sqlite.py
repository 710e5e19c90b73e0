"""`SqliteStore` keeps every promise of the contract."""

import pytest

from syncagent.clock import ManualClock
from syncagent.state import open_store
from tests.state.conformance import StoreConformance
from tests.state.story_values import at


class TestSqliteStore(StoreConformance):
    @pytest.fixture
    def clock(self):
        return ManualClock(at(0))

    @pytest.fixture
    def store(self, tmp_path, clock):
        opened = open_store(tmp_path / "state.db", clock=clock)
        yield opened
        opened.close()

    @pytest.fixture
    def other_store(self, tmp_path):
        opened = open_store(tmp_path / "other.db")
        yield opened
        opened.close()
