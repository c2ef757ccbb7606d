"""What a user installs: a wheel with the request path compiled where that can be done, else the sources alone."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from crossfade.rim.build_kind import request_path
from rim.gateway_kit import ask, post
from rim.toy_server import ToyServer, says

ROOT = Path(__file__).resolve().parent.parent
ALONE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
"""An environment in which nothing but what is installed is found."""

EXTENSION = sysconfig.get_config_var("EXT_SUFFIX")
SPEC = """
name: alpha
route: /alpha
protocol: json
unit: header:x-user-id
champion:   {{name: v1, url: "{url}"}}
challenger: {{name: v2, url: "{url}"}}
metrics:
  errors: {{from: response, kind: rate, better: lower, guardrail: {{margin: 0.5pp}}}}
stages:
  - canary:  {{steps: [98%], hold_for: 10m}}
"""


def built(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The build as a frontend makes it, in this environment."""
    program = f"import hatchling.build as b; print(b.get_requires_for_build_wheel()); b.build_wheel({str(folder)!r})"
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=os.environ | env, capture_output=True, text=True, check=False
    )


def isolated(place: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """The build as pip makes it: in an environment that holds what the build asks for and nothing else."""
    venv.create(place, with_pip=True)
    command = [place / "bin" / "python", "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT]
    env = ALONE | {"CROSSFADE_PURE": "0"}
    return subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, check=False)


def holds(folder: Path) -> tuple[str, list[str], list[str]]:
    """A wheel's name, its modules and its extensions."""
    (wheel,) = folder.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    extensions = [name for name in names if name.endswith(EXTENSION)]
    return wheel.name, [name for name in names if name.endswith(".py")], extensions


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({"CROSSFADE_PURE": "1"}, "CROSSFADE_PURE is 1"),
        ({"CC": "no-such-compiler -O2"}, "there is no C compiler (no-such-compiler) on the PATH"),
    ],
)
def test_where_nothing_is_compiled_the_wheel_holds_the_sources_and_one_line_says_why(
    tmp_path: Path, env: dict[str, str], why: str
) -> None:
    ran = built(tmp_path, **env)
    assert ran.returncode == 0, ran.stderr
    told = [line for line in (ran.stdout + ran.stderr).splitlines() if why in line]
    assert len(told) == 1
    assert "stays interpreted" in told[0]
    assert "mypy" not in ran.stdout  # nor is anything asked for that only compiling takes
    name, modules, extensions = holds(tmp_path)
    assert name.endswith("-py3-none-any.whl")
    assert "crossfade/rim/gateway.py" in modules
    assert extensions == []


def test_a_compiled_wheel_that_cannot_be_is_an_error_to_who_insists(tmp_path: Path) -> None:
    ran = built(tmp_path, CC="no-such-compiler", CROSSFADE_PURE="0")
    assert ran.returncode != 0
    assert "cannot be compiled: there is no C compiler" in ran.stderr
    assert list(tmp_path.glob("*.whl")) == []


def test_an_editable_install_is_never_compiled(tmp_path: Path) -> None:
    hook = WheelBuilder(str(ROOT)).get_build_hooks(str(tmp_path))["custom"]
    given: dict[str, object] = {"force_include": {}}
    hook.initialize("editable", given)
    assert given == {"force_include": {}}


@pytest.mark.full
@pytest.mark.timeout(900)
async def test_a_wheel_serves_from_the_compiled_request_path(tmp_path: Path) -> None:
    ran = await asyncio.to_thread(isolated, tmp_path / "build", tmp_path / "dist")
    assert ran.returncode == 0, ran.stderr
    name, modules, extensions = holds(tmp_path / "dist")
    assert re.search(r"-cp3\d+-cp3\d+-", name)
    assert {"crossfade/rim/gateway" + EXTENSION, "crossfade/live/assign" + EXTENSION} <= set(extensions)
    assert "crossfade/rim/gateway.py" in modules  # tracebacks quote the sources

    python = await asyncio.to_thread(installed, tmp_path / "venv", tmp_path / "dist" / name)
    said = subprocess.run(
        [python.parent / "crossfade", "--version"], env=ALONE, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip().endswith("(request path compiled)")
    async with ToyServer(says(b'"one"')) as one:
        spec = tmp_path / "alpha.yaml"
        spec.write_text(SPEC.format(url=one.url))
        data = tmp_path / "data"
        process = await asyncio.create_subprocess_exec(
            *(str(python.parent / "crossfade"), "serve", str(spec), "--data", str(data), "--json"),
            *("--port", "0", "--control-port", "0", "--tick", "0.2", "--workers", "2"),
            stdout=-1,
            cwd=tmp_path,
            env=ALONE,
        )
        try:
            assert process.stdout is not None
            ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
            port = int(ready["data"].rpartition(":")[2])
            answered = await ask(port, post(path=b"/alpha"), 10)
            assert (answered.status, answered.body) == (200, b'"one"')
            (loaded,) = {
                line.split()[-1]
                for line in Path(f"/proc/{pid(data, 'gateway-0')}/maps").read_text().splitlines()
                if "crossfade__mypyc" in line
            }
            assert Path(loaded).is_relative_to(tmp_path)
            assert "the request path is compiled" in (data / "logs" / "gateway-0.log").read_text()
            told = await metrics(int(ready["control"].rpartition(":")[2]))
            assert 'crossfade_build_info{request_path="compiled",' in told
        finally:
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 30) == 0


def installed(where: Path, wheel: Path) -> Path:
    """The Python of a new environment that holds the wheel, and finds what it depends on here."""
    venv.create(where, with_pip=True)
    python = where / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, check=True, capture_output=True, cwd=where)
    own = where / "lib" / f"python3.{sys.version_info[1]}" / "site-packages"
    # A plain line adds a folder behind its own, and reads no `.pth` there: this checkout is not found.
    (own / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def pid(data: Path, name: str) -> int:
    return int(json.loads((data / "run" / "serve.json").read_text())["pids"][name])


async def metrics(port: int) -> str:
    """The metrics once a gateway has told its own."""
    told = ""
    for _ in range(100):
        told = (await ask(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 10)).body.decode()
        if "build_info" in told and "crossfade_build_info{" in told:
            break
        await asyncio.sleep(0.1)
    return told


def test_what_runs_here_says_which_it_is() -> None:
    import crossfade.live.assign

    said = "compiled" if (crossfade.live.assign.__file__ or "").endswith(EXTENSION) else "interpreted"
    assert request_path() == said
