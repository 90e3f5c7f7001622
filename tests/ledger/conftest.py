import pytest

from coordeval.ledger import Ledger


@pytest.fixture
def path(tmp_path):
    return tmp_path / "made" / "x.duckdb"


@pytest.fixture
def ledger(path):
    with Ledger.open(path, purpose="a test") as opened:
        yield opened
