"""Makes docs/dashboard.png: the overview of the newest study of a ledger, as a browser shows it.

.venv/bin/python docs/dashboard_picture.py results/coordeval.duckdb
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTH, HEIGHT = 1280, 1180


def main(ledger: str, target: Path) -> None:
    command = [sys.executable, "-m", "coordeval", "dashboard", "--ledger", ledger, "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as playwright:
        assert server.stdout is not None
        try:
            address = re.search(r"http://\S+", server.stdout.readline())
            assert address, "the dashboard did not start"
            program = shutil.which("chromium") or shutil.which("google-chrome")
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.goto(address[0])
            shown = "document.querySelector('main .plot .main-svg') && document.querySelector('main').innerText"
            while "being computed" in (page.evaluate(shown) or "being computed"):
                page.wait_for_timeout(200)
            page.wait_for_timeout(500)
            page.screenshot(path=target)
            browser.close()
        finally:
            server.terminate()


if __name__ == "__main__":
    main(sys.argv[1], Path(__file__).parent / "dashboard.png")
