"""The report says what the numbers say: no more, nothing silently missing, and the same in page, JSON and terminal."""

import io
import json
import re
import tempfile
from collections import Counter
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from coordeval.analysis.base.checks import AnalysisError
from coordeval.analysis.differences.comparisons import holm
from coordeval.analysis.report.page import build_report
from coordeval.analysis.report.results import strict_json
from coordeval.analysis.report.terminal import print_report
from coordeval.analysis.study import findings
from coordeval.analysis.study.findings import resamples_for
from coordeval.analysis.study.leaderboard import REFERENCE
from coordeval.analysis.words.standing import HINDSIGHT
from tests.analysis.reference import DATA, recorded
from tests.analysis.report_data import CONFIGURATIONS, ELEMENTS, HOSTILE, STUDY, synthetic
from tests.flows.verify.test_hostile_text import WITHOUT_HALVES


def strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="module")
def report():
    return build_report(synthetic(), STUDY, resamples=50)


@pytest.fixture(scope="module")
def page(report):
    return report.html()


def own_words(page):
    """The page without the scripts and figures in it."""
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def say(**options):
    return " ".join(
        build_report(synthetic(**options), STUDY | {"simulated": options.get("simulated", True)}, resamples=5, n=50).headline
    )


def made(forecasts, *, markets=200, replicates=2, noise=0.0, seed=0):
    """Forecasts by name -> function of (latent probability, noise draws); the price is 0.5 everywhere."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.02, 0.98, markets)
    outcome = (rng.random(markets) < truth).astype(int)
    base = synthetic(markets=markets, replicates=replicates, failing=0).filter(configuration="single_agent")
    frames = []
    for name, forecast in forecasts.items():
        p = [np.clip(forecast(truth) + rng.normal(0, noise, markets), 0, 1) for _ in range(replicates)]
        frames.append(
            base.sort("replicate", "market_id").with_columns(
                configuration=pl.lit(name),
                call_graph=pl.lit(name),
                probability=pl.Series(np.concatenate(p)),
                outcome=pl.Series(np.tile(outcome, replicates)),
                market_price=pl.lit(0.5),
                cost_usd=pl.lit(0.1),
            )
        )
    return " ".join(build_report(pl.concat(frames), STUDY, resamples=5).headline)


class TestHeadline:
    def test_a_clear_winner_is_said_to_beat_the_market(self):
        said = made({"sharp": lambda t: t, "flat": lambda t: 0 * t + 0.5}, noise=0.01)
        assert "sharp has the lowest Brier score of 2 configurations" in said
        assert (
            "Shown to be better than the market price, after correction for all that this report asks and by more than the "
            "noise floor: sharp" in said
        )
        assert "sharp is better than flat by" in said

    def test_a_small_lead_is_not_called_a_win(self):
        said = made({"slight": lambda t: 0.5 + 0.005 * np.sign(t - 0.5), "flat": lambda t: 0 * t + 0.49}, noise=0.03)
        assert "Shown to be" not in said
        assert "tells no two apart" in said or "no two configurations differ" in said

    def test_with_one_replicate_a_win_is_shown_by_events_and_said_to_be(self):
        said = made({"sharp": lambda t: t, "flat": lambda t: 0 * t + 0.4}, replicates=1)
        assert "Shown to be better than the market price by events" in said
        assert "With one replicate nobody knows how much of it sampling again would change." in said
        assert "By events 1 of 1 pair is told apart" in said
        assert "No difference between configurations can be set against noise" in said

    def test_a_loss_is_said_as_a_loss(self):
        assert "No configuration beats the market price" in made({"wrong": lambda t: 1 - t, "worse": lambda t: t < 0.5})

    def test_repeating_the_price_is_not_beating_it(self):
        said = made({"copy": lambda t: 0 * t + 0.5})
        assert "copy repeats the market price on every market." in said
        assert "beats" not in said

    def test_simulated_data_are_called_so_in_the_first_sentence(self):
        assert say(markets=30).startswith("In this simulation, ")
        assert "simulation" not in say(markets=30, simulated=False)

    def test_failures_are_counted(self, report):
        failed = synthetic().filter(status="failed").height
        assert f"{failed} of 1,200 forecasts failed; they are missing, not scored." in report.headline

    def test_the_policy_says_what_stands_in(self):
        said = build_report(synthetic(), STUDY, policy="fallback_half", resamples=5, n=50).headline
        assert any("each counts as 0.5 here" in s for s in said)


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [
        pytest.param([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02], id="textbook"),
        pytest.param([0.5, None, 0.9], [1.0, None, 1.0], id="None is not counted; at most 1"),
        pytest.param([], [], id="no pair"),
    ],
)
def test_holm(p, adjusted):
    assert holm(p) == [None if a is None else pytest.approx(a) for a in adjusted]


QUESTIONS = [
    "better",
    "coordination",
    "differences",
    "predictions",
    "calibration",
    "frontier",
    "structure",
    "market",
    "trust",
    "more",
]
DIAGNOSTICS = (
    *("coordination", "pooling", "tracking", "influence", "missing_bounds", "sequences"),
    *("openings", "component_nulls", "subgroups", "binning", "coherence"),
)
NOT_APPLICABLE = {"agent", "role", "than", "excluded_at", "bins"}
"""Columns that are null where they say nothing: of all agents, of no other configuration, never excluded."""


def rows_with_a_reason(value):
    if isinstance(value, list):
        for part in value:
            yield from rows_with_a_reason(part)
    if isinstance(value, dict):
        if "reason" in value:
            yield value
        for part in value.values():
            yield from rows_with_a_reason(part)


CASES = {
    "two replicates": synthetic(markets=50),
    "one replicate": synthetic(markets=50, replicates=1),
    "no price": synthetic(markets=30).with_columns(market_price=pl.lit(None, pl.Float64)),
    "unresolved": synthetic(markets=30).with_columns(outcome=pl.lit(None, pl.Int64)),
    "one market": synthetic(markets=3, failing=0).filter(pl.col("market_id") == "m000"),
    "one configuration": synthetic(markets=30, failing=0).filter(configuration="single_agent"),
    "nothing answered": synthetic(markets=10).with_columns(
        status=pl.lit("failed"), probability=pl.lit(None, pl.Float64), reason=pl.lit("no network")
    ),
}


@pytest.mark.parametrize(
    ("case", "policy"),
    [*((case, "common") for case in CASES), *(("two replicates", policy) for policy in ("available", "fallback_market"))],
)
def test_results_are_strict_json_and_every_null_has_its_reason(case, policy, tmp_path):
    page = build_report(CASES[case], STUDY, policy=policy, resamples=5, n=50).write(tmp_path)
    found = strict((tmp_path / "results.json").read_text())
    assert found["schema_version"] == 4
    assert found["policy"] == policy
    for row in found["leaderboard"]:
        nulls = found["nulls"].get(f"leaderboard/{row['configuration']}", {})
        assert {k for k, v in row.items() if v is None} == set(nulls), row["configuration"]
        assert "not defined for these forecasts" not in nulls.values(), nulls
    assert [answer["name"] for answer in found["answers"]] == QUESTIONS
    assert all(answer["says"] for answer in found["answers"])
    for part in ("frontier", "compute_matched", "structure", "variance"):
        assert found[part] is not None or found["reasons"], part
    for part in ("coordination", "pooling", "tracking", "influence", "sequences"):
        assert found[part] is not None or part in found["reasons"], part
    for part in DIAGNOSTICS:
        for row in rows_with_a_reason(found[part]):
            nulls = {k for k, v in row.items() if v is None} - NOT_APPLICABLE - {"reason"}
            assert row["reason"] or not nulls, (part, row)
    for row in found["intervals"]:
        assert (row["low"] is None) <= (row["reason"] is not None), row
    for row in found["comparisons"]:
        nulls = found["nulls"].get(f"comparisons/{row['first']}/{row['second']}", {})
        assert {k for k, v in row.items() if v is None and k != "reason"} == set(nulls)
    assert "SIMULATED" in own_words(page.read_text())


def test_a_number_that_is_not_finite_is_refused_by_its_path():
    with pytest.raises(AnalysisError, match="results/leaderboard/1/brier is nan"):
        strict_json({"leaderboard": [{"brier": 0.1}, {"brier": float("nan")}]})


def test_a_write_that_fails_leaves_the_old_page_whole(tmp_path, report, monkeypatch):
    path = report.write(tmp_path)
    before = path.read_bytes()

    def fail(self, content):
        with self.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "disk full")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        report.write(tmp_path)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["markets.csv", "report.html", "results.json"]


def answered(report, name):
    return " ".join(next(answer.says for answer in report.answers if answer.name == name))


def as_for_users(patch):
    """As many resamples as a report has elsewhere than in most tests."""
    patch.setattr(findings, "_MOST", 10_000)
    patch.setattr(findings, "_MOST_DRAWS", 1000)


@pytest.fixture(scope="module")
def published():
    """The recorded study as it is imported, call graphs as they follow from who was asked and shown what."""
    from coordeval.flows.markets.importing import import_dataset
    from coordeval.ledger import read
    from coordeval.market_data.traces100 import NAME

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.duckdb"
        import_dataset(NAME, DATA, path)
        reader = read(path)
        with pytest.MonkeyPatch.context() as patch:
            as_for_users(patch)
            return build_report(reader.forecast_frame(NAME), asdict(reader.study(NAME)))


@recorded
class TestRecordedStudy:
    """What the publication did not say, and its data do."""

    def test_none_beats_and_none_differs_from_the_market_price(self, published):
        said = answered(published, "better")
        assert "No configuration beats the market price, whose Brier score is 0.1531." in said
        assert "No configuration is shown to differ from the market price, after correction" in said
        assert "single_agent is not among the configurations and no other is named as the baseline" in said
        assert "Nothing is said about plain sampling at the same cost: no market has two forecasts" in said

    def test_two_names_are_one_procedure_and_the_largest_differences_involve_them(self, published):
        said = answered(published, "structure")
        assert "consensus_alignment and independent_ensemble are one and the same procedure" in said
        assert "on all 100 markets: replicates of each other, an A/A control." in said
        assert "The 3 largest differences all involve one of them; the largest is 0.0211" in said

    def test_noise_is_what_the_control_shows_and_no_two_are_told_apart(self, published):
        said = answered(published, "differences")
        assert "noise is what the A/A control shows: 0.0151 in Brier score; 1 of 10 pairs" in said
        assert "the study tells no two apart" in said
        assert published.results()["noise_floor_from"] == "control"
        (pair,) = [row for row in published.results()["comparisons"] if row["verdict"].startswith("one procedure")]
        assert {pair["first"], pair["second"]} == {"consensus_alignment", "independent_ensemble"}

    def test_all_reliabilities_are_inside_their_null(self, published):
        said = answered(published, "calibration")
        assert "All reliabilities (REL) lie inside their null range" in said
        assert "No two are shown to differ in calibration (MCB)" in said
        assert "No two are shown to differ in discrimination (DSC)" in said

    def test_the_place_of_the_cheapest_on_the_frontier_is_a_tie(self, published):
        said = answered(published, "frontier")
        assert "consensus_alignment ($0.0970 per market, 81%)" in said
        assert "these places are ties: consensus_alignment (the cheapest), with independent_ensemble no worse" in said

    def test_what_it_would_take_to_know_more_is_said(self, published):
        said = answered(published, "more")
        assert "With 94 markets and 1 replicate this study sees true differences of 0.0330 and more" in said
        assert "it takes about 532 markets" in said

    def test_hindsight_stands_over_everything(self, published):
        assert published.banner == HINDSIGHT
        assert (
            published.headline[1]
            == "HINDSIGHT-ANCHORED: Forecasts were made for a time that depends on when the market resolved."
        )
        assert published.results()["hindsight"] is True
        assert published.results()["banner"] == HINDSIGHT
        assert published.headline[1] in " ".join(printed(published).split())
        words = own_words(published.html())
        assert 'id="hindsight">HINDSIGHT-ANCHORED <span>Forecasts were made for a time that depends' in words


def printed(report, *, width=200):
    out = io.StringIO()
    print_report(report, Console(file=out, width=width, no_color=True), full=True)
    return out.getvalue()


@pytest.mark.parametrize("hindsight", [False, None])
def test_there_is_no_banner_without_hindsight(hindsight):
    report = build_report(synthetic(markets=20), STUDY | {"hindsight": hindsight}, resamples=5, n=20)
    assert report.banner is None
    assert report.results()["hindsight"] is hindsight
    assert "HINDSIGHT" not in own_words(report.html()) + printed(report) + " ".join(report.headline)


def test_the_largest_difference_between_two_that_are_one_procedure_is_said_to_be_noise():
    frame = synthetic(failing=0).with_columns(
        call_graph=pl.when(pl.col("configuration").is_in(["peer_critique_debate", "sequential_pipeline"]))
        .then(pl.lit("same"))
        .otherwise("configuration")
    )
    said = answered(build_report(frame.filter(pl.col("model_calls") > 0), STUDY, resamples=5, n=200), "structure")
    assert "peer_critique_debate and sequential_pipeline are one and the same procedure" in said
    assert "is between two that are the same procedure: noise alone made it." in said


def test_a_single_agent_and_its_draws_are_set_against_every_configuration():
    frame = synthetic(markets=300, failing=0).with_columns(cost_usd=pl.col("cost_usd").fill_null(0.033))
    report = build_report(frame, STUDY, resamples=5, n=500)
    said = answered(report, "better")
    assert "score better than single_agent" in said
    assert "plain sampling for the same money" in said
    table = report.results()["compute_matched"]["table"]
    assert all(row["premium"] == pytest.approx(row["matched"] - row["brier"]) for row in table)
    assert "matched" in [p.name for p in report.pictures]
    assert 'data-figure="matched"' in report.html()


def test_calibration_beyond_chance_and_pairs_that_differ_are_named():
    frame = synthetic(markets=400, failing=0).with_columns(
        probability=pl.when(pl.col("configuration") == "single_agent")
        .then(1 - pl.col("probability"))
        .otherwise("probability")
    )
    said = answered(build_report(frame, STUDY, resamples=200, n=500), "calibration")
    assert "REL) exceed" in said
    assert "single_agent" in said
    assert "In calibration (MCB) " in said


def test_the_number_of_resamples_is_printed_and_falls_with_the_number_of_markets(report, page, monkeypatch):
    made = findings._MOST
    assert report.results()["settings"]["event_resamples"] == made
    assert f"{made:,} resamples of events" in page
    assert f"{made:,} resamples of events" in " ".join(printed(report).split())
    as_for_users(monkeypatch)
    assert (resamples_for(100), resamples_for(2_000), resamples_for(100_000)) == (10_000, 10_000, 500)


class TestPage:
    def test_text_from_data_is_escaped(self, page):
        assert HOSTILE not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page

    @pytest.mark.proof
    def test_it_has_the_same_elements_and_attributes_whatever_texts_say(self, record_property):
        def made_of(texts):
            number = pl.col("market_id").str.slice(1).cast(int)
            said = number.replace_strict(dict(enumerate(texts)), return_dtype=pl.String)
            frame = synthetic(markets=len(texts), replicates=1).with_columns(question=said, category=said)
            frame = frame.with_columns(reason=pl.when(pl.col("reason").is_not_null()).then(said))
            found = Counter()
            parser = HTMLParser()
            parser.handle_starttag = lambda tag, attributes: found.update([tag, *((tag, name) for name, _ in attributes)])
            parser.feed(build_report(frame, STUDY, resamples=50).html())
            return found

        texts = list(WITHOUT_HALVES.values())
        record_property("tried", len(texts))
        assert made_of(texts) == made_of([f"question {i}" for i in range(len(texts))])

    def test_it_refers_to_nothing_outside_itself(self, page):
        assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", own_words(page))
        assert "default-src 'none'" in page

    def test_every_declared_element_is_shown_and_a_missing_declaration_is_said(self, page):
        words = own_words(page)
        for element, value in ELEMENTS.items():
            assert f"<dt>{element.replace('_', ' ')}</dt>" in words
            assert (value if isinstance(value, str) else value[0]) in words
        assert "It declares no elements." in words

    def test_numbers_of_the_leaderboard_are_on_it(self, page, report):
        for row in report.board.table.iter_rows(named=True):
            for column in ("brier", "rel_corrected", "null_rel_mean", "mcb"):
                assert f"{row[column]:.4f}".replace("-", "−") in page

    def test_attributed_and_paid_are_both_there(self, page, report):
        total = report.costs["sequential_pipeline"]
        paid = report.board.table.filter(configuration="sequential_pipeline")["paid_usd"][0]
        assert total != paid
        assert f"${total:.2f}" in page
        assert f"${paid:.2f}" in page
        assert report.costs["single_agent"] is None

    def test_failures_are_listed_by_reason(self, page, report):
        assert sum(row["forecasts"] for row in report.failures) == synthetic().filter(status="failed").height
        for row in report.failures:
            assert f'<td class="text">{row["reason"]}</td><td class="n">{row["forecasts"]}</td>' in page

    def test_tables_have_captions_and_header_cells_and_figures_have_words(self, page):
        words = own_words(page)
        assert words.count("<table") == words.count("<caption>") == words.count("</thead>")
        assert words.count('role="img"') == len(re.findall(r'aria-label="[^"]{30,}" data-figure', words)) == 10
        assert words.count("<figcaption>") == words.count("<figure ") == 4


def test_pending_forecasts_are_counted_and_not_scored():
    frame = synthetic(markets=20, failing=0)
    waiting = frame.with_columns(
        status=pl.when(market_id="m005").then(pl.lit("pending")).otherwise("status"),
        probability=pl.when(market_id="m005").then(None).otherwise("probability"),
    )
    report = build_report(waiting, STUDY, resamples=5, n=50)
    assert report.pending == 14
    assert report.headline[0] == "In this simulation, 266 of 280 forecasts are made (95%): nothing below is final."
    assert "The study is not finished: 14 forecasts are still to be made." in report.headline
    assert report.board.n_markets == 17


def test_json_and_page_do_not_depend_on_the_order_of_the_rows():
    frame = synthetic(markets=40)
    shuffled = frame.sample(fraction=1, shuffle=True, seed=1)
    one, other = (build_report(made, STUDY, resamples=5, n=50) for made in (frame, shuffled))
    assert strict_json(other.results()) == strict_json(one.results())


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_fits_and_needs_no_colour(report, width):
    out = io.StringIO()
    print_report(report, Console(file=out, width=width, no_color=True), full=True)
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    assert text.count("[SIMULATED]") == 1
    for name in (set(CONFIGURATIONS) - {"market_price"}) | {REFERENCE}:
        assert re.search(rf"^ {name}\*? .*0\.\d{{4}}", text, re.MULTILINE), f"{name} is cut off"


def test_the_terminal_prints_markup_in_data_as_text():
    frame = synthetic(markets=20).with_columns(pl.col("configuration").replace("single_agent", "[red]x[/red]"))
    out = io.StringIO()
    print_report(build_report(frame, STUDY, resamples=5, n=50), Console(file=out, width=120))
    assert "[red]x[/red]" in out.getvalue()


def test_a_frame_that_names_no_market_is_refused_with_what_to_give():
    with pytest.raises(AnalysisError, match=r"no column question.*give it, or the market_id"):
        build_report(synthetic().drop("question"), STUDY)
