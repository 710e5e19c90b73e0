"""Marketo keeps every promise over real HTTP."""

import pytest

from tests.contract.marketo_world import marketo_world
from tests.contract.source import SourceContract
from tests.contract.target import TargetContract


@pytest.fixture
def world(monkeypatch):
    with marketo_world(monkeypatch) as world:
        yield world


class TestMarketoSource(SourceContract):
    pass


class TestMarketoTarget(TargetContract):
    pass
