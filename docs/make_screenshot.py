"""Makes console.png, the picture of the README: a rollout of the demo as the console shows it, taken by Chromium.

Run it by `python docs/make_screenshot.py`; it takes the time of one demo. With the address of a rollout's page, such as
http://127.0.0.1:8090/rollouts/eta-v3 at the end of the tutorial, it takes that page. The picture is of a real run and changes with it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PICTURE = Path(__file__).with_name("console.png")
SCENARIO, ROLLOUT, PHASE = "bad", "tumour-v2", "rolled_back"


def take(data: Path, picture: Path) -> None:
    """Run the demo in a folder until the rollout has ended, and take a picture of its page."""
    command = [sys.executable, "-m", "crossfade.cli.main", "demo", "--scenario", SCENARIO, "--keep"]
    demo = subprocess.Popen([*command, "--data", str(data)], stdout=subprocess.DEVNULL)
    try:
        shoot(f"{_ended(data, time.monotonic() + 600.0)}/rollouts/{ROLLOUT}", picture)
    finally:
        demo.terminate()
        demo.wait(timeout=60)


def shoot(url: str, picture: Path) -> None:
    """A picture of a page."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("there is no chromium; install it (Debian: apt-get install chromium)")
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1280,1180", "--timeout=8000"]
    subprocess.run([browser, *options, f"--screenshot={picture}", url], check=True, capture_output=True)


def _ended(data: Path, until: float) -> str:
    """The control port's address, once the rollout has ended."""
    while time.monotonic() < until:
        for found in data.rglob("run/serve.json"):
            command = [sys.executable, "-m", "crossfade.cli.main", "status", "--json", "--data", str(found.parents[1])]
            told = subprocess.run(command, capture_output=True, text=True).stdout
            rollouts = json.loads(told)["rollouts"] if told.startswith('{"') and "rollouts" in told else []
            if any(one["name"] == ROLLOUT and one["phase"] == PHASE for one in rollouts):
                port = json.loads(found.read_text())["control_port"]
                return f"http://127.0.0.1:{port}"
        time.sleep(1.0)
    raise SystemExit(f"{ROLLOUT} did not come to be {PHASE}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        shoot(sys.argv[1], PICTURE)
    else:
        with tempfile.TemporaryDirectory() as folder:
            take(Path(folder) / "data", PICTURE)
    print(PICTURE)
