"""Take the README's screenshot of a rollout's page, as a browser shows it: `python docs/make_console_png.py URL [FILE]`.

URL is a page of a console that runs, such as one that `crossfade demo --scenario bad --keep` leaves; FILE is console.png unless
named (the tutorial's tutorial.png is that of its second rollout). It needs
playwright and Debian's chromium.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTH, HEIGHT = 1120, 1010


def main() -> None:
    """Write the picture beside this file."""
    if len(sys.argv) not in (2, 3):
        sys.exit(f"usage: {sys.argv[0]} http://127.0.0.1:8090/rollouts/NAME [FILE]")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(sys.argv[1])
        page.wait_for_selector('figure[data-chart="forest"] .plot svg', timeout=60_000)
        page.screenshot(path=str(Path(__file__).with_name(sys.argv[2] if len(sys.argv) > 2 else "console.png")))
        browser.close()


if __name__ == "__main__":
    main()
