"""The published study: imported it gives the published leaderboard, replayed it gives the published forecasts."""

import asyncio
import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from coordeval.analysis import leaderboard
from coordeval.analysis.cost.compute_matched import plain_sampling
from coordeval.analysis.differences.openings import openings
from coordeval.flows.markets.importing import import_dataset
from coordeval.flows.run.auditing import audit_study
from coordeval.flows.run.run import Steps, run_steps
from coordeval.flows.run.scoring import score
from coordeval.flows.study.study import load_study
from coordeval.flows.verify import computed
from coordeval.ledger import read
from coordeval.ledger.estimates import lone_draws, openings_frame
from coordeval.ledger.questions import questions_frame
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.traces100 import CONFIGURATIONS, NAME, install
from tests.flows.conftest import ROOT
from tests.flows.run.test_run import run


@pytest.fixture(scope="module")
def ledger_path(tmp_path_factory) -> Path:
    from tests.flows.conftest import PUBLISHED

    if not PUBLISHED.is_dir():
        pytest.skip(f"the recorded data are not here: {PUBLISHED}")
    path = tmp_path_factory.mktemp("published") / "ledger.duckdb"
    import_dataset(NAME, PUBLISHED, path)
    loaded = load_study(ROOT / "studies" / "replication.toml")
    asyncio.run(run_steps(loaded, path, Console(file=io.StringIO()), Steps("replication")))
    return path


@pytest.mark.proof
def test_the_telemetry_of_imported_traces_is_stored_and_is_what_their_rows_come_to(ledger_path):
    assert read(ledger_path).query("SELECT count(DISTINCT forecast_id) FROM telemetry").item() >= 494
    part = computed.look(read(ledger_path), None)
    assert (part.looked > 494, part.faults) == (True, [])


def test_the_imported_study_has_every_published_forecast_call_cost_and_tool_result(ledger_path):
    reader = read(ledger_path)
    frame = reader.forecast_frame(NAME)
    assert frame.group_by("status").len().sort("status").rows() == [("answered", 494), ("failed", 6)]
    assert set(frame.filter(pl.col("status") == "failed")["reason"]) == {
        "Anthropic API call failed: [Error] | Connection error.",
        "Anthropic API call failed: [Error] | Request timed out.",
    }
    calls = "SELECT count(*) FROM calls JOIN cells USING (forecast_id) JOIN studies USING (study_id) WHERE name = ?"
    assert reader.query(calls, [NAME]).item() == 100 + 100 + 3 * 98 * 3
    tools = reader.query("""
        SELECT tool, count(*) AS n, sum(items)::INT AS items, sum(error::INT)::INT AS errors FROM tool_calls
        WHERE tool IN ('searchWeb', 'getMarketDetails', 'getPriceHistory') GROUP BY tool ORDER BY tool
    """)
    assert tools.rows() == [
        ("getMarketDetails", 1139, 1139, 0),
        ("getPriceHistory", 981, 0, 981),
        ("searchWeb", 8552, 0, 0),
    ]
    assert frame["paid_usd"].sum() == pytest.approx(109.65, abs=0.005)


def test_three_of_the_five_published_configurations_begin_with_one_and_the_same_call(ledger_path):
    """What the publication did not notice: with one agent, an ensemble, a consensus and a debate's first round are one."""
    graphs = read(ledger_path).forecast_frame(NAME).filter(pl.col("status") == "answered")
    graphs = graphs.group_by("configuration").agg(pl.col("call_graph").unique())
    found = {name: set(graph) for name, graph in graphs.iter_rows()}
    assert found["independent_ensemble"] == found["consensus_alignment"]
    assert found["independent_ensemble"].isdisjoint(found["sequential_pipeline"])
    first = read(ledger_path).query("""
        SELECT d.market_id, count(DISTINCT d.request_id) AS requests, count(*) AS calls
        FROM calls c JOIN draws d USING (draw_id) JOIN forecasts f USING (forecast_id)
        JOIN cells USING (forecast_id) JOIN studies s USING (study_id)
        WHERE s.name = ? AND c.ask = 0
        AND f.configuration IN ('independent_ensemble', 'consensus_alignment', 'peer_critique_debate') GROUP BY ALL
    """, [NAME])  # fmt: skip
    assert set(first["requests"]) == {1}
    assert set(first["calls"]) == {2, 3}


def test_our_configurations_arrive_at_the_published_forecasts_costs_and_reasons(ledger_path):
    reader = read(ledger_path)
    columns = ["configuration", "market_id", "status", "probability", "reason", "cost_usd", "input_tokens", "output_tokens"]
    published = reader.forecast_frame(NAME).select(columns)
    ours = reader.forecast_frame("replication").select(columns)
    assert ours.equals(published), "all 494 probabilities, all 6 reasons, every cost"
    assert ours["probability"].count() == 494


