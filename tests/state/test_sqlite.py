"""`SqliteStore` keeps every promise of the contract."""

import pytest

from syncagent.state import open_store
from tests.state.conformance import StoreConformance


class TestSqliteStore(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path):
        opened = open_store(tmp_path / "state.db")
        yield opened
        opened.close()

    @pytest.fixture
    def other_store(self, tmp_path):
        opened = open_store(tmp_path / "other.db")
        yield opened
        opened.close()
