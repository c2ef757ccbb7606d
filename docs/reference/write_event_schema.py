"""Writes event.schema.json, the form of the events that go out. A test compares."""

from __future__ import annotations

import json
from pathlib import Path

from crossfade.rim.notice_schema import schema

FILE = Path(__file__).with_name("event.schema.json")


def page() -> str:
    """The file as it should be."""
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
