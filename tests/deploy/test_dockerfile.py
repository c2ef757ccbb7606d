"""The Dockerfile: linted, and its build steps run in folders of the test's own. No engine has built it here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .kit import DEPLOY, TOP, run, tool

FILE = DEPLOY / "Dockerfile"
LINES = [
    line for line in re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", FILE.read_text())).splitlines() if line.strip()
]
STAGES = re.split(r"(?m)^(?=FROM )", "\n".join(LINES))[1:]


def test_hadolint_is_silent() -> None:
    assert run(tool("hadolint"), FILE) == ""


def test_the_image_that_runs_has_no_compiler_and_no_root() -> None:
    building, running = STAGES
    assert "gcc" in building
    assert "gcc" not in running
    assert "pip install" not in running
    (user,) = re.findall(r"^USER (\d+):(\d+)$", running, re.MULTILINE)
    assert "0" not in user
    assert running.index("\nUSER ") < running.index("\nENTRYPOINT ")
    assert re.search(r"^ARG PYTHON=\d+\.\d+\.\d+-\S+$", LINES[0]), "the base is pinned by its tag"


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    for line in LINES:
        if line.startswith("COPY ") and "--from" not in line:
            for name in line.split()[1:-1]:
                assert (TOP / name).exists()
                assert f"!{name}" in ignored


@pytest.mark.full
@pytest.mark.timeout(1500)
def test_its_build_steps_make_an_environment_that_serves(tmp_path: Path) -> None:
    """Every RUN of the first stage but Debian's, with its folders below the test's; then the command of the second."""
    building, running = STAGES
    places = {"/src": tmp_path / "src", "/wheels": tmp_path / "wheels", "/opt/crossfade": tmp_path / "opt"}

    def here(command: str) -> str:
        for place, target in places.items():
            command = command.replace(place, str(target))
        return command

    places["/src"].mkdir()
    for line in building.splitlines():
        if line.startswith("COPY "):
            *names, target = line.split()[1:]
            for name in names:
                run("cp", "-r", TOP / name, places["/src"] / (target if name == "src" else "."))
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    for line in building.splitlines():
        if line.startswith("RUN ") and "apt-get" not in line:
            run("sh", "-c", here(line[4:]), cwd=places["/src"], env=environment)

    data = tmp_path / "data"
    spec = tmp_path / "spec.yaml"
    crossfade = places["/opt/crossfade"] / "bin" / "crossfade"
    run(crossfade, "init", spec, env=environment)
    (said,) = re.findall(r"^CMD \[(.+)\]$", running, re.MULTILINE)
    command, *options = re.findall(r'"([^"]*)"', said)
    environment |= {"CROSSFADE_DATA": str(data), "PATH": f"{crossfade.parent}{os.pathsep}{environment['PATH']}"}
    ports = [*("--port", "0", "--control-port", "0"), *("--health-port", "0")]
    serving = subprocess.Popen(
        [crossfade, command, spec, *options, *ports], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert serving.stdout is not None
        assert "models" in serving.stdout.readline()
        (check,) = re.findall(r"^HEALTHCHECK .* CMD \[(.+)\]$", running, re.MULTILINE)
        run(*re.findall(r'"([^"]*)"', check), env=environment, cwd=tmp_path)
    finally:
        serving.terminate()
        serving.wait(60)
    done = subprocess.run(re.findall(r'"([^"]*)"', check), env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 1, "nothing is healthy once it has ended"
