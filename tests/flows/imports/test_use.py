"""What works on a study works on forecasts that came from a file, and says of what is not in it that it is not."""

import json
import math
import random
import re
from pathlib import Path

import polars as pl
import pytest
from plotly.utils import PlotlyJSONEncoder

from coordeval.analysis import leaderboard
from coordeval.flows.cli.imports import named_for
from coordeval.flows.dashboard.app import rendered
from coordeval.flows.dashboard.facts import Facts
from coordeval.flows.dashboard.menu import PAGES
from coordeval.flows.imports.storing import import_forecasts
from coordeval.flows.imports.wanted import Wanted
from coordeval.flows.markets.importing import import_dataset
from coordeval.flows.markets.listing import IMPORTED, eligible, listed
from coordeval.flows.run.scoring import score
from coordeval.ledger import read
from tests.flows.cli.conftest import coordeval  # noqa: F401  the fixture


def world(*forecasters: tuple[str, float]) -> pl.DataFrame:
    """40 questions in 20 events, the same for any forecasters, whose noise is the number beside their names."""
    rows, common, own = [], random.Random(7), random.Random(str(forecasters))
    for q in range(40):
        latent = common.gauss(0, 1.3)
        outcome, price = int(common.random() < logistic(latent)), logistic(latent + common.gauss(0, 0.4))
        about = {"question_id": f"q{q}", "event": f"e{q // 2}", "outcome": outcome, "market_price": round(price, 3)}
        about |= {"category": "odd" if q % 2 else "even", "date": "2026-01-05T10:00:00Z"}
        for name, noise in forecasters:
            probability = round(logistic(latent + own.gauss(0, noise)), 3)
            rows.append({**about, "forecaster": name, "probability": probability, "rationale": f"<b>{name}</b> thinks so"})
    return pl.DataFrame(rows)


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


MINE = world(("ours", 0.4), ("theirs", 1.5))


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("use")
    MINE.write_csv(folder / "mine.csv")
    bare = world(("third", 0.6)).drop("market_price", "rationale")
    import_forecasts([folder / "mine.csv"], Wanted(name="mine"), folder / "l.duckdb")
    import_forecasts(bare, Wanted(name="bare", questions="mine"), folder / "l.duckdb")
    return folder / "l.duckdb"


def test_scores_are_those_of_the_frame(ledger: Path):
    table = score(ledger, "mine").board.table
    squared = (pl.col("probability") - pl.col("outcome")) ** 2
    for name in ("ours", "theirs"):
        by_hand = MINE.filter(forecaster=name).sort("question_id").select(squared).to_series().mean()
        assert table.filter(configuration=name)["brier"].item() == pytest.approx(by_hand, rel=1e-14)


def test_the_published_forecasts_say_the_same_through_a_csv_file(published: Path, tmp_path: Path):
    ledger = tmp_path / "l.duckdb"
    frame = read_published(published, ledger)
    given = {"question_id": "market_id", "forecaster": "configuration", "event": "event_id", "date": "as_of"}
    names = ("probability", "outcome", "market_price", "category", "cost_usd", "reason")
    frame.select(*names, **given).write_csv(tmp_path / "published.csv")
    import_forecasts([tmp_path / "published.csv"], Wanted(name="copy"), ledger)
    first, again = (leaderboard(f, resamples=50).table for f in (frame, read(ledger).forecast_frame("copy")))
    apart = {c for c in first.columns if not first[c].equals(again[c], null_equal=True)}
    used = ("input_tokens", "output_tokens", "total_tokens", "model_calls", "tool_calls", "seconds")
    counts = {f"{name}_per_market" for name in used}
    assert apart == counts, "what a row of forecasts does not say; every score is the same to the last bit"
    page = (Path(__file__).parents[3] / "docs" / "published-study.md").read_text()
    told = dict(re.findall(r"^\| (\w+) \| (0\.\d{4}) \|", page, re.MULTILINE))
    scores = {row["configuration"]: f"{row['brier']:.4f}" for row in first.iter_rows(named=True)}
    assert told == {name: scores[name] for name in told}
    assert len(told) == 5


def read_published(published: Path, ledger: Path) -> pl.DataFrame:
    import_dataset("coordination-traces-100", published, ledger)
    return read(ledger).forecast_frame("coordination-traces-100")