def test_replayed_tool_calls_ran_on_the_cell_s_own_market(ledger_path):
    """In the publication every market-details call returned one and the same other market."""
    wrong = read(ledger_path).query("""
        SELECT count(*) FROM tool_calls t JOIN forecasts f USING (forecast_id) JOIN markets m USING (market_id)
        WHERE t.tool = 'market_details' AND json_extract_string(t.result, '$.question') != m.question
    """)
    assert wrong.item() == 0


def test_the_published_leaderboard_is_reproduced_with_its_own_policy_and_edges(ledger_path, published):
    frame = read(ledger_path).forecast_frame(NAME)
    board = leaderboard(frame, policy="fallback_half", edges="float").table
    expected = pl.read_csv(published / "leaderboard.csv").sort("config")
    got = board.filter(pl.col("configuration").is_in(expected["config"].to_list())).sort("configuration")
    for ours, theirs in (("brier", "brier"), ("alpha", "alpha"), ("unc", "UNC"), ("rel", "REL"), ("res", "RES")):
        assert got[ours].to_list() == pytest.approx(expected[theirs].to_list(), abs=5e-7), theirs
    assert got["cost_usd_per_market"].to_list() == pytest.approx(expected["cost_usd_per_market"].to_list(), abs=5.1e-7)


def test_the_report_of_the_import_scores_only_what_was_answered(ledger_path):
    report = score(ledger_path, NAME)
    assert report.board.policy == "common"
    assert report.board.n_markets == 94


def test_what_the_publication_predicted_is_scored_as_far_as_it_has_rules_and_never_called_pre_specified(ledger_path):
    found = score(ledger_path, NAME).findings
    assert found.stated.prespecified is False
    assert "by the publication" in found.stated.when
    assert len(found.stated.unscored) == 3
    table = found.predictions.table
    assert table["reason"].null_count() == table.height == 6
    assert set(table["source"]) == {"the publication, arXiv 2605.03310"}
    assert table["stands"].to_list() == [False] * 6, "94 markets uphold none of them after correction"


@pytest.mark.proof
def test_importing_again_changes_nothing(ledger_path, published):
    before = read(ledger_path).query("SELECT count(*) FROM calls").item()
    import_dataset(NAME, published, ledger_path)
    assert read(ledger_path).query("SELECT count(*) FROM calls").item() == before


def test_an_unknown_dataset_or_folder_is_named(tmp_path):
    with pytest.raises(CoordevalError, match=rf"unknown dataset 'imagenet'.*{NAME}"):
        import_dataset("imagenet", None, tmp_path / "l.duckdb")
    with pytest.raises(CoordevalError, match="is not a folder"):
        import_dataset(NAME, tmp_path / "absent", tmp_path / "l.duckdb")


def test_a_replication_with_a_configuration_that_was_not_recorded_is_refused_before_anything_runs(tmp_path, published):
    install(tmp_path / "data", published)
    text = (ROOT / "studies" / "replication.toml").read_text().replace('"sequential_pipeline"', '"single_agent"')
    (tmp_path / "s.toml").write_text(text)
    path = tmp_path / "l.duckdb"
    with pytest.raises(CoordevalError, match=r"'single_agent'.*consensus_alignment"):
        asyncio.run(run_steps(load_study(tmp_path / "s.toml"), path, Console(file=io.StringIO()), Steps("s")))


def test_the_published_first_rounds_give_the_reference_curve_of_plain_sampling(ledger_path):
    """statistics.md, section 7: three single-agent draws on the 98 markets where all three exist."""
    draws = lone_draws(read(ledger_path), NAME, list(CONFIGURATIONS))
    per_market = draws.group_by("market_id").agg(pl.col("probability")).filter(pl.col("probability").list.len() == 3)
    assert per_market.height == 98
    outcomes = read(ledger_path).query("SELECT market_id, value FROM current_outcomes")
    joined = per_market.join(outcomes, on="market_id")
    curve = plain_sampling(np.array(joined["probability"].to_list()), joined["value"].to_numpy())
    assert [curve.brier(k) for k in (1, 2, 3)] == pytest.approx([0.168629, 0.167364, 0.166942], abs=5e-7)
    assert draws["cost_usd"].null_count() == 0


