"""How an optional part is installed depends on where the package came from."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from crossfade.rim.extras import command, install


@pytest.mark.parametrize(
    ("direct", "said"),
    [
        ({"url": "file:///home/ana/cross%20fade", "dir_info": {}}, "pip install '/home/ana/cross fade[pdf]'"),
        ({"url": "file:///src", "dir_info": {"editable": True}}, "pip install -e '/src[pdf]'"),
        (
            {"url": "https://x.org/c.git", "vcs_info": {"vcs": "git", "commit_id": "1"}},
            "pip install 'crossfade[pdf] @ git+https://x.org/c.git'",
        ),
        ({"url": "file:///d/crossfade-0.1.0-py3-none-any.whl", "archive_info": {}},
         "pip install 'crossfade[pdf] @ file:///d/crossfade-0.1.0-py3-none-any.whl'"),
        (None, "pip install 'crossfade[pdf]'"),
    ],
)  # fmt: skip
def test_the_command_is_for_where_the_package_came_from(direct: dict[str, Any] | None, said: str) -> None:
    told = command("pdf", json.dumps(direct) if direct else None)
    assert told == said
    assert len(shlex.split(told)) in (3, 4)


def test_a_clone_that_nobody_installed_and_notes_that_nobody_can_read() -> None:
    assert command("otel", None, installed=False).endswith("[otel]'")
    assert "/" in command("otel", None, installed=False)
    assert command("otel", "{", installed=True) == "pip install 'crossfade[otel]'"


def test_here_it_names_a_place_that_is_there() -> None:
    assert install("pdf").startswith("pip install ")
    assert "[pdf]" in install("pdf")
