"""The users arrive when they arrive, tell failures apart, and get every outcome home exactly once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

import pytest

from crossfade.sim.oip import build_infer, parse_infer, run
from crossfade.sim.reports import Habits, schedule
from crossfade.sim.traffic import Config
from crossfade.sim.training import Trained
from crossfade.sim.units import Population
from crossfade.sim.world import Happening, Unusable, World

Serve = Callable[..., Any]


def _world(data: Trained) -> World:
    return World(rows=data.rows, labels=data.labels, documents=data.documents)


def _answer(data: Trained, model: Any, row: int) -> bytes:
    world = _world(data)
    rng = Random(0)
    while True:
        asked, body = world.ask(rng, "x")
        if asked == row:
            request = parse_infer(body, {}, model.width)
            return build_infer(request, run(model, request.rows), model="m", version="1").body


def test_the_world_calls_an_answer_wrong_by_its_true_label(trained: dict[str, Trained]) -> None:
    data = trained["bad"]
    world, model = _world(data), data.challenger
    predictions = model.predict(data.rows)  # type: ignore[union-attr]
    for row in range(12):
        reaction = world.react(row, _answer(data, model, row), Random(0))
        assert reaction.wrong == (predictions[row] != data.labels[row])
        assert [h.name for h in reaction.happenings] == ["wrong"]


def test_clicks_name_items_of_the_list(trained: dict[str, Trained]) -> None:
    data = trained["ranking"]
    reaction = _world(data).react(3, _answer(data, data.challenger, 3), Random(1))
    shown = data.challenger.search(data.rows[3])  # type: ignore[union-attr]
    assert reaction.happenings
    assert all(h.name == "click" and h.item in shown for h in reaction.happenings)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"outputs":[]}',
        b'{"outputs":[{"data":[NaN],"shape":[1]}]}',
        b'{"outputs":[{"data":[1,1],"shape":[1]}]}',
        b'{"outputs":[{"data":["x"],"shape":[1]}]}',
    ],
)
def test_an_answer_nobody_can_use_is_not_a_wrong_answer(body: bytes, trained: dict[str, Trained]) -> None:
    with pytest.raises(Unusable):
        _world(trained["bad"]).react(0, body, Random(0))


def test_a_saved_world_comes_back_the_same(trained: dict[str, Trained], tmp_path: Path) -> None:
    for name in ("bad", "ranking"):
        world = _world(trained[name])
        world.save(tmp_path / "w.npz")
        again = World.load(tmp_path / "w.npz")
        assert again.documents == world.documents
        assert again.ask(Random(5), "a") == world.ask(Random(5), "a")


def test_activity_is_skewed_but_new_units_keep_arriving() -> None:
    rng = Random(1)
    people = Population(60_000, rng)
    drawn = [people.draw(rng).name for _ in range(20_000)]
    counts = Counter(drawn)
    assert max(counts.values()) >= 8
    first_seen = len(set(drawn[10_000:]) - set(drawn[:10_000]))
    assert first_seen > 5_000
    assert all(name.startswith("user-") and len(name) == 11 for name in counts)


def test_outcomes_come_late_some_twice_some_never_some_overtake() -> None:
    rng = Random(3)
    habits = Habits(never=0.1, twice=0.2)
    due = [pair for i in range(4000) for pair in schedule((Happening(name="wrong"),), f"d{i}", i * 0.01, habits, rng)]
    ids = Counter(outcome["outcome_id"] for _, outcome in due)
    assert 3500 < len(ids) < 3700
    assert 640 < sum(n == 2 for n in ids.values()) < 810
    arrived = [int(outcome["decision_id"][1:]) for _, outcome in sorted(due, key=lambda pair: pair[0])]
    assert arrived != sorted(arrived)
    delays = sorted(at - int(outcome["decision_id"][1:]) * 0.01 for at, outcome in due)
    assert 0.5 < delays[len(delays) // 2] < 0.8


class _Desk:
    """A control port that can be made to refuse: what arrives is kept by outcome id."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.refuse = threading.Event()
        self.refused = threading.Event()
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if desk.refuse.is_set():
                    desk.refused.set()
                    self.send_response(503)
                    self.send_header("content-length", "0")
                    self.end_headers()
                    return
                fresh = len({o["outcome_id"] for o in body} - set(desk.seen))
                desk.seen.update(o["outcome_id"] for o in body)
                said = json.dumps({"accepted": fresh, "duplicates": len(body) - fresh, "rejected": []}).encode()
                self.send_response(202)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = int(self.server.server_address[1])


