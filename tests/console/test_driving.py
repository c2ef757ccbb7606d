"""The console in a real browser: it renews itself, lets people act who may, and refuses who may not."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from crossfade.rim.store import Store
from crossfade.rim.tokens import Tokens
from crossfade.state import Move

from .browser import chromium
from .test_differences import keep

pytestmark = pytest.mark.timeout(180)


def test_a_person_looks_acts_and_is_refused(
    running: tuple[str, subprocess.Popen[bytes]], store: Store, data: Path
) -> None:
    url, _ = running
    keep(data)
    viewer = Tokens(data).add("vic", ["viewer"], at=time.time(), by="root")
    operator = Tokens(data).add("ben", ["operator"], at=time.time(), by="root")
    with chromium(url) as seen:
        page = seen.page
        seen.go("/rollouts/ranker-v2")
        page.wait_for_selector("[data-state]:has-text('live')")
        # A move is on the page without a reload.
        page.evaluate("window.untouched = true")
        store.act("ranker-v2", Move.ADVANCE, actor="rule", rule="cleared", sentence="Going to 20 %.", at=time.time())
        page.wait_for_selector("h1:has-text('Going to 20 %.')")
        assert page.evaluate("window.untouched")
        # Refused without a token, by the browser itself and by the port; then with one that may only read.
        page.click("text=Hold…")
        page.fill("[name=reason]", "lunch")
        page.click("button[type=submit]")
        assert page.evaluate("document.querySelector('[name=token]').validity.valueMissing")
        page.fill("[name=token]", viewer)
        page.click("button[type=submit]")
        page.wait_for_selector("[role=alert]:has-text('the token of vic is that of a viewer'), .wrong")
        assert page.input_value("[name=reason]") == "lunch"
        assert page.input_value("[name=token]") == ""
        assert store.get("ranker-v2").position.phase == "running"
        page.fill("[name=token]", operator)
        page.check("[name=stay]")
        page.click("button[type=submit]")
        page.wait_for_selector("h1:has-text('Held by ben: lunch')")
        assert store.entries("ranker-v2")[-1].by == {"through": "token", "token": "ben", "roles": ["operator"]}
        # Signed in: no token is asked for again, and no script can read the session.
        assert page.evaluate("document.cookie") == ""
        page.click("text=Roll back…")
        assert "As ben, operator." in page.inner_text("form")
        page.fill("[name=reason]", "complaints")
        page.click("button.grave")
        page.wait_for_selector("h1:has-text('Rolled back by ben: complaints')")
        assert store.get("ranker-v2").position.phase == "rolled_back"
        # From the differences down to one pair, by address.
        page.click("text=Differences")
        page.wait_for_selector("table.fields")
        page.click("a:has-text('$.score')")
        page.wait_for_url("**/differences?field=%24.score")
        assert "[redacted]" in page.inner_text("table.examples")
        for path in ("/", "/health", "/rollouts/ranker-v2/ledger", "/rollouts/ranker-v2/drift", "/sign-in"):
            seen.go(path)
            assert page.locator("h1").count() == 1, path
        page.click("button:has-text('Sign out')")
        page.wait_for_url(f"{url}/")
        seen.clean()
    _elsewhere(url)


def _elsewhere(url: str) -> None:
    # A page of another origin: its form arrives without a session, and is refused for where it comes from.
    with chromium(url, java_script_enabled=False) as seen:
        seen.go("/rollouts/ranker-v2")
        assert seen.page.locator("h1").count() == 1
        html = f'<form method=post action="{url}/rollouts/ranker-v2/act/hold"><input name=reason value=x><button>go'
        seen.page.goto(f"data:text/html,{html}")
        seen.page.click("button")
        seen.page.wait_for_selector("h1")
        assert "another site" in seen.page.inner_text("h1")
