"""The console over the running demo, in a real browser: from the first exposure to a person's rollback."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from console.browser import Watched, chromium

from .run_demo import RunningDemo

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

Demo = Callable[..., RunningDemo]


def control(running: RunningDemo, folder: Path) -> str:
    """Where the control port of a demo answers, once it does."""
    said = folder / "demo" / "serve.json"
    deadline = time.monotonic() + 120.0
    while not (said.is_file() and said.read_bytes().endswith(b"\n")):
        assert time.monotonic() < deadline, "the demo does not come up"
        assert running.process.poll() is None, running.process.communicate()
        time.sleep(0.2)
    found: str = json.loads(said.read_bytes())["control"]
    return found


def sentence(seen: Watched, words: str, within: float = 150.0) -> None:
    """Wait until the page says so, without reading it anew."""
    seen.page.wait_for_selector(f"h1:has-text('{words}')", timeout=1000 * within)


def test_harm_takes_a_canary_back_and_the_page_leads_to_a_pair_that_differs(demo: Demo) -> None:
    with chromium("") as seen:
        running = demo("--scenario", "bad", "--seed", "7", "--keep")
        seen.home = control(running, running.data)
        seen.go("/")
        seen.page.evaluate("window.untouched = true")
        planned = set()
        deadline = time.monotonic() + 200.0
        while "rolled back" not in seen.page.inner_text(".phase"):
            planned.add(seen.page.inner_text(".figures b >> nth=0"))
            assert time.monotonic() < deadline, planned
            seen.page.wait_for_timeout(200)
        # Harm came at the first step, on one page that nobody read anew.
        assert {"0 %", "1 %"} <= planned, planned
        assert seen.page.evaluate("window.untouched")
        sentence(seen, "Rolled back")
        assert "wrong" in seen.page.inner_text("h1")
        seen.page.click("text=Differences")
        seen.page.wait_for_selector("table.fields", timeout=60_000)
        seen.page.click("table.fields a >> nth=0")
        seen.page.wait_for_selector("table.examples pre")
        assert seen.page.locator("table.examples >> nth=0 >> pre").count() == 2
        seen.page.click("text=Ledger")
        seen.page.click("tbody a >> nth=0")
        assert "needs 1/alpha" in seen.page.content()
        seen.clean()


def test_a_preference_is_seen_and_a_person_takes_the_ranker_back(demo: Demo) -> None:
    # The window is opened first: a rollout does not wait for who looks at it.
    with chromium("") as seen:
        running = demo("--scenario", "ranking", "--seed", "7", "--keep")
        seen.home = control(running, running.data)
        token = (running.data / "run" / "token").read_text().strip()
        seen.go("/rollouts/image-search-v2")
        seen.page.wait_for_selector("text=units preferred pixels", timeout=150_000)
        sentence(seen, "romoted")
        seen.go("/rollouts/image-search-v2/act/rollback")
        seen.page.fill("[name=reason]", "somebody complained")
        seen.page.fill("[name=token]", "wrong")
        seen.page.click("button.grave")
        seen.page.wait_for_selector("[role=alert]")
        seen.page.fill("[name=token]", token)
        seen.page.fill("[name=actor]", "ana")
        seen.page.click("button.grave")
        sentence(seen, "Rolled back by ana: somebody complained")
        seen.go("/health")
        assert "Every part works." in seen.page.inner_text("h1")
        seen.clean()


def test_a_canary_rises_until_a_person_holds_it_and_rolls_it_back(demo: Demo) -> None:
    # The window is opened first: a rollout does not wait for who looks at it.
    with chromium("") as seen:
        running = demo("--scenario", "good", "--seed", "7", "--keep")
        seen.home = control(running, running.data)
        token = (running.data / "run" / "token").read_text().strip()
        seen.go("/sign-in")
        seen.page.fill("[name=token]", token)
        seen.page.fill("[name=actor]", "ana")
        seen.page.click("button:has-text('Sign in')")
        seen.go("/rollouts/digits-v2")
        for share in ("1 %", "5 %"):
            seen.page.wait_for_selector(f".figures div:has-text('planned') b:text-is('{share}')", timeout=120_000)
        for label, said in (("Hold", "Held by ana: noon"), ("Roll back", "Rolled back by ana: noon")):
            seen.page.click(f"nav.acts >> text={label}…")
            seen.page.fill("[name=reason]", "noon")
            seen.page.click(f"button:has-text('{label}')")
            sentence(seen, said)
        seen.clean()
