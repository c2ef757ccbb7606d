"""Compiles the request path to C extensions with mypyc: `make native` leaves the whole package in build/native.

Only what every request passes through is compiled, from the same sources; everything else is copied as it is. The
copy is used by putting it first on the path (`PYTHONPATH=build/native crossfade serve …`). The sources' own folder never
holds an extension, so that an edited file can never be shadowed by an older compiled one.
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

MODULES = """
live/assign live/health live/paths live/units
live/exchange/begin live/exchange/examine live/exchange/exposure live/exchange/gathered live/exchange/mirrored
live/exchange/problems live/exchange/served
live/protocols/document live/protocols/open_inference live/protocols/tensors
rim/gateway rim/health rim/http_incoming rim/http_refusals rim/http_request rim/http_server rim/http_text rim/identity
rim/shadows rim/tail rim/telemetry rim/timers rim/turn rim/upload rim/upstream rim/upstream_connection
""".split()
"""What is compiled. Records (msgspec structs, dataclasses with slots) stay in modules of their own, interpreted: they are
C already, and mypyc cannot build them."""


def main() -> None:
    """Copy, compile in place, remove what only the compiler needed."""
    shutil.rmtree(TARGET, ignore_errors=True)
    shutil.copytree(ROOT / "src", TARGET, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    os.chdir(TARGET)
    os.environ["MYPYPATH"] = str(TARGET)
    files = [f"crossfade/{module}.py" for module in MODULES]
    sys.argv[1:] = ["--quiet", "build_ext", "--inplace"]
    flags = ["--ignore-missing-imports", "--python-version", "%d.%d" % sys.version_info[:2]]
    setup(
        name="crossfade-native",
        packages=[],
        ext_modules=mypycify([*flags, *files], opt_level="3", debug_level="0", group_name="crossfade"),
    )
    shutil.rmtree(TARGET / "build", ignore_errors=True)
    shutil.rmtree(TARGET / ".mypy_cache", ignore_errors=True)


if __name__ == "__main__":
    main()
