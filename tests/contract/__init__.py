"""The suites are no test modules themselves: their assertions are told in full only when pytest is asked to."""

import pytest

pytest.register_assert_rewrite("tests.contract.source", "tests.contract.target")
