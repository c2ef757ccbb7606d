"""Compiles the request path to C extensions with mypyc: `make native` leaves the whole package in build/native.

Only what every request passes through is compiled, from the same sources; everything else is copied as it is. The
copy is used by putting it first on the path: `PYTHONPATH=build/native crossfade serve …`. The sources' own folder
never holds an extension, so that an edited file is never shadowed by an older compiled one. Wheels are made of such
a copy, too (hatch_build.py): `python native.py FOLDER` leaves it in FOLDER.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from mypyc.build import mypycify
from setuptools import setup

ROOT = Path(__file__).resolve().parent
TARGET = ROOT / "build" / "native"

COMPILED = {
    "live": ("assign", "health", "paths", "units"),
    "live/exchange": (
        *("asked", "begin", "commands", "events", "examine", "exposure", "gathered", "heads", "mirrored"),
        *("problems", "served"),
    ),
    "live/compare": ("numbers",),
    "live/interleave": ("chance", "team_draft"),
    "live/protocols": ("number_list", "open_inference", "tensors"),
    "rim": (
        *("gateway", "health", "http_incoming", "http_refusals", "http_request", "http_server", "http_text"),
        *(
            "identity",
            "recorder",
            "shadows",
            "tail",
            "telemetry",
            "timers",
            "turn",
            "upload",
            "upstream",
            "upstream_connection",
        ),
    ),
}
"""What is compiled. Records (msgspec structs, dataclasses with slots) are not: they are C or nearly so already, mypyc
cannot build them, and so they stand in modules of their own."""


def main() -> None:
    """Copy, compile in place, remove what only the compiler needed."""
    target = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else TARGET
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / "src", target, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    os.chdir(target)
    os.environ["MYPYPATH"] = str(target)
    files = [f"crossfade/{folder}/{name}.py" for folder, names in COMPILED.items() for name in names]
    flags = [
        "--ignore-missing-imports",
        "--follow-imports=silent",
        "--python-version",
        ".".join(map(str, sys.version_info[:2])),
    ]
    sys.argv[1:] = ["--quiet", "build_ext", "--inplace"]
    setup(
        name="crossfade-native",
        packages=[],
        ext_modules=mypycify([*flags, *files], opt_level="3", debug_level="0", group_name="crossfade"),
    )
    shutil.rmtree(target / "build", ignore_errors=True)
    shutil.rmtree(target / ".mypy_cache", ignore_errors=True)
    print(f"compiled {len(files)} modules into {target}")


if __name__ == "__main__":
    main()
