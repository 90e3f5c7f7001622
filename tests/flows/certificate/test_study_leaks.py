"""The leak probes of a study, and the optional arm that asks what the model knows by heart."""

import polars as pl
import pytest
from typer.testing import CliRunner

from coordeval.flows.audit.diagnosis import diagnosed
from coordeval.flows.certificate.leaks import leaks
from coordeval.flows.cli.main import app
from coordeval.flows.markets.importing import import_dataset
from coordeval.flows.run.auditing import audit_study
from coordeval.flows.run.scoring import report_directory, score
from coordeval.flows.run.telemetry import telemetry_of
from coordeval.flows.study.study import PROBE, StudyError, load_study
from coordeval.ledger import read
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.traces100 import NAME
from tests.flows.run.test_run import run

WITH_PROBE = ("[markets]", "[agents]\nmemorisation_probe = true\n[markets]")


def test_the_probe_s_agents_see_the_question_and_nothing_else(study_file, tmp_path):
    path = tmp_path / "l.duckdb"
    run(study_file(WITH_PROBE), path)
    frame = read(path).forecast_frame("small")
    probe = frame.filter(pl.col("configuration") == PROBE)
    assert probe.height == 6 * 2
    assert set(probe["tool_calls"]) == {0}
    requests = read(path).query(f"""
        SELECT DISTINCT d.request FROM draws d JOIN calls USING (draw_id) JOIN cells c USING (forecast_id)
        WHERE c.configuration = '{PROBE}'
    """)["request"]
    assert requests.len() > 0
    assert not any("Market price of YES" in request or "search_evidence" in request for request in requests)
    others = read(path).query("SELECT request FROM draws WHERE request LIKE '%Market price of YES%'")
    assert others.height > 0, "the other configurations see the price"


def test_the_probe_is_never_compared_with_the_configurations(study_file, tmp_path):
    path = tmp_path / "l.duckdb"
    run(study_file(WITH_PROBE), path)
    assert PROBE not in score(path, "small").board.table["configuration"].to_list()
    assert "Memorisation" in [title for title, _ in leaks(read(path), "small", resamples=200)]


@pytest.mark.proof
def test_named_it_is_an_arm_like_any_other(study_file, tmp_path):
    path = tmp_path / "l.duckdb"
    run(study_file(WITH_PROBE), path)
    reader, whole, alone = read(path), score(path, "small"), score(path, "small", arm=PROBE)
    assert set(alone.board.table["configuration"]) == {PROBE, "market price"}
    assert report_directory(path, alone) != report_directory(path, whole)
    assert set(telemetry_of(reader, "small", arm=PROBE)["configuration"]) == {PROBE}
    assert audit_study(reader, "small", arm=PROBE).forecasts == 6 * 2
    assert audit_study(reader, "small").forecasts == 6 * 2 * 5, "unnamed it is left out"
    forecast = reader.query("SELECT min(forecast_id) FROM cells WHERE configuration = ?", [PROBE]).item()
    assert diagnosed(reader, forecast).forecast["forecast_id"] == forecast
    run(study_file(), tmp_path / "none.duckdb")
    with pytest.raises(CoordevalError, match="unknown arm of this study 'memorisation_probe'"):
        score(tmp_path / "none.duckdb", "small", arm=PROBE)


def test_its_label_is_kept(study_file):
    with pytest.raises(StudyError, match="memorisation_probe"):
        load_study(study_file(('"single_agent"', '{ name = "single_agent", label = "memorisation_probe" }')))


@pytest.mark.proof
def test_on_the_published_study_a_third_to_two_fifths_of_the_forecasts_repeat_the_price(published, tmp_path):
    path = tmp_path / "l.duckdb"
    import_dataset(NAME, published, path)
    found = dict(leaks(read(path), NAME, resamples=200))
    assert 0.3 < found["Copies of the price"].value < 0.45
    assert found["Early closing"].value is None
    assert "no scheduled close" in found["Early closing"].reason
    done = CliRunner().invoke(app, ["leaks", NAME, "--ledger", str(path)])
    assert done.exit_code == 0