def test_a_report_says_that_it_is_of_imported_forecasts_and_what_is_not_known(ledger: Path):
    results = score(ledger, "mine").results()
    assert [mark["label"] for mark in results["standing"]["marks"]] == ["IMPORTED"]
    assert results["money"] == "What they cost is not in the file."
    assert {row["cost_usd_per_market"] for row in results["leaderboard"]} == {None}
    said = " ".join(results["headline"])
    assert "what agents said on the way was not recorded" in said
    assert "No two configurations begin with the same requests" not in said, "nobody looked"
    assert results["control"]["held"] is None
    assert results["control"]["baselines"] == [], "whether a model was asked is not known"


def test_every_command_works_on_it(ledger: Path, coordeval, monkeypatch):  # noqa: F811
    monkeypatch.setenv("COORDEVAL_LEDGER", str(ledger))
    [forecast] = read(ledger).query("SELECT forecast_id FROM cells WHERE configuration = 'ours' LIMIT 1")["forecast_id"]
    ended = {
        "report mine --json --out out": 0,
        "compare mine bare --json": 0,
        "plan mine --json": 0,
        "control mine --json": 0,
        "leaks mine --json": 0,
        "forecasts mine --json": 0,
        "studies --json": 0,
        f"certificate {forecast}": 1,
    }
    monkeypatch.chdir(ledger.parent)
    for command, status in ended.items():
        done = coordeval(*command.split())
        assert done.status == status, done
        assert "fault of coordeval" not in done.err
        if not status:
            json.loads(done.out)
    assert "what its maker could see is not in the file" in done.err
    assert json.loads(coordeval("compare", "mine", "bare", "--json").out)["n_markets"] == 40


def test_its_markets_are_drawn_into_no_sample(ledger: Path):
    drawn = eligible(read(ledger), listed(read(ledger)), "source", max_price_age_hours=1e6)
    assert drawn.height == 40
    assert set(drawn["reason"]) == {IMPORTED}


def test_every_page_of_the_dashboard_shows_it(ledger: Path):
    facts = Facts(ledger)
    [forecast] = read(ledger).query("SELECT forecast_id FROM cells WHERE configuration = 'ours' LIMIT 1")["forecast_id"]
    try:
        for page in PAGES:
            search = {
                "/forecast": f"&forecast={forecast}",
                "/market": "&market=mine:q1",
                "/compare": "&second=bare",
            }.get(page.path, "")
            made = rendered(page.path, f"?study=mine{search}", facts, dark=False, command="x")
            said = json.dumps(made, cls=PlotlyJSONEncoder, ensure_ascii=False)
            assert "This page failed" not in said, page.path
            assert "low, high:" not in said, "a reason is told without names of fields"
            if page.path == "/":
                assert "IMPORTED: made elsewhere" in said
                assert '"imported"' in said, "what kind of study it is"
            if page.path == "/ahead":
                assert "These forecasts were made elsewhere" in said
            if page.path == "/forecast":
                assert "its file says nothing of calls" in said
                assert "ours</b> thinks so" in said
    finally:
        facts.close()


def test_five_questions_are_too_few_for_an_interval_and_the_overview_says_so_in_words(tmp_path: Path):
    import_forecasts(MINE.unique("event").group_by("forecaster").head(5), Wanted(name="few"), tmp_path / "l.duckdb")
    facts = Facts(tmp_path / "l.duckdb")
    try:
        said = json.dumps(rendered("/", "", facts, dark=False, command="x"), cls=PlotlyJSONEncoder, ensure_ascii=False)
    finally:
        facts.close()
    assert "an interval needs 6" in said
    assert "low, high:" not in said


@pytest.mark.parametrize(
    ("file", "name"),
    [("mine.csv", "mine"), ("logs.d/Our Bot.2026.csv.gz", "our-bot"), ("*.csv", "study"), ("./a.jsonl", "a")],
)
def test_a_study_without_a_name_is_called_as_its_first_file(file: str, name: str):
    assert named_for(file) == name


def test_no_model_goes_on_with_conversations_that_were_not_had_here(ledger: Path, coordeval):  # noqa: F811
    refused = coordeval("tools", "ablate", "mine", "--ledger", ledger)
    assert refused.status == 1
    assert "mine holds forecasts that were imported" in refused.err
