"""The tutorial, done word for word: its files are written, its commands run, and what it says will happen does."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossfade.spec.parse import parse

PAGE = (Path(__file__).parents[1] / "docs" / "tutorial.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r'```\w+ title="([^"]+)"\n(.*?)```', PAGE, re.DOTALL))
BLOCKS = [block.splitlines() for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)]
COMMANDS = [line.removeprefix("$ ") for block in BLOCKS for line in block if line.startswith("$ ")]
PORTS = ("8080", "8090", "8101", "8102", "8103")


def test_its_specs_are_fine_and_each_step_has_its_command() -> None:
    first, second = parse(FILES["eta-v2.yaml"]), parse(FILES["eta-v3.yaml"])
    assert first.route == second.route
    assert first.challenger.url == second.champion.url
    done = [command.split()[1] for command in COMMANDS if command.startswith("crossfade ")]
    assert done == [
        *("--version", "check", "doctor", "serve", "status", "reload", "status"),
        *("explain", "verify", "replay", "report"),
    ]


class Terminals:
    """A folder in which the page's commands are run, with ports of the test's own."""

    def __init__(self, folder: Path) -> None:
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
        self._ports = dict(zip(PORTS, (str(sock.getsockname()[1]) for sock in sockets), strict=True))
        for sock in sockets:
            sock.close()
        self.folder = folder
        self.running: list[subprocess.Popen[bytes]] = []
        self.environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        for name, text in FILES.items():
            (folder / name).write_text(self.own(text), encoding="utf-8")

    def own(self, text: str) -> str:
        return re.sub("|".join(PORTS), lambda found: self._ports[found[0]], text)

    def of_page(self, beginning: str) -> str:
        (command,) = {one for one in COMMANDS if one.startswith(beginning)}
        return command

    def start(self, beginning: str, more: str = "") -> None:
        command = self.own(self.of_page(beginning)).removesuffix("&") + more
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command,
                shell=True,
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.running.append(process)

    def run(self, beginning: str, *, until: str = "", seconds: float = 60.0) -> str:
        """What a command prints; again and again where it has to say something `until` it says it."""
        end = time.monotonic() + seconds
        while True:
            command = self.own(self.of_page(beginning)).removesuffix(" -w")
            ran = subprocess.run(
                command, shell=True, cwd=self.folder, env=self.environment, capture_output=True, text=True
            )
            if not until or until in ran.stdout:
                assert ran.returncode == 0, ran.stdout + ran.stderr
                return ran.stdout
            log = (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < end, f"{command} never said {until}:\n{ran.stdout}{ran.stderr}{log}"
            time.sleep(0.5)


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    made = Terminals(tmp_path)
    yield made
    for process in reversed(made.running):
        os.killpg(process.pid, signal.SIGTERM)
    for process in made.running:
        process.wait(timeout=60)


@pytest.mark.full
@pytest.mark.timeout(900)
def test_word_for_word(terminals: Terminals) -> None:
    for version in ("v1", "v2", "v3"):
        terminals.start(f"python model.py {version}")
    assert json.loads(terminals.run("curl -s localhost:8101", until="minutes")) == {"minutes": 40.0}
    assert "fine: eta-v2" in terminals.run("crossfade check")
    assert "read as $.minutes = 40" in " ".join(terminals.run("crossfade doctor").split())
    # The page leaves out the ports that are the usual ones.
    terminals.start("crossfade serve", terminals.own(" --port 8080 --control-port 8090"))
    assert "x-crossfade-decision" in terminals.run("curl -si localhost:8080", until="minutes")
    terminals.start("python traffic.py")
    terminals.run("crossfade status -w", until="eta-v2  finished", seconds=400.0)
    terminals.run("crossfade reload eta-v3.yaml")
    stopped = terminals.run("crossfade status eta-v3", until="eta-v3  rolled back", seconds=200.0)
    assert "late of v3 is" in " ".join(stopped.split())
    assert "needs 1/alpha = 180" in terminals.run("crossfade explain")
    assert "intact" in terminals.run("crossfade verify")
    assert "decisions reproduced" in terminals.run("crossfade replay")
    terminals.run("crossfade report")
    assert "<html" in (terminals.folder / "dossier.html").read_text()
    assert '"minutes": 45.0' in terminals.run("curl -si localhost:8080")
