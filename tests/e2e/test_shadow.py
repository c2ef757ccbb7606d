"""Shadows of real servers, from the request to the decision: one bad segment, and labels that come later."""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from crossfade.facts import Outcome
from crossfade.rim.differing import Differing
from crossfade.rim.inbox import OutcomeInbox
from rim.gateway_kit import Client, ask, post
from rim.toy_server import Got, ToyServer, sized

from .test_hot import Serving, serving

pytestmark = pytest.mark.timeout(120)

SPEC = """
name: alpha
route: /alpha
protocol: json
unit: header:x-user-id
segments: [header:x-country]
champion:   {{name: v1, url: "{one}"}}
challenger: {{name: v2, url: "{two}"}}
prediction: {{probability: $.p}}
metrics:
  errors: {{from: response, kind: rate, better: lower, guardrail: {{margin: 50pp}}}}
{metrics}
stages:
  - shadow: {{until: {{requests: {requests}}}}}
  - canary: {{steps: [10%], hold_for: 10m}}
"""
QUALITY = "  quality: {from: prediction, outcome: bought, kind: log-loss, better: lower, window: 2s, goal: true}"


def predicts(p: float, nan_in: bytes = b"") -> Any:
    """A probability that depends on the request, or NaN for one country."""

    async def behave(got: Got, writer: Any) -> None:
        x = json.loads(got.body)["x"]
        value = "NaN" if nan_in and nan_in in got.get(b"x-country") else f"{(1.0 - p) + (2.0 * p - 1.0) * x:.3f}"
        writer.write(sized(b'{"p": %s}' % value.encode()))

    return behave


async def until(there: Serving, seconds: float, **wanted: Any) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    record = there.status()
    while any(record[key] != value for key, value in wanted.items()):
        assert time.monotonic() < deadline, record["sentence"]
        await asyncio.sleep(0.1)
        record = there.status()
    return record


async def _mirrored(there: Serving, shadow: ToyServer) -> int:
    """Ask until the gateway has heard that the shadow began, and so mirrors all; how many it mirrored at least."""
    deadline = time.monotonic() + 30.0
    while not shadow.requests:
        assert time.monotonic() < deadline, there.status()
        answer = await ask(there.port, post(b'{"x": 1}', path=b"/alpha", headers=b"X-User-Id: u1\r\nX-Country: at\r\n"))
        assert answer.status == 200
        await asyncio.sleep(0.05)
    return 1


async def _judged(there: Serving, pairs: int) -> bool:
    """Wait until so many pairs have been looked at; whether the rollout has been stopped by then."""
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        record = there.status()
        if record["phase"] != "running" or (record["counts"]["mirrored"] or 0) >= pairs:
            return record["phase"] == "rolled_back"
        await asyncio.sleep(0.1)
    raise AssertionError(there.status())


async def test_a_model_that_fails_one_country_is_stopped_within_200_of_its_requests(tmp_path: Path) -> None:
    async with ToyServer(predicts(0.8)) as one, ToyServer(predicts(0.8, b"ch")) as two:
        spec = tmp_path / "alpha.yaml"
        spec.write_text(SPEC.format(one=one.url, two=two.url, metrics="", requests=100_000))
        async with serving(tmp_path / "data", spec) as there:
            first = await _mirrored(there, two)
            client, asked = await Client.to(there.port), 0
            for n in range(20_000):
                country = b"ch" if n % 20 == 0 else (b"at", b"de", b"fr")[n % 3]
                asked += country == b"ch"
                client.send(
                    post(b'{"x": 1}', path=b"/alpha", headers=b"X-User-Id: u%d\r\nX-Country: %b\r\n" % (n, country))
                )
                assert (await client.answer()).body == b'{"p": 0.800}'
                if n % 200 == 199 and await _judged(there, first + n + 1):
                    break
            client.close()
            record = await until(there, 10.0, phase="rolled_back")
    assert asked <= 200
    assert record["sentence"].startswith("Rolled back: v2 gives replies that nobody can use: nan in ")
    assert "all where header:x-country is ch" in record["sentence"]
    (line,) = (line for line in record["evidence"] if line["metric"] == "catastrophic")
    assert line["verdict"] == "harmful"


