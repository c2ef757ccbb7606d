"""`crossfade compare`: what it says of two files, and how it says no."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Crossfade

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes replies by id into a file."""

    def to(name: str, replies: list[Any], *more: str) -> Path:
        path = tmp_path / name
        lines = [json.dumps({"id": f"r{at}", "response": reply}) for at, reply in enumerate(replies)]
        path.write_text("".join(f"{line}\n" for line in (*lines, *more)))
        return path

    return to


def replies(n: int, seed: int, *, noise: float = 0.0, shift: float = 0.0) -> list[Any]:
    """A label, a noisy sentence and a list of scored items; `shift` is how often scores move."""
    rng = random.Random(seed)
    return [
        {
            "label": "yes" if at % 3 else "no",
            "text": "other words" if rng.random() < noise else "these words",
            "items": [{"id": k, "score": k / 7 + (0.5 if rng.random() < shift else 0.0)} for k in range(3)],
        }
        for at in range(n)
    ]


def field(record: dict[str, Any], path: str) -> dict[str, Any]:
    return next(line for line in record["fields"] if line["path"] == path)


def test_a_real_change_is_told_from_noise(crossfade: Crossfade, write: Write) -> None:
    a, b = write("a", replies(2000, 1, noise=0.1)), write("b", replies(2000, 2, noise=0.1, shift=0.05))
    c = write("c", replies(2000, 3, noise=0.1))
    ran = crossfade("compare", str(a), str(b), "--noise", str(c), "--json")
    record = json.loads(ran.out)
    assert (ran.code, ran.err, record["pairs"], record["twice"]) == (1, "", 2000, 2000)
    moved, noisy = field(record, "$.items[*].score"), field(record, "$.text")
    assert (moved["verdict"], moved["kind"], moved["noise"]) == ("harmful", "value", 0.0)
    assert moved["lower"] <= 1 - 0.95**3 <= moved["upper"]
    assert noisy["verdict"] != "harmful"
    assert noisy["noise"] == pytest.approx(0.18, abs=0.03)
    assert field(record, "$.label")["verdict"] == "safe"
    assert [path["path"] for path in record["examples"]].count("$.items[*].score") == 3
    example = record["examples"][0]
    assert float(example["challenger"]) - float(example["champion"]) == pytest.approx(0.5)


def test_equal_files_are_fine(crossfade: Crossfade, write: Write) -> None:
    a = write("a", replies(1000, 1))
    ran = crossfade("compare", str(a), str(a), "--json")
    record = json.loads(ran.out)
    assert ran.code == 0
    assert record["disagreement"]["verdict"] == "safe"
    assert {line["differing"] for line in record["fields"]} == {0}


def test_replies_nobody_can_use_have_a_gate_of_their_own(crossfade: Crossfade, tmp_path: Path, write: Write) -> None:
    a = write("a", [{"score": at / 7} for at in range(1000)])
    lines = [f'{{"id": "r{at}", "response": {{"score": {"NaN" if at % 40 == 0 else at / 7}}}}}' for at in range(1000)]
    (tmp_path / "b").write_text("\n".join(lines))
    ran = crossfade("compare", str(a), str(tmp_path / "b"), "--margin", "10%", "--json")
    record = json.loads(ran.out)
    assert ran.code == 1
    assert (record["catastrophic"]["verdict"], record["catastrophic"]["kinds"]) == ("harmful", {"nan": 25})
    assert field(record, "$.score")["verdict"] == "safe"


def test_failures_of_the_challenger_count(crossfade: Crossfade, tmp_path: Path, write: Write) -> None:
    a = write("a", [{"x": 1}] * 200)
    lines = [json.dumps({"id": f"r{at}", "error": "timeout"} if at % 2 else {"id": f"r{at}", "response": {"x": 1}})
             for at in range(200)]  # fmt: skip
    (tmp_path / "b").write_text("\n".join(lines))
    ran = crossfade("compare", str(a), str(tmp_path / "b"), "--json")
    record = json.loads(ran.out)
    assert (ran.code, record["pairs"], record["catastrophic"]["verdict"]) == (1, 200, "harmful")
    assert record["failed"]["challenger"] == {"timeout": 100}


def test_tolerances_mutes_rules_and_redaction(crossfade: Crossfade, write: Write) -> None:
    a = write("a", [{"p": 1.0, "took": 1, "s": "the cat", "secret": "anna"}] * 500)
    b = write("b", [{"p": 1.004, "took": 2, "s": "The  cat", "secret": "berta"}] * 500)
    ran = crossfade(
        "compare", str(a), str(b), "--json", "--tolerance", "$.p=1%", "--mute", "$.took=a time",
        "--field", "$.s={as: text, by: words}", "--redact", "$.secret",
    )  # fmt: skip
    record = json.loads(ran.out)
    assert field(record, "$.p")["differing"] == field(record, "$.s")["differing"] == 0
    assert (field(record, "$.took")["muted"], field(record, "$.took")["differing"]) == ("a time", 500)
    assert field(record, "$.secret")["verdict"] == "harmful"
    assert "anna" not in ran.out
    assert "berta" not in ran.out


