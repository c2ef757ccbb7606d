"""The control port as a process of its own: `python -m crossfade.console --data DIR --fd N`."""

from __future__ import annotations

import argparse
from pathlib import Path

from crossfade.console.app import run
from crossfade.rim.control_options import OPEN, decode


def main() -> None:
    """Serve the control port on an inherited listening socket until told to stop."""
    parser = argparse.ArgumentParser(prog="crossfade-console")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fd", type=int, required=True, help="inherited listening socket")
    parser.add_argument("--options", type=decode, default=OPEN, help="as `ControlOptions.encoded` writes them")
    asked = parser.parse_args()
    run(asked.data, asked.fd, asked.options)


if __name__ == "__main__":
    main()
