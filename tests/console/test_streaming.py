"""Pages that are renewed while somebody looks: what is told, to whom, how often, and what is kept of it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from crossfade.console.frame import live, parts_of, version_of
from crossfade.console.streaming import APART, Live
from crossfade.rim.store import Store
from crossfade.state import Move

HOSTILE = "<!--]part-0--> & <b>"


class Told:
    """The events of one stream, as a browser reads them."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def event(self) -> dict[str, Any]:
        """The next event; what is only said to keep the line open is left out."""
        found: dict[str, Any] = {}
        for line in self._lines:
            if line:
                word, _, rest = line.partition(": ")
                found[word] = rest
            elif "data" in found:
                return {**found, "data": json.loads(found["data"])}
            else:
                found = {}
        raise AssertionError("the stream has ended")


def shows(event: dict[str, Any], words: str) -> bool:
    return any(words in part for part in event["data"]["parts"].values())


@contextmanager
def stream(url: str, seen: str, **headers: str) -> Iterator[Told]:
    asked = {"page": "/rollouts/ranker-v2", "seen": seen}
    with httpx.stream("GET", f"{url}/live", params=asked, headers=headers, timeout=20.0) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Told(answer.iter_lines())


def version(url: str) -> str:
    html = httpx.get(f"{url}/rollouts/ranker-v2").text
    found = html.partition('data-version="')[2].partition('"')[0]
    assert found
    return found


def test_a_move_is_on_the_page_at_once_and_who_comes_back_goes_on_from_there(
    running: tuple[str, subprocess.Popen[bytes]], store: Store
) -> None:
    url, process = running
    store.act("ranker-v2", Move.HOLD, actor="ana", rule="manual", sentence="Held by ana: noon", at=time.time())
    with stream(url, version(url)) as told:
        # Nothing of what the page has is told again.
        store.act("ranker-v2", Move.RESUME, actor="ana", rule="manual", sentence=HOSTILE, at=time.time())
        began = time.monotonic()
        # Figures that grow with time may change before it.
        changed = next(one for _ in range(20) if shows(one := told.event(), "&lt;!--]part-0--&gt; &amp; &lt;b&gt;"))
        assert time.monotonic() - began < 5.0
        assert set(changed["data"]["parts"]) < set(parts_of(httpx.get(f"{url}/rollouts/ranker-v2").text))
    store.act("ranker-v2", Move.ROLLBACK, actor="ana", rule="manual", sentence="Enough.", at=time.time())
    missed = dict(seen="what the page was when it was loaded", **{"last-event-id": changed["id"]})
    with stream(url, **missed) as told:
        later = told.event()
        assert later["id"] != changed["id"]
        assert shows(later, "Enough.")
        # A stream does not keep the port from stopping, and browsers come back by themselves.
        began = time.monotonic()
        process.terminate()
        process.wait(timeout=20)
        assert time.monotonic() - began < 4.0


async def test_only_pages_that_are_renewed_have_a_stream(client: httpx.AsyncClient) -> None:
    for page in ("/rollouts/other", "/rollouts/ranker-v2/differences", "/etc/passwd", "//", "", "/rollouts/%00"):
        answer = await client.get("/live", params={"page": page})
        assert (answer.status_code, "not renewed" in answer.json()["error"]) == (404, True), page


async def test_however_much_changes_a_client_hears_five_times_a_second_and_nothing_is_kept() -> None:
    count = 0

    def draw(path: str, now: float) -> str:
        nonlocal count
        count += 1
        return live("a", str(count)) + live("b", "the same")

    told = Live(draw, lambda: count)

    async def look(path: str, seconds: float) -> list[bytes]:
        events = []
        async with asyncio.timeout(30.0):
            began = time.monotonic()
            async for event in told.stream(path, ""):
                events.append(event)
                if time.monotonic() - began > seconds:
                    break
        return events

    looked = await asyncio.gather(*(look(f"/{n % 50}", 1.2) for n in range(200)))
    for events in looked:
        assert 3 <= len(events) <= 2 + 1.4 / APART
        # The first is everything, the others what changed.
        assert b"the same" in events[1]
        assert b"the same" not in events[2]
    # A page is drawn once, however many look at it.
    assert count <= 50 * 8
    for _ in range(100):
        if not told.clients:
            break
        await asyncio.sleep(0.05)
    assert told.clients == 0
    assert told._pages == {}


def test_text_of_others_cannot_pass_for_a_part() -> None:
    html = live("x", HOSTILE) + live('-->"', "y")
    assert list(parts_of(html).values()) == ["&lt;!--]part-0--&gt; &amp; &lt;b&gt;", "y"]
    assert version_of({"a": "b", "c": ""}) != version_of({"a": "", "c": "b"})
