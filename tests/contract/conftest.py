"""A sandbox org over real HTTP for one test, and the suites' assertions told in full."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.contract.source", "tests.contract.target", "tests.contract.salesforce_org")

from syncagent.sandbox import Sandbox  # noqa: E402 - the rewriting must be asked for before the modules are loaded
from tests.contract.salesforce_org import Org  # noqa: E402


@pytest.fixture
def org(tmp_path: Path) -> Iterator[Org]:
    """A fresh org, its people, and a connector."""
    with Sandbox(["salesforce"]) as box:
        org = Org(box, tmp_path)
        yield org
        org.close()
