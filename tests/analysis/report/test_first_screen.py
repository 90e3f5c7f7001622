"""What is seen first: how much is there, the answers, in forty lines or 250 words; and that nothing else was lost for it."""

import html
import io
import re

import polars as pl
import pytest
from rich.console import Console

from coordeval.analysis.control import Control, Field
from coordeval.analysis.report.page import build_report
from coordeval.analysis.report.sections import GROUPS
from coordeval.analysis.report.summary import literal, summary
from coordeval.analysis.report.terminal import LINES, WIDTH, print_report
from coordeval.analysis.study.leaderboard import REFERENCE
from coordeval.analysis.study.record import Record
from coordeval.analysis.words.answers import Answer
from coordeval.analysis.words.standing import standing
from tests.analysis.report_data import HOSTILE, STUDY, synthetic

SECTIONS_BEFORE = (
    *("leaderboard", "figures", "predictions", "comparisons", "sampling", "intervals", "frontier", "structure", "more"),
    *("coordination", "openings", "nulls", "groups", "bins", "coherence", "pools", "price", "trust", "looking", "control"),
    *("decomposition", "costs", "failures", "markets", "configurations", "study", "glossary"),
)
KEYS_BEFORE = (
    *("schema_version", "study", "simulated", "policy", "n_markets", "settings", "noise_floor", "noise_floor_from"),
    *("headline", "answers", "leaderboard", "comparisons", "intervals", "contrasts", "frontier", "compute_matched"),
    *("structure", "variance", "detectable", "coordination", "pooling", "tracking", "influence", "missing_bounds"),
    *("openings", "component_nulls", "subgroups", "binning", "coherence", "sequences", "predictions", "reasons"),
    *("left_out", "failures", "notes", "nulls", "hindsight", "banner", "control", "uncontrolled", "pending"),
    *("attributed_usd",),
)
LIVE = STUDY | {"simulated": False, "model": "claude-x", "content": {"model": {"provider": "anthropic"}}}


def waiting(made, *, markets=20):
    """A study of which only the first `made` forecasts were made, market by market."""
    frame = synthetic(markets=markets, failing=0).sort("market_id", "configuration", "replicate").with_row_index("turn")
    later = pl.col("turn") >= made
    return frame.with_columns(
        status=pl.when(later).then(pl.lit("pending")).otherwise("status"),
        probability=pl.when(later).then(None).otherwise("probability"),
    ).drop("turn")


def report_of(frame, study=STUDY, **options):
    return build_report(frame, study, resamples=5, n=60, **options)


@pytest.fixture(scope="module")
def report():
    return report_of(synthetic())


@pytest.fixture(scope="module")
def page(report):
    return report.html()


