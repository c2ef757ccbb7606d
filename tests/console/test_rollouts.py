"""Rollouts out, a person's moves in."""

from __future__ import annotations

import time
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from crossfade import ledger
from crossfade.cli.terminal import tree
from crossfade.console import models
from crossfade.console.app import create_app
from crossfade.judge.evidence import Verdict
from crossfade.judge.measure.measured import Segment, Segmented
from crossfade.ledger import Entry
from crossfade.rim.inbox import OutcomeInbox
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.rim.store import Store
from crossfade.spec.model import Field, From
from crossfade.view import view
from rim.facts_made import compared
from view.sample import DECISION, INPUTS, ROLLOUT, evidence

from .conftest import TOKEN

AUTH = {"authorization": f"Bearer {TOKEN}"}
ONE = "/api/v1/rollouts/ranker-v2"


async def test_every_record_has_the_shape_that_openapi_promises(client: httpx.AsyncClient) -> None:
    shapes = {
        "/api/v1/rollouts": models.Status,
        ONE: models.RolloutRecord,
        f"{ONE}/evidence": models.EvidenceOf,
        f"{ONE}/exposure": models.ExposureOf,
        f"{ONE}/ledger": models.LedgerOf,
        f"{ONE}/differences": models.DifferencesOf,
        f"{ONE}/segments": models.SegmentsOf,
        "/healthz": models.Alive,
        "/readyz": models.Ready,
    }
    for path, shape in shapes.items():
        answer = await client.get(path)
        assert answer.status_code in (200, 503), path
        shape.model_validate(answer.json(), strict=True)


async def test_what_is_not_computed_is_said_and_not_shown_as_nothing(client: httpx.AsyncClient) -> None:
    for part in ("differences", "segments"):
        answer = (await client.get(f"{ONE}/{part}")).json()
        assert answer["available"] is False
        assert answer["reason"]


async def test_differences_are_summed_up_by_field(client: httpx.AsyncClient, data: Path) -> None:
    journal, lake = Journal(data, "w0"), Lake(data)
    journal.append(
        [compared(n, rollout="ranker-v2", differs=True, fields=("$.x",), kinds=("type",)) for n in range(50)]
    )
    lake.compact_journals()
    answer = (await client.get(f"{ONE}/differences")).json()
    models.DifferencesOf.model_validate(answer, strict=True)
    (arm,) = answer["arms"]
    assert (arm["arm"], arm["pairs"], arm["fields"][0]["path"], arm["fields"][0]["kind"]) == ("v2", 50, "$.x", "type")
    journal.close()
    lake.close()


async def test_the_ledger_can_be_checked_by_whoever_reads_it(client: httpx.AsyncClient) -> None:
    answer = (await client.get(f"{ONE}/ledger")).json()
    assert answer["intact"] is True
    assert ledger.verify([Entry.from_json(entry) for entry in answer["entries"]]).intact


@pytest.mark.parametrize("path", ["", "/evidence", "/ledger", "/differences", "/exposure"])
async def test_an_unknown_name_gets_the_nearest(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"/api/v1/rollouts/ranker-2{path}")
    assert answer.status_code == 404
    assert "did you mean ranker-v2?" in answer.json()["what_to_do"]


async def test_moves_by_hand_are_made_and_recorded(client: httpx.AsyncClient, store: Store) -> None:
    held = await client.post(f"{ONE}/hold", json={"reason": "lunch", "actor": "ben"}, headers=AUTH)
    assert held.status_code == 200
    models.EntryRecord.model_validate(held.json(), strict=True)
    assert held.json()["sentence"] == "Held by ben: lunch"
    assert (await client.get(ONE)).json()["phase"] == "held"
    assert (await client.post(f"{ONE}/resume", json={"reason": "back"}, headers=AUTH)).status_code == 200
    assert (await client.post(f"{ONE}/rollback", json={"reason": "enough"}, headers=AUTH)).status_code == 200
    assert [entry.move for entry in store.entries("ranker-v2")[-3:]] == ["hold", "resume", "rollback"]


