"""The page as a person meets it: opened in Chromium, without a network, wide and narrow, light and dark."""

import csv
import os
import shutil
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from coordeval.analysis.report.page import build_report
from tests.analysis.report_data import HOSTILE, STUDY, synthetic
from tests.flows.verify.test_hostile_text import WITHOUT_HALVES
from tests.thinned import first_of

pytestmark = pytest.mark.browser
FIGURES = 10
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
)


FAULTS = """() => [...document.querySelectorAll('.plot')].flatMap((plot) => {
    const frame = plot.getBoundingClientRect();
    const box = (node) => node.getBoundingClientRect();
    const within = (a, b) => a.left > b.left - 1 && a.right < b.right + 1 && a.top > b.top - 1 && a.bottom < b.bottom + 1;
    const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    const all = (selector) => [...plot.querySelectorAll(selector)].filter((node) => node.textContent && box(node).width);
    const cut = all('text').filter((t) => !within(box(t), frame)).map((t) => `cut off: ${t.textContent}`);
    const titles = '.gtitle, .gtitle-subtitle, .xtitle, .ytitle, .legendtext';
    const labels = all(`${titles}, .annotation-text, .xtick text, .ytick text`);
    const pairs = labels.flatMap((a, i) => labels.slice(i + 1).map((b) => [a, b]));
    const over = pairs.filter(([a, b]) => meet(box(a), box(b))).map(([a, b]) => `${a.textContent} on ${b.textContent}`);
    return [...cut, ...over].map((fault) => `${plot.dataset.figure}: ${fault}`);
})"""


@pytest.fixture(scope="module")
def browser():
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        missing = "no Chromium on the PATH: install chromium to run the browser tests"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return build_report(synthetic(), STUDY, resamples=50).write(tmp_path_factory.mktemp("report"))


def until(page, true, *, seconds=120):
    """Waits for a condition from outside: the page's own policy forbids evaluated scripts, also to Playwright's waiting."""
    for _ in range(seconds * 20):
        if page.evaluate(true):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {true}")


