"""kill -9 anywhere while users are being served: nobody notices, and the run still ends rightly."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from crossfade.rim.lake import Lake

from .run_demo import RunningDemo

pytestmark = pytest.mark.timeout(300)
Demo = Callable[..., RunningDemo]


def test_controller_gateway_and_console_killed_while_a_better_model_rises(demo: Demo) -> None:
    running = demo("--scenario", "good", "--seed", "11")
    running.wait_for(lambda record: record["stage"] == "canary")
    running.kill("controller")
    time.sleep(3.0)
    running.kill("gateway-0")
    time.sleep(3.0)
    running.kill("console")
    record = running.finish()
    assert record["rollouts"][0]["phase"] == "promoted"
    client = record["summary"]["scenarios"][0]["client"]
    # Connections that the dying worker held are lost with it, and told apart; nothing else may fail.
    assert client["failed"] == 0
    assert client["reset_in_flight"] < 100
    assert client["outcomes"]["unsent"] == 0
    assert_recorded_once(running.data, client)


def test_the_challengers_server_killed_in_the_canary(demo: Demo) -> None:
    running = demo("--scenario", "bad", "--seed", "11")
    running.wait_for(lambda record: record["stage"] == "canary")
    running.kill_model_server("challenger")
    record = running.finish()
    assert record["rollouts"][0]["phase"] == "rolled_back"
    assert record["summary"]["scenarios"][0]["client"]["failed"] == 0


def assert_recorded_once(data: Path, client: dict[str, Any]) -> None:
    """Each answer that reached a client is in the lake once; nothing is there that no client asked for."""
    lake = Lake(data)
    lake.compact_journals()
    files = lake.files("exposed", lake.versions()["exposed"])
    query = "SELECT count(*), count(DISTINCT decision_id), count(*) FILTER (status > 0) FROM read_parquet(?)"
    row = duckdb.connect().execute(query, [files]).fetchone()
    assert row is not None
    rows, distinct, answered = row
    assert rows == distinct
    assert client["answered"] <= answered <= client["requests"]
