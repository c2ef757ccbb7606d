"""The pages in a real browser: charts under a strict policy, nothing fetched elsewhere, and axe finds nothing grave."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from crossfade.console import bundle
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from view.charts.past import told
from view.sample import SPEC

pytest.importorskip("playwright.sync_api", reason="playwright is missing: no page was opened")
pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is missing: no page was checked")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is missing: no page was opened")

GRAVE = ("serious", "critical")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="session")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script that draws, put together once."""
    data = tmp_path_factory.mktemp("drawing")
    (data / "run").mkdir()
    assert bundle.Bundle(data).packed()
    (made,) = (data / "run").iterdir()
    return made


@pytest.fixture
def site(
    data: Path, store: Store, drawing: Path, request: pytest.FixtureRequest
) -> tuple[str, subprocess.Popen[bytes]]:
    """The control port of a store with two rollouts, one of which has a past."""
    os.link(drawing, data / "run" / drawing.name)
    _, past = told()
    store.save_looks("ranker-v2", {"every": 1.0, "looks": past["looks"]})
    other = SPEC.replace("ranker-v2", "other-v3").replace("/ranker/", "/other/")
    store.add(other, parse(other), 1.0)
    return request.getfixturevalue("running")


@contextmanager
def opened(browser: Browser, url: str, **how: Any) -> Iterator[tuple[Page, list[str]]]:
    """A page, and what went wrong on it."""
    wrong: list[str] = []
    context = browser.new_context(**how)
    page = context.new_page()
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith((url, "data:")) else wrong.append(asked.url))
    try:
        yield page, wrong
    finally:
        context.close()


def grave(page: Page) -> list[tuple[str, str]]:
    found = Axe().run(page).response["violations"]
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in GRAVE]


def test_charts_are_drawn_and_axe_is_content(browser: Browser, site: tuple[str, Any]) -> None:
    url, _ = site
    for scheme, width in (("light", 1440), ("dark", 390)):
        size = {"width": width, "height": 900}
        with opened(browser, url, color_scheme=scheme, viewport=size) as (page, wrong):
            page.goto(f"{url}/rollouts/ranker-v2")
            for name in ("exposure", "forest", "harm"):
                page.wait_for_selector(f'figure[data-chart="{name}"] .plot svg', timeout=60_000)
            assert "purchase" in (page.text_content('figure[data-chart="forest"] svg') or "")
            ink = page.evaluate("getComputedStyle(document.querySelector('.plot svg [fill=\"#1d1f24\"]')).fill")
            assert ink == ("rgb(29, 31, 36)" if scheme == "light" else "rgb(236, 235, 231)")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert grave(page) == []
            page.goto(f"{url}/")
            assert page.locator(".row").count() == 2
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert grave(page) == []
            assert wrong == []


def test_without_scripts_there_are_pictures(browser: Browser, site: tuple[str, Any]) -> None:
    url, _ = site
    with opened(browser, url, java_script_enabled=False) as (page, wrong):
        page.goto(f"{url}/rollouts/ranker-v2", wait_until="load")
        image = page.locator('figure[data-chart="exposure"] img')
        image.scroll_into_view_if_needed()
        with page.expect_response("**/charts/forest.svg", timeout=60_000) as answer:
            page.locator('figure[data-chart="forest"] img').scroll_into_view_if_needed()
        assert answer.value.headers["content-type"].startswith("image/svg+xml")
        assert image.bounding_box()["height"] > 100.0  # type: ignore[index]
        assert wrong == []
