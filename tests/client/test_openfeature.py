"""Rollouts as flags, asked through OpenFeature's own SDK; the store is real, and in the end so is what serves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from openfeature.provider import ProviderStatus
from openfeature.track import TrackingEventDetails

from crossfade.client.openfeature import CrossfadeProvider
from crossfade.facts import Exposed
from crossfade.live import units
from crossfade.live.assign import bucket
from crossfade.rim import batches
from crossfade.rim.excluding import exclude_by_hand
from crossfade.rim.store import Store
from crossfade.spec.parse import parse
from crossfade.state import Move

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "openfeature.md").read_text()
BLOCKS = dict(re.findall(r"```(yaml|python)\n(.*?)```", PAGE, re.DOTALL))
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "assignment.json").read_text())["vectors"]

HALVES = BLOCKS["yaml"].replace("steps: [20%]", "steps: [50%]").replace("route:", "salt: ranker-v2\nroute:")
SERVED = """
name: ranker
route: /rank
protocol: json
unit: header:x-user-id
salt: ranker-v2
champion:   {name: v1, url: "http://127.0.0.1:1/one"}
challenger: {name: v2, url: "http://127.0.0.1:1/two", model: new}
metrics:
  errors: {from: response, kind: rate, better: lower, guardrail: {margin: 0.5pp}}
stages:
  - shadow: {mirror: 100%, until: {requests: 10}}
  - canary: {steps: [50%], hold_for: 10m}
"""


def until(true: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def asking(unit: str = "", **attributes: Any) -> EvaluationContext:
    return EvaluationContext(targeting_key=unit or None, attributes=attributes)


class Running:
    """A store, somebody who moves it and beats for the controller, and a provider that the SDK has."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.store = Store(data)
        self._beats, self._one = threading.Event(), threading.Lock()
        self._beats.set()
        self._stop = threading.Event()
        self._beating = threading.Thread(target=self._beat)
        self._beating.start()
        self.seen: list[tuple[ProviderEvent, EventDetails]] = []

    def add(self, text: str, *moves: Move) -> str:
        rollout = parse(text)
        self.store.add(text, rollout, time.time())
        for move in moves:
            self.move(rollout.name, move)
        return rollout.name

    def move(self, name: str, move: Move) -> None:
        self.store.act(name, move, actor="ann", rule="manual", sentence="So.", at=time.time())

    def client(self, **options: Any) -> OpenFeatureClient:
        self.provider = CrossfadeProvider(self.data, **options)
        for event in ProviderEvent:
            api.add_handler(event, partial(self._saw, event))
        api.set_provider_and_wait(self.provider)
        return api.get_client()

    def _saw(self, event: ProviderEvent, told: EventDetails) -> None:
        if told.provider_name == "Crossfade":
            self.seen.append((event, told))

    def beat(self, on: bool) -> None:
        with self._one:
            (self._beats.set if on else self._beats.clear)()

    def exposed(self, count: int) -> list[Exposed]:
        found: list[Exposed] = []

        def enough() -> bool:
            found.clear()
            for path in batches.journals(self.data):
                connection = batches.connect(path)
                facts = [fact for row in batches.rows(connection, 0, 10**9) for fact in row.facts]
                found.extend(fact for fact in facts if isinstance(fact, Exposed))
                connection.close()
            return len(found) >= count

        until(enough, f"{len(found)} of {count} exposures")
        return found

    def _beat(self) -> None:
        while not self._stop.wait(0.05):
            # Once it was told to stop, no beat comes any more.
            with self._one:
                if self._beats.is_set():
                    self.store.beat()

    def close(self) -> None:
        self._stop.set()
        self._beating.join()
        api.shutdown()
        api.clear_providers()
        api.clear_hooks()
        self.store.close()


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Running]:
    from openfeature import _event_support

    running = Running(tmp_path / "data")
    yield running
    running.close()
    _event_support.clear()