def first_screen(page):
    """The words that are shown before any click: of the header, the answers, the plane's caption and the leaderboard."""
    shown = page[page.index("<header>") : page.index('<nav aria-label="Contents">')]
    shown = re.sub(r"<(script|style|noscript|title|button)\b.*?</\1>", " ", shown, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", shown.replace("<wbr>", "")))


def printed(report, **options):
    out = io.StringIO()
    print_report(report, Console(file=out, width=WIDTH, no_color=True), **options)
    return out.getvalue()


def test_the_first_screen_of_the_page_holds_under_250_words(page):
    words = [word for word in first_screen(page).split() if re.search(r"[a-z]", word, re.IGNORECASE)]
    assert len(words) < 250, len(words)
    assert all(question in first_screen(page) for question in ("beat the market price?", "one agent", "plain sampling?"))


@pytest.mark.parametrize("anchor", SECTIONS_BEFORE)
def test_every_section_that_stood_before_can_be_reached(page, anchor):
    assert page.count(f'id="{anchor}"') == 1
    assert f'href="#{anchor}"' in page or anchor in ("leaderboard", "figures")


def test_every_key_of_the_results_is_still_there(report):
    assert set(KEYS_BEFORE) <= set(report.results())


def test_every_answer_and_every_picture_stands_under_one_question(report, page):
    told = [name for group in GROUPS for name in group.answers]
    assert sorted(told) == sorted(answer.name for answer in report.answers if isinstance(answer, Answer))
    for answer in report.answers:
        for sentence in answer.says:
            assert str(html.escape(sentence, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")) in page
    for picture in (*report.pictures, *report.reliability):
        assert page.count(f'data-figure="{html.escape(picture.name)}"') == 1


CONTROLLED = Control(
    study_id="s", study="synthetic", simulated=True, imported=False, draws={}, baselines=(), probes=(), unasked=(),
    fields=(Field(name="output cap", status="differs", detail="max_tokens of each call", values=()),),
)  # fmt: skip
FEW = synthetic(markets=6, replicates=1)
MANY = pl.concat([FEW.with_columns(configuration=pl.lit(f"c{i}_") + pl.col("configuration")) for i in range(3)])


@pytest.mark.parametrize(
    ("frame", "options"),
    [
        pytest.param(synthetic(), {}, id="as usual", marks=pytest.mark.proof),
        pytest.param(waiting(19), {}, id="unfinished"),
        pytest.param(synthetic(), {"record": Record(control=CONTROLLED), "study": STUDY | {"hindsight": True}}, id="marked"),
        pytest.param(MANY, {}, id="21 configurations"),
        pytest.param(synthetic(markets=4).with_columns(outcome=pl.lit(None, pl.Int64)), {}, id="nothing scored"),
    ],
)
def test_the_terminal_prints_at_most_forty_lines_of_eighty_columns(frame, options):
    text = printed(report_of(frame, **options), page="/a/folder/results/synthetic-6f1d0c8a/report.html")
    lines = text.splitlines()
    assert len(lines) <= LINES == 40, len(lines)
    assert max(map(len, lines)) <= WIDTH == 80
    assert "--full" in text
    assert REFERENCE in text


def test_all_of_it_is_printed_when_asked(report):
    text = " ".join(printed(report, full=True).split())
    for answer in report.answers:
        assert " ".join(answer.question.split()) in text
    assert len(printed(report, full=True).splitlines()) > 120


AMOUNTS = [
    (waiting(19), "In this simulation, 19 of 280 forecasts are made (7%): nothing below is final."),
    (synthetic(markets=10, failing=0), "In this simulation, all 140 forecasts are made; 8 of 10 markets can be scored."),
    (
        synthetic(markets=10).with_columns(
            status=pl.lit("failed"), probability=pl.lit(None, pl.Float64), reason=pl.lit("no credit")
        ),
        "In this simulation, all 140 forecasts failed: nothing is scored.",
    ),
    (synthetic(markets=1, replicates=1, failing=0).filter(configuration="single_agent"),
     "In this simulation, all 1 forecast is made; 0 of 1 market can be scored."),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "amount"), AMOUNTS, ids=["unfinished", "whole", "all failed", "one"])
def test_everything_opens_with_how_much_is_there(frame, amount):
    report = report_of(frame)
    assert report.standing.amount == amount.replace("all 1 forecast is", "the only forecast is")
    assert report.headline[0] == report.results()["standing"]["amount"] == report.standing.amount
    said = " ".join(printed(report).split())
    first = [place for place in (said.find("is ahead"), said.find("lowest Brier")) if place >= 0]
    assert all(said.index(report.standing.amount) < place for place in first), "before who leads"
    assert report.standing.amount in " ".join(first_screen(report.html()).split())


def test_an_unfinished_study_gives_no_answer_and_says_so_over_everything():
    report = report_of(waiting(150))
    assert {verdict.answer for verdict in report.verdicts} <= {"cannot tell yet", "not asked"}
    assert 'id="unfinished">UNFINISHED' in report.html()
    assert "[UNFINISHED]" in printed(report)


@pytest.mark.parametrize(
    ("facts", "label", "words"),
    [
        ({"hindsight": True}, "HINDSIGHT-ANCHORED", "depends on when the market resolved"),
        ({"texts_of_unknown_age": 2}, "TEXTS OF UNKNOWN AGE", "2 market texts may be younger"),
        ({"roles_not_read": "'judge' (mine) is a plain one"}, "ROLE TEXTS NOT READ", "'judge' (mine) is a plain one."),
    ],
)
def test_what_kind_of_study_it_is_stands_over_every_number(facts, label, words):
    report = report_of(synthetic(markets=10, simulated=False), LIVE | facts)
    for text in (printed(report), first_screen(report.html()), summary(report)):
        assert label in text
        assert words in " ".join(text.split()).replace("\\_", "_")


def test_another_model_that_answered_stands_over_every_number():
    said = (
        "claude-x was asked, and other-y (3 of 7 replies) answered: what is reported here is about the model that answered"
    )
    facts = {"made": 1, "failed": 0, "planned": 1, "markets_scored": 1, "markets": 1, "study": LIVE, "simulated": False}
    [mark] = standing(**facts, substituted=said).marks
    assert (mark.label, mark.sentence) == ("ANOTHER MODEL ANSWERED", f"C{said[1:]}.")


def test_a_study_of_its_own_model_and_time_has_no_mark():
    assert report_of(synthetic(markets=10, simulated=False), LIVE).standing.marks == ()


MONEY = [
    ({"model": {"provider": "anthropic"}}, True, "Paid: $"),
    ({"model": {"provider": "recorded"}}, False, "Nothing was paid: the replies are replayed. Their attributed price is"),
    ({"published": {}}, False, "Nothing was paid: the replies are replayed."),
    ({"model": {"provider": "simulated"}, "markets": {"source": "ledger"}}, False, "No money was spent: the dollars are"),
]


@pytest.mark.parametrize(("content", "simulated", "line"), MONEY)
def test_money_is_paid_replayed_or_simulated_and_never_two_of_these(content, simulated, line):
    frame = synthetic(markets=10, simulated=simulated).with_columns(pl.col("cost_usd", "paid_usd").fill_null(0.03))
    report = report_of(frame, STUDY | {"content": content, "simulated": simulated})
    assert report.money.startswith(line)
    paid = report.board.table.drop_nulls("paid_usd")["paid_usd"].sum()
    assert (paid == 0) is ("replayed" in report.money)


def test_a_configuration_that_repeats_the_price_is_shown_once_under_one_name(report):
    assert "market_price" not in report.board.table["configuration"]
    assert report.board.table["configuration"].to_list().count(REFERENCE) == 1
    assert any(note.startswith("market_price: it repeats the market price") for note in report.board.notes)
    rule = {"claim": "x", "measure": "brier", "of": "single_agent", "than": "market_price", "direction": "higher"}
    foretold = report_of(synthetic(), STUDY | {"content": {"predictions": [rule]}}).results()["predictions"]["table"]
    assert (foretold[0]["than"], foretold[0]["estimate"] is None) == (REFERENCE, False)


def test_a_mark_that_stands_at_no_row_is_not_explained(report):
    assert "no other is cheaper and better" in printed(report)
    unpriced = synthetic(markets=20).with_columns(cost_usd=pl.lit(None, pl.Float64))
    assert "no other is cheaper and better" not in printed(report_of(unpriced))


def test_a_summary_shows_text_from_data_as_it_is():
    frame = synthetic(markets=10).with_columns(pl.col("configuration").replace("single_agent", "a|b_[x](http://e)"))
    text = summary(report_of(frame))
    assert "a\\|b\\_\\[x\\](http://e)" in text
    assert literal(HOSTILE) == '\\<script\\>alert(1)\\</script\\> Will "A & B" merge?'
    assert "| **cannot tell yet** |" in text
    assert "coordeval report synthetic --policy common" in text


def test_version_and_command_stand_on_the_page_and_in_the_results(report, page):
    found = report.results()
    assert found["command"] == "coordeval report synthetic --policy common"
    assert f"Made by coordeval {found['version']}: <code>{found['command']}</code>" in page


ONE = synthetic(markets=1, replicates=1, failing=0).with_columns(
    outcome=pl.lit(1, pl.Int64), outcome_status=pl.lit("resolved")
)
SINGULAR = r"(?<![\d,.])1 (?:markets|events|forecasts|replicates|configurations|pairs|cells|links|draws)\b"


@pytest.mark.parametrize("frame", [ONE, ONE.filter(configuration="single_agent")], ids=["one market", "one of everything"])
def test_one_is_one(frame):
    report = report_of(frame)
    said = [printed(report, full=True), " ".join(report.headline), " ".join(report.board.notes), summary(report)]
    page = re.sub(r"<script.*?</script>", "", report.html(), flags=re.DOTALL)
    for text in (*said, page):
        assert not re.findall(SINGULAR, text)
