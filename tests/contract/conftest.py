"""A sandbox org over real HTTP for one test, and the suites' assertions told in full."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.contract.source", "tests.contract.target", "tests.contract.salesforce_org")
pytest.register_assert_rewrite("tests.contract.hubspot_portal")

from syncagent.sandbox import Sandbox  # noqa: E402 - the rewriting must be asked for before the modules are loaded
from tests.contract.hubspot_portal import Portal  # noqa: E402
from tests.contract.salesforce_org import Org  # noqa: E402


@pytest.fixture
def org(tmp_path: Path) -> Iterator[Org]:
    """A fresh org, its people, and a connector."""
    with Sandbox(["salesforce"]) as box:
        org = Org(box, tmp_path)
        yield org
        org.close()


@pytest.fixture
def portal() -> Iterator[Portal]:
    """A fresh portal whose tasks have unique keys, its people, and a connector."""
    with Sandbox(["hubspot"]) as box:
        portal = Portal(box)
        yield portal
        portal.close()


@pytest.fixture
def plain_portal() -> Iterator[Portal]:
    """The same, but our key on tasks is a property like any other."""
    with Sandbox(["hubspot"]) as box:
        portal = Portal(box, unique=False)
        yield portal
        portal.close()
