"""`crossfade analyze`: records for programs, a table for people at 80 columns, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from crossfade.judge.evidence import Evidence


@pytest.fixture
def summary(tmp_path: Path) -> str:
    file = tmp_path / "totals.csv"
    file.write_text(
        "look,arm,n,sum,sum_squares\n1,v1,2000,100,100\n1,v2,2000,104,104\n2,v1,9000,450,450\n2,v2,9000,720,720\n"
    )
    return str(file)


@pytest.fixture
def units(tmp_path: Path) -> tuple[str, str]:
    rng = np.random.default_rng(1)
    exposures, outcomes = ["unit,arm,at,country"], ["unit,name,value,at"]
    for i in range(2000):
        arm, at = ("v1", "v2")[int(rng.random() < 0.5)], 1_700_000_000 + i
        exposures.append(f"u{i},{arm},{at},{'at' if i % 2 else 'de'}")
        outcomes.append(f"u{i},spent,{rng.normal(10, 3):.3f},{at + 1}")
        if rng.random() < 0.1:
            outcomes.append(f"u{i},buy,1,{at + 2}")
    for name, rows in (("e.csv", exposures), ("o.csv", outcomes)):
        (tmp_path / name).write_text("\n".join(rows) + "\n")
    return str(tmp_path / "e.csv"), str(tmp_path / "o.csv")


def test_the_record_has_a_line_for_each_metric_arm_and_look(crossfade, summary):
    ran = crossfade(
        "analyze", "--summary", summary, "--metric", "buy:rate:higher", "--baseline", "v1",
        "--expected", "v1=50%,v2=50%", "--alpha", "0.01", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    record = json.loads(ran.out)
    assert [(line["metric"], line["arm"], line["look"]) for line in record["evidence"]] == [
        ("buy", "v2", 1),
        ("buy", "v2", 2),
    ]
    first, last = record["evidence"]
    assert last["estimate"] == pytest.approx(0.03)
    assert last["lower"] < 0.03 < last["upper"]
    assert (last["confidence"], last["verdict"]) == (0.99, "safe")
    assert first["units"] == {"v1": 2000, "v2": 2000}
    assert Evidence.from_json({k: v for k, v in last.items() if k != "look"}).to_json()["schema"] == last["schema"]
    ratio = record["sample_ratio"]
    assert ratio["verdict"] == "undecided"
    assert 0.0 < ratio["e_value"] < 1.0
    assert ratio["p_value"] == 1.0


def test_people_read_a_table_and_a_sentence_at_80_columns(crossfade, units):
    exposures, outcomes = units
    ran = crossfade(
        "analyze", "--exposures", exposures, "--outcomes", outcomes, "--metric", "buy:rate:2pp",
        "--metric", "spent:mean", "--metric", "spent/exposures:ratio", "--baseline", "v1",
        "--expected", "v1=0.5,v2=0.5",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert all(len(line.rstrip()) <= 80 for line in ran.out.splitlines())
    words = " ".join(ran.out.split())
    assert "country=at" in words
    assert "buy: v2" in words
    assert "by more than 2 pp" in words
    assert "Undecided: e-value" in words
    assert "sample ratio: no mismatch found among 2,000 units" in words
    assert "assumed: label betting" in words
    assert "\x1b" not in ran.out
    assert "nan" not in words.lower()


def test_a_mismatch_is_found_and_strict_says_so(crossfade, tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("arm,n,sum\nv1,821588,1000\nv2,815482,1000\n")
    given = (
        "analyze",
        "--summary",
        str(file),
        "--metric",
        "buy:rate",
        "--baseline",
        "v1",
        "--expected",
        "v1=0.5,v2=0.5",
    )
    ran = crossfade(*given, "--alpha", "0.01")
    assert ran.code == 0
    assert "the units do not fit the plan: v2 has 815,482" in " ".join(ran.out.split())
    assert "not measured" in ran.out
    assert crossfade(*given, "--strict").code == 1
    assert crossfade(*given[:-2], "--strict").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "no metric was named"),
        (("--metric", "buy:rate"), 2, "no exposures were given"),
        (("--metric", "buy:rte", "--summary", "x.csv"), 2, "did you mean rate?"),
        (("--metric", "buy:rate", "--summary", "x.csv"), 2, "there is no file x.csv"),
        (("--metric", "buy:rate", "--summary", "{bad}"), 1, "line 3, column n: found 'many'"),
        (("--metric", "buy:rate", "--summary", "{bad}", "--expected", "v1"), 2, "expected ARM=share"),
    ],
)
@pytest.mark.parametrize("json_too", [False, True])
def test_mistakes_have_a_sentence_and_a_code(crossfade, tmp_path, arguments, code, said, json_too):
    (tmp_path / "bad.csv").write_text("arm,n,sum\nv1,10,1\nv2,many,1\n")
    given = [word.replace("{bad}", str(tmp_path / "bad.csv")) for word in arguments]
    ran = crossfade("analyze", *given, *(["--json"] if json_too else []))
    assert ran.code == code
    told = json.loads(ran.out) if json_too else ran.err
    assert said in (f"{told['error']} {told['what_to_do']}" if json_too else told)
    assert "Traceback" not in ran.err
