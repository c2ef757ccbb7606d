"""The dossier of a real record: every part is there, its numbers are the ledger's, and what is not known is missing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossfade.console.dossier_page import dossier_page
from crossfade.console.dossier_text import dossier_text
from crossfade.judge.drift.family import Family
from crossfade.rim.dossier import gather
from crossfade.rim.muting import mute_by_hand
from crossfade.rim.record import LiveRecord
from crossfade.rim.store import Store
from crossfade.spec.model import Drift
from crossfade.state import Phase
from crossfade.view.dossier import Known, dossier
from crossfade.view.drift import drift_record, drift_unread
from judge.drift.slices import sketched

from .facts_made import START
from .recorded import NAME, make


@pytest.fixture(scope="module", params=["good", "bad"])
def known(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Known:
    data = tmp_path_factory.mktemp(request.param)
    wrong, end = {"good": (0.15, Phase.PROMOTED), "bad": (0.9, Phase.ROLLED_BACK)}[request.param]
    assert make(data, wrong=wrong) is end
    record = LiveRecord(data, NAME)
    found = gather(record, now=START + 3600.0)
    record.close()
    return found


def part(told: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in told["parts"] if one["id"] == name)


def test_each_decision_is_there_with_the_numbers_of_the_ledger(known: Known) -> None:
    told = dossier(known)
    blocks = part(told, "evidence")["blocks"]
    headings = [block["text"] for block in blocks if block["kind"] == "heading"]
    assert len(headings) == len(known.moves) == known.replayed["reproduced"]
    drawn = [block["data"]["lines"] for block in blocks if block["kind"] == "forest"]
    decided = [entry for entry in known.moves if entry.actor == "rule"]
    assert [[line["estimate"] for line in lines] for lines in drawn] == [
        [line["estimate"] for line in entry.evidence if line["segment"] is None] for entry in decided
    ]
    assert all(entry.sentence in {block.get("text") for block in blocks} for entry in known.moves)


def test_counts_are_made_anew_from_the_facts(known: Known) -> None:
    assert known.view["from"] == "facts"
    seen = {arm: sum(span.get(arm, 0) for span in known.spans) for arm in ("v1", "v2")}
    # Every unit of this world comes once.
    assert seen == {row["arm"]: row["requests"] for row in known.arms}
    assert seen == {arm: known.view["arms"][arm]["requests"] for arm in ("v1", "v2")}
    assert known.reached == {"v2": seen["v2"]}
    assert seen["v1"] + seen["v2"] == known.rows["exposed"]
    assert known.view["harm"]["units"] == seen["v2"]
    slices = [sum(one["units"].values()) for one in known.timeline]
    assert sum(slices) == known.rows["exposed"]


def test_what_is_not_known_is_listed_as_missing(known: Known) -> None:
    told = dossier(known)
    states = {one["id"]: one["state"] for one in told["parts"]}
    assert states["plan"] == states["exposure"] == states["evidence"] == "shown"
    assert states["drift"] == states["segments"] == states["calibration"] == "missing"
    # Nobody signed it.
    assert states["models"] == states["integrity"] == "partly"
    assert {one["part"] for one in told["missing"]} == {name for name, state in states.items() if state != "shown"}
    rows = part(told, "articles")["blocks"][1]["rows"]
    assert [row[0] for row in rows][:3] == ["Art. 9", "Art. 10", "Art. 12"]
    assert all("(" in row[2] for row in rows)


class Page(HTMLParser):
    """Checks that every element is closed, and collects what a page would fetch."""

    VOID = frozenset({"meta", "link", "br", "hr", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.fetched += [str(v) for k, v in attrs if k in ("src", "href") and not str(v).startswith("#")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_purpose_and_digests_are_told_where_the_spec_has_them(known: Known) -> None:
    def missing(told: dict[str, Any]) -> str:
        return " ".join(line for one in told["parts"] for line in one["missing"])

    before = missing(dossier(known))
    assert "the spec has no `purpose`" in before
    assert "no `digest` for v1, v2" in before
    digest = f"sha256:{'0f' * 32}"
    rollout = replace(
        known.rollout,
        purpose="Ranks the shop's results.\nNobody is refused anything by it.",
        champion=replace(known.rollout.champion, digest=digest),
    )
    told = dossier(replace(known, rollout=rollout))
    assert [block["text"] for block in part(told, "purpose")["blocks"][:2]] == rollout.purpose.splitlines()
    assert [["v1", digest]] in [block.get("rows") for block in part(told, "models")["blocks"]]
    assert "purpose`" not in missing(told)
    assert "no `digest` for v2," in missing(told)


def test_the_page_is_whole_and_fetches_nothing(known: Known) -> None:
    text = dossier_page(dossier(known))
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.fetched == []
    assert "script" not in page.tags
    assert {"svg", "table", "style"} <= page.tags
    assert "url(http" not in text
    assert "@import" not in text
    assert "None" not in re.sub(r"<[^>]*>", " ", text)
    assert "nan" not in re.findall(r"\b\w+\b", re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL))


def test_on_paper_each_picture_has_its_own_colours(known: Known) -> None:
    text = dossier_page(dossier(known))
    assert "var(--" not in text
    assert '<path d="' in text or "<path " in text
    if known.view["phase"] == Phase.PROMOTED:
        return  # one is enough to print
    weasyprint = pytest.importorskip("weasyprint", reason="WeasyPrint or Pango is missing: the PDF was not tried")
    printed = weasyprint.HTML(string=text).render()
    assert 4 <= len(printed.pages) <= 20
    assert printed.write_pdf().startswith(b"%PDF")


def test_names_cannot_break_out_of_page_or_text(known: Known) -> None:
    told = dossier(known)
    told["sentence"] = "<script>alert(1)</script> | `x` *y*"
    told["parts"][0]["blocks"].append({"kind": "items", "items": ["<img src=x onerror=alert(1)>"]})
    page = Page()
    page.feed(dossier_page(told))
    assert not {"script", "img"} & page.tags
    text = dossier_text(told)
    assert "<script>" not in text.replace("\\<", "")
    assert "\\| \\`x\\` \\*y\\*" in text


def test_the_text_and_the_record_say_the_same(known: Known, tmp_path: Path) -> None:
    told = dossier(known)
    assert json.loads(json.dumps(told)) == told
    text = dossier_text(told)
    for one in told["parts"]:
        assert f" {one['title']} ({one['state']})" in text
    widths = [line.count(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert widths
    for line, following in zip(text.splitlines(), text.splitlines()[1:], strict=False):
        if line.startswith("| ") and following.startswith("| "):
            assert len(re.findall(r"(?<!\\)\|", line)) == len(re.findall(r"(?<!\\)\|", following))


def test_what_people_did_besides_moving_it_is_told(tmp_path: Path) -> None:
    make(tmp_path, wrong=0.4, ticks=2, a_tick=40)
    store = Store(tmp_path)
    mute_by_hand(store, NAME, "$.took_ms", actor="ben", reason="a clock", at=START + 500.0)
    store.close()
    record = LiveRecord(tmp_path, NAME)
    told = dossier(gather(record, now=START + 3600.0))
    record.close()
    rows = part(told, "people")["blocks"][1]["rows"]
    assert [(row[2], row[4]) for row in rows] == [("ana", "start"), ("ben", "mute")]
    assert "1 of 2 moves" in part(told, "people")["blocks"][0]["text"]


def test_drift_is_told_where_the_spec_asks_for_it(known: Known) -> None:
    none = drift_unread(Drift(), "the reference is not complete yet")
    silent = part(dossier(replace(known, view={**known.view, "drift": none})), "drift")
    assert silent["missing"] == ["Drift is not measured: the reference is not complete yet."]
    rng, family = np.random.default_rng(1), Family(every=1.0, reference=60.0)
    for second in range(100):
        x = [None] * 9 if second > 70 else rng.normal(size=9)
        family.take(float(second), sketched({"x": x}, at=float(second), arm="v1", side="input"))
    told = drift_record(known.rollout, Drift(), family.changes())
    shown = part(dossier(replace(known, view={**known.view, "drift": told})), "drift")
    assert shown["state"] == "shown"
    assert shown["blocks"][0]["text"].startswith("The feed is broken: x is missing in")
    assert shown["blocks"][1]["rows"][0][:3] == ["input", "x", "all"]
