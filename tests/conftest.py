"""What all tests share. No test has a clock: on a busy machine a property takes longer to check, and is no less true."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from coordeval.market_data import secrets

settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")


@pytest.fixture(autouse=True)
def no_known_secrets() -> Iterator[None]:
    """A key that one test took out of the environment is not there for the next one."""
    yield
    secrets.forget()