def test_units_get_the_arm_that_the_gateway_would_give_them_and_are_recorded(there: Running) -> None:
    there.add(HALVES, Move.START)
    client = there.client()
    vectors = [one for one in GOLDEN if one["salt"] == "ranker-v2" and units.canonical(one["unit"])][:40]
    for vector in vectors:
        details = client.get_string_details("checkout", "none", asking(vector["unit"], **{"X-Country": "de"}))
        wanted = "express" if vector["bucket"] < 0.5 else "classic"
        assert (details.value, details.variant, details.reason) == (wanted, wanted, Reason.SPLIT)
    facts = there.exposed(len(vectors))
    assert [(fact.unit, fact.arm == ("express" if vector["bucket"] < 0.5 else "classic"), fact.segments)
            for fact, vector in zip(facts, vectors, strict=True)] == [
        (vector["unit"], True, ("de",)) for vector in vectors
    ]  # fmt: skip
    assert {(fact.mode, fact.weight, fact.failed) for fact in facts} == {("canary", 0.5, False)}


async def test_every_kind_of_value_and_what_it_says_of_itself(there: Running) -> None:
    name = there.add(HALVES, Move.START)
    client = there.client()
    new = asking(next(f"u{n}" for n in range(99) if bucket("ranker-v2", f"u{n}") < 0.5))
    old = asking(next(f"u{n}" for n in range(99) if bucket("ranker-v2", f"u{n}") >= 0.5))
    assert (client.get_boolean_value(name, False, new), client.get_boolean_value(name, True, old)) == (True, False)
    assert client.get_object_value(name, {}, new) == {"arm": "express", "challenger": True}
    assert await client.get_string_value_async(name, "?", new) == "express"
    assert await client.get_boolean_value_async(name, True, old) is False
    assert (await client.get_object_details_async(name, {}, old)).variant == "classic"
    for details in (client.get_integer_details(name, 7, new), client.get_float_details(name, 0.5, new)):
        assert (details.value in (7, 0.5), details.error_code) == (True, ErrorCode.TYPE_MISMATCH)
    details = client.get_string_details(name, "?", new)
    assert {**details.flag_metadata, "decision_id": "", "revision": ""} == {
        "rollout": "checkout",
        "revision": "",
        "phase": "running",
        "mode": "canary",
        "stage": 0,
        "step": 0,
        "weight": 0.5,
        "decision_id": "",
    }
    assert details.flag_metadata["decision_id"] in {fact.decision_id for fact in there.exposed(7)}
    assert details.flag_metadata["revision"] == there.store.get(name).revision


def test_reasons_follow_the_rollout_and_changes_are_told(there: Running) -> None:
    name = there.add(HALVES)
    client = there.client()
    unit = next(f"u{n}" for n in range(99) if bucket("ranker-v2", f"u{n}") < 0.5)

    def reason(**attributes: Any) -> Any:
        details = client.get_string_details(name, "?", asking(unit, **attributes))
        return details.reason, details.value

    assert reason() == (Reason.DISABLED, "classic")
    there.move(name, Move.START)
    until(lambda: reason() == (Reason.SPLIT, "express"), "the start was not heard")
    changes = ProviderEvent.PROVIDER_CONFIGURATION_CHANGED
    until(
        lambda: [told.flags_changed for event, told in there.seen if event is changes] == [[name]], "no change was told"
    )
    nobody = client.get_string_details(name, "?", asking())
    assert (nobody.reason, nobody.value, nobody.error_code) == (Reason.DEFAULT, "classic", None)
    until(lambda: any(not fact.unit for fact in there.exposed(1)), "who names no unit is not counted")
    exclude_by_hand(there.store, name, "header:x-country=de", actor="ann", reason="slow", at=time.time())
    until(lambda: reason(**{"x-country": "de"}) == (Reason.TARGETING_MATCH, "classic"), "the exclusion was not heard")
    assert reason(**{"header:x-country": "fr"}) == (Reason.SPLIT, "express")
    there.move(name, Move.PROMOTE)
    until(lambda: client.get_string_details(name, "?", asking(unit)).flag_metadata["phase"] == "promoted", "promotion")
    there.move(name, Move.ROLLBACK)
    until(lambda: reason() == (Reason.DISABLED, "classic"), "the rollback was not heard")
    unknown = client.get_string_details("chekout", "mine", asking(unit))
    assert (unknown.value, unknown.error_code) == ("mine", ErrorCode.FLAG_NOT_FOUND)
    assert "there are: checkout" in str(unknown.error_message)


