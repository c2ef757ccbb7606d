"""From text to nodes: values by YAML's core schema, places, and the errors of the YAML itself."""

from __future__ import annotations

import math

import pytest

from crossfade.spec.source import MOST_CHARACTERS, load


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("2024-01-01", "2024-01-01"),
        ("10:30", "10:30"),
        ("0x10", "0x10"),
        ("5%", "5%"),
        ("010", 10),
        ("-3", -3),
        ("1e3", 1000.0),
        (".5", 0.5),
        (".inf", math.inf),
        ("true", True),
        ("~", None),
        ("", None),
        ("'5'", "5"),
        ('"\\u00e9"', "é"),
        ("!!str 5", "5"),
    ],
)
def test_scalars_are_read_by_the_core_schema(written: str, value: object) -> None:
    root, problems = load(f"x: {written}")
    assert problems == []
    assert root.value["x"].value == value
    assert type(root.value["x"].value) is type(value)


def test_places_are_those_of_the_values_and_of_the_keys_of_blocks() -> None:
    root, _ = load("a: 1\nb:\n  - x\n  - {c: 2}\nd: [3,\n 4]\ne:\n")
    b, d, e = root.value["b"], root.value["d"], root.value["e"]
    assert (root.value["a"].line, root.value["a"].column) == (1, 4)
    assert (b.line, b.column) == (2, 1)
    assert (b.value[0].line, b.value[0].column) == (3, 5)
    assert (b.value[1].value["c"].line, b.value[1].value["c"].path) == (4, ("b", 1, "c"))
    assert (d.line, d.value[1].line) == (5, 6)
    assert (e.line, e.column) == (7, 1)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", 2, "the list is not closed"),
        ("a: {b: 1\nc: 3\n", 1, "the mapping is not closed"),
        ("a: 1\nb: 'x\nc: 2\n", 2, "the quotes are not closed"),
        ("a: 1\n\tb: 2\n", 2, "never with tabs"),
        ("a: 1\nb: c: d\n", 2, "one `key: value` a line"),
        ("a:\n  b: 1\n c: 2\n", 3, "indentation does not fit"),
        ("a: `x`\n", 1, "put the text in quotes"),
        ("--- {}\n--- {}\n", 2, "a file holds one rollout"),
        ("a: *x\n", 1, "undefined alias"),
        ("a: &x [*x]\n", 1, "this alias holds itself"),
        ("a: 1\nb\x00c: 2\n", 2, "U+0000"),
        ('a: "\\ud800"\n', 1, "not a Unicode character"),
        ('a: "\\U99999999"\n', 1, "not valid YAML"),
        ("? {a: 1}\n: b\n", 1, "a key must be a plain word"),
        ("a: !!python/object/apply:os.system ['true']\n", 1, "the tag"),
        ("a: !!int x\n", 1, "cannot be read as a value of type int"),
        (f"a: {'9' * 5000}\n", 1, "cannot be read as a value of type int"),
        ("a: " + "[" * 60 + "]" * 60, 1, "levels deep"),
        ("[" * 3000, 1, "nested too deeply"),
        ("x" * (MOST_CHARACTERS + 1), 1, "characters long"),
    ],
)
def test_broken_yaml_is_told_with_its_line(text: str, line: int, says: str) -> None:
    _, problems = load(text)
    assert len(problems) == 1
    assert problems[0].line == line
    assert says in problems[0].message


def test_aliases_of_aliases_do_not_blow_up() -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for n in range(1, 12):
        text += f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n"
    _, problems = load(text)
    assert ["values" in problem.message for problem in problems] == [True]
