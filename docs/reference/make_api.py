"""Writes api.md, the reference of the control port, from its own OpenAPI document and nothing else.

Run it after a change to the control port: `python docs/reference/make_api.py`. A test compares.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from crossfade.console.app import create_app
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.store import Store

PAGE = Path(__file__).with_name("api.md")

HEAD = """\
# The control port

Every endpoint of the control port (8090 unless told otherwise). This page is generated from the OpenAPI document that the
port serves at `/openapi.json`, by `docs/reference/make_api.py`.

{about}
"""


def page() -> str:
    """The page as it should be."""
    with TemporaryDirectory() as folder:
        store, inbox = Store(Path(folder)), OutcomeInbox(Path(folder))
        try:
            told = create_app(store, inbox, Path(folder), token=None).openapi()
        finally:
            inbox.close()
            store.close()
    parts = [HEAD.format(about=told["info"]["description"].strip())]
    for path, ways in told["paths"].items():
        parts += [_way(path, method.upper(), way) for method, way in ways.items()]
    return "\n".join(parts)


def _way(path: str, method: str, told: dict[str, Any]) -> str:
    lines = [f"## {method} {path}", "", told.get("description") or told.get("summary", ""), ""]
    places = told.get("parameters", [])
    if places:
        lines += ["| parameter | in | |", "| --- | --- | --- |"]
        lines += [f"| `{one['name']}` | {one['in']} | {_plain(one.get('description', ''))} |" for one in places]
        lines.append("")
    body = told.get("requestBody", {}).get("content", {})
    if body:
        lines += [f"Body: {', '.join(f'`{kind}`' for kind in body)}.", ""]
    lines += ["| status | |", "| --- | --- |"]
    lines += [f"| {status} | {_plain(one.get('description', ''))} |" for status, one in told["responses"].items()]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
