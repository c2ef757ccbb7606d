"""The control port over a real store and a real inbox: in process, and as a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from crossfade.console.app import create_app
from crossfade.facts import Outcome
from crossfade.rim import batches
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.store import Store
from crossfade.state import Move
from crossfade.view import view
from view.sample import DECISION, INPUTS, ROLLOUT, SPEC, evidence

TOKEN = "open-sesame"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with one running rollout, measured just now."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "token").write_text(TOKEN + "\n")
    return tmp_path


@pytest.fixture
def store(data: Path) -> Iterator[Store]:
    """Its store."""
    found = Store(data)
    at = time.time() - 100.0
    found.add(SPEC, ROLLOUT, at)
    found.act("ranker-v2", Move.START, actor="ana", rule="manual", sentence="Started by ana: release 41", at=at)
    for after in (1.0, 2.0):
        sentence = "Cleared <script>alert(1)</script> & ready."
        found.act("ranker-v2", Move.ADVANCE, actor="rule", rule="cleared", sentence=sentence, at=at + after)
    stored = found.get("ranker-v2")
    entries = found.entries("ranker-v2")
    record = view(ROLLOUT, stored.position, evidence(), DECISION, entries, now=time.time(), **INPUTS)
    found.save_view("ranker-v2", record)
    yield found
    found.close()


@pytest.fixture
def inbox(data: Path) -> Iterator[OutcomeInbox]:
    """Its inbox."""
    found = OutcomeInbox(data)
    yield found
    found.close()


@pytest.fixture
async def client(store: Store, inbox: OutcomeInbox, data: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, without a socket between them."""
    app = create_app(store, inbox, data, token=TOKEN)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as found:
        yield found


@pytest.fixture
def kept(inbox: OutcomeInbox) -> Callable[[], list[Outcome]]:
    """The outcomes that are on the disk, read from the inbox's own file by another connection."""

    def read() -> list[Outcome]:
        connection = batches.connect(inbox.path)
        try:
            facts = [fact for row in batches.rows(connection, 0, 10_000) for fact in row.facts]
        finally:
            connection.close()
        return [fact for fact in facts if isinstance(fact, Outcome)]

    return read


@pytest.fixture
def running(store: Store, data: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The control port as its supervisor starts it: a process with an inherited socket."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.set_inheritable(True)
        fd, port = listening.fileno(), listening.getsockname()[1]
        command = [sys.executable, "-m", "crossfade.console", "--data", str(data), "--fd", str(fd)]
        process = subprocess.Popen(command, pass_fds=(fd,), stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        # The socket has been listening all along, so the first request waits for the process to come up.
        assert httpx.get(f"{url}/healthz", timeout=30.0).status_code == 200
        yield url, process
    finally:
        process.terminate()
        process.wait(timeout=20)
