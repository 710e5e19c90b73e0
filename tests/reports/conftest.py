"""What several tests of reports stand on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reports.market import Market
from tests.story.theatre import Theatre


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Market]:
    with Theatre(tmp_path) as theatre:
        yield Market(theatre)
