"""Three things go wrong behind a real gateway: the feed, the world, one model. Each is named for what it is."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from crossfade.rim.standing import standing
from rim.gateway_kit import Client, post
from rim.toy_server import Got, ToyServer, sized

from .test_hot import Serving, serving

pytestmark = pytest.mark.timeout(300)

SPEC = """
name: {name}
route: /{name}
protocol: json
unit: header:x-user-id
champion:   {{name: v1, url: "{one}"}}
challenger: {{name: v2, url: "{two}"}}
metrics:
  errors: {{from: response, kind: rate, better: lower, guardrail: {{margin: 50pp}}}}
  bought: {{from: outcome, kind: rate, window: 1h, better: higher, goal: true}}
drift: {{sample: 100%, reference: 10s}}
stages:
  - ab: {{weight: 50%}}
"""


class Model:
    """A model whose answer follows what it is asked, until it is made worse."""

    def __init__(self, gain: float) -> None:
        self.gain = gain
        self.worse = 0.0

    async def __call__(self, got: Got, writer: Any) -> None:
        asked = json.loads(got.body)
        income = asked["income"] if asked["income"] is not None else 0.0
        value = self.gain * asked["age"] / 40.0 + income / 3000.0 + self.worse
        writer.write(sized(b'{"p": %.4f}' % value))


Request = Callable[[random.Random], dict[str, Any]]


def usual(rng: random.Random) -> dict[str, Any]:
    return {"age": rng.gauss(40.0, 9.0), "income": rng.gauss(3000.0, 500.0), "country": rng.choice(["AT", "DE"])}


def older(rng: random.Random) -> dict[str, Any]:
    return {**usual(rng), "age": rng.gauss(58.0, 9.0)}


def nameless(rng: random.Random) -> dict[str, Any]:
    return {**usual(rng), "income": None}


async def asks(there: Serving, name: str, request: Request, cause: str, seconds: float) -> dict[str, Any]:
    """Users, one after the other, until that is what is said; the record that says it."""
    deadline, client, rng = time.monotonic() + seconds, await Client.to(there.port), random.Random(name)
    while (found := standing(there.store, name, time.time())["drift"] or {"cause": ""})["cause"] != cause:
        assert time.monotonic() < deadline, found
        for _ in range(8):
            body = json.dumps(request(rng)).encode()
            client.send(post(body, path=b"/%b" % name.encode(), headers=b"X-User-Id: u%d\r\n" % rng.getrandbits(40)))
            assert (await client.answer(20.0)).status == 200
        await asyncio.sleep(0.2)
    client.close()
    return found


async def goes_wrong(there: Serving, cause: str, model: Model, after: Request, worse: float) -> dict[str, Any]:
    """Quiet until the reference is complete and nothing is found, then not."""
    await asks(there, cause, usual, "none", 60.0)
    model.worse = worse
    return await asks(there, cause, after, cause, 40.0)


async def test_what_went_wrong_is_named(tmp_path: Path) -> None:
    """Three rollouts side by side: a feature goes null, everybody gets older, one model's predictions move."""
    wrongs = {"feed": (nameless, 0.0), "world": (older, 0.0), "model": (usual, 1.5)}
    async with AsyncExitStack() as stack:
        seconds, specs = {}, []
        for name in wrongs:
            seconds[name] = Model(1.1)
            one = await stack.enter_async_context(ToyServer(Model(1.0)))
            two = await stack.enter_async_context(ToyServer(seconds[name]))
            specs.append(tmp_path / f"{name}.yaml")
            specs[-1].write_text(SPEC.format(name=name, one=one.url, two=two.url))
        there = await stack.enter_async_context(serving(tmp_path / "data", *specs))
        runs = [goes_wrong(there, name, seconds[name], *wrong) for name, wrong in wrongs.items()]
        feed, world, model = await asyncio.gather(*runs)
        assert feed["sentence"].startswith("The feed is broken: $.income is missing in ")
        assert world["sentence"].startswith("The world changed: inputs of everyone ($.age)")
        assert model["sentence"].startswith("v2 changed: its predictions ($.p) are not as in the reference")
        for drift, arm in ((feed, None), (world, None), (model, "v2")):
            assert {found["arm"] for found in drift["findings"]} == {arm}
            first = drift["fields"][0]
            assert first["changed"]
            assert first["what"]
            assert time.time() - 90.0 < first["since"] < time.time()
        assert all(standing(there.store, name, time.time())["phase"] == "running" for name in wrongs)
        told = await printed(tmp_path)
    assert "The feed is broken: $.income is missing" in told
    assert "v2 changed: its predictions" in told


async def printed(folder: Path) -> str:
    """What `crossfade status` prints."""
    command = [sys.executable, "-m", "crossfade.cli.main", "status", "--data", str(folder / "data")]
    process = await asyncio.create_subprocess_exec(*command, stdout=-1)
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return " ".join(out.decode().split())
