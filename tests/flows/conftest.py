"""What the tests of runs share: small studies, and where the recorded data are."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flows.replayed import Again, replaying

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT.parent / "shared" / "data" / "coordination-traces-100"

SMALL = """
name = "small"
replicates = 2
configurations = ["single_agent", "market_price", "independent_ensemble", "peer_critique_debate", "consensus_alignment"]
[markets]
source = "simulated"
count = 6
[model]
provider = "simulated"
"""


@pytest.fixture(scope="module", autouse=True)
def quick_reports(few_resamples: None) -> None:
    """In all of these tests."""


@pytest.fixture(scope="module")
def stored_is_made_again() -> Iterator[Again]:
    """Whatever a module stores sends the same bytes again; what does not fails its last test."""
    with replaying() as again:
        yield again
    assert not again.wrong


@pytest.fixture
def published() -> Path:
    if not PUBLISHED.is_dir():
        pytest.skip(f"the recorded data are not here: {PUBLISHED}")
    return PUBLISHED


@pytest.fixture
def study_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a study file: SMALL with replacements."""

    def write(*replacements: tuple[str, str], text: str = SMALL, name: str = "small.toml") -> Path:
        for old, new in replacements:
            assert old in text, f"the study to change has no {old!r}"
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture
def paths(tmp_path: Path):
    return tmp_path / "one" / "ledger.duckdb", tmp_path / "other" / "ledger.duckdb"
