"""The dashboard as a person meets it: a real server, a real Chromium, every page, wide and narrow, light and dark.

Screenshots of all pages go to the folder that COORDEVAL_SCREENSHOTS names.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from coordeval.flows.dashboard.menu import PAGES
from tests.flows.dashboard.conftest import HOSTILE
from tests.thinned import first_of

pytestmark = pytest.mark.browser
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
)
AXE = Path(__file__).parents[2] / "vendor" / "axe-core" / "axe.min.js"
# An address changes before the page does: what is there until the answer comes is the page before, and is taken away.
READY = """() => {
    if (document.querySelector('main')?.dataset.address !== location.pathname + location.search) return false;
    const h1 = document.querySelector('main h1'), plots = [...document.querySelectorAll('main .plot')];
    const grid = document.querySelector('main .rows');
    return !!h1 && document.title.length > 9 && plots.every((p) => p.querySelector('.xaxislayer-above, .annotation'))
        && (!grid || (grid.querySelector('.ag-row a') && grid.querySelector('.ag-header-row [role=columnheader]')));
}"""
SMALL = """() => [...document.querySelectorAll('main *')]
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
    .filter((e) => parseFloat(getComputedStyle(e).fontSize) < 12)
    .map((e) => `${e.className}: ${e.textContent.slice(0, 30)}`)"""
FOLLOWED = """(address) => {
    history.pushState({}, '', address);
    window.dispatchEvent(new CustomEvent('_dashprivate_pushstate'));
}"""
WIDE = {"width": 1280, "height": 720}
NAMES = [page.path.strip("/") or "overview" for page in PAGES]


def until(page, true, *arguments, seconds=120):
    """Waits from outside: the page's own policy forbids evaluated scripts, also to Playwright's waiting."""
    for _ in range(seconds * 20):
        if page.evaluate(true, *arguments):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {true}; the page says {page.inner_text('main')[:500]}")


@pytest.fixture(scope="module")
def server(ledger):
    command = [sys.executable, "-c", "from coordeval.flows.cli.main import main; main()"]
    command += ["dashboard", "--ledger", str(ledger), "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        said = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", said)
        try:
            assert found, said + process.stderr.read()
            yield found[0]
        finally:
            process.terminate()
            process.wait(timeout=20)


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


def shoot(page, name):
    """A picture of the whole page, where somebody wants to look at it."""
    if folder := os.environ.get("COORDEVAL_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture(scope="module")
def opened(browser, server):
    """Loads an address in a page of its own; what it asked for and what went wrong are lists on the page."""
    # no colour is on its way to another one while contrast is measured
    context = browser.new_context(viewport=WIDE, color_scheme="light", reduced_motion="reduce")

    def go(address):
        page = context.new_page()
        page.outside, page.wrong, page.alerts = [], [], []
        page.on(
            "request",
            lambda r: page.outside.append(r.url) if not r.url.startswith((server, "data:", "blob:")) else None,
        )
        page.on("console", lambda m: page.wrong.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: page.wrong.append(str(e)))
        page.on("dialog", lambda d: (page.alerts.append(d.message), d.dismiss()))
        page.goto(server + address)
        until(page, READY)
        return page

    yield go
    context.close()


@pytest.fixture(scope="module")
def kept(opened):
    """One page for all tests: to load Dash and Plotly anew costs more than most tests do after it."""
    return opened("/trust?study=seen")


@pytest.fixture
def visit(kept):
    """Goes to an address as a link of the dashboard does, wide and in the light, with nothing said against it yet."""

    def go(address):
        for said in (kept.outside, kept.wrong, kept.alerts):
            said.clear()
        kept.set_viewport_size(WIDE)
        kept.emulate_media(color_scheme="light")
        kept.evaluate(FOLLOWED, address)
        until(kept, READY)
        until(kept, LIGHT)
        return kept

    return go


@pytest.fixture
def settled(visit):
    """Opens an address and waits until the long work is done, so that the page no longer changes by itself."""

    def go(address):
        page = visit(address)
        until(page, "!document.querySelector('main').innerText.includes('being computed')")
        until(page, READY)
        return page

    return go


def address_of(name, hostile):
    path = "/" if name == "overview" else f"/{name}"
    own = {
        "market": f"&market={hostile['market']}",
        "forecast": f"&forecast={hostile['forecast']}",
        "compare": "&other=blind",
    }
    return f"{path}?study=seen{own.get(name, '')}"


def serious(page):
    """Faults that axe-core calls serious or critical, each with the first element that has it."""
    if not page.evaluate("typeof window.axe === 'object'"):
        page.evaluate(AXE.read_text())
    passes, faults = page.evaluate(
        "async () => { const r = await window.axe.run(document); return [r.passes.length, r.violations]; }"
    )
    assert passes > 10, "axe looked at nothing"
    return [
        f"{fault['id']}: {len(fault['nodes'])} such as {fault['nodes'][0]['html'][:120]}"
        for fault in faults
        if fault["impact"] in ("serious", "critical")
    ]


LIGHT = """() => document.querySelector('main').dataset.colours === 'light'
    && [...document.querySelectorAll("main .js-plotly-plot")].every((p) => p.layout.paper_bgcolor !== "#14181c")"""
DARK = """() => document.querySelector('main').dataset.colours === 'dark'
    && getComputedStyle(document.body).backgroundColor === "rgb(20, 24, 28)" && document.title.length > 9
    && [...document.querySelectorAll("main .js-plotly-plot")].every((p) => p.layout.paper_bgcolor === "#14181c")"""


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_itself_without_a_fault(settled, hostile, ledger, name):
    page = settled(address_of(name, hostile))
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    for plot in page.locator("main .plot").all():
        assert plot.locator("xpath=ancestor::*[@role='img']").get_attribute("aria-label")
        assert plot.locator(".trace, .shapelayer path, .annotation").count() > 0
    assert page.locator("#footer").inner_text().startswith("coordeval 0")
    assert f"coordeval dashboard --ledger {ledger}" in page.locator("#footer").inner_text()
    said = page.locator("main").inner_text()
    assert "SIMULATED" in said or "No study of games is stored" in said
    assert page.evaluate(SMALL) == []
    assert serious(page) == []
    shoot(page, f"{name}-light")
    page.set_viewport_size({"width": 390, "height": 844})
    until(page, "document.documentElement.scrollWidth <= 390")  # figures follow the window
    shoot(page, f"{name}-390")
    nothing_went_wrong(page)


@pytest.mark.parametrize("name", first_of(NAMES, 4))
def test_a_page_is_as_sound_in_the_dark(settled, hostile, name):
    page = settled(address_of(name, hostile))
    page.emulate_media(color_scheme="dark")
    until(page, DARK)
    until(page, READY)
    assert serious(page) == []
    shoot(page, f"{name}-dark")
    nothing_went_wrong(page)


def nothing_went_wrong(page):
    assert page.wrong == []
    assert page.outside == []
    assert page.alerts == []


def test_a_filter_changes_the_figure_and_the_address_restores_the_view(settled, opened):
    page = settled("/components?study=seen")
    plane = (
        "document.querySelector('main .plot .js-plotly-plot').data.filter((t) => t.mode === 'markers').map((t) => t.y[0])"
    )
    before = page.evaluate(plane)
    page.select_option("#choose-replicate", "1")
    until(page, f"JSON.stringify({plane}) !== {str(before)!r}.replaceAll(' ', '')")
    assert "replicate=1" in page.url
    page.select_option("#choose-kind", "corp")
    until(page, "document.querySelector('main').innerText.includes('MCB (less is better)')")
    shown = page.evaluate(plane)
    assert shown != before
    again = opened("/" + page.url.split("/", 3)[3])
    assert again.evaluate(plane) == pytest.approx(shown)
    assert again.evaluate("document.querySelector('#choose-replicate').value") == "1"
    assert again.evaluate("document.querySelector('#choose-kind').value") == "corp"
    page.go_back()
    page.go_back()
    until(page, "document.querySelector('#choose-replicate').value === ''")
    assert page.evaluate(plane) == pytest.approx(before)


def test_from_a_point_of_the_plane_to_a_market_to_its_conversation(settled):
    page = settled("/?study=seen")
    point = page.locator("main .plot .scatterlayer .trace .point").last
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for _ in range(120):  # Plotly takes a click for one on a point once it has seen the mouse there
        page.mouse.move(*middle)
        page.wait_for_timeout(150)
        page.mouse.click(*middle)
        page.wait_for_timeout(100)
        if page.evaluate("location.pathname === '/markets'"):
            break
    until(page, READY)
    assert "configuration=" in page.url
    assert page.evaluate("document.querySelector('#choose-configuration').value") in page.url
    page.locator(".ag-row a").first.click()
    until(page, "location.pathname === '/market'")
    until(page, READY)
    page.locator("main table a", has_text="conversation").first.click()
    until(page, "location.pathname === '/forecast'")
    until(page, READY)
    assert "Certificate" in page.inner_text("main")
    assert page.wrong == []


def test_planted_scripts_do_not_run_anywhere(visit, hostile):
    markup = "document.querySelectorAll('main script, main iframe, main img[src=x], main b').length"
    page = visit(address_of("forecast", hostile))
    page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
    text = page.locator("main").inner_text()
    for planted in ("<img src=x onerror=alert('question')>", "<script>alert('rationale')</script>", "alert('tool')"):
        assert planted in text
    assert (page.alerts, page.evaluate(markup)) == ([], 0)
    for address, shown in (
        (address_of("market", hostile), "main h1"),
        ("/markets?study=seen&q=merge", ".ag-row a"),
    ):
        page = visit(address)
        until(page, "(where) => document.querySelector(where)?.innerText.length > 9", shown)
        assert page.locator(shown).first.inner_text() == HOSTILE
        assert (page.alerts, page.evaluate(markup)) == ([], 0)
    page = visit("/compare?study=seen&first=single_agent&second=market_price")
    page.wait_for_timeout(200)
    assert (page.alerts, page.evaluate(markup)) == ([], 0)
    page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s); }"
    )
    assert page.evaluate("window.ran") is None


def test_the_table_sorts_searches_and_is_used_by_keyboard(visit):
    page = visit("/markets?study=seen")
    first = "document.querySelector('.ag-row[row-index=\"0\"] a')?.innerText"
    until(page, f"!!{first}")
    before = page.evaluate(first)
    page.locator(".ag-header-cell", has_text="Question").click()
    until(page, f"!!{first} && {first} !== {before!r}")
    page.locator(".ag-row[row-index='0'] .ag-cell").first.focus()
    page.keyboard.press("Enter")
    until(page, "location.pathname === '/market'")
    until(page, READY)
    page.go_back()
    until(page, READY)
    page.fill("#choose-q", "MERGE")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('#market-count').innerText.startsWith('1 market')")
    assert "q=MERGE" in page.url


def test_letters_come_in_the_order_in_which_they_were_typed(visit):
    page = visit("/markets?study=seen")
    for text in ["MERGERSANDACQUISITIONS" * 4] * 4:
        page.fill("#choose-q", "")
        page.keyboard.type(text)
        assert page.input_value("#choose-q") == text
    page.fill("#choose-q", "")


def test_work_that_ends_behind_a_page_takes_nothing_from_who_types_there(visit):
    page = visit("/markets?study=seen")
    page.focus("#choose-q")
    page.keyboard.type("MER")
    page.evaluate("window.box = document.activeElement")
    with page.expect_response(lambda answer: "page.children" in (answer.request.post_data or "")):
        page.evaluate("window.dash_clientside.set_props('state', { data: 'something was finished' })")
    page.keyboard.type("GE")
    assert page.evaluate("window.box === document.activeElement && window.box.value") == "MERGE"
    page.keyboard.press("Enter")
    until(page, "document.querySelector('#market-count').innerText.startsWith('1 market')")


def test_a_page_follows_a_run_without_being_loaded_again(visit, ledger):
    page = visit("/live?study=half")
    made = "Number(document.querySelector('main progress').value)"
    before = page.evaluate(made)
    page.evaluate("window.same = true")
    command = [
        sys.executable,
        "-m",
        "coordeval",
        "run",
        str(ledger.parent / "half.toml"),
        "--inline",
        "--ledger",
        str(ledger),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        try:
            until(page, f"{made} > {before}")
            until(page, "document.querySelector('main').innerText.includes('(100%)')")
        finally:
            run.terminate()
    assert page.evaluate("window.same") is True
    assert page.wrong == []


def test_the_switch_changes_the_colours_and_is_remembered(opened):
    page = opened("/?study=seen")
    page.locator("#theme-switch").focus()
    page.keyboard.press("Enter")
    until(page, "document.querySelector('.js-plotly-plot').layout.paper_bgcolor === '#14181c'")
    page.reload()
    until(page, READY)
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.evaluate("localStorage.clear()")  # the other pages follow the system again


@pytest.mark.parametrize(("button", "begins"), [("PNG", b"\x89PNG"), ("SVG", b"<svg"), ("CSV", b"configuration,")])
def test_a_figure_and_its_data_can_be_taken_along(visit, button, begins):
    page = visit("/?study=seen")
    with page.expect_download() as waiting:
        page.locator("main figure").first.get_by_role("button", name=re.compile(button)).click()
    assert Path(waiting.value.path()).read_bytes().startswith(begins)
    assert waiting.value.suggested_filename == f"cost.{button.lower()}"


def test_what_is_chosen_for_calibration_is_what_is_shown(visit):
    page = visit("/calibration?study=seen&configuration=single_agent")
    assert page.locator("main .plot").count() == 1
    page.locator(".pills a", has_text="peer_critique_debate").click()
    until(page, "document.querySelectorAll('main .plot .main-svg').length >= 2")
    assert "peer_critique_debate" in page.url