async def test_a_move_that_is_not_allowed_says_which_are(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{ONE}/resume", json={"reason": "x"}, headers=AUTH)
    assert answer.status_code == 409
    assert "allowed now: advance, hold, rollback, promote" in answer.json()["error"]
    unknown = await client.post("/api/v1/rollouts/ranker/hold", json={"reason": "x"}, headers=AUTH)
    assert unknown.status_code == 404


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}])
async def test_without_the_token_nothing_moves(
    client: httpx.AsyncClient, store: Store, headers: dict[str, str]
) -> None:
    answer = await client.post(f"{ONE}/rollback", json={"reason": "x"}, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert store.get("ranker-v2").position.phase == "running"


@pytest.mark.parametrize("body", [{"reason": ""}, {"reason": "  "}])
async def test_an_empty_reason_is_called_empty(
    client: httpx.AsyncClient, store: Store, body: dict[str, object]
) -> None:
    answer = await client.post(f"{ONE}/hold", json=body, headers=AUTH)
    assert "reason: must not be empty" in answer.json()["error"]


@pytest.mark.parametrize(
    "body", [{}, {"reason": ""}, {"reason": "  "}, {"reason": 3}, {"reason": "x", "actor": "rule"}]
)
async def test_a_move_needs_a_reason(client: httpx.AsyncClient, store: Store, body: dict[str, object]) -> None:
    answer = await client.post(f"{ONE}/hold", json=body, headers=AUTH)
    assert answer.status_code == 422
    assert set(answer.json()) == {"error", "what_to_do"}
    assert store.get("ranker-v2").position.phase == "running"


async def test_a_port_without_a_token_makes_no_moves(store: Store, inbox: OutcomeInbox, data: Path) -> None:
    transport = httpx.ASGITransport(app=create_app(store, inbox, data, token=None))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.post(f"{ONE}/hold", json={"reason": "x"}, headers=AUTH)
    assert answer.status_code == 403


async def test_openapi_describes_every_endpoint_with_its_errors(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    paths = document["paths"]
    assert set(paths) >= {"/api/v1/outcomes", "/api/v1/rollouts", "/healthz", "/readyz", "/metrics"}
    assert len([path for path in paths if path.startswith("/api/v1/rollouts/{name}/")]) == 22
    for path, methods in paths.items():
        for method, operation in methods.items():
            assert operation["summary"], path
            succeeded = [code for code in operation["responses"] if code.startswith("2")]
            assert succeeded, (method, path)
            for code, response in operation["responses"].items():
                if code[0] in "45" and path != "/readyz":
                    assert response["content"]["application/json"]["schema"]["$ref"].endswith("/Problem"), (path, code)
    body = paths["/api/v1/outcomes"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "application/x-ndjson"}
    assert body["application/json"]["examples"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", ONE, 405)])
async def test_errors_of_the_framework_have_our_shape(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "what_to_do"}


async def test_segments_are_told_with_their_evidence_and_shown(client: httpx.AsyncClient, store: Store) -> None:
    country = Field(source=From.HEADER, name="x-country")
    line = next(line for line in evidence() if line.metric == "errors")
    parts = [
        replace(line, segment=f"{country}=DE", verdict=Verdict.HARMFUL),
        replace(line, segment=f"{country}=absent", verdict=Verdict.UNMEASURED, estimate=None, reason="too few <units>"),
    ]
    found = Segmented(
        segments=tuple(
            Segment(field=str(country), value=value, place=place, units=150) for place, value in enumerate(("DE", ""))
        ),
        others={str(country): (7, 3)},
    )
    stored, entries = store.get("ranker-v2"), store.entries("ranker-v2")
    record = view(
        replace(ROLLOUT, segments=(country,)),
        stored.position,
        [*evidence(), *parts],
        DECISION,
        entries,
        now=time.time(),
        segments=found,
        **INPUTS,
    )
    store.save_view("ranker-v2", record)
    answer = (await client.get(f"{ONE}/segments")).json()
    models.SegmentsOf.model_validate(answer, strict=True)
    assert answer["available"] is True
    assert answer["fields"][0]["values"][1] == {"segment": "header:x-country=absent", "value": "", "units": 150}
    assert answer["fields"][0]["others"] == {"units": 7, "values": 3}
    assert [one["segment"] for one in answer["evidence"]] == ["header:x-country=DE", "header:x-country=absent"]
    assert [one["segment"] for one in answer["harmful"]] == ["header:x-country=DE"]
    page = (await client.get("/rollouts/ranker-v2")).text
    assert "errors</strong> in 2 segments: 1 harmful, 1 unmeasured" in page
    assert "2 of at most 20 values judged, 7 units of 3 more together" in page
    assert "too few &lt;units&gt;" in page
    assert page.count("header:x-country=DE</th>") + page.count("header:x-country=DE<small>") == 1
    told = console(record)
    assert "errors in 2 segments: 1 harmful, 1 unmeasured" in told


def console(record: dict[str, Any]) -> str:
    """What `crossfade status` prints."""
    out = Console(width=200, record=True, file=StringIO())
    out.print(tree(record))
    return out.export_text()
