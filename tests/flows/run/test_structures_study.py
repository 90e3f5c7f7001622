"""The study of all structures, with a few markets: every cell is answered, and the rows bear out what it declares."""

from pathlib import Path

import polars as pl
import pytest

from coordeval.flows.certificate.certificate import certificate
from coordeval.flows.run import guard
from coordeval.flows.run.control import control
from coordeval.flows.run.planning import plan, pull
from coordeval.flows.run.window import run_chunks
from coordeval.flows.study.evaluation import open_evaluation
from coordeval.flows.study.study import load_study
from coordeval.ledger import Ledger, Reader, read
from coordeval.ledger.acts import commitments_frame

STUDY = Path(__file__).parents[3] / "studies" / "structures.toml"


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Reader:
    folder = tmp_path_factory.mktemp("structures")
    (folder / "s.toml").write_text(STUDY.read_text().replace("count = 20", "count = 3"))
    path = folder / "ledger.duckdb"
    with Ledger.open(path, purpose="test") as ledger:
        evaluation = open_evaluation(load_study(folder / "s.toml"), path, ledger)
        guard.run(run_chunks(evaluation, plan(evaluation, pull(evaluation)).chunks))
    return read(path)


def test_every_forecast_is_answered(reader):
    rows = reader.query("SELECT configuration, reason FROM forecasts WHERE status = 'failed'").rows()
    assert rows == []


def test_all_were_given_the_same_but_for_what_is_declared(reader):
    found = control(reader, "structures")
    assert (found.held, found.unasked) == (True, ())


@pytest.mark.proof
def test_every_certificate_passes(reader):
    for (forecast_id,) in reader.query("SELECT forecast_id FROM forecasts JOIN cells USING (forecast_id)").rows():
        failed = [check for check in certificate(reader, forecast_id).checks if check.status == "failed"]
        assert failed == []


def test_all_that_was_shown_goes_along_declared_edges(reader):
    shown = reader.query("""
        SELECT DISTINCT c.configuration AS label, a.role AS speaker, b.role AS listener
        FROM messages m JOIN estimates a ON a.forecast_id = m.forecast_id AND a.ask = m.from_ask
            JOIN estimates b ON b.forecast_id = m.forecast_id AND b.ask = m.to_ask
            JOIN cells c ON c.forecast_id = m.forecast_id
    """).rows()
    elements = reader.study("structures").elements
    told = {(label, *edge) for label, one in elements.items() for edge in one["topology"]}
    assert set(shown) <= told


def test_less_is_moved_by_a_number_than_by_a_reason_and_nothing_by_nobody(reader):
    moved = dict(
        reader.query("""
        SELECT c.configuration, avg(abs(b.probability - a.probability))
        FROM estimates a JOIN estimates b ON b.forecast_id = a.forecast_id AND b.agent = a.agent AND b.round = a.round + 1
            JOIN cells c ON c.forecast_id = a.forecast_id
        WHERE a.round = 0 GROUP BY 1
    """).rows()
    )
    assert moved["self_revision"] < moved["stance_only"] < moved["peer_critique_debate"]
    assert moved["self_revision"] < moved["blind_then_price"], "the price moves who did not know it"
    assert moved["empty_reasons"] < moved["peer_critique_debate"]


def test_acts_are_rows_and_who_agreed_keeps_to_it_or_is_found(reader):
    acts = reader.query("SELECT * FROM acts").to_dicts()
    assert {act["verb"] for act in acts} >= {"propose", "agree"}
    reports = reader.query("SELECT DISTINCT forecast_id, ask FROM estimates WHERE kind = 'report'").rows()
    assert {(act["forecast_id"], act["ask"]) for act in acts} <= set(reports)
    found = commitments_frame(reader, "structures")
    assert set(found["configuration"]) == {"committed_consensus"}
    agreed = found.filter(position="agreed")
    assert agreed["kept"].to_list() == ((agreed["estimate"] - agreed["probability"]).abs() <= 0.05).to_list()
    assert found.filter(pl.col("position") != "agreed")["kept"].is_null().all(), "who only acknowledged is bound to nothing"