TWO = """
name: alpha
route: /alpha
protocol: json
unit: header:x-user-id
champion: {{name: v1, url: "{one}"}}
challengers:
  - {{name: v2, url: "{two}"}}
  - {{name: v3, url: "{three}"}}
metrics:
  errors: {{from: response, kind: rate, better: lower, guardrail: {{margin: 50pp}}}}
stages:
  - shadow: {{until: {{requests: 100000}}, gates: {{disagreement: {{at_most: 10%}}}}}}
"""


async def test_two_shadows_have_evidence_of_their_own_and_the_bad_one_is_named(tmp_path: Path) -> None:
    """v2 says what the champion says; v3 says something else to about a third of the users."""
    async with ToyServer(predicts(0.8)) as one, ToyServer(predicts(0.8)) as two, ToyServer(odd_for_a_third) as three:
        spec = tmp_path / "alpha.yaml"
        spec.write_text(TWO.format(one=one.url, two=two.url, three=three.url))
        async with serving(tmp_path / "data", spec) as there:
            first = await _mirrored(there, three)
            client = await Client.to(there.port)
            for n in range(4000):
                client.send(post(b'{"x": 1}', path=b"/alpha", headers=b"X-User-Id: u%d\r\n" % n))
                assert (await client.answer()).body == b'{"p": 0.800}'
                if n % 100 == 99 and await _judged(there, first + n + 1):
                    break
            client.close()
            record = await until(there, 10.0, phase="rolled_back")
            stored = there.store.get("alpha")
            differences = Differing(there.data).of(stored.rollout, stored.position)
    assert "disagreement of v3" in record["sentence"]
    lines = {(line["metric"], line["arm"]): line for line in record["evidence"]}
    good, bad = lines["disagreement", "v2"], lines["disagreement", "v3"]
    assert (good["verdict"] != "harmful", bad["verdict"]) == (True, "harmful")
    assert good["estimate"] == 0.0
    assert bad["lower"] < 1 / 3 < bad["upper"]
    arms = {arm["arm"]: arm for arm in differences["arms"]}
    assert arms.keys() == {"v2", "v3"}
    assert arms["v2"]["fields"] == []
    assert [field["path"] for field in arms["v3"]["fields"]] == ["$.p"]


async def odd_for_a_third(got: Got, writer: Any) -> None:
    """Another probability where the user's number is divisible by three."""
    (user,) = got.get(b"x-user-id")
    writer.write(sized(b'{"p": 0.300}' if int(user[1:]) % 3 == 0 else b'{"p": 0.800}'))


async def test_the_better_of_two_models_is_named_by_labels_before_anybody_met_it(tmp_path: Path) -> None:
    """The champion says 60 % where 90 % is right, as the challenger does."""
    rng = random.Random(4)
    data = tmp_path / "data"
    async with ToyServer(predicts(0.6)) as one, ToyServer(predicts(0.9)) as two:
        spec = tmp_path / "alpha.yaml"
        spec.write_text(SPEC.format(one=one.url, two=two.url, metrics=QUALITY, requests=100))
        async with serving(data, spec) as there:
            inbox, client = OutcomeInbox(data), await Client.to(there.port)
            for n in range(300):
                x = rng.random() < 0.5
                client.send(post(b'{"x": %d}' % x, path=b"/alpha", headers=b"X-User-Id: u%d\r\n" % n))
                decision = (await client.answer()).get(b"x-crossfade-decision")
                assert decision is not None
                now = time.time()
                bought = float(rng.random() < (0.9 if x else 0.1))
                label = Outcome(
                    outcome_id=f"o{n}", rollout="", decision_id=decision.decode(), unit="", name="bought",
                    value=bought, item="", at=now, received_at=now,
                )  # fmt: skip
                inbox.accept([label])
            client.close()
            inbox.close()
            record = await until(there, 20.0, stage="canary")
            (moved,) = [one for one in record["decisions"] if one["move"] == "advance"]
            assert "quality" in moved["reason"]
            entry = next(entry for entry in there.store.entries("alpha") if entry.move == "advance")
    (line,) = (line for line in entry.evidence if line["metric"] == "quality")
    assert (line["verdict"], line["kind"]) == ("safe", "log-loss")
    # −ln 0.6·0.9 − ln 0.4·0.1 against −ln 0.9·0.9 − ln 0.1·0.1, on average over many.
    assert line["upper"] < 0.0
    assert line["lower"] < -0.226 < line["upper"]
