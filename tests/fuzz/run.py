"""`make fuzz`: libFuzzer on the parser boundary by atheris, starting from the smuggling corpus.

An input that breaks a promise is written to `crash-…` in the working directory; give it as argument to try it again.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["crossfade.rim", "crossfade.live"]):
    from tests.fuzz.parsers import WORDS, one, seeds

import asyncio

LOOP = asyncio.new_event_loop()


def run(data: bytes) -> None:
    LOOP.run_until_complete(one(data))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(seeds()):
            (Path(folder) / str(number)).write_bytes(data)
        words = Path(folder).with_suffix(".dict")
        words.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in WORDS))
        given = sys.argv[1:]
        inputs = given if any(not word.startswith("-") for word in given) else [*given, folder]
        atheris.Setup([sys.argv[0], f"-dict={words}", "-max_len=4096", "-timeout=10", *inputs], run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
