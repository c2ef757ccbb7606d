"""Ask the public advisories about locked packages. A finding fails; being unable to ask is said loudly and does not.

`python requirements/audit.py [--seconds N] [--tell LOCK] LOCK…` makes an environment for pip-audit in build/audit where
there is none. Findings in a lock that is only to be told of do not fail.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).parents[1]
PLACE = TOP / "build" / "audit"
TOOL = PLACE / "bin" / "pip-audit"

IGNORED: dict[str, str] = {}
"""Advisories that do not concern us, and why not."""


def main() -> int:
    """0 where nothing is known against the packages, or nobody could be asked; 1 for findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--tell", action="append", default=[], type=Path)
    parser.add_argument("locks", nargs="+", type=Path)
    asked = parser.parse_args()
    deadline = time.monotonic() + asked.seconds
    try:
        _install(deadline)
        found = [(lock, _audit(lock, deadline)) for lock in (*asked.locks, *asked.tell)]
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        late = isinstance(error, subprocess.TimeoutExpired)
        said = f"no answer within {asked.seconds:g} s" if late else getattr(error, "stderr", None) or str(error)
        last = (str(said).strip().splitlines() or [type(error).__name__])[-1]
        _unknown(f"the advisories could not be asked ({last[:300]})")
        return 0
    bad = False
    for lock, packages in found:
        against = {
            (package["name"], package["version"], flaw["id"]): ", ".join(flaw.get("fix_versions", [])) or "none yet"
            for package in packages
            for flaw in package.get("vulns", [])
            if flaw["id"] not in IGNORED and not IGNORED.keys() & set(flaw.get("aliases", []))
        }
        for (name, version, flaw), fixed in sorted(against.items()):
            print(f"{lock}: {name} {version} has {flaw}; fixed in {fixed}")
        skipped = sum("skip_reason" in package for package in packages)
        print(f"{lock}: {len(packages) - skipped} packages asked about, {len(against)} findings")
        if skipped:
            _unknown(f"{skipped} of {len(packages)} packages of {lock} are not known where we asked")
        bad = bad or (bool(against) and lock not in asked.tell)
    return int(bad)


def _unknown(why: str) -> None:
    print(f"AUDIT NOT MADE: {why}.", file=sys.stderr)
    print("Nothing is known about them; run `make audit` where the advisories of PyPI can be reached.", file=sys.stderr)


def _install(deadline: float) -> None:
    if TOOL.exists():
        return
    subprocess.run(
        [sys.executable, "-m", "venv", PLACE], check=True, capture_output=True, text=True, timeout=_left(deadline)
    )
    wanted = [PLACE / "bin" / "python", "-m", "pip", "install", "--quiet", "pip-audit>=2.7", "cyclonedx-bom>=5"]
    subprocess.run(wanted, check=True, capture_output=True, text=True, timeout=_left(deadline))
    (PLACE / ".installed").touch()


def _audit(lock: Path, deadline: float) -> list[dict[str, object]]:
    """What is known of each package. Its exit code says both "found" and "failed", so only its answer is believed."""
    command = [
        TOOL,
        "--requirement",
        lock,
        "--disable-pip",
        "--require-hashes",
        "--format",
        "json",
        "--progress-spinner",
        "off",
    ]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_left(deadline))
    if not ended.stdout.strip():
        raise subprocess.CalledProcessError(ended.returncode, command[0], ended.stdout, ended.stderr)
    return list(json.loads(ended.stdout)["dependencies"])


def _left(deadline: float) -> float:
    return max(1.0, deadline - time.monotonic())


if __name__ == "__main__":
    sys.exit(main())
