"""Puts the compiled request path into wheels, where it can be compiled; elsewhere the wheel holds the sources alone.

`CROSSFADE_PURE=1` asks for the sources alone, `CROSSFADE_PURE=0` for a failure where they could not be compiled. An
editable install stays interpreted: its files are edited. `crossfade --version` tells which of both is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NEEDED = ["mypy>=1.11", "setuptools>=65", "msgspec>=0.18", "xxhash>=3.4"]
"""What compiling takes: the compiler, and those dependencies whose types it makes use of."""

STANDARD = "standard"
"""Hatchling's word for a wheel that is no editable install."""

LONGEST = 900.0
"""Seconds that compiling may take."""


class CustomBuildHook(BuildHookInterface[Any]):
    """Hatchling's hook; the name is the one that it looks for."""

    _folder: str | None = None

    def dependencies(self) -> list[str]:
        """What the build environment must hold beside hatchling."""
        return [] if _why_not() else NEEDED

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and add what came of it to the wheel."""
        if version != STANDARD or self.target_name != "wheel":
            return
        why = _why_not() or self._compile()
        if not why:
            assert self._folder is not None
            found = sorted(Path(self._folder).rglob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}"))
            build_data["force_include"].update({str(one): str(one.relative_to(self._folder)) for one in found})
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
        elif _asked() == "0":
            raise RuntimeError(f"the request path cannot be compiled: {why}; unset CROSSFADE_PURE to do without")
        else:
            self.app.display_warning(f"crossfade: the request path stays interpreted: {why}")

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """The wheel is written: remove what it was made of."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _compile(self) -> str:
        """Why it failed; '' when it did not."""
        self._folder = tempfile.mkdtemp(prefix="crossfade-native-")
        # A process of its own: the compiler changes folder, arguments and environment, and may end the process.
        command = [sys.executable, str(Path(self.root) / "native.py"), self._folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode == 0:
            return ""
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        return said[-1] if said else f"the compiler ended with {done.returncode}"


def _asked() -> str:
    return os.environ.get("CROSSFADE_PURE", "").strip()


def _why_not() -> str:
    """Why there is no need to try; '' where there is."""
    if _asked() not in ("", "0"):
        return f"CROSSFADE_PURE is {_asked()}"
    if sys.implementation.name != "cpython":
        return f"{sys.implementation.name} runs no extensions of CPython"
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler}) on the PATH"
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return "the headers of Python are not installed (Debian: python3-dev)"
    return ""
