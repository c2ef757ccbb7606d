"""`crossfade compare` with an embedding of the user's own: a real vectoriser, and one that fails."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .conftest import Crossfade

MODULE = """
from sklearn.feature_extraction.text import HashingVectorizer

_vectoriser = HashingVectorizer(n_features=2**12, analyzer="char_wb", ngram_range=(3, 4), norm="l2")

def embed(texts):
    return _vectoriser.transform(texts)

def broken(texts):
    raise RuntimeError("no licence")
"""
SAME = ("The parcel arrives on Monday morning.", "The parcel arrives Monday morning!")
OTHER = ("The parcel arrives on Monday morning.", "Sorry, we can not help with refunds.")


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn", reason="SCIKIT-LEARN IS NOT INSTALLED: no real vectoriser to embed with")
    (tmp_path / "own_texts.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


def write(tmp_path: Path) -> tuple[str, str]:
    """A hundred pairs in other words, and forty that say something else."""
    pairs = [SAME] * 100 + [OTHER] * 40
    for side, name in enumerate(("a", "b")):
        lines = (json.dumps({"id": n, "response": {"answer": pair[side]}}) for n, pair in enumerate(pairs))
        (tmp_path / name).write_text("\n".join(lines))
    return str(tmp_path / "a"), str(tmp_path / "b")


def test_other_words_for_the_same_are_the_same(crossfade: Crossfade, tmp_path: Path) -> None:
    a, b = write(tmp_path)
    plain = json.loads(crossfade("compare", a, b, "--json").out)
    assert plain["disagreement"]["differing"] == 140
    rule = "$.answer={as: text, by: embedding, embedding: own_texts:embed, within: 50%}"
    ran = crossfade("compare", a, b, "--json", "--field", rule)
    found = json.loads(ran.out)
    assert (ran.code, found["pairs"], found["unmeasured"]) == (1, 140, {})
    assert [(line["path"], line["differing"]) for line in found["fields"]] == [("$.answer", 40)]


def test_the_short_form_takes_a_tenth(crossfade: Crossfade, tmp_path: Path) -> None:
    a, b = write(tmp_path)
    found = json.loads(crossfade("compare", a, b, "--json", "--embedding", "$.answer=own_texts:embed").out)
    assert 40 <= found["disagreement"]["differing"] <= 140
    wrong = crossfade("compare", a, b, "--embedding", "$.answer=embed")
    assert wrong.code == 2
    assert "module:function" in wrong.err


def test_a_function_that_fails_is_told_and_nothing_looks_equal(crossfade: Crossfade, tmp_path: Path) -> None:
    a, b = write(tmp_path)
    ran = crossfade("compare", a, b, "--embedding", "$.answer=own_texts:broken")
    assert ran.code == 2
    assert "own_texts:broken failed: RuntimeError: no licence" in ran.err
    # One pair without differing texts needs no embedding, and the others are left out of it.
    for name in (a, b):
        with Path(name).open("a") as file:
            file.write("\n" + json.dumps({"id": "x", "response": {"answer": "yes"}}))
    found = json.loads(crossfade("compare", a, b, "--json", "--embedding", "$.answer=own_texts:broken").out)
    assert (found["pairs"], found["disagreement"]["differing"]) == (1, 0)
    ((why, count),) = found["unmeasured"]["$.answer"].items()
    assert (why, count) == ("own_texts:broken failed: RuntimeError: no licence", 140)
