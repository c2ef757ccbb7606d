"""`crossfade serve` where it cannot start: what it says."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest

from view.sample import SPEC

from .conftest import Crossfade


def test_a_spec_that_cannot_be_read(crossfade: Crossfade, tmp_path: Path) -> None:
    ran = crossfade("serve", str(tmp_path / "nothing.yaml"), "--data", str(tmp_path / "data"))
    assert ran.code == 2
    assert "there is no file" in ran.err
    assert "crossfade init" in ran.err
    assert "crossfade init" in ran.err


def test_a_spec_with_mistakes_lists_them(crossfade: Crossfade, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC.replace("alpha: 5%", "alpa: 5%").replace("hold_for: 10m", "hold_for: soon"))
    ran = crossfade("serve", str(spec), "--data", str(tmp_path / "data"))
    assert ran.code == 1
    assert "alpa" in ran.err
    assert "hold_for" in ran.err


def test_a_port_that_is_taken(crossfade: Crossfade, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ran = crossfade("serve", str(spec), "--data", str(tmp_path / "data"), "--port", port)
    assert ran.code == 2
    assert f"cannot listen on 127.0.0.1:{port}" in ran.err
    assert re.search(r"choose another port with --port \(such as `--port \d+`\)", " ".join(ran.err.split()))


def test_nothing_to_serve(crossfade: Crossfade, tmp_path: Path) -> None:
    ran = crossfade("serve", "--data", str(tmp_path / "data"))
    assert ran.code == 2
    assert "no rollout to serve" in ran.err


def test_what_cannot_be_served_is_not_started(crossfade: Crossfade, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        crossfade("serve", str(spec), "--data", str(tmp_path / "data"), "--port", "0", "--control-port", port)
    ran = crossfade("status", "--data", str(tmp_path / "data"))
    assert ran.code == 2
    assert "no rollouts" in ran.err


@pytest.mark.parametrize("inside", ["", "run"])
def test_a_folder_that_cannot_be_written(crossfade: Crossfade, tmp_path: Path, inside: str) -> None:
    data = tmp_path / "data"
    (data / inside).parent.mkdir(exist_ok=True)
    (data / inside).write_text("a file where a folder should be")
    ran = crossfade("serve", "--data", str(data), "--json")
    assert ran.code == 2
    assert "cannot write to the data folder" in json.loads(ran.out)["error"]


def test_options_of_the_data_port_that_cannot_be_used(crossfade: Crossfade, tmp_path: Path) -> None:
    for given, said in {
        ("--max-body", "a lot"): "not a size",
        ("--tls-cert", "/nowhere.pem"): "--tls-cert /nowhere.pem",
        ("--tls-key", "/nowhere.key"): "without --tls-cert",
        ("--upstream-ca", "/nowhere.pem"): "--upstream-ca /nowhere.pem",
        ("--max-head", "0"): "head_bytes is 0",
    }.items():
        ran = crossfade("serve", str(tmp_path / "spec.yaml"), "--data", str(tmp_path / "data"), *given)
        assert ran.code == 2, given
        assert said in ran.err
        assert "Traceback" not in ran.err


def test_a_lake_that_cannot_be_is_refused_at_the_start(crossfade: Crossfade, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC)
    ran = crossfade("serve", str(spec), "--data", str(tmp_path / "data"), "--lake", "bucket/prefix")
    assert ran.code == 2
    assert "write s3://BUCKET/PREFIX" in ran.err
    assert not (tmp_path / "data" / "lake" / "location").exists()
