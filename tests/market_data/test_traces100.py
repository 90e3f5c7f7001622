"""The published dataset: the pinned bytes or none at all, wherever they come from, and what they say about the markets."""

import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import stamina

from coordeval.market_data.errors import CoordevalError, DataError
from coordeval.market_data.gate import MarketView
from coordeval.market_data.traces100 import (
    CHECKSUMS,
    CONFIGURATIONS,
    NAME,
    CoordinationTraces,
    install,
    published_cells,
    read_checked,
)

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "coordination-traces-100"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded data are not here: {DATA}")

TRACE = "traces/sequential_pipeline.jsonl"


@pytest.fixture
def copy(tmp_path) -> Path:
    """The dataset in a folder of the user's, to be damaged."""
    folder = tmp_path / "users copy"
    shutil.copytree(DATA, folder)
    return folder


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Serves a folder over HTTP on this machine; gives its address."""
    servers = []

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            return None

    def start(folder: Path) -> str:
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def alter(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


DAMAGES = [
    pytest.param(alter, "it was altered or cut short", id="one bit is another"),
    pytest.param(cut, "it was altered or cut short", id="the last byte is missing"),
    pytest.param(lambda file: file.write_bytes(b""), "it was altered or cut short", id="empty"),
    pytest.param(Path.unlink, "cannot be read (No such file or directory)", id="missing"),
]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


# --- installing


def test_a_folder_is_copied_whole_and_nothing_else(tmp_path, copy):
    (copy / "notes.txt").write_text("mine")
    target = install(tmp_path / "data", copy)
    assert target == tmp_path / "data" / NAME
    assert set(contents(target)) == set(CHECKSUMS)
    assert all(read_checked(target, name) == (DATA / name).read_bytes() for name in CHECKSUMS)
    assert list((tmp_path / "data").iterdir()) == [target], "no temporary folder stays behind"


@pytest.mark.parametrize(("damage", "problem"), DAMAGES)
@pytest.mark.parametrize("name", ["markets.jsonl", TRACE])
def test_a_damaged_folder_is_refused_by_file_and_leaves_nothing(tmp_path, copy, name, damage, problem):
    damage(copy / name)
    with pytest.raises(DataError) as caught:
        install(tmp_path / "data", copy)
    message = str(caught.value)
    assert str(copy / name) in message
    assert problem in message
    assert "give the folder that holds the whole published dataset" in message
    assert f"coordeval import {NAME}" in message
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize(("damage", "problem"), DAMAGES)
def test_a_dataset_damaged_after_it_was_installed_is_refused_and_the_named_fix_mends_it(tmp_path, copy, damage, problem):
    target = install(tmp_path, copy)
    damage(target / TRACE)
    for use in (lambda: install(tmp_path), lambda: list(published_cells(target))):
        with pytest.raises(DataError) as caught:
            use()
        assert str(target / TRACE) in str(caught.value)
        assert problem in str(caught.value)
        assert f"delete {target} and run `coordeval import {NAME}`" in str(caught.value)
        assert f"`coordeval import {NAME} PATH`" in str(caught.value)
    assert install(tmp_path, copy) == target, "the second fix: PATH"
    assert len(list(published_cells(target))) == 500
    damage(target / TRACE)
    shutil.rmtree(target)
    assert install(tmp_path, copy) == target, "the first fix: delete, then import"


def test_a_damaged_origin_does_not_touch_what_is_installed(tmp_path, copy):
    target = install(tmp_path, copy)
    before = contents(target)
    alter(copy / TRACE)
    with pytest.raises(DataError, match="altered or cut short"):
        install(tmp_path, copy)
    assert contents(target) == before


def test_what_is_installed_is_checked_and_fetched_from_nowhere(tmp_path, copy, monkeypatch):
    target = install(tmp_path, copy)
    monkeypatch.setattr("coordeval.market_data.traces100.REPOSITORY", "http://127.0.0.1:9")
    assert install(tmp_path) == target


def test_a_dataset_that_was_never_installed_says_how_to_get_it(tmp_path):
    with pytest.raises(DataError) as caught:
        CoordinationTraces(tmp_path / NAME)
    assert f"run `coordeval import {NAME}` to download" in str(caught.value)
    assert "delete" not in str(caught.value)


# --- downloading, from a real server on this machine


def test_a_download_is_the_published_dataset(tmp_path, serve):
    target = install(tmp_path, serve(DATA))
    assert contents(target) == {name: (DATA / name).read_bytes() for name in CHECKSUMS}


def test_a_file_that_the_server_lacks_is_named_with_its_address_and_the_fix(tmp_path, copy, serve):
    (copy / TRACE).unlink()
    url = serve(copy)
    with pytest.raises(CoordevalError) as caught:
        install(tmp_path / "data", url)
    message = str(caught.value)
    assert f"{url}/{TRACE} could not be downloaded" in message
    assert "404" in message
    assert f"with a copy at hand, run `coordeval import {NAME} PATH`" in message
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("damage", [alter, cut])
def test_what_a_server_altered_is_refused(tmp_path, copy, serve, damage):
    damage(copy / "markets.jsonl")
    url = serve(copy)
    with pytest.raises(DataError, match="altered or cut short") as caught:
        install(tmp_path / "data", f"{url}/")
    assert f" {url}/markets.jsonl has sha256" in str(caught.value)
    assert f"`coordeval import {NAME} PATH`" in str(caught.value)
    assert list((tmp_path / "data").iterdir()) == []


def test_a_server_that_is_not_there_is_named(tmp_path):
    without_waits = stamina.set_testing(True, attempts=3)
    with (
        without_waits,
        pytest.raises(CoordevalError, match=r"http://127\.0\.0\.1:9/LICENSE could not be downloaded \(ConnectError"),
    ):
        install(tmp_path, "http://127.0.0.1:9")


# --- what it holds


@pytest.fixture(scope="module")
def source() -> CoordinationTraces:
    return CoordinationTraces(DATA)


def test_a_hundred_markets_of_ninety_events(source):
    markets = source.markets()
    assert len({market.id for market in markets}) == len(markets) == 100
    assert len({market.event_id for market in markets}) == 90
    assert {market.source for market in markets} == {NAME}
    assert not any(market.simulated for market in markets)


def test_every_market_has_one_price_of_one_kind_and_one_outcome(source):
    ids = Counter(market.id for market in source.markets())
    prices, outcomes = source.prices(), source.outcomes()
    assert Counter(price.market_id for price in prices) == ids
    assert Counter(outcome.market_id for outcome in outcomes) == ids
    assert {price.kind for price in prices} == {"trade_vwap"}
    assert {outcome.status for outcome in outcomes} == {"resolved"}
    assert {outcome.value for outcome in outcomes} == {0, 1}
    assert source.documents() == []


def test_the_as_of_time_is_a_day_before_resolution_and_the_price_is_known_by_then(source):
    resolved = {outcome.market_id: outcome.resolved_at for outcome in source.outcomes()}
    prices = {price.market_id: price for price in source.prices()}
    for market in source.markets():
        assert market.reference_time is not None
        assert resolved[market.id] - market.reference_time == timedelta(hours=24)
        assert market.reference_time.tzinfo is UTC
        view = MarketView(market, market.reference_time, [prices[market.id]], [])
        assert view.price == prices[market.id]


def test_no_market_gives_away_when_it_resolved(source):
    resolved = {outcome.market_id: outcome.resolved_at for outcome in source.outcomes()}
    for market in source.markets():
        assert market.scheduled_close is None
        assert resolved[market.id] not in market.known_at_opening().values()


def test_every_published_cell_is_joined_by_its_market_and_question(source):
    questions = {market.id: market.question for market in source.markets()}
    cells = list(published_cells(DATA))
    assert Counter(configuration for configuration, _, _ in cells) == dict.fromkeys(CONFIGURATIONS, 100)
    assert len({(configuration, market_id) for configuration, market_id, _ in cells}) == 500
    assert all(row["question"] == questions[market_id] for _, market_id, row in cells)
