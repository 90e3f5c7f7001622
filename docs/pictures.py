"""Makes the picture of the README anew: `make pictures` runs the embedded study and photographs its report."""

import asyncio
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import ViewportSize, sync_playwright
from rich.console import Console

from coordeval.analysis.report.exports import chromium
from coordeval.flows.run.run import Steps, run_steps
from coordeval.flows.study.study import load_study

HERE: Final = Path(__file__).parent
STUDY: Final = HERE.parent / "studies" / "embedded.toml"
SCREEN: Final[ViewportSize] = {"width": 1280, "height": 1000}
"""The first screen and the leaderboard under it."""


def main() -> None:
    loaded = load_study(STUDY)
    with tempfile.TemporaryDirectory() as folder:
        end = asyncio.run(run_steps(loaded, Path(folder) / "pictures.duckdb", Console(), Steps(loaded.study.name)))
        assert end.page is not None
        photograph(end.page)


def photograph(report: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=SCREEN, color_scheme="light")
        page.goto(report.as_uri())
        page.wait_for_selector("#figure-cost .xaxislayer-above")
        page.screenshot(path=HERE / "report.png")
        browser.close()


if __name__ == "__main__":
    main()