def test_protocols_read_what_is_a_prediction(crossfade: Crossfade, write: Write) -> None:
    def completion(n: int, text: str) -> Any:
        return {"id": f"c{n}", "created": n, "choices": [{"message": {"content": text}, "finish_reason": "stop"}]}

    stream = 'data: {"choices": [{"index": 0, "delta": {"content": "hello"}, "finish_reason": "stop"}]}\n\n'
    a = write("a", [completion(n, "hello") for n in range(50)])
    b = write("b", [stream + "data: [DONE]\n\n"] * 25 + [stream.replace('"stop"', "null")] * 25)
    ran = crossfade("compare", str(a), str(b), "--protocol", "openai-chat", "--json")
    record = json.loads(ran.out)
    assert record["failed"]["challenger"] == {"broken": 25}
    assert record["catastrophic"]["differing"] == 25
    assert field(record, "$.choices[0].content")["differing"] == 0


def test_what_was_not_compared_is_told(crossfade: Crossfade, write: Write) -> None:
    a = write("a", replies(40, 1), '{"id": "r0", "response": 1}', "{")
    b = write("b", replies(39, 1))
    ran = crossfade("compare", str(a), str(b))
    assert ran.code == 0
    assert "1 lines without a reply" in " ".join(ran.out.split())
    assert f"{a.name}:42: not JSON" in ran.out.replace("\n", "").replace("│", "").replace(" " * 4, "")
    record = json.loads(crossfade("compare", str(a), str(b), "--json").out)
    counts = [(one["lines"], one["unmatched"], one["duplicates"], one["bad"]) for one in record["files"]]
    assert counts == [(42, 1, 1, 1), (39, 0, 0, 0)]


def test_the_tree_fits_in_eighty_columns_and_has_no_colour(crossfade: Crossfade, write: Write) -> None:
    a, b = write("a", replies(500, 1, noise=0.1)), write("b", replies(500, 2, noise=0.1, shift=0.2))
    ran = crossfade("compare", str(a), str(b), "--noise", str(a))
    assert ran.code == 1
    assert "\x1b" not in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "✖ $.items[*].score  harmful" in ran.out
    assert "2 fields never differ" in ran.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["nowhere"], "there is no file nowhere"),
        (["."], "is a directory"),
        (["A", "--margin", "lots"], "--margin lots: expected a share"),
        (["A", "--alpha", "0"], "--alpha 0: expected a share"),
        (["A", "--tolerance", "$.x"], "expected a path, '=' and more"),
        (["A", "--tolerance", "$.x=big"], "write 1% or 0.5"),
        (["A", "--field", "$.x={as: nmber}"], "did you mean number"),
        (["A", "--field", "$.x={as: label, relative: 1%}"], "'relative' belongs to as: number"),
        (["A", "--field", "$..x={as: label}"], "expected a path such as"),
        (["A", "--noise", "nowhere"], "there is no file nowhere"),
        (["A", "--spec", "nowhere"], "there is no file nowhere"),
        (["EMPTY"], "nothing could be compared"),
        (["OTHER"], "nothing could be compared"),
    ],
)
def test_wrong_use_says_what_to_do(crossfade: Crossfade, write: Write, options: list[str], said: str) -> None:
    a, empty = write("a", replies(20, 1)), write("empty", [])
    other = write("other", [], '{"id": "else", "response": 1}')
    files = {"A": a, "EMPTY": empty, "OTHER": other}
    named = [str(files.get(option, option)) for option in options]
    ran = crossfade("compare", str(a), *named)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "error" in json.loads(crossfade("compare", str(a), *named, "--json").out)


def test_a_spec_says_how(crossfade: Crossfade, write: Write, tmp_path: Path) -> None:
    assert crossfade("init", str(tmp_path / "spec.yaml")).code == 0
    text = (tmp_path / "spec.yaml").read_text()
    text = text.replace("protocol: open-inference", "protocol: json")
    (tmp_path / "spec.yaml").write_text(text + "\ncompare: {$.p: {as: probabilities, within: 5%}}\n")
    a, b = write("a", [{"p": [0.6, 0.4]}] * 300), write("b", [{"p": [0.57, 0.43]}] * 300)
    ran = crossfade("compare", str(a), str(b), "--spec", str(tmp_path / "spec.yaml"), "--json")
    record = json.loads(ran.out)
    assert (ran.code, record["margin"]) == (0, 0.05)
    assert field(record, "$.p")["differing"] == 0