def test_a_rollout_behind_a_gateway_is_told_and_not_recorded(there: Running) -> None:
    name = there.add(SERVED, Move.START)
    own = there.add(HALVES, Move.START)
    bad = there.add(SERVED.replace("ranker\n", "mine\n", 1).replace('"http://127.0.0.1:1/one"', '"python:"').replace(
        '"http://127.0.0.1:1/two"', '"python:"').replace("/rank", "/mine"), Move.START)  # fmt: skip
    client = there.client()
    unit = next(f"u{n}" for n in range(99) if bucket("ranker-v2", f"u{n}") < 0.5)
    shadow = client.get_string_details(name, "?", asking(unit))
    assert (shadow.reason, shadow.value) == (Reason.STATIC, "v1")
    there.move(name, Move.ADVANCE)
    until(lambda: client.get_string_value(name, "?", asking(unit)) == "v2", "the canary was not heard")
    said = client.get_object_value(name, {}, asking(unit))
    assert said == {"arm": "v2", "challenger": True, "url": "http://127.0.0.1:1/two", "model": "new"}
    refused = client.get_string_details(bad, "mine", asking(unit))
    assert (refused.value, refused.error_code) == ("mine", ErrorCode.GENERAL)
    assert "metric errors (from: response), stage shadow" in str(refused.error_message)
    assert client.get_boolean_value(own, False, asking(unit))
    assert {fact.rollout for fact in there.exposed(1)} == {own}


def test_without_a_controller_champions_serve_and_everybody_hears(there: Running) -> None:
    name = there.add(HALVES.replace("route:", "lease: 1s\nroute:"), Move.START)
    unit = asking(next(f"u{n}" for n in range(99) if bucket("ranker-v2", f"u{n}") < 0.5))
    there.beat(False)
    client = there.client(wait=0.2)
    details = client.get_string_details(name, "?", unit)
    assert (details.value, details.reason) == ("classic", Reason.STALE)
    until(lambda: client.get_provider_status() is ProviderStatus.STALE, "it was not said that nobody decides")
    there.beat(True)
    until(lambda: client.get_provider_status() is ProviderStatus.READY, "it was not said that somebody does again")
    until(lambda: client.get_string_details(name, "?", unit).reason == Reason.SPLIT, "nobody is exposed again")
    there.beat(False)
    until(lambda: client.get_string_details(name, "?", unit).reason == Reason.STALE, "the lease never ran out")
    until(lambda: client.get_provider_status() is ProviderStatus.STALE, "nobody heard that it ran out")
    ready, stale = ProviderEvent.PROVIDER_READY, ProviderEvent.PROVIDER_STALE

    def told() -> bool:
        states = [event for event, _ in there.seen if event is not ProviderEvent.PROVIDER_CONFIGURATION_CHANGED]
        # On a machine that is slow the lease may run out once more between the two.
        return (
            len(states) >= 4 and states == [(ready, stale)[n % 2] for n in range(len(states))] and states[-1] is stale
        )

    until(told, "it was told otherwise")


def test_a_folder_without_rollouts_is_said_and_looked_at_again(there: Running) -> None:
    with pytest.raises(Exception, match="holds no rollouts; give the folder"):
        there.client(wait=0.2)
    client = api.get_client()
    assert client.get_provider_status() is ProviderStatus.ERROR
    there.add(HALVES, Move.START)
    until(lambda: client.get_provider_status() is ProviderStatus.READY, "it was never ready")
    until(lambda: client.get_string_details("checkout", "?", asking("u")).reason == Reason.SPLIT, "nobody is exposed")


