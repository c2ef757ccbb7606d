"""Examples of replies that differ, through a real gateway: kept where asked for, bounded, without what is hidden."""

# ruff: noqa: SIM117 — one line for each party of the conversation
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from crossfade.facts import Compared
from crossfade.rim.examples import FOLDER, MOST_TEXT, Examples, kept
from crossfade.rim.journal import Journal
from crossfade.rim.lake import Lake
from crossfade.spec.model import Examples as Wanted
from crossfade.spec.model import Protocol

from .gateway_kit import ask, gate, post, route
from .toy_server import ToyServer, says

SECRET = "ada@lovelace.example"


def shadow(one: str, two: str, **changes: Any) -> Any:
    return replace(route(one, two, mode="shadow", mirror=1.0), **{"examples": Wanted(share=1.0), **changes})


def reply(score: float, **more: Any) -> Any:
    return says(json.dumps({"score": score, "user": {"email": SECRET, "id": 7}, **more}).encode())


async def run(folder: Path, one: Any, two: Any, *, times: int = 1, **changes: Any) -> list[Compared]:
    async with ToyServer(one) as a, ToyServer(two) as b:
        async with gate(shadow(a.url, b.url, **changes), data=folder) as gw:
            for n in range(times):
                await ask(gw.port, post(headers=f"X-User-Id: u{n}\r\n".encode()))
            return await gw.kept.wait(Compared, times)


async def test_a_redacted_field_appears_nowhere_on_disk(tmp_path: Path) -> None:
    facts = await run(tmp_path, reply(0.5), reply(0.75, new=SECRET), redact=("$.user.email", "$.new"), times=3)
    journal, lake = Journal(tmp_path, "w0"), Lake(tmp_path)
    journal.append(facts)
    lake.compact_journals()
    lake.close()
    journal.close()
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert any(file.parent.name == FOLDER for file in files)
    for file in files:
        assert SECRET.encode() not in file.read_bytes(), file
    # What is compressed is looked into as well.
    pairs = kept(tmp_path, "r")
    assert len(pairs) == 3
    assert SECRET not in json.dumps(pairs)
    (first, *_) = pairs
    assert first["champion"]["fields"] == {"$.score": 0.5, "$.user": {"email": "[redacted]", "id": 7}}
    assert first["challenger"]["fields"]["$.new"] == "[redacted]"
    assert {one["path"]: one["kind"] for one in first["fields"]} == {"$.score": "value", "$.new": "extra"}
    assert (tmp_path / FOLDER).stat().st_mode & 0o077 == 0


async def test_nothing_is_kept_unless_the_spec_says_so(tmp_path: Path) -> None:
    await run(tmp_path, reply(0.5), reply(0.75), examples=None)
    assert not (tmp_path / FOLDER).exists()
    assert kept(tmp_path, "r") == []


async def test_pairs_that_agree_are_no_examples(tmp_path: Path) -> None:
    await run(tmp_path, reply(0.5), reply(0.5))
    assert kept(tmp_path, "r") == []


async def test_unusable_replies_are_kept_as_far_as_they_are_documents(tmp_path: Path) -> None:
    bad = says(b'{"score": NaN, "user": {"email": "%s"}}' % SECRET.encode())
    await run(tmp_path, reply(0.5), bad, redact=("$.user.email",))
    (pair,) = kept(tmp_path, "r")
    assert (pair["unusable"], pair["challenger"]["failed"]) == (True, "nan")
    assert SECRET not in json.dumps(pair)
    other = tmp_path / "other"
    other.mkdir()
    await run(other, reply(0.5), says(SECRET.encode()))
    (pair,) = kept(other, "r")
    assert pair["challenger"] == {"failed": "broken"}


async def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    await run(
        tmp_path, reply(0.5, text="a" * 30_000), reply(0.75, text="b"), examples=Wanted(share=1.0, most=4), times=9
    )
    pairs = kept(tmp_path, "r")
    assert len(pairs) == 4
    assert (len(pairs[0]["champion"]["cut"]), pairs[0]["champion"]["characters"] > 30_000) == (MOST_TEXT, True)
    large = tmp_path / "large"
    large.mkdir()
    await run(large, reply(0.5, text="a" * 70_000), reply(0.75))
    assert kept(large, "r") == []


async def test_a_few_of_each_field_are_kept_whatever_the_share(tmp_path: Path) -> None:
    await run(tmp_path, reply(0.5), reply(0.75), examples=Wanted(share=0.0), times=8)
    assert len(kept(tmp_path, "r")) == 5
    assert len(kept(tmp_path, "r", field="$.score")) == 5
    assert kept(tmp_path, "r", field="$.sco") == []


async def test_a_disk_that_cannot_be_written_costs_examples_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file where the folder should be")
    (fact,) = await run(tmp_path, reply(0.5), reply(0.75))
    assert fact.differs


async def test_a_chat_is_kept_by_what_it_said(tmp_path: Path) -> None:
    def chat(text: str) -> Any:
        said = {"role": "assistant", "content": text}
        return says(json.dumps({"choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}).encode())

    await run(tmp_path, chat("hello"), chat(SECRET), protocol=Protocol.OPENAI_CHAT,
              redact=("$.choices[*].message.content",))  # fmt: skip
    (pair,) = kept(tmp_path, "r")
    assert pair["champion"]["fields"]["$.choices[0].finish_reason"] == "stop"
    assert SECRET not in json.dumps(pair)


def test_closing_what_was_never_used_is_no_work(tmp_path: Path) -> None:
    Examples(tmp_path, "w0").close()
    assert not (tmp_path / FOLDER).exists()
