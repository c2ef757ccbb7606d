"""Debian's Chromium, watched: whatever a page complains of, or asks of others than the port it came from, is kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""


@dataclass
class Watched:
    """One browser window, and what went wrong in it."""

    page: Any
    home: str
    complaints: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        """Open a page of the port."""
        self.page.goto(self.home + path, wait_until="load")

    def clean(self) -> None:
        """Nothing was complained of, and nobody else was asked."""
        assert self.complaints == []
        assert self.outside == []


@contextmanager
def chromium(home: str, **how: Any) -> Iterator[Watched]:
    """A new window without cookies."""
    if not CHROMIUM:
        pytest.skip("CHROMIUM IS NOT INSTALLED: no page is seen in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(**how).new_page()
        page.set_default_timeout(30_000)
        seen = Watched(page, home)

        def said(message: Any) -> None:
            # A refusal that the test asks for is no fault of the page.
            if message.type == "error" and "Failed to load resource" not in message.text:
                seen.complaints.append(message.text)

        def asked(request: Any) -> None:
            parts = urlsplit(request.url)
            if parts.scheme not in ("data", "blob", "about") and f"{parts.scheme}://{parts.netloc}" != seen.home:
                seen.outside.append(request.url)

        page.on("console", said)
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("request", asked)
        try:
            yield seen
        finally:
            browser.close()
