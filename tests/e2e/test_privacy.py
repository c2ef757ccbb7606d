"""What lies on the disk about whom: real processes, and a search through every byte of the data folder."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from crossfade.client import Rollout
from crossfade.facts import Exposed, Outcome
from crossfade.live.assign import bucket
from crossfade.live.pseudonyms import pseudonym
from crossfade.rim.examples import kept
from rim.on_disk import found

from .test_hot import Serving, serving
from .test_safety import CANARY, ERRORS, GOAL, SHADOW, of, shows, toys, users, written

pytestmark = pytest.mark.timeout(400)

KEY = "c0ffee" * 8


def keyed(spec: Path, key: Path) -> Path:
    spec.write_text(spec.read_text() + f"pseudonyms: file:{key}\nexamples: {{share: 100%}}\n")
    return spec


def post_outcomes(there: Serving, items: list[dict[str, Any]]) -> dict[str, Any]:
    url = f"http://127.0.0.1:{json.loads((there.data / 'run' / 'serve.json').read_bytes())['control_port']}"
    asked = urllib.request.Request(
        f"{url}/api/v1/outcomes", json.dumps(items).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=10) as reply:
        return dict(json.loads(reply.read()))


async def cli(*words: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "crossfade.cli.main", *words]
    process = await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=-2)
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_where_units_have_pseudonyms_no_name_of_theirs_is_anywhere_on_the_disk(tmp_path: Path) -> None:
    key = tmp_path / "unit.key"
    key.write_text(KEY)
    data = tmp_path / "data"
    names = [f"u{number}" for number in range(1000, 1040)]
    async with toys("champion", "challenger") as there:
        one, two = there.urls
        specs = [
            keyed(written(tmp_path, "hidden", one, two, SHADOW, f"{ERRORS}\n{GOAL}"), key),
            keyed(written(tmp_path, "split", one, two, CANARY, f"{ERRORS}\n{GOAL}"), key),
            written(tmp_path, "plain", one, two, CANARY, f"{ERRORS}\n{GOAL}"),
        ]
        async with serving(data, *specs) as gw:
            for name in ("hidden", "split"):
                await users(gw, name, 40, first=1000)
            await users(gw, "plain", 3, first=7000)
            items = [{"rollout": "split", "unit": unit, "name": "purchase"} for unit in names]
            assert await asyncio.to_thread(post_outcomes, gw, items) == {
                "accepted": 40,
                "duplicates": 0,
                "rejected": [],
            }
            imported = tmp_path / "late.csv"
            imported.write_text("unit,at\n" + "".join(f"{unit},{1_700_000_000 + i}\n" for i, unit in enumerate(names)))
            said = ["--set", "rollout=split", "--set", "name=purchase", "--data", str(data)]
            code, out = await cli("outcomes", "import", str(imported), *said)
            assert code == 0, out
            assert "40 outcomes kept" in out
            await shows(gw, lambda record: record["name"] == "plain" or record["counts"]["requests"] == 40)
            # Killed, not told to stop: what lies in tails and WAL files stays there.
            os.kill(gw.pid("gateway-0"), signal.SIGKILL)
            os.kill(gw.pid("controller"), signal.SIGKILL)
            await users(gw, "split", 1, first=1000)
            facts = of(gw, Exposed, "exposed", "split")
            hidden = of(gw, Exposed, "exposed", "hidden")
            outcomes = [fact for fact in gw.facts(Outcome, "outcome") if fact.rollout == "split"]
    secret = KEY.encode()
    wanted = {pseudonym(secret, unit): unit for unit in names}
    assert {fact.unit for fact in facts} == {fact.unit for fact in hidden} == set(wanted)
    assert {fact.unit for fact in outcomes} == set(wanted)
    for fact in facts:
        assert fact.arm == ("v2" if bucket("split", wanted[fact.unit]) < 0.5 else "v1"), "assigned by the unit itself"
    assert list((data / "examples").glob("*.db")), "examples were kept, so that the search has something to search"
    assert found(data, "u7000")["u7000"], "the search finds what is there"
    assert found(data, KEY, *names) == {}


@pytest.mark.full
async def test_a_unit_is_forgotten_while_it_is_served_and_after(tmp_path: Path) -> None:
    data = tmp_path / "data"
    words = ["--reason", "ticket 7", "--actor", "ana", "--data", str(data), "--json"]
    async with toys("champion", "challenger") as there:
        one, two = there.urls
        specs = [
            written(tmp_path, "hidden", one, two, SHADOW, f"{ERRORS}\n{GOAL}"),
            written(tmp_path, "split", one, two, CANARY, f"{ERRORS}\n{GOAL}"),
        ]
        for spec in specs:
            spec.write_text(spec.read_text() + "examples: {share: 100%}\n")
        async with serving(data, *specs) as gw:
            for name in ("hidden", "split"):
                await users(gw, name, 20, first=7000, each=2)
            await asyncio.to_thread(
                post_outcomes, gw, [{"rollout": "split", "unit": "u7003", "name": "purchase", "outcome_id": "of-u7003"}]
            )
            await shows(gw, lambda record: record["counts"]["requests"] == 40)
            assert {"examples", "journal", "lake"} <= {
                where.split("/")[0] for where in found(data, "u7003")["u7003"]
            } | {"examples"}
            before = examples_of(data)
            code, out = await cli("forget", "u7003", *words)
            assert code == 0, out
            done = json.loads(out)
            assert done["facts"] == {"hidden": 4, "split": 3}
            assert done["examples"] == 2 == before - examples_of(data)
            assert found(data, "u7003") == {}
            assert found(data, "u7004"), "nobody else was"
            await users(gw, "split", 20, first=7100)
            await shows(gw, lambda record: record["name"] == "hidden" or record["counts"]["requests"] == 60)
        assert found(data, "u7003") == {}
        code, out = await cli("forget", "u7004", "--rollout", "split", *words)
        assert code == 0, out
        assert json.loads(out)["facts"] == {"split": 2}
        assert all(where.startswith(("lake/exposed", "lake/compared")) for where in found(data, "u7004")["u7004"])
        code, out = await cli("forget", "u7004", *words)
        assert (code, json.loads(out)["facts"]) == (0, {"hidden": 4})
        assert found(data, "u7003", "u7004") == {}
        for name in ("hidden", "split"):
            code, out = await cli("verify", name, "--data", str(data))
            assert code == 0, out
            assert "written anew without the name of a unit" in out
        code, out = await cli("forget", "u7004", "--reason", "for u7004", "--data", str(data))
        assert code == 2
        assert "must not name the unit" in out
        code, out = await cli("forget", "u7004", "--rollout", "splat", *words)
        assert code == 2
        assert "did you mean split?" in out


def examples_of(data: Path) -> int:
    return len(kept(data, "hidden", most=1000))


async def test_a_key_that_is_missing_or_another_one_stops_the_start(tmp_path: Path) -> None:
    key = tmp_path / "unit.key"
    spec = keyed(written(tmp_path, "split", "http://127.0.0.1:1", "http://127.0.0.1:2", CANARY), key)
    data = str(tmp_path / "data")
    serve = ["serve", str(spec), "--data", data, "--port", "0", "--control-port", "0"]
    code, out = await cli(*serve)
    assert code == 1
    assert f"the secret file {key} cannot be read" in out
    assert "openssl rand -hex 32" in out
    assert "Traceback" not in out
    key.write_text(KEY)
    async with serving(tmp_path / "data", spec):
        pass
    key.write_text(KEY[::-1])
    code, out = await cli(*serve)
    assert code == 1
    assert "Bring the former key back" in out
    assert KEY not in out
    assert KEY[::-1] not in out


INSIDE = """
name: inside
route: /inside
protocol: json
unit: header:x-user-id
pseudonyms: env:UNIT_KEY
champion:   {name: v1, url: "python:"}
challenger: {name: v2, url: "python:"}
metrics:
  errors: {from: response, kind: rate, better: lower, guardrail: {margin: 0.5pp}}
stages:
  - canary: {steps: [50%], hold_for: 10m}
"""


def test_inside_a_program_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from crossfade.rim.pseudonym_keys import KeyProblem

    arms = {"v1": lambda payload: {"is": 1}, "v2": lambda payload: {"is": 2}}
    monkeypatch.delenv("UNIT_KEY", raising=False)
    with pytest.raises(KeyProblem, match="UNIT_KEY is not set"):
        Rollout.open(INSIDE, data=tmp_path, arms=arms)
    monkeypatch.setenv("UNIT_KEY", KEY)
    with Rollout.open(INSIDE, data=tmp_path, arms=arms) as rollout:
        for number in range(20):
            rollout.call_sync(f"member-{number}", {})
    assert found(tmp_path, "member-", KEY) == {}
    assert found(tmp_path, pseudonym(KEY.encode(), "member-7"))
