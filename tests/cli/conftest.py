"""What the tests of the commands share."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    """A command sets the log up for its process; here the process goes on."""
    logger = logging.getLogger("syncagent")
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)
