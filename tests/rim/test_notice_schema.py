"""Events that go out have the form that is published, and others' SDKs read them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cloudevents.core.bindings import http

from crossfade.rim import notices
from crossfade.rim.notice_schema import KINDS, schema
from crossfade.state import Move
from view.sample import NOW, ledger_of

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
SHOWN = "0" * 64
WANTED = {"waiting": True, "missing": 1, "stage": "ab", "revision": "r", "wanted": "ana", "given": [], "shown": SHOWN}


def told() -> list[notices.Notice]:
    _, entries = ledger_of()
    wanted = notices.of_wanted("ranker-v2", {"approval": WANTED, "sentence": "It waits."}, 3, NOW)
    assert wanted is not None
    found = [notice for entry in entries if (notice := notices.of_entry(entry)) is not None]
    return [*found, wanted, notices.of_faults("ranker-v2", 1, 4, NOW), notices.of_test("ranker-v2", NOW)]


def test_the_file_is_what_the_program_says() -> None:
    assert json.loads((REFERENCE / "event.schema.json").read_text()) == schema(), "run write_event_schema.py"


def test_what_is_told_has_this_form_and_what_is_not_is_refused() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    valid = jsonschema.Draft202012Validator(schema())
    kinds = set()
    for notice in told():
        event = notice.cloud_event()
        valid.validate(event)
        kinds.add(notice.kind)
        for broken in ({**event, "type": "dev.crossfade.rollout.shout"}, {**event, "source": "urn:other:x"}):
            assert not valid.is_valid(broken)
        if notice.kind != "test":
            less = copy.deepcopy(event)
            del less["data"][next(name for name in less["data"] if name not in ("rollout", "kind", "sentence"))]
            assert not valid.is_valid(less)
    assert {"start", "advance", "approval", "fault", "test"} <= kinds <= set(KINDS)
    assert {str(move) for move in Move} < set(KINDS)


@pytest.mark.parametrize("notice", told(), ids=lambda notice: notice.kind)
def test_the_sdk_of_cloudevents_reads_them(notice: notices.Notice) -> None:
    body = json.dumps(notice.cloud_event()).encode()
    message = http.HTTPMessage({"content-type": "application/cloudevents+json; charset=utf-8"}, body)
    event: Any = http.from_http_event(message)
    assert (event.get_id(), event.get_type(), event.get_subject()) == (
        notice.id,
        f"dev.crossfade.rollout.{notice.kind}",
        "ranker-v2",
    )
    assert event.get_time().timestamp() == pytest.approx(notice.at)
    assert event.get_data()["sentence"] == notice.sentence