def opened_page(browser, path, *, width=1200, scheme="light", figures=FIGURES, opened=True):
    """The page; what it asked for and what went wrong are lists on it."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(300_000)  # a busy machine takes long
    page.asked, page.wrong, page.alerts = [], [], []
    page.on("request", lambda r: page.asked.append(r.url) if not r.url.startswith(("data:", "blob:")) else None)
    page.on("console", lambda m: page.wrong.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: page.wrong.append(str(e)))
    page.on("dialog", lambda d: (page.alerts.append(d.message), d.dismiss()))
    page.goto(path.as_uri())
    if opened:
        page.click("#open-all")
    shown = figures if opened else 1
    until(page, f"document.querySelectorAll('.plot .xaxislayer-above').length === {shown}", seconds=60)
    return page


@pytest.fixture
def visit(browser, path):
    """Opens the page for one test, which may do with it what it likes."""
    pages = []

    def go(*, path=path, **how):
        pages.append(opened_page(browser, path, **how))
        return pages[-1]

    yield go
    for page in pages:
        page.close()


@pytest.fixture(scope="module")
def look(browser, path):
    """The page as it is opened, for tests that leave it as it was: each width and scheme is opened once."""
    return cache(lambda width, scheme: opened_page(browser, path, width=width, scheme=scheme))


@pytest.fixture(scope="module")
def closed(browser, path):
    """The page of which nothing is opened yet, for tests that open parts of it: each finds it closed."""
    page = opened_page(browser, path, width=1280, opened=False)

    def again():
        page.evaluate("location.hash = ''")
        page.evaluate("document.querySelectorAll('details[open]').forEach((one) => { one.open = false; })")
        return page

    return again


@pytest.fixture(scope="module")
def with_a_long_name(tmp_path_factory):
    """The page of a study in which one configuration has a name that takes room."""
    long = "a_configuration_with_a_rather_long_name_v2"
    frame = synthetic().with_columns(pl.col("configuration").replace("single_agent", long))
    return build_report(frame, STUDY, resamples=5, n=200).write(tmp_path_factory.mktemp("named"))


@pytest.fixture(scope="module")
def with_curve(tmp_path_factory):
    frame = synthetic().with_columns(cost_usd=pl.col("cost_usd").fill_null(0.033))
    return build_report(frame, STUDY, resamples=5, n=200).write(tmp_path_factory.mktemp("curve"))


@pytest.mark.parametrize(("width", "scheme"), first_of([(1200, "light"), (400, "light"), (1200, "dark"), (400, "dark")], 3))
def test_it_draws_everything_asks_for_nothing_and_complains_of_nothing(look, path, width, scheme):
    page = look(width, scheme)
    assert page.asked == [path.as_uri()]
    assert page.wrong == []
    for plot in page.locator(".plot").all():
        assert plot.locator(".trace").count() > 0, plot.get_attribute("data-figure")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [1200, 400])
def test_nothing_is_cut_off_and_no_label_is_on_another(look, width):
    assert look(width, "light").evaluate(FAULTS) == []


@pytest.mark.parametrize("make", ["with_a_long_name", "with_curve"])
def test_nor_where_names_are_long_or_the_curve_of_plain_sampling_is_drawn(visit, request, make):
    page = visit(path=request.getfixturevalue(make), figures=FIGURES + (make == "with_curve"))
    if make == "with_curve":
        assert page.locator('[data-figure="matched"] .trace').count() > 5
    assert page.evaluate("document.documentElement.scrollWidth") <= 1200
    assert page.evaluate(FAULTS) == []
    page.set_viewport_size({"width": 400, "height": 900})
    until(page, "document.documentElement.scrollWidth <= 400")
    until(page, "[...document.querySelectorAll('.plot .main-svg')].every((one) => one.getBoundingClientRect().width < 400)")
    assert page.evaluate(FAULTS) == []


def test_the_simulated_mark_is_seen_on_the_page_and_in_every_figure(look):
    page = look(1200, "light")
    assert page.locator("#simulated").is_visible()
    marks = page.locator(".plot .annotation-text", has_text="SIMULATED")
    assert marks.count() == FIGURES
    assert all(mark.bounding_box()["width"] > 50 for mark in marks.all())


def test_the_filter_keeps_the_markets_with_all_its_words(look):
    page = look(1200, "light")
    shown = page.locator("#market-table tbody tr:visible")
    assert shown.count() == 100
    page.fill("#filter", "number 12 HAPPEN")
    assert shown.count() == 1
    assert page.locator("#shown").inner_text() == "1 of 100 markets"
    page.fill("#filter", "yes failed")
    assert 0 < shown.count() < 20
    page.fill("#filter", "no such market")
    assert shown.count() == 0
    page.fill("#filter", "")
    assert shown.count() == 100


def test_a_hostile_question_is_shown_as_text(look):
    page = look(1200, "light")
    assert page.locator("#market-table th", has_text="<script>").inner_text() == HOSTILE
    assert page.alerts == []


def test_figures_follow_the_colour_scheme_and_print_in_light(look):
    page = look(1200, "dark")

    def background():
        return page.evaluate("document.querySelector('.plot').layout.paper_bgcolor")

    dark = background()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 28)"
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert background() == "#ffffff"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert background() == dark != "#ffffff"
    page.emulate_media(color_scheme="light")
    until(page, "document.querySelector('.plot').layout.paper_bgcolor === '#ffffff'")
    assert len(page.pdf()) > 50_000
    page.emulate_media(color_scheme="dark")
    until(page, f"document.querySelector('.plot').layout.paper_bgcolor === '{dark}'")


def test_figures_fit_the_paper_and_then_the_window_again(look):
    page = look(1200, "light")
    page.set_viewport_size({"width": 500, "height": 900})
    until(page, "document.querySelector('[data-figure=plane] .main-svg').getBoundingClientRect().width < 500")
    page.set_viewport_size({"width": 1200, "height": 900})
    until(page, "document.querySelector('[data-figure=plane] .main-svg').getBoundingClientRect().width > 1000")
    wide = page.locator("[data-figure=plane] .main-svg").first.bounding_box()["width"]
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("[data-figure=plane] .main-svg").first.bounding_box()["width"] == 680
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    until(page, f"document.querySelector('[data-figure=plane] .main-svg').getBoundingClientRect().width === {wide}")


@pytest.mark.parametrize("anchor", ["comparisons", "markets", "figure-plane", "answer-market", "w-brier"])
def test_a_link_to_anything_opens_what_it_is_in(closed, anchor):
    page = closed()
    assert not page.locator(f"#{anchor}").is_visible()
    page.evaluate(f"location.hash = '#{anchor}'")
    until(page, f"document.getElementById('{anchor}').getBoundingClientRect().height > 0")
    assert page.locator("details.group[open]").count() == 1
    assert page.wrong == []


def test_the_answers_are_on_the_first_screen_and_all_else_is_one_click_away(closed):
    page = closed()
    for name in ("market", "baseline", "sampling", "apart"):
        box = page.locator(f"#verdict-{name}").bounding_box()
        assert box["y"] + box["height"] <= 720, name
    assert page.locator("#figure-cost .trace").count() > 5
    assert page.locator("details.group[open]").count() == 0
    page.click("#group-better > summary")
    assert page.locator("#comparisons table").is_visible()


def test_paper_has_everything(visit):
    page = visit(opened=False)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details.group:not([open])").count() == 0
    until(page, f"document.querySelectorAll('.plot .xaxislayer-above').length === {FIGURES}")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details.group[open]").count() == 0


def test_the_numbers_of_a_figure_are_a_file(look):
    page = look(1200, "light")
    with page.expect_download() as started:
        page.click('[data-csv="cost"]')
    lines = Path(started.value.path()).read_text().splitlines()
    assert lines[0] == "series,x,y,error_low,error_high,text"
    assert any(line.startswith("independent_ensemble,") for line in lines)


def test_every_table_is_a_file_too(look):
    page = look(1200, "light")
    assert (
        page.evaluate("""[...document.querySelectorAll('table')].filter((shown) =>
        !(shown.closest('.scroll') ?? shown).nextElementSibling?.matches('p.tools:has(button)')).length""")
        == 0
    )
    with page.expect_download() as started:
        page.click("#comparisons p.tools button")
    lines = Path(started.value.path()).read_text().splitlines()
    assert lines[0].startswith('First,Second,Δ Brier,"Δ Brier, low","Δ Brier, high",')
    assert all(float(low) <= float(delta) <= float(high) for _, _, delta, low, high, *_ in csv.reader(lines[1:]))
    assert len(lines) == 1 + page.locator("#comparisons tbody tr").count()
    assert started.value.suggested_filename == "comparisons.csv"


@pytest.mark.proof
def test_a_table_as_a_file_has_nothing_that_a_spreadsheet_computes(visit, record_property):
    page = visit()
    formulas = [text for name, text in WITHOUT_HALVES.items() if "formula" in name]
    record_property("tried", len(formulas))
    for text in formulas:
        page.evaluate(
            "(text) => { document.querySelector('#comparisons tbody th, #comparisons tbody td').textContent = text; }", text
        )
        with page.expect_download() as started:
            page.click("#comparisons p.tools button")
        [_, row, *_] = csv.reader(Path(started.value.path()).read_text().splitlines())
        assert row[0] == f"'{text.strip()}"


def test_a_table_that_goes_on_says_so_on_a_phone(look):
    page = look(400, "light")
    page.set_viewport_size({"width": 390, "height": 900})
    until(page, "document.documentElement.scrollWidth <= 390")
    assert (
        page.evaluate("""[...document.querySelectorAll('.scroll')].filter((box) =>
        (box.scrollWidth > box.clientWidth + 2) !== box.classList.contains('goes-on')).length""")
        == 0
    )
    assert page.locator(".goes-on").count() > 3
    page.set_viewport_size({"width": 400, "height": 900})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_text_is_smaller_than_twelve_pixels(look, scheme):
    page = look(1200, scheme)
    small = page.evaluate("""[...document.querySelectorAll('body *')].filter((node) => node.getClientRects().length &&
        [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim()) &&
        parseFloat(getComputedStyle(node).fontSize) < 12).map((node) => `${node.tagName} ${node.textContent.trim()}`)""")
    assert small == []
