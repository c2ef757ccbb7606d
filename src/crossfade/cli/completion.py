"""What a shell may complete: names of the rollouts in the data folder that the command line names."""

from __future__ import annotations

import os
from pathlib import Path

import typer


def names(context: typer.Context, incomplete: str) -> list[str]:
    """Names that begin so; a folder that is not there, or cannot be read, has none."""
    from crossfade.cli.common import DATA
    from crossfade.rim.glance_at import glance_at
    from crossfade.rim.revisions import StoreError

    data = Path(context.params.get("data") or os.environ.get("CROSSFADE_DATA") or DATA)
    try:
        there = [seen.rollout.name for seen in glance_at(data).rollouts()]
    except StoreError:
        return []
    return [name for name in there if name.startswith(incomplete)]
