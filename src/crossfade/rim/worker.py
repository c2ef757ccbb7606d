"""Entry point of the supervised processes: `python -m crossfade.rim.worker gateway|controller|shipper …`."""

from __future__ import annotations

import argparse
from pathlib import Path


def main() -> None:
    """Run one process until it is told to stop."""
    parser = argparse.ArgumentParser(prog="crossfade-worker")
    parser.add_argument("what", choices=["gateway", "controller", "shipper"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fd", type=int, default=-1, help="inherited listening socket")
    parser.add_argument("--worker", default="gateway-0")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--options", default="{}", help="rim/options.py as JSON")
    parser.add_argument("--tick", type=float, default=1.0)
    asked = parser.parse_args()
    # Each process imports only what it needs: a gateway must start fast and stay small.
    match asked.what:
        case "gateway":
            from crossfade.rim.gateway_process import run as run_gateway
            from crossfade.rim.options import decode

            run_gateway(asked.data, asked.fd, asked.worker, workers_hint=asked.workers, options=decode(asked.options))
        case "controller":
            from crossfade.rim.controller import run as run_controller

            run_controller(asked.data, tick=asked.tick)
        case "shipper":
            from crossfade.rim.shipping import run as run_shipper

            run_shipper(asked.data)


if __name__ == "__main__":
    main()