def test_events_that_cannot_be_outcomes_are_counted_and_never_raise(there: Running) -> None:
    there.add(HALVES, Move.START)
    client = there.client(control="http://127.0.0.1:1", linger=0.1)
    wrong: list[tuple[str, EvaluationContext, TrackingEventDetails | None, str]] = [
        ("clicks", asking("u"), None, "no rollout under way asks for"),
        ("purchase", asking(), None, "neither a targeting key nor"),
        ("revenue", asking("u"), TrackingEventDetails(float("nan")), "must be a finite number"),
        ("purchase", asking("u"), TrackingEventDetails(1.0, {"item": 7}), "it must be text"),
        ("purchase", asking("u"), TrackingEventDetails(None, {"corrects": "x"}), "which value is right"),
    ]
    for count, (name, context, details, said) in enumerate(wrong, 1):
        client.track(name, context, details)
        assert (there.provider.tracked.refused, said in there.provider.tracked.problem) == (count, True)
    client.track("purchase", asking("u"))
    assert there.provider.tracked.delivered.pending == 1


@pytest.mark.timeout(400)
def test_the_page_runs_as_written_against_what_really_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a controller that is killed takes the challenger away."""
    monkeypatch.chdir(tmp_path)
    spec = (
        BLOCKS["yaml"]
        .replace("route:", "lease: 4s\nroute:")
        .replace("steps: [20%]", "steps: [90%]")
        .replace("weight: 50%", "weight: 90%")
    )
    (tmp_path / "checkout.yaml").write_text(spec)
    crossfade = [sys.executable, "-m", "crossfade.cli.main"]
    command = [*crossfade, "serve", "checkout.yaml", "--workers", "0", "--control-port", "0", "--tick", "0.3", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert "control" in said, said
        names: dict[str, Any] = {}
        exec(BLOCKS["python"].replace("http://127.0.0.1:8090", said["control"]), names)
        provider, client, ana = names["provider"], names["client"], names["ana"]
        arm = "express" if bucket("checkout", "user-2") < 0.9 else "classic"
        until(lambda: client.get_string_value("checkout", "?", ana) == arm, "it does not serve")
        assert names["variant"] in ("classic", "express")
        for n in range(40):
            client.track("purchase", asking(f"u{n}"), TrackingEventDetails(attributes={"outcome_id": f"order-{n}"}))
            client.track("purchase", asking(f"u{n}"), TrackingEventDetails(attributes={"outcome_id": f"order-{n}"}))
        assert provider.flush(30.0)
        tracked = provider.tracked
        assert (tracked.delivered.accepted, tracked.delivered.duplicates, tracked.refused) == (42, 40, 0)

        def counted() -> bool:
            for n in range(40):
                # Who asked while the lease had run out, as it may on a slow machine, is not of this stage.
                client.get_string_value("checkout", "?", asking(f"u{n}"))
            told = subprocess.run([*crossfade, "status", "--json"], check=True, capture_output=True, text=True).stdout
            exposure = json.loads(told.splitlines()[-1])["rollouts"][0]["exposure"]
            return sum((exposure["units"] or {}).values()) == 41

        until(counted, "the units were not counted")
        pids = json.loads((tmp_path / "crossfade-data" / "run" / "serve.json").read_text())["pids"]
        os.kill(process.pid, signal.SIGSTOP)
        os.kill(pids["controller"], signal.SIGKILL)
        mine = next(asking(f"u{n}") for n in range(99) if bucket("checkout", f"u{n}") < 0.9)
        until(
            lambda: client.get_string_details("checkout", "?", mine).reason == Reason.STALE, "the lease held for ever"
        )
        assert client.get_string_value("checkout", "?", mine) == "classic"
    finally:
        api.shutdown()
        api.clear_providers()
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.communicate(timeout=30)
    assert provider.tracked.delivered.accepted == 42, "forgotten with the shutdown"


def test_nobody_else_loads_the_sdk() -> None:
    code = (
        "import sys; import crossfade.client; from crossfade.client import Rollout; print('openfeature' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
    heavy = ("numpy", "pyarrow", "duckdb", "fastapi", "sqlalchemy", "pydantic", "crossfade.judge")
    code = f"import sys; import crossfade.client.openfeature; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