class _Front(_Desk):
    """A gateway's stand-in at the door of a real model server: adds the decision id that outcomes are joined by."""

    def __init__(self, upstream: int) -> None:
        import http.client
        import itertools

        numbers = itertools.count()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                behind = http.client.HTTPConnection("127.0.0.1", upstream, timeout=5)
                behind.request("POST", self.path, body)
                reply = behind.getresponse()
                content = reply.read()
                behind.close()
                self.send_response(reply.status)
                self.send_header("content-length", str(len(content)))
                self.send_header("X-Crossfade-Decision", f"d-{next(numbers)}")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = int(self.server.server_address[1])


@pytest.fixture
def desk() -> Iterator[_Desk]:
    made = _Desk()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def send(tmp_path: Path, trained: dict[str, Trained]) -> Iterator[Callable[..., Any]]:
    running: list[subprocess.Popen[str]] = []

    def start(scenario: str, **settings: Any) -> Callable[[], dict[str, Any]]:
        _world(trained[scenario]).save(tmp_path / "world.npz")
        config = Config(
            path="/v2/models/digits/infer",
            world=str(tmp_path / "world.npz"),
            tally=str(tmp_path / "tally.json"),
            **settings,
        )
        config.save(tmp_path / "traffic.json")
        command = [sys.executable, "-m", "crossfade.sim.traffic", str(tmp_path / "traffic.json")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running.append(process)

        def stop() -> dict[str, Any]:
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=15)
            printed: dict[str, Any] = json.loads(out.splitlines()[-1])
            assert json.loads((tmp_path / "tally.json").read_text()) == printed
            return printed

        return stop

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()


def _until(said: Callable[[], bool], within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while not said():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_slow_server_does_not_slow_the_arrivals(
    serve: Serve, trained: dict[str, Trained], send: Callable[..., Any], desk: _Desk, tmp_path: Path
) -> None:
    server = serve(trained["good"].challenger, "--latency-ms", "400")
    stop = send("good", port=server.port, control_port=desk.port, rate=200.0)
    _until((tmp_path / "tally.json").exists)
    time.sleep(2.0)
    tally = stop()
    # A closed loop of one connection would have sent eight.
    assert tally["requests"] > 350
    assert tally["answered"] == tally["requests"]
    assert tally["failed"] == tally["reset_in_flight"] == 0
    assert tally["latency_ms"]["p50"] > 250
    assert tally["unjoined"] == tally["answered"]
    assert not desk.seen


def test_every_outcome_gets_home_though_the_control_port_was_away(
    serve: Serve, trained: dict[str, Trained], send: Callable[..., Any], desk: _Desk
) -> None:
    server = serve(trained["good"].challenger, "--latency-ms", "1")
    front = _Front(server.port)
    desk.refuse.set()
    stop = send("good", port=front.port, control_port=desk.port, rate=60.0, habits=Habits(never=0.0, twice=0.3))
    assert desk.refused.wait(60.0)
    assert not desk.seen
    desk.refuse.clear()
    _until(lambda: len(desk.seen) > 20)
    tally = stop()
    front.server.shutdown()
    front.server.server_close()
    assert tally["outcomes"]["retried_batches"] > 0
    assert tally["outcomes"]["unsent"] == 0
    assert len(desk.seen) == tally["outcomes"]["accepted"] == tally["answered"] == tally["requests"]
    assert tally["outcomes"]["duplicates"] == sum(desk.seen.values()) - len(desk.seen) > 0


def test_failures_are_told_apart(
    serve: Serve, trained: dict[str, Trained], send: Callable[..., Any], desk: _Desk, tmp_path: Path
) -> None:
    server = serve(trained["good"].challenger, "--latency-ms", "30", "--fault", "errors", "--fault-rate", "0.5")
    stop = send("good", port=server.port, control_port=desk.port, rate=100.0)
    tally_file = tmp_path / "tally.json"
    _until(lambda: tally_file.exists() and "status 500" in tally_file.read_text())
    server.process.kill()
    _until(lambda: "refused" in tally_file.read_text())
    tally = stop()
    assert set(tally["failures"]) == {"status 500", "refused"}
    assert tally["failed"] == sum(tally["failures"].values())
    assert 1 <= tally["reset_in_flight"] <= 30
    assert tally["requests"] == tally["answered"] + tally["failed"] + tally["reset_in_flight"]
