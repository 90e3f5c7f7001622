"""A prospective study on the simulated venue, and its days."""

from datetime import UTC, datetime, timedelta

import pytest

from coordeval.ledger import Ledger
from coordeval.ledger.database import kept_open

STUDY = """
name = "ahead"
replicates = 1
configurations = ["market_price", "single_agent"]
[markets]
source = "open"
venue = "simulated"
per_day = 2
[model]
provider = "simulated"
"""
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def day(n: int, hours: float = 0) -> datetime:
    return START + timedelta(days=n, hours=hours)


def written(folder, text=STUDY):
    path = folder / "ahead.toml"
    path.write_text(text)
    return path


@pytest.fixture
def study(tmp_path):
    return written(tmp_path)


@pytest.fixture
def ledger(tmp_path):
    """A path, kept open meanwhile: a day then costs a tenth."""
    path = tmp_path / "coordeval.duckdb"
    Ledger.open(path, purpose="a test").close()
    with kept_open(path):
        yield path


@pytest.fixture(scope="session")
def fortnight(tmp_path_factory):
    """(study file, ledger) after 15 days of daily steps, of which day 3 was missed. Only to be read."""
    from coordeval.flows.prospective.daily import forecast_day, resolve_day

    folder = tmp_path_factory.mktemp("fortnight")
    path, ledger = written(folder), folder / "coordeval.duckdb"
    Ledger.open(ledger, purpose="a test").close()
    with kept_open(ledger):
        for n in range(15):
            if n != 3:
                forecast_day(path, ledger, now=day(n))
            if n % 5 == 4:
                resolve_day(path, ledger, now=day(n, hours=1))
    return path, ledger
