"""Functions of the user's in a process of their own: what they may do, and what they can not do to anybody."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossfade.rim import theirs as room
from crossfade.rim.theirs import Failed, Theirs

MODULE = """
import os, sys, time
import numpy as np

def right(truth, said):
    print("printed, and in nobody's way")
    return np.float64(truth == said)

def wrong(truth, said):
    raise KeyError("no such customer")

def slow(truth, said):
    time.sleep(60)

def dies(truth, said):
    os._exit(3)

def words(truth, said):
    return object()

def lengths(texts):
    return np.array([[len(text), 1.0] for text in texts])

nothing = 3
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_scores.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


@pytest.fixture
def own() -> Iterator[list[Theirs]]:
    made: list[Theirs] = []
    yield made
    for one in made:
        one.close()


def made(own: list[Theirs], name: str, **changes: float) -> Theirs:
    own.append(Theirs(f"shop_scores:{name}", "embed" if name == "lengths" else "score", **changes))
    return own[-1]


def test_a_function_is_asked_many_at_once(own: list[Theirs]) -> None:
    right = made(own, "right")
    asked = [(float(n), float(n % 2)) for n in range(5000)]
    assert right.call(asked) == [1.0, 1.0, *([0.0] * 4998)]
    assert right.call([("cat", "cat")]) == [1.0]
    assert right.by.startswith("scored by shop_scores:right, source sha256 ")


def test_texts_become_vectors(own: list[Theirs]) -> None:
    assert made(own, "lengths").call(["ab", "abc"]) == [[2.0, 1.0], [3.0, 1.0]]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("wrong", "failed: KeyError: 'no such customer'"),
        ("slow", "did not answer within 0.2 s"),
        ("dies", "ended its process"),
        ("words", "answered what is no number"),
        ("nothing", "cannot be loaded: TypeError: nothing is no function"),
        ("absent", "cannot be loaded: AttributeError"),
    ],
)
def test_what_goes_wrong_is_told_and_bounded(own: list[Theirs], name: str, why: str) -> None:
    one = made(own, name, seconds=0.2, pause=0.5)
    began = time.monotonic()
    with pytest.raises(Failed, match=why):
        one.call([(1.0, 1.0)])
    # It is not asked again for a while: the next answer comes at once.
    again = time.monotonic()
    with pytest.raises(Failed, match=why):
        one.call([(1.0, 1.0)])
    assert time.monotonic() - again < 0.1
    assert again - began < 30.0


def test_an_absent_module_is_told(own: list[Theirs]) -> None:
    own.append(Theirs("no_such_module:f", "score"))
    with pytest.raises(Failed, match="no_such_module:f cannot be loaded: ModuleNotFoundError"):
        own[-1].call([(1.0, 1.0)])


def test_scores_known_already_are_not_asked_again(own: list[Theirs]) -> None:
    asked = [(1.0, 1.0), (1.0, 0.0), (1.0, 1.0)]
    first = room.scorer("shop_scores:right", asked)
    assert not isinstance(first, str)
    assert first.values == [1.0, 0.0, 1.0]
    room.theirs("shop_scores:right", "score").close()
    began = time.monotonic()
    assert room.scorer("shop_scores:right", asked) == first
    assert time.monotonic() - began < 0.05
