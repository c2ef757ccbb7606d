"""An A/B test whose requests are copied both ways through real gateways, one of which is killed: bytes to lines."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from crossfade.facts import Compared, Exposed, Outcome
from crossfade.rim.inbox import OutcomeInbox
from rim.gateway_kit import Client, post
from rim.toy_server import Got, ToyServer, sized

from .test_hot import serving

pytestmark = pytest.mark.timeout(180)

SPEC = """
name: alpha
route: /alpha
protocol: json
unit: header:x-user-id
lease: 20s
champion:   {{name: v1, url: "{one}"}}
challenger: {{name: v2, url: "{two}"}}
prediction: {{value: $.p}}
metrics:
  errors: {{from: response, kind: rate, better: lower, guardrail: {{margin: 50pp}}}}
  worth:  {{from: outcome, kind: mean, window: 1s, better: higher, goal: true,
           only: differing, covariate: shadow:champion}}
stages:
  - ab: {{weight: 50%, counterfactual: {{share: 100%, of: both, at_once: 32}}, until: {{at_most: 1h}}}}
"""
UNITS, VISITS = 60, 4


def predicts(shift: float) -> Any:
    """What was asked, moved a little where that is large."""

    async def behave(got: Got, writer: Any) -> None:
        x = json.loads(got.body)["x"]
        writer.write(sized(b'{"p": %.3f}' % (x + (shift if x >= 0.8 else 0.0))))

    return behave


def asked(unit: int, visit: int) -> float:
    return ((unit * 7 + visit * 3) % 10) / 10.0


async def user(port: int, unit: int) -> int:
    """All visits of a unit, each again after a connection that broke; how many were answered."""
    answered, client = 0, await Client.to(port)
    for visit in range(VISITS):
        body = b'{"x": %.1f}' % asked(unit, visit)
        for _ in range(20):
            client.send(post(body, path=b"/alpha", headers=b"X-User-Id: u%d\r\n" % unit))
            try:
                answer = await client.answer(10.0)
                assert answer.status == 200
                answered += 1
                break
            except (OSError, IndexError):
                await asyncio.sleep(0.05)
                client = await Client.to(port)
        await asyncio.sleep(0.02)
    client.close()
    return answered


async def test_units_are_counted_as_the_recorded_pairs_say_and_what_a_kill_loses_is_left_out(tmp_path: Path) -> None:
    async with ToyServer(predicts(0.0)) as one, ToyServer(predicts(0.5)) as two:
        spec, data = tmp_path / "alpha.yaml", tmp_path / "data"
        spec.write_text(SPEC.format(one=one.url, two=two.url))
        async with serving(data, spec, workers=2) as there:
            users = [asyncio.ensure_future(user(there.port, unit)) for unit in range(UNITS)]
            await asyncio.sleep(0.1)
            os.kill(there.pid("gateway-1"), signal.SIGKILL)
            assert sum(await asyncio.gather(*users)) == UNITS * VISITS
            inbox, now = OutcomeInbox(data), time.time()
            reports = [
                Outcome(
                    outcome_id=f"o{n}", rollout="alpha", decision_id="", unit=f"u{n}", name="worth", value=1.0 + n % 3,
                    item="", at=now, received_at=now,
                )
                for n in range(UNITS)
            ]  # fmt: skip
            inbox.accept(reports)
            deadline, line = time.monotonic() + 60.0, None
            while time.monotonic() < deadline:
                line = next((one for one in there.status()["evidence"] if one["metric"] == "worth"), None)
                if line is not None and sum(line["units"].values()) >= UNITS // 3 and not line["immature"]:
                    break
                await asyncio.sleep(0.2)
        exposures, pairs = there.facts(Exposed, "exposed"), there.facts(Compared, "compared")

    assert all(fact.copied for fact in exposures if fact.unit)
    by_decision = {pair.decision_id: pair for pair in pairs}
    assert len(by_decision) == len(pairs)
    assert {pair.served for pair in pairs} == {"v1", "v2"}
    entered: dict[str, str] = {}
    left_out, arms = set(), {fact.unit: fact.arm for fact in exposures}
    for fact in exposures:
        pair = by_decision.get(fact.decision_id)
        if fact.unit in entered or fact.unit in left_out:
            continue
        if pair is None:
            left_out.add(fact.unit)
        elif pair.differs:
            entered[fact.unit] = fact.arm
            x = pair.champion_numbers[0]
            assert x >= 0.8
            assert pair.challenger_numbers[0] == pytest.approx(x + 0.5)
    assert line is not None
    expected = {arm: sum(one == arm for one in entered.values()) for arm in ("v1", "v2")}
    print(line["units"], "left out", len(left_out), line["assumptions"][-1])
    assert line["units"] == expected
    assert ("left out" in line["assumptions"][-1]) is bool(left_out - entered.keys())
    assert any(f"of {sum(one == 'v1' for one in arms.values())} units of v1" in said for said in line["assumptions"])