def test_draws_that_configurations_share_count_once(study_file, tmp_path):
    path = tmp_path / "l.duckdb"
    run(study_file(), path)
    draws = lone_draws(read(path), "small", ["single_agent", "independent_ensemble", "peer_critique_debate"])
    assert draws["draw_id"].n_unique() == draws.height
    assert draws.group_by("market_id", "replicate").len()["len"].max() == 3


def test_three_published_configurations_begin_with_the_same_bytes_and_differ_more_than_most_pairs_in_the_end(ledger_path):
    """System and user prompt alike; the dataset does not record tools and sampling parameters beside them."""
    reader = read(ledger_path)
    frame = openings_frame(reader, NAME)
    keys = reader.query(
        "SELECT DISTINCT json_keys(request) AS keys FROM draws d JOIN calls c USING (draw_id) WHERE c.ask = 0"
    )
    assert ["systemPrompt", "userPrompt"] in keys["keys"].to_list()
    found = openings(frame, n=2000)
    group = found.groups.row(0, named=True)
    assert group["configurations"] == ["consensus_alignment", "independent_ensemble", "peer_critique_debate"]
    assert found.groups.height == 1
    assert group["n_markets"] == 98
    assert np.mean(group["brier"]) == pytest.approx(0.168629, abs=5e-7), "E_1 of plain sampling, statistics.md"
    same = found.pairs.filter("same")
    assert same["n_same"].to_list() == [100, 98, 98]
    assert same["n_shared_draws"].to_list() == [0, 0, 0], "each configuration was sampled on its own"
    assert found.pairs.filter(~pl.col("same"))["n_same"].to_list() == [0] * 7
    assert (found.largest, found.exceeds, found.compared) == (pytest.approx(0.021771, abs=5e-7), 7, 10)


def test_openings_of_our_own_runs_share_their_draws_and_are_no_test(study_file, tmp_path):
    path = tmp_path / "l.duckdb"
    run(study_file(), path)
    frame = openings_frame(read(path), "small")
    assert frame.group_by("configuration", "market_id", "replicate").len()["len"].max() == 3
    assert frame.filter(pl.col("request_id").is_null()).is_empty()
    found = openings(frame, n=50)
    assert found.groups["configurations"][0].to_list() == [
        *("consensus_alignment", "independent_ensemble"),
        *("peer_critique_debate", "single_agent"),
    ]
    assert all("shared draws" in reason for reason in found.pairs["reason"])
    assert found.largest is None


def test_the_questions_of_a_study_come_with_the_venue_s_word_that_they_exclude_each_other(ledger_path):
    reader = read(ledger_path)
    frame = questions_frame(reader, NAME)
    assert frame.columns == ["market_id", "event_id", "question", "scheduled_close", "as_of", "neg_risk_id"]
    assert (frame.height, frame["event_id"].n_unique()) == (100, 90)
    assert frame["neg_risk_id"].null_count() == 100, "the dataset does not say it"


# rule: (count, of) of each finding, as counted by hand from the published files; what is not here must not be found
FAULTS = {
    "fewer_agents": [(396, 396)],  # ensemble and alignment 100 each, debate and orchestrator 98 each that did not fail
    "identical_requests": [(3, 5)],
    "resolution_time": [(100, 100)],
    "tool_failed": [(981, 981)],
    "tool_never_useful": [(10_672, 10_672)],
    "tool_other_market": [(1_139, 1_139)],
    "empty_peers": [(196, 196)],  # two rounds of 98 debates
    "silent_fallback": [(6, 500)],
    "tool_empty": [(8_552, 8_552)],
    "repeats_price": [(194, 494)],
    "unsupported_claim": [(77, 392)],
    "same_event": [(10, 100)],
    "tool_repeated": [(28, 1_139)],
}


def test_the_audit_finds_every_known_fault_of_the_published_traces_and_nothing_else(ledger_path):
    found = audit_study(read(ledger_path), NAME)
    assert {f.rule: [(g.count, g.of) for g in found.findings if g.rule == f.rule] for f in found.findings} == FAULTS
    says = {finding.rule: finding.says for finding in found.findings}
    assert says["identical_requests"].startswith("consensus_alignment, independent_ensemble and peer_critique_debate begin")
    assert "consensus_alignment and independent_ensemble send nothing else" in says["identical_requests"]
    assert "stand at 0.5" in says["silent_fallback"]
    assert "33% to 44% by configuration" in says["repeats_price"]  # a third to two fifths
    assert found.worst == "error"
    assert all(finding.rows.height for finding in found.findings)
    ids = set(read(ledger_path).query("SELECT forecast_id FROM forecasts")["forecast_id"])
    assert all(set(finding.rows["forecast_id"].drop_nulls()) <= ids for finding in found.findings)
