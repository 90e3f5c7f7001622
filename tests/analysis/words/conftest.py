"""How sure a report is, is not what is asked here."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def quick_reports(few_resamples: None) -> None:
    """In all of these tests."""
